/*
 * The kernel's network: two stacks with a card each in one hosted kernel, the cards on one cable.
 * One has the HTTP server, the other's shell talks to it. Whatever was allocated must come back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gk_policy.h"
#include "gk_vdev.h"
#include "guest-kernel/net/socket.h"
#include "guest-kernel/services/httpd.h"
#include "guest-kernel/services/netcmd.h"

#define F_CSUM     (1u << 0 | 1u << 1)
#define F_TSO      (1u << 7 | 1u << 8 | 1u << 11 | 1u << 12)
#define F_PLAIN    (1u << 5 | 1u << 16)
#define F_MERGE    (1u << 15)
#define F_MQ       (1u << 17 | 1u << 22)
#define PAIRS_OF   4u /* pairs of queues of a card with F_MQ */
#define RX_BYTES   (4096u - (uint32_t)sizeof(struct net_buf))
#define FRAME_MAX  70000u
#define OUTPUT_MAX 65536u

static struct vdev cards[2];
static unsigned lose_every, frames, lost; /* each so-many'th frame */
static unsigned pairs_told[2], used_queues;
static uint8_t mq_ack;
static char output[OUTPUT_MAX];
static size_t output_len;

/* One card's frame is the other's, in as many buffers as it takes. */
static void deliver(struct vdev *to, unsigned queue, uint8_t *frame, uint32_t len)
{
	bool merges = to->driver_features & F_MERGE;
	uint16_t count = (uint16_t)((len + RX_BYTES - 1) / RX_BYTES);
	if (to->queue[queue].ready == 0)
		return;
	used_queues |= 1u << queue;
	memcpy(frame + 10, &count, 2);
	ck_assert(merges || count == 1);
	for (uint32_t at = 0; at < len; at += RX_BYTES) {
		if (!vdev_push(to, queue, frame + at, len - at < RX_BYTES ? len - at : RX_BYTES))
			lost++;
	}
}

/* VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET is all that there is (virtio 1.2, 5.1.6.5.5). */
static uint32_t control(struct vdev *v, const struct vdev_seg *segs, unsigned count)
{
	ck_assert_uint_eq(count, 3);
	ck_assert(segs[0].len == 2 && segs[0].data[0] == 4 && segs[0].data[1] == 0);
	ck_assert(segs[1].len == 2 && !segs[1].writable);
	ck_assert(segs[2].len == 1 && segs[2].writable);
	pairs_told[v == &cards[1]] = segs[1].data[0] + 256u * segs[1].data[1];
	segs[2].data[0] = mq_ack;
	return 1;
}

/* A flow comes in by the pair that it is sent by, as a TAP does it. */
static uint32_t cable(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count)
{
	static uint8_t frame[FRAME_MAX];
	uint32_t len = 0;
	if (queue == 2 * PAIRS_OF)
		return control(v, segs, count);
	if (queue % 2 == 0)
		return UINT32_MAX;
	ck_assert(queue == 1 || mq_ack == 0);
	for (unsigned i = 0; i < count; i++) {
		ck_assert_uint_le(segs[i].len, sizeof(frame) - len);
		memcpy(frame + len, segs[i].data, segs[i].len);
		len += segs[i].len;
	}
	if (lose_every && ++frames % lose_every == 0)
		return 0;
	deliver(v == &cards[0] ? &cards[1] : &cards[0], queue - 1, frame, len);
	return 0;
}

/* ---- two ends ---- */

struct ends {
	struct system sys[2];
	struct httpd httpd;
	struct shell shell;
	uint64_t in_use; /* blocks of memory, before there was a network */
	bool secure;     /* the built-in policy is in force */
};

static void to_output(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	size_t room = OUTPUT_MAX - 1 - output_len;
	len = len < room ? len : room;
	memcpy(output + output_len, text, len);
	output_len += len;
	output[output_len] = '\0';
}

static void give_address(struct netd *n, const char *text)
{
	struct net_addr a;
	ck_assert_int_eq(net_addr_parse(text, &a), 0);
	netd_enter(n);
	ck_assert_int_eq(net_if_add_addr(n->ports[0].nif, &a, 24), 0);
	netd_leave(n);
}

static void start_http(void *arg)
{
	struct ends *e = arg;
	const char *why = NULL;
	ck_assert_msg(httpd_start(&e->httpd, &e->sys[0], 80, &why), "%s", why);
}

static struct ends *begin_with(bool secure)
{
	static const char *const addrs[] = {"10.7.0.1", "10.7.0.2"};
	static struct ends e; /* the cards' interrupts stay connected */
	const char *why = NULL;
	memset(&e, 0, sizeof(e));
	e.secure = secure;
	kernel_of_cpu()->console = to_output;
	for (unsigned i = 0; i < 2; i++) {
		struct system *s = &e.sys[i];
		s->kernel = kernel_of_cpu();
		if (i == 0) {
			devices_find(&s->devices, s->kernel->boot);
			e.in_use = memory_in_use(&s->kernel->memory);
			ck_assert(!secure || security_start(s->kernel, &why));
		}
		ck_assert(netd_start(&s->net, s->kernel, &e.sys[0].devices.entropy,
		                     &e.sys[0].devices.nics[i], 1, &why));
		s->net_up = true;
	}
	task_sleep(10 * NS_PER_MS);
	for (unsigned i = 0; i < 2; i++)
		give_address(&e.sys[i].net, addrs[i]);
	struct task *t = sec_service_start("http", PRIO_DEFAULT, start_http, &e);
	ck_assert_ptr_nonnull(t);
	task_join(t);
	e.sys[0].httpd = &e.httpd;
	shell_init(&e.shell, &e.sys[1]);
	task_sleep(3 * NS_PER_S); /* duplicate address detection */
	return &e;
}

static struct ends *begin(void)
{
	return begin_with(false);
}

static void end(struct ends *e)
{
	httpd_stop(&e->httpd);
	for (unsigned i = 0; i < 2; i++)
		ck_assert(netd_stop(&e->sys[i].net));
	if (e->secure)
		security_stop(e->sys[0].kernel);
	/* A task that has ended is freed a little later. */
	const struct memory *m = &e->sys[0].kernel->memory;
	for (unsigned i = 0; i < 1000 && memory_in_use(m) != e->in_use; i++)
		task_sleep(NS_PER_MS);
	ck_assert_uint_eq(memory_in_use(m), e->in_use);
}

static void say(struct ends *e, const char *command)
{
	output_len = 0;
	output[0] = '\0';
	shell_script(&e->shell, command);
}

static void expect(const char *text)
{
	ck_assert_msg(strstr(output, text) != NULL, "no '%s' in:\n%s", text, output);
}

/* ---- what is tried ---- */

static void shell_body(void *arg)
{
	static struct shell server;
	(void)arg;
	struct ends *e = begin();
	say(e, "ping 10.7.0.1 2");
	expect("64 bytes from 10.7.0.1");
	expect("2 sent, 2 received");
	say(e, "fetch http://10.7.0.1/metrics");
	expect("HTTP/1.1 200 OK");
	expect("\ngk_cpus 1\n");
	say(e, "fetch http://10.7.0.1:80/nothing");
	expect("HTTP/1.1 404 Not Found");
	say(e, "tcpinfo");
	expect("cubic cwnd");
	ck_assert_uint_eq(e->shell.failures, 0);
	say(e, "fetch http://10.7.0.1:81/");
	expect("10.7.0.1: connection refused");
	say(e, "ping 10.7.0.99 1");
	expect("1 sent, 0 received");
	say(e, "nslookup host.example");
	expect("host.example: no route there");
	ck_assert_uint_eq(e->shell.failures, 3);
	say(e, "netstat");
	expect("tcp: ");
	/* The server closed first. */
	shell_init(&server, &e->sys[0]);
	output_len = 0;
	shell_script(&server, "netstat");
	expect("LISTEN");
	expect("TIME-WAIT");
	say(e, "net");
	expect("10.7.0.2/24");
	say(e, "ping; fetch ftp://x; nettest run 5; capture save; tcpinfo 3");
	expect("usage: ping HOST [COUNT]");
	expect("usage: fetch");
	expect("usage: nettest");
	expect("usage: capture");
	expect("usage: tcpinfo");
	end(e);
}

static void capture_body(void *arg)
{
	(void)arg;
	struct ends *e = begin();
	say(e, "capture on 4; ping 10.7.0.1 1; capture hex");
	/* The file's header, and a frame of type IPv4 to that card. */
	expect("4d3cb2a1020004000000000000000000");
	expect("08004500");
	say(e, "capture");
	expect("not capturing, ");
	ck_assert_uint_ge(e->sys[1].net.capture.frames, 2);
	say(e, "capture on 9999999");
	expect("usage: capture");
	end(e);
}

struct transfer {
	const char *command;
	struct system *sys;
};

static void other_end(void *arg)
{
	struct transfer *t = arg;
	static struct shell shell;
	shell_init(&shell, t->sys);
	shell_script(&shell, t->command);
	ck_assert_uint_eq(shell.failures, 0);
}

static void both(struct ends *e, const char *waits, const char *connects)
{
	struct transfer t = {waits, &e->sys[0]};
	struct task *other = task_start("other end", PRIO_DEFAULT, other_end, &t);
	ck_assert_ptr_nonnull(other);
	task_sleep(10 * NS_PER_MS);
	say(e, connects);
	task_join(other);
	ck_assert_uint_eq(e->shell.failures, 0);
}

static void nettest_body(void *arg)
{
	(void)arg;
	struct ends *e = begin();
	both(e, "nettest sink 5001", "nettest source 10.7.0.1:5001 3M");
	expect("nettest source: 3145728 bytes");
	both(e, "nettest source 5002 1M", "nettest sink 10.7.0.1:5002");
	expect("nettest sink: 1048576 bytes");
	both(e, "nettest echo 5003", "nettest pingpong 10.7.0.1:5003 50");
	expect("nettest pingpong: 50 rounds");
	end(e);
}

static struct ksock *call(struct ends *e)
{
	struct net_endpoint to = {.port = 80};
	struct ksock *s;
	(void)net_addr_parse("10.7.0.1", &to.addr);
	ck_assert_int_eq(ksock_open(&e->sys[1].net, NET_STREAM, &s), 0);
	s->patience_ns = 60 * NS_PER_S;
	ck_assert_int_eq(ksock_connect(s, &to), 0);
	return s;
}

/* A request a byte at a time, one that is no request, a client that says nothing. */
static long ask(struct ends *e, const char *text, size_t piece, char *answer, size_t cap)
{
	struct ksock *s = call(e);
	size_t len = strlen(text), have = 0;
	long r;
	for (size_t at = 0; at < len; at += piece)
		ck_assert_int_gt(
		        ksock_send(s, text + at, len - at < piece ? len - at : piece, NULL), 0);
	while ((r = ksock_recv(s, answer + have, cap - 1 - have, NULL)) > 0)
		have += (size_t)r;
	answer[have] = '\0';
	ksock_close(s);
	return r < 0 ? r : (long)have;
}

static void http_body(void *arg)
{
	static char answer[32768];
	(void)arg;
	struct ends *e = begin();
	ck_assert_int_gt(ask(e, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 1, answer,
	                     sizeof(answer)),
	                 2000);
	ck_assert_ptr_nonnull(strstr(answer, "</html>"));
	ck_assert_ptr_nonnull(strstr(answer, "10.7.0.1/24"));
	ck_assert_int_gt(ask(e, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.0\r\n\r\n", 100,
	                     answer, sizeof(answer)),
	                 100);
	ck_assert_ptr_null(strstr(answer, "</html>"));
	ck_assert_ptr_nonnull(strstr(answer, "404 Not Found"));
	ck_assert_int_gt(ask(e, "\1\2\3\r\n\r\n", 100, answer, sizeof(answer)), 0);
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 400 Bad Request"));
	ck_assert_int_gt(ask(e, "GET / HTTP/1.1\r\nHost:", 100, answer, sizeof(answer)), 0);
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 408 Request Timeout"));
	ck_assert_int_eq(ask(e, "", 1, answer, sizeof(answer)), 0);
	ck_assert_uint_eq(e->httpd.connections, 5);
	end(e);
}

static void expect_status(struct ends *e, const char *status)
{
	static char answer[4096];
	ck_assert_int_gt(ask(e, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 100,
	                     answer, sizeof(answer)),
	                 0);
	ck_assert_msg(strncmp(answer, status, strlen(status)) == 0, "%s", answer);
}

static void hang_up_late(void *arg)
{
	task_sleep(HTTPD_HASTE_NS / 2);
	ksock_close(arg);
}

/* More clients than it serves at once. */
static void room_body(void *arg)
{
	static const char request[] = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
	static char answer[4096];
	struct ksock *s[HTTPD_CONNS];
	(void)arg;
	struct ends *e = begin();

	/* Those that are kept alive leave room for one that is not. */
	for (unsigned i = 0; i < HTTPD_CONNS; i++) {
		s[i] = call(e);
		ck_assert_int_gt(ksock_send(s[i], request, sizeof(request) - 1, NULL), 0);
		long n = ksock_recv(s[i], answer, sizeof(answer) - 1, NULL);
		ck_assert_int_gt(n, 0);
		answer[n] = '\0';
		const char *how =
		        i + 1 < HTTPD_CONNS ? "Connection: keep-alive" : "Connection: close";
		ck_assert_msg(strstr(answer, how), "connection %u: %s", i, answer);
	}
	ck_assert_int_eq(ksock_recv(s[HTTPD_CONNS - 1], answer, sizeof(answer), NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		expect_status(e, "HTTP/1.1 200 ");
	for (unsigned i = 0; i < HTTPD_CONNS; i++)
		ksock_close(s[i]);
	task_sleep(NS_PER_S);

	/* Those that only hold one do not, but who waits is served as soon as one leaves. */
	for (unsigned i = 0; i < HTTPD_CONNS; i++)
		s[i] = call(e);
	expect_status(e, "HTTP/1.1 503 ");
	ck_assert_uint_eq(e->httpd.refused, 1);
	struct task *t = task_start("late", PRIO_DEFAULT, hang_up_late, s[0]);
	ck_assert_ptr_nonnull(t);
	expect_status(e, "HTTP/1.1 200 ");
	task_join(t);
	for (unsigned i = 1; i < HTTPD_CONNS; i++)
		ksock_close(s[i]);
	task_sleep(NS_PER_S);
	expect_status(e, "HTTP/1.1 200 ");
	task_sleep(NS_PER_S);
	ck_assert_uint_eq(e->httpd.refused, 1);
	ck_assert_uint_eq(e->httpd.conns, 0);
	end(e);
}

/* What a closed connection has still to send gets the time that it needs. */
static void settle_body(void *arg)
{
	static char data[60000], got[sizeof(data)];
	struct ends *e = begin();
	struct netd *from = &e->sys[1].net;
	struct net_endpoint here = {.port = 5000}, to = {.port = 5000}, peer;
	struct ksock *listener, *s, *server;
	size_t have = 0;
	long r;
	(void)arg;
	ck_assert(netd_settle(from, 0));
	(void)net_addr_parse("10.7.0.1", &to.addr);
	ck_assert_int_eq(ksock_open(&e->sys[0].net, NET_STREAM, &listener), 0);
	ck_assert_int_eq(ksock_bind(listener, &here), 0);
	ck_assert_int_eq(ksock_listen(listener, 2), 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(ksock_open(from, NET_STREAM, &s), 0);
		ck_assert_int_eq(ksock_connect(s, &to), 0);
		ck_assert_int_eq(ksock_accept(listener, &server, &peer), 0);
		lose_every = i ? 1 : 5; /* the second time the cable is out */
		ck_assert_int_eq(ksock_send(s, data, i ? 1 : sizeof(data), NULL),
		                 i ? 1 : sizeof(data));
		ksock_close(s);
		uint64_t begun = arch_now_ns();
		ck_assert_int_eq(netd_settle(from, begun + 20 * NS_PER_S), i == 0);
		ck_assert(i == 0 || arch_now_ns() - begun >= 20 * NS_PER_S);
		lose_every = 0;
		server->patience_ns = i ? NS_PER_S * 60 : 0; /* all is there already, and the end */
		for (have = 0; (r = ksock_recv(server, got, sizeof(got), NULL)) > 0;)
			have += (size_t)r;
		ck_assert_int_eq(r, 0);
		ck_assert_uint_eq(have, i ? 1 : sizeof(data));
		ksock_close(server);
	}
	ck_assert(netd_settle(from, arch_now_ns() + 60 * NS_PER_S));
	ksock_close(listener);
	end(e);
}

/* ---- the machines ---- */

static unsigned card_pairs = PAIRS_OF;

static void run(task_fn body, uint32_t features, const char *cmdline)
{
	memset(pairs_told, 0, sizeof(pairs_told));
	used_queues = 0;
	struct hosted_device windows[2];
	for (unsigned i = 0; i < 2; i++) {
		cards[i] = (struct vdev){
		        .id = VIRTIO_ID_NET,
		        .features =
		                F_PLAIN | features | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC,
		        .config = {2, 0, 0, 0, 0, (uint8_t)(i + 1), 1, 0, (uint8_t)card_pairs},
		        .answer = cable,
		};
		windows[i] = vdev_window(&cards[i], i);
	}
	struct hosted_opts opts = {
	        .virtual_clock = true,
	        .cmdline = cmdline,
	        .devices = windows,
	        .device_count = 2,
	};
	ck_assert_int_eq(hosted_run(&opts, body, cards), HOSTED_POWER_OFF);
}

/* ---- Prometheus' text format 0.0.4 ---- */

static const char *skip_name(const char *p)
{
	while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' || *p == ':' ||
	       (*p >= '0' && *p <= '9'))
		p++;
	return p;
}

/* NAME[{LABEL="VALUE"}] NUMBER, where NAME is what the TYPE line before it was of. */
static void check_sample(const char *line, const char *end, const char *type_name)
{
	const char *p = skip_name(line);
	size_t n = (size_t)(p - line);
	char *number_end;
	ck_assert_uint_gt(n, 0);
	ck_assert(strlen(type_name) == n && memcmp(line, type_name, n) == 0);
	if (*p == '{') {
		const char *label = ++p;
		p = skip_name(p);
		ck_assert(p > label && p[0] == '=' && p[1] == '"');
		p += 2;
		while (p < end && *p != '"' && *p != '\\')
			p++;
		ck_assert(p[0] == '"' && p[1] == '}');
		p += 2;
	}
	ck_assert_int_eq(*p, ' ');
	(void)strtod(p + 1, &number_end);
	ck_assert_ptr_eq(number_end, end);
	ck_assert(number_end > p + 1);
}

static unsigned check_metrics(const char *text)
{
	char name[64] = "";
	unsigned samples = 0;
	while (*text) {
		char kind[16], help[64] = "";
		const char *end = strchr(text, '\n');
		ck_assert_ptr_nonnull(end); /* the last line ends too */
		if (sscanf(text, "# HELP %63s", help) == 1) {
			ck_assert_str_ne(help, name); /* all of a name stand together */
		} else if (sscanf(text, "# TYPE %63s %15s", name, kind) == 2) {
			bool counter = strcmp(kind, "counter") == 0;
			const char *total = strstr(name, "_total");
			ck_assert(counter || strcmp(kind, "gauge") == 0);
			ck_assert_int_eq(counter, total && total[6] == '\0');
		} else {
			check_sample(text, end, name);
			samples++;
		}
		text = end + 1;
	}
	return samples;
}

static void metrics_body(void *arg)
{
	static char page[HTTPD_PAGE_BYTES];
	(void)arg;
	struct ends *e = begin();
	size_t n = page_metrics(&e->sys[0], page, sizeof(page));
	ck_assert_uint_lt(n, sizeof(page) - 1);
	page[n] = '\0';
	ck_assert_uint_ge(check_metrics(page), 28);
	ck_assert_ptr_nonnull(strstr(page, "\ngk_random_blocks_total "));
	ck_assert_ptr_nonnull(strstr(page, "\ngk_input_lost_total 0\n"));
	end(e);
}

START_TEST(metrics_are_well_formed)
{
	lose_every = 0;
	run(metrics_body, 0, "gk.ip=off");
}
END_TEST

/* ---- a card that says nonsense of its frames ---- */

static void nonsense_body(void *arg)
{
	static const struct {
		uint16_t buffers;
		uint32_t len;
	} frames_of[] = {
	        {0, 100},                           /* no buffer at all */
	        {20, 100},                          /* more than a packet has room for */
	        {65535, 100}, {1, 5}, {1, 12 + 13}, /* no Ethernet header */
	        {3, 100},                           /* buffers that do not follow */
	};
	uint8_t frame[100];
	(void)arg;
	struct ends *e = begin();
	struct nic *nic = e->sys[1].net.ports[0].nic;
	ck_assert(nic->merges);
	for (unsigned i = 0; i < sizeof(frames_of) / sizeof(frames_of[0]); i++) {
		memset(frame, 0xff, sizeof(frame));
		memcpy(frame + 10, &frames_of[i].buffers, 2);
		ck_assert(vdev_push(&cards[1], 0, frame, frames_of[i].len));
		task_sleep(NS_PER_MS);
		ck_assert_uint_eq(nic->bad, i + 1);
	}
	/* Flags, segment kind and checksum offsets that make no sense change nothing else. */
	memcpy(frame + 10, &(uint16_t){1}, 2);
	ck_assert(vdev_push(&cards[1], 0, frame, sizeof(frame)));
	say(e, "ping 10.7.0.1 1; fetch http://10.7.0.1/metrics");
	expect("1 sent, 1 received");
	expect("200 OK");
	end(e);
}

START_TEST(a_card_says_nonsense)
{
	lose_every = 0;
	run(nonsense_body, F_MERGE | F_CSUM | F_TSO, "gk.ip=off");
}
END_TEST

/* ---- several CPUs ---- */

#define PAIRS 4u
#define MIB   (1u << 20)

struct pair {
	struct netd *net;
	unsigned port;
};

static void take_all(void *arg)
{
	const struct pair *p = arg;
	struct net_endpoint here = {.port = (uint16_t)p->port}, peer;
	struct ksock *l, *s;
	long n, total = 0;
	ck_assert_int_eq(ksock_open(p->net, NET_STREAM, &l), 0);
	ck_assert_int_eq(ksock_bind(l, &here), 0);
	ck_assert_int_eq(ksock_listen(l, 1), 0);
	ck_assert_int_eq(ksock_accept(l, &s, &peer), 0);
	while ((n = ksock_skip(s, MIB)) > 0)
		total += n;
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(total, 2 * MIB);
	ksock_close(s);
	ksock_close(l);
}

static void give_all(void *arg)
{
	const struct pair *p = arg;
	struct net_endpoint to = {.port = (uint16_t)p->port};
	struct ksock *s;
	uint8_t *data = mem_alloc(MIB);
	int err;
	ck_assert_int_eq(net_addr_parse("127.0.0.1", &to.addr), 0);
	do { /* until somebody listens */
		task_sleep(NS_PER_MS);
		ck_assert_int_eq(ksock_open(p->net, NET_STREAM, &s), 0);
		err = ksock_connect(s, &to);
		if (err)
			ksock_close(s);
	} while (err == -NET_ECONNREFUSED);
	ck_assert_int_eq(err, 0);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(ksock_send(s, data, MIB, NULL), MIB);
	mem_free(data);
	ksock_close(s);
}

static void smp_body(void *arg)
{
	static struct netd net;
	static struct entropy entropy;
	struct pair pairs[PAIRS];
	struct task *tasks[2 * PAIRS];
	const char *why;
	(void)arg;
	entropy_init(&entropy);
	ck_assert(netd_start(&net, kernel_of_cpu(), &entropy, NULL, 0, &why));
	for (unsigned i = 0; i < PAIRS; i++) {
		pairs[i] = (struct pair){&net, 7000 + i};
		tasks[2 * i] = task_start("taker", PRIO_DEFAULT, take_all, &pairs[i]);
		tasks[2 * i + 1] = task_start("giver", PRIO_DEFAULT, give_all, &pairs[i]);
	}
	for (unsigned i = 0; i < 2 * PAIRS; i++) {
		ck_assert_ptr_nonnull(tasks[i]);
		task_join(tasks[i]);
	}
	ck_assert(netd_stop(&net));
}

START_TEST(several_cpus_use_one_stack)
{
	rig_run_smp(4, smp_body, NULL);
}
END_TEST

/* ---- policy hooks ---- */

static bool only_tcp(void *ctx, enum net_sock_type type, void **label)
{
	*label = ctx;
	return type == NET_STREAM;
}

static enum net_say not_port_7(void *ctx, enum net_op op, void *label,
                               const struct net_endpoint *local, const struct net_endpoint *remote)
{
	(void)local;
	ck_assert_ptr_eq(label, ctx);
	return op != NET_OP_CONNECT || remote->port != 7 ? NET_YES : NET_NO;
}

static void hooks_body(void *arg)
{
	struct net_hooks hooks = {arg, only_tcp, not_port_7, NULL};
	struct ends *e = begin();
	e->sys[1].net.hooks = &hooks;
	say(e, "ping 10.7.0.1 1; fetch http://10.7.0.1:7/");
	expect("ping: the policy does not allow it");
	expect("10.7.0.1: the policy does not allow it");
	say(e, "fetch http://10.7.0.1/metrics");
	expect("200 OK");
	end(e);
}

/* ---- the policy on the cards ---- */

struct words {
	struct ends *ends;
	const char *text;
};

static void be_shell(void *arg)
{
	const struct words *c = arg;
	say(c->ends, c->text);
}

static void say_as_shell(struct ends *e, const char *text)
{
	struct words c = {e, text};
	struct task *t = sec_service_start("shell", PRIO_DEFAULT, be_shell, &c);
	ck_assert_ptr_nonnull(t);
	task_join(t);
}

static void interface_body(void *arg)
{
	static const struct {
		const char *lines, *record;
	} denials[] = {
	        {"net netif:net0 netif.egress deny\n", "denied  { egress }"},
	        {"net netif:net0 ingress deny\n", "denied  { ingress }"},
	};
	(void)arg;
	struct ends *e = begin_with(true);
	const struct port *p = &e->sys[1].net.ports[0];
	for (unsigned i = 0; i < 2; i++) {
		uint64_t first = rig_records(), dropped = p->tx_dropped + p->nic->dropped;
		say_as_shell(e, "ping 10.7.0.1 1");
		expect("1 sent, 1 received");
		ck_assert(!rig_recorded(first, "tclass=netif"));
		ck_assert_uint_eq(p->tx_dropped + p->nic->dropped, dropped);
		uint64_t sent = p->nic->sent;
		rig_policy(denials[i].lines);
		say_as_shell(e, "ping 10.7.0.1 1");
		expect("0 received");
		ck_assert(rig_recorded(first, denials[i].record));
		ck_assert(rig_recorded(first, "name=\"netif:net0\""));
		ck_assert_uint_eq(i == 0 && p->nic->sent != sent, false);
		ck_assert_uint_gt(p->tx_dropped + e->sys[0].net.ports[0].nic->dropped, dropped);
		rig_policy("");
	}
	say_as_shell(e, "ping 10.7.0.1 1");
	expect("1 sent, 1 received");
	end(e);
}

START_TEST(an_interface_that_the_policy_denies)
{
	lose_every = 0;
	run(interface_body, 0, "gk.ip=off");
}
END_TEST

static void pages_body(void *arg)
{
	uint64_t first;
	(void)arg;
	struct ends *e = begin_with(true);
	say_as_shell(e, "fetch http://10.7.0.1/metrics");
	expect("HTTP/1.1 200 OK");
	first = rig_records();
	say_as_shell(e, "fetch http://10.7.0.1/admin");
	expect("HTTP/1.1 403 Forbidden");
	ck_assert(rig_recorded(first, "denied  { get } for"));
	ck_assert(rig_recorded(first, "name=\"path:/admin\""));
	rig_policy("http path:/metrics get deny\nshell command:mem run deny\n");
	first = rig_records();
	say_as_shell(e, "fetch http://10.7.0.1/metrics");
	expect("HTTP/1.1 403 Forbidden");
	ck_assert(rig_recorded(first, "tclass=http_resource permissive=0"));
	say_as_shell(e, "mem");
	expect("mem: denied by the policy");
	ck_assert(rig_recorded(first, "denied  { run } for"));
	ck_assert(rig_recorded(first, "name=\"command:mem\""));
	end(e);
}

START_TEST(pages_and_commands_that_the_policy_denies)
{
	lose_every = 0;
	run(pages_body, 0, "gk.ip=off");
}
END_TEST

static const uint32_t kinds[] = {0, F_CSUM, F_MERGE | F_CSUM, F_MERGE | F_CSUM | F_TSO};

START_TEST(the_shell_reaches_the_other_end)
{
	lose_every = 0;
	run(shell_body, kinds[_i], "gk.ip=off");
}
END_TEST

START_TEST(bytes_go_both_ways)
{
	lose_every = 0;
	run(nettest_body, kinds[_i], "gk.ip=off");
}
END_TEST

START_TEST(bytes_go_both_ways_on_a_bad_cable)
{
	lose_every = 37;
	run(nettest_body, kinds[_i], "gk.ip=off");
}
END_TEST

/* A flow's queue hangs on its ports, which are drawn: now and then all of a run share the first. */
START_TEST(flows_go_by_several_queues)
{
	uint32_t used = 0;
	lose_every = 0;
	for (unsigned i = 0; i < 20 && !(used & 0x54u); i++) {
		run(nettest_body, F_MQ | F_MERGE | F_CSUM | F_TSO, "gk.ip=off");
		ck_assert_uint_eq(pairs_told[0], PAIRS_OF);
		ck_assert_uint_eq(pairs_told[1], PAIRS_OF);
		ck_assert_uint_eq(used_queues & ~0x55u, 0);
		used |= used_queues;
	}
	ck_assert_uint_ne(used & 0x54u, 0);
}
END_TEST

/* A device that does not do as it offered, or has more queues than are looked after: one pair. */
START_TEST(one_pair_of_queues_is_enough)
{
	lose_every = 0;
	mq_ack = 1;
	run(nettest_body, F_MQ | F_MERGE | F_CSUM | F_TSO, "gk.ip=off");
	ck_assert_uint_eq(pairs_told[1], PAIRS_OF);
	ck_assert_uint_eq(used_queues, 1);
	for (card_pairs = 0; card_pairs < 200; card_pairs += card_pairs ? 198 : 1) {
		run(nettest_body, F_MQ | F_MERGE | F_CSUM | F_TSO, "gk.ip=off");
		ck_assert_uint_eq(pairs_told[1], 0);
		ck_assert_uint_eq(cards[1].driver_features & F_MQ, 0);
		ck_assert_uint_eq(used_queues, 1);
	}
}
END_TEST

START_TEST(packets_are_captured)
{
	lose_every = 0;
	run(capture_body, 0, "gk.ip=off");
}
END_TEST

START_TEST(the_server_answers_anything)
{
	lose_every = 0;
	run(http_body, F_MERGE | F_CSUM | F_TSO, "gk.ip=off");
}
END_TEST

START_TEST(the_server_has_room_for_the_next)
{
	lose_every = 0;
	run(room_body, F_MERGE | F_CSUM | F_TSO, "gk.ip=off");
}
END_TEST

START_TEST(what_is_closed_settles)
{
	lose_every = 0;
	run(settle_body, F_MERGE | F_CSUM | F_TSO, "gk.ip=off");
}
END_TEST

START_TEST(hooks_decide)
{
	lose_every = 0;
	run(hooks_body, 0, "gk.ip=off");
}
END_TEST

/* ---- addresses ---- */

static void setup_body(void *arg)
{
	static struct devices devices;
	static struct netd net;
	const char *why;
	struct net_addr a;
	char text[46];
	(void)arg;
	output_len = 0;
	kernel_of_cpu()->console = to_output;
	devices_find(&devices, kernel_of_cpu()->boot);
	ck_assert(netd_start(&net, kernel_of_cpu(), &devices.entropy, devices.nics, 1, &why));
	ck_assert(netd_wait_ready(&net, arch_now_ns() + 120 * NS_PER_S));
	ck_assert(netd_address(&net, &a));
	(void)net_addr_format(&a, text);
	to_output(NULL, text, strlen(text));
	ck_assert(netd_stop(&net));
}

START_TEST(addresses_are_as_told)
{
	run(setup_body, 0, "gk.ip=10.7.0.9/24,gw=10.7.0.1,dns=10.7.0.3");
	expect("net0: 10.7.0.9/24 as told, gateway 10.7.0.1, name server 10.7.0.3\n10.7.0.9");
}
END_TEST

START_TEST(silence_of_dhcp_is_said)
{
	run(setup_body, 0, "");
	expect("net0: no answer from DHCP; using 169.254.");
}
END_TEST

START_TEST(a_wrong_address_is_named)
{
	run(setup_body, 0, "gk.ip=10.7.0.9");
	expect("gk.ip is '10.7.0.9'; it must be dhcp, off, or ADDRESS/PREFIX");
	expect("169.254.");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("net");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, the_shell_reaches_the_other_end, 0, 4);
	tcase_add_loop_test(tc, bytes_go_both_ways, 0, 4);
	tcase_add_loop_test(tc, bytes_go_both_ways_on_a_bad_cable, 3, 4);
	tcase_add_test(tc, flows_go_by_several_queues);
	tcase_add_test(tc, one_pair_of_queues_is_enough);
	tcase_add_test(tc, packets_are_captured);
	tcase_add_test(tc, the_server_answers_anything);
	tcase_add_test(tc, the_server_has_room_for_the_next);
	tcase_add_test(tc, what_is_closed_settles);
	tcase_add_test(tc, metrics_are_well_formed);
	tcase_add_test(tc, a_card_says_nonsense);
	tcase_add_test(tc, an_interface_that_the_policy_denies);
	tcase_add_test(tc, pages_and_commands_that_the_policy_denies);
	tcase_add_test(tc, several_cpus_use_one_stack);
	tcase_add_test(tc, hooks_decide);
	tcase_add_test(tc, addresses_are_as_told);
	tcase_add_test(tc, silence_of_dhcp_is_said);
	tcase_add_test(tc, a_wrong_address_is_named);
	return suite_run("gk_net", tc);
}
