/* Disks of a VM: checks what the embedder wants and makes the device. */
#include <stdio.h>
#include <string.h>

#include "devices/rate.h"
#include "devices/virtio/blk.h"
#include "errset.h"
#include "sized.h"
#include "vm_priv.h"
#include "vmm/disk.h"

#define DISK_FLAGS_ALL  (VMM_DISK_READ_ONLY | VMM_DISK_DIRECT | VMM_DISK_NO_LOCK | VMM_DISK_NO_URING)
#define DISK_QUEUE_SIZE 512u

_Static_assert(VMM_DISK_SERIAL_MAX == VIRTIO_BLK_ID_BYTES, "a serial number as long as the field");
_Static_assert(VMM_DISK_SECTOR_SIZE == DISK_SECTOR, "one size of sectors");

static vmm_err_t check_serial(const char *serial, vmm_err_info_t *ei)
{
	size_t len = strnlen(serial, VMM_DISK_SERIAL_MAX + 1);
	if (len > VMM_DISK_SERIAL_MAX)
		return err_set(ei, VMM_E_INVAL, "serial", "'%.32s': at most %u characters", serial,
		               VMM_DISK_SERIAL_MAX);
	for (size_t i = 0; i < len; i++)
		if (serial[i] < 0x20 || serial[i] > 0x7e)
			return err_set(ei, VMM_E_INVAL, "serial",
			               "character %zu is 0x%02x: must be printable ASCII", i + 1,
			               (unsigned char)serial[i]);
	return VMM_OK;
}

static vmm_err_t check_opts(const vmm_disk_opts_t *o, vmm_err_info_t *ei)
{
	if (!sized_opts(o, sizeof(*o), ei))
		return VMM_E_INVAL;
	if (!o->path == (o->fd < 0))
		return err_set(ei, VMM_E_INVAL, "path",
		               "a disk needs a path or an open descriptor, not %s",
		               o->path ? "both" : "neither");
	if (o->flags & ~DISK_FLAGS_ALL)
		return err_set(ei, VMM_E_INVAL, "flags", "0x%x has unknown bits", o->flags);
	uint32_t size = o->queue_size;
	if (size && (size < BLK_QUEUE_MIN || size > RING_SIZE_MAX || (size & (size - 1))))
		return err_set(ei, VMM_E_INVAL, "queue_size",
		               "%u: must be a power of two, %u to %u", size, BLK_QUEUE_MIN,
		               RING_SIZE_MAX);
	vmm_err_t err = rate_check(o->rate, ei);
	return !err && o->serial ? check_serial(o->serial, ei) : err;
}

static unsigned count_disks(const vmm_vm_t *vm)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < vm->virtio_count; i++)
		n += blk_is(vm->virtio[i]);
	return n;
}

vmm_err_t vmm_disk_set_rate(vmm_vm_t *vm, uint32_t index, const vmm_rate_t *rate,
                            vmm_err_info_t *ei)
{
	vmm_err_t err = rate_check(rate, ei);
	if (err)
		return err;
	uint32_t left = index;
	for (uint32_t i = 0; i < vm->virtio_count; i++) {
		if (!blk_is(vm->virtio[i]) || left--)
			continue;
		blk_set_rate(vm->virtio[i], rate);
		return VMM_OK;
	}
	return err_set(ei, VMM_E_NOENT, "disk", "there is no disk %u: %u were added", index,
	               count_disks(vm));
}

vmm_err_t vmm_disk_add(vmm_vm_t *vm, const vmm_disk_opts_t *opts)
{
	vmm_err_info_t *ei = vm_error(vm);
	vmm_err_t err = vm_configurable(vm, "disk");
	if (!err)
		err = check_opts(opts, ei);
	if (err)
		return err;
	unsigned index = count_disks(vm);
	if (index == VMM_DISKS_MAX)
		return err_set(ei, VMM_E_LIMIT, "disk", "more than %u disks", VMM_DISKS_MAX);
	struct blk_opts o = {
	        .file = {.path = opts->path,
	                 .fd = opts->fd,
	                 .read_only = opts->flags & VMM_DISK_READ_ONLY,
	                 .direct = opts->flags & VMM_DISK_DIRECT,
	                 .lock = !(opts->flags & VMM_DISK_NO_LOCK)},
	        .queue_size = (uint16_t)(opts->queue_size ? opts->queue_size : DISK_QUEUE_SIZE),
	        .uring = !(opts->flags & VMM_DISK_NO_URING),
	        .rate = opts->rate,
	};
	char serial[VMM_DISK_SERIAL_MAX + 1];
	(void)snprintf(serial, sizeof(serial), "disk%u", index);
	if (opts->serial)
		(void)snprintf(serial, sizeof(serial), "%s", opts->serial);
	memcpy(o.serial, serial, strlen(serial));
	struct vdev *vd;
	err = blk_create(&o, index, &vd, ei);
	return err ? err : vm_add_virtio(vm, vd);
}
