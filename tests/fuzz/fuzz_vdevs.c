/*
 * Balloon, entropy source and a console of three ports with a driver that means harm. The first
 * byte picks the device, the rest is a program: each step writes to rings or buffers, to config
 * space, or notifies and resets. Whatever it does, the device must touch nothing outside the memory
 * of its guest, must not hang, and must come back for the next driver.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/vdev_rig.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/console.h"
#include "devices/virtio/rng.h"

struct input {
	const uint8_t *data;
	size_t left;
};

static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < bytes && in->left; i++, in->left--)
		v |= (uint64_t)*in->data++ << (8 * i);
	return v;
}

static struct vdev *make(unsigned kind, struct loop *loop)
{
	struct vdev *vd = NULL;
	vmm_balloon_opts_t balloon = VMM_BALLOON_OPTS_INIT;
	vmm_console_opts_t console = VMM_CONSOLE_OPTS_INIT;
	const vmm_console_port_opts_t ports[3] = {{.name = "first"}, {.name = "second"}};
	balloon.stats_interval_ms = 1;
	console.ports = ports;
	console.port_count = 3;
	if (kind == 0)
		rig_must(balloon_create(&balloon, RIG_MEMORY, &vd, NULL) == VMM_OK, "balloon");
	else if (kind == 1)
		rig_must(rng_create(1u << 20, 1u << 16, &vd, NULL) == VMM_OK, "rng");
	else
		rig_must(console_create(&console, 0, loop, NULL, &vd, NULL) == VMM_OK, "console");
	return vd;
}

/* A well-formed chain, apart from what the input says of its segments. */
static void add_chain(struct rig *rig, struct input *in, unsigned q)
{
	struct seg s[4];
	unsigned n = (unsigned)take(in, 1) % 4 + 1;
	for (unsigned i = 0; i < n; i++) {
		uint64_t shape = take(in, 3);
		s[i] = (struct seg){RIG_DATA + (shape & 0xff) * 64, (uint32_t)(shape >> 8) & 0x1fff,
		                    (shape >> 21) & 1};
	}
	(void)rig_add(rig, q, s, n);
}

static void write_data(struct rig *rig, struct input *in)
{
	uint64_t at = RIG_DATA + take(in, 1) * 64;
	for (unsigned n = (unsigned)take(in, 1) % 64; n; n--)
		*(uint8_t *)rig_mem(rig, at++, 1) = (uint8_t)take(in, 1);
}

static void write_descriptor(struct rig *rig, struct input *in, unsigned q)
{
	struct vring_desc *d = &rig_desc(rig, q)[take(in, 1)];
	d->addr = take(in, 4);
	d->len = (uint32_t)take(in, 3);
	d->flags = (uint16_t)take(in, 1);
	d->next = (uint16_t)take(in, 1);
}

static void write_config(struct rig *rig, struct input *in)
{
	uint64_t offset = take(in, 1);
	(void)pthread_mutex_lock(&rig->vd->lock);
	vdev_config_write(rig->vd, offset, 1u << (take(in, 1) & 3), take(in, 4));
	(void)pthread_mutex_unlock(&rig->vd->lock);
}

static void step(struct rig *rig, struct input *in)
{
	unsigned op = (unsigned)take(in, 1);
	unsigned q = (op >> 4) % rig->vd->queue_count;
	switch (op & 15) {
	case 0 ... 3:
		add_chain(rig, in, q);
		break;
	case 4:
		write_descriptor(rig, in, q);
		break;
	case 5:
		rig_avail(rig, q)->ring[take(in, 1)] = (uint16_t)take(in, 2);
		break;
	case 6:
		rig_avail(rig, q)->idx = (uint16_t)take(in, 2);
		break;
	case 7 ... 9:
		write_data(rig, in);
		break;
	case 10:
		write_config(rig, in);
		break;
	case 11:
		rig_reset(rig);
		rig_start(rig, take(in, 8) & vdev_offered(rig->vd));
		break;
	default:
		rig_kick(rig, q);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size < 2048 ? size : 2048};
	static struct rig rig;
	struct loop *loop;
	memset(&rig, 0, sizeof(rig));
	rig_must(loop_create(&loop, NULL) == VMM_OK, "loop_create");
	rig_attach_on(&rig, make((unsigned)take(&in, 1) % 3, loop), loop);
	rig_start(&rig, take(&in, 8) & vdev_offered(rig.vd));
	while (in.left)
		step(&rig, &in);
	for (unsigned q = 0; q < rig.vd->queue_count; q++)
		rig_kick(&rig, q);
	rig_reset(&rig);
	rig_start(&rig, vdev_offered(rig.vd));
	if (!rig.vd->active || (rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		abort();
	rig_close(&rig);
	return 0;
}
