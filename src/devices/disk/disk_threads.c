/*
 * The engine of a few threads that make blocking calls: where there is no io_uring, and for what
 * has no call that would not block. A thread is started when there is work and none is idle.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "devices/disk/disk_engine.h"
#include "vmm/errset.h"
#include "vmm/thread.h"

#define THREADS_MAX 4u

struct threads_engine {
	struct disk_engine e;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t work;
	pthread_cond_t completion;
	struct disk_io *todo;
	struct disk_io **todo_tail;
	unsigned todo_count;
	struct disk_io *done;
	struct disk_io **done_tail;
	pthread_t thread[THREADS_MAX];
	const struct sandbox_filters *filters; /* NULL: none, and threads start as needed */
	unsigned thread_count;
	unsigned unfit; /* threads that gave up */
	unsigned idle;
	bool stopping;
};

static struct threads_engine *threads_of(struct disk_engine *e)
{
	return (struct threads_engine *)e;
}

static void complete(struct threads_engine *t, struct disk_io *io)
{
	bool first = !t->done;
	io->next = NULL;
	*t->done_tail = io;
	t->done_tail = &io->next;
	(void)pthread_cond_signal(&t->completion);
	/* Whoever reaps takes all there is: one signal is enough until then. */
	if (first)
		(void)eventfd_write(t->e.event_fd, 1);
}

static struct disk_io *next_todo(struct threads_engine *t)
{
	t->idle++;
	while (!t->todo && !t->stopping)
		(void)pthread_cond_wait(&t->work, &t->lock);
	t->idle--;
	struct disk_io *io = t->todo;
	if (!io)
		return NULL;
	t->todo = io->next;
	t->todo_count--;
	if (!t->todo)
		t->todo_tail = &t->todo;
	return io;
}

static void *worker(void *ctx)
{
	struct threads_engine *t = ctx;
	(void)pthread_setname_np(pthread_self(), "vmm-disk");
	/* Without its filter a thread does not serve the guest. */
	bool confined = !t->filters || sandbox_filter_load(t->filters, SANDBOX_DISK) == 0;
	(void)pthread_mutex_lock(&t->lock);
	if (!confined) {
		t->unfit++;
		(void)pthread_mutex_unlock(&t->lock);
		return NULL;
	}
	for (struct disk_io *io; (io = next_todo(t));) {
		(void)pthread_mutex_unlock(&t->lock);
		disk_io_perform(t->e.file, io);
		(void)pthread_mutex_lock(&t->lock);
		complete(t, io);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* False: there is no thread at all. */
static bool start_thread(struct threads_engine *t)
{
	sigset_t all;
	sigset_t old;
	(void)sigfillset(&all);
	/* The process's signals are not for it. */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	if (thread_start(&t->thread[t->thread_count], worker, t) == 0)
		t->thread_count++;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return t->thread_count > 0;
}

static void threads_submit(struct disk_engine *e, struct disk_io *io)
{
	struct threads_engine *t = threads_of(e);
	bool alone = false;
	(void)pthread_mutex_lock(&t->lock);
	io->next = NULL;
	*t->todo_tail = io;
	t->todo_tail = &io->next;
	t->todo_count++;
	if (t->filters)
		alone = t->unfit == t->thread_count;
	else if (t->idle < t->todo_count && t->thread_count < THREADS_MAX)
		alone = !start_thread(t);
	if (alone) {
		/* No thread to be had: better slow than stuck. The list held nothing else. */
		t->todo = NULL;
		t->todo_tail = &t->todo;
		t->todo_count = 0;
		disk_io_perform(e->file, io);
		complete(t, io);
	}
	(void)pthread_cond_signal(&t->work);
	(void)pthread_mutex_unlock(&t->lock);
}

static void threads_flush(struct disk_engine *e)
{
	(void)e;
}

static struct disk_io *threads_reap(struct disk_engine *e)
{
	struct threads_engine *t = threads_of(e);
	(void)pthread_mutex_lock(&t->lock);
	struct disk_io *io = t->done;
	if (io) {
		t->done = io->next;
		if (!t->done)
			t->done_tail = &t->done;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return io;
}

static void threads_wait(struct disk_engine *e)
{
	struct threads_engine *t = threads_of(e);
	(void)pthread_mutex_lock(&t->lock);
	while (!t->done)
		(void)pthread_cond_wait(&t->completion, &t->lock);
	(void)pthread_mutex_unlock(&t->lock);
}

static void threads_destroy(struct disk_engine *e)
{
	struct threads_engine *t = threads_of(e);
	(void)pthread_mutex_lock(&t->lock);
	t->stopping = true;
	(void)pthread_cond_broadcast(&t->work);
	(void)pthread_mutex_unlock(&t->lock);
	for (unsigned i = 0; i < t->thread_count; i++)
		(void)pthread_join(t->thread[i], NULL);
	(void)pthread_cond_destroy(&t->completion);
	(void)pthread_cond_destroy(&t->work);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

static const struct disk_engine_ops threads_ops = {
        .name = "threads",
        .submit = threads_submit,
        .flush = threads_flush,
        .reap = threads_reap,
        .wait = threads_wait,
        .destroy = threads_destroy,
};

vmm_err_t disk_threads_create(const struct disk_file *file, int event_fd, struct disk_engine **out,
                              vmm_err_info_t *ei)
{
	struct threads_engine *t = calloc(1, sizeof(*t));
	*out = NULL;
	if (!t)
		return err_set(ei, VMM_E_NOMEM, file->name, "out of memory");
	t->e = (struct disk_engine){.ops = &threads_ops, .file = file, .event_fd = event_fd};
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->work, NULL);
	(void)pthread_cond_init(&t->completion, NULL);
	t->todo_tail = &t->todo;
	t->done_tail = &t->done;
	*out = &t->e;
	return VMM_OK;
}

void disk_threads_start(struct disk_engine *e, const struct sandbox_filters *filters)
{
	struct threads_engine *t = threads_of(e);
	(void)pthread_mutex_lock(&t->lock);
	t->filters = filters;
	while (t->thread_count < THREADS_MAX)
		if (!start_thread(t))
			break;
	(void)pthread_mutex_unlock(&t->lock);
}
