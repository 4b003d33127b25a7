/*
 * The hardware layer: everything of the guest kernel that depends on the machine. CMake picks the
 * implementation: arch/hosted is a Linux process. What is on every allocation's path is inline and
 * comes from the implementation's <arch_cpu.h>:
 *
 *   unsigned arch_cpu(void)                        index of the executing CPU
 *   unsigned long arch_irq_save(void)              interrupts off; the value goes to the next
 *   void arch_irq_restore(unsigned long flags)
 *   void arch_cpu_relax(void)                      in a loop that waits for another CPU
 *   uint64_t arch_cycles(void)                     grows by about one a cycle
 */
#ifndef GK_ARCH_ARCH_H
#define GK_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <arch_cpu.h>

#define ARCH_CPUS_MAX  32
#define ARCH_PAGE_SIZE 4096

/* Return addresses of the caller and its callers, at most MAX; how many. */
size_t arch_backtrace(uintptr_t *pcs, size_t max);

/* The geometry of the last level of cache. */
struct arch_cache {
	uint64_t size_bytes;
	uint32_t line_bytes, ways, sets;
	bool known;  /* the machine tells; else all is 0 */
	bool hashed; /* set indices are not plain address bits, as in caches of several slices */
};
void arch_cache_llc(struct arch_cache *out);

#endif
