/*
 * The engine on an io_uring. One system call starts all that a notification brought; completions
 * ring the event descriptor.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "devices/disk/disk_engine.h"
#include "vmm/errset.h"

/* A ring costs memory that is locked, so it is smaller than the deepest queue; a longer batch is
 * started in parts. */
#define SQ_ENTRIES 64u

/* With nothing in flight whose end could help: how often the kernel is asked, each time after a
 * pause, before what waits is given up. */
#define TRIES_MAX 500u
#define PAUSE_NS  1000000L

struct uring_engine {
	struct disk_engine e;
	struct io_uring ring;
	/* Not taken by the ring yet; normally empty. */
	struct disk_io *head;
	struct disk_io **tail;
	struct disk_io *failed; /* given up, not reaped */
	unsigned started;       /* in the kernel's hands */
	unsigned tries;         /* in vain, in a row */
};

static struct uring_engine *uring_of(struct disk_engine *e)
{
	return (struct uring_engine *)e;
}

static void prepare(const struct disk_file *f, struct io_uring_sqe *sqe, struct disk_io *io)
{
	if (io->op == DISK_FLUSH)
		io_uring_prep_fsync(sqe, f->fd, IORING_FSYNC_DATASYNC);
	else if (io->op == DISK_WRITE)
		io_uring_prep_writev2(sqe, f->fd, io->iov, io->iov_count, io->offset,
		                      io->sync ? RWF_DSYNC : 0);
	else if (io->iov_count == 1)
		io_uring_prep_read(sqe, f->fd, io->iov->iov_base, (unsigned)io->iov->iov_len,
		                   io->offset);
	else
		io_uring_prep_readv(sqe, f->fd, io->iov, io->iov_count, io->offset);
	io_uring_sqe_set_data(sqe, io);
}

static void uring_submit(struct disk_engine *e, struct disk_io *io)
{
	struct uring_engine *u = uring_of(e);
	io->next = NULL;
	io->error = 0;
	*u->tail = io;
	u->tail = &io->next;
}

/* Move what waits into the submission ring, as far as there is room. */
static void fill(struct uring_engine *u)
{
	while (u->head) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
		if (!sqe)
			return;
		struct disk_io *io = u->head;
		u->head = io->next;
		if (!u->head)
			u->tail = &u->head;
		prepare(u->e.file, sqe, io);
	}
}

static struct disk_io *io_of(const struct io_uring_sqe *sqe)
{
	return (struct disk_io *)(uintptr_t)sqe->user_data;
}

static void give_up(struct uring_engine *u, struct disk_io *io, int error)
{
	io->error = error;
	io->next = u->failed;
	u->failed = io;
}

/* Everything that waits has failed. The ring's tail goes back over what was prepared: the kernel
 * looks at it in io_uring_enter only, as no thread of its own polls this ring. */
static void give_all_up(struct uring_engine *u, int error)
{
	struct io_uring_sq *sq = &u->ring.sq;
	unsigned taken = *sq->khead;
	for (unsigned at = taken; at != sq->sqe_tail; at++)
		give_up(u, io_of(&sq->sqes[at & sq->ring_mask]), error);
	sq->sqe_head = sq->sqe_tail = taken;
	io_uring_smp_store_release(sq->ktail, taken);
	while (u->head) {
		struct disk_io *io = u->head;
		u->head = io->next;
		give_up(u, io, error);
	}
	u->tail = &u->head;
}

/* The kernel took nothing, and nothing is to come that would have it asked again: after a pause the
 * loop does, for a time. */
static void refused(struct uring_engine *u, int error)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	if (++u->tries < TRIES_MAX) {
		(void)nanosleep(&pause, NULL);
	} else {
		u->tries = 0;
		give_all_up(u, error);
	}
	(void)eventfd_write(u->e.event_fd, 1);
}

static void uring_flush(struct disk_engine *e)
{
	struct uring_engine *u = uring_of(e);
	if (!u->head && !io_uring_sq_ready(&u->ring))
		return;
	/* What completes at once is reaped right after: no need to wake the loop for it. */
	(void)io_uring_cq_eventfd_toggle(&u->ring, false);
	int n;
	do {
		fill(u);
		n = io_uring_submit(&u->ring);
		if (n > 0) {
			u->started += (unsigned)n;
			u->tries = 0;
		}
	} while (n > 0 && u->head);
	(void)io_uring_cq_eventfd_toggle(&u->ring, true);
	/* The kernel takes no more just now (EAGAIN, EBUSY): the rest follows with the next
	 * completion, if one is to come. */
	if ((u->head || io_uring_sq_ready(&u->ring)) && !u->started)
		refused(u, n < 0 ? -n : EIO);
}

static struct disk_io *uring_reap(struct disk_engine *e)
{
	struct uring_engine *u = uring_of(e);
	struct io_uring_cqe *cqe;
	struct disk_io *failed = u->failed;
	if (failed) {
		u->failed = failed->next;
		return failed;
	}
	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		struct disk_io *io = io_uring_cqe_get_data(cqe);
		int res = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
		u->started--;
		if (disk_io_progress(io, res))
			return io;
		uring_submit(e, io); /* a short transfer: the rest of it */
		uring_flush(e);
	}
	return NULL;
}

static void uring_wait(struct disk_engine *e)
{
	struct uring_engine *u = uring_of(e);
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	struct io_uring_cqe *cqe;
	uring_flush(e);
	if (u->started && io_uring_wait_cqe(&u->ring, &cqe) < 0)
		(void)nanosleep(&pause, NULL); /* the kernel is short of something */
}

static void uring_destroy(struct disk_engine *e)
{
	io_uring_queue_exit(&uring_of(e)->ring);
	free(e);
}

static const struct disk_engine_ops uring_ops = {
        .name = "io_uring",
        .submit = uring_submit,
        .flush = uring_flush,
        .reap = uring_reap,
        .wait = uring_wait,
        .destroy = uring_destroy,
};

/*
 * No filter of system calls sees what a ring is asked to do: it takes what disks need, and nothing
 * that opens or connects. Registers nothing any more either.
 */
static int restrict_ring(struct io_uring *ring)
{
	static const uint8_t ops[] = {IORING_OP_READ, IORING_OP_READV, IORING_OP_WRITEV,
	                              IORING_OP_FSYNC};
	struct io_uring_restriction only[sizeof(ops)] = {0};
	for (unsigned i = 0; i < sizeof(ops); i++) {
		only[i].opcode = IORING_RESTRICTION_SQE_OP;
		only[i].sqe_op = ops[i];
	}
	/* Some builds of liburing have no symbol for these two. */
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, only,
	            sizeof(ops)) < 0 ||
	    syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) <
	            0)
		return -errno;
	return 0;
}

static int open_ring(struct io_uring *ring, unsigned depth, int event_fd)
{
	unsigned entries = depth < SQ_ENTRIES ? depth : SQ_ENTRIES;
	struct io_uring_params p = {
	        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN,
	        .cq_entries = depth < 2 * entries ? 2 * entries : depth,
	};
	int err = io_uring_queue_init_params(entries, ring, &p);
	if (err == -EINVAL) { /* Linux before 5.19 */
		p.flags = IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
		err = io_uring_queue_init_params(entries, ring, &p);
	}
	if (err < 0)
		return err;
	err = io_uring_register_eventfd(ring, event_fd);
	if (!err)
		err = restrict_ring(ring);
	if (err < 0)
		io_uring_queue_exit(ring);
	return err;
}

vmm_err_t disk_uring_create(const struct disk_file *file, int event_fd, unsigned depth,
                            struct disk_engine **out, vmm_err_info_t *ei)
{
	*out = NULL;
	struct uring_engine *u = calloc(1, sizeof(*u));
	if (!u)
		return err_set(ei, VMM_E_NOMEM, file->name, "out of memory");
	u->e = (struct disk_engine){.ops = &uring_ops, .file = file, .event_fd = event_fd};
	u->tail = &u->head;
	int err = open_ring(&u->ring, depth, event_fd);
	if (err < 0) {
		free(u);
		return err_sys_as(ei, err == -ENOMEM ? VMM_E_NOMEM : VMM_E_UNSUPPORTED, -err,
		                  file->name, "cannot make an io_uring");
	}
	*out = &u->e;
	return VMM_OK;
}
