/* See text.h. */
#include "guest-kernel/mm/text.h"

static size_t length(const char *s)
{
	size_t n = 0;
	while (s[n])
		n++;
	return n;
}

static void pad(const struct mm_sink *to, size_t has, size_t width)
{
	for (; has < width; has++)
		to->write(to->ctx, " ", 1);
}

void text_put(const struct mm_sink *to, const char *s)
{
	to->write(to->ctx, s, length(s));
}

void text_word(const struct mm_sink *to, const char *s, unsigned width)
{
	text_put(to, s);
	pad(to, length(s), width);
}

static size_t digits(char out[static 20], uint64_t n, unsigned base)
{
	size_t len = 0;
	do
		out[19 - len++] = "0123456789abcdef"[n % base];
	while (n /= base);
	return len;
}

void text_number(const struct mm_sink *to, uint64_t n, unsigned width)
{
	char text[20];
	size_t len = digits(text, n, 10);
	pad(to, len, width);
	to->write(to->ctx, text + 20 - len, len);
}

void text_put_hex(const struct mm_sink *to, uint64_t n)
{
	char text[20];
	size_t len = digits(text, n, 16);
	text_put(to, len < 2 ? "0x0" : "0x");
	to->write(to->ctx, text + 20 - len, len);
}

void text_line(const struct mm_sink *to, const char *label, uint64_t n, const char *unit)
{
	text_put(to, label);
	pad(to, length(label), 16);
	text_number(to, n, 12);
	text_put(to, unit);
	text_put(to, "\n");
}
