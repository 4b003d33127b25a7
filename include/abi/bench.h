/*
 * What `vmm bench exits` and its guest (src/bench-guest) agree on. Freestanding. All addresses are
 * guest-physical and mapped one to one; all fields are little endian.
 *
 * The host builds the VM, reads the header at BENCH_HEADER, writes BENCH_PARAMS and starts vCPU 0:
 * at the image's own entry for CPL 0, at header.user_entry for CPL 3. The guest measures one case,
 * fills BENCH_RESULT and the arrays, and writes an enum bench_end to the debug-exit port.
 */
#ifndef ABI_BENCH_H
#define ABI_BENCH_H

#include <stdint.h>

/* Without parameters (no BENCH_MAGIC there) the guest writes this line to COM1, and halts. */
#define BENCH_UP      "bench guest: up"

#define BENCH_MAGIC   0x68636e62u /* "bnch" */
#define BENCH_VERSION 1u

#define BENCH_PARAMS  0x10000ull
#define BENCH_RESULT  0x11000ull
#define BENCH_HEADER  0x100000ull
#define BENCH_FLOOR \
	0x1000000ull /* uint64_t[BENCH_FLOOR_COUNT]: ticks of a case that does nothing */
#define BENCH_SAMPLES     0x1800000ull /* struct bench_sample[count] */
#define BENCH_WINDOW      0x3c00000ull /* 2 MiB mapped with 4 KiB pages */
#define BENCH_ARENA       0x4000000ull /* params.arena_bytes for cases that touch memory */

#define BENCH_FLOOR_COUNT 1000u
#define BENCH_COUNT_MAX   (1u << 20)

/* Ports, 32 bits wide except the kernel's own. */
#define BENCH_PORT_DATA     0x520u /* read and written by the PIO cases */
#define BENCH_PORT_MARK     0x524u /* enum bench_mark */
#define BENCH_PORT_DOORBELL 0x528u /* an ioeventfd */
#define BENCH_PORT_IRQ      0x52cu /* enum bench_irq: the host sends an interrupt */
#define BENCH_PORTS         16u

/* MMIO registers. At CPL 3 they also stand for the ports MARK and debug-exit: not every host lets a
 * guest that starts there reach ports, whatever its IOPL. */
#define BENCH_MMIO           0xd1000000ull
#define BENCH_MMIO_DATA      (BENCH_MMIO + 0x0000u)
#define BENCH_MMIO_MARK      (BENCH_MMIO + 0x0010u) /* enum bench_mark */
#define BENCH_MMIO_END       (BENCH_MMIO + 0x0014u) /* enum bench_end */
#define BENCH_MMIO_DOORBELL  (BENCH_MMIO + 0x1000u) /* an ioeventfd */
#define BENCH_MMIO_COALESCED (BENCH_MMIO + 0x2000u)

#define BENCH_MSR            0x4b560d00u /* answered by the host */
#define BENCH_GSI            5u
#define BENCH_VECTOR_IRQ     0x40u   /* of BENCH_GSI and of the message */
#define BENCH_STRING         64u     /* bytes of one string access */
#define BENCH_PAUSES         4096u   /* PAUSEs of one sample */
#define BENCH_TIMER_NS       200000u /* how far ahead the timer cases arm it */

enum bench_mark {
	BENCH_MARK_BEGIN = 1, /* the samples begin: counters to zero */
	BENCH_MARK_END = 2,
	BENCH_MARK_REARM = 3, /* make the arena untouched (or clean) again */
};

enum bench_irq { BENCH_IRQ_LINE = 0, BENCH_IRQ_MSI = 1 };

enum bench_kind {
	BENCH_CPUID,
	BENCH_HYPERCALL,
	BENCH_RDMSR_KERNEL,
	BENCH_WRMSR_KERNEL,
	BENCH_RDMSR_USER,
	BENCH_WRMSR_USER,
	BENCH_CR0_WRITE,
	BENCH_CR3_WRITE,
	BENCH_CR4_WRITE,
	BENCH_HLT_WAKE,
	BENCH_PIO_IN_KERNEL,
	BENCH_PIO_OUT_KERNEL,
	BENCH_PIO_IN_USER,
	BENCH_PIO_OUT_USER,
	BENCH_STRING_IN,
	BENCH_STRING_OUT,
	BENCH_MMIO_READ,
	BENCH_MMIO_WRITE,
	BENCH_IOEVENTFD_PIO,
	BENCH_IOEVENTFD_MMIO,
	BENCH_COALESCED_MMIO,
	BENCH_IRQFD,
	BENCH_MSI,
	BENCH_IPI,
	BENCH_IPI_HALTED,
	BENCH_SELF_IPI,
	BENCH_TSC_DEADLINE,
	BENCH_TSC_DEADLINE_HALTED,
	BENCH_LAPIC_TIMER,
	BENCH_TOUCH, /* 4 KiB or 2 MiB steps, params.arena_step */
	BENCH_DIRTY_LOG,
	BENCH_PTE_WRITE,
	BENCH_INVLPG,
	BENCH_TLB_SHOOTDOWN,
	BENCH_PAUSE_LOOP,
	BENCH_ZERO_PAGE,
	BENCH_RING_CHANGE,
	BENCH_KINDS
};

/* How the guest ended: its value on the debug-exit port. */
enum bench_end {
	BENCH_END_OK = 0,
	BENCH_END_BAD_PARAMS = 1,
	BENCH_END_EXCEPTION = 2, /* result.vector, result.rip */
	BENCH_END_ABSENT = 3,    /* result.absent: the CPU that the guest sees lacks it */
	BENCH_END_NO_CPU = 4,    /* the second vCPU did not come */
};

struct bench_header {
	uint32_t magic;
	uint32_t version;
	uint64_t user_entry;
	uint64_t user_stack;
	uint64_t page_tables;
};

struct bench_params {
	uint32_t magic;
	uint32_t version;
	uint32_t kind;
	uint32_t cpl;
	uint32_t count;   /* samples wanted, at most BENCH_COUNT_MAX */
	uint32_t warm_up; /* rounds before them */
	uint32_t vmmcall; /* 1: VMMCALL (AMD), 0: VMCALL */
	uint32_t tsc_khz; /* of the guest's TSC */
	uint64_t budget;  /* ticks after which no further sample is begun */
	uint64_t arena_bytes;
	uint64_t arena_step;
};

struct bench_result {
	uint32_t done; /* samples taken */
	uint32_t vector;
	uint64_t rip;
	uint64_t acknowledged; /* interrupts that the guest's handlers saw while sampling */
};

/* Ticks of the guest's TSC on both sides of what is measured. */
struct bench_sample {
	uint64_t begin;
	uint64_t end;
};

_Static_assert(sizeof(struct bench_header) == 32, "bench header");
_Static_assert(sizeof(struct bench_params) == 56, "bench params");
_Static_assert(sizeof(struct bench_result) == 24, "bench result");
_Static_assert(sizeof(struct bench_sample) == 16, "bench sample");
_Static_assert(BENCH_SAMPLES + BENCH_COUNT_MAX * sizeof(struct bench_sample) <= BENCH_WINDOW,
               "the samples end before the window");

#endif
