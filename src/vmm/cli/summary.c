/* The line that `vmm run --stats` prints. See summary.h. */
#include "summary.h"

#include <stdbool.h>

static void stage(FILE *out, const char *name, uint64_t began_ns, uint64_t at_ns)
{
	if (at_ns >= began_ns && at_ns > 0)
		(void)fprintf(out, " %s %.1f ms", name, (double)(at_ns - began_ns) / 1e6);
}

/* The reasons, most frequent first. */
static void exits(FILE *out, const vmm_stats_t *s)
{
	bool shown[VMM_EXIT_REASONS] = {false};
	(void)fprintf(out, "; exits %llu", (unsigned long long)s->exits_total);
	for (unsigned n = 0; n < 6; n++) {
		unsigned best = VMM_EXIT_REASONS;
		for (unsigned r = 0; r < VMM_EXIT_REASONS; r++)
			if (!shown[r] && s->exits[r] > 0 &&
			    (best == VMM_EXIT_REASONS || s->exits[r] > s->exits[best]))
				best = r;
		if (best == VMM_EXIT_REASONS)
			break;
		shown[best] = true;
		(void)fprintf(out, "%s%s %llu", n ? ", " : " (", vmm_exit_name(best),
		              (unsigned long long)s->exits[best]);
	}
	if (s->exits_total > 0)
		(void)fputc(')', out);
}

void summary_print(FILE *out, const vmm_stats_t *s, uint64_t began_ns, uint64_t now_ns)
{
	(void)fputs("boot:", out);
	stage(out, "created", began_ns, s->created_ns);
	stage(out, "loaded", began_ns, s->loaded_ns);
	stage(out, "built", began_ns, s->built_ns);
	stage(out, "started", began_ns, s->started_ns);
	stage(out, "first exit", began_ns, s->first_exit_ns);
	stage(out, "end", began_ns, now_ns);
	exits(out, s);
	(void)fprintf(out,
	              "; unclaimed %llu; virtio kicks %llu, interrupts %llu; guest errors %llu; "
	              "resets %llu",
	              (unsigned long long)s->unclaimed, (unsigned long long)s->virtio_kicks,
	              (unsigned long long)s->virtio_interrupts, (unsigned long long)s->guest_errors,
	              (unsigned long long)s->resets);
}
