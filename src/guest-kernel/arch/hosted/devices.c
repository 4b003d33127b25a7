/* Memory, devices and console of the hosted machine, and what its CPUs are. */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "hosted_priv.h"

#define MMIO_TAG 0x100000000000ull /* makes addresses of registers, which no memory has */

void *arch_ram(uint64_t phys)
{
	return hosted_me()->machine->ram + (phys - HOSTED_RAM_BASE);
}

uint64_t arch_phys(const void *p)
{
	return (uint64_t)((const uint8_t *)p - hosted_me()->machine->ram) + HOSTED_RAM_BASE;
}

void *hosted_ram(struct hosted *m, uint64_t phys, uint64_t len)
{
	uint64_t size = m->opts.memory_bytes;
	if (phys < HOSTED_RAM_BASE || phys - HOSTED_RAM_BASE > size ||
	    len > size - (phys - HOSTED_RAM_BASE))
		return NULL;
	return m->ram + (phys - HOSTED_RAM_BASE);
}

/* Memory of its own, larger than a guest's stack; the page below it faults. */
void *arch_stack_map(unsigned slot, const uint64_t *frames, const struct arch_frames *tables)
{
	struct hosted *m = hosted_me()->machine;
	(void)frames;
	(void)tables;
	void *p = mmap(NULL, ARCH_STACK_BYTES + ARCH_PAGE_SIZE, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	(void)mprotect(p, ARCH_PAGE_SIZE, PROT_NONE);
	m->stacks[slot] = p;
	return arch_stack_at(slot);
}

void *arch_stack_at(unsigned slot)
{
	return (uint8_t *)hosted_me()->machine->stacks[slot] + ARCH_PAGE_SIZE;
}

/* Those of the CPUs are the host's, and no exception has one. */
bool arch_stacks_guarded(void)
{
	return true;
}

volatile void *arch_mmio_map(uint64_t phys, size_t len_bytes)
{
	(void)len_bytes;
	return (volatile void *)(uintptr_t)(MMIO_TAG + phys); /* NOLINT */
}

static const struct hosted_device *device_at(const volatile void *base, uint32_t *offset)
{
	uint64_t phys = (uintptr_t)base - MMIO_TAG + *offset;
	const struct hosted_opts *o = &hosted_me()->machine->opts;
	for (unsigned i = 0; i < o->device_count; i++) {
		const struct hosted_device *d = &o->devices[i];
		if (phys < d->base || phys - d->base >= d->len_bytes)
			continue;
		*offset = (uint32_t)(phys - d->base);
		return d;
	}
	return NULL;
}

static uint32_t mmio_read(const volatile void *base, uint32_t offset, unsigned size)
{
	const struct hosted_device *d = device_at(base, &offset);
	return d ? d->read(d->ctx, offset, size) : UINT32_MAX;
}

static void mmio_write(const volatile void *base, uint32_t offset, unsigned size, uint32_t value)
{
	const struct hosted_device *d = device_at(base, &offset);
	if (d)
		d->write(d->ctx, offset, size, value);
}

uint32_t arch_mmio_read32(const volatile void *base, uint32_t offset)
{
	return mmio_read(base, offset, 4);
}

void arch_mmio_write32(volatile void *base, uint32_t offset, uint32_t value)
{
	mmio_write(base, offset, 4, value);
}

uint16_t arch_mmio_read16(const volatile void *base, uint32_t offset)
{
	return (uint16_t)mmio_read(base, offset, 2);
}

void arch_mmio_write16(volatile void *base, uint32_t offset, uint16_t value)
{
	mmio_write(base, offset, 2, value);
}

uint8_t arch_mmio_read8(const volatile void *base, uint32_t offset)
{
	return (uint8_t)mmio_read(base, offset, 1);
}

void arch_mmio_write8(volatile void *base, uint32_t offset, uint8_t value)
{
	mmio_write(base, offset, 1, value);
}

void arch_console_write(const char *text, size_t len)
{
	const struct hosted_opts *o = &hosted_me()->machine->opts;
	if (o->console)
		o->console(o->console_ctx, text, len);
}

size_t arch_console_read(char *out, size_t max)
{
	const struct hosted_opts *o = &hosted_me()->machine->opts;
	return o->input ? o->input(o->console_ctx, out, max) : 0;
}

bool arch_console_on_input(arch_irq_fn fn, void *ctx)
{
	return arch_irq_attach(HOSTED_GSI_CONSOLE, false, fn, ctx);
}

bool arch_on_power_button(arch_irq_fn fn, void *ctx)
{
	return arch_irq_attach(HOSTED_GSI_BUTTON, false, fn, ctx);
}

bool arch_random(uint64_t *out)
{
	return getrandom(out, sizeof(*out), 0) == (ssize_t)sizeof(*out);
}

_Noreturn void arch_power_off(void)
{
	hosted_end(HOSTED_POWER_OFF);
}

_Noreturn void arch_reset(void)
{
	hosted_end(HOSTED_RESET);
}

_Noreturn void arch_crash(unsigned status)
{
	hosted_end((int)status);
}

const char *arch_symbol(uintptr_t pc, uintptr_t *offset)
{
	(void)pc;
	(void)offset;
	return NULL;
}

void arch_cpu_name(char out[static 64])
{
	(void)snprintf(out, 64, "a thread of the host");
}
