/* The instructions that C has no words for, and what the files of arch/x86_64 say to each other. */
#ifndef GK_ARCH_X86_H
#define GK_ARCH_X86_H

#include "guest-kernel/arch/arch.h"
#include "leaves.h"

#define KERNEL_OFFSET           0xffffffff80000000ull /* virtual - physical, of the image */
#define DIRECT_MAP              0xffff800000000000ull /* virtual - physical, of RAM */
#define STACK_WINDOW            0xffffc00000000000ull
#define STACK_SLOT              0x8000u /* bytes: the upper half is the stack, the lower is not mapped */
#define IST_WINDOW              (STACK_WINDOW + (uint64_t)ARCH_STACKS_MAX * STACK_SLOT)
#define IST_SLOT                0x2000u /* bytes: the same, of the stacks for exceptions */
#define MMIO_WINDOW             0xffffe00000000000ull

#define MSR_APIC_BASE           0x1bu
#define MSR_TSC_DEADLINE        0x6e0u
#define MSR_X2APIC              0x800u
#define MSR_FS_BASE             0xc0000100u
#define MSR_KVM_WALL_CLOCK_NEW  0x4b564d00u
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01u

#define SELECTOR_CODE           0x08u
#define SELECTOR_TSS            0x18u

/* Vectors. Lower ones are exceptions. */
#define VECTOR_DEVICES     0x30u /* one for each interrupt line in use */
#define VECTOR_DEVICES_END 0x70u
#define VECTOR_TIMER       0x70u
#define VECTOR_KICK        0x71u
#define VECTOR_SPURIOUS    0x7fu

/* Pushed by trap.S. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/*
 * What FS points to. At 0x28 is the stack protector's canary: the compiler's code and libfdt's
 * (System V ABI for x86-64, thread-local storage) look for it there.
 */
struct percpu {
	struct percpu *self; /* 0x00 */
	void *local;         /* 0x08 */
	void *current;       /* 0x10 */
	uint64_t index;      /* 0x18 */
	uint64_t pad;        /* 0x20 */
	uint64_t canary;     /* 0x28 */
	uint32_t apic_id;
	uint64_t gdt[5];
	uint8_t tss[104];
};
_Static_assert(offsetof(struct percpu, canary) == 0x28, "where the compiler looks");

static inline struct cpuid x86_cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid r;
	__asm__ volatile("cpuid"
	                 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
	                 : "a"(leaf), "c"(sub));
	return r;
}

static inline uint64_t x86_rdtsc(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline uint64_t x86_rdmsr(uint32_t msr)
{
	uint32_t low, high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void x86_wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
	                 :
	                 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
	                 : "memory");
}

static inline void x86_outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void x86_outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t x86_inb(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void x86_cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void x86_sti(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void x86_hlt(void)
{
	__asm__ volatile("hlt" : : : "memory");
}

static inline uint64_t x86_cr2(void)
{
	uint64_t v;
	__asm__ volatile("movq %%cr2, %0" : "=r"(v));
	return v;
}

static inline void x86_set_cr3(uint64_t v)
{
	__asm__ volatile("movq %0, %%cr3" : : "r"(v) : "memory");
}

static inline void x86_invlpg(uintptr_t addr)
{
	__asm__ volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

/* trap.S. The three that can fault return false if they do. */
void gk_switch(uintptr_t *from_sp, uintptr_t to_sp);
void gk_context_start(void);
bool gk_rdmsr_safe(uint32_t msr, uint64_t *out);
bool gk_wrmsr_safe(uint32_t msr, uint64_t value);
bool gk_rdrand_safe(uint64_t *out);

/* link.ld */
extern char gk_image[], gk_text_end[], gk_rodata_end[], gk_image_end[];
extern const uint64_t gk_fixups[][2], gk_fixups_end[][2];

/* The HLT of arch_idle, and what follows it. */
extern const uint8_t gk_idle_hlt[], gk_idle_end[];

/* entry.S: the page below CPU 0's first stack, on which its idle task stays */
extern uint8_t gk_boot_stack_hole[ARCH_PAGE_SIZE];

/* boot.c */
extern struct arch_boot x86_boot;
uint64_t early_page(void); /* a zeroed frame from before mm; 0 when memory is out */

/* paging.c */
extern uint64_t gk_final_cr3;
bool paging_init(const struct arch_range *ram, unsigned count);
/* The page at HOLE, of the image's data, is not mapped any more. After paging_init. */
void paging_make_hole(const uint8_t hole[ARCH_PAGE_SIZE]);
/* Whether ADDR lies below a stack, where nothing is mapped so that an overflow faults. */
bool paging_below_stack(uint64_t addr);
/* Whether there is memory at ADDR, by the page tables. */
bool paging_mapped(uint64_t addr);
/* FRAME as stack number INDEX for exceptions of CPU; NULL: no memory for page tables. */
uint8_t *paging_map_ist(unsigned cpu, unsigned index, uint64_t frame,
                        const struct arch_frames *tables);

/* desc.c */
#define DESC_IST_STACKS 3u /* for each CPU, of a page */
void desc_init(struct percpu *p, unsigned index, uint8_t *const ist[DESC_IST_STACKS]);

/* trap.c */
void gk_trap(struct trap_frame *f);
extern const struct arch_handlers *x86_handlers;

/* apic.c */
void apic_init_cpu(void);
uint32_t apic_id(void);
void apic_eoi(void);
void apic_send(uint32_t id, uint32_t command);
#define APIC_INIT  0x4500u
#define APIC_START 0x4600u
#define APIC_NMI   0x4400u
#define APIC_FIXED 0x4000u

/* ioapic.c */
bool ioapic_add(uint64_t phys, uint32_t first_gsi);
void ioapic_interrupt(uint32_t vector);

/* clock.c */
void clock_init(void);
void clock_init_cpu(void);
uint64_t clock_apic_ticks(uint64_t ns); /* of the LAPIC timer, divide by 1 */
uint64_t clock_tsc_at(uint64_t now_ns); /* TSC value at that time, about */

/* smp.c */
extern struct percpu *x86_percpu[ARCH_CPUS_MAX];
extern uint32_t x86_apic_ids[ARCH_CPUS_MAX];

/* serial.c, power.c: where the machine has what; a port of 0: nowhere */
struct x86_ports {
	uint16_t serial;
	uint32_t serial_gsi;
	uint16_t poweroff, reset, panic, debug_exit; /* 0: none */
	uint8_t poweroff_value, reset_value;
	uint64_t poweroff_mmio, reset_mmio; /* 0: none; written one byte */
	uint32_t button_gsi;                /* the power button; 0: none */
	uint64_t events_mmio;               /* 0: none; what the button's interrupt is for */
};
extern struct x86_ports x86_ports;
void serial_init(void);

/* machine.c: fills x86_boot and x86_ports from the device tree or the command line */
struct machine_source {
	const void *fdt;
	uint64_t fdt_bytes;
};
void machine_find(const struct machine_source *src);

/* qemu.c: fw_cfg of QEMU's machines */
bool qemu_present(void);
unsigned qemu_cpus(void);
void qemu_describe(void);

#endif
