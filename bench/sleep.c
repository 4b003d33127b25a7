/* A VM of 128 MiB whose guest sleeps, until the process is killed: for bench/memory. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../examples/tiny_guest.h"
#include "guests.h"
#include "vmm/vm.h"

int main(void)
{
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.memory_bytes = 128ull << 20;
	vmm_vm_t *vm;
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel_fd = tiny_guest(guest_halt, sizeof(guest_halt));
	if (vmm_vm_create(&opts, &vm, NULL) != VMM_OK || vmm_boot_set(vm, &boot) != VMM_OK ||
	    vmm_vm_build(vm) != VMM_OK || vmm_vm_start(vm) != VMM_OK) {
		(void)fprintf(stderr, "cannot start the VM\n");
		return EXIT_FAILURE;
	}
	(void)close(boot.kernel_fd);
	for (;;)
		(void)pause();
}
