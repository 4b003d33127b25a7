/*
 * Formatting without a C library: %d %i %u %x %X %c %s %p %%, with 0, -, width, precision of %s,
 * and l, ll, z. Anything else is written as it stands.
 */
#ifndef GK_CORE_FMT_H
#define GK_CORE_FMT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define GK_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Writes at most CAP bytes, always with a NUL if CAP > 0; returns how long the whole is. */
size_t fmt_v(char *out, size_t cap, const char *fmt, va_list ap) GK_PRINTF(3, 0);
size_t fmt(char *out, size_t cap, const char *format, ...) GK_PRINTF(3, 4);

/* BYTES as '512 B', '16.0 MiB' …; returns OUT. */
char *fmt_bytes(char out[static 16], uint64_t bytes);

#endif
