/* See gk_policy.h. */
#include "gk_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/policy/package.h"
#include "guest-kernel/security/priv.h"

/* LINES and the list of P, which has them from now on. */
static void *join(const char *lines, struct package *p)
{
	size_t own = p->part[PACKAGE_ACL].len, size = own + strlen(lines) + 1;
	char *text = malloc(size);
	ck_assert_ptr_nonnull(text);
	(void)snprintf(text, size, "%s%.*s", lines, (int)own,
	               (const char *)p->part[PACKAGE_ACL].data);
	p->part[PACKAGE_ACL].data = (const uint8_t *)text;
	p->part[PACKAGE_ACL].len = size - 1;
	return text;
}

uint64_t rig_records(void)
{
	return kernel_of_cpu()->log.written;
}

bool rig_recorded(uint64_t first, const char *text)
{
	static struct log_record r;
	struct log *l = &kernel_of_cpu()->log;
	for (uint64_t i = first; i < l->written; i++)
		if (log_read(l, i, &r) && strstr(r.text, text))
			return true;
	return false;
}

void rig_policy(const char *lines)
{
	struct policy_error err = {.text = ""};
	struct package p;
	size_t len = (size_t)(security_builtin_end - security_builtin);
	ck_assert_msg(!package_open(&p, security_builtin, len, &err), "%s", err.text);
	void *text = join(lines, &p);
	void *whole = malloc(package_size(&p));
	ck_assert_ptr_nonnull(whole);
	package_write(&p, whole);
	ck_assert_msg(!security_load(kernel_of_cpu(), whole, package_size(&p), &err), "%s",
	              err.text);
	free(whole);
	free(text);
}
