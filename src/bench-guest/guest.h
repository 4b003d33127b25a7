/* The parts of the bench guest. */
#ifndef SRC_BENCH_GUEST_GUEST_H
#define SRC_BENCH_GUEST_GUEST_H

#include "abi/bench.h"

/* One kind of exit. */
struct kind {
	/* Once, before the first round. False: the CPU lacks it (BENCH_END_ABSENT). */
	bool (*prepare)(void);
	/* Before each round, outside of what is measured. */
	void (*before)(void);
	/* One round. Kinds with OWN fill the sample themselves. */
	void (*round)(struct bench_sample *s);
	bool own;
};

/* What can run at either CPL (kinds.c), and what needs CPL 0 (kinds_kernel.c); NULL: not here. */
const struct kind *kind_any(uint32_t kind);
const struct kind *kind_kernel(uint32_t kind);

static inline const struct bench_params *params(void)
{
	return (const struct bench_params *)BENCH_PARAMS;
}

static inline struct bench_result *result(void)
{
	return (struct bench_result *)BENCH_RESULT;
}

/* main.c */
void mark(enum bench_mark what);
_Noreturn void bench_exit(enum bench_end end);

/* irq.c: CPL 0 only. */
struct seen {
	volatile uint64_t count; /* interrupts that arrived */
	volatile uint64_t at;    /* when the last one's handler began */
};
extern struct seen irq_seen;   /* BENCH_VECTOR_IRQ and the timer */
extern struct seen reply_seen; /* the second CPU's answer */
extern volatile bool ap_halts; /* the second CPU waits with HLT, not PAUSE */

void irq_init(void);
void halt(void); /* until an interrupt, which is served; interrupts are off before and after */
uint32_t lapic_read(uint32_t reg);
void lapic_write(uint32_t reg, uint32_t value);
void ioapic_route(unsigned gsi, unsigned vector);
/* Starts the second CPU; ends the guest with BENCH_END_NO_CPU if it does not come. */
void smp_start(void);

#define LAPIC_ICR_LOW    0x300u
#define LAPIC_ICR_HIGH   0x310u
#define LAPIC_LVT_TIMER  0x320u
#define LAPIC_TIMER_INIT 0x380u
#define LAPIC_TIMER_DIV  0x3e0u

#define VECTOR_SELF      0x41u
#define VECTOR_TIMER     0x42u
#define VECTOR_REQUEST   0x43u /* to the second CPU, which answers in memory, or by an IPI */
#define VECTOR_REPLY     0x44u /* its answer */
#define VECTOR_FLUSH     0x45u /* to the second CPU: drop the window's translation */

#endif
