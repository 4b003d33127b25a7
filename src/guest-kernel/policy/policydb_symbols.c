/* Reading a policydb: its eight symbol tables, and the attributes of types. See policydb.h. */
#include "policydb_reader.h"

/* -- tables of names -- */

static bool begin(struct reader *r, struct symtab *s, const char *what)
{
	r->part = what;
	s->nprim = read_u32(r);
	uint32_t nel = read_count(r, 12);
	if (reader_ok(r) && (s->nprim > POLICYDB_VALUE_MAX || s->nprim > r->len / 12))
		reader_fail(r, "%u of them are announced, too many", s->nprim);
	if (reader_ok(r) && nel && !s->nprim)
		reader_fail(r, "%u names for no values", nel);
	if (!reader_ok(r))
		return false;
	uint32_t buckets = 1;
	while (buckets < nel)
		buckets *= 2;
	s->mask = buckets - 1;
	s->name = arena_array(&r->db->arena, s->nprim + 1, sizeof(*s->name));
	s->symbol = arena_array(&r->db->arena, nel, sizeof(*s->symbol));
	s->bucket = arena_array(&r->db->arena, buckets, sizeof(*s->bucket));
	if (!s->name || !s->symbol || !s->bucket)
		reader_nomem(r);
	s->count = nel;
	return reader_ok(r);
}

/* Names of one hash; a file with more was made to be slow. */
#define ALIKE_MAX 64u

/* The Ith name. An alias has the value of another name. */
static void put(struct reader *r, struct symtab *s, uint32_t i, const char *name, uint32_t value,
                bool alias)
{
	if (!reader_ok(r))
		return;
	if (value == 0 || value > s->nprim) {
		reader_fail(r, "%s has the value %u; 1 to %u would be right", name, value,
		            s->nprim);
		return;
	}
	size_t len = str_len(name);
	uint32_t *bucket = &s->bucket[str_hash(name, len) & s->mask];
	unsigned links = 0;
	for (uint32_t j = *bucket; j; j = s->symbol[j - 1].next) {
		if (str_eq_n(name, len, s->symbol[j - 1].name)) {
			reader_fail(r, "%s is there twice", name);
			return;
		}
		if (++links == ALIKE_MAX) {
			reader_fail(r, "%s hashes as %u other names do", name, ALIKE_MAX);
			return;
		}
	}
	if (!alias && s->name[value]) {
		reader_fail(r, "%s has the value %u, which %s has", name, value, s->name[value]);
		return;
	}
	s->symbol[i] = (struct symbol){.name = name, .value = value, .next = *bucket};
	*bucket = i + 1;
	if (!alias)
		s->name[value] = name;
}

static void *by_value(struct reader *r, const struct symtab *s, size_t size)
{
	void *p = arena_array(&r->db->arena, s->nprim + 1, size);
	if (!p)
		reader_nomem(r);
	return p;
}

/* -- permissions of commons and classes -- */

static void read_perm(struct reader *r, const char **perm, uint32_t nprim)
{
	uint32_t len = read_u32(r);
	uint32_t value = read_u32(r);
	const char *name = read_name(r, len);
	if (!reader_ok(r))
		return;
	if (value == 0 || value > nprim || perm[value - 1])
		reader_fail(r, "permission %s has the value %u, used or not in 1 to %u", name,
		            value, nprim);
	for (uint32_t i = 0; reader_ok(r) && i < nprim; i++)
		if (perm[i] && str_eq(perm[i], name))
			reader_fail(r, "permission %s is there twice", name);
	if (reader_ok(r))
		perm[value - 1] = name;
}

static uint32_t read_perm_count(struct reader *r)
{
	uint32_t nprim = read_u32(r);
	if (reader_ok(r) && nprim > PERMS_MAX)
		reader_fail(r, "%u permissions; a class has at most 32", nprim);
	return nprim;
}

static void read_common(struct reader *r, uint32_t i)
{
	uint32_t len = read_u32(r);
	uint32_t value = read_u32(r);
	uint32_t nprim = read_perm_count(r);
	uint32_t nel = read_u32(r);
	const char *name = read_name(r, len);
	put(r, &r->db->commons, i, name, value, false);
	if (!reader_ok(r))
		return;
	struct common *c = &r->db->common[value];
	c->nprim = nprim;
	for (uint32_t j = 0; reader_ok(r) && j < nel; j++)
		read_perm(r, c->perm, nprim);
}

/* -- constraints -- */

static void check_names(struct reader *r, struct constraint_expr *e, bool validatetrans)
{
	uint32_t kind = e->attr & (uint32_t) ~(CEXPR_TARGET | CEXPR_XTARGET);
	if (kind != CEXPR_USER && kind != CEXPR_ROLE && kind != CEXPR_TYPE)
		reader_fail(r, "a constraint compares attribute 0x%x with names", e->attr);
	if ((e->attr & CEXPR_XTARGET) && !validatetrans)
		reader_fail(r, "a constraint speaks of a third context; only validatetrans can");
	if (e->op != CEXPR_EQ && e->op != CEXPR_NEQ)
		reader_fail(r, "a constraint has operator %u before names", e->op);
	e->names = read_set(r, POLICYDB_VALUE_MAX);
	e->type_names = read_set(r, POLICYDB_VALUE_MAX);
	(void)read_set(r,
	               POLICYDB_VALUE_MAX); /* of types that are excepted: names has it worked in */
	(void)read_u32(r);
}

static void check_attr(struct reader *r, const struct constraint_expr *e)
{
	switch (e->attr) {
	case CEXPR_USER:
	case CEXPR_TYPE:
		if (e->op != CEXPR_EQ && e->op != CEXPR_NEQ)
			reader_fail(r, "a constraint compares users or types by operator %u",
			            e->op);
		break;
	case CEXPR_ROLE:
	case CEXPR_L1L2:
	case CEXPR_L1H2:
	case CEXPR_H1L2:
	case CEXPR_H1H2:
	case CEXPR_L1H1:
	case CEXPR_L2H2:
		if (e->op < CEXPR_EQ || e->op > CEXPR_INCOMP)
			reader_fail(r, "a constraint has the unknown operator %u", e->op);
		break;
	default:
		reader_fail(r, "a constraint compares the unknown attribute 0x%x", e->attr);
		break;
	}
}

static void read_expr(struct reader *r, struct constraint_expr *e, int *depth, bool validatetrans)
{
	uint32_t type = read_u32(r);
	uint32_t attr = read_u32(r);
	uint32_t op = read_u32(r);
	if (!reader_ok(r))
		return;
	if (type > CEXPR_NAMES || attr > 0xffff || op > 0xff) {
		reader_fail(r, "a constraint has an unknown expression, 0x%x 0x%x 0x%x", type, attr,
		            op);
		return;
	}
	*e = (struct constraint_expr){.expr_type = (uint8_t)type,
	                              .op = (uint8_t)op,
	                              .attr = (uint16_t)attr,
	                              .names = r->db->empty,
	                              .type_names = r->db->empty};
	int need = 0;
	switch (type) {
	case CEXPR_NOT:
		need = 1;
		break;
	case CEXPR_AND:
	case CEXPR_OR:
		need = 2;
		(*depth)--;
		break;
	case CEXPR_ATTR:
		(*depth)++;
		check_attr(r, e);
		break;
	case CEXPR_NAMES:
		(*depth)++;
		check_names(r, e, validatetrans);
		break;
	default:
		reader_fail(r, "a constraint has the unknown expression %u", type);
		return;
	}
	if (*depth + (need == 2) < need || *depth > CEXPR_MAXDEPTH)
		reader_fail(r, "a constraint's expression needs more or less than a stack of %u",
		            (unsigned)CEXPR_MAXDEPTH);
}

static const struct constraint *read_constraints(struct reader *r, uint32_t count,
                                                 bool validatetrans)
{
	if (reader_ok(r) && count > (r->len - r->at) / 8)
		reader_fail(r, "%u constraints are announced, more than fit", count);
	if (!reader_ok(r))
		return NULL;
	struct constraint *list = arena_array(&r->db->arena, count, sizeof(*list));
	if (!list)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		list[i].permissions = read_u32(r);
		list[i].count = read_count(r, 12);
		struct constraint_expr *e = arena_array(&r->db->arena, list[i].count, sizeof(*e));
		if (!e)
			reader_nomem(r);
		int depth = 0;
		for (uint32_t j = 0; reader_ok(r) && j < list[i].count; j++)
			read_expr(r, &e[j], &depth, validatetrans);
		if (reader_ok(r) && depth != 1)
			reader_fail(r, "a constraint's expression leaves %u values, not one",
			            (unsigned)depth);
		list[i].expr = e;
	}
	return list;
}

/* -- classes -- */

static void inherit(struct reader *r, struct class_datum *c, const char *common)
{
	uint32_t value = symtab_find(&r->db->commons, common, str_len(common));
	if (!value) {
		reader_fail(r, "there is no common %s", common);
		return;
	}
	const struct common *from = &r->db->common[value];
	if (from->nprim > c->nprim) {
		reader_fail(r, "a class has fewer permissions than its common %s", common);
		return;
	}
	c->common = symtab_name(&r->db->commons, value);
	for (uint32_t i = 0; i < from->nprim; i++)
		c->perm[i] = from->perm[i];
}

static uint8_t read_default(struct reader *r, uint32_t max)
{
	uint32_t v = read_u32(r);
	if (reader_ok(r) && v > max)
		reader_fail(r, "a class's default is %u; 0 to %u would be right", v, max);
	return (uint8_t)v;
}

static void read_class(struct reader *r, uint32_t i)
{
	uint32_t len = read_u32(r);
	uint32_t common_len = read_u32(r);
	uint32_t value = read_u32(r);
	uint32_t nprim = read_perm_count(r);
	uint32_t nel = read_u32(r);
	uint32_t constraints = read_u32(r);
	put(r, &r->db->classes, i, read_name(r, len), value, false);
	if (!reader_ok(r))
		return;
	struct class_datum *c = &r->db->class_datum[value];
	c->nprim = nprim;
	if (common_len) {
		const char *common = read_name(r, common_len);
		if (reader_ok(r))
			inherit(r, c, common);
	}
	for (uint32_t j = 0; reader_ok(r) && j < nel; j++)
		read_perm(r, c->perm, nprim);
	c->constraint = read_constraints(r, constraints, false);
	c->constraint_count = constraints;
	c->validatetrans_count = read_u32(r);
	c->validatetrans = read_constraints(r, c->validatetrans_count, true);
	c->default_user = read_default(r, DEFAULT_TARGET);
	c->default_role = read_default(r, DEFAULT_TARGET);
	c->default_range = read_default(r, DEFAULT_GLBLUB);
	c->default_type = read_default(r, DEFAULT_TARGET);
}

/* -- roles, types, users, booleans, levels, categories -- */

static void read_role(struct reader *r, uint32_t i)
{
	uint32_t len = read_u32(r);
	uint32_t value = read_u32(r);
	uint32_t bounds = read_u32(r);
	const char *name = read_name(r, len);
	const struct set *dominates = read_set(r, POLICYDB_VALUE_MAX);
	const struct set *types = read_set(r, POLICYDB_VALUE_MAX);
	put(r, &r->db->roles, i, name, value, false);
	if (!reader_ok(r))
		return;
	if (str_eq(name, "object_r") != (value == OBJECT_R_VAL)) {
		reader_fail(r, "role %s has the value %u; object_r has 1, no other", name, value);
		return;
	}
	r->db->role_datum[value] =
	        (struct role_datum){.bounds = bounds, .dominates = dominates, .types = types};
}

static void read_type(struct reader *r, uint32_t i)
{
	uint32_t len = read_u32(r);
	uint32_t value = read_u32(r);
	uint32_t properties = read_u32(r);
	uint32_t bounds = read_u32(r);
	const char *name = read_name(r, len);
	bool primary = properties & 1;
	put(r, &r->db->types, i, name, value, !primary);
	if (reader_ok(r) && bounds > POLICYDB_VALUE_MAX)
		reader_fail(r, "type %s is bounded by type %u", name, bounds);
	if (reader_ok(r) && primary)
		r->db->type_datum[value] = (struct type_datum){.bounds = (uint16_t)bounds,
		                                               .attribute = properties & 2};
}

static void read_user(struct reader *r, uint32_t i)
{
	uint32_t len = read_u32(r);
	uint32_t value = read_u32(r);
	uint32_t bounds = read_u32(r);
	const char *name = read_name(r, len);
	struct user_datum u = {.bounds = bounds};
	u.roles = read_set(r, r->db->roles.nprim);
	u.range = read_range(r);
	u.dfltlevel = read_level(r);
	put(r, &r->db->users, i, name, value, false);
	if (reader_ok(r))
		r->db->user_datum[value] = u;
}

static void read_bool(struct reader *r, uint32_t i)
{
	uint32_t value = read_u32(r);
	uint32_t state = read_u32(r);
	uint32_t len = read_u32(r);
	put(r, &r->db->bools, i, read_name(r, len), value, false);
	if (reader_ok(r) && state > 1)
		reader_fail(r, "a boolean is %u; 0 or 1 would be right", state);
	if (reader_ok(r))
		r->db->bool_state[value] = (uint8_t)state;
}

static void read_sensitivity(struct reader *r, uint32_t i)
{
	uint32_t len = read_u32(r);
	uint32_t alias = read_u32(r);
	const char *name = read_name(r, len);
	struct level l = read_level(r);
	put(r, &r->db->levels, i, name, l.sens, alias != 0);
	if (reader_ok(r) && !alias)
		r->db->level_cats[l.sens] = l.cat;
}

static void read_category(struct reader *r, uint32_t i)
{
	uint32_t len = read_u32(r);
	uint32_t value = read_u32(r);
	uint32_t alias = read_u32(r);
	put(r, &r->db->cats, i, read_name(r, len), value, alias != 0);
}

static void read_each(struct reader *r, const struct symtab *s,
                      void (*one)(struct reader *r, uint32_t i))
{
	for (uint32_t i = 0; reader_ok(r) && i < s->count; i++)
		one(r, i);
}

/* -- what can be said only when all tables are there -- */

static void validate_constraints(struct reader *r, const struct constraint *list, uint32_t count)
{
	const struct policydb *db = r->db;
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < list[i].count; j++) {
			const struct constraint_expr *e = &list[i].expr[j];
			uint32_t limit = db->users.nprim;
			if (e->attr & CEXPR_ROLE)
				limit = db->roles.nprim;
			else if (e->attr & CEXPR_TYPE)
				limit = db->types.nprim;
			if (!set_below(e->names, limit) ||
			    !set_below(e->type_names, db->types.nprim))
				reader_fail(
				        r,
				        "a constraint names a user, role or type beyond the last");
		}
}

/* A number below the count may still be nobody's. */
static bool cats_named(const struct policydb *db, const struct set *cats)
{
	struct set_iter it = {0};
	bool good = set_below(cats, db->cats.nprim);
	for (uint32_t bit; good && set_each(cats, &it, &bit);)
		good = symtab_name(&db->cats, bit + 1) != NULL;
	return good;
}

static void validate_level(struct reader *r, const struct level *l, const char *name)
{
	if (!symtab_name(&r->db->levels, l->sens) || !cats_named(r->db, l->cat))
		reader_fail(r, "%s has a level with a sensitivity or category that is not there",
		            name);
}

static void validate_types(struct reader *r)
{
	const struct policydb *db = r->db;
	for (uint32_t t = 1; reader_ok(r) && t <= db->types.nprim; t++) {
		uint32_t bounds = db->type_datum[t].bounds;
		/* A parent's parent and so on: a chain with no end has more links than types. */
		uint32_t links = 0;
		for (uint32_t b = bounds; reader_ok(r) && b; b = db->type_datum[b].bounds) {
			if (!reader_check(r, &db->types, b, "type"))
				break;
			if (++links > TYPE_BOUNDS_MAX)
				reader_fail(r, "type %s is bounded through more than %u others",
				            symtab_name(&db->types, t), TYPE_BOUNDS_MAX);
		}
	}
}

static void validate(struct reader *r)
{
	const struct policydb *db = r->db;
	r->part = "symbols";
	for (uint32_t c = 1; reader_ok(r) && c <= db->classes.nprim; c++) {
		const struct class_datum *d = &db->class_datum[c];
		validate_constraints(r, d->constraint, d->constraint_count);
		validate_constraints(r, d->validatetrans, d->validatetrans_count);
	}
	for (uint32_t v = 1; reader_ok(r) && v <= db->roles.nprim; v++) {
		const struct role_datum *d = &db->role_datum[v];
		if (db->roles.name[v] && (!set_below(d->types, db->types.nprim) ||
		                          !set_below(d->dominates, db->roles.nprim)))
			reader_fail(r, "role %s has types or roles beyond the last",
			            db->roles.name[v]);
	}
	validate_types(r);
	for (uint32_t v = 1; db->mls && reader_ok(r) && v <= db->users.nprim; v++) {
		const struct user_datum *u = &db->user_datum[v];
		const char *name = db->users.name[v];
		if (!name)
			continue;
		validate_level(r, &u->range.low, name);
		validate_level(r, &u->range.high, name);
		validate_level(r, &u->dfltlevel, name);
	}
	for (uint32_t v = 1; reader_ok(r) && v <= db->levels.nprim; v++)
		if (db->levels.name[v] && !cats_named(db, db->level_cats[v]))
			reader_fail(r, "sensitivity %s has categories beyond the last",
			            db->levels.name[v]);
	if (!db->roles.nprim || !db->roles.name[OBJECT_R_VAL])
		reader_fail(r, "there is no role object_r");
}

void read_symbols(struct reader *r)
{
	struct policydb *db = r->db;
	if (begin(r, &db->commons, "commons") &&
	    (db->common = by_value(r, &db->commons, sizeof(*db->common))))
		read_each(r, &db->commons, read_common);
	if (begin(r, &db->classes, "classes") &&
	    (db->class_datum = by_value(r, &db->classes, sizeof(*db->class_datum))))
		read_each(r, &db->classes, read_class);
	if (begin(r, &db->roles, "roles") &&
	    (db->role_datum = by_value(r, &db->roles, sizeof(*db->role_datum))))
		read_each(r, &db->roles, read_role);
	if (begin(r, &db->types, "types") &&
	    (db->type_datum = by_value(r, &db->types, sizeof(*db->type_datum))))
		read_each(r, &db->types, read_type);
	if (begin(r, &db->users, "users") &&
	    (db->user_datum = by_value(r, &db->users, sizeof(*db->user_datum))))
		read_each(r, &db->users, read_user);
	if (begin(r, &db->bools, "booleans") &&
	    (db->bool_state = by_value(r, &db->bools, sizeof(*db->bool_state))))
		read_each(r, &db->bools, read_bool);
	if (begin(r, &db->levels, "sensitivities") &&
	    (db->level_cats = by_value(r, &db->levels, sizeof(*db->level_cats))))
		read_each(r, &db->levels, read_sensitivity);
	if (begin(r, &db->cats, "categories"))
		read_each(r, &db->cats, read_category);
	if (reader_ok(r))
		validate(r);
}

/* -- attributes of types: the end of the file -- */

static void add_attribute(struct reader *r, struct vec *list, uint32_t value)
{
	uint16_t *to = vec_push(list);
	if (to)
		*to = (uint16_t)value;
	else
		reader_nomem(r);
}

/* Those of type T. It is its own attribute, written down or not. */
static void read_attributes_of(struct reader *r, struct vec *list, uint32_t t)
{
	struct set_nodes n = read_set_nodes(r, r->db->types.nprim);
	bool self = !r->db->types.name[t];
	for (uint32_t i = 0; i < n.count; i++)
		for (uint64_t map = node_map(&n, i); map; map &= map - 1) {
			uint32_t value = node_start(&n, i) + (uint32_t)__builtin_ctzll(map) + 1;
			if (!self && value > t)
				add_attribute(r, list, t);
			self = self || value >= t;
			add_attribute(r, list, value);
		}
	if (!self && reader_ok(r))
		add_attribute(r, list, t);
}

void read_type_attributes(struct reader *r)
{
	struct policydb *db = r->db;
	uint32_t types = db->types.nprim;
	struct vec list;
	db->attr_first = arena_array(&db->arena, (size_t)types + 2, sizeof(*db->attr_first));
	if (!db->attr_first) {
		reader_nomem(r);
		return;
	}
	vec_init(&list, &db->arena, sizeof(uint16_t));
	for (uint32_t t = 1; reader_ok(r) && t <= types; t++) {
		db->attr_first[t] = list.count;
		read_attributes_of(r, &list, t);
		if (db->type_datum[t].attribute && list.count - db->attr_first[t] > 1)
			reader_fail(r, "attribute %s has attributes", db->types.name[t]);
	}
	if (reader_ok(r)) {
		db->attr_first[types + 1] = list.count;
		db->attr = arena_array(&db->arena, list.count, sizeof(*db->attr));
		if (!db->attr)
			reader_nomem(r);
		else if (list.count)
			__builtin_memcpy(db->attr, list.data, list.count * sizeof(*db->attr));
	}
	vec_fini(&list);
}
