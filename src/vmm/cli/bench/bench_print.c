/* `vmm bench exits` for people, and as comma-separated values. */
#include <string.h>

#include "bench.h"

#define HISTOGRAM_WIDTH 60u

static double ns(const struct measured *m, uint64_t ticks)
{
	return m->tsc_khz ? (double)ticks * 1e6 / m->tsc_khz : 0;
}

/* Short enough for a column, exact enough for three digits. */
static void put_ns(FILE *out, const struct measured *m, uint64_t ticks, bool told)
{
	double v = ns(m, ticks);
	if (!told)
		(void)fprintf(out, " %8s", "-");
	else if (v < 1e4)
		(void)fprintf(out, " %5.0f ns", v);
	else if (v < 1e7)
		(void)fprintf(out, " %5.1f us", v / 1e3);
	else
		(void)fprintf(out, " %5.1f ms", v / 1e6);
}

/* The last percentile that the samples can tell: what lies beyond would flatten all the rest. */
static uint64_t last_told(const struct summary *s)
{
	if (summary_can_tell(s->count, 999))
		return s->p999;
	return summary_can_tell(s->count, 990) ? s->p99 : s->max;
}

/* A character for each step of the range; its height is the logarithm of how many fall there. */
static void put_histogram(FILE *out, const struct measured *m)
{
	static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	uint64_t cell[HISTOGRAM_WIDTH] = {0};
	uint64_t low = m->net.min, top = last_told(&m->net);
	top = top > low ? top : low + 1;
	uint64_t most = 0, beyond = 0;
	for (size_t i = 0; i < m->bucket_count; i++) {
		uint64_t v = m->bucket[i].value > low ? m->bucket[i].value - low : 0;
		double share = (double)v / (double)(top - low);
		if (share >= 1.0 && m->bucket[i].value > top) {
			beyond += m->bucket[i].count;
			continue;
		}
		uint32_t at = share < 1 ? (uint32_t)(share * HISTOGRAM_WIDTH) : HISTOGRAM_WIDTH - 1;
		cell[at] += m->bucket[i].count;
		most = cell[at] > most ? cell[at] : most;
	}
	(void)fputs("    |", out);
	for (uint32_t i = 0; i < HISTOGRAM_WIDTH; i++) {
		/* A step for each halving, so that one sample in a hundred still shows. */
		unsigned halvings = 0;
		while (halvings < 7 && cell[i] <= most >> (halvings + 1))
			halvings++;
		(void)fputs(bars[cell[i] ? 8 - halvings : 0], out);
	}
	(void)fprintf(out, "| %.0f to %.0f ns, %llu beyond\n", ns(m, low), ns(m, top),
	              (unsigned long long)beyond);
}

static void put_numbers(FILE *out, const struct measured *m)
{
	const struct summary *s = &m->net;
	(void)fprintf(out, " %7llu", (unsigned long long)s->count);
	put_ns(out, m, s->min, true);
	put_ns(out, m, s->median, true);
	put_ns(out, m, s->p90, summary_can_tell(s->count, 900));
	put_ns(out, m, s->p99, summary_can_tell(s->count, 990));
	put_ns(out, m, s->p999, summary_can_tell(s->count, 999));
	put_ns(out, m, s->max, true);
	put_ns(out, m, (uint64_t)s->deviation, s->count > 1);
	(void)fprintf(out, " %9llu", (unsigned long long)s->median);
	if (m->split) {
		put_ns(out, m, m->out.median, true);
		put_ns(out, m, m->back.median, true);
	}
}

static void put_line(FILE *out, const struct measured *m)
{
	(void)fprintf(out, "%-19s %u", m->bench->name, m->cpl);
	switch (m->state) {
	case OUTCOME_OK:
		put_numbers(out, m);
		break;
	case OUTCOME_ABSENT:
		(void)fprintf(out, "  not on this host: %s", m->why);
		break;
	case OUTCOME_FAILED:
		(void)fprintf(out, "  FAILED: %s", m->why);
		break;
	case OUTCOME_NOT_RUN:
		(void)fputs("  not run: interrupted", out);
		break;
	}
	(void)fputc('\n', out);
}

/* A line of its own, under the case's. */
static void put_parts(FILE *out, const struct measured *m)
{
	const uint64_t *part = m->parts.median;
	if (!m->traced) {
		(void)fprintf(out, "    by tracepoints: not on this host: %s\n", m->no_parts);
		return;
	}
	(void)fputs("    by tracepoints: guest to KVM", out);
	put_ns(out, m, part[TRACE_TO_KERNEL], true);
	(void)fputs(m->parts.user ? ", to the VMM" : ", in KVM", out);
	put_ns(out, m, part[TRACE_TO_USER], true);
	if (m->parts.user) {
		(void)fputs(", back to KVM", out);
		put_ns(out, m, part[TRACE_FROM_USER], true);
	}
	(void)fputs(", to the guest", out);
	put_ns(out, m, part[TRACE_TO_GUEST], true);
	(void)fprintf(out, " (%u samples)\n", m->parts.samples);
}

void report_table(FILE *out, const struct bench_report *r, bool histograms)
{
	(void)fprintf(out, "%-17s CPL %7s %8s %8s %8s %8s %8s %8s %8s %9s %8s %8s\n", "case",
	              "count", "min", "median", "p90", "p99", "p99.9", "max", "std.dev.", "cycles",
	              "out", "back");
	for (size_t i = 0; i < r->count; i++) {
		const struct measured *m = &r->m[i];
		put_line(out, m);
		if (m->traced || m->no_parts[0])
			put_parts(out, m);
		if (histograms && m->state == OUTCOME_OK && m->net.count > 0)
			put_histogram(out, m);
	}
	(void)fputs(
	        "cycles: the median, in ticks of the TSC; the empty loop's are subtracted from "
	        "all. out, back: to the\nVMM's device and from it to the guest, medians. -: too "
	        "few samples to tell.\n",
	        out);
	if (r->partial)
		(void)fputs("PARTIAL: the run was interrupted.\n", out);
}

static const char *state_name(const struct measured *m)
{
	static const char *const names[] = {"not-run", "ok", "not-on-this-host", "failed"};
	return names[m->state];
}

/* A field that may hold commas and quotes (RFC 4180). */
static void put_quoted(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			(void)fputc('"', out);
		(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}

void report_csv(FILE *out, const struct bench_report *r)
{
	(void)fputs(
	        "case,cpl,state,count,floor_cycles,min_cycles,median_cycles,p90_cycles,p99_cycles,"
	        "p999_cycles,max_cycles,mean_cycles,stddev_cycles,median_ns,p99_ns,out_cycles,"
	        "back_cycles,host_seen,guest_did,partial,why\n",
	        out);
	for (size_t i = 0; i < r->count; i++) {
		const struct measured *m = &r->m[i];
		const struct summary *s = &m->net;
		(void)fprintf(out, "%s,%u,%s", m->bench->name, m->cpl, state_name(m));
		if (m->state == OUTCOME_OK)
			(void)fprintf(
			        out, ",%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu,%.3f,%.3f,%.3f,%.3f",
			        (unsigned long long)s->count, (unsigned long long)m->floor_ticks,
			        (unsigned long long)s->min, (unsigned long long)s->median,
			        (unsigned long long)s->p90, (unsigned long long)s->p99,
			        (unsigned long long)s->p999, (unsigned long long)s->max, s->mean,
			        s->deviation, ns(m, s->median), ns(m, s->p99));
		else
			(void)fputs(",,,,,,,,,,,,", out);
		if (m->state == OUTCOME_OK && m->split)
			(void)fprintf(out, ",%llu,%llu", (unsigned long long)m->out.median,
			              (unsigned long long)m->back.median);
		else
			(void)fputs(",,", out);
		if (m->state == OUTCOME_OK && m->counted)
			(void)fprintf(out, ",%llu,%llu", (unsigned long long)m->host_seen,
			              (unsigned long long)m->guest_did);
		else
			(void)fputs(",,", out);
		(void)fprintf(out, ",%s,", r->partial ? "yes" : "no");
		put_quoted(out, m->why);
		(void)fputc('\n', out);
	}
}
