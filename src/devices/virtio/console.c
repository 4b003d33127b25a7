/* virtio-console: ports and their data. See console.h. */
#include <endian.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio/console_priv.h"
#include "vmm/errset.h"

/* How much one port may send before others get a turn. */
#define TX_BYTES_PER_KICK (1u << 20)
#define TX_PIECE          4096u

static struct console *console_of(struct vdev *vd)
{
	return (struct console *)vd;
}

static unsigned rx_queue(const struct console_port *p)
{
	return p->id == 0 ? 0 : 2 + 2 * p->id;
}

static unsigned tx_queue(const struct console_port *p)
{
	return rx_queue(p) + 1;
}

/* Write the chain from P->tx_offset on; false if the chardev took only a part. */
static bool transmit_chain(struct console_port *p, const struct ring_chain *chain, uint32_t *budget)
{
	uint8_t piece[TX_PIECE];
	while (p->tx_offset<chain->read_bytes && * budget> 0) {
		uint32_t n = chain_read(chain, p->tx_offset, piece, sizeof(piece));
		size_t taken = chardev_write(p->chardev, piece, n);
		p->tx_offset += (uint32_t)taken;
		*budget -= taken < *budget ? (uint32_t)taken : *budget;
		if (taken < n)
			return false;
	}
	return p->tx_offset >= chain->read_bytes;
}

/* What the guest sends through P. A chain that is not all written stays in the ring. */
static void transmit(struct console_port *p)
{
	struct vdev *vd = &p->console->vd;
	unsigned q = tx_queue(p);
	struct ring *r = &vd->queue[q].ring;
	struct iovec iov[CONSOLE_QUEUE_SIZE];
	struct ring_chain chain;
	uint32_t budget = TX_BYTES_PER_KICK;
	bool waits = false;
	for (unsigned taken = 0; taken < CONSOLE_QUEUE_SIZE && budget > 0 && !waits; taken++) {
		enum ring_result res = vdev_pop(vd, q, &chain, iov, CONSOLE_QUEUE_SIZE);
		if (res == RING_EMPTY && ring_kick_enable(r))
			continue;
		if (res != RING_OK) {
			vdev_flush_used(vd, q);
			return;
		}
		if (transmit_chain(p, &chain, &budget)) {
			ring_push(r, chain.head, 0);
			p->tx_offset = 0;
			continue;
		}
		ring_unpop(r);
		waits = budget > 0;
	}
	vdev_flush_used(vd, q);
	if (!waits) /* else console_writable goes on */
		vdev_kick_again(vd, q);
}

/* Whether the rings of P can be used now. */
static bool can_use(const struct console_port *p, unsigned q)
{
	const struct vdev *vd = &p->console->vd;
	const struct ring *r = &vd->queue[q].ring;
	return vd->active && r->gm && !r->broken;
}

static size_t receive_locked(struct console_port *p, const uint8_t *data, size_t len)
{
	struct vdev *vd = &p->console->vd;
	unsigned q = rx_queue(p);
	struct ring *r = &vd->queue[q].ring;
	struct iovec iov[CONSOLE_QUEUE_SIZE];
	struct ring_chain chain;
	size_t done = 0;
	for (unsigned i = 0; i < CONSOLE_QUEUE_SIZE && done < len; i++) {
		enum ring_result res = vdev_pop(vd, q, &chain, iov, CONSOLE_QUEUE_SIZE);
		if (res == RING_EMPTY && ring_kick_enable(r))
			continue;
		if (res != RING_OK)
			break;
		uint32_t n = chain_write(&chain, 0, data + done, (uint32_t)(len - done));
		if (n == 0)
			vdev_guest_error(vd, "receive buffer that cannot be written");
		ring_push(r, chain.head, n);
		done += n;
	}
	vdev_flush_used(vd, q);
	return done;
}

static size_t console_input(void *ctx, const uint8_t *data, size_t len)
{
	struct console_port *p = ctx;
	struct vdev *vd = &p->console->vd;
	size_t taken = 0;
	(void)pthread_mutex_lock(&vd->lock);
	if (can_use(p, rx_queue(p)) && p->guest_open)
		taken = receive_locked(p, data, len);
	(void)pthread_mutex_unlock(&vd->lock);
	return taken;
}

static void console_writable(void *ctx)
{
	struct console_port *p = ctx;
	struct vdev *vd = &p->console->vd;
	(void)pthread_mutex_lock(&vd->lock);
	if (can_use(p, tx_queue(p)))
		transmit(p);
	(void)pthread_mutex_unlock(&vd->lock);
}

static void console_connected(void *ctx, bool connected)
{
	(void)connected; /* asked again when the message is written */
	struct console_port *p = ctx;
	struct vdev *vd = &p->console->vd;
	(void)pthread_mutex_lock(&vd->lock);
	if (p->ready)
		p->owed |= CONSOLE_OWES_OPEN;
	console_control_send(p->console);
	(void)pthread_mutex_unlock(&vd->lock);
}

static const struct chardev_ops port_ops = {console_input, console_writable, console_connected};

static void console_kick(struct vdev *vd, unsigned q)
{
	struct console *c = console_of(vd);
	bool multiport = vdev_has(vd, VIRTIO_CONSOLE_F_MULTIPORT);
	if (q >= 2 && !multiport)
		return;
	if (q == CONSOLE_Q_CONTROL_RX) {
		console_control_send(c);
		return;
	}
	if (q == CONSOLE_Q_CONTROL_TX) {
		console_control_receive(c);
		return;
	}
	struct console_port *p = &c->port[q < 2 ? 0 : q / 2 - 1];
	if (q & 1)
		transmit(p);
	else
		chardev_input_room(p->chardev);
}

static bool console_activate(struct vdev *vd)
{
	struct console *c = console_of(vd);
	/* Without control queues there is no PORT_OPEN: the one port is open. */
	if (!vdev_has(vd, VIRTIO_CONSOLE_F_MULTIPORT)) {
		c->port[0].guest_open = true;
		chardev_input_room(c->port[0].chardev);
		/* Linux reads the size only when it is told of a change. */
		if (c->columns > 0 && vdev_has(vd, VIRTIO_CONSOLE_F_SIZE))
			vdev_config_changed(vd);
	}
	return true;
}

static void console_reset(struct vdev *vd)
{
	struct console *c = console_of(vd);
	c->device_ready = false;
	for (uint32_t i = 0; i < c->port_count; i++) {
		struct console_port *p = &c->port[i];
		p->ready = false;
		p->guest_open = false;
		p->owed = 0;
		p->tx_offset = 0;
	}
}

static void console_stop_queue(struct vdev *vd, unsigned q)
{
	struct console *c = console_of(vd);
	for (uint32_t i = 0; i < c->port_count; i++)
		if (tx_queue(&c->port[i]) == q)
			c->port[i].tx_offset = 0;
}

static void fill_config(struct console *c)
{
	c->config = (struct virtio_console_config){
	        .cols = htole16(c->columns),
	        .rows = htole16(c->rows),
	        .max_nr_ports = htole32(c->port_count),
	};
}

/* An emergency write (5.3.4): one character, whatever state the device is in. */
static void console_config_written(struct vdev *vd, uint32_t offset, uint32_t len)
{
	struct console *c = console_of(vd);
	const uint32_t at = offsetof(struct virtio_console_config, emerg_wr);
	uint8_t byte = (uint8_t)le32toh(c->config.emerg_wr);
	fill_config(c); /* nothing else can be written, and this field reads as zero */
	if (offset <= at && len > at - offset)
		(void)chardev_write(c->port[0].chardev, &byte, 1);
}

static void console_destroy(struct vdev *vd)
{
	struct console *c = console_of(vd);
	for (uint32_t i = 0; i < c->port_count; i++) {
		chardev_destroy(c->port[i].chardev);
		free(c->port[i].name);
	}
	vdev_fini(vd);
	free(c);
}

static const struct vdev_ops console_ops = {
        .name = "virtio-console",
        .device_id = VIRTIO_ID_CONSOLE,
        .activate = console_activate,
        .reset = console_reset,
        .stop_queue = console_stop_queue,
        .kick = console_kick,
        .config_written = console_config_written,
        .destroy = console_destroy,
};

static vmm_err_t open_port(struct console *c, const vmm_console_port_opts_t *o, struct loop *loop,
                           struct log *log, vmm_err_info_t *ei)
{
	struct console_port *p = &c->port[c->port_count];
	char field[48];
	(void)snprintf(field, sizeof(field), "%s port %u", c->vd.id, c->port_count);
	p->console = c;
	p->id = c->port_count++;
	p->is_console = o->is_console || p->id == 0;
	p->name = o->name ? strdup(o->name) : NULL;
	if (o->name && !p->name)
		return err_set(ei, VMM_E_NOMEM, field, "out of memory");
	vmm_err_t err = chardev_create(&o->chardev, field, loop, log, &p->chardev, ei);
	return err ? err : chardev_attach(p->chardev, &port_ops, p, ei);
}

vmm_err_t console_create(const vmm_console_opts_t *opts, unsigned index, struct loop *loop,
                         struct log *log, struct vdev **out, vmm_err_info_t *ei)
{
	uint16_t sizes[2 + 2 * VMM_CONSOLE_PORTS_MAX];
	*out = NULL;
	struct console *c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(ei, VMM_E_NOMEM, "console", "out of memory");
	c->vd.ops = &console_ops;
	(void)snprintf(c->vd.id, sizeof(c->vd.id), "console%u", index);
	c->columns = opts->columns;
	c->rows = opts->rows;
	c->vd.features = 1ull << VIRTIO_CONSOLE_F_EMERG_WRITE | 1ull << VIRTIO_CONSOLE_F_SIZE;
	if (opts->port_count > 1)
		c->vd.features |= 1ull << VIRTIO_CONSOLE_F_MULTIPORT;
	c->vd.config = (uint8_t *)&c->config;
	c->vd.config_len = sizeof(c->config);
	unsigned queues = opts->port_count > 1 ? 2 + 2 * opts->port_count : 2;
	for (unsigned i = 0; i < queues; i++)
		sizes[i] = CONSOLE_QUEUE_SIZE;
	vmm_err_t err = vdev_init(&c->vd, queues, sizes, ei);
	for (uint32_t i = 0; !err && i < opts->port_count; i++)
		err = open_port(c, &opts->ports[i], loop, log, ei);
	fill_config(c);
	if (err) {
		console_destroy(&c->vd);
		return err;
	}
	*out = &c->vd;
	return VMM_OK;
}

bool console_is(const struct vdev *vd)
{
	return vd->ops == &console_ops;
}

void console_resize(struct vdev *vd, uint16_t columns, uint16_t rows)
{
	struct console *c = console_of(vd);
	(void)pthread_mutex_lock(&vd->lock);
	c->columns = columns;
	c->rows = rows;
	fill_config(c);
	if (vdev_has(vd, VIRTIO_CONSOLE_F_SIZE))
		vdev_config_changed(vd);
	if (c->port[0].ready)
		c->port[0].owed |= CONSOLE_OWES_SIZE;
	console_control_send(c);
	(void)pthread_mutex_unlock(&vd->lock);
}

const char *console_pty(const struct vdev *vd, uint32_t port)
{
	const struct console *c = (const struct console *)vd;
	return port < c->port_count ? chardev_pty(c->port[port].chardev) : NULL;
}
