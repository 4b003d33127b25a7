/* The policy on sockets: a protocol stack in a kernel, whose sockets belong to services. */
#include <stdio.h>
#include <string.h>

#include "gk_policy.h"
#include "guest-kernel/security/socket.h"

struct host {
	struct net_stack *st;
};

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return arch_now_ns();
}

static void entropy(void *ctx, void *buf, size_t len)
{
	static uint64_t state = 88172645463325252u;
	unsigned char *to = buf;
	(void)ctx;
	for (size_t i = 0; i < len; i++)
		to[i] = (unsigned char)(rig_random(&state) >> 11);
}

static void *host_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return mem_alloc(size);
}

static void host_free(void *ctx, void *p, size_t size)
{
	(void)ctx;
	(void)size;
	mem_free(p);
}

static enum net_say may(void *ctx, enum net_op op, void *label, const struct net_endpoint *local,
                        const struct net_endpoint *remote)
{
	const struct host *h = ctx;
	return sec_socket_says(h->st, op, label, local, remote);
}

static void begin(struct host *h)
{
	static const struct net_ops ops = {.now_ns = now_ns,
	                                   .entropy = entropy,
	                                   .alloc = host_alloc,
	                                   .free = host_free,
	                                   .policy = may};
	const struct net_cfg cfg = {.ops = &ops, .ctx = h};
	const char *why = "";
	ck_assert_msg(security_start(kernel_of_cpu(), &why), "%s", why);
	h->st = net_stack_create(&cfg);
	ck_assert_ptr_nonnull(h->st);
	sec_socket_keep(h->st);
}

static void end(struct host *h)
{
	net_stack_destroy(h->st);
	security_stop(kernel_of_cpu());
}

static struct net_endpoint at(const char *addr, unsigned port)
{
	struct net_endpoint e = {.port = (uint16_t)port};
	ck_assert_int_eq(net_addr_parse(addr, &e.addr), 0);
	return e;
}

/* -- one service asks for one thing -- */

enum ask { CREATE, BIND, CONNECT, LISTEN };

struct question {
	struct host *h;
	const char *service;
	enum sec_socket_kind kind;
	enum ask ask;
	const char *addr;
	unsigned port;
	bool allowed;
};

static void ask(void *arg)
{
	const struct question *q = arg;
	struct net_sock *s;
	uint64_t first = rig_records();
	bool denied;
	struct sec_socket *k = sec_socket_create(q->kind, &denied);
	if (q->ask == CREATE || !k) {
		ck_assert_msg((k != NULL) == q->allowed, "%s creates kind %d", q->service, q->kind);
		ck_assert(q->allowed || rig_recorded(first, "denied  { create }"));
		return;
	}
	ck_assert_int_eq(net_socket(q->h->st, q->kind == SEC_TCP ? NET_STREAM : NET_DGRAM, &s), 0);
	net_set_label(s, k);
	struct net_endpoint e = at(q->addr, q->port);
	int err = q->ask == CONNECT ? net_connect(s, &e) : net_bind(s, &e);
	if (!err && q->ask == LISTEN)
		err = net_listen(s, 4);
	ck_assert_msg((err != -NET_EACCES) == q->allowed, "%s at %s port %u: %d", q->service,
	              q->addr, q->port, err);
	ck_assert(rig_recorded(first, "denied") == !q->allowed);
	net_abort(s);
}

static void questions_body(void *arg)
{
	struct host h;
	(void)arg;
	begin(&h);
	struct question q[] = {
	        {&h, "http", SEC_TCP, CREATE, "", 0, true},
	        {&h, "http", SEC_UDP, CREATE, "", 0, false},
	        {&h, "http", SEC_RAW, CREATE, "", 0, false},
	        {&h, "http", SEC_PING, CREATE, "", 0, false},
	        {&h, "net", SEC_UDP, CREATE, "", 0, true},
	        {&h, "net", SEC_RAW, CREATE, "", 0, true},
	        {&h, "net", SEC_TCP, CREATE, "", 0, false},
	        {&h, "shell", SEC_RAW, CREATE, "", 0, false},
	        {&h, "http", SEC_TCP, LISTEN, "0.0.0.0", 80, true},
	        {&h, "http", SEC_TCP, LISTEN, "127.0.0.1", 8080, true},
	        {&h, "http", SEC_TCP, BIND, "0.0.0.0", 25, false},
	        {&h, "http", SEC_TCP, BIND, "0.0.0.0", 8081, false},
	        {&h, "http", SEC_TCP, CONNECT, "127.0.0.1", 80, false},
	        {&h, "net", SEC_UDP, BIND, "0.0.0.0", 68, true},
	        {&h, "net", SEC_UDP, BIND, "0.0.0.0", 69, false},
	};
	for (unsigned i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
		struct task *t = sec_service_start(q[i].service, PRIO_DEFAULT, ask, &q[i]);
		ck_assert_ptr_nonnull(t);
		task_join(t);
	}
	ck_assert_int_eq(security_set_bool(kernel_of_cpu(), "http_may_connect", true), POLICY_OK);
	struct question now = {&h, "http", SEC_TCP, CONNECT, "127.0.0.1", 80, true};
	struct task *t = sec_service_start("http", PRIO_DEFAULT, ask, &now);
	ck_assert_ptr_nonnull(t);
	task_join(t);
	end(&h);
}

START_TEST(services_get_the_sockets_of_the_policy)
{
	rig_run(questions_body, NULL);
}
END_TEST

/* -- every act on a socket, denied in turn -- */

struct acts {
	struct host *h;
	enum sec_socket_kind kind;
	const char *denied; /* the permission, or NULL: nothing is */
};

static bool is_one_of(const char *perm, const char *perms)
{
	char word[32];
	(void)snprintf(word, sizeof(word), " %s ", perm);
	return strstr(perms, word) != NULL;
}

/*
 * True: go on. What asks for PERMS has ended with ERR: with -NET_EACCES and a record if one of them
 * is what is denied. What is denied to somebody far away shows by SILENCE, an error of another
 * kind.
 */
static bool good(const struct acts *a, uint64_t first, const char *perms, long err, int silence)
{
	char record[64];
	bool denied = a->denied && is_one_of(a->denied, perms);
	ck_assert_msg(denied ? err == silence : err >= 0 || err == -NET_EINPROGRESS,
	              "%s denied,%sends with %ld", a->denied, perms, err);
	(void)snprintf(record, sizeof(record), "denied  { %s }", denied ? a->denied : "");
	ck_assert_msg(rig_recorded(first, denied ? record : "denied") == denied, "%s:%s", a->denied,
	              perms);
	return !denied;
}

static struct net_sock *make_socket(const struct acts *a, uint64_t first)
{
	struct net_sock *s = NULL;
	bool denied;
	struct sec_socket *k = sec_socket_create(a->kind, &denied);
	ck_assert_int_eq(denied, k == NULL);
	if (!good(a, first, " create ", denied ? -NET_EACCES : 0, -NET_EACCES))
		return NULL;
	ck_assert_int_eq(net_socket(a->h->st, a->kind == SEC_TCP ? NET_STREAM : NET_DGRAM, &s), 0);
	net_set_label(s, k);
	return s;
}

static void poll(const struct host *h)
{
	for (unsigned i = 0; i < 20; i++) {
		net_poll(h->st);
		task_sleep(NS_PER_MS);
	}
}

static void use_connection(const struct acts *a, uint64_t first, struct net_sock *from,
                           struct net_sock *to)
{
	struct net_tcp_info info;
	int64_t value;
	char text[8];
	if (!good(a, first, " setopt ", net_set(from, NET_TCP_NODELAY, 1), -NET_EACCES) ||
	    !good(a, first, " setopt ", net_set_cc(from, "reno"), -NET_EACCES) ||
	    !good(a, first, " getopt ", net_get(from, NET_TCP_NODELAY, &value), -NET_EACCES) ||
	    !good(a, first, " getopt ", net_tcp_info(from, &info), -NET_EACCES) ||
	    !good(a, first, " write ", net_send(from, "word", 4, 0, NULL), -NET_EACCES))
		return;
	poll(a->h);
	if (!good(a, first, " read ", net_recv(to, text, sizeof(text), 0, NULL), -NET_EACCES))
		return;
	(void)good(a, first, " shutdown ", net_shutdown(from, NET_SHUT_WR), -NET_EACCES);
}

static void stream_acts(const struct acts *a, uint64_t first, struct net_sock *l,
                        struct net_sock *c)
{
	struct net_endpoint e = at("127.0.0.1", 7000);
	struct net_sock *conn = NULL;
	if (!good(a, first, " bind name_bind node_bind ", net_bind(l, &e), -NET_EACCES) ||
	    !good(a, first, " listen ", net_listen(l, 4), -NET_EACCES))
		return;
	/* Of the peer within the stack read and write are asked already here. */
	if (!good(a, first, " connect name_connect sendto recvfrom read write ", net_connect(c, &e),
	          -NET_EACCES))
		return;
	poll(a->h);
	if (!good(a, first, " accept ", net_accept(l, &conn, NULL), -NET_EAGAIN))
		return;
	use_connection(a, first, c, conn);
	net_abort(conn);
}

static void datagram_acts(const struct acts *a, uint64_t first, struct net_sock *to,
                          struct net_sock *from)
{
	/* The shell has datagram sockets, but no port of its own choice. */
	struct net_endpoint any = at("0.0.0.0", 40000), e = at("127.0.0.1", 40000);
	char text[8];
	if (!good(a, first, " bind ", net_bind(to, &any), -NET_EACCES) ||
	    !good(a, first, " write read sendto ", net_send(from, "word", 4, 0, &e), -NET_EACCES))
		return;
	poll(a->h);
	if (!good(a, first, " recvfrom ", net_recv(to, text, sizeof(text), 0, NULL), -NET_EAGAIN))
		return;
	(void)good(a, first, " connect ", net_connect(from, &e), -NET_EACCES);
}

static void do_acts(void *arg)
{
	const struct acts *a = arg;
	uint64_t first = rig_records();
	struct net_sock *one = make_socket(a, first), *other = one ? make_socket(a, first) : NULL;
	if (!other)
		return;
	if (a->kind == SEC_TCP)
		stream_acts(a, first, one, other);
	else
		datagram_acts(a, first, one, other);
	net_abort(other);
	net_abort(one);
	poll(a->h);
}

static void deny_acts(struct host *h, enum sec_socket_kind kind, const char *tclass,
                      const char *const *perms)
{
	for (unsigned i = 0; i == 0 || perms[i - 1]; i++) {
		bool node = perms[i] && is_one_of(perms[i], " sendto recvfrom ");
		struct acts a = {h, kind, perms[i]};
		char line[64] = "";
		if (perms[i])
			(void)snprintf(line, sizeof(line), "shell * %s.%s deny\n",
			               node ? "node" : tclass, perms[i]);
		rig_policy(line);
		struct task *t = sec_service_start("shell", PRIO_DEFAULT, do_acts, &a);
		ck_assert_ptr_nonnull(t);
		task_join(t);
		task_sleep(NS_PER_S); /* so many records a second */
	}
}

static void acts_body(void *arg)
{
	static const char *const tcp[] = {"create", "bind",     "connect",      "listen",
	                                  "accept", "read",     "write",        "getopt",
	                                  "setopt", "shutdown", "name_bind",    "node_bind",
	                                  "sendto", "recvfrom", "name_connect", NULL};
	static const char *const udp[] = {"create", "bind",   "connect",  "read",
	                                  "write",  "sendto", "recvfrom", NULL};
	struct host h;
	(void)arg;
	begin(&h);
	deny_acts(&h, SEC_TCP, "tcp_socket", tcp);
	deny_acts(&h, SEC_UDP, "udp_socket", udp);
	end(&h);
}

START_TEST(every_act_on_a_socket_is_asked_for)
{
	rig_run(acts_body, NULL);
}
END_TEST

/* -- what need not be asked again -- */

static enum net_say says(const struct host *h, enum net_op op, const char *addr)
{
	bool denied;
	struct sec_socket *k = sec_socket_create(SEC_UDP, &denied);
	const struct net_endpoint remote = at(addr, 40000);
	ck_assert_ptr_nonnull(k);
	return sec_socket_says(h->st, op, k, NULL, &remote);
}

static void keep_what_is_allowed(void *arg)
{
	/* From the second time on, when it is in the cache. */
	ck_assert_int_eq(says(arg, NET_OP_SEND, "10.9.9.9"), NET_YES);
	ck_assert_int_eq(says(arg, NET_OP_SEND, "10.9.9.9"), NET_KEEP);
	ck_assert_int_eq(says(arg, NET_OP_RECV, "10.9.9.9"), NET_KEEP);
	/* Who gets it here is another question each time. */
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(says(arg, NET_OP_SEND, "127.0.0.1"), NET_YES);
}

/* What is only let pass is recorded each time. */
static void keep_nothing(void *arg)
{
	struct policy *p = security_policy(kernel_of_cpu());
	ck_assert_int_eq(says(arg, NET_OP_SEND, "10.9.9.9"), NET_NO);
	policy_set_mode(p, POLICY_PERMISSIVE);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t first = rig_records();
		ck_assert_int_eq(says(arg, NET_OP_SEND, "10.9.9.9"), NET_YES);
		ck_assert(rig_recorded(first, "denied  { sendto }"));
	}
	policy_set_mode(p, POLICY_ENFORCING);
	ck_assert_int_eq(says(arg, NET_OP_SEND, "10.9.9.9"), NET_NO);
}

static void as_shell(void (*body)(void *), struct host *h)
{
	struct task *t = sec_service_start("shell", PRIO_DEFAULT, body, h);
	ck_assert_ptr_nonnull(t);
	task_join(t);
}

static void keep_body(void *arg)
{
	struct host h;
	(void)arg;
	begin(&h);
	as_shell(keep_what_is_allowed, &h);
	rig_policy("shell * node.sendto deny\n");
	as_shell(keep_nothing, &h);
	end(&h);
}

START_TEST(only_a_plain_yes_is_kept)
{
	rig_run(keep_body, NULL);
}
END_TEST

/* -- two services at levels -- */

struct peer {
	struct host *h;
	struct net_sock *sock;
	enum sec_socket_kind kind;
	unsigned port; /* it listens there */
	unsigned to;   /* or it sends there */
	int err;
};

static void open_peer(void *arg)
{
	struct peer *p = arg;
	bool denied;
	struct sec_socket *k = sec_socket_create(p->kind, &denied);
	ck_assert_ptr_nonnull(k);
	ck_assert_int_eq(
	        net_socket(p->h->st, p->kind == SEC_TCP ? NET_STREAM : NET_DGRAM, &p->sock), 0);
	net_set_label(p->sock, k);
	struct net_endpoint e = at("127.0.0.1", p->port ? p->port : p->to);
	if (p->port) {
		ck_assert_int_eq(net_bind(p->sock, &e), 0);
		ck_assert_int_eq(p->kind == SEC_TCP ? net_listen(p->sock, 4) : 0, 0);
	} else if (p->kind == SEC_TCP) {
		p->err = net_connect(p->sock, &e);
	} else {
		p->err = (int)net_send(p->sock, "word", 4, 0, &e);
	}
}

static void run_in(const char *context, struct peer *p)
{
	struct task *t = sec_service_start_in("peer", context, PRIO_DEFAULT, open_peer, p);
	ck_assert_ptr_nonnull(t);
	task_join(t);
}

static bool arrives_tcp(struct peer *server, struct peer *client)
{
	struct net_sock *conn;
	char text[8] = "";
	poll(server->h);
	if (client->err != -NET_EINPROGRESS || net_accept(server->sock, &conn, NULL) != 0)
		return false;
	ck_assert_int_eq(net_send(client->sock, "word", 4, 0, NULL), 4);
	poll(server->h);
	bool got = net_recv(conn, text, sizeof(text), 0, NULL) == 4 && strcmp(text, "word") == 0;
	net_abort(conn);
	return got;
}

static bool arrives(const char *from, const char *to, enum sec_socket_kind kind, struct host *h)
{
	struct peer server = {.h = h, .kind = kind, .port = 7000};
	struct peer client = {.h = h, .kind = kind, .to = 7000};
	char text[8] = "";
	run_in(to, &server);
	run_in(from, &client);
	bool got;
	if (kind == SEC_TCP) {
		got = arrives_tcp(&server, &client);
	} else {
		poll(h);
		got = net_recv(server.sock, text, sizeof(text), 0, NULL) == 4;
		ck_assert_int_eq(got, client.err == 4);
	}
	net_abort(client.sock);
	net_abort(server.sock);
	poll(h);
	return got;
}

static void load_levels(void)
{
	struct policy_error err = {.text = ""};
	FILE *f = fopen(MULTILEVEL_POLICY, "rb");
	ck_assert_ptr_nonnull(f);
	static char data[65536];
	size_t len = fread(data, 1, sizeof(data), f);
	(void)fclose(f);
	ck_assert_msg(!security_load(kernel_of_cpu(), data, len, &err), "%s", err.text);
}

static void levels_body(void *arg)
{
	static const char *const level[] = {
	        "system_u:system_r:worker_t:public",
	        "system_u:system_r:worker_t:internal:finance",
	        "system_u:system_r:worker_t:internal:staff",
	        "system_u:system_r:worker_t:secret:finance",
	};
	static const bool dom[4][4] = {{1, 0, 0, 0}, {1, 1, 0, 0}, {1, 0, 1, 0}, {1, 1, 0, 1}};
	struct host h;
	(void)arg;
	begin(&h);
	load_levels();
	for (unsigned from = 0; from < 4; from++)
		for (unsigned to = 0; to < 4; to++) {
			/* Bytes of a connection go both ways. */
			ck_assert_int_eq(arrives(level[from], level[to], SEC_TCP, &h), from == to);
			ck_assert_int_eq(arrives(level[from], level[to], SEC_UDP, &h),
			                 dom[to][from]);
		}
	end(&h);
}

START_TEST(sockets_keep_levels_apart)
{
	rig_run(levels_body, NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("security_socket");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, services_get_the_sockets_of_the_policy);
	tcase_add_test(tc, every_act_on_a_socket_is_asked_for);
	tcase_add_test(tc, only_a_plain_yes_is_kept);
	tcase_add_test(tc, sockets_keep_levels_apart);
	return suite_run("security_socket", tc);
}
