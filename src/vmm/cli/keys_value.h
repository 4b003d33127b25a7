/* What the tables of keys share: values that must be numbers, sizes, limits of rate. */
#ifndef SRC_VMM_CLI_KEYS_VALUE_H
#define SRC_VMM_CLI_KEYS_VALUE_H

#include "keys.h"

/* A number of at most MAX, which UNIT names in the message. */
bool key_number(const char *value, uint64_t max, const char *unit, uint64_t *out,
                struct problem *p);
bool key_size(const char *value, uint64_t *out, struct problem *p);
/* Whether a switch is on. */
bool key_is_on(const char *value);
void key_set_flag(uint32_t *flags, uint32_t bit, bool on);

/* Limits of rate: bytes a second as a size, frames or requests as a number; neither is 0. */
bool key_rate_bytes(const char *value, uint64_t *out, struct problem *p);
bool key_rate_ops(const char *value, uint64_t *out, struct problem *p);
/* The limit RATE, which is in use from the first key on. */
vmm_rate_t *key_rate_begin(vmm_rate_t *rate, const vmm_rate_t **in_use);

/* A key that sets FIELD of the limit that OF finds. */
#define RATE_KEY(name, of, field, parse)                                                         \
	static bool name(struct run_config *c, void *item, const char *value, struct problem *p) \
	{                                                                                        \
		return parse(value, &of(c, item)->field, p);                                     \
	}

#endif
