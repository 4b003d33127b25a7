/*
 * An iperf3 server: a control connection that carries one byte of state at a time and two JSON
 * texts, and as many data connections as the client asks for, each begun by the test's cookie.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap_host.h"

#define PORT        5201
#define COOKIE      37
#define STREAMS_MAX 64

enum state {
	TEST_START = 1,
	TEST_RUNNING = 2,
	TEST_END = 4,
	PARAM_EXCHANGE = 9,
	CREATE_STREAMS = 10,
	EXCHANGE_RESULTS = 13,
	DISPLAY_RESULTS = 14,
	IPERF_DONE = 16,
};

struct iperf3 {
	struct host *h;
	struct net_sock *control;
	struct net_sock *stream[STREAMS_MAX];
	uint64_t bytes[STREAMS_MAX];
	unsigned streams, wanted;
	bool reverse, running;
	enum state state;
	char cookie[COOKIE];
	char json[4096]; /* being received: a length, then the text */
	uint32_t have;
};

static void say(struct iperf3 *t, enum state state)
{
	char c = (char)state;
	t->state = state;
	(void)net_send(t->control, &c, 1, 0, NULL);
}

static void close_streams(struct iperf3 *t)
{
	for (unsigned i = 0; i < t->streams; i++)
		if (t->stream[i])
			net_close(t->stream[i]);
	memset(t->stream, 0, sizeof(t->stream));
	t->running = false;
}

static void end_test(struct iperf3 *t)
{
	close_streams(t);
	net_close(t->control);
	*t = (struct iperf3){.h = t->h};
}

/* The text, once all of it is here. */
static const char *take_json(struct iperf3 *t)
{
	uint32_t want = 4;
	for (;;) {
		if (t->have >= 4) {
			const uint8_t *l = (const uint8_t *)t->json;
			want = 4 + ((uint32_t)l[0] << 24 | (uint32_t)l[1] << 16 |
			            (uint32_t)l[2] << 8 | l[3]);
			if (want >= sizeof(t->json)) {
				end_test(t);
				return NULL;
			}
		}
		if (t->have >= 4 && t->have == want)
			break;
		long n = net_recv(t->control, t->json + t->have, want - t->have, 0, NULL);
		if (n <= 0)
			return NULL;
		t->have += (uint32_t)n;
	}
	t->json[t->have] = '\0';
	t->have = 0;
	return t->json + 4;
}

static void send_results(struct iperf3 *t)
{
	char text[8192];
	int n = snprintf(text + 4, sizeof(text) - 4,
	                 "{\"cpu_util_total\":0,\"cpu_util_user\":0,\"cpu_util_system\":0,"
	                 "\"sender_has_retransmits\":-1,\"streams\":[");
	for (unsigned i = 0; i < t->streams; i++) /* the client numbers them 1, 3, 4, … */
		n += snprintf(text + 4 + n, sizeof(text) - 4 - (size_t)n,
		              "%s{\"id\":%u,\"bytes\":%llu,\"retransmits\":-1,\"jitter\":0,"
		              "\"errors\":0,\"packets\":0}",
		              i ? "," : "", i ? i + 2 : 1, (unsigned long long)t->bytes[i]);
	n += snprintf(text + 4 + n, sizeof(text) - 4 - (size_t)n, "]}");
	text[0] = text[1] = 0;
	text[2] = (char)(n >> 8);
	text[3] = (char)n;
	(void)net_send(t->control, text, (size_t)n + 4, 0, NULL);
}

static void got_params(struct iperf3 *t, const char *json)
{
	const char *p = strstr(json, "\"parallel\":");
	t->wanted = p ? (unsigned)strtoul(p + 11, NULL, 10) : 1;
	t->reverse = strstr(json, "\"reverse\":true") != NULL;
	if (t->wanted < 1 || t->wanted > STREAMS_MAX || !strstr(json, "\"tcp\":true"))
		end_test(t);
	else
		say(t, CREATE_STREAMS);
}

static void on_control(struct iperf3 *t)
{
	char c;
	const char *json;
	while (t->control) {
		if (t->state == PARAM_EXCHANGE || t->state == EXCHANGE_RESULTS) {
			json = take_json(t);
			if (!json)
				return;
			if (t->state == PARAM_EXCHANGE) {
				got_params(t, json);
			} else {
				send_results(t);
				say(t, DISPLAY_RESULTS);
			}
			continue;
		}
		long n = net_recv(t->control, &c, 1, 0, NULL);
		if (n == -NET_EAGAIN)
			return;
		if (n != 1 || c == IPERF_DONE) {
			end_test(t);
		} else if (c == TEST_END) {
			close_streams(t); /* the client waits for whole blocks until then */
			say(t, EXCHANGE_RESULTS);
		}
	}
}

static void on_stream(struct iperf3 *t, unsigned i)
{
	struct net_sock *s = t->stream[i];
	long n;
	if (!t->reverse) {
		(void)host_discard(t->h, s, &t->bytes[i]);
		return;
	}
	while (t->running && (n = net_send_buf(s, t->h->stream, 0, CHUNK)) > 0)
		t->bytes[i] += (uint64_t)n;
}

static void begin(struct iperf3 *t)
{
	say(t, TEST_START);
	say(t, TEST_RUNNING);
	t->running = true;
	for (unsigned i = 0; i < t->streams; i++)
		on_stream(t, i);
}

/* The first bytes of a connection say which test it belongs to. */
static void new_connection(struct iperf3 *t, struct net_sock *s)
{
	char cookie[COOKIE];
	long n = net_recv(s, cookie, COOKIE, NET_MSG_PEEK, NULL);
	if (n == -NET_EAGAIN || (n > 0 && n < COOKIE))
		return;
	if (n != COOKIE || (t->control && (t->state != CREATE_STREAMS || t->streams == t->wanted ||
	                                   memcmp(cookie, t->cookie, COOKIE) != 0))) {
		net_close(s);
		return;
	}
	(void)net_recv(s, cookie, COOKIE, 0, NULL);
	if (!t->control) {
		t->control = s;
		memcpy(t->cookie, cookie, COOKIE);
		(void)net_set(s, NET_TCP_NODELAY, 1);
		say(t, PARAM_EXCHANGE);
		on_control(t);
		return;
	}
	t->stream[t->streams++] = s;
	if (t->streams == t->wanted)
		begin(t);
}

static void on_event(void *ctx, struct net_sock *s, unsigned events)
{
	struct iperf3 *t = ctx;
	(void)events;
	if (s == t->control) {
		on_control(t);
		return;
	}
	for (unsigned i = 0; i < t->streams; i++)
		if (t->stream[i] == s) {
			on_stream(t, i);
			return;
		}
	new_connection(t, s);
}

void iperf3_serve(struct host *h)
{
	static struct iperf3 test;
	test.h = h;
	host_listen(h, PORT, on_event, &test);
}
