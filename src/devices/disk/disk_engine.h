/*
 * How a disk's operations run beside the event loop: on an io_uring, or on a few threads. Calls on
 * one engine are serialised by its user (the device's lock) but may come from different threads.
 */
#ifndef SRC_DEVICES_DISK_ENGINE_H
#define SRC_DEVICES_DISK_ENGINE_H

#include "devices/disk/disk_file.h"
#include "vmm/sandbox/filter.h"

struct disk_engine;

struct disk_engine_ops {
	const char *name;
	/* Take IO over until reap returns it. It may start with the next flush only. */
	void (*submit)(struct disk_engine *e, struct disk_io *io);
	/* Start what was submitted. Completions that are there when it returns are not signalled
	 * on the event descriptor: reap afterwards. */
	void (*flush)(struct disk_engine *e);
	/* A completed operation, or NULL. */
	struct disk_io *(*reap)(struct disk_engine *e);
	/* Wait until reap has something to return; at least one operation is in flight. */
	void (*wait)(struct disk_engine *e);
	/* Nothing is in flight. */
	void (*destroy)(struct disk_engine *e);
};

struct disk_engine {
	const struct disk_engine_ops *ops;
	const struct disk_file *file;
	int event_fd;       /* written to when operations complete; not the engine's own */
	unsigned in_flight; /* submitted and not reaped */
};

/*
 * FILE and EVENT_FD outlive the engine; at most DEPTH operations are in flight at a time.
 *
 * The io_uring takes DISK_READ, DISK_WRITE (not bounced) and DISK_FLUSH. VMM_E_UNSUPPORTED: the
 * kernel has none, or does not let this process use it. VMM_E_NOMEM.
 */
VMM_WARN_UNUSED vmm_err_t disk_uring_create(const struct disk_file *file, int event_fd,
                                            unsigned depth, struct disk_engine **out,
                                            vmm_err_info_t *ei);
/* The threads take everything; they are started when there is work for them. VMM_E_NOMEM. */
VMM_WARN_UNUSED vmm_err_t disk_threads_create(const struct disk_file *file, int event_fd,
                                              struct disk_engine **out, vmm_err_info_t *ei);
/* Start all its threads now, each with its filter of FILTERS, which outlive it; none comes later.
 */
void disk_threads_start(struct disk_engine *e, const struct sandbox_filters *filters);

static inline void disk_submit(struct disk_engine *e, struct disk_io *io)
{
	e->in_flight++;
	e->ops->submit(e, io);
}

static inline struct disk_io *disk_reap(struct disk_engine *e)
{
	if (!e->in_flight)
		return NULL;
	struct disk_io *io = e->ops->reap(e);
	if (io)
		e->in_flight--;
	return io;
}

#endif
