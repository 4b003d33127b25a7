/*
 * The inline part of arch/arch.h in a Linux process. A thread is a CPU. Where it runs a kernel
 * (hosted.h), interrupts are a flag that is looked at when they are turned on; where it only calls
 * into mm, it sets its index once and nothing interrupts. No two threads share an index.
 */
#ifndef GK_ARCH_HOSTED_CPU_H
#define GK_ARCH_HOSTED_CPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the C library and for sanitizers; the frames are counted, not used. */
#define ARCH_STACK_BYTES 262144u
#define ARCH_STACK_PAGES 4u

/* Of a thread that runs a kernel. */
struct arch_hosted_hooks {
	void (*deliver)(void); /* interrupts are on: runs what is pending */
	void (*relax)(void);
};

extern _Thread_local unsigned arch_hosted_cpu;
extern _Thread_local bool arch_hosted_irq_off;
extern _Thread_local const struct arch_hosted_hooks *arch_hosted_hooks; /* NULL: no kernel */

/* Makes the calling thread CPU. */
void arch_hosted_pin(unsigned cpu);

static inline unsigned arch_cpu(void)
{
	return arch_hosted_cpu;
}

/* Not inline: a task may find itself on another thread after a switch. */
void *arch_local(void);
void arch_local_set(void *local);
void *arch_current(void);
void arch_current_set(void *task);

static inline unsigned long arch_irq_save(void)
{
	unsigned long was_off = arch_hosted_irq_off;
	arch_hosted_irq_off = true;
	atomic_signal_fence(memory_order_seq_cst);
	return was_off;
}

static inline void arch_irq_on(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	arch_hosted_irq_off = false;
	if (__builtin_expect(arch_hosted_hooks != NULL, 0))
		arch_hosted_hooks->deliver();
}

static inline void arch_irq_restore(unsigned long was_off)
{
	if (!was_off)
		arch_irq_on();
}

static inline bool arch_irq_off(void)
{
	return arch_hosted_irq_off;
}

void arch_cpu_relax(void);
uint64_t arch_cycles(void);

#endif
