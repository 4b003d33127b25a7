/* A crafted guest image for the FIT tests, and the ways to make it wrong. */
#ifndef TESTS_UNIT_FITS_H
#define TESTS_UNIT_FITS_H

#include <check.h>
#include <libfdt.h>
#include <stdint.h>
#include <string.h>

#define FITS_BYTES   16384u
#define FITS_KERNEL  "kernel bytes"  /* crc32 c181022b */
#define FITS_RAMDISK "ramdisk bytes" /* crc32 0eded869 */

static inline int fits_at(const void *fit, const char *path)
{
	int node = fdt_path_offset(fit, path);
	ck_assert_msg(node >= 0, "no node %s", path);
	return node;
}

static inline void fits_node(void *fit, const char *parent, const char *name)
{
	ck_assert_int_ge(fdt_add_subnode(fit, fits_at(fit, parent), name), 0);
}

static inline void fits_bytes(void *fit, const char *path, const char *prop, const void *value,
                              size_t len)
{
	ck_assert_int_eq(fdt_setprop(fit, fits_at(fit, path), prop, value, (int)len), 0);
}

static inline void fits_text(void *fit, const char *path, const char *prop, const char *value)
{
	fits_bytes(fit, path, prop, value, strlen(value) + 1);
}

static inline void fits_number(void *fit, const char *path, const char *prop, uint32_t value)
{
	ck_assert_int_eq(fdt_setprop_u32(fit, fits_at(fit, path), prop, value), 0);
}

static inline void fits_drop(void *fit, const char *path, const char *prop)
{
	ck_assert_int_eq(fdt_delprop(fit, fits_at(fit, path), prop), 0);
}

/* A kernel and a ramdisk, embedded, each with a right crc32. FIT has FITS_BYTES. */
static inline void fits_make(void *fit)
{
	memset(fit, 0, FITS_BYTES);
	ck_assert_int_eq(fdt_create_empty_tree(fit, FITS_BYTES), 0);
	fits_text(fit, "/", "description", "crafted");
	fits_number(fit, "/", "timestamp", 86400);
	fits_node(fit, "/", "configurations");
	fits_node(fit, "/", "images");
	fits_node(fit, "/images", "ramdisk");
	fits_text(fit, "/images/ramdisk", "type", "ramdisk");
	fits_bytes(fit, "/images/ramdisk", "data", FITS_RAMDISK, strlen(FITS_RAMDISK));
	fits_node(fit, "/images/ramdisk", "hash-1");
	fits_text(fit, "/images/ramdisk/hash-1", "algo", "crc32");
	fits_number(fit, "/images/ramdisk/hash-1", "value", 0x0eded869);
	fits_node(fit, "/images", "kernel");
	fits_text(fit, "/images/kernel", "description", "the kernel");
	fits_text(fit, "/images/kernel", "type", "kernel");
	fits_text(fit, "/images/kernel", "arch", "x86_64");
	fits_bytes(fit, "/images/kernel", "data", FITS_KERNEL, strlen(FITS_KERNEL));
	fits_node(fit, "/images/kernel", "hash-1");
	fits_text(fit, "/images/kernel/hash-1", "algo", "crc32");
	fits_number(fit, "/images/kernel/hash-1", "value", 0xc181022b);
	fits_text(fit, "/configurations", "default", "conf-1");
	fits_node(fit, "/configurations", "conf-1");
	fits_text(fit, "/configurations/conf-1", "kernel", "kernel");
	fits_text(fit, "/configurations/conf-1", "ramdisk", "ramdisk");
	fits_text(fit, "/configurations/conf-1", "bootargs", "console=ttyS0");
}

#endif
