/*
 * Reassembly of both families (RFC 791, 3.2; RFC 8200, 4.5; RFC 5722). Overlaps are never merged:
 * an exact duplicate is ignored, any other overlap drops the datagram with all its fragments.
 * Memory, fragments per datagram and time are bounded.
 */
#include "net/stack/priv.h"

#define FRAG_LIFE_NS (30 * NS_PER_SEC) /* as Linux; RFC 8200 says 60 s at most */
#define FRAG_MAX     64u               /* fragments of one datagram: 64 KiB in 1 KiB pieces */
#define DATAGRAM_MAX 65535u

struct piece {
	struct piece *next;
	struct pkt *p; /* the data only */
	uint32_t off;
};

struct reass {
	struct reass *next;
	struct ip_meta m;       /* of the fragment that came first, without the packet */
	struct frag_info first; /* of the one at offset 0, once it is there: it has a header */
	uint32_t id;
	bool poisoned; /* an overlap was seen: swallow the rest */
	uint32_t end;  /* known once the last fragment is there; 0 before */
	uint32_t count, bytes, mem;
	uint8_t ecn_seen;
	uint8_t hdr[PKT_ROOM];
	struct piece *pieces; /* by offset */
	struct timer timer;
};

static void drop_pieces(struct reass *r)
{
	struct net_stack *st = r->m.nif->st;
	while (r->pieces) {
		struct piece *x = r->pieces;
		r->pieces = x->next;
		pkt_free(x->p);
		stack_free(st, x, sizeof(*x));
		st->stats.frag_drop++;
	}
	st->frag_mem -= r->mem;
	r->mem = 0;
}

static void reass_free(struct reass *r)
{
	struct net_stack *st = r->m.nif->st;
	timer_disarm(&st->timers, &r->timer);
	drop_pieces(r);
	list_remove(st->reass, r, next);
	st->frag_mem -= (uint32_t)sizeof(*r);
	stack_free(st, r, sizeof(*r));
}

static void reass_timer(struct timer *t)
{
	struct reass *r = container_of(t, struct reass, timer);
	/* RFC 792 and 4443: say so only if the first fragment is there. */
	if (r->first.hdr_len && !r->poisoned && r->pieces) {
		struct pkt *p = pkt_slice(r->pieces->p, 0, r->pieces->p->len);
		r->m.p = p;
		if (p && r->first.hdr_len <= p->head) {
			mem_copy(pkt_push(p, r->first.hdr_len), r->hdr, r->first.hdr_len);
			icmp_error(&r->m, ICMP_TOO_LATE, 0);
		}
		if (p)
			pkt_free(p);
	}
	reass_free(r);
}

static struct reass *find(const struct ip_meta *m, const struct frag_info *f)
{
	struct reass *r = m->nif->st->reass;
	while (r && !(r->id == f->id && r->m.nif == m->nif && addr_eq(&r->m.src, &m->src) &&
	              addr_eq(&r->m.dst, &m->dst) && (!m->v4 || r->m.proto == m->proto)))
		r = r->next;
	return r;
}

/* Make room for BYTES by forgetting the oldest datagrams; they are at the end of the list. */
static bool make_room(struct net_stack *st, uint32_t bytes, const struct reass *keep)
{
	while (st->frag_mem + bytes > st->cfg.frag_mem_max) {
		struct reass *oldest = NULL;
		for (struct reass *r = st->reass; r; r = r->next)
			oldest = r != keep ? r : oldest;
		if (!oldest)
			return false;
		reass_free(oldest);
	}
	return true;
}

static struct reass *create(const struct ip_meta *m, const struct frag_info *f)
{
	struct net_stack *st = m->nif->st;
	if (!make_room(st, sizeof(struct reass), NULL))
		return NULL;
	struct reass *r = stack_zalloc(st, sizeof(*r));
	if (!r)
		return NULL;
	r->m = *m;
	r->id = f->id;
	r->next = st->reass;
	st->reass = r;
	r->timer.fire = reass_timer;
	st->frag_mem += (uint32_t)sizeof(*r);
	timer_arm(st, &r->timer, st->now + FRAG_LIFE_NS);
	return r;
}

enum place { PLACED, DUPLICATE, REFUSED };

/* Put [off, off + len) in its place among the pieces. */
static enum place place(struct reass *r, struct pkt *data, uint32_t off)
{
	uint32_t end = off + data->len;
	struct piece **at = &r->pieces;
	while (*at && (*at)->off < off) {
		if ((*at)->off + (*at)->p->len > off)
			return REFUSED;
		at = &(*at)->next;
	}
	if (*at && (*at)->off == off && (*at)->p->len == data->len)
		return DUPLICATE;
	if (*at && (*at)->off < end)
		return REFUSED;
	struct piece *x = stack_alloc(r->m.nif->st, sizeof(*x));
	if (!x)
		return DUPLICATE; /* the sender may try again */
	*x = (struct piece){*at, data, off};
	*at = x;
	return PLACED;
}

/* Length, end and number: what contradicts what is known already drops the datagram. */
static bool consistent(struct reass *r, const struct frag_info *f, uint32_t len)
{
	uint32_t end = f->off + len;
	if (len == 0 || (f->more && len % 8) || end > DATAGRAM_MAX - f->hdr_len ||
	    r->count >= FRAG_MAX)
		return false;
	if (!f->more) {
		if (r->end && r->end != end)
			return false;
		for (const struct piece *x = r->pieces; x; x = x->next)
			if (x->off + x->p->len > end)
				return false;
		r->end = end;
	}
	return !r->end || end <= r->end;
}

/* All is there: one packet of the first fragment's header and the data. */
static struct pkt *join(struct reass *r)
{
	struct net_stack *st = r->m.nif->st;
	/* IPv4 options have been looked at. */
	uint32_t hdr_len = r->m.v4 ? IP4_HLEN : r->first.hdr_len;
	struct pkt *p = pkt_from(st, NULL, r->end);
	if (!p)
		return NULL;
	for (const struct piece *x = r->pieces; x; x = x->next)
		(void)pkt_read(x->p, 0, p->frag[0].buf->data + x->off, x->p->len);
	uint8_t *h = pkt_push(p, hdr_len);
	mem_copy(h, r->hdr, hdr_len);
	p->nif = r->m.nif;
	if (r->m.v4) {
		h[0] = 0x45;
		put_be16(h + IP4_TOTLEN, p->len);
		put_be16(h + IP4_FRAG, 0);
	} else {
		h[r->first.next_at] = r->first.next;
		put_be16(h + IP6_PLEN, p->len - IP6_HLEN);
	}
	st->stats.frag_ok++;
	return p;
}

bool frag_input(struct ip_meta *m, const struct frag_info *f)
{
	struct net_stack *st = m->nif->st;
	struct pkt *p = m->p;
	st->stats.frag_in++;
	struct reass *r = find(m, f);
	if (!r)
		r = create(m, f);
	if (!r || r->poisoned || f->hdr_len > sizeof(r->hdr))
		return false;
	if (f->off == 0 && !r->first.hdr_len) {
		(void)pkt_read(p, 0, r->hdr, f->hdr_len);
		r->first = *f;
	}
	pkt_trim_front(p, f->data_off);
	uint32_t mem = p->len + (uint32_t)(sizeof(struct pkt) + sizeof(struct piece));
	enum place how = REFUSED;
	if (consistent(r, f, p->len))
		how = make_room(st, mem, r) ? place(r, p, f->off) : DUPLICATE;
	if (how == REFUSED) {
		drop_pieces(r);
		r->poisoned = true;
	}
	if (how != PLACED)
		return false;
	m->p = NULL;
	r->count++;
	r->bytes += p->len;
	r->mem += mem;
	r->ecn_seen |= (uint8_t)(1 << (m->tos & ECN_MASK));
	st->frag_mem += mem;
	if (!r->end || r->bytes != r->end || !r->first.hdr_len)
		return false;
	/* RFC 3168, 5.3: one mark marks the whole; marked and not-capable do not go together. */
	if (!(r->ecn_seen & 1 << ECN_CE) || !(r->ecn_seen & 1))
		m->p = join(r);
	reass_free(r);
	return m->p != NULL;
}

void frag_flush(struct net_stack *st, const struct net_if *nif)
{
	for (struct reass *r = st->reass, *next; r; r = next) {
		next = r->next;
		if (r->m.nif == nif)
			reass_free(r);
	}
}
