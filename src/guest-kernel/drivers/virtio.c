/* The life of a virtio device, whatever its transport. See virtio.h; virtq.c has the rings. */
#include "virtio_priv.h"

#include <string.h>

#define RESET_NS    (500 * NS_PER_MS)
#define TRIES       1000u
#define TABLE_BYTES (VIRTQ_SEGS_MAX * (unsigned)sizeof(struct vring_desc))

static uint32_t status(const struct virtio_dev *dev)
{
	return dev->transport->status(dev);
}

static void set_status(struct virtio_dev *dev, uint32_t value)
{
	dev->transport->set_status(dev, value);
}

static bool reset(struct virtio_dev *dev)
{
	set_status(dev, 0);
	for (uint64_t end = arch_now_ns() + RESET_NS; status(dev) != 0;) {
		if (arch_now_ns() > end)
			return false;
		arch_cpu_relax();
	}
	return true;
}

bool virtio_agree(struct virtio_dev *dev, uint64_t wanted)
{
	if (!reset(dev)) {
		dev->why = "does not reset";
		return false;
	}
	set_status(dev, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	dev->features = dev->transport->offered(dev) &
	                (wanted | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC);
	dev->transport->accept(dev, dev->features);
	set_status(dev, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	if (!virtio_has(dev, VIRTIO_F_VERSION_1))
		dev->why = "is of before virtio 1.0";
	else if (!(status(dev) & STATUS_FEATURES_OK))
		dev->why = "does not agree to its own features";
	return dev->why == NULL;
}

static bool get_memory(struct virtq *q)
{
	q->page = mem_pages(1);
	if (!q->page)
		return false;
	memset(q->page, 0, ARCH_PAGE_SIZE);
	if (virtio_has(q->dev, VIRTIO_F_INDIRECT_DESC))
		q->tables =
		        mem_pages((q->size * TABLE_BYTES + ARCH_PAGE_SIZE - 1) / ARCH_PAGE_SIZE);
	return q->tables || !virtio_has(q->dev, VIRTIO_F_INDIRECT_DESC);
}

static bool setup_queue(struct virtio_dev *dev, unsigned i, unsigned size)
{
	struct virtq *q = &dev->queues[i];
	*q = (struct virtq){.dev = dev, .index = (uint16_t)i};
	spin_init_named(&q->lock, "virtq");
	uint32_t max = dev->transport->queue_max(dev, i);
	if (max == 0)
		return false;
	q->size = 1;
	while (q->size * 2u <= max && q->size * 2u <= size)
		q->size = (uint16_t)(q->size * 2);
	if (!get_memory(q))
		return false;
	virtq_reset(q);
	return dev->transport->queue_start(dev, q);
}

static void tell_driver(struct virtio_dev *dev, uint32_t why)
{
	if (why & VIRTIO_INTERRUPT_CONFIG && dev->on_config)
		dev->on_config(dev);
	for (unsigned i = 0; why & VIRTIO_INTERRUPT_QUEUE && i < dev->queue_count; i++)
		dev->on_queue(dev, &dev->queues[i]);
}

void virtio_interrupt(struct virtio_dev *dev, uint32_t why)
{
	counter_up(&dev->interrupts);
	if (__atomic_load_n(&dev->broken, __ATOMIC_RELAXED))
		return;
	if (why & VIRTIO_INTERRUPT_CONFIG && status(dev) & STATUS_NEEDS_RESET)
		virtio_fail(dev, "asks to be reset");
	else
		tell_driver(dev, why);
	virtio_settle(dev);
}

bool virtio_go(struct virtio_dev *dev, struct virtq *queues, unsigned count, unsigned size)
{
	if (!dev->transport->prepare(dev)) {
		dev->why = "has no interrupts that can be used";
		(void)reset(dev);
		return false;
	}
	dev->queues = queues;
	size = size < VIRTQ_SIZE_MAX ? size : VIRTQ_SIZE_MAX;
	for (unsigned i = 0; i < count; i++) {
		if (!setup_queue(dev, i, size)) {
			dev->why =
			        "has not the queues that it should, or there is no memory for them";
			(void)reset(dev);
			for (unsigned k = 0; k <= i; k++)
				virtq_free_memory(&queues[k]);
			return false;
		}
	}
	dev->queue_count = count;
	if (!dev->transport->connect(dev)) {
		dev->why = "has an interrupt that does not exist";
		(void)reset(dev);
		return false;
	}
	set_status(dev, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	return true;
}

void virtio_fail(struct virtio_dev *dev, const char *why)
{
	const char *nothing = NULL;
	/* Pairs with the acquire in virtio_settle: who sees that it is broken sees why. */
	if (__atomic_compare_exchange_n(&dev->why, &nothing, why, false, __ATOMIC_RELAXED,
	                                __ATOMIC_RELAXED))
		__atomic_store_n(&dev->broken, true, __ATOMIC_RELEASE);
}

/*
 * What the device was given is its to read and write until it is reset: only then is no queue live
 * (virtio 1.2, 3.3.1), and only a status that reads as 0 says so (2.4.2). So the reset comes before
 * the driver takes its memory back; FAILED afterwards leaves word for the host (2.1.1).
 */
void virtio_settle(struct virtio_dev *dev)
{
	if (!__atomic_load_n(&dev->broken, __ATOMIC_ACQUIRE) ||
	    __atomic_exchange_n(&dev->settled, true, __ATOMIC_ACQ_REL))
		return;
	dev->stopped = reset(dev);
	set_status(dev, STATUS_FAILED);
	log_error("virtio-%s in %s %u: %s; it is not used any more%s", virtio_name(dev->id),
	          virtio_place(dev), dev->slot, dev->why,
	          dev->stopped ? "" : ", nor is the memory that it has: it does not reset");
	unsigned long flags = arch_irq_save();
	if (dev->on_broken)
		dev->on_broken(dev);
	arch_irq_restore(flags);
	task_preempt_point();
}

void virtio_stop(struct virtio_dev *dev)
{
	__atomic_store_n(&dev->settled, true, __ATOMIC_RELAXED);
	__atomic_store_n(&dev->broken, true, __ATOMIC_RELEASE);
	dev->stopped = reset(dev);
}

uint8_t virtio_config8(const struct virtio_dev *dev, uint32_t offset)
{
	return (uint8_t)dev->transport->config(dev, offset, 1);
}

uint16_t virtio_config16(const struct virtio_dev *dev, uint32_t offset)
{
	return (uint16_t)dev->transport->config(dev, offset, 2);
}

uint32_t virtio_config32(const struct virtio_dev *dev, uint32_t offset)
{
	return dev->transport->config(dev, offset, 4);
}

uint64_t virtio_config64(const struct virtio_dev *dev, uint32_t offset)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < TRIES; i++) {
		uint32_t generation = dev->transport->generation(dev);
		value = virtio_config32(dev, offset);
		value |= (uint64_t)virtio_config32(dev, offset + 4) << 32;
		if (dev->transport->generation(dev) == generation)
			break;
	}
	return value;
}

void virtio_config_set32(struct virtio_dev *dev, uint32_t offset, uint32_t value)
{
	dev->transport->set_config(dev, offset, value);
}

const char *virtio_name(uint32_t id)
{
	static const char *const names[] = {"", "net", "blk", "console", "rng", "balloon"};
	return id < sizeof(names) / sizeof(names[0]) ? names[id] : "device without a driver";
}

const char *virtio_place(const struct virtio_dev *dev)
{
	return dev->transport->place;
}
