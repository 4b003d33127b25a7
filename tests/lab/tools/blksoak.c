/*
 * blksoak DEVICE COUNT: reads COUNT blocks of 4 KiB with O_DIRECT, one at a time, at pseudo-random
 * places (the same ones on every run), between two marks (mark.h), while a process of the lowest
 * class takes all time that is left, so that the guest never halts. Before, that process runs alone
 * for a while, between two marks as well: what its time costs by itself, the timers' ticks most of
 * all, can be taken off then. Exit status: 0 done, 1 a read failed, 2 the tool could not run.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mark.h"

#define BLOCK    4096u
#define WARM_UP  200
#define ALONE_US 2000000u

static void soak(void)
{
	const struct sched_param none = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setscheduler(0, SCHED_IDLE, &none) != 0)
		_exit(2);
	for (volatile unsigned i = 0;; i++)
		;
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
	pid_t child;
	void *data;
	off_t size;
	int done;

	if (fd < 0 || posix_memalign(&data, BLOCK, BLOCK) != 0)
		return 2;
	size = lseek(fd, 0, SEEK_END);
	if (size < (off_t)BLOCK)
		return 2;
	child = fork();
	if (child < 0)
		return 2;
	if (child == 0)
		soak();
	done = read_blocks(fd, data, (uint64_t)size / BLOCK, WARM_UP);
	LAB_MARK_BEGIN();
	usleep(ALONE_US);
	LAB_MARK_END();
	LAB_MARK_BEGIN();
	done = done && read_blocks(fd, data, (uint64_t)size / BLOCK, count);
	LAB_MARK_END();
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return done ? 0 : 1;
}
