/* Exits that can be had at CPL 0 and at CPL 3 (with IOPL 3). */
#include <stddef.h>

#include "cpu.h"
#include "guest.h"

#define PORT_PIC_MASK     0x21u /* IMR of the master 8259: nothing changes by reading or masking */
#define HC_VAPIC_POLL_IRQ 1u    /* the hypercall that does nothing */

static uint8_t string[BENCH_STRING];
static uint64_t arena_at;

static void cpuid(struct bench_sample *s)
{
	(void)s;
	(void)cpuid_ecx(0);
}

static void vmcall(struct bench_sample *s)
{
	(void)s;
	uint64_t rax = HC_VAPIC_POLL_IRQ;
	__asm__ volatile("vmcall" : "+a"(rax) : : "memory", "rbx", "rcx", "rdx", "rsi");
}

static void vmmcall(struct bench_sample *s)
{
	(void)s;
	uint64_t rax = HC_VAPIC_POLL_IRQ;
	__asm__ volatile("vmmcall" : "+a"(rax) : : "memory", "rbx", "rcx", "rdx", "rsi");
}

static void pio_in_kernel(struct bench_sample *s)
{
	(void)s;
	(void)inb(PORT_PIC_MASK);
}

static void pio_out_kernel(struct bench_sample *s)
{
	(void)s;
	outb(PORT_PIC_MASK, 0xff);
}

static void pio_in_user(struct bench_sample *s)
{
	(void)s;
	(void)inl(BENCH_PORT_DATA);
}

static void pio_out_user(struct bench_sample *s)
{
	(void)s;
	outl(BENCH_PORT_DATA, 0);
}

static void string_in(struct bench_sample *s)
{
	(void)s;
	void *to = string;
	uint64_t n = BENCH_STRING;
	__asm__ volatile("rep insb" : "+D"(to), "+c"(n) : "d"(BENCH_PORT_DATA) : "memory");
}

static void string_out(struct bench_sample *s)
{
	(void)s;
	const void *from = string;
	uint64_t n = BENCH_STRING;
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(n) : "d"(BENCH_PORT_DATA) : "memory");
}

static void mmio_read(struct bench_sample *s)
{
	(void)s;
	(void)load32(BENCH_MMIO_DATA);
}

static void mmio_write(struct bench_sample *s)
{
	(void)s;
	store32(BENCH_MMIO_DATA, 0);
}

static void ioeventfd_pio(struct bench_sample *s)
{
	(void)s;
	outl(BENCH_PORT_DOORBELL, 0);
}

static void ioeventfd_mmio(struct bench_sample *s)
{
	(void)s;
	store32(BENCH_MMIO_DOORBELL, 0);
}

static void coalesced_mmio(struct bench_sample *s)
{
	(void)s;
	store32(BENCH_MMIO_COALESCED, 0);
}

static bool arena_begin(void)
{
	arena_at = BENCH_ARENA;
	return params()->arena_bytes > 0 && params()->arena_step > 0;
}

/* The next page; after the last one the host makes all of them new. */
static void arena_next(void)
{
	uint64_t step = params()->arena_step;
	arena_at += step;
	if (arena_at - BENCH_ARENA + step <= params()->arena_bytes)
		return;
	mark(BENCH_MARK_REARM);
	arena_at = BENCH_ARENA;
}

static void touch(struct bench_sample *s)
{
	(void)s;
	*(volatile uint64_t *)arena_at = 1;
}

static bool dirty_begin(void)
{
	if (!arena_begin())
		return false;
	for (uint64_t at = 0; at < params()->arena_bytes; at += params()->arena_step)
		*(volatile uint64_t *)(BENCH_ARENA + at) = 1;
	mark(BENCH_MARK_REARM);
	return true;
}

static void pause_loop(struct bench_sample *s)
{
	(void)s;
	for (unsigned i = 0; i < BENCH_PAUSES; i++)
		pause();
}

static bool zero_begin(void)
{
	*(volatile uint64_t *)BENCH_ARENA = 1;
	return true;
}

static void zero_page(struct bench_sample *s)
{
	(void)s;
	uint64_t at = BENCH_ARENA;
	uint64_t n = 512;
	__asm__ volatile("rep stosq" : "+D"(at), "+c"(n) : "a"(0ull) : "memory");
}

const struct kind *kind_any(uint32_t kind)
{
	static const struct kind hypercall_amd = {.round = vmmcall};
	static const struct kind kinds[BENCH_KINDS] = {
	        [BENCH_CPUID] = {.round = cpuid},
	        [BENCH_HYPERCALL] = {.round = vmcall},
	        [BENCH_PIO_IN_KERNEL] = {.round = pio_in_kernel},
	        [BENCH_PIO_OUT_KERNEL] = {.round = pio_out_kernel},
	        [BENCH_PIO_IN_USER] = {.round = pio_in_user},
	        [BENCH_PIO_OUT_USER] = {.round = pio_out_user},
	        [BENCH_STRING_IN] = {.round = string_in},
	        [BENCH_STRING_OUT] = {.round = string_out},
	        [BENCH_MMIO_READ] = {.round = mmio_read},
	        [BENCH_MMIO_WRITE] = {.round = mmio_write},
	        [BENCH_IOEVENTFD_PIO] = {.round = ioeventfd_pio},
	        [BENCH_IOEVENTFD_MMIO] = {.round = ioeventfd_mmio},
	        [BENCH_COALESCED_MMIO] = {.round = coalesced_mmio},
	        [BENCH_TOUCH] = {.prepare = arena_begin, .before = arena_next, .round = touch},
	        [BENCH_DIRTY_LOG] = {.prepare = dirty_begin, .before = arena_next, .round = touch},
	        [BENCH_PAUSE_LOOP] = {.round = pause_loop},
	        [BENCH_ZERO_PAGE] = {.prepare = zero_begin, .round = zero_page},
	};
	if (kind == BENCH_HYPERCALL && params()->vmmcall)
		return &hypercall_amd;
	return kinds[kind].round ? &kinds[kind] : NULL;
}
