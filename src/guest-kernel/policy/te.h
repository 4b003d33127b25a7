/*
 * Decisions of a policydb: access vectors, new contexts, transitions, extended permissions
 * (libsepol 3.4, services.c; Linux 5.19, ss/services.c). Pure functions of the policy, its booleans
 * and two or three contexts.
 */
#ifndef GUEST_KERNEL_POLICY_TE_H
#define GUEST_KERNEL_POLICY_TE_H

#include "context.h"
#include "policydb.h"

struct av_decision {
	uint32_t allowed;
	uint32_t auditallow;
	uint32_t auditdeny;
};

/* TCLASS must be a class of DB. */
void te_compute_av(const struct policydb *db, const struct context *source,
                   const struct context *target, uint32_t tclass, struct av_decision *avd);

/* Which of the three last steps took permissions away, for explanations. */
struct av_steps {
	uint32_t rules;       /* allowed by rules alone */
	uint32_t constraints; /* taken by constraints */
	uint32_t roles;       /* taken because the role may not change so */
	uint32_t bounds;      /* taken because the parent of the source's type has them not */
};
void te_explain_av(const struct policydb *db, const struct context *source,
                   const struct context *target, uint32_t tclass, struct av_steps *steps);

/* KIND: AVTAB_TRANSITION, AVTAB_MEMBER or AVTAB_CHANGE. NAME of the new file, or NULL. New sets
 * come from SETS. POLICY_E_INVAL: the context would not be valid; POLICY_E_NOMEM. */
POLICY_WARN_UNUSED policy_status_t te_compute_create(const struct policydb *db, struct arena *sets,
                                                     const struct context *source,
                                                     const struct context *target, uint32_t tclass,
                                                     uint32_t kind, const char *name,
                                                     struct context *out, struct policy_error *err);

/* May TASK change an object of TCLASS from OLD to NEW? NULL: yes; else the constraint it violates.
 */
const struct constraint *te_validate_transition(const struct policydb *db,
                                                const struct context *old,
                                                const struct context *new_context,
                                                const struct context *task, uint32_t tclass);

/* What the extended permissions say of command NUMBER (driver << 8 | function). */
struct xperm_decision {
	bool limited; /* there are allowxperm rules, so that ALLOWED decides */
	bool allowed, auditallow, dontaudit;
};
void te_compute_xperm(const struct policydb *db, const struct context *source,
                      const struct context *target, uint32_t tclass, uint16_t number,
                      struct xperm_decision *xd);

/* A constraint holds. XCONTEXT: the third context of validatetrans, else NULL. */
bool constraint_holds(const struct policydb *db, const struct constraint *c,
                      const struct context *source, const struct context *target,
                      const struct context *xcontext);
/* As the policy language writes it. */
void constraint_print(const struct policydb *db, const struct constraint *c, struct text *t);

/*
 * Walk over the rules that speak of SOURCE, TARGET and TCLASS, through their attributes: EACH with
 * the type or attribute that the rule names as its source; false from it ends the walk.
 */
typedef bool (*te_each_t)(void *ctx, uint32_t source, const struct te_rule *rule, uint32_t cond);
void te_walk(const struct policydb *db, uint32_t source, uint32_t target, uint32_t tclass,
             te_each_t each, void *ctx);
#define TE_UNCONDITIONAL UINT32_MAX

#endif
