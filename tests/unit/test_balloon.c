/* The memory balloon: what goes back to the host, statistics, and drivers that misbehave. */
#include <check.h>
#include <endian.h>
#include <linux/virtio_balloon.h>
#include <stddef.h>
#include <string.h>

#include "devices/virtio/balloon.h"
#include "suite.h"
#include "vdev_rig.h"

#define INFLATE   0u
#define DEFLATE   1u
#define STATS     2u
#define REPORTING 3u
#define PAGE      4096u
#define LIST      RIG_DATA                /* page numbers, and other requests */
#define VICTIMS   (RIG_DATA + (2u << 20)) /* pages that are given up */

static struct rig rig;

static void setup(void)
{
	vmm_balloon_opts_t o = VMM_BALLOON_OPTS_INIT;
	struct vdev *vd;
	memset(&rig, 0, sizeof(rig));
	o.target_bytes = 1u << 20;
	o.stats_interval_ms = 1;
	rig_must(balloon_create(&o, RIG_MEMORY, &vd, NULL) == VMM_OK, "balloon_create");
	rig_attach(&rig, vd);
	rig_start(&rig, vdev_offered(vd));
}

static void teardown(void)
{
	rig_close(&rig);
}

static vmm_balloon_stats_t stats(void)
{
	vmm_balloon_stats_t s = {.struct_size = sizeof(s)};
	balloon_stats(rig.vd, &s);
	return s;
}

static uint64_t guest_errors(void)
{
	return rig.vd->stats.guest_errors;
}

/* The device gave back chain HEAD with nothing written. */
static void expect_back(unsigned q, uint16_t head)
{
	uint16_t got;
	uint32_t len;
	ck_assert(rig_used(&rig, q, &got, &len));
	ck_assert_uint_eq(got, head);
	ck_assert_uint_eq(len, 0);
}

static void request(unsigned q, const uint32_t *pfns, uint32_t bytes, bool write)
{
	if (bytes > 0)
		memcpy(rig_mem(&rig, LIST, bytes), pfns, bytes);
	struct seg s = {LIST, bytes, write};
	uint16_t head = rig_add(&rig, q, &s, 1);
	rig_kick(&rig, q);
	expect_back(q, head);
}

static void fill_pages(unsigned n)
{
	memset(rig_mem(&rig, VICTIMS, n * PAGE), 0x5a, n * PAGE);
}

static bool is_zero(unsigned page)
{
	const uint8_t *p = rig_mem(&rig, VICTIMS + page * PAGE, PAGE);
	for (unsigned i = 0; i < PAGE; i++)
		if (p[i])
			return false;
	return true;
}

static uint32_t pfn(unsigned page)
{
	return htole32((uint32_t)(VICTIMS / PAGE) + page);
}

START_TEST(pages_given_up_go_back_to_the_host)
{
	/* Upwards, downwards, and one alone: three runs. */
	const uint32_t list[] = {pfn(0), pfn(1), pfn(5), pfn(4), pfn(7)};
	fill_pages(9);
	request(INFLATE, list, sizeof(list), false);
	for (unsigned i = 0; i < 9; i++)
		ck_assert_int_eq(is_zero(i), i == 0 || i == 1 || i == 4 || i == 5 || i == 7);
	ck_assert_uint_eq(stats().discarded, 5 * PAGE);
	ck_assert_uint_eq(stats().reported, 0);
	ck_assert_uint_eq(guest_errors(), 0);
}
END_TEST

START_TEST(deflating_leaves_memory_alone)
{
	const uint32_t list[] = {pfn(0), pfn(1)};
	fill_pages(2);
	request(DEFLATE, list, sizeof(list), false);
	ck_assert(!is_zero(0) && !is_zero(1));
	ck_assert_uint_eq(stats().discarded, 0);
}
END_TEST

START_TEST(pages_that_are_not_memory_are_refused)
{
	const uint32_t list[] = {htole32(UINT32_MAX), pfn(0), htole32(RIG_MEMORY / PAGE),
	                         htole32(RIG_MEMORY / PAGE - 1)};
	fill_pages(1);
	request(INFLATE, list, sizeof(list), false);
	ck_assert(is_zero(0));
	ck_assert_uint_eq(stats().discarded, 2 * PAGE);
	ck_assert_uint_eq(guest_errors(), 1);
}
END_TEST

START_TEST(malformed_lists_do_nothing)
{
	const uint32_t list[] = {pfn(0), pfn(1)};
	fill_pages(2);
	request(INFLATE, list, 7, false); /* no whole numbers */
	ck_assert_uint_eq(guest_errors(), 1);
	request(INFLATE, list, sizeof(list), true); /* wrong direction: an empty list */
	struct seg s = {LIST, 4 * (BALLOON_PFNS_MAX + 1), false};
	uint16_t head = rig_add(&rig, INFLATE, &s, 1);
	rig_kick(&rig, INFLATE);
	expect_back(INFLATE, head);
	ck_assert_uint_eq(guest_errors(), 2);
	ck_assert(!is_zero(0) && !is_zero(1));
	ck_assert_uint_eq(stats().discarded, 0);
	ck_assert(!(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET));
}
END_TEST

/* Every rule of rings holds here as well; afterwards the device works for the next driver. */
START_TEST(broken_rings_need_a_reset)
{
	const uint32_t list[] = {pfn(0)};
	struct seg s = {LIST, 4, false};
	(void)rig_add(&rig, INFLATE, &s, 1);
	struct vring_desc *d = rig_desc(&rig, INFLATE);
	switch (_i) {
	case 0:
		d[0].addr = RIG_MEMORY - 2;
		break;
	case 1: /* a loop */
		d[0].flags = VRING_DESC_F_NEXT;
		d[0].next = 0;
		break;
	case 2:
		rig_avail(&rig, INFLATE)->ring[0] = 128;
		break;
	case 3:
		rig_avail(&rig, INFLATE)->idx = 1000;
		break;
	default:
		d[0].len = 0;
		break;
	}
	rig_kick(&rig, INFLATE);
	ck_assert(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_uint_eq(stats().discarded, 0);
	rig_reset(&rig);
	rig_start(&rig, vdev_offered(rig.vd));
	fill_pages(1);
	request(INFLATE, list, sizeof(list), false);
	ck_assert(is_zero(0));
}
END_TEST

START_TEST(free_pages_are_reported)
{
	/* Not aligned: only the whole pages inside are free. */
	struct seg s[] = {{VICTIMS + 100, 3 * PAGE, true}, {VICTIMS + 6 * PAGE, PAGE - 1, true}};
	fill_pages(8);
	uint16_t head = rig_add(&rig, REPORTING, s, 2);
	rig_kick(&rig, REPORTING);
	expect_back(REPORTING, head);
	ck_assert(!is_zero(0) && is_zero(1) && is_zero(2) && !is_zero(3) && !is_zero(6));
	ck_assert_uint_eq(stats().reported, 2 * PAGE);
	ck_assert_uint_eq(stats().discarded, 2 * PAGE);
	s[0].write = false;
	head = rig_add(&rig, REPORTING, s, 1);
	rig_kick(&rig, REPORTING);
	expect_back(REPORTING, head);
	ck_assert_uint_eq(stats().reported, 2 * PAGE);
	ck_assert_uint_eq(guest_errors(), 1);
}
END_TEST

/* The buffer stays with the device until it asks again. */
START_TEST(statistics_are_asked_for_again)
{
	struct virtio_balloon_stat list[] = {
	        {htole16(VIRTIO_BALLOON_S_MEMFREE), htole64(1234)},
	        {htole16(VIRTIO_BALLOON_S_NR), htole64(1)}, /* unknown tags are skipped */
	        {htole16(UINT16_MAX), htole64(1)},
	        {htole16(VIRTIO_BALLOON_S_MEMTOT), htole64(UINT64_MAX - 1)},
	};
	uint16_t got;
	uint32_t len;
	memcpy(rig_mem(&rig, LIST, sizeof(list)), list, sizeof(list));
	struct seg s = {LIST, sizeof(list), false};
	uint16_t head = rig_add(&rig, STATS, &s, 1);
	ck_assert_uint_eq(stats().guest_free, VMM_BALLOON_UNKNOWN);
	vdev_kick(rig.vd, STATS);
	ck_assert(!rig_used(&rig, STATS, &got, &len));
	ck_assert_uint_eq(stats().guest_free, 1234);
	ck_assert_uint_eq(stats().guest_total, UINT64_MAX - 1);
	ck_assert_uint_eq(stats().guest_caches, VMM_BALLOON_UNKNOWN);
	for (int i = 0; i < 100 && rig.used_signals[STATS] == 0; i++)
		loop_run_once(rig.loop, 50);
	expect_back(STATS, head);
}
END_TEST

/* A driver has one buffer for statistics; one that gives many gets all but the last back. */
START_TEST(statistics_buffers_are_not_hoarded)
{
	struct seg s = {LIST, sizeof(struct virtio_balloon_stat), false};
	uint16_t first = rig_add(&rig, STATS, &s, 1);
	(void)rig_add(&rig, STATS, &s, 1);
	vdev_kick(rig.vd, STATS);
	expect_back(STATS, first);
	/* Reset while the other is held: it is forgotten, and so is the timer's errand. */
	rig_reset(&rig);
	rig_start(&rig, vdev_offered(rig.vd));
	uint16_t got;
	uint32_t len;
	for (int i = 0; i < 5; i++)
		loop_run_once(rig.loop, 2);
	ck_assert(!rig_used(&rig, STATS, &got, &len));
	ck_assert_uint_eq(stats().guest_free, VMM_BALLOON_UNKNOWN);
}
END_TEST

/* Queues are numbered without gaps: without statistics, reporting is queue 2. */
START_TEST(queues_follow_the_features)
{
	rig_reset(&rig);
	rig_start(&rig, 1ull << VIRTIO_BALLOON_F_REPORTING);
	struct seg s = {VICTIMS, PAGE, true};
	fill_pages(1);
	uint16_t head = rig_add(&rig, 2, &s, 1);
	rig_kick(&rig, 2);
	expect_back(2, head);
	ck_assert(is_zero(0));
	/* Queue 3 belongs to nothing now; what comes there goes back untouched. */
	fill_pages(1);
	head = rig_add(&rig, 3, &s, 1);
	rig_kick(&rig, 3);
	expect_back(3, head);
	ck_assert(!is_zero(0));
}
END_TEST

START_TEST(the_target_is_checked_and_told)
{
	ck_assert_uint_eq(vdev_config_read(rig.vd, 0, 4), (1u << 20) / PAGE);
	ck_assert(!balloon_set_target(rig.vd, RIG_MEMORY));
	ck_assert(!balloon_set_target(rig.vd, PAGE + 1));
	ck_assert_uint_eq(rig.config_signals, 0);
	ck_assert(balloon_set_target(rig.vd, RIG_MEMORY - PAGE));
	ck_assert_uint_eq(rig.config_signals, 1);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 0, 4), RIG_MEMORY / PAGE - 1);
}
END_TEST

START_TEST(only_the_actual_size_is_the_drivers_to_write)
{
	const uint32_t actual = offsetof(struct virtio_balloon_config, actual);
	vdev_config_write(rig.vd, 0, 4, 0xffff);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 0, 4), (1u << 20) / PAGE);
	vdev_config_write(rig.vd, actual, 4, 10);
	ck_assert_uint_eq(stats().actual_bytes, 10 * PAGE);
	vdev_config_write(rig.vd, actual, 4, UINT32_MAX); /* more than there is */
	ck_assert_uint_eq(stats().actual_bytes, RIG_MEMORY);
	vdev_config_write(rig.vd, 8, 4, 1);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 8, 4), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("balloon");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pages_given_up_go_back_to_the_host);
	tcase_add_test(tc, deflating_leaves_memory_alone);
	tcase_add_test(tc, pages_that_are_not_memory_are_refused);
	tcase_add_test(tc, malformed_lists_do_nothing);
	tcase_add_loop_test(tc, broken_rings_need_a_reset, 0, 5);
	tcase_add_test(tc, free_pages_are_reported);
	tcase_add_test(tc, statistics_are_asked_for_again);
	tcase_add_test(tc, statistics_buffers_are_not_hoarded);
	tcase_add_test(tc, queues_follow_the_features);
	tcase_add_test(tc, the_target_is_checked_and_told);
	tcase_add_test(tc, only_the_actual_size_is_the_drivers_to_write);
	return suite_run("balloon", tc);
}
