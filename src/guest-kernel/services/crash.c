/* See crash.h. */
#include "guest-kernel/services/crash.h"

#include <string.h>

#include "guest-kernel/core/panic.h"
#include "guest-kernel/core/task.h"

#define SOON_NS (10 * NS_PER_MS)

static void crash_panic(void)
{
	panic("as the shell was told");
}

static void crash_null(void)
{
	static volatile uintptr_t nowhere; /* not known to the compiler */
	*(volatile int *)nowhere = 0;      /* NOLINT */
}

/*
 * One piece after the other, as a recursion without end would, into the page below the stack. The
 * frame pointer that the back trace begins with stays as it is.
 */
static void crash_stack(void)
{
	volatile uint8_t *here = __builtin_frame_address(0);
	for (size_t at = 256; at <= ARCH_STACK_BYTES + ARCH_PAGE_SIZE; at += 256)
		here[-(ptrdiff_t)at] = 0;
}

static uint64_t exhaust(struct timer *t)
{
	(void)t;
	crash_stack();
	return 0;
}

/* The same in an interrupt while everybody waits: on the stack of the CPU's idle task. */
static void crash_idle(void)
{
	static struct timer timer;
	timer_init(&timer, exhaust);
	timer_start(&timer, arch_now_ns() + SOON_NS);
	task_sleep_until(FOREVER);
}

static void crash_text(void)
{
	*(volatile uint8_t *)(uintptr_t)crash_panic = 0; /* NOLINT */
}

static void crash_exec(void)
{
	static volatile uint8_t code[] = {0xc3}; /* ret */
	((void (*)(void))(uintptr_t)code)();
}

bool crash_by(const char *kind)
{
	static const struct {
		const char *name;
		void (*crash)(void);
	} kinds[] = {
	        {"panic", crash_panic}, {"null", crash_null}, {"stack", crash_stack},
	        {"idle", crash_idle},   {"text", crash_text}, {"exec", crash_exec},
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, kind) != 0)
			continue;
		kinds[i].crash();
		panic("crash %s does not crash", kind);
	}
	return false;
}
