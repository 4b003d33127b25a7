/* `vmm image`: what it prints, what it refuses, and the statuses it ends with. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels.h"
#include "suite.h"
#include "vmm/cli/cli.h"

static char dir[64];
static char text[16384]; /* what the last call printed, both streams */

static const char *path(const char *name)
{
	static char paths[8][96];
	static unsigned turn;
	char *p = paths[turn++ % 8];
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

/* In a process of its own, so that its streams can go to a file. */
static int call(int argc, const char **argv)
{
	char out[96];
	(void)snprintf(out, sizeof(out), "%s/out", dir);
	(void)fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (!freopen(out, "w", stdout) || dup2(fileno(stdout), 2) < 0)
			_exit(99);
		int status = cmd_image(argc, (char **)(uintptr_t)argv);
		(void)fflush(NULL);
		_exit(status);
	}
	int status = -1;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	FILE *f = fopen(out, "rb");
	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	return WEXITSTATUS(status);
}

#define CALL(...)                                                                 \
	call((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)), \
	     (const char *[]){__VA_ARGS__, NULL})

static void says(const char *what)
{
	ck_assert_msg(strstr(text, what) != NULL, "'%s' not in:\n%s", what, text);
}

static void setup(void)
{
	static uint8_t elf[ELF_BYTES];
	(void)snprintf(dir, sizeof(dir), "/tmp/vmm-cli-image-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	elf_make(elf);
	put("vmlinux", elf, sizeof(elf));
	put("initrd", "ramdisk", 7);
}

static void teardown(void)
{
	static const char *const names[] = {"vmlinux", "initrd", "guest.img", "out"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(path(names[i]));
	ck_assert_int_eq(rmdir(dir), 0);
}

static int build_guest(void)
{
	char kernel[128];
	(void)snprintf(kernel, sizeof(kernel), "--kernel=%s", path("vmlinux"));
	return CALL("image", "build", "-o", path("guest.img"), kernel, "--initrd", path("initrd"),
	            "-a", "console=ttyS0", "-m", "64M", "--cpus", "2", "--timestamp", "0");
}

START_TEST(build_inspect_verify)
{
	ck_assert_int_eq(build_guest(), CLI_OK);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(CALL("image", "inspect", path("guest.img")), CLI_OK);
	says("made:         1970-01-01 00:00:00 UTC");
	says("command line: console=ttyS0");
	says("memory:       64.0 MiB");
	says("cpus:         2");
	says("ramdisk: ramdisk, 7 bytes at ");
	says(": good\n");
	ck_assert_int_eq(CALL("image", "verify", path("guest.img")), CLI_OK);
	says("guest.img: good\n");
}
END_TEST

START_TEST(damage_has_its_status)
{
	ck_assert_int_eq(build_guest(), CLI_OK);
	FILE *f = fopen(path("guest.img"), "r+b");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fseek(f, -1, SEEK_END), 0);
	ck_assert_int_eq(fputc('!', f), '!');
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(CALL("image", "verify", path("guest.img")), CLI_BAD_IMAGE);
	says("part 'ramdisk' does not have its sha256");
	ck_assert_int_eq(CALL("image", "inspect", path("guest.img")), CLI_BAD_IMAGE);
	says(": BAD\n");
	ck_assert_int_eq(CALL("image", "verify", path("vmlinux")), CLI_BAD_IMAGE);
	says("is not a guest image");
	/* The worst of several; the others are looked at too. */
	ck_assert_int_eq(CALL("image", "verify", path("absent"), path("guest.img")), CLI_BAD_IMAGE);
	says("absent: cannot open the image");
	says("part 'ramdisk'");
	ck_assert_int_eq(CALL("image", "verify", path("absent")), CLI_HOST_ERROR);
}
END_TEST

START_TEST(wrong_usage_is_explained)
{
	ck_assert_int_eq(CALL("image"), CLI_USAGE);
	says("usage: vmm image build");
	ck_assert_int_eq(CALL("image", "biuld"), CLI_USAGE);
	says("vmm image: biuld: is build meant?");
	ck_assert_int_eq(CALL("image", "build", "--kernal", "x"), CLI_USAGE);
	says("vmm image: --kernal: there is no such option; is --kernel meant?");
	ck_assert_int_eq(CALL("image", "build", "--kernel"), CLI_USAGE);
	says("vmm image: --kernel: needs a value");
	ck_assert_int_eq(CALL("image", "build", "-m", "12", "-o", "x"), CLI_USAGE);
	says("vmm image: --memory: '12': must be a size");
	ck_assert_int_eq(CALL("image", "build", "-c", "0"), CLI_USAGE);
	says("vmm image: --cpus: '0': must be 1 to 32");
	ck_assert_int_eq(CALL("image", "build", "vmlinux"), CLI_USAGE);
	says("vmm image: vmlinux: files are named by options");
	ck_assert_int_eq(CALL("image", "build", "-o", "x"), CLI_USAGE);
	says("vmm image: --kernel: missing");
	ck_assert_int_eq(CALL("image", "build", "-k", path("vmlinux"), "-o", path("guest.img"),
	                      "--hash", "sha3"),
	                 CLI_USAGE);
	says("vmm image: hash: 'sha3'; must be sha256");
	ck_assert_int_eq(CALL("image", "verify"), CLI_USAGE);
	ck_assert_int_eq(CALL("image", "inspect", "--all"), CLI_USAGE);
	ck_assert_int_eq(access(path("guest.img"), F_OK), -1);
}
END_TEST

START_TEST(help_teaches)
{
	ck_assert_int_eq(CALL("image", "--help"), CLI_OK);
	says("vmm run guest.img");
	ck_assert_int_eq(CALL("image", "build", "--help"), CLI_OK);
	says("--timestamp SECONDS");
	ck_assert_int_eq(CALL("image", "verify", "-h"), CLI_OK);
	says("Exit status");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("cli_image");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, build_inspect_verify);
	tcase_add_test(tc, damage_has_its_status);
	tcase_add_test(tc, wrong_usage_is_explained);
	tcase_add_test(tc, help_teaches);
	return suite_run("cli_image", tc);
}
