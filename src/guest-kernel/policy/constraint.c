/* Constraints: evaluation and text. See te.h; libsepol 3.4, services.c,
 * constraint_expr_eval_reason. */
#include "te.h"

static bool compare_levels(const struct level *a, const struct level *b, uint8_t op)
{
	switch (op) {
	case CEXPR_EQ:
		return level_equal(a, b);
	case CEXPR_NEQ:
		return !level_equal(a, b);
	case CEXPR_DOM:
		return level_dom(a, b);
	case CEXPR_DOMBY:
		return level_dom(b, a);
	default: /* CEXPR_INCOMP */
		return !level_dom(a, b) && !level_dom(b, a);
	}
}

static bool compare_roles(const struct policydb *db, uint32_t a, uint32_t b, uint8_t op)
{
	bool dom = set_has(db->role_datum[a].dominates, b - 1);
	bool domby = set_has(db->role_datum[b].dominates, a - 1);
	switch (op) {
	case CEXPR_EQ:
		return a == b;
	case CEXPR_NEQ:
		return a != b;
	case CEXPR_DOM:
		return dom;
	case CEXPR_DOMBY:
		return domby;
	default: /* CEXPR_INCOMP */
		return !dom && !domby;
	}
}

static bool compare_attr(const struct policydb *db, const struct constraint_expr *e,
                         const struct context *s, const struct context *t)
{
	switch (e->attr) {
	case CEXPR_USER:
		return (s->user == t->user) == (e->op == CEXPR_EQ);
	case CEXPR_TYPE:
		return (s->type == t->type) == (e->op == CEXPR_EQ);
	case CEXPR_ROLE:
		return compare_roles(db, s->role, t->role, e->op);
	case CEXPR_L1L2:
		return compare_levels(&s->low, &t->low, e->op);
	case CEXPR_L1H2:
		return compare_levels(&s->low, &t->high, e->op);
	case CEXPR_H1L2:
		return compare_levels(&s->high, &t->low, e->op);
	case CEXPR_H1H2:
		return compare_levels(&s->high, &t->high, e->op);
	case CEXPR_L1H1:
		return compare_levels(&s->low, &s->high, e->op);
	default: /* CEXPR_L2H2 */
		return compare_levels(&t->low, &t->high, e->op);
	}
}

static bool compare_names(const struct constraint_expr *e, const struct context *s,
                          const struct context *t, const struct context *x)
{
	const struct context *c = s;
	if (e->attr & CEXPR_TARGET)
		c = t;
	else if (e->attr & CEXPR_XTARGET)
		c = x;
	if (!c)
		return false;
	uint32_t value = c->type;
	if (e->attr & CEXPR_USER)
		value = c->user;
	else if (e->attr & CEXPR_ROLE)
		value = c->role;
	return set_has(e->names, value - 1) == (e->op == CEXPR_EQ);
}

/* The reader made sure of the depth. */
bool constraint_holds(const struct policydb *db, const struct constraint *c,
                      const struct context *source, const struct context *target,
                      const struct context *xcontext)
{
	bool stack[CEXPR_MAXDEPTH + 1] = {false};
	int sp = -1;
	for (uint32_t i = 0; i < c->count; i++) {
		const struct constraint_expr *e = &c->expr[i];
		switch (e->expr_type) {
		case CEXPR_NOT:
			stack[sp] = !stack[sp];
			break;
		case CEXPR_AND:
			sp--;
			stack[sp] = stack[sp] && stack[sp + 1];
			break;
		case CEXPR_OR:
			sp--;
			stack[sp] = stack[sp] || stack[sp + 1];
			break;
		case CEXPR_ATTR:
			stack[++sp] = compare_attr(db, e, source, target);
			break;
		default: /* CEXPR_NAMES */
			stack[++sp] = compare_names(e, source, target, xcontext);
			break;
		}
	}
	return stack[0];
}

/* -- text -- */

static const char *operator_name(uint8_t op)
{
	static const char *const names[] = {"?", "==", "!=", "dom", "domby", "incomp"};
	return op <= CEXPR_INCOMP ? names[op] : names[0];
}

static void print_attr(const struct constraint_expr *e, struct text *t)
{
	static const struct {
		uint16_t attr;
		const char *left, *right;
	} rows[] = {
	        {CEXPR_USER, "u1", "u2"}, {CEXPR_ROLE, "r1", "r2"}, {CEXPR_TYPE, "t1", "t2"},
	        {CEXPR_L1L2, "l1", "l2"}, {CEXPR_L1H2, "l1", "h2"}, {CEXPR_H1L2, "h1", "l2"},
	        {CEXPR_H1H2, "h1", "h2"}, {CEXPR_L1H1, "l1", "h1"}, {CEXPR_L2H2, "l2", "h2"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].attr == e->attr)
			text_format(t, "%s %s %s", rows[i].left, operator_name(e->op),
			            rows[i].right);
}

static void print_names(const struct policydb *db, const struct constraint_expr *e, struct text *t)
{
	const struct symtab *s = &db->types;
	const struct set *names = e->type_names->count ? e->type_names : e->names;
	char letter = 't';
	if (e->attr & CEXPR_USER) {
		s = &db->users;
		letter = 'u';
		names = e->names;
	} else if (e->attr & CEXPR_ROLE) {
		s = &db->roles;
		letter = 'r';
		names = e->names;
	}
	text_format(t, "%c%c %s {", letter,
	            e->attr & CEXPR_TARGET    ? '2'
	            : e->attr & CEXPR_XTARGET ? '3'
	                                      : '1',
	            operator_name(e->op));
	struct set_iter it = {0};
	unsigned shown = 0;
	for (uint32_t bit; set_each(names, &it, &bit) && !t->cut;) {
		const char *name = symtab_name(s, bit + 1);
		if (++shown > 8) {
			text_add(t, " ...");
			break;
		}
		text_format(t, " %s", name ? name : "?");
	}
	text_add(t, " }");
}

/*
 * Reverse Polish to infix without recursion: walked from the end, an operator opens a bracket whose
 * two sides follow; so that the sides come out in the order of the text, the second is found first
 * and the start of the first is noted.
 */
struct span {
	uint32_t begin, end; /* [begin, end) of the expressions */
	uint8_t stage;       /* 0: not begun, 1: left side done, 2: right side done */
	uint32_t middle;     /* where the right side begins */
};

static uint32_t operand_begin(const struct constraint *c, uint32_t end)
{
	int need = 1;
	while (need > 0 && end > 0) {
		const struct constraint_expr *e = &c->expr[--end];
		if (e->expr_type == CEXPR_AND || e->expr_type == CEXPR_OR)
			need++;
		else if (e->expr_type != CEXPR_NOT)
			need--;
	}
	return end;
}

#define PRINT_DEPTH 16u

void constraint_print(const struct policydb *db, const struct constraint *c, struct text *t)
{
	struct span stack[PRINT_DEPTH];
	uint32_t sp = 0;
	stack[sp++] = (struct span){.begin = 0, .end = c->count};
	while (sp > 0) {
		struct span *s = &stack[sp - 1];
		const struct constraint_expr *e = &c->expr[s->end - 1];
		bool binary = e->expr_type == CEXPR_AND || e->expr_type == CEXPR_OR;
		if (e->expr_type == CEXPR_ATTR || e->expr_type == CEXPR_NAMES) {
			if (e->expr_type == CEXPR_ATTR)
				print_attr(e, t);
			else
				print_names(db, e, t);
			sp--;
		} else if (sp == PRINT_DEPTH) {
			text_add(t, "...");
			sp--;
		} else if (s->stage == 0) {
			text_add(t, binary ? "( " : "not ( ");
			s->middle = operand_begin(c, s->end - 1);
			s->stage = binary ? 1 : 2;
			stack[sp++] = binary ? (struct span){.begin = s->begin, .end = s->middle}
			                     : (struct span){.begin = s->begin, .end = s->end - 1};
		} else if (s->stage == 1) {
			text_add(t, e->expr_type == CEXPR_AND ? " and " : " or ");
			s->stage = 2;
			stack[sp++] = (struct span){.begin = s->middle, .end = s->end - 1};
		} else {
			text_add(t, " )");
			sp--;
		}
	}
}
