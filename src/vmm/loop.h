/*
 * The event loop: one thread that owns queues, timers and sockets (epoll underneath). Sources and
 * timers belong to whoever adds them and must stay in place until deleted.
 *
 * Threads: loop_add, loop_mod, loop_del and the timer calls are for the loop's own thread, or for
 * any thread while the loop is not running. loop_post and loop_stop may be called from anywhere.
 */
#ifndef SRC_VMM_LOOP_H
#define SRC_VMM_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/err.h"

struct loop;

struct loop_source {
	int fd;
	void (*ready)(void *ctx, uint32_t epoll_events);
	void *ctx;
	bool added;
	uint32_t epoll_events; /* while added */
};

struct loop_timer {
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	void (*expired)(void *ctx);
	void *ctx;
	bool armed;
	struct loop_timer *next;
};

/* Work handed over from another thread; runs once on the loop's thread. */
struct loop_task {
	void (*run)(void *ctx);
	void *ctx;
	bool queued;
	struct loop_task *next;
};

VMM_WARN_UNUSED vmm_err_t loop_create(struct loop **out, vmm_err_info_t *ei);
void loop_destroy(struct loop *loop);

/*
 * EPOLL_EVENTS may hold EPOLLET. For an eventfd that is only ever a wake-up (ioeventfd), EPOLLET
 * means that nobody has to read it.
 */
VMM_WARN_UNUSED vmm_err_t loop_add(struct loop *loop, struct loop_source *src,
                                   uint32_t epoll_events, vmm_err_info_t *ei);
/* Watch an added source for other events; for the same ones, nothing is done. */
void loop_mod(struct loop *loop, struct loop_source *src, uint32_t epoll_events);
void loop_del(struct loop *loop, struct loop_source *src);

/* Arms or moves T. It fires once, at or after the deadline. */
void loop_timer_set(struct loop *loop, struct loop_timer *t, uint64_t deadline_ns);
void loop_timer_cancel(struct loop *loop, struct loop_timer *t);

/* Queue T (a no-op if it is already queued) and wake the loop. From a task: for the next round. */
void loop_post(struct loop *loop, struct loop_task *t);
/* Take T back if it is queued. Only while the loop is not running. */
void loop_unpost(struct loop *loop, struct loop_task *t);

/*
 * Run until loop_stop, after which what is ready by then has one more turn; or one round that waits
 * at most TIMEOUT_MS (-1: without end).
 */
void loop_run(struct loop *loop);
void loop_run_once(struct loop *loop, int timeout_ms);
void loop_stop(struct loop *loop);

#endif
