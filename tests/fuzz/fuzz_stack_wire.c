/* Two stacks back to back on a wire that the input controls: each frame is carried, lost, doubled,
 * delayed or damaged as the next byte says. Both ends must agree on every byte that arrives; when
 * the input has ended, or after two hours, the wire is good and all of it must arrive. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/stack/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct hostile {
	const uint8_t *data;
	size_t size, at;
};

static bool hook(struct rig *r, int from, struct frame *f)
{
	struct hostile *h = r->hook_ctx;
	(void)from;
	r->dup_pm = r->reorder_pm = r->corrupt_pm = 0;
	if (h->at >= h->size)
		return true;
	uint8_t what = h->data[h->at++];
	if (what < 0x60)
		return true;
	if (what < 0xa0)
		return false;
	if (what < 0xc0)
		r->dup_pm = 1000;
	else if (what < 0xe0)
		r->reorder_pm = 1000;
	else if (f->len)
		r->corrupt_pm = 1000;
	return true;
}

#define TOTAL 20000u

/* Rounds of 20 ms, then of 10 s; a time-out doubles up to two minutes. */
#define ROUNDS_SHORT   2000u
#define ROUNDS_HOSTILE 3000u
#define ROUNDS         4000u

/* What each end sends; made once, since most of the rounds find no room for any of it. */
static const uint8_t *stream(unsigned salt)
{
	static uint8_t bytes[2][TOTAL];
	if (!bytes[0][1])
		for (unsigned k = 0; k < 2; k++)
			for (uint32_t i = 0; i < TOTAL; i++)
				bytes[k][i] = (uint8_t)(i * 7 + (i >> 8) * 3 + k);
	return bytes[salt];
}

struct side {
	struct net_sock *s;
	uint32_t sent, got;
	bool ended, broken;
};

static bool hard(long res)
{
	return res < 0 && res != -NET_EAGAIN && res != -NET_ENOTCONN;
}

/* Whichever call comes first after the end of a connection is told of it, and only that one. */
static void push(struct side *x, unsigned salt)
{
	while (x->s && !x->broken && x->sent < TOTAL) {
		uint32_t n = TOTAL - x->sent < 3000 ? TOTAL - x->sent : 3000;
		long res = net_send(x->s, stream(salt) + x->sent, n, 0, NULL);
		x->broken = hard(res);
		if (res <= 0)
			return;
		x->sent += (uint32_t)res;
		if (x->sent == TOTAL)
			(void)net_shutdown(x->s, NET_SHUT_WR);
	}
}

static void pull(struct side *x, unsigned salt)
{
	uint8_t buf[4000];
	long n = 1;
	while (x->s && !x->ended && !x->broken &&
	       (n = net_recv(x->s, buf, sizeof(buf), 0, NULL)) >= 0) {
		if ((uint32_t)n > TOTAL - x->got ||
		    memcmp(buf, stream(salt) + x->got, (size_t)n) != 0)
			abort();
		x->got += (uint32_t)n;
		x->ended = n == 0;
		if (x->ended && x->got != TOTAL)
			abort();
	}
	x->broken = x->broken || hard(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hostile h = {data, size < 4096 ? size : 4096, 0};
	struct rig_opts o = {.tso = size & 1,
	                     .seed = size,
	                     .cfg.ecn = size & 2 ? NET_ECN_ASK_ACCURATE : NET_ECN_WHEN_ASKED};
	struct rig *r = rig_new(&o);
	struct side a = {0}, b = {0};
	struct net_sock *l;
	struct net_endpoint any = {.port = 80}, to = ep("10.0.0.2", 80);
	r->hook = hook;
	r->hook_ctx = &h;
	r->delay_ns = 5 * MS;
	if (net_socket(r->h[1].st, NET_STREAM, &l) < 0 || net_bind(l, &any) < 0 ||
	    net_listen(l, 5) < 0 || net_socket(r->h[0].st, NET_STREAM, &a.s) < 0)
		abort();
	(void)net_set(a.s, NET_TCP_USER_TIMEOUT, 0x7fffffff);
	(void)net_connect(a.s, &to);
	for (unsigned i = 0; i < ROUNDS && !(a.ended && b.ended) && !a.broken && !b.broken; i++) {
		if (i == ROUNDS_HOSTILE)
			h.at = h.size;
		if (!b.s && net_accept(l, &b.s, NULL) == 0)
			(void)net_set(b.s, NET_TCP_USER_TIMEOUT, 0x7fffffff);
		push(&a, 0);
		push(&b, 1);
		pull(&a, 1);
		pull(&b, 0);
		rig_run(r, i < ROUNDS_SHORT ? 20 * MS : 10 * SEC);
	}
	/* The listener may have given up before the last part of the handshake came, and the other
	 * end is told so in time. A connection that was accepted must come through. */
	if (b.s && !(a.ended && b.ended))
		abort();
	rig_free(r);
	return 0;
}
