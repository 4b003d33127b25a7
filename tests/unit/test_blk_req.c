/* Parsing of virtio-blk requests: what is allowed, what is not, and what is left of the chain. */
#include <check.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "devices/virtio/blk_req.h"
#include "suite.h"

#define DISK_BYTES (1ull << 20)
#define SECTORS    (DISK_BYTES / 512)

static struct blk_limits limits;
static struct blk_req req;
static struct virtio_blk_outhdr hdr;
static uint8_t data[65536];
static uint8_t status;
static struct iovec iov[8];

static void setup(void)
{
	limits = (struct blk_limits){.size_bytes = DISK_BYTES,
	                             .align_bytes = 512,
	                             .discard = true,
	                             .write_zeroes = true};
	memset(&req, 0xa5, sizeof(req));
}

/* Parse iov[0 .. nread + nwrite) as a chain. */
static void parse_iov(uint16_t nread, uint16_t nwrite)
{
	struct ring_chain c = {.nread = nread, .nwrite = nwrite, .iov = iov};
	for (unsigned i = 0; i < nread; i++)
		c.read_bytes += (uint32_t)iov[i].iov_len;
	for (unsigned i = nread; i < (unsigned)nread + nwrite; i++)
		c.write_bytes += (uint32_t)iov[i].iov_len;
	blk_req_parse(&req, &c, &limits);
}

/* Header, LEN bytes of data in one piece, status. */
static void parse(uint32_t type, uint64_t sector, size_t len, bool writable)
{
	unsigned n = 0;
	hdr = (struct virtio_blk_outhdr){.type = type, .sector = sector};
	iov[n++] = (struct iovec){&hdr, sizeof(hdr)};
	if (len)
		iov[n++] = (struct iovec){data, len};
	iov[n++] = (struct iovec){&status, 1};
	uint16_t nwrite = len && writable ? 2 : 1;
	parse_iov((uint16_t)(n - nwrite), nwrite);
}

static void expect_refused(uint8_t with)
{
	ck_assert_int_eq(req.verdict, BLK_ANSWER);
	ck_assert_uint_eq(req.answer, with);
	ck_assert_ptr_eq(req.status, &status);
}

START_TEST(transfers)
{
	bool in = _i == 0;
	parse(in ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, 8, 4096, in);
	ck_assert_int_eq(req.verdict, BLK_DO);
	ck_assert_int_eq(req.io.op, in ? DISK_READ : DISK_WRITE);
	ck_assert_uint_eq(req.io.offset, 4096);
	ck_assert_uint_eq(req.io.left, 4096);
	ck_assert_uint_eq(req.data_bytes, 4096);
	ck_assert_uint_eq(req.io.iov_count, 1);
	ck_assert_ptr_eq(req.io.iov->iov_base, data);
	ck_assert_uint_eq(req.io.iov->iov_len, 4096);
	ck_assert_ptr_eq(req.status, &status);
	ck_assert_ptr_null(req.why);
}
END_TEST

/* Header, data and status may share segments, and be in any number of pieces (2.7.4.2). */
START_TEST(any_layout)
{
	static struct {
		struct virtio_blk_outhdr h;
		uint8_t d[512];
	} out = {.h = {.type = VIRTIO_BLK_T_OUT, .sector = 1}};
	static uint8_t in[513];
	iov[0] = (struct iovec){&out, 7};
	iov[1] = (struct iovec){(uint8_t *)&out + 7, sizeof(out) - 7};
	iov[2] = (struct iovec){&status, 1};
	parse_iov(2, 1);
	ck_assert_int_eq(req.verdict, BLK_DO);
	ck_assert_uint_eq(req.io.iov_count, 1);
	ck_assert_ptr_eq(req.io.iov->iov_base, out.d);
	ck_assert_uint_eq(req.io.iov->iov_len, 512);

	hdr = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN};
	iov[0] = (struct iovec){&hdr, sizeof(hdr)};
	iov[1] = (struct iovec){in, 100};
	iov[2] = (struct iovec){in + 100, 413};
	parse_iov(1, 2);
	ck_assert_int_eq(req.verdict, BLK_DO);
	ck_assert_ptr_eq(req.status, in + 512);
	ck_assert_uint_eq(req.io.iov_count, 2);
	ck_assert_uint_eq(req.io.iov[1].iov_len, 412);
	ck_assert_uint_eq(req.io.left, 512);
}
END_TEST

static const struct {
	uint32_t type;
	uint64_t sector;
	size_t len;
	bool writable;
	bool ok;
} places[] = {
        {VIRTIO_BLK_T_IN, SECTORS - 1, 512, true, true},
        {VIRTIO_BLK_T_IN, SECTORS - 1, 1024, true, false},
        {VIRTIO_BLK_T_IN, SECTORS, 512, true, false},
        {VIRTIO_BLK_T_IN, 1ull << 55, 512, true, false},
        {VIRTIO_BLK_T_IN, 1ull << 63, 512, true, false},
        {VIRTIO_BLK_T_OUT, ~0ull, 512, false, false},
        {VIRTIO_BLK_T_OUT, ~0ull - 7, 4096, false, false},
        {VIRTIO_BLK_T_OUT, 0, 511, false, false},
        {VIRTIO_BLK_T_OUT, 0, 0, false, false},
        {VIRTIO_BLK_T_OUT, 0, 512, true, false}, /* the direction is wrong */
        {VIRTIO_BLK_T_IN, 0, 512, false, false},
        {VIRTIO_BLK_T_IN, 0, 1, true, false},
};

START_TEST(checks_place_and_length)
{
	parse(places[_i].type, places[_i].sector, places[_i].len, places[_i].writable);
	if (places[_i].ok) {
		ck_assert_int_eq(req.verdict, BLK_DO);
		return;
	}
	expect_refused(VIRTIO_BLK_S_IOERR);
	ck_assert_ptr_nonnull(req.why);
}
END_TEST

START_TEST(keeps_to_blocks)
{
	limits.align_bytes = 4096;
	parse(VIRTIO_BLK_T_IN, 8, 4096, true);
	ck_assert_int_eq(req.verdict, BLK_DO);
	parse(VIRTIO_BLK_T_IN, 7, 4096, true);
	expect_refused(VIRTIO_BLK_S_IOERR);
	parse(VIRTIO_BLK_T_OUT, 8, 512, false);
	expect_refused(VIRTIO_BLK_S_IOERR);
}
END_TEST

START_TEST(read_only)
{
	struct virtio_blk_discard_write_zeroes seg = {.num_sectors = 8};
	limits.read_only = true;
	parse(VIRTIO_BLK_T_OUT, 0, 512, false);
	expect_refused(VIRTIO_BLK_S_IOERR);
	memcpy(data, &seg, sizeof(seg));
	parse(VIRTIO_BLK_T_DISCARD, 0, sizeof(seg), false);
	expect_refused(VIRTIO_BLK_S_IOERR);
	parse(VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(seg), false);
	expect_refused(VIRTIO_BLK_S_IOERR);
	parse(VIRTIO_BLK_T_IN, 0, 512, true);
	ck_assert_int_eq(req.verdict, BLK_DO);
}
END_TEST

START_TEST(no_header_or_status)
{
	iov[0] = (struct iovec){&hdr, sizeof(hdr)};
	parse_iov(1, 0);
	ck_assert_int_eq(req.verdict, BLK_NO_ROOM);
	iov[0] = (struct iovec){&hdr, 15};
	iov[1] = (struct iovec){&status, 1};
	parse_iov(1, 1);
	expect_refused(VIRTIO_BLK_S_IOERR);
	iov[0] = (struct iovec){&status, 1};
	parse_iov(0, 1);
	expect_refused(VIRTIO_BLK_S_IOERR);
}
END_TEST

START_TEST(other_types)
{
	parse(VIRTIO_BLK_T_FLUSH, 99, 0, false);
	ck_assert_int_eq(req.verdict, BLK_DO);
	ck_assert_int_eq(req.io.op, DISK_FLUSH);
	parse(VIRTIO_BLK_T_GET_ID, 0, 20, true);
	ck_assert_int_eq(req.verdict, BLK_GET_ID);
	parse(VIRTIO_BLK_T_GET_ID, 0, 19, true);
	expect_refused(VIRTIO_BLK_S_IOERR);
	const uint32_t unknown[] = {2, 3, 10, VIRTIO_BLK_T_SECURE_ERASE, 999, 0x80000000, ~0u};
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		parse(unknown[i], 0, 512, true);
		expect_refused(VIRTIO_BLK_S_UNSUPP);
	}
}
END_TEST

static const struct {
	struct virtio_blk_discard_write_zeroes seg;
	bool discard_ok, zero_ok;
} ranges[] = {
        {{0, 8, 0}, true, true},
        {{SECTORS - 8, 8, 0}, true, true},
        {{0, 8, 1}, false, true}, /* unmap is for write zeroes */
        {{0, 8, 2}, false, false},
        {{0, 8, 0x80000001}, false, false},
        {{SECTORS - 8, 9, 0}, false, false},
        {{SECTORS, 1, 0}, false, false},
        {{~0ull, 1, 0}, false, false},
        {{~0ull, ~0u, 0}, false, false},
        {{0, ~0u, 0}, false, false},
};

START_TEST(checks_ranges)
{
	/* A good one first: each is looked at. */
	const struct virtio_blk_discard_write_zeroes good = {.sector = 16, .num_sectors = 4};
	memcpy(data, &good, sizeof(good));
	memcpy(data + sizeof(good), &ranges[_i].seg, sizeof(good));
	for (unsigned zero = 0; zero < 2; zero++) {
		parse(zero ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_DISCARD, 0, 2 * sizeof(good),
		      false);
		if (!(zero ? ranges[_i].zero_ok : ranges[_i].discard_ok)) {
			ck_assert_int_eq(req.verdict, BLK_ANSWER);
			ck_assert_uint_ne(req.answer, VIRTIO_BLK_S_OK);
			continue;
		}
		ck_assert_int_eq(req.verdict, BLK_DO);
		ck_assert_int_eq(req.io.op, zero ? DISK_ZERO : DISK_DISCARD);
		ck_assert_uint_eq(req.io.range_count, 2);
		ck_assert_uint_eq(req.range[0].offset, 16 * 512);
		ck_assert_uint_eq(req.range[1].offset, ranges[_i].seg.sector * 512);
		ck_assert_uint_eq(req.range[1].len, 8 * 512);
		ck_assert_int_eq(req.range[1].unmap, ranges[_i].seg.flags == 1);
	}
}
END_TEST

START_TEST(lists_of_ranges)
{
	const size_t one = sizeof(struct virtio_blk_discard_write_zeroes);
	memset(data, 0, sizeof(data));
	parse(VIRTIO_BLK_T_DISCARD, 0, DISK_RANGES_MAX * one, false);
	ck_assert_int_eq(req.verdict, BLK_DO);
	ck_assert_uint_eq(req.io.range_count, 0); /* all of them are empty */
	parse(VIRTIO_BLK_T_DISCARD, 0, (DISK_RANGES_MAX + 1) * one, false);
	expect_refused(VIRTIO_BLK_S_IOERR);
	parse(VIRTIO_BLK_T_DISCARD, 0, one - 1, false);
	expect_refused(VIRTIO_BLK_S_IOERR);
	parse(VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, false);
	expect_refused(VIRTIO_BLK_S_IOERR);
	limits.discard = limits.write_zeroes = false;
	parse(VIRTIO_BLK_T_DISCARD, 0, one, false);
	expect_refused(VIRTIO_BLK_S_UNSUPP);
	parse(VIRTIO_BLK_T_WRITE_ZEROES, 0, one, false);
	expect_refused(VIRTIO_BLK_S_UNSUPP);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("blk_req");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, transfers, 0, 2);
	tcase_add_test(tc, any_layout);
	tcase_add_loop_test(tc, checks_place_and_length, 0,
	                    (int)(sizeof(places) / sizeof(places[0])));
	tcase_add_test(tc, keeps_to_blocks);
	tcase_add_test(tc, read_only);
	tcase_add_test(tc, no_header_or_status);
	tcase_add_test(tc, other_types);
	tcase_add_loop_test(tc, checks_ranges, 0, (int)(sizeof(ranges) / sizeof(ranges[0])));
	tcase_add_test(tc, lists_of_ranges);
	return suite_run("blk_req", tc);
}
