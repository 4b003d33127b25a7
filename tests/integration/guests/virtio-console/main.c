/* The console, used well and badly (virtio 1.2, 5.3). */
#include "virtio.h"

#define CONSOLE_F_SIZE      (1ull << 0)
#define CONSOLE_F_MULTIPORT (1ull << 1)

#define RX                  0u
#define TX                  1u
#define CONTROL_RX          2u
#define CONTROL_TX          3u

static char text[] = "text from the guest\n";
static uint8_t buffer[4096];

static bool good(struct virtio *dev)
{
	struct vq *q = &dev->vq[TX];
	vq_desc(q, 0, text, sizeof(text) - 1, 0, 0);
	vq_offer(q, 0);
	vq_kick(q);
	return vq_wait(q, NULL);
}

static struct ring_abuse abuse = {
        .id = VIRTIO_ID_CONSOLE,
        .features = VIRTIO_F_INDIRECT_DESC | CONSOLE_F_SIZE,
        .queues = 2,
        .queue = TX,
        .good = good,
};

static void on_queue(struct virtio *dev, const char *name, unsigned queue, const void *data,
                     uint32_t len, uint16_t flags)
{
	struct vq *q = &dev->vq[queue];
	vq_desc(q, 0, data, len, flags, 0);
	vq_offer(q, 0);
	vq_kick(q);
	(void)abuse_settled(dev, q);
	abuse_recovers(&abuse, dev, name);
}

struct control {
	uint32_t port;
	uint16_t event;
	uint16_t value;
};

static void bad_controls(void)
{
	struct virtio dev;
	abuse.features |= CONSOLE_F_MULTIPORT;
	abuse.queues = 4;
	if (!virtio_find(&dev, VIRTIO_ID_CONSOLE, 0) || !virtio_features(&dev, abuse.features) ||
	    !(dev.features & CONSOLE_F_MULTIPORT)) {
		print("SKIP control queues: the device has one port\n");
		return;
	}
	virtio_start(&dev, abuse.features, 4, NULL);
	static const struct {
		const char *name;
		struct control message;
		uint32_t len;
	} controls[] = {
	        {"control: port 0xffffffff", {0xffffffff, 3, 1}, 8},
	        {"control: port 1000 open", {1000, 6, 1}, 8},
	        {"control: unknown event", {0, 999, 1}, 8},
	        {"control: message of 3 bytes", {0, 0, 1}, 3},
	        {"control: device ready 0", {0, 0, 0}, 8},
	};
	for (unsigned i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		on_queue(&dev, controls[i].name, CONTROL_TX, &controls[i].message, controls[i].len,
		         0);
	static struct control ready = {0, 0, 1};
	struct vq *q = &dev.vq[CONTROL_TX];
	for (unsigned i = 0; i < VQ_SIZE; i++) {
		vq_desc(q, i, &ready, sizeof(ready), 0, 0);
		vq_offer(q, (uint16_t)i);
	}
	vq_kick(q);
	(void)abuse_settled(&dev, q);
	abuse_recovers(&abuse, &dev, "control: questions and no buffer for the answers");
	abuse.queue = CONTROL_TX;
	ring_abuse_all(&abuse);
}

void guest_main(void)
{
	struct virtio dev;
	if (!virtio_find(&dev, VIRTIO_ID_CONSOLE, 0) ||
	    !virtio_start(&dev, abuse.features, 2, NULL)) {
		check("device", false);
		return;
	}
	check("write", good(&dev));
	on_queue(&dev, "output into a buffer that is writable", TX, buffer, 64, DESC_WRITE);
	on_queue(&dev, "input into a buffer that is readable", RX, buffer, 64, 0);
	on_queue(&dev, "input into 0 bytes", RX, buffer, 0, DESC_WRITE);
	ring_abuse_all(&abuse);
	transport_abuse_all(&abuse);
	bad_controls();
}
