/* The kernel's memory. See memory.h. */
#include "guest-kernel/core/memory.h"

#include "guest-kernel/core/kernel.h"

/* Straight to the console: the log could be what is broken. */
static void to_console(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	arch_console_write(text, len);
}

static void on_fault(void *ctx, const struct mm_fault *fault)
{
	static const struct mm_sink sink = {to_console, NULL};
	(void)ctx;
	mm_fault_print(fault, &sink);
	for (unsigned i = 0; i < MM_STACK_DEPTH && fault->here.pcs[i]; i++) {
		uintptr_t offset;
		const char *name = arch_symbol(fault->here.pcs[i], &offset);
		if (name)
			log_error("  in %s + 0x%lx", name, (unsigned long)offset);
	}
}

/* mm takes so many ranges: the largest. */
static unsigned choose(const struct arch_boot *boot, struct mm_range out[MM_RANGES_MAX])
{
	bool taken[ARCH_RANGES_MAX] = {false};
	unsigned n = 0;
	for (; n < MM_RANGES_MAX && n < boot->free_count; n++) {
		unsigned best = ARCH_RANGES_MAX;
		for (unsigned i = 0; i < boot->free_count; i++) {
			if (!taken[i] && (best == ARCH_RANGES_MAX ||
			                  boot->free[i].len_bytes > boot->free[best].len_bytes))
				best = i;
		}
		taken[best] = true;
		out[n] = (struct mm_range){boot->free[best].base, boot->free[best].len_bytes};
	}
	return n;
}

bool memory_init(struct memory *m, const struct arch_boot *boot, bool debug, const char **why)
{
	struct mm_range ranges[MM_RANGES_MAX];
	struct mm_opts opts = {
	        .ranges = ranges,
	        .range_count = choose(boot, ranges),
	        .direct_map = boot->direct_map,
	        .cpus = boot->cpus,
	        .debug = debug,
	        .report = on_fault,
	};
	*m = (struct memory){.ram_bytes = boot->ram_bytes};
	uint64_t total = 0;
	for (unsigned i = 0; i < opts.range_count; i++)
		total += ranges[i].len_bytes;
	*why = "too little memory";
	if (total >= GK_MEMORY_MIN)
		m->mm = mm_create(&opts, why);
	return m->mm != NULL;
}

struct mm *memory_mm(void)
{
	return kernel_of_cpu()->memory.mm;
}

/* A task may be moved between the index and the cell: the sum is right all the same. */
static void count(struct memory *m, int by)
{
	(void)__atomic_add_fetch(&m->blocks[arch_cpu()], by, __ATOMIC_RELAXED);
}

uint64_t memory_in_use(const struct memory *m)
{
	int64_t sum = 0;
	for (unsigned i = 0; i < ARCH_CPUS_MAX; i++)
		sum += __atomic_load_n(&m->blocks[i], __ATOMIC_RELAXED);
	return (uint64_t)sum;
}

uint64_t memory_free_bytes(void)
{
	struct mm_stats s;
	mm_stats(memory_mm(), &s);
	return (s.free_pages + s.untouched_pages) * ARCH_PAGE_SIZE;
}

uint64_t frame_get(void)
{
	struct mm *mm = memory_mm();
	void *p = frames_alloc(mm, 0, NULL);
	return p ? mm_phys(mm, p) : 0;
}

void frame_put(uint64_t phys)
{
	struct mm *mm = memory_mm();
	frames_free(mm, mm_virt(mm, phys));
}

void *mem_alloc(size_t bytes)
{
	struct memory *m = &kernel_of_cpu()->memory;
	void *p = kzalloc(m->mm, bytes);
	if (p)
		count(m, 1);
	return p;
}

void *mem_alloc_raw(size_t bytes)
{
	struct memory *m = &kernel_of_cpu()->memory;
	void *p = kmalloc(m->mm, bytes);
	if (p)
		count(m, 1);
	return p;
}

void mem_free(void *p)
{
	struct memory *m = &kernel_of_cpu()->memory;
	if (p)
		count(m, -1);
	kfree(m->mm, p);
}

void *mem_pages(size_t pages)
{
	struct memory *m = &kernel_of_cpu()->memory;
	void *p = frames_alloc_pages(m->mm, pages, NULL);
	if (p)
		count(m, 1);
	return p;
}

void mem_pages_free(void *p)
{
	struct memory *m = &kernel_of_cpu()->memory;
	if (p)
		count(m, -1);
	frames_free(m->mm, p);
}
