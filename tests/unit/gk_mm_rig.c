/* See gk_mm_rig.h. */
#include "gk_mm_rig.h"

#include <string.h>
#include <sys/mman.h>

static void note(void *ctx, const struct mm_fault *f)
{
	struct rig *r = ctx;
	if (r->faults < RIG_FAULTS_MAX)
		r->fault[r->faults] = *f;
	r->allocated = f->allocated ? *f->allocated : (struct mm_stack){0};
	r->freed = f->freed ? *f->freed : (struct mm_stack){0};
	r->faults++;
}

static void take_text(void *ctx, const char *text, size_t len)
{
	struct rig *r = ctx;
	if (len >= sizeof(r->text) - r->text_len)
		len = sizeof(r->text) - 1 - r->text_len;
	memcpy(r->text + r->text_len, text, len);
	r->text_len += len;
}

const char *rig_text(struct rig *r)
{
	r->text[r->text_len] = '\0';
	r->text_len = 0;
	return r->text;
}

void rig_start_at(struct rig *r, uint64_t phys, size_t bytes, struct mm_opts opts)
{
	const char *why;
	struct mm_range range = {phys, bytes};
	memset(r, 0, sizeof(*r));
	r->sink = (struct mm_sink){take_text, r};
	r->bytes = bytes;
	r->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert(r->memory != MAP_FAILED);
	memset(r->memory, 0xa5, bytes < 16 * MIB ? bytes : 16 * MIB); /* memory is not zero */
	if (!opts.ranges) {
		opts.ranges = &range;
		opts.range_count = 1;
	}
	opts.direct_map = (uintptr_t)r->memory - phys;
	opts.report = note;
	opts.report_ctx = r;
	r->cpus = opts.cpus;
	r->mm = mm_create(&opts, &why);
	ck_assert_msg(r->mm != NULL, "%s", why ? why : "no reason");
}

void rig_start(struct rig *r, size_t bytes, unsigned cpus, bool debug)
{
	rig_start_at(r, 16 * MIB, bytes,
	             (struct mm_opts){.cpus = cpus, .debug = debug, .no_colouring = true});
}

size_t rig_free_pages(struct rig *r)
{
	struct mm_stats s;
	for (unsigned cpu = 0; cpu < r->cpus; cpu++) {
		arch_hosted_pin(cpu);
		mm_drain_local(r->mm);
	}
	arch_hosted_pin(0);
	(void)mm_reclaim(r->mm);
	mm_stats(r->mm, &s);
	ck_assert_uint_eq(s.cached_pages, 0);
	return s.free_pages + s.untouched_pages;
}

void rig_end(struct rig *r)
{
	struct mm *mm = r->mm;
	ck_assert_uint_eq(r->faults, 0);
	for (unsigned i = 0; i < HEAP_CLASSES; i++)
		if (mm->heap.caches[i])
			ck_assert_uint_eq(slab_cache_destroy(mm->heap.caches[i]), 0);
	ck_assert_ptr_null(mm->caches);
	ck_assert_ptr_null(mm->pools);
	for (unsigned i = 1; i < MM_OWNERS_MAX; i++)
		ck_assert_uint_eq(mm->owners[i].pages, 0);
	struct mm_stats s;
	mm_stats(mm, &s);
	ck_assert_uint_eq(rig_free_pages(r), s.pages);
	(void)munmap(r->memory, r->bytes);
}

void rig_expect(struct rig *r, enum mm_fault_kind kind)
{
	ck_assert_uint_eq(r->faults, 1);
	ck_assert_str_eq(mm_fault_name(r->fault[0].kind), mm_fault_name(kind));
	r->faults = 0;
}
