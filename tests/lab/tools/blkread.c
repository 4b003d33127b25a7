/*
 * blkread DEVICE random|sequential COUNT: reads with O_DIRECT, one request at a time: COUNT blocks
 * of 4 KiB at pseudo-random places (the same ones on every run), or COUNT MiB from the start.
 * Exit status: 0 done, 1 a read failed, 2 the tool could not run.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	unit = is_random ? 4096 : 1 << 20;
	count = atol(argv[3]);
	fd = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || posix_memalign(&data, 4096, unit) != 0)
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
