/*
 * The start guest under libvmm, without a command line to parse: what the library itself adds.
 *
 *   bench_embed         run it
 *   bench_embed FILE    write it to FILE, as a kernel for other VMMs
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../examples/tiny_guest.h"
#include "guests.h"
#include "vmm/device.h"
#include "vmm/vm.h"

static uint64_t no_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)ctx;
	(void)offset;
	(void)size;
	return 0;
}

static void to_stdout(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	(void)ctx;
	(void)offset;
	(void)size;
	const char c = (char)value;
	ssize_t n = write(STDOUT_FILENO, &c, 1);
	(void)n;
}

static int write_guest(const char *path)
{
	char bytes[sizeof(struct tiny_file)];
	int from = tiny_guest(guest_start, sizeof(guest_start));
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool ok = pread(from, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
	          write(to, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes) && close(to) == 0;
	if (!ok)
		perror(path);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return write_guest(argv[1]);
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.memory_bytes = 128ull << 20;
	vmm_vm_t *vm;
	if (vmm_vm_create(&opts, &vm, NULL) != VMM_OK)
		return EXIT_FAILURE;
	const vmm_bus_device_opts_t port = {
	        .struct_size = sizeof(port),
	        .name = "port",
	        .space = VMM_SPACE_PIO,
	        .base = 0x3f8,
	        .len_bytes = 1,
	        .read = no_read,
	        .write = to_stdout,
	};
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel_fd = tiny_guest(guest_start, sizeof(guest_start));
	if (vmm_bus_device_add(vm, &port) != VMM_OK || vmm_boot_set(vm, &boot) != VMM_OK ||
	    vmm_vm_build(vm) != VMM_OK || vmm_vm_start(vm) != VMM_OK) {
		(void)fprintf(stderr, "%s: %s\n", vmm_vm_error(vm)->field,
		              vmm_vm_error(vm)->message);
		return EXIT_FAILURE;
	}
	struct pollfd p = {.fd = vmm_vm_event_fd(vm), .events = POLLIN};
	vmm_event_t event = {0};
	while (!event.final) {
		(void)poll(&p, 1, -1);
		(void)vmm_vm_next_event(vm, &event);
	}
	vmm_vm_destroy(vm);
	return event.kind == VMM_EVENT_DEBUG_EXIT ? EXIT_SUCCESS : EXIT_FAILURE;
}
