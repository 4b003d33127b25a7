/* Passed devices of a VM. See vm_vfio.h. */
#include "vm_vfio.h"

#include <string.h>
#include <unistd.h>

#include "errset.h"
#include "sized.h"
#include "vm_priv.h"

_Static_assert(VMM_VFIO_ADDRESS_MAX == HOSTDEV_ADDRESS_BYTES, "one form of addresses");

void vm_vfio_init(struct vm_vfio *v)
{
	*v = (struct vm_vfio){.kvm_device = -1};
	vfio_iommu_init(&v->iommu, &vfio_sys_host);
}

void vm_vfio_fini(struct vm_vfio *v)
{
	vfio_iommu_fini(&v->iommu);
	if (v->kvm_device >= 0)
		(void)close(v->kvm_device);
}

vmm_err_t vmm_vfio_add(vmm_vm_t *vm, const vmm_vfio_opts_t *opts)
{
	vmm_err_info_t *ei = vm_error(vm);
	struct vm_vfio *v = &vm->vfio;
	vmm_err_t err = vm_configurable(vm, "vfio");
	if (err)
		return err;
	if (!sized_opts(opts, sizeof(*opts), ei))
		return VMM_E_INVAL;
	if (!opts->address)
		return err_set(ei, VMM_E_INVAL, "address", "is missing");
	if (opts->iommu > VMM_VFIO_GROUP)
		return err_set(ei, VMM_E_INVAL, "iommu", "%u: there is no such way",
		               (unsigned)opts->iommu);
	if (opts->iommu && v->asked && opts->iommu != v->asked)
		return err_set(ei, VMM_E_INVAL, "iommu",
		               "the devices of a VM go through iommufd, or by their groups");
	if (v->count == VMM_VFIO_DEVICES_MAX)
		return err_set(ei, VMM_E_LIMIT, "vfio", "more than %u devices",
		               VMM_VFIO_DEVICES_MAX);
	char address[HOSTDEV_ADDRESS_BYTES];
	err = hostdev_parse(opts->address, address, ei);
	if (err)
		return err;
	for (unsigned i = 0; i < v->count; i++)
		if (strcmp(v->address[i], address) == 0)
			return err_set(ei, VMM_E_INVAL, "address", "%s is given twice", address);
	memcpy(v->address[v->count++], address, sizeof(address));
	if (opts->iommu)
		v->asked = opts->iommu;
	return VMM_OK;
}

static void lost(void *ctx, const char *address, const char *why)
{
	vmm_vm_t *vm = ctx;
	vm_post(vm, VMM_EVENT_DEVICE_LOST, 0, 0, false, "%s: %s", address, why);
}

/* Beside function 0 of the same device, if the guest has that as a function 0; else anywhere. */
static int place_of(const struct vm_vfio *v, unsigned i)
{
	const char *address = v->address[i];
	size_t stem = strlen(address) - 1;
	if (address[stem] == '0')
		return -1;
	for (unsigned j = 0; j < i; j++) {
		if (strncmp(v->address[j], address, stem) != 0 || v->address[j][stem] != '0')
			continue;
		return vfio_dev_func(v->dev[j])->devfn | (address[stem] - '0');
	}
	return -1;
}

vmm_err_t vm_vfio_open(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	struct vm_vfio *v = &vm->vfio;
	v->place = (struct vfio_place){
	        .sys = v->iommu.sys,
	        .iommu = &v->iommu,
	        .bus = vm->pci,
	        .routes = &vm->msi_routes,
	        .loop = vm->loop,
	        .log = &vm->log,
	        .slot_next = GMEM_REGIONS_MAX,
	        .lost = lost,
	        .ctx = vm,
	};
	struct hostdev d[VMM_VFIO_DEVICES_MAX];
	vmm_err_t err = VMM_OK;
	for (unsigned i = 0; i < v->count && !err; i++)
		err = hostdev_read(v->iommu.sys->sysfs, v->address[i], &d[i], ei);
	if (!err)
		err = vfio_iommu_choose(&v->iommu, v->asked, d, v->count, ei);
	if (!err && v->count > 0)
		log_say(&vm->log, VMM_LOG_INFO, "vfio: devices are passed %s", v->iommu.way->name);
	for (unsigned i = 0; i < v->count && !err; i++)
		err = vfio_dev_add(&v->place, &d[i], place_of(v, i), &v->dev[i], ei);
	return err;
}

vmm_err_t vm_vfio_map(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	if (vm->vfio.count == 0)
		return VMM_OK;
	gmem_set_pinned(vm->gm, true);
	return vfio_iommu_map(&vm->vfio.iommu, vm->gm, ei);
}

void vm_vfio_unmap(vmm_vm_t *vm)
{
	if (vm->vfio.count == 0)
		return;
	vfio_iommu_unmap(&vm->vfio.iommu, vm->gm);
	gmem_set_pinned(vm->gm, false);
}

vmm_err_t vm_vfio_connect(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	struct vm_vfio *v = &vm->vfio;
	if (v->count == 0)
		return VMM_OK;
	vmm_err_t err = kvm_vfio_create(vm->vm_fd, &v->kvm_device, ei);
	if (!err)
		err = vfio_iommu_connect(&v->iommu, v->kvm_device, ei);
	for (unsigned i = 0; i < v->count && !err; i++)
		vfio_dev_set_vm(v->dev[i], vm->vm_fd);
	return err;
}

void vm_vfio_disconnect(vmm_vm_t *vm)
{
	struct vm_vfio *v = &vm->vfio;
	for (unsigned i = 0; i < v->count; i++)
		if (v->dev[i])
			vfio_dev_set_vm(v->dev[i], -1);
	vfio_iommu_disconnect(&v->iommu);
	if (v->kvm_device >= 0)
		(void)close(v->kvm_device);
	v->kvm_device = -1;
}
