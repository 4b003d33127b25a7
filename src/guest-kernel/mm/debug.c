/* Redzones, poison and stacks. See debug.h. */
#include "guest-kernel/mm/mm_priv.h"

#define REDZONE_MIN 16u

enum debug_state { DEBUG_FREE = 0x46524545, DEBUG_USED = 0x55534544 };

struct debug_track {
	uint32_t state;
	uint32_t size; /* what the user asked for */
	struct mm_stack allocated, freed;
};

static struct debug_track *track(const struct debug_layout *d, const void *obj)
{
	return (struct debug_track *)((uintptr_t)obj + d->track_offset);
}

static void remember(struct mm_stack *s)
{
	size_t n = arch_backtrace(s->pcs, MM_STACK_DEPTH);
	for (; n < MM_STACK_DEPTH; n++)
		s->pcs[n] = 0;
	s->cpu = arch_cpu();
}

void debug_layout_set(struct debug_layout *d, size_t object_bytes, size_t align)
{
	size_t front = align > REDZONE_MIN ? align : REDZONE_MIN;
	size_t at = round_up(object_bytes + REDZONE_MIN, _Alignof(struct debug_track));
	d->object_bytes = (uint32_t)object_bytes;
	d->front_bytes = (uint32_t)front;
	d->track_offset = (uint32_t)at;
	d->stride = (uint32_t)round_up(front + at + sizeof(struct debug_track), front);
}

size_t debug_scan(const void *p, uint8_t byte, size_t len)
{
	const uint8_t *b = p;
	const uint64_t want = byte * 0x0101010101010101ull;
	uint64_t word;
	size_t i = 0;
	for (; len - i >= sizeof(word); i += sizeof(word)) {
		__builtin_memcpy(&word, b + i, sizeof(word));
		if (word != want)
			break;
	}
	while (i < len && b[i] == byte)
		i++;
	return i;
}

static void fault(struct mm *mm, const struct debug_layout *d, void *obj, enum mm_fault_kind kind,
                  size_t offset, uint8_t found)
{
	const struct debug_track *t = track(d, obj);
	struct mm_fault f = {
	        .kind = kind,
	        .cache = d->name,
	        .object = obj,
	        .object_bytes = t->size,
	        .offset = offset,
	        .found = found,
	        .allocated = t->allocated.pcs[0] ? &t->allocated : NULL,
	        .freed = t->freed.pcs[0] ? &t->freed : NULL,
	};
	mm_fault(mm, &f);
}

void debug_stray(struct mm *mm, enum mm_fault_kind kind, const char *cache, const void *p)
{
	struct mm_fault f = {.kind = kind, .cache = cache, .object = p};
	mm_fault(mm, &f);
}

/* Both redzones; what is wrong is told once and put right. */
static unsigned check_redzones(struct mm *mm, const struct debug_layout *d, uint8_t *obj)
{
	unsigned faults = 0;
	size_t size = track(d, obj)->size, back = d->track_offset - size;
	size_t at = debug_scan(obj - d->front_bytes, DEBUG_REDZONE, d->front_bytes);
	if (at < d->front_bytes) {
		fault(mm, d, obj, MM_FAULT_REDZONE_BEFORE, d->front_bytes - at,
		      obj[(ptrdiff_t)at - (ptrdiff_t)d->front_bytes]);
		__builtin_memset(obj - d->front_bytes, DEBUG_REDZONE, d->front_bytes);
		faults++;
	}
	at = debug_scan(obj + size, DEBUG_REDZONE, back);
	if (at < back) {
		fault(mm, d, obj, MM_FAULT_REDZONE_AFTER, size + at, obj[size + at]);
		__builtin_memset(obj + size, DEBUG_REDZONE, back);
		faults++;
	}
	return faults;
}

static unsigned check_poison(struct mm *mm, const struct debug_layout *d, uint8_t *obj)
{
	if (d->keep)
		return 0;
	size_t at = debug_scan(obj, DEBUG_POISON_FREE, d->object_bytes);
	if (at == d->object_bytes)
		return 0;
	fault(mm, d, obj, MM_FAULT_USE_AFTER_FREE, at, obj[at]);
	__builtin_memset(obj, DEBUG_POISON_FREE, d->object_bytes);
	return 1;
}

static void poison(const struct debug_layout *d, void *obj, uint8_t byte)
{
	if (!d->keep)
		__builtin_memset(obj, byte, d->object_bytes);
}

void debug_init(const struct debug_layout *d, void *obj)
{
	struct debug_track *t = track(d, obj);
	*t = (struct debug_track){.state = DEBUG_FREE, .size = d->object_bytes};
	__builtin_memset((uint8_t *)obj - d->front_bytes, DEBUG_REDZONE, d->front_bytes);
	__builtin_memset((uint8_t *)obj + d->object_bytes, DEBUG_REDZONE,
	                 d->track_offset - d->object_bytes);
	poison(d, obj, DEBUG_POISON_FREE);
	if (d->keep && d->ctor)
		d->ctor(obj, d->ctor_ctx);
}

void debug_allocated(struct mm *mm, const struct debug_layout *d, void *obj)
{
	struct debug_track *t = track(d, obj);
	(void)check_redzones(mm, d, obj);
	(void)check_poison(mm, d, obj);
	poison(d, obj, DEBUG_POISON_NEW);
	if (!d->keep && d->ctor)
		d->ctor(obj, d->ctor_ctx);
	remember(&t->allocated);
	t->state = DEBUG_USED;
}

bool debug_freed(struct mm *mm, const struct debug_layout *d, void *obj)
{
	struct debug_track *t = track(d, obj);
	if (t->state != DEBUG_USED) {
		fault(mm, d, obj, MM_FAULT_DOUBLE_FREE, 0, 0);
		return false;
	}
	(void)check_redzones(mm, d, obj);
	debug_set_size(d, obj, d->object_bytes);
	poison(d, obj, DEBUG_POISON_FREE);
	remember(&t->freed);
	t->state = DEBUG_FREE;
	return true;
}

void debug_set_size(const struct debug_layout *d, void *obj, size_t size)
{
	track(d, obj)->size = (uint32_t)size;
	__builtin_memset((uint8_t *)obj + size, DEBUG_REDZONE, d->track_offset - size);
}

size_t debug_size(const struct debug_layout *d, const void *obj)
{
	return track(d, obj)->size;
}

unsigned debug_check(struct mm *mm, const struct debug_layout *d, void *obj)
{
	unsigned faults = check_redzones(mm, d, obj);
	return debug_is_free(d, obj) ? faults + check_poison(mm, d, obj) : faults;
}

bool debug_is_free(const struct debug_layout *d, const void *obj)
{
	return track(d, obj)->state != DEBUG_USED;
}

const struct mm_stack *debug_allocation(const struct debug_layout *d, const void *obj)
{
	return &track(d, obj)->allocated;
}
