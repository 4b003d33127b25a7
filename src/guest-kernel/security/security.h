/*
 * The reference monitor at work: which policy is in force, who every task is, and the question that
 * each act of a task is put to. core/, block/, drivers and services call it; it calls the policy
 * engine (policy/), mm and core.
 *
 * A kernel has it from security_start on; before, and in tests that do not start it, everything is
 * allowed. Unless it says otherwise, a function asks for the task that calls it, is for task
 * context, and takes no lock that a task can wait for.
 *
 * Objects are labelled by the policy itself (genfscon): disks by `disk`, devices by `device`, the
 * shell's commands by `command`, paths of the HTTP server by `http`, the machine by `system`; and
 * `service` says which context a service runs in. Names for the access control list are
 * "disk:/disk0", "device:/console", "command:mem", "path:/metrics", "system", "policy",
 * "msgq:SERVICE", "shm:SERVICE".
 */
#ifndef GK_SECURITY_SECURITY_H
#define GK_SECURITY_SECURITY_H

#include "guest-kernel/core/task.h"
#include "guest-kernel/policy/policy.h"

struct kernel;
struct mailbox;
struct security;

/*
 * Puts a policy in force: the one that the machine gave (arch_boot.policy), else, or if that one is
 * broken (then the console says why), the built-in one. Obeys gk.policy=builtin|disabled,
 * gk.enforcing=0|1 and gk.setsebool=NAME=on|off[,...] of the command line. Every task that runs
 * becomes the kernel's. False: no memory; *WHY says for what.
 */
bool security_start(struct kernel *k, const char **why);
/* Nobody may ask any more; tasks are nobody's. For tests. */
void security_stop(struct kernel *k);

/* NULL: not started. */
struct policy *security_policy(const struct kernel *k);
/* "built in" or "from the machine". */
const char *security_source(const struct kernel *k);
/* The machine's policy, else the built-in one, once more; asks for security { load_policy }. */
POLICY_WARN_UNUSED policy_status_t security_reload(struct kernel *k, struct policy_error *err);
/* Asks for security { load_policy }; the old policy stays in force if it fails. */
POLICY_WARN_UNUSED policy_status_t security_load(struct kernel *k, const void *data, size_t len,
                                                 struct policy_error *err);
/* Asks for security { setenforce }. POLICY_E_DENIED. */
POLICY_WARN_UNUSED policy_status_t security_set_mode(struct kernel *k, enum policy_mode mode);
/* Asks for security { setbool }. POLICY_E_DENIED, POLICY_E_NOT_FOUND. */
POLICY_WARN_UNUSED policy_status_t security_set_bool(struct kernel *k, const char *name, bool on);
/* Lines for Prometheus, as the HTTP server's /metrics has them; cut to fit. How many bytes. */
size_t security_metrics(const struct kernel *k, char *buf, size_t size);

/* -- questions -- */

/* PERMS of TCLASS on OBJECT, and CAP unless POLICY_NO_CAP; DETAIL (or NULL) goes to the record. */
bool sec_may(policy_label_t object, enum policy_class tclass, uint32_t perms, int cap,
             const char *detail);
/* The label of PATH in SPACE, called NAME; 0: none, which is denied. To be given back. */
policy_label_t sec_label(const char *space, const char *path, enum policy_class tclass,
                         const char *name);
void sec_label_put(policy_label_t label);

bool sec_command(const char *name);
bool sec_device(const char *path, uint32_t perms);
/* system { ... }: syslog_read, reboot, halt, status. */
bool sec_system(uint32_t perms);
/* METHOD is one of HTTP_GET and so on. For SUBJECT, which is the server's. */
bool sec_http(const char *path, uint32_t method);

/* -- tasks -- */

/* CHILD, not started yet, becomes what its maker is, or AS if that is not NULL. False: it may not.
 */
bool sec_task_start(struct task *child, const struct policy_subject *as);
/* CHILD is no more. Any context but under a spin lock. */
void sec_task_end(struct task *child);
/* May the caller do PERMS (process) to T? */
bool sec_task(const struct task *t, uint32_t perms);

/*
 * Starts a task as the service NAME, in the context that the policy gives it (genfscon service
 * "/NAME"). NULL: no memory, or the policy denies it: the log says which.
 */
struct task *sec_service_start(const char *name, unsigned prio, task_fn fn, void *arg);
/* The same in CONTEXT. */
struct task *sec_service_start_in(const char *name, const char *context, unsigned prio, task_fn fn,
                                  void *arg);
/* The subject of service NAME; its label is to be given back. POLICY_E_INVAL and so on. */
POLICY_WARN_UNUSED policy_status_t sec_service_subject(struct security *s, const char *name,
                                                       const char *context,
                                                       struct policy_subject *out,
                                                       struct policy_error *err);

/* -- messages and memory: what is reached through object capabilities as well -- */

/* A new object of the caller's, of TCLASS (msgq or shm). */
struct sec_object {
	policy_label_t label;
	uint64_t id; /* 0: reached without an object capability */
	enum policy_class tclass;
};
/* False: the caller may not make one. */
bool sec_object_make(struct sec_object *o, enum policy_class tclass);
/* From now on only holders of a capability reach O. The caller gets all rights; 0: no room. */
objcap_t sec_object_guard(struct sec_object *o);
void sec_object_forget(struct sec_object *o);
/* PERMS of the class by the policy, and with a guard RIGHTS of HELD. */
bool sec_object_may(const struct sec_object *o, uint32_t perms, objcap_t held, uint32_t rights);
/* The caller hands RIGHTS of CAP on to TO; 0: it may not, or there is no room. */
objcap_t sec_delegate(objcap_t cap, const struct task *to, uint32_t rights);
/* CAP and all that came from it. False: it may not. */
bool sec_revoke(objcap_t cap);

#endif
