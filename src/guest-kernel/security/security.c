/* Which policy is in force, from the boot on. See security.h. */
#include "guest-kernel/security/security.h"

#include <string.h>

#include "guest-kernel/core/cmdline.h"
#include "priv.h"

/* Enough for services, ports and paths in use at a time; each is touched at boot. */
#define LABELS_MAX  1024u
#define SIDS_MAX    512u
#define AVC_ENTRIES 1024u
#define RELAX_NS    (100 * NS_PER_US)

/* -- what the engine stands on -- */

static void *engine_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return mem_alloc_raw(bytes);
}

static void engine_free(void *ctx, void *p, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	mem_free(p);
}

static void engine_lock_taken(void *ctx)
{
	struct security *s = ctx;
	unsigned long flags = spin_lock_irqsave(&s->lock);
	s->flags = flags;
}

static void engine_lock_given(void *ctx)
{
	struct security *s = ctx;
	spin_unlock_irqrestore(&s->lock, s->flags);
}

/* Those who are in a check may have lost their CPU to this task. */
static void relax(void *ctx)
{
	(void)ctx;
	task_sleep(RELAX_NS);
}

static uint64_t wall_ns(void *ctx)
{
	(void)ctx;
	return arch_wall_boot_ns() + arch_now_ns();
}

static void to_log(void *ctx, const char *line, size_t len)
{
	(void)ctx;
	(void)len;
	log_warning("%s", line);
}

static struct security *make(struct kernel *k)
{
	struct security *s = mem_alloc(sizeof(*s));
	if (!s)
		return NULL;
	s->kernel = k;
	s->mem = (struct policy_mem){engine_alloc, engine_free, NULL};
	spin_init_named(&s->lock, "policy");
	spin_init_named(&s->objects_lock, "object capabilities");
	spin_init_named(&s->sockets_lock, "socket subjects");
	const struct policy_config config = {
	        .mem = &s->mem,
	        .audit = to_log,
	        .now_ns = wall_ns,
	        .relax = relax,
	        .lock = engine_lock_taken,
	        .unlock = engine_lock_given,
	        .ctx = s,
	        .avc_entries = AVC_ENTRIES,
	        .sid_max = SIDS_MAX,
	        .label_max = LABELS_MAX,
	};
	if (policy_create(&config, &s->policy)) {
		mem_free(s);
		return NULL;
	}
	if (objcap_init(&s->objects, &s->mem, OBJCAPS_MAX)) {
		policy_destroy(s->policy);
		mem_free(s);
		return NULL;
	}
	return s;
}

static void unmake(struct security *s)
{
	objcap_fini(&s->objects);
	policy_destroy(s->policy);
	mem_free(s);
}

/* -- the policy -- */

static policy_status_t load_builtin(struct security *s, struct policy_error *err)
{
	policy_status_t status =
	        policy_load(s->policy, security_builtin,
	                    (size_t)(security_builtin_end - security_builtin), err);
	if (!status)
		s->source = "built in";
	return status;
}

static bool wants_builtin(const struct kernel *k)
{
	char value[16];
	return cmdline_get(k->boot->cmdline, "gk.policy", value, sizeof(value)) &&
	       strcmp(value, "builtin") == 0;
}

/* A ramdisk is good for a policy, and for nothing else: that of a VMM which has no other way. */
static const struct arch_range *machine_gave(const struct arch_boot *b)
{
	return b->policy.len_bytes > 0 ? &b->policy : &b->ramdisk;
}

/* The machine's, if it gave one and it is to be had. */
static policy_status_t load_machine(struct security *s, struct policy_error *err)
{
	const struct arch_range *r = machine_gave(s->kernel->boot);
	policy_status_t status =
	        policy_load(s->policy, arch_ram(r->base), (size_t)r->len_bytes, err);
	if (!status)
		s->source = "from the machine";
	return status;
}

static bool has_machine(const struct kernel *k)
{
	return machine_gave(k->boot)->len_bytes > 0 && !wants_builtin(k);
}

static bool load_first(struct security *s)
{
	struct policy_error err;
	if (has_machine(s->kernel)) {
		if (!load_machine(s, &err))
			return true;
		log_error("the %s is not used, but the built-in policy: %s",
		          s->kernel->boot->policy.len_bytes > 0
		                  ? "policy that the machine gave"
		                  : "ramdisk, which only a policy would be read from,",
		          err.text);
	}
	if (!load_builtin(s, &err))
		return true;
	log_error("the built-in policy: %s", err.text);
	return false;
}

static void set_one_boolean(struct security *s, const char *text, size_t len)
{
	char name[64];
	const char *equals = memchr(text, '=', len);
	size_t n = equals ? (size_t)(equals - text) : 0;
	bool on = equals && len - n == 3 && memcmp(equals, "=on", 3) == 0;
	bool off = equals && len - n == 4 && memcmp(equals, "=off", 4) == 0;
	if (n == 0 || n >= sizeof(name) || (!on && !off)) {
		log_warning("gk.setsebool has a word that is not NAME=on or NAME=off");
		return;
	}
	memcpy(name, text, n);
	name[n] = '\0';
	if (policy_bool_set(s->policy, name, on))
		log_warning("gk.setsebool: the policy has no boolean '%s'", name);
}

static void set_booleans(struct security *s)
{
	char value[256];
	if (!cmdline_get(s->kernel->boot->cmdline, "gk.setsebool", value, sizeof(value)))
		return;
	for (const char *at = value; *at;) {
		const char *end = strchr(at, ',');
		size_t len = end ? (size_t)(end - at) : strlen(at);
		set_one_boolean(s, at, len);
		at += len + (end != NULL);
	}
}

static void set_mode(struct security *s)
{
	const char *cmdline = s->kernel->boot->cmdline;
	char value[16];
	if (cmdline_get(cmdline, "gk.enforcing", value, sizeof(value))) {
		if (strcmp(value, "0") == 0)
			policy_set_mode(s->policy, POLICY_PERMISSIVE);
		else if (strcmp(value, "1") != 0)
			log_warning("gk.enforcing is '%s'; it must be 0 or 1", value);
	}
	if (!cmdline_get(cmdline, "gk.policy", value, sizeof(value)))
		return;
	if (strcmp(value, "disabled") == 0)
		policy_set_mode(s->policy, POLICY_DISABLED);
	else if (strcmp(value, "builtin") != 0)
		log_warning("gk.policy is '%s'; it must be builtin or disabled", value);
}

/* -- labels that are there from the start -- */

/* The kernel's own context is that of the initial SID of this number, in every policy. */
#define SID_KERNEL   1u
#define SID_SECURITY 2u

static bool make_labels(struct security *s)
{
	policy_label_t self;
	if (policy_label(s->policy, SID_KERNEL, "kernel", &self) ||
	    policy_label(s->policy, SID_SECURITY, "policy", &s->policy_object))
		return false;
	policy_subject_init(s->policy, &s->self, self, 0);
	policy_sid_t sid;
	return !policy_path_sid(s->policy, "system", "/", POLICY_CLASS_SYSTEM, &sid) &&
	       !policy_label(s->policy, sid, "system", &s->system_object);
}

/* Every task that there is becomes the kernel's, or nobody's. */
static void adopt_tasks(struct kernel *k, struct security *s)
{
	uint32_t adopted = 0;
	unsigned long flags = spin_lock_irqsave(&k->sched.lock);
	k->security = s;
	for (struct list *e = k->sched.all.next; e != &k->sched.all; e = e->next) {
		struct task *t = LIST_OF(e, struct task, all);
		t->subject = s ? s->self : (struct policy_subject){0};
		t->subject.id = t->id;
		adopted++;
	}
	for (unsigned i = 0; i < ARCH_CPUS_MAX; i++)
		if (k->cpus[i])
			k->cpus[i]->idle.subject = s ? s->self : (struct policy_subject){0};
	spin_unlock_irqrestore(&k->sched.lock, flags);
	while (s && adopted-- > 0)
		policy_label_get(s->policy, s->self.label);
}

bool security_start(struct kernel *k, const char **why)
{
	struct security *s = make(k);
	*why = "no memory for it";
	if (!s)
		return false;
	if (!load_first(s)) {
		*why = "the built-in policy is not to be used";
		unmake(s);
		return false;
	}
	if (!make_labels(s)) {
		*why = "it has no initial SIDs for the kernel and for security";
		unmake(s);
		return false;
	}
	set_booleans(s);
	set_mode(s);
	adopt_tasks(k, s);
	return true;
}

void security_stop(struct kernel *k)
{
	struct security *s = k->security;
	adopt_tasks(k, NULL);
	unmake(s);
}

/* -- what is asked about it and done to it -- */

struct policy *security_policy(const struct kernel *k)
{
	return k->security ? k->security->policy : NULL;
}

const char *security_source(const struct kernel *k)
{
	return k->security && k->security->source ? k->security->source : "none";
}

static bool may(const struct security *s, uint32_t perms)
{
	return s && sec_may(s->policy_object, POLICY_CLASS_SECURITY, perms, POLICY_NO_CAP, NULL);
}

policy_status_t security_reload(struct kernel *k, struct policy_error *err)
{
	struct security *s = k->security;
	if (!may(s, SECURITY_LOAD_POLICY))
		return policy_fail(err, POLICY_E_DENIED,
		                   "denied: it needs security { load_policy }");
	return has_machine(k) ? load_machine(s, err) : load_builtin(s, err);
}

policy_status_t security_load(struct kernel *k, const void *data, size_t len,
                              struct policy_error *err)
{
	struct security *s = k->security;
	if (!may(s, SECURITY_LOAD_POLICY))
		return policy_fail(err, POLICY_E_DENIED,
		                   "denied: it needs security { load_policy }");
	policy_status_t status = policy_load(s->policy, data, len, err);
	if (!status)
		s->source = "loaded";
	return status;
}

policy_status_t security_set_mode(struct kernel *k, enum policy_mode mode)
{
	if (!may(k->security, SECURITY_SETENFORCE))
		return POLICY_E_DENIED;
	policy_set_mode(k->security->policy, mode);
	return POLICY_OK;
}

policy_status_t security_set_bool(struct kernel *k, const char *name, bool on)
{
	if (!may(k->security, SECURITY_SETBOOL))
		return POLICY_E_DENIED;
	return policy_bool_set(k->security->policy, name, on);
}

size_t security_metrics(const struct kernel *k, char *buf, size_t size)
{
	struct text t;
	text_init(&t, buf, size);
	struct policy_stats *stats = k->security ? mem_alloc(sizeof(*stats)) : NULL;
	if (stats) {
		policy_stats(k->security->policy, stats);
		policy_stats_metrics(stats, &t);
		mem_free(stats);
	}
	return t.len;
}
