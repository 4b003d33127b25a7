/* What mm needs of the machine, in a Linux process; and what arch_cpu.h declares. */
#include <execinfo.h>
#include <sched.h>
#include <unistd.h>

#include "guest-kernel/arch/arch.h"

/* Spinning is for CPUs. A thread may wait for one that Linux does not run at the moment. */
#define SPINS_TO_YIELD 64u
#define FRAMES_MAX     32

_Thread_local unsigned arch_hosted_cpu;
_Thread_local bool arch_hosted_irq_off;
_Thread_local const struct arch_hosted_hooks *arch_hosted_hooks;
static _Thread_local unsigned spins;

void arch_hosted_pin(unsigned cpu)
{
	arch_hosted_cpu = cpu;
}

void arch_cpu_relax(void)
{
	if (arch_hosted_hooks)
		arch_hosted_hooks->relax();
	if (++spins % SPINS_TO_YIELD == 0)
		(void)sched_yield();
	else
		__builtin_ia32_pause();
}

uint64_t arch_cycles(void)
{
	return __builtin_ia32_rdtsc();
}

size_t arch_backtrace(uintptr_t *pcs, size_t max)
{
	void *found[FRAMES_MAX];
	int n = backtrace(found, max < FRAMES_MAX ? (int)max : FRAMES_MAX);
	for (int i = 0; i < n; i++)
		pcs[i] = (uintptr_t)found[i];
	return n > 0 ? (size_t)n : 0;
}

static uint32_t positive(long value)
{
	return value > 0 ? (uint32_t)value : 0;
}

/* What the C library found out. Physical addresses are not known here: a caller may still pretend.
 */
void arch_cache_llc(struct arch_cache *out)
{
	*out = (struct arch_cache){0};
	uint32_t size = positive(sysconf(_SC_LEVEL3_CACHE_SIZE));
	uint32_t ways = positive(sysconf(_SC_LEVEL3_CACHE_ASSOC));
	uint32_t line = positive(sysconf(_SC_LEVEL3_CACHE_LINESIZE));
	if (size == 0 || ways == 0 || line == 0 || size / ways / line == 0)
		return;
	*out = (struct arch_cache){
	        .size_bytes = size,
	        .line_bytes = line,
	        .ways = ways,
	        .sets = size / ways / line,
	        .known = true,
	        .hashed = true,
	};
}
