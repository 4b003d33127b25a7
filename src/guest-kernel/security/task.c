/* Who tasks are, and what they may do to each other. See security.h. */
#include <string.h>

#include "guest-kernel/security/security.h"
#include "priv.h"

static policy_status_t service_sid(struct security *s, const char *name, const char *context,
                                   policy_sid_t *sid, struct policy_error *err)
{
	if (context)
		return policy_sid(s->policy, context, strlen(context), sid, err);
	char path[TASK_NAME_BYTES + 2];
	(void)fmt(path, sizeof(path), "/%s", name);
	policy_status_t status =
	        policy_path_sid(s->policy, "service", path, POLICY_CLASS_PROCESS, sid);
	return status ? policy_fail(err, status, "no context for a service") : POLICY_OK;
}

policy_status_t sec_service_subject(struct security *s, const char *name, const char *context,
                                    struct policy_subject *out, struct policy_error *err)
{
	policy_sid_t sid;
	policy_label_t label;
	policy_status_t status = service_sid(s, name, context, &sid, err);
	if (status)
		return status;
	status = policy_label(s->policy, sid, name, &label);
	if (status)
		return policy_fail(err, status, "no room for another label");
	policy_subject_init(s->policy, out, label, 0);
	return POLICY_OK;
}

/* A service is made by fork, and by a transition to what it is then. */
static bool may_become(const struct policy_subject *as)
{
	const struct policy_subject *self = &task_current()->subject;
	return as->label == self->label ||
	       sec_may(as->label, POLICY_CLASS_PROCESS, PROCESS_TRANSITION, POLICY_NO_CAP, NULL);
}

bool sec_task_start(struct task *child, const struct policy_subject *as)
{
	struct security *s = child->kernel->security;
	if (!s)
		return true;
	const struct policy_subject *self = &task_current()->subject;
	if (!sec_may(self->label, POLICY_CLASS_PROCESS, PROCESS_FORK, POLICY_NO_CAP, child->name))
		return false;
	if (as && !may_become(as))
		return false;
	child->subject = as ? *as : *self;
	if (!as)
		child->subject.caps = capability_inherit(&self->caps, CAP_ALL);
	policy_label_get(s->policy, child->subject.label);
	return true;
}

void sec_task_end(struct task *child)
{
	struct security *s = child->kernel->security;
	if (!s || child->subject.label == 0)
		return;
	unsigned long flags = spin_lock_irqsave(&s->objects_lock);
	objcap_forget_holder(&s->objects, child->id);
	spin_unlock_irqrestore(&s->objects_lock, flags);
	policy_label_put(s->policy, child->subject.label);
	child->subject.label = 0;
}

bool sec_task(const struct task *t, uint32_t perms)
{
	char detail[24];
	if (t == task_current())
		return true;
	(void)fmt(detail, sizeof(detail), "opid=%u", t->id);
	return sec_may(t->subject.label, POLICY_CLASS_PROCESS, perms, POLICY_NO_CAP, detail);
}

struct task *sec_service_start_in(const char *name, const char *context, unsigned prio, task_fn fn,
                                  void *arg)
{
	struct security *s = security_here();
	if (!s)
		return task_start(name, prio, fn, arg);
	struct policy_subject subject;
	struct policy_error err;
	if (sec_service_subject(s, name, context, &subject, &err)) {
		log_error("service %s does not start: %s", name, err.text);
		return NULL;
	}
	struct task *t = task_start_as(name, prio, fn, arg, &subject);
	policy_label_put(s->policy, subject.label);
	if (!t)
		log_error("service %s does not start: the policy denies it, or no memory", name);
	return t;
}

struct task *sec_service_start(const char *name, unsigned prio, task_fn fn, void *arg)
{
	return sec_service_start_in(name, NULL, prio, fn, arg);
}
