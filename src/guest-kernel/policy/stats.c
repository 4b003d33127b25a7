/* The reference monitor's counters. See policy.h. */
#include "engine.h"

static void count_policy(const struct world *w, struct policy_stats *s)
{
	const struct policydb *db = w->db;
	s->loaded = true;
	s->policy_bytes = policydb_bytes(db) + w->text.used_bytes + w->sids.arena.used_bytes;
	s->classes = db->classes.nprim;
	s->types = db->types.nprim;
	s->users = db->users.nprim;
	s->roles = db->roles.nprim;
	s->bools = db->bools.nprim;
	s->rules = db->te.count + db->te_cond.count;
	s->mls = db->mls;
	s->sids = atomic_load_explicit(&w->sids.count, memory_order_relaxed) - SID_FIRST;
}

void policy_stats(struct policy *p, struct policy_stats *s)
{
	*s = (struct policy_stats){.mode = policy_mode(p), .seqno = policy_seqno(p)};
	engine_lock(p);
	s->loads = p->loads;
	s->labels = p->label_used;
	if (engine_world(p))
		count_policy(engine_world(p), s);
	engine_unlock(p);
	s->avc_entries = (p->avc.mask + 1) * AVC_WAYS;
	s->avc_used = avc_used(&p->avc, s->seqno);
	s->avc_misses = atomic_load_explicit(&p->misses, memory_order_relaxed);
	s->records = atomic_load_explicit(&p->records, memory_order_relaxed);
	s->records_lost = atomic_load_explicit(&p->records_lost, memory_order_relaxed);
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++) {
		s->checks[c] = atomic_load_explicit(&p->checks[c], memory_order_relaxed);
		s->denials[c] = atomic_load_explicit(&p->denials[c], memory_order_relaxed);
	}
}

static const char *mode_name(enum policy_mode mode)
{
	static const char *const names[] = {"disabled", "permissive", "enforcing"};
	return names[mode];
}

static void line(struct text *t, const char *name, uint64_t value)
{
	text_add(t, name);
	for (size_t n = str_len(name); n < 24; n++)
		text_char(t, ' ');
	text_uint(t, value);
	text_char(t, '\n');
}

void policy_stats_print(const struct policy_stats *s, struct text *t)
{
	text_format(t, "Mode:                   %s\n", mode_name(s->mode));
	text_format(t, "Policy:                 %s%s\n", s->loaded ? "loaded" : "none",
	            s->mls ? ", multilevel" : "");
	line(t, "Sequence number:", s->seqno);
	line(t, "Policies loaded:", s->loads);
	line(t, "Memory, bytes:", s->policy_bytes);
	line(t, "Classes:", s->classes);
	line(t, "Types and attributes:", s->types);
	line(t, "Rules:", s->rules);
	line(t, "Booleans:", s->bools);
	line(t, "Contexts in use:", s->sids);
	line(t, "Labels in use:", s->labels);
	text_format(t, "Decision cache:         %u of %u used\n", s->avc_used, s->avc_entries);
	line(t, "Decisions computed:", s->avc_misses);
	line(t, "Audit records:", s->records);
	line(t, "Audit records lost:", s->records_lost);
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++) {
		if (!s->checks[c])
			continue;
		text_format(t, "%s: ", policy_classes[c].name);
		text_uint(t, s->checks[c]);
		text_add(t, " checks, ");
		text_uint(t, s->denials[c]);
		text_add(t, " denied\n");
	}
}

static void metric_type(struct text *t, const char *name, const char *type)
{
	text_format(t, "# TYPE policy_%s %s\n", name, type);
}

static void value_of(struct text *t, const char *name, const char *class_name, uint64_t value)
{
	text_format(t, "policy_%s", name);
	if (class_name)
		text_format(t, "{class=\"%s\"}", class_name);
	text_char(t, ' ');
	text_uint(t, value);
	text_char(t, '\n');
}

static void metric(struct text *t, const char *name, const char *type, uint64_t value)
{
	metric_type(t, name, type);
	value_of(t, name, NULL, value);
}

static void by_class(struct text *t, const char *name, const uint64_t *values)
{
	metric_type(t, name, "counter");
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++)
		value_of(t, name, policy_classes[c].name, values[c]);
}

void policy_stats_metrics(const struct policy_stats *s, struct text *t)
{
	metric(t, "enforcing", "gauge", s->mode == POLICY_ENFORCING);
	metric(t, "seqno", "counter", s->seqno);
	metric(t, "loads_total", "counter", s->loads);
	metric(t, "memory_bytes", "gauge", s->policy_bytes);
	metric(t, "cache_entries", "gauge", s->avc_entries);
	metric(t, "cache_used", "gauge", s->avc_used);
	metric(t, "decisions_computed_total", "counter", s->avc_misses);
	metric(t, "audit_records_total", "counter", s->records);
	metric(t, "audit_records_lost_total", "counter", s->records_lost);
	by_class(t, "checks_total", s->checks);
	by_class(t, "denials_total", s->denials);
}
