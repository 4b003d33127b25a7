/* The exit path's profile: what it counts, where, and that nothing is lost when it runs full. */
#include "vmm/exit_profile.h"

#include <linux/kvm.h>
#include <string.h>

#include "suite.h"

static struct profile *p;

static void setup(void)
{
	p = profile_create();
	ck_assert_ptr_nonnull(p);
}

static void teardown(void)
{
	profile_destroy(p);
}

static struct kvm_run io(uint16_t port, bool out)
{
	struct kvm_run run;
	memset(&run, 0, sizeof(run));
	run.exit_reason = KVM_EXIT_IO;
	run.io.port = port;
	run.io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	return run;
}

static struct kvm_run mmio(uint64_t addr, bool write)
{
	struct kvm_run run;
	memset(&run, 0, sizeof(run));
	run.exit_reason = KVM_EXIT_MMIO;
	run.mmio.phys_addr = addr;
	run.mmio.is_write = write;
	return run;
}

static void one_exit(const struct kvm_run *run, int err)
{
	profile_enter(p);
	profile_leave(p, run, err);
}

static const struct profile_place *place_of(const struct kvm_run *run, int err)
{
	uint64_t key = profile_key(run, err);
	for (unsigned i = 0; i < VMM_PROFILE_PLACES; i++)
		if (p->places[i].key == key)
			return &p->places[i];
	return NULL;
}

static uint64_t count_of(const struct profile_place *place)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < VMM_PROFILE_BUCKETS; i++)
		n += place->bucket[i];
	return n;
}

START_TEST(keys_tell_places_apart)
{
	const struct kvm_run runs[] = {io(0x60, false),
	                               io(0x60, true),
	                               io(0x61, false),
	                               mmio(0x60, false),
	                               mmio(0x60, true),
	                               mmio(0xfee00000, true),
	                               mmio((1ull << 52) - 1, false)};
	const size_t n = sizeof(runs) / sizeof(runs[0]);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_ne(profile_key(&runs[i], 0), 0);
		for (size_t j = 0; j < i; j++)
			ck_assert_uint_ne(profile_key(&runs[i], 0), profile_key(&runs[j], 0));
	}
}
END_TEST

START_TEST(a_key_says_what_it_is)
{
	vmm_profile_entry_t e = {0};
	struct kvm_run run = mmio(0xd0000050, true);
	profile_describe(profile_key(&run, 0), &e);
	ck_assert_uint_eq(e.reason, KVM_EXIT_MMIO);
	ck_assert(e.is_write);
	ck_assert_uint_eq(e.address, 0xd0000050);
	run = io(0x3f8, false);
	profile_describe(profile_key(&run, 0), &e);
	ck_assert_uint_eq(e.reason, KVM_EXIT_IO);
	ck_assert(!e.is_write);
	ck_assert_uint_eq(e.address, 0x3f8);
	/* A signal leaves the last exit's description in the run page. */
	profile_describe(profile_key(&run, 4), &e);
	ck_assert_uint_eq(e.reason, KVM_EXIT_INTR);
	ck_assert_uint_eq(e.address, 0);
}
END_TEST

START_TEST(exits_are_counted_where_they_happen)
{
	const struct kvm_run in = io(0x60, false), out = io(0x60, true);
	for (unsigned i = 0; i < 5; i++)
		one_exit(&in, 0);
	for (unsigned i = 0; i < 3; i++)
		one_exit(&out, 0);
	one_exit(&out, 4);
	profile_rest(p);
	const struct profile_place *a = place_of(&in, 0), *b = place_of(&out, 0);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_uint_eq(count_of(a), 5);
	ck_assert_uint_eq(count_of(b), 3);
	ck_assert_uint_eq(count_of(place_of(&out, 4)), 1);
	ck_assert_uint_gt(a->min_ticks, 0);
	ck_assert_uint_le(a->min_ticks - 1, a->max_ticks);
	ck_assert_uint_le((a->min_ticks - 1) * 5, a->ticks);
	ck_assert_uint_ge(a->max_ticks * 5, a->ticks);
}
END_TEST

START_TEST(the_least_and_the_greatest)
{
	struct profile_place place = {0};
	const uint64_t ticks[] = {700, 0, 5, 1ull << 40};
	for (unsigned i = 0; i < 4; i++)
		profile_record(&place, ticks[i]);
	ck_assert_uint_eq(place.min_ticks - 1, 0);
	ck_assert_uint_eq(place.max_ticks, 1ull << 40);
	ck_assert_uint_eq(place.ticks, 705 + (1ull << 40));
	ck_assert_uint_eq(count_of(&place), 4);
	place = (struct profile_place){0};
	profile_record(&place, 700);
	ck_assert_uint_eq(place.min_ticks - 1, 700);
}
END_TEST

/* Waiting at the gate is nobody's exit. */
START_TEST(rest_ends_an_exit_once)
{
	const struct kvm_run in = io(0x60, false);
	one_exit(&in, 0);
	profile_rest(p);
	profile_rest(p);
	one_exit(&in, 0);
	ck_assert_uint_eq(count_of(place_of(&in, 0)), 1);
	profile_rest(p);
	ck_assert_uint_eq(count_of(place_of(&in, 0)), 2);
}
END_TEST

START_TEST(a_guest_with_many_places_loses_none)
{
	const unsigned n = 4 * VMM_PROFILE_PLACES;
	for (unsigned i = 0; i < n; i++) {
		const struct kvm_run run = mmio(0x10000ull + 4ull * i, i % 2);
		one_exit(&run, 0);
	}
	profile_rest(p);
	uint64_t sum = count_of(&p->rest);
	for (unsigned i = 0; i < VMM_PROFILE_PLACES; i++)
		sum += count_of(&p->places[i]);
	ck_assert_uint_eq(sum, n);
	ck_assert_uint_gt(count_of(&p->rest), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("exit_profile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, keys_tell_places_apart);
	tcase_add_test(tc, a_key_says_what_it_is);
	tcase_add_test(tc, exits_are_counted_where_they_happen);
	tcase_add_test(tc, the_least_and_the_greatest);
	tcase_add_test(tc, rest_ends_an_exit_once);
	tcase_add_test(tc, a_guest_with_many_places_loses_none);
	return suite_run("exit_profile", tc);
}
