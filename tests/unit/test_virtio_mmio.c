/* virtio over mmio: the registers of 4.2.2, their widths, interrupts and reset. */
#include <check.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "devices/virtio/balloon.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/rng.h"
#include "suite.h"
#include "vdev_rig.h"

#define GSI        20u
#define AGREED     (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define RUNNING    (AGREED | VIRTIO_CONFIG_S_DRIVER_OK)
#define VERSION_1  (1u << (VIRTIO_F_VERSION_1 - 32))
#define QUEUE_SIZE 8u

static struct rig rig;
static struct vregs regs;

static void put(uint64_t reg, uint32_t value)
{
	vmmio_bus_ops.write(&regs, reg, 4, value);
}

static uint32_t get(uint64_t reg)
{
	return (uint32_t)vmmio_bus_ops.read(&regs, reg, 4);
}

static void attach(struct vdev *vd)
{
	memset(&rig, 0, sizeof(rig));
	rig_attach(&rig, vd);
	vd->transport = &vmmio_transport;
	ck_assert_int_eq(irq_line_open(&vd->irq, GSI, NULL), VMM_OK);
	regs = (struct vregs){.vd = vd};
}

static void setup(void)
{
	struct vdev *vd;
	ck_assert_int_eq(rng_create(1u << 20, 1u << 20, &vd, NULL), VMM_OK);
	attach(vd);
}

static void setup_balloon(void)
{
	vmm_balloon_opts_t opts = VMM_BALLOON_OPTS_INIT;
	struct vdev *vd;
	ck_assert_int_eq(balloon_create(&opts, RIG_MEMORY, &vd, NULL), VMM_OK);
	attach(vd);
}

static void teardown(void)
{
	rig_close(&rig);
}

/* How often the line was pulsed since the last look. */
static unsigned pulses(void)
{
	eventfd_t n = 0;
	return eventfd_read(rig.vd->irq.fd, &n) ? 0 : (unsigned)n;
}

static void agree(void)
{
	put(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	put(VIRTIO_MMIO_DRIVER_FEATURES, VERSION_1);
	put(VIRTIO_MMIO_STATUS, AGREED);
}

static void describe_queue(unsigned q)
{
	uint32_t base = (uint32_t)(RIG_QUEUE_BASE + q * RIG_QUEUE_STEP);
	put(VIRTIO_MMIO_QUEUE_SEL, q);
	put(VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE);
	put(VIRTIO_MMIO_QUEUE_DESC_LOW, base);
	put(VIRTIO_MMIO_QUEUE_AVAIL_LOW, base + 0x4000);
	put(VIRTIO_MMIO_QUEUE_USED_LOW, base + 0x5000);
	put(VIRTIO_MMIO_QUEUE_READY, 1);
	rig.q[q] = (struct rig_queue){.size = QUEUE_SIZE};
}

static void bring_up(void)
{
	agree();
	for (unsigned q = 0; q < rig.vd->queue_count; q++)
		describe_queue(q);
	put(VIRTIO_MMIO_STATUS, RUNNING);
	ck_assert_uint_eq(get(VIRTIO_MMIO_STATUS), RUNNING);
}

START_TEST(the_device_says_what_it_is)
{
	ck_assert_uint_eq(get(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	ck_assert_uint_eq(get(VIRTIO_MMIO_VERSION), 2);
	ck_assert_uint_eq(get(VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_RNG);
	ck_assert_uint_ne(get(VIRTIO_MMIO_VENDOR_ID), 0);
	ck_assert_uint_eq(get(VIRTIO_MMIO_STATUS), 0);
	/* No shared memory regions; write-only registers and those that do not exist read 0. */
	ck_assert_uint_eq(get(VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	ck_assert_uint_eq(get(VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
	ck_assert_uint_eq(get(VIRTIO_MMIO_QUEUE_NOTIFY), 0);
	ck_assert_uint_eq(get(0xf8), 0);
	ck_assert_uint_eq(rig.lines, 0);
}
END_TEST

START_TEST(features_are_shown_and_taken_by_halves)
{
	put(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	ck_assert_uint_eq(get(VIRTIO_MMIO_DEVICE_FEATURES), VERSION_1);
	put(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	ck_assert_uint_eq(get(VIRTIO_MMIO_DEVICE_FEATURES), (uint32_t)vdev_offered(rig.vd));
	put(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	ck_assert_uint_eq(get(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	/* One that is not offered. */
	put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	put(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	agree();
	ck_assert_uint_eq(get(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK, 0);
	put(VIRTIO_MMIO_STATUS, 0);
	agree();
	ck_assert_uint_eq(get(VIRTIO_MMIO_STATUS), AGREED);
	/* Agreed is agreed. */
	put(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	ck_assert(vdev_has(rig.vd, VIRTIO_F_VERSION_1));
}
END_TEST

START_TEST(a_request_is_served_and_the_interrupt_acknowledged)
{
	const struct seg buffer = {RIG_DATA, 64, true};
	uint16_t head;
	uint32_t len;
	bring_up();
	uint16_t added = rig_add(&rig, 0, &buffer, 1);
	put(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	rig_run(&rig);
	ck_assert(rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(head, added);
	ck_assert_uint_eq(len, 64);
	ck_assert_uint_eq(pulses(), 1);
	ck_assert_uint_eq(get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	put(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG); /* the other one */
	ck_assert_uint_eq(get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	put(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	ck_assert_uint_eq(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}
END_TEST

/* The loop sends the interrupt with the device's lock held; the vCPU that takes it does not wait.
 */
START_TEST(interrupts_are_looked_at_without_the_lock)
{
	atomic_store(&rig.vd->interrupt_status, VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
	ck_assert_int_eq(pthread_mutex_lock(&rig.vd->lock), 0);
	ck_assert_uint_eq(get(VIRTIO_MMIO_INTERRUPT_STATUS),
	                  VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
	put(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	ck_assert_uint_eq(get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	ck_assert_int_eq(pthread_mutex_unlock(&rig.vd->lock), 0);
}
END_TEST

START_TEST(notifications_that_name_no_queue_go_nowhere)
{
	const struct seg buffer = {RIG_DATA, 64, true};
	uint16_t head;
	uint32_t len;
	bring_up();
	(void)rig_add(&rig, 0, &buffer, 1);
	put(VIRTIO_MMIO_QUEUE_NOTIFY, rig.vd->queue_count);
	put(VIRTIO_MMIO_QUEUE_NOTIFY, UINT32_MAX);
	vmmio_bus_ops.write(&regs, VIRTIO_MMIO_QUEUE_NOTIFY, 2, 0);
	rig_run(&rig);
	ck_assert(!rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(pulses(), 0);
}
END_TEST

START_TEST(queues_that_do_not_exist_have_no_size)
{
	ck_assert_uint_ge(get(VIRTIO_MMIO_QUEUE_NUM_MAX), QUEUE_SIZE);
	put(VIRTIO_MMIO_QUEUE_SEL, rig.vd->queue_count);
	ck_assert_uint_eq(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	put(VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE);
	put(VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000);
	put(VIRTIO_MMIO_QUEUE_READY, 1);
	ck_assert_uint_eq(get(VIRTIO_MMIO_QUEUE_READY), 0);
}
END_TEST

START_TEST(a_ready_queue_keeps_its_description)
{
	agree();
	describe_queue(0);
	put(VIRTIO_MMIO_QUEUE_NUM, 4);
	put(VIRTIO_MMIO_QUEUE_USED_HIGH, 1);
	ck_assert_uint_eq(rig.vd->queue[0].ring.size, QUEUE_SIZE);
	ck_assert_uint_eq(rig.vd->queue[0].ring.used_addr.addr, RIG_QUEUE_BASE + 0x5000);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, 2);
	put(VIRTIO_MMIO_QUEUE_READY, 0);
	put(VIRTIO_MMIO_QUEUE_USED_HIGH, 1);
	ck_assert_uint_eq(rig.vd->queue[0].ring.used_addr.addr,
	                  (1ull << 32) + RIG_QUEUE_BASE + 0x5000);
}
END_TEST

START_TEST(registers_have_one_width)
{
	agree();
	ck_assert_uint_eq(vmmio_bus_ops.read(&regs, VIRTIO_MMIO_MAGIC_VALUE, 1), 0);
	ck_assert_uint_eq(vmmio_bus_ops.read(&regs, VIRTIO_MMIO_VERSION, 8), 0);
	ck_assert_uint_eq(vmmio_bus_ops.read(&regs, VIRTIO_MMIO_VERSION + 2, 4), 0);
	vmmio_bus_ops.write(&regs, VIRTIO_MMIO_STATUS, 1, 0);
	vmmio_bus_ops.write(&regs, VIRTIO_MMIO_STATUS, 8, 0);
	vmmio_bus_ops.write(&regs, VIRTIO_MMIO_STATUS + 1, 4, 0);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, 6);
	ck_assert_uint_eq(get(VIRTIO_MMIO_STATUS), AGREED);
}
END_TEST

START_TEST(reset_forgets_everything)
{
	const struct seg buffer = {RIG_DATA, 64, true};
	bring_up();
	(void)rig_add(&rig, 0, &buffer, 1);
	put(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	put(VIRTIO_MMIO_QUEUE_SEL, 7);
	put(VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(get(VIRTIO_MMIO_STATUS), 0);
	ck_assert_uint_eq(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	ck_assert_uint_ne(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0); /* queue 0 is selected again */
	ck_assert_uint_eq(get(VIRTIO_MMIO_QUEUE_READY), 0);
	ck_assert(!rig.vd->active);
	bring_up();
}
END_TEST

START_TEST(config_space_has_every_width_and_an_end)
{
	const uint64_t actual = VIRTIO_MMIO_CONFIG + offsetof(struct virtio_balloon_config, actual);
	bring_up();
	vmmio_bus_ops.write(&regs, actual, 4, 0x0304);
	ck_assert_uint_eq(vmmio_bus_ops.read(&regs, actual, 1), 4);
	ck_assert_uint_eq(vmmio_bus_ops.read(&regs, actual, 2), 0x0304);
	ck_assert_uint_eq(vmmio_bus_ops.read(&regs, actual + 1, 1), 3);
	ck_assert_uint_eq(get(actual), 0x0304);
	uint64_t end = VIRTIO_MMIO_CONFIG + rig.vd->config_len;
	ck_assert_uint_eq(vmmio_bus_ops.read(&regs, end - 2, 4), 0);
	ck_assert_uint_eq(vmmio_bus_ops.read(&regs, end, 1), 0);
	vmmio_bus_ops.write(&regs, end - 1, 8, UINT64_MAX);
	ck_assert_uint_eq(vmmio_bus_ops.read(&regs, end - 1, 1), 0);
}
END_TEST

START_TEST(changes_of_config_space_are_told)
{
	uint32_t before = get(VIRTIO_MMIO_CONFIG_GENERATION);
	vdev_config_changed(rig.vd); /* nobody to tell */
	ck_assert_uint_eq(pulses(), 0);
	bring_up();
	vdev_config_changed(rig.vd);
	ck_assert_uint_eq(pulses(), 1);
	ck_assert_uint_eq(get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(get(VIRTIO_MMIO_CONFIG_GENERATION), before + 2);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("registers");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_device_says_what_it_is);
	tcase_add_test(tc, features_are_shown_and_taken_by_halves);
	tcase_add_test(tc, a_request_is_served_and_the_interrupt_acknowledged);
	tcase_add_test(tc, interrupts_are_looked_at_without_the_lock);
	tcase_add_test(tc, notifications_that_name_no_queue_go_nowhere);
	tcase_add_test(tc, queues_that_do_not_exist_have_no_size);
	tcase_add_test(tc, a_ready_queue_keeps_its_description);
	tcase_add_test(tc, registers_have_one_width);
	tcase_add_test(tc, reset_forgets_everything);
	int failed = suite_run("virtio_mmio", tc);
	tc = tcase_create("config space");
	tcase_add_checked_fixture(tc, setup_balloon, teardown);
	tcase_add_test(tc, config_space_has_every_width_and_an_end);
	tcase_add_test(tc, changes_of_config_space_are_told);
	return suite_run("virtio_mmio, config space", tc) || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
