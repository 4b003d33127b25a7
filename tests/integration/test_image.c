/* Guest images on /dev/kvm: the guest itself finds the parts; damage is refused before it runs. */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tiny.h"
#include "vmm/image.h"
#include "vmm/vm.h"

#define WAIT_MS 10000

/* Leave with the first byte of PVH module N: mov eax,[ebx+16]; mov ecx,[eax+32*N]; mov al,[ecx]. */
#define EXIT_WITH_MODULE(n) \
	0x8b, 0x43, 0x10, 0x8b, 0x48, 32 * (n), 0x8a, 0x01, 0xe6, 0xf4, HLT_FOREVER

static const uint8_t code_ramdisk[] = {EXIT_WITH_MODULE(0)};
static const uint8_t code_policy[] = {EXIT_WITH_MODULE(2)};
/* The first byte of the command line. */
static const uint8_t code_cmdline[] = {0x8b, 0x4b, 0x18, 0x8a, 0x01, 0xe6, 0xf4, HLT_FOREVER};
static const uint8_t code_reset[] = {OUT_IMM8(0x64, 0xfe), SPIN};

static char dir[64];
static char image[96], initrd[96], policy[96], other[96];
static vmm_err_info_t ei;

static void put(char path[96], const char *name, const char *text)
{
	(void)snprintf(path, 96, "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/vmm-it-image-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(image, sizeof(image), "%s/guest.img", dir);
	put(initrd, "initrd", "R");
	put(policy, "policy", "P");
	put(other, "other", "O");
}

static void teardown(void)
{
	(void)unlink(image);
	(void)unlink(initrd);
	(void)unlink(policy);
	(void)unlink(other);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void make_image(const uint8_t *code, size_t len)
{
	char kernel[64];
	vmm_image_build_opts_t o = VMM_IMAGE_BUILD_OPTS_INIT;
	int fd = tiny_guest(code, len);
	ck_assert_int_ge(fd, 0);
	(void)snprintf(kernel, sizeof(kernel), "/proc/self/fd/%d", fd);
	o.output = image;
	o.kernel = kernel;
	o.initrd = initrd;
	o.policy = policy;
	o.cmdline = "Command";
	ck_assert_msg(vmm_image_build(&o, &ei) == VMM_OK, "%s", ei.message);
	ck_assert_int_eq(close(fd), 0);
}

static vmm_vm_t *configure(const vmm_boot_opts_t *boot)
{
	vmm_vm_t *vm = NULL;
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.memory_bytes = 16u << 20;
	ck_assert_int_eq(vmm_vm_create(&opts, &vm, &ei), VMM_OK);
	ck_assert_int_eq(vmm_boot_set(vm, boot), VMM_OK);
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

/* Run what BOOT says; returns the byte that the guest left with. */
static uint32_t run(const vmm_boot_opts_t *boot)
{
	vmm_vm_t *vm = configure(boot);
	ck_assert_msg(vmm_vm_build(vm) == VMM_OK, "%s", vmm_vm_error(vm)->message);
	ck_assert_int_eq(vmm_vm_start(vm), VMM_OK);
	vmm_event_t e = wait_event(vm);
	ck_assert_int_eq(e.kind, VMM_EVENT_DEBUG_EXIT);
	vmm_vm_destroy(vm);
	return e.code;
}

START_TEST(the_guest_finds_its_parts)
{
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.image = image;
	make_image(code_ramdisk, sizeof(code_ramdisk));
	ck_assert_uint_eq(run(&boot), 'R');
	make_image(code_policy, sizeof(code_policy));
	ck_assert_uint_eq(run(&boot), 'P');
	make_image(code_cmdline, sizeof(code_cmdline));
	ck_assert_uint_eq(run(&boot), 'C');
}
END_TEST

START_TEST(what_the_user_gives_goes_first)
{
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.image = image;
	boot.initrd = other;
	boot.cmdline = "mine";
	make_image(code_ramdisk, sizeof(code_ramdisk));
	ck_assert_uint_eq(run(&boot), 'O');
	make_image(code_cmdline, sizeof(code_cmdline));
	ck_assert_uint_eq(run(&boot), 'm');
	/* As a descriptor, whose file has lost its name. */
	boot.image_fd = open(image, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(boot.image_fd, 0);
	ck_assert_int_eq(unlink(image), 0);
	ck_assert_uint_eq(run(&boot), 'm');
	ck_assert_int_eq(close(boot.image_fd), 0);
}
END_TEST

START_TEST(a_reset_loads_it_again)
{
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.image = image;
	make_image(code_reset, sizeof(code_reset));
	vmm_vm_t *vm = configure(&boot);
	ck_assert_int_eq(vmm_vm_build(vm), VMM_OK);
	ck_assert_int_eq(unlink(image), 0); /* it is open */
	ck_assert_int_eq(vmm_vm_start(vm), VMM_OK);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(wait_event(vm).kind, VMM_EVENT_RESET);
	vmm_vm_destroy(vm);
}
END_TEST

START_TEST(damage_is_refused_before_it_runs)
{
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	vmm_image_info_t info = {.struct_size = sizeof(info)};
	boot.image = image;
	make_image(code_policy, sizeof(code_policy));
	ck_assert_int_eq(vmm_image_inspect(image, &info, &ei), VMM_OK);
	int fd = open(image, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_str_eq(info.part[2].name, "policy");
	ck_assert_int_eq(pwrite(fd, "Q", 1, (off_t)info.part[2].offset), 1);
	ck_assert_int_eq(close(fd), 0);
	vmm_vm_t *vm = configure(&boot);
	ck_assert_int_eq(vmm_vm_build(vm), VMM_E_HASH);
	ck_assert_str_eq(vmm_vm_error(vm)->field, image);
	ck_assert_ptr_nonnull(strstr(vmm_vm_error(vm)->message, "'policy'"));
	vmm_vm_destroy(vm);
}
END_TEST

int main(void)
{
	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		(void)printf("SKIP image: /dev/kvm is missing or not permitted\n");
		return 77;
	}
	TCase *tc = tcase_create("image");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_guest_finds_its_parts);
	tcase_add_test(tc, what_the_user_gives_goes_first);
	tcase_add_test(tc, a_reset_loads_it_again);
	tcase_add_test(tc, damage_is_refused_before_it_runs);
	Suite *s = suite_create("image");
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
