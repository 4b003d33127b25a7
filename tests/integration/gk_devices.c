/* See gk_devices.h. */
#include "gk_devices.h"

#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/virtio/balloon.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/net.h"
#include "devices/virtio/rng.h"
#include "net/backend/tap.h"
#include "net/user/user.h"

#define QUEUE_SIZE 256u
#define RNG_RATE   (1u << 20)
#define MTU        1500

struct place {
	struct vregs regs;
	struct loop_source interrupt;
	struct gk_devices *devices;
	unsigned index;
};

struct gk_devices {
	struct gk_devices_opts opts;
	struct gmem *gm;
	struct loop *loop;
	struct log log;
	pthread_t thread;
	bool running;
	struct place places[GK_DEVICES_MAX];
	unsigned count;
	struct loop_source keys;
	pthread_mutex_t lock; /* of what was typed */
	char typed[256];
	size_t typed_len;
};

static void log_line(void *ctx, vmm_log_level_t level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)fprintf(stderr, "gk_process: %s\n", line);
}

uint32_t gk_devices_read(struct gk_devices *d, unsigned index, uint32_t offset, unsigned size)
{
	return (uint32_t)vmmio_bus_ops.read(&d->places[index].regs, offset, size);
}

/* A notification goes to the loop, as KVM's ioeventfd has it. */
void gk_devices_write(struct gk_devices *d, unsigned index, uint32_t offset, unsigned size,
                      uint32_t value)
{
	struct place *p = &d->places[index];
	struct vdev *vd = p->regs.vd;
	if (offset == VIRTIO_MMIO_QUEUE_NOTIFY && value < vd->queue_count)
		(void)eventfd_write(vd->queue[value].kick_fd, 1);
	else
		vmmio_bus_ops.write(&p->regs, offset, size, value);
}

static void on_interrupt(void *ctx, uint32_t events)
{
	struct place *p = ctx;
	eventfd_t n;
	(void)events;
	if (eventfd_read(p->interrupt.fd, &n) == 0)
		p->devices->opts.interrupt(p->devices->opts.ctx, p->index);
}

/* Takes VD over. */
static vmm_err_t plug(struct gk_devices *d, struct vdev *vd, vmm_err_info_t *ei)
{
	unsigned i = d->count++;
	struct place *p = &d->places[i];
	*p = (struct place){.regs.vd = vd, .devices = d, .index = i};
	vmm_err_t err = irq_line_open(&vd->irq, i, ei);
	if (!err)
		err = vdev_attach(vd, d->gm, d->loop, &d->log, &vmmio_transport, ei);
	p->interrupt = (struct loop_source){.fd = vd->irq.fd, .ready = on_interrupt, .ctx = p};
	return err ? err : loop_add(d->loop, &p->interrupt, EPOLLIN, ei);
}

static vmm_err_t plug_net(struct gk_devices *d, vmm_err_info_t *ei)
{
	const struct tap_opts tap = {.name = d->opts.tap, .queue_count = 1};
	const struct user_opts user = {
	        .hostfwd = &d->opts.forward, .hostfwd_count = 1, .dns = d->opts.dns};
	const struct sandbox_filters open = {0};
	struct net_opts net = {.mtu = MTU,
	                       .queue_size = QUEUE_SIZE,
	                       .offloads = true,
	                       .link_up = true,
	                       .pcap_fd = -1};
	struct net_backend *backend;
	struct vdev *vd;
	if (!d->opts.tap && !d->opts.forward)
		return VMM_OK;
	net_derive_mac("gk_process", 0, net.mac);
	vmm_err_t err = d->opts.tap ? tap_open(&tap, &backend, ei) : user_open(&user, &backend, ei);
	if (!err)
		err = net_create(&net, 0, backend, &vd, ei);
	if (!err)
		vd->ops->start_threads(vd, &open);
	return err ? err : plug(d, vd, ei);
}

static vmm_err_t plug_disk(struct gk_devices *d, vmm_err_info_t *ei)
{
	struct blk_opts blk = {
	        .file = {.path = d->opts.disk, .fd = -1, .lock = true},
	        .queue_size = QUEUE_SIZE,
	        .uring = true,
	};
	struct vdev *vd;
	if (!d->opts.disk)
		return VMM_OK;
	vmm_err_t err = blk_create(&blk, 0, &vd, ei);
	return err ? err : plug(d, vd, ei);
}

static vmm_err_t plug_all(struct gk_devices *d, vmm_err_info_t *ei)
{
	vmm_balloon_opts_t balloon = VMM_BALLOON_OPTS_INIT;
	struct vdev *vd;
	vmm_err_t err = rng_create(RNG_RATE, RNG_RATE, &vd, ei);
	if (!err)
		err = plug(d, vd, ei);
	if (!err)
		err = balloon_create(&balloon, d->opts.memory_bytes, &vd, ei);
	if (!err)
		err = plug(d, vd, ei);
	if (!err)
		err = plug_net(d, ei);
	return err ? err : plug_disk(d, ei);
}

static void on_keys(void *ctx, uint32_t events)
{
	struct gk_devices *d = ctx;
	(void)events;
	(void)pthread_mutex_lock(&d->lock);
	size_t room = sizeof(d->typed) - d->typed_len;
	ssize_t n = room ? read(STDIN_FILENO, d->typed + d->typed_len, room) : 0;
	if (n > 0)
		d->typed_len += (size_t)n;
	(void)pthread_mutex_unlock(&d->lock);
	if (room && n <= 0)
		loop_del(d->loop, &d->keys);
	else
		d->opts.typed(d->opts.ctx);
}

size_t gk_devices_typed(struct gk_devices *d, char *out, size_t max)
{
	(void)pthread_mutex_lock(&d->lock);
	size_t n = d->typed_len < max ? d->typed_len : max;
	memcpy(out, d->typed, n);
	d->typed_len -= n;
	memmove(d->typed, d->typed + n, d->typed_len);
	(void)pthread_mutex_unlock(&d->lock);
	return n;
}

static void *loop_thread(void *arg)
{
	loop_run(arg);
	return NULL;
}

static vmm_err_t make(struct gk_devices *d, vmm_err_info_t *ei)
{
	struct gmem_opts mem = {.size_bytes = d->opts.memory_bytes, .memfd = true, .fd = -1};
	vmm_err_t err = loop_create(&d->loop, ei);
	if (!err)
		err = gmem_create(&mem, &d->gm, ei);
	if (!err)
		err = plug_all(d, ei);
	if (err)
		return err;
	/* What cannot be polled (a file, /dev/null) is not read. */
	d->keys = (struct loop_source){.fd = STDIN_FILENO, .ready = on_keys, .ctx = d};
	(void)!loop_add(d->loop, &d->keys, EPOLLIN, NULL);
	d->running = pthread_create(&d->thread, NULL, loop_thread, d->loop) == 0;
	return VMM_OK;
}

struct gk_devices *gk_devices_open(const struct gk_devices_opts *opts)
{
	vmm_err_info_t ei;
	struct gk_devices *d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->opts = *opts;
	d->log = (struct log){.fn = log_line, .level = VMM_LOG_WARN};
	(void)pthread_mutex_init(&d->lock, NULL);
	if (make(d, &ei)) {
		(void)fprintf(stderr, "gk_process: %s: %s\n", ei.field, ei.message);
		gk_devices_close(d);
		return NULL;
	}
	return d;
}

void gk_devices_stop(struct gk_devices *d)
{
	if (!d->running)
		return;
	loop_stop(d->loop);
	(void)pthread_join(d->thread, NULL);
	d->running = false;
}

void gk_devices_close(struct gk_devices *d)
{
	gk_devices_stop(d);
	for (unsigned i = 0; i < d->count; i++) {
		struct vdev *vd = d->places[i].regs.vd;
		struct irq_line line = vd->irq;
		if (d->places[i].interrupt.added)
			loop_del(d->loop, &d->places[i].interrupt);
		vd->ops->destroy(vd);
		irq_line_close(&line);
	}
	if (d->loop)
		loop_destroy(d->loop);
	if (d->gm)
		gmem_destroy(d->gm);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}

int gk_devices_memory(const struct gk_devices *d)
{
	return gmem_fd(d->gm);
}

unsigned gk_devices_count(const struct gk_devices *d)
{
	return d->count;
}
