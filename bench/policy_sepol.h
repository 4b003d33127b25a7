/* libsepol for bench_policy, in a file of its own because its headers share names with the
 * engine's. */
#ifndef BENCH_POLICY_SEPOL_H
#define BENCH_POLICY_SEPOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: it is not at hand, and the calls below do nothing. */
bool policy_sepol_present(void);
/* Reads the policy, in place of the one before, and says how long that took. */
uint64_t policy_sepol_load_ns(const void *data, size_t len);
unsigned policy_sepol_sid(const char *context);
uint32_t policy_sepol_av(unsigned source, unsigned target, uint32_t tclass);

#endif
