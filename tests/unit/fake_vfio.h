/*
 * A passed device that exists only in memory: behind the table of system calls (vfio/sys.h) are a
 * container, one group, iommufd, a device with regions and interrupts, KVM's list of files, and a
 * sysfs of its own. Tests set what it says, and see what was asked of it.
 */
#ifndef TESTS_UNIT_FAKE_VFIO_H
#define TESTS_UNIT_FAKE_VFIO_H

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdbool.h>

#include "devices/vfio/dev.h"

#define FAKE_ADDRESS   "0000:01:00.0"
#define FAKE_GROUP     7
#define FAKE_REGIONS   9u
#define FAKE_INFO_MAX  512u
#define FAKE_VECTORS   64u
#define FAKE_CONTAINER 1000
#define FAKE_GROUP_FD  1001
#define FAKE_DEVICE    1002
#define FAKE_IOMMUFD   1003
#define FAKE_CDEV      1100 /* and on: /dev/vfio/devices/vfioN */
#define FAKE_CDEVS     4u

struct fake_map {
	uint64_t iova, size;
};

struct fake_vfio {
	struct vfio_sys sys;
	char sysfs[64];

	/* What it says. */
	/* Negative errno values, or 0; the last is of reading and writing. */
	int fail_open_container, fail_open_group, fail_map, fail_io;
	/* Of iommufd, which is not there (-ENOENT) at first. */
	int fail_open_iommufd, fail_ioas, fail_open_cdev, fail_bind, fail_attach, fail_kvm;
	uint32_t ioas; /* the number it gives */
	bool not_viable;
	uint32_t device_flags;
	uint8_t config[PCI_CFG_SPACE_EXP_SIZE];
	uint32_t config_bytes;
	uint64_t region_bytes[FAKE_REGIONS];
	uint32_t region_flags[FAKE_REGIONS];
	uint8_t info_caps[FAKE_REGIONS][FAKE_INFO_MAX]; /* what follows struct vfio_region_info */
	uint32_t info_caps_bytes[FAKE_REGIONS];
	uint32_t irq_count[8];
	uint32_t irq_flags[8];

	/* What was asked of it. */
	unsigned resets, opens, closes, maps_made;
	int live;           /* descriptors that are open */
	unsigned kvm_files; /* that KVM knows of */
	int kvm_file[8];
	bool bound[FAKE_CDEVS], attached[FAKE_CDEVS];
	unsigned map_count;
	struct fake_map map[8];
	int irq_fd[8][FAKE_VECTORS]; /* eventfds by index, 0: none */
	unsigned irq_made[8];        /* vectors that exist */
	unsigned irq_remade;
	unsigned mmaps, munmaps;
	uint64_t mmap_offset[16], mmap_len[16];
	uint64_t bar_written, bar_value;
};

/* A device of one 16 KiB BAR with MSI-X table and registers in it, as QEMU's NVMe has. */
void fake_vfio_init(struct fake_vfio *v);
void fake_vfio_fini(struct fake_vfio *v);
/* Another device in its group, bound to DRIVER. */
void fake_vfio_neighbour(struct fake_vfio *v, const char *address, const char *driver);
/* Give the device at ADDRESS the character device NAME. */
void fake_vfio_cdev(struct fake_vfio *v, const char *address, const char *name);
/* Bind the device itself; NULL: to nothing. */
void fake_vfio_bind(struct fake_vfio *v, const char *driver);

static inline void fake_set(struct fake_vfio *v, uint32_t offset, unsigned size, uint32_t value)
{
	for (unsigned i = 0; i < size; i++)
		v->config[offset + i] = (uint8_t)(value >> (8 * i));
}

#endif
