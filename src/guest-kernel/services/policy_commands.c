/* The shell's commands that speak of the policy. */
#include <string.h>

#include "guest-kernel/core/msg.h"
#include "guest-kernel/net/socket.h"
#include "guest-kernel/services/shell.h"

#define WHY_BYTES 4096u

static void print(const struct shell *sh, const char *text)
{
	kernel_console_write(sh->sys->kernel, text, strlen(text));
}

static struct policy *policy_of(const struct shell *sh)
{
	return security_policy(sh->sys->kernel);
}

static bool refused(struct shell *sh, const char *what, const char *why)
{
	shell_print(sh, "%s: %s\n", what, why);
	sh->failures++;
	return true;
}

static const char *reason(policy_status_t status)
{
	return status == POLICY_E_DENIED ? "denied by the policy" : "there is no such boolean";
}

/* -- looking -- */

bool cmd_sestatus(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct policy_stats *stats = mem_alloc(sizeof(*stats));
	char *buf = stats ? mem_alloc(WHY_BYTES) : NULL;
	if (buf) {
		struct text t;
		text_init(&t, buf, WHY_BYTES);
		policy_stats(policy_of(sh), stats);
		policy_stats_print(stats, &t);
		shell_print(sh, "policy source: %s\n", security_source(sh->sys->kernel));
		print(sh, buf);
	}
	mem_free(buf);
	mem_free(stats);
	return true;
}

static bool show_stats(struct shell *sh)
{
	char *buf = mem_alloc(2 * WHY_BYTES);
	if (buf) {
		(void)security_metrics(sh->sys->kernel, buf, 2 * WHY_BYTES);
		print(sh, buf);
	}
	mem_free(buf);
	return true;
}

static bool reload(struct shell *sh)
{
	struct policy_error err = {.text = ""};
	if (security_reload(sh->sys->kernel, &err))
		return refused(sh, "policy reload", err.text);
	shell_print(sh, "loaded; number %u\n", policy_seqno(policy_of(sh)));
	return true;
}

/* -- why -- */

/* "port:80" and the like mean what the policy says of them; everything else is a context. */
static policy_status_t object_sid(struct policy *p, const char *text, enum policy_class tclass,
                                  policy_sid_t *sid, struct policy_error *err)
{
	static const struct {
		const char *prefix, *space;
	} spaces[] = {{"disk:", "disk"},
	              {"device:", "device"},
	              {"path:", "http"},
	              {"command:", "command"},
	              {"service:", "service"}};
	uint64_t port;
	if (strncmp(text, "port:", 5) == 0 && str_number(text + 5, strlen(text + 5), 65535, &port))
		return policy_port_sid(p, tclass == POLICY_CLASS_UDP_SOCKET ? 17 : 6,
		                       (uint16_t)port, sid);
	for (unsigned i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		size_t n = strlen(spaces[i].prefix);
		char path[POLICY_NAME_MAX + 1];
		if (strncmp(text, spaces[i].prefix, n) != 0)
			continue;
		(void)fmt(path, sizeof(path), "%s%s", text[n] == '/' ? "" : "/", text + n);
		return policy_path_sid(p, spaces[i].space, path, tclass, sid);
	}
	return policy_sid(p, text, strlen(text), sid, err);
}

static policy_status_t subject_of(struct shell *sh, const char *text, struct policy_subject *out,
                                  struct policy_error *err)
{
	struct security *s = sh->sys->kernel->security;
	const char *context = strchr(text, ':') ? text : NULL;
	return sec_service_subject(s, context ? "" : text, context, out, err);
}

static void explain(struct shell *sh, const struct policy_request *r)
{
	char *buf = mem_alloc(WHY_BYTES);
	if (!buf)
		return;
	bool yes = policy_why(policy_of(sh), r, buf, WHY_BYTES);
	print(sh, yes ? "allowed\n" : "denied\n");
	print(sh, buf);
	size_t len = strlen(buf);
	if (len > 0 && buf[len - 1] != '\n')
		print(sh, "\n");
	mem_free(buf);
}

static bool why(struct shell *sh, char **argv)
{
	struct policy *p = policy_of(sh);
	struct policy_error err = {.text = "no such subject or object"};
	struct policy_subject subject;
	policy_sid_t sid;
	policy_label_t object;
	struct policy_request r = {.subject = &subject, .cap = POLICY_NO_CAP};
	r.tclass = classes_find(argv[2], strlen(argv[2]));
	if (r.tclass == POLICY_CLASS_COUNT)
		return refused(sh, argv[2], "the kernel checks no such class");
	r.perms = classes_perm(r.tclass, argv[3], strlen(argv[3]));
	if (r.perms == 0)
		return refused(sh, argv[3], "the class has no such permission");
	if (subject_of(sh, argv[0], &subject, &err))
		return refused(sh, argv[0], err.text);
	if (object_sid(p, argv[1], r.tclass, &sid, &err) ||
	    policy_label(p, sid, argv[1], &object)) {
		policy_label_put(p, subject.label);
		return refused(sh, argv[1], err.text);
	}
	r.object = object;
	explain(sh, &r);
	policy_label_put(p, object);
	policy_label_put(p, subject.label);
	return true;
}

bool cmd_policy(struct shell *sh, unsigned argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "stats") == 0)
		return show_stats(sh);
	if (argc == 2 && strcmp(argv[1], "reload") == 0)
		return reload(sh);
	if (argc == 6 && strcmp(argv[1], "why") == 0)
		return why(sh, argv + 2);
	return argc == 1 && cmd_sestatus(sh, argc, argv);
}

/* -- changing -- */

bool cmd_setenforce(struct shell *sh, unsigned argc, char **argv)
{
	if (argc != 2 || (strcmp(argv[1], "0") != 0 && strcmp(argv[1], "1") != 0))
		return false;
	policy_status_t status = security_set_mode(
	        sh->sys->kernel, argv[1][0] == '1' ? POLICY_ENFORCING : POLICY_PERMISSIVE);
	return status ? refused(sh, argv[0], reason(status)) : true;
}

bool cmd_getsebool(struct shell *sh, unsigned argc, char **argv)
{
	char name[64];
	bool value, found = false;
	for (uint32_t i = 0;
	     policy_bool_at(policy_of(sh), i, name, sizeof(name), &value) == POLICY_OK; i++) {
		if (argc > 1 && strcmp(argv[1], name) != 0)
			continue;
		shell_print(sh, "%s --> %s\n", name, value ? "on" : "off");
		found = true;
	}
	return argc > 1 && !found ? refused(sh, argv[1], reason(POLICY_E_NOT_FOUND)) : true;
}

bool cmd_setsebool(struct shell *sh, unsigned argc, char **argv)
{
	if (argc != 3 || (strcmp(argv[2], "on") != 0 && strcmp(argv[2], "off") != 0))
		return false;
	policy_status_t status =
	        security_set_bool(sh->sys->kernel, argv[1], strcmp(argv[2], "on") == 0);
	return status ? refused(sh, argv[1], reason(status)) : true;
}

/* -- tasks -- */

static struct task *task_named(struct shell *sh, const char *number)
{
	uint64_t id;
	if (!str_number(number, strlen(number), UINT32_MAX, &id))
		return NULL;
	return task_find(sh->sys->kernel, (uint32_t)id);
}

static void show_subject(struct shell *sh, const struct task *t)
{
	char context[256], caps[512];
	struct text text;
	const struct policy_subject *s = &t->subject;
	struct policy *p = policy_of(sh);
	if (policy_sid_text(p, policy_label_sid(p, s->label), context, sizeof(context)))
		(void)fmt(context, sizeof(context), "none");
	text_init(&text, caps, sizeof(caps));
	capabilities_print(s->caps.effective, &text);
	shell_print(sh, "task %u (%s) as %s, context %s\n", t->id, t->name,
	            policy_label_name(p, s->label), context);
	print(sh, "capabilities: ");
	print(sh, caps);
	print(sh, "\n");
}

bool cmd_id(struct shell *sh, unsigned argc, char **argv)
{
	if (argc == 1) {
		show_subject(sh, task_current());
		return true;
	}
	struct task *t = task_named(sh, argv[1]);
	if (!t)
		return refused(sh, argv[1], "there is no such task");
	if (sec_task(t, PROCESS_GETATTR))
		show_subject(sh, t);
	else
		(void)refused(sh, argv[1], "denied by the policy");
	task_detach(t);
	return true;
}

bool cmd_kill(struct shell *sh, unsigned argc, char **argv)
{
	if (argc != 2)
		return false;
	struct task *t = task_named(sh, argv[1]);
	if (!t)
		return refused(sh, argv[1], "there is no such task");
	bool good = task_cancel(t);
	task_detach(t);
	return good ? true : refused(sh, argv[1], "denied by the policy");
}

/* -- messages and datagrams between two contexts -- */

#define TALK_PORT  7007u /* and the next one */
#define HEARD_NS   (20 * NS_PER_MS)
#define WORD       "word"
#define WORD_BYTES 4u

struct talker {
	const char *context;
	struct netd *net; /* or NULL */
	struct mailbox *own, *other;
	struct ksock *sock; /* or NULL: it may not have one */
	unsigned port, other_port;
	bool ready, wrote, read, heard;
};

static struct net_endpoint loopback(unsigned port)
{
	struct net_endpoint e = {.port = (uint16_t)port};
	(void)net_addr_parse("127.0.0.1", &e.addr);
	return e;
}

static void make_ends(void *arg)
{
	struct talker *t = arg;
	const struct msg m = {.type = 1};
	const struct net_endpoint here = loopback(t->port);
	t->own = mailbox_create(4);
	t->ready = t->own && msg_send(t->own, &m, 0);
	if (t->net && ksock_open(t->net, NET_DGRAM, &t->sock) == 0 &&
	    ksock_bind(t->sock, &here) != 0) {
		ksock_close(t->sock);
		t->sock = NULL;
	}
}

static void use_ends(void *arg)
{
	struct talker *t = arg;
	const struct net_endpoint there = loopback(t->other_port);
	struct msg m = {.type = 2};
	t->wrote = msg_send(t->other, &m, 0);
	t->read = msg_receive(t->other, MSG_ANYONE, &m, 0);
	if (t->sock)
		(void)ksock_send(t->sock, WORD, WORD_BYTES, &there);
}

static bool run_as(const struct talker *t, const char *name, task_fn fn, void *arg)
{
	struct task *task = sec_service_start_in(name, t->context, PRIO_SERVICE, fn, arg);
	if (task)
		task_join(task);
	return task != NULL;
}

/* FROM acts, and what has come to TO's socket is looked at. */
static bool act(struct talker *from, const struct talker *to, const char *name)
{
	char word[WORD_BYTES];
	if (!run_as(from, name, use_ends, from))
		return false;
	if (to->sock) {
		to->sock->patience_ns = HEARD_NS;
		from->heard = ksock_recv(to->sock, word, sizeof(word), NULL) == WORD_BYTES;
	}
	return true;
}

static void say(struct shell *sh, const struct talker *from, const struct talker *to)
{
	shell_print(sh, "%s writes to %s: %s\n", from->context, to->context,
	            from->wrote ? "yes" : "no");
	shell_print(sh, "%s reads from %s: %s\n", from->context, to->context,
	            from->read ? "yes" : "no");
	if (from->net)
		shell_print(sh, "%s sends datagrams to %s: %s\n", from->context, to->context,
		            from->heard ? "yes" : "no");
}

static void unmake(struct talker *t)
{
	ksock_close(t->sock);
	if (t->own)
		mailbox_destroy(t->own);
}

bool cmd_talk(struct shell *sh, unsigned argc, char **argv)
{
	if (argc != 3)
		return false;
	struct netd *net = sh->sys->net_up ? &sh->sys->net : NULL;
	struct talker one = {.context = argv[1], .net = net, .port = TALK_PORT};
	struct talker two = {.context = argv[2], .net = net, .port = TALK_PORT + 1};
	bool good = run_as(&one, "one", make_ends, &one) && run_as(&two, "two", make_ends, &two) &&
	            one.ready && two.ready;
	one.other = two.own;
	two.other = one.own;
	one.other_port = two.port;
	two.other_port = one.port;
	good = good && act(&one, &two, "one") && act(&two, &one, "two");
	if (good) {
		say(sh, &one, &two);
		say(sh, &two, &one);
	}
	unmake(&one);
	unmake(&two);
	return good ? true : refused(sh, argv[0], "the services cannot be had");
}
