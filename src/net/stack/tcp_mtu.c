/*
 * The path's MTU from what arrives and what does not (RFC 8899, by the rules of RFC 4821 for TCP):
 * full segments that vanish again and again make segments small, and while less is known to pass
 * than the route could take, larger segments of queued data look for more. ICMP is in tcp.c.
 */
#include "net/stack/tcp.h"

#define BASE_PLPMTU4   1200u /* RFC 8899, 5.1.2 */
#define MIN_PLPMTU4    576u
#define MAX_PROBES     3u
#define PROBE_NS       (15 * NS_PER_SEC)  /* between a lost probe and the next */
#define PMTU_RAISE_NS  (600 * NS_PER_SEC) /* from the end of a search to the next */
#define SEARCH_STEP    16u                /* what is closer together is the same */
#define BLACK_HOLE_RTX 3u                 /* time-outs of a full segment */

static void take(struct tcp *t, uint32_t pmtu)
{
	t->plp.cap = t->pmtu = pmtu;
	t->plp.fails = 0;
	tcp_sync_mss(t);
}

void plp_limit(struct tcp *t, uint32_t pmtu, bool told)
{
	t->plp = (struct plp){.next_ns = t->s.st->now + (told ? PMTU_RAISE_NS : PROBE_NS)};
	take(t, pmtu);
}

/* 4.3: a time-out. Not even the least fails: it is no matter of size. */
void plp_suspect(struct tcp *t)
{
	bool v4 = addr_is_v4(&t->s.remote.addr);
	uint32_t base = !v4 ? IP6_MIN_MTU : t->pmtu > BASE_PLPMTU4 ? BASE_PLPMTU4 : MIN_PLPMTU4;
	if (t->retransmits >= BLACK_HOLE_RTX && t->pmtu > base &&
	    t->tx_head->end - t->tx_head->seq >= t->mss)
		plp_limit(t, base, false);
}

/* The size to try next; 0: there is nothing more to find for now. First all, then by halves. */
static uint32_t next_size(struct tcp *t)
{
	struct plp *p = &t->plp;
	const struct net_addr *peer = &t->s.remote.addr;
	uint32_t mtu = pmtu_get(t->hop.nif, peer);
	uint32_t max = min_u32(mtu, tcp_mss_limit(t) + tcp_headers(peer));
	if (!p->high || p->high > max)
		p->high = max;
	if (p->high >= p->cap + SEARCH_STEP || (p->high == max && p->high > p->cap))
		return p->high == max ? max : p->cap + (p->high - p->cap + 1) / 2;
	p->high = 0;
	p->next_ns = t->s.st->now + PMTU_RAISE_NS;
	return 0;
}

/* Bytes of queued data for a probe that may go now, 0: none. What follows it shows its loss without
 * a time-out (RFC 4821, 7.4). */
uint32_t plp_probe(struct tcp *t, uint32_t mss)
{
	struct plp *p = &t->plp;
	if (!p->cap || p->size || t->s.st->now < p->next_ns || !t->syn.sack_ok || !tcp_hop_ok(t) ||
	    t->ca_state != CA_OPEN || t->sacked || t->lost || t->urg_out || t->frto_new)
		return 0;
	uint32_t size = next_size(t), out = t->snd_nxt - t->snd_una;
	uint32_t len = mss + size - min_u32(size, t->pmtu), need = len + TCP_DUPTHRESH * mss;
	if (!size || t->sndq.len - out < need || t->snd_wnd < out + need ||
	    t->cwnd < tcp_flight(t) + need)
		return 0;
	p->size = (uint16_t)size;
	p->seq = t->snd_nxt;
	p->end = t->snd_nxt + len;
	return len;
}

void plp_acked(struct tcp *t)
{
	struct plp *p = &t->plp;
	if (!p->size || seq_lt(t->snd_una, p->end))
		return;
	take(t, p->size);
	p->size = 0;
}

/* Something of the probe is sent again: it is not known to have passed. */
void plp_sent_again(struct tcp *t, const struct txseg *x)
{
	struct plp *p = &t->plp;
	if (!p->size || seq_le(p->end, x->seq) || seq_le(x->end, p->seq))
		return;
	if (++p->fails >= MAX_PROBES) {
		p->high = p->size - 1u;
		p->fails = 0;
	}
	p->size = 0;
	p->next_ns = t->s.st->now + PROBE_NS;
}

/* Only the probe is lost: too large, which says nothing of congestion (RFC 8899, 3, item 7). True:
 * it has been sent again in smaller pieces. */
bool plp_only_loss(struct tcp *t)
{
	const struct plp *p = &t->plp;
	struct txseg *x = p->size ? t->tx_head : NULL;
	while (x && x->seq != p->seq)
		x = x->next;
	if (!x || x->state != TX_LOST || t->lost != x->end - x->seq)
		return false;
	for (; x && seq_lt(x->seq, p->end); x = x->next)
		if (!tcp_retransmit(t, x, x->end - x->seq))
			return false;
	return true;
}
