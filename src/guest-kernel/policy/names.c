/* Labels and subjects. See policy.h and engine.h. */
#include "engine.h"

static uint32_t hash_label(policy_sid_t sid, const char *name, size_t len)
{
	return (str_hash(name, len) ^ sid) * 2654435761u;
}

const struct label *engine_label(const struct policy *p, policy_label_t label)
{
	return label > 0 && label <= p->config.label_max && p->label[label].used ? &p->label[label]
	                                                                         : NULL;
}

policy_sid_t policy_label_sid(const struct policy *p, policy_label_t label)
{
	const struct label *l = engine_label(p, label);
	return l ? l->sid : 0;
}

static void unlink_label(struct policy *p, uint32_t i)
{
	uint32_t *at = &p->label_bucket[p->label[i].hash & p->label_mask];
	while (*at != i)
		at = &p->label[*at].next;
	*at = p->label[i].next;
}

/*
 * Give back the labels that nobody has. They were kept so that what is cached about them stays good
 * for the next one who makes them; now their numbers will mean something else, so it goes.
 */
static void sweep(struct policy *p)
{
	for (uint32_t i = 1; i <= p->config.label_max; i++) {
		struct label *l = &p->label[i];
		if (!l->used || l->refs > 0)
			continue;
		unlink_label(p, i);
		l->used = false;
		l->next = p->label_free;
		p->label_free = i;
		p->label_used--;
	}
	engine_bump(p);
}

static uint32_t find_label(const struct policy *p, policy_sid_t sid, const char *name, size_t len,
                           uint32_t hash)
{
	uint32_t i = p->label_bucket[hash & p->label_mask];
	while (i && (p->label[i].hash != hash || p->label[i].sid != sid ||
	             !str_eq_n(name, len, p->label[i].name)))
		i = p->label[i].next;
	return i;
}

static uint32_t new_label(struct policy *p, policy_sid_t sid, const char *name, size_t len,
                          uint32_t hash)
{
	if (!p->label_free)
		sweep(p);
	uint32_t i = p->label_free;
	if (!i)
		return 0;
	struct label *l = &p->label[i];
	p->label_free = l->next;
	p->label_used++;
	*l = (struct label){.sid = sid, .hash = hash, .used = true};
	__builtin_memcpy(l->name, name, len);
	l->next = p->label_bucket[hash & p->label_mask];
	p->label_bucket[hash & p->label_mask] = i;
	return i;
}

policy_status_t policy_label(struct policy *p, policy_sid_t sid, const char *name,
                             policy_label_t *label)
{
	size_t len = str_len(name);
	uint32_t hash = hash_label(sid, name, len);
	if (len > POLICY_NAME_MAX)
		return POLICY_E_INVAL;
	engine_lock(p);
	struct world *w = engine_world(p);
	policy_status_t status = POLICY_E_INVAL;
	if (w && sidtab_entry(&w->sids, sid)) {
		uint32_t i = find_label(p, sid, name, len, hash);
		if (!i)
			i = new_label(p, sid, name, len, hash);
		status = i ? POLICY_OK : POLICY_E_LIMIT;
		if (i)
			p->label[i].refs++;
		*label = i;
	}
	engine_unlock(p);
	return status;
}

void policy_label_get(struct policy *p, policy_label_t label)
{
	engine_lock(p);
	if (engine_label(p, label))
		p->label[label].refs++;
	engine_unlock(p);
}

const char *policy_label_name(const struct policy *p, policy_label_t label)
{
	const struct label *l = engine_label(p, label);
	return l ? l->name : "";
}

void policy_label_put(struct policy *p, policy_label_t label)
{
	engine_lock(p);
	if (engine_label(p, label) && p->label[label].refs > 0)
		p->label[label].refs--;
	engine_unlock(p);
}

void policy_subject_init(struct policy *p, struct policy_subject *s, policy_label_t label,
                         uint32_t id)
{
	*s = (struct policy_subject){.label = label, .id = id};
	unsigned side = engine_enter(p);
	const struct world *w = engine_world(p);
	const struct label *l = engine_label(p, label);
	if (w && w->has_caps && l)
		s->caps = capability_table_find(&w->caps, l->name, NULL);
	engine_leave(p, side);
}
