/*
 * Messages to the embedder. The library prints nothing itself: it calls the function that the
 * embedder gave, from whichever thread has something to say. What a guest can provoke goes through
 * log_guest, which is rate limited.
 */
#ifndef SRC_VMM_LOGGER_H
#define SRC_VMM_LOGGER_H

#include <stdatomic.h>
#include <stdint.h>

#include "vmm/err.h"
#include "vmm/log.h"

struct log {
	vmm_log_fn fn; /* NULL: silent */
	void *ctx;
	vmm_log_level_t level; /* messages above it are dropped */
	_Atomic uint64_t guest_window_ns;
	_Atomic uint32_t guest_in_window;
	_Atomic uint64_t guest_dropped;
};

/* Say one line (no newline in FMT). L may be NULL. Any thread. */
void log_say(struct log *l, vmm_log_level_t level, const char *fmt, ...) VMM_PRINTF(3, 4);

/* The same for what the guest causes: at most LOG_GUEST_BURST lines a second, the rest counted. */
#define LOG_GUEST_BURST 10u
void log_guest(struct log *l, vmm_log_level_t level, const char *fmt, ...) VMM_PRINTF(3, 4);

#endif
