/* What vmm bench makes of samples, and what compare and model make of files. */
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "vmm/cli/bench/bench.h"
#include "vmm/cli/cli.h"

static struct outcome *o;
static FILE *saved;

/* What the code under test prints. */
static char text[16384];

static void capture(void)
{
	(void)fflush(stdout);
	saved = stdout;
	stdout = tmpfile();
	ck_assert_ptr_nonnull(stdout);
}

static void release(void)
{
	rewind(stdout);
	size_t n = fread(text, 1, sizeof(text) - 1, stdout);
	text[n] = '\0';
	(void)fclose(stdout);
	stdout = saved;
}

static void setup(void)
{
	o = calloc(1, sizeof(*o));
	ck_assert_ptr_nonnull(o);
}

static void teardown(void)
{
	free(o);
}

static struct bench_report report_of(enum outcome_state state)
{
	struct bench_report r = {.count = 1, .m = calloc(1, sizeof(*r.m))};
	ck_assert_ptr_nonnull(r.m);
	r.m[0].bench = &bench_cases[0];
	o->state = state;
	o->tsc_khz = 2000000;
	o->wanted = 1000;
	ck_assert(measured_take(&r.m[0], o));
	return r;
}

static void thousand_samples(void)
{
	o->done = 1000;
	for (uint32_t i = 0; i < o->done; i++)
		o->net[i] = 2000 + i % 10;
	o->net[500] = 1000000;
}

START_TEST(outliers_are_kept)
{
	thousand_samples();
	struct bench_report r = report_of(OUTCOME_OK);
	ck_assert_uint_eq(r.m[0].net.count, 1000);
	ck_assert_uint_eq(r.m[0].net.max, 1000000);
	ck_assert_uint_eq(r.m[0].net.median, 2005);
	json_t *root = report_json(&r);
	json_t *c = json_array_get(json_object_get(root, "cases"), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(c, "count")), 1000);
	json_t *ns = json_object_get(c, "ns");
	ck_assert_double_eq(json_number_value(json_object_get(ns, "max")), 500000);
	json_int_t sum = 0;
	size_t i;
	json_t *pair;
	json_array_foreach(json_object_get(c, "histogram"), i, pair) sum +=
	        json_integer_value(json_array_get(pair, 1));
	ck_assert_int_eq(sum, 1000);
	json_decref(root);
	report_fini(&r);
}
END_TEST

START_TEST(what_is_absent_has_no_figures)
{
	(void)snprintf(o->why, sizeof(o->why), "KVM lacks \"it\", says so");
	struct bench_report r = report_of(OUTCOME_ABSENT);
	json_t *root = report_json(&r);
	json_t *c = json_array_get(json_object_get(root, "cases"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(c, "state")), "not-on-this-host");
	ck_assert_str_eq(json_string_value(json_object_get(c, "why")), o->why);
	ck_assert_ptr_null(json_object_get(c, "cycles"));
	ck_assert_ptr_null(json_object_get(c, "count"));
	json_decref(root);
	capture();
	report_table(stdout, &r, true);
	report_csv(stdout, &r);
	release();
	ck_assert_ptr_nonnull(strstr(text, "not on this host: KVM lacks \"it\""));
	ck_assert_ptr_nonnull(strstr(text, "\"KVM lacks \"\"it\"\", says so\""));
	report_fini(&r);
}
END_TEST

START_TEST(csv_lines_have_as_many_fields_as_the_head)
{
	for (unsigned state = OUTCOME_NOT_RUN; state <= OUTCOME_FAILED; state++) {
		thousand_samples();
		struct bench_report r = report_of((enum outcome_state)state);
		capture();
		report_csv(stdout, &r);
		release();
		unsigned fields[2] = {0}, line = 0;
		for (const char *c = text; *c && line < 2; c++) {
			line += *c == '\n';
			if (*c == ',')
				fields[line]++;
		}
		ck_assert_uint_eq(fields[0], fields[1]);
		report_fini(&r);
	}
}
END_TEST

START_TEST(an_interrupted_run_says_so)
{
	struct bench_report r = report_of(OUTCOME_NOT_RUN);
	r.partial = true;
	json_t *root = report_json(&r);
	ck_assert(json_is_true(json_object_get(root, "partial")));
	json_decref(root);
	capture();
	report_table(stdout, &r, false);
	release();
	ck_assert_ptr_nonnull(strstr(text, "PARTIAL"));
	ck_assert_ptr_nonnull(strstr(text, "not run: interrupted"));
	report_fini(&r);
}
END_TEST

START_TEST(every_case_is_whole)
{
	for (size_t i = 0; i < bench_case_count; i++) {
		const struct bench_case *c = &bench_cases[i];
		ck_assert_str_ne(c->what, "");
		ck_assert_uint_lt(c->kind, BENCH_KINDS);
		ck_assert_uint_ge(c->cpus, 1);
		ck_assert_int_eq(c->seen > 0, !!(c->flags & CASE_USER));
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(c->name, bench_cases[j].name);
	}
}
END_TEST

static json_t *exits_file(json_int_t low, const char *name)
{
	return json_pack("{s:[{s:s, s:i, s:s, s:i, s:{s:f}, s:[[I, i], [I, i]]}]}", "cases", "case",
	                 name, "cpl", 0, "state", "ok", "tsc_khz", 1000000, "ns", "median",
	                 (double)low, "histogram", low, 900, low * 2, 100);
}

static int compare_files(json_int_t a, json_int_t b)
{
	json_t *left = exits_file(a, "cpuid"), *right = exits_file(b, "cpuid");
	capture();
	int status = compare_reports(left, "A", right, "B");
	release();
	json_decref(left);
	json_decref(right);
	return status;
}

/* As of 6.1's tracefs with the x86-tsc clock, and what must not be taken for an event. */
START_TEST(tracepoints_are_read)
{
	static const char lines[] =
	        "# tracer: nop\n#\n"
	        "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"
	        "       vmm-vcpu0-93      [000] d..1. 4914200: kvm_entry: vcpu 0, rip 0x1015e6\n"
	        "       vmm-vcpu0-93      [000] ...1. 4917300: kvm_exit: vcpu 0 reason io rip 0x1\n"
	        "CPU:0 [LOST 12 EVENTS]\n"
	        "       vmm-vcpu0-93      [000] ...1. 4917350: kvm_pio: pio_read at 0x520\n"
	        "x: kvm_exit: y\n: kvm_exit: \n7: kvm_entry: \n"
	        " 99999999999999999999: kvm_exit: \n"
	        " 18446744073709551615: kvm_exit: 12: kvm_entry: \n"
	        " 12: kvm_entry: ";
	struct trace_event e[8];
	ck_assert_uint_eq(trace_parse(lines, sizeof(lines) - 1, e, 8), 4);
	ck_assert(e[0].entry && e[0].ticks == 4914200);
	ck_assert(!e[1].entry && e[1].ticks == 4917300);
	ck_assert(!e[2].entry && e[2].ticks == UINT64_MAX);
	ck_assert(e[3].entry && e[3].ticks == 12);
	/* No more than there is room for; no byte beyond the end, wherever that is. */
	ck_assert_uint_eq(trace_parse(lines, sizeof(lines) - 1, e, 1), 1);
	ck_assert_uint_eq(trace_parse(lines, 0, e, 8), 0);
	for (size_t len = 1; len < sizeof(lines); len++) {
		char *copy = malloc(len);
		ck_assert_ptr_nonnull(copy);
		memcpy(copy, lines, len);
		ck_assert_uint_le(trace_parse(copy, len, e, 8), 4);
		free(copy);
	}
}
END_TEST

START_TEST(tracepoints_split_a_sample)
{
	/* The second sample has two exits, the third has lost one stamp, the fourth its device's.
	 */
	const struct bench_sample s[] = {{100, 200}, {300, 500}, {600, 700}, {800, 900}};
	const uint64_t stamp[] = {150, 340, 650, 10};
	const struct trace_event e[] = {
	        {90, true},   {110, false}, {180, true},  {310, false}, {350, true},
	        {360, false}, {480, true},  {610, false}, {820, false}, {880, true},
	};
	const size_t n = sizeof(e) / sizeof(e[0]);
	struct trace_parts p;
	ck_assert(trace_split(e, n, s, stamp, 4, &p));
	ck_assert_uint_eq(p.samples, 2);
	ck_assert(p.user);
	const uint64_t want[TRACE_PARTS] = {10, 40, 140, 20};
	for (unsigned i = 0; i < TRACE_PARTS; i++)
		ck_assert_uint_eq(p.median[i], want[i]);
	ck_assert(trace_split(e, n, s, NULL, 4, &p));
	ck_assert_uint_eq(p.samples, 3);
	ck_assert(!p.user);
	ck_assert_uint_eq(p.median[TRACE_TO_USER], 70);
	ck_assert_uint_eq(p.median[TRACE_FROM_USER], 0);
	ck_assert(!trace_split(e, 0, s, stamp, 4, &p));
	ck_assert(!trace_split(e, n, s, stamp, 0, &p));
	/* Out of order: whatever comes of it, no sample twice and none beyond the end. */
	const struct trace_event wild[] = {
	        {UINT64_MAX, false}, {0, true}, {110, false}, {120, true}};
	(void)trace_split(wild, 4, s, stamp, 4, &p);
	ck_assert_uint_le(p.samples, 4);
}
END_TEST

START_TEST(compare_tells_what_differs)
{
	ck_assert_int_eq(compare_files(1000, 1100), CLI_OK);
	ck_assert_ptr_nonnull(strstr(text, "B slower"));
	ck_assert_int_eq(compare_files(1100, 1000), CLI_OK);
	ck_assert_ptr_nonnull(strstr(text, "B faster"));
	ck_assert_int_eq(compare_files(1000, 1000), CLI_OK);
	ck_assert_ptr_nonnull(strstr(text, "no difference shown"));
}
END_TEST

START_TEST(compare_refuses_nonsense)
{
	json_t *good = exits_file(1000, "cpuid"), *bad = exits_file(-5, "cpuid");
	capture();
	int status = compare_reports(good, "A", bad, "B");
	release();
	ck_assert_int_eq(status, CLI_BAD_IMAGE);
	json_decref(good);
	json_decref(bad);
}
END_TEST

START_TEST(model_multiplies_and_adds)
{
	json_t *costs = exits_file(5000, "pio-in-user");
	json_t *profile = json_pack("{s:i, s:f, s:f, s:f, s:{s:i, s:i}, s:[{s:s, s:b, s:i}]}",
	                            "tsc_khz", 1000000, "wall_cycles", 1.5e9, "guest_ns", 1e9,
	                            "halted_ns", 0.1e9, "kvm", "exits", 100, "io_exits", 80,
	                            "entries", "exit", "IO", "write", 0, "count", 80000);
	capture();
	int status = model_predict(costs, profile, -1);
	release();
	ck_assert_int_eq(status, CLI_OK);
	/* 80,000 x 5 us = 400 ms; measured: 1500 - 100 - 1000 = 400 ms. */
	ck_assert_ptr_nonnull(strstr(text, "predicted overhead 400.000 ms"));
	ck_assert_ptr_nonnull(strstr(text, "measured overhead  400.000 ms"));
	ck_assert_ptr_nonnull(strstr(text, "error: +0.0 % of the overhead"));
	json_decref(costs);
	json_decref(profile);
}
END_TEST

START_TEST(model_leaves_out_what_has_no_cost)
{
	json_t *costs = exits_file(5000, "mmio-read");
	json_t *profile =
	        json_pack("{s:i, s:f, s:f, s:[{s:s, s:b, s:i}]}", "tsc_khz", 1000000, "wall_cycles",
	                  1.5e9, "guest_ns", 1e9, "entries", "exit", "IO", "write", 1, "count", 7);
	capture();
	int status = model_predict(costs, profile, -1);
	release();
	ck_assert_int_eq(status, CLI_OK);
	ck_assert_ptr_nonnull(strstr(text, "left out"));
	ck_assert_ptr_nonnull(strstr(text, "predicted overhead 0.000 ms"));
	json_decref(costs);
	json_decref(profile);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("bench");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, outliers_are_kept);
	tcase_add_test(tc, what_is_absent_has_no_figures);
	tcase_add_test(tc, csv_lines_have_as_many_fields_as_the_head);
	tcase_add_test(tc, an_interrupted_run_says_so);
	tcase_add_test(tc, every_case_is_whole);
	tcase_add_test(tc, tracepoints_are_read);
	tcase_add_test(tc, tracepoints_split_a_sample);
	tcase_add_test(tc, compare_tells_what_differs);
	tcase_add_test(tc, compare_refuses_nonsense);
	tcase_add_test(tc, model_multiplies_and_adds);
	tcase_add_test(tc, model_leaves_out_what_has_no_cost);
	return suite_run("bench", tc);
}
