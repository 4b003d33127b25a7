/*
 * BARs of a passed device: what VFIO lets us map goes into the guest as memory slots, so that the
 * device's registers cost no exit; pages of the MSI-X table and pending bits, and what cannot be
 * mapped, are read and written for the guest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/vfio/dev_priv.h"
#include "vmm/errset.h"
#include "vmm/kvm.h"

#define PAGE           ((uint64_t)MACHINE_PAGE_SIZE)
#define INFO_BYTES_MAX 4096u

/* A range of a BAR that must not be mapped. */
struct hole {
	uint64_t from, to;
};

static void add_area(struct vfio_dev *v, struct vfio_region *r, uint64_t from, uint64_t to)
{
	from = (from + PAGE - 1) & ~(PAGE - 1);
	to &= ~(PAGE - 1);
	if (from >= to || r->area_count == VFIO_AREAS_MAX)
		return; /* what is not mapped is trapped, which is right as well */
	r->area[r->area_count++] = (struct vfio_area){
	        .offset = from, .len_bytes = to - from, .slot = v->place->slot_next++};
}

/* [from, to) without the holes, which are sorted. */
static void add_around(struct vfio_dev *v, struct vfio_region *r, uint64_t from, uint64_t to,
                       const struct hole *holes, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (holes[i].to <= from || holes[i].from >= to)
			continue;
		add_area(v, r, from, holes[i].from < from ? from : holes[i].from);
		from = holes[i].to;
	}
	if (from < to)
		add_area(v, r, from, to);
}

/* Whole pages of the table and of the pending bits, where they are in BAR. */
static unsigned find_holes(const struct vfio_dev *v, unsigned bar, struct hole holes[2])
{
	const struct vfio_msix_place *m = &v->msix_place;
	unsigned n = 0;
	if (!v->caps.msix)
		return 0;
	if (m->table_bar == bar)
		holes[n++] = (struct hole){m->table & ~(PAGE - 1),
		                           (m->table + msix_table_bytes(m->count) + PAGE - 1) &
		                                   ~(PAGE - 1)};
	if (m->pba_bar == bar)
		holes[n++] =
		        (struct hole){m->pba & ~(PAGE - 1),
		                      (m->pba + msix_pba_bytes(m->count) + PAGE - 1) & ~(PAGE - 1)};
	if (n == 2 && holes[1].from < holes[0].from) {
		struct hole first = holes[1];
		holes[1] = holes[0];
		holes[0] = first;
	}
	return n;
}

/* The capability ID of INFO, which is LEN bytes long; NULL if there is none. */
static const struct vfio_info_cap_header *find_info_cap(const struct vfio_region_info *info,
                                                        size_t len, uint16_t id)
{
	uint32_t at = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;
	/* The chain only leads forward: it ends. */
	for (uint32_t before = 0; at > before && at % 8 == 0; before = at) {
		const struct vfio_info_cap_header *h;
		if (at >= len || sizeof(*h) > len - at)
			return NULL;
		h = (const struct vfio_info_cap_header *)((const uint8_t *)info + at);
		if (h->id == id)
			return h;
		if (h->next <= at)
			return NULL;
		at = h->next;
	}
	return NULL;
}

static void lay_out(struct vfio_dev *v, unsigned bar, const struct vfio_region_info *info,
                    size_t len)
{
	struct vfio_region *r = &v->region[bar];
	struct hole holes[2];
	unsigned count = find_holes(v, bar, holes);
	const struct vfio_region_info_cap_sparse_mmap *sparse =
	        (const struct vfio_region_info_cap_sparse_mmap *)find_info_cap(
	                info, len, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	if (!sparse) {
		add_around(v, r, 0, r->len_bytes, holes, count);
		return;
	}
	size_t room = len - (size_t)((const uint8_t *)sparse->areas - (const uint8_t *)info);
	for (uint32_t i = 0; i < sparse->nr_areas && i < room / sizeof(sparse->areas[0]); i++) {
		uint64_t from = sparse->areas[i].offset;
		uint64_t size = sparse->areas[i].size;
		if (from < r->len_bytes && size <= r->len_bytes - from)
			add_around(v, r, from, from + size, holes, count);
	}
}

static vmm_err_t read_region(struct vfio_dev *v, unsigned bar, struct vfio_region_info *info,
                             vmm_err_info_t *ei)
{
	memset(info, 0, INFO_BYTES_MAX);
	info->argsz = INFO_BYTES_MAX;
	info->index = VFIO_PCI_BAR0_REGION_INDEX + bar;
	int err = vfio_call(v, VFIO_DEVICE_GET_REGION_INFO, info);
	if (err < 0)
		return err_sys(ei, -err, v->host.address, "BAR %u cannot be examined", bar);
	struct vfio_region *r = &v->region[bar];
	r->offset = info->offset;
	r->len_bytes = info->size;
	r->can_read = info->flags & VFIO_REGION_INFO_FLAG_READ;
	r->can_write = info->flags & VFIO_REGION_INFO_FLAG_WRITE;
	r->can_mmap = info->flags & VFIO_REGION_INFO_FLAG_MMAP;
	return VMM_OK;
}

/* The flags of the BAR's register, as VFIO shows them. */
static uint32_t read_flags(const struct vfio_dev *v, unsigned bar)
{
	const struct vfio_sys *s = v->place->sys;
	uint32_t value = 0;
	ssize_t n = s->pread(s->ctx, v->fd, &value, sizeof(value),
	                     v->config_offset + pci_bar_offset(bar));
	return n == (ssize_t)sizeof(value) ? value : 0;
}

static vmm_err_t make_bar(struct vfio_dev *v, unsigned bar, vmm_err_info_t *ei)
{
	struct vfio_region *r = &v->region[bar];
	uint32_t flags = bar == PCI_ROM ? 0 : read_flags(v, bar);
	enum pci_bar_kind kind = PCI_BAR_MEM32;
	if (flags & PCI_BASE_ADDRESS_SPACE_IO)
		kind = PCI_BAR_IO;
	else if ((flags & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
		kind = PCI_BAR_MEM64;
	uint64_t len = r->len_bytes;
	/* A ROM's length need not be a power of two. */
	while (bar == PCI_ROM && (len & (len - 1)))
		len += len & -len;
	uint64_t least = kind == PCI_BAR_IO ? 4 : 16;
	if (bar == PCI_ROM && len < 2048)
		len = 2048;
	if (len < least || (len & (len - 1)) || (kind == PCI_BAR_MEM64 && bar >= PCI_BARS - 1) ||
	    (kind != PCI_BAR_MEM64 && len > 1ull << 31))
		return err_set(ei, VMM_E_FORMAT, v->host.address,
		               "BAR %u of %llu bytes is none that PCI allows", bar,
		               (unsigned long long)r->len_bytes);
	pci_func_set_bar(&v->f, bar, kind, flags & PCI_BASE_ADDRESS_MEM_PREFETCH, len);
	return VMM_OK;
}

static vmm_err_t map_areas(struct vfio_dev *v, unsigned bar, vmm_err_info_t *ei)
{
	const struct vfio_sys *s = v->place->sys;
	struct vfio_region *r = &v->region[bar];
	int prot = (r->can_read ? PROT_READ : 0) | (r->can_write ? PROT_WRITE : 0);
	for (unsigned i = 0; i < r->area_count; i++) {
		struct vfio_area *a = &r->area[i];
		a->host = s->mmap(s->ctx, a->len_bytes, prot, v->fd, r->offset + a->offset);
		if (!a->host)
			return err_sys(ei, errno, v->host.address,
			               "BAR %u cannot be mapped at 0x%llx", bar,
			               (unsigned long long)a->offset);
	}
	return VMM_OK;
}

static vmm_err_t check_msix(const struct vfio_dev *v, vmm_err_info_t *ei)
{
	const struct vfio_msix_place *m = &v->msix_place;
	const struct {
		unsigned bar;
		uint32_t at, len;
	} parts[] = {{m->table_bar, m->table, msix_table_bytes(m->count)},
	             {m->pba_bar, m->pba, msix_pba_bytes(m->count)}};
	for (unsigned i = 0; i < 2; i++) {
		uint64_t room = parts[i].bar < PCI_BARS && v->f.bar[parts[i].bar].kind != PCI_BAR_IO
		                        ? v->region[parts[i].bar].len_bytes
		                        : 0;
		if (parts[i].at > room || parts[i].len > room - parts[i].at)
			return err_set(ei, VMM_E_FORMAT, v->host.address,
			               "its MSI-X %s, at 0x%x of BAR %u, is not inside that BAR",
			               i == 0 ? "table" : "pending bits", parts[i].at,
			               parts[i].bar);
	}
	return VMM_OK;
}

vmm_err_t vfio_bars_init(struct vfio_dev *v, vmm_err_info_t *ei)
{
	struct vfio_region_info *info = malloc(INFO_BYTES_MAX);
	if (!info)
		return err_set(ei, VMM_E_NOMEM, v->host.address, "out of memory");
	vmm_err_t err = VMM_OK;
	for (unsigned bar = 0; bar < PCI_REGIONS && !err; bar++) {
		err = read_region(v, bar, info, ei);
		if (err || v->region[bar].len_bytes == 0)
			continue;
		err = make_bar(v, bar, ei);
		if (!err && v->region[bar].can_mmap && v->f.bar[bar].kind != PCI_BAR_IO)
			lay_out(v, bar, info,
			        info->argsz < INFO_BYTES_MAX ? info->argsz : INFO_BYTES_MAX);
		if (!err)
			err = map_areas(v, bar, ei);
	}
	free(info);
	if (!err && v->caps.msix)
		err = check_msix(v, ei);
	return err;
}

static void unmap_guest(struct vfio_dev *v, struct vfio_region *r)
{
	for (unsigned i = 0; i < r->area_count; i++) {
		struct vfio_area *a = &r->area[i];
		if (a->mapped && v->vm_fd >= 0)
			(void)kvm_set_slot(v->vm_fd, a->slot, 0, a->host, 0);
		a->mapped = false;
	}
}

void vfio_bars_fini(struct vfio_dev *v)
{
	const struct vfio_sys *s = v->place->sys;
	for (unsigned bar = 0; bar < PCI_REGIONS; bar++) {
		struct vfio_region *r = &v->region[bar];
		unmap_guest(v, r);
		for (unsigned i = 0; i < r->area_count; i++)
			if (r->area[i].host)
				s->munmap(s->ctx, r->area[i].host, r->area[i].len_bytes);
		r->area_count = 0;
	}
}

/* Not mapped where KVM has no slot left: the guest's accesses then come here. */
void vfio_bar_moved(struct pci_func *f, unsigned bar)
{
	struct vfio_dev *v = vfio_of(f);
	struct vfio_region *r = &v->region[bar];
	const struct pci_bar *b = &f->bar[bar];
	unmap_guest(v, r);
	for (unsigned i = 0; b->mapped && v->vm_fd >= 0 && i < r->area_count; i++) {
		struct vfio_area *a = &r->area[i];
		a->mapped =
		        kvm_set_slot(v->vm_fd, a->slot, b->addr + a->offset, a->host, a->len_bytes);
		if (!a->mapped)
			log_guest(v->place->log, VMM_LOG_WARN,
			          "%s: KVM does not take BAR %u as memory; every access exits",
			          v->host.address, bar);
	}
}

static bool in_table(const struct vfio_dev *v, unsigned bar, uint64_t offset, uint64_t *at)
{
	const struct vfio_msix_place *m = &v->msix_place;
	*at = offset - m->table;
	return v->caps.msix && bar == m->table_bar && offset >= m->table &&
	       *at < msix_table_bytes(m->count);
}

static bool in_pba(const struct vfio_dev *v, unsigned bar, uint64_t offset, uint64_t *at)
{
	const struct vfio_msix_place *m = &v->msix_place;
	*at = offset - m->pba;
	return v->caps.msix && bar == m->pba_bar && offset >= m->pba &&
	       *at < msix_pba_bytes(m->count);
}

static bool in_region(const struct vfio_region *r, uint64_t offset, unsigned size)
{
	return offset < r->len_bytes && size <= r->len_bytes - offset;
}

static uint64_t read_locked(struct vfio_dev *v, unsigned bar, uint64_t offset, unsigned size)
{
	const struct vfio_region *r = &v->region[bar];
	uint64_t at;
	if (in_table(v, bar, offset, &at))
		return msix_table_read(&v->msix, at, size);
	if (in_pba(v, bar, offset, &at))
		return msix_pba_read(&v->msix, at, size);
	uint64_t value = UINT64_MAX;
	if (v->gone || !r->can_read || !in_region(r, offset, size))
		return value;
	const struct vfio_sys *s = v->place->sys;
	if (s->pread(s->ctx, v->fd, &value, size, r->offset + offset) != (ssize_t)size)
		value = UINT64_MAX;
	return value;
}

uint64_t vfio_bar_read(struct pci_func *f, unsigned bar, uint64_t offset, unsigned size)
{
	struct vfio_dev *v = vfio_of(f);
	(void)pthread_rwlock_rdlock(&v->access);
	uint64_t value = read_locked(v, bar, offset, size);
	(void)pthread_rwlock_unlock(&v->access);
	return value;
}

static void write_locked(struct vfio_dev *v, unsigned bar, uint64_t offset, unsigned size,
                         uint64_t value)
{
	const struct vfio_region *r = &v->region[bar];
	uint64_t at;
	if (in_table(v, bar, offset, &at)) {
		msix_table_write(&v->msix, at, size, value);
		return;
	}
	if (in_pba(v, bar, offset, &at) || v->gone || !r->can_write || !in_region(r, offset, size))
		return;
	const struct vfio_sys *s = v->place->sys;
	ssize_t n = s->pwrite(s->ctx, v->fd, &value, size, r->offset + offset);
	if (n != (ssize_t)size)
		log_guest(v->place->log, VMM_LOG_WARN, "%s: a write to BAR %u failed",
		          v->host.address, bar);
}

void vfio_bar_write(struct pci_func *f, unsigned bar, uint64_t offset, unsigned size,
                    uint64_t value)
{
	struct vfio_dev *v = vfio_of(f);
	(void)pthread_rwlock_rdlock(&v->access);
	write_locked(v, bar, offset, size, value);
	(void)pthread_rwlock_unlock(&v->access);
}
