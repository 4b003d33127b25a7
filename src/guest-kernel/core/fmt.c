/* Formatting. See fmt.h. */
#include "guest-kernel/core/fmt.h"

#include <stdbool.h>
#include <string.h>

struct sink {
	char *out;
	size_t cap, len;
};

struct spec {
	bool left, zero;
	size_t width;
	size_t precision; /* SIZE_MAX: none */
	unsigned longs;
};

static void put(struct sink *s, char c)
{
	if (s->len + 1 < s->cap)
		s->out[s->len] = c;
	s->len++;
}

static void pad(struct sink *s, size_t from, size_t to, char with)
{
	for (size_t i = from; i < to; i++)
		put(s, with);
}

static void put_text(struct sink *s, const struct spec *f, const char *text)
{
	text = text ? text : "(null)";
	size_t n = strnlen(text, f->precision);
	if (!f->left)
		pad(s, n, f->width, ' ');
	for (size_t i = 0; i < n; i++)
		put(s, text[i]);
	if (f->left)
		pad(s, n, f->width, ' ');
}

static void put_number(struct sink *s, const struct spec *f, uint64_t v, unsigned base, bool minus,
                       const char *digits)
{
	char text[24];
	size_t n = 0;
	do {
		text[n++] = digits[v % base];
		v /= base;
	} while (v);
	size_t all = n + minus;
	if (!f->left && !f->zero)
		pad(s, all, f->width, ' ');
	if (minus)
		put(s, '-');
	if (!f->left && f->zero)
		pad(s, all, f->width, '0');
	while (n > 0)
		put(s, text[--n]);
	if (f->left)
		pad(s, all, f->width, ' ');
}

static size_t read_count(const char **p)
{
	size_t n = 0;
	for (; **p >= '0' && **p <= '9'; (*p)++)
		n = n < 4096 ? n * 10 + (size_t)(**p - '0') : n;
	return n;
}

static size_t count_arg(const char **p, va_list *ap)
{
	if (**p != '*')
		return read_count(p);
	(*p)++;
	int n = va_arg(*ap, int);
	return n > 0 ? (size_t)n : 0;
}

static struct spec read_spec(const char **p, va_list *ap)
{
	struct spec f = {.precision = SIZE_MAX};
	for (;; (*p)++) {
		if (**p == '-')
			f.left = true;
		else if (**p == '0')
			f.zero = true;
		else
			break;
	}
	f.width = count_arg(p, ap);
	if (**p == '.') {
		(*p)++;
		f.precision = count_arg(p, ap);
	}
	for (; **p == 'l' || **p == 'z'; (*p)++)
		f.longs++;
	return f;
}

static void put_signed(struct sink *s, const struct spec *f, va_list *ap)
{
	int64_t v = f->longs ? va_arg(*ap, long) : va_arg(*ap, int);
	put_number(s, f, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, "0123456789");
}

static void put_unsigned(struct sink *s, const struct spec *f, char kind, va_list *ap)
{
	uint64_t v = f->longs ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned);
	put_number(s, f, v, kind == 'u' ? 10 : 16, false,
	           kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef");
}

static void put_pointer(struct sink *s, const struct spec *f, const void *p)
{
	put(s, '0');
	put(s, 'x');
	put_number(s, f, (uintptr_t)p, 16, false, "0123456789abcdef");
}

static void put_one(struct sink *s, const struct spec *f, char kind, va_list *ap)
{
	switch (kind) {
	case 'd':
	case 'i':
		put_signed(s, f, ap);
		break;
	case 'u':
	case 'x':
	case 'X':
		put_unsigned(s, f, kind, ap);
		break;
	case 'c':
		put(s, (char)va_arg(*ap, int));
		break;
	case 's':
		put_text(s, f, va_arg(*ap, const char *));
		break;
	case 'p':
		put_pointer(s, f, va_arg(*ap, const void *));
		break;
	default:
		put(s, kind);
		break;
	}
}

size_t fmt_v(char *out, size_t cap, const char *format, va_list args)
{
	struct sink s = {out, cap, 0};
	va_list ap;
	va_copy(ap, args);
	for (const char *p = format; *p; p++) {
		if (*p != '%') {
			put(&s, *p);
			continue;
		}
		p++;
		struct spec f = read_spec(&p, &ap);
		if (*p == '\0')
			break;
		put_one(&s, &f, *p, &ap);
	}
	va_end(ap);
	if (cap > 0)
		out[s.len < cap ? s.len : cap - 1] = '\0';
	return s.len;
}

size_t fmt(char *out, size_t cap, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	size_t n = fmt_v(out, cap, format, ap);
	va_end(ap);
	return n;
}

char *fmt_bytes(char out[static 16], uint64_t bytes)
{
	static const char units[][4] = {"KiB", "MiB", "GiB", "TiB"};
	if (bytes < 1024) {
		(void)fmt(out, 16, "%lu B", (unsigned long)bytes);
		return out;
	}
	unsigned unit = 0;
	uint64_t tenths = bytes * 10 / 1024;
	for (; tenths >= 10240 && unit < 3; unit++)
		tenths /= 1024;
	(void)fmt(out, 16, "%lu.%lu %s", (unsigned long)tenths / 10, (unsigned long)tenths % 10,
	          units[unit]);
	return out;
}
