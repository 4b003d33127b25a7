/*
 * The yardstick: KVM with nothing around it. The same objects that libvmm makes for one vCPU, in
 * the order that costs least: memory slot, irqchip, PIT, vCPU. On failure it says so and exits.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#define BARE_MEMORY (128ull << 20)
#define BARE_ENTRY  0x100000u

struct bare {
	int kvm_fd, vm_fd, vcpu_fd;
	struct kvm_run *run;
	uint8_t *memory;
};

/* CODE will run at BARE_ENTRY in 32-bit protected mode, paging off, as a PVH guest's does. */
void bare_open(struct bare *b, const uint8_t *code, size_t len);
/* Give the vCPU the CPUID that KVM supports, without which no operating system starts. */
void bare_set_cpuid(struct bare *b);
/* Begin there instead of at BARE_ENTRY. */
void bare_set_rip(struct bare *b, uint64_t value);
/* KVM_RUN; the exit is in b->run. */
void bare_run(struct bare *b);

#endif
