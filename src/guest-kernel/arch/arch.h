/*
 * The hardware layer: everything of the guest kernel that depends on the machine. Two
 * implementations, which CMake picks: arch/x86_64 is the real machine, arch/hosted a Linux process.
 * Nothing outside arch/ has a privileged instruction, inline assembly or an #ifdef on the
 * architecture.
 *
 * What is on hot paths is inline and comes from the implementation's <arch_cpu.h>:
 *
 *   unsigned arch_cpu(void)                        index of the executing CPU; where interrupts are
 *                                                  on it may be out of date at once
 *   unsigned long arch_irq_save(void)              interrupts off; the value goes to the next
 *   void arch_irq_restore(unsigned long flags)
 *   void arch_irq_on(void)
 *   bool arch_irq_off(void)                        whether they are off
 *   void arch_cpu_relax(void)                      in a loop that waits for another CPU
 *   uint64_t arch_cycles(void)                     grows by about one a cycle
 *   void *arch_local(void), *arch_current(void)    two words of the executing CPU, NULL at first:
 * its struct cpu, and the task it runs void arch_local_set(void *), arch_current_set(void *)
 *   ARCH_STACK_BYTES, ARCH_STACK_PAGES             of a task's stack, and the frames taken for it
 *
 * A CPU is known by its index, 0 to the number of CPUs - 1. Interrupts are off on entry to
 * arch_handlers' functions and to kernel_main.
 */
#ifndef GK_ARCH_ARCH_H
#define GK_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <arch_cpu.h>

#define ARCH_CPUS_MAX    32
#define ARCH_PAGE_SIZE   4096
#define ARCH_RANGES_MAX  32u
#define ARCH_CMDLINE_MAX 2048u

#define ARCH_STACKS_MAX  2048u

/* ---- the executing CPU ---------------------------------------------------------------------- */

/* Return addresses of the caller and its callers, at most MAX; how many. */
size_t arch_backtrace(uintptr_t *pcs, size_t max);

/* The geometry of the last level of cache. */
struct arch_cache {
	uint64_t size_bytes;
	uint32_t line_bytes, ways, sets;
	bool known;  /* the machine tells; else all is 0 */
	bool hashed; /* set indices are not plain address bits, as in caches of several slices */
};
void arch_cache_llc(struct arch_cache *out);

/* ---- contexts: who runs on a CPU ------------------------------------------------------------ */

/* A suspended context. sp is 0 while it runs. The last three are for sanitizers. */
struct arch_context {
	uintptr_t sp;
	uintptr_t stack_low;
	size_t stack_bytes;
	void *fake_stack;
	void *fiber;
};

/*
 * Makes a context that begins with entry(arg) at the top of the stack LOW .. LOW + BYTES, with
 * interrupts off. ENTRY must not return.
 */
void arch_context_init(struct arch_context *c, void *low, size_t bytes, void (*entry)(void *),
                       void *arg);
/* Makes a context of what runs now, on that stack: the first on each CPU. */
void arch_context_adopt(struct arch_context *c);
/* Suspends FROM, resumes TO; returns when somebody switches to FROM. Interrupts are off. */
void arch_context_switch(struct arch_context *from, struct arch_context *to);
/* The context is never resumed again. */
void arch_context_fini(struct arch_context *c);

/* ---- interrupts, time ----------------------------------------------------------------------- */

/* Called with interrupts off on the CPU that was interrupted. Set before interrupts are on. */
struct arch_handlers {
	void (*enter)(void); /* the first act of every interrupt */
	void (*timer)(void); /* the deadline of arch_timer_set has come */
	void (*kick)(void);  /* arch_kick from another CPU */
	void (*leave)(void); /* the last act of every interrupt: may switch contexts */
};
void arch_handlers_set(const struct arch_handlers *h);

/* Nanoseconds since boot, the same on all CPUs to within a microsecond; never goes back. */
uint64_t arch_now_ns(void);
/* Nanoseconds since 1970-01-01 00:00 UTC at arch_now_ns() = 0; 0 if the machine has no clock. */
uint64_t arch_wall_boot_ns(void);
/* One interrupt on this CPU at DEADLINE_NS of arch_now_ns or soon after; UINT64_MAX: none. */
void arch_timer_set(uint64_t deadline_ns);
/* Interrupts another CPU: handlers->kick runs there. */
void arch_kick(unsigned cpu);
/* Stops all other CPUs where they are. For a crash. */
void arch_stop_others(void);
/* Entered with interrupts off; waits with them on until one has been handled; they are off again.
 */
void arch_idle(void);

typedef void (*arch_irq_fn)(void *ctx);
/*
 * Connects interrupt line GSI to FN, edge triggered unless LEVEL; several may share a line. False:
 * no such line, or too many.
 */
bool arch_irq_attach(uint32_t gsi, bool level, arch_irq_fn fn, void *ctx);
/*
 * A message of its own for FN: a device that writes DATA to ADDRESS interrupts (PCI's MSI and
 * MSI-X). False: too many.
 */
bool arch_msi_attach(arch_irq_fn fn, void *ctx, uint64_t *address, uint32_t *data);

/* ---- memory --------------------------------------------------------------------------------- */

/* Frames for page tables and such; 0 when there is none. */
struct arch_frames {
	uint64_t (*get)(void *ctx);
	void *ctx;
};

struct arch_range {
	uint64_t base, len_bytes;
};

/* RAM at a physical address, which must lie in the map the machine gave. */
void *arch_ram(uint64_t phys);
/* Physical address of kernel data or of memory from arch_ram; not of a task's stack. */
uint64_t arch_phys(const void *p);

/*
 * Maps FRAMES (ARCH_STACK_PAGES of them) as the stack of slot SLOT (below ARCH_STACKS_MAX), with
 * nothing below it. A slot stays mapped: its stack is used again. NULL: no memory for page tables.
 */
void *arch_stack_map(unsigned slot, const uint64_t *frames, const struct arch_frames *tables);

/* The lowest byte of the stack of a slot that has been mapped. */
void *arch_stack_at(unsigned slot);

/*
 * Whether nothing is mapped below the calling task's stack and below those that the machine's
 * layer made for itself: the first CPU's, and those for exceptions. By the page tables.
 */
bool arch_stacks_guarded(void);

/* Device registers at a physical address; NULL when they cannot be mapped. */
volatile void *arch_mmio_map(uint64_t phys, size_t len_bytes);
uint32_t arch_mmio_read32(const volatile void *base, uint32_t offset);
void arch_mmio_write32(volatile void *base, uint32_t offset, uint32_t value);
uint16_t arch_mmio_read16(const volatile void *base, uint32_t offset);
void arch_mmio_write16(volatile void *base, uint32_t offset, uint16_t value);
uint8_t arch_mmio_read8(const volatile void *base, uint32_t offset);
void arch_mmio_write8(volatile void *base, uint32_t offset, uint8_t value);

/* ---- the machine ---------------------------------------------------------------------------- */

#define ARCH_VIRTIO_MAX   32u
#define ARCH_PCI_PINS_MAX 128u

struct arch_virtio_slot {
	uint64_t base;
	uint32_t len_bytes;
	uint32_t gsi;
	bool level;
};

/* Where the pin of a PCI device's slot is wired to. */
struct arch_pci_pin {
	uint8_t slot, pin; /* pin 1 is INTA */
	bool level;
	uint32_t gsi;
};

/* Bus 0 of a PCI host bridge, whose config space is memory (PCI Express 3.0, 7.2.2). */
struct arch_pci {
	uint64_t ecam;
	uint32_t ecam_bytes; /* 0: there is no bus */
	uint8_t slot_mask;   /* of the slots in PIN */
	unsigned pin_count;
	struct arch_pci_pin pin[ARCH_PCI_PINS_MAX];
};

/* What the machine consists of; the same from arch_boot on. */
struct arch_boot {
	const char *machine;  /* "vmm", "QEMU microvm", … */
	const char *found_by; /* how the devices were found */
	char cmdline[ARCH_CMDLINE_MAX];
	unsigned cpus;
	uint64_t ram_bytes;                      /* all of it */
	struct arch_range free[ARCH_RANGES_MAX]; /* page aligned, ascending: for mm */
	unsigned free_count;
	uintptr_t direct_map;              /* arch_ram(p) is p + direct_map */
	struct arch_range ramdisk, policy; /* physical; empty if there is none */
	struct arch_virtio_slot virtio[ARCH_VIRTIO_MAX];
	unsigned virtio_count;
	struct arch_pci pci;
	uint64_t entry_cycles; /* arch_cycles at the first instruction */
	uint64_t image_bytes;
	const char *complaint; /* what of the device tree was not understood, or NULL */
};

/*
 * Starts CPU (1 to cpus - 1) in entry(arg), with interrupts off, on the stack that arch_stack_map
 * returned. False: no memory, or it did not answer. ENTRY does not return.
 */
bool arch_cpu_start(unsigned cpu, void *stack, void (*entry)(void *), void *arg,
                    const struct arch_frames *frames);

/* The console for messages and the shell: the serial port. Writing waits for the device. */
void arch_console_write(const char *text, size_t len);
/* Takes what has come, at most MAX bytes; how many. */
size_t arch_console_read(char *out, size_t max);
/* FN is called in interrupt context when input has come. False: there will be none. */
bool arch_console_on_input(arch_irq_fn fn, void *ctx);

/*
 * FN is called in interrupt context when the machine's power button is pressed. False: it has none.
 * Once.
 */
bool arch_on_power_button(arch_irq_fn fn, void *ctx);

/* Random bits of the CPU; false if it has none to give. */
bool arch_random(uint64_t *out);

/* Do not return. STATUS is what the VMM reports, where it can. */
_Noreturn void arch_power_off(void);
_Noreturn void arch_reset(void);
_Noreturn void arch_crash(unsigned status);

/* The name of the function that holds PC and PC's offset in it; NULL if it is not known. */
const char *arch_symbol(uintptr_t pc, uintptr_t *offset);

/* What the CPU calls itself; empty if it does not say. */
void arch_cpu_name(char out[static 64]);

#endif
