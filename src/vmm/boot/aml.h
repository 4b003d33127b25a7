/*
 * Writing AML, the byte code of ACPI's differentiated system description table, front to back into
 * a buffer. Only what the DSDT needs. ACPI 6.4, chapter 20 (encoding) and 6.4 (resources).
 *
 * A call that does not fit sets FULL and writes nothing; one check at the end is enough.
 */
#ifndef SRC_VMM_BOOT_AML_H
#define SRC_VMM_BOOT_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf;
	size_t cap;
	size_t len;
	bool full;
};

/* Where an open package started; hand it to the matching close. */
struct aml_mark {
	size_t at;
};

/* Raw bytes, for headers. */
void aml_bytes(struct aml *a, const void *bytes, size_t len);

/* Scopes, devices and methods: everything until aml_close is inside. NAME: a path ("\\_SB_") or
 * a segment of four characters. */
struct aml_mark aml_scope(struct aml *a, const char *name);
struct aml_mark aml_device(struct aml *a, const char *name);
struct aml_mark aml_method(struct aml *a, const char *name, unsigned args);
void aml_close(struct aml *a, struct aml_mark mark);

/* Name (NAME, value) */
void aml_name_integer(struct aml *a, const char *name, uint32_t value);
void aml_name_string(struct aml *a, const char *name, const char *value);
/* EISA identifiers like "PNP0501" are packed into four bytes. */
void aml_name_eisaid(struct aml *a, const char *name, const char *id);
/* A package of COUNT integers. */
void aml_name_package(struct aml *a, const char *name, const uint8_t *values, unsigned count);

/* Name (NAME, Package (COUNT) { ... }), and a package inside it; aml_close ends both. */
struct aml_mark aml_name_package_open(struct aml *a, const char *name, unsigned count);
struct aml_mark aml_package(struct aml *a, unsigned count);
void aml_integer(struct aml *a, uint32_t value);

/* Notify (PATH, value) */
void aml_notify(struct aml *a, const char *path, uint32_t value);

/* Name (_CRS, ResourceTemplate () { ... }) */
struct aml_mark aml_resources(struct aml *a);
void aml_memory32(struct aml *a, uint32_t base, uint32_t len_bytes);
void aml_io(struct aml *a, uint16_t port, uint8_t len_bytes);
/* What a bridge hands on to its bus, first to last (ACPI 6.4, 6.4.3.5). */
void aml_bus_numbers(struct aml *a, uint16_t first, uint16_t last);
void aml_io_window(struct aml *a, uint16_t first, uint16_t last);
void aml_memory_window(struct aml *a, uint64_t first, uint64_t last);
/* Edge triggered, active high. */
void aml_interrupt(struct aml *a, uint32_t gsi, bool shared);
void aml_resources_close(struct aml *a, struct aml_mark mark);

#endif
