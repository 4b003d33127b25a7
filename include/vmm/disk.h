/* Disks: virtio-blk on a raw file or a block device (virtio 1.2, 5.2). */
#ifndef VMM_DISK_H
#define VMM_DISK_H

#include "vmm/rate.h"
#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VMM_DISKS_MAX        16u
#define VMM_DISK_SERIAL_MAX  20u  /* VIRTIO_BLK_ID_BYTES */
#define VMM_DISK_SECTOR_SIZE 512u /* the image's size must be a multiple of it */

/* vmm_disk_opts_t.flags */
#define VMM_DISK_READ_ONLY (1u << 0) /* the guest cannot write; the image is locked shared */
#define VMM_DISK_DIRECT    (1u << 1) /* O_DIRECT: past the host's page cache */
#define VMM_DISK_NO_LOCK   (1u << 2) /* do not lock the image against other VMs */
#define VMM_DISK_NO_URING  (1u << 3) /* use the thread pool even where io_uring works */

typedef struct vmm_disk_opts {
	size_t struct_size;
	const char *path; /* raw image or block device; opened by vmm_disk_add */
	int fd;           /* an open one instead (duplicated), or -1 */
	uint32_t flags;   /* VMM_DISK_* */
	/* What VIRTIO_BLK_T_GET_ID answers: at most VMM_DISK_SERIAL_MAX printable ASCII bytes;
	 * NULL: "disk0", "disk1", ... in the order of the calls. */
	const char *serial;
	uint32_t queue_size; /* entries of the virtqueue, a power of two up to 1024; 0: 512 */
	/* Reads and writes together, in bytes and requests; a flush, a discard and a write of
	 * zeroes are a request each, and the last costs the bytes that the host had to write for
	 * it. NULL: no limit. */
	const vmm_rate_t *rate;
} vmm_disk_opts_t;

#define VMM_DISK_OPTS_INIT                                       \
	{                                                        \
		.struct_size = sizeof(vmm_disk_opts_t), .fd = -1 \
	}

/*
 * Add a disk to a VM that is not built yet; it is /dev/vda, vdb, ... in the order of the calls.
 * A flush that completed means that the data is on stable storage of the host. While the VM lives
 * the image is locked with an open-file-description lock (shared if read-only, else exclusive).
 *
 * Errors, with the path in vmm_vm_error: VMM_E_STATE after build; VMM_E_INVAL: no path and no
 * descriptor, unknown flags, serial, queue size, rate, the image is neither a regular file nor a
 * block device, is empty or not a multiple of 512 bytes, or O_DIRECT is not supported there;
 * VMM_E_BUSY: locked by another VM; VMM_E_LIMIT: more than VMM_DISKS_MAX; VMM_E_NOENT,
 * VMM_E_PERM, VMM_E_IO from opening it; VMM_E_NOMEM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_disk_add(vmm_vm_t *vm, const vmm_disk_opts_t *opts);

/*
 * Limit disk INDEX (0 is the first that was added) to RATE from now on; NULL: no longer. What waits
 * in the guest's queue follows the new limit at once. Any thread, from vmm_disk_add to destroy.
 *
 * Errors: VMM_E_NOENT: there is no such disk; VMM_E_INVAL: a rate or burst beyond vmm/rate.h's
 * limits, or a burst without a rate. EI (may be NULL) says what is wrong.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_disk_set_rate(vmm_vm_t *vm, uint32_t index,
                                                    const vmm_rate_t *rate, vmm_err_info_t *ei);

#ifdef __cplusplus
}
#endif
#endif
