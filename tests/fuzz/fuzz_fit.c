/* A guest image: parsed, hashed, planned and unpacked, as vmm_vm_build does with any file. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vmm/boot/fit.h"

#define UNPACK_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void boot_from(const struct boot_part *image, struct fit *fit)
{
	struct boot_plan plan = {.protocol = BOOT_AUTO};
	vmm_err_info_t ei;
	int memfd;
	if (fit_plan(image, fit, UNPACK_MAX, &plan, &memfd, &ei) == VMM_OK)
		(void)!boot_check(&plan, 64u << 20, &ei);
	if (memfd >= 0)
		(void)close(memfd);
}

/* Where a file may have LIMIT bytes at most: it cannot all be unpacked. */
static void boot_in_little(const struct boot_part *image, struct fit *fit, rlim_t limit)
{
	struct rlimit had, little;
	if (getrlimit(RLIMIT_FSIZE, &had) != 0)
		abort();
	little = (struct rlimit){.rlim_cur = limit, .rlim_max = had.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &little) != 0)
		abort();
	boot_from(image, fit);
	if (setrlimit(RLIMIT_FSIZE, &had) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	struct boot_part image = {.fd = fd, .len_bytes = size, .name = "fuzz.img"};
	static struct fit fit;
	vmm_err_info_t ei;
	if (fit_read(&image, &fit, &ei) == VMM_OK) {
		if (fit_hash(&image, &fit, false, &ei) == VMM_OK)
			(void)!fit_require(&fit, image.name, &ei);
		boot_from(&image, &fit);
		boot_in_little(&image, &fit, size % 256);
	}
	(void)close(fd);
	return 0;
}
