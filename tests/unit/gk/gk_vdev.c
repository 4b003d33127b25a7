/* See gk_vdev.h. */
#include "gk_vdev.h"

#include <string.h>

#include "guest-kernel/drivers/virtio_priv.h"

static void *ram(uint64_t addr, uint64_t len)
{
	void *p = hosted_ram(hosted_self(), addr, len);
	ck_assert_msg(p != NULL, "the driver gave the address 0x%llx, which is no RAM",
	              (unsigned long long)addr);
	return p;
}

static void interrupt(struct vdev *v, uint32_t why)
{
	if (v->tell) {
		v->tell(v, why);
		return;
	}
	v->interrupt |= why;
	hosted_raise(hosted_self(), v->gsi);
}

static unsigned gather(struct vdev *v, const struct vring_desc *table, uint32_t size, uint16_t at,
                       struct vdev_seg *segs)
{
	unsigned n = 0;
	for (;;) {
		const struct vring_desc *d = &table[at];
		ck_assert_uint_lt(at, size);
		ck_assert_uint_lt(n, VDEV_SEGS);
		if (d->flags & DESC_F_INDIRECT) {
			v->indirect++;
			return gather(v, ram(d->addr, d->len), d->len / 16, 0, segs);
		}
		segs[n++] =
		        (struct vdev_seg){ram(d->addr, d->len), d->len, d->flags & DESC_F_WRITE};
		if (!(d->flags & DESC_F_NEXT))
			return n;
		at = d->next;
	}
}

static void push_used(struct vdev *v, unsigned q, uint32_t id, uint32_t len)
{
	uint32_t size = v->queue[q].size;
	struct vring_used *used = ram(v->queue[q].used, 4 + 8 * size);
	used->ring[v->queue[q].used_idx++ % size] = (struct vring_used_elem){id, len};
	__atomic_store_n(&used->idx, v->queue[q].used_idx, __ATOMIC_RELEASE);
}

void vdev_ask_reset(struct vdev *v)
{
	v->status |= STATUS_NEEDS_RESET;
	interrupt(v, 2);
}

static void lie(struct vdev *v, unsigned q, uint16_t head, uint32_t len)
{
	uint32_t size = v->queue[q].size;
	switch (v->lie) {
	case VDEV_WRONG_ID:
		push_used(v, q, (head + 1) % size, len);
		break;
	case VDEV_HUGE_ID:
		push_used(v, q, size + head, len);
		break;
	case VDEV_LONG_LENGTH:
		push_used(v, q, head, 0x7fffffff);
		break;
	case VDEV_TWICE:
		push_used(v, q, head, len);
		push_used(v, q, head, len);
		break;
	case VDEV_JUMP:
		v->queue[q].used_idx = (uint16_t)(v->queue[q].used_idx + 100);
		push_used(v, q, head, len);
		break;
	case VDEV_NEEDS_RESET:
		vdev_ask_reset(v);
		break;
	case VDEV_SILENT:
	case VDEV_LATE_RESET:
		break;
	default:
		push_used(v, q, head, len);
		break;
	}
}

static void work_off(struct vdev *v, unsigned q)
{
	uint32_t size = v->queue[q].size;
	const struct vring_avail *avail = ram(v->queue[q].avail, 4 + 2 * size);
	bool any = false;
	v->kicks++;
	while (v->queue[q].seen != __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE)) {
		struct vdev_seg segs[VDEV_SEGS];
		uint16_t head = avail->ring[v->queue[q].seen % size];
		unsigned n = gather(v, ram(v->queue[q].desc, 16 * size), size, head, segs);
		uint32_t len = v->answer(v, q, segs, n);
		if (len == UINT32_MAX)
			break;
		v->queue[q].seen++;
		v->requests++;
		lie(v, q, head, len);
		any = true;
	}
	if (any && v->lie != VDEV_SILENT && v->lie != VDEV_LATE_RESET)
		interrupt(v, 1);
	/* Tell me of the next one (virtio 1.2, 2.7.10). */
	struct vring_used *used = ram(v->queue[q].used, 4 + 8 * size + 2);
	*(uint16_t *)(void *)&used->ring[size] = v->queue[q].seen;
}

void vdev_resume(struct vdev *v, unsigned queue)
{
	work_off(v, queue);
}

bool vdev_push(struct vdev *v, unsigned q, const void *data, uint32_t len)
{
	uint32_t size = v->queue[q].size;
	const struct vring_avail *avail = ram(v->queue[q].avail, 4 + 2 * size);
	if (v->queue[q].seen == __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE))
		return false;
	struct vdev_seg segs[VDEV_SEGS];
	uint16_t head = avail->ring[v->queue[q].seen++ % size];
	unsigned n = gather(v, ram(v->queue[q].desc, 16 * size), size, head, segs);
	ck_assert_uint_eq(n, 1);
	ck_assert(segs[0].writable && segs[0].len >= len);
	memcpy(segs[0].data, data, len);
	lie(v, q, head, len);
	interrupt(v, 1);
	return true;
}

void vdev_config_changed(struct vdev *v)
{
	interrupt(v, 2);
}

/* A field of a card's is read as what it is (virtio 1.2, 5.1.4): the address in bytes, then le16.
 */
static void check_width(const struct vdev *v, uint32_t at, unsigned size)
{
	if (v->id == VIRTIO_ID_NET)
		ck_assert_uint_eq(size, at < 6 ? 1 : 2);
}

static uint32_t read_reg(void *ctx, uint32_t offset, unsigned size)
{
	struct vdev *v = ctx;
	uint64_t features = v->features | VIRTIO_F_VERSION_1;
	uint32_t value = 0;
	if (offset >= REG_CONFIG) {
		ck_assert_uint_le(offset - REG_CONFIG + size, sizeof(v->config));
		check_width(v, offset - REG_CONFIG, size);
		memcpy(&value, v->config + (offset - REG_CONFIG), size);
		return value;
	}
	ck_assert_uint_eq(size, 4);
	switch (offset) {
	case REG_MAGIC:
		return 0x74726976;
	case REG_VERSION:
		return 2;
	case REG_DEVICE_ID:
		return v->id;
	case REG_DEVICE_FEATURES:
		return (uint32_t)(features >> (32 * v->features_sel));
	case REG_QUEUE_SIZE_MAX:
		return v->lie == VDEV_NO_QUEUE || v->queue_sel >= VDEV_QUEUES ? 0 : v->queue_max;
	case REG_QUEUE_READY:
		return v->queue[v->queue_sel].ready;
	case REG_INTERRUPT_STATUS:
		return v->interrupt;
	case REG_STATUS:
		return v->status | (v->no_reset ? STATUS_DRIVER_OK : 0);
	default:
		return 0;
	}
}

static void set_half(uint64_t *addr, uint32_t offset, uint32_t value)
{
	unsigned shift = offset & 4 ? 32 : 0;
	*addr = (*addr & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
}

static void set_status(struct vdev *v, uint32_t value)
{
	if (value == 0) {
		memset(v->queue, 0, sizeof(v->queue));
		v->driver_features = 0;
		v->interrupt = 0;
	}
	ck_assert(!(v->driver_features & ~(v->features | VIRTIO_F_VERSION_1)));
	v->status = v->lie == VDEV_NO_FEATURES ? value & ~STATUS_FEATURES_OK : value;
}

static void write_queue(struct vdev *v, uint32_t offset, uint32_t value)
{
	ck_assert_uint_lt(v->queue_sel, VDEV_QUEUES);
	switch (offset) {
	case REG_QUEUE_SIZE:
		ck_assert_uint_le(value, v->queue_max);
		v->queue[v->queue_sel].size = value;
		break;
	case REG_QUEUE_READY:
		v->queue[v->queue_sel].ready = value;
		break;
	case REG_QUEUE_DESC:
	case REG_QUEUE_DESC + 4:
		set_half(&v->queue[v->queue_sel].desc, offset - REG_QUEUE_DESC, value);
		break;
	case REG_QUEUE_DRIVER:
	case REG_QUEUE_DRIVER + 4:
		set_half(&v->queue[v->queue_sel].avail, offset - REG_QUEUE_DRIVER, value);
		break;
	case REG_QUEUE_DEVICE:
	case REG_QUEUE_DEVICE + 4:
		set_half(&v->queue[v->queue_sel].used, offset - REG_QUEUE_DEVICE, value);
		break;
	default:
		break;
	}
}

static void write_reg(void *ctx, uint32_t offset, unsigned size, uint32_t value)
{
	struct vdev *v = ctx;
	if (offset >= REG_CONFIG) {
		ck_assert_uint_le(offset - REG_CONFIG + size, sizeof(v->config));
		memcpy(v->config + (offset - REG_CONFIG), &value, size);
		v->config_writes++;
		return;
	}
	switch (offset) {
	case REG_DEVICE_FEATURES_SEL:
		v->features_sel = value & 1;
		break;
	case REG_DRIVER_FEATURES_SEL:
		v->driver_sel = value & 1;
		break;
	case REG_DRIVER_FEATURES:
		v->driver_features |= (uint64_t)value << (32 * v->driver_sel);
		break;
	case REG_QUEUE_SEL:
		v->queue_sel = value;
		break;
	case REG_QUEUE_NOTIFY:
		ck_assert_uint_lt(value, VDEV_QUEUES);
		ck_assert(v->queue[value].ready);
		work_off(v, value);
		break;
	case REG_INTERRUPT_ACK:
		v->interrupt &= ~value;
		break;
	case REG_STATUS:
		set_status(v, value);
		break;
	default:
		write_queue(v, offset, value);
		break;
	}
}

struct hosted_device vdev_window(struct vdev *v, unsigned index)
{
	v->gsi = 5 + index;
	v->queue_max = v->queue_max ? v->queue_max : 64;
	return (struct hosted_device){
	        .base = VDEV_BASE(index),
	        .len_bytes = 0x1000,
	        .gsi = v->gsi,
	        .ctx = v,
	        .read = read_reg,
	        .write = write_reg,
	};
}

void vdev_run(struct vdev *const *devs, unsigned count, task_fn body, void *arg)
{
	struct hosted_device windows[8];
	ck_assert_uint_le(count, 8);
	for (unsigned i = 0; i < count; i++)
		windows[i] = vdev_window(devs[i], i);
	struct hosted_opts opts = {
	        .virtual_clock = true,
	        .devices = windows,
	        .device_count = count,
	        .console = rig_console,
	};
	rig_run_on(&opts, body, arg);
}
