/* What gcc and libfdt expect of a C library, whatever it is freestanding from. */
#include <stdlib.h>
#include <string.h>

#include "x86.h"

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	void *d = to;
	const void *s = from;
	size_t words = len / 8, rest = len % 8;
	__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(rest) : : "memory");
	return to;
}

void *memset(void *to, int value, size_t len)
{
	void *d = to;
	uint64_t fill = (uint8_t)value * 0x0101010101010101ull;
	size_t words = len / 8, rest = len % 8;
	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(fill) : "memory");
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(fill) : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	char *d = to;
	const char *s = from;
	if ((uintptr_t)to - (uintptr_t)from >= len)
		return memcpy(to, from, len);
	while (len-- > 0) {
		d[len] = s[len];
		__asm__ volatile("" : : : "memory"); /* or gcc makes a call of memmove of it */
	}
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;
	for (size_t i = 0; i < len; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;
	while (n < max && s[n])
		n++;
	return n;
}

size_t strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t max)
{
	for (size_t i = 0; i < max; i++) {
		if (a[i] != b[i])
			return (uint8_t)a[i] - (uint8_t)b[i];
		if (a[i] == '\0')
			break;
	}
	return 0;
}

void *memchr(const void *s, int c, size_t len)
{
	const uint8_t *p = s;
	for (size_t i = 0; i < len; i++) {
		if (p[i] == (uint8_t)c)
			return (void *)(uintptr_t)(p + i);
	}
	return NULL;
}

char *strchr(const char *s, int c)
{
	return memchr(s, c, strlen(s) + 1);
}

char *strrchr(const char *s, int c)
{
	char *found = NULL;
	for (size_t i = 0, n = strlen(s) + 1; i < n; i++) {
		if (s[i] == (char)c)
			found = (char *)(uintptr_t)(s + i);
	}
	return found;
}
