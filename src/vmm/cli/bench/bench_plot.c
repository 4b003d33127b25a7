/* `--plot FILE.svg`: a script for gnuplot, with the data in it, on its standard input. */
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

extern char **environ;

static double ns(const struct measured *m, uint64_t ticks)
{
	return m->tsc_khz ? (double)ticks * 1e6 / m->tsc_khz : 0;
}

static bool shown(const struct measured *m)
{
	return m->state == OUTCOME_OK && m->net.count > 0;
}

/* A quoted string of gnuplot's: single quotes are doubled, control characters dropped. */
static void put_string(FILE *f, const char *text)
{
	(void)fputc('\'', f);
	for (; *text; text++) {
		if (*text == '\'')
			(void)fputc('\'', f);
		if ((unsigned char)*text >= ' ')
			(void)fputc(*text, f);
	}
	(void)fputc('\'', f);
}

/* Medians as bars, from the 1st of the samples to the 99th percentile as a line. */
static void put_chart(FILE *f, const struct bench_report *r, unsigned rows)
{
	(void)fputs("$chart << EOD\n", f);
	unsigned row = 0;
	for (size_t i = 0; i < r->count; i++) {
		const struct measured *m = &r->m[i];
		if (shown(m))
			(void)fprintf(f, "%u \"%s %u\" %.3f %.3f %.3f\n", row++, m->bench->name,
			              m->cpl, ns(m, m->net.median), ns(m, m->net.min),
			              ns(m, m->net.p99));
	}
	(void)fprintf(
	        f,
	        "EOD\n"
	        "set title 'Median, least and 99th percentile of each exit'\n"
	        "set logscale x\nset xlabel 'ns'\nset ylabel ''\nset yrange [%u:-1]\n"
	        "set grid x\nunset key\n"
	        "plot $chart using (column(3)>0?column(3):0.5):1:"
	        "(column(4)>0?column(4):0.5):5:ytic(2) with xerrorbars pt 7 ps 0.5 lc 'navy'\n"
	        "unset logscale x\n",
	        rows);
}

static void put_histogram(FILE *f, const struct measured *m)
{
	(void)fputs("$h << EOD\n", f);
	for (size_t i = 0; i < m->bucket_count; i++)
		if (m->bucket[i].value <= m->net.p999)
			(void)fprintf(f, "%.3f %llu\n", ns(m, m->bucket[i].value),
			              (unsigned long long)m->bucket[i].count);
	(void)fprintf(f,
	              "EOD\nset title '%s, CPL %u'\nset xlabel 'ns, up to the 99.9th percentile'\n"
	              "set ylabel 'samples'\nset yrange [0.5:*]\nset logscale y\n"
	              "set xtics auto\nset ytics auto\n"
	              "plot $h using 1:2 with impulses lw 2 lc 'navy'\nunset logscale y\n",
	              m->bench->name, m->cpl);
}

static void put_script(FILE *f, const struct bench_report *r, const char *path)
{
	unsigned rows = 0;
	for (size_t i = 0; i < r->count; i++)
		rows += shown(&r->m[i]);
	/* The chart takes the place of three rows of histograms, two to a row. */
	unsigned lines = 1 + (rows + 1) / 2;
	(void)fprintf(
	        f, "set terminal svg size 1200,%u font 'sans,11' background 'white'\nset output ",
	        500 + 220 * (lines - 1));
	put_string(f, path);
	double top = 500.0 / (500 + 220 * (lines - 1));
	(void)fprintf(f, "\nset multiplot\nset size 1,%.6f\nset origin 0,%.6f\n", top, 1 - top);
	put_chart(f, r, rows);
	unsigned at = 0;
	double height = lines > 1 ? (1 - top) / (lines - 1) : 0;
	for (size_t i = 0; i < r->count; i++) {
		if (!shown(&r->m[i]))
			continue;
		const unsigned row = at / 2 + 1;
		(void)fprintf(f, "set size 0.5,%.6f\nset origin %.1f,%.6f\n", height,
		              at % 2 ? 0.5 : 0.0, 1 - top - height * row);
		put_histogram(f, &r->m[i]);
		at++;
	}
	(void)fputs("unset multiplot\n", f);
}

static bool run_gnuplot(int in)
{
	posix_spawn_file_actions_t actions;
	char name[] = "gnuplot";
	char *argv[] = {name, NULL};
	pid_t pid;
	int status = 0;
	if (posix_spawn_file_actions_init(&actions) != 0)
		return false;
	(void)posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	int err = posix_spawnp(&pid, name, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (err == ENOENT) {
		(void)fputs("vmm bench: --plot: gnuplot is not installed; install it with "
		            "`apt-get install gnuplot-nox`, or draw from --csv\n",
		            stderr);
		return false;
	}
	if (err || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 0) {
		(void)fputs("vmm bench: --plot: gnuplot failed\n", stderr);
		return false;
	}
	return true;
}

bool report_plot(const struct bench_report *r, const char *path)
{
	bool any = false;
	for (size_t i = 0; i < r->count; i++)
		any |= shown(&r->m[i]);
	if (!any) {
		(void)fputs("vmm bench: --plot: there is nothing to draw\n", stderr);
		return false;
	}
	FILE *f = tmpfile();
	if (!f) {
		(void)fprintf(stderr, "vmm bench: --plot: %s\n", strerror(errno));
		return false;
	}
	put_script(f, r, path);
	bool good = fflush(f) == 0 && lseek(fileno(f), 0, SEEK_SET) == 0 && run_gnuplot(fileno(f));
	(void)fclose(f);
	return good;
}
