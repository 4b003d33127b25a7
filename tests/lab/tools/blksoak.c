/*
 * blksoak DEVICE COUNT: reads COUNT blocks of 4 KiB with O_DIRECT, one at a time, at pseudo-random
 * places (the same ones on every run), while a process of the lowest class takes all time that is
 * left and counts it. Prints 'cost N': what a read took that the counter did not get, in ns. So
 * neither waiting counts nor how long it is, on a machine with one CPU that never idles. Exit
 * status: 0 done, 1 a read failed, 2 the tool could not run.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

#define BLOCK        4096u
#define LOOP         200u    /* rounds between two counts */
#define CALIBRATE_US 400000u /* how long the counter runs alone */

struct mark {
	long long ns;
	uint64_t count;
};

static volatile uint64_t *counter;

static void soak(void)
{
	const struct sched_param none = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setscheduler(0, SCHED_IDLE, &none) != 0)
		_exit(2);
	for (;;) {
		for (volatile unsigned i = 0; i < LOOP; i++)
			;
		*counter += 1;
	}
}

static struct mark mark(void)
{
	return (struct mark){clock_ns(), *counter};
}

/* What a count takes, in ns. */
static double calibrate(void)
{
	struct mark from;
	struct mark to;

	usleep(CALIBRATE_US / 10);
	from = mark();
	usleep(CALIBRATE_US);
	to = mark();
	return to.count > from.count ? (double)(to.ns - from.ns) / (double)(to.count - from.count)
	                             : 0;
}

static int read_blocks(int fd, void *data, uint64_t blocks, long count)
{
	uint64_t seed = 1;

	for (long i = 0; i < count; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		if (pread(fd, data, BLOCK, (off_t)((seed >> 33) % blocks * BLOCK)) != BLOCK) {
			perror("blksoak");
			return 0;
		}
	}
	return 1;
}

int main(int argc, char **argv)
{
	long count = argc == 3 ? atol(argv[2]) : 0;
	int fd = count > 0 ? open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC) : -1;
	void *data;
	struct mark from;
	struct mark to;
	double each;
	pid_t child;
	off_t size;
	int done;

	counter = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || counter == MAP_FAILED || posix_memalign(&data, BLOCK, BLOCK) != 0)
		return 2;
	size = lseek(fd, 0, SEEK_END);
	if (size < (off_t)BLOCK)
		return 2;
	child = fork();
	if (child == 0)
		soak();
	each = calibrate();
	done = read_blocks(fd, data, (uint64_t)size / BLOCK, 200);
	from = mark();
	done = done && read_blocks(fd, data, (uint64_t)size / BLOCK, count);
	to = mark();
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	if (!done)
		return 1;
	if (each <= 0)
		return 2;
	printf("cost %.0f\n", ((double)(to.ns - from.ns) - (double)(to.count - from.count) * each) /
	                              (double)count);
	return 0;
}
