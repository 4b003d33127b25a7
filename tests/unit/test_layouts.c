/*
 * Properties that hold whatever the layout: of the bus, that no two ranges overlap and that a
 * look-up finds what a plain search finds; of guest memory, that regions neither overlap nor leave
 * their mapping, and that every address leads to a place of its own. Random layouts from fixed
 * seeds; the number behind a failing test's name is the seed.
 */
#include <string.h>

#include "suite.h"
#include "vmm/bus.h"
#include "vmm/gmem.h"
#include "vmm/machine.h"

#define SEEDS      40
#define ADDS       160u /* more than fit */
#define PAGE       4096ull
#define NEAR_EDGES 9u /* from four bytes before an edge to four behind it */

static uint64_t state;

/* splitmix64 */
static uint64_t draw(void)
{
	uint64_t x = state += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static uint64_t below(uint64_t limit)
{
	return draw() % limit;
}

static void seed(int n)
{
	state = (uint64_t)n * 0x123456789u;
}

/* ---- the bus ---- */

struct known {
	uint64_t base, len;
};

static struct bus bus;
static struct known known[BUS_RANGES_MAX];
static unsigned known_count;

static uint64_t read_nothing(void *ctx, uint64_t offset, unsigned size)
{
	(void)ctx, (void)offset, (void)size;
	return 0;
}

static void write_nothing(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	(void)ctx, (void)offset, (void)size, (void)value;
}

static const struct bus_ops bus_nothing = {read_nothing, write_nothing};

static uint64_t end_of(enum bus_space space)
{
	return space == BUS_PIO ? 0x10000 : UINT64_MAX;
}

/* Anywhere, or where something else begins or ends; now and then at the space's end, or too long.
 */
static struct known draw_range(enum bus_space space)
{
	uint64_t end = end_of(space);
	struct known k = {below(end), 1 + below(space == BUS_PIO ? 64 : 1u << 20)};
	if (known_count && below(2)) {
		const struct known *near = &known[below(known_count)];
		k.base = near->base + (below(2) ? near->len : 0) + below(5) - 2;
	}
	if (below(20) == 0)
		k.base = end - below(4);
	if (below(40) == 0)
		k.len = below(2) ? 0 : draw();
	return k;
}

static bool is_allowed(enum bus_space space, const struct known *k)
{
	uint64_t end = end_of(space);
	if (k->len == 0 || k->base >= end || k->len > end - k->base)
		return false;
	for (unsigned i = 0; i < known_count; i++)
		if (k->base < known[i].base + known[i].len && known[i].base < k->base + k->len)
			return false;
	return true;
}

static const struct known *search(uint64_t addr, unsigned size)
{
	for (unsigned i = 0; i < known_count; i++)
		if (addr >= known[i].base && addr - known[i].base < known[i].len)
			return size <= known[i].len - (addr - known[i].base) ? &known[i] : NULL;
	return NULL;
}

static void check_look_up(enum bus_space space, uint64_t addr)
{
	for (unsigned size = 1; size <= 8; size *= 2) {
		const struct known *want = search(addr, size);
		const struct bus_range *got = bus_find(&bus, space, addr, size);
		/* Check writes a line for each assertion: there are too many of these. */
		if (!want != !got || (got && got->base != want->base))
			ck_abort_msg("0x%llx, %u bytes: %s", (unsigned long long)addr, size,
			             !got ? "not found" : "something else is found");
	}
}

static void check_bus(enum bus_space space)
{
	memset(&bus, 0, sizeof(bus));
	known_count = 0;
	for (unsigned i = 0; i < ADDS; i++) {
		struct known k = draw_range(space);
		bool allowed = is_allowed(space, &k);
		vmm_err_t want = !allowed                        ? VMM_E_INVAL
		                 : known_count == BUS_RANGES_MAX ? VMM_E_LIMIT
		                                                 : VMM_OK;
		vmm_err_t got = bus_add(&bus, space, k.base, k.len, &bus_nothing, NULL, "x", NULL);
		/* A full bus says so of any range that its space could have. */
		ck_assert(got == want || (got == VMM_E_LIMIT && known_count == BUS_RANGES_MAX));
		if (got == VMM_OK)
			known[known_count++] = k;
	}
	bus_freeze(&bus);
	for (unsigned i = 0; i < known_count; i++) {
		for (unsigned d = 0; d < NEAR_EDGES; d++) {
			check_look_up(space, known[i].base + d - NEAR_EDGES / 2);
			check_look_up(space, known[i].base + known[i].len + d - NEAR_EDGES / 2);
		}
	}
	for (unsigned i = 0; i < 200; i++)
		check_look_up(space, draw());
}

START_TEST(the_bus_finds_what_is_there)
{
	seed(_i);
	check_bus(BUS_PIO);
	check_bus(BUS_MMIO);
}
END_TEST

/* ---- guest memory ---- */

/* The plain truth: an address is RAM below the hole, or from 4 GiB on. */
static bool is_ram(uint64_t addr, uint64_t size)
{
	uint64_t low = size < MACHINE_LOW_RAM_END ? size : MACHINE_LOW_RAM_END;
	return addr < low || (addr >= MACHINE_HIGH_RAM && addr - MACHINE_HIGH_RAM < size - low);
}

static void check_regions(const struct gmem *gm, uint64_t size)
{
	uint64_t sum = 0;
	unsigned count = gmem_region_count(gm);
	for (unsigned i = 0; i < count; i++) {
		const struct gmem_region *a = gmem_region_at(gm, i);
		sum += a->len_bytes;
		ck_assert_uint_gt(a->len_bytes, 0);
		ck_assert_uint_eq((a->base | a->len_bytes | (uintptr_t)a->host) % PAGE, 0);
		for (unsigned j = i + 1; j < count; j++) {
			const struct gmem_region *b = gmem_region_at(gm, j);
			ck_assert(a->base + a->len_bytes <= b->base ||
			          b->base + b->len_bytes <= a->base);
			ck_assert(a->host + a->len_bytes <= b->host ||
			          b->host + b->len_bytes <= a->host);
		}
	}
	ck_assert_uint_eq(sum, size);
}

/* LEN bytes at ADDR: found if and only if all of them are RAM of one region, and it is the way
 * back. */
static void check_address(const struct gmem *gm, uint64_t size, uint64_t addr, uint64_t len)
{
	uint64_t last = addr + len - 1;
	bool same_side = (addr < MACHINE_HIGH_RAM) == (last < MACHINE_HIGH_RAM);
	bool want = len && last >= addr && is_ram(addr, size) && is_ram(last, size) && same_side;
	uint8_t *host = gmem_at(gm, (struct gpa){addr}, len);
	struct gpa back;
	ck_assert_msg(!host == !want, "0x%llx + 0x%llx of 0x%llx: %s", (unsigned long long)addr,
	              (unsigned long long)len, (unsigned long long)size,
	              host ? "found, and is not RAM" : "not found");
	if (!host)
		return;
	ck_assert(gmem_gpa(gm, host, &back));
	ck_assert_uint_eq(back.addr, addr);
}

START_TEST(memory_leads_where_it_should)
{
	static const uint64_t lens[] = {0, 1, 2, 4095, PAGE, PAGE + 1, 1u << 20, UINT64_MAX};
	seed(_i);
	/* Half of them with a second region; nothing of it is touched. */
	uint64_t size = PAGE * (1 + below(1u << 16));
	if (_i % 2)
		size += MACHINE_LOW_RAM_END - below(3) * PAGE;
	const struct gmem_opts opts = {.size_bytes = size, .memfd = _i % 3 == 0, .fd = -1};
	struct gmem *gm, *other;
	vmm_err_info_t ei = {0};
	if (gmem_create(&opts, &gm, &ei) != VMM_OK) { /* a host with less memory */
		ck_assert_int_eq(ei.code, VMM_E_LIMIT);
		return;
	}
	check_regions(gm, size);
	const uint64_t edges[] = {0,    MACHINE_LOW_RAM_END, MACHINE_HIGH_RAM,
	                          size, UINT64_MAX,          MACHINE_HIGH_RAM + size};
	for (unsigned i = 0; i < 400; i++) {
		uint64_t addr = below(2) ? edges[below(sizeof(edges) / sizeof(edges[0]))]
		                         : draw() >> below(40);
		addr += below(2 * PAGE + 3) - PAGE - 1;
		check_address(gm, size, addr, lens[below(sizeof(lens) / sizeof(lens[0]))]);
	}
	/* Two VMs have nothing in common. */
	ck_assert_int_eq(gmem_create(&opts, &other, &ei), VMM_OK);
	uint8_t *mine = gmem_at(gm, (struct gpa){0}, PAGE),
	        *theirs = gmem_at(other, (struct gpa){0}, PAGE);
	mine[7] = 1;
	ck_assert_uint_eq(theirs[7], 0);
	struct gpa back;
	ck_assert(!gmem_gpa(other, mine, &back));
	gmem_destroy(other);
	gmem_destroy(gm);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("layouts");
	tcase_add_loop_test(tc, the_bus_finds_what_is_there, 0, SEEDS);
	tcase_add_loop_test(tc, memory_leads_where_it_should, 0, SEEDS / 4);
	return suite_run("layouts", tc);
}
