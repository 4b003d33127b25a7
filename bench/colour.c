/*
 * Does page colouring help? A working set somewhat smaller than a cache, of pages that come from
 * memory that was used for a while, is read over and over, with colouring on and off. Pages that
 * fall into the same part of the cache push each other out although there is room elsewhere.
 *
 *   bench_colour SIZE_KIB WAYS PERCENT on|off [PASSES]
 *
 * SIZE_KIB and WAYS are the cache's (64-byte lines), PERCENT the working set of it. Prints the time
 * a line, and how unevenly the pages are spread. Meant for
 *
 *   valgrind --tool=cachegrind --cache-sim=yes --LL=SIZE,WAYS,64 bench_colour …
 *
 * which simulates the cache, indexed by the addresses that mm takes for physical ones; and for the
 * machine's second-level cache: memory is in pages of 2 MiB if Linux has any, so that at least the
 * low 21 bits of its addresses are real.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "figures.h"
#include "guest-kernel/mm/frames.h"
#include "guest-kernel/mm/mm.h"

#define PAGE   4096u
#define LINE   64u
#define MEMORY (64ul << 20) /* and aligned to that */
#define PAGES  (MEMORY / PAGE)

static struct mm *start(const struct arch_cache *llc, bool colouring)
{
	const char *why;
	char *at = mmap(NULL, 2 * MEMORY, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	uintptr_t base = ((uintptr_t)at + MEMORY - 1) & ~(MEMORY - 1);
	(void)madvise((void *)base, MEMORY, MADV_HUGEPAGE);
	const struct mm_range range = {0, MEMORY};
	const struct mm_opts o = {
	        .ranges = &range,
	        .range_count = 1,
	        .direct_map = base,
	        .cpus = 1,
	        .llc = llc,
	        .no_colouring = !colouring,
	};
	return mm_create(&o, &why);
}

static uint64_t draw(void)
{
	static uint64_t x = 88172645463325252ull;
	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

/* Takes all memory and gives back a random half of it: free pages are now anywhere. */
static void age(struct mm *mm)
{
	static void *pages[PAGES];
	size_t n = 0;
	while ((pages[n] = frames_alloc(mm, 0, NULL)))
		n++;
	for (size_t i = n - 1; i > 0; i--) {
		size_t k = draw() % (i + 1);
		void *p = pages[i];
		pages[i] = pages[k];
		pages[k] = p;
	}
	for (size_t i = 0; i < n / 2; i++)
		frames_free(mm, pages[i]);
	mm_drain_local(mm);
}

/* The most pages that share a part of the cache of SETS sets. */
static unsigned crowd(struct mm *mm, void **pages, size_t n, uint32_t sets)
{
	static unsigned counts[1u << 16];
	unsigned most = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned *c = &counts[mm_phys(mm, pages[i]) / PAGE % (sets / (PAGE / LINE))];
		most = ++*c > most ? *c : most;
	}
	return most;
}

static void read_all(void **pages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; at < PAGE; at += LINE)
			(void)*(volatile uint64_t *)((char *)pages[i] + at);
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		(void)fprintf(stderr, "usage: %s SIZE_KIB WAYS PERCENT on|off [PASSES]\n", argv[0]);
		return EXIT_FAILURE;
	}
	unsigned long kib = strtoul(argv[1], NULL, 10), ways = strtoul(argv[2], NULL, 10),
	              percent = strtoul(argv[3], NULL, 10),
	              passes = argc > 5 ? strtoul(argv[5], NULL, 10) : 100;
	size_t n = kib * 1024 / PAGE * percent / 100;
	if (kib == 0 || kib > 16384 || ways == 0 || kib * 1024 / ways < PAGE || n == 0 ||
	    n > PAGES / 4)
		return EXIT_FAILURE;
	const struct arch_cache llc = {
	        .size_bytes = kib * 1024,
	        .line_bytes = LINE,
	        .ways = (uint32_t)ways,
	        .sets = (uint32_t)(kib * 1024 / ways / LINE),
	        .known = true,
	};
	static void *pages[PAGES / 4];
	struct mm *mm = start(&llc, strcmp(argv[4], "on") == 0);
	if (!mm)
		return EXIT_FAILURE;
	age(mm);
	for (size_t i = 0; i < n; i++) {
		pages[i] = frames_alloc(mm, 0, NULL);
		memset(pages[i], 0, PAGE);
	}
	uint64_t best = UINT64_MAX;
	read_all(pages, n);
	for (unsigned long pass = 0; pass < passes; pass++) {
		uint64_t begin = figures_now_ns();
		read_all(pages, n);
		uint64_t ns = figures_now_ns() - begin;
		best = ns < best ? ns : best;
	}
	(void)printf("colours %u, %zu pages, at most %u in one of %lu parts of %lu ways: "
	             "%.2f ns a line at best\n",
	             frames_colours(mm), n, crowd(mm, pages, n, llc.sets), kib * 1024 / ways / PAGE,
	             ways, (double)best / (double)(n * (PAGE / LINE)));
	return EXIT_SUCCESS;
}
