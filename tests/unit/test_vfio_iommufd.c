/* The two ways to the host's IOMMU: iommufd, groups, and which of them is taken. */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "devices/vfio/iommufd_abi.h"
#include "suite.h"
#include "vfio_rig.h"

#define SECOND     "0000:01:00.1"
#define KVM_DEVICE 55

/* Linux's own numbers, whichever headers gave them. */
START_TEST(the_kernels_interface)
{
	ck_assert_uint_eq(IOMMU_IOAS_ALLOC, 0x3b81);
	ck_assert_uint_eq(IOMMU_IOAS_MAP, 0x3b85);
	ck_assert_uint_eq(IOMMU_IOAS_UNMAP, 0x3b86);
	ck_assert_uint_eq(VFIO_DEVICE_BIND_IOMMUFD, 0x3b76);
	ck_assert_uint_eq(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0x3b77);
	ck_assert_uint_eq(KVM_DEV_VFIO_FILE, 1);
	ck_assert_uint_eq(KVM_DEV_VFIO_FILE_ADD, 1);
	ck_assert_uint_eq(KVM_DEV_VFIO_FILE_DEL, 2);
	ck_assert_uint_eq(IOMMU_IOAS_MAP_FIXED_IOVA, 1);
	ck_assert_uint_eq(IOMMU_IOAS_MAP_WRITEABLE, 2);
	ck_assert_uint_eq(IOMMU_IOAS_MAP_READABLE, 4);
	ck_assert_uint_eq(sizeof(struct iommu_ioas_alloc), 12);
	ck_assert_uint_eq(offsetof(struct iommu_ioas_alloc, out_ioas_id), 8);
	ck_assert_uint_eq(sizeof(struct iommu_ioas_map), 40);
	ck_assert_uint_eq(offsetof(struct iommu_ioas_map, flags), 4);
	ck_assert_uint_eq(offsetof(struct iommu_ioas_map, ioas_id), 8);
	ck_assert_uint_eq(offsetof(struct iommu_ioas_map, user_va), 16);
	ck_assert_uint_eq(offsetof(struct iommu_ioas_map, length), 24);
	ck_assert_uint_eq(offsetof(struct iommu_ioas_map, iova), 32);
	ck_assert_uint_eq(sizeof(struct iommu_ioas_unmap), 24);
	ck_assert_uint_eq(offsetof(struct iommu_ioas_unmap, ioas_id), 4);
	ck_assert_uint_eq(offsetof(struct iommu_ioas_unmap, iova), 8);
	ck_assert_uint_eq(offsetof(struct iommu_ioas_unmap, length), 16);
	ck_assert_uint_eq(sizeof(struct vfio_device_bind_iommufd), 16);
	ck_assert_uint_eq(offsetof(struct vfio_device_bind_iommufd, iommufd), 8);
	ck_assert_uint_eq(offsetof(struct vfio_device_bind_iommufd, out_devid), 12);
	ck_assert_uint_eq(sizeof(struct vfio_device_attach_iommufd_pt), 12);
	ck_assert_uint_eq(offsetof(struct vfio_device_attach_iommufd_pt, pt_id), 8);
}
END_TEST

/* A host with iommufd, whose device has a character device. */
static void setup(void)
{
	vfio_rig_setup();
	fake.fail_open_iommufd = 0;
	fake_vfio_cdev(&fake, FAKE_ADDRESS, "vfio2");
}

static struct hostdev device(const char *address)
{
	struct hostdev d;
	ck_assert_int_eq(hostdev_read(fake.sysfs, address, &d, &ei), VMM_OK);
	return d;
}

static vmm_err_t choose(vmm_vfio_iommu_t asked)
{
	struct hostdev d = device(FAKE_ADDRESS);
	return vfio_iommu_choose(&iommu, asked, &d, 1, &ei);
}

static void choose_iommufd(void)
{
	ck_assert_int_eq(choose(VMM_VFIO_IOMMUFD), VMM_OK);
	ck_assert_ptr_eq(iommu.way, &vfio_iommu_fd);
}

static void says(const char *text)
{
	ck_assert_msg(strstr(ei.message, text) != NULL, "%s: %s", ei.field, ei.message);
}

/* What AUTO takes, and IOMMUFD says of it. */
static void not_iommufd(vmm_err_t want, const char *text)
{
	ck_assert_int_eq(choose(VMM_VFIO_IOMMUFD), want);
	says(text);
	ei.message[0] = '\0';
	ck_assert_int_eq(choose(VMM_VFIO_AUTO), VMM_OK);
	ck_assert_ptr_eq(iommu.way, &vfio_iommu_group);
	says(text);
}

START_TEST(the_way_is_chosen)
{
	ck_assert_int_eq(choose(VMM_VFIO_AUTO), VMM_OK);
	ck_assert_ptr_eq(iommu.way, &vfio_iommu_fd);
	unsigned opens = fake.opens;
	ck_assert_int_eq(choose(VMM_VFIO_GROUP), VMM_OK);
	ck_assert_ptr_eq(iommu.way, &vfio_iommu_group);
	ck_assert_uint_eq(fake.opens, opens);
	fake.fail_open_iommufd = -ENOENT;
	not_iommufd(VMM_E_UNSUPPORTED, "the host has no iommufd");
	fake.fail_open_iommufd = -ENODEV;
	not_iommufd(VMM_E_UNSUPPORTED, "the host has no iommufd");
	fake.fail_open_iommufd = -EMFILE;
	not_iommufd(VMM_E_UNSUPPORTED, "cannot be opened");
	fake.fail_open_iommufd = -EACCES;
	not_iommufd(VMM_E_PERM, "chown $USER /dev/iommu");
	fake.fail_open_iommufd = 0;
	fake.fail_open_cdev = -EPERM;
	not_iommufd(VMM_E_PERM, "chown $USER /dev/vfio/devices/vfio2");
	fake.fail_open_cdev = -ENOENT;
	not_iommufd(VMM_E_UNSUPPORTED, "the device's file is missing");
	/* For the lack of a right, only where there are groups. */
	fake.fail_open_cdev = -EPERM;
	fake.fail_open_container = -ENOENT;
	ck_assert_int_eq(choose(VMM_VFIO_AUTO), VMM_E_PERM);
	fake.fail_open_cdev = 0;
	ck_assert_int_eq(choose(VMM_VFIO_AUTO), VMM_OK);
	ck_assert_ptr_eq(iommu.way, &vfio_iommu_fd);
}
END_TEST

/* Each device of the VM must have what iommufd needs. */
START_TEST(one_device_without_a_character_device)
{
	fake_vfio_neighbour(&fake, SECOND, "vfio-pci");
	struct hostdev d[] = {device(FAKE_ADDRESS), device(SECOND)};
	ck_assert_int_eq(d[0].cdev, 2);
	ck_assert_int_eq(d[1].cdev, -1);
	ck_assert_int_eq(vfio_iommu_choose(&iommu, VMM_VFIO_AUTO, d, 2, &ei), VMM_OK);
	ck_assert_ptr_eq(iommu.way, &vfio_iommu_group);
	ck_assert_int_eq(vfio_iommu_choose(&iommu, VMM_VFIO_IOMMUFD, d, 2, &ei), VMM_E_UNSUPPORTED);
	ck_assert_str_eq(ei.field, SECOND);
	says("no character device");
	/* A device that its own driver has cannot have one. */
	fake_vfio_neighbour(&fake, SECOND, "nvme");
	d[1] = device(SECOND);
	ck_assert_int_eq(vfio_iommu_choose(&iommu, VMM_VFIO_IOMMUFD, d, 2, &ei), VMM_E_BUSY);
	ck_assert_str_eq(ei.field, SECOND);
	says("is bound to nvme, not to vfio-pci");
}
END_TEST

START_TEST(names_that_are_no_character_devices)
{
	static const char *const wrong[] = {
	        "vfio", "vfio-1", "vfio1x", "vfio99999999999999999", "vfio 1", "noiommu-vfio0"};
	fake_vfio_neighbour(&fake, SECOND, "vfio-pci");
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		fake_vfio_cdev(&fake, SECOND, wrong[i]);
	ck_assert_int_eq(device(SECOND).cdev, -1);
	fake_vfio_cdev(&fake, SECOND, "vfio3");
	ck_assert_int_eq(device(SECOND).cdev, 3);
}
END_TEST

START_TEST(a_device_through_iommufd)
{
	choose_iommufd();
	vfio_rig_add_well();
	ck_assert(fake.bound[2] && fake.attached[2]);
	ck_assert_uint_eq(fake.resets, 1);
	ck_assert_uint_eq(pci_bus_config_read(&pci, vfio_dev_func(dev)->devfn, PCI_VENDOR_ID, 4),
	                  0x58458086);
	pci_bus_reset(&pci);
	ck_assert_uint_eq(fake.resets, 2);
	ck_assert(fake.attached[2]);
}
END_TEST

/* What `vmm vfio` says of groups holds here, too: the kernel's refusal would not name the driver.
 */
START_TEST(a_neighbour_is_in_the_way)
{
	choose_iommufd();
	unsigned opens = fake.opens;
	fake_vfio_neighbour(&fake, SECOND, "e1000e");
	vfio_rig_refused(VMM_E_BUSY, SECOND " of the same group, 7, is still bound to e1000e");
	fake_vfio_neighbour(&fake, SECOND, NULL);
	fake_vfio_bind(&fake, "nvme");
	vfio_rig_refused(VMM_E_BUSY, "bound to nvme, not to vfio-pci");
	ck_assert_uint_eq(fake.opens, opens);
}
END_TEST

START_TEST(iommufd_refuses)
{
	choose_iommufd();
	fake.fail_open_iommufd = -EMFILE;
	vfio_rig_refused(VMM_E_LIMIT, "cannot be opened");
	fake.fail_open_iommufd = 0;
	fake.fail_ioas = -ENOMEM;
	vfio_rig_refused(VMM_E_NOMEM, "cannot make an address space");
	ck_assert_int_eq(iommu.fd, -1);
	ck_assert_int_eq(fake.live, 0);
	fake.fail_ioas = 0;
	fake.fail_open_cdev = -ENODEV;
	vfio_rig_refused(VMM_E_NOENT, "cannot open the device " FAKE_ADDRESS);
	fake.fail_open_cdev = 0;
	fake.fail_bind = -EBUSY;
	vfio_rig_refused(VMM_E_BUSY, "another process uses it, or a device of its group, 7");
	fake.fail_bind = -EPERM;
	vfio_rig_refused(VMM_E_PERM, "no interrupt remapping");
	fake.fail_bind = -EINVAL; /* the kernel's word for a device that is bound already */
	vfio_rig_refused(VMM_E_BUSY, "another process uses it");
	fake.fail_bind = -ENOMEM;
	vfio_rig_refused(VMM_E_NOMEM, "iommufd does not take it");
	fake.fail_bind = 0;
	fake.fail_attach = -EBUSY;
	vfio_rig_refused(VMM_E_BUSY, "another process");
	fake.fail_attach = -EINVAL;
	vfio_rig_refused(VMM_E_UNSUPPORTED, "cannot be attached");
	fake.fail_attach = 0;
	fake.device_flags = VFIO_DEVICE_FLAGS_PLATFORM;
	vfio_rig_refused(VMM_E_UNSUPPORTED, "not a PCI device");
	/* Nothing stays of any of them, and the next try succeeds. */
	ck_assert_int_eq(fake.live, 1);
	ck_assert_uint_eq(iommu.file_count, 0);
	fake.device_flags = VFIO_DEVICE_FLAGS_PCI;
	vfio_rig_add_well();
}
END_TEST

static struct gmem *memory(void)
{
	struct gmem_opts o = {.size_bytes = 4ull << 30, .fd = -1};
	struct gmem *gm;
	if (gmem_create(&o, &gm, &ei) != VMM_OK) { /* a host with less memory */
		o.size_bytes = 64u << 20;
		ck_assert_int_eq(gmem_create(&o, &gm, &ei), VMM_OK);
	}
	return gm;
}

/* False: this process may not, and its message is what can be had. */
static bool map(struct gmem *gm)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	vmm_err_t err = vfio_iommu_map(&iommu, gm, &ei);
	if (err == VMM_E_LIMIT)
		says("ulimit -l");
	else
		ck_assert_msg(err == VMM_OK, "%s: %s", ei.field, ei.message);
	return !err;
}

START_TEST(two_devices_in_one_address_space)
{
	fake_vfio_neighbour(&fake, SECOND, "vfio-pci");
	fake_vfio_cdev(&fake, SECOND, "vfio3");
	/* A number is a number: the kernel's may be any. */
	fake.ioas = UINT32_MAX;
	choose_iommufd();
	vfio_rig_add_well();
	struct hostdev d = device(SECOND);
	struct vfio_dev *second;
	unsigned opens = fake.opens;
	ck_assert_int_eq(vfio_dev_add(&place, &d, -1, &second, &ei), VMM_OK);
	ck_assert_uint_eq(fake.opens, opens + 1);
	ck_assert(fake.attached[2] && fake.attached[3]);
	struct gmem *gm = memory();
	if (map(gm)) {
		ck_assert_uint_eq(fake.maps_made, gmem_region_count(gm));
		ck_assert_uint_eq(fake.map[0].iova, 0);
		ck_assert_uint_eq(fake.map[0].size, gmem_region_at(gm, 0)->len_bytes);
		if (gmem_region_count(gm) == 2)
			ck_assert_uint_eq(fake.map[1].iova, MACHINE_HIGH_RAM);
		/* As a reset of the machine does. */
		vfio_iommu_unmap(&iommu, gm);
		ck_assert_uint_eq(fake.map_count, 0);
		ck_assert(map(gm));
		vfio_iommu_unmap(&iommu, gm);
		ck_assert_uint_eq(fake.map_count, 0);
	}
	gmem_destroy(gm);
}
END_TEST

START_TEST(what_cannot_be_mapped_is_unmapped)
{
	choose_iommufd();
	vfio_rig_add_well();
	struct gmem *gm = memory();
	fake.fail_map = -EADDRINUSE; /* after the first */
	if (gmem_region_count(gm) == 2 && vfio_iommu_map(&iommu, gm, &ei) != VMM_E_LIMIT) {
		says("the IOMMU cannot map");
		ck_assert_uint_eq(fake.maps_made, 1);
		ck_assert_uint_eq(fake.map_count, 0);
		ck_assert_uint_eq(iommu.mapped, 0);
	}
	gmem_destroy(gm);
}
END_TEST

/* In a process without CAP_IPC_LOCK, iommufd counts what the user has locked in all of them. */
START_TEST(locked_memory_counts_for_the_user)
{
	struct gmem_opts o = {.size_bytes = 4u << 20, .fd = -1};
	struct rlimit old, limit;
	struct gmem *gm;
	choose_iommufd();
	vfio_rig_add_well();
	ck_assert_int_eq(gmem_create(&o, &gm, &ei), VMM_OK);
	ck_assert_int_eq(getrlimit(RLIMIT_MEMLOCK, &old), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	limit = (struct rlimit){1u << 20, old.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	ck_assert_int_eq(vfio_iommu_map(&iommu, gm, &ei), VMM_E_LIMIT);
	says("needs all 4096 KiB of guest memory locked, but the limit is 1024 KiB");
	ck_assert_uint_eq(fake.maps_made, 0);
	if (old.rlim_max >= 5u << 20) {
		limit.rlim_cur = 5u << 20;
		ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
		fake.map[0] = (struct fake_map){1, 1};
		fake.map_count = 1; /* so that the first one fails */
		fake.fail_map = -ENOMEM;
		ck_assert_int_eq(vfio_iommu_map(&iommu, gm, &ei), VMM_E_LIMIT);
		says("the limit for all processes of this user together is 5120 KiB: ulimit -l "
		     "9216 ");
	}
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	gmem_destroy(gm);
}
END_TEST

static void connect_kvm(void)
{
	ck_assert_int_eq(vfio_iommu_connect(&iommu, KVM_DEVICE, &ei), VMM_OK);
}

/* Else the host would wait for KVM, and `vmm vfio unbind` with it, until the VM ends. */
START_TEST(kvm_lets_a_device_go_that_the_host_takes_back)
{
	choose_iommufd();
	vfio_rig_add_well();
	connect_kvm();
	ck_assert_uint_eq(fake.kvm_files, 1);
	ck_assert_int_eq(fake.kvm_file[0], FAKE_CDEV + 2);
	ck_assert_int_eq(eventfd_write(fake.irq_fd[VFIO_PCI_REQ_IRQ_INDEX][0], 1), 0);
	loop_run_once(loop, 0);
	ck_assert_uint_eq(lost_count, 1);
	ck_assert_uint_eq(fake.kvm_files, 0);
	ck_assert(!fake.bound[2]);
	ck_assert_int_eq(fake.live, 1);
	/* The machine is reset: there is nothing to tell KVM any more. */
	vfio_iommu_disconnect(&iommu);
	connect_kvm();
	ck_assert_uint_eq(fake.kvm_files, 0);
}
END_TEST

/* A group's file stays: the other devices of it may be in use. */
START_TEST(kvm_keeps_a_group)
{
	vfio_rig_add_well();
	connect_kvm();
	ck_assert_uint_eq(fake.kvm_files, 1);
	ck_assert_int_eq(fake.kvm_file[0], FAKE_GROUP_FD);
	ck_assert_int_eq(eventfd_write(fake.irq_fd[VFIO_PCI_REQ_IRQ_INDEX][0], 1), 0);
	loop_run_once(loop, 0);
	ck_assert_uint_eq(lost_count, 1);
	ck_assert_uint_eq(fake.kvm_files, 1);
	vfio_iommu_disconnect(&iommu);
}
END_TEST

START_TEST(kvm_refuses)
{
	choose_iommufd();
	vfio_rig_add_well();
	fake.fail_kvm = -EINVAL;
	ck_assert_int_eq(vfio_iommu_connect(&iommu, KVM_DEVICE, &ei), VMM_E_KVM);
	says("KVM_DEV_VFIO_FILE_ADD");
	vfio_iommu_disconnect(&iommu);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("vfio_iommufd");
	tcase_add_checked_fixture(tc, setup, vfio_rig_teardown);
	tcase_add_test(tc, the_kernels_interface);
	tcase_add_test(tc, the_way_is_chosen);
	tcase_add_test(tc, one_device_without_a_character_device);
	tcase_add_test(tc, names_that_are_no_character_devices);
	tcase_add_test(tc, a_device_through_iommufd);
	tcase_add_test(tc, a_neighbour_is_in_the_way);
	tcase_add_test(tc, iommufd_refuses);
	tcase_add_test(tc, two_devices_in_one_address_space);
	tcase_add_test(tc, what_cannot_be_mapped_is_unmapped);
	tcase_add_test(tc, locked_memory_counts_for_the_user);
	tcase_add_test(tc, kvm_lets_a_device_go_that_the_host_takes_back);
	tcase_add_test(tc, kvm_keeps_a_group);
	tcase_add_test(tc, kvm_refuses);
	return suite_run("vfio_iommufd", tc);
}
