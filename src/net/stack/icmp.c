/* ICMP (RFC 792, RFC 1122, 3.2.2) and ICMPv6 (RFC 4443): echo, errors sent and errors received. */
#include "net/stack/priv.h"

#define ERRORS_PER_SECOND 1000u /* as Linux's icmp_msgs_per_sec and icmp_msgs_burst */
#define ERRORS_BURST      50u
#define QUOTE4_MAX        (576u - IP4_HLEN - ICMP_HLEN) /* RFC 1812, 4.3.2.3 */
#define QUOTE6_MAX        (IP6_MIN_MTU - IP6_HLEN - ICMP_HLEN)

static unsigned echo_type(bool v4, bool reply)
{
	return v4 ? (reply ? ICMP_ECHO_REPLY : ICMP_ECHO) : (reply ? ICMP6_ECHO_REPLY : ICMP6_ECHO);
}

int icmp_send(struct net_stack *st, struct pkt *p, struct ip_tx *tx)
{
	uint8_t *h = p->room + p->head;
	put_be16(h + 2, 0);
	uint32_t sum = pkt_sum(p, 0);
	if (tx->proto == PROTO_ICMP6)
		sum += csum_pseudo(&tx->src, &tx->dst, PROTO_ICMP6, p->len);
	put_be16(h + 2, (uint16_t)~csum_fold(sum));
	st->stats.icmp_out++;
	return ip_send(st, p, tx);
}

int icmp_echo(struct net_stack *st, struct pkt *p, struct ip_tx *tx, bool reply, uint16_t id,
              uint16_t seq)
{
	bool v4 = addr_is_v4(&tx->dst);
	uint8_t *h = pkt_push(p, ICMP_HLEN);
	tx->proto = icmp_proto(v4);
	h[0] = (uint8_t)echo_type(v4, reply);
	h[1] = 0;
	put_be16(h + 4, id);
	put_be16(h + 6, seq);
	return icmp_send(st, p, tx);
}

int net_echo_reply(struct net_if *nif, const struct net_addr *src, const struct net_addr *dst,
                   uint16_t id, uint16_t seq, const void *data, uint32_t len)
{
	stack_now(nif->st);
	struct pkt *p = pkt_from(nif->st, data, len);
	if (!p)
		return -NET_ENOMEM;
	struct ip_tx tx = {.src = *src, .dst = *dst, .hop = {.nif = nif}, .forge = true};
	return icmp_echo(nif->st, p, &tx, true, id, seq);
}

/* ---- errors that we send ---- */

/* RFC 1122, 3.2.2 and RFC 4443, 2.4 (e). */
static bool may_complain(const struct ip_meta *m, enum icmp_why why)
{
	uint8_t about;
	bool v6_group_ok = !m->v4 && why == ICMP_BAD_OPTION;
	if (addr_is_any(&m->src) || addr_is_mcast(&m->src) ||
	    ((m->group || (m->p->flags & PKT_BCAST)) && !v6_group_ok))
		return false;
	if (m->proto != icmp_proto(m->v4))
		return true;
	if (!pkt_read(m->p, m->l4_off, &about, 1))
		return false;
	return m->v4 ? about == ICMP_ECHO || about == ICMP_ECHO_REPLY : about >= 128;
}

void icmp_error(const struct ip_meta *m, enum icmp_why why, uint32_t arg)
{
	/* Type and code of IPv6, and of IPv4. */
	static const uint8_t kinds[][2][2] = {
	        [ICMP_NO_HOST] = {{ICMP6_UNREACH, 3}, {ICMP_UNREACH, 1}},
	        [ICMP_NO_PORT] = {{ICMP6_UNREACH, 4}, {ICMP_UNREACH, ICMP_UNR_PORT}},
	        [ICMP_TOO_LATE] = {{ICMP6_TIME, 1}, {ICMP_TIME, 1}},
	        [ICMP_BAD_HEADER] = {{ICMP6_PARAM, 0}, {ICMP_PARAM, 0}},
	        [ICMP_BAD_NEXT] = {{ICMP6_PARAM, 1}, {ICMP_UNREACH, ICMP_UNR_PROTO}},
	        [ICMP_BAD_OPTION] = {{ICMP6_PARAM, 2}, {ICMP_PARAM, 0}},
	};
	struct net_stack *st = m->nif->st;
	if (!may_complain(m, why))
		return;
	if (!bucket_take(&st->icmp_bucket, st->now, ERRORS_PER_SECOND, ERRORS_BURST)) {
		st->stats.icmp_limited++;
		return;
	}
	struct ip_tx tx = {.dst = m->src, .proto = icmp_proto(m->v4)};
	tx.hop.nif = if_back(m->nif, &m->src);
	if (if_of_addr(st, &m->dst) || (m->nif->cfg.flags & NET_IF_ANY_ADDR && !m->group))
		tx.src = m->dst;
	if (ip_resolve(st, &tx) < 0)
		return;
	uint32_t quote = min_u32(m->p->len, m->v4 ? QUOTE4_MAX : QUOTE6_MAX);
	uint8_t copy[QUOTE6_MAX];
	if (!pkt_read(m->p, 0, copy, quote))
		return;
	struct pkt *e = pkt_from(st, copy, quote);
	if (!e)
		return;
	uint8_t *h = pkt_push(e, ICMP_HLEN);
	mem_copy(h, kinds[why][m->v4], 2);
	put_be32(h + 4, arg);
	(void)icmp_send(st, e, &tx);
}

/* ---- errors that we receive ---- */

/* RFC 1191, 7.1: a router that says no MTU; the next plateau below the packet's length. */
static uint32_t plateau_below(uint32_t len)
{
	static const uint16_t plateau[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 576};
	for (unsigned i = 0; i < sizeof(plateau) / sizeof(plateau[0]); i++)
		if (plateau[i] < len)
			return plateau[i];
	return 576;
}

/* What the header H of an error says; nothing, where it is of another kind. */
static void classify(struct icmp_err *e, bool v4, const uint8_t *h)
{
	static const uint8_t unreach4[] = {NET_ENETUNREACH,  NET_EHOSTUNREACH, NET_ENOPROTOOPT,
	                                   NET_ECONNREFUSED, NET_EMSGSIZE,     NET_EOPNOTSUPP,
	                                   NET_ENETUNREACH,  NET_EHOSTUNREACH, NET_EHOSTUNREACH,
	                                   NET_ENETUNREACH,  NET_EHOSTUNREACH, NET_ENETUNREACH};
	static const uint8_t unreach6[] = {NET_ENETUNREACH,  NET_EACCES,       NET_EHOSTUNREACH,
	                                   NET_EHOSTUNREACH, NET_ECONNREFUSED, NET_EACCES};
	unsigned type = h[0], code = h[1];
	if (v4 && type == ICMP_UNREACH && code < 16) {
		e->err = code < sizeof(unreach4) ? unreach4[code] : NET_EHOSTUNREACH;
		e->hard = code == ICMP_UNR_PROTO || code == ICMP_UNR_PORT;
		if (code == ICMP_UNR_FRAG)
			e->mtu = get_be16(h + 6) ? get_be16(h + 6) : plateau_below(e->len);
	} else if (!v4 && type == ICMP6_UNREACH) {
		e->err = unreach6[min_u32(code, sizeof(unreach6) - 1)];
		e->hard = e->err == NET_ECONNREFUSED;
	} else if (!v4 && type == ICMP6_TOOBIG) {
		e->err = NET_EMSGSIZE;
		e->mtu = get_be32(h + 4);
	} else if (type == (v4 ? ICMP_TIME : ICMP6_TIME)) {
		e->err = NET_EHOSTUNREACH;
	} else if (type == (v4 ? ICMP_PARAM : ICMP6_PARAM)) {
		e->err = NET_EPROTO;
		e->hard = !v4 && code == 1;
	}
}

/* The quoted packet: where its transport header is, 0 if it is nothing of ours. */
static uint32_t read_quote(const struct ip_meta *m, struct icmp_err *e)
{
	const struct pkt *p = m->p;
	uint32_t at = m->l4_off + ICMP_HLEN;
	bool v4 = m->v4;
	uint8_t q[IP6_HLEN];
	if (!pkt_read(p, at, q, v4 ? IP4_HLEN : IP6_HLEN) || q[0] >> 4 != (v4 ? 4 : 6))
		return 0;
	if (v4) {
		uint32_t hlen = (q[0] & 15u) * 4u;
		if (hlen < IP4_HLEN || (get_be16(q + IP4_FRAG) & IP4_OFFMASK))
			return 0;
		e->proto = q[IP4_PROTO];
		e->src = addr_v4_wire(q + IP4_SRC);
		e->dst = addr_v4_wire(q + IP4_DST);
		e->len = get_be16(q + IP4_TOTLEN);
		return at + hlen;
	}
	e->proto = q[IP6_NEXT];
	e->src = addr_v6_wire(q + IP6_SRC);
	e->dst = addr_v6_wire(q + IP6_DST);
	if (e->proto == PROTO_FRAGMENT) { /* of our own making */
		uint8_t f[8];
		if (!pkt_read(p, at + IP6_HLEN, f, 8) || (get_be16(f + 2) & 0xfff8u))
			return 0;
		e->proto = f[0];
		return at + IP6_HLEN + 8;
	}
	return at + IP6_HLEN;
}

static void error_input(const struct ip_meta *m, const uint8_t *h)
{
	struct net_stack *st = m->nif->st;
	struct icmp_err e = {0};
	uint32_t at = read_quote(m, &e);
	uint8_t l4[8];
	if (!at || !pkt_read(m->p, at, l4, 8))
		return;
	classify(&e, m->v4, h);
	if (!e.err || (!if_of_addr(st, &e.src) && !(m->nif->cfg.flags & NET_IF_ANY_ADDR)))
		return;
	e.sport = get_be16(l4);
	e.dport = get_be16(l4 + 2);
	e.seq = get_be32(l4 + 4);
	if (e.proto == PROTO_TCP)
		tcp_error(st, &e); /* checks the sequence number before it believes an MTU */
	else if (e.proto == PROTO_UDP)
		udp_error(st, &e);
	else if (e.mtu && e.proto == icmp_proto(m->v4))
		(void)pmtu_set(st, &e.dst, e.mtu);
}

/* RFC 1122, 3.2.2.2: every code is about the host. */
static void redirect4(const struct ip_meta *m, const uint8_t *h)
{
	struct icmp_err e = {0};
	struct net_addr to = addr_v4_wire(h + 4);
	if (read_quote(m, &e) && if_of_addr(m->nif->st, &e.src))
		route_redirect(m->nif, &m->src, &e.dst, &to);
}

/* ---- input ---- */

static void echo_input(const struct ip_meta *m, const uint8_t *h)
{
	struct net_if *nif = m->nif;
	struct net_stack *st = nif->st;
	uint16_t id = get_be16(h + 4), seq = get_be16(h + 6);
	if (m->v4 && (m->group || addr_is_any(&m->src)))
		return;
	struct pkt *r = pkt_slice(m->p, m->l4_off + ICMP_HLEN, m->l4_len - ICMP_HLEN);
	if (!r)
		return;
	if (nif->echo && !m->group && !if_of_addr(st, &m->dst)) {
		nif->echo(nif->echo_ctx, nif, &m->src, &m->dst, id, seq, r);
		return;
	}
	struct ip_tx tx = {.src = m->dst,
	                   .dst = m->src,
	                   .hop = {.nif = if_back(nif, &m->src)},
	                   .tos = m->tos,
	                   .forge = true};
	if (m->group && !route_source(st, nif, &m->src, &tx.src)) {
		pkt_free(r);
		return;
	}
	(void)icmp_echo(st, r, &tx, true, id, seq);
}

void icmp_input(const struct ip_meta *m)
{
	uint8_t h[ICMP_HLEN];
	m->nif->st->stats.icmp_in++;
	if (!pkt_read(m->p, m->l4_off, h, ICMP_HLEN) || !ip_csum_ok(m))
		return;
	if (h[0] == echo_type(m->v4, false))
		echo_input(m, h);
	else if (h[0] == echo_type(m->v4, true))
		ping_reply(m, get_be16(h + 4));
	else if (m->v4 && h[0] == ICMP_REDIRECT && h[1] < 4)
		redirect4(m, h);
	else if (!m->v4 && h[0] == ICMP6_MLD_QUERY)
		mld_query(m);
	else if (!m->v4 && h[0] >= ICMP6_RS && h[0] <= ICMP6_REDIRECT)
		nd_input(m, h[0]);
	else /* Source quench is dead (RFC 6633). */
		error_input(m, h);
}
