/*
 * What an exit costs with nothing around KVM, measured inside the guest as `vmm bench exits` does:
 * a port and an MMIO register that a bare KVM_RUN loop answers. The yardstick of its lab case.
 *
 *   bench_bare_exit [COUNT]      prints 'pio-in-user MEDIAN MIN' and 'mmio-read MEDIAN MIN', in
 * cycles
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare.h"
#include "figures.h"

#define SAMPLES    0x200000u /* uint32_t each */
#define SAMPLE_MAX 100000u
#define PORT_END   0x530u

/*
 * 32-bit, flat. EBP: how many samples. Each is the TSC's difference around one access, lfence on
 * both sides, or around none: the floor.
 */
#define GUEST(name, access)                       \
	__asm__(".pushsection .rodata\n"          \
	        ".code32\n" name "_begin:\n"      \
	        "movl $0x200000, %edi\n"          \
	        "1:\n"                            \
	        "lfence\nrdtsc\nlfence\n"         \
	        "movl %eax, %esi\n"               \
	        "movl $0x520, %edx\n" access "\n" \
	        "lfence\nrdtsc\nlfence\n"         \
	        "subl %esi, %eax\n"               \
	        "movl %eax, (%edi)\n"             \
	        "addl $4, %edi\n"                 \
	        "decl %ebp\n"                     \
	        "jnz 1b\n"                        \
	        "movl $0x530, %edx\n"             \
	        "outb %al, %dx\n" name "_end:\n"  \
	        ".code64\n"                       \
	        ".popsection\n")

GUEST("guest_floor", "");
GUEST("guest_in", "inl %dx, %eax");
GUEST("guest_read", "movl 0xd1000000, %eax");

extern const uint8_t guest_floor_begin[], guest_floor_end[];
extern const uint8_t guest_in_begin[], guest_in_end[];
extern const uint8_t guest_read_begin[], guest_read_end[];

struct median {
	uint64_t median, min;
};

/* Answers until the guest writes to PORT_END. */
static void serve(struct bare *b)
{
	for (;;) {
		bare_run(b);
		struct kvm_run *run = b->run;
		if (run->exit_reason == KVM_EXIT_MMIO) {
			memset(run->mmio.data, 0, sizeof(run->mmio.data));
		} else if (run->exit_reason == KVM_EXIT_IO) {
			if (run->io.port == PORT_END)
				return;
			memset((char *)run + run->io.data_offset, 0, run->io.size);
		} else {
			(void)fprintf(stderr, "unexpected exit %u\n", run->exit_reason);
			exit(EXIT_FAILURE);
		}
	}
}

static struct median measure(const uint8_t *begin, const uint8_t *end, unsigned count)
{
	struct bare b;
	uint64_t *sorted = calloc(count, sizeof(*sorted));
	bare_open(&b, begin, (size_t)(end - begin));
	bare_set_cpuid(&b);
	/* No fault of the host's in a sample. */
	memset(b.memory + SAMPLES, 0, SAMPLE_MAX * sizeof(uint32_t));
	bare_set_rbp(&b, count);
	serve(&b);
	for (unsigned i = 0; i < count; i++) {
		uint32_t sample;
		memcpy(&sample, b.memory + SAMPLES + i * sizeof(sample), sizeof(sample));
		sorted[i] = sample;
	}
	figures_sort(sorted, count);
	struct median m = {sorted[count / 2], sorted[0]};
	free(sorted);
	return m;
}

static void print(const char *name, struct median m, uint64_t floor)
{
	(void)printf("%s %llu %llu\n", name, (unsigned long long)(m.median - floor),
	             (unsigned long long)(m.min - floor));
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
	if (count == 0 || count > SAMPLE_MAX)
		return EXIT_FAILURE;
	uint64_t floor = measure(guest_floor_begin, guest_floor_end, count).median;
	print("pio-in-user", measure(guest_in_begin, guest_in_end, count), floor);
	print("mmio-read", measure(guest_read_begin, guest_read_end, count), floor);
	return EXIT_SUCCESS;
}
