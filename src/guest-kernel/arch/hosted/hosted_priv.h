/* What the files of arch/hosted share. */
#ifndef GK_ARCH_HOSTED_PRIV_H
#define GK_ARCH_HOSTED_PRIV_H

#include <pthread.h>

#include "guest-kernel/arch/hosted/hosted.h"

#define HOSTED_GSIS      64u
#define HOSTED_HANDLERS  64u
#define HOSTED_MSI_FIRST 32u /* lines from here on are messages */

#define PENDING_KICK     1u
#define PENDING_DEVICES  2u

struct hosted_cpu {
	struct hosted *machine;
	unsigned index;
	void *local, *current;
	uint32_t pending; /* PENDING_*, atomic */
	uint64_t deadline_ns;
	struct arch_context host; /* the thread's own: where the CPU goes when the machine ends */
	struct arch_context first;
	void (*entry)(void *);
	void *arg;
	pthread_t thread;
	bool started;
	pthread_mutex_t mutex; /* for the wait in arch_idle */
	pthread_cond_t wake;
};

struct hosted {
	struct hosted_opts opts;
	struct arch_boot boot;
	struct kernel *kernel;
	const struct arch_handlers *handlers;
	uint8_t *ram;
	uint64_t clock_ns; /* virtual, or the monotonic clock's value at the start */
	bool stopping;     /* atomic */
	int status;
	uint64_t gsi_pending; /* atomic */
	struct {
		uint32_t gsi;
		arch_irq_fn fn;
		void *ctx;
	} irqs[HOSTED_HANDLERS];
	unsigned irq_count, message_count;
	void *stacks[ARCH_STACKS_MAX];
	struct hosted_cpu cpu[ARCH_CPUS_MAX];
	task_fn main_fn;
	void *main_arg;
};

struct hosted_cpu *hosted_me(void);
/* Takes memory of the machine away, whoever used it. */
void hosted_unmap(void *low, size_t bytes);
/* The CPU leaves the machine for good. */
_Noreturn void hosted_leave(void);
_Noreturn void hosted_end(int status);
void hosted_wake(struct hosted_cpu *c, uint32_t what);

#endif
