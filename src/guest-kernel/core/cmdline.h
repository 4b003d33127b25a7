/* The command line: words of KEY=VALUE or KEY, where "double quotes" keep blanks together. */
#ifndef GK_CORE_CMDLINE_H
#define GK_CORE_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-kernel/arch/arch.h"

struct cmdline_iter {
	const char *at;
	const char *key;
};

/* For each word with that key: its value, without its quotes; not NUL-terminated. */
struct cmdline_iter cmdline_start(const char *cmdline, const char *key);
bool cmdline_next(struct cmdline_iter *it, const char **value, size_t *len);

/* The last word with that key, copied and terminated; false if there is none or it is too long. */
bool cmdline_get(const char *cmdline, const char *key, char *out, size_t cap);

/*
 * Decimal, or hexadecimal after 0x. Returns how many of the LEN characters belong to the number, 0
 * if there is none or it exceeds 64 bits. parse_size takes a suffix K, M or G as well.
 */
size_t parse_number(const char *text, size_t len, uint64_t *out);
size_t parse_size(const char *text, size_t len, uint64_t *out);

/*
 * SIZE@BASE:GSI[:ID], as Linux has it (admin-guide/kernel-parameters, virtio_mmio.device): all LEN
 * characters. False, and OUT is untouched: it is not that, there is no room for the registers, they
 * are not below 4 GiB, or there is no such line.
 */
bool parse_virtio_slot(const char *text, size_t len, struct arch_virtio_slot *out);

#endif
