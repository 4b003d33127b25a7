/* Exits to ports and MMIO registers: what finds its device, the last one or another. */
#include <linux/kvm.h>
#include <string.h>

#include "suite.h"
#include "vmm/vm_priv.h"

#define DATA_OFFSET 4096u
#define PORT_A      0x100u
#define PORT_B      0x108u
#define ADDR_A      0xd0000000ull
#define ADDR_B      0xd0001000ull
#define LEN         8u

static vmm_vm_t *vm;
static struct vcpu vcpu;
static uint8_t page[2 * DATA_OFFSET] __attribute__((aligned(16)));

/* What a device saw last, and how often. */
static struct seen {
	uint64_t offset, value, count;
	unsigned size;
} a, b;

static uint64_t answer(void *ctx, uint64_t offset, unsigned size)
{
	struct seen *s = ctx;
	s->offset = offset;
	s->size = size;
	s->count++;
	return (s == &a ? 0xa0a0a0a0a0a0a000 : 0xb0b0b0b0b0b0b000) + offset;
}

static void take(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct seen *s = ctx;
	*s = (struct seen){offset, value, s->count + 1, size};
}

static const struct bus_ops ops = {answer, take};

static void setup(void)
{
	vm = calloc(1, sizeof(*vm));
	ck_assert_ptr_nonnull(vm);
	a = b = (struct seen){0};
	const struct {
		enum bus_space space;
		uint64_t base;
		struct seen *seen;
	} ranges[] = {
	        {BUS_PIO, PORT_A, &a},
	        {BUS_PIO, PORT_B, &b},
	        {BUS_MMIO, ADDR_A, &a},
	        {BUS_MMIO, ADDR_B, &b},
	};
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		ck_assert_int_eq(bus_add(&vm->bus, ranges[i].space, ranges[i].base, LEN, &ops,
		                         ranges[i].seen, "device", NULL),
		                 VMM_OK);
	bus_freeze(&vm->bus);
	memset(page, 0, sizeof(page));
	vcpu = (struct vcpu){.vm = vm, .run = (struct kvm_run *)page};
	for (unsigned space = 0; space < BUS_SPACES; space++)
		vcpu.near[space] = vm->bus.range[space];
}

static void teardown(void)
{
	free(vm);
}

/* One access of SIZE bytes; VALUE goes there and back. */
static uint64_t mmio(uint64_t addr, uint32_t size, bool write, uint64_t value)
{
	vcpu.run->exit_reason = KVM_EXIT_MMIO;
	vcpu.run->mmio.phys_addr = addr;
	vcpu.run->mmio.len = size;
	vcpu.run->mmio.is_write = write;
	memcpy(vcpu.run->mmio.data, &value, sizeof(value));
	exit_dispatch(&vcpu);
	memcpy(&value, vcpu.run->mmio.data, sizeof(value));
	return value;
}

/* COUNT accesses of SIZE bytes; VALUE is the data of the first. */
static uint64_t pio(uint16_t port, uint8_t size, uint32_t count, bool write, uint64_t value)
{
	vcpu.run->exit_reason = KVM_EXIT_IO;
	vcpu.run->io.port = port;
	vcpu.run->io.size = size;
	vcpu.run->io.count = count;
	vcpu.run->io.direction = write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	vcpu.run->io.data_offset = DATA_OFFSET;
	memcpy(page + DATA_OFFSET, &value, sizeof(value));
	exit_dispatch(&vcpu);
	memcpy(&value, page + DATA_OFFSET, sizeof(value));
	return value;
}

START_TEST(each_device_is_found_whatever_was_before)
{
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(mmio(ADDR_A + 1, 4, false, 0), 0xa0a0a001);
		ck_assert_uint_eq(mmio(ADDR_A + 2, 2, false, 0), 0xa002);
		ck_assert_uint_eq(mmio(ADDR_B, 8, false, 0), 0xb0b0b0b0b0b0b000);
		ck_assert_uint_eq(pio(PORT_B + 4, 4, 1, false, 0), 0xb0b0b004);
		ck_assert_uint_eq(pio(PORT_A + 7, 1, 1, false, 0), 0x07);
		ck_assert_uint_eq(pio(PORT_A, 2, 1, false, 0), 0xa000);
	}
	ck_assert_uint_eq(a.count, 12);
	ck_assert_uint_eq(b.count, 6);
	ck_assert_uint_eq(vcpu.stats.unclaimed, 0);
	ck_assert_uint_eq(vcpu.stats.exits[KVM_EXIT_IO], 9);
	ck_assert_uint_eq(vcpu.stats.exits[KVM_EXIT_MMIO], 9);
}
END_TEST

START_TEST(writes_bring_their_bytes_and_no_more)
{
	for (unsigned i = 0; i < 2; i++) {
		for (uint8_t size = 1; size <= 8; size *= 2) {
			uint64_t value = 0x1122334455667788;
			uint64_t want = size == 8 ? value : value & ((1ull << 8 * size) - 1);
			ck_assert_uint_eq(mmio(i ? ADDR_B : ADDR_A, size, true, value), value);
			ck_assert_uint_eq((i ? b : a).value, want);
			ck_assert_uint_eq((i ? b : a).size, size);
			if (size == 8)
				continue;
			(void)pio(PORT_B, size, 1, true, value);
			ck_assert_uint_eq(b.value, want);
			ck_assert_uint_eq(b.size, size);
		}
	}
}
END_TEST

/* Also where the near device holds its first byte. */
START_TEST(what_nobody_answers_reads_ones_and_is_counted)
{
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(mmio(ADDR_A + LEN - 2, 4, false, 0), 0xffffffff);
		ck_assert_uint_eq(mmio(ADDR_A - 1, 1, false, 0), 0xff);
		ck_assert_uint_eq(mmio(0, 8, false, 0), UINT64_MAX);
		ck_assert_uint_eq(pio(PORT_B + LEN, 1, 1, false, 0), 0xff);
		ck_assert_uint_eq(pio(PORT_A + LEN - 1, 2, 1, false, 0), 0xffff);
		(void)mmio(UINT64_MAX, 8, true, 1);
		ck_assert_uint_eq(vcpu.stats.unclaimed, 6 * (i + 1));
		/* Now with another device near. */
		ck_assert_uint_eq(a.count + b.count, 2 * i);
		(void)mmio(ADDR_B, 1, false, 0);
		(void)pio(PORT_B, 1, 1, false, 0);
	}
}
END_TEST

START_TEST(strings_and_odd_lengths_go_piece_by_piece)
{
	for (unsigned i = 0; i < 2; i++) {
		a = b = (struct seen){0};
		ck_assert_uint_eq(pio(PORT_A + 1, 1, 4, false, 0), 0x01010101);
		ck_assert_uint_eq(a.count, 4);
		(void)pio(PORT_B, 2, 3, true, 0x0000555544443333);
		ck_assert_uint_eq(b.count, 3);
		ck_assert_uint_eq(b.value, 0x5555);
		ck_assert_uint_eq(mmio(ADDR_B, 3, false, 0), 0x020100);
		ck_assert_uint_eq(b.count, 6);
		ck_assert_uint_eq(b.size, 1);
		/* Its last two bytes are nobody's. */
		ck_assert_uint_eq(mmio(ADDR_B + LEN - 1, 3, false, 0), 0xffff07);
	}
	ck_assert_uint_eq(vcpu.stats.unclaimed, 2);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("exit");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_device_is_found_whatever_was_before);
	tcase_add_test(tc, writes_bring_their_bytes_and_no_more);
	tcase_add_test(tc, what_nobody_answers_reads_ones_and_is_counted);
	tcase_add_test(tc, strings_and_odd_lengths_go_piece_by_piece);
	return suite_run("exit", tc);
}
