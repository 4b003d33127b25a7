/*
 * `vmm policy`: its verbs, and what they share. The engine is the guest kernel's own
 * (src/guest-kernel/policy), so what is said here is what the guest will do.
 */
#ifndef SRC_VMM_CLI_POLICY_CLI_H
#define SRC_VMM_CLI_POLICY_CLI_H

#include <stddef.h>
#include <stdint.h>

#include "../../guest-kernel/policy/base.h"
#include "../../guest-kernel/policy/package.h"

#define POLICY_FILE_MAX (64u << 20)

/* A file in memory; data has a NUL behind its end. */
struct policy_file {
	char *data;
	size_t len;
};

/* CLI_OK, or a status with the reason said. */
int policy_read_file(const char *path, struct policy_file *f);
void policy_free_file(struct policy_file *f);
/* PATH is replaced as a whole, or not at all. */
int policy_write_file(const char *path, const void *data, size_t len);
/* "vmm policy: FIELD: MESSAGE", and STATUS. */
int policy_complain(int status, const char *field, const char *message);
/* A failure of the engine on PATH, and the exit status for it. */
int policy_engine_error(const char *path, policy_status_t status, const struct policy_error *err);

int policy_build(int argc, char **argv);
int policy_check_files(int argc, char **argv);
int policy_query(int argc, char **argv);
int policy_diff(int argc, char **argv);

#endif
