/* virtio-blk: data, order, engines, life, failures of the host. Parsing: test_blk_req.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "blk_rig.h"
#include "suite.h"
#include "virtual_clock.h"
#include "vmm/clock.h"

#define F(bit)     (1ull << VIRTIO_BLK_F_##bit)
#define DISK_BYTES (8u << 20)
#define FEATURES   (F(FLUSH) | F(DISCARD) | F(WRITE_ZEROES) | F(SEG_MAX))

static struct rig rig;
static int image;

/* Tests run once on the io_uring and once on the threads: _i says which. */
static void open_disk(int threads, struct blk_rig_opts o)
{
	if (!o.path)
		o.fd = image;
	o.uring = !threads;
	blk_rig_open(&rig, &o);
	ck_assert_str_eq(blk_engine(rig.vd), threads ? "threads" : "io_uring");
	rig_start(&rig, FEATURES & vdev_offered(rig.vd));
}

static void setup(void)
{
	image = blk_rig_image(DISK_BYTES);
}

static void teardown(void)
{
	virtual_clock_stop();
	if (rig.vd)
		rig_close(&rig);
	rig.vd = NULL;
	(void)close(image);
}

static uint8_t *mem(uint64_t addr, uint32_t len)
{
	return rig_mem(&rig, addr, len);
}

static void fill(uint64_t addr, uint32_t len, uint8_t seed)
{
	uint8_t *p = mem(addr, len);
	for (uint32_t i = 0; i < len; i++)
		p[i] = rig_byte(i, seed);
}

static void expect(const uint8_t *p, uint32_t len, uint8_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		if (p[i] != rig_byte(i, seed))
			ck_abort_msg("byte %u of %u is wrong (seed %u)", i, len, seed);
}

static void expect_image(off_t at, uint32_t len, uint8_t seed)
{
	uint8_t *buf = malloc(len);
	ck_assert_int_eq(pread(image, buf, len, at), len);
	expect(buf, len, seed);
	free(buf);
}

START_TEST(writes_and_reads)
{
	struct seg out = {BLK_DATA, 65536, false};
	struct seg in[] = {{BLK_DATA + 0x20000, 100, true},
	                   {BLK_DATA + 0x20000 + 100, 413, true},
	                   {BLK_DATA + 0x20000 + 513, 65536 - 513, true}};
	uint32_t len;
	open_disk(_i, (struct blk_rig_opts){0});
	fill(BLK_DATA, 65536, 1);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, 3, &out, 1, &len), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(len, 1);
	expect_image((off_t)3 * 512, 65536, 1);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 3, in, 3, &len), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(len, 65537);
	expect(mem(BLK_DATA + 0x20000, 65536), 65536, 1);
	struct blk_stats s = blk_stats(rig.vd);
	ck_assert_uint_eq(s.reads, 1);
	ck_assert_uint_eq(s.read_bytes, 65536);
	ck_assert_uint_eq(s.writes, 1);
	ck_assert_uint_eq(s.written_bytes, 65536);
	ck_assert_uint_gt(rig.used_signals[0], 0);
}
END_TEST

/* Many at once, more than the ring of the kernel takes in one go; answers come in any order. */
/* As many segments as a request may have, none beside another; one that has more breaks the queue.
 */
START_TEST(moves_many_segments)
{
	static struct seg segs[320];
	const unsigned n = sizeof(segs) / sizeof(segs[0]);
	open_disk(_i, (struct blk_rig_opts){.queue_size = 512});
	for (unsigned i = 0; i < n; i++) {
		segs[i] = (struct seg){BLK_DATA + 8192ull * (n - 1 - i), 4096, false};
		memset(mem(segs[i].addr, 4096), (int)(i % 251), 4096);
	}
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, 24, segs, n, NULL), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < n; i++) {
		memset(mem(segs[i].addr, 4096), 0xff, 4096);
		segs[i].write = true;
	}
	uint32_t len = 0;
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 24, segs, n, &len), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(len, n * 4096 + 1);
	for (unsigned i = 0; i < n; i++)
		for (unsigned at = 0; at < 4096; at += 4095)
			ck_assert_uint_eq(mem(segs[i].addr, 4096)[at], i % 251);
	struct seg rest[325];
	for (unsigned i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
		rest[i] = (struct seg){BLK_DATA, 512, i > 0};
	(void)rig_add(&rig, 0, rest, sizeof(rest) / sizeof(rest[0]));
	vdev_kick(rig.vd, 0);
	ck_assert(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}
END_TEST

START_TEST(works_in_depth)
{
	const unsigned depth = 85; /* times three descriptors */
	open_disk(_i, (struct blk_rig_opts){0});
	for (unsigned round = 0; round < 20; round++) {
		bool out = round % 2 == 0;
		bool seen[256] = {false};
		for (unsigned i = 0; i < depth; i++) {
			struct seg s = {BLK_DATA + i * 4096, 4096, !out};
			if (out)
				fill(s.addr, s.len, (uint8_t)(round + i));
			else
				memset(mem(s.addr, s.len), 0, s.len);
			(void)blk_rig_add(&rig, i, out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			                  (uint64_t)(depth - i) * 8, &s, 1);
		}
		vdev_kick(rig.vd, 0);
		ck_assert_uint_eq(blk_rig_wait(&rig, depth), depth);
		uint16_t head;
		uint32_t len;
		for (unsigned i = 0; i < depth; i++) {
			ck_assert(rig_used(&rig, 0, &head, &len));
			ck_assert(!seen[head]);
			seen[head] = true;
			ck_assert_uint_eq(blk_rig_status(&rig, i), VIRTIO_BLK_S_OK);
			uint8_t seed = (uint8_t)(round - (round % 2) + i);
			if (!out)
				expect(mem(BLK_DATA + i * 4096, 4096), 4096, seed);
		}
	}
	ck_assert_uint_eq(blk_stats(rig.vd).failures, 0);
}
END_TEST

/* A driver that offers chains again while they are in flight: slots run out, nothing else. */
START_TEST(offers_more_than_slots)
{
	/* A write: reads would fill the one buffer in several threads, a race of the guest's. */
	struct seg s = {BLK_DATA, 4096, false};
	unsigned answers = 0;
	open_disk(_i, (struct blk_rig_opts){.queue_size = 4});
	(void)blk_rig_add(&rig, 0, VIRTIO_BLK_T_OUT, 0, &s, 1);
	struct vring_avail *a = rig_avail(&rig, 0);
	for (unsigned i = 0; i < 1000; i++) {
		a->ring[a->idx & 3] = 0;
		__atomic_store_n(&a->idx, (uint16_t)(a->idx + 1), __ATOMIC_RELEASE);
		vdev_kick(rig.vd, 0);
		answers += blk_rig_wait(&rig, 1);
		rig.q[0].used_seen = rig_used_ring(&rig, 0)->idx;
	}
	answers += blk_rig_wait(&rig, 1001 - answers);
	ck_assert_uint_eq(answers, 1001);
	ck_assert(!(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET));
}
END_TEST

START_TEST(reads_from_the_page_cache_at_once)
{
	struct seg in = {BLK_DATA, 4096, true};
	uint32_t written = 4096;
	open_disk(_i, (struct blk_rig_opts){0});
	fill(BLK_DATA, written, 5);
	ck_assert_int_eq(pwrite(image, mem(BLK_DATA, written), written, 8192), written);
	memset(mem(BLK_DATA, written), 0, written);
	struct iovec iov = {mem(BLK_DATA, written), written};
	if (preadv2(image, &iov, 1, 8192, RWF_NOWAIT) < 0) {
		(void)printf("SKIP reads_from_the_page_cache_at_once: no RWF_NOWAIT here: %s\n",
		             strerror(errno));
		return;
	}
	memset(mem(BLK_DATA, written), 0, written);
	(void)blk_rig_add(&rig, 0, VIRTIO_BLK_T_IN, 16, &in, 1);
	vdev_kick(rig.vd, 0); /* without a turn of the loop */
	ck_assert_uint_eq(blk_rig_status(&rig, 0), VIRTIO_BLK_S_OK);
	expect(mem(BLK_DATA, 4096), 4096, 5);
	ck_assert_uint_eq(blk_stats(rig.vd).at_once, 1);
}
END_TEST

START_TEST(image_in_memory_needs_no_engine)
{
	struct seg out = {BLK_DATA, 4096, false};
	struct seg in = {BLK_DATA + 8192, 4096, true};
	(void)close(image);
	image = memfd_create("image", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(image, DISK_BYTES), 0);
	open_disk(_i, (struct blk_rig_opts){0});
	fill(BLK_DATA, 4096, 6);
	(void)blk_rig_add(&rig, 0, VIRTIO_BLK_T_OUT, 16, &out, 1);
	(void)blk_rig_add(&rig, 1, VIRTIO_BLK_T_IN, 16, &in, 1);
	vdev_kick(rig.vd, 0); /* without a turn of the loop */
	ck_assert_uint_eq(blk_rig_status(&rig, 0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(blk_rig_status(&rig, 1), VIRTIO_BLK_S_OK);
	expect(mem(in.addr, 4096), 4096, 6);
	ck_assert_uint_eq(blk_stats(rig.vd).at_once, 2);
}
END_TEST

static void read_on(struct rig *r)
{
	const struct seg in = {BLK_DATA, 4096, true};
	if (r->used_signals[0] < 3)
		(void)blk_rig_add(r, r->used_signals[0], VIRTIO_BLK_T_IN, 16, &in, 1);
}

/* A driver that answers an interrupt with a request at once needs no notification for it. */
START_TEST(looks_again_behind_an_interrupt)
{
	(void)close(image);
	image = memfd_create("image", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(image, DISK_BYTES), 0);
	open_disk(_i, (struct blk_rig_opts){0});
	rig.interrupted = read_on;
	read_on(&rig);
	vdev_kick(rig.vd, 0); /* once, and without a turn of the loop */
	ck_assert_uint_eq(rig.used_signals[0], 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(blk_rig_status(&rig, i), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(flushes)
{
	open_disk(_i, (struct blk_rig_opts){0});
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, NULL), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(blk_stats(rig.vd).flushes, 1);
	/* A driver without FLUSH: every write is synchronous, and works. */
	struct seg out = {BLK_DATA, 512, false};
	rig_reset(&rig);
	rig_start(&rig, 0);
	fill(BLK_DATA, 512, 9);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, 0, &out, 1, NULL), VIRTIO_BLK_S_OK);
	expect_image(0, 512, 9);
}
END_TEST

START_TEST(tells_its_serial_number)
{
	struct seg in[] = {{BLK_DATA, 3, true}, {BLK_DATA + 3, 17, true}};
	uint32_t len;
	open_disk(_i, (struct blk_rig_opts){0});
	memset(mem(BLK_DATA, 20), 0xff, 20);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_GET_ID, 0, in, 2, &len), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(len, 21);
	ck_assert_mem_eq(mem(BLK_DATA, 20), "serial\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
}
END_TEST

static uint8_t do_ranges(uint32_t type, const struct virtio_blk_discard_write_zeroes *r, unsigned n)
{
	struct seg out = {BLK_DATA, (uint32_t)(n * sizeof(*r)), false};
	memcpy(mem(BLK_DATA, out.len), r, out.len);
	return blk_rig_do(&rig, type, 0, &out, 1, NULL);
}

static long blocks(void)
{
	struct stat st;
	ck_assert_int_eq(fstat(image, &st), 0);
	return (long)st.st_blocks;
}

START_TEST(discards_and_zeroes)
{
	const struct virtio_blk_discard_write_zeroes two[] = {{0, 2048, 0}, {4096, 2048, 0}};
	const struct virtio_blk_discard_write_zeroes keep = {8192, 16, 0};
	const struct virtio_blk_discard_write_zeroes unmap = {8192, 2048, 1};
	struct seg out = {BLK_DATA, 65536, false};
	uint8_t byte;
	open_disk(_i, (struct blk_rig_opts){0});
	fill(BLK_DATA, 65536, 3);
	for (unsigned i = 0; i < DISK_BYTES / 65536; i++)
		ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, i * 128ull, &out, 1, NULL),
		                  VIRTIO_BLK_S_OK);
	long full = blocks();
	ck_assert_uint_eq(do_ranges(VIRTIO_BLK_T_DISCARD, two, 2), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(blocks(), full - 4096);
	ck_assert_int_eq(pread(image, &byte, 1, 4096l * 512 + 7), 1);
	ck_assert_uint_eq(byte, 0);
	expect_image(2048l * 512, 65536, 3); /* between them */
	ck_assert_uint_eq(do_ranges(VIRTIO_BLK_T_WRITE_ZEROES, &keep, 1), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(blocks(), full - 4096); /* nothing was given back */
	ck_assert_int_eq(pread(image, &byte, 1, 8192l * 512 + 7), 1);
	ck_assert_uint_eq(byte, 0);
	ck_assert_int_eq(pread(image, &byte, 1, 8208l * 512), 1);
	ck_assert_uint_eq(byte, rig_byte(16 * 512, 3)); /* the end is exact */
	ck_assert_uint_eq(do_ranges(VIRTIO_BLK_T_WRITE_ZEROES, &unmap, 1), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(blocks(), full - 4096 - 2048);
	ck_assert_uint_eq(blk_stats(rig.vd).ranges, 3);
}
END_TEST

START_TEST(refuses_and_goes_on)
{
	struct seg out = {BLK_DATA, 512, false};
	struct seg in = {BLK_DATA, 512, true};
	uint32_t len;
	open_disk(_i, (struct blk_rig_opts){0});
	uint64_t end = DISK_BYTES / 512;
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, end, &out, 1, &len),
	                  VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, end, &in, 1, &len), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(len, 0); /* the data in front of the status was not written */
	ck_assert_uint_eq(blk_rig_do(&rig, 77, 0, &in, 1, &len), VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(blk_stats(rig.vd).refused, 3);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, 2);
	ck_assert_int_eq(lseek(image, 0, SEEK_END), DISK_BYTES);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, end - 1, &in, 1, &len),
	                  VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(read_only_disk)
{
	struct seg out = {BLK_DATA, 512, false};
	struct seg in = {BLK_DATA, 512, true};
	open_disk(_i, (struct blk_rig_opts){.read_only = true});
	ck_assert(vdev_offered(rig.vd) & F(RO));
	ck_assert(!(vdev_offered(rig.vd) & (F(DISCARD) | F(WRITE_ZEROES))));
	fill(BLK_DATA, 512, 1);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, 0, &out, 1, NULL), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 0, &in, 1, NULL), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(mem(BLK_DATA, 512)[1], 0);
}
END_TEST

/* The image became shorter: an error of the host, told to the guest and to the log. */
START_TEST(reports_failures_of_the_host)
{
	struct seg in[] = {{BLK_DATA, 4096, true}, {BLK_DATA + 4096, 4096, true}};
	open_disk(_i, (struct blk_rig_opts){0});
	ck_assert_int_eq(ftruncate(image, 4096), 0);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 0, in, 2, NULL), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 800, in, 1, NULL), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 0, in, 1, NULL), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(blk_stats(rig.vd).failures, 2);
	ck_assert_uint_eq(rig.lines, 2);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, 0);
}
END_TEST

static void stop_queue(void)
{
	(void)pthread_mutex_lock(&rig.vd->lock);
	vdev_stop_queue(rig.vd, 0);
	(void)pthread_mutex_unlock(&rig.vd->lock);
}

/* After a reset, or when its queue is stopped, nothing touches the guest's memory; the loop has had
 * no turn. */
START_TEST(resets_with_requests_in_flight)
{
	open_disk(_i, (struct blk_rig_opts){0});
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 80; i++) {
			struct seg s = {BLK_DATA + i * 65536, 65536, i % 2 == 0};
			(void)blk_rig_add(&rig, i, i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			                  i * 128, &s, 1);
		}
		vdev_kick(rig.vd, 0);
		if (round % 2)
			stop_queue();
		else
			rig_reset(&rig);
		memset(mem(BLK_DATA, 80 * 65536), 0xee, 80 * 65536);
		rig_run(&rig);
		for (unsigned i = 0; i < 80 * 65536; i += 4096)
			ck_assert_uint_eq(mem(BLK_DATA + i, 1)[0], 0xee);
		rig_reset(&rig);
		rig_start(&rig, FEATURES);
		memset(mem(BLK_STATUS, 256), BLK_NONE, 256);
	}
	struct seg in = {BLK_DATA, 512, true};
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 0, &in, 1, NULL), VIRTIO_BLK_S_OK);
}
END_TEST

/* Segments that O_DIRECT would refuse go through a buffer; larger than it, too. */
START_TEST(direct_with_any_segments)
{
	char path[] = "blk-direct-XXXXXX";
	(void)close(image);
	image = mkstemp(path);
	ck_assert_int_ge(image, 0);
	ck_assert_int_eq(ftruncate(image, DISK_BYTES), 0);
	struct disk_file f;
	struct disk_file_opts probe = {.path = path, .fd = -1, .direct = true};
	vmm_err_info_t ei;
	if (disk_file_open(&f, &probe, &ei) != VMM_OK) {
		(void)unlink(path);
		ck_assert_int_eq(ei.code, VMM_E_INVAL);
		ck_assert_ptr_nonnull(strstr(ei.message, "O_DIRECT"));
		(void)printf("SKIP direct_with_any_segments: no O_DIRECT in this directory\n");
		return;
	}
	disk_file_close(&f);
	open_disk(_i, (struct blk_rig_opts){.path = path, .direct = true});
	(void)unlink(path);
	const uint32_t total = 600 << 10;
	for (uint32_t shift = 0; shift <= 512; shift += 256) {
		struct seg out[] = {{BLK_DATA + shift, 1024 + shift, false},
		                    {BLK_DATA + 1024 + 2 * shift, total - 1024 - shift, false}};
		struct seg in = {BLK_DATA + 0x100000 + shift, total, true};
		fill(BLK_DATA + shift, total, (uint8_t)shift);
		ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, 8, out, 2, NULL),
		                  VIRTIO_BLK_S_OK);
		expect_image(4096, total, (uint8_t)shift);
		ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 8, &in, 1, NULL),
		                  VIRTIO_BLK_S_OK);
		expect(mem(in.addr, total), total, (uint8_t)shift);
	}
	ck_assert_uint_eq(blk_stats(rig.vd).at_once, 0);
}
END_TEST

#define RATE_DEPTH 8u

/* A disk whose requests, of up to 32 KiB, take no time but the virtual clock's. */
static void open_at_once(int threads)
{
	static const uint8_t zeros[1 << 16];
	(void)close(image);
	image = memfd_create("image", MFD_CLOEXEC);
	for (off_t at = 0; at < (off_t)DISK_BYTES; at += (off_t)sizeof(zeros))
		ck_assert_int_eq(pwrite(image, zeros, sizeof(zeros), at), sizeof(zeros));
	open_disk(threads, (struct blk_rig_opts){0});
	virtual_clock_start();
}

/* RATE_DEPTH reads of LEN bytes. */
static void read_some(uint32_t len)
{
	for (unsigned i = 0; i < RATE_DEPTH; i++) {
		struct seg in = {BLK_DATA + i * len, len, true};
		(void)blk_rig_add(&rig, i, VIRTIO_BLK_T_IN, i * (len / 512), &in, 1);
	}
	vdev_kick(rig.vd, 0);
	ck_assert_uint_eq(blk_rig_wait(&rig, RATE_DEPTH), RATE_DEPTH);
	rig.q[0].used_seen = (uint16_t)(rig.q[0].used_seen + RATE_DEPTH);
}

/* In a second, in the middle of which nothing happens for PAUSE_NS, there are WANTED of them. */
static void expect_reads(uint32_t len, uint64_t pause_ns, unsigned wanted)
{
	uint64_t before = blk_stats(rig.vd).reads, start = clock_now_ns();
	while (clock_now_ns() < start + NS_PER_SECOND / 2)
		read_some(len);
	virtual_clock_pass(pause_ns);
	while (clock_now_ns() < start + NS_PER_SECOND)
		read_some(len);
	uint64_t got = blk_stats(rig.vd).reads - before;
	ck_assert_uint_ge(got, wanted - RATE_DEPTH);
	ck_assert_uint_le(got, wanted + RATE_DEPTH);
}

/* What a busy machine delays is made up for out of the burst, and no more. */
START_TEST(keeps_to_a_rate)
{
	vmm_rate_t rate = VMM_RATE_INIT;
	open_at_once(_i);
	rate.bytes_per_second = 20u << 20;
	rate.bytes_burst = rate.bytes_per_second / 5;
	blk_set_rate(rig.vd, &rate);
	expect_reads(16384, 0, 1280);
	expect_reads(16384, 190 * NS_PER_MS, 1280);
	expect_reads(16384, 450 * NS_PER_MS, 1280 * 3 / 4);
	/* Operations: the other limit is gone. */
	rate = (vmm_rate_t)VMM_RATE_INIT;
	rate.ops_per_second = 800;
	rate.ops_burst = 160;
	blk_set_rate(rig.vd, &rate);
	expect_reads(32768, 0, 800);
	expect_reads(32768, 190 * NS_PER_MS, 800);
	expect_reads(32768, 450 * NS_PER_MS, 800 * 3 / 4);
	blk_set_rate(rig.vd, NULL);
	uint64_t start = clock_now_ns();
	for (unsigned i = 0; i < 1000; i++)
		read_some(512);
	ck_assert_uint_eq(clock_now_ns(), start);
}
END_TEST

/* A request that is larger than all there is passes, and is paid for; a new limit is heeded at
 * once. */
START_TEST(what_waits_for_a_rate_follows_its_changes)
{
	struct seg in[2] = {{BLK_DATA, 32u << 10, true}, {BLK_DATA + (32u << 10), 512, true}};
	vmm_rate_t rate = VMM_RATE_INIT;
	open_at_once(_i);
	rate.bytes_per_second = 40;
	rate.bytes_burst = 1;
	blk_set_rate(rig.vd, &rate);
	(void)blk_rig_add(&rig, 0, VIRTIO_BLK_T_IN, 0, &in[0], 1);
	(void)blk_rig_add(&rig, 1, VIRTIO_BLK_T_IN, 0, &in[1], 1);
	vdev_kick(rig.vd, 0);
	ck_assert_uint_eq(blk_rig_wait(&rig, 1), 1);
	virtual_clock_pass(819 * NS_PER_SECOND);
	loop_run_once(rig.loop, 0);
	ck_assert_uint_eq(blk_rig_status(&rig, 0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(blk_rig_status(&rig, 1), BLK_NONE); /* for 819.2 s */
	blk_set_rate(rig.vd, NULL);
	ck_assert_uint_eq(blk_rig_wait(&rig, 2), 2);
	ck_assert_uint_eq(blk_rig_status(&rig, 1), VIRTIO_BLK_S_OK);
	/* A reset forgets what waits; the timer that is left finds nothing. */
	rate.bytes_per_second = 2000;
	blk_set_rate(rig.vd, &rate);
	(void)blk_rig_add(&rig, 0, VIRTIO_BLK_T_IN, 0, &in[1], 1);
	(void)blk_rig_add(&rig, 1, VIRTIO_BLK_T_IN, 0, &in[1], 1);
	vdev_kick(rig.vd, 0);
	loop_run_once(rig.loop, 10);
	rig_reset(&rig);
	for (unsigned i = 0; i < 4; i++)
		loop_run_once(rig.loop, 100);
	ck_assert_uint_eq(blk_rig_status(&rig, 1), BLK_NONE);
}
END_TEST

START_TEST(describes_itself)
{
	open_disk(0, (struct blk_rig_opts){0});
	struct vdev *vd = rig.vd;
	ck_assert_uint_eq(vdev_config_read(vd, 0, 8), DISK_BYTES / 512);
	ck_assert_uint_eq(vdev_config_read(vd, offsetof(struct virtio_blk_config, seg_max), 4),
	                  254);
	ck_assert_uint_eq(vdev_config_read(vd, offsetof(struct virtio_blk_config, blk_size), 4),
	                  512);
	ck_assert_uint_eq(
	        vdev_config_read(vd, offsetof(struct virtio_blk_config, physical_block_exp), 1), 3);
	rig_close(&rig);
	open_disk(0, (struct blk_rig_opts){.queue_size = 8});
	ck_assert_uint_eq(vdev_config_read(rig.vd, offsetof(struct virtio_blk_config, seg_max), 4),
	                  6);
	rig_close(&rig);
	open_disk(0, (struct blk_rig_opts){.queue_size = 512});
	ck_assert_uint_eq(vdev_config_read(rig.vd, offsetof(struct virtio_blk_config, seg_max), 4),
	                  320);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("blk");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, writes_and_reads, 0, 2);
	tcase_add_loop_test(tc, moves_many_segments, 0, 2);
	tcase_add_loop_test(tc, works_in_depth, 0, 2);
	tcase_add_loop_test(tc, offers_more_than_slots, 0, 2);
	tcase_add_loop_test(tc, reads_from_the_page_cache_at_once, 0, 2);
	tcase_add_loop_test(tc, image_in_memory_needs_no_engine, 0, 2);
	tcase_add_loop_test(tc, looks_again_behind_an_interrupt, 0, 2);
	tcase_add_loop_test(tc, flushes, 0, 2);
	tcase_add_loop_test(tc, tells_its_serial_number, 0, 2);
	tcase_add_loop_test(tc, discards_and_zeroes, 0, 2);
	tcase_add_loop_test(tc, refuses_and_goes_on, 0, 2);
	tcase_add_loop_test(tc, read_only_disk, 0, 2);
	tcase_add_loop_test(tc, reports_failures_of_the_host, 0, 2);
	tcase_add_loop_test(tc, keeps_to_a_rate, 0, 2);
	tcase_add_loop_test(tc, what_waits_for_a_rate_follows_its_changes, 0, 2);
	tcase_add_loop_test(tc, resets_with_requests_in_flight, 0, 2);
	tcase_add_loop_test(tc, direct_with_any_segments, 0, 2);
	tcase_add_test(tc, describes_itself);
	return suite_run("blk", tc);
}
