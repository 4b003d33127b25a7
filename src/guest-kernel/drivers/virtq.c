/*
 * Split virtqueues (virtio 1.2, 2.7). The free list and everything that is believed of a request
 * are private; of the shared page only the used ring is read, each field once.
 */
#include "virtio_priv.h"

#include <string.h>

static uint16_t *used_event(const struct virtq *q)
{
	return &virtq_avail(q)->ring[q->size];
}

static uint16_t *avail_event(const struct virtq *q)
{
	return (uint16_t *)(void *)&virtq_used(q)->ring[q->size];
}

void virtq_reset(struct virtq *q)
{
	for (uint16_t i = 0; i < q->size; i++)
		q->slot[i] = (struct virtq_slot){.next_free = (uint16_t)(i + 1)};
	q->free_head = 0;
	q->free_count = q->size;
}

void virtq_free_memory(struct virtq *q)
{
	mem_pages_free(q->page);
	mem_pages_free(q->tables);
	q->page = NULL;
	q->tables = NULL;
}

static uint16_t take_desc(struct virtq *q)
{
	uint16_t at = q->free_head;
	q->free_head = q->slot[at].next_free;
	q->free_count--;
	return at;
}

static void fill(struct vring_desc *d, const struct virtq_seg *s)
{
	d->addr = arch_phys(s->data);
	d->len = s->len_bytes;
	d->flags = s->device_writes ? DESC_F_WRITE : 0;
	d->next = 0;
}

static uint16_t add_indirect(struct virtq *q, const struct virtq_seg *segs, unsigned count)
{
	uint16_t head = take_desc(q);
	struct vring_desc *table = (struct vring_desc *)q->tables + (size_t)head * VIRTQ_SEGS_MAX;
	for (unsigned i = 0; i < count; i++) {
		fill(&table[i], &segs[i]);
		if (i + 1 < count) {
			table[i].flags |= DESC_F_NEXT;
			table[i].next = (uint16_t)(i + 1);
		}
	}
	virtq_desc(q)[head] = (struct vring_desc){
	        .addr = arch_phys(table),
	        .len = (uint32_t)(count * sizeof(*table)),
	        .flags = DESC_F_INDIRECT,
	};
	q->slot[head].descs = 1;
	return head;
}

static uint16_t add_chain(struct virtq *q, const struct virtq_seg *segs, unsigned count)
{
	uint16_t head = q->free_head;
	struct vring_desc *last = NULL;
	for (unsigned i = 0; i < count; i++) {
		uint16_t at = take_desc(q);
		if (last) {
			last->flags |= DESC_F_NEXT;
			last->next = at;
		}
		last = &virtq_desc(q)[at];
		fill(last, &segs[i]);
	}
	q->slot[head].descs = (uint16_t)count;
	return head;
}

bool virtq_add(struct virtq *q, const struct virtq_seg *segs, unsigned count, void *cookie)
{
	bool indirect = q->tables && count > 1;
	if (count == 0 || count > VIRTQ_SEGS_MAX || q->free_count < (indirect ? 1 : count) ||
	    __atomic_load_n(&q->dev->broken, __ATOMIC_RELAXED))
		return false;
	uint16_t head = indirect ? add_indirect(q, segs, count) : add_chain(q, segs, count);
	struct virtq_slot *slot = &q->slot[head];
	slot->cookie = cookie;
	slot->writable_bytes = 0;
	for (unsigned i = 0; i < count; i++)
		slot->writable_bytes += segs[i].device_writes ? segs[i].len_bytes : 0;
	struct vring_avail *avail = virtq_avail(q);
	avail->ring[q->avail_idx % q->size] = head;
	q->avail_idx++;
	/*
	 * The entry before the index, which pairs with the device's read of it; and the index
	 * before virtq_kick's look at what the device wants (virtio 1.2, 2.7.13.4.1).
	 */
	__atomic_store_n(&avail->idx, q->avail_idx, __ATOMIC_SEQ_CST);
	q->in_flight++;
	q->requests++;
	return true;
}

void virtq_kick(struct virtq *q)
{
	bool want;
	if (virtio_has(q->dev, VIRTIO_F_EVENT_IDX)) {
		uint16_t event = __atomic_load_n(avail_event(q), __ATOMIC_SEQ_CST);
		want = (uint16_t)(q->avail_idx - event - 1) <
		       (uint16_t)(q->avail_idx - q->kicked_idx);
	} else {
		want = !(__atomic_load_n(&virtq_used(q)->flags, __ATOMIC_SEQ_CST) & 1);
	}
	bool fresh = q->avail_idx != q->kicked_idx;
	q->kicked_idx = q->avail_idx;
	if (!fresh || !want || __atomic_load_n(&q->dev->broken, __ATOMIC_RELAXED))
		return;
	q->kicks++;
	q->dev->transport->notify(q);
}

/* The chain's descriptors go back: they are counted by what is known of it, not by what it says. */
static void release(struct virtq *q, uint16_t head)
{
	uint16_t count = q->slot[head].descs, at = head;
	for (uint16_t i = 0; i < count; i++) {
		uint16_t next = q->slot[at].next_free;
		q->slot[at].next_free = i + 1 < count ? next : q->free_head;
		at = next;
	}
	q->free_head = head;
	q->free_count = (uint16_t)(q->free_count + count);
	q->slot[head].cookie = NULL;
	q->in_flight--;
}

void *virtq_take(struct virtq *q, uint32_t *written)
{
	const struct vring_used *used = virtq_used(q);
	/* Pairs with the device's release of the index: the element is there. */
	uint16_t idx = __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
	if (idx == q->used_seen || __atomic_load_n(&q->dev->broken, __ATOMIC_RELAXED))
		return NULL;
	if ((uint16_t)(idx - q->used_seen) > q->in_flight) {
		virtio_fail(q->dev, "says it is done with more than it was given");
		return NULL;
	}
	const struct vring_used_elem *e = &used->ring[q->used_seen % q->size];
	uint32_t id = __atomic_load_n(&e->id, __ATOMIC_RELAXED);
	uint32_t len = __atomic_load_n(&e->len, __ATOMIC_RELAXED);
	if (id >= q->size || !q->slot[id].cookie) {
		virtio_fail(q->dev, "says it is done with what it was not given");
		return NULL;
	}
	if (len > q->slot[id].writable_bytes) {
		virtio_fail(q->dev, "says it has written more than it could");
		return NULL;
	}
	q->used_seen++;
	void *cookie = q->slot[id].cookie;
	*written = len;
	release(q, (uint16_t)id);
	return cookie;
}

void *virtq_recall(struct virtq *q)
{
	for (uint16_t i = 0; i < q->size; i++) {
		void *cookie = q->slot[i].cookie;
		if (!cookie)
			continue;
		release(q, i);
		return cookie;
	}
	return NULL;
}

void virtq_quiet(struct virtq *q)
{
	if (!virtio_has(q->dev, VIRTIO_F_EVENT_IDX))
		virtq_avail(q)->flags = 1;
	else /* an index that is half a turn away */
		__atomic_store_n(used_event(q), (uint16_t)(q->used_seen + 0x8000u),
		                 __ATOMIC_RELAXED);
}

bool virtq_listen(struct virtq *q)
{
	/* The wish before the look: pairs with the device's, index before wish. */
	if (!virtio_has(q->dev, VIRTIO_F_EVENT_IDX))
		__atomic_store_n(&virtq_avail(q)->flags, 0, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(used_event(q), q->used_seen, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&virtq_used(q)->idx, __ATOMIC_SEQ_CST) == q->used_seen;
}
