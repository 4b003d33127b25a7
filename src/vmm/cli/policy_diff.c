/*
 * `vmm policy diff`: rules, names, booleans and texts that only one of two policies has. Rules are
 * compared as they are written, by the names of types and attributes.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../guest-kernel/policy/hosted.h"
#include "../../guest-kernel/policy/policydb.h"
#include "cli.h"
#include "policy_cli.h"

struct side {
	struct policy_file file;
	struct package pkg;
	struct policydb *db;
};

static int open_side(struct side *s, const char *path)
{
	struct policy_error err;
	int status = policy_read_file(path, &s->file);
	if (status != CLI_OK)
		return status;
	policy_status_t opened = package_open(&s->pkg, s->file.data, s->file.len, &err);
	if (!opened)
		opened = policydb_load(&policy_hosted_mem, s->pkg.part[PACKAGE_POLICYDB].data,
		                       s->pkg.part[PACKAGE_POLICYDB].len, &s->db, &err);
	return opened ? policy_engine_error(path, opened, &err) : CLI_OK;
}

static void close_side(struct side *s)
{
	policydb_free(s->db);
	policy_free_file(&s->file);
}

/* -- names -- */

static unsigned long only_names(char sign, const char *what, const struct symtab *a,
                                const struct symtab *b)
{
	unsigned long found = 0;
	for (uint32_t v = 1; v <= a->nprim; v++) {
		const char *name = symtab_name(a, v);
		if (name && !symtab_find(b, name, strlen(name))) {
			(void)printf("%c%s %s\n", sign, what, name);
			found++;
		}
	}
	return found;
}

static unsigned long changed_booleans(const struct policydb *a, const struct policydb *b)
{
	unsigned long found = 0;
	for (uint32_t v = 1; v <= a->bools.nprim; v++) {
		const char *name = symtab_name(&a->bools, v);
		uint32_t other = name ? symtab_find(&b->bools, name, strlen(name)) : 0;
		if (other && policydb_bool_get(a, v) != policydb_bool_get(b, other)) {
			(void)printf("~boolean %s: %s -> %s\n", name,
			             policydb_bool_get(a, v) ? "on" : "off",
			             policydb_bool_get(b, other) ? "on" : "off");
			found++;
		}
	}
	return found;
}

/* -- rules -- */

static const char *kind_name(uint32_t specified)
{
	switch (specified) {
	case AVTAB_ALLOWED:
		return "allow";
	case AVTAB_AUDITALLOW:
		return "auditallow";
	case AVTAB_AUDITDENY:
		return "dontaudit";
	case AVTAB_TRANSITION:
		return "type_transition";
	case AVTAB_MEMBER:
		return "type_member";
	case AVTAB_CHANGE:
		return "type_change";
	default:
		return "extended permissions";
	}
}

/* What the rules of KIND in B between the named ones have, in A's permissions; conditional or not.
 */
static uint32_t other_perms(const struct policydb *a, const struct policydb *b, uint32_t source,
                            uint32_t tclass, const struct te_rule *rule)
{
	const char *class_name = symtab_name(&a->classes, tclass);
	const char *s = symtab_name(&a->types, source);
	const char *t = symtab_name(&a->types, rule->target);
	uint32_t c = policydb_class(b, class_name);
	uint32_t from = symtab_find(&b->types, s, strlen(s));
	uint32_t to = symtab_find(&b->types, t, strlen(t));
	const struct te_table *tables[] = {&b->te, &b->te_cond};
	uint32_t has = 0;
	for (unsigned k = 0; k < 2 && c && from && to; k++) {
		const struct te_group *g = te_find(tables[k], from, c);
		for (uint32_t i = g ? g->first : 0; g && i < g[1].first; i++) {
			const struct te_rule *r = &tables[k]->rule[i];
			if (r->target != to || r->specified != rule->specified)
				continue;
			uint32_t data = rule->specified == AVTAB_AUDITDENY ? ~r->data : r->data;
			for (unsigned bit = 0; bit < PERMS_MAX; bit++) {
				const char *name = policydb_perm_name(b, c, bit);
				if (name && (data >> bit & 1))
					has |= policydb_perm(a, tclass, name);
			}
		}
	}
	return has;
}

static unsigned long show_rule(char sign, const struct policydb *a, const struct policydb *b,
                               uint32_t source, uint32_t tclass, const struct te_rule *rule)
{
	if (!(rule->specified & AVTAB_AV))
		return 0;
	uint32_t data = rule->specified == AVTAB_AUDITDENY ? ~rule->data : rule->data;
	uint32_t known = 0;
	for (unsigned bit = 0; bit < PERMS_MAX; bit++)
		if (policydb_perm_name(a, tclass, bit))
			known |= 1u << bit;
	uint32_t only = data & known & ~other_perms(a, b, source, tclass, rule);
	if (!only)
		return 0;
	(void)printf("%c%s %s %s:%s {", sign, kind_name(rule->specified),
	             symtab_name(&a->types, source), symtab_name(&a->types, rule->target),
	             symtab_name(&a->classes, tclass));
	for (unsigned bit = 0; bit < PERMS_MAX; bit++)
		if (only >> bit & 1)
			(void)printf(" %s", policydb_perm_name(a, tclass, bit));
	(void)printf(" };\n");
	return 1;
}

static unsigned long only_rules(char sign, const struct policydb *a, const struct policydb *b)
{
	const struct te_table *tables[] = {&a->te, &a->te_cond};
	unsigned long found = 0;
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t s = 1; s <= a->types.nprim; s++)
			for (uint32_t g = tables[k]->source[s]; g < tables[k]->source[s + 1]; g++)
				for (uint32_t i = tables[k]->group[g].first;
				     i < tables[k]->group[g + 1].first; i++)
					found +=
					        show_rule(sign, a, b, s, tables[k]->group[g].tclass,
					                  &tables[k]->rule[i]);
	return found;
}

/* -- texts -- */

static unsigned long changed_text(const struct side *a, const struct side *b,
                                  enum package_kind kind, const char *what)
{
	bool same = a->pkg.part[kind].len == b->pkg.part[kind].len &&
	            (a->pkg.part[kind].len == 0 ||
	             memcmp(a->pkg.part[kind].data, b->pkg.part[kind].data,
	                    a->pkg.part[kind].len) == 0);
	if (!same)
		(void)printf("~%s: the text is another\n", what);
	return !same;
}

static unsigned long compare(const struct side *a, const struct side *b)
{
	static const struct {
		const char *what;
		size_t offset;
	} tables[] = {
	        {"class", offsetof(struct policydb, classes)},
	        {"role", offsetof(struct policydb, roles)},
	        {"type", offsetof(struct policydb, types)},
	        {"user", offsetof(struct policydb, users)},
	        {"boolean", offsetof(struct policydb, bools)},
	        {"sensitivity", offsetof(struct policydb, levels)},
	        {"category", offsetof(struct policydb, cats)},
	};
	unsigned long found = 0;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		const void *x = (const char *)a->db + tables[i].offset;
		const void *y = (const char *)b->db + tables[i].offset;
		found += only_names('-', tables[i].what, x, y);
		found += only_names('+', tables[i].what, y, x);
	}
	found += changed_booleans(a->db, b->db);
	found += only_rules('-', a->db, b->db);
	found += only_rules('+', b->db, a->db);
	found += changed_text(a, b, PACKAGE_ACL, "access control list");
	return found + changed_text(a, b, PACKAGE_CAPABILITIES, "capabilities");
}

int policy_diff(int argc, char **argv)
{
	struct side a = {0}, b = {0};
	if (argc != 3)
		return policy_complain(CLI_USAGE, "diff", "two files would be right");
	int status = open_side(&a, argv[1]);
	if (status == CLI_OK)
		status = open_side(&b, argv[2]);
	if (status == CLI_OK && compare(&a, &b) > 0)
		status = CLI_DENIED;
	close_side(&a);
	close_side(&b);
	return status;
}
