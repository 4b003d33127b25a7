/*
 * edumsi ADDRESS VECTOR COUNT: lets QEMU's `edu` device at PCI ADDRESS, which no driver has,
 * compute 10! and then interrupt CPU 0 COUNT times by MSI with VECTOR, for which the kernel has no
 * handler and says so. QEMU, docs/specs/edu.txt; PCI 3.0, 6.8.1. Prints 'factorial N' and
 * 'interrupts COUNT'. Exit status: 0 done, 1 the device has no MSI or does not answer, 2 the tool
 * could not run.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define REG_IDENTITY       0x00u
#define REG_FACTORIAL      0x08u
#define REG_STATUS         0x20u
#define REG_IRQ_STATUS     0x24u
#define REG_IRQ_RAISE      0x60u
#define REG_IRQ_ACK        0x64u
#define IDENTITY           0x010000edu
#define STATUS_BUSY        1u

#define CONFIG_COMMAND     0x04
#define COMMAND_MEM_MASTER 6u
#define CONFIG_CAPS        0x34
#define CAP_MSI            0x05u
#define MSI_ENABLE         1u
#define MSI_64             0x80u
#define MSI_ADDRESS        0xfee00000u

static int config;

static uint32_t get(off_t at, size_t size)
{
	uint32_t value = 0;

	if (pread(config, &value, size, at) != (ssize_t)size)
		exit(2);
	return value;
}

static void put(off_t at, uint32_t value, size_t size)
{
	if (pwrite(config, &value, size, at) != (ssize_t)size)
		exit(2);
}

static off_t find_msi(void)
{
	off_t at = (off_t)get(CONFIG_CAPS, 1);

	for (int i = 0; at != 0 && i < 48; i++, at = (off_t)get(at + 1, 1))
		if (get(at, 1) == CAP_MSI)
			return at;
	return 0;
}

static void start_msi(off_t at, unsigned vector)
{
	uint32_t flags = get(at + 2, 2);

	put(at + 4, MSI_ADDRESS, 4);
	if (flags & MSI_64)
		put(at + 8, 0, 4);
	put(at + (flags & MSI_64 ? 12 : 8), vector, 2);
	put(at + 2, flags | MSI_ENABLE, 2);
}

static void nap(void)
{
	const struct timespec ms = {0, 1000000};
	nanosleep(&ms, NULL);
}

int main(int argc, char **argv)
{
	char path[96];
	volatile uint32_t *regs;
	off_t msi;
	int fd;

	if (argc != 4)
		return 2;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s/config", argv[1]);
	config = open(path, O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s/resource0", argv[1]);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (config < 0 || fd < 0)
		return 2;
	put(CONFIG_COMMAND, get(CONFIG_COMMAND, 2) | COMMAND_MEM_MASTER, 2);
	regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (regs == MAP_FAILED)
		return 2;
	msi = find_msi();
	if (msi == 0 || regs[REG_IDENTITY / 4] != IDENTITY)
		return 1;
	regs[REG_FACTORIAL / 4] = 10;
	for (int i = 0; i < 1000 && regs[REG_STATUS / 4] & STATUS_BUSY; i++)
		nap();
	printf("factorial %u\n", regs[REG_FACTORIAL / 4]);
	start_msi(msi, (unsigned)strtoul(argv[2], NULL, 0));
	for (int i = 0; i < atoi(argv[3]); i++) {
		regs[REG_IRQ_RAISE / 4] = 4;
		nap();
		if (regs[REG_IRQ_STATUS / 4] != 4)
			return 1;
		regs[REG_IRQ_ACK / 4] = 4;
	}
	printf("interrupts %d\n", atoi(argv[3]));
	return 0;
}
