/* Interrupts go to their handlers; exceptions are repaired by a fixup or end in a crash report. */
#include "guest-kernel/core/panic.h"
#include "x86.h"

const struct arch_handlers *x86_handlers;
static volatile bool stopping;

void arch_handlers_set(const struct arch_handlers *h)
{
	x86_handlers = h;
}

static const char *const names[] = {
        "divide error",
        "debug exception",
        "NMI",
        "breakpoint",
        "overflow",
        "bound range exceeded",
        "invalid opcode",
        "device not available",
        "double fault",
        "coprocessor segment overrun",
        "invalid TSS",
        "segment not present",
        "stack-segment fault",
        "general protection fault",
        "page fault",
        "exception 15",
        "x87 error",
        "alignment check",
        "machine check",
        "SIMD exception",
};

/* Intel SDM 3A, 4.7: a page fault's error code. */
#define FAULT_PRESENT 0x01u
#define FAULT_WRITE   0x02u
#define FAULT_FETCH   0x10u

static const char *what_happened(const struct trap_frame *f)
{
	if ((f->vector == 8 || f->vector == 14) && paging_below_stack(x86_cr2()))
		return "stack overflow";
	if (f->vector == 14 && x86_cr2() < ARCH_PAGE_SIZE)
		return "null pointer";
	if (f->vector == 14 && f->error & FAULT_PRESENT && f->error & FAULT_FETCH)
		return "execution of data";
	if (f->vector == 14 && f->error & FAULT_PRESENT && f->error & FAULT_WRITE)
		return "write to read-only memory";
	return f->vector < sizeof(names) / sizeof(names[0]) ? names[f->vector] : "exception";
}

static bool readable_frame(uintptr_t rbp)
{
	if (rbp % 8 != 0)
		return false;
	if (rbp >= STACK_WINDOW && rbp < MMIO_WINDOW)
		return paging_mapped(rbp) && paging_mapped(rbp + 8);
	if (rbp >= (uintptr_t)gk_image)
		return rbp <= (uintptr_t)gk_image_end - 16 && !paging_below_stack(rbp) &&
		       !paging_below_stack(rbp + 8);
	return rbp >= DIRECT_MAP && rbp < DIRECT_MAP + x86_boot.ram_bytes;
}

static bool in_text(uintptr_t pc)
{
	return pc >= (uintptr_t)gk_image && pc < (uintptr_t)gk_text_end;
}

/* A call to what is no code has left its return address, and made no frame; else 0. */
static uintptr_t caller_of_nowhere(const struct trap_frame *f)
{
	if (in_text(f->rip) || !readable_frame(f->rsp))
		return 0;
	uintptr_t pc = *(const uintptr_t *)f->rsp;
	return in_text(pc) ? pc : 0;
}

static size_t walk(uintptr_t rbp, uintptr_t *pcs, size_t n, size_t max)
{
	while (n < max && readable_frame(rbp)) {
		const uintptr_t *frame = (const uintptr_t *)rbp;
		if (!in_text(frame[1]))
			break;
		pcs[n++] = frame[1];
		if (frame[0] <= rbp)
			break;
		rbp = frame[0];
	}
	return n;
}

size_t arch_backtrace(uintptr_t *pcs, size_t max)
{
	return walk((uintptr_t)__builtin_frame_address(0), pcs, 0, max);
}

static void report(const struct trap_frame *f)
{
	struct crash c = {
	        .what = what_happened(f),
	        .pc = f->rip,
	        .sp = f->rsp,
	        .address = f->vector == 14 || f->vector == 8 ? x86_cr2() : 0,
	        .has_address = f->vector == 14 || f->vector == 8,
	        .error = f->error,
	        .regs = {{"rax", f->rax},
	                 {"rbx", f->rbx},
	                 {"rcx", f->rcx},
	                 {"rdx", f->rdx},
	                 {"rsi", f->rsi},
	                 {"rdi", f->rdi},
	                 {"rbp", f->rbp},
	                 {"rsp", f->rsp},
	                 {"r8", f->r8},
	                 {"r9", f->r9},
	                 {"r10", f->r10},
	                 {"r11", f->r11},
	                 {"r12", f->r12},
	                 {"r13", f->r13},
	                 {"r14", f->r14},
	                 {"r15", f->r15},
	                 {"rip", f->rip},
	                 {"rflags", f->rflags}},
	        .reg_count = 18,
	};
	c.pcs[0] = f->rip;
	c.pcs[1] = caller_of_nowhere(f);
	c.pc_count = walk(f->rbp, c.pcs, c.pcs[1] ? 2 : 1, CRASH_PCS_MAX);
	crash_report(&c);
}

static bool fix_up(struct trap_frame *f)
{
	for (const uint64_t(*e)[2] = gk_fixups; e < gk_fixups_end; e++) {
		if ((*e)[0] == f->rip) {
			f->rip = (*e)[1];
			return true;
		}
	}
	return false;
}

static void halt_here(void)
{
	for (;;) {
		x86_cli();
		x86_hlt();
	}
}

static void exception(struct trap_frame *f)
{
	if (f->vector == 2 && __atomic_load_n(&stopping, __ATOMIC_ACQUIRE))
		halt_here();
	if (fix_up(f))
		return;
	report(f);
}

void gk_trap(struct trap_frame *f)
{
	if (f->vector < 32) {
		exception(f);
		return;
	}
	if (f->rip == (uintptr_t)gk_idle_hlt)
		f->rip = (uintptr_t)gk_idle_end;
	if (f->vector == VECTOR_SPURIOUS)
		return;
	x86_handlers->enter();
	if (f->vector == VECTOR_TIMER)
		x86_handlers->timer();
	else if (f->vector == VECTOR_KICK)
		x86_handlers->kick();
	else
		ioapic_interrupt((uint32_t)f->vector);
	/* After the device took its level back, or it would come again; before leave, which may
	 * switch to another task. */
	apic_eoi();
	x86_handlers->leave();
}

void arch_stop_others(void)
{
	__atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < ARCH_CPUS_MAX; i++) {
		if (x86_percpu[i] && i != arch_cpu())
			apic_send(x86_percpu[i]->apic_id, APIC_NMI);
	}
}

/* Called by what the compiler puts at the end of functions with arrays; libfdt's too. */
_Noreturn void __stack_chk_fail(void);
_Noreturn void __stack_chk_fail(void)
{
	panic("a buffer on the stack has been overrun");
}
