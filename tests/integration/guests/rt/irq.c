/* Interrupts of the test guests: IDT, local APIC, IOAPIC, other CPUs. */
#include "rt.h"

struct gate {
	uint16_t offset_low, selector, flags, offset_mid;
	uint32_t offset_high, zero;
};

#define GATE_INTERRUPT 0x8e00u
#define IDT_VECTORS    256u
#define STUB_BYTES     16u

extern const char rt_stubs[];
extern const char rt_ap_start[], rt_ap_end[];

static struct gate idt[IDT_VECTORS] __attribute__((aligned(16)));
static rt_handler handlers[IDT_VECTORS];
static unsigned expected_vector = IDT_VECTORS;
static const void *expected_skip;
static volatile unsigned exceptions;

void irq_init(void);
void rt_interrupt(uint64_t vector, uint64_t *rip_slot, uint64_t error);

uint32_t lapic_read(uint32_t reg)
{
	return mmio_read32(MACHINE_LAPIC + reg);
}

void lapic_write(uint32_t reg, uint32_t value)
{
	mmio_write32(MACHINE_LAPIC + reg, value);
}

static void ioapic_write(uint32_t reg, uint32_t value)
{
	mmio_write32(MACHINE_IOAPIC, reg);
	mmio_write32(MACHINE_IOAPIC + 0x10, value);
}

void ioapic_route(unsigned gsi, unsigned vector)
{
	ioapic_write(0x10 + 2 * gsi + 1, 0);
	ioapic_write(0x10 + 2 * gsi, vector);
}

void ioapic_mask(unsigned gsi)
{
	ioapic_write(0x10 + 2 * gsi, 0x10000);
}

void irq_handle(unsigned vector, rt_handler handler)
{
	handlers[vector] = handler;
}

void irq_expect_exception(unsigned vector, const void *skip_to)
{
	expected_vector = vector;
	expected_skip = skip_to;
	exceptions = 0;
}

unsigned irq_exceptions(void)
{
	return exceptions;
}

void irq_init(void)
{
	for (unsigned i = 0; i < IDT_VECTORS; i++) {
		uint64_t stub = (uint64_t)rt_stubs + (uint64_t)STUB_BYTES * i;
		idt[i] = (struct gate){
		        .offset_low = (uint16_t)stub,
		        .selector = 0x08,
		        .flags = GATE_INTERRUPT,
		        .offset_mid = (uint16_t)(stub >> 16),
		        .offset_high = (uint32_t)(stub >> 32),
		};
	}
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = {sizeof(idt) - 1, (uint64_t)idt};
	__asm__ volatile("lidt %0" : : "m"(pointer));

	/* The 8259s stay silent; their line into the local APIC as well. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	lapic_write(LAPIC_LVT_LINT0, 0x10000);
	lapic_write(LAPIC_SVR, 0x1ff);
}

/* The HLT of halt(), and what follows it. */
extern const uint8_t rt_hlt[], rt_after_hlt[];

/*
 * Interrupts are on during the wait only, and STI holds them off until HLT has begun (Intel SDM
 * volume 2, STI): none slips in between the look and the HLT. QEMU's emulation of SVM lets one in
 * where a host's interrupt comes at that very place; rt_interrupt leaves out the HLT then.
 */
__attribute__((noinline)) static void halt(void)
{
	__asm__ volatile("sti\n"
	                 "rt_hlt:\n\t"
	                 "hlt\n"
	                 "rt_after_hlt:\n\t"
	                 "cli"
	                 :
	                 :
	                 : "memory");
}

/* RIP_SLOT points to the return address on the interrupt stack. */
void rt_interrupt(uint64_t vector, uint64_t *rip_slot, uint64_t error)
{
	if (vector >= 32) {
		if (*rip_slot == (uint64_t)rt_hlt)
			*rip_slot = (uint64_t)rt_after_hlt;
		if (handlers[vector])
			handlers[vector]((unsigned)vector);
		if (vector != 255)
			lapic_write(LAPIC_EOI, 0);
		return;
	}
	if (vector == expected_vector) {
		exceptions++;
		*rip_slot = (uint64_t)expected_skip;
		return;
	}
	print("FAIL exception ");
	print_hex(vector);
	print(": at ");
	print_hex(*rip_slot);
	print(", error code ");
	print_hex(error);
	print("\n");
	guest_exit(0xfe);
}

bool halt_until(bool (*cond)(void), uint64_t ticks)
{
	uint64_t end = rdtsc() + ticks;
	while (!cond()) {
		if (rdtsc() >= end)
			return false;
		halt();
	}
	return true;
}

bool spin_until(bool (*cond)(void), uint64_t ticks)
{
	uint64_t end = rdtsc() + ticks;
	while (!cond()) {
		if (rdtsc() >= end)
			return false;
		pause();
	}
	return true;
}

#define AP_PAGE 8u

void smp_start(void)
{
	memcpy((void *)(AP_PAGE * 4096ul), rt_ap_start, (size_t)(rt_ap_end - rt_ap_start));
	lapic_write(LAPIC_ICR_LOW, 0xc4500); /* INIT, all but self */
	for (uint64_t end = rdtsc() + RT_TICKS_SECOND / 100; rdtsc() < end;)
		pause();
	lapic_write(LAPIC_ICR_LOW, 0xc4600 | AP_PAGE); /* SIPI, all but self */
}

__attribute__((weak)) void rt_ap_main(void)
{
}
