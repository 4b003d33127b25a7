/* Messages to the embedder. See logger.h. */
#include "logger.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "clock.h"

#define LINE_MAX_BYTES 512

void log_say(struct log *l, vmm_log_level_t level, const char *fmt, ...)
{
	if (!l || !l->fn || level > l->level)
		return;
	char line[LINE_MAX_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	l->fn(l->ctx, level, line);
}

/* True if one more line fits into the present second; races only make the count approximate. */
static bool guest_may_speak(struct log *l)
{
	uint64_t now = clock_now_ns();
	if (now - atomic_load(&l->guest_window_ns) >= NS_PER_SECOND) {
		atomic_store(&l->guest_window_ns, now);
		atomic_store(&l->guest_in_window, 0);
	}
	if (atomic_fetch_add(&l->guest_in_window, 1) < LOG_GUEST_BURST)
		return true;
	atomic_fetch_add(&l->guest_dropped, 1);
	return false;
}

void log_guest(struct log *l, vmm_log_level_t level, const char *fmt, ...)
{
	if (!l || !l->fn || level > l->level || !guest_may_speak(l))
		return;
	uint64_t dropped = atomic_exchange(&l->guest_dropped, 0);
	if (dropped)
		log_say(l, level, "(%llu similar messages were dropped)",
		        (unsigned long long)dropped);
	char line[LINE_MAX_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	l->fn(l->ctx, level, line);
}
