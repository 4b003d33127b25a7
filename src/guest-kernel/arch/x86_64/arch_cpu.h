/* The inline part of arch/arch.h on x86-64. FS points to the CPU's struct percpu (x86.h). */
#ifndef GK_ARCH_X86_CPU_H
#define GK_ARCH_X86_CPU_H

#include <stdbool.h>
#include <stdint.h>

#define ARCH_STACK_BYTES 16384u
#define ARCH_STACK_PAGES 4u
#define X86_FLAGS_IF     0x200ul

static inline unsigned arch_cpu(void)
{
	unsigned index;
	__asm__ volatile("movl %%fs:0x18, %0" : "=r"(index));
	return index;
}

static inline void *arch_local(void)
{
	void *local;
	__asm__ volatile("movq %%fs:0x08, %0" : "=r"(local));
	return local;
}

static inline void arch_local_set(void *local)
{
	__asm__ volatile("movq %0, %%fs:0x08" : : "r"(local) : "memory");
}

static inline void *arch_current(void)
{
	void *task;
	__asm__ volatile("movq %%fs:0x10, %0" : "=r"(task));
	return task;
}

static inline void arch_current_set(void *task)
{
	__asm__ volatile("movq %0, %%fs:0x10" : : "r"(task) : "memory");
}

static inline unsigned long arch_irq_save(void)
{
	unsigned long flags;
	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void arch_irq_on(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void arch_irq_restore(unsigned long flags)
{
	if (flags & X86_FLAGS_IF)
		arch_irq_on();
}

static inline bool arch_irq_off(void)
{
	unsigned long flags;
	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return !(flags & X86_FLAGS_IF);
}

static inline void arch_cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline uint64_t arch_cycles(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

#endif
