/*
 * The registers of virtio over mmio, and a driver that keeps to no order. The first byte picks the
 * device (entropy source, balloon, console), the rest is a program: each step reads or writes a
 * register or config space with any width, writes to guest memory, or lets the device's loop run.
 * Whatever it does, the device must touch nothing outside the memory of its guest, must not hang,
 * and must come up for the next driver, one that keeps to virtio 1.2, 3.1.1 and 4.2.3.
 */
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/vdev_rig.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/console.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/rng.h"

#define STEPS_BYTES 2048u

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
	const vmm_console_port_opts_t ports[2] = {{.name = "first"}, {.name = "second"}};
	console.ports = ports;
	console.port_count = 2;
	if (kind == 0)
		rig_must(rng_create(1u << 20, 1u << 16, &vd, NULL) == VMM_OK, "rng");
	else if (kind == 1)
		rig_must(balloon_create(&balloon, RIG_MEMORY, &vd, NULL) == VMM_OK, "balloon");
	else
		rig_must(console_create(&console, 0, loop, NULL, &vd, NULL) == VMM_OK, "console");
	return vd;
}

static void put(struct vregs *m, uint64_t reg, uint32_t value)
{
	vmmio_bus_ops.write(m, reg, 4, value);
}

static uint32_t get(struct vregs *m, uint64_t reg)
{
	return (uint32_t)vmmio_bus_ops.read(m, reg, 4);
}

/* What a driver does with queue Q; the addresses are the rig's. */
static void describe_queue(struct rig *rig, struct vregs *m, unsigned q)
{
	uint32_t base = (uint32_t)(RIG_QUEUE_BASE + q * RIG_QUEUE_STEP);
	memset(rig_mem(rig, base, RIG_QUEUE_STEP), 0, RIG_QUEUE_STEP);
	put(m, VIRTIO_MMIO_QUEUE_SEL, q);
	uint32_t size = get(m, VIRTIO_MMIO_QUEUE_NUM_MAX);
	rig->q[q] = (struct rig_queue){.size = (uint16_t)size};
	put(m, VIRTIO_MMIO_QUEUE_NUM, size);
	put(m, VIRTIO_MMIO_QUEUE_DESC_LOW, base);
	put(m, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
	put(m, VIRTIO_MMIO_QUEUE_AVAIL_LOW, base + 0x4000);
	put(m, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0);
	put(m, VIRTIO_MMIO_QUEUE_USED_LOW, base + 0x5000);
	put(m, VIRTIO_MMIO_QUEUE_USED_HIGH, 0);
	put(m, VIRTIO_MMIO_QUEUE_READY, 1);
}

/* The sequence of 3.1.1, with the features of HAVE that are offered. */
static void bring_up(struct rig *rig, struct vregs *m, uint64_t have)
{
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	put(m, VIRTIO_MMIO_STATUS, 0);
	put(m, VIRTIO_MMIO_STATUS, status);
	have |= 1ull << VIRTIO_F_VERSION_1;
	for (uint32_t half = 0; half < 2; half++) {
		put(m, VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
		put(m, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		put(m, VIRTIO_MMIO_DRIVER_FEATURES,
		    get(m, VIRTIO_MMIO_DEVICE_FEATURES) & (uint32_t)(have >> (32 * half)));
	}
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	put(m, VIRTIO_MMIO_STATUS, status);
	for (unsigned q = 0; q < rig->vd->queue_count; q++)
		describe_queue(rig, m, q);
	put(m, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_DRIVER_OK);
	rig_run(rig);
}

static void add_buffer(struct rig *rig, struct input *in, unsigned q)
{
	uint64_t shape = take(in, 3);
	const struct seg s = {RIG_DATA + (shape & 0xff) * 64, (uint32_t)(shape >> 8) & 0x1fff,
	                      (shape >> 21) & 1};
	if (rig->q[q].size)
		(void)rig_add(rig, q, &s, 1);
}

static void write_memory(struct rig *rig, struct input *in, unsigned q)
{
	uint64_t at = RIG_QUEUE_BASE + q * RIG_QUEUE_STEP + (take(in, 2) & (RIG_QUEUE_STEP - 1));
	for (unsigned n = (unsigned)take(in, 1) % 32; n; n--)
		*(uint8_t *)rig_mem(rig, at++, 1) = (uint8_t)take(in, 1);
}

static void step(struct rig *rig, struct vregs *m, struct input *in)
{
	unsigned op = (unsigned)take(in, 1);
	unsigned q = (op >> 4) % rig->vd->queue_count;
	switch (op & 15) {
	case 0 ... 4: /* a register as a driver writes it */
		put(m, (take(in, 1) & 63) * 4, (uint32_t)take(in, 4));
		break;
	case 5: /* a small value, as most registers want */
		put(m, (take(in, 1) & 63) * 4, (uint32_t)take(in, 1));
		break;
	case 6: /* any width anywhere */
		vmmio_bus_ops.write(m, take(in, 2) & 0xfff, 1u << (op >> 4 & 3), take(in, 8));
		break;
	case 7:
		(void)vmmio_bus_ops.read(m, take(in, 2) & 0xfff, 1u << (op >> 4 & 3));
		break;
	case 8:
		describe_queue(rig, m, q);
		break;
	case 9:
		bring_up(rig, m, take(in, 8));
		break;
	case 10:
		write_memory(rig, in, q);
		break;
	case 11 ... 12:
		add_buffer(rig, in, q);
		break;
	case 13:
		put(m, VIRTIO_MMIO_INTERRUPT_ACK, get(m, VIRTIO_MMIO_INTERRUPT_STATUS));
		break;
	default:
		put(m, VIRTIO_MMIO_QUEUE_NOTIFY, q);
		rig_run(rig);
		break;
	}
}

/* Aborts unless a driver that does everything right gets what it asks for. */
static void must_come_up(struct rig *rig, struct vregs *m)
{
	const uint32_t done = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
	                      VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
	put(m, VIRTIO_MMIO_STATUS, 0);
	if (get(m, VIRTIO_MMIO_STATUS) || get(m, VIRTIO_MMIO_INTERRUPT_STATUS) ||
	    get(m, VIRTIO_MMIO_QUEUE_READY))
		abort();
	bring_up(rig, m, UINT64_MAX);
	if (get(m, VIRTIO_MMIO_STATUS) != done || !rig->vd->active ||
	    !get(m, VIRTIO_MMIO_QUEUE_READY))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size < STEPS_BYTES ? size : STEPS_BYTES};
	static struct rig rig;
	struct loop *loop;
	memset(&rig, 0, sizeof(rig));
	rig_must(loop_create(&loop, NULL) == VMM_OK, "loop_create");
	rig_attach_on(&rig, make((unsigned)take(&in, 1) % 3, loop), loop);
	rig.vd->transport = &vmmio_transport;
	struct vregs m = {.vd = rig.vd};
	while (in.left)
		step(&rig, &m, &in);
	must_come_up(&rig, &m);
	rig_close(&rig);
	return 0;
}
