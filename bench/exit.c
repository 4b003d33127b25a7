/*
 * What an exit to user space costs: a read of a port and of an MMIO register, answered by a device
 * of libvmm on a vCPU thread, and by a bare KVM_RUN loop. The two run in turn. -mask: without
 * VMM_VM_KICK_HANDLED, so that KVM swaps the thread's signal mask at each exit.
 *
 *   bench_exit [ROUNDS [EXITS]]
 */
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../examples/tiny_guest.h"
#include "bare.h"
#include "figures.h"
#include "guests.h"
#include "vmm/device.h"
#include "vmm/vm.h"

/* The device: zero to every read, and a clock at the first and the last of a round. */
struct device {
	unsigned exits; /* of a round */
	unsigned seen;
	uint64_t begin_ns, end_ns;
	int done_fd;
};

struct space {
	const char *name;
	vmm_space_t space;
	uint64_t base;
	const uint8_t *code;
	size_t code_len;
	uint32_t flags; /* of the VM */
};

static uint64_t device_read(void *ctx, uint64_t offset, unsigned size)
{
	struct device *d = ctx;
	(void)offset;
	(void)size;
	if (d->seen == 0)
		d->begin_ns = figures_now_ns();
	if (d->seen++ == d->exits) {
		d->end_ns = figures_now_ns();
		(void)eventfd_write(d->done_fd, 1);
	}
	return 0;
}

static void device_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	(void)ctx;
	(void)offset;
	(void)size;
	(void)value;
}

static vmm_vm_t *launch(const struct space *s, struct device *d)
{
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.memory_bytes = BARE_MEMORY;
	opts.flags = s->flags;
	opts.kick_signal = SIGRTMIN + 1;
	const vmm_bus_device_opts_t dev = {
	        .struct_size = sizeof(dev),
	        .name = "zero",
	        .space = s->space,
	        .base = s->base,
	        .len_bytes = 16,
	        .read = device_read,
	        .write = device_write,
	        .ctx = d,
	};
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel_fd = tiny_guest(s->code, s->code_len);
	vmm_vm_t *vm;
	if (vmm_vm_create(&opts, &vm, NULL) != VMM_OK || vmm_bus_device_add(vm, &dev) != VMM_OK ||
	    vmm_boot_set(vm, &boot) != VMM_OK || vmm_vm_build(vm) != VMM_OK ||
	    vmm_vm_start(vm) != VMM_OK) {
		(void)fprintf(stderr, "cannot start the VM\n");
		exit(EXIT_FAILURE);
	}
	(void)close(boot.kernel_fd);
	return vm;
}

/* One round ends with the VM paused. */
static uint64_t vmm_round(vmm_vm_t *vm, struct device *d)
{
	eventfd_t n;
	(void)eventfd_read(d->done_fd, &n);
	if (vmm_vm_pause(vm) != VMM_OK)
		exit(EXIT_FAILURE);
	return (d->end_ns - d->begin_ns) / d->exits;
}

static void *bare_data(struct bare *b)
{
	if (b->run->exit_reason == KVM_EXIT_IO)
		return (char *)b->run + b->run->io.data_offset;
	return b->run->mmio.data;
}

static uint64_t bare_round(struct bare *b, unsigned exits)
{
	uint64_t begin = 0;
	for (unsigned i = 0; i <= exits; i++) {
		bare_run(b);
		memset(bare_data(b), 0, 4);
		if (i == 0)
			begin = figures_now_ns();
	}
	return (figures_now_ns() - begin) / exits;
}

static void measure(const struct space *s, unsigned rounds, unsigned exits)
{
	struct device d = {.exits = exits, .done_fd = eventfd(0, EFD_CLOEXEC)};
	struct bare b;
	uint64_t *ours = calloc(rounds, sizeof(*ours)), *bare = calloc(rounds, sizeof(*bare));
	bare_open(&b, s->code, s->code_len);
	vmm_vm_t *vm = launch(s, &d);
	for (unsigned r = 0; r < rounds; r++) {
		ours[r] = vmm_round(vm, &d);
		bare[r] = bare_round(&b, exits);
		d.seen = 0;
		if (vmm_vm_resume(vm) != VMM_OK)
			exit(EXIT_FAILURE);
	}
	vmm_vm_destroy(vm);
	figures_sort(ours, rounds);
	figures_sort(bare, rounds);
	(void)printf("%-12s %8llu %8llu %8llu %8llu %8.3f %8.3f\n", s->name,
	             (unsigned long long)bare[0], (unsigned long long)bare[rounds / 2],
	             (unsigned long long)ours[0], (unsigned long long)ours[rounds / 2],
	             (double)ours[0] / (double)bare[0],
	             (double)ours[rounds / 2] / (double)bare[rounds / 2]);
	free(ours);
	free(bare);
	(void)close(d.done_fd);
}

static void on_kick(int signo)
{
	(void)signo;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 50;
	unsigned exits = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5000;
	const struct space spaces[] = {
	        {"PIO", VMM_SPACE_PIO, 0x510, guest_pio, sizeof(guest_pio), VMM_VM_KICK_HANDLED},
	        {"MMIO", VMM_SPACE_MMIO, 0xd1000000, guest_mmio, sizeof(guest_mmio),
	         VMM_VM_KICK_HANDLED},
	        {"PIO-mask", VMM_SPACE_PIO, 0x510, guest_pio, sizeof(guest_pio), 0},
	        {"MMIO-mask", VMM_SPACE_MMIO, 0xd1000000, guest_mmio, sizeof(guest_mmio), 0},
	};
	const struct sigaction action = {.sa_handler = on_kick, .sa_flags = SA_RESTART};
	(void)sigaction(SIGRTMIN + 1, &action, NULL);
	if (rounds == 0 || exits == 0)
		return EXIT_FAILURE;
	(void)printf("ns per exit from CPL 0, %u rounds of %u exits\n", rounds, exits);
	(void)printf("%-12s %8s %8s %8s %8s %8s %8s\n", "", "bare", "median", "libvmm", "median",
	             "ratio", "median");
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		measure(&spaces[i], rounds, exits);
	return EXIT_SUCCESS;
}
