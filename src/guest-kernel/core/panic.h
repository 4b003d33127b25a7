/* The ends that nobody wanted: a report on the console, then the machine stops with a status. */
#ifndef GK_CORE_PANIC_H
#define GK_CORE_PANIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-kernel/core/fmt.h"

#define CRASH_PCS_MAX  24u
#define CRASH_REGS_MAX 24u

/* What the machine knows of an exception. */
struct crash {
	const char *what;
	uint64_t pc, sp, address, error;
	bool has_address;
	struct {
		const char *name;
		uint64_t value;
	} regs[CRASH_REGS_MAX];
	unsigned reg_count;
	uintptr_t pcs[CRASH_PCS_MAX]; /* innermost first */
	size_t pc_count;
};

_Noreturn void crash_report(const struct crash *c);
_Noreturn void panic(const char *format, ...) GK_PRINTF(1, 2);

/* An assertion that stays on. */
#define gk_assert(cond)                                                                 \
	do {                                                                            \
		if (!(cond))                                                            \
			panic("%s:%d: assertion '%s'", __FILE_NAME__, __LINE__, #cond); \
	} while (0)

#endif
