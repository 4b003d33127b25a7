/*
 * TCP inside: the connection, its small forms (a request before the handshake is over, a remnant in
 * TIME-WAIT), and what the files tcp_*.c call of each other.
 *
 * Sequence variables have the names of RFC 9293, 3.3.1. What has been sent and not yet acknowledged
 * is a list of `struct txseg` without gaps from snd_una to snd_nxt; the bytes themselves wait in
 * sndq. A record covers what went out in one piece (with segmentation offload up to 64 KiB) and is
 * split where an acknowledgment or a loss ends inside it.
 */
#ifndef NET_STACK_TCP_H
#define NET_STACK_TCP_H

#include "net/stack/cc.h"
#include "net/stack/sock.h"

#define TCP_MSS_DEFAULT4   536u
#define TCP_MSS_DEFAULT6   1220u
#define TCP_MSS_FLOOR      48u /* Linux's TCP_MIN_SND_MSS: a tinier MSS is an attack */
#define TCP_IW_SEGS        10u /* RFC 6928 */
#define TCP_WSCALE_MAX     14u
#define TCP_RTO_INIT_US    1000000u
#define TCP_RTO_MIN_US     200000u /* as Linux; RFC 6298 (2.4) would have 1 s */
#define TCP_RTO_MAX_US     120000000u
#define TCP_BACKOFF_MAX    16u /* doublings: beyond, it is TCP_RTO_MAX_US anyway */
#define TCP_DELACK_NS      (40 * NS_PER_MS)
#define TCP_MSL2_NS        (60 * NS_PER_SEC) /* Linux's TCP_TIMEWAIT_LEN; also FIN-WAIT-2 orphans */
#define TCP_SYN_RETRIES    7u                /* 255 s: MUST-23 wants 3 min, Linux waits 127 s */
#define TCP_SYNACK_RETRIES 5u
#define TCP_RETRIES        15u
#define TCP_ORPHAN_RETRIES 8u
#define TCP_KEEPIDLE_S     7200u
#define TCP_KEEPINTVL_S    75u
#define TCP_KEEPCNT        9u
#define TCP_INFINITE       0x7fffffffu
#define TCP_SACKS          4u
#define TCP_OOO_MAX        4096u /* slices in the reassembly queue */
#define TCP_DUPTHRESH      3u

enum tnode_kind { TNODE_CONN, TNODE_REQ, TNODE_TW, TNODE_KINDS };

/* The two ends of a connection, ours first. */
struct tcp_pair {
	struct net_addr laddr, raddr;
	uint16_t lport, rport;
};

/* What hangs in the table of connections. */
struct tnode {
	struct tnode *next;
	struct tcp_pair pair;
	uint32_t hash;
	uint8_t kind;
	bool hashed;
};

struct tcp_range {
	uint32_t start, end;
};

struct tcp_opts {
	uint32_t ts_val, ts_ecr;
	uint32_t uto_s; /* 0: none */
	uint16_t mss;   /* 0: none */
	uint8_t wscale;
	bool has_ts, has_wscale, sack_ok;
	uint8_t nsacks, ecn_fields, ecn_order; /* of AccECN: how many of ecn are there */
	struct tcp_range sack[TCP_SACKS];
	uint32_t ecn[3];
};

/* A segment that came in. */
struct tcp_seg {
	struct pkt *p; /* the data only, once the headers are parsed */
	const struct ip_meta *m;
	uint32_t seq, ack, wnd; /* wnd as on the wire */
	uint32_t len;           /* of the data */
	struct tcp_pair pair;
	uint16_t flags, up;
	bool no_ace; /* AE, CWR and ECE are not a counter, or it has been used */
	bool ts_moved;
	struct tcp_opts o;
};

static inline uint32_t seg_end(const struct tcp_seg *g)
{
	return g->seq + g->len + (g->flags & TCP_SYN ? 1 : 0) + (g->flags & TCP_FIN ? 1 : 0);
}

/* Timestamps: what was last heard, and how far ours are from the stack's clock. */
struct tcp_ts {
	uint64_t recent_ns;
	uint32_t recent, off;
	bool ok;
};

/* What the two SYNs say: in the end, what both sides can do. */
struct tcp_syn {
	uint32_t iss, irs;
	uint16_t mss_peer, mss_adv;
	uint8_t snd_wscale, rcv_wscale;
	bool wscale_ok, sack_ok;
};

/* More than 0: G's timestamp is newer than what was last heard; less: older. */
static inline int32_t ts_step(const struct tcp_ts *ts, const struct tcp_seg *g)
{
	return ts->ok && g->o.has_ts ? (int32_t)(g->o.ts_val - ts->recent) : 0;
}

enum tx_state { TX_FLYING, TX_SACKED, TX_LOST };

struct txseg {
	struct txseg *next, *prev;
	uint64_t sent_ns;
	uint32_t seq, end;
	uint8_t state;
	uint8_t retx;  /* times it was retransmitted, at most 255 */
	uint8_t flags; /* TCP_SYN, TCP_FIN it carries; TCP_PSH */
};

enum ca_state { CA_OPEN, CA_DISORDER, CA_CWR, CA_RECOVERY, CA_LOSS };
enum rtx_kind { RTX_NONE, RTX_RTO, RTX_TLP, RTX_REO, RTX_PERSIST };
enum tcp_timer { TT_RTX, TT_DELACK, TT_KEEP, TT_PACE, TT_COUNT };

/* The search for a larger MTU. */
struct plp {
	uint32_t cap;      /* PLPMTU: what the path is known to take; 0: as much as the route */
	uint32_t high;     /* more has failed, or cannot be; 0: not known yet */
	uint32_t seq, end; /* of the probe that is out */
	uint16_t size;     /* its MTU; 0: none is out */
	uint8_t fails;     /* of probes of one size */
	uint64_t next_ns;  /* no probe before */
};

#define ECN_CEP_INIT 5u /* RFC 9768, 3.2.1 */
enum ecn_mode { ECN_OFF, ECN_CLASSIC, ECN_ACCURATE };

/* Congestion notification. Counters of bytes are by their mark, ECN_ECT1 - 1 and so on. */
struct tcp_ecn {
	uint8_t mode;           /* enum ecn_mode; in SYN-SENT, what is asked for */
	bool no_ect;            /* nothing goes out ECN-capable any more */
	bool deaf;              /* the peer's feedback is not believed */
	bool echo, cwr;         /* classic: ECE until CWR comes; CWR is to be sent */
	bool client, handshake; /* the next ACK answers a SYN-ACK */
	bool syn_marked, was_ce;
	bool edge;                 /* the field has changed since the last data */
	uint8_t last_ect, syn_ect; /* of the last packet that had one, of the last SYN or SYN-ACK */
	uint8_t opt_due;           /* segments that should still carry the option */
	uint8_t moved;             /* counters (1 << IP-ECN) that it has not told of yet */
	bool opt_put, opt_off, opt_seen, opt_bad;
	bool dup, dup_told; /* the ACK of what came again is due, went out with the option */
	bool heard, all_ce_broken;
	uint8_t all_ce; /* rounds in which everything was marked */
	uint32_t r_cep, r_bytes[3], ce_waiting;
	uint32_t s_cep, s_bytes[3];
	uint32_t opt_marks, opt_pkts; /* since the peer's last option */
	uint32_t pkts_avg;            /* segments acknowledged at once, times 8 */
	uint32_t round_end, dup_seq;
	uint64_t opt_ns; /* when the option went out last */
};

/* What a listener has besides. */
struct tcp_lsn {
	struct tcp *head, *tail; /* to be accepted */
	uint32_t count, backlog, reqs;
	net_syn_fn on_syn;
	void *on_syn_ctx;
};

struct tcp {
	struct net_sock s;
	struct tnode n;
	struct tcp *out_next; /* waits for tcp_poll */
	struct tcp *acc_next; /* in a listener's queue */
	struct tcp *parent;   /* the listener, until accepted */
	struct tcp_lsn *lsn;
	struct timer timer;
	uint64_t at[TT_COUNT];
	uint8_t state, ca_state, rtx_kind;
	bool out_queued;

	struct tcp_syn syn;
	struct tcp_ts ts;

	/* sending */
	uint32_t snd_una, snd_nxt, snd_wnd, snd_wl1, snd_wl2, snd_up, max_wnd;
	struct bytq sndq; /* from snd_una on, or iss + 1 before the SYN is acknowledged */
	struct txseg *tx_head, *tx_tail;
	uint32_t sacked, lost; /* bytes in those states */
	uint16_t mss;
	bool fin_wanted, fin_sent, fin_acked, cork, urg_out, probe_out, more;
	uint32_t snd_sml; /* end of the last short segment: Minshall's form of Nagle */

	/* congestion and recovery */
	struct cc_state ccs;
	uint32_t cwnd, ssthresh, high_seq, prior_cwnd, prior_ssthresh, undo_marker;
	uint32_t prr_delivered, prr_out, prr_cwnd, dupacks, max_flight;
	int32_t undo_retrans;
	uint64_t undo_stamp_ms; /* when the first retransmission went out */
	uint8_t frto_new;       /* segments that F-RTO may send beyond the window */
	bool frto, cwnd_limited;
	uint64_t delivered;

	/* round-trip times, in µs */
	uint32_t srtt_us, rttvar_us, rto_us, min_rtt_us;
	uint64_t min_rtt_ns;
	uint8_t backoff, retransmits, probes;

	/* RACK-TLP (RFC 8985) */
	uint64_t rack_xmit_ns;
	uint32_t rack_end, rack_rtt_us, rack_fack, rack_dsack_round, tlp_end;
	uint8_t rack_mult, rack_persist;
	bool reord_seen, rack_dsack, tlp_retx;

	/* receiving */
	uint32_t rcv_nxt, rcv_adv, rcv_acked, rcv_up;
	struct bytq rcvq;
	struct seg *ooo;
	uint32_t ooo_count, rcv_mss, fin_seq;
	struct tcp_range rsack[TCP_SACKS]; /* the most recent first */
	struct tcp_range dup;              /* to tell of, if DSACK */
	uint8_t nrsacks, quick;
	bool dsack, fin_known, fin_rcvd, urg_in, rd_shut, ack_now, ack_wanted, quickack;
	struct tcp_ecn ecn;
	uint64_t rcv_rtt_ns; /* when the window under measurement began */
	uint32_t rcv_rtt_seq, rcv_rtt_us, rcv_space, rcv_copied;
	uint64_t rcv_space_ns;
	struct bucket oow; /* answers to segments outside the window */

	/* what can be set; connections inherit it from their listener */
	struct {
		const struct cc_ops *cc;
		uint32_t keep_idle_s, keep_intvl_s, user_timeout_ms, uto_s;
		uint16_t mss_user;
		uint8_t keep_cnt;
		bool nodelay, keepalive, uto_fixed, pacing;
	} opt;
	bool uto_send;
	uint8_t keep_probes, syncnt;
	uint64_t last_rcv_ns, last_sent_ns, progress_ns, pace_ns;

	/* way out */
	struct hop hop;
	uint32_t route_gen; /* the stack's: HOP is right */
	uint32_t pmtu;
	struct plp plp;

	/* for TCP_INFO */
	uint64_t bytes_acked, bytes_in, bytes_out, bytes_retx;
	uint32_t segs_in, segs_out, data_in, data_out, total_retx, dsacks_in, ooo_in, delivered_ce;
	uint64_t last_ack_ns;
};

/* What the small forms have in common. */
struct tcp_mini {
	struct tnode n;
	struct net_stack *st;
	struct timer timer;
	struct tcp_mini *next, *prev; /* of the kind, by age */
	struct tcp_ts ts;
	struct bucket rate; /* of answers */
};

/* A request: a SYN that was answered, or waits for the listener's word. */
struct tcp_req {
	struct tcp_mini m;
	struct tcp *lsn;
	uint64_t id; /* of a deferred one */
	struct tcp_syn syn;
	uint32_t wnd, uto_s;
	uint16_t ifindex; /* where it came from */
	uint8_t sent, ecn, syn_ect;
	bool no_ect, deferred;
	uint64_t sent_ns;
};

/* A remnant in TIME-WAIT. */
struct tcp_tw {
	struct tcp_mini m;
	uint32_t snd_nxt, rcv_nxt, wnd; /* wnd as on the wire */
	uint8_t tos;
};

struct tcp_table {
	struct tnode **bucket, *last; /* the one found last */
	uint32_t mask, count;
	struct tcp *listeners; /* chained by acc_next */
	struct tcp *out_head, *out_tail;
	struct tcp_minis {
		struct tcp_mini *old, *young;
		uint32_t count;
	} minis[TNODE_KINDS];
	uint64_t next_req_id;
	uint16_t port_next;
	uint8_t wscale;          /* large enough for the largest window there may ever be */
	uint64_t cookie_seen_ns; /* when a cookie was last sent */
};

static inline struct tcp_req *to_req(struct tcp_mini *m)
{
	return container_of(m, struct tcp_req, m);
}

static inline struct tcp_tw *to_tw(struct tnode *n)
{
	return container_of(n, struct tcp_tw, m.n);
}

static inline struct tcp *to_tcp(const struct net_sock *s)
{
	return container_of((struct net_sock *)(uintptr_t)s, struct tcp, s);
}

static inline uint32_t tcp_flight(const struct tcp *t)
{
	return t->snd_nxt - t->snd_una - t->sacked - t->lost;
}

/* The sequence number behind the last byte that waits to be sent. */
static inline uint32_t tcp_snd_end(const struct tcp *t)
{
	uint32_t base = t->state == NET_TCP_SYN_SENT || t->state == NET_TCP_SYN_RCVD
	                        ? t->syn.iss + 1
	                        : t->snd_una;
	return base + t->sndq.len;
}

/* The sequence number of the next byte to be read. */
static inline uint32_t tcp_read_seq(const struct tcp *t)
{
	return t->rcv_nxt - t->rcvq.len - (t->fin_rcvd ? 1 : 0);
}

/* What the peer and our owner allow. */
static inline uint32_t tcp_mss_limit(const struct tcp *t)
{
	return t->opt.mss_user ? min_u32(t->opt.mss_user, t->syn.mss_peer) : t->syn.mss_peer;
}

/* Of IP and TCP, without options. */
static inline uint32_t tcp_headers(const struct net_addr *peer)
{
	return TCP_HLEN + (addr_is_v4(peer) ? IP4_HLEN : IP6_HLEN);
}

/* An interface may be gone with the hop that led to it. */
static inline bool tcp_hop_ok(const struct tcp *t)
{
	return t->route_gen == t->s.st->route_gen;
}

static inline bool tcp_synchronized(const struct tcp *t)
{
	return t->state >= NET_TCP_ESTABLISHED;
}

static inline uint32_t tcp_clock_ms(const struct net_stack *st)
{
	return (uint32_t)(st->now / NS_PER_MS);
}

/* tcp.c */
bool tcp_hash_add(struct net_stack *st, struct tnode *n);
void tcp_hash_del(struct net_stack *st, struct tnode *n);
struct tnode *tcp_hash_find(struct net_stack *st, const struct tcp_pair *pair);
void tcp_reset_for(struct net_stack *st, const struct tcp_seg *g);
void tcp_set_state(struct tcp *t, enum net_tcp_state state);
void tcp_finish(struct tcp *t, int err);
void tcp_free(struct tcp *t);
void tcp_want_output(struct tcp *t);
bool tcp_route(struct tcp *t);
void tcp_sync_mss(struct tcp *t);
/* MORE: what else goes into it, where anything. */
uint64_t tcp_pair_hash(const struct hash_key *key, const struct tcp_pair *pair, uint64_t more);
uint32_t tcp_isn(struct net_stack *st, const struct tcp_pair *pair);
uint32_t tcp_ts_offset(struct net_stack *st, const struct tcp_pair *pair);

/* tcp_opt.c */
void tcp_parse_options(const uint8_t *o, uint32_t len, struct tcp_opts *out);
/* What a SYN of ours may offer. */
struct tcp_syn tcp_offer(const struct net_stack *st);
/* The peer's SYN, G: what is left of the offer. */
void tcp_meet(struct net_stack *st, struct tcp_syn *syn, struct tcp_ts *ts,
              const struct tcp_seg *g);
/* Ten bytes. */
uint8_t *tcp_put_ts(uint8_t *p, const struct net_stack *st, const struct tcp_ts *ts);
uint32_t tcp_put_syn_options(uint8_t *o, const struct net_stack *st, const struct tcp_syn *syn,
                             const struct tcp_ts *ts, uint32_t uto_s, bool accecn);
/* OUT has 40 bytes; returns how many are used. AGAIN: of a retransmission. */
uint32_t tcp_put_options(struct tcp *t, uint8_t *out, bool again);

/* tcp_in.c */
void tcp_segment(struct tcp *t, struct tcp_seg *g);
void tcp_challenge(struct tcp *t);
/* The peer's SYN is known: WND is its window (never scaled), ROOM ours, UTO_S its user timeout. */
void tcp_begin(struct tcp *t, uint32_t wnd, uint32_t room, uint32_t uto_s);
/* tcp_data.c */
void tcp_take_data(struct tcp *t, struct tcp_seg *g);
void tcp_clear_rx(struct tcp *t);
void tcp_read_some(struct tcp *t, uint32_t len);
void tcp_dsack(struct tcp *t, uint32_t start, uint32_t end);
uint32_t tcp_rcv_space(const struct tcp *t);
uint32_t tcp_rcv_wnd(const struct tcp *t);

/* tcp_ack.c: what an acknowledgment brought */
struct ack_news {
	uint32_t prior_flight, prior_lost, acked, delivered, pkts, newly_lost;
	int64_t rtt_us, sack_rtt_us; /* -1: none */
	bool advanced, sacked_new, dsack, orig_acked, retx_acked, ece, wnd_moved, dup;
	uint64_t first_sent_ns;
};
/* False: the segment is to be dropped. */
bool tcp_take_ack(struct tcp *t, struct tcp_seg *g);
void tcp_rtt_sample(struct tcp *t, int64_t rtt_us);
/* The round trip that the echo in G tells of; 0: it tells of none. */
uint32_t tcp_echo_us(const struct tcp *t, const struct tcp_seg *g);

/* tcp_ecn.c: congestion marks */
void ecn_begin(struct tcp_ecn *e, enum ecn_mode mode);
enum ecn_mode ecn_of_syn(const struct net_stack *st, const struct tcp_seg *g);
enum ecn_mode ecn_of_cookie(const struct net_stack *st, const struct tcp_seg *g);
uint16_t ecn_syn_flags(const struct tcp *t);
uint16_t ecn_answer_flags(enum ecn_mode mode, uint8_t syn_ect);
bool ecn_take_synack(struct tcp *t, const struct tcp_seg *g);
void ecn_synack_again(struct tcp *t, const struct tcp_seg *g);
void ecn_handshake_ack(struct tcp *t, void (*send)(struct tcp *));
bool ecn_take_third(struct tcp *t, struct tcp_seg *g);
void ecn_received(struct tcp *t, const struct tcp_seg *g, uint32_t bytes);
void ecn_ack_missed(struct tcp *t, uint32_t seq);
void ecn_ack_sent(struct tcp *t);
uint16_t ecn_flags(const struct tcp *t);
void ecn_take_feedback(struct tcp *t, const struct tcp_seg *g, struct ack_news *news);
/* Both return the length with padding: 12 bytes for three counters, 8 for fewer. */
uint32_t ecn_write_option(uint8_t *o, unsigned order, unsigned fields, const uint32_t bytes[3]);
uint32_t ecn_put_option(struct tcp *t, uint8_t *o, uint32_t room);

/* tcp_sack.c: the list of what is in flight */
struct txseg *tx_add(struct tcp *t, uint32_t seq, uint32_t end, uint8_t flags);
void tx_remove(struct tcp *t, struct txseg *x);
bool tx_split(struct tcp *t, struct txseg *x, uint32_t at);
void tx_set_state(struct tcp *t, struct txseg *x, enum tx_state state);
/* All that are in state FROM. */
void tx_set_all(struct tcp *t, enum tx_state from, enum tx_state to);
void tx_clear(struct tcp *t);
void tx_cleaned(struct tcp *t, uint32_t ack, struct ack_news *news);
void tcp_take_sacks(struct tcp *t, const struct tcp_seg *g, struct ack_news *news);

/* tcp_loss.c: detection and recovery */
void rack_update(struct tcp *t, const struct txseg *x);
void tcp_recovery(struct tcp *t, struct ack_news *news);
void rack_timeout(struct tcp *t);
void tcp_enter_loss(struct tcp *t);
void tcp_enter_cwr(struct tcp *t);
void tlp_timeout(struct tcp *t);
void tlp_arm(struct tcp *t);
void tlp_ack(struct tcp *t, const struct ack_news *news, const struct tcp_seg *g);

/* tcp_mtu.c */
/* PMTU is what the path takes, as ICMP has TOLD or as time-outs make likely. */
void plp_limit(struct tcp *t, uint32_t pmtu, bool told);
void plp_suspect(struct tcp *t);
uint32_t plp_probe(struct tcp *t, uint32_t mss);
void plp_acked(struct tcp *t);
void plp_sent_again(struct tcp *t, const struct txseg *x);
bool plp_only_loss(struct tcp *t);

/* tcp_out.c */
void tcp_output(struct tcp *t);
/* What a cork or NET_MSG_MORE holds back goes out, too; a cork goes on. */
void tcp_push(struct tcp *t);
void tcp_send_ack(struct tcp *t);
void tcp_send_syn(struct tcp *t);
/* Reset the connection, where there is one; then as tcp_finish. */
void tcp_abort(struct tcp *t, int err);
void tcp_send_probe(struct tcp *t, bool keepalive);
bool tcp_retransmit(struct tcp *t, struct txseg *x, uint32_t max);
struct tcp_reply {
	const struct tcp_pair *pair;
	uint32_t seq, ack, wnd, optlen;
	uint16_t flags;
	uint8_t tos;
	struct net_if *nif;
	const uint8_t *opts;
};
/* A segment without data and without a connection. */
void tcp_send_reply(struct net_stack *st, const struct tcp_reply *r);

/* tcp_timer.c */
void tcp_timer_fire(struct timer *tm);
void tcp_arm(struct tcp *t, enum tcp_timer which, uint64_t at_ns);
void tcp_disarm(struct tcp *t, enum tcp_timer which);
void tcp_arm_rtx(struct tcp *t, enum rtx_kind kind, uint64_t in_us);
/* rto_us, doubled as often as it has run out. */
void tcp_arm_backed_off(struct tcp *t, enum rtx_kind kind);
void tcp_rearm_rto(struct tcp *t);
void tcp_keep_restart(struct tcp *t);

/* tcp_syn.c, tcp_tw.c */
/* M, which is filled in, joins its kind for LIFE_NS. False: the pair is taken. */
bool tcp_mini_add(struct tcp_mini *m, uint64_t life_ns);
void tcp_mini_free(struct tcp_mini *m);
void tcp_listen_input(struct tcp *lsn, struct tcp_seg *g);
void tcp_req_input(struct tcp_req *r, struct tcp_seg *g);
void tcp_reqs_drop(struct tcp *lsn);
/* The MSS to announce to PEER: of what we can take (MUST-67), or what the USER wants, unless 0. */
uint16_t tcp_mss_adv(const struct net_if *nif, const struct net_addr *peer, uint16_t user);
void tcp_time_wait(struct tcp *t);
void tcp_tw_input(struct tcp_tw *w, struct tcp_seg *g);

#endif
