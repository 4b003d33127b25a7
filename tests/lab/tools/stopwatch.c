/*
 * stopwatch MARK SECS COMMAND...: runs a command and prints how long it took from exec to the
 * line of its output that contains MARK, as "TOTAL BUSY" in nanoseconds; then kills it. With an
 * empty MARK it is how long the command took to its end.
 * BUSY leaves out the time in which this machine's CPUs were idle. In the deterministic lab a
 * nanosecond is an instruction. The output goes on to standard error.
 * Exit status: 0 the mark came, 1 it did not, 2 the tool could not run.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

static int usage(void)
{
	fprintf(stderr, "usage: stopwatch MARK SECS COMMAND...\n");
	return 2;
}

/* Reads until the mark, the end or the deadline; returns 1 if the mark came. */
static int watch(int fd, const char *mark, long long deadline_ns, char *text, size_t size)
{
	size_t have = 0;

	while (have < size - 1) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		long long left_ms = (deadline_ns - clock_ns()) / 1000000;
		size_t line = have;
		ssize_t n;

		if (left_ms <= 0 || poll(&p, 1, (int)left_ms) != 1)
			return 0;
		n = read(fd, text + have, size - 1 - have);
		if (n <= 0)
			return n == 0 && !*mark;
		while (line > 0 && text[line - 1] != '\n')
			line--;
		have += (size_t)n;
		text[have] = '\0';
		if (*mark && strstr(text + line, mark) != NULL)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char text[1 << 20];
	long long start_ns;
	long long end_ns;
	long long idle_before;
	long long idle_after;
	int out[2];
	int in[2];
	int found;
	pid_t pid;

	if (argc < 4)
		return usage();
	/* The command's input stays open and silent. */
	if (pipe(out) != 0 || pipe(in) != 0)
		return 2;
	idle_before = clock_idle_ns();
	start_ns = clock_ns();
	pid = fork();
	if (pid < 0)
		return 2;
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[0]);
		close(in[1]);
		close(out[0]);
		close(out[1]);
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	close(out[1]);
	found = watch(out[0], argv[1], start_ns + atoll(argv[2]) * 1000000000, text, sizeof(text));
	if (found && !argv[1][0])
		waitpid(pid, NULL, 0);
	end_ns = clock_ns();
	idle_after = clock_idle_ns();
	if (!found || argv[1][0]) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	fputs(text, stderr);
	if (!found)
		return 1;
	printf("%lld %lld\n", end_ns - start_ns, end_ns - start_ns - (idle_after - idle_before));
	return 0;
}
