/* The end of the machine, with disks that do not let it end. */
#include <string.h>

#include "gk_vdev.h"
#include "guest-kernel/services/system.h"

#define DISK_BYTES (8u << 20)

static uint32_t answer(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count)
{
	(void)v, (void)queue;
	*segs[count - 1].data = 0;
	return 1;
}

static struct vdev make_disk(void)
{
	struct vdev v = {.id = VIRTIO_ID_BLOCK, .features = 1 << 9, .answer = answer};
	uint64_t sectors = DISK_BYTES / SECTOR_BYTES;
	memcpy(v.config, &sectors, sizeof(sectors));
	return v;
}

/* Two disks with something to write, the first of which falls silent. */
static struct vdev disks[2];
static struct system sys;

static void start(void)
{
	static uint8_t data[DISK_BLOCK_BYTES];
	sys.kernel = kernel_of_cpu();
	devices_find(&sys.devices, sys.kernel->boot);
	ck_assert_uint_eq(sys.devices.disk_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		sys.disks[i] = disk_create(sys.devices.disks[i], DISK_CACHE_MIN);
		ck_assert_ptr_nonnull(sys.disks[i]);
		ck_assert(disk_write(sys.disks[i], 0, data, sizeof(data)));
	}
	disks[0].lie = VDEV_SILENT;
	system_start_button(&sys);
}

static void press_body(void *arg)
{
	(void)arg;
	start();
	hosted_raise(hosted_self(), HOSTED_GSI_BUTTON);
	task_sleep(2 * BLK_ANSWER_NS);
	ck_abort_msg("the machine is still on");
}

START_TEST(a_silent_disk_does_not_keep_the_machine_on)
{
	disks[0] = disks[1] = make_disk();
	vdev_run((struct vdev *[]){&disks[0], &disks[1]}, 2, press_body, NULL);
	ck_assert_uint_eq(rig_said("the power button was pressed: off"), 1);
	ck_assert_uint_eq(rig_said("has not answered a request for 30 s"), 1);
	ck_assert_uint_eq(rig_said("disk0: not everything could be written"), 1);
	ck_assert_uint_eq(rig_said("disk1: "), 0);
	ck_assert_uint_eq(disks[1].requests, 2); /* a write, a flush */
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("power");
	tcase_add_test(tc, a_silent_disk_does_not_keep_the_machine_on);
	return suite_run("gk_power", tc);
}
