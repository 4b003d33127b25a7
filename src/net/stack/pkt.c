/* Buffers and packets. See stack.h and pkt.h. */
#include "net/stack/pkt.h"

#include "net/stack/priv.h"

struct net_buf *net_buf_alloc(struct net_stack *st, uint32_t size)
{
	struct net_buf *b = stack_alloc(st, sizeof(*b) + size);
	if (!b)
		return NULL;
	*b = (struct net_buf){.refs = 1, .size = size, .data = (uint8_t *)(b + 1)};
	return b;
}

struct net_buf *net_buf_wrap(struct net_stack *st, void *data, uint32_t size,
                             void (*release)(struct net_buf *, void *), void *ctx)
{
	struct net_buf *b = stack_alloc(st, sizeof(*b));
	if (b)
		*b = (struct net_buf){1, size, data, release, ctx};
	return b;
}

void net_buf_ref(struct net_buf *buf)
{
	buf->refs++;
}

void net_buf_unref(struct net_stack *st, struct net_buf *buf)
{
	if (--buf->refs)
		return;
	bool wrapped = buf->data != (uint8_t *)(buf + 1);
	if (buf->release)
		buf->release(buf, buf->ctx);
	stack_free(st, buf, sizeof(*buf) + (wrapped ? 0 : buf->size));
}

struct pkt *pkt_alloc(struct net_stack *st, unsigned headroom)
{
	struct pkt *p = stack_alloc(st, sizeof(*p));
	if (!p)
		return NULL;
	mem_set(p, 0, offsetof(struct pkt, frag));
	p->st = st;
	p->head = p->head_end = (uint16_t)min_u32(headroom, PKT_ROOM);
	return p;
}

void pkt_free(struct pkt *p)
{
	struct net_stack *st = p->st;
	for (unsigned i = 0; i < p->nfrags; i++)
		net_buf_unref(st, p->frag[i].buf);
	stack_free(st, p, sizeof(*p));
}

bool pkt_add(struct pkt *p, struct net_buf *buf, uint32_t off, uint32_t len)
{
	if (len == 0)
		return true;
	if (p->nfrags) {
		struct net_frag *last = &p->frag[p->nfrags - 1];
		if (last->buf == buf && last->off + last->len == off) {
			last->len += len;
			p->len += len;
			return true;
		}
	}
	if (p->nfrags == PKT_FRAGS)
		return false;
	net_buf_ref(buf);
	p->frag[p->nfrags++] = (struct net_frag){buf, off, len};
	p->len += len;
	return true;
}

struct pkt *pkt_from(struct net_stack *st, const void *data, uint32_t len)
{
	struct pkt *p = pkt_alloc(st, PKT_ROOM);
	if (!p)
		return NULL;
	struct net_buf *b = net_buf_alloc(st, len);
	if (!b) {
		pkt_free(p);
		return NULL;
	}
	if (data)
		mem_copy(b->data, data, len);
	(void)pkt_add(p, b, 0, len);
	net_buf_unref(st, b);
	return p;
}

/* What does not lie in one piece, or not in one of the first two. Out of line: it is rare. */
static __attribute__((noinline)) bool read_pieces(const struct pkt *p, uint32_t off, uint8_t *out,
                                                  uint32_t len)
{
	for (unsigned i = 0; len && i <= p->nfrags; i++) {
		struct net_piece x = pkt_piece(p, i);
		if (off >= x.len) {
			off -= x.len;
			continue;
		}
		uint32_t n = min_u32(len, x.len - off);
		mem_copy(out, x.data + off, n);
		out += n;
		len -= n;
		off = 0;
	}
	return true;
}

bool pkt_read(const struct pkt *p, uint32_t off, void *dst, uint32_t len)
{
	uint8_t *out = dst;
	if (off > p->len || len > p->len - off)
		return false;
	uint32_t own = (uint32_t)(p->head_end - p->head);
	if (len <= own && off <= own - len) { /* one of these two, nearly always */
		mem_copy(out, p->room + p->head + off, len);
		return true;
	}
	if (off >= own && p->nfrags && off - own <= p->frag[0].len &&
	    len <= p->frag[0].len - (off - own)) {
		mem_copy(out, p->frag[0].buf->data + p->frag[0].off + (off - own), len);
		return true;
	}
	return read_pieces(p, off, out, len);
}

unsigned pkt_pieces(const struct pkt *p, struct net_piece *out, unsigned max)
{
	unsigned n = 0;
	if (p->head_end > p->head && n++ < max)
		out[0] = pkt_piece(p, 0);
	for (unsigned i = 1; i <= p->nfrags; i++, n++)
		if (n < max)
			out[n] = pkt_piece(p, i);
	return n;
}

uint8_t *pkt_push(struct pkt *p, unsigned n)
{
	BUG_ON(p->head < n);
	p->head = (uint16_t)(p->head - n);
	p->len += n;
	p->csum_start = (uint16_t)(p->csum_start + n);
	return p->room + p->head;
}

void pkt_trim_front(struct pkt *p, uint32_t n)
{
	n = min_u32(n, p->len);
	p->len -= n;
	p->csum_start = (uint16_t)(p->csum_start > n ? p->csum_start - n : 0);
	uint32_t own = min_u32(n, (uint32_t)(p->head_end - p->head));
	p->head = (uint16_t)(p->head + own);
	n -= own;
	unsigned gone = 0;
	while (gone < p->nfrags && n >= p->frag[gone].len) {
		n -= p->frag[gone].len;
		net_buf_unref(p->st, p->frag[gone].buf);
		gone++;
	}
	if (gone) {
		p->nfrags = (uint8_t)(p->nfrags - gone);
		mem_move(p->frag, p->frag + gone, p->nfrags * sizeof(p->frag[0]));
	}
	if (n) {
		p->frag[0].off += n;
		p->frag[0].len -= n;
	}
}

void pkt_trim_to(struct pkt *p, uint32_t len)
{
	if (len >= p->len)
		return;
	uint32_t cut = p->len - len;
	p->len = len;
	while (cut && p->nfrags) {
		struct net_frag *f = &p->frag[p->nfrags - 1];
		if (cut < f->len) {
			f->len -= cut;
			return;
		}
		cut -= f->len;
		net_buf_unref(p->st, f->buf);
		p->nfrags--;
	}
	p->head_end = (uint16_t)(p->head_end - cut);
}

/* Adds [off, off + len) of SRC to P, which has room for the bytes of SRC's room. */
static bool add_slice(struct pkt *p, const struct pkt *src, uint32_t off, uint32_t len)
{
	for (unsigned i = 0; len && i <= src->nfrags; i++) {
		struct net_piece x = pkt_piece(src, i);
		if (off >= x.len) {
			off -= x.len;
			continue;
		}
		uint32_t n = min_u32(len, x.len - off);
		if (i == 0) {
			mem_copy(p->room + p->head_end, x.data + off, n);
			p->head_end = (uint16_t)(p->head_end + n);
			p->len += n;
		} else if (!pkt_add(p, src->frag[i - 1].buf, src->frag[i - 1].off + off, n)) {
			return false;
		}
		len -= n;
		off = 0;
	}
	return len == 0;
}

struct pkt *pkt_slice(const struct pkt *p, uint32_t off, uint32_t len)
{
	uint32_t own = (uint32_t)(p->head_end - p->head);
	uint32_t copied = off < own ? min_u32(len, own - off) : 0;
	struct pkt *c = pkt_alloc(p->st, PKT_ROOM - copied);
	if (c && !add_slice(c, p, off, len)) {
		pkt_free(c);
		return NULL;
	}
	if (c)
		c->nif = p->nif;
	return c;
}
