/*
 * Every lie of a device's, on every way that a driver uses a queue: the kernel says what is wrong,
 * once; nobody waits for good; and the device is reset before its memory is anyone else's.
 */
#include <string.h>

#include "gk_vdev.h"
#include "guest-kernel/block/disk.h"
#include "guest-kernel/drivers/devices.h"

#define LIMIT_NS   (2 * BLK_ANSWER_NS) /* the longest that anyone waits for a silent device */
#define DISK_BYTES (8u << 20)

static struct devices *found;

static uint32_t fill(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count)
{
	(void)v, (void)queue;
	uint32_t len = 0;
	for (unsigned i = 0; i < count; i++) {
		if (!segs[i].writable)
			continue;
		memset(segs[i].data, 0, segs[i].len);
		len += segs[i].len;
	}
	return len;
}

/* The first queue is for what the device says of itself. */
static uint32_t keep_first(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count)
{
	return queue == 0 ? UINT32_MAX : fill(v, queue, segs, count);
}

/* ---- the ways; V begins to lie where each of them says ---- */

static enum vdev_lie the_lie;

static void reset_later(void *arg)
{
	task_sleep(100 * NS_PER_MS);
	vdev_ask_reset(arg);
}

static void begin(struct vdev *v)
{
	v->lie = the_lie;
	if (the_lie != VDEV_LATE_RESET)
		return;
	struct task *t = task_start("resets", PRIO_DRIVER, reset_later, v);
	ck_assert_ptr_nonnull(t);
	task_detach(t);
}

/* Until what comes by itself has come. */
static void let_it_come(void)
{
	task_sleep(the_lie == VDEV_LATE_RESET ? 200 * NS_PER_MS : NS_PER_MS);
}

static void ask_rng(struct vdev *v)
{
	begin(v);
	entropy_reseed(&found->entropy);
	entropy_reseed(&found->entropy);
}

static struct disk *open_disk(void)
{
	struct disk *d = disk_create(found->disks[0], DISK_CACHE_MIN);
	ck_assert_ptr_nonnull(d);
	return d;
}

static void read_disk(struct vdev *v)
{
	uint8_t out[100];
	struct disk *d = open_disk();
	ck_assert(disk_read(d, 0, out, sizeof(out)));
	begin(v);
	ck_assert(!disk_read(d, 1 << 20, out, sizeof(out)));
	ck_assert(!disk_read(d, 2 << 20, out, sizeof(out)));
	disk_destroy(d);
}

static void write_disk(struct vdev *v)
{
	struct disk *d = open_disk();
	uint8_t *data = mem_alloc(DISK_BLOCK_BYTES);
	ck_assert_ptr_nonnull(data);
	begin(v);
	ck_assert(disk_write(d, 0, data, DISK_BLOCK_BYTES));
	ck_assert(!disk_flush(d));
	mem_free(data);
	disk_destroy(d);
}

static void flush_disk(struct vdev *v)
{
	struct disk *d = open_disk();
	ck_assert(disk_flush(d));
	begin(v);
	ck_assert(!disk_flush(d));
	ck_assert(!disk_flush(d));
	disk_destroy(d);
}

static unsigned woken;

static void on_wake(void *ctx)
{
	(void)ctx;
	woken++;
}

static void card_is_told(const struct nic *n)
{
	ck_assert(the_lie == VDEV_SILENT || (woken > 0 && !n->link));
}

static void receive(struct vdev *v)
{
	struct nic *n = found->nics[0];
	uint8_t *data = mem_alloc(2048), frame[72] = {0};
	uint32_t len;
	ck_assert_ptr_nonnull(data);
	nic_start(n, on_wake, NULL);
	ck_assert(nic_offer(n, 0, data, 2048, data));
	ck_assert(nic_listen(n, 0));
	begin(v);
	ck_assert(vdev_push(v, 0, frame, sizeof(frame)));
	let_it_come();
	/* The same id twice is seen before either is believed. */
	ck_assert_ptr_null(nic_receive(n, 0, &len));
	ck_assert(!nic_offer(n, 0, data, 2048, data) || the_lie == VDEV_SILENT);
	card_is_told(n);
	nic_stop(n);
	while (nic_recall(n))
		;
	mem_free(data);
}

static void send(struct vdev *v)
{
	struct nic *n = found->nics[0];
	uint8_t *data = mem_alloc(100);
	struct virtq_seg seg = {data, 100, false};
	ck_assert_ptr_nonnull(data);
	nic_start(n, on_wake, NULL);
	begin(v);
	ck_assert(nic_send(n, 0, &(struct nic_hdr){0}, &seg, 1, data));
	nic_kick(n, 0);
	let_it_come();
	ck_assert_ptr_null(nic_sent(n, 0));
	ck_assert(!nic_send(n, 0, &(struct nic_hdr){0}, &seg, 1, data) || the_lie == VDEV_SILENT);
	card_is_told(n);
	nic_stop(n);
	while (nic_recall_sent(n))
		;
	mem_free(data);
}

/* As the shipped kernel has it: what it says goes to this console too, its fault included. */
static void to_all(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	arch_console_write(text, len);
	console_write(found->console, text, len);
}

static unsigned typed;

static void on_typed(void *ctx, const char *text, size_t len)
{
	(void)ctx, (void)text, (void)len;
	typed++;
}

static void type(struct vdev *v)
{
	kernel_of_cpu()->console = to_all;
	found->console->input = on_typed;
	begin(v);
	ck_assert(vdev_push(v, 0, "key", 3));
	let_it_come();
	ck_assert_uint_eq(typed, 0);
	log_error("more");
}

static void print(struct vdev *v)
{
	char text[100] = {0};
	kernel_of_cpu()->console = to_all;
	begin(v);
	for (unsigned i = 0; i < 100; i++)
		console_write(found->console, text, sizeof(text));
	let_it_come();
	log_error("more");
	ck_assert_uint_gt(found->console->dropped, 0);
}

static void wish(struct vdev *v, uint32_t pages)
{
	memcpy(v->config, &pages, 4);
	vdev_config_changed(v);
	task_sleep(100 * NS_PER_MS);
}

static uint32_t task_count(void)
{
	return __atomic_load_n(&kernel_of_cpu()->sched.task_count, __ATOMIC_RELAXED);
}

static uint32_t tasks; /* with the balloon's, which ends with its device */

static void balloon_waits(void)
{
	task_sleep(the_lie == VDEV_SILENT ? 6 * NS_PER_S : 200 * NS_PER_MS);
	ck_assert_uint_eq(task_count(), tasks - 1);
	rig_lost(1, 0);
}

static void inflate(struct vdev *v)
{
	begin(v);
	wish(v, 5);
	balloon_waits();
	ck_assert_uint_eq(found->balloon->actual_pages, 0);
}

static void deflate(struct vdev *v)
{
	wish(v, 5);
	ck_assert_uint_eq(found->balloon->actual_pages, 5);
	begin(v);
	wish(v, 0);
	balloon_waits();
	ck_assert_uint_eq(found->balloon->actual_pages, 5);
}

static const struct way {
	uint32_t id;
	uint64_t features;
	void (*use)(struct vdev *v);
	const char *silence; /* what the kernel says of a device that is silent; NULL: nothing */
	bool keeps_first;
} ways[] = {
        {VIRTIO_ID_RNG, 0, ask_rng, "virtio-rng gives nothing", false},
        {VIRTIO_ID_BLOCK, 1 << 9, read_disk, "has not answered a request for 30 s", false},
        {VIRTIO_ID_BLOCK, 1 << 9, write_disk, "has not answered a request for 30 s", false},
        {VIRTIO_ID_BLOCK, 1 << 9, flush_disk, "has not answered a request for 30 s", false},
        {VIRTIO_ID_NET, 0, receive, NULL, true},
        {VIRTIO_ID_NET, 0, send, NULL, true},
        {VIRTIO_ID_CONSOLE, 0, type, NULL, true},
        {VIRTIO_ID_CONSOLE, 0, print, NULL, true},
        {VIRTIO_ID_BALLOON, 0, inflate, "does not answer", false},
        {VIRTIO_ID_BALLOON, 0, deflate, "does not answer", false},
};

#define WAYS ((int)(sizeof(ways) / sizeof(ways[0])))
#define LIES ((int)VDEV_LIES - 1) /* without honesty */

/* ---- and what is to come of it ---- */

static const char *const said[VDEV_LIES] = {
        [VDEV_WRONG_ID] = "says it is done with what it was not given",
        [VDEV_HUGE_ID] = "says it is done with what it was not given",
        [VDEV_LONG_LENGTH] = "says it has written more than it could",
        [VDEV_TWICE] = "says it is done with more than it was given",
        [VDEV_JUMP] = "says it is done with more than it was given",
        [VDEV_NO_FEATURES] = "does not agree to its own features",
        [VDEV_NO_QUEUE] = "has not the queues that it should",
        [VDEV_NEEDS_RESET] = "asks to be reset",
        [VDEV_LATE_RESET] = "asks to be reset",
};

struct run {
	struct vdev *v;
	const struct way *way;
};

static void is_said(const struct run *r)
{
	char line[160];
	const char *what = the_lie == VDEV_SILENT ? r->way->silence : said[the_lie];
	if (!what)
		return;
	bool whole = the_lie == VDEV_SILENT && r->way->id == VIRTIO_ID_RNG;
	(void)snprintf(line, sizeof(line), "virtio-%s in slot 0: %s", virtio_name(r->way->id),
	               what);
	ck_assert_msg(rig_said(whole ? what : line) == 1, "not said, or twice: %s", line);
}

/* A device that is given up is reset, and nothing that it does later is heard. */
static void is_given_up(const struct run *r)
{
	unsigned lines = rig_said("\n"), kicks = r->v->kicks;
	ck_assert_uint_eq(rig_said("it is not used any more"), 1);
	for (unsigned i = 0; i < VDEV_QUEUES; i++)
		ck_assert_uint_eq(r->v->queue[i].ready, 0);
	r->v->lie = VDEV_HONEST;
	vdev_config_changed(r->v);
	task_sleep(NS_PER_S);
	ck_assert_uint_eq(rig_said("\n"), lines);
	ck_assert_uint_eq(r->v->kicks, kicks);
}

static void lie_body(void *arg)
{
	const struct run *r = arg;
	bool refused = the_lie == VDEV_NO_FEATURES || the_lie == VDEV_NO_QUEUE;
	if (refused)
		begin(r->v);
	found = mem_alloc(sizeof(*found));
	ck_assert_ptr_nonnull(found);
	devices_find(found, kernel_of_cpu()->boot);
	rig_keep();
	ck_assert_uint_eq(found->found, 1);
	ck_assert_uint_eq(found->refused, refused);
	tasks = task_count();
	uint64_t start = arch_now_ns();
	if (!refused)
		r->way->use(r->v);
	ck_assert_uint_lt(arch_now_ns() - start, the_lie == VDEV_SILENT ? LIMIT_NS : NS_PER_S / 2);
	is_said(r);
	if (refused)
		ck_assert_uint_eq(rig_said("; it is left out"), 1);
	else if (the_lie != VDEV_SILENT)
		is_given_up(r);
}

START_TEST(a_lie_is_told_and_nobody_hangs)
{
	const struct way *way = &ways[_i / LIES];
	struct vdev v = {
	        .id = way->id,
	        .features = way->features,
	        .answer = way->keeps_first ? keep_first : fill,
	};
	uint64_t sectors = DISK_BYTES / SECTOR_BYTES;
	struct run r = {&v, way};
	if (way->id == VIRTIO_ID_BLOCK)
		memcpy(v.config, &sectors, sizeof(sectors));
	the_lie = (enum vdev_lie)(1 + _i % LIES);
	vdev_run((struct vdev *[]){&v}, 1, lie_body, &r);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("lies");
	tcase_add_loop_test(tc, a_lie_is_told_and_nobody_hangs, 0, WAYS * LIES);
	return suite_run("gk_lies", tc);
}
