/* The disk scheduler's rules, by the order in which a device sees the requests. */
#include <string.h>

#include "gk_vdev.h"
#include "guest-kernel/block/iosched.h"
#include "guest-kernel/drivers/devices.h"

#define SECTORS_ALL (1u << 20)
#define SEEN_MAX    128u
#define PIECES      64u
#define PIECE       4096u
#define PER_PIECE   (PIECE / SECTOR_BYTES)

/* As the expected orders below have it. */
_Static_assert(REQUEST_SEGS_MAX == 14 && PER_PIECE == 8 && IOSCHED_STARVED == 2, "orders");

static struct seen {
	bool write;
	uint64_t sector;
	uint32_t pieces;
} seen[SEEN_MAX];
static unsigned seen_count;
static bool held; /* the device takes nothing */

static uint32_t record(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count)
{
	uint32_t type, moved = 0;
	(void)v;
	ck_assert_uint_eq(queue, 0);
	if (held)
		return UINT32_MAX;
	ck_assert_uint_lt(seen_count, SEEN_MAX);
	struct seen *s = &seen[seen_count++];
	memcpy(&type, segs[0].data, sizeof(type));
	memcpy(&s->sector, segs[0].data + 8, sizeof(s->sector));
	s->write = type == 1;
	s->pieces = count - 2;
	for (unsigned i = 1; i + 1 < count; i++)
		moved += segs[i].len;
	*segs[count - 1].data = 0;
	return s->write ? 1 : moved + 1;
}

/* ---- what the tests do ---- */

static struct devices devices;
static struct iosched sched;
static struct io ios[PIECES];
static unsigned added, finished;
static uint8_t *data;

static void on_done(struct io *io)
{
	ck_assert(!io->failed);
	finished++;
}

static void start(void)
{
	devices_find(&devices, kernel_of_cpu()->boot);
	rig_keep();
	ck_assert_uint_eq(devices.disk_count, 1);
	ck_assert(iosched_init(&sched, devices.disks[0]));
	data = mem_pages(1);
	ck_assert_ptr_nonnull(data);
}

static void add(bool write, uint64_t sector)
{
	ck_assert_uint_lt(added, PIECES);
	struct io *io = &ios[added++];
	*io = (struct io){
	        .write = write,
	        .sector = sector,
	        .len_bytes = PIECE,
	        .data = data,
	        .done = on_done,
	};
	iosched_add(&sched, io);
}

static void run_all(void)
{
	seen_count = 0;
	iosched_run(&sched);
	task_sleep(NS_PER_MS);
	ck_assert_uint_eq(finished, added);
	added = finished = 0;
}

/* Nothing more is to be done with it. */
static void stop(void)
{
	devices.disks[0]->room = NULL;
	mem_free(sched.batches);
	mem_pages_free(data);
}

/* What the device has seen: "r800 w1600x3" is a read, and a write of three pieces. */
static void saw(const char *want)
{
	char text[1024] = "";
	size_t len = 0;
	for (unsigned i = 0; i < seen_count; i++) {
		char pieces[16] = "";
		if (seen[i].pieces > 1)
			(void)snprintf(pieces, sizeof(pieces), "x%u", seen[i].pieces);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%c%llu%s", i ? " " : "",
		                        seen[i].write ? 'w' : 'r',
		                        (unsigned long long)seen[i].sector, pieces);
		ck_assert_uint_lt(len, sizeof(text));
	}
	ck_assert_str_eq(text, want);
}

/* The same of one direction: READS, or what they are as writes. */
static void saw_way(bool write, const char *reads)
{
	char want[1024];
	size_t n = strlen(reads);
	ck_assert_uint_lt(n, sizeof(want));
	memcpy(want, reads, n + 1);
	for (size_t i = 0; write && i < n; i++)
		if (want[i] == 'r')
			want[i] = 'w';
	saw(want);
}

static struct vdev make_device(void)
{
	struct vdev v = {
	        .id = VIRTIO_ID_BLOCK, .features = VIRTIO_F_INDIRECT_DESC, .answer = record};
	uint64_t sectors = SECTORS_ALL;
	memcpy(v.config, &sectors, sizeof(sectors));
	return v;
}

static void run(struct vdev *v, task_fn body)
{
	vdev_run((struct vdev *[]){v}, 1, body, v);
}

/* ---- the order by sector ---- */

static void sort_body(void *arg)
{
	(void)arg;
	start();
	for (unsigned write = 0; write < 2; write++) {
		static const uint64_t mixed[] = {8000, 1600, 4800, 20000, 800};
		sched.head_sector = 0;
		for (unsigned i = 0; i < 5; i++)
			add(write, mixed[i]);
		run_all();
		saw_way(write, "r800 r1600 r4800 r8000 r20000");
		/* On from where the last one ended, and then around. */
		add(write, 10000);
		add(write, 30000);
		add(write, 15000);
		add(write, 20000 + PER_PIECE);
		run_all();
		saw_way(write, "r20008 r30000 r10000 r15000");
	}
	stop();
}

START_TEST(requests_go_upwards_and_around)
{
	struct vdev v = make_device();
	run(&v, sort_body);
}
END_TEST

/* ---- what lies side by side ---- */

static void merge_body(void *arg)
{
	(void)arg;
	start();
	for (unsigned write = 0; write < 2; write++) {
		uint64_t merged = sched.merged, submitted = sched.submitted;
		sched.head_sector = 0;
		for (unsigned i = 0; i < REQUEST_SEGS_MAX + 6; i++) /* in no order */
			add(write, (i * 7 % (REQUEST_SEGS_MAX + 6)) * PER_PIECE);
		run_all();
		saw_way(write, "r0x14 r112x6");
		ck_assert_uint_eq(sched.merged - merged, REQUEST_SEGS_MAX + 6 - 2);
		ck_assert_uint_eq(sched.submitted - submitted, 2);

		/* A gap of a sector, or a sector twice: not side by side. */
		add(write, 1000);
		add(write, 1000 + PER_PIECE);
		add(write, 1000 + 2 * PER_PIECE + 1);
		add(write, 1000 + 3 * PER_PIECE);
		run_all();
		saw_way(write, "r1000x2 r1017 r1024");
	}
	/* Reading and writing is never one request. */
	add(false, 2000);
	add(true, 2000 + PER_PIECE);
	add(false, 2000 + 2 * PER_PIECE);
	run_all();
	saw("r2000 r2016 w2008");
	stop();
}

START_TEST(neighbours_become_one_request)
{
	struct vdev v = make_device();
	run(&v, merge_body);
}
END_TEST

/* ---- deadlines ---- */

static void age(bool write, uint64_t by_ns)
{
	add(write, 9000);
	add(write, 8000);
	task_sleep(by_ns);
	add(write, 10);
	add(write, 50);
}

static void deadline_body(void *arg)
{
	(void)arg;
	start();
	for (unsigned write = 0; write < 2; write++) {
		uint64_t limit = write ? IOSCHED_WRITE_NS : IOSCHED_READ_NS;
		uint64_t expired = sched.expired;
		sched.head_sector = 0;
		age(write, limit - 5 * NS_PER_MS);
		run_all();
		saw_way(write, "r10 r50 r8000 r9000");
		ck_assert_uint_eq(sched.expired, expired);
		/* The oldest first, though its sector is the highest. */
		sched.head_sector = 0;
		age(write, limit);
		run_all();
		saw_way(write, "r9000 r8000 r10 r50");
		ck_assert_uint_eq(sched.expired, expired + 2);
	}
	stop();
}

START_TEST(the_overdue_go_first)
{
	struct vdev v = make_device();
	run(&v, deadline_body);
}
END_TEST

/* ---- reads and writes ---- */

static void starve_body(void *arg)
{
	(void)arg;
	start();
	for (unsigned i = 0; i < 7; i++)
		add(false, 100 + 100 * i);
	for (unsigned i = 0; i < 2; i++)
		add(true, 5000 + 100 * i);
	run_all();
	/* After a write at 5000 the way to the reads is around. */
	saw("r100 r200 w5000 r300 r400 w5100 r500 r600 r700");

	/* A write that is overdue does not wait for its turn. */
	add(true, 5000);
	task_sleep(IOSCHED_WRITE_NS);
	add(false, 100);
	add(false, 200);
	run_all();
	saw("w5000 r100 r200");

	/* One that is not, does. */
	sched.head_sector = 0;
	add(true, 5000);
	task_sleep(IOSCHED_WRITE_NS - 5 * NS_PER_MS);
	add(false, 100);
	add(false, 200);
	add(false, 300);
	run_all();
	saw("r100 r200 w5000 r300");
	stop();
}

START_TEST(reads_go_first_and_writes_do_not_starve)
{
	struct vdev v = make_device();
	run(&v, starve_body);
}
END_TEST

/* ---- a device that is slow ---- */

static void slow_body(void *arg)
{
	struct vdev *v = arg;
	start();
	held = true;
	for (unsigned i = 0; i < IOSCHED_IN_FLIGHT + 4; i++)
		add(false, 40000 - 1000 * i);
	seen_count = 0;
	iosched_run(&sched);
	ck_assert_uint_eq(devices.disks[0]->queue.in_flight, IOSCHED_IN_FLIGHT);
	/* What comes meanwhile finds its place among what waits. */
	add(false, 38500);
	iosched_run(&sched);
	ck_assert_uint_eq(devices.disks[0]->queue.in_flight, IOSCHED_IN_FLIGHT);
	held = false;
	vdev_resume(v, 0);
	task_sleep(NS_PER_MS);
	ck_assert_uint_eq(finished, added);
	ck_assert_uint_eq(seen_count, IOSCHED_IN_FLIGHT + 5);
	for (unsigned i = 1; i < seen_count; i++)
		ck_assert_uint_gt(seen[i].sector, seen[i - 1].sector);
	stop();
}

START_TEST(so_many_are_in_flight_and_the_rest_is_sorted)
{
	struct vdev v = make_device();
	run(&v, slow_body);
}
END_TEST

static void narrow_body(void *arg)
{
	(void)arg;
	start();
	for (unsigned i = 0; i < 10; i++)
		add(i % 2, 100 * i);
	run_all();
	saw("r0 r200 w300 r400 r600 w700 r800 w900 w100 w500");
	stop();
}

/* A ring with room for one request at a time changes nothing. */
START_TEST(a_full_ring_keeps_the_order)
{
	struct vdev v = make_device();
	v.features = 0;
	v.queue_max = 4;
	run(&v, narrow_body);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("iosched");
	tcase_add_test(tc, requests_go_upwards_and_around);
	tcase_add_test(tc, neighbours_become_one_request);
	tcase_add_test(tc, the_overdue_go_first);
	tcase_add_test(tc, reads_go_first_and_writes_do_not_starve);
	tcase_add_test(tc, so_many_are_in_flight_and_the_rest_is_sorted);
	tcase_add_test(tc, a_full_ring_keeps_the_order);
	return suite_run("gk_iosched", tc);
}
