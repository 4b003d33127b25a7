/*
 * A device of your own: registers on the bus, work on a thread, an interrupt when it is done.
 *
 *   custom_device [KERNEL]
 *   cc -D_GNU_SOURCE custom_device.c $(pkg-config --cflags --libs libvmm)
 *
 * The device squares numbers, slowly. Write a number to register 0; some milliseconds later its
 * square is in register 4, and the interrupt line pulses.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <vmm/device.h>
#include <vmm/vm.h>

#include "tiny_guest.h"

#define SQUARER_BASE   VMM_USER_MMIO_BASE
#define SQUARER_BYTES  0x1000
#define SQUARER_NUMBER 0
#define SQUARER_SQUARE 4
#define SQUARER_GSI    10

/*
 * The built-in guest. Asks for the squares of 1, 2 and 3, sleeps until each is there, and ends the
 * VM with their sum, 14. Most of it is what any guest does before its first interrupt.
 */
__asm__(".pushsection .rodata\n"
        ".code32\n"
        ".set base, 0x100000\n" /* TINY_ENTRY */
        "guest:\n"
        "	lgdt base + gdt_pointer - guest\n"
        "	ljmp $0x08, $base + 1f - guest\n"
        "1:	movl $0x10, %eax\n"
        "	movl %eax, %ds\n"
        "	movl %eax, %ss\n"
        "	movl $base, %esp\n"
        /* The gate of vector 0x40. */
        "	movl $base + handler - guest, %eax\n"
        "	movw %ax, base + idt + 0x40 * 8 - guest\n"
        "	shrl $16, %eax\n"
        "	movw %ax, base + idt + 0x40 * 8 + 6 - guest\n"
        "	movl $0x8e000008, %eax\n" /* interrupt gate, selector 0x08 */
        "	movw %ax, base + idt + 0x40 * 8 + 2 - guest\n"
        "	shrl $16, %eax\n"
        "	movw %ax, base + idt + 0x40 * 8 + 4 - guest\n"
        "	lidt base + idt_pointer - guest\n"
        /* Silence the 8259s, switch the local APIC on, route pin 10 to vector 0x40. */
        "	movb $0xff, %al\n"
        "	outb %al, $0x21\n"
        "	outb %al, $0xa1\n"
        "	movl $0x1ff, 0xfee000f0\n"
        "	movl $0x24, 0xfec00000\n" /* redirection entry of pin 10, low half */
        "	movl $0x40, 0xfec00010\n"
        "	xorl %ebx, %ebx\n"
        "	movl $1, %ecx\n"
        "2:	movl %ecx, 0xd1000000\n" /* the number */
        "3:	sti\n"
        "	hlt\n"
        "	cli\n"
        "	testl %esi, %esi\n"
        "	jz 3b\n"
        "	xorl %esi, %esi\n"
        "	addl 0xd1000004, %ebx\n" /* its square */
        "	incl %ecx\n"
        "	cmpl $3, %ecx\n"
        "	jbe 2b\n"
        "	movl %ebx, %eax\n"
        "	outb %al, $0xf4\n" /* the debug-exit port */
        "4:	hlt\n"
        "	jmp 4b\n"
        "handler:\n"
        "	movl $1, %esi\n"
        "	movl $0, 0xfee000b0\n" /* end of interrupt */
        /* IRET, spelled out: not every KVM host can emulate it in 32-bit mode. */
        "	popl %edx\n"
        "	addl $8, %esp\n"
        "	jmp *%edx\n"
        "	.balign 8\n"
        "gdt:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
        "gdt_pointer:\n"
        "	.word 23\n"
        "	.long base + gdt - guest\n"
        "idt_pointer:\n"
        "	.word 0x41 * 8 - 1\n"
        "	.long base + idt - guest\n"
        "	.balign 8\n"
        "idt:	.fill 0x41, 8, 0\n"
        "guest_end:\n"
        ".code64\n"
        ".popsection\n");
extern const uint8_t guest[], guest_end[];

struct squarer {
	vmm_irq_t *irq;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint32_t number, square;
	bool busy, leave;
};

/* On a vCPU's thread, perhaps on several at once: hence the lock. Never wait for long here. */
static uint64_t squarer_read(void *ctx, uint64_t offset, unsigned size)
{
	struct squarer *s = ctx;
	(void)size;
	(void)pthread_mutex_lock(&s->lock);
	uint64_t value = offset == SQUARER_SQUARE ? s->square : s->number;
	(void)pthread_mutex_unlock(&s->lock);
	return value;
}

static void squarer_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct squarer *s = ctx;
	(void)size;
	if (offset != SQUARER_NUMBER)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->number = (uint32_t)value;
	s->busy = true;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
}

static void *squarer_work(void *ctx)
{
	struct squarer *s = ctx;
	(void)pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->busy && !s->leave)
			(void)pthread_cond_wait(&s->wake, &s->lock);
		if (s->leave)
			break;
		s->busy = false;
		uint32_t number = s->number;
		(void)pthread_mutex_unlock(&s->lock);
		(void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* hard work */
		(void)pthread_mutex_lock(&s->lock);
		s->square = number * number;
		(void)printf("device: the square of %" PRIu32 " is %" PRIu32 "\n", number,
		             s->square);
		vmm_irq_pulse(s->irq); /* from any thread */
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* The machine was reset, no vCPU runs: back to the state at power-on. */
static void squarer_reset(void *ctx)
{
	struct squarer *s = ctx;
	(void)pthread_mutex_lock(&s->lock);
	s->number = s->square = 0;
	s->busy = false;
	(void)pthread_mutex_unlock(&s->lock);
}

static vmm_err_t squarer_add(vmm_vm_t *vm, struct squarer *s)
{
	const vmm_bus_device_opts_t device = {
	        .struct_size = sizeof(device),
	        .name = "squarer",
	        .space = VMM_SPACE_MMIO,
	        .base = SQUARER_BASE,
	        .len_bytes = SQUARER_BYTES,
	        .read = squarer_read,
	        .write = squarer_write,
	        .reset = squarer_reset,
	        .ctx = s,
	};
	vmm_err_t err = vmm_irq_add(vm, SQUARER_GSI, &s->irq);
	return err != VMM_OK ? err : vmm_bus_device_add(vm, &device);
}

static vmm_err_t boot(vmm_vm_t *vm, const char *kernel)
{
	vmm_boot_opts_t opts = VMM_BOOT_OPTS_INIT;
	opts.kernel = kernel;
	if (!kernel)
		opts.kernel_fd = tiny_guest(guest, (size_t)(guest_end - guest));
	vmm_err_t err = vmm_boot_set(vm, &opts);
	if (opts.kernel_fd >= 0)
		(void)close(opts.kernel_fd);
	if (err == VMM_OK)
		err = vmm_vm_build(vm); /* the bus is fixed from here on */
	return err == VMM_OK ? vmm_vm_start(vm) : err;
}

/* The last event of the VM, printed. */
static vmm_event_t wait_for_end(vmm_vm_t *vm)
{
	vmm_event_t event = {0};
	while (!event.final) {
		struct pollfd p = {.fd = vmm_vm_event_fd(vm), .events = POLLIN};
		(void)poll(&p, 1, -1);
		if (vmm_vm_next_event(vm, &event))
			(void)printf("vm: %s\n", event.text);
	}
	return event;
}

int main(int argc, char **argv)
{
	const char *kernel = argc > 1 ? argv[1] : NULL;
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.memory_bytes = 64ull << 20;
	vmm_vm_t *vm;
	vmm_err_info_t ei;
	if (vmm_vm_create(&opts, &vm, &ei) != VMM_OK) {
		(void)fprintf(stderr, "%s: %s\n", ei.field, ei.message);
		return EXIT_FAILURE;
	}
	struct squarer squarer = {.lock = PTHREAD_MUTEX_INITIALIZER,
	                          .wake = PTHREAD_COND_INITIALIZER};
	vmm_event_t end = {0};
	pthread_t worker;
	if (squarer_add(vm, &squarer) == VMM_OK &&
	    pthread_create(&worker, NULL, squarer_work, &squarer) == 0) {
		if (boot(vm, kernel) == VMM_OK)
			end = wait_for_end(vm);
		(void)pthread_mutex_lock(&squarer.lock);
		squarer.leave = true;
		(void)pthread_cond_signal(&squarer.wake);
		(void)pthread_mutex_unlock(&squarer.lock);
		(void)pthread_join(worker, NULL);
	}
	if (!end.final)
		(void)fprintf(stderr, "%s: %s\n", vmm_vm_error(vm)->field,
		              vmm_vm_error(vm)->message);
	/* The device's state outlives the VM that may call it. */
	vmm_vm_destroy(vm);
	bool well = end.kind == VMM_EVENT_DEBUG_EXIT && (kernel || end.code == 14);
	return well || end.kind == VMM_EVENT_POWER_OFF ? EXIT_SUCCESS : EXIT_FAILURE;
}
