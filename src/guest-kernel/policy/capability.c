/* Linux's capabilities. See capability.h. */
#include "capability.h"

static const char *const names[CAP_LAST + 1] = {
        "chown",
        "dac_override",
        "dac_read_search",
        "fowner",
        "fsetid",
        "kill",
        "setgid",
        "setuid",
        "setpcap",
        "linux_immutable",
        "net_bind_service",
        "net_broadcast",
        "net_admin",
        "net_raw",
        "ipc_lock",
        "ipc_owner",
        "sys_module",
        "sys_rawio",
        "sys_chroot",
        "sys_ptrace",
        "sys_pacct",
        "sys_admin",
        "sys_boot",
        "sys_nice",
        "sys_resource",
        "sys_time",
        "sys_tty_config",
        "mknod",
        "lease",
        "audit_write",
        "audit_control",
        "setfcap",
        "mac_override",
        "mac_admin",
        "syslog",
        "wake_alarm",
        "block_suspend",
        "audit_read",
        "perfmon",
        "bpf",
        "checkpoint_restore",
};

const char *capability_name(int cap)
{
	return cap >= 0 && cap <= CAP_LAST ? names[cap] : NULL;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_name(const char *s, size_t len, const char *name)
{
	for (size_t i = 0; i < len; i++)
		if (!name[i] || lower(s[i]) != name[i])
			return false;
	return name[len] == '\0';
}

int capability_number(const char *s, size_t len)
{
	uint64_t number;
	if (str_number(s, len, CAP_LAST, &number))
		return (int)number;
	if (len > 4 && same_name(s, 4, "cap_")) {
		s += 4;
		len -= 4;
	}
	for (int cap = 0; cap <= CAP_LAST; cap++)
		if (same_name(s, len, names[cap]))
			return cap;
	return -1;
}

void capabilities_print(uint64_t set, struct text *t)
{
	bool first = true;
	for (int cap = 0; cap <= CAP_LAST; cap++)
		if (set >> cap & 1) {
			text_format(t, "%s%s", first ? "" : ",", names[cap]);
			first = false;
		}
	if (first)
		text_add(t, "none");
}

/* -- changes -- */

policy_status_t capability_raise(struct capabilities *c, uint64_t set)
{
	if (set & ~c->permitted)
		return POLICY_E_DENIED;
	c->effective |= set;
	return POLICY_OK;
}

void capability_lower(struct capabilities *c, uint64_t set)
{
	c->effective &= ~set;
}

void capability_drop(struct capabilities *c, uint64_t set)
{
	c->permitted &= ~set;
	c->effective &= ~set;
}

void capability_drop_bounding(struct capabilities *c, uint64_t set)
{
	capability_drop(c, set);
	c->bounding &= ~set;
}

policy_status_t capability_grant(const struct capabilities *from, struct capabilities *to,
                                 uint64_t set)
{
	if (!capability_has(from, CAP_SETPCAP) || (set & ~from->permitted) || (set & ~to->bounding))
		return POLICY_E_DENIED;
	to->permitted |= set;
	return POLICY_OK;
}

policy_status_t capability_revoke(const struct capabilities *from, struct capabilities *to,
                                  uint64_t set)
{
	if (!capability_has(from, CAP_SETPCAP))
		return POLICY_E_DENIED;
	capability_drop(to, set);
	return POLICY_OK;
}

struct capabilities capability_inherit(const struct capabilities *c, uint64_t subset)
{
	return (struct capabilities){.permitted = c->permitted & subset,
	                             .effective = c->effective & subset,
	                             .bounding = c->bounding & subset};
}

/* -- text -- */

static policy_status_t parse_set(const struct lines *l, uint64_t *set, struct policy_error *err)
{
	*set = 0;
	for (uint32_t i = 2; i < l->count; i++) {
		const struct word *w = &l->word[i];
		bool all = str_eq_n(w->s, w->len, "all");
		if ((all || str_eq_n(w->s, w->len, "none")) && l->count > 3)
			return lines_fail(l, w, err, "stands alone, without names of capabilities");
		if (all)
			*set = CAP_ALL;
		if (all || str_eq_n(w->s, w->len, "none"))
			continue;
		int cap = capability_number(w->s, w->len);
		if (cap < 0)
			return lines_fail(l, w, err,
			                  "no capability; net_raw, CAP_NET_RAW or 13 would be one");
		*set |= CAP_BIT(cap);
	}
	return POLICY_OK;
}

static policy_status_t parse_rule(struct capability_rule *r, struct arena *arena,
                                  const struct lines *l, struct policy_error *err)
{
	if (l->count < 3)
		return lines_fail(
		        l, NULL, err,
		        "%u words; SUBJECT permitted|bounding CAPABILITY... would be right",
		        l->count);
	const struct word *kind = &l->word[1];
	r->line = l->line;
	r->bounding = str_eq_n(kind->s, kind->len, "bounding");
	if (!r->bounding && !str_eq_n(kind->s, kind->len, "permitted"))
		return lines_fail(l, kind, err, "permitted or bounding would be right");
	policy_status_t status = pattern_parse(&r->subject, arena, l, &l->word[0], err);
	return status ? status : parse_set(l, &r->set, err);
}

policy_status_t capability_table_parse(struct capability_table *t, struct arena *arena,
                                       const char *file, const char *text, size_t len,
                                       struct policy_error *err)
{
	struct lines l;
	struct vec rules;
	policy_status_t status;
	vec_init(&rules, arena, sizeof(struct capability_rule));
	lines_init(&l, file, text, len);
	while ((status = lines_next(&l, err)) == POLICY_OK) {
		struct capability_rule *r = vec_push(&rules);
		status = r ? parse_rule(r, arena, &l, err)
		           : policy_fail(err, POLICY_E_NOMEM, "%s:%u: no memory", file, l.line);
		if (status)
			break;
	}
	if (status == POLICY_E_NOT_FOUND) {
		t->count = rules.count;
		t->rule = arena_array(arena, rules.count, sizeof(*t->rule));
		if (t->rule && rules.count)
			__builtin_memcpy(t->rule, rules.data, rules.count * sizeof(*t->rule));
		status = t->rule ? POLICY_OK
		                 : policy_fail(err, POLICY_E_NOMEM, "%s: no memory", file);
	}
	vec_fini(&rules);
	return status;
}

static const struct capability_rule *first_rule(const struct capability_table *t,
                                                const char *subject, bool bounding)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->rule[i].bounding == bounding &&
		    pattern_matches(&t->rule[i].subject, subject))
			return &t->rule[i];
	return NULL;
}

struct capabilities capability_table_find(const struct capability_table *t, const char *subject,
                                          uint32_t *line)
{
	const struct capability_rule *permitted = first_rule(t, subject, false);
	const struct capability_rule *bounding = first_rule(t, subject, true);
	struct capabilities c = {0};
	if (permitted)
		c.permitted = permitted->set;
	c.bounding = bounding ? bounding->set : c.permitted;
	c.permitted &= c.bounding;
	c.effective = c.permitted;
	if (line)
		*line = permitted ? permitted->line : 0;
	return c;
}
