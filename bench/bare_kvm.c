/*
 * The bare program that `vmm` is measured against (bench/startup): the KVM objects, the start
 * guest, its byte to standard output, the end. With an argument the vCPU gets its CPUID as well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bare.h"
#include "guests.h"

int main(int argc, char **argv)
{
	struct bare b;
	(void)argv;
	bare_open(&b, guest_start, sizeof(guest_start));
	if (argc > 1)
		bare_set_cpuid(&b);
	for (;;) {
		bare_run(&b);
		if (b.run->exit_reason != KVM_EXIT_IO) {
			(void)fprintf(stderr, "exit %u\n", b.run->exit_reason);
			return EXIT_FAILURE;
		}
		const char *data = (const char *)b.run + b.run->io.data_offset;
		if (b.run->io.port == 0x3f8 && write(STDOUT_FILENO, data, 1) != 1)
			return EXIT_FAILURE;
		if (b.run->io.port == 0xf4)
			return EXIT_SUCCESS;
	}
}
