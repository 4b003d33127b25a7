/* The split virtqueue, device side. See ring.h. */
#include "ring.h"

#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>

/* A popped descriptor: the one private copy. */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

static bool bad(struct ring *r, const char *why)
{
	r->broken = true;
	r->why = why;
	return false;
}

static uint16_t load16(const volatile uint16_t *p)
{
	return *p;
}

static struct vring_avail *avail_of(const struct ring *r)
{
	return (struct vring_avail *)r->avail;
}

static struct vring_used *used_of(const struct ring *r)
{
	return (struct vring_used *)r->used;
}

/* used_event is the word after the available ring; avail_event the one after the used ring. */
static volatile uint16_t *used_event(const struct ring *r)
{
	return &avail_of(r)->ring[r->size];
}

static volatile uint16_t *avail_event(const struct ring *r)
{
	return (volatile uint16_t *)&used_of(r)->ring[r->size];
}

bool ring_start(struct ring *r, const struct gmem *gm, bool event_idx, bool indirect)
{
	r->broken = false;
	r->why = NULL;
	if (r->size == 0 || r->size > RING_SIZE_MAX || (r->size & (r->size - 1)))
		return bad(r, "queue size is not a power of two within the maximum");
	if ((r->desc_addr.addr & 15) || (r->avail_addr.addr & 1) || (r->used_addr.addr & 3))
		return bad(r, "queue address is not aligned");
	r->desc = gmem_at(gm, r->desc_addr, sizeof(struct vring_desc) * r->size);
	r->avail = gmem_at(gm, r->avail_addr, 6 + 2ull * r->size);
	r->used = gmem_at(gm, r->used_addr, 6 + sizeof(struct vring_used_elem) * r->size);
	if (!r->desc || !r->avail || !r->used)
		return bad(r, "queue address is outside guest memory");
	r->gm = gm;
	r->event_idx = event_idx;
	r->indirect = indirect;
	r->chain_bytes_max = RING_CHAIN_BYTES_MAX;
	r->last_avail = 0;
	r->next_used = 0;
	r->published_used = 0;
	r->signalled_used = 0;
	return true;
}

void ring_stop(struct ring *r)
{
	*r = (struct ring){0};
}

unsigned ring_available(struct ring *r)
{
	if (r->broken || !r->gm)
		return 0;
	uint16_t idx = load16(&avail_of(r)->idx);
	/* Pairs with the driver's barrier between filling an entry and moving idx. */
	atomic_thread_fence(memory_order_acquire);
	uint16_t n = (uint16_t)(idx - r->last_avail);
	if (n > r->size) {
		(void)bad(r, "available index moved by more than the queue size");
		return 0;
	}
	return n;
}

/* As the driver has them in memory: an indirect table may lie anywhere. */
typedef struct vring_desc unaligned_desc __attribute__((aligned(1)));

/* One descriptor of TABLE (with COUNT entries), read once. */
static bool fetch(struct ring *r, const volatile unaligned_desc *table, uint32_t count,
                  uint16_t index, struct desc *d)
{
	if (index >= count)
		return bad(r, "descriptor index is out of range");
	const volatile unaligned_desc *src = &table[index];
	*d = (struct desc){src->addr, src->len, src->flags, src->next};
	return true;
}

/* Where the chain's checked segments go; the readable ones come first. */
struct collector {
	struct iovec *iov;
	unsigned max;
	unsigned count;
	unsigned nread;
	uint64_t total; /* bytes */
	uint64_t read_bytes;
};

/* Inlined by hand: it runs for each 4 KiB of a long transfer. */
static inline __attribute__((always_inline)) bool collect(struct ring *r, struct collector *c,
                                                          const struct desc *d)
{
	if (d->len == 0)
		return bad(r, "descriptor has length zero");
	if (c->count == c->max)
		return bad(r, "chain has too many descriptors");
	if (!(d->flags & VRING_DESC_F_WRITE)) {
		if (c->nread != c->count)
			return bad(r, "readable descriptor after a writable one");
		c->nread++;
		c->read_bytes += d->len;
	}
	c->total += d->len;
	if (c->total > r->chain_bytes_max)
		return bad(r, "chain describes too many bytes");
	void *host = gmem_at(r->gm, (struct gpa){d->addr}, d->len);
	if (!host)
		return bad(r, "descriptor address is outside guest memory");
	c->iov[c->count++] = (struct iovec){host, d->len};
	return true;
}

/* An indirect table takes the place of the rest of the chain (virtio 1.2, 2.7.5.3). */
static bool walk_indirect(struct ring *r, struct collector *c, const struct desc *d)
{
	uint32_t count = d->len / (uint32_t)sizeof(struct vring_desc);
	if (!r->indirect)
		return bad(r, "indirect descriptor without VIRTIO_F_INDIRECT_DESC");
	if (d->flags & VRING_DESC_F_NEXT)
		return bad(r, "indirect descriptor has a next one");
	if (count == 0 || count > r->size || d->len % sizeof(struct vring_desc))
		return bad(r, "indirect table has a wrong length");
	const volatile unaligned_desc *table = gmem_at(r->gm, (struct gpa){d->addr}, d->len);
	if (!table)
		return bad(r, "indirect table is outside guest memory");
	uint16_t index = 0;
	/* Each round takes one descriptor, so COUNT rounds without an end mean a loop. */
	for (uint32_t i = 0; i < count; i++) {
		struct desc e;
		if (!fetch(r, table, count, index, &e))
			return false;
		if (e.flags & VRING_DESC_F_INDIRECT)
			return bad(r, "indirect descriptor inside an indirect table");
		if (!collect(r, c, &e))
			return false;
		if (!(e.flags & VRING_DESC_F_NEXT))
			return true;
		index = e.next;
	}
	return bad(r, "descriptor chain loops");
}

static bool walk(struct ring *r, struct collector *c, uint16_t head)
{
	uint16_t index = head;
	for (uint32_t i = 0; i < r->size; i++) {
		struct desc d;
		if (!fetch(r, r->desc, r->size, index, &d))
			return false;
		if (d.flags & VRING_DESC_F_INDIRECT)
			return walk_indirect(r, c, &d);
		if (!collect(r, c, &d))
			return false;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return true;
		index = d.next;
	}
	return bad(r, "descriptor chain loops");
}

enum ring_result ring_pop(struct ring *r, struct ring_chain *chain, struct iovec *iov,
                          unsigned iov_max)
{
	if (ring_available(r) == 0)
		return r->broken ? RING_BAD : RING_EMPTY;
	uint16_t head = load16(&avail_of(r)->ring[r->last_avail & (r->size - 1)]);
	struct collector c = {.iov = iov, .max = iov_max};
	if (!walk(r, &c, head))
		return RING_BAD;
	*chain = (struct ring_chain){
	        .head = head,
	        .nread = (uint16_t)c.nread,
	        .nwrite = (uint16_t)(c.count - c.nread),
	        .read_bytes = (uint32_t)c.read_bytes,
	        .write_bytes = (uint32_t)(c.total - c.read_bytes),
	        .iov = iov,
	};
	r->last_avail++;
	return RING_OK;
}

void ring_unpop(struct ring *r)
{
	r->last_avail--;
}

void ring_push(struct ring *r, uint16_t head, uint32_t written)
{
	if (!r->gm)
		return;
	volatile struct vring_used_elem *e = &used_of(r)->ring[r->next_used & (r->size - 1)];
	e->id = head;
	e->len = written;
	r->next_used++;
}

static bool wants_interrupt(struct ring *r, uint16_t old_used)
{
	if (!r->event_idx)
		return !(load16(&avail_of(r)->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(load16(used_event(r)), r->next_used, old_used);
}

bool ring_publish(struct ring *r)
{
	if (!r->gm || r->published_used == r->next_used)
		return false;
	/* Entries before the index; pairs with the driver's read barrier after it reads idx. */
	atomic_thread_fence(memory_order_release);
	*(volatile uint16_t *)&used_of(r)->idx = r->next_used;
	r->published_used = r->next_used;
	/* Index before the look at used_event; pairs with the driver's barrier after it writes it.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	uint16_t old = r->signalled_used;
	r->signalled_used = r->next_used;
	return wants_interrupt(r, old);
}

void ring_kick_disable(struct ring *r)
{
	if (!r->gm || r->event_idx)
		return; /* with event index, an avail_event that stays behind says the same */
	*(volatile uint16_t *)&used_of(r)->flags = VRING_USED_F_NO_NOTIFY;
}

bool ring_kick_enable(struct ring *r)
{
	if (!r->gm || r->broken)
		return false;
	if (r->event_idx)
		*avail_event(r) = r->last_avail;
	else
		*(volatile uint16_t *)&used_of(r)->flags = 0;
	/* The wish before the look; pairs with the driver's barrier after it moves idx. */
	atomic_thread_fence(memory_order_seq_cst);
	/* An index that is wrong counts as well: the next pop tells of it. */
	return ring_available(r) > 0 || r->broken;
}

static uint32_t copy_iov(const struct iovec *iov, unsigned n, uint32_t offset, uint8_t *buf,
                         uint32_t len, bool to_guest)
{
	uint32_t done = 0;
	for (unsigned i = 0; i < n && done < len; i++) {
		if (offset >= iov[i].iov_len) {
			offset -= (uint32_t)iov[i].iov_len;
			continue;
		}
		uint32_t room = (uint32_t)iov[i].iov_len - offset;
		uint32_t part = len - done < room ? len - done : room;
		uint8_t *guest = (uint8_t *)iov[i].iov_base + offset;
		if (to_guest)
			memcpy(guest, buf + done, part);
		else
			memcpy(buf + done, guest, part);
		done += part;
		offset = 0;
	}
	return done;
}

uint32_t chain_read(const struct ring_chain *c, uint32_t offset, void *dst, uint32_t len)
{
	return copy_iov(c->iov, c->nread, offset, dst, len, false);
}

uint32_t chain_write(const struct ring_chain *c, uint32_t offset, const void *src, uint32_t len)
{
	/* The source is only read: TO_GUEST is the direction. */
	return copy_iov(c->iov + c->nread, c->nwrite, offset, (uint8_t *)(uintptr_t)src, len, true);
}
