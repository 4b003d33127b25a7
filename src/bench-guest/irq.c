/* Interrupts of the bench guest: IDT, local APIC, IOAPIC, the second CPU. */
#include <stddef.h>

#include "cpu.h"
#include "guest.h"

#define LAPIC           0xfee00000ull
#define IOAPIC          0xfec00000ull
#define LAPIC_EOI       0xb0u
#define LAPIC_SVR       0xf0u
#define LAPIC_LVT_LINT0 0x350u

#define GATE_INTERRUPT  0x8e00u
#define SEL_CODE        0x08u
#define VECTORS         256u
#define EXCEPTIONS      32u
#define AP_PAGE         8u

struct gate {
	uint16_t offset_low, selector, flags, offset_mid;
	uint32_t offset_high, zero;
};

struct frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

extern const char ap_start[], ap_end[];
void bench_ap_main(void);

struct seen irq_seen, reply_seen;
volatile bool ap_halts;

static struct gate idt[VECTORS] __attribute__((aligned(16)));
static volatile bool ap_is_up;

uint32_t lapic_read(uint32_t reg)
{
	return load32(LAPIC + reg);
}

void lapic_write(uint32_t reg, uint32_t value)
{
	store32(LAPIC + reg, value);
}

/* The HLT of halt(), and what follows it. */
extern const char halt_hlt[], halt_end[];

/*
 * Interrupts are on during the wait only, and STI holds them off until HLT has begun (Intel SDM
 * volume 2, STI): none slips in between the look and the HLT. QEMU's emulation of SVM lets one in
 * where a host's interrupt comes at that very place; the handlers leave out the HLT then.
 */
__attribute__((noinline)) void halt(void)
{
	__asm__ volatile("sti\n"
	                 "halt_hlt:\n\t"
	                 "hlt\n"
	                 "halt_end:\n\t"
	                 "cli"
	                 :
	                 :
	                 : "memory");
}

static void end_interrupt(struct frame *f)
{
	if (f->rip == (uint64_t)halt_hlt)
		f->rip = (uint64_t)halt_end;
	lapic_write(LAPIC_EOI, 0);
}

/* The handler's first act is the stamp: what follows is not measured. */
__attribute__((interrupt)) static void on_interrupt(struct frame *f)
{
	irq_seen.at = stamp();
	irq_seen.count++;
	end_interrupt(f);
}

__attribute__((interrupt)) static void on_reply(struct frame *f)
{
	reply_seen.at = stamp();
	reply_seen.count++;
	end_interrupt(f);
}

/* On the second CPU. */
__attribute__((interrupt)) static void on_request(struct frame *f)
{
	end_interrupt(f);
	if (ap_halts)
		lapic_write(LAPIC_ICR_LOW, VECTOR_REPLY);
	else
		reply_seen.count++;
}

__attribute__((interrupt)) static void on_flush(struct frame *f)
{
	invlpg(BENCH_WINDOW);
	reply_seen.count++;
	end_interrupt(f);
}

__attribute__((interrupt)) static void on_spurious(struct frame *f)
{
	(void)f;
}

static _Noreturn void on_exception(uint32_t vector, uint64_t rip)
{
	result()->vector = vector;
	result()->rip = rip;
	bench_exit(BENCH_END_EXCEPTION);
}

#define EXCEPTION(n)                                                          \
	__attribute__((interrupt)) static void exception_##n(struct frame *f) \
	{                                                                     \
		on_exception(n, f->rip);                                      \
	}
#define EXCEPTION_CODE(n)                                                                    \
	__attribute__((interrupt)) static void exception_##n(struct frame *f, uint64_t code) \
	{                                                                                    \
		(void)code;                                                                  \
		on_exception(n, f->rip);                                                     \
	}
EXCEPTION(0)
EXCEPTION(6)
EXCEPTION(7)
EXCEPTION_CODE(8)
EXCEPTION_CODE(10)
EXCEPTION_CODE(12)
EXCEPTION_CODE(13)
EXCEPTION_CODE(14)

static void set_gate(unsigned vector, const void *handler)
{
	uint64_t at = (uint64_t)handler;
	idt[vector] = (struct gate){
	        .offset_low = (uint16_t)at,
	        .selector = SEL_CODE,
	        .flags = GATE_INTERRUPT,
	        .offset_mid = (uint16_t)(at >> 16),
	        .offset_high = (uint32_t)(at >> 32),
	};
}

static void load_idt(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = {sizeof(idt) - 1, (uint64_t)idt};
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static void lapic_on(void)
{
	lapic_write(LAPIC_LVT_LINT0, 0x10000);
	lapic_write(LAPIC_SVR, 0x1ff);
}

void irq_init(void)
{
	set_gate(0, exception_0);
	set_gate(6, exception_6);
	set_gate(7, exception_7);
	set_gate(8, exception_8);
	set_gate(10, exception_10);
	set_gate(12, exception_12);
	set_gate(13, exception_13);
	set_gate(14, exception_14);
	for (unsigned i = EXCEPTIONS; i < VECTORS; i++)
		set_gate(i, on_spurious);
	set_gate(BENCH_VECTOR_IRQ, on_interrupt);
	set_gate(VECTOR_SELF, on_interrupt);
	set_gate(VECTOR_TIMER, on_interrupt);
	set_gate(VECTOR_REQUEST, on_request);
	set_gate(VECTOR_REPLY, on_reply);
	set_gate(VECTOR_FLUSH, on_flush);
	load_idt();
	/* The 8259s stay silent. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	lapic_on();
}

void ioapic_route(unsigned gsi, unsigned vector)
{
	store32(IOAPIC, 0x10 + 2 * gsi + 1);
	store32(IOAPIC + 0x10, 0);
	store32(IOAPIC, 0x10 + 2 * gsi);
	store32(IOAPIC + 0x10, vector);
}

void bench_ap_main(void)
{
	load_idt();
	lapic_on();
	lapic_write(LAPIC_ICR_HIGH, 0); /* answers go to CPU 0 */
	ap_is_up = true;
	for (;;) {
		if (ap_halts) {
			halt();
		} else {
			irq_on();
			pause();
		}
	}
}

/* 10 ms between INIT and SIPI, a second for the CPU to come (Intel SDM 3, 9.4.4.1). */
void smp_start(void)
{
	uint64_t ms = params()->tsc_khz ? params()->tsc_khz : 1000000;
	uint8_t *to = (uint8_t *)(AP_PAGE * 4096ull);
	for (const char *from = ap_start; from < ap_end; from++)
		*to++ = (uint8_t)*from;
	lapic_write(LAPIC_ICR_LOW, 0xc4500); /* INIT, all but self */
	for (uint64_t end = stamp() + 10 * ms; stamp() < end;)
		pause();
	lapic_write(LAPIC_ICR_LOW, 0xc4600 | AP_PAGE); /* SIPI, all but self */
	for (uint64_t end = stamp() + 1000 * ms; stamp() < end;) {
		if (ap_is_up)
			return;
		pause();
	}
	bench_exit(BENCH_END_NO_CPU);
}
