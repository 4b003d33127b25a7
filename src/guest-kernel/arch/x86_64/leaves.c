/* See leaves.h. */
#include "leaves.h"

#define TYPE_NONE         0u
#define TYPE_INSTRUCTIONS 2u
#define LINE_MIN          16u
#define SETS_MAX          (1u << 24)
#define SIZE_MAX_BYTES    (1ull << 40)

/* A hypervisor may say anything. */
static bool sound(const struct arch_cache *c)
{
	return c->line_bytes >= LINE_MIN && (c->line_bytes & (c->line_bytes - 1)) == 0 &&
	       c->sets > 0 && c->sets <= SETS_MAX && c->size_bytes <= SIZE_MAX_BYTES;
}

static void decode(const struct cpuid *leaf, struct arch_cache *out)
{
	uint64_t partitions = (leaf->ebx >> 12 & 0x3ff) + 1;
	*out = (struct arch_cache){
	        .line_bytes = (leaf->ebx & 0xfff) + 1,
	        .ways = (leaf->ebx >> 22) + 1,
	        .sets = leaf->ecx + 1,   /* 0 where it wraps */
	        .hashed = leaf->edx & 4, /* complex indexing */
	};
	/* At most 2^12 * 2^10 * 2^10 * SETS_MAX, which fits. */
	if (out->sets <= SETS_MAX)
		out->size_bytes = (uint64_t)out->line_bytes * out->ways * partitions * out->sets;
	out->known = sound(out);
}

void leaves_llc(const struct cpuid leaves[LEAVES_CACHES], struct arch_cache *out)
{
	const struct cpuid *best = NULL;
	unsigned best_level = 0;
	for (unsigned i = 0; i < LEAVES_CACHES; i++) {
		unsigned type = leaves[i].eax & 31, level = leaves[i].eax >> 5 & 7;
		if (type == TYPE_NONE)
			break;
		if (type == TYPE_INSTRUCTIONS || level <= best_level)
			continue;
		best = &leaves[i];
		best_level = level;
	}
	*out = (struct arch_cache){0};
	if (best)
		decode(best, out);
	if (!out->known)
		*out = (struct arch_cache){0};
}
