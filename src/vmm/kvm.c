/* KVM ioctls. See kvm.h. */
#include "kvm.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "errset.h"
#include "gmem.h"
#include "machine.h"

#define CPUID_ENTRIES_FIRST 128u
#define CPUID_ENTRIES_MAX   4096u
#define KERNEL_SIGSET_BYTES 8u
#define CPUID_MONITOR       5u

#define IDLE_EXITS                                                            \
	((uint32_t)(KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE | \
	            KVM_X86_DISABLE_EXITS_MWAIT))

static vmm_err_t failed(vmm_err_info_t *ei, const char *what)
{
	return err_sys_as(ei, VMM_E_KVM, errno, "/dev/kvm", "%s failed", what);
}

static vmm_err_t call(int fd, unsigned long request, const void *arg, const char *what,
                      vmm_err_info_t *ei)
{
	return ioctl(fd, request, arg) < 0 ? failed(ei, what) : VMM_OK;
}

static int extension(int fd, int cap)
{
	int r = ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)cap);
	return r < 0 ? 0 : r;
}

static vmm_err_t check_required(int fd, vmm_err_info_t *ei)
{
	static const struct {
		int cap;
		const char *name;
	} needed[] = {
	        {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
	        {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
	        {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
	        {KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
	        {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
	        {KVM_CAP_IOEVENTFD_ANY_LENGTH, "KVM_CAP_IOEVENTFD_ANY_LENGTH"},
	        {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
	        {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
	        {KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
	        {KVM_CAP_PIT2, "KVM_CAP_PIT2"},
	};
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (extension(fd, needed[i].cap) == 0)
			return err_set(ei, VMM_E_UNSUPPORTED, "/dev/kvm",
			               "this host's KVM lacks %s", needed[i].name);
	return VMM_OK;
}

/* VT-x (leaf 1, ECX 5) or SVM (leaf 0x80000001, ECX 2) as this kernel sees the processor. */
static bool has_hardware_virtualization(void)
{
	unsigned a, b, c, d;
	if (__get_cpuid(1, &a, &b, &c, &d) && (c & (1u << 5)))
		return true;
	return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & (1u << 2));
}

static vmm_err_t read_caps(int fd, struct kvm_caps *caps, vmm_err_info_t *ei)
{
	int run_bytes = ioctl(fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (run_bytes < (int)sizeof(struct kvm_run))
		return failed(ei, "KVM_GET_VCPU_MMAP_SIZE");
	int max = extension(fd, KVM_CAP_MAX_VCPUS);
	if (max == 0)
		max = extension(fd, KVM_CAP_NR_VCPUS);
	*caps = (struct kvm_caps){
	        .max_vcpus = max > 0 ? (uint32_t)max : 4, /* api.rst: assume 4 */
	        .run_bytes = (uint32_t)run_bytes,
	        .tsc_deadline = extension(fd, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
	        .tsc_khz = extension(fd, KVM_CAP_GET_TSC_KHZ) > 0,
	        .immediate_exit = extension(fd, KVM_CAP_IMMEDIATE_EXIT) > 0,
	        .kvmclock_ctrl = extension(fd, KVM_CAP_KVMCLOCK_CTRL) > 0,
	        .msr_exits = extension(fd, KVM_CAP_X86_USER_SPACE_MSR) > 0 &&
	                     extension(fd, KVM_CAP_X86_MSR_FILTER) > 0,
	        .stats = extension(fd, KVM_CAP_BINARY_STATS_FD) > 0,
	        .idle_exits = (uint32_t)extension(fd, KVM_CAP_X86_DISABLE_EXITS) & IDLE_EXITS,
	        .coalesced_bytes =
	                (uint32_t)extension(fd, KVM_CAP_COALESCED_MMIO) * MACHINE_PAGE_SIZE,
	        .hardware = has_hardware_virtualization(),
	};
	return VMM_OK;
}

static vmm_err_t open_device(const char *path, int fd, int *kvm_fd, vmm_err_info_t *ei)
{
	if (fd >= 0) {
		*kvm_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (*kvm_fd < 0)
			return err_sys(ei, errno, "kvm_fd", "cannot duplicate descriptor %d", fd);
		return VMM_OK;
	}
	*kvm_fd = open(path, O_RDWR | O_CLOEXEC);
	if (*kvm_fd >= 0)
		return VMM_OK;
	int err = errno;
	if (err == EACCES)
		return err_sys(ei, err, path,
		               "not permitted (join the group 'kvm': usermod -aG kvm $USER, then "
		               "log in again)");
	if (err == ENOENT)
		return err_sys(ei, err, path,
		               "there is no KVM here (load kvm-intel or kvm-amd, or switch "
		               "virtualization on in the firmware)");
	return err_sys(ei, err, path, "cannot be opened");
}

vmm_err_t kvm_open(const char *path, int fd, int *kvm_fd, struct kvm_caps *caps, vmm_err_info_t *ei)
{
	vmm_err_t err = open_device(path, fd, kvm_fd, ei);
	if (err)
		return err;
	int version = ioctl(*kvm_fd, KVM_GET_API_VERSION, 0);
	if (version < 0)
		err = err_sys_as(ei, VMM_E_KVM, errno, path, "is not a KVM device");
	else if (version != KVM_API_VERSION)
		err = err_set(ei, VMM_E_UNSUPPORTED, path, "KVM API version %d, need %d", version,
		              KVM_API_VERSION);
	if (!err)
		err = check_required(*kvm_fd, ei);
	if (!err)
		err = read_caps(*kvm_fd, caps, ei);
	if (err) {
		(void)close(*kvm_fd);
		*kvm_fd = -1;
	}
	return err;
}

static vmm_err_t map_memory(int vm_fd, const struct gmem *gm, uint32_t flags, vmm_err_info_t *ei)
{
	for (unsigned i = 0; i < gmem_region_count(gm); i++) {
		const struct gmem_region *r = gmem_region_at(gm, i);
		struct kvm_userspace_memory_region slot = {
		        .slot = i,
		        .flags = flags,
		        .guest_phys_addr = r->base,
		        .memory_size = r->len_bytes,
		        .userspace_addr = (uintptr_t)r->host,
		};
		vmm_err_t err = call(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot,
		                     "KVM_SET_USER_MEMORY_REGION", ei);
		if (err)
			return err;
	}
	return VMM_OK;
}

vmm_err_t kvm_vm_create(int kvm_fd, const struct gmem *gm, int *vm_fd, vmm_err_info_t *ei)
{
	do
		*vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	while (*vm_fd < 0 && errno == EINTR);
	if (*vm_fd < 0)
		return failed(ei, "KVM_CREATE_VM");
	/* Slots before the irqchip: afterwards each waits several ms for an SRCU grace period. */
	vmm_err_t err = map_memory(*vm_fd, gm, 0, ei);
	if (err)
		return err;
	/* Needed on VT-x without unrestricted guest, harmless elsewhere; SVM hosts refuse neither.
	 */
	uint64_t identity = MACHINE_IDENTITY_MAP;
	err = call(*vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity, "KVM_SET_IDENTITY_MAP_ADDR", ei);
	if (err)
		return err;
	if (ioctl(*vm_fd, KVM_SET_TSS_ADDR, (unsigned long)MACHINE_TSS) < 0)
		return failed(ei, "KVM_SET_TSS_ADDR");
	if (ioctl(*vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return failed(ei, "KVM_CREATE_IRQCHIP");
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	return call(*vm_fd, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2", ei);
}

vmm_err_t kvm_leave_idle(int vm_fd, uint32_t exits, vmm_err_info_t *ei)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_DISABLE_EXITS, .args = {exits}};
	return call(vm_fd, KVM_ENABLE_CAP, &cap, "KVM_CAP_X86_DISABLE_EXITS", ei);
}

void kvm_monitor_leaf(uint32_t leaf[4])
{
	(void)__get_cpuid(CPUID_MONITOR, &leaf[0], &leaf[1], &leaf[2], &leaf[3]);
}

vmm_err_t kvm_irqfd(int vm_fd, int event_fd, uint32_t gsi, vmm_err_info_t *ei)
{
	struct kvm_irqfd arg = {.fd = (uint32_t)event_fd, .gsi = gsi};
	return call(vm_fd, KVM_IRQFD, &arg, "KVM_IRQFD", ei);
}

vmm_err_t kvm_ioeventfd(int vm_fd, int event_fd, const struct kvm_doorbell *d, bool on,
                        vmm_err_info_t *ei)
{
	struct kvm_ioeventfd arg = {
	        .datamatch = d->data,
	        .addr = d->addr,
	        .len = d->len,
	        .fd = event_fd,
	        .flags = (d->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0u) |
	                 (d->pio ? KVM_IOEVENTFD_FLAG_PIO : 0u) |
	                 (on ? 0u : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};
	return call(vm_fd, KVM_IOEVENTFD, &arg, "KVM_IOEVENTFD", ei);
}

vmm_err_t kvm_coalesce_mmio(int vm_fd, uint64_t addr, uint64_t len, vmm_err_info_t *ei)
{
	const struct kvm_coalesced_mmio_zone zone = {.addr = addr, .size = (uint32_t)len};
	return call(vm_fd, KVM_REGISTER_COALESCED_MMIO, &zone, "KVM_REGISTER_COALESCED_MMIO", ei);
}

vmm_err_t kvm_filter_msrs(int vm_fd, const struct kvm_msr_span *spans, unsigned count,
                          vmm_err_info_t *ei)
{
	struct kvm_enable_cap cap = {
	        .cap = KVM_CAP_X86_USER_SPACE_MSR,
	        .args = {KVM_MSR_EXIT_REASON_FILTER},
	};
	vmm_err_t err = call(vm_fd, KVM_ENABLE_CAP, &cap, "KVM_CAP_X86_USER_SPACE_MSR", ei);
	if (err)
		return err;
	/* A bit of zero denies the register to KVM, which sends it to us. */
	uint8_t deny[KVM_MSR_SPANS_MAX][64] = {{0}};
	struct kvm_msr_filter filter = {.flags = KVM_MSR_FILTER_DEFAULT_ALLOW};
	for (unsigned i = 0; i < count; i++)
		filter.ranges[i] = (struct kvm_msr_filter_range){
		        .flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
		        .nmsrs = spans[i].count,
		        .base = spans[i].first,
		        .bitmap = deny[i],
		};
	return call(vm_fd, KVM_X86_SET_MSR_FILTER, &filter, "KVM_X86_SET_MSR_FILTER", ei);
}

vmm_err_t kvm_dirty_log_set(int vm_fd, const struct gmem *gm, bool on, vmm_err_info_t *ei)
{
	return map_memory(vm_fd, gm, on ? KVM_MEM_LOG_DIRTY_PAGES : 0, ei);
}

vmm_err_t kvm_dirty_log_read(int vm_fd, unsigned slot, uint64_t *bitmap, vmm_err_info_t *ei)
{
	struct kvm_dirty_log arg = {.slot = slot, .dirty_bitmap = bitmap};
	return call(vm_fd, KVM_GET_DIRTY_LOG, &arg, "KVM_GET_DIRTY_LOG", ei);
}

bool kvm_irqfd_set(int vm_fd, int event_fd, uint32_t gsi, bool on)
{
	struct kvm_irqfd arg = {
	        .fd = (uint32_t)event_fd,
	        .gsi = gsi,
	        .flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};
	return ioctl(vm_fd, KVM_IRQFD, &arg) == 0;
}

bool kvm_irqfd_level(int vm_fd, int event_fd, int resample_fd, uint32_t gsi, bool on)
{
	struct kvm_irqfd arg = {
	        .fd = (uint32_t)event_fd,
	        .gsi = gsi,
	        .flags = on ? KVM_IRQFD_FLAG_RESAMPLE : KVM_IRQFD_FLAG_DEASSIGN,
	        .resamplefd = on ? (uint32_t)resample_fd : 0,
	};
	return ioctl(vm_fd, KVM_IRQFD, &arg) == 0;
}

bool kvm_set_gsi_routing(int vm_fd, const struct kvm_irq_routing *table)
{
	return ioctl(vm_fd, KVM_SET_GSI_ROUTING, table) == 0;
}

bool kvm_set_slot(int vm_fd, uint32_t slot, uint64_t gpa, void *host, uint64_t len_bytes)
{
	struct kvm_userspace_memory_region region = {
	        .slot = slot,
	        .guest_phys_addr = gpa,
	        .memory_size = len_bytes,
	        .userspace_addr = (uintptr_t)host,
	};
	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

vmm_err_t kvm_vfio_create(int vm_fd, int *device_fd, vmm_err_info_t *ei)
{
	struct kvm_create_device arg = {.type = KVM_DEV_TYPE_VFIO};
	vmm_err_t err = call(vm_fd, KVM_CREATE_DEVICE, &arg, "KVM_CREATE_DEVICE of VFIO", ei);
	*device_fd = err ? -1 : (int)arg.fd;
	return err;
}

vmm_err_t kvm_signal_msi(int vm_fd, uint64_t addr, uint32_t data, vmm_err_info_t *ei)
{
	struct kvm_msi msi = {
	        .address_lo = (uint32_t)addr,
	        .address_hi = (uint32_t)(addr >> 32),
	        .data = data,
	};
	return call(vm_fd, KVM_SIGNAL_MSI, &msi, "KVM_SIGNAL_MSI", ei);
}

vmm_err_t kvm_vcpu_create(int vm_fd, uint32_t id, uint32_t run_bytes, int *vcpu_fd,
                          struct kvm_run **run, vmm_err_info_t *ei)
{
	*vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (*vcpu_fd < 0)
		return failed(ei, "KVM_CREATE_VCPU");
	void *p = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *vcpu_fd, 0);
	if (p == MAP_FAILED) {
		vmm_err_t err = failed(ei, "mmap of a vCPU");
		(void)close(*vcpu_fd);
		*vcpu_fd = -1;
		return err;
	}
	*run = p;
	return VMM_OK;
}

void kvm_vcpu_close(int vcpu_fd, struct kvm_run *run, uint32_t run_bytes)
{
	if (run)
		(void)munmap(run, run_bytes);
	if (vcpu_fd >= 0)
		(void)close(vcpu_fd);
}

vmm_err_t kvm_supported_cpuid(int kvm_fd, struct kvm_cpuid2 **out, vmm_err_info_t *ei)
{
	for (uint32_t n = CPUID_ENTRIES_FIRST; n <= CPUID_ENTRIES_MAX; n *= 2) {
		struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + n * sizeof(c->entries[0]));
		if (!c)
			return err_set(ei, VMM_E_NOMEM, "cpuid", "out of memory");
		c->nent = n;
		if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, c) == 0) {
			*out = c;
			return VMM_OK;
		}
		free(c);
		if (errno != E2BIG)
			break;
	}
	return failed(ei, "KVM_GET_SUPPORTED_CPUID");
}

vmm_err_t kvm_set_cpuid(int vcpu_fd, const struct kvm_cpuid2 *cpuid, vmm_err_info_t *ei)
{
	return call(vcpu_fd, KVM_SET_CPUID2, cpuid, "KVM_SET_CPUID2", ei);
}

vmm_err_t kvm_set_msr(int vcpu_fd, uint32_t index, uint64_t value, vmm_err_info_t *ei)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} arg = {.head.nmsrs = 1, .entry = {.index = index, .data = value}};
	int n = ioctl(vcpu_fd, KVM_SET_MSRS, &arg);
	if (n == 1)
		return VMM_OK;
	if (n == 0)
		return err_set(ei, VMM_E_KVM, "msr", "KVM refuses MSR 0x%x = 0x%llx", index,
		               (unsigned long long)value);
	return failed(ei, "KVM_SET_MSRS");
}

vmm_err_t kvm_get_regs(int vcpu_fd, struct kvm_regs *r, vmm_err_info_t *ei)
{
	return call(vcpu_fd, KVM_GET_REGS, r, "KVM_GET_REGS", ei);
}

vmm_err_t kvm_set_regs(int vcpu_fd, const struct kvm_regs *r, vmm_err_info_t *ei)
{
	return call(vcpu_fd, KVM_SET_REGS, r, "KVM_SET_REGS", ei);
}

vmm_err_t kvm_get_sregs(int vcpu_fd, struct kvm_sregs *s, vmm_err_info_t *ei)
{
	return call(vcpu_fd, KVM_GET_SREGS, s, "KVM_GET_SREGS", ei);
}

vmm_err_t kvm_set_sregs(int vcpu_fd, const struct kvm_sregs *s, vmm_err_info_t *ei)
{
	return call(vcpu_fd, KVM_SET_SREGS, s, "KVM_SET_SREGS", ei);
}

vmm_err_t kvm_get_lapic(int vcpu_fd, struct kvm_lapic_state *l, vmm_err_info_t *ei)
{
	return call(vcpu_fd, KVM_GET_LAPIC, l, "KVM_GET_LAPIC", ei);
}

vmm_err_t kvm_set_lapic(int vcpu_fd, const struct kvm_lapic_state *l, vmm_err_info_t *ei)
{
	return call(vcpu_fd, KVM_SET_LAPIC, l, "KVM_SET_LAPIC", ei);
}

vmm_err_t kvm_set_signal_mask(int vcpu_fd, const sigset_t *mask, vmm_err_info_t *ei)
{
	/* The kernel's set is the first 8 bytes of the C library's. */
	union {
		struct kvm_signal_mask head;
		uint8_t bytes[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET_BYTES];
	} arg = {.head.len = KERNEL_SIGSET_BYTES};
	memcpy(arg.bytes + sizeof(arg.head), mask, KERNEL_SIGSET_BYTES);
	return call(vcpu_fd, KVM_SET_SIGNAL_MASK, &arg, "KVM_SET_SIGNAL_MASK", ei);
}

bool kvm_translate(int vcpu_fd, uint64_t linear, uint64_t *gpa)
{
	struct kvm_translation t = {.linear_address = linear};
	if (ioctl(vcpu_fd, KVM_TRANSLATE, &t) < 0 || !t.valid)
		return false;
	*gpa = t.physical_address;
	return true;
}

vmm_err_t kvm_set_tsc_offset(int vcpu_fd, uint64_t offset, vmm_err_info_t *ei)
{
	const struct kvm_device_attr attr = {
	        .group = KVM_VCPU_TSC_CTRL,
	        .attr = KVM_VCPU_TSC_OFFSET,
	        .addr = (uintptr_t)&offset,
	};
	if (ioctl(vcpu_fd, KVM_HAS_DEVICE_ATTR, &attr) < 0)
		return err_set(ei, VMM_E_UNSUPPORTED, "/dev/kvm",
		               "this host's KVM lacks KVM_VCPU_TSC_OFFSET");
	return call(vcpu_fd, KVM_SET_DEVICE_ATTR, &attr, "KVM_VCPU_TSC_OFFSET", ei);
}

int kvm_stats_fd(int fd)
{
	return ioctl(fd, KVM_GET_STATS_FD, NULL);
}

uint32_t kvm_tsc_khz(int vcpu_fd)
{
	int khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);
	return khz > 0 ? (uint32_t)khz : 0;
}

void kvm_clock_was_paused(int vcpu_fd)
{
	/* EINVAL where the guest does not use the KVM clock: nothing to tell then. */
	(void)ioctl(vcpu_fd, KVM_KVMCLOCK_CTRL, 0);
}

int kvm_run_once(int vcpu_fd)
{
	return ioctl(vcpu_fd, KVM_RUN, 0) < 0 ? errno : 0;
}
