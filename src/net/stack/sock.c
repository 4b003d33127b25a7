/* Sockets: the calls of stack.h, handed on to the kind of the socket. */
#include "net/stack/sock.h"

struct net_sock *sock_new(struct net_stack *st, enum net_sock_type type, size_t size)
{
	struct net_sock *s = stack_zalloc(st, size);
	if (!s)
		return NULL;
	s->st = st;
	s->type = (uint8_t)type;
	s->prev = st->socks_last;
	queue_add(st->socks, st->socks_last, s, next);
	return s;
}

void sock_free(struct net_sock *s, size_t size)
{
	struct net_stack *st = s->st;
	queue_remove(st->socks, st->socks_last, s);
	if (s->ev_queued)
		queue_cut(st->events, st->events_last, s, ev_next);
	stack_free(st, s, size);
}

void sock_notify(struct net_sock *s)
{
	if (!s->fn || s->ev_queued || !s->open)
		return;
	s->ev_queued = true;
	queue_add(s->st->events, s->st->events_last, s, ev_next);
}

/* "::" takes both families, unless told otherwise; 0.0.0.0 takes IPv4. */
bool sock_takes(const struct net_sock *s, const struct net_addr *dst, const struct net_if *nif)
{
	const struct net_addr *l = &s->local.addr;
	if (s->local.ifindex && s->local.ifindex != nif->index)
		return false;
	if (!s->transparent && (nif->cfg.flags & NET_IF_ANY_ADDR) && !addr_is_mcast(dst) &&
	    !if_is_bcast4(nif, dst) && !if_of_addr(s->st, dst))
		return false;
	if (addr_is_v4(l) && addr_is_any(l))
		return addr_is_v4(dst);
	if (addr_is_any(l))
		return !(s->v6only && addr_is_v4(dst));
	return addr_eq(l, dst);
}

/* Where nobody is to be asked the answer stays. */
static enum net_say ask(const struct net_sock *s, enum net_op op, const struct net_endpoint *local,
                        const struct net_endpoint *remote)
{
	const struct net_stack *st = s->st;
	return st->cfg.ops->policy ? st->cfg.ops->policy(st->cfg.ctx, op, s->label, local, remote)
	                           : NET_KEEP;
}

bool sock_allowed(const struct net_sock *s, enum net_op op, const struct net_endpoint *local,
                  const struct net_endpoint *remote)
{
	return ask(s, op, local, remote) != NET_NO;
}

/*
 * The epoch is that of before the question: an answer that is out of date is not kept. Nor is a
 * policy's where nobody would tell of a change.
 */
bool sock_ask_to_move(struct net_sock *s, enum net_op op, const struct net_endpoint *local,
                      const struct net_endpoint *remote)
{
	struct net_stack *st = s->st;
	struct sock_kept *k = &s->kept;
	uint32_t epoch = atomic_load_explicit(st->policy_epoch, memory_order_acquire);
	enum net_say say = ask(s, op, local, remote);
	if (say != NET_KEEP || (st->cfg.ops->policy && !epoch))
		return say != NET_NO;
	if (k->epoch != epoch || !same_end(&k->remote, &remote->addr, remote->port))
		*k = (struct sock_kept){.remote = *remote, .epoch = epoch};
	k->ops |= (uint16_t)(1u << op);
	return true;
}

void sock_forget_kept(struct net_stack *st)
{
	for (struct net_sock *s = st->socks; s; s = s->next)
		s->kept.ops = 0;
}

static bool overlap(const struct net_endpoint *a, const struct net_endpoint *b)
{
	if (a->ifindex && b->ifindex && a->ifindex != b->ifindex)
		return false;
	bool any_a = addr_is_any(&a->addr), any_b = addr_is_any(&b->addr);
	bool v4_a = addr_is_v4(&a->addr), v4_b = addr_is_v4(&b->addr);
	return (any_a && (any_b || !v4_a || v4_b)) || (any_b && (!v4_b || v4_a)) ||
	       addr_eq(&a->addr, &b->addr);
}

bool sock_port_taken(const struct net_sock *s, const struct net_endpoint *local)
{
	for (const struct net_sock *o = s->st->socks; o; o = o->next) {
		if (o == s || o->type != s->type || !o->bound || o->local.port != local->port ||
		    !overlap(&o->local, local))
			continue;
		/* As Linux: two that both allow it may share, but not with a listener. */
		if (!s->reuse || !o->reuse || (s->type == NET_STREAM && tcp_listens(o)))
			return true;
	}
	return false;
}

static int sock_local_ok(const struct net_sock *s, const struct net_endpoint *local)
{
	if (s->bound || (local->ifindex && !net_if_by_index(s->st, local->ifindex)))
		return -NET_EINVAL;
	if (!s->transparent && !addr_is_any(&local->addr) && !if_of_addr(s->st, &local->addr) &&
	    !(s->type != NET_STREAM && addr_is_mcast(&local->addr)))
		return -NET_EADDRNOTAVAIL;
	return sock_allowed(s, NET_OP_BIND, local, NULL) ? 0 : -NET_EACCES;
}

/* RFC 6056, 3.3.1: a random port, then the next ones. */
static int pick_port(const struct net_sock *s, struct net_endpoint *local)
{
	uint32_t range = PORT_EPHEMERAL_MAX - PORT_EPHEMERAL_MIN + 1;
	uint32_t start = stack_random(s->st) % range;
	for (uint32_t i = 0; i < range; i++) {
		local->port = (uint16_t)(PORT_EPHEMERAL_MIN + (start + i) % range);
		if (!sock_port_taken(s, local))
			return 0;
	}
	return -NET_EADDRINUSE;
}

int sock_bind(struct net_sock *s, const struct net_endpoint *local)
{
	struct net_endpoint l = *local;
	if (s->local.ifindex)
		l.ifindex = s->local.ifindex;
	int err = sock_local_ok(s, &l);
	if (err)
		return err;
	if (l.port == 0 && !s->transparent)
		err = pick_port(s, &l);
	else if (l.port && sock_port_taken(s, &l))
		err = -NET_EADDRINUSE;
	if (err)
		return err;
	s->local = l;
	s->bound = true;
	return 0;
}

int net_socket(struct net_stack *st, enum net_sock_type type, struct net_sock **out)
{
	stack_now(st);
	*out = type == NET_STREAM ? tcp_create(st) : udp_create(st, type);
	if (!*out)
		return -NET_ENOMEM;
	(*out)->open = true;
	return 0;
}

static void close_sock(struct net_sock *s, bool abort)
{
	stack_now(s->st);
	s->fn = NULL;
	if (s->type == NET_STREAM)
		tcp_close(s, abort);
	else
		udp_destroy(s);
}

void net_close(struct net_sock *s)
{
	close_sock(s, false);
}

void net_abort(struct net_sock *s)
{
	close_sock(s, true);
}

int net_bind(struct net_sock *s, const struct net_endpoint *local)
{
	stack_now(s->st);
	return s->type == NET_STREAM ? sock_bind(s, local) : udp_bind(s, local);
}

int net_connect(struct net_sock *s, const struct net_endpoint *remote)
{
	stack_now(s->st);
	return s->type == NET_STREAM ? tcp_connect(s, remote) : udp_connect(s, remote);
}

long net_send(struct net_sock *s, const void *data, size_t len, unsigned flags,
              const struct net_endpoint *to)
{
	stack_now(s->st);
	if (s->type != NET_STREAM)
		return udp_send(s, data, len, NULL, to);
	return to ? -NET_EISCONN : tcp_send(s, data, len, flags);
}

long net_recv(struct net_sock *s, void *data, size_t len, unsigned flags, struct net_endpoint *from)
{
	if (s->type != NET_STREAM)
		return udp_recv(s, data, len, flags, from, NULL);
	if (from)
		*from = s->remote;
	return tcp_recv(s, data, len, flags);
}

int net_shutdown(struct net_sock *s, enum net_how how)
{
	stack_now(s->st);
	if (!sock_allowed(s, NET_OP_SHUTDOWN, NULL, NULL))
		return -NET_EACCES;
	return s->type == NET_STREAM ? tcp_shutdown(s, how) : udp_shutdown(s, how);
}

int net_name(const struct net_sock *s, struct net_endpoint *local, struct net_endpoint *remote)
{
	if (local)
		*local = s->local;
	if (remote && !s->connected)
		return -NET_ENOTCONN;
	if (remote)
		*remote = s->remote;
	return 0;
}

unsigned net_ready(const struct net_sock *s)
{
	return s->type == NET_STREAM ? tcp_ready(s) : udp_ready(s);
}

void net_on_event(struct net_sock *s, net_event_fn fn, void *ctx)
{
	s->fn = fn;
	s->fn_ctx = ctx;
	if (fn && net_ready(s))
		sock_notify(s);
}

void net_set_label(struct net_sock *s, void *label)
{
	s->label = label;
	s->kept.ops = 0;
}

void net_set_policy_epoch(struct net_stack *st, const _Atomic(uint32_t) *epoch)
{
	st->policy_epoch = epoch;
}

bool net_is_here(struct net_stack *st, const struct net_addr *a)
{
	return if_of_addr(st, a) != NULL;
}

/* Prefers the socket that is connected to nobody: a listener. */
bool net_label_at(struct net_stack *st, enum net_sock_type type, const struct net_endpoint *to,
                  void **label)
{
	const struct net_if *nif = if_of_addr(st, &to->addr);
	if (!nif)
		return false;
	const struct net_sock *found = NULL;
	for (const struct net_sock *s = st->socks; s; s = s->next)
		if (s->type == type && s->bound && s->local.port == to->port &&
		    sock_takes(s, &to->addr, nif) && (!found || found->connected || !s->connected))
			found = s;
	if (found)
		*label = found->label;
	return found != NULL;
}
