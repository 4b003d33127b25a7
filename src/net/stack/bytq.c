/* Queues of bytes in shared buffers: what a stream has to send, and what it has received. */
#include "net/stack/pkt.h"

#include "net/stack/priv.h"

#define CHUNK_MIN 512u
#define CHUNK_MAX 32768u

struct seg *seg_new(struct net_stack *st, struct net_buf *buf, uint32_t off, uint32_t len)
{
	struct seg *s = stack_alloc(st, sizeof(*s));
	if (!s)
		return NULL;
	net_buf_ref(buf);
	*s = (struct seg){.f = {buf, off, len}};
	return s;
}

void seg_free(struct net_stack *st, struct seg *s)
{
	net_buf_unref(st, s->f.buf);
	stack_free(st, s, sizeof(*s));
}

void bytq_clear(struct net_stack *st, struct bytq *q)
{
	while (q->head) {
		struct seg *s = q->head;
		q->head = s->next;
		seg_free(st, s);
	}
	*q = (struct bytq){0};
}

static void push_tail(struct bytq *q, struct seg *s)
{
	queue_add(q->head, q->tail, s, next);
	q->len += s->f.len;
}

/* Bytes appended to the tail's own buffer. */
static uint32_t fill_tail(struct bytq *q, const uint8_t *data, uint32_t len)
{
	struct seg *t = q->tail;
	if (!t || !t->own)
		return 0;
	uint32_t n = min_u32(len, t->own);
	mem_copy(t->f.buf->data + t->f.off + t->f.len, data, n);
	t->f.len += n;
	t->own -= n;
	q->len += n;
	return n;
}

uint32_t bytq_copy_in(struct net_stack *st, struct bytq *q, const void *data, uint32_t len)
{
	const uint8_t *src = data;
	uint32_t done = fill_tail(q, src, len);
	while (done < len) {
		uint32_t want = max_u32(min_u32(len - done, CHUNK_MAX), CHUNK_MIN);
		/* Many small writes: a chunk as large as what is queued already. */
		want = max_u32(want, min_u32(q->len, CHUNK_MAX));
		struct net_buf *b = net_buf_alloc(st, want);
		if (!b)
			break;
		struct seg *s = seg_new(st, b, 0, 0);
		net_buf_unref(st, b);
		if (!s)
			break;
		s->own = want;
		push_tail(q, s);
		done += fill_tail(q, src + done, len - done);
	}
	return done;
}

bool bytq_add(struct net_stack *st, struct bytq *q, struct net_buf *buf, uint32_t off, uint32_t len)
{
	struct seg *t = q->tail;
	if (t && t->f.buf == buf && t->f.off + t->f.len == off && !t->own) {
		t->f.len += len;
		q->len += len;
		return true;
	}
	struct seg *s = seg_new(st, buf, off, len);
	if (!s)
		return false;
	push_tail(q, s);
	return true;
}

uint32_t bytq_add_rx(struct net_stack *st, struct bytq *q, struct net_buf *buf, uint32_t off,
                     uint32_t len)
{
	if (len + sizeof(struct seg) >= buf->size / 4 && len >= CHUNK_MIN)
		return bytq_add(st, q, buf, off, len) ? len : 0;
	return bytq_copy_in(st, q, buf->data + off, len);
}

void bytq_drop(struct net_stack *st, struct bytq *q, uint32_t len)
{
	len = min_u32(len, q->len);
	q->len -= len;
	uint32_t total = len;
	while (len && q->head) {
		struct seg *s = q->head;
		if (len < s->f.len) {
			s->f.off += len;
			s->f.len -= len;
			break;
		}
		len -= s->f.len;
		if (q->hint == s)
			q->hint = NULL;
		q->head = s->next;
		if (!q->head)
			q->tail = NULL;
		seg_free(st, s);
	}
	if (q->hint && q->hint_off >= total)
		q->hint_off -= total;
	else
		q->hint = NULL;
}

/* The slice that holds byte OFF, and the offset of the slice's first byte. */
static struct seg *seek(struct bytq *q, uint32_t off, uint32_t *start)
{
	struct seg *s = q->head;
	uint32_t at = 0;
	if (q->hint && q->hint_off <= off) {
		s = q->hint;
		at = q->hint_off;
	}
	while (s && off - at >= s->f.len) {
		at += s->f.len;
		s = s->next;
	}
	q->hint = s;
	q->hint_off = at;
	*start = at;
	return s;
}

void bytq_peek(const struct bytq *q, void *dst, uint32_t len)
{
	uint8_t *out = dst;
	for (const struct seg *s = q->head; s && len; s = s->next) {
		uint32_t n = min_u32(len, s->f.len);
		mem_copy(out, s->f.buf->data + s->f.off, n);
		out += n;
		len -= n;
	}
}

uint32_t bytq_to_pkt(struct bytq *q, uint32_t off, uint32_t len, struct pkt *p)
{
	uint32_t at, done = 0;
	for (struct seg *s = seek(q, off, &at); s && done < len; s = s->next) {
		uint32_t skip = off + done - at;
		uint32_t n = min_u32(len - done, s->f.len - skip);
		if (!pkt_add(p, s->f.buf, s->f.off + skip, n))
			break;
		done += n;
		at += s->f.len;
	}
	return done;
}
