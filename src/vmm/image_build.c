/*
 * Writing guest images. The tree comes first, then each part on a page boundary ('external data' of
 * mkimage -E). Each part is copied and hashed in one pass; the tree, whose length is known before,
 * is written last. The file has no name until it is complete.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "boot/boot.h"
#include "boot/fit.h"
#include "boot/part.h"
#include "errset.h"
#include "sized.h"
#include "image_tree.h"
#include "machine.h"

#define CHUNK         (128u << 10)
#define TEMP_ATTEMPTS 100u
#define ALIGN         4096ull

struct build {
	const vmm_image_build_opts_t *opts;
	struct boot_part in[IMAGE_PARTS_MAX]; /* as tree.part */
	struct image_tree tree;
	int out_fd;
	char temp[4096]; /* the temporary file's name while it has one, else empty */
	uint8_t blob[IMAGE_TREE_MAX];
	uint8_t chunk[CHUNK];
};

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static vmm_err_t check_text(const char *field, const char *text, size_t max, vmm_err_info_t *ei)
{
	if (!text)
		return VMM_OK;
	if (strlen(text) > max)
		return err_set(ei, VMM_E_LIMIT, field, "%zu bytes; at most %zu", strlen(text), max);
	if (!is_plain(text))
		return err_set(ei, VMM_E_INVAL, field, "must not have control characters");
	return VMM_OK;
}

static vmm_err_t check_machine(const vmm_image_build_opts_t *o, vmm_err_info_t *ei)
{
	if (o->cpus > VMM_CPUS_MAX)
		return err_set(ei, VMM_E_INVAL, "cpus", "%u; must be 1 to %u", o->cpus,
		               VMM_CPUS_MAX);
	if (o->memory_bytes % MACHINE_PAGE_SIZE != 0)
		return err_set(ei, VMM_E_INVAL, "memory", "%llu bytes; must be a multiple of 4 KiB",
		               (unsigned long long)o->memory_bytes);
	return VMM_OK;
}

/* A device or a pipe would be replaced by the rename. */
static vmm_err_t check_output(const char *output, vmm_err_info_t *ei)
{
	struct stat st;
	if (!output || output[0] == '\0')
		return err_set(ei, VMM_E_INVAL, "output", "no file given");
	if (lstat(output, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(ei, VMM_E_INVAL, output, "exists and is not a regular file");
	return VMM_OK;
}

static vmm_err_t choose_timestamp(const vmm_image_build_opts_t *o, uint32_t *timestamp,
                                  vmm_err_info_t *ei)
{
	int64_t when = o->timestamp;
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	if (when == -1 && epoch) {
		char *rest;
		errno = 0;
		when = strtoll(epoch, &rest, 10);
		if (errno || *rest != '\0' || rest == epoch)
			return err_set(ei, VMM_E_INVAL, "SOURCE_DATE_EPOCH",
			               "'%s' is not a number of seconds", epoch);
	} else if (when == -1) {
		when = time(NULL);
	}
	if (when < 0 || when > UINT32_MAX)
		return err_set(ei, VMM_E_INVAL, "timestamp",
		               "%lld; must be 0 to 4294967295 seconds since 1970", (long long)when);
	*timestamp = (uint32_t)when;
	return VMM_OK;
}

static vmm_err_t check_opts(struct build *b, vmm_err_info_t *ei)
{
	const vmm_image_build_opts_t *o = b->opts;
	b->tree.opts = o;
	b->tree.algo_name = o->hash ? o->hash : "sha256";
	b->tree.algo = hash_find(b->tree.algo_name);
	if (!b->tree.algo)
		return err_set(ei, VMM_E_INVAL, "hash",
		               "'%s'; must be sha256, sha384, sha512, sha1, md5 or crc32", o->hash);
	if (!o->kernel)
		return err_set(ei, VMM_E_INVAL, "kernel", "no file given");
	vmm_err_t err = check_output(o->output, ei);
	if (!err)
		err = check_text("cmdline", o->cmdline,
		                 sizeof(((vmm_image_info_t *)0)->cmdline) - 1, ei);
	if (!err)
		err = check_text("description", o->description, VMM_IMAGE_NAME_MAX - 1, ei);
	if (!err)
		err = check_machine(o, ei);
	if (!err)
		err = choose_timestamp(o, &b->tree.timestamp, ei);
	return err;
}

static vmm_err_t open_input(struct build *b, const char *name, const char *description,
                            const char *path, vmm_err_info_t *ei)
{
	if (!path)
		return VMM_OK;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(ei, errno, path, "cannot open the %s", name);
	unsigned i = b->tree.count;
	vmm_err_t err = part_of_fd(&b->in[i], fd, path, ei);
	if (err) {
		(void)close(fd);
		return err;
	}
	b->tree.count++;
	b->tree.part[i] = (struct image_tree_part){
	        .name = name, .description = description, .len_bytes = b->in[i].len_bytes};
	return VMM_OK;
}

static struct boot_part find_input(const struct build *b, const char *name)
{
	for (unsigned i = 0; i < b->tree.count; i++)
		if (strcmp(b->tree.part[i].name, name) == 0)
			return b->in[i];
	return (struct boot_part){.fd = -1};
}

/* Refuse now what could not be booted later. */
static vmm_err_t open_inputs(struct build *b, vmm_err_info_t *ei)
{
	const vmm_image_build_opts_t *o = b->opts;
	vmm_err_t err = open_input(b, "kernel", "kernel", o->kernel, ei);
	if (!err)
		err = open_input(b, "ramdisk", "initial RAM disk", o->initrd, ei);
	if (!err)
		err = open_input(b, "policy", "policy", o->policy, ei);
	if (err)
		return err;
	struct boot_plan plan = {.protocol = BOOT_AUTO,
	                         .kernel = find_input(b, "kernel"),
	                         .initrd = find_input(b, "ramdisk"),
	                         .policy = find_input(b, "policy"),
	                         .cmdline = o->cmdline ? o->cmdline : ""};
	return boot_check(&plan, o->memory_bytes ? o->memory_bytes : MACHINE_LOW_RAM_END, ei);
}

static uint64_t align_up(uint64_t value)
{
	return (value + ALIGN - 1) & ~(ALIGN - 1);
}

static vmm_err_t place_parts(struct build *b, vmm_err_info_t *ei)
{
	struct image_tree *t = &b->tree;
	size_t len = image_tree_write(b->blob, sizeof(b->blob), t);
	if (len == 0)
		return err_set(ei, VMM_E_LIMIT, b->opts->output, "the tree does not fit");
	t->data_start = (len + 3) & ~3ull;
	uint64_t at = align_up(len);
	for (unsigned i = 0; i < t->count; i++) {
		t->part[i].offset = at;
		at = align_up(at + t->part[i].len_bytes);
		if (t->part[i].len_bytes > UINT32_MAX || at - t->data_start > UINT32_MAX)
			return err_set(ei, VMM_E_LIMIT, b->in[i].name,
			               "%s is too large: a guest image holds less than 4 GiB",
			               b->in[i].name);
	}
	return VMM_OK;
}

static vmm_err_t write_at(const struct build *b, const uint8_t *p, size_t len, uint64_t at,
                          vmm_err_info_t *ei)
{
	while (len > 0) {
		ssize_t n = pwrite(b->out_fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(ei, n < 0 ? errno : EIO, b->opts->output,
			               "cannot write the image");
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return VMM_OK;
}

static vmm_err_t copy_part(struct build *b, unsigned i, vmm_err_info_t *ei)
{
	struct image_tree_part *p = &b->tree.part[i];
	struct hash hash;
	hash_begin(&hash, b->tree.algo);
	for (uint64_t at = 0; at < p->len_bytes;) {
		uint64_t left = p->len_bytes - at;
		size_t len = left < CHUNK ? (size_t)left : CHUNK;
		vmm_err_t err = part_read(&b->in[i], at, b->chunk, len, "the data", ei);
		if (!err)
			err = write_at(b, b->chunk, len, p->offset + at, ei);
		if (err)
			return err;
		hash_add(&hash, b->chunk, len);
		at += len;
	}
	hash_end(&hash, p->digest);
	return VMM_OK;
}

/* The directory part of PATH with its slash; empty for a name alone. */
static int directory_len(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (int)(slash + 1 - path) : 0;
}

static int open_directory(const char *path, int flags, mode_t mode)
{
	char dir[4096];
	int len = directory_len(path);
	int n = snprintf(dir, sizeof(dir), "%.*s", len ? len : 1, len ? path : ".");
	if (n < 0 || (size_t)n >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(dir, flags | O_CLOEXEC, mode);
}

/* A name that nobody has, given by MAKE, which returns -1 with EEXIST where somebody has it. */
static int with_new_name(struct build *b, int (*make)(const struct build *b))
{
	for (unsigned i = 0; i < TEMP_ATTEMPTS; i++) {
		int n = snprintf(b->temp, sizeof(b->temp), "%s.%ld-%u.tmp", b->opts->output,
		                 (long)getpid(), i);
		if (n < 0 || (size_t)n >= sizeof(b->temp)) {
			errno = ENAMETOOLONG;
			break;
		}
		int result = make(b);
		if (result >= 0)
			return result;
		if (errno != EEXIST)
			break;
	}
	b->temp[0] = '\0';
	return -1;
}

static int create_named(const struct build *b)
{
	return open(b->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static int link_nameless(const struct build *b)
{
	char self[64];
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", b->out_fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, b->temp, AT_SYMLINK_FOLLOW);
}

/* Without a name where the file system can do that: a killed process leaves nothing behind. */
static vmm_err_t open_output(struct build *b, vmm_err_info_t *ei)
{
	b->out_fd = open_directory(b->opts->output, O_TMPFILE | O_RDWR, 0666);
	if (b->out_fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		b->out_fd = with_new_name(b, create_named);
	if (b->out_fd < 0)
		return err_sys(ei, errno, b->opts->output, "cannot create a file beside it");
	return VMM_OK;
}

static vmm_err_t publish(struct build *b, vmm_err_info_t *ei)
{
	const char *output = b->opts->output;
	if (fsync(b->out_fd) < 0)
		return err_sys(ei, errno, output, "cannot write the image");
	if (b->temp[0] == '\0' && with_new_name(b, link_nameless) < 0)
		return err_sys(ei, errno, output, "cannot name the finished image");
	if (rename(b->temp, output) < 0)
		return err_sys(ei, errno, output, "cannot put the finished image there");
	b->temp[0] = '\0';
	int dir = open_directory(output, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return VMM_OK;
	int synced = fsync(dir);
	int why = errno;
	(void)close(dir);
	/* Some file systems have nothing to sync there. */
	if (synced < 0 && why != EINVAL)
		return err_sys(ei, why, output, "cannot make its directory entry durable");
	return VMM_OK;
}

static vmm_err_t write_image(struct build *b, vmm_err_info_t *ei)
{
	vmm_err_t err = place_parts(b, ei);
	if (!err)
		err = open_output(b, ei);
	for (unsigned i = 0; i < b->tree.count && !err; i++)
		err = copy_part(b, i, ei);
	if (err)
		return err;
	size_t len = image_tree_write(b->blob, sizeof(b->blob), &b->tree);
	err = write_at(b, b->blob, len, 0, ei);
	return err ? err : publish(b, ei);
}

static void release(struct build *b)
{
	if (b->temp[0] != '\0')
		(void)unlink(b->temp);
	if (b->out_fd >= 0)
		(void)close(b->out_fd);
	for (unsigned i = 0; i < b->tree.count; i++)
		(void)close(b->in[i].fd);
	free(b);
}

vmm_err_t vmm_image_build(const vmm_image_build_opts_t *opts, vmm_err_info_t *ei)
{
	if (!sized_opts(opts, sizeof(*opts), ei))
		return VMM_E_INVAL;
	struct build *b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(ei, VMM_E_NOMEM, "image", "out of memory");
	b->opts = opts;
	b->out_fd = -1;
	vmm_err_t err = check_opts(b, ei);
	if (!err)
		err = open_inputs(b, ei);
	if (!err)
		err = write_image(b, ei);
	release(b);
	return err;
}
