/* UDP (RFC 768; RFC 1122, 4.1), and sockets for echo requests, which queue datagrams alike. */
#include "net/stack/sock.h"

#define RCVBUF_DEFAULT 212992u /* Linux's rmem_default */
#define GROUPS_MAX     8u

struct ends {
	struct net_endpoint from, to;
};

struct dgram {
	struct dgram *next;
	struct ends ends;
	struct pkt *p; /* the data only */
};

struct udp {
	struct net_sock s;
	struct udp *hnext;
	struct dgram *head, *tail;
	uint32_t mem, bytes;
	uint16_t ping_seq;
	bool shut_rd, shut_wr;
	uint8_t ngroups;
	struct net_endpoint group[GROUPS_MAX];
};

static struct udp *to_udp(const struct net_sock *s)
{
	return container_of((struct net_sock *)(uintptr_t)s, struct udp, s);
}

/* Where a bound socket is found. */
static struct udp **chain_of(struct net_stack *st, const struct net_sock *s)
{
	return s->local.port ? &st->udp[s->local.port % UDP_BUCKETS] : &st->udp_any;
}

struct net_sock *udp_create(struct net_stack *st, enum net_sock_type type)
{
	struct net_sock *s = sock_new(st, type, sizeof(struct udp));
	if (s)
		s->opt.rcvbuf = RCVBUF_DEFAULT;
	return s;
}

static void drop_first(struct udp *u)
{
	struct dgram *d = u->head;
	queue_pop(u->head, u->tail, next);
	u->bytes -= d->p->len;
	u->mem -= d->p->len + (uint32_t)(sizeof(struct pkt) + sizeof(*d));
	pkt_free(d->p);
	stack_free(u->s.st, d, sizeof(*d));
}

void udp_destroy(struct net_sock *s)
{
	struct udp *u = to_udp(s);
	struct net_stack *st = s->st;
	if (s->bound)
		list_remove(*chain_of(st, s), u, hnext);
	for (unsigned i = 0; i < u->ngroups; i++) {
		struct net_if *nif = net_if_by_index(st, u->group[i].ifindex);
		if (nif)
			group_leave(nif, &u->group[i].addr);
	}
	while (u->head)
		drop_first(u);
	sock_free(s, sizeof(*u));
}

int udp_bind(struct net_sock *s, const struct net_endpoint *local)
{
	struct udp *u = to_udp(s);
	int err = sock_bind(s, local);
	if (err)
		return err;
	struct udp **chain = chain_of(s->st, s);
	u->hnext = *chain;
	*chain = u;
	return 0;
}

static int bind_any(struct net_sock *s)
{
	static const struct net_endpoint any;
	return s->bound ? 0 : udp_bind(s, &any);
}

int udp_connect(struct net_sock *s, const struct net_endpoint *remote)
{
	if (s->type == NET_DGRAM && !remote->port)
		return -NET_EINVAL;
	if (!sock_allowed(s, NET_OP_CONNECT, &s->local, remote))
		return -NET_EACCES;
	int err = bind_any(s);
	unsigned index = s->local.ifindex ? s->local.ifindex : remote->ifindex;
	struct ip_tx tx = {.src = s->local.addr,
	                   .dst = remote->addr,
	                   .hop = {.nif = net_if_by_index(s->st, index)}};
	if (!err)
		err = ip_resolve(s->st, &tx);
	if (err)
		return err;
	s->local.addr = tx.src;
	s->remote = *remote;
	s->connected = true;
	return 0;
}

static int check_send(struct udp *u, size_t len, const struct net_endpoint *to)
{
	struct net_sock *s = &u->s;
	if (s->err)
		return sock_take_err(s);
	if (u->shut_wr)
		return -NET_EPIPE;
	if (len > 65535 - UDP_HLEN - (addr_is_v4(&to->addr) ? IP4_HLEN : 0))
		return -NET_EMSGSIZE;
	if ((addr_is_bcast4(&to->addr) && !s->bcast) ||
	    !sock_may_move(s, NET_OP_SEND, &s->local, to))
		return -NET_EACCES;
	return bind_any(s);
}

/* The route and the source, which the checksum needs. */
static int find_way(const struct net_sock *s, struct ip_tx *tx, const struct net_endpoint *from,
                    const struct net_endpoint *to)
{
	unsigned index = from && from->ifindex ? from->ifindex
	                 : s->local.ifindex    ? s->local.ifindex
	                                       : to->ifindex;
	tx->dst = to->addr;
	tx->hop.nif = net_if_by_index(s->st, index);
	tx->tos = s->opt.tos;
	tx->ttl = s->opt.ttl ? s->opt.ttl : addr_is_mcast(&tx->dst) ? 1 : 0;
	tx->forge = from ||
	            (s->bound && !addr_is_any(&s->local.addr) && !addr_is_mcast(&s->local.addr));
	if (tx->forge)
		tx->src = from ? from->addr : s->local.addr;
	int err = ip_resolve(s->st, tx);
	if (!err && tx->forge && addr_is_v4(&tx->src) != addr_is_v4(&tx->dst))
		return -NET_EAFNOSUPPORT;
	if (err != -NET_EADDRNOTAVAIL || !s->bcast || !addr_is_bcast4(&tx->dst))
		return err;
	tx->src = addr_v4(0); /* before there is an address, only a broadcast may ask for one */
	tx->forge = true;
	return 0;
}

long udp_send(struct net_sock *s, const void *data, size_t len, const struct net_endpoint *from,
              const struct net_endpoint *to)
{
	struct udp *u = to_udp(s);
	struct net_stack *st = s->st;
	struct ip_tx tx = {.proto = PROTO_UDP};
	if (!to && s->connected)
		to = &s->remote;
	if (!to)
		return s->err ? sock_take_err(s) : -NET_EDESTADDRREQ;
	int err = check_send(u, len, to);
	if (!err)
		err = find_way(s, &tx, from, to);
	if (err)
		return err;
	struct pkt *p = pkt_from(st, data, (uint32_t)len);
	if (!p)
		return -NET_ENOBUFS;
	if (s->type == NET_PING) {
		err = icmp_echo(st, p, &tx, false, s->local.port, u->ping_seq++);
	} else {
		st->stats.udp_out++;
		uint8_t *h = pkt_push(p, UDP_HLEN);
		put_be16(h, from ? from->port : s->local.port);
		put_be16(h + 2, to->port);
		put_be16(h + 4, p->len);
		pkt_csum_later(p, UDP_CSUM, &tx.src, &tx.dst, PROTO_UDP);
		err = ip_send(st, p, &tx);
	}
	return err ? err : (long)len;
}

long udp_recv(struct net_sock *s, void *data, size_t len, unsigned flags, struct net_endpoint *from,
              struct net_endpoint *to)
{
	struct udp *u = to_udp(s);
	struct dgram *d = u->head;
	if (!d && s->err)
		return sock_take_err(s);
	if (!d)
		return u->shut_rd ? 0 : -NET_EAGAIN;
	uint32_t n = len < d->p->len ? (uint32_t)len : d->p->len;
	(void)pkt_read(d->p, 0, data, n);
	if (from)
		*from = d->ends.from;
	if (to)
		*to = d->ends.to;
	if (!(flags & NET_MSG_PEEK))
		drop_first(u);
	return (long)n;
}

long net_send_from(struct net_sock *s, const void *data, size_t len,
                   const struct net_endpoint *from, const struct net_endpoint *to)
{
	stack_now(s->st);
	if (s->type == NET_STREAM || !s->transparent)
		return -NET_EOPNOTSUPP;
	return udp_send(s, data, len, from, to);
}

long net_recv_to(struct net_sock *s, void *data, size_t len, struct net_endpoint *from,
                 struct net_endpoint *to)
{
	return s->type == NET_STREAM ? -NET_EOPNOTSUPP : udp_recv(s, data, len, 0, from, to);
}

unsigned udp_ready(const struct net_sock *s)
{
	const struct udp *u = to_udp(s);
	return (u->head || u->shut_rd ? NET_EV_IN : 0) | (s->err ? NET_EV_ERR : 0) | NET_EV_OUT;
}

uint32_t udp_queued(const struct net_sock *s)
{
	return to_udp(s)->bytes;
}

int udp_shutdown(struct net_sock *s, enum net_how how)
{
	struct udp *u = to_udp(s);
	if (!s->connected)
		return -NET_ENOTCONN;
	u->shut_rd |= how != NET_SHUT_WR;
	u->shut_wr |= how != NET_SHUT_RD;
	sock_notify(s);
	return 0;
}

/* The membership's place, ngroups: there is none. */
static unsigned find_group(const struct udp *u, const struct net_addr *group, unsigned ifindex)
{
	unsigned i = 0;
	while (i < u->ngroups &&
	       !(u->group[i].ifindex == ifindex && addr_eq(&u->group[i].addr, group)))
		i++;
	return i;
}

int net_join(struct net_sock *s, const struct net_addr *group, unsigned ifindex, bool join)
{
	struct udp *u = to_udp(s);
	struct net_if *nif = net_if_by_index(s->st, ifindex);
	if (s->type != NET_DGRAM || !nif || !addr_is_mcast(group))
		return -NET_EINVAL;
	stack_now(s->st);
	if (!sock_allowed(s, NET_OP_SETOPT, NULL, NULL))
		return -NET_EACCES;
	unsigned i = find_group(u, group, ifindex);
	if (join == (i < u->ngroups))
		return join ? -NET_EADDRINUSE : -NET_EADDRNOTAVAIL;
	if (!join) {
		group_leave(nif, group);
		u->group[i] = u->group[--u->ngroups];
		return 0;
	}
	int err = i < GROUPS_MAX ? group_join(nif, group) : -NET_ENOBUFS;
	if (!err)
		u->group[u->ngroups++] = (struct net_endpoint){*group, 0, (uint16_t)ifindex};
	return err;
}

/* ---- input ---- */

/* Takes DATA over. */
static void deliver(struct udp *u, struct pkt *data, const struct ends *e)
{
	struct net_stack *st = u->s.st;
	uint32_t mem = data->len + (uint32_t)(sizeof(struct pkt) + sizeof(struct dgram));
	bool wanted = !u->shut_rd && sock_may_move(&u->s, NET_OP_RECV, &e->to, &e->from);
	bool room = u->mem + mem <= u->s.opt.rcvbuf || !u->head;
	struct dgram *d = wanted && room ? stack_alloc(st, sizeof(*d)) : NULL;
	if (!d) {
		st->stats.udp_full += wanted;
		pkt_free(data);
		return;
	}
	*d = (struct dgram){NULL, *e, data};
	queue_add(u->head, u->tail, d, next);
	u->mem += mem;
	u->bytes += data->len;
	sock_notify(&u->s);
}

/* How well the socket fits; 0: not at all. */
static unsigned score(const struct udp *u, const struct ip_meta *m, const struct ends *e)
{
	const struct net_sock *s = &u->s;
	if (s->type != NET_DGRAM ||
	    (s->connected && !same_end(&s->remote, &e->from.addr, e->from.port)))
		return 0;
	return sock_score(s, &m->dst, e->to.port, m->nif);
}

/* A group's datagram goes to every socket that fits. */
static bool to_group(const struct ip_meta *m, const struct ends *e)
{
	bool any = false;
	for (struct udp *u = m->nif->st->udp[e->to.port % UDP_BUCKETS]; u; u = u->hnext) {
		bool joined = find_group(u, &m->dst, m->nif->index) < u->ngroups;
		if (!score(u, m, e) || (addr_is_mcast(&m->dst) && !joined))
			continue;
		struct pkt *c = pkt_slice(m->p, 0, m->p->len);
		if (c)
			deliver(u, c, e);
		any = true;
	}
	return any;
}

static struct udp *best_of(struct udp *u, const struct ip_meta *m, const struct ends *e)
{
	struct udp *best = NULL;
	for (unsigned top = 0; u; u = u->hnext) {
		unsigned n = score(u, m, e);
		if (n > top) {
			top = n;
			best = u;
		}
	}
	return best;
}

void udp_input(struct ip_meta *m)
{
	struct net_stack *st = m->nif->st;
	struct pkt *p = m->p;
	uint8_t h[UDP_HLEN];
	st->stats.udp_in++;
	uint32_t len = pkt_read(p, m->l4_off, h, UDP_HLEN) ? get_be16(h + 4) : 0;
	if (len < UDP_HLEN || len > m->l4_len)
		goto bad;
	pkt_trim_to(p, m->l4_off + len);
	m->l4_len = len;
	bool summed = get_be16(h + UDP_CSUM) || (p->flags & (PKT_CSUM_VALID | PKT_CSUM_PARTIAL));
	/* RFC 8200, 8.1: only IPv4 does without. */
	if (!(summed ? ip_csum_ok(m) : m->v4) || get_be16(h + 2) == 0)
		goto bad;
	struct ends e = {{m->src, get_be16(h), m->nif->index},
	                 {m->dst, get_be16(h + 2), m->nif->index}};
	if (m->group) {
		pkt_trim_front(p, m->l4_off + UDP_HLEN);
		st->stats.udp_no_port += !to_group(m, &e);
		return;
	}
	struct udp *u = best_of(st->udp[e.to.port % UDP_BUCKETS], m, &e);
	if (!u)
		u = best_of(st->udp_any, m, &e);
	if (u) {
		pkt_trim_front(p, m->l4_off + UDP_HLEN);
		deliver(u, p, &e);
		m->p = NULL;
	} else {
		st->stats.udp_no_port++;
		icmp_error(m, ICMP_NO_PORT, 0);
	}
	return;
bad:
	st->stats.udp_bad++;
}

void udp_error(struct net_stack *st, const struct icmp_err *e)
{
	for (struct udp *u = st->udp[e->sport % UDP_BUCKETS]; u; u = u->hnext) {
		struct net_sock *s = &u->s;
		if (s->type != NET_DGRAM || s->local.port != e->sport ||
		    (!addr_is_any(&s->local.addr) && !addr_eq(&s->local.addr, &e->src)))
			continue;
		if (e->mtu)
			(void)pmtu_set(st, &e->dst, e->mtu);
		/* As Linux: only the connected hear of it. */
		if (s->connected && same_end(&s->remote, &e->dst, e->dport) && e->hard) {
			s->err = (uint16_t)e->err;
			sock_notify(s);
		}
	}
}

void ping_reply(const struct ip_meta *m, uint16_t id)
{
	for (struct udp *u = m->nif->st->udp[id % UDP_BUCKETS]; u; u = u->hnext) {
		struct net_sock *s = &u->s;
		if (s->type != NET_PING || s->local.port != id || !sock_takes(s, &m->dst, m->nif))
			continue;
		if (s->connected && !addr_eq(&s->remote.addr, &m->src))
			continue;
		struct pkt *c = pkt_slice(m->p, m->l4_off, m->l4_len);
		struct ends e = {{m->src, 0, m->nif->index}, {m->dst, id, m->nif->index}};
		if (c)
			deliver(u, c, &e);
		return;
	}
}
