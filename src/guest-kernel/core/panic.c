/* Crash reports. See panic.h. They use nothing that could be the cause: no lock, no memory. */
#include "guest-kernel/core/panic.h"

#include "guest-kernel/core/kernel.h"
#include "guest-kernel/core/task.h"

static void say(const char *format, ...) GK_PRINTF(1, 2);
static void say(const char *format, ...)
{
	char line[200];
	va_list ap;
	va_start(ap, format);
	size_t n = fmt_v(line, sizeof(line), format, ap);
	va_end(ap);
	arch_console_write(line, n < sizeof(line) ? n : sizeof(line) - 1);
}

/* The second crash, from inside the report of the first, says so and ends. */
static void only_once(void)
{
	struct cpu *cpu = arch_local();
	if (!cpu)
		return;
	uint32_t before = __atomic_fetch_add(&cpu->kernel->crashing, 1, __ATOMIC_ACQ_REL);
	if (before == 0)
		return;
	if (before == 1)
		say("\ncrashed again while reporting\n");
	arch_crash(GK_STATUS_CRASH);
}

static void say_where(void)
{
	const struct task *t = arch_current();
	say("on CPU %u", arch_cpu());
	if (t)
		say(", task %u '%s'", t->id, t->name);
	uint64_t us = arch_now_ns() / 1000;
	say(", %lu.%06lu s after boot\n", (unsigned long)(us / 1000000),
	    (unsigned long)(us % 1000000));
}

static void say_trace(const uintptr_t *pcs, size_t count)
{
	say("back trace:\n");
	for (size_t i = 0; i < count; i++) {
		uintptr_t offset = 0;
		const char *name = arch_symbol(pcs[i], &offset);
		if (name)
			say("  %p  %s + 0x%lx\n", (void *)pcs[i], name, (unsigned long)offset);
		else
			say("  %p\n", (void *)pcs[i]);
	}
}

static void say_registers(const struct crash *c)
{
	for (unsigned i = 0; i < c->reg_count; i++)
		say("  %6s %016lx%s", c->regs[i].name, (unsigned long)c->regs[i].value,
		    i % 3 == 2 || i + 1 == c->reg_count ? "\n" : "");
}

_Noreturn void crash_report(const struct crash *c)
{
	arch_stop_others();
	only_once();
	say("\nguest-kernel: %s", c->what);
	if (c->has_address)
		say(" at address 0x%lx", (unsigned long)c->address);
	say(" (error code 0x%lx) ", (unsigned long)c->error);
	say_where();
	say_registers(c);
	say_trace(c->pcs, c->pc_count);
	arch_crash(GK_STATUS_CRASH);
}

_Noreturn void panic(const char *format, ...)
{
	char text[160];
	va_list ap;
	va_start(ap, format);
	(void)fmt_v(text, sizeof(text), format, ap);
	va_end(ap);
	(void)arch_irq_save();
	arch_stop_others();
	only_once();
	say("\nguest-kernel: panic: %s ", text);
	say_where();
	uintptr_t pcs[CRASH_PCS_MAX];
	say_trace(pcs, arch_backtrace(pcs, CRASH_PCS_MAX));
	arch_crash(GK_STATUS_PANIC);
}
