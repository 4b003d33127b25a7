/* Runs a test's body as the first task of a hosted kernel, and looks for what it left behind. */
#ifndef TESTS_UNIT_GK_RIG_H
#define TESTS_UNIT_GK_RIG_H

#include <check.h>

#include "../suite.h"
#include "guest-kernel/arch/hosted/hosted.h"
#include "guest-kernel/core/panic.h"

/* One CPU, a clock that only the kernel moves: every run is the same. */
void rig_run(task_fn body, void *arg);
/* CPUS threads of the host, all of them started, and the host's clock. */
void rig_run_smp(unsigned cpus, task_fn body, void *arg);
/* The body is expected to end the machine with STATUS. */
void rig_run_to(int status, task_fn body, void *arg);

/* The same on a machine of the caller's, with one CPU. */
void rig_run_on(const struct hosted_opts *opts, task_fn body, void *arg);

/* What there is now stays: devices are for good. A run asserts that no more is left at its end. */
void rig_keep(void);
/* Of what is kept TASKS will have ended at the end, and BLOCKS of memory are lost on purpose. */
void rig_lost(unsigned tasks, unsigned blocks);

/* For hosted_opts.console: to standard error, and kept. */
void rig_console(void *ctx, const char *text, size_t len);
/* How often TEXT has come on the console so far, of the first 64 KiB of this process's kernels. */
unsigned rig_said(const char *text);

/* A small generator for random tests; the same sequence for the same seed. */
static inline uint64_t rig_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
