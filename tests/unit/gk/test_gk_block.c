/* Disks: driver, scheduler and cache, against a model of the medium. */
#include <string.h>

#include "gk_policy.h"
#include "gk_vdev.h"
#include "guest-kernel/block/disk.h"
#include "guest-kernel/drivers/devices.h"
#include "guest-kernel/security/security.h"

#define SECTORS_ALL 8003u /* not whole blocks */
#define BYTES_ALL   (SECTORS_ALL * 512u)

#define F_FLUSH     (1ull << 9)
#define F_RO        (1ull << 5)

/*
 * The device, with a cache that forgets: a write is stable only when a flush has come after the
 * driver has heard that the write is done. Both are told apart by the pass over the queue that they
 * were worked off in.
 */
static struct medium {
	uint8_t data[BYTES_ALL];         /* as a read finds it */
	uint8_t stable[BYTES_ALL];       /* as it is after a power failure */
	unsigned written[SECTORS_ALL];   /* the pass of a write that is not stable; 0: none */
	unsigned heard;                  /* the last pass whose interrupt has been acknowledged */
	bool writes_through, slow, idle; /* idle: slow, and its time has not come */
	unsigned reads, writes, flushes;
	unsigned fail_next;
	uint8_t lie_status; /* instead of the status */
	bool short_read;
} medium;

static void make_stable(unsigned up_to)
{
	for (size_t i = 0; i < SECTORS_ALL; i++) {
		if (medium.written[i] == 0 || medium.written[i] > up_to)
			continue;
		memcpy(medium.stable + i * 512, medium.data + i * 512, 512);
		medium.written[i] = 0;
	}
}

static void wrote(const struct vdev *v, uint64_t sector, uint64_t end)
{
	for (; sector < end; sector++)
		medium.written[sector] = v->kicks;
	if (medium.writes_through)
		make_stable(v->kicks);
}

static uint32_t move_data(uint32_t type, uint64_t sector, struct vdev_seg *segs, unsigned count)
{
	uint64_t at = sector * 512;
	uint32_t moved = 0;
	for (unsigned i = 0; i < count; i++) {
		ck_assert(segs[i].writable == (type == 0));
		ck_assert_uint_le(at + segs[i].len, BYTES_ALL);
		if (type == 0)
			memcpy(segs[i].data, medium.data + at, segs[i].len);
		else
			memcpy(medium.data + at, segs[i].data, segs[i].len);
		at += segs[i].len;
		moved += segs[i].len;
	}
	return moved;
}

static uint32_t blk_answer(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count)
{
	uint32_t type, moved = 0;
	uint64_t sector;
	ck_assert_uint_eq(queue, 0);
	ck_assert_uint_ge(count, 2);
	ck_assert_uint_eq(segs[0].len, 16);
	ck_assert_uint_eq(segs[count - 1].len, 1);
	memcpy(&type, segs[0].data, 4);
	memcpy(&sector, segs[0].data + 8, 8);
	uint8_t *status = segs[count - 1].data;
	if (v->lie == VDEV_SILENT || v->lie == VDEV_NEEDS_RESET) {
		if (v->ctx && type == 0)
			*(struct vdev_seg *)v->ctx = segs[1];
		return 0;
	}
	if (medium.idle)
		return UINT32_MAX;
	if (!(v->interrupt & 1))
		medium.heard = v->kicks - 1;
	*status = 0;
	if (medium.fail_next > 0) {
		medium.fail_next--;
		*status = 1;
		return 1;
	}
	if (type == 4) {
		medium.flushes++;
		make_stable(medium.heard);
		return 1;
	}
	ck_assert_uint_le(type, 1);
	moved = move_data(type, sector, segs + 1, count - 2);
	*(type == 0 ? &medium.reads : &medium.writes) += 1;
	if (medium.lie_status)
		*status = medium.lie_status;
	if (type == 1)
		wrote(v, sector, sector + moved / 512);
	if (type == 1)
		return 1;
	return medium.short_read ? 1 : moved + 1;
}

static struct disk *open_disk(struct devices *d, unsigned blocks)
{
	*d = (struct devices){0};
	devices_find(d, kernel_of_cpu()->boot);
	rig_keep();
	ck_assert_uint_eq(d->disk_count, 1);
	struct disk *disk = disk_create(d->disks[0], blocks);
	ck_assert_ptr_nonnull(disk);
	ck_assert_uint_eq(disk_bytes(disk), BYTES_ALL);
	return disk;
}

static struct devices devices;
static uint8_t model[BYTES_ALL], buffer[65536];

static struct vdev make_device(uint64_t features)
{
	struct vdev v = {.id = VIRTIO_ID_BLOCK, .features = features, .answer = blk_answer};
	uint64_t sectors = SECTORS_ALL;
	uint64_t seed = 123456789;
	memcpy(v.config, &sectors, 8);
	for (size_t i = 0; i < BYTES_ALL; i++)
		medium.data[i] = medium.stable[i] = model[i] = (uint8_t)rig_random(&seed);
	medium.writes_through = !(features & F_FLUSH);
	return v;
}

/* A slow device works its queue off every two milliseconds. */
static void be_slow(void *arg)
{
	while (medium.slow) {
		task_sleep(2 * NS_PER_MS);
		medium.idle = false;
		vdev_resume(arg, 0);
		medium.idle = medium.slow;
	}
}

static struct task *start_device(struct vdev *v, bool slow)
{
	medium.slow = medium.idle = slow;
	struct task *t = task_start("device", PRIO_DRIVER, be_slow, v);
	ck_assert_ptr_nonnull(t);
	return t;
}

static void stop_device(struct task *t)
{
	medium.slow = medium.idle = false;
	task_join(t);
}

static uint64_t random_seed;
static bool random_slow;

/* Random reads, writes and flushes, of any size and place, must do as plain memory. */
static void random_body(void *arg)
{
	struct vdev *v = arg;
	struct disk *d = open_disk(&devices, DISK_CACHE_MIN);
	uint64_t seed = random_seed;
	struct task *device = start_device(v, random_slow);
	for (unsigned i = 0; i < 1000; i++) {
		size_t len = rig_random(&seed) % (i % 8 ? 9000 : sizeof(buffer));
		uint64_t at = rig_random(&seed) % (BYTES_ALL - len + 1);
		switch (rig_random(&seed) % 8) {
		case 0:
		case 1:
		case 2:
			for (size_t k = 0; k < len; k++)
				buffer[k] = (uint8_t)(rig_random(&seed) >> 8);
			ck_assert(disk_write(d, at, buffer, len));
			memcpy(model + at, buffer, len);
			break;
		case 3:
			if (rig_random(&seed) % 8)
				break;
			ck_assert(disk_flush(d));
			ck_assert_mem_eq(medium.stable, model, BYTES_ALL);
			break;
		case 4:
			task_sleep(rig_random(&seed) % (200 * NS_PER_MS));
			break;
		default:
			ck_assert(disk_read(d, at, buffer, len));
			ck_assert_mem_eq(buffer, model + at, len);
			break;
		}
	}
	disk_destroy(d);
	stop_device(device);
	ck_assert_mem_eq(medium.stable, model, BYTES_ALL);
}

START_TEST(a_disk_does_as_memory)
{
	struct vdev v = make_device((_i % 8 == 7 ? 0 : F_FLUSH) |
	                            (_i % 2 ? VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC : 0));
	random_seed = 4711u + (unsigned)_i;
	random_slow = _i & 2;
	vdev_run((struct vdev *[]){&v}, 1, random_body, &v);
	ck_assert(_i % 2 == 0 || v.indirect > 0);
}
END_TEST

/* Several tasks, each with its own part of the disk. */
#define WORKERS 5u

static struct disk *shared;
static bool parts_slow;

static void work_part(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	uint64_t size = BYTES_ALL / WORKERS, base = me * size, seed = 99 + me;
	uint8_t *mine = mem_alloc(20000);
	ck_assert_ptr_nonnull(mine);
	for (unsigned i = 0; i < 300; i++) {
		size_t len = rig_random(&seed) % 20000;
		uint64_t at = base + rig_random(&seed) % (size - len);
		if (rig_random(&seed) % 2) {
			memset(mine, (int)rig_random(&seed), len);
			ck_assert(disk_write(shared, at, mine, len));
			memcpy(model + at, mine, len);
		} else {
			ck_assert(disk_read(shared, at, mine, len));
			ck_assert_mem_eq(mine, model + at, len);
		}
		if (i % 100 != 99)
			continue;
		ck_assert(disk_flush(shared));
		ck_assert_mem_eq(medium.stable + base, model + base, size);
	}
	mem_free(mine);
}

static void parts_body(void *arg)
{
	struct task *t[WORKERS];
	shared = open_disk(&devices, DISK_CACHE_MIN);
	struct task *device = start_device(arg, parts_slow);
	for (unsigned i = 0; i < WORKERS; i++) {
		t[i] = task_start("part", PRIO_DEFAULT, work_part, (void *)(uintptr_t)i);
		ck_assert_ptr_nonnull(t[i]);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		task_join(t[i]);
	disk_destroy(shared);
	stop_device(device);
	ck_assert_mem_eq(medium.stable, model, BYTES_ALL);
}

START_TEST(tasks_share_a_disk)
{
	struct vdev v = make_device(F_FLUSH | VIRTIO_F_INDIRECT_DESC);
	parts_slow = _i;
	vdev_run((struct vdev *[]){&v}, 1, parts_body, &v);
}
END_TEST

static void sequential_body(void *arg)
{
	struct disk_stats st;
	(void)arg;
	struct disk *d = open_disk(&devices, 256);
	for (uint64_t at = 0; at < 2 << 20; at += 4096)
		ck_assert(disk_read(d, at, buffer, 4096));
	disk_stats(d, &st);
	ck_assert_uint_lt(medium.reads, 80); /* of 512 blocks */
	ck_assert_uint_gt(st.read_ahead_used, 480);
	ck_assert_uint_ge(st.read_ahead_used + 40, st.read_ahead);

	/* Jumps are not followed. */
	unsigned long ahead = st.read_ahead;
	for (unsigned i = 0; i < 50; i++)
		ck_assert(disk_read(d, (uint64_t)(i * 379 % 997) * 4096, buffer, 512));
	disk_stats(d, &st);
	ck_assert_uint_le(st.read_ahead - ahead, 16);

	/* What was written piece by piece goes out in large requests, in order. */
	medium.writes = 0;
	for (unsigned i = 0; i < 100; i++)
		ck_assert(disk_write(d, (uint64_t)(i * 7 % 100) * 4096, buffer, 4096));
	ck_assert_uint_eq(medium.writes, 0);
	ck_assert(disk_flush(d));
	ck_assert_uint_le(medium.writes, 8);
	ck_assert_uint_eq(medium.flushes, 1);

	ck_assert_mem_eq(medium.stable + 99 * 4096, buffer, 4096);

	/* And by itself after some seconds, if not to last. */
	ck_assert(disk_write(d, 12345, "x", 1));
	task_sleep(11 * NS_PER_S);
	ck_assert_uint_eq(medium.data[12345], 'x');
	ck_assert_uint_ne(medium.stable[12345], 'x');
	disk_destroy(d);
}

START_TEST(reads_run_ahead_and_writes_are_merged)
{
	struct vdev v = make_device(F_FLUSH | VIRTIO_F_INDIRECT_DESC);
	vdev_run((struct vdev *[]){&v}, 1, sequential_body, NULL);
}
END_TEST

static void limits_body(void *arg)
{
	(void)arg;
	struct disk *d = open_disk(&devices, DISK_CACHE_MIN);
	ck_assert(!disk_read(d, BYTES_ALL, buffer, 1));
	ck_assert(!disk_read(d, UINT64_MAX, buffer, 2));
	ck_assert(!disk_write(d, BYTES_ALL - 1, buffer, 2));
	ck_assert(disk_read(d, BYTES_ALL, buffer, 0));
	ck_assert(disk_read(d, BYTES_ALL - 700, buffer, 700));
	ck_assert_mem_eq(buffer, model + BYTES_ALL - 700, 700);

	/* A read that fails is told, and may be tried again. */
	medium.fail_next = 1;
	ck_assert(!disk_read(d, 400000, buffer, 10));
	ck_assert(disk_read(d, 400000, buffer, 10));
	ck_assert_mem_eq(buffer, model + 400000, 10);

	/* A good status that nothing was read for is none. */
	medium.short_read = true;
	ck_assert(!disk_read(d, 800000, buffer, 10));
	medium.short_read = false;
	medium.lie_status = 0x77;
	ck_assert(!disk_read(d, 900000, buffer, 10));
	medium.lie_status = 0;

	/* A write that could not be done is told by the next flush, once. */
	ck_assert(disk_write(d, 0, buffer, 4096));
	medium.fail_next = 1;
	ck_assert(!disk_flush(d));
	ck_assert(disk_flush(d));
	medium.fail_next = 0;
	disk_destroy(d);
}

START_TEST(limits_and_failures_are_told)
{
	struct vdev v = make_device(F_FLUSH);
	vdev_run((struct vdev *[]){&v}, 1, limits_body, NULL);
}
END_TEST

static void read_only_body(void *arg)
{
	(void)arg;
	struct disk *d = open_disk(&devices, DISK_CACHE_MIN);
	ck_assert(disk_read_only(d));
	ck_assert(!disk_write(d, 0, buffer, 1));
	ck_assert(disk_flush(d));
	ck_assert_uint_eq(medium.flushes, 0);
	disk_destroy(d);
}

START_TEST(a_read_only_disk_is_not_written)
{
	struct vdev v = make_device(F_RO);
	vdev_run((struct vdev *[]){&v}, 1, read_only_body, NULL);
}
END_TEST

/* A disk that lies breaks; what waits for it is told, and the kernel goes on. */
static void lying_body(void *arg)
{
	struct vdev *v = arg;
	struct disk *d = open_disk(&devices, DISK_CACHE_MIN);
	ck_assert(disk_read(d, 0, buffer, 512));
	v->lie = VDEV_HUGE_ID;
	ck_assert(!disk_read(d, 1 << 20, buffer, 512));
	ck_assert(!disk_read(d, 2 << 20, buffer, 512));
	ck_assert(disk_read(d, 0, buffer, 512)); /* from the cache */
	disk_destroy(d);
}

START_TEST(a_lying_disk_is_given_up)
{
	struct vdev v = make_device(F_FLUSH);
	vdev_run((struct vdev *[]){&v}, 1, lying_body, &v);
}
END_TEST

/* ---- a disk that gives no answer ---- */

#define SILENCE "has not answered a request for 30 s; it is not used any more"

static struct disk *quiet_disk;
static unsigned told; /* tasks that have got their error */

static void ask_and_fail(void *arg)
{
	uint8_t out[16];
	if (arg)
		ck_assert(!disk_flush(quiet_disk));
	else
		ck_assert(!disk_read(quiet_disk, 1 << 20, out, sizeof(out)));
	told++;
}

/* Readers and flushers that wait while the disk fails are all told, within LIMIT_NS. */
static void wait_in_vain(uint64_t limit_ns)
{
	struct task *t[4];
	uint64_t end = arch_now_ns() + limit_ns;
	for (uintptr_t i = 0; i < 4; i++) {
		t[i] = task_start("asks", PRIO_DEFAULT, ask_and_fail, (void *)(i & 1));
		ck_assert_ptr_nonnull(t[i]);
	}
	while (told < 4 && arch_now_ns() < end)
		task_sleep(100 * NS_PER_MS);
	ck_assert_uint_eq(told, 4);
	for (unsigned i = 0; i < 4; i++)
		task_join(t[i]);
}

/* Then the kernel goes on: everything fails at once, and the end is not held up. */
static void given_up(struct disk *d, const char *why)
{
	uint64_t start = arch_now_ns();
	ck_assert_uint_eq(rig_said(why), 1);
	ck_assert_uint_eq(rig_said("it is not used any more"), 1);
	for (unsigned i = 0; i < 2 * DISK_CACHE_MIN; i++)
		ck_assert(!disk_read(d, (uint64_t)(300 + i) * 4096, buffer, 10));
	/* As power_off does. */
	ck_assert(disk_write(d, 1 << 19, buffer, 4096));
	ck_assert(!disk_flush(d));
	disk_destroy(d);
	ck_assert_uint_lt(arch_now_ns() - start, NS_PER_S);
}

static void silent_body(void *arg)
{
	struct vdev *v = arg;
	quiet_disk = open_disk(&devices, DISK_CACHE_MIN);
	ck_assert(disk_write(quiet_disk, 5 * 4096, buffer, 4096)); /* for the flushers */
	v->lie = VDEV_SILENT;
	wait_in_vain(BLK_ANSWER_NS + 2 * BLK_LOOK_NS);
	ck_assert_uint_ge(arch_now_ns(), BLK_ANSWER_NS);
	ck_assert_uint_eq(v->status, 128); /* it has been reset, and knows that it is given up */
	ck_assert_uint_eq(v->queue[0].ready, 0);
	given_up(quiet_disk, SILENCE "\n");
}

START_TEST(a_silent_disk_is_given_up)
{
	struct vdev v = make_device(F_FLUSH | VIRTIO_F_INDIRECT_DESC);
	vdev_run((struct vdev *[]){&v}, 1, silent_body, &v);
}
END_TEST

static void needs_reset_body(void *arg)
{
	struct vdev *v = arg;
	quiet_disk = open_disk(&devices, DISK_CACHE_MIN);
	ck_assert(disk_write(quiet_disk, 5 * 4096, buffer, 4096));
	v->lie = VDEV_NEEDS_RESET;
	wait_in_vain(200 * NS_PER_MS);
	given_up(quiet_disk, "virtio-blk in slot 0: asks to be reset; it is not used any more\n");
}

START_TEST(a_disk_that_asks_to_be_reset_is_given_up)
{
	struct vdev v = make_device(F_FLUSH);
	vdev_run((struct vdev *[]){&v}, 1, needs_reset_body, &v);
}
END_TEST

#define DISK_PARTS 4u /* struct disk, its blocks, their data, the scheduler's batches */

/* Where the reset does not come about either, the device's hand is still on what it was given. */
static void stuck_body(void *arg)
{
	struct vdev *v = arg;
	struct vdev_seg given = {0};
	quiet_disk = open_disk(&devices, DISK_CACHE_MIN);
	v->lie = VDEV_SILENT;
	v->no_reset = true;
	v->ctx = &given;
	wait_in_vain(BLK_ANSWER_NS + 2 * BLK_LOOK_NS);
	ck_assert_ptr_nonnull(given.data);
	memset(buffer, 0x11, 4096);
	for (unsigned i = 0; i < 2 * DISK_CACHE_MIN; i++) {
		uint8_t back[16];
		ck_assert(disk_write(quiet_disk, i * 4096, buffer, 4096));
		memset(given.data, 0x77, given.len);
		ck_assert(disk_read(quiet_disk, i * 4096, back, sizeof(back)));
		ck_assert_mem_eq(back, buffer, sizeof(back));
	}
	given_up(quiet_disk, SILENCE ", nor is the memory that it has: it does not reset\n");
	/* All that there is, and what the device has is not among it. */
	static uint8_t *pages[8192];
	unsigned count = 0;
	for (; count < 8192 && (pages[count] = mem_pages(1)); count++)
		ck_assert(given.data + given.len <= pages[count] ||
		          pages[count] + ARCH_PAGE_SIZE <= given.data);
	ck_assert_uint_gt(count, 1000);
	ck_assert_uint_lt(count, 8192);
	memset(given.data, 0x77, given.len);
	while (count > 0)
		mem_pages_free(pages[--count]);
	rig_lost(0, DISK_PARTS + 2); /* and the flushers' requests */
}

START_TEST(a_disk_that_does_not_reset_keeps_its_memory)
{
	struct vdev v = make_device(F_FLUSH);
	vdev_run((struct vdev *[]){&v}, 1, stuck_body, &v);
}
END_TEST

/* Where that is all that the cache has, nobody waits for a block. */
static void robbed_body(void *arg)
{
	struct vdev *v = arg;
	uint64_t start;
	quiet_disk = open_disk(&devices, DISK_CACHE_MIN);
	v->lie = VDEV_SILENT;
	v->no_reset = true;
	for (unsigned i = 0; i < DISK_CACHE_MIN; i++)
		ck_assert(disk_write(quiet_disk, i * 4096, buffer, 4096));
	ck_assert(!disk_flush(quiet_disk));
	start = arch_now_ns();
	ck_assert(!disk_read(quiet_disk, 1 << 20, buffer, 1));
	ck_assert(!disk_read(quiet_disk, 0, buffer, 1));
	ck_assert(!disk_write(quiet_disk, 1 << 20, buffer, 4096));
	ck_assert(!disk_write(quiet_disk, 0, buffer, 4096));
	ck_assert(!disk_flush(quiet_disk));
	disk_destroy(quiet_disk);
	ck_assert_uint_lt(arch_now_ns() - start, NS_PER_S);
	rig_lost(0, DISK_PARTS);
}

START_TEST(a_disk_may_take_the_whole_cache_along)
{
	struct vdev v = make_device(F_FLUSH | VIRTIO_F_INDIRECT_DESC);
	vdev_run((struct vdev *[]){&v}, 1, robbed_body, &v);
}
END_TEST

/* A machine that stood still for an hour has no broken disk; nor one whose disk is slow. */
static void standstill_body(void *arg)
{
	struct vdev *v = arg;
	struct blk *b;
	quiet_disk = open_disk(&devices, DISK_CACHE_MIN);
	b = devices.disks[0];
	task_sleep(3601 * NS_PER_S);
	v->lie = VDEV_SILENT;
	struct task *t = task_start("asks", PRIO_DEFAULT, ask_and_fail, NULL);
	ck_assert_ptr_nonnull(t);
	task_sleep(3 * NS_PER_S);
	b->looked_ns -= 3600 * NS_PER_S;
	blk_watch(b);
	task_sleep(BLK_ANSWER_NS - 2 * BLK_LOOK_NS);
	ck_assert(!b->dev.broken);
	task_join(t);
	ck_assert(b->dev.broken);
	disk_destroy(quiet_disk);
}

START_TEST(time_that_nobody_saw_does_not_count)
{
	struct vdev v = make_device(F_FLUSH);
	vdev_run((struct vdev *[]){&v}, 1, standstill_body, &v);
}
END_TEST

/* ---- the policy ---- */

static struct disk *asked_disk;
static bool may_read, may_write;

/* A record for each that is denied, and none else. */
static void use_disk(void *arg)
{
	uint64_t first = rig_records();
	unsigned requests = medium.reads + medium.writes;
	(void)arg;
	ck_assert_int_eq(disk_read(asked_disk, 0, buffer, 512), may_read);
	ck_assert_int_eq(rig_recorded(first, "denied  { read }"), !may_read);
	ck_assert_int_eq(disk_write(asked_disk, 4096, buffer, 512), may_write);
	ck_assert_int_eq(rig_recorded(first, "denied  { write }"), !may_write);
	if (may_read && may_write)
		return;
	ck_assert(rig_recorded(first, "name=\"disk:/disk0\""));
	ck_assert(rig_recorded(first, "tclass=blk_file permissive=0"));
	ck_assert(may_read || medium.reads + medium.writes == requests);
}

static void use_as(const char *service, bool read, bool write)
{
	may_read = read;
	may_write = write;
	struct task *t = sec_service_start(service, PRIO_DEFAULT, use_disk, NULL);
	ck_assert_ptr_nonnull(t);
	task_join(t);
}

static void policy_body(void *arg)
{
	struct kernel *k = kernel_of_cpu();
	const char *why = "";
	(void)arg;
	asked_disk = open_disk(&devices, 16);
	ck_assert_msg(security_start(k, &why), "%s", why);
	disk_set_label(asked_disk,
	               sec_label("disk", "/disk0", POLICY_CLASS_BLK_FILE, "disk:/disk0"));
	use_as("http", false, false);
	use_as("net", false, false);
	use_as("shell", true, true);
	use_as("block", true, true);
	ck_assert_int_eq(security_set_bool(k, "shell_may_use_disks", false), POLICY_OK);
	use_as("shell", false, false);
	rig_policy("block disk:/disk0 write deny\n");
	use_as("block", true, false);
	disk_destroy(asked_disk);
	security_stop(k);
}

START_TEST(a_disk_is_for_whom_the_policy_lets)
{
	struct vdev v = make_device(F_FLUSH);
	vdev_run((struct vdev *[]){&v}, 1, policy_body, NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("block");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_disk_does_as_memory, 0, 8);
	tcase_add_loop_test(tc, tasks_share_a_disk, 0, 2);
	tcase_add_test(tc, reads_run_ahead_and_writes_are_merged);
	tcase_add_test(tc, limits_and_failures_are_told);
	tcase_add_test(tc, a_read_only_disk_is_not_written);
	tcase_add_test(tc, a_lying_disk_is_given_up);
	tcase_add_test(tc, a_silent_disk_is_given_up);
	tcase_add_test(tc, a_disk_that_asks_to_be_reset_is_given_up);
	tcase_add_test(tc, a_disk_that_does_not_reset_keeps_its_memory);
	tcase_add_test(tc, a_disk_may_take_the_whole_cache_along);
	tcase_add_test(tc, time_that_nobody_saw_does_not_count);
	tcase_add_test(tc, a_disk_is_for_whom_the_policy_lets);
	return suite_run("gk_block", tc);
}
