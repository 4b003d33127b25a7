/*
 * The loop in your own hands: step a vCPU to its next exit, answer the exits you care about, and
 * let the VM's devices answer the others.
 *
 *   step_loop [KERNEL]
 *   cc -D_GNU_SOURCE step_loop.c $(pkg-config --cflags --libs libvmm)
 *
 * With VMM_VM_STEP libvmm makes no vCPU threads: this thread is the vCPU. The device of this
 * program is port 0x510: IN gives the next number of a list (0 at its end), OUT takes the sum. It
 * is not on the VM's bus: the loop sees its exits first.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmm/vcpu.h>
#include <vmm/vm.h>

#include "tiny_guest.h"

#define PORT 0x510

/* The built-in guest: adds up what the port gives, tells the sum, ends the VM with code 0. */
__asm__(".pushsection .rodata\n"
        ".code32\n"
        "guest:\n"
        "	movw $0x510, %dx\n"
        "	xorl %ebx, %ebx\n"
        "1:	inl %dx, %eax\n"
        "	addl %eax, %ebx\n"
        "	testl %eax, %eax\n"
        "	jnz 1b\n"
        "	movl %ebx, %eax\n"
        "	outl %eax, %dx\n"
        "	xorb %al, %al\n"
        "	outb %al, $0xf4\n" /* the debug-exit port */
        "2:	hlt\n"
        "	jmp 2b\n"
        "guest_end:\n"
        ".code64\n"
        ".popsection\n");
extern const uint8_t guest[], guest_end[];

struct adder {
	uint32_t next; /* 5, 4, 3, 2, 1, 0 */
	uint32_t sum;
};

/* One exit may carry many items (REP INS, REP OUTS): DATA holds COUNT of SIZE bytes. */
static void adder_port(struct adder *a, const vmm_exit_t *x)
{
	uint8_t *item = x->data;
	for (uint32_t i = 0; i < x->count; i++, item += x->size) {
		uint32_t value = 0;
		if (x->is_write) {
			memcpy(&value, item, x->size);
			a->sum = value;
			(void)printf("guest: the sum is %" PRIu32 "\n", value);
		} else {
			value = a->next ? a->next-- : 0;
			memcpy(item, &value, x->size);
		}
	}
}

/* True while the guest may go on. */
static bool step(vmm_vm_t *vm, struct adder *a)
{
	vmm_exit_t x;
	if (vmm_vcpu_step(vm, 0, &x) != VMM_OK)
		return false;
	switch (x.kind) {
	case VMM_EXIT_PIO:
		if (x.address == PORT) {
			adder_port(a, &x);
			return true;
		}
		/* fall through */
	case VMM_EXIT_MMIO:
		/* The machine's own devices. A read where nothing is gives all ones. */
		(void)vmm_exit_dispatch(vm, &x);
		return true;
	case VMM_EXIT_INTERRUPTED:
		return true;
	default:
		(void)printf("the vCPU stopped: %s\n", vmm_exit_name(x.reason));
		return false;
	}
}

static vmm_vm_t *make_vm(const char *kernel)
{
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.memory_bytes = 64ull << 20;
	opts.flags = VMM_VM_STEP;
	vmm_vm_t *vm;
	vmm_err_info_t ei;
	if (vmm_vm_create(&opts, &vm, &ei) != VMM_OK) {
		(void)fprintf(stderr, "%s: %s\n", ei.field, ei.message);
		return NULL;
	}
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel = kernel;
	if (!kernel)
		boot.kernel_fd = tiny_guest(guest, (size_t)(guest_end - guest));
	vmm_err_t err = vmm_boot_set(vm, &boot);
	if (err == VMM_OK)
		err = vmm_vm_build(vm);
	if (boot.kernel_fd >= 0)
		(void)close(boot.kernel_fd); /* vmm_boot_set took a duplicate */
	if (err != VMM_OK) {
		(void)fprintf(stderr, "%s: %s\n", vmm_vm_error(vm)->field,
		              vmm_vm_error(vm)->message);
		vmm_vm_destroy(vm);
		return NULL;
	}
	return vm;
}

int main(int argc, char **argv)
{
	vmm_vm_t *vm = make_vm(argc > 1 ? argv[1] : NULL);
	if (!vm)
		return EXIT_FAILURE;
	struct adder adder = {.next = 5};
	unsigned steps = 0;
	vmm_event_t event = {0};
	/* What a dispatched exit led to (here: the end) arrives as an event, as always. */
	while (!event.final && step(vm, &adder)) {
		steps++;
		(void)vmm_vm_next_event(vm, &event);
	}
	(void)printf("%u steps; %s\n", steps, event.final ? event.text : vmm_vm_error(vm)->message);
	vmm_vm_destroy(vm);
	bool well = event.kind == VMM_EVENT_DEBUG_EXIT && event.code == 0;
	return well && (argc > 1 || adder.sum == 15) ? EXIT_SUCCESS : EXIT_FAILURE;
}
