/* bench_policy without libsepol. See policy_sepol.h. */
#include "policy_sepol.h"

bool policy_sepol_present(void)
{
	return false;
}

uint64_t policy_sepol_load_ns(const void *data, size_t len)
{
	(void)data;
	(void)len;
	return 0;
}

unsigned policy_sepol_sid(const char *context)
{
	(void)context;
	return 0;
}

uint32_t policy_sepol_av(unsigned source, unsigned target, uint32_t tclass)
{
	(void)source;
	(void)target;
	(void)tclass;
	return 0;
}
