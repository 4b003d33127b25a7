/* The balloon, used well and badly (virtio 1.2, 5.5). */
#include "virtio.h"

#define BALLOON_F_STATS     (1ull << 1)
#define BALLOON_F_REPORTING (1ull << 5)

#define INFLATE             0u
#define DEFLATE             1u
#define STATS               2u

static uint32_t pages[1024];
static uint8_t given[8][4096] __attribute__((aligned(4096)));

static bool put(struct virtio *dev, unsigned queue, uint32_t len)
{
	struct vq *q = &dev->vq[queue];
	vq_desc(q, 0, pages, len, 0, 0);
	vq_offer(q, 0);
	vq_kick(q);
	for (uint64_t end = rdtsc() + 2 * RT_TICKS_SECOND; rdtsc() < end; pause()) {
		if (vq_wait_for(q, NULL, 0))
			return true;
		if (virtio_needs_reset(dev))
			return false;
	}
	return false;
}

static uint32_t page_number(const void *p)
{
	return (uint32_t)((uint64_t)p >> 12);
}

static bool good(struct virtio *dev)
{
	for (unsigned i = 0; i < 8; i++)
		pages[i] = page_number(given[i]);
	if (!put(dev, INFLATE, 32) || !put(dev, DEFLATE, 32))
		return false;
	given[3][17] = 42; /* usable again */
	return *(volatile uint8_t *)&given[3][17] == 42;
}

static struct ring_abuse abuse = {
        .id = VIRTIO_ID_BALLOON,
        .features = VIRTIO_F_INDIRECT_DESC,
        .queues = 2,
        .queue = INFLATE,
        .good = good,
};

static void numbers(struct virtio *dev, const char *name, uint32_t first, uint32_t step)
{
	for (unsigned i = 0; i < 256; i++)
		pages[i] = first + step * i;
	if (put(dev, INFLATE, 1024))
		(void)put(dev, DEFLATE, 1024);
	abuse_recovers(&abuse, dev, name);
}

static void bad_reports(struct virtio *dev, uint64_t feature, const char *name)
{
	abuse.features |= feature;
	abuse.queues = 3;
	if (!virtio_start(dev, abuse.features, 2, NULL) || !(dev->features & feature)) {
		print("SKIP ");
		print(name);
		print(": not offered\n");
	} else if (virtio_start(dev, abuse.features, 3, NULL)) {
		static const uint64_t places[] = {0xd8000000, 0x7ffffffff000, ~0xfffull, 0x123};
		for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			struct vq *q = &dev->vq[2];
			uint16_t flags = feature == BALLOON_F_REPORTING ? DESC_WRITE : 0;
			vq_desc(q, 0, (void *)places[i], 3 + 4096 * i, flags, 0);
			vq_offer(q, 0);
			vq_kick(q);
			(void)abuse_settled(dev, q);
			virtio_start(dev, abuse.features, 3, NULL);
		}
		abuse_recovers(&abuse, dev, name);
	}
	abuse.features &= ~feature;
	abuse.queues = 2;
}

void guest_main(void)
{
	struct virtio dev;
	if (!virtio_find(&dev, VIRTIO_ID_BALLOON, 0) ||
	    !virtio_start(&dev, abuse.features, 2, NULL)) {
		check("device", false);
		return;
	}
	given[5][100] = 0x99;
	check("inflate and deflate", good(&dev));
	check_eq("a page given away comes back empty", *(volatile uint8_t *)&given[5][100], 0);

	numbers(&dev, "pages above RAM", 0x80000000, 1);
	numbers(&dev, "the last page numbers", 0xffffff00, 1);
	numbers(&dev, "pages of the hole", 0xd0000, 1);
	numbers(&dev, "the same page 256 times", page_number(given[0]), 0);
	for (unsigned i = 0; i < 8; i++)
		pages[i] = page_number(given[i]);
	(void)put(&dev, INFLATE, 31);
	abuse_recovers(&abuse, &dev, "31 bytes of page numbers");
	(void)put(&dev, DEFLATE, 32);
	(void)put(&dev, DEFLATE, 32);
	abuse_recovers(&abuse, &dev, "deflated without having been inflated");
	set_reg(&dev, REG_CONFIG + 4, 0xffffffff); /* 'actual' */
	mmio_write8(dev.base + REG_CONFIG + 5, 0x55);
	abuse_recovers(&abuse, &dev, "absurd actual size");
	bad_reports(&dev, BALLOON_F_STATS, "statistics from bad addresses");
	bad_reports(&dev, BALLOON_F_REPORTING, "free pages at bad addresses");
	ring_abuse_all(&abuse);
	transport_abuse_all(&abuse);
}
