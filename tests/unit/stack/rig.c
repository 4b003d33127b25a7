/* Stacks in virtual time. See rig.h. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/stack/pkt.h"
#include "net/stack/util.h"

/* Not Check's own assertions: the fuzz targets use this file as well. */
#define NEED(cond) need(cond, #cond, __LINE__)

static void need(bool ok, const char *what, int line)
{
	if (ok)
		return;
	(void)fprintf(stderr, "rig.c:%d: not so: %s\n", line, what);
	abort();
}

uint32_t rig_rand(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 16);
}

/* ---- what a stack needs ---- */

static uint64_t now_ns(void *ctx)
{
	return ((struct host *)ctx)->rig->now;
}

static void entropy(void *ctx, void *buf, size_t len)
{
	uint8_t *p = buf;
	while (len--)
		*p++ = (uint8_t)rig_rand(&((struct host *)ctx)->rng);
}

static void *host_alloc(void *ctx, size_t size)
{
	struct host *h = ctx;
	if (h->fail_after && --h->fail_after == 0) {
		h->fail_after = 1;
		return NULL;
	}
	void *p = malloc(size);
	if (!p)
		abort();
	memset(p, 0xa5, size);
	h->blocks++;
	h->bytes += size;
	if (h->bytes > h->peak)
		h->peak = h->bytes;
	return p;
}

static void host_free(void *ctx, void *p, size_t size)
{
	struct host *h = ctx;
	memset(p, 0x5a, size);
	h->blocks--;
	h->bytes -= size;
	free(p);
}

static const struct net_ops ops = {now_ns, entropy, host_alloc, host_free, NULL, NULL, NULL};

const struct net_ops *rig_ops(void)
{
	return &ops;
}

/* ---- the wire ---- */

static void insert(struct frame **list, struct frame *f)
{
	while (*list && (*list)->at <= f->at)
		list = &(*list)->next;
	f->next = *list;
	*list = f;
}

static struct frame *copy_of(const struct frame *f)
{
	struct frame *c = malloc(sizeof(*c) + f->len);
	NEED(c != NULL);
	memcpy(c, f, sizeof(*c) + f->len);
	return c;
}

static bool chance(struct rig *r, unsigned per_mille)
{
	return per_mille && rig_rand(&r->rng) % 1000 < per_mille;
}

/* When the frame is through the bottleneck; 0: its queue is full. */
static uint64_t shaped(struct rig *r, int from, uint32_t len)
{
	uint64_t start = r->now;
	if (!r->rate_bps)
		return start;
	if (r->busy_until[from] > start)
		start = r->busy_until[from];
	if (r->queue_max && (start - r->now) * (r->rate_bps / 8) / SEC > r->queue_max)
		return 0;
	r->busy_until[from] = start + len * 8ull * SEC / r->rate_bps;
	return r->busy_until[from];
}

static void send_frame(struct rig *r, int from, struct frame *f)
{
	uint64_t out = shaped(r, from, f->len);
	r->sent[from]++;
	if (!out || (r->hook && !r->hook(r, from, f)) || chance(r, r->loss_pm)) {
		r->lost++;
		free(f);
		return;
	}
	f->at = out + r->delay_ns;
	if (chance(r, r->reorder_pm))
		f->at += r->delay_ns / 4 + 1 * MS;
	if (chance(r, r->dup_pm))
		insert(&r->wire, copy_of(f));
	if (chance(r, r->corrupt_pm) && f->len > 0) {
		/* A checksum that was never made would be right by chance once in 65,536 times. */
		if (f->flags & PKT_CSUM_PARTIAL)
			fix_csums(f->data, f->len);
		f->data[rig_rand(&r->rng) % f->len] ^= (uint8_t)(1 << rig_rand(&r->rng) % 8);
		f->flags = 0;
	}
	insert(&r->wire, f);
}

static void output(void *ctx, struct pkt *p)
{
	struct host *h = ctx;
	struct rig *r = h->rig;
	struct frame *f = malloc(sizeof(*f) + p->len);
	if (!f)
		abort();
	*f = (struct frame){.to = !h->index,
	                    .gso_type = p->gso_type,
	                    .gso_size = p->gso_size,
	                    .flags = p->flags & PKT_CSUM_PARTIAL,
	                    .len = p->len};
	(void)pkt_read(p, 0, f->data, p->len);
	pkt_free(p);
	if (r->crafted) {
		struct frame **at = &r->out;
		while (*at)
			at = &(*at)->next;
		*at = f;
		return;
	}
	send_frame(r, h->index, f);
}

static void deliver(struct rig *r, struct frame *f)
{
	struct host *h = &r->h[f->to];
	struct pkt *p = pkt_from(h->st, f->data, f->len);
	if (p) {
		p->gso_type = f->gso_type;
		p->gso_size = f->gso_size;
		p->flags = f->flags;
		net_input(h->nif, p);
	}
	free(f);
}

struct net_addr ip(const char *text)
{
	struct net_addr a;
	NEED((net_addr_parse(text, &a)) == (0));
	return a;
}

struct net_endpoint ep(const char *addr, unsigned port)
{
	return (struct net_endpoint){ip(addr), (uint16_t)port, 0};
}

struct net_sock *listen_on(struct host *h, unsigned port, unsigned backlog)
{
	struct net_sock *l;
	struct net_endpoint any = {.port = (uint16_t)port};
	NEED(net_socket(h->st, NET_STREAM, &l) == 0);
	NEED(net_bind(l, &any) == 0);
	NEED(net_listen(l, backlog) == 0);
	return l;
}

static void add_host(struct rig *r, int i, const struct rig_opts *o)
{
	struct host *h = &r->h[i];
	*h = (struct host){.rig = r, .index = i, .rng = (o->seed | 1) * 77777 + (uint64_t)i};
	struct net_cfg cfg = o->cfg;
	cfg.no_cache = !o->cached;
	cfg.ops = o->cfg.ops ? o->cfg.ops : &ops;
	cfg.ctx = h;
	h->st = net_stack_create(&cfg);
	NEED(h->st != NULL);
	struct net_if_cfg ic = {.name = "eth0",
	                        .link = o->ether ? NET_LINK_ETHER : NET_LINK_IP,
	                        .mac = {2, 0, 0, 0, 0, (uint8_t)(i + 1)},
	                        .mtu = o->mtu,
	                        .flags = o->if_flags,
	                        .offloads = o->tso ? NET_IF_CSUM_TX | NET_IF_TSO4 | NET_IF_TSO6 : 0,
	                        .output = output,
	                        .ctx = h};
	h->nif = net_if_add(h->st, &ic);
	NEED(h->nif != NULL);
	struct net_addr a = addr_v4(0x0a000001u + (uint32_t)i);
	NEED((net_if_add_addr(h->nif, &a, 24)) == (0));
	if (!cfg.no_ipv6 && !(o->if_flags & NET_IF_NO_V6)) {
		a = ip(i ? "fd00::2" : "fd00::1");
		NEED((net_if_add_addr(h->nif, &a, 64)) == (0));
	}
}

struct rig *rig_new(const struct rig_opts *o)
{
	static const struct rig_opts none;
	struct rig *r = calloc(1, sizeof(*r));
	NEED(r != NULL);
	o = o ? o : &none;
	r->now = 1000 * SEC;
	r->crafted = o->crafted;
	r->rng = (o->seed | 1) * 0x9e3779b97f4a7c15ull;
	for (int i = 0; i < (o->crafted ? 1 : 2); i++)
		add_host(r, i, o);
	return r;
}

unsigned drop_out(struct rig *r)
{
	unsigned n = 0;
	while (r->out) {
		struct frame *f = r->out;
		r->out = f->next;
		free(f);
		n++;
	}
	return n;
}

void rig_free(struct rig *r)
{
	for (int i = 0; i < 2; i++) {
		if (!r->h[i].st)
			continue;
		net_stack_destroy(r->h[i].st);
		NEED((r->h[i].blocks) == (0));
		NEED((r->h[i].bytes) == (0));
	}
	drop_out(r);
	while (r->wire) {
		struct frame *f = r->wire;
		r->wire = f->next;
		free(f);
	}
	free(r);
}

void rig_poll(struct rig *r)
{
	for (int i = 0; i < 2; i++)
		if (r->h[i].st)
			net_poll(r->h[i].st);
}

/* The next moment at which something happens, at most END. */
static uint64_t next_moment(const struct rig *r, uint64_t end)
{
	uint64_t t = end;
	if (r->wire)
		t = min_u64(t, r->wire->at);
	for (int i = 0; i < 2; i++)
		if (r->h[i].st)
			t = min_u64(t, net_next_deadline(r->h[i].st));
	return max_u64(t, r->now);
}

bool rig_until(struct rig *r, uint64_t ns, bool (*cond)(void *), void *ctx)
{
	uint64_t end = r->now + ns;
	rig_poll(r);
	for (;;) {
		if (cond && cond(ctx))
			return true;
		uint64_t t = next_moment(r, end);
		if (t >= end && !(r->wire && r->wire->at <= end)) {
			r->now = end;
			rig_poll(r);
			return cond ? cond(ctx) : false;
		}
		r->now = t;
		while (r->wire && r->wire->at <= r->now) {
			struct frame *f = r->wire;
			r->wire = f->next;
			deliver(r, f);
		}
		rig_poll(r);
	}
}

void rig_run(struct rig *r, uint64_t ns)
{
	(void)rig_until(r, ns, NULL, NULL);
}

/* ---- crafted segments ---- */

/* Of PROTO, over LEN bytes at P behind its IP header; SUM is the pseudo header's. */
static void fix_upper(uint8_t *p, uint32_t len, uint8_t proto, uint32_t sum)
{
	uint32_t at = proto == 6                                ? 16
	              : proto == 17                             ? 6
	              : proto == 1 || proto == 2 || proto == 58 ? 2
	                                                        : 99;
	if (at == 99 || at + 2 > len)
		return;
	put_be16(p + at, 0);
	put_be16(p + at, (uint16_t)~csum_fold(rig_sum(proto <= 2 ? 0 : sum, p, len)));
}

static void fix_csums6(uint8_t *p, uint32_t len)
{
	if (len < 40 || get_be16(p + 4) > len - 40)
		return;
	struct net_addr src = addr_v6_wire(p + 8), dst = addr_v6_wire(p + 24);
	uint32_t end = 40 + get_be16(p + 4), at = 40;
	uint8_t next = p[6];
	/* Options and routing headers. */
	while ((next == 0 || next == 43 || next == 60) && at + 8 <= end) {
		next = p[at];
		at += (p[at + 1] + 1u) * 8;
	}
	if (at < end)
		fix_upper(p + at, end - at, next, csum_pseudo(&src, &dst, next, end - at));
}

void fix_csums(uint8_t *p, uint32_t len)
{
	if (len >= 1 && p[0] >> 4 == 6)
		fix_csums6(p, len);
	if (len < 20 || p[0] >> 4 != 4)
		return;
	uint32_t hlen = (p[0] & 15u) * 4;
	if (hlen < 20 || hlen > len)
		return;
	put_be16(p + 10, 0);
	put_be16(p + 10, csum_bytes(p, hlen));
	if (get_be16(p + 6) & 0x3fff)
		return;
	struct net_addr src = addr_v4_wire(p + 12), dst = addr_v4_wire(p + 16);
	fix_upper(p + hlen, len - hlen, p[9], csum_pseudo(&src, &dst, p[9], len - hlen));
}

void inject_ip(struct rig *r, const void *packet, uint32_t len)
{
	struct pkt *p = pkt_from(r->h[0].st, packet, len);
	NEED(p != NULL);
	net_input(r->h[0].nif, p);
	net_poll(r->h[0].st);
}

struct tseg tseg_of(uint16_t sport, uint16_t dport, unsigned flags, uint32_t seq, uint32_t ack)
{
	struct tseg s;
	memset(&s, 0, offsetof(struct tseg, copy));
	s.sport = sport;
	s.dport = dport;
	s.flags = flags;
	s.seq = seq;
	s.ack = ack;
	return s;
}

void craft(struct rig *r, const struct tseg *s)
{
	uint32_t hlen = 20 + ((s->optlen + 3) & ~3u), len = 20 + hlen + s->len;
	uint8_t *p = calloc(1, len);
	NEED(p != NULL);
	p[0] = 0x45;
	p[1] = s->tos;
	put_be16(p + 2, len);
	p[8] = 64;
	p[9] = 6;
	put_be32(p + 12, 0x0a000002);
	put_be32(p + 16, 0x0a000001);
	uint8_t *t = p + 20;
	put_be16(t, s->sport);
	put_be16(t + 2, s->dport);
	put_be32(t + 4, s->seq);
	put_be32(t + 8, s->ack);
	put_be16(t + 12, hlen / 4 << 12 | s->flags);
	put_be16(t + 14, s->wnd == NOWND ? 0 : s->wnd ? s->wnd : 65535);
	put_be16(t + 18, s->up);
	memcpy(t + 20, s->opts, s->optlen);
	if (s->len)
		memcpy(t + hlen, s->data, s->len);
	fix_csums(p, len);
	if (s->bad_csum)
		t[16] ^= 0x55;
	inject_ip(r, p, len);
	free(p);
}

static void parse_opts(struct tseg *s)
{
	for (uint32_t i = 0; i < s->optlen && s->opts[i];) {
		const uint8_t *o = s->opts + i;
		if (o[0] == 1) {
			i++;
			continue;
		}
		NEED(i + 1 < s->optlen && o[1] >= 2 && i + o[1] <= s->optlen);
		if (o[0] == 2)
			s->mss = get_be16(o + 2);
		if (o[0] == 3) {
			s->has_ws = true;
			s->ws = o[2];
		}
		if (o[0] == 4)
			s->sack_ok = true;
		if (o[0] == 8) {
			s->has_ts = true;
			s->ts_val = get_be32(o + 2);
			s->ts_ecr = get_be32(o + 6);
		}
		if (o[0] == 28 && o[1] == 4)
			s->uto = get_be16(o + 2);
		if (o[0] == 172 || o[0] == 174) {
			NEED(o[1] % 3 == 2);
			s->ecn_kind = o[0];
			s->ecn_fields = (o[1] - 2u) / 3;
			for (unsigned k = 0; k < s->ecn_fields; k++)
				s->ecn[k] = get_be32(o + 1 + 3 * k) & 0xffffff;
		}
		for (unsigned k = 0; o[0] == 5 && k < (o[1] - 2u) / 8; k++) {
			s->sack[k][0] = get_be32(o + 2 + 8 * k);
			s->sack[k][1] = get_be32(o + 6 + 8 * k);
			s->nsacks = k + 1;
		}
		i += o[1];
	}
}

bool take(struct rig *r, struct tseg *s)
{
	for (;;) {
		struct frame *f = r->out;
		if (!f)
			return false;
		r->out = f->next;
		const uint8_t *p = f->data, *t = p + 20;
		if (f->len < 40 || p[0] != 0x45 || p[9] != 6) {
			free(f);
			continue;
		}
		struct net_addr src = addr_v4_wire(p + 12), dst = addr_v4_wire(p + 16);
		NEED((csum_bytes(p, 20)) == (0));
		if (!(f->flags & PKT_CSUM_PARTIAL))
			NEED((csum_fold(rig_sum(csum_pseudo(&src, &dst, 6, f->len - 20), t,
			                        f->len - 20))) == (0xffff));
		memset(s, 0, offsetof(struct tseg, copy));
		memset((uint8_t *)s + offsetof(struct tseg, has_ts), 0,
		       sizeof(*s) - offsetof(struct tseg, has_ts));
		uint32_t hlen = (t[12] >> 4) * 4u;
		s->tos = p[1];
		s->sport = get_be16(t);
		s->dport = get_be16(t + 2);
		s->seq = get_be32(t + 4);
		s->ack = get_be32(t + 8);
		s->flags = get_be16(t + 12) & 0x1ff;
		s->wnd = get_be16(t + 14);
		s->up = get_be16(t + 18);
		s->optlen = hlen - 20;
		memcpy(s->opts, t + 20, s->optlen);
		s->len = f->len - 20 - hlen;
		memcpy(s->copy, t + hlen, s->len);
		s->data = s->copy;
		parse_opts(s);
		free(f);
		return true;
	}
}

uint32_t opt_mss(uint8_t *o, uint16_t mss)
{
	o[0] = 2;
	o[1] = 4;
	put_be16(o + 2, mss);
	return 4;
}

uint32_t opt_ts(uint8_t *o, uint32_t val, uint32_t ecr)
{
	o[0] = o[1] = 1;
	o[2] = 8;
	o[3] = 10;
	put_be32(o + 4, val);
	put_be32(o + 8, ecr);
	return 12;
}

uint32_t opt_ws(uint8_t *o, uint8_t ws)
{
	o[0] = 1;
	o[1] = 3;
	o[2] = 3;
	o[3] = ws;
	return 4;
}

uint32_t opt_sackok(uint8_t *o)
{
	o[0] = o[1] = 1;
	o[2] = 4;
	o[3] = 2;
	return 4;
}

uint32_t opt_sack(uint8_t *o, unsigned n, const uint32_t blocks[][2])
{
	o[0] = o[1] = 1;
	o[2] = 5;
	o[3] = (uint8_t)(2 + 8 * n);
	for (unsigned i = 0; i < n; i++) {
		put_be32(o + 4 + 8 * i, blocks[i][0]);
		put_be32(o + 8 + 8 * i, blocks[i][1]);
	}
	return 4 + 8 * n;
}

uint32_t opt_accecn(uint8_t *o, unsigned kind, unsigned n, const uint32_t *counters)
{
	uint32_t len = 2 + 3 * n;
	o[0] = (uint8_t)kind;
	o[1] = (uint8_t)len;
	for (unsigned i = 0; i < n; i++) {
		o[2 + 3 * i] = (uint8_t)(counters[i] >> 16);
		put_be16(o + 3 + 3 * i, counters[i] & 0xffff);
	}
	while (len % 4)
		o[len++] = 1;
	return len;
}

/* ---- a connection by hand ---- */

static struct tseg peer_seg(struct peer *p, unsigned flags)
{
	struct tseg s;
	memset(&s, 0, offsetof(struct tseg, copy));
	s.sport = p->sport;
	s.dport = p->dport;
	s.seq = p->seq;
	s.ack = p->ack;
	s.flags = flags | p->ace;
	s.wnd = p->wnd == 0 ? NOWND : p->wnd;
	if (p->ts)
		s.optlen = opt_ts(s.opts, p->ts_val, p->ts_ecr);
	return s;
}

void peer_send(struct peer *p, unsigned flags, const void *data, uint32_t len)
{
	struct tseg s = peer_seg(p, flags);
	s.data = data;
	s.len = len;
	craft(p->r, &s);
	p->seq += len + (flags & FIN ? 1 : 0) + (flags & SYN ? 1 : 0);
}

void peer_ack(struct peer *p, uint32_t ack, const uint8_t *opts, uint32_t optlen)
{
	struct tseg s = peer_seg(p, ACK);
	s.ack = ack;
	memcpy(s.opts + s.optlen, opts ? opts : s.opts, optlen);
	s.optlen += optlen;
	craft(p->r, &s);
}

bool peer_take(struct peer *p, struct tseg *s)
{
	if (!take(p->r, s))
		return false;
	NEED((s->sport) == (p->dport));
	NEED((s->dport) == (p->sport));
	if (s->has_ts)
		p->ts_ecr = s->ts_val;
	return true;
}

void peer_connect(struct peer *p, struct rig *r, const struct peer_opts *o)
{
	struct net_sock *l;
	struct net_endpoint any = {.port = 80};
	static struct tseg s;
	*p = (struct peer){.r = r,
	                   .sport = 40000,
	                   .dport = 80,
	                   .seq = 1000,
	                   .ts = o->ts,
	                   .ts_val = 5000,
	                   .wnd = o->wnd ? o->wnd : 65535};
	p->iss = p->seq;
	NEED((net_socket(r->h[0].st, NET_STREAM, &l)) == (0));
	NEED((net_set(l, NET_SO_REUSEADDR, 1)) == (0));
	NEED((net_bind(l, &any)) == (0));
	NEED((net_listen(l, 5)) == (0));
	memset(&s, 0, offsetof(struct tseg, copy));
	s.sport = p->sport;
	s.dport = p->dport;
	s.seq = p->seq++;
	s.flags = SYN | (o->ecn ? ECE | CWR : o->accecn ? ACE : 0);
	s.wnd = p->wnd;
	s.optlen = opt_mss(s.opts, o->mss ? o->mss : 1460);
	if (o->sack)
		s.optlen += opt_sackok(s.opts + s.optlen);
	if (o->ts)
		s.optlen += opt_ts(s.opts + s.optlen, p->ts_val, 0);
	if (o->ws >= 0)
		s.optlen += opt_ws(s.opts + s.optlen, (uint8_t)o->ws);
	craft(r, &s);
	NEED(take(r, &s));
	NEED((s.flags & (SYN | ACK)) == (SYN | ACK));
	NEED((s.ack) == (p->seq));
	p->irs = s.seq;
	p->ack = s.seq + 1;
	p->ts_ecr = s.ts_val;
	p->ws = (uint8_t)(o->ws >= 0 ? o->ws : 0);
	p->stack_ws = s.ws;
	rig_run(r, o->rtt_ns);
	p->ace = o->accecn ? CWR : 0; /* the SYN-ACK came as Not-ECT */
	peer_send(p, ACK, NULL, 0);
	p->ace = o->accecn ? AE | ECE : 0;
	NEED((net_accept(l, &p->s, NULL)) == (0));
	net_close(l);
	net_poll(r->h[0].st);
}
