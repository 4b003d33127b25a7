/* CPUID shaping: topology for one and many vCPUs on both vendors' tables, clocks, dropped leaves.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "vmm/cpuid.h"

#define ROOM 32

static struct kvm_cpuid2 *table(uint32_t max_leaf, uint32_t vendor_ebx)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + ROOM * sizeof(t->entries[0]));
	ck_assert_ptr_nonnull(t);
	t->entries[t->nent++] = (struct kvm_cpuid_entry2){.eax = max_leaf, .ebx = vendor_ebx};
	t->entries[t->nent++] = (struct kvm_cpuid_entry2){.function = 1, .ebx = 0x7f040800};
	t->entries[t->nent++] = (struct kvm_cpuid_entry2){.function = 0xa, .eax = 0x07300404};
	t->entries[t->nent++] = (struct kvm_cpuid_entry2){
	        .function = 0xb, .index = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .ebx = 99};
	t->entries[t->nent++] =
	        (struct kvm_cpuid_entry2){.function = 0x40000000, .eax = 0x40000001};
	return t;
}

static void add(struct kvm_cpuid2 *t, uint32_t fn, uint32_t index, uint32_t eax)
{
	t->entries[t->nent++] = (struct kvm_cpuid_entry2){.function = fn,
	                                                  .index = index,
	                                                  .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	                                                  .eax = eax};
}

static struct kvm_cpuid2 *make(struct kvm_cpuid2 *from, struct cpuid_shape shape)
{
	struct kvm_cpuid2 *out = NULL;
	ck_assert_int_eq(cpuid_make(from, &shape, &out, NULL), VMM_OK);
	free(from);
	return out;
}

#define INTEL 0x756e6547u
#define AMD   0x68747541u

START_TEST(intel_topology)
{
	struct kvm_cpuid2 *from = table(0x1f, INTEL);
	add(from, 4, 0, 0x1c004121); /* L1 data, shared by 2, 8 cores */
	add(from, 4, 3, 0x1c03c163); /* L3 */
	struct kvm_cpuid2 *t = make(from, (struct cpuid_shape){.cpu = 4, .cpus = 6});
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, 1, 0);
	ck_assert_uint_eq(e->ebx, 0x04060800);
	ck_assert_uint_eq(e->edx & (1u << 28), 1u << 28);
	ck_assert_uint_eq(e->ecx >> 31, 1);
	for (uint32_t leaf = 0xb; leaf <= 0x1f; leaf += 0x1f - 0xb) {
		e = cpuid_find(t, leaf, 0);
		ck_assert_uint_eq(e->eax, 0);
		ck_assert_uint_eq(e->ebx, 1);
		ck_assert_uint_eq(e->ecx, 0x100);
		e = cpuid_find(t, leaf, 1);
		ck_assert_uint_eq(e->eax, 3);
		ck_assert_uint_eq(e->ebx, 6);
		ck_assert_uint_eq(e->ecx, 0x201);
		ck_assert_uint_eq(e->edx, 4);
	}
	e = cpuid_find(t, 4, 0);
	ck_assert_uint_eq((e->eax >> 14) & 0xfff, 0);
	ck_assert_uint_eq(e->eax >> 26, 5);
	e = cpuid_find(t, 4, 3);
	ck_assert_uint_eq((e->eax >> 14) & 0xfff, 5);
	ck_assert_ptr_null(cpuid_find(t, 0xa, 0));
	free(t);
}
END_TEST

START_TEST(amd_topology)
{
	struct kvm_cpuid2 *from = table(0xd, AMD);
	add(from, 0x80000001, 0, 0);
	add(from, 0x80000008, 0, 0);
	add(from, 0x8000001e, 0, 77);
	struct kvm_cpuid2 *t = make(from, (struct cpuid_shape){.cpu = 1, .cpus = 2});
	ck_assert_uint_eq(cpuid_find(t, 0x80000001, 0)->ecx & 2, 2);
	ck_assert_uint_eq(cpuid_find(t, 0x80000008, 0)->ecx, 0x1001);
	ck_assert_uint_eq(cpuid_find(t, 0x8000001e, 0)->eax, 1);
	ck_assert_ptr_null(cpuid_find(t, 0x1f, 0));
	ck_assert_ptr_null(cpuid_find(t, 0x15, 0));
	free(t);
}
END_TEST

START_TEST(uniprocessor_and_clock)
{
	struct kvm_cpuid2 *t =
	        make(table(0x16, INTEL),
	             (struct cpuid_shape){.cpus = 1, .tsc_khz = 2500000, .tsc_deadline = true});
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, 1, 0);
	ck_assert_uint_eq(e->ebx, 0x00010800);
	ck_assert_uint_eq(e->edx & (1u << 28), 0);
	ck_assert_uint_eq(e->ecx & (1u << 24), 1u << 24);
	e = cpuid_find(t, 0x15, 0);
	ck_assert_uint_eq((uint64_t)e->ecx * e->ebx / e->eax, 2500000000ull);
	e = cpuid_find(t, 0x40000010, 0);
	ck_assert_uint_eq(e->eax, 2500000);
	ck_assert_uint_eq(cpuid_find(t, 0x40000000, 0)->eax, 0x40000010);
	free(t);
}
END_TEST

/* A guest that may not use MONITOR is not told of it; one that may learns what it watches. */
START_TEST(monitor)
{
	struct kvm_cpuid2 *t =
	        make(table(0x16, INTEL), (struct cpuid_shape){.cpus = 1, .monitor = {64}});
	ck_assert_uint_eq(cpuid_find(t, 1, 0)->ecx & 8, 0);
	ck_assert_ptr_null(cpuid_find(t, 5, 0));
	free(t);
	struct kvm_cpuid2 *from = table(0x16, INTEL);
	from->entries[from->nent++] = (struct kvm_cpuid_entry2){.function = 5, .eax = 0xdead};
	t = make(from,
	         (struct cpuid_shape){.cpus = 1, .mwait = true, .monitor = {64, 65, 3, 0x120}});
	ck_assert_uint_eq(cpuid_find(t, 1, 0)->ecx & 8, 8);
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, 5, 0);
	ck_assert_uint_eq(e->eax, 64);
	ck_assert_uint_eq(e->ebx, 65);
	ck_assert_uint_eq(e->ecx, 3);
	ck_assert_uint_eq(e->edx, 0x120);
	free(t);
}
END_TEST

/* A table without any of the leaves that are added: the room for them is enough. */
START_TEST(every_leaf_added)
{
	struct kvm_cpuid2 *from = table(0x1f, INTEL);
	from->nent = 2;
	from->entries[from->nent++] =
	        (struct kvm_cpuid_entry2){.function = 0x40000000, .eax = 0x40000001};
	struct kvm_cpuid2 *t =
	        make(from, (struct cpuid_shape){.cpus = 2, .tsc_khz = 2500000, .mwait = true});
	ck_assert_uint_eq(t->nent, 3 + 3 + 3 + 1 + 1 + 1);
	ck_assert_ptr_nonnull(cpuid_find(t, 5, 0));
	ck_assert_ptr_nonnull(cpuid_find(t, 0x40000010, 0));
	free(t);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("cpuid");
	tcase_add_test(tc, intel_topology);
	tcase_add_test(tc, amd_topology);
	tcase_add_test(tc, uniprocessor_and_clock);
	tcase_add_test(tc, monitor);
	tcase_add_test(tc, every_leaf_added);
	return suite_run("cpuid", tc);
}
