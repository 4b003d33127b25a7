/* vmm/image.h: images written, read and checked; mkimage reads ours and we read its. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels.h"
#include "suite.h"
#include "vmm/image.h"
#include "vmm/vm_boot.h"

static char dir[64];
static vmm_err_info_t ei;
static vmm_image_info_t info;
static uint8_t elf[ELF_BYTES];
static uint8_t initrd[9000];

static void run(const char *command)
{
	char line[512];
	(void)snprintf(line, sizeof(line), "cd %s && %s", dir, command);
	ck_assert_msg(system(line) == 0, "failed: %s", line); /* NOLINT */
}

static const char *path(const char *name)
{
	static char paths[16][128];
	static unsigned turn;
	char *p = paths[turn++ % 16];
	(void)snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static void put(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(path(name), "wb");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

static size_t get(const char *name, uint8_t *bytes, size_t cap)
{
	FILE *f = fopen(path(name), "rb");
	ck_assert_ptr_nonnull(f);
	size_t len = fread(bytes, 1, cap, f);
	(void)fclose(f);
	return len;
}

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/vmm-image-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	elf_make(elf);
	for (size_t i = 0; i < sizeof(initrd); i++)
		initrd[i] = (uint8_t)(i * 7);
	put("vmlinux", elf, sizeof(elf));
	put("initrd", initrd, sizeof(initrd));
	put("policy", "allow all\n", 10);
	info = (vmm_image_info_t){.struct_size = sizeof(info)};
}

static void teardown(void)
{
	run("rm -r \"$PWD\"");
}

static vmm_image_build_opts_t everything(void)
{
	vmm_image_build_opts_t o = VMM_IMAGE_BUILD_OPTS_INIT;
	o.output = path("guest.img");
	o.kernel = path("vmlinux");
	o.initrd = path("initrd");
	o.policy = path("policy");
	o.cmdline = "console=ttyS0 quiet";
	o.description = "a test";
	o.memory_bytes = 96u << 20;
	o.cpus = 2;
	o.timestamp = 1700000000;
	return o;
}

static void build(const vmm_image_build_opts_t *o)
{
	ck_assert_msg(vmm_image_build(o, &ei) == VMM_OK, "%s", ei.message);
}

static void inspect(const char *name)
{
	ck_assert_msg(vmm_image_inspect(path(name), &info, &ei) == VMM_OK, "%s", ei.message);
}

static const vmm_image_part_t *part_of(const char *type)
{
	for (uint32_t i = 0; i < info.part_count; i++)
		if (strcmp(info.part[i].type, type) == 0)
			return &info.part[i];
	ck_abort_msg("no %s", type);
}

START_TEST(what_is_built_is_read)
{
	vmm_image_build_opts_t o = everything();
	build(&o);
	inspect("guest.img");
	ck_assert_str_eq(info.description, "a test");
	ck_assert_str_eq(info.cmdline, "console=ttyS0 quiet");
	ck_assert_int_eq(info.timestamp, 1700000000);
	ck_assert_uint_eq(info.memory_bytes, 96u << 20);
	ck_assert_uint_eq(info.cpus, 2);
	ck_assert_uint_eq(info.part_count, 4); /* and the configuration, hashed too */
	for (uint32_t i = 0; i < info.part_count; i++) {
		ck_assert(info.part[i].in_default);
		ck_assert_uint_eq(info.part[i].hash_count, 1);
		ck_assert_str_eq(info.part[i].hash[0].algo, "sha256");
		ck_assert_int_eq(info.part[i].hash[0].state, VMM_HASH_GOOD);
	}
	ck_assert_uint_eq(part_of("kernel")->len_bytes, sizeof(elf));
	ck_assert_uint_eq(part_of("ramdisk")->offset % 4096, 0);
	ck_assert_str_eq(part_of("configuration")->name, info.configuration);
	ck_assert_msg(vmm_image_verify(path("guest.img"), &ei) == VMM_OK, "%s", ei.message);
	ck_assert(vmm_image_is(path("guest.img")));
	ck_assert(!vmm_image_is(path("vmlinux")));
	ck_assert(!vmm_image_is(path("nothing")));
	ck_assert(!vmm_image_is(dir));
}
END_TEST

START_TEST(the_same_input_gives_the_same_file)
{
	vmm_image_build_opts_t o = everything();
	build(&o);
	o.output = path("second.img");
	build(&o);
	run("cmp guest.img second.img");
	o.timestamp = -1;
	ck_assert_int_eq(setenv("SOURCE_DATE_EPOCH", "1700000000", 1), 0);
	build(&o);
	run("cmp guest.img second.img");
	ck_assert_int_eq(setenv("SOURCE_DATE_EPOCH", "yesterday", 1), 0);
	ck_assert_int_eq(vmm_image_build(&o, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "SOURCE_DATE_EPOCH");
	ck_assert_int_eq(unsetenv("SOURCE_DATE_EPOCH"), 0);
}
END_TEST

START_TEST(every_hash_can_be_chosen)
{
	static const char *const algos[] = {"sha1", "sha256", "sha384", "sha512", "md5", "crc32"};
	for (size_t i = 0; i < sizeof(algos) / sizeof(algos[0]); i++) {
		vmm_image_build_opts_t o = everything();
		o.hash = algos[i];
		build(&o);
		inspect("guest.img");
		ck_assert_str_eq(part_of("kernel")->hash[0].algo, algos[i]);
		ck_assert_int_eq(vmm_image_verify(path("guest.img"), &ei), VMM_OK);
	}
}
END_TEST

/* One byte of each part, and of the command line: verify names the part, inspect reports it. */
START_TEST(damage_is_found_and_named)
{
	static uint8_t whole[64 << 10];
	vmm_image_build_opts_t o = everything();
	build(&o);
	inspect("guest.img");
	size_t len = get("guest.img", whole, sizeof(whole));
	vmm_image_info_t good = info;
	for (uint32_t i = 0; i < good.part_count; i++) {
		const vmm_image_part_t *p = &good.part[i];
		uint8_t *line = memmem(whole, len, "ttyS0", 5);
		uint8_t *at = p->len_bytes ? whole + p->offset + p->len_bytes - 1 : line;
		char named[128];
		*at ^= 1;
		put("bad.img", whole, len);
		ck_assert_int_eq(vmm_image_verify(path("bad.img"), &ei), VMM_E_HASH);
		(void)snprintf(named, sizeof(named), "part '%s' does not have its sha256", p->name);
		ck_assert_msg(strstr(ei.message, named) != NULL, "%s", ei.message);
		inspect("bad.img");
		for (uint32_t j = 0; j < info.part_count; j++)
			ck_assert_int_eq(info.part[j].hash[0].state,
			                 i == j ? VMM_HASH_BAD : VMM_HASH_GOOD);
		*at ^= 1;
	}
	put("bad.img", whole, len - 4096);
	ck_assert_int_eq(vmm_image_inspect(path("bad.img"), &info, &ei), VMM_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(ei.message, "truncated"));
}
END_TEST

static void assert_refused(const vmm_image_build_opts_t *o, vmm_err_t code, const char *field)
{
	vmm_err_t err = vmm_image_build(o, &ei);
	ck_assert_msg(err == code, "%d instead of %d: %s", err, code, ei.message);
	ck_assert_msg(strstr(ei.field, field) != NULL, "field '%s'", ei.field);
}

START_TEST(wrong_options_change_nothing)
{
	put("guest.img", "precious", 8);
	vmm_image_build_opts_t o = everything();
	o.hash = "sha3";
	assert_refused(&o, VMM_E_INVAL, "hash");
	o = everything();
	o.kernel = NULL;
	assert_refused(&o, VMM_E_INVAL, "kernel");
	o = everything();
	o.kernel = path("absent");
	assert_refused(&o, VMM_E_NOENT, "absent");
	o = everything();
	o.kernel = path("policy");
	assert_refused(&o, VMM_E_FORMAT, "policy");
	o = everything();
	o.initrd = dir;
	assert_refused(&o, VMM_E_INVAL, dir);
	o = everything();
	o.cpus = 33;
	assert_refused(&o, VMM_E_INVAL, "cpus");
	o = everything();
	o.memory_bytes = 4097;
	assert_refused(&o, VMM_E_INVAL, "memory");
	o = everything();
	o.memory_bytes = 2 << 20;
	assert_refused(&o, VMM_E_LIMIT, "vmlinux");
	o = everything();
	o.cmdline = "a\nb";
	assert_refused(&o, VMM_E_INVAL, "cmdline");
	o = everything();
	o.timestamp = 1ll << 32;
	assert_refused(&o, VMM_E_INVAL, "timestamp");
	o = everything();
	o.struct_size = 8;
	assert_refused(&o, VMM_E_INVAL, "struct_size");
	run("test \"$(cat guest.img)\" = precious && test \"$(ls -A | wc -l)\" = 4");
	o = everything();
	o.output = path("no/such/guest.img");
	assert_refused(&o, VMM_E_NOENT, "guest.img");
	o = everything();
	o.output = dir;
	assert_refused(&o, VMM_E_INVAL, dir);
	o.output = "/dev/null";
	assert_refused(&o, VMM_E_INVAL, "/dev/null");
	run("test -c /dev/null");
}
END_TEST

START_TEST(a_full_disk_leaves_nothing)
{
	/* /dev/full cannot be an output; a file size limit fails the same way. */
	vmm_image_build_opts_t o = everything();
	put("guest.img", "precious", 8);
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit limit = {8192, 8192};
		(void)signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
			_exit(2);
		_exit(vmm_image_build(&o, NULL) == VMM_E_IO ? 0 : 1);
	}
	int status = -1;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	run("test \"$(cat guest.img)\" = precious && test \"$(ls -A | wc -l)\" = 4");
}
END_TEST

START_TEST(an_image_can_replace_its_own_kernel)
{
	vmm_image_build_opts_t o = everything();
	o.output = o.kernel;
	build(&o);
	inspect("vmlinux");
	ck_assert_int_eq(vmm_image_verify(path("vmlinux"), &ei), VMM_OK);
	struct stat st;
	mode_t mask = umask(0);
	(void)umask(mask);
	ck_assert_int_eq(stat(path("vmlinux"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0666 & ~mask);
	run("test \"$(ls -A | wc -l)\" = 3");
}
END_TEST

/* What vmm_vm_build will load, from an image and what the user puts in place of its parts. */
START_TEST(booting_takes_the_parts)
{
	vmm_image_build_opts_t o = everything();
	build(&o);
	inspect("guest.img");
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	struct boot_files *files;
	struct boot_plan plan;
	boot.image = path("guest.img");
	ck_assert_int_eq(vm_boot_take(&boot, &files, &ei), VMM_OK);
	ck_assert_msg(vm_boot_open(files, 64u << 20, &plan, &ei) == VMM_OK, "%s", ei.message);
	ck_assert_uint_eq(plan.kernel.offset, part_of("kernel")->offset);
	ck_assert_uint_eq(plan.initrd.len_bytes, sizeof(initrd));
	ck_assert_uint_eq(plan.policy.len_bytes, 10);
	ck_assert_str_eq(plan.cmdline, "console=ttyS0 quiet");
	ck_assert_int_eq(boot_check(&plan, 64u << 20, &ei), VMM_OK);
	vm_boot_close(files);
	boot.initrd = path("policy");
	boot.cmdline = "single";
	ck_assert_int_eq(vm_boot_take(&boot, &files, &ei), VMM_OK);
	ck_assert_int_eq(vm_boot_open(files, 64u << 20, &plan, &ei), VMM_OK);
	ck_assert_uint_eq(plan.initrd.len_bytes, 10);
	ck_assert_uint_eq(plan.initrd.offset, 0);
	ck_assert_str_eq(plan.cmdline, "single");
	vm_boot_close(files);
	boot.image = path("vmlinux"); /* a plain kernel in its place */
	boot.cmdline = NULL;
	ck_assert_int_eq(vm_boot_take(&boot, &files, &ei), VMM_OK);
	ck_assert_int_eq(vm_boot_open(files, 64u << 20, &plan, &ei), VMM_OK);
	ck_assert_uint_eq(plan.kernel.len_bytes, sizeof(elf));
	ck_assert_str_eq(plan.cmdline, "");
	vm_boot_close(files);
}
END_TEST

START_TEST(booting_refuses_a_damaged_image)
{
	vmm_image_build_opts_t o = everything();
	build(&o);
	inspect("guest.img");
	int fd = open(path("guest.img"), O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, "!", 1, (off_t)part_of("ramdisk")->offset), 1);
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	struct boot_files *files;
	struct boot_plan plan;
	boot.image_fd = fd;
	ck_assert_int_eq(vm_boot_take(&boot, &files, &ei), VMM_OK);
	close(fd);
	ck_assert_int_eq(vm_boot_open(files, 64u << 20, &plan, &ei), VMM_E_HASH);
	ck_assert_ptr_nonnull(strstr(ei.message, "'ramdisk'"));
	vm_boot_close(files);
}
END_TEST

/* Opening one for reading would wait for a writer. */
START_TEST(a_fifo_is_refused_at_once)
{
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	struct boot_files *files;
	struct boot_plan plan;
	boot.image = path("fifo");
	ck_assert_int_eq(mkfifo(boot.image, 0600), 0);
	ck_assert(!vmm_image_is(boot.image));
	ck_assert_int_eq(vmm_image_verify(boot.image, &ei), VMM_E_INVAL);
	ck_assert_int_eq(vm_boot_take(&boot, &files, &ei), VMM_OK);
	ck_assert_int_eq(vm_boot_open(files, 64u << 20, &plan, &ei), VMM_E_INVAL);
	vm_boot_close(files);
}
END_TEST

START_TEST(mkimage_reads_ours)
{
	vmm_image_build_opts_t o = everything();
	build(&o);
	inspect("guest.img");
	run("mkimage -l guest.img >list && dumpimage -l guest.img >list2");
	run("grep -q \"Default Configuration: 'conf-1'\" list");
	run("grep -q 'Init Ramdisk: *ramdisk' list && grep -q 'Kernel: *kernel' list2");
	char line[256];
	for (uint32_t i = 0; i < info.part_count; i++) {
		(void)snprintf(line, sizeof(line), "grep -q %s list", info.part[i].hash[0].value);
		run(line);
	}
	run("dumpimage -T flat_dt -p 0 -o k guest.img >log && cmp k vmlinux");
	run("dumpimage -T flat_dt -p 1 -o r guest.img >log && cmp r initrd");
	run("dumpimage -T flat_dt -p 2 -o p guest.img >log && cmp p policy");
}
END_TEST

static const char its[] =
        "/dts-v1/;\n/ { description = \"by mkimage\"; #address-cells = <1>; images {\n"
        " kernel { data = /incbin/(\"vmlinux\"); type = \"kernel\"; arch = \"x86_64\";\n"
        "  os = \"linux\"; compression = \"none\";\n"
        "  hash-1 { algo = \"sha256\"; }; hash-2 { algo = \"crc32\"; }; };\n"
        " packed { data = /incbin/(\"vmlinux.gz\"); type = \"kernel\"; arch = \"x86_64\";\n"
        "  os = \"linux\"; compression = \"gzip\"; hash-1 { algo = \"sha512\"; }; };\n"
        " ramdisk { data = /incbin/(\"initrd\"); type = \"ramdisk\"; arch = \"x86_64\";\n"
        "  os = \"linux\"; compression = \"none\"; hash-1 { algo = \"sha1\"; }; };\n"
        " rules { data = /incbin/(\"policy\"); type = \"firmware\"; compression = \"none\";\n"
        "  hash-1 { algo = \"md5\"; }; };\n"
        "}; configurations { default = \"best\";\n"
        " plain { kernel = \"kernel\"; };\n"
        " best { kernel = \"packed\"; ramdisk = \"ramdisk\"; vmm,policy = \"rules\";\n"
        "  bootargs = \"console=ttyS0\"; vmm,cpus = <2>;\n"
        "  vmm,memory-bytes = <0 0x4000000>; };\n"
        "}; };\n";

START_TEST(we_read_what_mkimage_writes)
{
	static const char *const how[] = {"", "-E", "-E -p 0x20000"};
	put("x.its", its, strlen(its));
	run("gzip -k vmlinux");
	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		char line[128];
		(void)snprintf(line, sizeof(line), "mkimage %s -f x.its x.img >log 2>&1", how[i]);
		run(line);
		inspect("x.img");
		ck_assert_str_eq(info.description, "by mkimage");
		ck_assert_str_eq(info.configuration, "best");
		ck_assert_str_eq(info.cmdline, "console=ttyS0");
		ck_assert_uint_eq(info.memory_bytes, 64u << 20);
		ck_assert_uint_eq(info.cpus, 2);
		ck_assert_uint_eq(info.part_count, 4);
		ck_assert(!info.part[0].in_default);
		ck_assert_uint_eq(info.part[0].hash_count, 2);
		for (uint32_t j = 0; j < info.part_count; j++)
			for (uint32_t h = 0; h < info.part[j].hash_count; h++)
				ck_assert_int_eq(info.part[j].hash[h].state, VMM_HASH_GOOD);
		ck_assert_msg(vmm_image_verify(path("x.img"), &ei) == VMM_OK, "%s", ei.message);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("image");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_is_built_is_read);
	tcase_add_test(tc, the_same_input_gives_the_same_file);
	tcase_add_test(tc, every_hash_can_be_chosen);
	tcase_add_test(tc, damage_is_found_and_named);
	tcase_add_test(tc, wrong_options_change_nothing);
	tcase_add_test(tc, a_full_disk_leaves_nothing);
	tcase_add_test(tc, an_image_can_replace_its_own_kernel);
	tcase_add_test(tc, booting_takes_the_parts);
	tcase_add_test(tc, booting_refuses_a_damaged_image);
	tcase_add_test(tc, a_fifo_is_refused_at_once);
	if (suite_has("mkimage", "image/mkimage_reads_ours"))
		tcase_add_test(tc, mkimage_reads_ours);
	if (suite_has("dtc", "image/we_read_what_mkimage_writes") &&
	    suite_has("mkimage", "image/we_read_what_mkimage_writes"))
		tcase_add_test(tc, we_read_what_mkimage_writes);
	return suite_run("image", tc);
}
