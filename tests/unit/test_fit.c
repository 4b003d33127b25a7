/* FIT: a right one read whole; wrong, truncated and hostile ones refused with node and property. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "fits.h"
#include "kernels.h"
#include "suite.h"
#include "vmm/boot/fit.h"
#include "vmm/boot/hash.h"

static uint8_t tree[FITS_BYTES];
static struct fit fit;
static vmm_err_info_t ei;

static vmm_err_t parse(void)
{
	return fit_parse(tree, sizeof(tree), sizeof(tree), "x.img", &fit, &ei);
}

static const vmm_image_part_t *part_named(const char *name)
{
	for (uint32_t i = 0; i < fit.info.part_count; i++)
		if (strcmp(fit.info.part[i].name, name) == 0)
			return &fit.info.part[i];
	ck_abort_msg("no part %s", name);
}

static void assert_refused(vmm_err_t code, const char *says)
{
	vmm_err_t err = parse();
	ck_assert_msg(err == code, "%d instead of %d: %s", err, code, ei.message);
	ck_assert_msg(strstr(ei.message, says) != NULL, "'%s' not in '%s'", says, ei.message);
	ck_assert_str_eq(ei.field, "x.img");
}

START_TEST(a_right_one_is_read_whole)
{
	fits_make(tree);
	ck_assert_msg(parse() == VMM_OK, "%s", ei.message);
	ck_assert_str_eq(fit.info.description, "crafted");
	ck_assert_str_eq(fit.info.configuration, "conf-1");
	ck_assert_str_eq(fit.info.cmdline, "console=ttyS0");
	ck_assert_int_eq(fit.info.timestamp, 86400);
	ck_assert_uint_eq(fit.info.part_count, 2);
	const vmm_image_part_t *k = &fit.info.part[fit.kernel];
	ck_assert_str_eq(k->name, "kernel");
	ck_assert_str_eq(k->type, "kernel");
	ck_assert_str_eq(k->description, "the kernel");
	ck_assert_str_eq(k->compression, "none");
	ck_assert_uint_eq(k->len_bytes, strlen(FITS_KERNEL));
	ck_assert_mem_eq(tree + k->offset, FITS_KERNEL, strlen(FITS_KERNEL));
	ck_assert(k->in_default);
	ck_assert_uint_eq(k->hash_count, 1);
	ck_assert_str_eq(k->hash[0].algo, "crc32");
	ck_assert_str_eq(k->hash[0].value, "c181022b");
	ck_assert_mem_eq(tree + fit.info.part[fit.ramdisk].offset, FITS_RAMDISK, 13);
	ck_assert_uint_eq(fit.policy, FIT_NONE);
	ck_assert_uint_eq(fit.info.memory_bytes, 0);
}
END_TEST

START_TEST(machine_defaults_are_read)
{
	fits_make(tree);
	fits_number(tree, "/configurations/conf-1", "vmm,memory-bytes", 64u << 20);
	fits_number(tree, "/configurations/conf-1", "vmm,cpus", 4);
	ck_assert_int_eq(parse(), VMM_OK);
	ck_assert_uint_eq(fit.info.memory_bytes, 64u << 20);
	ck_assert_uint_eq(fit.info.cpus, 4);
	fits_bytes(tree, "/configurations/conf-1", "vmm,memory-bytes", "\0\0\0\1\0\0\0\0", 8);
	ck_assert_int_eq(parse(), VMM_OK);
	ck_assert_uint_eq(fit.info.memory_bytes, 1ull << 32);
	fits_bytes(tree, "/configurations/conf-1", "vmm,memory-bytes", "123", 3);
	assert_refused(VMM_E_FORMAT, "'conf-1', property 'vmm,memory-bytes'");
	fits_make(tree);
	fits_number(tree, "/configurations/conf-1", "vmm,cpus", 33);
	assert_refused(VMM_E_FORMAT, "'vmm,cpus': must be 1 to 32");
}
END_TEST

START_TEST(configurations_are_chosen)
{
	fits_make(tree);
	fits_drop(tree, "/configurations", "default");
	ck_assert_int_eq(parse(), VMM_OK); /* there is only one */
	fits_node(tree, "/configurations", "other");
	fits_text(tree, "/configurations/other", "kernel", "kernel");
	assert_refused(VMM_E_FORMAT, "'default': must name one");
	fits_text(tree, "/configurations", "default", "other");
	ck_assert_int_eq(parse(), VMM_OK);
	ck_assert_uint_eq(fit.ramdisk, FIT_NONE);
	ck_assert_str_eq(fit.info.cmdline, "");
	ck_assert(!part_named("ramdisk")->in_default);
	fits_text(tree, "/configurations", "default", "oth");
	assert_refused(VMM_E_FORMAT, "'default': must name one");
	fits_make(tree);
	ck_assert_int_eq(fdt_del_node(tree, fits_at(tree, "/configurations")), 0);
	assert_refused(VMM_E_FORMAT, "'/configurations': missing");
	ck_assert_int_eq(fdt_del_node(tree, fits_at(tree, "/images")), 0);
	assert_refused(VMM_E_FORMAT, "'/images': missing");
}
END_TEST

START_TEST(references_are_exact)
{
	fits_make(tree);
	fits_text(tree, "/configurations/conf-1", "kernel", "kern");
	assert_refused(VMM_E_FORMAT, "'conf-1', property 'kernel': names no node");
	fits_text(tree, "/configurations/conf-1", "kernel", "ramdisk");
	assert_refused(VMM_E_FORMAT, "used as kernel, but its type is 'ramdisk'");
	fits_bytes(tree, "/configurations/conf-1", "kernel", "kernel\0other", 13);
	assert_refused(VMM_E_FORMAT, "must be one string");
	fits_bytes(tree, "/configurations/conf-1", "kernel", "kernel", 6);
	assert_refused(VMM_E_FORMAT, "must be one string");
	fits_drop(tree, "/configurations/conf-1", "kernel");
	assert_refused(VMM_E_FORMAT, "nothing to boot");
	/* libfdt's look-up would take "kernel" for this one. */
	fits_make(tree);
	ck_assert_int_eq(fdt_set_name(tree, fits_at(tree, "/images/kernel"), "kernel@1"), 0);
	assert_refused(VMM_E_FORMAT, "names no node");
	fits_make(tree);
	fits_text(tree, "/images/kernel", "arch", "arm64");
	assert_refused(VMM_E_FORMAT, "not a kernel for x86");
}
END_TEST

START_TEST(text_is_safe_to_print)
{
	fits_make(tree);
	fits_text(tree, "/", "description", "a\x1b[2Jb\n");
	ck_assert_int_eq(parse(), VMM_OK);
	ck_assert_str_eq(fit.info.description, "a?[2Jb?");
	fits_text(tree, "/configurations/conf-1", "bootargs", "quiet\ninit=/x");
	assert_refused(VMM_E_FORMAT, "'bootargs': has control characters");
}
END_TEST

START_TEST(external_data_is_located)
{
	fits_make(tree);
	fits_drop(tree, "/images/kernel", "data");
	assert_refused(VMM_E_FORMAT, "neither 'data' nor 'data-size'");
	fits_number(tree, "/images/kernel", "data-size", 12);
	assert_refused(VMM_E_FORMAT, "no 'data-offset' or 'data-position'");
	fits_number(tree, "/images/kernel", "data-offset", 8);
	ck_assert_int_eq(fit_parse(tree, sizeof(tree), sizeof(tree) + 20, "x.img", &fit, &ei),
	                 VMM_OK);
	ck_assert_uint_eq(fit.info.part[fit.kernel].offset, sizeof(tree) + 8);
	assert_refused(VMM_E_FORMAT, "truncated: 'kernel'");
	fits_number(tree, "/images/kernel", "data-offset", UINT32_MAX);
	assert_refused(VMM_E_FORMAT, "truncated: 'kernel'");
	fits_bytes(tree, "/images/kernel", "data-offset", "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	assert_refused(VMM_E_FORMAT, "truncated: 'kernel'");
	fits_number(tree, "/images/kernel", "data-position", 64);
	assert_refused(VMM_E_FORMAT, "lies within the tree");
	fits_number(tree, "/images/kernel", "data-position", sizeof(tree) + 4);
	ck_assert_int_eq(fit_parse(tree, sizeof(tree), sizeof(tree) + 16, "x.img", &fit, &ei),
	                 VMM_OK);
	ck_assert_int_eq(fit_parse(tree, sizeof(tree), sizeof(tree) + 15, "x.img", &fit, &ei),
	                 VMM_E_FORMAT);
	fits_number(tree, "/images/kernel", "data-size", 0);
	ck_assert_int_eq(fit_parse(tree, sizeof(tree), sizeof(tree) + 16, "x.img", &fit, &ei),
	                 VMM_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(ei.message, "'kernel': is empty"));
}
END_TEST

START_TEST(limits_are_kept)
{
	fits_make(tree);
	char name[32];
	for (unsigned i = 2; i < VMM_IMAGE_PARTS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "part-%u", i);
		fits_node(tree, "/images", name);
		(void)snprintf(name, sizeof(name), "/images/part-%u", i);
		fits_bytes(tree, name, "data", "x", 1);
	}
	ck_assert_int_eq(parse(), VMM_OK);
	ck_assert_uint_eq(fit.info.part_count, VMM_IMAGE_PARTS_MAX);
	fits_node(tree, "/images", "one-more");
	fits_bytes(tree, "/images/one-more", "data", "x", 1);
	assert_refused(VMM_E_LIMIT, "more than 16 parts");
	fits_make(tree);
	for (unsigned i = 2; i <= VMM_IMAGE_HASHES_MAX + 1; i++) {
		ck_assert_int_eq(parse(), VMM_OK);
		(void)snprintf(name, sizeof(name), "hash-%u", i);
		fits_node(tree, "/images/kernel", name);
		(void)snprintf(name, sizeof(name), "/images/kernel/hash-%u", i);
		fits_text(tree, name, "algo", "crc32");
		fits_number(tree, name, "value", 0);
	}
	assert_refused(VMM_E_LIMIT, "'kernel' has more than 4 hashes");
	fits_make(tree);
	static char line[2049];
	memset(line, 'x', 2047);
	fits_text(tree, "/configurations/conf-1", "bootargs", line);
	ck_assert_int_eq(parse(), VMM_OK);
	line[2047] = 'x';
	fits_text(tree, "/configurations/conf-1", "bootargs", line);
	assert_refused(VMM_E_LIMIT, "a command line of 2048 bytes");
}
END_TEST

START_TEST(malformed_hashes_are_refused)
{
	uint8_t long_value[65] = {1};
	fits_make(tree);
	fits_drop(tree, "/images/kernel/hash-1", "algo");
	assert_refused(VMM_E_FORMAT, "'kernel', property 'algo'");
	fits_text(tree, "/images/kernel/hash-1", "algo", "crc32");
	fits_bytes(tree, "/images/kernel/hash-1", "value", long_value, sizeof(long_value));
	assert_refused(VMM_E_FORMAT, "'kernel', property 'value'");
	fits_drop(tree, "/images/kernel/hash-1", "value");
	assert_refused(VMM_E_FORMAT, "'kernel', property 'value'");
}
END_TEST

/* fdt_check_full of libfdt 1.6.1 crashes on this one. */
START_TEST(old_versions_are_refused)
{
	fits_make(tree);
	fdt_set_version(tree, 3);
	fdt_set_last_comp_version(tree, 2);
	assert_refused(VMM_E_FORMAT, "not a whole flattened tree: FDT_ERR_BADVERSION");
}
END_TEST

/* With one so long that the end comes before the start, fdt_check_full of libfdt 1.6.1 never ends.
 */
START_TEST(wrapping_lengths_are_refused)
{
	static const uint32_t lengths[] = {0xfffffff4, 0xfffffff0, 0xffffffff, 0x80000000};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		fits_make(tree);
		int len;
		const struct fdt_property *p =
		        fdt_get_property(tree, fits_at(tree, "/images/kernel"), "data", &len);
		ck_assert_ptr_nonnull(p);
		fdt32_st((uint8_t *)tree + ((const uint8_t *)p - (uint8_t *)tree) + 4, lengths[i]);
		assert_refused(VMM_E_FORMAT, "not a whole flattened tree: FDT_ERR_BADSTRUCTURE");
	}
}
END_TEST

/* The two parts with one name that libfdt itself would not let a test make. */
START_TEST(a_name_twice_is_refused)
{
	fits_make(tree);
	ck_assert_int_eq(fdt_set_name(tree, fits_at(tree, "/images/ramdisk"), "kernem"), 0);
	fits_text(tree, "/configurations/conf-1", "ramdisk", "kernel");
	uint8_t *at = memmem(tree, sizeof(tree), "kernem", 7);
	ck_assert_ptr_nonnull(at);
	at[5] = 'l';
	assert_refused(VMM_E_FORMAT, "'kernel': is there twice");
}
END_TEST

/* Every prefix, and every byte changed: never more than an error. ASan watches. */
START_TEST(damage_is_survived)
{
	fits_make(tree);
	ck_assert_int_eq(fdt_pack(tree), 0);
	size_t len = fdt_totalsize(tree);
	for (size_t n = 0; n < len; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		memcpy(copy, tree, n);
		ck_assert_int_eq(fit_parse(copy, n, n, "x.img", &fit, &ei), VMM_E_FORMAT);
		free(copy);
	}
	unsigned refused = 0;
	for (size_t i = 0; i < len; i++) {
		static const uint8_t flips[] = {0x01, 0x80, 0xff};
		for (unsigned j = 0; j < sizeof(flips); j++) {
			uint8_t *copy = malloc(len);
			memcpy(copy, tree, len);
			copy[i] ^= flips[j];
			refused += fit_parse(copy, len, len, "x.img", &fit, &ei) != VMM_OK;
			free(copy);
		}
	}
	ck_assert_uint_gt(refused, len); /* the rest is descriptions, values and data */
}
END_TEST

static struct boot_part image_of(const void *bytes, size_t len)
{
	struct boot_part part = part_make(bytes, len, "x.img");
	ck_assert_msg(fit_read(&part, &fit, &ei) == VMM_OK, "%s", ei.message);
	return part;
}

START_TEST(hashes_are_checked)
{
	fits_make(tree);
	struct boot_part part = image_of(tree, sizeof(tree));
	ck_assert_int_eq(fit_hash(&part, &fit, true, &ei), VMM_OK);
	ck_assert_int_eq(fit.info.part[fit.kernel].hash[0].state, VMM_HASH_GOOD);
	ck_assert_int_eq(fit_require(&fit, "x.img", &ei), VMM_OK);
	/* One byte of the ramdisk. */
	uint8_t changed = 'R';
	ck_assert_int_eq(pwrite(part.fd, &changed, 1, (off_t)fit.info.part[fit.ramdisk].offset), 1);
	ck_assert_int_eq(fit_hash(&part, &fit, true, &ei), VMM_OK);
	ck_assert_int_eq(fit.info.part[fit.ramdisk].hash[0].state, VMM_HASH_BAD);
	ck_assert_int_eq(fit_require(&fit, "x.img", &ei), VMM_E_HASH);
	ck_assert_ptr_nonnull(strstr(ei.message, "'ramdisk' does not have its crc32, 0eded869"));
	close(part.fd);
}
END_TEST

START_TEST(a_known_hash_is_required)
{
	fits_make(tree);
	fits_text(tree, "/images/kernel/hash-1", "algo", "crc16-ccitt");
	struct boot_part part = image_of(tree, sizeof(tree));
	ck_assert_int_eq(fit_hash(&part, &fit, true, &ei), VMM_OK);
	ck_assert_int_eq(fit.info.part[fit.kernel].hash[0].state, VMM_HASH_UNKNOWN);
	ck_assert_int_eq(fit_require(&fit, "x.img", &ei), VMM_E_HASH);
	ck_assert_ptr_nonnull(strstr(ei.message, "'kernel' has no hash of a known algorithm"));
	close(part.fd);
	ck_assert_int_eq(fdt_del_node(tree, fits_at(tree, "/images/kernel/hash-1")), 0);
	part = image_of(tree, sizeof(tree));
	ck_assert_int_eq(fit_hash(&part, &fit, true, &ei), VMM_OK);
	ck_assert_int_eq(fit_require(&fit, "x.img", &ei), VMM_E_HASH);
	ck_assert_ptr_nonnull(strstr(ei.message, "'kernel' has no hash;"));
	close(part.fd);
	/* A part that nothing boots may be without. */
	fits_make(tree);
	fits_node(tree, "/images", "spare");
	fits_bytes(tree, "/images/spare", "data", "x", 1);
	part = image_of(tree, sizeof(tree));
	ck_assert_int_eq(fit_hash(&part, &fit, true, &ei), VMM_OK);
	ck_assert_int_eq(fit_require(&fit, "x.img", &ei), VMM_OK);
	close(part.fd);
}
END_TEST

START_TEST(files_that_are_no_image_are_refused)
{
	uint8_t bytes[64] = {0x7f, 'E', 'L', 'F'};
	struct boot_part part = part_make(bytes, sizeof(bytes), "x.img");
	ck_assert_int_eq(fit_read(&part, &fit, &ei), VMM_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(ei.message, "not a guest image"));
	close(part.fd);
	part = part_make(bytes, 10, "x.img");
	ck_assert_int_eq(fit_read(&part, &fit, &ei), VMM_E_FORMAT);
	close(part.fd);
	memcpy(bytes, "\xd0\x0d\xfe\xed\x7f\xff\xff\xff", 8);
	part = part_make(bytes, sizeof(bytes), "x.img");
	ck_assert_int_eq(fit_read(&part, &fit, &ei), VMM_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(ei.message, "at most"));
	close(part.fd);
	memcpy(bytes + 4, "\0\0\1\0", 4);
	part = part_make(bytes, sizeof(bytes), "x.img");
	ck_assert_int_eq(fit_read(&part, &fit, &ei), VMM_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(ei.message, "truncated within its tree"));
	close(part.fd);
}
END_TEST

/* The gzip form of LEN bytes; returns its length. */
static size_t pack(const void *bytes, size_t len, uint8_t *out, size_t cap)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes,
	              .avail_in = (uInt)len,
	              .next_out = out,
	              .avail_out = (uInt)cap};
	ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	ck_assert_int_eq(deflateEnd(&z), Z_OK);
	return cap - z.avail_out;
}

static struct boot_part packed_image(const uint8_t *data, size_t len, const char *compression)
{
	fits_make(tree);
	fits_bytes(tree, "/images/kernel", "data", data, len);
	fits_text(tree, "/images/kernel", "compression", compression);
	return image_of(tree, sizeof(tree));
}

START_TEST(a_packed_kernel_is_unpacked)
{
	static uint8_t kernel[200000], packed[8192], back[sizeof(kernel)];
	for (size_t i = 0; i < sizeof(kernel); i++)
		kernel[i] = (uint8_t)(i >> 9);
	size_t len = pack(kernel, sizeof(kernel), packed, sizeof(packed));
	struct boot_part image = packed_image(packed, len, "gzip");
	struct boot_plan plan = {0};
	int memfd;
	ck_assert_int_eq(fit_plan(&image, &fit, sizeof(kernel), &plan, &memfd, &ei), VMM_OK);
	ck_assert_int_eq(plan.kernel.fd, memfd);
	ck_assert_uint_eq(plan.kernel.len_bytes, sizeof(kernel));
	ck_assert_int_eq(pread(memfd, back, sizeof(back), 0), (ssize_t)sizeof(back));
	ck_assert_mem_eq(back, kernel, sizeof(kernel));
	ck_assert_str_eq(plan.kernel.name, "x.img:kernel");
	close(memfd);
	ck_assert_int_eq(fit_plan(&image, &fit, sizeof(kernel) - 1, &plan, &memfd, &ei),
	                 VMM_E_LIMIT);
	ck_assert_int_eq(memfd, -1);
	close(image.fd);
	for (size_t cut = 0; cut < 30; cut++) {
		image = packed_image(packed, len - 1 - cut, "gzip");
		ck_assert_int_eq(fit_plan(&image, &fit, sizeof(kernel), &plan, &memfd, &ei),
		                 VMM_E_FORMAT);
		close(image.fd);
	}
	packed[len / 2] ^= 0x10;
	image = packed_image(packed, len, "gzip");
	ck_assert_int_eq(fit_plan(&image, &fit, sizeof(kernel), &plan, &memfd, &ei), VMM_E_FORMAT);
	close(image.fd);
	image = packed_image(packed, len, "lzma");
	ck_assert_int_eq(fit_plan(&image, &fit, sizeof(kernel), &plan, &memfd, &ei),
	                 VMM_E_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(ei.message, "compression 'lzma'; must be 'none' or 'gzip'"));
	close(image.fd);
}
END_TEST

START_TEST(the_plan_is_the_configuration)
{
	fits_make(tree);
	fits_text(tree, "/images/ramdisk", "compression", "zstd"); /* the guest unpacks it */
	struct boot_part image = image_of(tree, sizeof(tree));
	struct boot_plan plan = {0};
	int memfd;
	ck_assert_int_eq(fit_plan(&image, &fit, 1 << 20, &plan, &memfd, &ei), VMM_OK);
	ck_assert_int_eq(memfd, -1);
	ck_assert_uint_eq(plan.kernel.offset, fit.info.part[fit.kernel].offset);
	ck_assert_uint_eq(plan.initrd.offset, fit.info.part[fit.ramdisk].offset);
	ck_assert_uint_eq(plan.initrd.len_bytes, 13);
	ck_assert_int_lt(plan.policy.fd, 0);
	ck_assert_str_eq(plan.cmdline, "console=ttyS0");
	close(image.fd);
	fits_text(tree, "/configurations/conf-1", "vmm,policy", "ramdisk");
	image = image_of(tree, sizeof(tree));
	ck_assert_int_eq(fit_plan(&image, &fit, 1 << 20, &plan, &memfd, &ei), VMM_E_UNSUPPORTED);
	close(image.fd);
}
END_TEST

/* Test vectors: FIPS 180-4 and RFC 1321 ("abc"); crc32 of the same by another implementation. */
START_TEST(hashes_are_the_standard_ones)
{
	static const struct {
		const char *name, *start;
		size_t len;
	} expected[] = {
	        {"sha1", "\xa9\x99\x3e\x36", 20},   {"sha256", "\xba\x78\x16\xbf", 32},
	        {"sha384", "\xcb\x00\x75\x3f", 48}, {"sha512", "\xdd\xaf\x35\xa1", 64},
	        {"md5", "\x90\x01\x50\x98", 16},    {"crc32", "\x35\x24\x41\xc2", 4},
	};
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct hash h;
		uint8_t digest[HASH_BYTES_MAX];
		const struct hash_algo *algo = hash_find(expected[i].name);
		ck_assert_ptr_nonnull(algo);
		ck_assert_uint_eq(hash_bytes(algo), expected[i].len);
		hash_begin(&h, algo);
		hash_add(&h, "a", 1);
		hash_add(&h, "bc", 2);
		hash_end(&h, digest);
		ck_assert_mem_eq(digest, expected[i].start, 4);
	}
	ck_assert_ptr_null(hash_find("sha3"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("fit");
	tcase_add_test(tc, a_right_one_is_read_whole);
	tcase_add_test(tc, machine_defaults_are_read);
	tcase_add_test(tc, configurations_are_chosen);
	tcase_add_test(tc, references_are_exact);
	tcase_add_test(tc, text_is_safe_to_print);
	tcase_add_test(tc, external_data_is_located);
	tcase_add_test(tc, limits_are_kept);
	tcase_add_test(tc, malformed_hashes_are_refused);
	tcase_add_test(tc, old_versions_are_refused);
	tcase_add_test(tc, wrapping_lengths_are_refused);
	tcase_add_test(tc, a_name_twice_is_refused);
	tcase_add_test(tc, damage_is_survived);
	tcase_add_test(tc, hashes_are_checked);
	tcase_add_test(tc, a_known_hash_is_required);
	tcase_add_test(tc, files_that_are_no_image_are_refused);
	tcase_add_test(tc, a_packed_kernel_is_unpacked);
	tcase_add_test(tc, the_plan_is_the_configuration);
	tcase_add_test(tc, hashes_are_the_standard_ones);
	return suite_run("fit", tc);
}
