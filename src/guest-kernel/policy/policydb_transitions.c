/*
 * Reading a policydb: transitions of roles, roles that may change, transitions of named files and
 * of ranges. See policydb.h.
 */
#include "policydb_reader.h"

/* -- roles -- */

static bool role_trans_less(const void *a, const void *b)
{
	const struct role_trans *x = a, *y = b;
	if (x->role != y->role)
		return x->role < y->role;
	if (x->type != y->type)
		return x->type < y->type;
	if (x->tclass != y->tclass)
		return x->tclass < y->tclass;
	return x->order < y->order;
}

static void read_role_transitions(struct reader *r)
{
	struct policydb *db = r->db;
	r->part = "role transitions";
	uint32_t count = read_count(r, 16);
	struct role_trans *list = arena_array(&db->arena, count, sizeof(*list));
	if (!list)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		uint32_t role = read_u32(r);
		uint32_t type = read_u32(r);
		uint32_t new_role = read_u32(r);
		uint32_t tclass = read_u32(r);
		if (reader_check(r, &db->roles, role, "role") &&
		    reader_check(r, &db->types, type, "type") &&
		    reader_check(r, &db->roles, new_role, "role") &&
		    reader_check(r, &db->classes, tclass, "class"))
			list[i] = (struct role_trans){.role = (uint16_t)role,
			                              .type = (uint16_t)type,
			                              .tclass = (uint16_t)tclass,
			                              .new_role = (uint16_t)new_role,
			                              .order = i};
	}
	if (!reader_ok(r))
		return;
	sort_in_place(list, count, sizeof(*list), role_trans_less);
	db->role_trans.at = list;
	db->role_trans.count = count;
}

static bool role_allow_less(const void *a, const void *b)
{
	const struct role_allow *x = a, *y = b;
	return x->role != y->role ? x->role < y->role : x->new_role < y->new_role;
}

static void read_role_allows(struct reader *r)
{
	struct policydb *db = r->db;
	r->part = "allowed role changes";
	uint32_t count = read_count(r, 8);
	struct role_allow *list = arena_array(&db->arena, count, sizeof(*list));
	if (!list)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		uint32_t role = read_u32(r);
		uint32_t new_role = read_u32(r);
		if (reader_check(r, &db->roles, role, "role") &&
		    reader_check(r, &db->roles, new_role, "role"))
			list[i] = (struct role_allow){(uint16_t)role, (uint16_t)new_role};
	}
	if (!reader_ok(r))
		return;
	sort_in_place(list, count, sizeof(*list), role_allow_less);
	db->role_allow.at = list;
	db->role_allow.count = count;
}

/* -- files with a name, ranges -- */

static bool filename_less(const void *a, const void *b)
{
	const struct filename_trans *x = a, *y = b;
	if (x->ttype != y->ttype)
		return x->ttype < y->ttype;
	if (x->tclass != y->tclass)
		return x->tclass < y->tclass;
	return str_cmp(x->name, y->name) < 0;
}

static void read_filename_data(struct reader *r, struct filename_trans *f)
{
	f->count = read_count(r, 16);
	if (reader_ok(r) && f->count == 0)
		reader_fail(r, "a transition of files named %s has no rule", f->name);
	struct filename_datum *d = arena_array(&r->db->arena, f->count, sizeof(*d));
	if (!d)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < f->count; i++) {
		d[i].stypes = read_set(r, r->db->types.nprim);
		d[i].otype = read_u32(r);
		(void)reader_check(r, &r->db->types, d[i].otype, "type");
	}
	f->datum = d;
}

static void read_filename_transitions(struct reader *r)
{
	struct policydb *db = r->db;
	r->part = "transitions of named files";
	uint32_t count = read_count(r, 16);
	struct filename_trans *list = arena_array(&db->arena, count, sizeof(*list));
	if (!list)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		list[i].name = read_string(r, read_u32(r));
		uint32_t ttype = read_u32(r);
		uint32_t tclass = read_u32(r);
		if (!reader_check(r, &db->types, ttype, "type") ||
		    !reader_check(r, &db->classes, tclass, "class"))
			return;
		list[i].ttype = (uint16_t)ttype;
		list[i].tclass = (uint16_t)tclass;
		read_filename_data(r, &list[i]);
	}
	if (!reader_ok(r))
		return;
	sort_in_place(list, count, sizeof(*list), filename_less);
	for (uint32_t i = 1; i < count; i++)
		if (!filename_less(&list[i - 1], &list[i])) {
			reader_fail(r, "two transitions of files named %s", list[i].name);
			return;
		}
	db->filename_trans.at = list;
	db->filename_trans.count = count;
}

static bool range_less(const void *a, const void *b)
{
	const struct range_trans *x = a, *y = b;
	if (x->source != y->source)
		return x->source < y->source;
	return x->target != y->target ? x->target < y->target : x->tclass < y->tclass;
}

static void check_range(struct reader *r, const struct level *l)
{
	if (reader_check(r, &r->db->levels, l->sens, "sensitivity") &&
	    !set_subset(l->cat, r->db->level_cats[l->sens]))
		reader_fail(r, "a range has categories that its sensitivity cannot have");
}

void read_range_transitions(struct reader *r)
{
	struct policydb *db = r->db;
	uint32_t count = read_count(r, 24);
	struct range_trans *list = arena_array(&db->arena, count, sizeof(*list));
	if (!list) {
		reader_nomem(r);
		return;
	}
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		uint32_t source = read_u32(r);
		uint32_t target = read_u32(r);
		uint32_t tclass = read_u32(r);
		list[i].range = read_range(r);
		if (!reader_check(r, &db->types, source, "type") ||
		    !reader_check(r, &db->types, target, "type") ||
		    !reader_check(r, &db->classes, tclass, "class"))
			return;
		check_range(r, &list[i].range.low);
		check_range(r, &list[i].range.high);
		list[i].source = (uint16_t)source;
		list[i].target = (uint16_t)target;
		list[i].tclass = (uint16_t)tclass;
	}
	if (!reader_ok(r))
		return;
	sort_in_place(list, count, sizeof(*list), range_less);
	for (uint32_t i = 1; i < count; i++)
		if (!range_less(&list[i - 1], &list[i])) {
			reader_fail(r, "two range transitions from %s to %s",
			            symtab_name(&db->types, list[i].source),
			            symtab_name(&db->types, list[i].target));
			return;
		}
	db->range_trans.at = list;
	db->range_trans.count = count;
}

void read_transitions(struct reader *r)
{
	read_role_transitions(r);
	if (reader_ok(r))
		read_role_allows(r);
	if (reader_ok(r))
		read_filename_transitions(r);
}
