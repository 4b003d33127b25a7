/* The cache of a disk. See disk.h. */
#include "guest-kernel/block/disk.h"

#include <string.h>

#include "guest-kernel/core/waitq.h"
#include "guest-kernel/security/security.h"

#define HASH_BUCKETS 256u
#define SECTORS      (DISK_BLOCK_BYTES / SECTOR_BYTES)

struct block {
	struct io io;
	struct list hash, lru;
	struct disk *disk;
	uint64_t number;
	uint8_t *data;
	uint32_t users;
	bool known; /* has a number */
	bool valid; /* holds what the disk has, or newer */
	bool busy;  /* the device reads or writes it: hands off */
	bool dirty;
	bool ahead; /* read before anyone asked */
	bool failed;
	bool lost; /* the device may write into it for good: nobody may have it */
};

struct disk {
	struct spinlock lock; /* of all that follows, and of the blocks but for their data */
	struct waitq changed;
	struct blk *blk;
	struct iosched sched;
	struct block *blocks;
	uint8_t *data;
	unsigned count, dirty;
	struct list hash[HASH_BUCKETS];
	struct list lru; /* least recently used first; those in use too */
	uint64_t bytes, next_block;
	unsigned window; /* blocks to read ahead; 0: the reads do not run on */
	uint64_t ahead_end;
	bool write_failed, stopping;
	struct task *writer;
	uint64_t hits, misses, ahead, ahead_used, flushes;
	policy_label_t label;
};

uint64_t disk_bytes(const struct disk *d)
{
	return d->bytes;
}

bool disk_read_only(const struct disk *d)
{
	return d->blk->read_only;
}

static struct list *bucket(struct disk *d, uint64_t number)
{
	return &d->hash[number * 0x9e3779b97f4a7c15ull >> 56];
}

static struct block *find(struct disk *d, uint64_t number)
{
	struct list *l = bucket(d, number);
	for (struct list *e = l->next; e != l; e = e->next) {
		struct block *b = LIST_OF(e, struct block, hash);
		if (b->number == number)
			return b;
	}
	return NULL;
}

static void touch(struct disk *d, struct block *b)
{
	list_remove(&b->lru);
	list_append(&d->lru, &b->lru);
}

/* A block that nobody needs, with a new number; NULL: all are in use or dirty. */
static struct block *recycle(struct disk *d, uint64_t number)
{
	for (struct list *e = d->lru.next; e != &d->lru; e = e->next) {
		struct block *b = LIST_OF(e, struct block, lru);
		if (b->users > 0 || b->busy || b->dirty || b->lost)
			continue;
		list_remove(&b->hash);
		b->number = number;
		b->known = true;
		b->valid = b->ahead = b->failed = false;
		list_append(bucket(d, number), &b->hash);
		touch(d, b);
		return b;
	}
	return NULL;
}

static void on_io(struct io *io)
{
	struct block *b = LIST_OF(io, struct block, io);
	struct disk *d = b->disk;
	unsigned long flags = spin_lock_irqsave(&d->lock);
	b->busy = false;
	b->failed = io->failed;
	b->lost = io->lost;
	if (io->write && io->failed)
		d->write_failed = true;
	else if (!io->write)
		b->valid = !io->failed;
	waitq_wake_all(&d->changed);
	spin_unlock_irqrestore(&d->lock, flags);
}

/* The lock is held; iosched_run comes later, without it. */
static void start_io(struct disk *d, struct block *b, bool write)
{
	uint64_t left = d->bytes - b->number * DISK_BLOCK_BYTES;
	b->busy = true;
	b->io.write = write;
	b->io.sector = b->number * SECTORS;
	b->io.len_bytes = left < DISK_BLOCK_BYTES ? (uint32_t)left : DISK_BLOCK_BYTES;
	b->io.data = b->data;
	b->io.done = on_io;
	iosched_add(&d->sched, &b->io);
}

static void start_write(struct disk *d, struct block *b)
{
	b->dirty = false;
	d->dirty--;
	start_io(d, b, true);
}

static unsigned write_dirty(struct disk *d, unsigned max)
{
	unsigned n = 0;
	unsigned long flags = spin_lock_irqsave(&d->lock);
	for (unsigned i = 0; i < d->count && n < max; i++) {
		struct block *b = &d->blocks[i];
		if (b->dirty && !b->busy && b->users == 0) {
			start_write(d, b);
			n++;
		}
	}
	spin_unlock_irqrestore(&d->lock, flags);
	if (n > 0)
		iosched_run(&d->sched);
	return n;
}

static void writer(void *arg)
{
	struct disk *d = arg;
	while (!__atomic_load_n(&d->stopping, __ATOMIC_ACQUIRE)) {
		(void)task_park(arch_now_ns() + DISK_WRITE_BACK_NS);
		(void)write_dirty(d, d->count);
		blk_watch(d->blk);
	}
}

/* ---- getting hold of a block ---- */

struct want {
	struct disk *d;
	uint64_t number;
	bool whole; /* it is overwritten as a whole: what it held does not matter */
	bool write; /* its data will change: not while the device reads it */
	struct block *got;
	bool waits; /* for the device: somebody must be told to write */
};

/* Runs with the lock held, from waitq_wait. Takes a user's share of the block once it can be used.
 */
static bool try_get(void *ctx)
{
	struct want *w = ctx;
	struct disk *d = w->d;
	struct block *b = find(d, w->number);
	bool hit = b && (b->valid || b->busy);
	if (!b)
		b = recycle(d, w->number);
	if (!b) {
		w->waits = true;
		return blk_is_broken(d->blk); /* then there may never be one */
	}
	if (b->lost)
		return true;
	if (!b->valid && !b->busy && !w->whole && !b->failed) {
		d->misses++;
		start_io(d, b, false);
	} else if (hit && !b->busy) {
		d->hits++;
		d->ahead_used += b->ahead;
		b->ahead = false;
	}
	if (b->busy && (w->write || !b->valid)) {
		w->waits = true;
		return false;
	}
	if (!b->valid && !w->whole) {
		b->failed = false; /* whoever asks again tries again */
		return true;
	}
	b->users++;
	touch(d, b);
	w->got = b;
	return true;
}

/* NULL: the device failed. */
static struct block *get(struct disk *d, uint64_t number, bool whole, bool write)
{
	struct want w = {.d = d, .number = number, .whole = whole, .write = write};
	for (;;) {
		w.waits = false;
		if (waitq_wait(&d->changed, &d->lock, try_get, &w, 0))
			return w.got;
		iosched_run(&d->sched);
		if (d->dirty > d->count / 2)
			(void)write_dirty(d, d->count);
		if (waitq_wait(&d->changed, &d->lock, try_get, &w, arch_now_ns() + NS_PER_S))
			return w.got;
		blk_watch(d->blk);
	}
}

static void put(struct disk *d, struct block *b, bool changed)
{
	unsigned long flags = spin_lock_irqsave(&d->lock);
	b->users--;
	if (changed && !b->dirty) {
		b->dirty = true;
		d->dirty++;
	}
	b->valid = b->valid || changed;
	waitq_wake_all(&d->changed);
	spin_unlock_irqrestore(&d->lock, flags);
}

/* ---- reading ahead ---- */

/* The lock is held. A read of NUMBER has come: does it run on from the last one? */
static void follow_reads(struct disk *d, uint64_t number)
{
	if (number == d->next_block)
		d->window = d->window == 0 ? 4 : d->window * 2;
	else if (number + 1 != d->next_block)
		d->window = 0;
	if (d->window > DISK_READ_AHEAD)
		d->window = DISK_READ_AHEAD;
	if (d->window > d->count / 4)
		d->window = d->count / 4;
	d->next_block = number + 1;
}

static void read_ahead(struct disk *d, uint64_t number)
{
	uint64_t blocks = (d->bytes + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES;
	unsigned started = 0;
	unsigned long flags = spin_lock_irqsave(&d->lock);
	follow_reads(d, number);
	uint64_t from = number + 1, to = number + 1 + d->window;
	/* Half a window at a time, so that requests are worth their while. */
	if (d->window > 0 && d->ahead_end >= from && d->ahead_end - from > d->window / 2)
		to = from;
	for (uint64_t n = from; n < to && n < blocks; n++) {
		struct block *b = find(d, n) ? NULL : recycle(d, n);
		if (!b)
			continue;
		b->ahead = true;
		start_io(d, b, false);
		started++;
	}
	if (to > from)
		d->ahead_end = to;
	d->ahead += started;
	spin_unlock_irqrestore(&d->lock, flags);
	if (started > 0)
		iosched_run(&d->sched);
}

static bool within(const struct disk *d, uint64_t offset, size_t len)
{
	return offset <= d->bytes && len <= d->bytes - offset;
}

static bool may(const struct disk *d, uint32_t perms)
{
	return sec_may(d->label, POLICY_CLASS_BLK_FILE, perms, POLICY_NO_CAP, NULL);
}

bool disk_read(struct disk *d, uint64_t offset, void *out, size_t len)
{
	uint8_t *to = out;
	if (!within(d, offset, len) || !may(d, FILE_READ))
		return false;
	while (len > 0) {
		uint64_t number = offset / DISK_BLOCK_BYTES;
		size_t at = offset % DISK_BLOCK_BYTES;
		size_t n = len < DISK_BLOCK_BYTES - at ? len : DISK_BLOCK_BYTES - at;
		read_ahead(d, number);
		struct block *b = get(d, number, false, false);
		if (!b)
			return false;
		memcpy(to, b->data + at, n);
		put(d, b, false);
		to += n;
		offset += n;
		len -= n;
	}
	return true;
}

bool disk_write(struct disk *d, uint64_t offset, const void *data, size_t len)
{
	const uint8_t *from = data;
	if (!within(d, offset, len) || d->blk->read_only || !may(d, FILE_WRITE))
		return false;
	while (len > 0) {
		uint64_t number = offset / DISK_BLOCK_BYTES;
		size_t at = offset % DISK_BLOCK_BYTES;
		size_t n = len < DISK_BLOCK_BYTES - at ? len : DISK_BLOCK_BYTES - at;
		struct block *b = get(d, number, n == DISK_BLOCK_BYTES, true);
		if (!b)
			return false;
		memcpy(b->data + at, from, n);
		put(d, b, true);
		from += n;
		offset += n;
		len -= n;
		if (d->dirty > d->count / 2)
			(void)write_dirty(d, d->count);
	}
	return true;
}

/* ---- flush ---- */

static bool is_clean(void *ctx)
{
	const struct disk *d = ctx;
	for (unsigned i = 0; i < d->count; i++) {
		const struct block *b = &d->blocks[i];
		if (b->dirty || (b->busy && b->io.write))
			return false;
	}
	return true;
}

struct barrier {
	struct request request;
	struct disk *d;
	bool done;
};

static void on_flushed(struct request *r)
{
	struct barrier *b = r->ctx;
	unsigned long flags = spin_lock_irqsave(&b->d->lock);
	b->done = true;
	waitq_wake_all(&b->d->changed);
	spin_unlock_irqrestore(&b->d->lock, flags);
}

static bool is_flushed(void *ctx)
{
	const struct barrier *b = ctx;
	return b->done;
}

/* The device's own cache. */
static bool flush_device(struct disk *d)
{
	struct barrier *b = mem_alloc(sizeof(*b));
	if (!b)
		return false;
	b->d = d;
	b->request.op = REQUEST_FLUSH;
	b->request.done = on_flushed;
	b->request.ctx = b;
	while (!blk_submit(d->blk, &b->request)) {
		task_sleep(NS_PER_MS);
		blk_watch(d->blk);
	}
	blk_kick(d->blk);
	while (!waitq_wait(&d->changed, &d->lock, is_flushed, b, arch_now_ns() + NS_PER_S))
		blk_watch(d->blk);
	bool good = b->request.status == REQUEST_DONE;
	if (b->request.status != REQUEST_LOST)
		mem_free(b);
	return good;
}

bool disk_flush(struct disk *d)
{
	if (d->blk->read_only)
		return true;
	do {
		(void)write_dirty(d, d->count);
		blk_watch(d->blk);
	} while (!waitq_wait(&d->changed, &d->lock, is_clean, d, arch_now_ns() + NS_PER_MS));
	bool good = flush_device(d);
	unsigned long flags = spin_lock_irqsave(&d->lock);
	good = good && !d->write_failed;
	d->write_failed = false;
	d->flushes++;
	spin_unlock_irqrestore(&d->lock, flags);
	return good;
}

/* ---- life ---- */

static bool make_blocks(struct disk *d, unsigned count)
{
	d->blocks = mem_alloc(count * sizeof(*d->blocks));
	d->data = mem_pages(count);
	if (!d->blocks || !d->data)
		return false;
	d->count = count;
	for (unsigned i = 0; i < count; i++) {
		struct block *b = &d->blocks[i];
		b->disk = d;
		b->data = d->data + (size_t)i * DISK_BLOCK_BYTES;
		list_init(&b->hash);
		list_append(&d->lru, &b->lru);
	}
	return true;
}

struct disk *disk_create(struct blk *blk, unsigned cache_blocks)
{
	struct disk *d = mem_alloc(sizeof(*d));
	if (!d)
		return NULL;
	spin_init_named(&d->lock, "disk");
	waitq_init(&d->changed);
	list_init(&d->lru);
	for (unsigned i = 0; i < HASH_BUCKETS; i++)
		list_init(&d->hash[i]);
	d->blk = blk;
	d->bytes = blk->sectors * SECTOR_BYTES;
	d->next_block = UINT64_MAX;
	bool good = iosched_init(&d->sched, blk) && make_blocks(d, cache_blocks);
	d->writer = good ? task_start("write-back", PRIO_BACKGROUND, writer, d) : NULL;
	if (!d->writer) {
		mem_free(d->sched.batches);
		mem_free(d->blocks);
		mem_pages_free(d->data);
		mem_free(d);
		return NULL;
	}
	return d;
}

void disk_set_label(struct disk *d, policy_label_t label)
{
	d->label = label;
}

void disk_destroy(struct disk *d)
{
	sec_label_put(d->label);
	(void)disk_flush(d);
	__atomic_store_n(&d->stopping, true, __ATOMIC_RELEASE);
	task_wake(d->writer);
	task_join(d->writer);
	d->blk->room = NULL;
	if (blk_has_memory(d->blk))
		return; /* nobody may ever have it */
	mem_free(d->sched.batches);
	mem_free(d->blocks);
	mem_pages_free(d->data);
	mem_free(d);
}

void disk_stats(const struct disk *d, struct disk_stats *out)
{
	*out = (struct disk_stats){
	        .blocks = d->count,
	        .dirty = d->dirty,
	        .hits = d->hits,
	        .misses = d->misses,
	        .read_ahead = d->ahead,
	        .read_ahead_used = d->ahead_used,
	        .reads = d->blk->reads,
	        .writes = d->blk->writes,
	        .flushes = d->blk->flush_count,
	        .errors = d->blk->errors,
	        .scheduled = d->sched.submitted,
	        .merged = d->sched.merged,
	        .overdue = d->sched.expired,
	};
}
