/* Output, checks and the memory functions that the compiler may call. */
#include "rt.h"

static unsigned failures;

void rt_main(void);
void irq_init(void);

static void put(char c)
{
	outb(RT_PORT_TEXT, (uint8_t)c);
}

void print(const char *text)
{
	while (*text)
		put(*text++);
}

void print_hex(uint64_t value)
{
	print("0x");
	int shift = 60;
	while (shift > 0 && (value >> shift) == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put("0123456789abcdef"[(value >> shift) & 15]);
}

void check(const char *name, bool ok)
{
	print(ok ? "PASS " : "FAIL ");
	print(name);
	print("\n");
	if (!ok)
		failures++;
}

void check_eq(const char *name, uint64_t got, uint64_t want)
{
	if (got == want) {
		check(name, true);
		return;
	}
	print("FAIL ");
	print(name);
	print(": got ");
	print_hex(got);
	print(", want ");
	print_hex(want);
	print("\n");
	failures++;
}

_Noreturn void guest_exit(uint8_t code)
{
	for (;;) {
		outb(MACHINE_PORT_DEBUG_EXIT, code);
		irq_off();
		__asm__ volatile("hlt");
	}
}

void rt_main(void)
{
	irq_init();
	guest_main();
	guest_exit(failures != 0);
}

void *memset(void *dst, int value, size_t len)
{
	void *d = dst;
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(len) : "a"(value) : "memory");
	return dst;
}

void *memcpy(void *dst, const void *src, size_t len)
{
	void *d = dst;
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(len) : : "memory");
	return dst;
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
