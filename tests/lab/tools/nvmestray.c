/*
 * nvmestray ADDRESS STRAY: drives the NVMe controller of PCI device ADDRESS, which no driver has,
 * and lets it write what 'Identify' answers to the physical address STRAY; then, after a reset,
 * to memory of its own. NVM Express 1.4: 3.1 (registers), 4.6 (completions), 5.15 (Identify).
 * Prints 'stray: status S' and 'own: status S vendor V'; S is 0 for success, or what the controller
 * says; -1: it said nothing.
 * Exit status: 0 both were tried, 2 the tool could not run.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE           4096u
#define REG_CC         0x14u
#define REG_CSTS       0x1cu
#define REG_AQA        0x24u
#define REG_ASQ        0x28u
#define REG_ACQ        0x30u
#define REG_DOORBELL   0x1000u
#define CC_ENABLE      (4u << 20 | 6u << 16 | 1u)
#define CSTS_READY     1u
#define OP_IDENTIFY    0x06u
#define CNS_CONTROLLER 1u

static volatile uint8_t *registers;
/* Submission queue, completion queue, answer: a page each. */
static volatile uint8_t *memory;
static uint64_t physical[3];

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static volatile uint32_t *reg(uint32_t offset)
{
	return (volatile uint32_t *)(registers + offset);
}

static void set_address(uint32_t offset, uint64_t addr)
{
	*reg(offset) = (uint32_t)addr;
	*reg(offset + 4) = (uint32_t)(addr >> 32);
}

static void nap(void)
{
	const struct timespec ms = {0, 1000000};
	nanosleep(&ms, NULL);
}

static void wait_ready(uint32_t want)
{
	for (int i = 0; i < 5000; i++, nap())
		if ((*reg(REG_CSTS) & CSTS_READY) == want)
			return;
	fprintf(stderr, "the controller does not get %sready\n", want ? "" : "un");
	exit(2);
}

static uint64_t physical_of(const volatile void *p)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	if (fd < 0 || pread(fd, &entry, 8, (off_t)((uintptr_t)p / PAGE * 8)) != 8 ||
	    !(entry & (1ull << 63)) || (entry & ((1ull << 55) - 1)) == 0)
		die("/proc/self/pagemap");
	close(fd);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

static void enable_device(const char *address)
{
	char path[128];
	uint16_t command = 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
	int fd = open(path, O_RDWR);
	if (fd < 0 || pread(fd, &command, 2, 4) != 2)
		die(path);
	command |= 6; /* memory, bus master */
	if (pwrite(fd, &command, 2, 4) != 2)
		die(path);
	close(fd);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", address);
	fd = open(path, O_RDWR | O_SYNC);
	registers = fd < 0 ? MAP_FAILED
	                   : mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (registers == MAP_FAILED)
		die(path);
}

/* The status of one Identify that answers to ADDR. */
static int identify(uint64_t addr)
{
	*reg(REG_CC) = 0;
	wait_ready(0);
	memset((void *)memory, 0, 3 * PAGE);
	*reg(REG_AQA) = 1u << 16 | 1u;
	set_address(REG_ASQ, physical[0]);
	set_address(REG_ACQ, physical[1]);
	*reg(REG_CC) = CC_ENABLE;
	wait_ready(CSTS_READY);
	volatile uint32_t *command = (volatile uint32_t *)memory;
	command[0] = 7u << 16 | OP_IDENTIFY;
	command[6] = (uint32_t)addr;
	command[7] = (uint32_t)(addr >> 32);
	command[10] = CNS_CONTROLLER;
	__sync_synchronize(); /* the command before the doorbell, for the device */
	*reg(REG_DOORBELL) = 1;
	volatile uint32_t *completion = (volatile uint32_t *)(memory + PAGE);
	for (int i = 0; i < 3000; i++, nap())
		if (completion[3] & 1u << 16)
			return (int)(completion[3] >> 17 & 0x7fff);
	return -1;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: nvmestray ADDRESS STRAY\n");
		return 2;
	}
	memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED || mlock((const void *)memory, 3 * PAGE) != 0)
		die("mmap");
	memset((void *)memory, 1, 3 * PAGE);
	for (unsigned i = 0; i < 3; i++)
		physical[i] = physical_of(memory + i * PAGE);
	enable_device(argv[1]);
	printf("stray: status %d\n", identify(strtoull(argv[2], NULL, 0)));
	int status = identify(physical[2]);
	printf("own: status %d vendor %02x%02x\n", status, memory[2 * PAGE + 1], memory[2 * PAGE]);
	return 0;
}
