/*
 * A VM's whole life on /dev/kvm (made, configured, built, started, reset or ended by its guest,
 * destroyed) with each thing refused in turn that it asks the host for: memory, mappings,
 * descriptors, threads, and what KVM has to make or to set (unit/refusals.h). Each time there must
 * be an error that says why, and nothing may be left.
 */
#include <check.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit/refusals.h"
#include "tiny.h"
#include "vmm/balloon.h"
#include "vmm/console.h"
#include "vmm/device.h"
#include "vmm/disk.h"
#include "vmm/rng.h"
#include "vmm/vm.h"

#define WAIT_MS   20000
#define TIMEOUT_S 200

static const uint8_t code_exit42[] = {OUT_IMM8(0xf4, 42), HLT_FOREVER};

/* Made once, outside of what is tried. */
static int kernel_fd, resetting_kernel_fd, disk_fd;

static unsigned stranded;       /* VMs that started and did not get to their end */
static unsigned resets_refused; /* that ended theirs, with a reason */

static bool configure(vmm_vm_t *vm, int kernel, bool uring)
{
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel_fd = kernel;
	boot.cmdline = "quiet";
	vmm_disk_opts_t d = VMM_DISK_OPTS_INIT;
	d.fd = disk_fd;
	d.flags = uring ? 0 : VMM_DISK_NO_URING;
	const vmm_console_port_opts_t ports[2] = {
	        {.chardev = VMM_CHARDEV_OPTS_INIT},
	        {.chardev = VMM_CHARDEV_OPTS_INIT, .name = "second"}};
	vmm_console_opts_t c = VMM_CONSOLE_OPTS_INIT;
	c.ports = ports;
	c.port_count = 2;
	const vmm_chardev_opts_t serial = VMM_CHARDEV_OPTS_INIT;
	const vmm_rng_opts_t r = VMM_RNG_OPTS_INIT;
	const vmm_balloon_opts_t b = VMM_BALLOON_OPTS_INIT;
	vmm_irq_t *irq;
	return vmm_boot_set(vm, &boot) == VMM_OK && vmm_disk_add(vm, &d) == VMM_OK &&
	       vmm_console_add(vm, &c, NULL) == VMM_OK && vmm_serial_set(vm, &serial) == VMM_OK &&
	       vmm_rng_add(vm, &r) == VMM_OK && vmm_balloon_add(vm, &b, NULL) == VMM_OK &&
	       vmm_irq_add(vm, 5, &irq) == VMM_OK;
}

/* No assertion here and below: Check's own calls would be refused. */
static vmm_event_t wait_event(vmm_vm_t *vm)
{
	vmm_event_t event = {0};
	struct pollfd p = {.fd = vmm_vm_event_fd(vm), .events = POLLIN};
	if (poll(&p, 1, WAIT_MS) == 1)
		(void)vmm_vm_next_event(vm, &event);
	return event;
}

/* A VM that started gets to its end. */
static bool reaches_end(vmm_vm_t *vm)
{
	vmm_event_t event = wait_event(vm);
	return event.kind == VMM_EVENT_DEBUG_EXIT && event.code == 42;
}

static bool live(const vmm_vm_opts_t *o, vmm_err_info_t *ei)
{
	vmm_vm_t *vm;
	if (vmm_vm_create(o, &vm, ei) != VMM_OK)
		return false;
	bool done = configure(vm, kernel_fd, o->transport == VMM_TRANSPORT_PCI) &&
	            vmm_vm_build(vm) == VMM_OK && vmm_vm_start(vm) == VMM_OK;
	if (!done)
		*ei = *vmm_vm_error(vm);
	else if (!reaches_end(vm))
		stranded++;
	vmm_vm_stop(vm);
	vmm_vm_destroy(vm);
	return done;
}

static bool live_on_mmio(vmm_err_info_t *ei)
{
	vmm_vm_opts_t o = VMM_VM_OPTS_INIT;
	o.memory_bytes = 16u << 20;
	o.cpus = 2;
	return live(&o, ei);
}

START_TEST(virtio_over_mmio)
{
	static const struct tolerated tolerated[] = {
	        {"ioctl 0xaea3", 2}, /* KVM_GET_TSC_KHZ, of each vCPU: CPUID does without */
	        {NULL, 0},
	};
	refuse_each(live_on_mmio, tolerated);
	ck_assert_uint_eq(stranded, 0);
}
END_TEST

static bool live_on_pci(vmm_err_info_t *ei)
{
	vmm_vm_opts_t o = VMM_VM_OPTS_INIT;
	o.memory_bytes = 16u << 20;
	o.cpus = 1;
	o.transport = VMM_TRANSPORT_PCI;
	o.flags = VMM_VM_MEMFD | VMM_VM_PROFILE;
	return live(&o, ei);
}

START_TEST(virtio_over_pci)
{
	static const struct tolerated tolerated[] = {
	        {"ioctl 0xaea3", 1},
	        {"calloc", 1}, /* of the io_uring: threads do the same */
	        {"open", 2},   /* of /proc for the profile, which goes without */
	        {NULL, 0},
	};
	refuse_each(live_on_pci, tolerated);
	ck_assert_uint_eq(stranded, 0);
}
END_TEST

/* ---- a reset ---- */

/* in al, 0x90; out 0x64, al (a reset, the first time); mov al, 42; out 0xf4, al */
static const uint8_t code_reset[] = {0xe4, TINY_PORT, 0xe6, 0x64, OUT_IMM8(0xf4, 42), HLT_FOREVER};

static uint64_t first_read(void *ctx, uint64_t offset, unsigned size)
{
	bool *again = ctx;
	(void)offset, (void)size;
	return *again ? 0 : 0xfe;
}

/* On the loop's thread, with the machine's reset still to come. */
static void on_reset(void *ctx)
{
	bool *again = ctx;
	*again = true;
	refusals_here();
}

/* False: the reset did not get through, and that was the end. */
static bool resets_and_ends(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	vmm_event_t e = wait_event(vm);
	if (e.kind == VMM_EVENT_RESET) {
		stranded += !reaches_end(vm);
		return true;
	}
	stranded += e.kind != VMM_EVENT_HOST_ERROR || !e.final;
	resets_refused +=
	        sscanf(e.text, "reset failed: %63[^:]: %383[^\n]", ei->field, ei->message) == 2;
	return false;
}

static bool live_again(vmm_err_info_t *ei)
{
	vmm_vm_opts_t o = VMM_VM_OPTS_INIT;
	o.memory_bytes = 16u << 20;
	o.cpus = 2;
	bool again = false;
	vmm_bus_device_opts_t dev = tiny_device(first_read, tiny_ignore, &again);
	dev.reset = on_reset;
	vmm_vm_t *vm;
	if (vmm_vm_create(&o, &vm, ei) != VMM_OK)
		return false;
	bool done = configure(vm, resetting_kernel_fd, false) &&
	            vmm_bus_device_add(vm, &dev) == VMM_OK && vmm_vm_build(vm) == VMM_OK &&
	            vmm_vm_start(vm) == VMM_OK;
	if (done)
		done = resets_and_ends(vm, ei);
	else
		*ei = *vmm_vm_error(vm);
	vmm_vm_stop(vm);
	vmm_vm_destroy(vm);
	return done;
}

START_TEST(reset)
{
	static const struct tolerated tolerated[] = {
	        {"ioctl 0xaea3", 4}, /* of each vCPU, each time */
	        {NULL, 0},
	};
	refuse_each(live_again, tolerated);
	ck_assert_uint_eq(stranded, 0);
	ck_assert_uint_gt(resets_refused, 10);
}
END_TEST

static bool live_idle(vmm_err_info_t *ei)
{
	vmm_vm_opts_t o = VMM_VM_OPTS_INIT;
	o.memory_bytes = 16u << 20;
	o.flags = VMM_VM_GUEST_IDLE;
	return live(&o, ei);
}

START_TEST(idle_where_kvm_cannot)
{
	vmm_err_info_t ei = {0};
	refusals_hide_capability(KVM_CAP_X86_DISABLE_EXITS);
	ck_assert(!live_idle(&ei));
	ck_assert_int_eq(ei.code, VMM_E_UNSUPPORTED);
	ck_assert_str_eq(ei.field, "idle");
	ck_assert_ptr_nonnull(strstr(ei.message, "KVM_CAP_X86_DISABLE_EXITS"));
}
END_TEST

static void make_files(void)
{
	kernel_fd = tiny_guest(code_exit42, sizeof(code_exit42));
	disk_fd = memfd_create("disk", MFD_CLOEXEC);
	resetting_kernel_fd = tiny_guest(code_reset, sizeof(code_reset));
	ck_assert(kernel_fd >= 0 && resetting_kernel_fd >= 0 && disk_fd >= 0 &&
	          ftruncate(disk_fd, 1 << 20) == 0);
}

static void close_files(void)
{
	(void)close(kernel_fd);
	(void)close(resetting_kernel_fd);
	(void)close(disk_fd);
}

int main(void)
{
	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		(void)printf("SKIP life_faults: /dev/kvm is missing or not permitted\n");
		return 77;
	}
	TCase *tc = tcase_create("life_faults");
	tcase_set_timeout(tc, TIMEOUT_S);
	tcase_add_checked_fixture(tc, make_files, close_files);
	tcase_add_test(tc, virtio_over_mmio);
	tcase_add_test(tc, virtio_over_pci);
	tcase_add_test(tc, reset);
	tcase_add_test(tc, idle_where_kvm_cannot);
	Suite *s = suite_create("life_faults");
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
