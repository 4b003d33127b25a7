/*
 * Starts commands in turn, many times, and prints for each the time from fork to the first byte on
 * its standard output (the guest's first instructions) and to its end; ratios to the first one.
 *
 *   bench_startup RUNS NAME COMMAND... -- NAME COMMAND... -- ...
 */
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "figures.h"

#define CONTENDERS_MAX 8u
#define LIMIT_MS       10000
/* KVM goes on taking down the VM before on the other CPUs; a new thread would wait for those. */
#define SETTLE_MS 20

extern char **environ;

struct contender {
	const char *name;
	char **argv;
	uint64_t *first_ns;
	uint64_t *end_ns;
	unsigned done;
	bool out; /* failed once: not tried again */
};

static bool run(struct contender *c)
{
	int ends[2];
	if (pipe(ends) != 0)
		return false;
	posix_spawn_file_actions_t actions;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	(void)posix_spawn_file_actions_addclose(&actions, ends[0]);
	(void)posix_spawn_file_actions_addclose(&actions, ends[1]);
	uint64_t begin = figures_now_ns();
	pid_t pid;
	int err = posix_spawnp(&pid, c->argv[0], &actions, NULL, c->argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	if (err) {
		(void)fprintf(stderr, "%s: %s\n", c->argv[0], strerror(err));
		(void)close(ends[0]);
		return false;
	}
	/* The guest writes '!'; some VMMs print something before it. */
	char text[4096];
	uint64_t first = 0;
	struct pollfd p = {.fd = ends[0], .events = POLLIN};
	bool late = false;
	while (!late) {
		late = poll(&p, 1, LIMIT_MS) != 1;
		ssize_t n = late ? 0 : read(ends[0], text, sizeof(text));
		if (n <= 0)
			break;
		if (!first && memchr(text, '!', (size_t)n))
			first = figures_now_ns();
	}
	if (late)
		(void)kill(pid, SIGKILL);
	int status;
	(void)waitpid(pid, &status, 0);
	(void)close(ends[0]);
	if (!first || late) {
		(void)fprintf(stderr, "%s: %s\n", c->name,
		              late ? "did not end" : "no sign of the guest");
		return false;
	}
	c->end_ns[c->done] = figures_now_ns() - begin;
	c->first_ns[c->done++] = first - begin;
	return true;
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void print(const struct contender *all, unsigned count)
{
	(void)printf("%-14s %7s %9s %6s %7s %9s %6s   ms; ratio of the medians\n", "", "first",
	             "median", "ratio", "end", "median", "ratio");
	for (unsigned i = 0; i < count; i++) {
		const struct contender *c = &all[i];
		if (c->done == 0)
			continue;
		figures_sort(c->first_ns, c->done);
		figures_sort(c->end_ns, c->done);
		uint64_t first = c->first_ns[c->done / 2], end = c->end_ns[c->done / 2];
		(void)printf("%-14s %7.2f %9.2f %6.2f %7.2f %9.2f %6.2f\n", c->name,
		             ms(c->first_ns[0]), ms(first),
		             (double)first / (double)all[0].first_ns[all[0].done / 2],
		             ms(c->end_ns[0]), ms(end),
		             (double)end / (double)all[0].end_ns[all[0].done / 2]);
	}
}

int main(int argc, char **argv)
{
	struct contender all[CONTENDERS_MAX] = {{0}};
	unsigned count = 0;
	unsigned runs = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	for (int i = 2; i + 1 < argc && count < CONTENDERS_MAX; i++) {
		all[count].name = argv[i];
		all[count].argv = &argv[i + 1];
		all[count].first_ns = calloc(runs, sizeof(uint64_t));
		all[count].end_ns = calloc(runs, sizeof(uint64_t));
		count++;
		while (i < argc && strcmp(argv[i], "--") != 0)
			i++;
		if (i < argc)
			argv[i] = NULL;
	}
	if (count == 0 || runs == 0) {
		(void)fprintf(stderr, "usage: bench_startup RUNS NAME COMMAND... [-- ...]\n");
		return EXIT_FAILURE;
	}
	for (unsigned r = 0; r < runs; r++)
		for (unsigned i = 0; i < count; i++)
			if (!all[i].out) {
				(void)poll(NULL, 0, SETTLE_MS);
				all[i].out = !run(&all[i]);
			}
	print(all, count);
	return all[0].done ? EXIT_SUCCESS : EXIT_FAILURE;
}
