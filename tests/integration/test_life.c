/* The life of a VM on /dev/kvm: start, events, pause, reset, step, stop at any time, many at once.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tiny.h"
#include "vmm/device.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define WAIT_MS 10000

static vmm_vm_t *make(const uint8_t *code, size_t len, vmm_vm_opts_t opts)
{
	vmm_vm_t *vm = NULL;
	vmm_err_info_t ei = {0};
	opts.memory_bytes = 16u << 20;
	ck_assert_msg(vmm_vm_create(&opts, &vm, &ei) == VMM_OK, "%s: %s", ei.field, ei.message);
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel_fd = tiny_guest(code, len);
	ck_assert_int_ge(boot.kernel_fd, 0);
	ck_assert_int_eq(vmm_boot_set(vm, &boot), VMM_OK);
	ck_assert_int_eq(close(boot.kernel_fd), 0);
	return vm;
}

static void build(vmm_vm_t *vm)
{
	ck_assert_msg(vmm_vm_build(vm) == VMM_OK, "%s: %s", vmm_vm_error(vm)->field,
	              vmm_vm_error(vm)->message);
}

static vmm_vm_t *launch(const uint8_t *code, size_t len, uint32_t cpus, uint32_t flags)
{
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.cpus = cpus;
	opts.flags = flags;
	vmm_vm_t *vm = make(code, len, opts);
	build(vm);
	ck_assert_int_eq(vmm_vm_start(vm), VMM_OK);
	return vm;
}

static vmm_event_t wait_event(vmm_vm_t *vm)
{
	vmm_event_t event = {0};
	struct pollfd p = {.fd = vmm_vm_event_fd(vm), .events = POLLIN};
	ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
	ck_assert(vmm_vm_next_event(vm, &event));
	return event;
}

/* Looped tests have their vCPUs kicked in both ways. */
static uint32_t kick_flag(int i)
{
	return i ? VMM_VM_KICK_HANDLED : 0;
}

static void on_kick(int signo)
{
	(void)signo;
}

static void sleep_ms(long ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	(void)nanosleep(&t, NULL);
}

static const uint8_t code_exit42[] = {OUT_IMM8(0xf4, 42), HLT_FOREVER};
static const uint8_t code_spin[] = {SPIN};
static const uint8_t code_hlt[] = {HLT_FOREVER};
/* Power-off through the ACPI sleep control register. */
static const uint8_t code_off[] = {OUT_DX8(0x600, 0x34), HLT_FOREVER};
/* Loads an empty IDT and faults. */
static const uint8_t code_triple[] = {0x0f, 0x01, 0x1d, 0x00, 0x10, 0x00, 0x00, 0x0f, 0x0b};
/* inc dword [0x300000]; out 0x90, al: a heartbeat for a device of the test's own. */
static const uint8_t code_beat[] = {0xff, 0x05, 0x00,      0x00, 0x30,
                                    0x00, 0xe6, TINY_PORT, 0xeb, 0xf6};
static const uint8_t code_reset[] = {OUT_IMM8(TINY_PORT, 1), OUT_IMM8(0x64, 0xfe), SPIN};

START_TEST(debug_exit_ends_it)
{
	vmm_vm_t *vm = launch(code_exit42, sizeof(code_exit42), 1, 0);
	vmm_event_t e = wait_event(vm);
	ck_assert_int_eq(e.kind, VMM_EVENT_DEBUG_EXIT);
	ck_assert_uint_eq(e.code, 42);
	ck_assert(e.final);
	ck_assert(!vmm_vm_next_event(vm, &e));
	vmm_stats_t s = {.struct_size = sizeof(s)};
	ck_assert_int_eq(vmm_vm_stats(vm, &s), VMM_OK);
	ck_assert_uint_eq(s.exits_total, 1);
	ck_assert_uint_gt(s.first_exit_ns, s.built_ns);
	vmm_vm_destroy(vm);
}
END_TEST

START_TEST(power_off_and_triple_fault)
{
	vmm_vm_t *vm = launch(code_off, sizeof(code_off), 1, 0);
	ck_assert_int_eq(wait_event(vm).kind, VMM_EVENT_POWER_OFF);
	vmm_vm_destroy(vm);
	vm = launch(code_triple, sizeof(code_triple), 1, 0);
	vmm_event_t e = wait_event(vm);
	ck_assert_msg(e.kind == VMM_EVENT_TRIPLE_FAULT, "%d: %s", e.kind, e.text);
	vmm_vm_destroy(vm);
}
END_TEST

/* Stop must work wherever the vCPUs are: spinning, halted, not started yet (APs), paused. */
START_TEST(stop_at_any_time)
{
	for (int i = 0; i < 5; i++) {
		vmm_vm_t *vm = launch(code_spin, sizeof(code_spin), 3, kick_flag(_i));
		sleep_ms(i * 3);
		vmm_vm_stop(vm);
		vmm_vm_stop(vm);
		vmm_vm_destroy(vm);
		vm = launch(code_hlt, sizeof(code_hlt), 2, kick_flag(_i));
		sleep_ms(i);
		if (i & 1)
			ck_assert_int_eq(vmm_vm_pause(vm), VMM_OK);
		vmm_vm_destroy(vm);
	}
}
END_TEST

static uint64_t beat_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)ctx;
	(void)offset;
	(void)size;
	return 0;
}

static void beat_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	(void)offset;
	(void)size;
	(void)value;
	_Atomic unsigned *beats = ctx;
	(*beats)++;
}

static vmm_vm_t *launch_beating(const uint8_t *code, size_t len, _Atomic unsigned *beats,
                                uint32_t flags)
{
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.flags = flags;
	vmm_vm_t *vm = make(code, len, opts);
	vmm_bus_device_opts_t dev = tiny_device(beat_read, beat_write, beats);
	ck_assert_int_eq(vmm_bus_device_add(vm, &dev), VMM_OK);
	ck_assert_int_eq(vmm_bus_device_add(vm, &dev), VMM_E_INVAL); /* overlaps itself */
	build(vm);
	ck_assert_int_eq(vmm_bus_device_add(vm, &dev), VMM_E_STATE);
	if (!(flags & VMM_VM_STEP))
		ck_assert_int_eq(vmm_vm_start(vm), VMM_OK);
	return vm;
}

static void wait_beats(_Atomic unsigned *beats, unsigned n)
{
	for (int i = 0; i < WAIT_MS && *beats < n; i++)
		sleep_ms(1);
	ck_assert_uint_ge(*beats, n);
}

START_TEST(pause_holds_and_resume_goes_on)
{
	_Atomic unsigned beats = 0;
	vmm_vm_t *vm = launch_beating(code_beat, sizeof(code_beat), &beats, kick_flag(_i));
	vmm_regs_t regs;
	ck_assert_int_eq(vmm_vm_resume(vm), VMM_E_STATE);
	ck_assert_int_eq(vmm_vcpu_regs(vm, 0, &regs), VMM_E_STATE);
	for (int i = 0; i < 20; i++) {
		wait_beats(&beats, beats + 3);
		ck_assert_int_eq(vmm_vm_pause(vm), VMM_OK);
		unsigned held = beats;
		uint32_t counter = 0;
		ck_assert_int_eq(vmm_memory_read(vm, 0x300000, &counter, 4), VMM_OK);
		ck_assert_uint_ge(counter, held);
		ck_assert_int_eq(vmm_vcpu_regs(vm, 0, &regs), VMM_OK);
		ck_assert_uint_ge(regs.rip, TINY_ENTRY);
		sleep_ms(2);
		ck_assert_uint_eq(beats, held);
		ck_assert_int_eq(vmm_vm_pause(vm), VMM_E_STATE);
		ck_assert_int_eq(vmm_vm_resume(vm), VMM_OK);
	}
	vmm_vm_destroy(vm);
}
END_TEST

START_TEST(reset_restarts_in_place)
{
	_Atomic unsigned beats = 0;
	vmm_vm_t *vm = launch_beating(code_reset, sizeof(code_reset), &beats, kick_flag(_i));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(wait_event(vm).kind, VMM_EVENT_RESET);
	ck_assert_int_eq(vmm_vm_pause(vm), VMM_OK);
	sleep_ms(20);
	vmm_event_t e;
	while (vmm_vm_next_event(vm, &e))
		ck_assert_int_eq(e.kind, VMM_EVENT_RESET);
	ck_assert_int_eq(vmm_vm_resume(vm), VMM_OK);
	ck_assert_int_eq(wait_event(vm).kind, VMM_EVENT_RESET);
	vmm_vm_destroy(vm);

	/* Memory is as at power-on after a reset from outside. */
	beats = 0;
	vm = launch_beating(code_beat, sizeof(code_beat), &beats, kick_flag(_i));
	wait_beats(&beats, 5);
	uint32_t mark = 0xdeadbeef;
	ck_assert_int_eq(vmm_memory_write(vm, 0x400000, &mark, 4), VMM_OK);
	vmm_vm_reset(vm);
	ck_assert_int_eq(wait_event(vm).kind, VMM_EVENT_RESET);
	ck_assert_int_eq(vmm_memory_read(vm, 0x400000, &mark, 4), VMM_OK);
	ck_assert_uint_eq(mark, 0);
	unsigned now = beats;
	wait_beats(&beats, now + 3);
	vmm_vm_destroy(vm);
}
END_TEST

/* Each call out of its turn is refused, or does nothing; none of them breaks what follows. */
/* What a guest does first after a reset: it looks whether that was told. */
struct boots {
	vmm_vm_t *vm;
	_Atomic unsigned count, untold;
};

#define BOOTS 60u

static uint64_t boots_read(void *ctx, uint64_t offset, unsigned size)
{
	struct boots *b = ctx;
	vmm_event_t e;
	(void)offset, (void)size;
	bool told = vmm_vm_next_event(b->vm, &e) && e.kind == VMM_EVENT_RESET;
	if (b->count++ > 0 && !told)
		b->untold++;
	return b->count <= BOOTS ? 0xfe : 0;
}

START_TEST(reset_is_told_before_the_guest_goes_on)
{
	/* in al, 0x90; out 0x64, al */
	static const uint8_t code[] = {0xe4, TINY_PORT, 0xe6, 0x64, SPIN};
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	struct boots b = {.vm = make(code, sizeof(code), opts)};
	vmm_bus_device_opts_t dev = tiny_device(boots_read, tiny_ignore, &b);
	ck_assert_int_eq(vmm_bus_device_add(b.vm, &dev), VMM_OK);
	build(b.vm);
	ck_assert_int_eq(vmm_vm_start(b.vm), VMM_OK);
	for (unsigned i = 1; i <= BOOTS + 1; i++)
		wait_beats(&b.count, i);
	ck_assert_uint_eq(b.untold, 0);
	vmm_vm_destroy(b.vm);
}
END_TEST

START_TEST(wrong_order)
{
	_Atomic unsigned beats = 0;
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	vmm_vm_t *vm = make(code_beat, sizeof(code_beat), opts);
	vmm_exit_t exit;
	vmm_regs_t regs;
	uint32_t word = 0;
	vmm_vm_reset(vm);
	vmm_vm_power_button(vm);
	ck_assert_int_eq(vmm_vm_start(vm), VMM_E_STATE);
	ck_assert_int_eq(vmm_vm_pause(vm), VMM_E_STATE);
	ck_assert_int_eq(vmm_vm_resume(vm), VMM_E_STATE);
	ck_assert_int_eq(vmm_vcpu_step(vm, 0, &exit), VMM_E_STATE);
	ck_assert_int_ne(vmm_vcpu_regs(vm, 0, &regs), VMM_OK);
	ck_assert_int_eq(vmm_memory_read(vm, 0, &word, sizeof(word)), VMM_E_INVAL);
	ck_assert_int_eq(vmm_vm_memory_fd(vm), -1);
	vmm_vm_stop(vm);
	ck_assert_int_eq(vmm_vm_build(vm), VMM_E_STATE);
	vmm_vm_destroy(vm);

	vm = launch_beating(code_beat, sizeof(code_beat), &beats, VMM_VM_STEP);
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel = "/dev/null";
	ck_assert_int_eq(vmm_boot_set(vm, &boot), VMM_E_STATE);
	ck_assert_int_eq(vmm_vm_build(vm), VMM_E_STATE);
	vmm_vm_destroy(vm);

	/* A reset before the start is none: the machine is fresh. */
	vm = make(code_hlt, sizeof(code_hlt), opts);
	build(vm);
	vmm_vm_reset(vm);
	vmm_vm_power_button(vm);
	ck_assert_int_eq(vmm_vm_start(vm), VMM_OK);
	ck_assert_int_eq(vmm_vm_start(vm), VMM_E_STATE);
	sleep_ms(50);
	vmm_event_t event;
	ck_assert(!vmm_vm_next_event(vm, &event));
	vmm_vm_reset(vm);
	ck_assert_int_eq(wait_event(vm).kind, VMM_EVENT_RESET);
	vmm_vm_stop(vm);
	vmm_vm_reset(vm);
	ck_assert_int_eq(vmm_vm_resume(vm), VMM_E_STATE);
	ck_assert_int_eq(vmm_vm_start(vm), VMM_E_STATE);
	vmm_vm_destroy(vm);
	vmm_vm_destroy(NULL);
}
END_TEST

struct meddler {
	vmm_vm_t *vm;
	unsigned kind;
	atomic_bool *over;
};

static void *meddle(void *arg)
{
	const struct meddler *m = arg;
	vmm_stats_t stats = {.struct_size = sizeof(stats)};
	vmm_event_t event;
	while (!atomic_load(m->over)) {
		switch (m->kind) {
		case 0:
			if (vmm_vm_pause(m->vm) == VMM_OK)
				(void)!vmm_vm_resume(m->vm);
			break;
		case 1:
			vmm_vm_reset(m->vm);
			sleep_ms(40);
			break;
		default:
			vmm_vm_power_button(m->vm);
			(void)!vmm_vm_stats(m->vm, &stats);
			(void)vmm_vm_next_event(m->vm, &event);
			break;
		}
	}
	return NULL;
}

/* What any thread may call, from three of them at once: the guest lives on; and a stop ends it. */
START_TEST(other_threads)
{
	_Atomic unsigned beats = 0;
	vmm_vm_t *vm = launch_beating(code_beat, sizeof(code_beat), &beats, kick_flag(_i));
	for (int round = 0; round < 2; round++) {
		atomic_bool over = false;
		struct meddler meddler[3];
		pthread_t thread[3];
		wait_beats(&beats, 1);
		for (unsigned i = 0; i < 3; i++) {
			meddler[i] = (struct meddler){vm, i, &over};
			ck_assert_int_eq(pthread_create(&thread[i], NULL, meddle, &meddler[i]), 0);
		}
		sleep_ms(300);
		if (round == 1)
			vmm_vm_stop(vm);
		unsigned stopped_at = beats;
		sleep_ms(50);
		if (round == 1)
			ck_assert_uint_eq(beats, stopped_at);
		atomic_store(&over, true);
		for (unsigned i = 0; i < 3; i++)
			ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
		if (round == 0)
			wait_beats(&beats, beats + 3);
	}
	vmm_vm_destroy(vm);
}
END_TEST

START_TEST(no_reboot_ends_it)
{
	_Atomic unsigned beats = 0;
	vmm_vm_t *vm = launch_beating(code_reset, sizeof(code_reset), &beats, VMM_VM_NO_REBOOT);
	vmm_event_t e = wait_event(vm);
	ck_assert_int_eq(e.kind, VMM_EVENT_RESET);
	ck_assert(e.final);
	ck_assert_uint_eq(beats, 1);
	vmm_vm_destroy(vm);
}
END_TEST

START_TEST(stepping)
{
	_Atomic unsigned beats = 0;
	vmm_vm_t *vm = launch_beating(code_beat, sizeof(code_beat), &beats, VMM_VM_STEP);
	vmm_exit_t x;
	for (unsigned i = 1; i <= 5; i++) {
		ck_assert_int_eq(vmm_vcpu_step(vm, 0, &x), VMM_OK);
		ck_assert_int_eq(x.kind, VMM_EXIT_PIO);
		ck_assert_uint_eq(x.address, 0x90);
		ck_assert(x.is_write);
		ck_assert_uint_eq(beats, i - 1);
		ck_assert(vmm_exit_dispatch(vm, &x));
		ck_assert_uint_eq(beats, i);
	}
	vmm_vcpu_kick(vm, 0);
	ck_assert_int_eq(vmm_vcpu_step(vm, 0, &x), VMM_OK);
	ck_assert_int_eq(x.kind, VMM_EXIT_INTERRUPTED);
	ck_assert_int_eq(vmm_vcpu_step(vm, 0, &x), VMM_OK);
	ck_assert_int_eq(x.kind, VMM_EXIT_PIO);
	ck_assert_int_eq(vmm_vcpu_step(vm, 1, &x), VMM_E_INVAL);
	vmm_vm_destroy(vm);
}
END_TEST

START_TEST(many_at_once)
{
	enum { N = 8 };
	vmm_vm_t *vms[N];
	_Atomic unsigned beats[N] = {0};
	for (int i = 0; i < N; i++)
		vms[i] = launch_beating(code_beat, sizeof(code_beat), &beats[i], 0);
	for (int i = 0; i < N; i++)
		wait_beats(&beats[i], 2);
	for (int i = 0; i < N; i++)
		vmm_vm_destroy(vms[i]);
}
END_TEST

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

START_TEST(nothing_is_left_behind)
{
	vmm_vm_t *vm = launch(code_exit42, sizeof(code_exit42), 1, 0);
	(void)wait_event(vm);
	vmm_vm_destroy(vm);
	unsigned before = open_descriptors();
	for (int i = 0; i < 10; i++) {
		vm = launch(code_exit42, sizeof(code_exit42), 1 + (uint32_t)(i & 1), 0);
		(void)wait_event(vm);
		vmm_vm_destroy(vm);
		/* A build that fails half-way. */
		vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
		vm = make((const uint8_t *)"\xf4", 1, opts);
		vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
		boot.kernel = "/dev/null";
		ck_assert_int_eq(vmm_boot_set(vm, &boot), VMM_OK);
		ck_assert_int_ne(vmm_vm_build(vm), VMM_OK);
		ck_assert_int_eq(vmm_vm_start(vm), VMM_E_STATE);
		vmm_vm_destroy(vm);
	}
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(bad_options)
{
	vmm_vm_t *vm;
	vmm_err_info_t ei;
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.cpus = 0;
	ck_assert_int_eq(vmm_vm_create(&opts, &vm, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "cpus");
	opts.cpus = 33;
	ck_assert_int_eq(vmm_vm_create(&opts, &vm, &ei), VMM_E_INVAL);
	opts.cpus = 1;
	opts.struct_size = 8;
	ck_assert_int_eq(vmm_vm_create(&opts, &vm, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "struct_size");
	opts = (vmm_vm_opts_t)VMM_VM_OPTS_INIT;
	opts.flags = 1u << 31;
	ck_assert_int_eq(vmm_vm_create(&opts, &vm, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "flags");
	opts.flags = 0;
	vm = make(code_hlt, sizeof(code_hlt), opts);
	vmm_irq_t *irq;
	ck_assert_int_eq(vmm_irq_add(vm, 4, &irq), VMM_E_INVAL); /* COM1's */
	ck_assert_int_eq(vmm_irq_add(vm, 24, &irq), VMM_E_INVAL);
	ck_assert_int_eq(vmm_irq_add(vm, 5, &irq), VMM_OK);
	vmm_vm_destroy(vm);
	opts.kvm_path = "/nonexistent/kvm";
	vm = make(code_hlt, sizeof(code_hlt), opts);
	ck_assert_int_eq(vmm_vm_build(vm), VMM_E_NOENT);
	ck_assert_str_eq(vmm_vm_error(vm)->field, "/nonexistent/kvm");
	vmm_vm_destroy(vm);
	opts.kvm_path = "/dev/null";
	vm = make(code_hlt, sizeof(code_hlt), opts);
	ck_assert_int_eq(vmm_vm_build(vm), VMM_E_KVM);
	vmm_vm_destroy(vm);
}
END_TEST

int main(void)
{
	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		(void)printf("SKIP life: /dev/kvm is missing or not permitted\n");
		return 77;
	}
	const struct sigaction action = {.sa_handler = on_kick, .sa_flags = SA_RESTART};
	if (sigaction(SIGRTMIN + 1, &action, NULL) != 0)
		return EXIT_FAILURE;
	TCase *tc = tcase_create("life");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, debug_exit_ends_it);
	tcase_add_test(tc, power_off_and_triple_fault);
	tcase_add_loop_test(tc, stop_at_any_time, 0, 2);
	tcase_add_loop_test(tc, pause_holds_and_resume_goes_on, 0, 2);
	tcase_add_loop_test(tc, reset_restarts_in_place, 0, 2);
	tcase_add_test(tc, reset_is_told_before_the_guest_goes_on);
	tcase_add_test(tc, wrong_order);
	tcase_add_loop_test(tc, other_threads, 0, 2);
	tcase_add_test(tc, no_reboot_ends_it);
	tcase_add_test(tc, stepping);
	tcase_add_test(tc, many_at_once);
	tcase_add_test(tc, nothing_is_left_behind);
	tcase_add_test(tc, bad_options);
	Suite *s = suite_create("life");
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
