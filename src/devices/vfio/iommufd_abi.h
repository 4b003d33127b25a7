/*
 * What iommufd, VFIO's character devices and KVM's view of them are made of: from the system's
 * headers, where they have it. Those of Linux 6.1 (Debian 12) do not: for them, the part of the
 * kernel's stable interface that is used here. tests/unit/test_vfio_iommufd.c checks either against
 * the numbers. Linux, Documentation/userspace-api/iommufd.rst and driver-api/vfio.rst.
 */
#ifndef SRC_DEVICES_VFIO_IOMMUFD_ABI_H
#define SRC_DEVICES_VFIO_IOMMUFD_ABI_H

#include <linux/kvm.h>
#include <linux/types.h>
#include <linux/vfio.h>

#if __has_include(<linux/iommufd.h>)
#include <linux/iommufd.h>
#else

#define IOMMUFD_TYPE              (';')

/* Each structure begins with its own size. */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags; /* 0 */
	__u32 out_ioas_id;
};
#define IOMMU_IOAS_ALLOC          _IO(IOMMUFD_TYPE, 0x81)

struct iommu_ioas_map {
	__u32 size;
	__u32 flags; /* IOMMU_IOAS_MAP_... */
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP_FIXED_IOVA 1u /* where iova says, not where there is room */
#define IOMMU_IOAS_MAP_WRITEABLE  2u
#define IOMMU_IOAS_MAP_READABLE   4u
#define IOMMU_IOAS_MAP            _IO(IOMMUFD_TYPE, 0x85)

struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};
#define IOMMU_IOAS_UNMAP          _IO(IOMMUFD_TYPE, 0x86)

#endif

/* Linux 6.6; iommufd itself is older. */
#ifndef VFIO_DEVICE_BIND_IOMMUFD

struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags; /* 0 */
	__s32 iommufd;
	__u32 out_devid;
};
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)

struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags; /* 0 */
	__u32 pt_id; /* of an address space */
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)

#endif

#ifndef KVM_DEV_VFIO_FILE
#define KVM_DEV_VFIO_FILE     KVM_DEV_VFIO_GROUP
#define KVM_DEV_VFIO_FILE_ADD KVM_DEV_VFIO_GROUP_ADD
#define KVM_DEV_VFIO_FILE_DEL KVM_DEV_VFIO_GROUP_DEL
#endif

#endif
