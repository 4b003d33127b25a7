/* Cache geometry from CPUID: what processors have, and what no cache can have. */
#include <check.h>
#include <string.h>

#include "../suite.h"
#include "guest-kernel/arch/x86_64/leaves.h"

#define DATA         1u
#define INSTRUCTIONS 2u
#define UNIFIED      3u

/* Geometry as the leaves have it; edx: bit 1 inclusive, bit 2 complex indexing. */
static struct cpuid cache(unsigned type, unsigned level, uint32_t line, uint32_t partitions,
                          uint32_t ways, uint32_t sets, uint32_t edx)
{
	return (struct cpuid){
	        .eax = type | level << 5 | 1u << 8, /* self initializing */
	        .ebx = (line - 1) | (partitions - 1) << 12 | (ways - 1) << 22,
	        .ecx = sets - 1,
	        .edx = edx,
	};
}

static struct arch_cache llc(const struct cpuid *leaves, size_t count)
{
	struct cpuid all[LEAVES_CACHES] = {{0}};
	struct arch_cache out;
	memcpy(all, leaves, count * sizeof(*leaves));
	memset(&out, 0xa5, sizeof(out));
	leaves_llc(all, &out);
	return out;
}

static void is(struct arch_cache c, uint64_t size, uint32_t line, uint32_t ways, uint32_t sets,
               bool hashed)
{
	ck_assert(c.known);
	ck_assert_uint_eq(c.size_bytes, size);
	ck_assert_uint_eq(c.line_bytes, line);
	ck_assert_uint_eq(c.ways, ways);
	ck_assert_uint_eq(c.sets, sets);
	ck_assert_int_eq(c.hashed, hashed);
}

static void is_unknown(struct arch_cache c)
{
	ck_assert(!c.known && !c.hashed);
	ck_assert_uint_eq(c.size_bytes, 0);
	ck_assert_uint_eq(c.line_bytes, 0);
	ck_assert_uint_eq(c.ways, 0);
	ck_assert_uint_eq(c.sets, 0);
}

/* Leaf 4, with the geometry of two processors. */
START_TEST(an_intel_processor)
{
	/* Core i7-8700: 12 MiB of 16 ways, in slices */
	static const struct cpuid coffee_lake[] = {
	        {0x1c004121, 0x01c0003f, 0x0000003f, 0x00000000},
	        {0x1c004122, 0x01c0003f, 0x0000003f, 0x00000000},
	        {0x1c004143, 0x00c0003f, 0x000003ff, 0x00000000},
	        {0x1c03c163, 0x03c0003f, 0x00002fff, 0x00000006},
	};
	is(llc(coffee_lake, 4), 12u << 20, 64, 16, 12288, true);
	/* Without its last leaf the second level is the last: 256 KiB of 4 ways, plain indices. */
	is(llc(coffee_lake, 3), 256u << 10, 64, 4, 1024, false);
	/* Core 2 Duo E6600: 4 MiB of 16 ways */
	static const struct cpuid conroe[] = {
	        {0x04000121, 0x01c0003f, 0x0000003f, 0x00000001},
	        {0x04000122, 0x01c0003f, 0x0000003f, 0x00000001},
	        {0x04004143, 0x03c0003f, 0x00000fff, 0x00000001},
	};
	is(llc(conroe, 3), 4u << 20, 64, 16, 4096, false);
}
END_TEST

/* Leaf 0x8000001d. */
START_TEST(an_amd_processor)
{
	/* EPYC 7001: 8 MiB of 16 ways */
	static const struct cpuid epyc[] = {
	        {0x00000121, 0x01c0003f, 0x0000003f, 0x00000001},
	        {0x00000122, 0x00c0003f, 0x000000ff, 0x00000001},
	        {0x00000143, 0x01c0003f, 0x000003ff, 0x00000002},
	        {0x0001c163, 0x03c0003f, 0x00001fff, 0x00000006},
	};
	is(llc(epyc, 4), 8u << 20, 64, 16, 8192, true);
	/* Zen 2: 16 MiB of 16 ways */
	static const struct cpuid zen2[] = {
	        {0x00004121, 0x01c0003f, 0x0000003f, 0x00000000},
	        {0x00004122, 0x01c0003f, 0x0000003f, 0x00000000},
	        {0x00004143, 0x01c0003f, 0x000003ff, 0x00000002},
	        {0x0001c163, 0x03c0003f, 0x00003fff, 0x00000001},
	};
	is(llc(zen2, 4), 16u << 20, 64, 16, 16384, false);
}
END_TEST

START_TEST(the_highest_level_counts)
{
	const struct cpuid out_of_order[] = {
	        cache(UNIFIED, 3, 64, 1, 8, 4096, 0),
	        cache(DATA, 1, 64, 1, 8, 64, 0),
	        cache(INSTRUCTIONS, 4, 64, 1, 8, 64, 0),
	        cache(UNIFIED, 2, 64, 1, 8, 1024, 0),
	};
	is(llc(out_of_order, 4), 2u << 20, 64, 8, 4096, false);
	const struct cpuid partitions[] = {cache(UNIFIED, 2, 64, 2, 8, 1024, 4)};
	is(llc(partitions, 1), 1u << 20, 64, 8, 1024, true);
	/* What follows the end does not count. */
	const struct cpuid ended[] = {
	        cache(DATA, 1, 64, 1, 8, 64, 0),
	        {0},
	        cache(UNIFIED, 3, 64, 1, 8, 4096, 0),
	};
	is(llc(ended, 3), 32u << 10, 64, 8, 64, false);
	/* As many as are looked at, and no end. */
	struct cpuid all[LEAVES_CACHES];
	for (unsigned i = 0; i < LEAVES_CACHES; i++)
		all[i] = cache(UNIFIED, i % 8, 64, 1, 8, 64u << i, 0);
	is(llc(all, LEAVES_CACHES), 4u << 20, 64, 8, 8192, false);
}
END_TEST

START_TEST(what_no_cache_can_have)
{
	is_unknown(llc((const struct cpuid[1]){{0}}, 0));
	const struct cpuid only_instructions[] = {cache(INSTRUCTIONS, 1, 64, 1, 8, 64, 0)};
	is_unknown(llc(only_instructions, 1));
	const struct cpuid level_0[] = {cache(UNIFIED, 0, 64, 1, 8, 64, 0)};
	is_unknown(llc(level_0, 1));
	struct cpuid ones[LEAVES_CACHES];
	memset(ones, 0xff, sizeof(ones)); /* sets + 1 is 0 */
	is_unknown(llc(ones, LEAVES_CACHES));
	const struct cpuid bad[] = {
	        cache(UNIFIED, 3, 1, 1, 16, 8192, 0),             /* lines of one byte */
	        cache(UNIFIED, 3, 65, 1, 16, 8192, 0),            /* of 65 */
	        cache(UNIFIED, 3, 64, 1, 16, 0, 0),               /* 2^32 sets */
	        cache(UNIFIED, 3, 64, 1, 16, UINT32_MAX, 0),      /* and one less */
	        cache(UNIFIED, 3, 4096, 1024, 1024, 1u << 24, 0), /* 2^56 bytes */
	        cache(UNIFIED, 3, 4096, 1024, 1024, 1u << 31, 0), /* 2^63 */
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is_unknown(llc(&bad[i], 1));
}
END_TEST

/* Of a random number of bits. */
static uint32_t word(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 32) >> (*seed >> 24 & 31);
}

/* Whatever the leaves hold, what is known can be reckoned with. */
START_TEST(random_leaves)
{
	uint64_t seed = 88172645463325252ull;
	unsigned known = 0;
	for (unsigned n = 0; n < 20000; n++) {
		struct cpuid leaves[LEAVES_CACHES];
		for (unsigned i = 0; i < LEAVES_CACHES; i++)
			leaves[i] =
			        (struct cpuid){word(&seed), word(&seed), word(&seed), word(&seed)};
		struct arch_cache c = llc(leaves, LEAVES_CACHES);
		if (!c.known) {
			is_unknown(c);
			continue;
		}
		known++;
		ck_assert(c.line_bytes >= 16 && c.sets > 0 && c.ways > 0);
		ck_assert_uint_ge(c.size_bytes, (uint64_t)c.line_bytes * c.ways * c.sets);
		ck_assert_uint_eq(c.size_bytes % ((uint64_t)c.line_bytes * c.ways * c.sets), 0);
		ck_assert_uint_le(c.size_bytes, 1ull << 40);
	}
	ck_assert_uint_gt(known, 100);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("leaves");
	tcase_add_test(tc, an_intel_processor);
	tcase_add_test(tc, an_amd_processor);
	tcase_add_test(tc, the_highest_level_counts);
	tcase_add_test(tc, what_no_cache_can_have);
	tcase_add_test(tc, random_leaves);
	return suite_run("gk_leaves", tc);
}
