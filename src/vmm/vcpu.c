/*
 * A vCPU: its set-up, its thread, its low-level stepping. The hot loop is vcpu_main; exits are
 * handled in exit.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cpuid.h"
#include "errset.h"
#include "sized.h"
#include "vm_priv.h"

#define MSR_IA32_MISC_ENABLE    0x1a0u
#define MISC_ENABLE_FAST_STRING 1u
#define MISC_ENABLE_MONITOR     (1u << 18)
#define MSR_MTRR_DEF_TYPE       0x2ffu
#define MTRR_ENABLED_WRITE_BACK 0x806u

#define CR0_PE                  (1ull << 0)
#define CR0_ET                  (1ull << 4)
#define CR0_PG                  (1ull << 31)
#define CR4_PAE                 (1ull << 5)
#define EFER_LME                (1ull << 8)
#define EFER_LMA                (1ull << 10)

/* Selectors of the GDT that the boot code writes, and that both boot protocols ask for. */
#define SEL_CODE  0x10u
#define SEL_DATA  0x18u
#define GDT_LIMIT 0x1fu

/* Take the kick signal that is pending on this thread, if one is. */
static void take_kick(const struct vcpu *v)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, v->vm->kick_signal);
	const struct timespec none = {0, 0};
	(void)sigtimedwait(&set, NULL, &none);
}

/* Whether kicks come by immediate_exit and a handled signal; else by a signal that is blocked. */
static bool kick_handled(const vmm_vm_t *vm)
{
	return vm->caps.immediate_exit && (vm->opts.flags & VMM_VM_KICK_HANDLED) &&
	       !(vm->opts.flags & VMM_VM_STEP);
}

void vcpu_kick(struct vcpu *v)
{
	/* The signal ends a KVM_RUN; one that comes too early for that has the next one end. */
	if (kick_handled(v->vm) && v->run)
		__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (v->has_thread || atomic_load(&v->stepping))
		(void)pthread_kill(v->thread, v->vm->kick_signal);
}

/* After a KVM_RUN that a signal ended, before the next look at the gate. */
static void acknowledge_kick(struct vcpu *v)
{
	/* In this order with the gate's load in vcpu_main: who closes the gate kicks after that. */
	if (kick_handled(v->vm))
		__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	else
		take_kick(v);
}

static void unblock_kick(const struct vcpu *v)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, v->vm->kick_signal);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

vmm_err_t vcpu_setup(struct vcpu *v, vmm_err_info_t *ei)
{
	vmm_vm_t *vm = v->vm;
	vmm_err_t err = kvm_vcpu_create(vm->vm_fd, v->id, vm->caps.run_bytes, &v->fd, &v->run, ei);
	if (err)
		return err;
	struct cpuid_shape shape = {
	        .cpu = v->id,
	        .cpus = vm->opts.cpus,
	        .tsc_khz = vm->caps.tsc_khz ? kvm_tsc_khz(v->fd) : 0,
	        .tsc_deadline = vm->caps.tsc_deadline,
	        .mwait = (vm->opts.flags & VMM_VM_GUEST_IDLE) &&
	                 (vm->caps.idle_exits & KVM_X86_DISABLE_EXITS_MWAIT),
	};
	if (shape.mwait)
		kvm_monitor_leaf(shape.monitor);
	uint64_t misc = MISC_ENABLE_FAST_STRING | (shape.mwait ? MISC_ENABLE_MONITOR : 0);
	struct kvm_cpuid2 *cpuid;
	err = cpuid_make(vm->cpuid, &shape, &cpuid, ei);
	if (err)
		return err;
	err = kvm_set_cpuid(v->fd, cpuid, ei);
	free(cpuid);
	if (!err)
		err = kvm_set_msr(v->fd, MSR_IA32_MISC_ENABLE, misc, ei);
	if (!err)
		err = kvm_set_msr(v->fd, MSR_MTRR_DEF_TYPE, MTRR_ENABLED_WRITE_BACK, ei);
	if (err || kick_handled(vm))
		return err;
	/* KVM_RUN may be interrupted by the kick signal and by nothing else. */
	sigset_t mask;
	(void)sigfillset(&mask);
	(void)sigdelset(&mask, vm->kick_signal);
	return kvm_set_signal_mask(v->fd, &mask, ei);
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
	        .base = 0,
	        .limit = 0xffffffff,
	        .selector = selector,
	        .type = type,
	        .present = 1,
	        .s = 1,
	        .g = 1,
	};
}

static void set_flat_data(struct kvm_sregs *s)
{
	struct kvm_segment data = flat_segment(SEL_DATA, 3);
	data.db = 1;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
}

static void enter_long64(struct kvm_sregs *s, const struct boot_entry *entry)
{
	s->cs = flat_segment(SEL_CODE, 11);
	s->cs.l = 1;
	set_flat_data(s);
	s->gdt.base = MACHINE_GDT;
	s->gdt.limit = GDT_LIMIT;
	s->cr3 = entry->page_tables.addr;
	s->cr4 = CR4_PAE;
	s->cr0 = CR0_PE | CR0_ET | CR0_PG;
	s->efer = EFER_LME | EFER_LMA;
}

static void enter_prot32(struct kvm_sregs *s)
{
	s->cs = flat_segment(SEL_CODE, 11);
	s->cs.db = 1;
	set_flat_data(s);
	s->tr = flat_segment(0, 11); /* busy 32-bit TSS: PVH wants one with base 0, limit 0x67 */
	s->tr.s = 0;
	s->tr.g = 0;
	s->tr.limit = 0x67;
	s->cr0 = CR0_PE | CR0_ET;
	s->cr4 = 0;
	s->efer = 0;
}

vmm_err_t vcpu_set_entry(struct vcpu *v, const struct boot_entry *entry, vmm_err_info_t *ei)
{
	struct kvm_sregs sregs;
	vmm_err_t err = kvm_get_sregs(v->fd, &sregs, ei);
	if (err)
		return err;
	if (entry->mode == BOOT_CPU_LONG64)
		enter_long64(&sregs, entry);
	else
		enter_prot32(&sregs);
	struct kvm_regs regs = {
	        .rip = entry->rip,
	        .rsp = entry->rsp,
	        .rsi = entry->rsi,
	        .rbx = entry->rbx,
	        .rflags = 2,
	};
	err = kvm_set_sregs(v->fd, &sregs, ei);
	if (!err)
		err = kvm_set_regs(v->fd, &regs, ei);
	return err;
}

/* Selectors of a flat 64-bit user mode; nothing loads them from a table until the guest does. */
#define SEL_USER_DATA 0x23u
#define SEL_USER_CODE 0x2bu

static void enter_user64(struct kvm_sregs *s, uint64_t page_tables)
{
	s->cs = flat_segment(SEL_USER_CODE, 11);
	s->cs.l = 1;
	s->cs.dpl = 3;
	struct kvm_segment data = flat_segment(SEL_USER_DATA, 3);
	data.db = 1;
	data.dpl = 3;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = flat_segment(0, 11);
	s->tr.s = 0;
	s->tr.g = 0;
	s->tr.limit = 0x67;
	s->cr3 = page_tables;
	s->cr4 = CR4_PAE;
	s->cr0 = CR0_PE | CR0_ET | CR0_PG;
	s->efer = EFER_LME | EFER_LMA;
}

#define RFLAGS_FIXED      2u
#define RFLAGS_IOPL_SHIFT 12u

vmm_err_t vmm_vcpu_set_user_entry(vmm_vm_t *vm, uint32_t cpu, const vmm_user_entry_t *entry)
{
	vmm_err_info_t *ei = vm_error(vm);
	if (!sized_opts(entry, sizeof(*entry), ei))
		return VMM_E_INVAL;
	if (vm->state != VM_BUILT)
		return err_set(ei, VMM_E_STATE, "vm", "must be built, and not started");
	if (cpu >= vm->vcpu_count)
		return err_set(ei, VMM_E_INVAL, "cpu", "no vCPU %u; the VM has %u", cpu,
		               vm->vcpu_count);
	if (entry->iopl > 3)
		return err_set(ei, VMM_E_INVAL, "iopl", "%u: must be 0 to 3", entry->iopl);
	struct kvm_sregs sregs;
	vmm_err_t err = kvm_get_sregs(vm->vcpus[cpu].fd, &sregs, ei);
	if (err)
		return err;
	enter_user64(&sregs, entry->page_tables);
	const struct kvm_regs regs = {
	        .rip = entry->rip,
	        .rsp = entry->rsp,
	        .rflags = RFLAGS_FIXED | (uint64_t)entry->iopl << RFLAGS_IOPL_SHIFT,
	};
	err = kvm_set_sregs(vm->vcpus[cpu].fd, &sregs, ei);
	if (!err)
		err = kvm_set_regs(vm->vcpus[cpu].fd, &regs, ei);
	return err;
}

uint32_t vmm_vm_tsc_khz(const vmm_vm_t *vm)
{
	if (vm->vcpu_count == 0 || vm->vcpus[0].fd < 0 || !vm->caps.tsc_khz)
		return 0;
	return kvm_tsc_khz(vm->vcpus[0].fd);
}

vmm_err_t vmm_vm_tsc_align(vmm_vm_t *vm)
{
	if (vm->state != VM_BUILT)
		return err_set(vm_error(vm), VMM_E_STATE, "vm", "must be built, and not started");
	vmm_err_t err = VMM_OK;
	for (uint32_t i = 0; !err && i < vm->vcpu_count; i++)
		err = kvm_set_tsc_offset(vm->vcpus[i].fd, 0, vm_error(vm));
	return err;
}

/* KVM_RUN failed with something other than a signal: this vCPU, and so the VM, is finished. */
static void run_failed(struct vcpu *v, int errnum)
{
	vmm_event_t event = {.kind = VMM_EVENT_HOST_ERROR, .vcpu = v->id, .code = (uint32_t)errnum};
	char why[96];
	(void)snprintf(event.text, sizeof(event.text), "KVM_RUN of vCPU %u failed: %s", v->id,
	               strerror_r(errnum, why, sizeof(why)));
	vm_halt(v->vm, &event);
}

/* A thread names itself with one call; naming another takes three, on its creator's path. */
static void name_thread(const struct vcpu *v)
{
	char name[16];
	(void)snprintf(name, sizeof(name), "vmm-vcpu%u", v->id & 0xffu);
	(void)pthread_setname_np(pthread_self(), name);
}

void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	vmm_vm_t *vm = v->vm;
	struct profile *profile = v->profile;
	bool timed = false;
	name_thread(v);
	if (kick_handled(vm))
		unblock_kick(v);
	vm_confine_thread(vm, SANDBOX_VCPU);
	for (;;) {
		if (atomic_load_explicit(&vm->gate, memory_order_acquire) != GATE_OPEN) {
			if (profile)
				profile_rest(profile);
			if (!vm_gate_wait(vm))
				return NULL;
		}
		if (profile)
			profile_enter(profile);
		int err = kvm_run_once(v->fd);
		if (profile)
			profile_leave(profile, v->run, err);
		if (!timed) {
			timed = true;
			atomic_store(&v->stats.first_exit_ns, clock_now_ns());
		}
		if (err == 0)
			exit_dispatch(v);
		else if (err == EINTR)
			acknowledge_kick(v);
		else if (err != EAGAIN) /* EAGAIN: an AP before its SIPI */
			run_failed(v, err);
	}
}

/* Describe the exit in the run page for a caller that handles it itself. */
static void describe_exit(struct vcpu *v, vmm_exit_t *exit)
{
	struct kvm_run *run = v->run;
	exit->reason = run->exit_reason;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit->kind = VMM_EXIT_PIO;
		exit->is_write = run->io.direction == KVM_EXIT_IO_OUT;
		exit->size = run->io.size;
		exit->count = run->io.count;
		exit->address = run->io.port;
		exit->data = (uint8_t *)run + run->io.data_offset;
		break;
	case KVM_EXIT_MMIO:
		exit->kind = VMM_EXIT_MMIO;
		exit->is_write = run->mmio.is_write;
		exit->size = run->mmio.len;
		exit->count = 1;
		exit->address = run->mmio.phys_addr;
		exit->data = run->mmio.data;
		break;
	case KVM_EXIT_INTR:
		exit->kind = VMM_EXIT_INTERRUPTED;
		break;
	case KVM_EXIT_SHUTDOWN:
		exit->kind = VMM_EXIT_SHUTDOWN;
		break;
	case KVM_EXIT_INTERNAL_ERROR:
	case KVM_EXIT_FAIL_ENTRY: {
		exit->kind = VMM_EXIT_ERROR;
		vmm_event_t event = {0};
		exit_describe_failure(v, &event);
		vm_post_event(v->vm, &event);
		break;
	}
	default:
		exit->kind = VMM_EXIT_OTHER;
		break;
	}
}

vmm_err_t vmm_vcpu_step(vmm_vm_t *vm, uint32_t cpu, vmm_exit_t *exit)
{
	vmm_err_info_t *ei = vm_error(vm);
	if (!(vm->opts.flags & VMM_VM_STEP))
		return err_set(ei, VMM_E_STATE, "flags", "the VM was not created with VMM_VM_STEP");
	if (vm->state != VM_BUILT && vm->state != VM_RUNNING)
		return err_set(ei, VMM_E_STATE, "vm",
		               "the VM is not built, or its guest has ended");
	if (cpu >= vm->vcpu_count)
		return err_set(ei, VMM_E_INVAL, "cpu", "no vCPU %u; the VM has %u", cpu,
		               vm->vcpu_count);
	struct vcpu *v = &vm->vcpus[cpu];
	sigset_t kick;
	(void)sigemptyset(&kick);
	(void)sigaddset(&kick, vm->kick_signal);
	(void)pthread_sigmask(SIG_BLOCK, &kick, NULL);
	v->thread = pthread_self();
	atomic_store(&v->stepping, true);
	int err = atomic_exchange(&v->kick_wanted, false) ? EINTR : kvm_run_once(v->fd);
	atomic_store(&v->stepping, false);
	*exit = (vmm_exit_t){.vcpu = cpu};
	if (err == EINTR || err == EAGAIN) {
		take_kick(v);
		atomic_store(&v->kick_wanted, false);
		exit->kind = VMM_EXIT_INTERRUPTED;
		exit->reason = KVM_EXIT_INTR;
		return VMM_OK;
	}
	if (err)
		return err_sys_as(ei, VMM_E_KVM, err, "/dev/kvm", "KVM_RUN of vCPU %u failed", cpu);
	uint32_t slot =
	        v->run->exit_reason < VMM_EXIT_REASONS ? v->run->exit_reason : VMM_EXIT_REASONS - 1;
	atomic_fetch_add_explicit(&v->stats.exits[slot], 1, memory_order_relaxed);
	describe_exit(v, exit);
	return VMM_OK;
}

void vmm_vcpu_kick(vmm_vm_t *vm, uint32_t cpu)
{
	if (cpu >= vm->vcpu_count || !(vm->opts.flags & VMM_VM_STEP))
		return;
	atomic_store(&vm->vcpus[cpu].kick_wanted, true);
	vcpu_kick(&vm->vcpus[cpu]);
}

static bool vcpus_stand_still(vmm_vm_t *vm)
{
	if (vm->opts.flags & VMM_VM_STEP)
		return vm->vcpu_count > 0;
	(void)pthread_mutex_lock(&vm->life_lock);
	bool still = vm->state == VM_BUILT || (vm->state != VM_STOPPED && vm->vcpu_count > 0 &&
	                                       vm->parked == vm->vcpu_count);
	(void)pthread_mutex_unlock(&vm->life_lock);
	return still;
}

vmm_err_t vmm_vcpu_regs(vmm_vm_t *vm, uint32_t cpu, vmm_regs_t *out)
{
	vmm_err_info_t *ei = vm_error(vm);
	if (cpu >= vm->vcpu_count)
		return err_set(ei, VMM_E_INVAL, "cpu", "no vCPU %u; the VM has %u", cpu,
		               vm->vcpu_count);
	if (!vcpus_stand_still(vm))
		return err_set(ei, VMM_E_STATE, "vm",
		               "registers can be read only of a vCPU that "
		               "stands still: pause the VM first");
	struct kvm_regs r;
	struct kvm_sregs s;
	vmm_err_t err = kvm_get_regs(vm->vcpus[cpu].fd, &r, ei);
	if (!err)
		err = kvm_get_sregs(vm->vcpus[cpu].fd, &s, ei);
	if (err)
		return err;
	*out = (vmm_regs_t){
	        .rax = r.rax,
	        .rbx = r.rbx,
	        .rcx = r.rcx,
	        .rdx = r.rdx,
	        .rsi = r.rsi,
	        .rdi = r.rdi,
	        .rsp = r.rsp,
	        .rbp = r.rbp,
	        .r8 = r.r8,
	        .r9 = r.r9,
	        .r10 = r.r10,
	        .r11 = r.r11,
	        .r12 = r.r12,
	        .r13 = r.r13,
	        .r14 = r.r14,
	        .r15 = r.r15,
	        .rip = r.rip,
	        .rflags = r.rflags,
	        .cr0 = s.cr0,
	        .cr2 = s.cr2,
	        .cr3 = s.cr3,
	        .cr4 = s.cr4,
	        .efer = s.efer,
	};
	return VMM_OK;
}
