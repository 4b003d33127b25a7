/*
 * Create, run and destroy VMs in one process: descriptors, memory and time.
 *
 *   bench_cycles [CYCLES]
 */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../examples/tiny_guest.h"
#include "figures.h"
#include "guests.h"
#include "vmm/vm.h"

static unsigned descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (d && readdir(d))
		n++;
	if (d)
		(void)closedir(d);
	return n;
}

/* KiB of /proc/self/status that KEY names. */
static unsigned long status_kib(const char *key)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtoul(line + strlen(key), NULL, 10);
	if (f)
		(void)fclose(f);
	return kib;
}

static void cycle(void)
{
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.memory_bytes = 128ull << 20;
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel_fd = tiny_guest(guest_start, sizeof(guest_start));
	vmm_vm_t *vm;
	vmm_event_t event = {0};
	if (vmm_vm_create(&opts, &vm, NULL) != VMM_OK || vmm_boot_set(vm, &boot) != VMM_OK ||
	    vmm_vm_build(vm) != VMM_OK || vmm_vm_start(vm) != VMM_OK) {
		(void)fprintf(stderr, "cannot start the VM\n");
		exit(EXIT_FAILURE);
	}
	(void)close(boot.kernel_fd);
	struct pollfd p = {.fd = vmm_vm_event_fd(vm), .events = POLLIN};
	while (!event.final) {
		(void)poll(&p, 1, -1);
		(void)vmm_vm_next_event(vm, &event);
	}
	vmm_vm_destroy(vm);
}

static void report(const char *when)
{
	(void)printf("%-18s %4u descriptors, %6lu KiB resident, %8lu KiB mapped\n", when,
	             descriptors(), status_kib("VmRSS:"), status_kib("VmSize:"));
}

int main(int argc, char **argv)
{
	unsigned cycles = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
	if (cycles == 0)
		return EXIT_FAILURE;
	for (unsigned i = 0; i < 10; i++)
		cycle(); /* what is allocated once: locales, the allocator's own */
	report("after 10 cycles:");
	uint64_t *ns = calloc(cycles, sizeof(*ns));
	for (unsigned i = 0; i < cycles; i++) {
		uint64_t begin = figures_now_ns();
		cycle();
		ns[i] = figures_now_ns() - begin;
	}
	report("after all:");
	figures_sort(ns, cycles);
	(void)printf("%u cycles, each %.2f ms at least, %.2f ms in the median\n", cycles,
	             (double)ns[0] / 1e6, (double)ns[cycles / 2] / 1e6);
	free(ns);
	return EXIT_SUCCESS;
}
