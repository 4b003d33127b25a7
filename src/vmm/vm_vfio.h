/* Passed devices of a VM, between its building and its end. */
#ifndef SRC_VMM_VM_VFIO_H
#define SRC_VMM_VM_VFIO_H

#include "devices/vfio/dev.h"
#include "vmm/vfio.h"

struct vm_vfio {
	unsigned count;
	vmm_vfio_iommu_t asked; /* for the way to the IOMMU */
	char address[VMM_VFIO_DEVICES_MAX][VMM_VFIO_ADDRESS_MAX];
	struct vfio_dev *dev[VMM_VFIO_DEVICES_MAX];
	struct vfio_iommu iommu;
	struct vfio_place place;
	int kvm_device; /* KVM_DEV_TYPE_VFIO, or -1 */
};

void vm_vfio_init(struct vm_vfio *v);
/* After the bus, which owns the devices. */
void vm_vfio_fini(struct vm_vfio *v);

/* Open the devices and put them on the VM's bus. */
VMM_WARN_UNUSED vmm_err_t vm_vfio_open(vmm_vm_t *vm, vmm_err_info_t *ei);

/* Let the devices reach guest memory; or not any more, so that its pages can go. */
VMM_WARN_UNUSED vmm_err_t vm_vfio_map(vmm_vm_t *vm, vmm_err_info_t *ei);
void vm_vfio_unmap(vmm_vm_t *vm);

/* KVM's side, with vm_kvm_up and vm_kvm_down. */
VMM_WARN_UNUSED vmm_err_t vm_vfio_connect(vmm_vm_t *vm, vmm_err_info_t *ei);
void vm_vfio_disconnect(vmm_vm_t *vm);

#endif
