/* The bench guest: take the parameters, measure one kind of exit, leave the samples in memory. */
#include <stddef.h>

#include "cpu.h"
#include "guest.h"

#define PORT_DEBUG_EXIT 0xf4u
#define PORT_COM1       0x3f8u
#define PAGE            4096u

void bench_kernel_main(void);
void bench_user_main(void);
void *memset(void *dst, int value, size_t len);
void *memcpy(void *dst, const void *src, size_t len);

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

static bool at_cpl_3(void)
{
	uint16_t cs;
	__asm__("movw %%cs, %0" : "=r"(cs));
	return (cs & 3) == 3;
}

void mark(enum bench_mark what)
{
	if (at_cpl_3())
		store32(BENCH_MMIO_MARK, what);
	else
		outl(BENCH_PORT_MARK, what);
}

_Noreturn void bench_exit(enum bench_end end)
{
	bool user = at_cpl_3();
	for (;;) {
		if (user)
			store32(BENCH_MMIO_END, end);
		else
			outb(PORT_DEBUG_EXIT, (uint8_t)end);
	}
}

static void nothing(struct bench_sample *s)
{
	(void)s;
	__asm__ volatile("" : : : "memory");
}

static const struct kind floor_kind = {.round = nothing};

/* The same code measures the floor and the case: what differs is the round. */
__attribute__((noinline)) static uint32_t measure(const struct kind *k, struct bench_sample *s,
                                                  uint32_t count, uint64_t end)
{
	uint32_t i = 0;
	while (i < count) {
		if (k->before)
			k->before();
		uint64_t t0 = stamp();
		k->round(&s[i]);
		uint64_t t1 = stamp();
		if (!k->own)
			s[i] = (struct bench_sample){t0, t1};
		i++;
		if (t1 >= end)
			break;
	}
	return i;
}

/* A page fault of the host's must not fall into a sample. */
static void touch_samples(uint32_t count)
{
	uint64_t end = BENCH_SAMPLES + (uint64_t)count * sizeof(struct bench_sample);
	for (uint64_t at = BENCH_SAMPLES; at < end; at += PAGE)
		*(volatile uint64_t *)at = 0;
	for (uint64_t at = BENCH_FLOOR; at < BENCH_FLOOR + BENCH_FLOOR_COUNT * 8; at += PAGE)
		*(volatile uint64_t *)at = 0;
}

static void measure_floor(void)
{
	struct bench_sample *s = (struct bench_sample *)BENCH_SAMPLES;
	uint64_t *floor = (uint64_t *)BENCH_FLOOR;
	uint32_t room = params()->count < BENCH_FLOOR_COUNT ? params()->count : BENCH_FLOOR_COUNT;
	(void)measure(&floor_kind, s, room, UINT64_MAX);
	(void)measure(&floor_kind, s, room, UINT64_MAX);
	for (uint32_t i = 0; i < BENCH_FLOOR_COUNT; i++)
		floor[i] = s[i % room].end - s[i % room].begin;
}

static _Noreturn void run(const struct kind *k)
{
	struct bench_result *r = result();
	struct bench_sample *s = (struct bench_sample *)BENCH_SAMPLES;
	touch_samples(params()->count);
	if (k->prepare && !k->prepare())
		bench_exit(BENCH_END_ABSENT);
	measure_floor();
	uint64_t end = stamp() + params()->budget;
	uint32_t warm_up = params()->warm_up;
	for (uint32_t i = 0; i < warm_up && stamp() < end; i++)
		(void)measure(k, s, 1, end);
	uint64_t seen = irq_seen.count + reply_seen.count;
	mark(BENCH_MARK_BEGIN);
	end = stamp() + params()->budget;
	r->done = measure(k, s, params()->count, end);
	mark(BENCH_MARK_END);
	r->acknowledged = irq_seen.count + reply_seen.count - seen;
	bench_exit(BENCH_END_OK);
}

/* Nobody asked for anything: a guest that says it is up and then does nothing, for any VMM. */
static _Noreturn void just_be_up(void)
{
	for (const char *c = BENCH_UP "\n"; *c; c++)
		outb(PORT_COM1, (uint8_t)*c);
	for (;;) {
		irq_off();
		__asm__ volatile("hlt" : : : "memory");
	}
}

static bool params_are_good(void)
{
	const struct bench_params *p = params();
	return p->magic == BENCH_MAGIC && p->version == BENCH_VERSION && p->kind < BENCH_KINDS &&
	       p->count > 0 && p->count <= BENCH_COUNT_MAX;
}

void bench_kernel_main(void)
{
	if (params()->magic != BENCH_MAGIC)
		just_be_up();
	irq_init();
	if (!params_are_good())
		bench_exit(BENCH_END_BAD_PARAMS);
	const struct kind *k = kind_any(params()->kind);
	if (!k)
		k = kind_kernel(params()->kind);
	if (!k)
		bench_exit(BENCH_END_BAD_PARAMS);
	run(k);
}

void bench_user_main(void)
{
	const struct kind *k = params_are_good() ? kind_any(params()->kind) : NULL;
	if (!k)
		bench_exit(BENCH_END_BAD_PARAMS);
	run(k);
}
