/* The kernel's start, its stages, and the console that everything writes to. See kernel.h. */
#include "guest-kernel/core/kernel.h"

#include "guest-kernel/core/cmdline.h"
#include "guest-kernel/core/panic.h"

#define CPU_PATIENCE_NS (2 * NS_PER_S)

static const struct arch_handlers handlers = {
        .enter = sched_enter,
        .timer = sched_timer,
        .kick = sched_kick,
        .leave = sched_leave,
};

void kernel_console_write(struct kernel *k, const char *text, size_t len)
{
	if (k->console)
		k->console(k->console_ctx, text, len);
}

static void to_serial(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	arch_console_write(text, len);
}

void kernel_stage(struct kernel *k, const char *name)
{
	if (k->stage_count < STAGES_MAX)
		k->stages[k->stage_count++] =
		        (struct stage){name, arch_now_ns(), arch_cycles() - k->boot->entry_cycles};
}

static void cpu_init(struct kernel *k, struct cpu *cpu, uint32_t index)
{
	cpu->kernel = k;
	cpu->index = index;
	timers_init(&cpu->timers);
	arch_local_set(cpu);
	sched_adopt_idle(cpu, &cpu->idle);
	/* The scheduler goes through the CPUs: under its lock there is one more. */
	unsigned long flags = spin_lock_irqsave(&k->sched.lock);
	(void)__atomic_add_fetch(&k->cpus_online, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&k->cpus[index], cpu, __ATOMIC_RELEASE);
	spin_unlock_irqrestore(&k->sched.lock, flags);
}

static _Noreturn void halt_with(const char *why)
{
	char line[128];
	size_t n = fmt(line, sizeof(line), "guest-kernel: cannot start: %s\n", why);
	arch_console_write(line, n < sizeof(line) ? n : sizeof(line) - 1);
	arch_crash(GK_STATUS_BOOT);
}

_Noreturn void kernel_start(struct kernel *k, const struct arch_boot *boot, task_fn main_fn,
                            void *main_arg)
{
	k->boot = boot;
	k->console = to_serial;
	log_init(&k->log, LOG_WARNING);
	sched_init(&k->sched);
	arch_handlers_set(&handlers);
	kernel_stage(k, "machine");
	const char *why;
	char debug[8];
	bool slow = cmdline_get(boot->cmdline, "gk.debug", debug, sizeof(debug));
	if (!memory_init(&k->memory, boot, slow, &why)) {
		char text[96], size[16];
		(void)fmt(text, sizeof(text), "%s: %s; it needs 16 MiB", why,
		          fmt_bytes(size, boot->ram_bytes));
		halt_with(text);
	}
	cpu_init(k, &k->boot_cpu, 0);
	kernel_stage(k, "memory");
	struct task *main = task_start("main", PRIO_DEFAULT, main_fn, main_arg);
	if (!main || !workq_start(&k->workq, "work", PRIO_DRIVER))
		halt_with("no memory for the first tasks; it needs 16 MiB");
	task_detach(main);
	sched_idle_loop();
}

static void cpu_main(void *arg)
{
	struct cpu *cpu = arg;
	cpu_init(cpu->kernel, cpu, cpu->index);
	sched_idle_loop();
}

static uint64_t table_frame(void *ctx)
{
	(void)ctx;
	return frame_get();
}

static bool start_cpu(struct kernel *k, unsigned index)
{
	static const struct arch_frames frames = {table_frame, NULL};
	struct cpu *cpu = mem_alloc(sizeof(*cpu));
	void *stack = cpu ? task_take_stack(k) : NULL;
	if (!stack) {
		mem_free(cpu);
		return false;
	}
	cpu->kernel = k;
	cpu->index = index;
	/* A CPU that does not answer in time may do so later: what it was given stays its own. */
	if (!arch_cpu_start(index, stack, cpu_main, cpu, &frames))
		return false;
	uint64_t end = arch_now_ns() + CPU_PATIENCE_NS;
	while (!__atomic_load_n(&k->cpus[index], __ATOMIC_ACQUIRE) && arch_now_ns() < end)
		arch_cpu_relax();
	return __atomic_load_n(&k->cpus[index], __ATOMIC_ACQUIRE) != NULL;
}

unsigned kernel_start_cpus(struct kernel *k, unsigned max)
{
	unsigned want = k->boot->cpus < max ? k->boot->cpus : max;
	for (unsigned i = 1; i < want; i++) {
		if (!start_cpu(k, i))
			log_error("CPU %u does not start", i);
	}
	return __atomic_load_n(&k->cpus_online, __ATOMIC_RELAXED);
}
