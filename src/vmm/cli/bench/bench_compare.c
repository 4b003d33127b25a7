/*
 * `vmm bench compare A.json B.json`: which cases differ, and whether chance alone would do that.
 * The files are read with care: they may be anybody's.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "stats/rank.h"
#include "vmm/cli/cli.h"

#define SIGNIFICANT 0.01

static const char help[] =
        "usage: vmm bench compare A.json B.json\n"
        "\n"
        "Compares two files of `vmm bench exits --json`, case by case: medians, their ratio, the\n"
        "share of pairs in which B is the slower one, and p, how often chance alone would set the\n"
        "two that far apart (Mann-Whitney U test, two-sided, with ties). The verdict asks for\n"
        "p < 0.01 divided by the number of cases (Bonferroni).\n";

struct side {
	const char *path;
	json_t *root;
	json_t *cases; /* borrowed */
};

static bool load(struct side *s)
{
	json_error_t e;
	s->root = json_load_file(s->path, JSON_REJECT_DUPLICATES, &e);
	if (!s->root) {
		(void)fprintf(stderr, "vmm bench compare: %s: line %d: %s\n", s->path, e.line,
		              e.text);
		return false;
	}
	const char *format = json_string_value(json_object_get(s->root, "format"));
	const char *what = json_string_value(json_object_get(s->root, "what"));
	s->cases = json_object_get(s->root, "cases");
	if (!format || strcmp(format, "vmm-bench") != 0 || !what || strcmp(what, "exits") != 0 ||
	    json_integer_value(json_object_get(s->root, "version")) != 1 ||
	    !json_is_array(s->cases)) {
		(void)fprintf(
		        stderr,
		        "vmm bench compare: %s: is not of `vmm bench exits --json`, version 1\n",
		        s->path);
		return false;
	}
	return true;
}

static const char *name_of(const json_t *c)
{
	const char *name = json_string_value(json_object_get(c, "case"));
	return name ? name : "";
}

static json_t *find(const struct side *s, const json_t *like)
{
	size_t i;
	json_t *c;
	json_array_foreach(s->cases, i, c) if (strcmp(name_of(c), name_of(like)) == 0 &&
	                                       json_integer_value(json_object_get(c, "cpl")) ==
	                                               json_integer_value(json_object_get(
	                                                       like, "cpl"))) return c;
	return NULL;
}

static bool is_measured(const json_t *c)
{
	const char *state = json_string_value(json_object_get(c, "state"));
	return state && strcmp(state, "ok") == 0;
}

/*
 * The histogram in ns, as integers of 1/1000 ns, so that two rates of the TSC compare. Ascending,
 * positive counts, or it is refused. NULL: refused or out of memory.
 */
static struct weighted *histogram(const json_t *c, size_t *n)
{
	const json_t *list = json_object_get(c, "histogram");
	json_int_t khz = json_integer_value(json_object_get(c, "tsc_khz"));
	*n = json_array_size(list);
	if (*n == 0 || khz <= 0)
		return NULL;
	struct weighted *w = calloc(*n, sizeof(*w));
	json_int_t last = -1;
	for (size_t i = 0; w && i < *n; i++) {
		const json_t *pair = json_array_get(list, i);
		json_int_t value = json_integer_value(json_array_get(pair, 0));
		json_int_t count = json_integer_value(json_array_get(pair, 1));
		if (json_array_size(pair) != 2 || value <= last || count <= 0) {
			free(w);
			return NULL;
		}
		last = value;
		double scaled = (double)value * 1e9 / (double)khz;
		w[i].value = scaled < 1.8e19 ? (uint64_t)scaled : UINT64_MAX;
		w[i].count = (uint64_t)count;
	}
	return w;
}

struct line {
	struct summary a, b;
	struct rank_test test;
};

static bool compare_case(const json_t *a, const json_t *b, struct line *l)
{
	size_t na = 0, nb = 0;
	struct weighted *wa = histogram(a, &na), *wb = histogram(b, &nb);
	bool good = wa && wb;
	if (good) {
		l->a = summary_of_weighted(wa, na);
		l->b = summary_of_weighted(wb, nb);
		l->test = rank_test(wb, nb, wa, na);
	}
	free(wa);
	free(wb);
	return good;
}

static const char *verdict(const struct line *l, size_t cases)
{
	if (l->test.p * (double)cases >= SIGNIFICANT)
		return "no difference shown";
	return l->test.larger > 0.5 ? "B slower" : "B faster";
}

static void print_line(const json_t *c, const struct line *l, size_t cases)
{
	double a = (double)l->a.median / 1000, b = (double)l->b.median / 1000;
	(void)printf("%-19s %lld %10.0f %10.0f %8.3f %7.3f %9.2g  %s\n", name_of(c),
	             (long long)json_integer_value(json_object_get(c, "cpl")), a, b,
	             a > 0 ? b / a : 0, l->test.larger, l->test.p, verdict(l, cases));
}

static size_t count_common(const struct side *a, const struct side *b)
{
	size_t i, n = 0;
	json_t *c;
	json_array_foreach(a->cases, i, c)
	{
		const json_t *other = find(b, c);
		n += is_measured(c) && other && is_measured(other);
	}
	return n;
}

static int compare(const struct side *a, const struct side *b)
{
	size_t i, cases = count_common(a, b);
	json_t *c;
	int status = CLI_OK;
	(void)printf("%-17s CPL %10s %10s %8s %7s %9s\n", "case", "A, ns", "B, ns", "B/A", "B>A",
	             "p");
	json_array_foreach(a->cases, i, c)
	{
		const json_t *other = find(b, c);
		struct line l;
		if (!other || !is_measured(c) || !is_measured(other)) {
			(void)printf("%-19s %lld not measured in %s\n", name_of(c),
			             (long long)json_integer_value(json_object_get(c, "cpl")),
			             is_measured(c) ? b->path : a->path);
			continue;
		}
		if (compare_case(c, other, &l)) {
			print_line(c, &l, cases);
			continue;
		}
		(void)fprintf(stderr, "vmm bench compare: %s: its histogram makes no sense\n",
		              name_of(c));
		status = CLI_BAD_IMAGE;
	}
	if (json_is_true(json_object_get(a->root, "partial")) ||
	    json_is_true(json_object_get(b->root, "partial")))
		(void)puts("PARTIAL: at least one of the runs was interrupted.");
	return status;
}

int compare_reports(json_t *a, const char *a_name, json_t *b, const char *b_name)
{
	const struct side left = {a_name, a, json_object_get(a, "cases")};
	const struct side right = {b_name, b, json_object_get(b, "cases")};
	return compare(&left, &right);
}

int bench_compare(int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		(void)fputs(help, stdout);
		return CLI_OK;
	}
	if (argc != 3) {
		(void)fputs(help, stderr);
		return CLI_USAGE;
	}
	struct side a = {.path = argv[1]}, b = {.path = argv[2]};
	int status = load(&a) && load(&b) ? compare_reports(a.root, a.path, b.root, b.path)
	                                  : CLI_BAD_IMAGE;
	json_decref(a.root);
	json_decref(b.root);
	return status;
}
