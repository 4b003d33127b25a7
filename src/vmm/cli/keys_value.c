/* See keys_value.h. */
#include "keys_value.h"

#include <string.h>

#include "parse.h"

bool key_number(const char *value, uint64_t max, const char *unit, uint64_t *out, struct problem *p)
{
	return parse_number(value, max, out) ||
	       problem_set(p, NULL, "'%s': must be %s of at most %llu", value, unit,
	                   (unsigned long long)max);
}

bool key_size(const char *value, uint64_t *out, struct problem *p)
{
	return parse_size(value, out) ||
	       problem_set(p, NULL, "'%s': must be a size, as in 64M or 2G", value);
}

bool key_is_on(const char *value)
{
	return strcmp(value, "on") == 0;
}

void key_set_flag(uint32_t *flags, uint32_t bit, bool on)
{
	*flags = on ? *flags | bit : *flags & ~bit;
}

bool key_rate_bytes(const char *value, uint64_t *out, struct problem *p)
{
	return key_size(value, out, p) &&
	       (*out > 0 || problem_set(p, NULL, "'%s': must be more than 0", value));
}

bool key_rate_ops(const char *value, uint64_t *out, struct problem *p)
{
	return parse_number(value, VMM_RATE_MAX, out) && *out > 0
	               ? true
	               : problem_set(p, NULL, "'%s': must be a number, 1 or more", value);
}

vmm_rate_t *key_rate_begin(vmm_rate_t *rate, const vmm_rate_t **in_use)
{
	if (!*in_use) {
		*rate = (vmm_rate_t)VMM_RATE_INIT;
		*in_use = rate;
	}
	return rate;
}
