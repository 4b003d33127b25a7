/*
 * Records of what was denied, or granted and wanted to be known. Those of type enforcement have the
 * form that Linux writes and audit2allow reads; other layers write other types, because no rule of
 * a SELinux policy would help there. See engine.h.
 */
#include "engine.h"

#define NS_PER_SECOND 1000000000u

/* One more record in this second? Counts what is lost. */
static bool within_limit(struct policy *p, uint64_t now_ns)
{
	uint64_t second = now_ns / NS_PER_SECOND;
	uint64_t seen = atomic_load_explicit(&p->audit_second, memory_order_relaxed);
	for (;;) {
		uint64_t count = seen >> 32 == (second & UINT32_MAX) ? seen & UINT32_MAX : 0;
		if (count >= p->config.audit_per_second) {
			atomic_fetch_add_explicit(&p->records_lost, 1, memory_order_relaxed);
			return false;
		}
		uint64_t next = second << 32 | (count + 1);
		if (atomic_compare_exchange_weak_explicit(&p->audit_second, &seen, next,
		                                          memory_order_relaxed,
		                                          memory_order_relaxed))
			return true;
	}
}

static void print_millis(struct text *t, uint64_t now_ns)
{
	unsigned ms = (unsigned)(now_ns / 1000000 % 1000);
	text_uint(t, now_ns / NS_PER_SECOND);
	text_format(t, ".%c%c%c", '0' + (char)(ms / 100), '0' + (char)(ms / 10 % 10),
	            '0' + (char)(ms % 10));
}

static void print_context(const struct world *w, const struct label *l, struct text *t)
{
	const struct sid_entry *e = w && l ? sidtab_entry(&w->sids, l->sid) : NULL;
	if (!e)
		text_add(t, "unlabeled");
	else if (e->unmapped)
		text_add(t, e->unmapped);
	else
		context_print(w->db, &e->context, t);
}

static void print_perms(enum policy_class tclass, uint32_t perms, struct text *t)
{
	const char *const *name = policy_classes[tclass].perm;
	text_add(t, "{ ");
	for (unsigned i = 0; i < 32 && name[i]; i++)
		if (perms >> i & 1)
			text_format(t, "%s ", name[i]);
	text_add(t, "}");
}

/* Names come from services: what could end a field is shown as '?'. */
static void print_name(const char *name, struct text *t)
{
	text_char(t, '"');
	for (; *name; name++)
		text_char(t, *name > 0x20 && *name < 0x7f && *name != '"' ? *name : '?');
	text_char(t, '"');
}

void audit_record(struct policy *p, const struct world *w, const struct policy_request *r,
                  enum audit_layer layer, uint32_t perms, bool denied, bool permissive)
{
	static const char *const types[] = {"AVC", "VMM_ACL", "VMM_CAP", "VMM_OBJCAP"};
	static const char *const words[] = {"avc", "acl", "cap", "objcap"};
	uint64_t now = p->config.now_ns ? p->config.now_ns(p->config.ctx) : 0;
	const struct label *subject = engine_label(p, r->subject->label);
	const struct label *object = engine_label(p, r->object);
	char line[POLICY_AUDIT_MAX];
	struct text t;
	if (!p->config.audit || (p->config.now_ns && !within_limit(p, now)))
		return;
	uint64_t serial = atomic_fetch_add_explicit(&p->records, 1, memory_order_relaxed) + 1;
	text_init(&t, line, sizeof(line));
	text_format(&t, "type=%s msg=audit(", types[layer]);
	print_millis(&t, now);
	text_char(&t, ':');
	text_uint(&t, serial);
	text_format(&t, "): %s:  %s  ", words[layer], denied ? "denied" : "granted");
	print_perms(r->tclass, perms, &t);
	text_format(&t, " for  pid=%u comm=", r->subject->id);
	print_name(subject ? subject->name : "", &t);
	text_add(&t, " name=");
	print_name(object ? object->name : "", &t);
	if (r->detail)
		text_format(&t, " %s", r->detail);
	text_add(&t, " scontext=");
	print_context(w, subject, &t);
	text_add(&t, " tcontext=");
	print_context(w, object, &t);
	text_format(&t, " tclass=%s", policy_classes[r->tclass].name);
	if (denied)
		text_format(&t, " permissive=%c", permissive ? '1' : '0');
	p->config.audit(p->config.ctx, line, t.len);
}
