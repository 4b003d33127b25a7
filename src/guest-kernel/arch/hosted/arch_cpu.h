/*
 * The inline part of arch/arch.h in a Linux process. A thread is a CPU: it sets its index once, and
 * no two threads that run kernel code share one. So nothing interrupts, and turning interrupts off
 * only keeps the compiler from moving memory accesses.
 */
#ifndef GK_ARCH_HOSTED_CPU_H
#define GK_ARCH_HOSTED_CPU_H

#include <stdatomic.h>
#include <stdint.h>

extern _Thread_local unsigned arch_hosted_cpu;

/* Makes the calling thread CPU. */
void arch_hosted_pin(unsigned cpu);

static inline unsigned arch_cpu(void)
{
	return arch_hosted_cpu;
}

static inline unsigned long arch_irq_save(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	return 0;
}

static inline void arch_irq_restore(unsigned long flags)
{
	(void)flags;
	atomic_signal_fence(memory_order_seq_cst);
}

void arch_cpu_relax(void);
uint64_t arch_cycles(void);

#endif
