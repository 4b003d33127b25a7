/* Contexts: the switch of arch/x86_64, with the words that sanitizers want to hear of it. */
#include <pthread.h>
#include <sys/mman.h>

#include "hosted_priv.h"

/* Present where the sanitizer is. */
void __sanitizer_start_switch_fiber(void **save, const void *low, size_t bytes)
        __attribute__((weak));
void __sanitizer_finish_switch_fiber(void *fake, const void **low, size_t *bytes)
        __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *low, size_t bytes) __attribute__((weak));
void *__tsan_get_current_fiber(void) __attribute__((weak));
void *__tsan_create_fiber(unsigned flags) __attribute__((weak));
void __tsan_destroy_fiber(void *fiber) __attribute__((weak));
void __tsan_switch_to_fiber(void *fiber, unsigned flags) __attribute__((weak));

void hosted_switch(uintptr_t *from_sp, uintptr_t to_sp);
void hosted_context_start(void);
void hosted_context_main(void (*entry)(void *), void *arg);

__asm__(".text\n"
        ".globl hosted_switch, hosted_context_start\n"
        "hosted_switch:\n"
        "	pushq %rbp\n	pushq %rbx\n	pushq %r12\n"
        "	pushq %r13\n	pushq %r14\n	pushq %r15\n"
        "	movq %rsp, (%rdi)\n"
        "	movq %rsi, %rsp\n"
        "	popq %r15\n	popq %r14\n	popq %r13\n"
        "	popq %r12\n	popq %rbx\n	popq %rbp\n"
        "	ret\n"
        "hosted_context_start:\n"
        "	movq %r12, %rdi\n	movq %r13, %rsi\n"
        "	call hosted_context_main\n"
        "	ud2\n");

void hosted_context_main(void (*entry)(void *), void *arg)
{
	if (__sanitizer_finish_switch_fiber)
		__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
	entry(arg);
}

/* What a sanitizer was told of it (frames of a task that never ended, objects that are free) must
 * not meet the mapping that comes to lie there next. */
void hosted_unmap(void *low, size_t bytes)
{
	if (__asan_unpoison_memory_region)
		__asan_unpoison_memory_region(low, bytes);
	(void)munmap(low, bytes);
}

void arch_context_init(struct arch_context *c, void *low, size_t bytes, void (*entry)(void *),
                       void *arg)
{
	uint64_t *sp = (uint64_t *)((uintptr_t)low + bytes) - 2;
	*--sp = (uintptr_t)hosted_context_start;
	*--sp = 0;                /* rbp */
	*--sp = 0;                /* rbx */
	*--sp = (uintptr_t)entry; /* r12 */
	*--sp = (uintptr_t)arg;   /* r13 */
	*--sp = 0;                /* r14 */
	*--sp = 0;                /* r15 */
	*c = (struct arch_context){
	        .sp = (uintptr_t)sp,
	        .stack_low = (uintptr_t)low,
	        .stack_bytes = bytes,
	        .fiber = __tsan_create_fiber ? __tsan_create_fiber(0) : NULL,
	};
}

/* What runs is the CPU's first context, or, before that, its thread. */
void arch_context_adopt(struct arch_context *c)
{
	const struct hosted_cpu *me = hosted_me();
	*c = (struct arch_context){
	        .stack_low = me->first.stack_low,
	        .stack_bytes = me->first.stack_bytes,
	        .fiber = __tsan_get_current_fiber ? __tsan_get_current_fiber() : NULL,
	};
}

void arch_context_switch(struct arch_context *from, struct arch_context *to)
{
	if (__sanitizer_start_switch_fiber)
		__sanitizer_start_switch_fiber(&from->fake_stack, (void *)to->stack_low,
		                               to->stack_bytes);
	if (__tsan_switch_to_fiber)
		__tsan_switch_to_fiber(to->fiber, 0);
	hosted_switch(&from->sp, to->sp);
	if (__sanitizer_finish_switch_fiber)
		__sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
}

void arch_context_fini(struct arch_context *c)
{
	if (__tsan_destroy_fiber && c->fiber)
		__tsan_destroy_fiber(c->fiber);
	c->fiber = NULL;
	c->sp = 0;
}
