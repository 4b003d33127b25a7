/* Packets inside the stack: headers pushed and trimmed, checksums over the pieces, byte queues. */
#ifndef NET_STACK_PKT_H
#define NET_STACK_PKT_H

#include "net/stack/stack.h"

/* N more bytes in front, uninitialised; the packet's room must have them (it does: PKT_ROOM). */
uint8_t *pkt_push(struct pkt *p, unsigned n);
/* Drop N bytes in front, or all. */
void pkt_trim_front(struct pkt *p, uint32_t n);
/* Keep the first LEN bytes. */
void pkt_trim_to(struct pkt *p, uint32_t len);
/* A packet of [off, off + len) of P, which shares the buffers. NULL: no memory. */
struct pkt *pkt_slice(const struct pkt *p, uint32_t off, uint32_t len);

/* The I-th piece, of nfrags + 1: the bytes in the packet itself, perhaps none, are the first. */
static inline struct net_piece pkt_piece(const struct pkt *p, unsigned i)
{
	if (i == 0)
		return (struct net_piece){p->room + p->head, (uint32_t)(p->head_end - p->head)};
	const struct net_frag *f = &p->frag[i - 1];
	return (struct net_piece){f->buf->data + f->off, f->len};
}

/* Internet checksum (RFC 1071): sums are folded to 16 bits, in host order. */
uint16_t csum_fold(uint64_t sum);
uint16_t csum_bytes(const void *data, size_t len);
/* The same of a header: 20 bytes, or a few multiples of 4 more. */
uint16_t csum_header(const uint8_t *h, unsigned len);
/* The sum of the packet from OFF on, not inverted. */
uint16_t pkt_sum(const struct pkt *p, uint32_t off);
uint32_t csum_pseudo(const struct net_addr *src, const struct net_addr *dst, unsigned proto,
                     uint32_t len);
/* The transport's header, in front now, has its checksum at OFF: of the pseudo header so far. */
void pkt_csum_later(struct pkt *p, unsigned off, const struct net_addr *src,
                    const struct net_addr *dst, unsigned proto);
/* Turn PKT_CSUM_PARTIAL, if it is set, into a whole checksum; its field is in the packet itself. */
void pkt_finish_csum(struct pkt *p);

/* A slice in a queue. */
struct seg {
	struct seg *next;
	struct net_frag f;
	uint32_t seq; /* of its first byte, where the queue's owner counts them */
	uint32_t own; /* bytes at the end of the buffer that may still be appended to */
};

/* A queue of bytes in shared buffers. */
struct bytq {
	struct seg *head, *tail;
	uint32_t len;
	/* A place in the queue that was looked up last: the next look-up begins there. */
	struct seg *hint;
	uint32_t hint_off;
};

struct seg *seg_new(struct net_stack *st, struct net_buf *buf, uint32_t off, uint32_t len);
void seg_free(struct net_stack *st, struct seg *s);
void bytq_clear(struct net_stack *st, struct bytq *q);
/* Append a copy; returns how many bytes there was memory for. */
uint32_t bytq_copy_in(struct net_stack *st, struct bytq *q, const void *data, uint32_t len);
/* Append a slice, with a reference of its own. */
bool bytq_add(struct net_stack *st, struct bytq *q, struct net_buf *buf, uint32_t off,
              uint32_t len);
/* Append a slice that arrived: copied if it would pin much more memory than it has bytes. Returns
 * how many bytes there was memory for. */
uint32_t bytq_add_rx(struct net_stack *st, struct bytq *q, struct net_buf *buf, uint32_t off,
                     uint32_t len);
void bytq_drop(struct net_stack *st, struct bytq *q, uint32_t len);
/* Copy the first LEN bytes, or all. */
void bytq_peek(const struct bytq *q, void *dst, uint32_t len);
/* Append [off, off + len) of the queue to a packet; returns how many bytes its slices sufficed for.
 */
uint32_t bytq_to_pkt(struct bytq *q, uint32_t off, uint32_t len, struct pkt *p);

#endif
