/* The entropy source: its rate, and drivers that misbehave. */
#include <check.h>
#include <string.h>

#include "devices/virtio/rng.h"
#include "suite.h"
#include "virtual_clock.h"
#include "vdev_rig.h"
#include "vmm/clock.h"

#define BURST 8192u

static struct rig rig;

/* So slow that nothing accrues while no time passes. */
static void setup(void)
{
	struct vdev *vd;
	virtual_clock_start();
	memset(&rig, 0, sizeof(rig));
	rig_must(rng_create(1, BURST, &vd, NULL) == VMM_OK, "rng_create");
	rig_attach(&rig, vd);
	rig_start(&rig, vdev_offered(vd));
}

static void teardown(void)
{
	virtual_clock_stop();
	rig_close(&rig);
}

static void expect_used(uint16_t head, uint32_t len)
{
	uint16_t got;
	uint32_t got_len;
	ck_assert(rig_used(&rig, 0, &got, &got_len));
	ck_assert_uint_eq(got, head);
	ck_assert_uint_eq(got_len, len);
}

static uint32_t zeros(uint32_t offset, uint32_t len)
{
	const uint8_t *p = rig_mem(&rig, RIG_DATA + offset, len);
	uint32_t n = 0;
	for (uint32_t i = 0; i < len; i++)
		n += p[i] == 0;
	return n;
}

START_TEST(buffers_are_filled)
{
	struct seg s[] = {{RIG_DATA, 1000, true}, {RIG_DATA + 2000, 1000, true}};
	uint16_t head = rig_add(&rig, 0, s, 2);
	rig_kick(&rig, 0);
	expect_used(head, 2000);
	/* Of 1000 random bytes about 4 are zero; 60 or more are not to be expected ever. */
	ck_assert_uint_lt(zeros(0, 1000), 60);
	ck_assert_uint_eq(zeros(1000, 1000), 1000);
	ck_assert_uint_lt(zeros(2000, 1000), 60);
	ck_assert_uint_eq(zeros(3000, 1000), 1000);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, 0);
}
END_TEST

START_TEST(the_burst_is_the_limit)
{
	struct seg s = {RIG_DATA, BURST - 100, true};
	uint16_t head = rig_add(&rig, 0, &s, 1);
	rig_kick(&rig, 0);
	expect_used(head, BURST - 100);
	uint16_t second = rig_add(&rig, 0, &s, 1);
	uint16_t third = rig_add(&rig, 0, &s, 1);
	rig_kick(&rig, 0);
	expect_used(second, 100); /* what was left */
	uint16_t got;
	uint32_t len;
	rig_kick(&rig, 0);
	ck_assert(!rig_used(&rig, 0, &got, &len)); /* the third waits */
	virtual_clock_pass(1000 * NS_PER_SECOND);
	rig_run(&rig);
	expect_used(third, 1000);
	/* Reset while one waits; the timer that is set finds nothing. */
	(void)rig_add(&rig, 0, &s, 1);
	rig_kick(&rig, 0);
	rig_reset(&rig);
	rig_start(&rig, vdev_offered(rig.vd));
	virtual_clock_pass(1000 * NS_PER_SECOND);
	rig_run(&rig);
	ck_assert(!rig_used(&rig, 0, &got, &len));
}
END_TEST

START_TEST(one_request_has_a_bound)
{
	rig_close(&rig);
	struct vdev *vd;
	memset(&rig, 0, sizeof(rig));
	ck_assert_int_eq(rng_create(1, 1u << 20, &vd, NULL), VMM_OK);
	rig_attach(&rig, vd);
	rig_start(&rig, vdev_offered(vd));
	struct seg s = {RIG_DATA, 3 * RNG_REQUEST_MAX, true};
	uint16_t head = rig_add(&rig, 0, &s, 1);
	rig_kick(&rig, 0);
	expect_used(head, RNG_REQUEST_MAX);
	ck_assert_uint_eq(zeros(RNG_REQUEST_MAX, RNG_REQUEST_MAX), RNG_REQUEST_MAX);
}
END_TEST

START_TEST(buffers_of_the_wrong_direction_stay_as_they_are)
{
	struct seg s[] = {{RIG_DATA, 100, false}, {RIG_DATA + 4096, 100, true}};
	uint16_t head = rig_add(&rig, 0, s, 1);
	rig_kick(&rig, 0);
	expect_used(head, 0);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, 1);
	/* Beside a readable one, the writable one is filled, and the rule named. */
	head = rig_add(&rig, 0, s, 2);
	rig_kick(&rig, 0);
	expect_used(head, 100);
	ck_assert_uint_eq(zeros(0, 100), 100);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, 2);
	ck_assert(!(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET));
}
END_TEST

START_TEST(broken_rings_need_a_reset)
{
	struct seg s = {RIG_DATA, 64, true};
	(void)rig_add(&rig, 0, &s, 1);
	struct vring_desc *d = rig_desc(&rig, 0);
	switch (_i) {
	case 0:
		d[0].addr = RIG_MEMORY - 63;
		break;
	case 1:
		d[0].addr = UINT64_MAX - 10;
		break;
	case 2: /* a loop */
		d[0].flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT;
		d[0].next = 0;
		break;
	case 3:
		rig_avail(&rig, 0)->ring[0] = UINT16_MAX;
		break;
	case 4:
		d[0].len = 0;
		break;
	default:
		rig_avail(&rig, 0)->idx = 65;
		break;
	}
	rig_kick(&rig, 0);
	ck_assert(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	rig_reset(&rig);
	rig_start(&rig, vdev_offered(rig.vd));
	uint16_t head = rig_add(&rig, 0, &s, 1);
	rig_kick(&rig, 0);
	expect_used(head, 64);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("rng");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, buffers_are_filled);
	tcase_add_test(tc, the_burst_is_the_limit);
	tcase_add_test(tc, one_request_has_a_bound);
	tcase_add_test(tc, buffers_of_the_wrong_direction_stay_as_they_are);
	tcase_add_loop_test(tc, broken_rings_need_a_reset, 0, 6);
	return suite_run("rng", tc);
}
