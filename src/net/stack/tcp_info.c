/* What can be set on a connection, and what it tells of itself. */
#include "net/stack/tcp.h"

#define BUF_MIN 2048
#define BUF_MAX (64 * 1024 * 1024)

static int set_buffer(uint32_t *buf, bool *fixed, int64_t v)
{
	if (v < 0 || v > BUF_MAX)
		return -NET_EINVAL;
	*buf = v < BUF_MIN ? BUF_MIN : (uint32_t)v;
	*fixed = true;
	return 0;
}

static int set_range(uint32_t *where, int64_t v, int64_t min, int64_t max)
{
	if (v < min || v > max)
		return -NET_EINVAL;
	*where = (uint32_t)v;
	return 0;
}

static int set_mss(struct tcp *t, int64_t v)
{
	if (v && (v < 88 || v > 32767)) /* Linux's TCP_MIN_MSS and MAX_TCP_WINDOW */
		return -NET_EINVAL;
	t->mss_user = (uint16_t)v;
	if (tcp_synchronized(t))
		tcp_sync_mss(t);
	return 0;
}

static int set_keep(struct tcp *t, enum net_opt opt, int64_t v)
{
	uint32_t cnt = t->keep_cnt;
	int err;
	if (opt == NET_TCP_KEEPCNT)
		err = set_range(&cnt, v, 1, 127);
	else
		err = set_range(opt == NET_TCP_KEEPIDLE ? &t->keep_idle_s : &t->keep_intvl_s, v, 1,
		                32767);
	t->keep_cnt = (uint8_t)cnt;
	if (!err)
		tcp_keep_restart(t);
	return err;
}

int tcp_set(struct net_sock *s, enum net_opt opt, int64_t v)
{
	struct tcp *t = to_tcp(s);
	uint32_t n = 0;
	int err = 0;
	switch (opt) {
	case NET_SO_SNDBUF:
		return set_buffer(&t->sndbuf, &t->sndbuf_fixed, v);
	case NET_SO_RCVBUF:
		return set_buffer(&t->rcvbuf, &t->rcvbuf_fixed, v);
	case NET_SO_LINGER:
		t->linger = v == 0 ? 0 : -1;
		return 0;
	case NET_SO_KEEPALIVE:
		t->keepalive = v != 0;
		tcp_keep_restart(t);
		return 0;
	case NET_TCP_NODELAY:
		t->nodelay = v != 0;
		tcp_output(t);
		return 0;
	case NET_TCP_CORK:
		t->cork = v != 0;
		tcp_output(t);
		return 0;
	case NET_TCP_QUICKACK:
		t->quickack = v != 0;
		return 0;
	case NET_TCP_PACING:
		t->pacing = v != 0;
		return 0;
	case NET_TCP_MAXSEG:
		return set_mss(t, v);
	case NET_TCP_KEEPIDLE:
	case NET_TCP_KEEPINTVL:
	case NET_TCP_KEEPCNT:
		return set_keep(t, opt, v);
	case NET_TCP_USER_TIMEOUT:
		t->uto_fixed = v != 0;
		return set_range(&t->user_timeout_ms, v, 0, 0x7fffffff);
	case NET_TCP_UTO:
		err = set_range(&t->uto_s, v, 0, 0x7fff * 60);
		t->uto_send = !err && v && tcp_synchronized(t);
		return err;
	case NET_TCP_SYNCNT:
		err = set_range(&n, v, 1, 127);
		if (!err)
			t->syncnt = (uint8_t)n;
		return err;
	default:
		return -NET_ENOPROTOOPT;
	}
}

int tcp_get(struct net_sock *s, enum net_opt opt, int64_t *v)
{
	const struct tcp *t = to_tcp(s);
	uint32_t next = t->rcv_nxt - t->rcvq.len - (t->fin_rcvd ? 1 : 0);
	switch (opt) {
	case NET_SO_SNDBUF:
		*v = t->sndbuf;
		return 0;
	case NET_SO_RCVBUF:
		*v = t->rcvbuf;
		return 0;
	case NET_SO_KEEPALIVE:
		*v = t->keepalive;
		return 0;
	case NET_TCP_NODELAY:
		*v = t->nodelay;
		return 0;
	case NET_TCP_MAXSEG:
		*v = t->mss;
		return 0;
	case NET_TCP_USER_TIMEOUT:
		*v = t->user_timeout_ms;
		return 0;
	case NET_TCP_ATMARK:
		*v = t->urg_in && next == t->rcv_up - 1;
		return 0;
	case NET_TCP_URGENT:
		*v = t->urg_in ? (int64_t)(t->rcv_up - next) : 0;
		return 0;
	default:
		return -NET_ENOPROTOOPT;
	}
}

int net_set_cc(struct net_sock *s, const char *name)
{
	const struct cc_ops *cc = cc_find(name);
	if (s->type != NET_STREAM)
		return -NET_EOPNOTSUPP;
	if (!cc)
		return -NET_ENOENT;
	if (!sock_allowed(s, NET_OP_SETOPT, NULL, NULL))
		return -NET_EACCES;
	struct tcp *t = to_tcp(s);
	t->cc = cc;
	cc->init(t);
	return 0;
}

void tcp_queued(const struct net_sock *s, uint32_t *rcvq, uint32_t *sndq)
{
	const struct tcp *t = to_tcp(s);
	*rcvq = t->lsn ? t->lsn->count : t->rcvq.len;
	*sndq = t->lsn ? t->lsn->backlog : t->sndq.len;
}

void tcp_each_mini(struct net_stack *st, void (*fn)(void *, const struct net_conn *), void *ctx)
{
	for (uint32_t i = 0; i <= st->tcp->mask; i++)
		for (const struct tnode *n = st->tcp->bucket[i]; n; n = n->next) {
			if (n->kind == TNODE_CONN)
				continue;
			struct net_conn c = {.type = NET_STREAM,
			                     .state = n->kind == TNODE_TW ? NET_TCP_TIME_WAIT
			                                                  : NET_TCP_SYN_RCVD,
			                     .local = {n->laddr, n->lport, 0},
			                     .remote = {n->raddr, n->rport, 0}};
			fn(ctx, &c);
		}
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
	i->tcpi_options = (uint8_t)((t->ts_ok ? NET_TCPI_OPT_TIMESTAMPS : 0) |
	                            (t->sack_ok ? NET_TCPI_OPT_SACK : 0) |
	                            (t->wscale_ok ? NET_TCPI_OPT_WSCALE : 0) |
	                            (t->ecn.mode ? NET_TCPI_OPT_ECN : 0));
	i->tcpi_snd_wscale = t->snd_wscale;
	i->tcpi_rcv_wscale = t->rcv_wscale;
	i->tcpi_rto = t->rto_us << min_u32(t->backoff, 4);
	i->tcpi_ato = (uint32_t)(TCP_DELACK_NS / NS_PER_US);
	i->tcpi_snd_mss = t->mss;
	i->tcpi_rcv_mss = t->rcv_mss;
	i->tcpi_advmss = t->mss_adv;
	i->tcpi_pmtu = t->pmtu;
	i->tcpi_last_data_sent = ms_since(t, t->last_sent_ns);
	i->tcpi_last_data_recv = ms_since(t, t->last_rcv_ns);
	i->tcpi_last_ack_recv = ms_since(t, t->last_ack_ns);
}

static void fill_window(const struct tcp *t, struct net_tcp_info *i)
{
	i->tcpi_unacked = segs(t, t->snd_nxt - t->snd_una);
	i->tcpi_sacked = segs(t, t->sacked);
	i->tcpi_lost = segs(t, t->lost);
	for (const struct txseg *x = t->tx_head; x; x = x->next)
		if (x->retx && x->state == TX_FLYING)
			i->tcpi_retrans += segs(t, x->end - x->seq);
	i->tcpi_rtt = t->srtt_us;
	i->tcpi_rttvar = t->rttvar_us;
	i->tcpi_min_rtt = t->min_rtt_us;
	i->tcpi_snd_ssthresh = t->ssthresh == TCP_INFINITE ? TCP_INFINITE : t->ssthresh / t->mss;
	i->tcpi_snd_cwnd = t->cwnd / t->mss;
	i->tcpi_reordering = t->reord_seen ? 4 : TCP_DUPTHRESH;
	i->tcpi_reord_seen = t->reord_seen;
	i->tcpi_rcv_rtt = t->rcv_rtt_us;
	i->tcpi_rcv_space = t->rcv_space;
	i->tcpi_rcv_ssthresh = t->rcvbuf;
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
	i->tcpi_received_ce = e->r_cep;
	i->tcpi_received_e1_bytes = e->r_bytes[ECN_ECT1 - 1];
	i->tcpi_received_e0_bytes = e->r_bytes[ECN_ECT0 - 1];
	i->tcpi_received_ce_bytes = e->r_bytes[ECN_CE - 1];
	i->tcpi_delivered_e1_bytes = e->s_bytes[ECN_ECT1 - 1];
	i->tcpi_delivered_e0_bytes = e->s_bytes[ECN_ECT0 - 1];
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
	for (unsigned k = 0; k + 1 < sizeof(i->cc) && t->cc->name[k]; k++)
		i->cc[k] = t->cc->name[k];
	return 0;
}
