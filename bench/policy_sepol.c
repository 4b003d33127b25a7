/* See policy_sepol.h. */
#include "policy_sepol.h"

#include <stdlib.h>
#include <string.h>

#include <sepol/debug.h>
#include <sepol/policydb/policydb.h>
#include <sepol/policydb/services.h>
#include <sepol/policydb/sidtab.h>

#include "figures.h"

static policydb_t policy;
static sidtab_t sids;
static bool loaded;

bool policy_sepol_present(void)
{
	return true;
}

uint64_t policy_sepol_load_ns(const void *data, size_t len)
{
	struct policy_file f;
	char *copy = malloc(len);
	if (!copy)
		abort();
	memcpy(copy, data, len);
	if (loaded) {
		sepol_sidtab_destroy(&sids);
		policydb_destroy(&policy);
	}
	policy_file_init(&f);
	f.type = PF_USE_MEMORY;
	f.data = copy;
	f.len = len;
	sepol_debug(0);
	uint64_t begin = figures_cpu_ns();
	if (policydb_init(&policy) || policydb_read(&policy, &f, 0))
		abort();
	uint64_t ns = figures_cpu_ns() - begin;
	if (sepol_set_policydb(&policy) || sepol_sidtab_init(&sids) || sepol_set_sidtab(&sids) ||
	    policydb_load_isids(&policy, &sids))
		abort();
	loaded = true;
	free(copy);
	return ns;
}

unsigned policy_sepol_sid(const char *context)
{
	sepol_security_id_t sid;
	if (sepol_context_to_sid(context, strlen(context) + 1, &sid) < 0)
		abort();
	return sid;
}

uint32_t policy_sepol_av(unsigned source, unsigned target, uint32_t tclass)
{
	struct sepol_av_decision avd;
	if (sepol_compute_av(source, target, (sepol_security_class_t)tclass, 0, &avd) < 0)
		abort();
	return avd.allowed;
}
