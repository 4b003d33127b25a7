/*
 * Two VMs in one process, in one thread of it: each has its own memory, devices, events and errors.
 *
 *   two_vms [KERNEL INITRD CMDLINE]
 *   cc -D_GNU_SOURCE two_vms.c $(pkg-config --cflags --libs libvmm)
 *
 * What each guest writes to its serial port is printed with the VM's name before it. The built-in
 * guest says hello and ends.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmm/console.h>
#include <vmm/vm.h>

#include "tiny_guest.h"

#define VMS 2

__asm__(".pushsection .rodata\n"
        ".code32\n"
        "hello:\n"
        "	movl $0x100000 + text - hello, %esi\n" /* TINY_ENTRY */
        "1:	lodsb\n"
        "	testb %al, %al\n"
        "	jz 2f\n"
        "	movw $0x3f8, %dx\n"
        "	outb %al, %dx\n"
        "	jmp 1b\n"
        "2:	outb %al, $0xf4\n" /* the debug-exit port */
        "	jmp 2b\n"
        "text:	.asciz \"hello from a guest\\n\"\n"
        "hello_end:\n"
        ".code64\n"
        ".popsection\n");
extern const uint8_t hello[], hello_end[];

struct guest {
	const char *name;
	vmm_vm_t *vm;
	int output; /* the end of a pipe whose other end is the serial port */
	char line[256];
	size_t have;
	vmm_event_t end;
};

static void print_line(struct guest *g)
{
	while (g->have > 0 && g->line[g->have - 1] == '\r')
		g->have--;
	(void)printf("%s: %.*s\n", g->name, (int)g->have, g->line);
	(void)fflush(stdout);
	g->have = 0;
}

/* Everything that the guest has written so far. */
static void print_output(struct guest *g)
{
	char text[512];
	ssize_t n;
	while ((n = read(g->output, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (text[i] == '\n' || g->have == sizeof(g->line))
				print_line(g);
			if (text[i] != '\n')
				g->line[g->have++] = text[i];
		}
	}
}

static vmm_err_t set_serial(struct guest *g)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return VMM_E_IO;
	g->output = ends[0];
	vmm_chardev_opts_t chardev = VMM_CHARDEV_OPTS_INIT;
	chardev.kind = VMM_CHARDEV_FD;
	chardev.out_fd = ends[1];
	vmm_err_t err = vmm_serial_set(g->vm, &chardev);
	(void)close(ends[1]); /* the VM has its own */
	return err;
}

static vmm_err_t start(struct guest *g, char **argv)
{
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	if (argv[0]) {
		boot.kernel = argv[0];
		boot.initrd = argv[1];
		boot.cmdline = argv[2];
	} else {
		boot.kernel_fd = tiny_guest(hello, (size_t)(hello_end - hello));
	}
	vmm_err_t err = set_serial(g);
	if (err == VMM_OK)
		err = vmm_boot_set(g->vm, &boot);
	if (boot.kernel_fd >= 0)
		(void)close(boot.kernel_fd);
	if (err == VMM_OK)
		err = vmm_vm_build(g->vm);
	return err == VMM_OK ? vmm_vm_start(g->vm) : err;
}

static bool create(struct guest *g, char **argv)
{
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.name = g->name;
	opts.memory_bytes = 192ull << 20;
	vmm_err_info_t ei;
	if (vmm_vm_create(&opts, &g->vm, &ei) != VMM_OK) {
		(void)fprintf(stderr, "%s: %s: %s\n", g->name, ei.field, ei.message);
		return false;
	}
	if (start(g, argv) == VMM_OK)
		return true;
	(void)fprintf(stderr, "%s: %s: %s\n", g->name, vmm_vm_error(g->vm)->field,
	              vmm_vm_error(g->vm)->message);
	return false;
}

static void print_events(struct guest *g)
{
	vmm_event_t event;
	while (!g->end.final && vmm_vm_next_event(g->vm, &event)) {
		print_output(g); /* what it wrote before it ended */
		(void)printf("%s: %s\n", g->name, event.text);
		if (event.final)
			g->end = event;
	}
}

static void run(struct guest guests[VMS])
{
	while (!guests[0].end.final || !guests[1].end.final) {
		struct pollfd p[2 * VMS];
		for (int i = 0; i < VMS; i++) {
			bool ended = guests[i].end.final;
			p[2 * i].fd = ended ? -1 : guests[i].output;
			p[2 * i + 1].fd = ended ? -1 : vmm_vm_event_fd(guests[i].vm);
			p[2 * i].events = p[2 * i + 1].events = POLLIN;
		}
		(void)poll(p, 2 * VMS, -1);
		for (int i = 0; i < VMS; i++) {
			print_output(&guests[i]);
			print_events(&guests[i]);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc != 1 && argc != 4) {
		(void)fprintf(stderr, "usage: two_vms [KERNEL INITRD CMDLINE]\n");
		return EXIT_FAILURE;
	}
	struct guest guests[VMS] = {{.name = "alpha", .output = -1},
	                            {.name = "beta", .output = -1}};
	bool well = create(&guests[0], argv + 1) && create(&guests[1], argv + 1);
	if (well)
		run(guests);
	for (int i = 0; i < VMS; i++) {
		vmm_vm_destroy(guests[i].vm);
		if (guests[i].output >= 0)
			(void)close(guests[i].output);
		well = well &&
		       (guests[i].end.kind == VMM_EVENT_POWER_OFF ||
		        (guests[i].end.kind == VMM_EVENT_DEBUG_EXIT && guests[i].end.code == 0));
	}
	return well ? EXIT_SUCCESS : EXIT_FAILURE;
}
