/* TCP options (RFC 9293, 3.1; RFC 7323; RFC 2018), in the order in which Linux sends them. */
#include "net/stack/tcp.h"

static void parse_one(const uint8_t *o, uint32_t len, struct tcp_opts *out)
{
	if (o[0] == TCPOPT_MSS && len == 4) {
		out->mss = get_be16(o + 2);
	} else if (o[0] == TCPOPT_WSCALE && len == 3) {
		out->has_wscale = true;
		out->wscale = (uint8_t)min_u32(o[2], TCP_WSCALE_MAX);
	} else if (o[0] == TCPOPT_SACKPERM && len == 2) {
		out->sack_ok = true;
	} else if (o[0] == TCPOPT_SACK && len >= 10 && (len - 2) % 8 == 0) {
		out->nsacks = (uint8_t)min_u32((len - 2) / 8, TCP_SACKS);
		for (unsigned i = 0; i < out->nsacks; i++)
			out->sack[i] = (struct tcp_range){get_be32(o + 2 + 8 * i),
			                                  get_be32(o + 6 + 8 * i)};
	} else if (o[0] == TCPOPT_TS && len == 10) {
		out->has_ts = true;
		out->ts_val = get_be32(o + 2);
		out->ts_ecr = get_be32(o + 6);
	} else if (o[0] == TCPOPT_UTO && len == 4) {
		out->uto_s = (get_be16(o + 2) & 0x7fffu) * (o[2] & 0x80 ? 60 : 1);
	} else if (o[0] == TCPOPT_ACCECN0 || o[0] == TCPOPT_ACCECN1) {
		out->ecn_order = o[0] == TCPOPT_ACCECN1;
		out->ecn_fields = (uint8_t)min_u32((len - 2) / 3, 3);
		for (unsigned i = 0; i < out->ecn_fields; i++)
			out->ecn[i] = (uint32_t)o[2 + 3 * i] << 16 | get_be16(o + 3 + 3 * i);
	} /* MUST-6: unknown ones are passed over */
}

void tcp_parse_options(const uint8_t *o, uint32_t len, struct tcp_opts *out)
{
	uint32_t i = 0;
	/* As nearly every segment has them (RFC 7323, appendix A). */
	if (len >= 12 &&
	    get_be32(o) == (TCPOPT_NOP << 24 | TCPOPT_NOP << 16 | TCPOPT_TS << 8 | 10)) {
		parse_one(o + 2, 10, out);
		i = 12;
	}
	const uint8_t *x; /* MUST-7: a length that cannot be ends the parsing, not the segment */
	while ((x = opt_next(o, len, &i)))
		parse_one(x, x[1], out);
}

struct tcp_syn tcp_offer(const struct net_stack *st)
{
	return (struct tcp_syn){.mss_peer = TCP_MSS_DEFAULT4,
	                        .rcv_wscale = st->tcp->wscale,
	                        .wscale_ok = true,
	                        .sack_ok = true};
}

void tcp_meet(struct net_stack *st, struct tcp_syn *syn, struct tcp_ts *ts, const struct tcp_seg *g)
{
	const struct tcp_opts *o = &g->o;
	uint32_t without = addr_is_v4(&g->pair.raddr) ? TCP_MSS_DEFAULT4 : TCP_MSS_DEFAULT6;
	syn->irs = g->seq;
	syn->mss_peer = (uint16_t)(o->mss ? max_u32(o->mss, TCP_MSS_FLOOR) : without);
	syn->wscale_ok &= o->has_wscale;
	syn->snd_wscale = syn->wscale_ok ? o->wscale : 0;
	syn->rcv_wscale = syn->wscale_ok ? syn->rcv_wscale : 0;
	syn->sack_ok &= o->sack_ok;
	ts->ok &= o->has_ts;
	ts->recent = o->ts_val;
	ts->recent_ns = st->now;
}

uint8_t *tcp_put_ts(uint8_t *p, const struct net_stack *st, const struct tcp_ts *ts)
{
	p[0] = TCPOPT_TS;
	p[1] = 10;
	put_be32(p + 2, tcp_clock_ms(st) + ts->off);
	put_be32(p + 6, ts->recent);
	return p + 10;
}

uint16_t tcp_mss_adv(const struct net_if *nif, const struct net_addr *peer, uint16_t user)
{
	uint32_t most = min_u32(nif->mtu[addr_is_v4(peer)], 65535) - tcp_headers(peer);
	return (uint16_t)min_u32(most, user ? user : most);
}

/* In minutes where seconds do not fit (RFC 5482, 3). */
static uint8_t *put_uto(uint8_t *p, uint32_t s)
{
	p[0] = TCPOPT_UTO;
	p[1] = 4;
	put_be16(p + 2, s < 0x8000 ? s : 0x8000u | min_u32(s / 60, 0x7fff));
	return p + 4;
}

uint32_t tcp_put_syn_options(uint8_t *o, const struct net_stack *st, const struct tcp_syn *syn,
                             const struct tcp_ts *ts, uint32_t uto_s, bool accecn)
{
	static const uint32_t begin[3] = {1, 1, 0};
	uint8_t *p = o;
	put_be32(p, TCPOPT_MSS << 24 | 4u << 16 | syn->mss_adv);
	p += 4;
	if (ts->ok) {
		p[0] = syn->sack_ok ? TCPOPT_SACKPERM : TCPOPT_NOP;
		p[1] = syn->sack_ok ? 2 : TCPOPT_NOP;
		p = tcp_put_ts(p + 2, st, ts);
	}
	if (accecn)
		p += ecn_write_option(p, 1, 3, begin);
	if (syn->sack_ok && !ts->ok) {
		put_be32(p, TCPOPT_NOP << 24 | TCPOPT_NOP << 16 | TCPOPT_SACKPERM << 8 | 2);
		p += 4;
	}
	if (syn->wscale_ok) {
		put_be32(p, TCPOPT_NOP << 24 | TCPOPT_WSCALE << 16 | 3u << 8 | syn->rcv_wscale);
		p += 4;
	}
	if (uto_s)
		p = put_uto(p, uto_s);
	return (uint32_t)(p - o);
}

uint32_t tcp_put_options(struct tcp *t, uint8_t *out, bool again)
{
	uint8_t *p = out;
	if (t->ts.ok) {
		p[0] = p[1] = TCPOPT_NOP;
		p = tcp_put_ts(p + 2, t->s.st, &t->ts);
	}
	if (t->uto_send)
		p = put_uto(p, t->opt.uto_s);
	uint32_t n = t->syn.sack_ok ? t->nrsacks + (t->dsack ? 1u : 0) : 0;
	/* Two blocks come first (RFC 9768, 3.2.3.3). */
	uint32_t blocks = n ? 4 + 8 * min_u32(n, 2) : 0;
	p += ecn_put_option(t, p, again ? 0 : 40 - (uint32_t)(p - out) - blocks);
	n = min_u32(n, (40 - (uint32_t)(p - out) - 4) / 8);
	if (!n)
		return (uint32_t)(p - out);
	p[0] = p[1] = TCPOPT_NOP;
	p[2] = TCPOPT_SACK;
	p[3] = (uint8_t)(2 + 8 * n);
	p += 4;
	const struct tcp_range *next = t->rsack;
	for (uint32_t i = 0; i < n; i++, p += 8) {
		/* RFC 2883, 4: the duplicate first */
		const struct tcp_range *b = i == 0 && t->dsack ? &t->dup : next++;
		put_be32(p, b->start);
		put_be32(p + 4, b->end);
	}
	return (uint32_t)(p - out);
}
