/*
 * blkread DEVICE random|sequential|scattered COUNT: reads with O_DIRECT, one request at a time:
 * COUNT blocks of 4 KiB at pseudo-random places (the same ones on every run), or COUNT MiB from the
 * start. How many segments a MiB has depends on where its pages are: sequential reads go to a huge
 * page, which is one, and scattered ones to pages of which no two are neighbours.
 *
 * Exit status: 0 done, 1 a read failed, 2 the tool could not run.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define MIB  (1u << 20)
#define HUGE (2 * MIB)

/* A MiB whose pages are neighbours, or a buffer of which none is next to another. */
static void *buffer(int contiguous)
{
	uint8_t *room =
	        mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *data = room + (HUGE - (uintptr_t)room % HUGE);

	if (room == MAP_FAILED ||
	    madvise(data, HUGE, contiguous ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) < 0)
		return NULL;
	/* The kernel gives out neighbours one after another, so they are asked for out of order. */
	for (unsigned i = 0; i < MIB / PAGE; i++)
		data[i * 97u % (MIB / PAGE) * PAGE] = 1;
	return data;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1;
	uint64_t blocks;
	size_t unit;
	void *data;
	off_t size;
	long count;
	int is_random;
	int fd;

	if (argc != 4)
		return 2;
	is_random = strcmp(argv[2], "random") == 0;
	unit = is_random ? PAGE : MIB;
	count = atol(argv[3]);
	fd = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	data = buffer(strcmp(argv[2], "scattered") != 0);
	if (fd < 0 || !data)
		return 2;
	size = lseek(fd, 0, SEEK_END);
	if (size < (off_t)unit)
		return 2;
	blocks = (uint64_t)size / unit;
	for (long i = 0; i < count; i++) {
		uint64_t block = (uint64_t)i % blocks;

		if (is_random) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			block = (seed >> 33) % blocks;
		}
		if (pread(fd, data, unit, (off_t)(block * unit)) != (ssize_t)unit) {
			perror("blkread");
			return 1;
		}
	}
	return 0;
}
