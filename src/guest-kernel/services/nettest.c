/*
 * fetch, and nettest: bytes over TCP at full speed.
 *
 *   nettest source|sink|echo|pingpong WHERE [BYTES]
 *
 * WHERE is PORT, to wait for one connection, or HOST:PORT, to make it. A source sends BYTES (16M)
 * and closes; a sink takes all there is; an echo sends back what comes; a ping-pong sends a byte
 * and waits for one, BYTES (1000) times.
 */
#include <string.h>

#include "guest-kernel/core/cmdline.h"
#include "guest-kernel/net/socket.h"
#include "guest-kernel/services/netcmd.h"

#define READY_NS    (15 * NS_PER_S)
#define PATIENCE_NS (30 * NS_PER_S)
#define CHUNK       65536u
#define FETCH_SHOWN 4096u

static bool fail(struct shell *sh, const char *what, long err)
{
	shell_print(sh, "%s: %s\n", what, net_error_text(err));
	sh->failures++;
	return true;
}

/* For the tcpinfo command; then S is closed. */
static void finish(struct shell *sh, struct ksock *s)
{
	netd_enter(s->net);
	sh->has_tcp_info = net_tcp_info(s->sock, &sh->tcp_info) == 0;
	netd_leave(s->net);
	ksock_close(s);
}

/* A connection to NAME; NULL: it has been said what is wrong. */
static struct ksock *connect_to(struct shell *sh, const char *name, unsigned port)
{
	struct netd *n = &sh->sys->net;
	struct net_endpoint to = {.port = (uint16_t)port};
	struct ksock *s = NULL;
	(void)netd_wait_ready(n, arch_now_ns() + READY_NS);
	int err = resolve(n, name, &to.addr);
	if (!err)
		err = ksock_open(n, NET_STREAM, &s);
	if (!err) {
		s->patience_ns = PATIENCE_NS;
		err = ksock_connect(s, &to);
	}
	if (!err)
		return s;
	ksock_close(s);
	(void)fail(sh, name, err);
	return NULL;
}

/* Splits "HOST:PORT" or "[HOST]:PORT" in place; false: there is no port in it. */
static bool split_port(char *text, char **host, uint64_t *port)
{
	char *colon = strrchr(text, ':');
	size_t len = colon ? strlen(colon + 1) : 0;
	if (len == 0 || parse_number(colon + 1, len, port) != len || *port == 0 || *port > 65535)
		return false;
	*colon = '\0';
	*host = text;
	if (text[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		*host = text + 1;
	}
	return true;
}

/* ---- fetch ---- */

struct url {
	char *host;
	uint64_t port;
	const char *path;
	char host_field[80];
};

/* http://HOST[:PORT][/PATH], in place. */
static bool parse_url(char *text, struct url *u)
{
	if (strncmp(text, "http://", 7) != 0)
		return false;
	text += 7;
	char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	if (len == 0 || len >= sizeof(u->host_field))
		return false;
	u->path = slash ? slash : "/";
	memcpy(u->host_field, text, len);
	u->host_field[len] = '\0';
	/* What comes before the slash moves down, so that there is room for a NUL. */
	memmove(text - 1, text, len);
	text[len - 1] = '\0';
	text--;
	u->port = 80;
	u->host = text;
	bool literal = text[0] == '[';
	const char *end = literal ? strchr(text, ']') : text;
	if (end && strchr(end, ':'))
		return split_port(text, &u->host, &u->port);
	if (literal && text[len - 1] == ']') {
		text[len - 1] = '\0';
		u->host = text + 1;
	}
	return true;
}

/* Printable text as it is; all else as dots, so that a page cannot play with the terminal. */
static void show(struct shell *sh, char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t')
			text[i] = text[i] == '\r' ? ' ' : '.';
		else if ((unsigned char)text[i] >= 0x7f)
			text[i] = '.';
	}
	kernel_console_write(sh->sys->kernel, text, len);
}

static void fetch_from(struct shell *sh, struct ksock *s, const struct url *u)
{
	char text[512];
	uint64_t total = 0, began = arch_now_ns();
	size_t n = fmt(text, sizeof(text),
	               "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: guest-kernel/" GK_VERSION
	               "\r\nConnection: close\r\n\r\n",
	               u->path, u->host_field);
	if (n >= sizeof(text)) {
		shell_print(sh, "the URL is too long\n");
		sh->failures++;
		return;
	}
	long r = ksock_send(s, text, n, NULL);
	while (r >= 0 && (r = ksock_recv(s, text, sizeof(text), NULL)) > 0) {
		if (total < FETCH_SHOWN)
			show(sh, text, (size_t)r);
		total += (uint64_t)r;
	}
	if (r < 0)
		(void)fail(sh, u->host, r);
	shell_print(sh, "\n%lu bytes in %lu ms%s\n", (unsigned long)total,
	            (unsigned long)((arch_now_ns() - began) / NS_PER_MS),
	            total > FETCH_SHOWN ? ", of which the first are shown" : "");
}

bool cmd_fetch(struct shell *sh, unsigned argc, char **argv)
{
	struct url u;
	if (argc != 2 || !parse_url(argv[1], &u))
		return false;
	struct ksock *s = connect_to(sh, u.host, (unsigned)u.port);
	if (s) {
		fetch_from(sh, s, &u);
		finish(sh, s);
	}
	return true;
}

/* ---- nettest ---- */

static struct ksock *accept_on(struct shell *sh, unsigned port)
{
	struct net_endpoint here = {.port = (uint16_t)port}, peer;
	struct ksock *l = NULL, *s = NULL;
	int err = ksock_open(&sh->sys->net, NET_STREAM, &l);
	if (!err)
		err = ksock_bind(l, &here);
	if (!err)
		err = ksock_listen(l, 1);
	if (!err) {
		shell_print(sh, "nettest: waiting on port %u\n", port);
		l->patience_ns = 2 * PATIENCE_NS;
		err = ksock_accept(l, &s, &peer);
	}
	ksock_close(l);
	if (err)
		(void)fail(sh, "nettest", err);
	return err ? NULL : s;
}

/* The same buffer again and again, by reference: nothing is copied. */
static long run_source(struct ksock *s, uint64_t bytes)
{
	struct netd *n = s->net;
	netd_enter(n);
	struct net_buf *b = net_buf_alloc(n->stack, CHUNK);
	netd_leave(n);
	if (!b)
		return -NET_ENOMEM;
	for (unsigned i = 0; i < CHUNK; i++)
		b->data[i] = (uint8_t)(i * 7 + (i >> 8) + 1);
	uint64_t left = bytes;
	long r = 0;
	while (left > 0 && r >= 0) {
		r = ksock_send_buf(s, b, left < CHUNK ? (uint32_t)left : CHUNK);
		left -= r > 0 ? (uint64_t)r : 0;
	}
	netd_enter(n);
	net_buf_unref(n->stack, b);
	netd_leave(n);
	if (r >= 0)
		r = ksock_shutdown(s, NET_SHUT_WR);
	/* All of it is there when the peer has closed too. */
	while (r >= 0 && (r = ksock_skip(s, CHUNK)) > 0)
		;
	return r < 0 ? r : (long)bytes;
}

static long run_sink(struct ksock *s)
{
	uint64_t total = 0;
	long r;
	while ((r = ksock_skip(s, 16 * CHUNK)) > 0)
		total += (uint64_t)r;
	return r < 0 ? r : (long)total;
}

static long run_echo(struct ksock *s)
{
	uint8_t *data = mem_alloc(CHUNK);
	long total = 0, r = data ? 1 : -NET_ENOMEM;
	while (r > 0 && (r = ksock_recv(s, data, CHUNK, NULL)) > 0) {
		total += r;
		r = ksock_send(s, data, (size_t)r, NULL);
	}
	mem_free(data);
	return r < 0 ? r : total;
}

static long run_pingpong(struct ksock *s, uint64_t rounds)
{
	char c = 'p';
	long r = 1;
	netd_enter(s->net);
	(void)net_set(s->sock, NET_TCP_NODELAY, 1);
	netd_leave(s->net);
	for (uint64_t i = 0; i < rounds && r > 0; i++) {
		r = ksock_send(s, &c, 1, NULL);
		if (r > 0)
			r = ksock_recv(s, &c, 1, NULL);
	}
	return r > 0 ? (long)rounds : r == 0 ? -NET_ECONNRESET : r;
}

enum test { SOURCE, SINK, ECHO, PINGPONG, TESTS };
static const char *const test_names[TESTS] = {"source", "sink", "echo", "pingpong"};

static long run_test(struct ksock *s, enum test t, uint64_t bytes)
{
	switch (t) {
	case SOURCE:
		return run_source(s, bytes);
	case SINK:
		return run_sink(s);
	case ECHO:
		return run_echo(s);
	default:
		return run_pingpong(s, bytes);
	}
}

static void report(struct shell *sh, enum test t, uint64_t count, uint64_t ns)
{
	unsigned long us = (unsigned long)(ns / NS_PER_US);
	if (t == PINGPONG)
		shell_print(sh, "nettest pingpong: %lu rounds, %lu us, %lu ns a round\n",
		            (unsigned long)count, us, count ? (unsigned long)(ns / count) : 0);
	else
		shell_print(sh, "nettest %s: %lu bytes, %lu us, %lu KiB/s\n", test_names[t],
		            (unsigned long)count, us,
		            us ? (unsigned long)(count * 1000 / us * 1000 / 1024) : 0);
}

bool cmd_nettest(struct shell *sh, unsigned argc, char **argv)
{
	enum test t = SOURCE;
	uint64_t port, bytes;
	char *host = NULL;
	while (argc >= 3 && t < TESTS && strcmp(argv[1], test_names[t]) != 0)
		t++;
	if (argc < 3 || argc > 4 || t == TESTS)
		return false;
	bytes = t == PINGPONG ? 1000 : 16u << 20;
	if (argc == 4 && (parse_size(argv[3], strlen(argv[3]), &bytes) != strlen(argv[3]) ||
	                  bytes == 0 || bytes > 1ull << 40))
		return false;
	size_t len = strlen(argv[2]);
	bool waits = parse_number(argv[2], len, &port) == len && port > 0 && port <= 65535;
	if (!waits && !split_port(argv[2], &host, &port))
		return false;
	struct ksock *s =
	        waits ? accept_on(sh, (unsigned)port) : connect_to(sh, host, (unsigned)port);
	if (!s)
		return true;
	s->patience_ns = PATIENCE_NS;
	uint64_t began = arch_now_ns();
	long r = run_test(s, t, bytes);
	uint64_t took = arch_now_ns() - began;
	finish(sh, s);
	if (r < 0)
		return fail(sh, "nettest", r);
	report(sh, t, (uint64_t)r, took);
	return true;
}
