/*
 * The reference monitor: what the guest kernel calls. policy_check() is the only door.
 *
 * It allows what all layers allow: the access control list (acl.h), the task's capabilities and the
 * object capability it shows (capability.h, objcap.h), and type enforcement with roles, constraints
 * and levels of a binary SELinux policy (te.h). Subjects and objects are labels: small numbers that
 * stand for a security context and a name. All that is text happens when a label is made, not when
 * it is checked; a check that was made before costs a few nanoseconds.
 *
 * Threads: everything here may be called from any thread. policy_check and policy_capable also from
 * interrupts; what takes the engine's spin lock (labels, SIDs, booleans, loading) may not.
 */
#ifndef GUEST_KERNEL_POLICY_POLICY_H
#define GUEST_KERNEL_POLICY_POLICY_H

#include "base.h"
#include "capability.h"
#include "classes.h"
#include "objcap.h"

struct policy;

typedef uint32_t policy_sid_t;   /* stands for a context; 0 is none */
typedef uint32_t policy_label_t; /* stands for a context and a name; 0 is none */

#define POLICY_NAME_MAX  63u /* bytes of a subject's or an object's name */
#define POLICY_AUDIT_MAX 1024u

enum policy_mode {
	POLICY_DISABLED,   /* everything is allowed, nothing is recorded */
	POLICY_PERMISSIVE, /* everything is allowed, what the policy denies is recorded */
	POLICY_ENFORCING,
};

struct policy_config {
	const struct policy_mem *mem;
	/* One record, a line without its end. May be called from an interrupt; NULL: none. */
	void (*audit)(void *ctx, const char *line, size_t len);
	/* Since 1970, or since the boot; NULL: all records say 0 and are not limited. */
	uint64_t (*now_ns)(void *ctx);
	/* Called again and again while a reload waits for checks under way; NULL: it spins. */
	void (*relax)(void *ctx);
	/*
	 * The engine's lock, where a thread that holds it can lose its CPU to one that waits for
	 * it; both or neither. NULL: a spin lock of the engine's own.
	 */
	void (*lock)(void *ctx);
	void (*unlock)(void *ctx);
	void *ctx;
	uint32_t avc_entries;      /* of the decision cache; 0: 2048 */
	uint32_t sid_max;          /* contexts at a time; 0: 4096 */
	uint32_t label_max;        /* labels at a time, below 2^24; 0: 4096 */
	uint32_t audit_per_second; /* records, with bursts of as many; 0: 100 */
};

/* In mode POLICY_ENFORCING, without a policy: everything is denied. POLICY_E_NOMEM, _E_INVAL. */
POLICY_WARN_UNUSED policy_status_t policy_create(const struct policy_config *config,
                                                 struct policy **out);
/* Nobody may be in a call. */
void policy_destroy(struct policy *p);

/*
 * Put the LEN bytes at DATA in force: a policy package or a bare binary policy (package.h), which
 * must not change meanwhile and is not needed afterwards. SIDs and labels keep their numbers,
 * booleans of the same name their values; cached decisions are void. Checks go on meanwhile, under
 * the old policy or the new one. If it fails the old policy stays in force: POLICY_E_FORMAT,
 * POLICY_E_VERSION, POLICY_E_SYNTAX (of the list or the capabilities), POLICY_E_NOMEM,
 * POLICY_E_LIMIT, POLICY_E_MISSING (classes or permissions that the kernel checks; only if the
 * policy was built to reject what it does not know). One at a time. Asks no permission: the kernel
 * checks security { load_policy } first.
 */
POLICY_WARN_UNUSED policy_status_t policy_load(struct policy *p, const void *data, size_t len,
                                               struct policy_error *err);
/* Goes up with each load and each change of a boolean. */
uint32_t policy_seqno(const struct policy *p);
/* Where that number lies, as long as P lasts: for policy_still. */
const _Atomic(uint32_t) *policy_epoch(const struct policy *p);

void policy_set_mode(struct policy *p, enum policy_mode mode);
enum policy_mode policy_mode(const struct policy *p);

/* POLICY_E_NOT_FOUND. */
POLICY_WARN_UNUSED policy_status_t policy_bool_set(struct policy *p, const char *name, bool value);
/* The name (cut to fit) and the value of boolean number I, from 0. POLICY_E_NOT_FOUND: the end. */
POLICY_WARN_UNUSED policy_status_t policy_bool_at(struct policy *p, uint32_t i, char *name,
                                                  size_t size, bool *value);
POLICY_WARN_UNUSED policy_status_t policy_bool_get(struct policy *p, const char *name, bool *value);

/* -- contexts -- */

/* POLICY_E_INVAL: not a context of this policy; POLICY_E_LIMIT, POLICY_E_NOMEM. */
POLICY_WARN_UNUSED policy_status_t policy_sid(struct policy *p, const char *context, size_t len,
                                              policy_sid_t *sid, struct policy_error *err);
/* Its text in BUF of SIZE bytes, cut to fit. POLICY_E_NOT_FOUND. */
POLICY_WARN_UNUSED policy_status_t policy_sid_text(struct policy *p, policy_sid_t sid, char *buf,
                                                   size_t size);
/* What portcon, nodecon, netifcon and genfscon say; initial SIDs where they say nothing. */
POLICY_WARN_UNUSED policy_status_t policy_port_sid(struct policy *p, uint8_t protocol,
                                                   uint16_t port, policy_sid_t *sid);
POLICY_WARN_UNUSED policy_status_t policy_node_sid(struct policy *p, const uint8_t *addr,
                                                   size_t len, policy_sid_t *sid);
POLICY_WARN_UNUSED policy_status_t policy_netif_sid(struct policy *p, const char *name,
                                                    policy_sid_t *sid);
/* SPACE is `http` for paths of the HTTP server, `command`, `disk`, `device`, ... */
POLICY_WARN_UNUSED policy_status_t policy_path_sid(struct policy *p, const char *space,
                                                   const char *path, enum policy_class tclass,
                                                   policy_sid_t *sid);
/*
 * The context of a new object of TCLASS that SUBJECT makes beside (or from) OBJECT, called NAME, or
 * NULL. POLICY_E_INVAL: the policy makes an invalid one.
 */
POLICY_WARN_UNUSED policy_status_t policy_create_sid(struct policy *p, policy_sid_t subject,
                                                     policy_sid_t object, enum policy_class tclass,
                                                     const char *name, policy_sid_t *sid,
                                                     struct policy_error *err);
/* May TASK turn an object from OLD to NEW? POLICY_E_DENIED with the constraint in ERR. */
POLICY_WARN_UNUSED policy_status_t policy_validate_transition(struct policy *p, policy_sid_t old,
                                                              policy_sid_t new_sid,
                                                              policy_sid_t task,
                                                              enum policy_class tclass,
                                                              struct policy_error *err);

/* -- labels -- */

/*
 * The label of SID under NAME (of the access control list: "http", "port:80", "path:/metrics").
 * Give it back with policy_label_put. POLICY_E_INVAL: no such SID, or NAME too long;
 * POLICY_E_LIMIT.
 */
POLICY_WARN_UNUSED policy_status_t policy_label(struct policy *p, policy_sid_t sid,
                                                const char *name, policy_label_t *label);
/* Once more the same, to be given back as well. */
void policy_label_get(struct policy *p, policy_label_t label);
void policy_label_put(struct policy *p, policy_label_t label);
/* Empty: no such label. Lasts as long as the caller has the label. */
const char *policy_label_name(const struct policy *p, policy_label_t label);
policy_sid_t policy_label_sid(const struct policy *p, policy_label_t label);

/* -- subjects -- */

/* A part of a task; changed by the task itself or under its lock. */
struct policy_subject {
	policy_label_t label;
	uint32_t id; /* of the task, for records and object capabilities */
	struct capabilities caps;
};

/* A subject that begins with what the policy's capabilities give the name of LABEL. */
void policy_subject_init(struct policy *p, struct policy_subject *s, policy_label_t label,
                         uint32_t id);

/* -- checks -- */

#define POLICY_NO_CAP (-1)

struct policy_request {
	const struct policy_subject *subject;
	policy_label_t object;
	enum policy_class tclass;
	uint32_t perms; /* of TCLASS, all of which are needed; not 0 */
	int cap;        /* a capability that is needed as well, or POLICY_NO_CAP */
	/* Where the object is reached through an object capability; else SPACE is NULL. */
	const struct objcap_space *space;
	objcap_t held;
	uint64_t object_id;
	uint32_t rights;
	const char *detail; /* for the record, as `src=80`, or NULL */
};

/* POLICY_OK or POLICY_E_DENIED, recorded as the policy says. */
POLICY_WARN_UNUSED policy_status_t policy_check(struct policy *p, const struct policy_request *r);

/*
 * As policy_check; for who asks the same again and again. *GOOD_FOR: what policy_still takes in
 * place of the next question, where the answer was a yes that leaves no record; else 0. A question
 * that is not asked is not counted.
 */
POLICY_WARN_UNUSED policy_status_t policy_check_for(struct policy *p,
                                                    const struct policy_request *r,
                                                    uint32_t *good_for);
/* The policy is still the one that GOOD_FOR is of: yes again. EPOCH may be NULL while it is 0. */
POLICY_WARN_UNUSED static inline bool policy_still(const _Atomic(uint32_t) *epoch,
                                                   uint32_t good_for)
{
	return good_for && good_for == atomic_load_explicit(epoch, memory_order_acquire);
}

/* The plain case. */
POLICY_WARN_UNUSED static inline policy_status_t policy_allows(struct policy *p,
                                                               const struct policy_subject *subject,
                                                               policy_label_t object,
                                                               enum policy_class tclass,
                                                               uint32_t perms)
{
	const struct policy_request r = {.subject = subject,
	                                 .object = object,
	                                 .tclass = tclass,
	                                 .perms = perms,
	                                 .cap = POLICY_NO_CAP};
	return policy_check(p, &r);
}

/* SUBJECT has CAP in effect, and its domain may use it (class capability or capability2, on
 * itself). */
POLICY_WARN_UNUSED policy_status_t policy_capable(struct policy *p,
                                                  const struct policy_subject *subject, int cap);

/*
 * Why policy_check answers R as it does: a line for each layer, which names the rule or the missing
 * rule. True: it would allow it. Records nothing.
 */
bool policy_why(struct policy *p, const struct policy_request *r, char *buf, size_t size);

/* -- statistics -- */

struct policy_stats {
	bool loaded;
	enum policy_mode mode;
	uint32_t seqno, loads;
	size_t policy_bytes; /* of memory */
	uint32_t classes, types, users, roles, bools, rules, sids, labels;
	bool mls;
	uint32_t avc_entries, avc_used;
	uint64_t avc_misses;
	uint64_t records, records_lost; /* of the audit; lost to the limit */
	/* By class. Checks that came from the cache are counted without a lock: a few may be lost.
	 */
	uint64_t checks[POLICY_CLASS_COUNT], denials[POLICY_CLASS_COUNT];
};
void policy_stats(struct policy *p, struct policy_stats *s);
/* As sestatus does, and as Prometheus reads it. */
void policy_stats_print(const struct policy_stats *s, struct text *t);
void policy_stats_metrics(const struct policy_stats *s, struct text *t);

#endif
