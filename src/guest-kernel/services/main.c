/* The first task of the shipped kernel: it brings everything up, in order, and says so. */
#include "guest-kernel/core/kernel.h"
#include "guest-kernel/core/panic.h"

static void print(struct kernel *k, const char *format, ...) GK_PRINTF(2, 3);
static void print(struct kernel *k, const char *format, ...)
{
	char line[160];
	va_list ap;
	va_start(ap, format);
	size_t n = fmt_v(line, sizeof(line), format, ap);
	va_end(ap);
	kernel_console_write(k, line, n < sizeof(line) ? n : sizeof(line) - 1);
}

static void gk_main(void *arg)
{
	struct kernel *k = arg;
	unsigned cpus = kernel_start_cpus(k, ARCH_CPUS_MAX);
	kernel_stage(k, "cpus");
	if (k->boot->complaint)
		log_warning("%s", k->boot->complaint);
	const struct stage *s = &k->stages[k->stage_count - 1];
	print(k, "guest-kernel ready: %u CPU, %lu us, %lu cycles\n", cpus,
	      (unsigned long)(s->ns / NS_PER_US), (unsigned long)s->cycles);
	arch_power_off();
}

_Noreturn void kernel_main(const struct arch_boot *boot)
{
	static struct kernel k;
	kernel_start(&k, boot, gk_main, &k);
}
