/* KVM with nothing around it. See bare.h. */
#include "bare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int need(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(EXIT_FAILURE);
	}
	return result;
}

static void make_memory(struct bare *b, const uint8_t *code, size_t len)
{
	int fd = need(memfd_create("bare-guest", MFD_CLOEXEC), "memfd_create");
	need(ftruncate(fd, (off_t)BARE_MEMORY), "ftruncate");
	void *p =
	        mmap(NULL, BARE_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	need(p == MAP_FAILED ? -1 : 0, "mmap");
	(void)close(fd);
	b->memory = p;
	memcpy(b->memory + BARE_ENTRY, code, len);
	struct kvm_userspace_memory_region slot = {
	        .memory_size = BARE_MEMORY,
	        .userspace_addr = (uintptr_t)p,
	};
	need(ioctl(b->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
}

static void set_entry(const struct bare *b)
{
	struct kvm_sregs sregs;
	need(ioctl(b->vcpu_fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	const struct kvm_segment data = {
	        .limit = 0xffffffff,
	        .selector = 0x10,
	        .type = 3,
	        .present = 1,
	        .db = 1,
	        .s = 1,
	        .g = 1,
	};
	sregs.cs = sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cs.selector = 0x08;
	sregs.cs.type = 11;
	sregs.cr0 |= 1;
	need(ioctl(b->vcpu_fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	struct kvm_regs regs = {.rip = BARE_ENTRY, .rflags = 2};
	need(ioctl(b->vcpu_fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

void bare_open(struct bare *b, const uint8_t *code, size_t len)
{
	b->kvm_fd = need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	b->vm_fd = need(ioctl(b->kvm_fd, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	make_memory(b, code, len);
	need(ioctl(b->vm_fd, KVM_SET_TSS_ADDR, 0xfeffd000ul), "KVM_SET_TSS_ADDR");
	need(ioctl(b->vm_fd, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	need(ioctl(b->vm_fd, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
	b->vcpu_fd = need(ioctl(b->vm_fd, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	int bytes = need(ioctl(b->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	b->run = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, b->vcpu_fd, 0);
	need(b->run == MAP_FAILED ? -1 : 0, "mmap of the run page");
	set_entry(b);
}

void bare_set_cpuid(struct bare *b)
{
	const uint32_t entries = 128;
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + entries * sizeof(*cpuid->entries));
	need(cpuid ? 0 : -1, "calloc");
	cpuid->nent = entries;
	need(ioctl(b->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
	need(ioctl(b->vcpu_fd, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
	free(cpuid);
}

void bare_set_rip(struct bare *b, uint64_t value)
{
	struct kvm_regs regs;
	need(ioctl(b->vcpu_fd, KVM_GET_REGS, &regs), "KVM_GET_REGS");
	regs.rip = value;
	need(ioctl(b->vcpu_fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

void bare_run(struct bare *b)
{
	int result;
	do
		result = ioctl(b->vcpu_fd, KVM_RUN, 0);
	while (result < 0 && errno == EINTR);
	need(result, "KVM_RUN");
}
