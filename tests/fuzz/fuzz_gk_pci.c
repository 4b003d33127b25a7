/*
 * A PCI bus that says anything at all, as the guest kernel looks for virtio devices on it: config
 * space of two functions is the input's first bytes, and what registers say is the rest. The kernel
 * may find a device or leave it out; it must come to an end, and its interrupts must do no harm.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/arch/hosted/hosted.h"
#include "guest-kernel/drivers/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUNCS      2u
#define CONFIG     256u
#define ECAM_BYTES (FUNCS * ARCH_PAGE_SIZE)
#define BAR_BASE   0x80000000ull
#define BAR_BYTES  0x7fffffffu

struct input {
	const uint8_t *config, *regs;
	size_t config_bytes, regs_bytes, at;
};

static uint32_t ecam_read(void *ctx, uint32_t offset, unsigned size)
{
	const struct input *in = ctx;
	uint32_t value = 0, at = offset / ARCH_PAGE_SIZE * CONFIG + offset % ARCH_PAGE_SIZE;
	if (offset % ARCH_PAGE_SIZE >= CONFIG)
		abort();
	for (unsigned i = 0; i < size; i++)
		value |= at + i < in->config_bytes ? (uint32_t)in->config[at + i] << 8 * i : 0;
	return value;
}

static void ecam_write(void *ctx, uint32_t offset, unsigned size, uint32_t value)
{
	(void)ctx, (void)size, (void)value;
	if (offset >= ECAM_BYTES)
		abort();
}

static uint32_t bar_read(void *ctx, uint32_t offset, unsigned size)
{
	struct input *in = ctx;
	uint32_t value = 0;
	(void)offset;
	for (unsigned i = 0; i < size && in->at < in->regs_bytes; i++)
		value |= (uint32_t)in->regs[in->at++] << 8 * i;
	return value;
}

/* Any write may be what the device takes for a reason to interrupt. */
static void bar_write(void *ctx, uint32_t offset, unsigned size, uint32_t value)
{
	(void)ctx, (void)size;
	hosted_raise(hosted_self(), (offset ^ value) % 64);
}

static void body(void *arg)
{
	(void)arg;
	struct devices *d = mem_alloc(sizeof(*d));
	if (!d)
		abort();
	devices_find(d, kernel_of_cpu()->boot);
	if (d->refused > d->found)
		abort();
	for (unsigned line = 0; line < 63; line++)
		hosted_raise(hosted_self(), line);
	task_yield();
	/* It is used: config space within its bounds and beyond, then a request that is not
	 * answered. */
	if (d->entropy.device) {
		for (uint32_t at = 0; at < 64; at += 4)
			virtio_config_set32(&d->entropy.dev, at,
			                    virtio_config32(&d->entropy.dev, at));
		entropy_reseed(&d->entropy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t head = size < FUNCS * CONFIG ? size : FUNCS * CONFIG;
	struct input in = {.config = data,
	                   .config_bytes = head,
	                   .regs = data + head,
	                   .regs_bytes = size - head};
	const struct hosted_device windows[] = {
	        {0x10000000, ECAM_BYTES, 0, true, &in, ecam_read, ecam_write},
	        {BAR_BASE, BAR_BYTES, 0, true, &in, bar_read, bar_write},
	};
	const struct arch_pci pci = {
	        .ecam = 0x10000000,
	        .ecam_bytes = ECAM_BYTES,
	        .slot_mask = 31,
	        .pin_count = 1,
	        .pin = {{.slot = 0, .pin = 1, .gsi = 20}},
	};
	struct hosted_opts o = {
	        .virtual_clock = true, .devices = windows, .device_count = 2, .pci = &pci};
	int status = hosted_run(&o, body, &in);
	if (status != HOSTED_POWER_OFF && status != HOSTED_DEADLOCK)
		abort();
	return 0;
}
