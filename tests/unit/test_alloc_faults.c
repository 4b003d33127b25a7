/*
 * Memory, and descriptors, that are not to be had: whatever a call needs is refused at its first
 * place, then at its second, and so on until it gets through. Each time it must fail with an error
 * that says so, and leave nothing behind. The calls are taken by the linker (--wrap).
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernels.h"
#include "suite.h"
#include "vmm/balloon.h"
#include "vmm/cli/config.h"
#include "vmm/console.h"
#include "vmm/disk.h"
#include "vmm/image.h"
#include "vmm/net.h"
#include "vmm/rng.h"

#define HELD_MAX   8192u
#define PLACES_MAX 2000u

/* ---- what is refused ---- */

static unsigned left;        /* calls before the one that fails; 0: none does */
static unsigned refused;     /* 1: one has */
static bool counting;        /* the code under test runs, not the test */
static void *held[HELD_MAX]; /* given out meanwhile, and not freed */
static unsigned held_count;

static bool refuses(void)
{
	if (!counting || left == 0 || --left > 0)
		return false;
	refused++;
	return true;
}

static void *hold(void *p)
{
	if (counting && p) {
		if (held_count == HELD_MAX)
			abort();
		held[held_count++] = p;
	}
	return p;
}

static void let_go(const void *p)
{
	for (unsigned i = held_count; p && i-- > 0;) {
		if (held[i] == p) {
			held[i] = held[--held_count];
			return;
		}
	}
}

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static int no_descriptor(void)
{
	errno = EMFILE;
	return -1;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
void __real_free(void *p);
void __wrap_free(void *p);
int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);
int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __real_socketpair(int domain, int type, int protocol, int fd[2]);
int __wrap_socketpair(int domain, int type, int protocol, int fd[2]);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __real_pipe2(int fd[2], int flags);
int __wrap_pipe2(int fd[2], int flags);

void *__wrap_malloc(size_t n)
{
	return refuses() ? no_memory() : hold(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refuses() ? no_memory() : hold(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	if (refuses())
		return no_memory();
	let_go(p);
	return hold(__real_realloc(p, n));
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
	return refuses() ? no_memory() : hold(__real_aligned_alloc(align, n));
}

void __wrap_free(void *p)
{
	let_go(p);
	__real_free(p);
}

int __wrap_eventfd(unsigned value, int flags)
{
	return refuses() ? no_descriptor() : __real_eventfd(value, flags);
}

int __wrap_epoll_create1(int flags)
{
	return refuses() ? no_descriptor() : __real_epoll_create1(flags);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
	return refuses() ? no_descriptor() : __real_memfd_create(name, flags);
}

int __wrap_socketpair(int domain, int type, int protocol, int fd[2])
{
	return refuses() ? no_descriptor() : __real_socketpair(domain, type, protocol, fd);
}

int __wrap_socket(int domain, int type, int protocol)
{
	return refuses() ? no_descriptor() : __real_socket(domain, type, protocol);
}

int __wrap_pipe2(int fd[2], int flags)
{
	return refuses() ? no_descriptor() : __real_pipe2(fd, flags);
}

/* ---- and what must come of it ---- */

static unsigned descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

/*
 * TRY with each of its calls refused in turn, until none is. It says whether it got through, and
 * why not. TOLERATED: places that may be refused without a failure, because there is another way.
 */
static void refuse_each(bool (*try)(vmm_err_info_t *ei), unsigned tolerated)
{
	unsigned before = descriptors(), places = 0, through = 0;
	for (;; places++) {
		ck_assert_uint_lt(places, PLACES_MAX);
		vmm_err_info_t ei = {0};
		held_count = refused = 0;
		left = places + 1;
		counting = true;
		bool done = try(&ei);
		counting = false;
		ck_assert_msg(held_count == 0, "place %u: %u blocks are left", places, held_count);
		ck_assert_msg(descriptors() == before, "place %u: %u descriptors, there were %u",
		              places, descriptors(), before);
		if (!refused) {
			ck_assert_msg(done, "fails by itself: %s: %s", ei.field, ei.message);
			break;
		}
		through += done;
		ck_assert_msg(done || (ei.message[0] && ei.field[0]), "place %u: no reason",
		              places);
	}
	ck_assert_uint_gt(places, 1);
	ck_assert_msg(through == tolerated, "%u of %u places were tolerated", through, places);
}

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
	json_set_alloc_funcs(__wrap_malloc, __wrap_free);
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
	refuse_each(make_vm, 0);
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
	refuse_each(make_disk, 1);
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
	refuse_each(build_image, 0);
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
	refuse_each(read_image, 0);
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
	refuse_each(read_config, 0);
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
