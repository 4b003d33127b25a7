/* See gk_vpci.h. */
#include "gk_vpci.h"

#include <string.h>

#include "guest-kernel/drivers/virtio_priv.h"

#define MSIX_ENABLE 0x8000u
#define MSIX_MASKED 0x4000u
#define PIN_LINE    20u

struct bus {
	struct vpci *dev[VPCI_FUNCS];
	unsigned count;
	struct hosted_device regs[VPCI_FUNCS]; /* of each as on mmio */
};

static struct bus bus;

void vpci_set(struct vpci *p, unsigned offset, unsigned size, uint32_t value)
{
	memcpy(p->config + offset, &value, size);
}

static uint32_t config_get(const struct vpci *p, unsigned offset, unsigned size)
{
	uint32_t value = 0;
	memcpy(&value, p->config + offset, size);
	return value;
}

static void tell(struct vdev *v, uint32_t why)
{
	struct vpci *p = v->ctx;
	uint32_t control = config_get(p, VPCI_MSIX + 2, 2);
	unsigned vector = why & 2 ? p->config_vector : p->queue_vector[0];
	if (!(control & MSIX_ENABLE)) {
		v->interrupt |= why;
		p->pins++;
		hosted_raise(hosted_self(), PIN_LINE);
		return;
	}
	ck_assert_uint_lt(vector, 2);
	ck_assert(!(control & MSIX_MASKED));
	ck_assert_uint_eq(p->table[4 * vector], HOSTED_MSI_ADDRESS);
	ck_assert_uint_eq(p->table[4 * vector + 3], 0);
	p->messages++;
	hosted_raise(hosted_self(), p->table[4 * vector + 2]);
}

static void add_cap(struct vpci *p, unsigned i, unsigned type, uint32_t offset, uint32_t len)
{
	unsigned at = VPCI_CAPS + 0x14 * i;
	vpci_set(p, at, 4, type << 24 | 0x14 << 16 | (at + 0x14) << 8 | PCI_CAP_ID_VNDR);
	vpci_set(p, at + 4, 1, 4); /* BAR 4 */
	vpci_set(p, at + 8, 4, offset);
	vpci_set(p, at + 12, 4, len);
}

void vpci_init(struct vpci *p, unsigned devfn)
{
	p->devfn = devfn;
	p->vectors = 2;
	p->v.tell = tell;
	vpci_set(p, 0, 4, (0x1040 + p->v.id) << 16 | 0x1af4);
	vpci_set(p, 6, 2, 0x10);
	vpci_set(p, 0x34, 1, VPCI_CAPS);
	vpci_set(p, 0x3d, 1, 1);
	add_cap(p, 0, 1, 0x0000, 0x38);
	add_cap(p, 1, 3, 0x1000, 1);
	add_cap(p, 2, 4, 0x2000, sizeof(p->v.config));
	add_cap(p, 3, 2, 0x3000, 4 * VDEV_QUEUES);
	vpci_set(p, VPCI_CAPS + 3 * 0x14 + 16, 4, 4); /* the multiplier */
	vpci_set(p, VPCI_MSIX, 4, 1 << 16 | PCI_CAP_ID_MSIX);
	vpci_set(p, VPCI_MSIX + 4, 4, 0x4000 | 4);
}

/* Config space. */

static struct vpci *at_ecam(const struct bus *b, uint32_t offset)
{
	for (unsigned i = 0; i < b->count; i++)
		if (b->dev[i]->devfn == offset >> 12)
			return b->dev[i];
	return NULL;
}

static uint32_t ecam_read(void *ctx, uint32_t offset, unsigned size)
{
	const struct vpci *p = at_ecam(ctx, offset);
	if (!p)
		return UINT32_MAX;
	ck_assert_uint_le((offset & 0xfff) + size, sizeof(p->config));
	return config_get(p, offset & 0xfff, size);
}

static void ecam_write(void *ctx, uint32_t offset, unsigned size, uint32_t value)
{
	struct vpci *p = at_ecam(ctx, offset);
	if (!p) {
		ck_abort_msg("a write to the config space of no function");
		return;
	}
	/* A driver has no business but there. */
	ck_assert((offset & 0xfff) == 4 || (offset & 0xfff) == VPCI_MSIX + 2);
	vpci_set(p, offset & 0xfff, size, value);
}

/* The BAR: virtio's areas stand for the registers of mmio. */

struct field {
	uint8_t offset, size;
	uint16_t reg;
};

static const struct field common[] = {
        {0x00, 4, REG_DEVICE_FEATURES_SEL},
        {0x04, 4, REG_DEVICE_FEATURES},
        {0x08, 4, REG_DRIVER_FEATURES_SEL},
        {0x0c, 4, REG_DRIVER_FEATURES},
        {0x14, 1, REG_STATUS},
        {0x15, 1, REG_CONFIG_GENERATION},
        {0x16, 2, REG_QUEUE_SEL},
        {0x1c, 2, REG_QUEUE_READY},
        {0x20, 4, REG_QUEUE_DESC},
        {0x24, 4, REG_QUEUE_DESC + 4},
        {0x28, 4, REG_QUEUE_DRIVER},
        {0x2c, 4, REG_QUEUE_DRIVER + 4},
        {0x30, 4, REG_QUEUE_DEVICE},
        {0x34, 4, REG_QUEUE_DEVICE + 4},
};

/* Fields have one size only (4.1.3.1). */
static uint16_t reg_of(uint32_t offset, unsigned size)
{
	for (unsigned i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		if (common[i].offset != offset)
			continue;
		ck_assert_uint_eq(size, common[i].size);
		return common[i].reg;
	}
	ck_abort_msg("access to 0x%x of the common configuration", offset);
	return 0;
}

static struct hosted_device *regs(const struct vpci *p)
{
	return &bus.regs[p->bar];
}

static bool is_vector(uint32_t offset)
{
	return offset == 0x10 || offset == 0x1a;
}

static uint16_t *vector_at(struct vpci *p, uint32_t offset)
{
	return offset == 0x10 ? &p->config_vector : &p->queue_vector[p->v.queue_sel % VDEV_QUEUES];
}

static uint32_t read_common(struct vpci *p, uint32_t offset, unsigned size)
{
	if (is_vector(offset))
		return *vector_at(p, offset);
	if (offset == 0x1e)
		return p->v.queue_sel + p->notify_skip;
	uint16_t reg = offset == 0x18 ? REG_QUEUE_SIZE_MAX : reg_of(offset, size);
	return regs(p)->read(&p->v, reg, 4);
}

static void write_common(struct vpci *p, uint32_t offset, unsigned size, uint32_t value)
{
	if (is_vector(offset)) {
		*vector_at(p, offset) = (uint16_t)(value < p->vectors ? value : 0xffff);
		return;
	}
	regs(p)->write(&p->v, offset == 0x18 ? REG_QUEUE_SIZE : reg_of(offset, size), 4, value);
}

static uint32_t bar_read(void *ctx, uint32_t offset, unsigned size)
{
	struct vpci *p = ctx;
	uint32_t isr;
	switch (offset >> 12) {
	case 0:
		return read_common(p, offset, size);
	case 1:
		isr = p->v.interrupt;
		p->v.interrupt = 0;
		return isr;
	case 2:
		return regs(p)->read(&p->v, REG_CONFIG + (offset & 0xfff), size);
	default:
		ck_abort_msg("a read at 0x%x of the BAR", offset);
		return 0;
	}
}

static void bar_write(void *ctx, uint32_t offset, unsigned size, uint32_t value)
{
	struct vpci *p = ctx;
	switch (offset >> 12) {
	case 0:
		write_common(p, offset, size, value);
		break;
	case 2:
		regs(p)->write(&p->v, REG_CONFIG + (offset & 0xfff), size, value);
		break;
	case 3:
		ck_assert_uint_eq(size, 2);
		ck_assert_uint_eq(offset & 0xfff, 4 * value);
		regs(p)->write(&p->v, REG_QUEUE_NOTIFY, 4, value);
		break;
	case 4:
		ck_assert_uint_lt(offset & 0xfff, sizeof(p->table));
		p->table[(offset & 0xfff) / 4] = value;
		break;
	default:
		ck_abort_msg("a write at 0x%x of the BAR", offset);
	}
}

static void console(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	(void)fwrite(text, 1, len, stderr);
}

void vpci_run(struct vpci *const *devs, unsigned count, task_fn body, void *arg)
{
	struct hosted_device windows[VPCI_FUNCS + 1];
	const struct arch_pci pci = {
	        .ecam = VPCI_ECAM,
	        .ecam_bytes = 0x100000,
	        .slot_mask = 3,
	        .pin_count = 1,
	        .pin = {{.slot = 1, .pin = 1, .level = true, .gsi = PIN_LINE}},
	};
	ck_assert_uint_le(count, VPCI_FUNCS);
	bus = (struct bus){.count = count};
	windows[0] =
	        (struct hosted_device){VPCI_ECAM, 0x100000, 0, true, &bus, ecam_read, ecam_write};
	for (unsigned i = 0; i < count; i++) {
		struct vpci *p = devs[i];
		p->v.ctx = p;
		p->bar = i;
		bus.dev[i] = p;
		bus.regs[i] = vdev_window(&p->v, i);
		if (config_get(p, 0x20, 4) == 0) {
			vpci_set(p, 0x20, 4, (uint32_t)VPCI_BAR(i) | 0xc);
			vpci_set(p, 0x24, 4, (uint32_t)(VPCI_BAR(i) >> 32));
		}
		windows[1 + i] = (struct hosted_device){VPCI_BAR(i), 0x8000,   0,        true,
		                                        p,           bar_read, bar_write};
	}
	struct hosted_opts opts = {
	        .virtual_clock = true,
	        .devices = windows,
	        .device_count = count + 1,
	        .pci = &pci,
	        .console = console,
	};
	rig_run_on(&opts, body, arg);
}
