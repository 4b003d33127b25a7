/*
 * The guest kernel in a Linux process: a machine whose CPUs are threads, whose RAM is memory of
 * the process and whose devices are functions. For tests, fuzzers and benchmarks.
 */
#ifndef GK_ARCH_HOSTED_H
#define GK_ARCH_HOSTED_H

#include "guest-kernel/core/kernel.h"

#define HOSTED_POWER_OFF 0
#define HOSTED_RESET     100
#define HOSTED_DEADLOCK  101 /* every task waits and no timer runs; virtual clock only */

struct hosted_device {
	uint64_t base;
	uint32_t len_bytes, gsi;
	bool on_pci; /* of a PCI bus: no virtio window */
	void *ctx;
	uint32_t (*read)(void *ctx, uint32_t offset, unsigned size);
	void (*write)(void *ctx, uint32_t offset, unsigned size, uint32_t value);
};

struct hosted_opts {
	unsigned cpus;         /* 0: one */
	uint64_t memory_bytes; /* 0: 32 MiB */
	/*
	 * The file that RAM lies in, at guest-physical addresses: of HOSTED_RAM_BASE + memory_bytes
	 * at least. Stays the caller's. 0: none, RAM is nobody else's.
	 */
	int ram_fd;
	/*
	 * One CPU; time passes by what the kernel does and jumps when it idles, so that every run
	 * is the same. Otherwise time is CLOCK_MONOTONIC.
	 */
	bool virtual_clock;
	const char *cmdline;
	const struct hosted_device *devices;
	unsigned device_count;
	const struct arch_pci *pci; /* or NULL: no bus */
	/* What the kernel writes on its console; NULL: dropped. On the CPU's thread. */
	void (*console)(void *ctx, const char *text, size_t len);
	/* What is typed: called by arch_console_read. */
	size_t (*input)(void *ctx, char *out, size_t max);
	/* The CPUs have ended, and the machine is about to go: the last time to use it. Or NULL. */
	void (*stopped)(void *ctx);
	void *console_ctx; /* of these three */
	void (*lock_fault)(const char *name, const char *other);
};

struct hosted;

/*
 * Makes a machine and runs main_fn(arg) as the first task of a kernel on it until that returns, or
 * the kernel powers off, resets, or crashes. Returns HOSTED_*, or the GK_STATUS_* of a crash; -1
 * if the host has no memory. The kernel's state is zeroed and gone after it.
 */
int hosted_run(const struct hosted_opts *opts, task_fn main_fn, void *arg);

/* Lines with a meaning: there is input on the console; the power button is pressed. */
#define HOSTED_GSI_CONSOLE 63u
#define HOSTED_GSI_BUTTON  62u

/* The machine that runs the caller. */
struct hosted *hosted_self(void);
/* Raises interrupt line GSI. Any thread of the host. */
void hosted_raise(struct hosted *m, uint32_t gsi);
/* The host's address of guest-physical [PHYS, PHYS + LEN); NULL if that is no RAM. */
void *hosted_ram(struct hosted *m, uint64_t phys, uint64_t len);
#define HOSTED_RAM_BASE 0x100000ull
/* Messages: a device that would write DATA to this address calls hosted_raise(m, DATA). */
#define HOSTED_MSI_ADDRESS 0xfee00000ull

#endif
