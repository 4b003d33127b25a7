/* The log. See log.h. */
#include "guest-kernel/core/log.h"

#include <string.h>

#include "guest-kernel/core/kernel.h"

void log_init(struct log *l, enum log_level console_level)
{
	spin_init_named(&l->lock, "log");
	l->written = 0;
	l->console_level = console_level;
}

static void store(struct log *l, const struct log_record *r)
{
	unsigned long flags = spin_lock_irqsave(&l->lock);
	l->ring[l->written++ % LOG_RECORDS] = *r;
	spin_unlock_irqrestore(&l->lock, flags);
}

void log_write(enum log_level level, const char *format, ...)
{
	struct kernel *k = kernel_of_cpu();
	if (!k)
		return;
	struct log_record r = {.ns = arch_now_ns(), .level = (uint8_t)level};
	r.cpu = (uint8_t)arch_cpu();
	va_list ap;
	va_start(ap, format);
	(void)fmt_v(r.text, sizeof(r.text), format, ap);
	va_end(ap);
	store(&k->log, &r);
	if (level > k->log.console_level)
		return;
	static const char *const marks[] = {"error: ", "warning: ", "", ""};
	char line[LOG_TEXT_BYTES + 16];
	size_t n = fmt(line, sizeof(line), "%s%s\n", marks[level], r.text);
	kernel_console_write(k, line, n < sizeof(line) ? n : sizeof(line) - 1);
}

uint64_t log_oldest(struct log *l)
{
	uint64_t written = __atomic_load_n(&l->written, __ATOMIC_RELAXED);
	return written > LOG_RECORDS ? written - LOG_RECORDS : 0;
}

bool log_read(struct log *l, uint64_t n, struct log_record *out)
{
	unsigned long flags = spin_lock_irqsave(&l->lock);
	bool there = n < l->written && l->written - n <= LOG_RECORDS;
	if (there)
		*out = l->ring[n % LOG_RECORDS];
	spin_unlock_irqrestore(&l->lock, flags);
	return there;
}
