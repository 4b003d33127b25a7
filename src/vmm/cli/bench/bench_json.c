/* The JSON that vmm bench writes; docs/bench.md has its schema. */
#include <jansson.h>
#include <string.h>
#include <sys/utsname.h>

#include "bench.h"
#include "vmm/vm.h"

#define FORMAT "vmm-bench"

static double ns(const struct measured *m, double ticks)
{
	return m->tsc_khz ? ticks * 1e6 / m->tsc_khz : 0;
}

static json_t *integer(uint64_t v)
{
	return json_integer(v <= INT64_MAX ? (json_int_t)v : INT64_MAX);
}

/* In cycles, and the same in ns. */
static json_t *summary_json(const struct measured *m, const struct summary *s, bool in_ns)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {{"min", s->min}, {"median", s->median}, {"p90", s->p90},
	            {"p99", s->p99}, {"p999", s->p999},     {"max", s->max}};
	json_t *o = json_object();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		(void)json_object_set_new(o, rows[i].name,
		                          in_ns ? json_real(ns(m, (double)rows[i].value))
		                                : integer(rows[i].value));
	(void)json_object_set_new(o, "mean", json_real(in_ns ? ns(m, s->mean) : s->mean));
	(void)json_object_set_new(o, "stddev",
	                          json_real(in_ns ? ns(m, s->deviation) : s->deviation));
	return o;
}

static json_t *buckets_json(const struct measured *m)
{
	json_t *list = json_array();
	for (size_t i = 0; i < m->bucket_count; i++)
		(void)json_array_append_new(list, json_pack("[oo]", integer(m->bucket[i].value),
		                                            integer(m->bucket[i].count)));
	return list;
}

static json_t *kvm_json(const struct measured *m)
{
	json_t *o = json_object();
	for (uint32_t i = 0; i < m->kvm_count; i++)
		(void)json_object_set_new(o, m->kvm[i].name, integer(m->kvm[i].count));
	return o;
}

static json_t *parts_json(const struct measured *m)
{
	const uint64_t *part = m->parts.median;
	json_t *o = json_object();
	(void)json_object_set_new(o, "samples", json_integer(m->parts.samples));
	(void)json_object_set_new(o, "to_kernel", integer(part[TRACE_TO_KERNEL]));
	(void)json_object_set_new(o, m->parts.user ? "to_user" : "in_kernel",
	                          integer(part[TRACE_TO_USER]));
	if (m->parts.user)
		(void)json_object_set_new(o, "from_user", integer(part[TRACE_FROM_USER]));
	(void)json_object_set_new(o, "to_guest", integer(part[TRACE_TO_GUEST]));
	return o;
}

static void put_numbers(json_t *o, const struct measured *m)
{
	(void)json_object_set_new(o, "count", integer(m->net.count));
	(void)json_object_set_new(o, "tsc_khz", json_integer(m->tsc_khz));
	(void)json_object_set_new(o, "floor_cycles", integer(m->floor_ticks));
	(void)json_object_set_new(o, "cycles", summary_json(m, &m->net, false));
	(void)json_object_set_new(o, "ns", summary_json(m, &m->net, true));
	if (m->split) {
		(void)json_object_set_new(o, "out_cycles", summary_json(m, &m->out, false));
		(void)json_object_set_new(o, "back_cycles", summary_json(m, &m->back, false));
	}
	if (m->traced)
		(void)json_object_set_new(o, "traced_cycles", parts_json(m));
	else if (m->no_parts[0])
		(void)json_object_set_new(o, "not_traced", json_string(m->no_parts));
	if (m->counted) {
		(void)json_object_set_new(o, "host_seen", integer(m->host_seen));
		(void)json_object_set_new(o, "guest_did", integer(m->guest_did));
	}
	(void)json_object_set_new(o, "kvm", kvm_json(m));
	(void)json_object_set_new(o, "bucket_bits", json_integer(NET_BUCKET_BITS));
	(void)json_object_set_new(o, "histogram", buckets_json(m));
}

static json_t *case_json(const struct measured *m)
{
	static const char *const states[] = {"not-run", "ok", "not-on-this-host", "failed"};
	json_t *o = json_pack("{s:s, s:i, s:s, s:i}", "case", m->bench->name, "cpl", (int)m->cpl,
	                      "state", states[m->state], "wanted", (int)m->wanted);
	if (m->why[0])
		(void)json_object_set_new(o, "why", json_string(m->why));
	if (m->state == OUTCOME_OK)
		put_numbers(o, m);
	return o;
}

/* The first "model name" of /proc/cpuinfo. */
static void cpu_model(char *text, size_t room)
{
	char line[256];
	(void)snprintf(text, room, "unknown");
	FILE *f = fopen("/proc/cpuinfo", "re");
	while (f && fgets(line, sizeof(line), f)) {
		const char *colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(text, room, "%s", colon + 1 + (colon[1] == ' '));
		break;
	}
	if (f)
		(void)fclose(f);
}

json_t *describe_host(vmm_host_kind_t kind)
{
	static const char *const kinds[] = {"unknown", "hardware", "pagetable"};
	struct utsname u = {0};
	char cpu[128];
	(void)uname(&u);
	cpu_model(cpu, sizeof(cpu));
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "cpu", cpu, "machine", u.machine, "kernel",
	                 u.release, "kvm", kinds[kind], "vmm", vmm_version());
}

json_t *report_json(const struct bench_report *r)
{
	json_t *cases = json_array();
	for (size_t i = 0; i < r->count; i++)
		(void)json_array_append_new(cases, case_json(&r->m[i]));
	return json_pack("{s:s, s:i, s:s, s:b, s:o, s:o}", "format", FORMAT, "version", 1, "what",
	                 "exits", "partial", r->partial, "host", describe_host(r->host), "cases",
	                 cases);
}
