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

static bool in_stack_hole(uint64_t addr)
{
	return addr >= STACK_WINDOW &&
	       addr < STACK_WINDOW + (uint64_t)ARCH_STACKS_MAX * STACK_SLOT &&
	       addr % STACK_SLOT < STACK_SLOT - ARCH_STACK_BYTES;
}

static const char *what_happened(const struct trap_frame *f)
{
	if ((f->vector == 8 || f->vector == 14) && in_stack_hole(x86_cr2()))
		return "stack overflow";
	if (f->vector == 14 && x86_cr2() < ARCH_PAGE_SIZE)
		return "null pointer";
	return f->vector < sizeof(names) / sizeof(names[0]) ? names[f->vector] : "exception";
}

static bool readable_frame(uintptr_t rbp)
{
	if (rbp % 8 != 0)
		return false;
	if (rbp >= STACK_WINDOW && rbp < MMIO_WINDOW)
		return rbp % STACK_SLOT >= STACK_SLOT - ARCH_STACK_BYTES &&
		       rbp % STACK_SLOT <= STACK_SLOT - 16;
	if (rbp >= (uintptr_t)gk_image)
		return rbp <= (uintptr_t)gk_image_end - 16;
	return rbp >= DIRECT_MAP && rbp < DIRECT_MAP + x86_boot.ram_bytes;
}

static size_t walk(uintptr_t rbp, uintptr_t *pcs, size_t n, size_t max)
{
	while (n < max && readable_frame(rbp)) {
		const uintptr_t *frame = (const uintptr_t *)rbp;
		if (frame[1] < (uintptr_t)gk_image || frame[1] >= (uintptr_t)gk_text_end)
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
	c.pc_count = walk(f->rbp, c.pcs, 1, CRASH_PCS_MAX);
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
