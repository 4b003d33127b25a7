/* The engine, for a program whose other half is libsepol: the two headers share their names. */
#ifndef TESTS_ORACLE_OURS_H
#define TESTS_ORACLE_OURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct our;
struct our_context;
struct our_decision {
	uint32_t allowed, auditallow, auditdeny;
};

/* NULL: WHY says why not. */
struct our *our_load(const void *data, size_t len, char *why, size_t size);
void our_free(struct our *o);
/* NULL: not valid. Lives as long as O. */
const struct our_context *our_context(struct our *o, const char *text);
void our_print(const struct our *o, const struct our_context *c, char *out, size_t size);
void our_compute_av(const struct our *o, const struct our_context *a, const struct our_context *b,
                    uint32_t tclass, struct our_decision *d);
/* KIND: 'T' transition, 'M' member, 'C' change. NULL: none. */
const struct our_context *our_create(struct our *o, const struct our_context *a,
                                     const struct our_context *b, uint32_t tclass, char kind);
bool our_validatetrans(const struct our *o, const struct our_context *a,
                       const struct our_context *b, const struct our_context *task,
                       uint32_t tclass);
void our_bool(struct our *o, uint32_t number, bool value);
const struct our_context *our_port(const struct our *o, uint8_t protocol, uint16_t port);
const struct our_context *our_node(const struct our *o, const uint8_t *addr, size_t len);
const struct our_context *our_netif(const struct our *o, const char *name);
const struct our_context *our_genfs(const struct our *o, const char *fstype, const char *path,
                                    uint32_t tclass);
const struct our_context *our_fs_use(const struct our *o, const char *fstype, unsigned *behavior);
size_t our_bytes(const struct our *o);

#endif
