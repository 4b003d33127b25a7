/* What tasks act on: the question, and the labels of everything but sockets. See security.h. */
#include <string.h>

#include "guest-kernel/security/security.h"
#include "priv.h"

bool sec_may(policy_label_t object, enum policy_class tclass, uint32_t perms, int cap,
             const char *detail)
{
	struct task *t = task_current();
	struct security *s = t->kernel->security;
	if (!s)
		return true;
	const struct policy_request r = {.subject = &t->subject,
	                                 .object = object,
	                                 .tclass = tclass,
	                                 .perms = perms,
	                                 .cap = cap,
	                                 .detail = detail};
	return policy_check(s->policy, &r) == POLICY_OK;
}

policy_label_t sec_label(const char *space, const char *path, enum policy_class tclass,
                         const char *name)
{
	struct security *s = security_here();
	policy_sid_t sid;
	policy_label_t label;
	if (!s || policy_path_sid(s->policy, space, path, tclass, &sid) ||
	    policy_label(s->policy, sid, name, &label))
		return 0;
	return label;
}

void sec_label_put(policy_label_t label)
{
	struct security *s = security_here();
	if (s && label)
		policy_label_put(s->policy, label);
}

/* A name that is too long gets no label: cut, the list could take it for another. */
static bool may_path(const char *space, const char *path, const char *kind, const char *name,
                     enum policy_class tclass, uint32_t perms)
{
	char object[POLICY_NAME_MAX + 1];
	if (!security_here())
		return true;
	policy_label_t label = 0;
	if (fmt(object, sizeof(object), "%s:%s", kind, name) < sizeof(object))
		label = sec_label(space, path, tclass, object);
	bool good = sec_may(label, tclass, perms, POLICY_NO_CAP, NULL);
	sec_label_put(label);
	return good;
}

bool sec_command(const char *name)
{
	char path[POLICY_NAME_MAX + 1];
	(void)fmt(path, sizeof(path), "/%s", name);
	return may_path("command", path, "command", name, POLICY_CLASS_COMMAND, COMMAND_RUN);
}

bool sec_device(const char *path, uint32_t perms)
{
	return may_path("device", path, "device", path, POLICY_CLASS_CHR_FILE, perms);
}

bool sec_system(uint32_t perms)
{
	struct security *s = security_here();
	return !s || sec_may(s->system_object, POLICY_CLASS_SYSTEM, perms, POLICY_NO_CAP, NULL);
}

bool sec_http(const char *path, uint32_t method)
{
	return may_path("http", path, "path", path, POLICY_CLASS_HTTP_RESOURCE, method);
}

/* -- messages and memory -- */

static bool make_object(struct security *s, struct sec_object *o, enum policy_class tclass)
{
	const struct policy_subject *self = &task_current()->subject;
	policy_sid_t sid, own = policy_label_sid(s->policy, self->label);
	char name[POLICY_NAME_MAX + 1];
	if (fmt(name, sizeof(name), "%s:%s", policy_classes[tclass].name,
	        policy_label_name(s->policy, self->label)) >= sizeof(name))
		return false;
	if (policy_create_sid(s->policy, own, own, tclass, NULL, &sid, NULL) ||
	    policy_label(s->policy, sid, name, &o->label))
		return false;
	if (sec_may(o->label, tclass, IPC_CREATE, POLICY_NO_CAP, NULL))
		return true;
	policy_label_put(s->policy, o->label);
	o->label = 0;
	return false;
}

bool sec_object_make(struct sec_object *o, enum policy_class tclass)
{
	struct security *s = security_here();
	*o = (struct sec_object){.tclass = tclass};
	return !s || make_object(s, o, tclass);
}

objcap_t sec_object_guard(struct sec_object *o)
{
	struct security *s = security_here();
	objcap_t cap = 0;
	if (!s || o->id)
		return 0;
	unsigned long flags = spin_lock_irqsave(&s->objects_lock);
	uint64_t id = s->last_object + 1;
	if (!objcap_create(&s->objects, task_current()->id, id, OBJCAP_ALL, &cap))
		o->id = s->last_object = id;
	spin_unlock_irqrestore(&s->objects_lock, flags);
	return o->id ? cap : 0;
}

void sec_object_forget(struct sec_object *o)
{
	struct security *s = security_here();
	if (!s || !o->label)
		return;
	if (o->id) {
		unsigned long flags = spin_lock_irqsave(&s->objects_lock);
		objcap_forget_object(&s->objects, o->id);
		spin_unlock_irqrestore(&s->objects_lock, flags);
	}
	policy_label_put(s->policy, o->label);
	o->label = 0;
}

bool sec_object_may(const struct sec_object *o, uint32_t perms, objcap_t held, uint32_t rights)
{
	struct task *t = task_current();
	struct security *s = t->kernel->security;
	if (!s)
		return true;
	const struct policy_request r = {.subject = &t->subject,
	                                 .object = o->label,
	                                 .tclass = o->tclass,
	                                 .perms = perms,
	                                 .cap = POLICY_NO_CAP,
	                                 .space = o->id ? &s->objects : NULL,
	                                 .held = held,
	                                 .object_id = o->id,
	                                 .rights = rights};
	return policy_check(s->policy, &r) == POLICY_OK;
}

objcap_t sec_delegate(objcap_t cap, const struct task *to, uint32_t rights)
{
	struct security *s = security_here();
	objcap_t given = 0;
	if (!s)
		return 0;
	unsigned long flags = spin_lock_irqsave(&s->objects_lock);
	if (objcap_delegate(&s->objects, task_current()->id, cap, to->id, rights, &given))
		given = 0;
	spin_unlock_irqrestore(&s->objects_lock, flags);
	return given;
}

bool sec_revoke(objcap_t cap)
{
	struct security *s = security_here();
	if (!s)
		return false;
	unsigned long flags = spin_lock_irqsave(&s->objects_lock);
	policy_status_t status = objcap_revoke(&s->objects, task_current()->id, cap);
	spin_unlock_irqrestore(&s->objects_lock, flags);
	return status == POLICY_OK;
}
