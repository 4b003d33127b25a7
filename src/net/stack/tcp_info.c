/* What sockets tell of themselves: a line of netstat, and struct net_tcp_info. */
#include "net/stack/tcp.h"

static void describe(const struct net_sock *s, struct net_conn *c)
{
	const struct tcp *t = to_tcp(s);
	c->state = t->state;
	c->rcvq = t->lsn ? t->lsn->count : t->rcvq.len;
	c->sndq = t->lsn ? t->lsn->backlog : t->sndq.len;
}

static void each_mini(struct net_stack *st, void (*fn)(void *, const struct net_conn *), void *ctx)
{
	for (uint32_t i = 0; i <= st->tcp->mask; i++)
		for (const struct tnode *n = st->tcp->bucket[i]; n; n = n->next) {
			if (n->kind == TNODE_CONN)
				continue;
			struct net_conn c = {.type = NET_STREAM,
			                     .state = n->kind == TNODE_TW ? NET_TCP_TIME_WAIT
			                                                  : NET_TCP_SYN_RCVD,
			                     .local = {n->pair.laddr, n->pair.lport, 0},
			                     .remote = {n->pair.raddr, n->pair.rport, 0}};
			fn(ctx, &c);
		}
}

void net_conns(struct net_stack *st, void (*fn)(void *ctx, const struct net_conn *c), void *ctx)
{
	for (const struct net_sock *s = st->socks; s; s = s->next) {
		struct net_conn c = {.type = s->type, .local = s->local, .remote = s->remote};
		if (s->type == NET_STREAM)
			describe(s, &c);
		else
			c.rcvq = udp_queued(s);
		fn(ctx, &c);
	}
	each_mini(st, fn, ctx);
}

static uint32_t ms_since(const struct tcp *t, uint64_t then_ns)
{
	return then_ns ? (uint32_t)min_u64((t->s.st->now - then_ns) / NS_PER_MS, UINT32_MAX) : 0;
}

static uint32_t segs(const struct tcp *t, uint32_t bytes)
{
	return (bytes + t->mss - 1) / t->mss;
}

static void fill_state(const struct tcp *t, struct net_tcp_info *i)
{
	static const uint8_t linux_state[] = {7, 10, 2, 3, 1, 4, 5, 8, 11, 9, 6};
	i->tcpi_state = linux_state[t->state];
	i->tcpi_ca_state = t->ca_state;
	i->tcpi_retransmits = t->retransmits;
	i->tcpi_probes = t->probes;
	i->tcpi_backoff = t->backoff;
	i->tcpi_options = (uint8_t)((t->ts.ok ? NET_TCPI_OPT_TIMESTAMPS : 0) |
	                            (t->syn.sack_ok ? NET_TCPI_OPT_SACK : 0) |
	                            (t->syn.wscale_ok ? NET_TCPI_OPT_WSCALE : 0) |
	                            (t->ecn.mode ? NET_TCPI_OPT_ECN : 0));
	i->tcpi_snd_wscale = t->syn.snd_wscale;
	i->tcpi_rcv_wscale = t->syn.rcv_wscale;
	i->tcpi_rto = t->rto_us << min_u32(t->backoff, 4);
	i->tcpi_ato = (uint32_t)(TCP_DELACK_NS / NS_PER_US);
	i->tcpi_snd_mss = t->mss;
	i->tcpi_rcv_mss = t->rcv_mss;
	i->tcpi_advmss = t->syn.mss_adv;
	i->tcpi_pmtu = t->pmtu;
	i->tcpi_last_data_sent = ms_since(t, t->last_sent_ns);
	i->tcpi_last_data_recv = ms_since(t, t->last_rcv_ns);
	i->tcpi_last_ack_recv = ms_since(t, t->last_ack_ns);
}

static void fill_window(const struct tcp *t, struct net_tcp_info *i)
{
	i->tcpi_unacked = segs(t, t->snd_nxt - t->snd_una);
	i->tcpi_sacked = segs(t, t->sacked);
	for (const struct txseg *x = t->tx_head; x; x = x->next)
		if (x->retx && x->state == TX_FLYING)
			i->tcpi_retrans += segs(t, x->end - x->seq);
	/* What was sent again counts until it arrives, as Linux. */
	i->tcpi_lost = segs(t, t->lost) + (t->ca_state < CA_RECOVERY ? 0 : i->tcpi_retrans);
	i->tcpi_rtt = t->srtt_us;
	i->tcpi_rttvar = t->rttvar_us;
	i->tcpi_min_rtt = t->min_rtt_us;
	i->tcpi_snd_ssthresh = t->ssthresh == TCP_INFINITE ? TCP_INFINITE : t->ssthresh / t->mss;
	i->tcpi_snd_cwnd = t->cwnd / t->mss;
	i->tcpi_reordering = t->reord_seen ? 4 : TCP_DUPTHRESH;
	i->tcpi_reord_seen = t->reord_seen;
	i->tcpi_rcv_rtt = t->rcv_rtt_us;
	i->tcpi_rcv_space = t->rcv_space;
	i->tcpi_rcv_ssthresh = t->s.opt.rcvbuf;
	i->tcpi_snd_wnd = t->snd_wnd;
	i->tcpi_rcv_wnd = t->rcv_adv - t->rcv_nxt;
	if (t->srtt_us)
		i->tcpi_pacing_rate = (uint64_t)t->cwnd * 1200000 / t->srtt_us;
}

static void fill_ecn(const struct tcp *t, struct net_tcp_info *i)
{
	const struct tcp_ecn *e = &t->ecn;
	i->tcpi_delivered_ce = t->delivered_ce;
	i->accecn = e->mode == ECN_ACCURATE;
	if (!i->accecn)
		return;
	i->tcpi_received_ce = e->r_cep - ECN_CEP_INIT;
	i->tcpi_received_e1_bytes = e->r_bytes[ECN_ECT1 - 1] - 1;
	i->tcpi_received_e0_bytes = e->r_bytes[ECN_ECT0 - 1] - 1;
	i->tcpi_received_ce_bytes = e->r_bytes[ECN_CE - 1];
	i->tcpi_delivered_e1_bytes = e->s_bytes[ECN_ECT1 - 1] - 1;
	i->tcpi_delivered_e0_bytes = e->s_bytes[ECN_ECT0 - 1] - 1;
	i->tcpi_delivered_ce_bytes = e->s_bytes[ECN_CE - 1];
	i->tcpi_accecn_opt_seen = e->opt_seen;
	i->tcpi_accecn_fail_mode = (uint8_t)((e->no_ect ? NET_ACCECN_ACE_FAIL_SEND : 0) |
	                                     (e->deaf ? NET_ACCECN_ACE_FAIL_RECV : 0) |
	                                     (e->opt_off ? NET_ACCECN_OPT_FAIL_SEND : 0) |
	                                     (e->opt_bad ? NET_ACCECN_OPT_FAIL_RECV : 0));
}

int net_tcp_info(const struct net_sock *s, struct net_tcp_info *i)
{
	if (s->type != NET_STREAM)
		return -NET_EOPNOTSUPP;
	if (!sock_allowed(s, NET_OP_GETOPT, NULL, NULL))
		return -NET_EACCES;
	const struct tcp *t = to_tcp(s);
	*i = (struct net_tcp_info){0};
	fill_state(t, i);
	fill_window(t, i);
	i->tcpi_total_retrans = t->total_retx;
	i->tcpi_bytes_acked = t->bytes_acked;
	i->tcpi_bytes_received = t->bytes_in;
	i->tcpi_bytes_sent = t->bytes_out;
	i->tcpi_bytes_retrans = t->bytes_retx;
	i->tcpi_segs_out = t->segs_out;
	i->tcpi_segs_in = t->segs_in;
	i->tcpi_data_segs_in = t->data_in;
	i->tcpi_data_segs_out = t->data_out;
	i->tcpi_notsent_bytes = t->sndq.len - min_u32(t->sndq.len, t->snd_nxt - t->snd_una);
	i->tcpi_dsack_dups = t->dsacks_in;
	i->tcpi_rcv_ooopack = t->ooo_in;
	i->tcpi_delivered = (uint32_t)(t->delivered / t->mss);
	fill_ecn(t, i);
	for (unsigned k = 0; k + 1 < sizeof(i->cc) && t->opt.cc->name[k]; k++)
		i->cc[k] = t->opt.cc->name[k];
	return 0;
}
