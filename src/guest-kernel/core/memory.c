/* Memory before there is an allocator worth the name. See memory.h. */
#include "guest-kernel/core/memory.h"

#include <string.h>

#include "guest-kernel/core/kernel.h"

#define CLASS_MIN 32u

struct block {
	union {
		struct block *next;
		uint64_t class;
	};
	uint64_t pad;
};

bool memory_init(struct memory *m, const struct arch_boot *boot)
{
	spin_init_named(&m->lock, "memory");
	memcpy(m->free, boot->free, sizeof(m->free));
	m->free_count = boot->free_count;
	for (unsigned i = 0; i < m->free_count; i++)
		m->total_bytes += m->free[i].len_bytes;
	return m->total_bytes >= GK_MEMORY_MIN;
}

uint64_t memory_in_use(struct memory *m)
{
	return __atomic_load_n(&m->in_use, __ATOMIC_RELAXED);
}

uint64_t memory_free_bytes(void)
{
	struct memory *m = &kernel_of_cpu()->memory;
	return m->total_bytes - m->used_bytes;
}

static uint64_t bump(struct memory *m, uint64_t bytes)
{
	for (unsigned i = 0; i < m->free_count; i++) {
		struct arch_range *r = &m->free[i];
		if (r->len_bytes < bytes)
			continue;
		uint64_t at = r->base;
		r->base += bytes;
		r->len_bytes -= bytes;
		m->used_bytes += bytes;
		return at;
	}
	return 0;
}

uint64_t frame_get(void)
{
	struct memory *m = &kernel_of_cpu()->memory;
	unsigned long flags = spin_lock_irqsave(&m->lock);
	uint64_t f = bump(m, ARCH_PAGE_SIZE);
	spin_unlock_irqrestore(&m->lock, flags);
	return f;
}

void frame_put(uint64_t phys)
{
	(void)phys;
}

static unsigned class_of(size_t bytes)
{
	unsigned c = 0;
	while (((size_t)CLASS_MIN << c) < bytes)
		c++;
	return c;
}

void *mem_alloc(size_t bytes)
{
	struct memory *m = &kernel_of_cpu()->memory;
	unsigned c = class_of(bytes + sizeof(struct block));
	if (c >= sizeof(m->lists) / sizeof(m->lists[0]))
		return NULL;
	unsigned long flags = spin_lock_irqsave(&m->lock);
	struct block *b = m->lists[c];
	if (b) {
		m->lists[c] = b->next;
	} else {
		uint64_t at = bump(m, ((uint64_t)CLASS_MIN << c) < 4096 ? 4096
		                                                        : (uint64_t)CLASS_MIN << c);
		b = at ? arch_ram(at) : NULL;
	}
	m->in_use += b ? (uint64_t)CLASS_MIN << c : 0;
	spin_unlock_irqrestore(&m->lock, flags);
	if (!b)
		return NULL;
	b->class = c;
	return memset(b + 1, 0, bytes);
}

void mem_free(void *p)
{
	if (!p)
		return;
	struct memory *m = &kernel_of_cpu()->memory;
	struct block *b = (struct block *)p - 1;
	unsigned long flags = spin_lock_irqsave(&m->lock);
	uint64_t c = b->class;
	m->in_use -= (uint64_t)CLASS_MIN << c;
	b->next = m->lists[c];
	m->lists[c] = b;
	spin_unlock_irqrestore(&m->lock, flags);
}

void *mem_pages(size_t count)
{
	struct memory *m = &kernel_of_cpu()->memory;
	unsigned long flags = spin_lock_irqsave(&m->lock);
	uint64_t at = bump(m, count * ARCH_PAGE_SIZE);
	spin_unlock_irqrestore(&m->lock, flags);
	return at ? arch_ram(at) : NULL;
}

void mem_pages_free(void *p)
{
	(void)p;
}

void memory_report(struct memory *m, void (*write)(void *ctx, const char *text, size_t len),
                   void *ctx)
{
	char line[80], a[16], b[16];
	size_t n = fmt(line, sizeof(line), "memory: %s, %s used\n", fmt_bytes(a, m->total_bytes),
	               fmt_bytes(b, m->used_bytes));
	write(ctx, line, n);
}
