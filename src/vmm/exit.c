/*
 * What happens when a vCPU leaves the guest: exit reason, bus look-up, device operation, back. On
 * the vCPU's thread; nothing here allocates, logs on the ordinary path, or takes a global lock.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vm_priv.h"

static void count(_Atomic uint64_t *counter)
{
	/* One writer per counter: a plain increment that readers may see late. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
}

/*
 * Kept out of the way of the ordinary exit, to a device that the vCPU has just talked to: what is
 * inlined there would cost it registers to save.
 */
#define APART __attribute__((noinline))

APART static void unclaimed(struct vcpu *v, const char *what, uint64_t addr, unsigned size,
                            bool write)
{
	count(&v->stats.unclaimed);
	log_guest(&v->vm->log, VMM_LOG_DEBUG,
	          "vCPU %u: %s of %u bytes at %s 0x%" PRIx64 ", where no device is", v->id,
	          write ? "write" : "read", size, what, addr);
}

/* Loads and stores of known sizes: a copy of a variable one is a call of the C library. */
static uint64_t load(const uint8_t *p, unsigned size)
{
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;
	switch (size) {
	case 1:
		return *p;
	case 2:
		memcpy(&v16, p, sizeof(v16));
		return v16;
	case 4:
		memcpy(&v32, p, sizeof(v32));
		return v32;
	default:
		memcpy(&v64, p, sizeof(v64));
		return v64;
	}
}

static void store(uint8_t *p, unsigned size, uint64_t value)
{
	switch (size) {
	case 1:
		*p = (uint8_t)value;
		break;
	case 2:
		memcpy(p, &value, 2);
		break;
	case 4:
		memcpy(p, &value, 4);
		break;
	default:
		memcpy(p, &value, 8);
		break;
	}
}

static bool access_once(const struct bus *bus, enum bus_space space, uint64_t addr, uint8_t *data,
                        unsigned size, bool write)
{
	if (write)
		return bus_write(bus, space, addr, size, load(data, size));
	uint64_t value;
	bool found = bus_read(bus, space, addr, size, &value);
	store(data, size, value);
	return found;
}

APART bool exit_access_bus(const struct bus *bus, enum bus_space space, uint64_t addr,
                           uint8_t *data, unsigned size, bool write)
{
	if (!(size & (size - 1)))
		return access_once(bus, space, addr, data, size, write);
	bool all = true;
	for (unsigned i = 0; i < size; i++)
		all &= access_once(bus, space, addr + i, data + i, 1, write);
	return all;
}

/* Where the next exit looks first. */
static void come_near(struct vcpu *v, enum bus_space space, uint64_t addr, unsigned size)
{
	const struct bus_range *r = bus_find(&v->vm->bus, space, addr, size);
	if (r)
		v->near[space] = r;
}

static inline void access_near(const struct bus_range *r, uint64_t addr, uint8_t *data,
                               unsigned size, bool write)
{
	if (write)
		r->ops->write(r->ctx, addr - r->base, size, load(data, size));
	else
		store(data, size, r->ops->read(r->ctx, addr - r->base, size));
}

/* Another device than the last one, none, or REP INS and REP OUTS: several accesses to a port. */
APART static void handle_far_pio(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)v->run + run->io.data_offset;
	bool write = run->io.direction == KVM_EXIT_IO_OUT;
	bool found = true;
	come_near(v, BUS_PIO, run->io.port, run->io.size);
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size)
		found &= exit_access_bus(&v->vm->bus, BUS_PIO, run->io.port, data, run->io.size,
		                         write);
	if (!found)
		unclaimed(v, "port", run->io.port, run->io.size, write);
}

static void handle_pio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	const struct bus_range *near = v->near[BUS_PIO];
	if (run->io.count == 1 && bus_range_holds(near, run->io.port, run->io.size))
		access_near(near, run->io.port, (uint8_t *)run + run->io.data_offset, run->io.size,
		            run->io.direction == KVM_EXIT_IO_OUT);
	else
		handle_far_pio(v);
}

/* Another device than the last one, none, or a length that is no power of two. */
APART static void handle_far_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	bool write = run->mmio.is_write;
	come_near(v, BUS_MMIO, run->mmio.phys_addr, run->mmio.len);
	if (!exit_access_bus(&v->vm->bus, BUS_MMIO, run->mmio.phys_addr, run->mmio.data,
	                     run->mmio.len, write))
		unclaimed(v, "address", run->mmio.phys_addr, run->mmio.len, write);
}

static void handle_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	const struct bus_range *near = v->near[BUS_MMIO];
	uint32_t size = run->mmio.len;
	if (!(size & (size - 1)) && bus_range_holds(near, run->mmio.phys_addr, size))
		access_near(near, run->mmio.phys_addr, run->mmio.data, size, run->mmio.is_write);
	else
		handle_far_mmio(v);
}

/* The bytes at RIP as hexadecimal text: those that KVM gave, else those in guest memory. */
static void bytes_at_rip(struct vcpu *v, uint64_t rip, char *text, size_t room)
{
	uint8_t bytes[15];
	size_t n = 0;
	const struct kvm_run *run = v->run;
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR && run->internal.ndata >= 3 &&
	    (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
		n = run->emulation_failure.insn_size;
		n = n < sizeof(bytes) ? n : sizeof(bytes);
		memcpy(bytes, run->emulation_failure.insn_bytes, n);
	}
	uint64_t gpa;
	for (; n < sizeof(bytes); n++)
		if (!kvm_translate(v->fd, rip + n, &gpa) ||
		    !gmem_read(v->vm->gm, (struct gpa){gpa}, &bytes[n], 1))
			break;
	text[0] = '\0';
	for (size_t i = 0, at = 0; i < n && at + 4 < room; i++)
		at += (size_t)snprintf(text + at, room - at, "%s%02x", i ? " " : "", bytes[i]);
}

static void describe_internal(struct vcpu *v, vmm_event_t *event, uint64_t rip, uint64_t cr0)
{
	char bytes[64];
	bytes_at_rip(v, rip, bytes, sizeof(bytes));
	event->kind = VMM_EVENT_INTERNAL_ERROR;
	event->code = v->run->internal.suberror;
	const char *what = event->code == KVM_INTERNAL_ERROR_EMULATION
	                           ? "KVM cannot emulate the guest's instruction"
	                           : "KVM reports an internal error";
	const char *hint = "";
	if (event->code == KVM_INTERNAL_ERROR_EMULATION && !v->vm->caps.hardware)
		hint = ". This host has neither VT-x nor SVM: its KVM emulates the guest's kernel "
		       "mode and lacks some instructions; stock kernels need hardware KVM";
	(void)snprintf(event->text, sizeof(event->text),
	               "%s (sub-error %u) on vCPU %u at RIP 0x%" PRIx64 ", CR0 0x%" PRIx64
	               ", bytes there: %s%s",
	               what, event->code, v->id, rip, cr0, bytes[0] ? bytes : "unreadable", hint);
}

void exit_describe_failure(struct vcpu *v, vmm_event_t *event)
{
	struct kvm_regs regs = {0};
	struct kvm_sregs sregs = {0};
	vmm_err_info_t ignored;
	if (kvm_get_regs(v->fd, &regs, &ignored) || kvm_get_sregs(v->fd, &sregs, &ignored))
		regs.rip = 0;
	const struct kvm_run *run = v->run;
	event->vcpu = v->id;
	switch (run->exit_reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		describe_internal(v, event, regs.rip, sregs.cr0);
		break;
	case KVM_EXIT_SHUTDOWN:
		event->kind = VMM_EVENT_TRIPLE_FAULT;
		event->code = run->exit_reason;
		(void)snprintf(event->text, sizeof(event->text),
		               "triple fault on vCPU %u at RIP 0x%" PRIx64 " (CR2 0x%" PRIx64
		               ", CR3 0x%" PRIx64 ", RSP 0x%" PRIx64 ")",
		               v->id, (uint64_t)regs.rip, (uint64_t)sregs.cr2, (uint64_t)sregs.cr3,
		               (uint64_t)regs.rsp);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		event->kind = VMM_EVENT_HOST_ERROR;
		event->code = run->exit_reason;
		(void)snprintf(
		        event->text, sizeof(event->text),
		        "the processor refuses to enter the guest on vCPU %u (hardware reason "
		        "0x%" PRIx64 ") at RIP 0x%" PRIx64,
		        v->id, (uint64_t)run->fail_entry.hardware_entry_failure_reason,
		        (uint64_t)regs.rip);
		break;
	default:
		event->kind = VMM_EVENT_HOST_ERROR;
		event->code = run->exit_reason;
		(void)snprintf(event->text, sizeof(event->text),
		               "unexpected exit %u (%s) of vCPU %u at RIP 0x%" PRIx64,
		               run->exit_reason, vmm_exit_name(run->exit_reason), v->id,
		               (uint64_t)regs.rip);
		break;
	}
}

/* The embedder's registers only: KVM asks for no others. */
APART static void handle_msr(struct vcpu *v, bool write)
{
	struct kvm_run *run = v->run;
	const struct user_msrs *m = vm_find_msr(v->vm, run->msr.index);
	bool good = false;
	uint64_t value = run->msr.data;
	if (m)
		good = write ? m->write(m->ctx, run->msr.index, value)
		             : m->read(m->ctx, run->msr.index, &value);
	run->msr.data = value;
	run->msr.error = !good;
}

APART static void handle_system_event(struct vcpu *v)
{
	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_request(v->vm, PLATFORM_POWER_OFF, 0);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vm_request(v->vm, PLATFORM_RESET, 0);
		break;
	default:
		vm_request(v->vm, PLATFORM_PANIC, v->run->system_event.type);
		break;
	}
}

APART static void handle_failure(struct vcpu *v)
{
	vmm_event_t event = {0};
	exit_describe_failure(v, &event);
	vm_halt(v->vm, &event);
}

void exit_dispatch(struct vcpu *v)
{
	uint32_t reason = v->run->exit_reason;
	if (v->vm->coalesced)
		vm_take_coalesced(v->vm);
	count(&v->stats.exits[reason < VMM_EXIT_REASONS ? reason : VMM_EXIT_REASONS - 1]);
	switch (reason) {
	case KVM_EXIT_IO:
		handle_pio(v);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(v);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		handle_msr(v, reason == KVM_EXIT_X86_WRMSR);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		handle_system_event(v);
		break;
	default:
		handle_failure(v);
		break;
	}
}

bool vmm_exit_dispatch(vmm_vm_t *vm, const vmm_exit_t *exit)
{
	if (exit->kind != VMM_EXIT_PIO && exit->kind != VMM_EXIT_MMIO)
		return false;
	enum bus_space space = exit->kind == VMM_EXIT_PIO ? BUS_PIO : BUS_MMIO;
	uint8_t *data = exit->data;
	bool found = true;
	for (uint32_t i = 0; i < exit->count; i++, data += exit->size)
		found &= exit_access_bus(&vm->bus, space, exit->address, data, exit->size,
		                         exit->is_write);
	return found;
}

const char *vmm_exit_name(uint32_t reason)
{
	static const char *const names[] = {
	        [KVM_EXIT_UNKNOWN] = "UNKNOWN",
	        [KVM_EXIT_EXCEPTION] = "EXCEPTION",
	        [KVM_EXIT_IO] = "IO",
	        [KVM_EXIT_HYPERCALL] = "HYPERCALL",
	        [KVM_EXIT_DEBUG] = "DEBUG",
	        [KVM_EXIT_HLT] = "HLT",
	        [KVM_EXIT_MMIO] = "MMIO",
	        [KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
	        [KVM_EXIT_SHUTDOWN] = "SHUTDOWN",
	        [KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY",
	        [KVM_EXIT_INTR] = "INTR",
	        [KVM_EXIT_SET_TPR] = "SET_TPR",
	        [KVM_EXIT_TPR_ACCESS] = "TPR_ACCESS",
	        [KVM_EXIT_NMI] = "NMI",
	        [KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
	        [KVM_EXIT_SYSTEM_EVENT] = "SYSTEM_EVENT",
	        [KVM_EXIT_IOAPIC_EOI] = "IOAPIC_EOI",
	        [KVM_EXIT_HYPERV] = "HYPERV",
	        [KVM_EXIT_X86_RDMSR] = "X86_RDMSR",
	        [KVM_EXIT_X86_WRMSR] = "X86_WRMSR",
	        [KVM_EXIT_DIRTY_RING_FULL] = "DIRTY_RING_FULL",
	        [KVM_EXIT_X86_BUS_LOCK] = "X86_BUS_LOCK",
	};
	if (reason >= sizeof(names) / sizeof(names[0]) || !names[reason])
		return "OTHER";
	return names[reason];
}
