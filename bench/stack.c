/* The protocol stack on a memory wire: two instances, packets handed over by reference. */
#include <stdlib.h>
#include <string.h>

#include "net/stack/stack.h"
#include "stack_bench.h"

struct end {
	struct net_stack *st;
	struct net_if *nif;
	struct end *other;
	struct pkt *head, **tail; /* on the way to this end */
	struct net_addr addr;
	uint64_t bytes, now;
	unsigned turns;
};

static uint64_t now_ns(void *ctx)
{
	struct end *e = ctx;
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	e->now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	return e->now;
}

static void entropy(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 0x5a, len);
}

static void *end_alloc(void *ctx, size_t size)
{
	((struct end *)ctx)->bytes += size;
	return malloc(size);
}

static void end_free(void *ctx, void *p, size_t size)
{
	((struct end *)ctx)->bytes -= size;
	free(p);
}

static void output(void *ctx, struct pkt *p)
{
	struct end *to = ((struct end *)ctx)->other;
	p->next = NULL;
	*to->tail = p;
	to->tail = &p->next;
}

/* As an owner does it: poll after a burst, and when something is due. The clock itself is asked
 * every 64th time, as often as lwIP's. */
static void carry(struct end *e)
{
	struct pkt *p = e->head;
	bool any = p != NULL;
	if (++e->turns % 64 == 0)
		(void)now_ns(e);
	e->head = NULL;
	e->tail = &e->head;
	while (p) {
		struct pkt *next = p->next;
		net_input(e->nif, p);
		p = next;
	}
	if (any || net_next_deadline(e->st) <= e->now)
		net_poll(e->st);
}

static void turn(struct end *e)
{
	carry(&e[0]);
	carry(&e[1]);
}

static void make(struct end *e, unsigned i, uint32_t offloads)
{
	static const struct net_ops ops = {now_ns, entropy, end_alloc, end_free, NULL, NULL, NULL};
	struct net_cfg cfg = {.ops = &ops, .ctx = &e[i], .tw_max = 1000};
	struct net_if_cfg ic = {.name = "wire",
	                        .link = NET_LINK_IP,
	                        .offloads = offloads,
	                        .output = output,
	                        .ctx = &e[i]};
	e[i].other = &e[!i];
	e[i].tail = &e[i].head;
	e[i].st = net_stack_create(&cfg);
	e[i].nif = e[i].st ? net_if_add(e[i].st, &ic) : NULL;
	(void)net_addr_parse(i ? "10.0.0.2" : "10.0.0.1", &e[i].addr);
	if (!e[i].nif || net_if_add_addr(e[i].nif, &e[i].addr, 24) < 0)
		exit(1);
}

static struct net_sock *listener(struct end *e)
{
	struct net_endpoint any = {.port = 80};
	struct net_sock *l;
	if (net_socket(e[1].st, NET_STREAM, &l) < 0 || net_bind(l, &any) < 0 ||
	    net_listen(l, 1000) < 0)
		exit(1);
	return l;
}

static void join(struct end *e, struct net_sock *l, struct net_sock **c, struct net_sock **a)
{
	struct net_endpoint to = {.addr = e[1].addr, .port = 80};
	if (net_socket(e[0].st, NET_STREAM, c) < 0)
		exit(1);
	(void)net_connect(*c, &to);
	for (unsigned i = 0; net_accept(l, a, NULL) < 0; i++) {
		if (i > 1000000)
			exit(1);
		turn(e);
	}
}

static void bulk(struct end *e, struct net_sock *c, struct net_sock *a)
{
	static uint8_t data[CHUNK];
	struct net_buf *b = net_buf_wrap(e[0].st, data, CHUNK, NULL, NULL);
	uint64_t sent = 0, got = 0;
	double began = cpu_s();
	while (got < BULK_BYTES) {
		while (sent < BULK_BYTES) {
			long n = net_send_buf(c, b, 0, CHUNK);
			if (n <= 0)
				break;
			sent += (uint64_t)n;
		}
		turn(e);
		struct net_frag f[32];
		int n;
		while ((n = net_recv_bufs(a, f, 32)) > 0)
			for (int i = 0; i < n; i++) {
				got += f[i].len;
				net_buf_unref(e[1].st, f[i].buf);
			}
	}
	show_bulk(cpu_s() - began);
	net_buf_unref(e[0].st, b);
}

static void round_trips(struct end *e, struct net_sock *c, struct net_sock *a)
{
	char x = 'x';
	double began = cpu_s();
	for (unsigned i = 0; i < ROUND_TRIPS; i++) {
		(void)net_send(c, &x, 1, 0, NULL);
		while (net_recv(a, &x, 1, 0, NULL) != 1)
			turn(e);
		(void)net_send(a, &x, 1, 0, NULL);
		while (net_recv(c, &x, 1, 0, NULL) != 1)
			turn(e);
	}
	show("request and response", ROUND_TRIPS / (cpu_s() - began), "/s of CPU time");
}

static void connections(struct end *e, struct net_sock *l)
{
	double began = cpu_s();
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		struct net_sock *c, *a;
		join(e, l, &c, &a);
		net_abort(c);
		turn(e);
		net_close(a);
		turn(e);
	}
	show("connections", CONNECTIONS / (cpu_s() - began), "/s of CPU time");
}

static void idle(struct end *e, struct net_sock *l)
{
	uint64_t before = e[0].bytes + e[1].bytes;
	for (unsigned i = 0; i < IDLE; i++) {
		struct net_sock *c, *a;
		join(e, l, &c, &a);
	}
	show("idle connection, each end", (double)(e[0].bytes + e[1].bytes - before) / IDLE / 2,
	     "bytes");
}

static bool asked(char **argv, const char *load)
{
	bool any = false;
	for (char **a = argv + 1; *a; a++) {
		if (strcmp(*a, load) == 0)
			return true;
		any |= strcmp(*a, "plain") != 0;
	}
	return !any;
}

int main(int argc, char **argv)
{
	struct end e[2] = {0};
	struct net_sock *c, *a;
	steady_malloc();
	bool plain = argc > 1 && strcmp(argv[1], "plain") == 0;
	for (unsigned i = 0; i < 2; i++)
		make(e, i, plain ? 0 : NET_IF_CSUM_TX | NET_IF_TSO4);
	struct net_sock *l = listener(e);
	join(e, l, &c, &a);
	printf("this stack, %s\n", plain ? "no offloads" : "checksum and segmentation offloads");
	if (asked(argv, "bulk"))
		bulk(e, c, a);
	(void)net_set(c, NET_TCP_NODELAY, 1);
	if (asked(argv, "pingpong"))
		round_trips(e, c, a);
	if (asked(argv, "connections"))
		connections(e, l);
	if (asked(argv, "idle"))
		idle(e, l);
	net_stack_destroy(e[0].st);
	net_stack_destroy(e[1].st);
	return 0;
}
