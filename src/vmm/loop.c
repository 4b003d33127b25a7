/* The event loop over epoll. See loop.h. */
#include "loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "errset.h"

#define EVENTS_PER_ROUND 32

struct loop {
	int epoll_fd;
	int wake_fd;
	_Atomic bool stopping;
	struct loop_timer *timers; /* sorted by deadline */
	pthread_mutex_t task_lock; /* innermost: nothing is called with it held */
	struct loop_task *task_head;
	struct loop_task **task_tail;
	struct epoll_event *batch; /* events of the present round, so that loop_del can void them */
	int batch_len;
};

vmm_err_t loop_create(struct loop **out, vmm_err_info_t *ei)
{
	*out = NULL;
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return err_set(ei, VMM_E_NOMEM, "event loop", "out of memory");
	loop->task_tail = &loop->task_head;
	(void)pthread_mutex_init(&loop->task_lock, NULL);
	loop->wake_fd = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd >= 0)
		loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
	if (loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) < 0) {
		int err = errno;
		loop_destroy(loop);
		return err_sys(ei, err, "event loop", "cannot make its descriptors");
	}
	*out = loop;
	return VMM_OK;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->wake_fd >= 0)
		(void)close(loop->wake_fd);
	if (loop->epoll_fd >= 0)
		(void)close(loop->epoll_fd);
	(void)pthread_mutex_destroy(&loop->task_lock);
	free(loop);
}

vmm_err_t loop_add(struct loop *loop, struct loop_source *src, uint32_t epoll_events,
                   vmm_err_info_t *ei)
{
	struct epoll_event ev = {.events = epoll_events, .data.ptr = src};
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, src->fd, &ev) < 0)
		return err_sys(ei, errno, "event loop", "cannot watch descriptor %d", src->fd);
	src->added = true;
	src->epoll_events = epoll_events;
	return VMM_OK;
}

void loop_mod(struct loop *loop, struct loop_source *src, uint32_t epoll_events)
{
	struct epoll_event ev = {.events = epoll_events, .data.ptr = src};
	if (src->epoll_events == epoll_events)
		return;
	src->epoll_events = epoll_events;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, src->fd, &ev);
}

void loop_del(struct loop *loop, struct loop_source *src)
{
	if (!src->added)
		return;
	src->added = false;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
	for (int i = 0; i < loop->batch_len; i++)
		if (loop->batch[i].data.ptr == src)
			loop->batch[i].data.ptr = NULL;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *t)
{
	if (!t->armed)
		return;
	struct loop_timer **p = &loop->timers;
	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
	t->armed = false;
}

void loop_timer_set(struct loop *loop, struct loop_timer *t, uint64_t deadline_ns)
{
	loop_timer_cancel(loop, t);
	t->deadline_ns = deadline_ns;
	struct loop_timer **p = &loop->timers;
	while (*p && (*p)->deadline_ns <= deadline_ns)
		p = &(*p)->next;
	t->next = *p;
	*p = t;
	t->armed = true;
}

static void wake(struct loop *loop)
{
	const uint64_t one = 1;
	ssize_t n = write(loop->wake_fd, &one, sizeof(one));
	(void)n;
}

void loop_post(struct loop *loop, struct loop_task *t)
{
	(void)pthread_mutex_lock(&loop->task_lock);
	if (!t->queued) {
		t->queued = true;
		t->next = NULL;
		*loop->task_tail = t;
		loop->task_tail = &t->next;
	}
	(void)pthread_mutex_unlock(&loop->task_lock);
	wake(loop);
}

void loop_unpost(struct loop *loop, struct loop_task *t)
{
	(void)pthread_mutex_lock(&loop->task_lock);
	struct loop_task **p = &loop->task_head;
	while (*p && *p != t)
		p = &(*p)->next;
	if (*p) {
		*p = t->next;
		if (!*p)
			loop->task_tail = p;
		t->queued = false;
	}
	(void)pthread_mutex_unlock(&loop->task_lock);
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stopping, true);
	wake(loop);
}

/*
 * Tasks that are queued from here on, also by the tasks that run now, wait for the next round: work
 * that hands itself over again and again must not keep descriptors and timers waiting.
 */
static void run_tasks(struct loop *loop)
{
	(void)pthread_mutex_lock(&loop->task_lock);
	struct loop_task *t = loop->task_head;
	loop->task_head = NULL;
	loop->task_tail = &loop->task_head;
	while (t) {
		struct loop_task *next = t->next;
		t->queued = false;
		(void)pthread_mutex_unlock(&loop->task_lock);
		t->run(t->ctx);
		(void)pthread_mutex_lock(&loop->task_lock);
		t = next;
	}
	(void)pthread_mutex_unlock(&loop->task_lock);
}

static void run_timers(struct loop *loop)
{
	if (!loop->timers)
		return;
	/* One reading of the clock: a timer that rearms itself for 'now' waits for the next round.
	 */
	uint64_t now = clock_now_ns();
	while (loop->timers && loop->timers->deadline_ns <= now) {
		struct loop_timer *t = loop->timers;
		loop->timers = t->next;
		t->armed = false;
		t->expired(t->ctx);
	}
}

static int wait_ms(const struct loop *loop, int timeout_ms)
{
	if (!loop->timers)
		return timeout_ms;
	uint64_t now = clock_now_ns();
	uint64_t left = loop->timers->deadline_ns > now ? loop->timers->deadline_ns - now : 0;
	uint64_t ms = (left + NS_PER_MS - 1) / NS_PER_MS;
	if (timeout_ms >= 0 && ms > (uint64_t)timeout_ms)
		return timeout_ms;
	return ms > 60000 ? 60000 : (int)ms;
}

void loop_run_once(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[EVENTS_PER_ROUND];
	const struct timespec pause = {.tv_nsec = (long)NS_PER_MS};
	int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_ROUND, wait_ms(loop, timeout_ms));
	/* It would fail the next time as well: tasks and timers go on, and the CPU is not used up.
	 */
	if (n < 0 && errno != EINTR)
		(void)nanosleep(&pause, NULL);
	loop->batch = events;
	loop->batch_len = n > 0 ? n : 0;
	for (int i = 0; i < loop->batch_len; i++) {
		struct loop_source *src = events[i].data.ptr;
		if (src)
			src->ready(src->ctx, events[i].events);
	}
	loop->batch = NULL;
	loop->batch_len = 0;
	run_timers(loop);
	run_tasks(loop);
}

void loop_run(struct loop *loop)
{
	while (!atomic_load(&loop->stopping))
		loop_run_once(loop, -1);
	/* A guest's last frames may have come, and its power-off, while a round was under way. */
	loop_run_once(loop, 0);
	atomic_store(&loop->stopping, false);
}
