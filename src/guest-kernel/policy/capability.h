/*
 * Linux's capabilities by name and number (include/uapi/linux/capability.h), and their text form.
 *
 * A task has three sets: what it may use (permitted), what it uses now (effective), and what it
 * could ever get (bounding). effective <= permitted <= bounding, always. No capability stands for
 * another: CAP_SYS_ADMIN is one bit among others. Pure functions on the owner's data.
 */
#ifndef GUEST_KERNEL_POLICY_CAPABILITY_H
#define GUEST_KERNEL_POLICY_CAPABILITY_H

#include "lines.h"

enum {
	CAP_CHOWN = 0,
	CAP_KILL = 5,
	CAP_SETPCAP = 8,
	CAP_NET_BIND_SERVICE = 10,
	CAP_NET_ADMIN = 12,
	CAP_NET_RAW = 13,
	CAP_IPC_OWNER = 15,
	CAP_SYS_RAWIO = 17,
	CAP_SYS_CHROOT = 18,
	CAP_SYS_ADMIN = 21,
	CAP_SYS_BOOT = 22,
	CAP_SYS_NICE = 23,
	CAP_SYS_RESOURCE = 24,
	CAP_SYS_TIME = 25,
	CAP_AUDIT_WRITE = 29,
	CAP_MAC_ADMIN = 33,
	CAP_SYSLOG = 34,
	CAP_CHECKPOINT_RESTORE = 40,
	CAP_LAST = 40,
};
#define CAP_ALL      (((uint64_t)1 << (CAP_LAST + 1)) - 1)
#define CAP_BIT(cap) ((uint64_t)1 << (cap))

struct capabilities {
	uint64_t permitted, effective, bounding;
};

/* "net_raw"; NULL: no such number. */
const char *capability_name(int cap);
/* "net_raw", "cap_net_raw", "CAP_NET_RAW" or "13"; -1: none. */
int capability_number(const char *s, size_t len);

/* Names, separated by commas, or "none". */
void capabilities_print(uint64_t set, struct text *t);

static inline bool capability_has(const struct capabilities *c, int cap)
{
	return cap >= 0 && cap <= CAP_LAST && (c->effective >> cap & 1);
}

/* Use SET from now on. POLICY_E_DENIED (and nothing changed): not all of it is permitted. */
POLICY_WARN_UNUSED policy_status_t capability_raise(struct capabilities *c, uint64_t set);
/* Do without SET for now. */
void capability_lower(struct capabilities *c, uint64_t set);
/* Give SET up: not to be had again but by a grant. */
void capability_drop(struct capabilities *c, uint64_t set);
/* Give SET up for ever, also for what is started from here. */
void capability_drop_bounding(struct capabilities *c, uint64_t set);
/*
 * FROM gives SET to TO. POLICY_E_DENIED (and nothing changed): FROM has not all of SET permitted or
 * lacks CAP_SETPCAP, or TO's bounding set has not all of it.
 */
POLICY_WARN_UNUSED policy_status_t capability_grant(const struct capabilities *from,
                                                    struct capabilities *to, uint64_t set);
/* FROM takes SET away from TO. POLICY_E_DENIED: FROM lacks CAP_SETPCAP. */
POLICY_WARN_UNUSED policy_status_t capability_revoke(const struct capabilities *from,
                                                     struct capabilities *to, uint64_t set);
/* What a child of C begins with: C's sets, but nothing beyond SUBSET. */
struct capabilities capability_inherit(const struct capabilities *c, uint64_t subset);

/* -- text -- */

/*
 * Which capabilities a subject begins with. Lines of
 *     SUBJECT permitted|bounding LIST
 * with LIST of names or numbers separated by commas or blanks, `all`, or `none`; '#' begins a
 * comment. SUBJECT is a name, a prefix with '*' at its end, or '*'. The first line of each kind
 * that fits decides. A subject without a permitted line has none; its bounding set is then what it
 * is permitted.
 */
struct capability_rule {
	struct pattern subject;
	bool bounding;
	uint64_t set;
	uint32_t line;
};

struct capability_table {
	uint32_t count;
	struct capability_rule *rule;
};

/* FILE names the text in errors. Memory from ARENA. POLICY_E_SYNTAX, POLICY_E_NOMEM. */
POLICY_WARN_UNUSED policy_status_t capability_table_parse(struct capability_table *t,
                                                          struct arena *arena, const char *file,
                                                          const char *text, size_t len,
                                                          struct policy_error *err);
/* What SUBJECT begins with: effective is what is permitted. *LINE: what said so, or 0. */
struct capabilities capability_table_find(const struct capability_table *t, const char *subject,
                                          uint32_t *line);

#endif
