/* Doorbells, registers and coalesced ranges: what is refused before there is a KVM. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "suite.h"
#include "vmm/device.h"
#include "vmm/profile.h"
#include "vmm/vcpu.h"
#include "vmm/vm_priv.h"

static vmm_vm_t *vm;
static int fd;

static void setup(void)
{
	const vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	ck_assert_int_eq(vmm_vm_create(&opts, &vm, NULL), VMM_OK);
	fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
}

static void teardown(void)
{
	vmm_vm_destroy(vm);
	(void)close(fd);
}

static bool get(void *ctx, uint32_t msr, uint64_t *value)
{
	(void)ctx;
	*value = msr;
	return true;
}

static bool set(void *ctx, uint32_t msr, uint64_t value)
{
	(void)ctx, (void)msr, (void)value;
	return false;
}

static vmm_msr_opts_t msrs(uint32_t first, uint32_t count)
{
	return (vmm_msr_opts_t){
	        .struct_size = sizeof(vmm_msr_opts_t),
	        .first = first,
	        .count = count,
	        .read = get,
	        .write = set,
	};
}

static uint64_t dev_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)ctx, (void)offset, (void)size;
	return 0;
}

static void dev_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	(void)offset, (void)size;
	*(uint64_t *)ctx += value;
}

START_TEST(doorbells_are_checked)
{
	vmm_ioeventfd_opts_t o = {.struct_size = sizeof(o),
	                          .space = VMM_SPACE_PIO,
	                          .address = 0x520,
	                          .len_bytes = 4,
	                          .fd = fd};
	ck_assert_int_eq(vmm_ioeventfd_add(vm, &o), VMM_OK);
	o.len_bytes = 3;
	ck_assert_int_eq(vmm_ioeventfd_add(vm, &o), VMM_E_INVAL);
	ck_assert_str_eq(vmm_vm_error(vm)->field, "len_bytes");
	o.len_bytes = 8;
	o.fd = -1;
	ck_assert_int_eq(vmm_ioeventfd_add(vm, &o), VMM_E_INVAL);
	o.fd = fd;
	o.struct_size--;
	ck_assert_int_eq(vmm_ioeventfd_add(vm, &o), VMM_E_INVAL);
	o.struct_size++;
	for (unsigned i = 1; i < VM_DOORBELLS_MAX; i++)
		ck_assert_int_eq(vmm_ioeventfd_add(vm, &o), VMM_OK);
	ck_assert_int_eq(vmm_ioeventfd_add(vm, &o), VMM_E_LIMIT);
}
END_TEST

START_TEST(registers_are_checked_and_found)
{
	vmm_msr_opts_t o = msrs(0x4b560d00, 16);
	ck_assert_int_eq(vmm_msr_add(vm, &o), VMM_OK);
	o = msrs(0x4b560d00, 0);
	ck_assert_int_eq(vmm_msr_add(vm, &o), VMM_E_INVAL);
	o = msrs(0x4b560d00, VMM_MSRS_MAX + 1);
	ck_assert_int_eq(vmm_msr_add(vm, &o), VMM_E_INVAL);
	o = msrs(UINT32_MAX, 2);
	ck_assert_int_eq(vmm_msr_add(vm, &o), VMM_E_INVAL);
	o = msrs(UINT32_MAX, 1);
	ck_assert_int_eq(vmm_msr_add(vm, &o), VMM_OK);
	o.read = NULL;
	ck_assert_int_eq(vmm_msr_add(vm, &o), VMM_E_INVAL);
	ck_assert_ptr_nonnull(vm_find_msr(vm, 0x4b560d00));
	ck_assert_ptr_nonnull(vm_find_msr(vm, 0x4b560d0f));
	ck_assert_ptr_null(vm_find_msr(vm, 0x4b560d10));
	ck_assert_ptr_null(vm_find_msr(vm, 0x4b560cff));
	ck_assert_ptr_nonnull(vm_find_msr(vm, UINT32_MAX));
	ck_assert_ptr_null(vm_find_msr(vm, 0));
}
END_TEST

START_TEST(only_mmio_is_coalesced)
{
	uint64_t sum = 0;
	vmm_bus_device_opts_t o = {.struct_size = sizeof(o),
	                           .name = "d",
	                           .space = VMM_SPACE_PIO,
	                           .base = 0x520,
	                           .len_bytes = 4,
	                           .read = dev_read,
	                           .write = dev_write,
	                           .ctx = &sum,
	                           .flags = VMM_BUS_COALESCED};
	ck_assert_int_eq(vmm_bus_device_add(vm, &o), VMM_E_INVAL);
	o.flags = 0x80;
	ck_assert_int_eq(vmm_bus_device_add(vm, &o), VMM_E_INVAL);
	o.flags = VMM_BUS_COALESCED;
	o.space = VMM_SPACE_MMIO;
	o.base = VMM_USER_MMIO_BASE;
	ck_assert_int_eq(vmm_bus_device_add(vm, &o), VMM_OK);
}
END_TEST

/* A ring as KVM leaves it: entries from FIRST up to LAST, around the end. */
START_TEST(coalesced_writes_arrive_in_order_and_once)
{
	uint64_t sum = 0;
	const vmm_bus_device_opts_t o = {.struct_size = sizeof(o),
	                                 .name = "d",
	                                 .space = VMM_SPACE_MMIO,
	                                 .base = VMM_USER_MMIO_BASE,
	                                 .len_bytes = 16,
	                                 .read = dev_read,
	                                 .write = dev_write,
	                                 .ctx = &sum};
	ck_assert_int_eq(vmm_bus_device_add(vm, &o), VMM_OK);
	struct kvm_coalesced_mmio_ring *ring = calloc(1, MACHINE_PAGE_SIZE);
	const uint32_t room =
	        (MACHINE_PAGE_SIZE - sizeof(*ring)) / sizeof(struct kvm_coalesced_mmio);
	ck_assert_ptr_nonnull(ring);
	ring->first = room - 2;
	for (uint32_t i = 0; i < 5; i++) {
		struct kvm_coalesced_mmio *e = &ring->coalesced_mmio[(room - 2 + i) % room];
		e->phys_addr = VMM_USER_MMIO_BASE + 4;
		e->len = i == 4 ? 4000000000u : 4; /* a length that is none is cut */
		e->data[0] = (uint8_t)(1 << i);
	}
	ring->last = 3;
	vm->coalesced = ring;
	vm_take_coalesced(vm);
	ck_assert_uint_eq(sum, 31);
	ck_assert_uint_eq(ring->first, 3);
	vm_take_coalesced(vm);
	ck_assert_uint_eq(sum, 31);
	ring->first = room + 7; /* nothing that the kernel would write */
	vm_take_coalesced(vm);
	ck_assert_uint_eq(sum, 31);
	vm->coalesced = NULL;
	free(ring);
}
END_TEST

START_TEST(what_needs_a_built_vm_says_so)
{
	uint64_t bitmap[1024];
	vmm_profile_t profile = {.struct_size = sizeof(profile)};
	const vmm_user_entry_t entry = {.struct_size = sizeof(entry)};
	ck_assert_int_eq(vmm_dirty_log_set(vm, true), VMM_E_STATE);
	ck_assert_int_eq(vmm_dirty_log_read(vm, bitmap, 1024), VMM_E_STATE);
	ck_assert_int_eq(vmm_memory_discard(vm, 0, 4096), VMM_E_INVAL);
	ck_assert_int_eq(vmm_vcpu_set_user_entry(vm, 0, &entry), VMM_E_STATE);
	ck_assert_int_eq(vmm_vm_tsc_align(vm), VMM_E_STATE);
	ck_assert_uint_eq(vmm_vm_tsc_khz(vm), 0);
	ck_assert_int_eq(vmm_vm_profile(vm, &profile), VMM_E_STATE);
}
END_TEST

/* Each sees the detail of its own calls, whatever fails beside it. */
static void *fails(void *ctx)
{
	const uint64_t gpa = *(const uint64_t *)ctx;
	char want[32];
	(void)snprintf(want, sizeof(want), "0x%llx + 4096", (unsigned long long)gpa);
	if (vmm_vm_error(vm)->code != VMM_OK || vmm_vm_error(vm)->message[0])
		return NULL;
	for (unsigned i = 0; i < 2000; i++)
		if (vmm_memory_discard(vm, gpa, 4096) != VMM_E_INVAL ||
		    vmm_vm_error(vm)->code != VMM_E_INVAL ||
		    strncmp(vmm_vm_error(vm)->message, want, strlen(want)) != 0)
			return NULL;
	return ctx;
}

START_TEST(each_thread_has_its_own_detail)
{
	enum { THREADS = 4 };
	uint64_t gpa[THREADS];
	pthread_t thread[THREADS];
	ck_assert_int_eq(vmm_vm_error(vm)->code, VMM_OK);
	ck_assert_int_eq(vmm_vm_tsc_align(vm), VMM_E_STATE);
	for (unsigned i = 0; i < THREADS; i++) {
		gpa[i] = 4096ull << i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, fails, &gpa[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		void *good = NULL;
		ck_assert_int_eq(pthread_join(thread[i], &good), 0);
		ck_assert_ptr_eq(good, &gpa[i]);
	}
	ck_assert_int_eq(vmm_vm_error(vm)->code, VMM_E_STATE);
	ck_assert_str_eq(vmm_vm_error(vm)->field, "vm");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("vm_user");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, doorbells_are_checked);
	tcase_add_test(tc, registers_are_checked_and_found);
	tcase_add_test(tc, only_mmio_is_coalesced);
	tcase_add_test(tc, coalesced_writes_arrive_in_order_and_once);
	tcase_add_test(tc, what_needs_a_built_vm_says_so);
	tcase_add_test(tc, each_thread_has_its_own_detail);
	return suite_run("vm_user", tc);
}
