/*
 * What needs memory and descriptors but no KVM, with each of them refused in turn (refusals.h).
 */
#include <check.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels.h"
#include "refusals.h"
#include "suite.h"
#include "vmm/balloon.h"
#include "vmm/cli/config.h"
#include "vmm/console.h"
#include "vmm/disk.h"
#include "vmm/image.h"
#include "vmm/net.h"
#include "vmm/rng.h"

static char dir[] = "/tmp/vmm-faults-XXXXXX";
static char disk[64], kernel[64], image[64], other[64];

static void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
	static uint8_t elf[ELF_BYTES], nothing[4096];
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(disk, sizeof(disk), "%s/disk", dir);
	(void)snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	(void)snprintf(image, sizeof(image), "%s/image", dir);
	(void)snprintf(other, sizeof(other), "%s/other", dir);
	elf_make(elf);
	write_file(disk, nothing, sizeof(nothing));
	write_file(kernel, elf, sizeof(elf));
	const vmm_image_build_opts_t o = {
	        .struct_size = sizeof(o), .output = image, .kernel = kernel, .timestamp = 1};
	ck_assert_int_eq(vmm_image_build(&o, NULL), VMM_OK);
	json_set_alloc_funcs(refusals_malloc, refusals_free);
}

static void teardown(void)
{
	(void)unlink(disk);
	(void)unlink(kernel);
	(void)unlink(image);
	(void)unlink(other);
	ck_assert_int_eq(rmdir(dir), 0); /* nothing else is left there either */
}

static bool add_all(vmm_vm_t *vm)
{
	vmm_disk_opts_t d = VMM_DISK_OPTS_INIT;
	d.path = disk;
	d.flags = VMM_DISK_NO_URING | VMM_DISK_READ_ONLY;
	vmm_net_opts_t n = VMM_NET_OPTS_INIT;
	n.flags = VMM_NET_USER;
	n.user_dns = "192.0.2.1";
	vmm_console_port_opts_t ports[2] = {{.chardev = VMM_CHARDEV_OPTS_INIT},
	                                    {.chardev = VMM_CHARDEV_OPTS_INIT, .name = "second"}};
	ports[1].chardev.kind = VMM_CHARDEV_PTY;
	vmm_console_opts_t c = VMM_CONSOLE_OPTS_INIT;
	c.ports = ports;
	c.port_count = 2;
	const vmm_chardev_opts_t serial = VMM_CHARDEV_OPTS_INIT;
	const vmm_rng_opts_t r = VMM_RNG_OPTS_INIT;
	const vmm_balloon_opts_t b = VMM_BALLOON_OPTS_INIT;
	return vmm_disk_add(vm, &d) == VMM_OK && vmm_net_add(vm, &n, NULL) == VMM_OK &&
	       vmm_console_add(vm, &c, NULL) == VMM_OK && vmm_serial_set(vm, &serial) == VMM_OK &&
	       vmm_rng_add(vm, &r) == VMM_OK && vmm_balloon_add(vm, &b, NULL) == VMM_OK;
}

static bool make_vm(vmm_err_info_t *ei)
{
	const vmm_vm_opts_t o = VMM_VM_OPTS_INIT;
	vmm_vm_t *vm;
	if (vmm_vm_create(&o, &vm, ei) != VMM_OK)
		return false;
	bool done = add_all(vm);
	if (!done)
		*ei = *vmm_vm_error(vm);
	vmm_vm_destroy(vm);
	return done;
}

START_TEST(a_vm_with_its_devices)
{
	refuse_each(make_vm, NULL);
}
END_TEST

/* The io_uring is not tried again: the threads do the same. */
static bool make_disk(vmm_err_info_t *ei)
{
	const vmm_vm_opts_t o = VMM_VM_OPTS_INIT;
	vmm_disk_opts_t d = VMM_DISK_OPTS_INIT;
	vmm_vm_t *vm;
	d.path = disk;
	if (vmm_vm_create(&o, &vm, ei) != VMM_OK)
		return false;
	bool done = vmm_disk_add(vm, &d) == VMM_OK;
	if (!done)
		*ei = *vmm_vm_error(vm);
	vmm_vm_destroy(vm);
	return done;
}

START_TEST(a_disk_without_a_ring_has_threads)
{
	static const struct tolerated tolerated[] = {{"calloc", 1}, {NULL, 0}};
	refuse_each(make_disk, tolerated);
}
END_TEST

static bool build_image(vmm_err_info_t *ei)
{
	vmm_image_build_opts_t o = VMM_IMAGE_BUILD_OPTS_INIT;
	o.output = other;
	o.kernel = kernel;
	o.initrd = disk;
	o.policy = kernel;
	o.cmdline = "quiet";
	return vmm_image_build(&o, ei) == VMM_OK;
}

START_TEST(an_image_that_is_built)
{
	/* Where it cannot have a file without a name, it takes one with another. */
	static const struct tolerated tolerated[] = {{"open", 1}, {NULL, 0}};
	refuse_each(build_image, tolerated);
}
END_TEST

static bool read_image(vmm_err_info_t *ei)
{
	static vmm_image_info_t info;
	info = (vmm_image_info_t){.struct_size = sizeof(info)};
	return vmm_image_inspect(image, &info, ei) == VMM_OK &&
	       vmm_image_verify(image, ei) == VMM_OK;
}

START_TEST(an_image_that_is_read)
{
	refuse_each(read_image, NULL);
}
END_TEST

static bool read_config(vmm_err_info_t *ei)
{
	static const char text[] =
	        "{\"kernel\": \"k\", \"memory\": \"64M\", \"disk\": [{\"path\": \"a\", \"serial\": "
	        "\"s\"}, {\"path\": \"b\"}], \"net\": {\"user\": true, \"hostfwd\": "
	        "[\"tcp::1-:2\", "
	        "\"udp::3-:4\"]}, \"console\": [{\"file\": \"f\"}, {\"pty\": true, \"name\": "
	        "\"x\"}], \"cmdline\": \"quiet\"}";
	static struct run_config c;
	struct problem p = {0};
	config_init(&c);
	bool done = config_from_json(&c, text, sizeof(text) - 1, "vm.json", "/etc", &p) &&
	            config_check(&c, &p);
	(void)snprintf(ei->field, sizeof(ei->field), "%.60s", p.field);
	(void)snprintf(ei->message, sizeof(ei->message), "%.100s", p.text);
	config_fini(&c);
	return done;
}

START_TEST(a_configuration)
{
	refuse_each(read_config, NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("alloc_faults");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_vm_with_its_devices);
	tcase_add_test(tc, a_disk_without_a_ring_has_threads);
	tcase_add_test(tc, an_image_that_is_built);
	tcase_add_test(tc, an_image_that_is_read);
	tcase_add_test(tc, a_configuration);
	return suite_run("alloc_faults", tc);
}
