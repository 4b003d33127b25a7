/*
 * What an exit costs with nothing around KVM: the guest of `vmm bench exits`, the same bytes, under
 * a bare KVM_RUN loop that answers ports and MMIO registers with zero. The yardstick of the check
 * that both agree (tests/lab/cases/bench-exits-bare.sh, tests/integration/run_bench_bare).
 *
 *   bench_bare_exit [COUNT [CASE...]]      prints 'CASE MEDIAN MIN' for each, in cycles, at CPL 0
 */
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi/bench.h"
#include "bare.h"
#include "figures.h"

#define WARM_UP    100u
#define PORT_END   0xf4u
#define BUDGET_MS  60000u
#define COUNT_MAX  100000u
#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

extern const uint8_t bench_guest_image[], bench_guest_image_end[];

static const struct {
	const char *name;
	uint32_t kind;
} cases[] = {
        {"pio-in-user", BENCH_PIO_IN_USER},
        {"pio-out-user", BENCH_PIO_OUT_USER},
        {"mmio-read", BENCH_MMIO_READ},
        {"mmio-write", BENCH_MMIO_WRITE},
};

static void fail(const char *why, unsigned value)
{
	(void)fprintf(stderr, "bench_bare_exit: %s %u\n", why, value);
	exit(EXIT_FAILURE);
}

/* The guest's file is ours: one segment, linked at BARE_ENTRY. */
static void open_guest(struct bare *b)
{
	Elf64_Ehdr file;
	Elf64_Phdr segment;
	memcpy(&file, bench_guest_image, sizeof(file));
	memcpy(&segment, bench_guest_image + file.e_phoff, sizeof(segment));
	if (segment.p_type != PT_LOAD || segment.p_paddr != BARE_ENTRY)
		fail("the guest's first segment has type", segment.p_type);
	bare_open(b, bench_guest_image + segment.p_offset, segment.p_filesz);
	bare_set_cpuid(b);
	bare_set_rip(b, file.e_entry);
}

/* Answers until the guest ends. */
static void serve(struct bare *b)
{
	for (;;) {
		bare_run(b);
		struct kvm_run *run = b->run;
		uint8_t *data = (uint8_t *)run + run->io.data_offset;
		if (run->exit_reason == KVM_EXIT_MMIO) {
			memset(run->mmio.data, 0, sizeof(run->mmio.data));
		} else if (run->exit_reason != KVM_EXIT_IO) {
			fail("unexpected exit", run->exit_reason);
		} else if (run->io.port == PORT_END) {
			if (*data != BENCH_END_OK)
				fail("the guest ended with", *data);
			return;
		} else if (run->io.direction == KVM_EXIT_IO_IN) {
			memset(data, 0, run->io.size);
		}
	}
}

static uint64_t floor_of(const struct bare *b)
{
	uint64_t floor[BENCH_FLOOR_COUNT];
	memcpy(floor, b->memory + BENCH_FLOOR, sizeof(floor));
	figures_sort(floor, BENCH_FLOOR_COUNT);
	return floor[BENCH_FLOOR_COUNT / 2];
}

static void measure(size_t i, uint32_t count)
{
	struct bare b;
	open_guest(&b);
	int khz = ioctl(b.vcpu_fd, KVM_GET_TSC_KHZ, 0);
	const struct bench_params params = {
	        .magic = BENCH_MAGIC,
	        .version = BENCH_VERSION,
	        .kind = cases[i].kind,
	        .count = count,
	        .warm_up = WARM_UP,
	        .tsc_khz = khz > 0 ? (uint32_t)khz : 1000000,
	        .budget = (uint64_t)BUDGET_MS * (khz > 0 ? (uint32_t)khz : 1000000),
	};
	memcpy(b.memory + BENCH_PARAMS, &params, sizeof(params));
	serve(&b);
	struct bench_result result;
	memcpy(&result, b.memory + BENCH_RESULT, sizeof(result));
	if (result.done == 0 || result.done > count)
		fail("the guest took samples:", result.done);
	uint64_t floor = floor_of(&b);
	uint64_t *net = calloc(result.done, sizeof(*net));
	if (!net)
		fail("no memory for samples:", result.done);
	for (uint32_t n = 0; n < result.done; n++) {
		struct bench_sample s;
		memcpy(&s, b.memory + BENCH_SAMPLES + n * sizeof(s), sizeof(s));
		net[n] = s.end - s.begin > floor ? s.end - s.begin - floor : 0;
	}
	figures_sort(net, result.done);
	(void)printf("%s %llu %llu\n", cases[i].name, (unsigned long long)net[result.done / 2],
	             (unsigned long long)net[0]);
	free(net);
}

static int wanted(const char *name, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return 1;
	return argc < 3;
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	if (count == 0 || count > COUNT_MAX)
		return EXIT_FAILURE;
	for (size_t i = 0; i < CASE_COUNT; i++)
		if (wanted(cases[i].name, argc, argv))
			measure(i, (uint32_t)count);
	return EXIT_SUCCESS;
}
