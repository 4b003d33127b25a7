/* A driver that breaks the rules of rings and of the transport (virtio 1.2, 2.7 and 4.2). */
#include "virtio.h"

static uint8_t buffer[4096] __attribute__((aligned(4096)));

/* Addresses that are not RAM, or wrap. */
#define ADDR_HOLE 0xd8000000ull
#define ADDR_HIGH 0x7ffffffff000ull
#define ADDR_WRAP 0xfffffffffffff000ull

static void one(struct vq *q, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	vq_desc(q, 0, (void *)addr, len, flags, next);
	vq_offer(q, 0);
}

static void head_out_of_range(struct vq *q)
{
	vq_offer(q, VQ_SIZE);
}

static void head_huge(struct vq *q)
{
	vq_offer(q, 0xffff);
}

static void next_out_of_range(struct vq *q)
{
	one(q, (uint64_t)buffer, 64, DESC_NEXT, VQ_SIZE);
}

static void next_is_self(struct vq *q)
{
	one(q, (uint64_t)buffer, 64, DESC_NEXT, 0);
}

static void long_loop(struct vq *q)
{
	for (unsigned i = 0; i < VQ_SIZE; i++)
		vq_desc(q, i, buffer, 16, DESC_NEXT, (uint16_t)((i + 1) % VQ_SIZE));
	vq_offer(q, 0);
}

static void address_in_hole(struct vq *q)
{
	one(q, ADDR_HOLE, 512, 0, 0);
}

static void address_too_high(struct vq *q)
{
	one(q, ADDR_HIGH, 512, DESC_WRITE, 0);
}

static void address_wraps(struct vq *q)
{
	one(q, ADDR_WRAP, 0x2000, DESC_WRITE, 0);
}

static void length_huge(struct vq *q)
{
	one(q, (uint64_t)buffer, 0xffffffff, DESC_WRITE, 0);
}

static void lengths_sum_over_4g(struct vq *q)
{
	for (unsigned i = 0; i < 8; i++)
		vq_desc(q, i, buffer, 0xc0000000, i < 7 ? DESC_NEXT : 0, (uint16_t)(i + 1));
	vq_offer(q, 0);
}

static void index_jumps(struct vq *q)
{
	*(volatile uint16_t *)&q->avail.idx = (uint16_t)(q->avail.idx + 0x8000);
}

static void index_runs_back(struct vq *q)
{
	*(volatile uint16_t *)&q->avail.idx = (uint16_t)(q->avail.idx - 1);
}

static void write_before_read(struct vq *q)
{
	vq_desc(q, 0, buffer, 16, DESC_WRITE | DESC_NEXT, 1);
	vq_desc(q, 1, buffer + 16, 512, 0, 0);
	vq_offer(q, 0);
}

static void length_zero(struct vq *q)
{
	one(q, (uint64_t)buffer, 0, 0, 0);
}

static void length_zero_writable(struct vq *q)
{
	one(q, (uint64_t)buffer, 0, DESC_WRITE, 0);
}

static void all_zero_lengths(struct vq *q)
{
	for (unsigned i = 0; i < VQ_SIZE; i++) {
		bool last = i == VQ_SIZE - 1;
		vq_desc(q, i, buffer, 0, last ? DESC_WRITE : DESC_NEXT, (uint16_t)(i + 1));
	}
	vq_offer(q, 0);
}

static struct desc table[4] __attribute__((aligned(16)));

static void indirect_odd_length(struct vq *q)
{
	one(q, (uint64_t)table, 17, DESC_INDIRECT, 0);
}

static void indirect_empty(struct vq *q)
{
	one(q, (uint64_t)table, 0, DESC_INDIRECT, 0);
}

static void indirect_in_hole(struct vq *q)
{
	one(q, ADDR_HOLE, 64, DESC_INDIRECT, 0);
}

static void indirect_in_indirect(struct vq *q)
{
	table[0] = (struct desc){(uint64_t)table, 64, DESC_INDIRECT, 0};
	one(q, (uint64_t)table, 64, DESC_INDIRECT, 0);
}

static void indirect_and_next(struct vq *q)
{
	table[0] = (struct desc){(uint64_t)buffer, 64, 0, 0};
	vq_desc(q, 1, buffer, 64, DESC_WRITE, 0);
	one(q, (uint64_t)table, 16, DESC_INDIRECT | DESC_NEXT, 1);
}

static void indirect_next_out_of_range(struct vq *q)
{
	table[0] = (struct desc){(uint64_t)buffer, 64, DESC_NEXT, 4};
	one(q, (uint64_t)table, 64, DESC_INDIRECT, 0);
}

static void indirect_loop(struct vq *q)
{
	table[0] = (struct desc){(uint64_t)buffer, 64, DESC_NEXT, 1};
	table[1] = (struct desc){(uint64_t)buffer, 64, DESC_NEXT, 0};
	one(q, (uint64_t)table, 64, DESC_INDIRECT, 0);
}

static void indirect_huge(struct vq *q)
{
	one(q, (uint64_t)table, 0xfffffff0, DESC_INDIRECT, 0);
}

/*
 * MUST: what no device can take for a request; it has to ask for a reset. The others may also be
 * answered as bad requests, or dropped.
 */
static const struct {
	const char *name;
	void (*act)(struct vq *q);
	bool must_fail;
} breaks[] = {
        {"head index out of range", head_out_of_range, true},
        {"head index 65535", head_huge, true},
        {"next out of range", next_out_of_range, true},
        {"descriptor is its own next", next_is_self, true},
        {"loop through all descriptors", long_loop, true},
        {"address in the hole", address_in_hole, true},
        {"address above RAM", address_too_high, true},
        {"address and length wrap", address_wraps, true},
        {"length of 4 GiB", length_huge, true},
        {"lengths sum to more than 4 GiB", lengths_sum_over_4g, true},
        {"available index jumps ahead", index_jumps, true},
        {"available index runs back", index_runs_back, true},
        {"writable before readable", write_before_read, true},
        {"zero length", length_zero, false},
        {"zero length, writable", length_zero_writable, false},
        {"a chain of zero lengths", all_zero_lengths, false},
        {"indirect table of odd length", indirect_odd_length, true},
        {"indirect table of no length", indirect_empty, true},
        {"indirect table in the hole", indirect_in_hole, true},
        {"indirect inside indirect", indirect_in_indirect, true},
        {"indirect with next", indirect_and_next, true},
        {"indirect next out of range", indirect_next_out_of_range, true},
        {"indirect loop", indirect_loop, true},
        {"indirect table of 4 GiB", indirect_huge, true},
};

/* Room for 'queue 1: ' and the longest name. */
static char label_text[96];

static const char *label(unsigned queue, const char *name)
{
	size_t n = 0;
	for (const char *p = "queue "; *p; p++)
		label_text[n++] = *p;
	label_text[n++] = (char)('0' + queue % 10);
	label_text[n++] = ':';
	label_text[n++] = ' ';
	while (*name && n < sizeof(label_text) - 1)
		label_text[n++] = *name++;
	label_text[n] = '\0';
	return label_text;
}

bool abuse_settled(struct virtio *dev, struct vq *q)
{
	volatile uint16_t *idx = &q->used.idx;
	for (uint64_t end = rdtsc() + RT_TICKS_SECOND / 2; rdtsc() < end; pause()) {
		if (virtio_needs_reset(dev) || *idx != q->used_seen)
			return true;
	}
	return false;
}

void abuse_recovers(const struct ring_abuse *a, struct virtio *dev, const char *name)
{
	bool ok = virtio_start(dev, a->features, a->queues, NULL) && a->good(dev);
	check(name, ok);
}

void ring_abuse_all(const struct ring_abuse *a)
{
	struct virtio dev;
	if (!virtio_find(&dev, a->id, 0)) {
		check("device present", false);
		return;
	}
	for (unsigned i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		const char *name = label(a->queue, breaks[i].name);
		if (!virtio_start(&dev, a->features, a->queues, NULL)) {
			check(name, false);
			continue;
		}
		struct vq *q = &dev.vq[a->queue];
		breaks[i].act(q);
		vq_kick(q);
		(void)abuse_settled(&dev, q);
		if (breaks[i].must_fail && !virtio_needs_reset(&dev)) {
			print("FAIL ");
			print(name);
			print(": the device does not ask for a reset\n");
			check("device asks for a reset", false);
			continue;
		}
		abuse_recovers(a, &dev, name);
	}
}

static void set_queue_address(const struct virtio *dev, uint32_t offset, uint64_t addr)
{
	set_reg(dev, offset, (uint32_t)addr);
	set_reg(dev, offset + 4, (uint32_t)(addr >> 32));
}

/* A queue whose part at register OFFSET lies at ADDR, then DRIVER_OK and a kick. */
static void queue_at(const struct ring_abuse *a, struct virtio *dev, uint32_t offset, uint64_t addr)
{
	virtio_reset(dev);
	virtio_features(dev, a->features);
	for (unsigned i = 0; i < a->queues; i++)
		virtio_queue(dev, i);
	set_reg(dev, REG_QUEUE_SEL, a->queue);
	set_reg(dev, REG_QUEUE_READY, 0);
	set_queue_address(dev, offset, addr);
	set_reg(dev, REG_QUEUE_READY, 1);
	set_reg(dev, REG_STATUS, 15);
	vq_kick(&dev->vq[a->queue]);
}

static void queue_of_size(const struct ring_abuse *a, struct virtio *dev, uint32_t size)
{
	virtio_reset(dev);
	virtio_features(dev, a->features);
	for (unsigned i = 0; i < a->queues; i++)
		virtio_queue(dev, i);
	set_reg(dev, REG_QUEUE_SEL, a->queue);
	set_reg(dev, REG_QUEUE_READY, 0);
	set_reg(dev, REG_QUEUE_SIZE, size);
	set_reg(dev, REG_QUEUE_READY, 1);
	set_reg(dev, REG_STATUS, 15);
	vq_kick(&dev->vq[a->queue]);
}

static void abuse_queue_setup(const struct ring_abuse *a, struct virtio *dev)
{
	static const uint32_t parts[] = {REG_QUEUE_DESC, REG_QUEUE_DRIVER, REG_QUEUE_DEVICE};
	static const uint64_t places[] = {ADDR_HOLE, ADDR_HIGH, ADDR_WRAP, 0xbfffffff0ull, 1};
	for (unsigned p = 0; p < 3; p++) {
		for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
			queue_at(a, dev, parts[p], places[i]);
	}
	abuse_recovers(a, dev, "rings outside RAM or unaligned");
	static const uint32_t sizes[] = {0, 3, 0x8000, 0xffff, 0x10000, 0xffffffff};
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		queue_of_size(a, dev, sizes[i]);
	abuse_recovers(a, dev, "queue sizes that are not allowed");

	virtio_start(dev, a->features, a->queues, NULL);
	static const uint32_t numbers[] = {63, 64, 1000, 0xffff, 0xffffffff};
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		set_reg(dev, REG_QUEUE_SEL, numbers[i]);
		set_reg(dev, REG_QUEUE_SIZE, 16);
		set_queue_address(dev, REG_QUEUE_DESC, (uint64_t)buffer);
		set_reg(dev, REG_QUEUE_READY, 1);
		set_reg(dev, REG_QUEUE_NOTIFY, numbers[i]);
	}
	set_reg(dev, REG_QUEUE_SEL, 1000);
	check_eq("a queue that does not exist has size 0", reg(dev, REG_QUEUE_SIZE_MAX), 0);
	abuse_recovers(a, dev, "queue numbers out of range");
}

static void abuse_status(const struct ring_abuse *a, struct virtio *dev)
{
	virtio_reset(dev);
	set_reg(dev, REG_STATUS, STATUS_DRIVER_OK);
	for (unsigned i = 0; i < a->queues; i++)
		virtio_queue(dev, i);
	vq_kick(&dev->vq[a->queue]);
	abuse_recovers(a, dev, "DRIVER_OK before FEATURES_OK");

	virtio_reset(dev);
	set_reg(dev, REG_STATUS, 3);
	for (uint32_t i = 0; i < 2; i++) {
		set_reg(dev, REG_DRIVER_SEL, i);
		set_reg(dev, REG_DRIVER_FEATURES, 0xffffffff);
	}
	set_reg(dev, REG_STATUS, 3 | STATUS_FEATURES_OK);
	check("features that were not offered are refused",
	      !(reg(dev, REG_STATUS) & STATUS_FEATURES_OK));
	abuse_recovers(a, dev, "after refused features");

	virtio_reset(dev);
	set_reg(dev, REG_STATUS, 3);
	for (uint32_t i = 0; i < 2; i++) {
		set_reg(dev, REG_DRIVER_SEL, i);
		set_reg(dev, REG_DRIVER_FEATURES, 0);
	}
	set_reg(dev, REG_STATUS, 3 | STATUS_FEATURES_OK);
	check("a driver without VERSION_1 is refused",
	      !(reg(dev, REG_STATUS) & STATUS_FEATURES_OK));
	abuse_recovers(a, dev, "after a legacy driver");

	virtio_reset(dev);
	set_reg(dev, REG_STATUS, 3);
	set_reg(dev, REG_DRIVER_SEL, 1);
	set_reg(dev, REG_DRIVER_FEATURES, 1); /* VERSION_1 */
	set_reg(dev, REG_DRIVER_SEL, 2);
	set_reg(dev, REG_DRIVER_FEATURES, 1);
	set_reg(dev, REG_STATUS, 3 | STATUS_FEATURES_OK);
	check("a feature above bit 63 is refused", !(reg(dev, REG_STATUS) & STATUS_FEATURES_OK));
	abuse_recovers(a, dev, "after a feature above bit 63");

	virtio_start(dev, a->features, a->queues, NULL);
	for (uint32_t i = 1; i < 256; i = i * 2 + 1)
		set_reg(dev, REG_STATUS, i);
	set_reg(dev, REG_STATUS, 0xffffff00);
	abuse_recovers(a, dev, "status bits at random");
}

static void abuse_registers(const struct ring_abuse *a, struct virtio *dev)
{
	virtio_start(dev, a->features, a->queues, NULL);
	for (uint64_t offset = 0; offset < 0x1000; offset += offset < 0x140 ? 1 : 0x3d) {
		(void)mmio_read8(dev->base + offset);
		(void)mmio_read16(dev->base + offset);
		(void)mmio_read32(dev->base + offset);
		(void)mmio_read64(dev->base + offset);
	}
	abuse_recovers(a, dev, "reads of every width and offset");
	for (uint64_t offset = 0; offset < 0x120; offset++) {
		mmio_write8(dev->base + offset, 0xa5);
		mmio_write16(dev->base + offset, 0xffff);
		mmio_write64(dev->base + offset, 0x0123456789abcdef);
	}
	abuse_recovers(a, dev, "writes of wrong widths");
	virtio_start(dev, a->features, a->queues, NULL);
	for (uint64_t offset = 0; offset < 0x200; offset += 4)
		mmio_write32(dev->base + offset, 0xffffffff);
	mmio_write32(dev->base + 0xffc, 0xffffffff);
	abuse_recovers(a, dev, "all ones in every register");
}

static bool buffer_is(uint8_t value)
{
	for (size_t i = 0; i < sizeof(buffer); i++) {
		if (((volatile uint8_t *)buffer)[i] != value)
			return false;
	}
	return true;
}

static void abuse_reset_while_busy(const struct ring_abuse *a, struct virtio *dev)
{
	for (unsigned round = 0; round < 20; round++) {
		virtio_start(dev, a->features, a->queues, NULL);
		struct vq *q = &dev->vq[a->queue];
		for (unsigned i = 0; i < VQ_SIZE; i++) {
			vq_desc(q, i, buffer, sizeof(buffer), i % 2 ? DESC_WRITE : 0, 0);
			vq_offer(q, (uint16_t)i);
		}
		vq_kick(q);
		if (!virtio_reset(dev)) {
			check("reset while busy", false);
			return;
		}
		/* Nothing of the device may touch memory from here on. */
		uint16_t used = *(volatile uint16_t *)&q->used.idx;
		memset(buffer, 0x5a, sizeof(buffer));
		for (unsigned i = 0; i < 200; i++)
			pause();
		if (*(volatile uint16_t *)&q->used.idx != used || !buffer_is(0x5a)) {
			check("no access to memory after a reset", false);
			return;
		}
	}
	abuse_recovers(a, dev, "reset while busy");
}

static void abuse_live_changes(const struct ring_abuse *a, struct virtio *dev)
{
	virtio_start(dev, a->features, a->queues, NULL);
	set_reg(dev, REG_QUEUE_SEL, a->queue);
	set_queue_address(dev, REG_QUEUE_DESC, ADDR_HOLE);
	set_queue_address(dev, REG_QUEUE_DEVICE, ADDR_HIGH);
	set_reg(dev, REG_QUEUE_SIZE, 0xffff);
	vq_kick(&dev->vq[a->queue]);
	abuse_recovers(a, dev, "queue addresses changed on a live queue");

	virtio_start(dev, a->features, a->queues, NULL);
	set_reg(dev, REG_QUEUE_SEL, a->queue);
	for (unsigned i = 0; i < 50; i++) {
		set_reg(dev, REG_QUEUE_READY, i & 1);
		vq_kick(&dev->vq[a->queue]);
	}
	check_eq("a queue that was stopped is not ready", reg(dev, REG_QUEUE_READY), 0);
	abuse_recovers(a, dev, "queue switched on and off");

	virtio_start(dev, a->features, a->queues, NULL);
	for (unsigned i = 0; i < 500; i++)
		vq_kick(&dev->vq[i % a->queues]);
	abuse_recovers(a, dev, "kicks with nothing to do");
}

void transport_abuse_all(const struct ring_abuse *a)
{
	struct virtio dev;
	if (!virtio_find(&dev, a->id, 0)) {
		check("device present", false);
		return;
	}
	abuse_queue_setup(a, &dev);
	abuse_status(a, &dev);
	abuse_registers(a, &dev);
	abuse_live_changes(a, &dev);
	abuse_reset_while_busy(a, &dev);
}
