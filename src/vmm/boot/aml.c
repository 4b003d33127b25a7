/* Writing AML. See aml.h; opcodes: ACPI 6.4, 20.2.5 and 20.3. */
#include "aml.h"

#include <string.h>

#define NAME_OP     0x08
#define BYTE_OP     0x0a
#define WORD_OP     0x0b
#define DWORD_OP    0x0c
#define STRING_OP   0x0d
#define SCOPE_OP    0x10
#define BUFFER_OP   0x11
#define PACKAGE_OP  0x12
#define METHOD_OP   0x14
#define EXT_OP      0x5b
#define DEVICE_OP   0x82 /* after EXT_OP */
#define NOTIFY_OP   0x86

#define SEGMENT_LEN 4u
/* A PkgLength of three bytes: up to 1 MiB, and it can be filled in later. */
#define PKG_LEN_BYTES 3u

/* Resource descriptors: ACPI 6.4, 6.4.2 and 6.4.3. */
#define RES_IO             0x47
#define RES_END            0x79
#define RES_MEMORY32       0x86
#define RES_DWORD          0x87
#define RES_WORD           0x88
#define RES_INTERRUPT      0x89
#define RES_QWORD          0x8a
#define INTERRUPT_CONSUMER 0x01
#define INTERRUPT_EDGE     0x02
#define INTERRUPT_SHARED   0x08

void aml_bytes(struct aml *a, const void *bytes, size_t len)
{
	if (a->full || len > a->cap - a->len) {
		a->full = true;
		return;
	}
	memcpy(a->buf + a->len, bytes, len);
	a->len += len;
}

static void put8(struct aml *a, unsigned v)
{
	uint8_t b = (uint8_t)v;
	aml_bytes(a, &b, 1);
}

static void put16(struct aml *a, unsigned v)
{
	put8(a, v & 0xff);
	put8(a, v >> 8);
}

static void put32(struct aml *a, uint32_t v)
{
	put16(a, v & 0xffff);
	put16(a, v >> 16);
}

/* A path of segments joined by dots, perhaps from the root: 20.2.2. */
static void put_name(struct aml *a, const char *name)
{
	size_t len = strlen(name);
	if (len > 0 && name[0] == '\\') {
		put8(a, '\\');
		name++;
		len--;
	}
	if (len > SEGMENT_LEN)
		put8(a, 0x2e); /* DualNamePrefix: two segments */
	aml_bytes(a, name, len < SEGMENT_LEN ? len : SEGMENT_LEN);
	if (len > SEGMENT_LEN)
		aml_bytes(a, name + SEGMENT_LEN + 1, SEGMENT_LEN);
}

static struct aml_mark open_package(struct aml *a)
{
	struct aml_mark mark = {a->len};
	aml_bytes(a, (const uint8_t[PKG_LEN_BYTES]){0}, PKG_LEN_BYTES);
	return mark;
}

/* The length counts itself: 20.2.4. */
void aml_close(struct aml *a, struct aml_mark mark)
{
	if (a->full)
		return;
	size_t len = a->len - mark.at;
	uint8_t *p = a->buf + mark.at;
	p[0] = (uint8_t)(0x80 | (len & 0xf));
	p[1] = (uint8_t)(len >> 4);
	p[2] = (uint8_t)(len >> 12);
}

struct aml_mark aml_scope(struct aml *a, const char *name)
{
	put8(a, SCOPE_OP);
	struct aml_mark mark = open_package(a);
	put_name(a, name);
	return mark;
}

struct aml_mark aml_device(struct aml *a, const char *name)
{
	put8(a, EXT_OP);
	put8(a, DEVICE_OP);
	struct aml_mark mark = open_package(a);
	put_name(a, name);
	return mark;
}

struct aml_mark aml_method(struct aml *a, const char *name, unsigned args)
{
	put8(a, METHOD_OP);
	struct aml_mark mark = open_package(a);
	put_name(a, name);
	put8(a, args & 7);
	return mark;
}

static void put_integer(struct aml *a, uint32_t v)
{
	if (v <= 1) {
		put8(a, v); /* ZeroOp, OneOp */
	} else if (v <= 0xff) {
		put8(a, BYTE_OP);
		put8(a, v);
	} else if (v <= 0xffff) {
		put8(a, WORD_OP);
		put16(a, v);
	} else {
		put8(a, DWORD_OP);
		put32(a, v);
	}
}

static void name_op(struct aml *a, const char *name)
{
	put8(a, NAME_OP);
	put_name(a, name);
}

void aml_name_integer(struct aml *a, const char *name, uint32_t value)
{
	name_op(a, name);
	put_integer(a, value);
}

void aml_name_string(struct aml *a, const char *name, const char *value)
{
	name_op(a, name);
	put8(a, STRING_OP);
	aml_bytes(a, value, strlen(value) + 1);
}

static unsigned hex_digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10) & 0xf;
}

/* Three letters of five bits, four hexadecimal digits; big endian. ACPI 6.4, 19.3.4. */
void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
	unsigned letters = (unsigned)(id[0] & 0x1f) << 10 | (unsigned)(id[1] & 0x1f) << 5 |
	                   (unsigned)(id[2] & 0x1f);
	unsigned number = hex_digit(id[3]) << 12 | hex_digit(id[4]) << 8 | hex_digit(id[5]) << 4 |
	                  hex_digit(id[6]);
	name_op(a, name);
	put8(a, DWORD_OP);
	put8(a, letters >> 8);
	put8(a, letters & 0xff);
	put8(a, number >> 8);
	put8(a, number & 0xff);
}

void aml_name_package(struct aml *a, const char *name, const uint8_t *values, unsigned count)
{
	struct aml_mark mark = aml_name_package_open(a, name, count);
	for (unsigned i = 0; i < count; i++)
		put_integer(a, values[i]);
	aml_close(a, mark);
}

struct aml_mark aml_package(struct aml *a, unsigned count)
{
	put8(a, PACKAGE_OP);
	struct aml_mark mark = open_package(a);
	put8(a, count);
	return mark;
}

struct aml_mark aml_name_package_open(struct aml *a, const char *name, unsigned count)
{
	name_op(a, name);
	return aml_package(a, count);
}

void aml_integer(struct aml *a, uint32_t value)
{
	put_integer(a, value);
}

void aml_notify(struct aml *a, const char *path, uint32_t value)
{
	put8(a, NOTIFY_OP);
	put_name(a, path);
	put_integer(a, value);
}

/* The buffer's size precedes its bytes; a word constant that aml_resources_close fills in. */
struct aml_mark aml_resources(struct aml *a)
{
	name_op(a, "_CRS");
	put8(a, BUFFER_OP);
	struct aml_mark mark = open_package(a);
	put8(a, WORD_OP);
	put16(a, 0);
	return mark;
}

void aml_resources_close(struct aml *a, struct aml_mark mark)
{
	put8(a, RES_END);
	put8(a, 0); /* no checksum */
	aml_close(a, mark);
	if (a->full)
		return;
	size_t size_at = mark.at + PKG_LEN_BYTES + 1;
	size_t len = a->len - (size_at + 2);
	a->buf[size_at] = (uint8_t)len;
	a->buf[size_at + 1] = (uint8_t)(len >> 8);
}

void aml_memory32(struct aml *a, uint32_t base, uint32_t len_bytes)
{
	put8(a, RES_MEMORY32);
	put16(a, 9);
	put8(a, 1); /* writable */
	put32(a, base);
	put32(a, len_bytes);
}

void aml_io(struct aml *a, uint16_t port, uint8_t len_bytes)
{
	put8(a, RES_IO);
	put8(a, 1); /* decodes 16 bits */
	put16(a, port);
	put16(a, port);
	put8(a, 1);
	put8(a, len_bytes);
}

/* Address space descriptors: fixed minimum and maximum, decoded positively, produced. */
#define SPACE_MEMORY 0u
#define SPACE_IO     1u
#define SPACE_BUS    2u
#define SPACE_FIXED  0x0cu
#define SPACE_RANGE  0x03u /* of I/O: ISA and other addresses */
#define SPACE_WRITES 0x01u /* of memory */

static void word_space(struct aml *a, unsigned type, unsigned flags, uint16_t first, uint16_t last)
{
	put8(a, RES_WORD);
	put16(a, 13);
	put8(a, type);
	put8(a, SPACE_FIXED);
	put8(a, flags);
	put16(a, 0);
	put16(a, first);
	put16(a, last);
	put16(a, 0);
	put16(a, (unsigned)(last - first + 1));
}

void aml_bus_numbers(struct aml *a, uint16_t first, uint16_t last)
{
	word_space(a, SPACE_BUS, 0, first, last);
}

void aml_io_window(struct aml *a, uint16_t first, uint16_t last)
{
	word_space(a, SPACE_IO, SPACE_RANGE, first, last);
}

static void put64(struct aml *a, uint64_t v)
{
	put32(a, (uint32_t)v);
	put32(a, (uint32_t)(v >> 32));
}

static void put_low(struct aml *a, uint64_t v)
{
	put32(a, (uint32_t)v);
}

void aml_memory_window(struct aml *a, uint64_t first, uint64_t last)
{
	bool wide = last >> 32;
	void (*put)(struct aml *, uint64_t) = wide ? put64 : put_low;
	put8(a, wide ? RES_QWORD : RES_DWORD);
	put16(a, wide ? 43 : 23);
	put8(a, SPACE_MEMORY);
	put8(a, SPACE_FIXED);
	put8(a, SPACE_WRITES);
	put(a, 0);
	put(a, first);
	put(a, last);
	put(a, 0);
	put(a, last - first + 1);
}

void aml_interrupt(struct aml *a, uint32_t gsi, bool shared)
{
	put8(a, RES_INTERRUPT);
	put16(a, 6);
	put8(a, INTERRUPT_CONSUMER | INTERRUPT_EDGE | (shared ? INTERRUPT_SHARED : 0u));
	put8(a, 1);
	put32(a, gsi);
}
