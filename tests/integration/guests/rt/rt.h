/*
 * What every test guest has: text output, checks, interrupts, time. No instruction here or in a
 * guest is one that a pagetable-based KVM host cannot emulate at CPL 0.
 *
 * A guest defines guest_main, prints 'PASS name' or 'FAIL name: why' through check(), and returns.
 */
#ifndef TESTS_INTEGRATION_RT_H
#define TESTS_INTEGRATION_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/machine.h"

/* The text port of the test runner; QEMU and Bochs have it as well. */
#define RT_PORT_TEXT    0xe9u

#define RT_TICKS_SECOND 2000000000ull /* the TSC's order of magnitude: for time limits only */

void guest_main(void);

void print(const char *text);
void print_hex(uint64_t value);
/* Reports the test NAME; false counts as a failure of the guest. */
void check(const char *name, bool ok);
/* The same, and says what was found where it is not WANT. */
void check_eq(const char *name, uint64_t got, uint64_t want);
/* Ends the VM with CODE through the debug-exit port. */
_Noreturn void guest_exit(uint8_t code);

/* irq.c */
typedef void (*rt_handler)(unsigned vector);
/* Call HANDLER for VECTOR (32 .. 255); it runs with interrupts off, EOI comes after it. */
void irq_handle(unsigned vector, rt_handler handler);
/* Exceptions on the way: COUNTED instead of fatal while EXPECTED; returns to SKIP_TO. */
void irq_expect_exception(unsigned vector, const void *skip_to);
unsigned irq_exceptions(void);
/* IOAPIC pin GSI, edge triggered, to VECTOR of CPU 0; or masked. */
void ioapic_route(unsigned gsi, unsigned vector);
void ioapic_mask(unsigned gsi);
uint32_t lapic_read(uint32_t reg);
void lapic_write(uint32_t reg, uint32_t value);

#define LAPIC_ID         0x20u
#define LAPIC_EOI        0xb0u
#define LAPIC_SVR        0xf0u
#define LAPIC_ICR_LOW    0x300u
#define LAPIC_ICR_HIGH   0x310u
#define LAPIC_LVT_TIMER  0x320u
#define LAPIC_LVT_LINT0  0x350u
#define LAPIC_TIMER_INIT 0x380u
#define LAPIC_TIMER_NOW  0x390u
#define LAPIC_TIMER_DIV  0x3e0u

/* HLT until COND() or TICKS of the TSC have gone by; the latter is looked at after each wake-up. */
bool halt_until(bool (*cond)(void), uint64_t ticks);
/* PAUSE until COND() or TICKS have gone by. */
bool spin_until(bool (*cond)(void), uint64_t ticks);

/* INIT and SIPI to every CPU but this one; they run rt_ap_main. */
void smp_start(void);
void rt_ap_main(void);

void *memset(void *dst, int value, size_t len);
void *memcpy(void *dst, const void *src, size_t len);
int memcmp(const void *a, const void *b, size_t len);

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

#define RT_MMIO(bits)                                                        \
	static inline uint##bits##_t mmio_read##bits(uint64_t addr)          \
	{                                                                    \
		return *(volatile uint##bits##_t *)addr;                     \
	}                                                                    \
	static inline void mmio_write##bits(uint64_t addr, uint##bits##_t v) \
	{                                                                    \
		*(volatile uint##bits##_t *)addr = v;                        \
	}
RT_MMIO(8)
RT_MMIO(16)
RT_MMIO(32)
RT_MMIO(64)

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void irq_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void irq_on(void)
{
	__asm__ volatile("sti" : : : "memory");
}

/* Order of ring accesses as the device sees them. */
static inline void barrier(void)
{
	__asm__ volatile("lock orl $0, -4(%%rsp)" : : : "memory", "cc");
}

#endif
