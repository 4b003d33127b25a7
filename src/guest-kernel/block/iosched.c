/* The disk scheduler. See iosched.h. */
#include "guest-kernel/block/iosched.h"

struct batch {
	struct request request;
	struct iosched *q;
	struct io *ios[REQUEST_SEGS_MAX];
	unsigned count;
};

static void on_room(void *ctx)
{
	iosched_run(ctx);
}

bool iosched_init(struct iosched *q, struct blk *disk)
{
	*q = (struct iosched){.disk = disk};
	spin_init_named(&q->lock, "iosched");
	for (unsigned i = 0; i < 2; i++) {
		list_init(&q->sorted[i]);
		list_init(&q->fifo[i]);
	}
	list_init(&q->idle);
	q->batches = mem_alloc(IOSCHED_IN_FLIGHT * sizeof(*q->batches));
	if (!q->batches)
		return false;
	for (unsigned i = 0; i < IOSCHED_IN_FLIGHT; i++) {
		q->batches[i].q = q;
		list_append(&q->idle, &q->batches[i].request.link);
	}
	disk->room_ctx = q;
	disk->room = on_room;
	return true;
}

static struct io *sorted_io(struct list *e)
{
	return LIST_OF(e, struct io, sorted);
}

void iosched_add(struct iosched *q, struct io *io)
{
	unsigned long flags = spin_lock_irqsave(&q->lock);
	struct list *head = &q->sorted[io->write], *at = head;
	io->failed = io->lost = false;
	io->deadline_ns = arch_now_ns() + (io->write ? IOSCHED_WRITE_NS : IOSCHED_READ_NS);
	/* From the end: what comes in order is in its place at once. */
	while (at->prev != head && sorted_io(at->prev)->sector > io->sector)
		at = at->prev;
	list_append(at, &io->sorted);
	list_append(&q->fifo[io->write], &io->fifo);
	spin_unlock_irqrestore(&q->lock, flags);
}

static bool overdue(const struct iosched *q, bool write, uint64_t now)
{
	const struct list *fifo = &q->fifo[write];
	return !list_empty(fifo) && LIST_OF(fifo->next, struct io, fifo)->deadline_ns <= now;
}

static bool choose_writes(struct iosched *q, uint64_t now)
{
	bool reads = !list_empty(&q->fifo[0]), writes = !list_empty(&q->fifo[1]);
	if (!reads || !writes)
		return writes;
	if (overdue(q, true, now) || q->passed_over >= IOSCHED_STARVED)
		return true;
	q->passed_over++;
	return false;
}

/* The oldest if it is overdue, else the next upwards from where the last request ended, or around.
 */
static struct io *choose_first(struct iosched *q, bool write, uint64_t now)
{
	struct list *sorted = &q->sorted[write];
	if (overdue(q, write, now)) {
		q->expired++;
		return LIST_OF(q->fifo[write].next, struct io, fifo);
	}
	for (struct list *e = sorted->next; e != sorted; e = e->next) {
		if (sorted_io(e)->sector >= q->head_sector)
			return sorted_io(e);
	}
	return sorted_io(sorted->next);
}

static void take(struct batch *b, struct io *io)
{
	list_remove(&io->sorted);
	list_remove(&io->fifo);
	b->request.segs[b->count].data = io->data;
	b->request.segs[b->count].len_bytes = io->len_bytes;
	b->ios[b->count++] = io;
	b->request.seg_count = b->count;
}

static void fill(struct iosched *q, struct batch *b)
{
	uint64_t now = arch_now_ns();
	bool write = choose_writes(q, now);
	struct io *first = choose_first(q, write, now);
	b->count = 0;
	b->request.op = write ? REQUEST_WRITE : REQUEST_READ;
	b->request.sector = first->sector;
	q->passed_over = write ? 0 : q->passed_over;
	struct list *next = first->sorted.next;
	take(b, first);
	uint64_t end = first->sector + first->len_bytes / SECTOR_BYTES;
	while (next != &q->sorted[write] && b->count < REQUEST_SEGS_MAX &&
	       sorted_io(next)->sector == end) {
		struct io *io = sorted_io(next);
		next = next->next;
		end += io->len_bytes / SECTOR_BYTES;
		take(b, io);
		q->merged++;
	}
	q->head_sector = end;
	q->submitted++;
}

static void on_done(struct request *r)
{
	struct batch *b = r->ctx;
	struct iosched *q = b->q;
	for (unsigned i = 0; i < b->count; i++) {
		b->ios[i]->failed = r->status != REQUEST_DONE;
		b->ios[i]->lost = r->status == REQUEST_LOST;
		b->ios[i]->done(b->ios[i]);
	}
	unsigned long flags = spin_lock_irqsave(&q->lock);
	list_append(&q->idle, &r->link);
	spin_unlock_irqrestore(&q->lock, flags);
}

/* The lock is held. True: somebody has asked meanwhile, and the caller stays inside. */
static bool leave(struct iosched *q)
{
	q->dispatching = q->again;
	q->again = false;
	return q->dispatching;
}

/* The next batch, filled; NULL: nothing to do, or too much in flight. */
static struct batch *next_batch(struct iosched *q, bool *go_on)
{
	unsigned long flags = spin_lock_irqsave(&q->lock);
	bool work = !list_empty(&q->fifo[0]) || !list_empty(&q->fifo[1]);
	struct batch *b = q->held_back;
	struct list *e = work && !b ? list_pop(&q->idle) : NULL;
	q->held_back = NULL;
	if (e) {
		b = LIST_OF(e, struct batch, request.link);
		fill(q, b);
	}
	if (!b)
		*go_on = leave(q);
	spin_unlock_irqrestore(&q->lock, flags);
	return b;
}

static bool enter(struct iosched *q)
{
	unsigned long flags = spin_lock_irqsave(&q->lock);
	bool mine = !q->dispatching;
	q->dispatching = true;
	q->again = q->again || !mine;
	spin_unlock_irqrestore(&q->lock, flags);
	return mine;
}

/* The ring is full: B is the first to go when there is room. True: there may be room already. */
static bool hold_back(struct iosched *q, struct batch *b)
{
	unsigned long flags = spin_lock_irqsave(&q->lock);
	q->held_back = b;
	bool go_on = leave(q);
	spin_unlock_irqrestore(&q->lock, flags);
	return go_on;
}

/* True: somebody has asked meanwhile. */
static bool dispatch(struct iosched *q)
{
	struct batch *b;
	bool go_on;
	while ((b = next_batch(q, &go_on))) {
		b->request.done = on_done;
		b->request.ctx = b;
		if (!blk_submit(q->disk, &b->request))
			return hold_back(q, b);
	}
	return go_on;
}

/* One at a time: whoever comes meanwhile has it done by the one inside. */
void iosched_run(struct iosched *q)
{
	bool inside = enter(q);
	while (inside) {
		inside = dispatch(q);
		blk_kick(q->disk);
	}
}
