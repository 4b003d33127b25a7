/*
 * What the policy costs the guest kernel's network: two instances of the stack on a memory wire, in
 * the guest kernel's hosted build, their sockets the shell's, every frame and every call asked
 * about as in the kernel (net/netd.c, net/wire.c), and the same without a policy.
 *
 *   bench_stack_policy [LOAD on|off]
 *
 * Without arguments all loads both ways in turn, CPU time, the least of the rounds. With, one of
 * them once, for valgrind --tool=callgrind. Loads: bulk (1 TCP connection, segments by the card),
 * plain (the same without offloads), datagrams (of 1,400 bytes). The clock is a counter, so that
 * both ways do the same.
 */
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/arch/hosted/hosted.h"
#include "guest-kernel/security/socket.h"
#include "net/stack/stack.h"
#include "stack_bench.h"

#define MIB       (1u << 20)
#define ROUNDS    9u
#define WARM_UP   4u  /* MiB */
#define MEASURED  64u /* MiB */
#define TURN_NS   1000u
#define DATAGRAM  1400u
#define PORT_HERE 40000u

struct end {
	struct net_stack *st;
	struct net_if *nif;
	struct sec_netif policy;
	struct end *other;
	struct run *run;
	struct pkt *head, **tail; /* on the way to this end */
	struct net_addr addr;
};

struct load {
	const char *name;
	bool datagrams;
	uint32_t offloads;
};

struct run {
	const struct load *load;
	bool secure;
	uint64_t now_ns;
	struct end end[2];
	double seconds;
};

static _Noreturn void fail(const char *what)
{
	(void)fprintf(stderr, "bench_stack_policy: %s\n", what);
	exit(EXIT_FAILURE);
}

static uint64_t now_ns(void *ctx)
{
	return ((struct end *)ctx)->run->now_ns;
}

static void entropy(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 0x5a, len);
}

static void *end_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return malloc(size);
}

static void end_free(void *ctx, void *p, size_t size)
{
	(void)ctx;
	(void)size;
	free(p);
}

static enum net_say policy(void *ctx, enum net_op op, void *label, const struct net_endpoint *local,
                           const struct net_endpoint *remote)
{
	return sec_socket_says(((const struct end *)ctx)->st, op, label, local, remote);
}

static void output(void *ctx, struct pkt *p)
{
	struct end *e = ctx, *to = e->other;
	if (e->run->secure && !sec_netif_allows(&e->policy, NET_DIR_OUT))
		fail("a frame is denied");
	p->next = NULL;
	*to->tail = p;
	to->tail = &p->next;
}

static void carry(struct end *e)
{
	struct pkt *p = e->head;
	bool any = p != NULL;
	e->head = NULL;
	e->tail = &e->head;
	while (p) {
		struct pkt *next = p->next;
		if (e->run->secure && !sec_netif_allows(&e->policy, NET_DIR_IN))
			fail("a frame is denied");
		net_input(e->nif, p);
		p = next;
	}
	if (any || net_next_deadline(e->st) <= e->run->now_ns)
		net_poll(e->st);
}

static void turn(struct run *r)
{
	r->now_ns += TURN_NS;
	carry(&r->end[0]);
	carry(&r->end[1]);
}

static void make_end(struct run *r, unsigned i)
{
	static const struct net_ops without = {
	        .now_ns = now_ns, .entropy = entropy, .alloc = end_alloc, .free = end_free};
	static const struct net_ops with = {.now_ns = now_ns,
	                                    .entropy = entropy,
	                                    .alloc = end_alloc,
	                                    .free = end_free,
	                                    .policy = policy};
	struct end *e = &r->end[i];
	const struct net_cfg cfg = {.ops = r->secure ? &with : &without, .ctx = e, .no_ipv6 = true};
	const struct net_if_cfg ic = {.name = "net0",
	                              .link = NET_LINK_IP,
	                              .offloads = r->load->offloads,
	                              .output = output,
	                              .ctx = e};
	*e = (struct end){.run = r, .other = &r->end[!i], .policy = {.name = "net0"}};
	e->tail = &e->head;
	e->st = net_stack_create(&cfg);
	e->nif = e->st ? net_if_add(e->st, &ic) : NULL;
	(void)net_addr_parse(i ? "10.0.0.2" : "10.0.0.1", &e->addr);
	if (!e->nif || net_if_add_addr(e->nif, &e->addr, 24) < 0)
		fail("no stack");
	if (r->secure)
		sec_socket_keep(e->st);
}

static struct net_sock *make_socket(const struct run *r, unsigned i)
{
	struct net_sock *s;
	bool denied;
	struct sec_socket *label =
	        sec_socket_create(r->load->datagrams ? SEC_UDP : SEC_TCP, &denied);
	if (denied || net_socket(r->end[i].st, r->load->datagrams ? NET_DGRAM : NET_STREAM, &s) < 0)
		fail("no socket");
	net_set_label(s, label);
	return s;
}

/* -- the loads -- */

static void stream(struct run *r, struct net_sock *from, struct net_sock *to, unsigned mib)
{
	static uint8_t data[CHUNK];
	struct net_buf *b = net_buf_wrap(r->end[0].st, data, CHUNK, NULL, NULL);
	uint64_t all = (uint64_t)mib * MIB, sent = 0, got = 0;
	while (got < all) {
		long n = 1;
		while (sent < all && (n = net_send_buf(from, b, 0, CHUNK)) > 0)
			sent += (uint64_t)n;
		if (n <= 0 && n != -NET_EAGAIN)
			fail("the stream is denied");
		turn(r);
		struct net_frag f[32];
		int frags;
		while ((frags = net_recv_bufs(to, f, 32)) > 0)
			for (int i = 0; i < frags; i++) {
				got += f[i].len;
				net_buf_unref(r->end[1].st, f[i].buf);
			}
	}
	net_buf_unref(r->end[0].st, b);
}

static void datagrams(struct run *r, struct net_sock *from, struct net_sock *to, unsigned mib)
{
	static uint8_t data[DATAGRAM];
	const struct net_endpoint e = {.addr = r->end[1].addr, .port = PORT_HERE};
	for (uint64_t got = 0; got < (uint64_t)mib * MIB; got += DATAGRAM) {
		if (net_send(from, data, DATAGRAM, 0, &e) != DATAGRAM)
			fail("a datagram is denied");
		turn(r);
		if (net_recv(to, data, DATAGRAM, 0, NULL) != DATAGRAM)
			fail("a datagram is lost");
	}
}

/* What callgrind is told to look at. */
static __attribute__((noinline)) void move(struct run *r, struct net_sock *from,
                                           struct net_sock *to, unsigned mib)
{
	if (r->load->datagrams)
		datagrams(r, from, to, mib);
	else
		stream(r, from, to, mib);
}

/* A socket of the second end that is connected with FROM, or takes datagrams. */
static struct net_sock *meet(struct run *r, struct net_sock *from)
{
	const struct net_endpoint any = {.port = PORT_HERE};
	const struct net_endpoint to = {.addr = r->end[1].addr, .port = PORT_HERE};
	struct net_sock *l = make_socket(r, 1), *s;
	if (net_bind(l, &any) < 0)
		fail("no port");
	if (r->load->datagrams)
		return l;
	if (net_listen(l, 1) < 0 || net_connect(from, &to) != -NET_EINPROGRESS)
		fail("no connection");
	for (unsigned i = 0; net_accept(l, &s, NULL) < 0; i++) {
		if (i > 1000)
			fail("no connection");
		turn(r);
	}
	return s;
}

static void service(void *arg)
{
	struct run *r = arg;
	make_end(r, 0);
	make_end(r, 1);
	struct net_sock *from = make_socket(r, 0), *to = meet(r, from);
	move(r, from, to, WARM_UP);
	double began = cpu_s();
	move(r, from, to, MEASURED);
	r->seconds = cpu_s() - began;
	for (unsigned i = 0; i < 2; i++) {
		net_stack_destroy(r->end[i].st);
		sec_netif_forget(&r->end[i].policy);
	}
}

static void kernel(void *arg)
{
	struct run *r = arg;
	const char *why;
	if (r->secure && !security_start(kernel_of_cpu(), &why))
		fail(why);
	struct task *t = sec_service_start("shell", PRIO_DEFAULT, service, r);
	if (!t)
		fail("no task");
	task_join(t);
	if (r->secure)
		security_stop(kernel_of_cpu());
}

static double measure(const struct load *load, bool secure)
{
	static struct run r;
	const struct hosted_opts opts = {.virtual_clock = true};
	r = (struct run){.load = load, .secure = secure, .now_ns = 1};
	if (hosted_run(&opts, kernel, &r) != HOSTED_POWER_OFF)
		fail("the kernel has crashed");
	return r.seconds / MEASURED * 1e6;
}

int main(int argc, char **argv)
{
	static const struct load loads[] = {
	        {"bulk", false, NET_IF_CSUM_TX | NET_IF_TSO4},
	        {"plain", false, 0},
	        {"datagrams", true, NET_IF_CSUM_TX},
	};
	steady_malloc();
	if (argc != 3)
		(void)printf("%-12s %16s %16s %8s\n", "us per MiB", "no policy", "policy", "ratio");
	for (unsigned i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		double least[2] = {1e9, 1e9};
		if (argc == 3 && strcmp(argv[1], loads[i].name) == 0) {
			(void)measure(&loads[i], strcmp(argv[2], "on") == 0);
			return EXIT_SUCCESS;
		}
		for (unsigned n = 0; argc != 3 && n < 2 * ROUNDS; n++) {
			double us = measure(&loads[i], n % 2);
			least[n % 2] = us < least[n % 2] ? us : least[n % 2];
		}
		if (argc != 3)
			(void)printf("%-12s %16.2f %16.2f %8.3f\n", loads[i].name, least[0],
			             least[1], least[1] / least[0]);
	}
	return argc == 3 ? EXIT_FAILURE : EXIT_SUCCESS;
}
