/* virtio-balloon. See balloon.h. */
#include "guest-kernel/drivers/balloon.h"

#define INFLATE          0u
#define DEFLATE          1u

#define CONFIG_NUM_PAGES 0u
#define CONFIG_ACTUAL    4u
#define ANSWER_NS        (5 * NS_PER_S)
#define LOOK_NS          (10 * NS_PER_S)

/* A frame in the balloon cannot be written: its number is in one of these, a page each. */
#define NUMBERS ((ARCH_PAGE_SIZE - sizeof(struct list) - 8) / sizeof(uint32_t))
struct numbers {
	struct list link;
	uint32_t count;
	uint32_t pfn[NUMBERS];
};
_Static_assert(sizeof(struct numbers) <= ARCH_PAGE_SIZE, "one page");

static bool push(struct balloon *b, uint32_t pfn)
{
	struct numbers *n = LIST_OF(b->held.prev, struct numbers, link);
	if (list_empty(&b->held) || n->count == NUMBERS) {
		uint64_t frame = frame_get();
		if (!frame)
			return false;
		n = arch_ram(frame);
		n->count = 0;
		list_append(&b->held, &n->link);
	}
	n->pfn[n->count++] = pfn;
	return true;
}

static uint32_t pop(struct balloon *b)
{
	struct numbers *n = LIST_OF(b->held.prev, struct numbers, link);
	uint32_t pfn = n->pfn[--n->count];
	if (n->count == 0) {
		list_remove(&n->link);
		frame_put(arch_phys(n));
	}
	return pfn;
}

static void wake(struct balloon *b)
{
	struct task *t = __atomic_load_n(&b->task, __ATOMIC_ACQUIRE);
	if (t)
		task_wake(t);
}

static void on_queue(struct virtio_dev *dev, struct virtq *q)
{
	struct balloon *b = dev->driver;
	uint32_t ignored;
	spin_lock(&q->lock);
	bool came = virtq_take(q, &ignored);
	(void)virtq_listen(q);
	spin_unlock(&q->lock);
	if (!came)
		return;
	__atomic_store_n(&b->answered, true, __ATOMIC_RELEASE);
	wake(b);
}

/* The wish has changed; or nothing will be answered any more. */
static void on_config(struct virtio_dev *dev)
{
	wake(dev->driver);
}

/* The batch to the device, and wait until it has read it. */
static bool tell(struct balloon *b, unsigned queue, unsigned count)
{
	struct virtq *q = &b->queues[queue];
	struct virtq_seg seg = {b->batch, count * (uint32_t)sizeof(uint32_t), false};
	uint64_t end = arch_now_ns() + ANSWER_NS;
	__atomic_store_n(&b->answered, false, __ATOMIC_RELAXED);
	unsigned long flags = spin_lock_irqsave(&q->lock);
	bool added = virtq_add(q, &seg, 1, b);
	virtq_kick(q);
	spin_unlock_irqrestore(&q->lock, flags);
	while (added && !__atomic_load_n(&b->answered, __ATOMIC_ACQUIRE)) {
		if (arch_now_ns() >= end || b->dev.broken) {
			virtio_fail(&b->dev, "does not answer");
			virtio_settle(&b->dev);
			return false;
		}
		(void)task_park(end);
	}
	return added;
}

static unsigned inflate(struct balloon *b, unsigned want)
{
	unsigned n = 0;
	for (; n < want && n < BALLOON_BATCH && memory_free_bytes() > BALLOON_RESERVE; n++) {
		uint64_t frame = frame_get();
		if (!frame)
			break;
		if (!push(b, (uint32_t)(frame / ARCH_PAGE_SIZE))) {
			frame_put(frame);
			break;
		}
		b->batch[n] = (uint32_t)(frame / ARCH_PAGE_SIZE);
	}
	return n > 0 && tell(b, INFLATE, n) ? n : 0;
}

/* The device first, then the frames: until it knows they are not memory. */
static unsigned deflate(struct balloon *b, unsigned want)
{
	unsigned n = 0;
	for (; n < want && n < BALLOON_BATCH; n++)
		b->batch[n] = pop(b);
	if (!tell(b, DEFLATE, n))
		return 0;
	for (unsigned i = 0; i < n; i++)
		frame_put((uint64_t)b->batch[i] * ARCH_PAGE_SIZE);
	return n;
}

static void follow(struct balloon *b)
{
	for (;;) {
		uint32_t wanted = virtio_config32(&b->dev, CONFIG_NUM_PAGES);
		b->wanted_pages = wanted;
		unsigned moved = 0;
		if (wanted > b->actual_pages)
			b->actual_pages += moved = inflate(b, wanted - b->actual_pages);
		else if (wanted < b->actual_pages)
			b->actual_pages -= moved = deflate(b, b->actual_pages - wanted);
		if (moved == 0)
			return;
		virtio_config_set32(&b->dev, CONFIG_ACTUAL, b->actual_pages);
	}
}

static void balloon_task(void *arg)
{
	struct balloon *b = arg;
	for (;;) {
		follow(b);
		if (__atomic_load_n(&b->dev.broken, __ATOMIC_ACQUIRE))
			return;
		/* A change of the wish before there was a task to wake is seen by the look above.
		 */
		(void)task_park(arch_now_ns() + LOOK_NS);
	}
}

bool balloon_attach(struct balloon *b, const struct virtio_dev *dev)
{
	*b = (struct balloon){.dev = *dev};
	b->dev.driver = b;
	b->dev.on_queue = on_queue;
	b->dev.on_config = on_config;
	b->dev.on_broken = on_config;
	list_init(&b->held);
	b->batch = mem_alloc(BALLOON_BATCH * sizeof(*b->batch));
	if (!b->batch) {
		b->dev.why = "gets no buffer: memory is out";
		return false;
	}
	if (!virtio_agree(&b->dev, 0) || !virtio_go(&b->dev, b->queues, 2, 4)) {
		mem_free(b->batch);
		return false;
	}
	struct task *t = task_start("balloon", PRIO_BACKGROUND, balloon_task, b);
	__atomic_store_n(&b->task, t, __ATOMIC_RELEASE);
	if (!t)
		virtio_fail(&b->dev, "gets no task: memory is out");
	virtio_settle(&b->dev);
	return true;
}
