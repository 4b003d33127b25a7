/* The policy in force in a kernel: who tasks are, and what they may do to each other. */
#include <stdio.h>
#include <string.h>

#include "gk_policy.h"
#include "guest-kernel/block/disk.h"
#include "guest-kernel/core/grant.h"
#include "guest-kernel/core/msg.h"
#include "guest-kernel/security/security.h"

static void begin(void)
{
	const char *why = "";
	ck_assert_msg(security_start(kernel_of_cpu(), &why), "%s", why);
}

static void end(void)
{
	security_stop(kernel_of_cpu());
}

/* Wait until T has ended and only we know it, so that what is left of it goes here and now, not on
 * another CPU while security is stopped. */
static void join_last(struct task *t)
{
	(void)__atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
	task_join(t);
	while (__atomic_load_n(&t->refs, __ATOMIC_ACQUIRE) > 1)
		task_sleep(NS_PER_MS);
	task_detach(t);
}

static void run_as(const char *service, const char *context, task_fn fn, void *arg)
{
	struct task *t = sec_service_start_in(service, context, PRIO_DEFAULT, fn, arg);
	ck_assert_ptr_nonnull(t);
	task_join(t);
}

static const char *last_record(void)
{
	static struct log_record r;
	struct log *l = &kernel_of_cpu()->log;
	ck_assert(log_read(l, l->written - 1, &r));
	return r.text;
}

/* -- tasks -- */

static void be_shell(void *arg)
{
	struct kernel *k = kernel_of_cpu();
	(void)arg;
	ck_assert(sec_command("mem"));
	ck_assert(sec_command("policy"));
	ck_assert(sec_system(SYSTEM_HALT));
	ck_assert(sec_device("/console", FILE_READ | FILE_WRITE));
	ck_assert(!sec_http("/", HTTP_GET));
	ck_assert_int_eq(security_set_mode(k, POLICY_PERMISSIVE), POLICY_E_DENIED);
	ck_assert_ptr_nonnull(strstr(last_record(), "avc:  denied  { setenforce } for  pid="));
	ck_assert_ptr_nonnull(strstr(last_record(), "tclass=security permissive=0"));
	ck_assert_int_eq(security_set_bool(k, "shell_may_reboot", false), POLICY_E_DENIED);
	ck_assert_int_eq(security_reload(k, NULL), POLICY_E_DENIED);
	ck_assert_ptr_nonnull(strstr(last_record(), "denied  { load_policy } for"));
	ck_assert_ptr_null(sec_service_start("http", PRIO_DEFAULT, be_shell, NULL));
	ck_assert_ptr_null(sec_service_start("nobody", PRIO_DEFAULT, be_shell, NULL));
}

static void be_http(void *arg)
{
	(void)arg;
	ck_assert(sec_http("/", HTTP_GET));
	ck_assert(sec_http("/metrics", HTTP_HEAD));
	ck_assert(!sec_http("/", HTTP_PUT));
	ck_assert(!sec_http("/admin/x", HTTP_GET));
	ck_assert(!sec_command("mem"));
	ck_assert_ptr_nonnull(strstr(last_record(), "denied  { run } for"));
	ck_assert(!sec_system(SYSTEM_HALT));
	ck_assert_ptr_nonnull(strstr(last_record(), "denied  { halt } for"));
	ck_assert(!sec_device("/console", FILE_WRITE));
	ck_assert_ptr_nonnull(strstr(last_record(), "tclass=chr_file permissive=0"));
	ck_assert(sec_may(task_current()->subject.label, POLICY_CLASS_PROCESS, PROCESS_FORK,
	                  POLICY_NO_CAP, NULL));
}

static void services_body(void *arg)
{
	struct kernel *k = kernel_of_cpu();
	(void)arg;
	ck_assert(sec_system(SYSTEM_HALT)); /* nothing is in force yet */
	begin();
	ck_assert_str_eq(policy_label_name(security_policy(k), task_current()->subject.label),
	                 "kernel");
	run_as("shell", NULL, be_shell, NULL);
	run_as("http", NULL, be_http, NULL);
	ck_assert_int_eq(security_set_bool(k, "shell_may_reboot", false), POLICY_OK);
	ck_assert_int_eq(security_set_bool(k, "no_such", false), POLICY_E_NOT_FOUND);
	ck_assert_int_eq(security_reload(k, NULL), POLICY_OK);
	bool on;
	ck_assert_int_eq(policy_bool_get(security_policy(k), "shell_may_reboot", &on), POLICY_OK);
	ck_assert(!on); /* a reload keeps it */
	char metrics[8192];
	ck_assert_uint_gt(security_metrics(k, metrics, sizeof(metrics)), 500);
	ck_assert_ptr_nonnull(strstr(metrics, "policy_denials_total{class=\"security\"} 3\n"));
	end();
}

START_TEST(services_may_what_the_policy_says)
{
	rig_run(services_body, NULL);
}
END_TEST

static void child_is_http(void *arg)
{
	*(bool *)arg = sec_http("/", HTTP_GET) && !sec_command("mem");
}

static void start_child(void *arg)
{
	struct task *t = task_start("child", PRIO_DEFAULT, child_is_http, arg);
	ck_assert_ptr_nonnull(t);
	task_join(t);
}

static void inherit_body(void *arg)
{
	bool good = false;
	(void)arg;
	begin();
	run_as("http", NULL, start_child, &good);
	ck_assert(good);
	end();
}

START_TEST(a_child_is_what_its_maker_is)
{
	rig_run(inherit_body, NULL);
}
END_TEST

static void sleeper(void *arg)
{
	task_sleep(1000 * NS_PER_S);
	*(bool *)arg = task_cancelled();
}

static void cancel_as(void *arg)
{
	struct task *t = task_find(kernel_of_cpu(), *(uint32_t *)arg);
	ck_assert_ptr_nonnull(t);
	bool shell = strcmp(task_current()->name, "shell") == 0;
	uint64_t first = rig_records();
	ck_assert(task_set_prio(t, PRIO_BACKGROUND) == false);
	ck_assert(rig_recorded(first, "denied  { setsched } for"));
	ck_assert_int_eq(task_cancel(t), shell);
	ck_assert_int_eq(rig_recorded(first, "denied  { signal } for"), !shell);
	task_detach(t);
}

static void cancel_body(void *arg)
{
	bool cancelled = false;
	(void)arg;
	begin();
	struct task *t = sec_service_start("http", PRIO_DEFAULT, sleeper, &cancelled);
	ck_assert_ptr_nonnull(t);
	uint32_t id = t->id;
	run_as("net", NULL, cancel_as, &id); /* it may not */
	task_sleep(NS_PER_MS);
	ck_assert(!cancelled);
	run_as("shell", NULL, cancel_as, &id);
	task_join(t);
	ck_assert(cancelled);
	ck_assert_ptr_null(task_find(kernel_of_cpu(), id));
	end();
}

START_TEST(who_may_ask_a_task_to_end)
{
	rig_run(cancel_body, NULL);
}
END_TEST

static void nothing(void *arg)
{
	(void)arg;
}

static void start_denied(void *arg)
{
	uint64_t first = rig_records();
	(void)arg;
	ck_assert_ptr_null(task_start("child", PRIO_DEFAULT, nothing, NULL));
	ck_assert(rig_recorded(first, "denied  { fork } for"));
}

static void become_denied(void *arg)
{
	uint64_t first = rig_records();
	(void)arg;
	ck_assert_ptr_null(sec_service_start("net", PRIO_DEFAULT, nothing, NULL));
	ck_assert(rig_recorded(first, "denied  { transition } for"));
	ck_assert(rig_recorded(first, "tcontext=system_u:system_r:net_t:s0 tclass=process"));
}

static void start_body(void *arg)
{
	(void)arg;
	begin();
	run_as("http", NULL, become_denied, NULL);
	rig_policy("http http process.fork deny\n");
	run_as("http", NULL, start_denied, NULL);
	end();
}

START_TEST(who_may_start_a_task)
{
	rig_run(start_body, NULL);
}
END_TEST

/* -- messages -- */

struct talk {
	struct mailbox *mb;
	objcap_t cap;
	bool sent, received;
};

static void make_box(void *arg)
{
	const struct msg m = {.type = 1};
	struct talk *t = arg;
	t->mb = mailbox_create(4);
	ck_assert_ptr_nonnull(t->mb);
	ck_assert(msg_send(t->mb, &m, 0));
}

static void use_box(void *arg)
{
	struct talk *t = arg;
	struct msg m = {.type = 2};
	t->sent = msg_send_by(t->mb, t->cap, &m, 0);
	t->received = msg_receive_by(t->mb, t->cap, MSG_ANYONE, &m, 0);
}

static void message_body(void *arg)
{
	struct talk t = {0};
	(void)arg;
	begin();
	run_as("net", NULL, make_box, &t);
	run_as("shell", NULL, use_box, &t); /* may send to it, not take from it */
	ck_assert(t.sent && !t.received);
	run_as("http", NULL, use_box, &t);
	ck_assert(!t.sent && !t.received);
	ck_assert_ptr_nonnull(strstr(last_record(), "denied  { read }"));
	ck_assert_ptr_nonnull(strstr(last_record(), "name=\"msgq:net\""));
	run_as("net", NULL, use_box, &t);
	ck_assert(t.sent && t.received);
	mailbox_destroy(t.mb);
	end();
}

START_TEST(messages_go_where_the_policy_lets_them)
{
	rig_run(message_body, NULL);
}
END_TEST

struct guarded {
	struct mailbox *mb;
	objcap_t owner, given;
	struct task *other;
	unsigned stage;
};

/* With what it was given it may send, and not receive, nor hand it on. */
static void holder(void *arg)
{
	struct guarded *g = arg;
	struct msg m = {.type = 3};
	while (g->stage == 0)
		task_sleep(NS_PER_MS);
	ck_assert(!msg_send(g->mb, &m, 0));
	ck_assert(!msg_send_by(g->mb, g->owner, &m, 0)); /* not its own */
	ck_assert(msg_send_by(g->mb, g->given, &m, 0));
	ck_assert(!msg_receive_by(g->mb, g->given, MSG_ANYONE, &m, 0));
	ck_assert(sec_delegate(g->given, task_current(), OBJCAP_SEND) == 0);
	ck_assert(!sec_revoke(g->owner));
	g->stage = 2;
	while (g->stage == 2)
		task_sleep(NS_PER_MS);
	ck_assert(!msg_send_by(g->mb, g->given, &m, 0));
}

static void owner(void *arg)
{
	struct guarded *g = arg;
	struct msg m;
	g->mb = mailbox_create(4);
	ck_assert_ptr_nonnull(g->mb);
	g->owner = mailbox_guard(g->mb);
	ck_assert(g->owner != 0);
	g->other = task_start("other", PRIO_DEFAULT, holder, g);
	ck_assert_ptr_nonnull(g->other);
	g->given = sec_delegate(g->owner, g->other, OBJCAP_SEND | OBJCAP_DELEGATE);
	ck_assert(g->given != 0);
	g->stage = 1;
	while (g->stage == 1)
		task_sleep(NS_PER_MS);
	ck_assert(msg_receive_by(g->mb, g->owner, MSG_ANYONE, &m, 0));
	ck_assert_uint_eq(m.type, 3);
	ck_assert(sec_revoke(g->given));
	g->stage = 3;
	task_join(g->other);
	mailbox_destroy(g->mb);
}

static void guard_body(void *arg)
{
	struct guarded g = {0};
	(void)arg;
	begin();
	run_as("net", NULL, owner, &g);
	end();
}

START_TEST(a_guarded_mailbox_needs_a_capability)
{
	rig_run(guard_body, NULL);
}
END_TEST

/* -- shared memory -- */

struct share {
	struct grant *g;
	objcap_t own, given;
	struct task *user;
	uint32_t rights; /* that the user gets */
	unsigned stage;
	bool read, wrote;
};

static void wait_for(const struct share *s, unsigned stage)
{
	while (s->stage != stage)
		task_sleep(NS_PER_MS);
}

static void share_owner(void *arg)
{
	struct share *s = arg;
	s->g = grant_create(2, &s->own);
	ck_assert_ptr_nonnull(s->g);
	uint8_t *mine = grant_map_write(s->g, s->own);
	ck_assert_ptr_nonnull(mine);
	ck_assert(mine[0] == 0 && mine[2 * ARCH_PAGE_SIZE - 1] == 0);
	mine[0] = 7;
	s->stage = 1;
	wait_for(s, 2);
	s->given = sec_delegate(s->own, s->user, s->rights);
	ck_assert(s->given != 0);
	s->stage = 3;
	wait_for(s, 4);
	ck_assert_uint_eq(mine[1], s->wrote ? 8 : 0);
	ck_assert(sec_revoke(s->given));
	grant_unmap(s->g);
	s->stage = 5;
	wait_for(s, 6);
	grant_destroy(s->g);
}

static void share_user(void *arg)
{
	struct share *s = arg;
	wait_for(s, 3);
	ck_assert_ptr_null(grant_map(s->g, s->own)); /* not its own */
	const uint8_t *to_read = grant_map(s->g, s->given);
	uint8_t *to_write = grant_map_write(s->g, s->given);
	s->read = to_read != NULL;
	s->wrote = to_write != NULL;
	ck_assert(!s->read || to_read[0] == 7);
	if (s->wrote)
		to_write[1] = 8;
	s->stage = 4;
	wait_for(s, 5);
	ck_assert_ptr_null(grant_map(s->g, s->given)); /* revoked */
	ck_assert(!s->read || to_read[0] == 7);        /* what it has, it has */
	if (s->read)
		grant_unmap(s->g);
	if (s->wrote)
		grant_unmap(s->g);
	s->stage = 6;
}

static void share(struct share *s, const char *owner, const char *owner_context, const char *user,
                  const char *user_context, uint32_t rights)
{
	*s = (struct share){.rights = rights};
	struct task *t = sec_service_start_in(owner, owner_context, PRIO_DEFAULT, share_owner, s);
	ck_assert_ptr_nonnull(t);
	wait_for(s, 1);
	s->user = sec_service_start_in(user, user_context, PRIO_DEFAULT, share_user, s);
	ck_assert_ptr_nonnull(s->user);
	s->stage = 2;
	task_join(t);
	task_join(s->user);
}

#define SHARE_ALL (OBJCAP_MAP | OBJCAP_READ | OBJCAP_WRITE)

static void make_no_grant(void *arg)
{
	objcap_t cap = 0;
	(void)arg;
	ck_assert_ptr_null(grant_create(1, &cap));
	ck_assert(cap == 0);
}

static void grant_body(void *arg)
{
	struct share s;
	objcap_t cap;
	(void)arg;
	begin();
	share(&s, "block", NULL, "block", NULL, SHARE_ALL);
	ck_assert(s.read && s.wrote);
	share(&s, "block", NULL, "block", NULL, OBJCAP_MAP | OBJCAP_READ);
	ck_assert(s.read && !s.wrote);
	share(&s, "block", NULL, "block", NULL, OBJCAP_READ | OBJCAP_WRITE);
	ck_assert(!s.read && !s.wrote);
	ck_assert(rig_recorded(rig_records() - 3, "type=VMM_OBJCAP"));
	share(&s, "block", NULL, "http", NULL, SHARE_ALL); /* may read what block has */
	ck_assert(s.read && !s.wrote);
	ck_assert(rig_recorded(rig_records() - 3, "denied  { write }"));
	ck_assert(rig_recorded(rig_records() - 3, "name=\"shm:block\""));
	share(&s, "block", NULL, "net", NULL, SHARE_ALL); /* may not */
	ck_assert(!s.read && !s.wrote);
	ck_assert(rig_recorded(rig_records() - 5, "denied  { read }"));
	ck_assert_ptr_null(grant_create(0, &cap));
	ck_assert_ptr_null(grant_create(GRANT_PAGES_MAX + 1, &cap));
	rig_policy("block shm:block shm.create deny\n");
	run_as("block", NULL, make_no_grant, NULL);
	ck_assert(rig_recorded(rig_records() - 1, "denied  { create }"));
	end();
}

START_TEST(memory_is_shared_as_the_policy_and_a_capability_let_it)
{
	rig_run(grant_body, NULL);
}
END_TEST

/* -- levels -- */

static void *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	ck_assert_ptr_nonnull(f);
	char *data = mem_alloc(65536);
	ck_assert_ptr_nonnull(data);
	*len = fread(data, 1, 65536, f);
	(void)fclose(f);
	return data;
}

static void load_levels(void)
{
	struct policy_error err = {.text = ""};
	size_t len;
	void *data = read_file(MULTILEVEL_POLICY, &len);
	ck_assert_msg(!security_load(kernel_of_cpu(), data, len, &err), "%s", err.text);
	mem_free(data);
}

static void levels_body(void *arg)
{
	static const char *const level[] = {
	        "system_u:system_r:worker_t:public",
	        "system_u:system_r:worker_t:internal:finance",
	        "system_u:system_r:worker_t:internal:staff",
	        "system_u:system_r:worker_t:confidential:finance,staff",
	        "system_u:system_r:worker_t:secret:finance,operations",
	};
	/* level[i] dominates level[j] */
	static const bool dom[5][5] = {{1, 0, 0, 0, 0},
	                               {1, 1, 0, 0, 0},
	                               {1, 0, 1, 0, 0},
	                               {1, 1, 1, 1, 0},
	                               {1, 1, 0, 0, 1}};
	(void)arg;
	begin();
	load_levels();
	for (unsigned n = 0; n < 25; n++) {
		struct talk t = {0};
		unsigned owns = n / 5, i = n % 5;
		run_as("owner", level[owns], make_box, &t);
		run_as("user", level[i], use_box, &t);
		ck_assert_int_eq(t.sent, dom[owns][i]);     /* no write down */
		ck_assert_int_eq(t.received, dom[i][owns]); /* no read up */
		mailbox_destroy(t.mb);
		struct share s;
		share(&s, "owner", level[owns], "user", level[i], SHARE_ALL);
		ck_assert_int_eq(s.read, dom[i][owns]);
		ck_assert_int_eq(s.wrote, i == owns); /* it could be read as well */
	}
	struct talk t = {0};
	run_as("owner", level[0], make_box, &t);
	run_as("guard", "system_u:system_r:guard_t:secret", use_box, &t); /* trusted */
	ck_assert(t.sent && t.received);
	mailbox_destroy(t.mb);
	end();
}

START_TEST(nothing_is_read_up_or_written_down)
{
	rig_run(levels_body, NULL);
}
END_TEST

/* -- which policy -- */

static void with_ranges(struct arch_range policy, struct arch_range ramdisk, const char *cmdline)
{
	static struct arch_boot boot;
	struct kernel *k = kernel_of_cpu();
	boot = *k->boot;
	boot.policy = policy;
	boot.ramdisk = ramdisk;
	(void)snprintf(boot.cmdline, sizeof(boot.cmdline), "%s", cmdline);
	k->boot = &boot;
	begin();
}

static void with_boot(const void *policy, size_t len, const char *cmdline)
{
	with_ranges((struct arch_range){policy ? arch_phys(policy) : 0, len},
	            (struct arch_range){0}, cmdline);
}

/* A ramdisk is a policy where there is no other; if not, that is said. */
static void ramdisk_body(void *arg)
{
	struct kernel *k = kernel_of_cpu();
	const struct arch_range none = {0};
	size_t len;
	(void)arg;
	unsigned char *data = read_file(MULTILEVEL_POLICY, &len);
	struct arch_range whole = {arch_phys(data), len};
	with_ranges(none, whole, "");
	ck_assert_str_eq(security_source(k), "from the machine");
	end();
	with_ranges(none, (struct arch_range){whole.base + 1, len - 1}, "");
	ck_assert_str_eq(security_source(k), "built in");
	ck_assert_ptr_nonnull(strstr(last_record(), "the ramdisk, which only a policy"));
	end();
	with_ranges((struct arch_range){whole.base, len / 2}, whole, "");
	ck_assert_str_eq(security_source(k), "built in");
	ck_assert_ptr_nonnull(strstr(last_record(), "the policy that the machine gave"));
	end();
	mem_free(data);
}

START_TEST(a_ramdisk_is_a_policy_or_named)
{
	rig_run(ramdisk_body, NULL);
}
END_TEST

static void machine_body(void *arg)
{
	struct kernel *k = kernel_of_cpu();
	size_t len;
	(void)arg;
	unsigned char *data = read_file(MULTILEVEL_POLICY, &len);
	with_boot(data, len, "");
	ck_assert_str_eq(security_source(k), "from the machine");
	run_as("user", "system_u:system_r:worker_t:secret", start_child, &(bool){0});
	end();
	for (size_t cut = 0; cut < len; cut += 97) {
		with_boot(data, cut + 1, "");
		ck_assert_str_eq(security_source(k), "built in");
		ck_assert_ptr_nonnull(strstr(last_record(), "the policy that the machine gave"));
		run_as("shell", NULL, be_shell, NULL);
		end();
	}
	with_boot(data, len, "gk.policy=builtin");
	ck_assert_str_eq(security_source(k), "built in");
	end();
	mem_free(data);
}

START_TEST(a_broken_policy_leaves_the_built_in_one)
{
	rig_run(machine_body, NULL);
}
END_TEST

static void all_is_allowed(void *arg)
{
	(void)arg;
	ck_assert(sec_command("mem"));
	ck_assert(sec_system(SYSTEM_REBOOT));
}

static void be_admin(void *arg)
{
	struct kernel *k = kernel_of_cpu();
	(void)arg;
	ck_assert_int_eq(security_set_bool(k, "http_may_connect", true), POLICY_OK);
	ck_assert_int_eq(security_set_mode(k, POLICY_PERMISSIVE), POLICY_OK);
	ck_assert_int_eq(security_set_mode(k, POLICY_ENFORCING), POLICY_OK);
	ck_assert_int_eq(security_reload(k, NULL), POLICY_OK);
}

static void modes_body(void *arg)
{
	struct kernel *k = kernel_of_cpu();
	(void)arg;
	with_boot(NULL, 0, "gk.enforcing=0");
	run_as("http", NULL, all_is_allowed, NULL);
	ck_assert_ptr_nonnull(strstr(last_record(), "permissive=1"));
	end();
	with_boot(NULL, 0, "gk.policy=disabled");
	uint64_t written = k->log.written;
	run_as("http", NULL, all_is_allowed, NULL);
	ck_assert_uint_eq(k->log.written, written);
	end();
	with_boot(NULL, 0, "gk.setsebool=shell_may_administer=on,shell_may_reboot=off");
	run_as("shell", NULL, be_admin, NULL);
	bool on = true;
	ck_assert_int_eq(policy_bool_get(security_policy(k), "shell_may_reboot", &on), POLICY_OK);
	ck_assert(!on);
	end();
	with_boot(NULL, 0, "gk.setsebool=what gk.enforcing=2 gk.policy=odd");
	ck_assert_int_eq(policy_mode(security_policy(k)), POLICY_ENFORCING);
	end();
}

START_TEST(modes_and_booleans_of_the_command_line)
{
	rig_run(modes_body, NULL);
}
END_TEST

/* Checks go on on all CPUs while the policy is replaced: none is answered wrongly. */
static unsigned stop;

static void ask(void *arg)
{
	uint64_t *asked = arg;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		ck_assert(sec_http("/", HTTP_GET));
		ck_assert(!sec_http("/", HTTP_DELETE));
		(void)__atomic_add_fetch(asked, 1, __ATOMIC_RELAXED);
	}
}

static void reload_body(void *arg)
{
	struct kernel *k = kernel_of_cpu();
	struct task *t[3];
	uint64_t asked[3] = {0};
	(void)arg;
	begin();
	k->log.console_level = LOG_ERROR;
	__atomic_store_n(&stop, 0, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 3; i++) {
		t[i] = sec_service_start("http", PRIO_DEFAULT, ask, &asked[i]);
		ck_assert_ptr_nonnull(t[i]);
	}
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_int_eq(security_reload(k, NULL), POLICY_OK);
		task_sleep(NS_PER_MS);
	}
	/* A CPU may have had no turn on a busy host. */
	for (unsigned i = 0; i < 3; i++)
		while (__atomic_load_n(&asked[i], __ATOMIC_RELAXED) <= 10)
			task_sleep(NS_PER_MS);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 3; i++)
		join_last(t[i]);
	end();
}

START_TEST(the_policy_is_replaced_under_way)
{
	rig_run_smp(3, reload_body, NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("security");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, services_may_what_the_policy_says);
	tcase_add_test(tc, a_child_is_what_its_maker_is);
	tcase_add_test(tc, who_may_ask_a_task_to_end);
	tcase_add_test(tc, who_may_start_a_task);
	tcase_add_test(tc, messages_go_where_the_policy_lets_them);
	tcase_add_test(tc, a_guarded_mailbox_needs_a_capability);
	tcase_add_test(tc, memory_is_shared_as_the_policy_and_a_capability_let_it);
	tcase_add_test(tc, nothing_is_read_up_or_written_down);
	tcase_add_test(tc, a_broken_policy_leaves_the_built_in_one);
	tcase_add_test(tc, a_ramdisk_is_a_policy_or_named);
	tcase_add_test(tc, modes_and_booleans_of_the_command_line);
	tcase_add_test(tc, the_policy_is_replaced_under_way);
	return suite_run("security", tc);
}
