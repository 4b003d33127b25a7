/* An instance: creation, the owner's callbacks, net_poll. See stack.h. */
#include "net/stack/tcp.h"

/* Small blocks are of a few sizes, to which SIZE is rounded up, and kept when they are freed:
 * where. NULL: it is not small. */
static struct mem_cell **cells_of(struct net_stack *st, size_t *size)
{
	size_t class = (*size - 1) / MEM_GRAIN;
	if (st->cfg.no_cache || class >= MEM_CLASSES)
		return NULL;
	*size = (class + 1) * MEM_GRAIN;
	return &st->mem[class];
}

void *stack_alloc(struct net_stack *st, size_t size)
{
	struct mem_cell **cells = cells_of(st, &size), *c = cells ? *cells : NULL;
	if (c) {
		*cells = c->next;
		st->mem_kept -= (uint32_t)size;
		return c;
	}
	void *p = st->cfg.ops->alloc(st->cfg.ctx, size);
	if (!p)
		st->stats.nomem++;
	return p;
}

void *stack_zalloc(struct net_stack *st, size_t size)
{
	void *p = stack_alloc(st, size);
	if (p)
		mem_set(p, 0, size);
	return p;
}

void stack_free(struct net_stack *st, void *p, size_t size)
{
	struct mem_cell **cells = cells_of(st, &size), *c = p;
	if (cells && st->mem_kept + size <= MEM_KEEP_MAX) {
		c->next = *cells;
		*cells = c;
		st->mem_kept += (uint32_t)size;
		return;
	}
	st->cfg.ops->free(st->cfg.ctx, p, size);
}

/* xoshiro128-like mixing would do for jitter; what must not be guessed comes from here as well, so
 * the generator is SipHash in counter mode under a secret key. */
uint32_t stack_random(struct net_stack *st)
{
	struct hash_key key = {{st->rng_state[0], st->rng_state[1]}};
	st->rng_state[2]++;
	return (uint32_t)hash_sip(&key, &st->rng_state[2], 2 * sizeof(uint64_t));
}

void stack_now(struct net_stack *st)
{
	if (!st->now_fresh)
		st->now = st->cfg.ops->now_ns(st->cfg.ctx);
}

bool bucket_take(struct bucket *b, uint64_t now, uint32_t per_second, uint32_t burst)
{
	uint64_t step = NS_PER_SEC / per_second;
	uint64_t fresh = now > b->last_ns ? (now - b->last_ns) / step : 0;
	if (b->last_ns == 0 || fresh + b->tokens >= burst) {
		b->tokens = burst;
		b->last_ns = now ? now : 1;
	} else {
		b->tokens += (uint32_t)fresh;
		b->last_ns += fresh * step;
	}
	if (!b->tokens)
		return false;
	b->tokens--;
	return true;
}

void timer_arm(struct net_stack *st, struct timer *t, uint64_t when_ns)
{
	if (when_ns == TIMER_NEVER)
		timer_disarm(&st->timers, t);
	else
		timer_set(&st->timers, t, when_ns);
	if (st->cfg.ops->wake && when_ns < st->woken_for) {
		st->woken_for = when_ns;
		st->cfg.ops->wake(st->cfg.ctx, when_ns);
	}
}

static void set_defaults(struct net_cfg *c)
{
	c->tcp_rcvbuf_max = c->tcp_rcvbuf_max ? c->tcp_rcvbuf_max : 6 * 1024 * 1024;
	c->tcp_rcvbuf = min_u32(c->tcp_rcvbuf ? c->tcp_rcvbuf : 128 * 1024, c->tcp_rcvbuf_max);
	c->tcp_sndbuf_max = c->tcp_sndbuf_max ? c->tcp_sndbuf_max : 4 * 1024 * 1024;
	c->frag_mem_max = c->frag_mem_max ? c->frag_mem_max : 256 * 1024;
	c->tw_max = c->tw_max ? c->tw_max : 8192;
	c->syn_backlog = c->syn_backlog ? c->syn_backlog : 1024;
}

static void discard(void *ctx, struct pkt *p)
{
	(void)ctx;
	pkt_free(p);
}

static int add_loopback(struct net_stack *st)
{
	struct net_if_cfg lo = {.name = "lo",
	                        .link = NET_LINK_LOOP,
	                        .mtu = 65536,
	                        .offloads =
	                                NET_IF_CSUM_TX | NET_IF_TSO4 | NET_IF_TSO6 | NET_IF_TSO_ECN,
	                        .flags = NET_IF_NO_DAD,
	                        .output = discard};
	st->lo = net_if_add(st, &lo);
	if (!st->lo)
		return -NET_ENOMEM;
	struct net_addr a = addr_v4(0x7f000001);
	int err = net_if_add_addr(st->lo, &a, 8);
	a = (struct net_addr){.b = {[15] = 1}};
	if (!err && !st->cfg.no_ipv6)
		err = net_if_add_addr(st->lo, &a, 128);
	return err;
}

static const _Atomic(uint32_t) no_epoch;

struct net_stack *net_stack_create(const struct net_cfg *cfg)
{
	struct net_stack *st = cfg->ops->alloc(cfg->ctx, sizeof(*st));
	if (!st)
		return NULL;
	mem_set(st, 0, sizeof(*st));
	st->policy_epoch = &no_epoch;
	st->cfg = *cfg;
	set_defaults(&st->cfg);
	stack_now(st);
	st->cfg.ops->entropy(st->cfg.ctx, st->key, sizeof(st->key));
	st->cfg.ops->entropy(st->cfg.ctx, st->rng_state, sizeof(st->rng_state));
	st->woken_for = TIMER_NEVER;
	if (tcp_init(st) < 0 || add_loopback(st) < 0) {
		net_stack_destroy(st);
		return NULL;
	}
	return st;
}

void net_stack_destroy(struct net_stack *st)
{
	stack_now(st);
	dns_free(st);
	for (struct net_if *nif = st->ifs; nif; nif = nif->next)
		dhcp_free(nif);
	while (st->socks) /* the oldest first: a listener before what it has to accept */
		if (st->socks->type == NET_STREAM)
			tcp_destroy(st->socks);
		else
			udp_destroy(st->socks);
	tcp_exit(st);
	while (st->ifs)
		net_if_remove(st->ifs);
	pmtu_clear(st);
	for (size_t i = 0; i < MEM_CLASSES; i++)
		while (st->mem[i]) {
			struct mem_cell *c = st->mem[i];
			st->mem[i] = c->next;
			st->cfg.ops->free(st->cfg.ctx, c, (i + 1) * MEM_GRAIN);
		}
	st->cfg.ops->free(st->cfg.ctx, st, sizeof(*st));
}

static void run_loopback(struct net_stack *st)
{
	for (unsigned n = 0; st->loop_head && n < LOOP_BUDGET; n++) {
		struct pkt *p = st->loop_head;
		queue_pop(st->loop_head, st->loop_tail, next);
		p->next = NULL;
		net_input(p->nif, p);
	}
}

static void run_events(struct net_stack *st)
{
	while (st->events) { /* a callback may close others, and notify */
		struct net_sock *s = st->events;
		queue_pop(st->events, st->events_last, ev_next);
		s->ev_queued = false;
		if (s->fn)
			s->fn(s->fn_ctx, s, net_ready(s));
	}
}

void net_poll(struct net_stack *st)
{
	struct timer *t;
	stack_now(st);
	st->now_fresh = true;
	/* A timer that fires may arm itself again, but never for a time that has passed. */
	while ((t = timer_pop(&st->timers, st->now)))
		t->fire(t);
	for (unsigned i = 0; i < 64; i++) {
		tcp_poll(st);
		run_loopback(st);
		if (st->events)
			run_events(st);
		else if (!st->loop_head && !st->tcp->out_head)
			break;
	}
	st->woken_for = timer_next(&st->timers);
	st->now_fresh = false;
}

uint64_t net_next_deadline(const struct net_stack *st)
{
	if (st->loop_head || st->events || st->tcp->out_head)
		return st->now;
	return timer_next(&st->timers);
}

const struct net_stats *net_stack_stats(const struct net_stack *st)
{
	return &st->stats;
}
