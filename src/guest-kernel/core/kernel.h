/*
 * One kernel: all its state hangs off it. On the machine there is one, in a hosted process as many
 * as tests make. And the order of boot.
 */
#ifndef GK_CORE_KERNEL_H
#define GK_CORE_KERNEL_H

#include "guest-kernel/core/log.h"
#include "guest-kernel/core/memory.h"
#include "guest-kernel/core/task.h"
#include "guest-kernel/core/timer.h"
#include "guest-kernel/core/workq.h"

#define GK_VERSION "0.1"

/* Below this the kernel does not start. */
#define GK_MEMORY_MIN (2ull << 20)

/* What a VMM reports, in the order of its severity. */
#define GK_STATUS_BOOT  1u /* the machine is not one it can run on */
#define GK_STATUS_PANIC 2u
#define GK_STATUS_CRASH 3u

struct kernel;
struct security;

struct cpu {
	struct kernel *kernel;
	uint32_t index;
	bool resched; /* another task ought to run here */
	bool in_irq;
	struct task *reap; /* ended, and only now off its stack */
	struct task *running;
	uint64_t slice_end_ns;
	uint64_t interrupts;
	struct cpu_timers timers;
	struct lockcheck_held held;
	struct task idle;
};

/* When each stage of boot was over. */
#define STAGES_MAX 12u
struct stage {
	const char *name;
	uint64_t ns, cycles;
};

struct kernel {
	const struct arch_boot *boot;
	struct log log;
	struct memory memory;
	struct security *security; /* NULL: not started, everything is allowed */
	struct sched sched;
	struct workq workq;
	struct lockcheck lockcheck;
	void (*lock_fault)(const char *name, const char *other); /* a test's; NULL: panic */
	struct cpu *cpus[ARCH_CPUS_MAX];
	uint32_t cpus_online;
	uint32_t crashing;
	struct stage stages[STAGES_MAX];
	unsigned stage_count;
	task_fn main_fn;
	void *main_arg;
	/* Where the console's output goes besides or instead of the serial port; NULL: nowhere. */
	void (*console)(void *ctx, const char *text, size_t len);
	void *console_ctx;
	struct cpu boot_cpu;
};

/* The kernel of the executing CPU; NULL before kernel_start. */
static inline struct kernel *kernel_of_cpu(void)
{
	const struct cpu *cpu = arch_local();
	return cpu ? cpu->kernel : 0;
}

static inline struct cpu *this_cpu(void)
{
	return arch_local();
}

void kernel_console_write(struct kernel *k, const char *text, size_t len);

/*
 * Starts K, all zero, on the machine that BOOT describes, with main_fn(main_arg) as its first task
 * on the boot CPU; never returns. Called once, with interrupts off.
 */
_Noreturn void kernel_start(struct kernel *k, const struct arch_boot *boot, task_fn main_fn,
                            void *main_arg);
/* Starts the other CPUs, at most MAX in all. From the first task. Returns how many run. */
unsigned kernel_start_cpus(struct kernel *k, unsigned max);
void kernel_stage(struct kernel *k, const char *name);

/* What the machine's boot code calls in the end. */
_Noreturn void kernel_main(const struct arch_boot *boot);

#endif
