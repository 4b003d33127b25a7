/* The network card, used well and badly (virtio 1.2, 5.1). */
#include "virtio.h"

#define NET_F_CSUM       (1ull << 0)
#define NET_F_GUEST_CSUM (1ull << 1)
#define NET_F_MAC        (1ull << 5)
#define NET_F_HOST_TSO4  (1ull << 11)
#define NET_F_MRG_RXBUF  (1ull << 15)
#define NET_F_STATUS     (1ull << 16)
#define NET_F_CTRL_VQ    (1ull << 17)
#define NET_F_CTRL_RX    (1ull << 18)
#define NET_F_CTRL_MAC   (1ull << 23)

#define RX               0u
#define TX               1u
#define CTRL             2u

#define HEADER_BYTES     12u

static struct {
	uint8_t header[HEADER_BYTES];
	uint8_t frame[70000];
} packet;
static uint8_t rx_buffer[2048];

/* A broadcast ARP request, 60 bytes. */
static void make_frame(void)
{
	memset(&packet, 0, HEADER_BYTES + 64);
	memset(packet.frame, 0xff, 6);
	packet.frame[6] = 0x02;
	packet.frame[12] = 0x08;
	packet.frame[13] = 0x06;
}

static bool answered(struct virtio *dev, struct vq *q)
{
	for (uint64_t end = rdtsc() + 2 * RT_TICKS_SECOND; rdtsc() < end; pause()) {
		if (vq_wait_for(q, NULL, 0))
			return true;
		if (virtio_needs_reset(dev))
			return false;
	}
	return false;
}

static bool good(struct virtio *dev)
{
	struct vq *q = &dev->vq[TX];
	make_frame();
	vq_desc(q, 0, &packet, HEADER_BYTES + 60, 0, 0);
	vq_offer(q, 0);
	vq_kick(q);
	return answered(dev, q);
}

static struct ring_abuse abuse = {
        .id = VIRTIO_ID_NET,
        .features = VIRTIO_F_INDIRECT_DESC | NET_F_MAC | NET_F_MRG_RXBUF | NET_F_STATUS |
                    NET_F_CSUM | NET_F_HOST_TSO4,
        .queues = 2,
        .queue = TX,
        .good = good,
};

/* Send what lies in PACKET with that length; whatever comes of it, the device works on. */
static void send(struct virtio *dev, const char *name, uint32_t len)
{
	struct vq *q = &dev->vq[TX];
	vq_desc(q, 0, &packet, len, 0, 0);
	vq_offer(q, 0);
	vq_kick(q);
	(void)abuse_settled(dev, q);
	abuse_recovers(&abuse, dev, name);
}

static void bad_frames(struct virtio *dev)
{
	make_frame();
	send(dev, "1 byte", 1);
	send(dev, "part of a header", HEADER_BYTES - 1);
	send(dev, "a header and nothing else", HEADER_BYTES);
	send(dev, "a frame of 5 bytes", HEADER_BYTES + 5);
	send(dev, "a frame of 70,000 bytes", sizeof(packet));

	/* flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers */
	static const struct {
		const char *name;
		uint8_t header[HEADER_BYTES];
	} headers[] = {
	        {"checksum beyond the frame", {1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0}},
	        {"unknown segmentation type", {0, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
	        {"segments of 0 bytes", {1, 1, 54, 0, 0, 0, 34, 0, 16, 0, 0, 0}},
	        {"header length of 65535", {1, 1, 0xff, 0xff, 1, 0, 34, 0, 16, 0, 0, 0}},
	        {"all ones", {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
	};
	for (unsigned i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		make_frame();
		memcpy(packet.header, headers[i].header, HEADER_BYTES);
		send(dev, headers[i].name, HEADER_BYTES + 60);
	}
}

static void bad_receive_buffers(struct virtio *dev)
{
	struct vq *q = &dev->vq[RX];
	vq_desc(q, 0, rx_buffer, 4, DESC_WRITE, 0);
	vq_desc(q, 1, rx_buffer, HEADER_BYTES, DESC_WRITE, 0);
	vq_desc(q, 2, rx_buffer, sizeof(rx_buffer), 0, 0);
	for (uint16_t i = 0; i < 3; i++)
		vq_offer(q, i);
	vq_kick(q);
	for (unsigned i = 0; i < 4 && good(dev); i++)
		;
	abuse_recovers(&abuse, dev, "receive buffers that are too small or read-only");
}

/* One control command: CLASS, COMMAND, LEN bytes of 0xff. */
static void control(struct virtio *dev, const char *name, uint8_t class, uint8_t command,
                    uint32_t len, bool with_ack)
{
	static uint8_t head[2];
	static volatile uint8_t ack;
	struct vq *q = &dev->vq[CTRL];
	head[0] = class;
	head[1] = command;
	ack = 0x77;
	memset(packet.frame, 0xff, len);
	vq_desc(q, 0, head, 2, DESC_NEXT, 1);
	vq_desc(q, 1, packet.frame, len, with_ack ? DESC_NEXT : 0, 2);
	vq_desc(q, 2, (const void *)&ack, 1, DESC_WRITE, 0);
	vq_offer(q, 0);
	vq_kick(q);
	(void)abuse_settled(dev, q);
	if (with_ack && ack == 0)
		check(name, false);
	else
		abuse_recovers(&abuse, dev, name);
}

static void bad_controls(void)
{
	struct virtio dev;
	abuse.features |= NET_F_CTRL_VQ | NET_F_CTRL_RX | NET_F_CTRL_MAC;
	abuse.queues = 3;
	if (!virtio_find(&dev, VIRTIO_ID_NET, 0) || !virtio_features(&dev, abuse.features) ||
	    !(dev.features & NET_F_CTRL_VQ)) {
		print("SKIP control queue: the device has none\n");
		return;
	}
	virtio_start(&dev, abuse.features, 3, NULL);
	control(&dev, "control: unknown class", 77, 0, 1, true);
	control(&dev, "control: unknown command", 0, 77, 1, true);
	control(&dev, "control: MAC table longer than its buffer", 1, 0, 10, true);
	control(&dev, "control: MAC address of 3 bytes", 1, 1, 3, true);
	control(&dev, "control: 65535 queue pairs", 4, 0, 2, true);
	control(&dev, "control: no room for the answer", 0, 0, 1, false);
	abuse.queue = CTRL;
	ring_abuse_all(&abuse);
}

void guest_main(void)
{
	struct virtio dev;
	if (!virtio_find(&dev, VIRTIO_ID_NET, 0) || !virtio_start(&dev, abuse.features, 2, NULL)) {
		check("device", false);
		return;
	}
	check("send a frame", good(&dev));
	bad_frames(&dev);
	bad_receive_buffers(&dev);
	ring_abuse_all(&abuse);
	transport_abuse_all(&abuse);
	abuse.queue = RX; /* the runner sends frames all the time */
	ring_abuse_all(&abuse);
	bad_controls();
}
