/*
 * The control queues of a multiport console (virtio 1.2, 5.3.6.2). What a port has to tell is kept
 * as a set of flags, so that a driver that gives no buffers costs no memory, and the newest state
 * is what it reads in the end.
 */
#include <endian.h>
#include <string.h>

#include "devices/virtio/console_priv.h"

#define SEGMENTS_MAX 8u

struct message {
	struct virtio_console_control head;
	uint8_t payload[CONSOLE_NAME_MAX];
	uint32_t payload_len;
};

static void encode(struct message *m, uint32_t id, uint16_t event, uint16_t value)
{
	m->head.id = htole32(id);
	m->head.event = htole16(event);
	m->head.value = htole16(value);
	m->payload_len = 0;
}

/*
 * The order of the two words is Linux's: it has read rows first ever since the message exists,
 * while the specification's text has columns first.
 */
static void encode_size(struct message *m, const struct console *c)
{
	const uint16_t size[2] = {htole16(c->rows), htole16(c->columns)};
	memcpy(m->payload, size, sizeof(size));
	m->payload_len = sizeof(size);
}

static void compose(const struct console *c, const struct console_port *p, unsigned what,
                    struct message *m)
{
	switch (what) {
	case CONSOLE_OWES_ADD:
		encode(m, p->id, VIRTIO_CONSOLE_PORT_ADD, 0);
		break;
	case CONSOLE_OWES_CONSOLE:
		encode(m, p->id, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
		break;
	case CONSOLE_OWES_NAME:
		encode(m, p->id, VIRTIO_CONSOLE_PORT_NAME, 1);
		m->payload_len = (uint32_t)strlen(p->name);
		memcpy(m->payload, p->name, m->payload_len);
		break;
	case CONSOLE_OWES_SIZE:
		encode(m, p->id, VIRTIO_CONSOLE_RESIZE, 0);
		encode_size(m, c);
		break;
	default:
		encode(m, p->id, VIRTIO_CONSOLE_PORT_OPEN, chardev_connected(p->chardev));
		break;
	}
}

/* False: the driver has no buffer for it now. */
static bool send_message(struct console *c, const struct message *m)
{
	struct vdev *vd = &c->vd;
	struct ring_chain chain;
	struct iovec iov[SEGMENTS_MAX];
	uint32_t head_len = sizeof(m->head);
	/* Too small buffers go back empty; the queue's size bounds the search for a good one. */
	for (unsigned i = 0; i < CONSOLE_QUEUE_SIZE; i++) {
		if (vdev_pop(vd, CONSOLE_Q_CONTROL_RX, &chain, iov, SEGMENTS_MAX) != RING_OK)
			return false;
		if (chain.write_bytes >= head_len + m->payload_len) {
			(void)chain_write(&chain, 0, &m->head, head_len);
			(void)chain_write(&chain, head_len, m->payload, m->payload_len);
			ring_push(&vd->queue[CONSOLE_Q_CONTROL_RX].ring, chain.head,
			          head_len + m->payload_len);
			return true;
		}
		vdev_guest_error(vd, "control buffer of %u bytes for a message of %u",
		                 chain.write_bytes, head_len + m->payload_len);
		ring_push(&vd->queue[CONSOLE_Q_CONTROL_RX].ring, chain.head, 0);
	}
	return false;
}

/* False: out of buffers. */
static bool send_owed(struct console *c, struct console_port *p)
{
	struct message m;
	while (p->owed) {
		unsigned what = p->owed & -p->owed;
		compose(c, p, what, &m);
		if (!send_message(c, &m))
			return false;
		p->owed &= ~what;
	}
	return true;
}

static bool send_all(struct console *c)
{
	for (uint32_t i = 0; i < c->port_count; i++)
		if (!send_owed(c, &c->port[i]))
			return false;
	return true;
}

void console_control_send(struct console *c)
{
	if (!c->vd.active || !vdev_has(&c->vd, VIRTIO_CONSOLE_F_MULTIPORT))
		return;
	struct ring *r = &c->vd.queue[CONSOLE_Q_CONTROL_RX].ring;
	if (!r->gm || r->broken)
		return;
	bool done = send_all(c);
	if (!done && ring_kick_enable(r))
		(void)send_all(c);
	vdev_flush_used(&c->vd, CONSOLE_Q_CONTROL_RX);
}

static void device_ready(struct console *c, uint16_t value)
{
	if (value != 1 || c->device_ready)
		return;
	c->device_ready = true;
	for (uint32_t i = 0; i < c->port_count; i++)
		c->port[i].owed = CONSOLE_OWES_ADD;
}

static void port_ready(struct console *c, struct console_port *p, uint16_t value)
{
	if (value != 1 || p->ready)
		return;
	p->ready = true;
	p->owed |= CONSOLE_OWES_OPEN;
	if (p->is_console)
		p->owed |= CONSOLE_OWES_CONSOLE;
	if (p->name)
		p->owed |= CONSOLE_OWES_NAME;
	if (p->id == 0 && (c->columns || c->rows))
		p->owed |= CONSOLE_OWES_SIZE;
}

static void handle(struct console *c, const struct virtio_console_control *m)
{
	uint32_t id = le32toh(m->id);
	uint16_t event = le16toh(m->event);
	uint16_t value = le16toh(m->value);
	if (event == VIRTIO_CONSOLE_DEVICE_READY) {
		device_ready(c, value);
		return;
	}
	if (id >= c->port_count || !c->device_ready) {
		vdev_guest_error(&c->vd, "control message %u for port %u of %u%s", event, id,
		                 c->port_count, c->device_ready ? "" : ", before DEVICE_READY");
		return;
	}
	struct console_port *p = &c->port[id];
	switch (event) {
	case VIRTIO_CONSOLE_PORT_READY:
		port_ready(c, p, value);
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		p->guest_open = value != 0;
		if (p->guest_open)
			chardev_input_room(p->chardev);
		break;
	default:
		vdev_guest_error(&c->vd, "control message %u is not one that a driver sends",
		                 event);
		break;
	}
}

void console_control_receive(struct console *c)
{
	struct vdev *vd = &c->vd;
	struct ring *r = &vd->queue[CONSOLE_Q_CONTROL_TX].ring;
	struct ring_chain chain;
	struct iovec iov[SEGMENTS_MAX];
	unsigned budget = CONSOLE_QUEUE_SIZE;
	do {
		while (budget > 0 &&
		       vdev_pop(vd, CONSOLE_Q_CONTROL_TX, &chain, iov, SEGMENTS_MAX) == RING_OK) {
			struct virtio_console_control m;
			if (chain_read(&chain, 0, &m, sizeof(m)) == sizeof(m))
				handle(c, &m);
			else
				vdev_guest_error(vd, "control message of %u bytes",
				                 chain.read_bytes);
			ring_push(r, chain.head, 0);
			budget--;
		}
	} while (budget > 0 && ring_kick_enable(r));
	vdev_flush_used(vd, CONSOLE_Q_CONTROL_TX);
	if (budget == 0)
		vdev_kick_again(vd, CONSOLE_Q_CONTROL_TX);
	console_control_send(c);
}
