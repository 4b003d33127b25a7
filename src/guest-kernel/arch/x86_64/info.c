/* What the CPU says of itself, and the symbols of the image. */
#include <string.h>
#include "x86.h"

/* symbols.S, made from the first link: absent in that. */
extern const uint32_t gk_symbols[] __attribute__((weak));

void arch_cpu_name(char out[static 64])
{
	out[0] = '\0';
	if (x86_cpuid(0x80000000u, 0).eax < 0x80000004u)
		return;
	for (uint32_t i = 0; i < 3; i++) {
		struct cpuid c = x86_cpuid(0x80000002u + i, 0);
		memcpy(out + 16 * i, &c, sizeof(c));
	}
	out[48] = '\0';
}

bool arch_random(uint64_t *out)
{
	static bool asked, have;
	if (!asked) {
		have = x86_cpuid(1, 0).ecx & (1u << 30);
		asked = true;
	}
	for (unsigned i = 0; have && i < 10; i++) {
		if (gk_rdrand_safe(out))
			return true;
	}
	return false;
}

static void caches_of(uint32_t leaf, struct arch_cache *out)
{
	struct cpuid leaves[LEAVES_CACHES];
	for (uint32_t i = 0; i < LEAVES_CACHES; i++)
		leaves[i] = x86_cpuid(leaf, i);
	leaves_llc(leaves, out);
}

void arch_cache_llc(struct arch_cache *out)
{
	*out = (struct arch_cache){0};
	if (x86_cpuid(0, 0).eax >= 4)
		caches_of(4, out);
	/* AMD's, where leaf 4 is empty. */
	if (!out->known && x86_cpuid(0x80000000u, 0).eax >= 0x8000001du)
		caches_of(0x8000001du, out);
}

/* Count; then an offset into the image and one into the names for each, ascending; then the names.
 */
const char *arch_symbol(uintptr_t pc, uintptr_t *offset)
{
	if (!gk_symbols || pc < (uintptr_t)gk_image || pc >= (uintptr_t)gk_text_end)
		return NULL;
	uint32_t at = (uint32_t)(pc - (uintptr_t)gk_image), low = 0, high = gk_symbols[0];
	const uint32_t *entries = gk_symbols + 1;
	const char *text = (const char *)(entries + 2 * (size_t)high);
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;
		if (entries[2 * mid] <= at)
			low = mid;
		else
			high = mid;
	}
	if (high == 0 || entries[2 * low] > at)
		return NULL;
	*offset = at - entries[2 * low];
	return text + entries[2 * low + 1];
}
