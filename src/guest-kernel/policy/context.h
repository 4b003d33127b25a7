/*
 * Security contexts: user:role:type or user:role:type:low-high. Whether one is valid, how it is
 * written, and how its levels compare (libsepol 3.4, context.c and mls.c).
 */
#ifndef GUEST_KERNEL_POLICY_CONTEXT_H
#define GUEST_KERNEL_POLICY_CONTEXT_H

#include "policydb.h"

#define CONTEXT_TEXT_MAX 4096u /* a longer one is not read */

/* *WHY (may be NULL) gets a half sentence if not. Values of C must be in range. */
bool context_valid(const struct policydb *db, const struct context *c, const char **why);
bool context_equal(const struct context *a, const struct context *b);
uint32_t context_hash(const struct context *c);

/* A dominates B: sensitivity not lower, categories all there. */
bool level_dom(const struct level *a, const struct level *b);
bool level_equal(const struct level *a, const struct level *b);

/* Its text, with categories as runs (c0.c5). */
void context_print(const struct policydb *db, const struct context *c, struct text *t);

/*
 * LEN bytes of text. New sets of categories come from SETS. POLICY_E_INVAL with the part of the
 * text that is wrong; POLICY_E_NOMEM.
 */
POLICY_WARN_UNUSED policy_status_t context_parse(const struct policydb *db, struct arena *sets,
                                                 const char *s, size_t len, struct context *c,
                                                 struct policy_error *err);

/* C, of FROM, under TO: by names. POLICY_E_INVAL if something of it is not there any more. */
POLICY_WARN_UNUSED policy_status_t context_convert(const struct policydb *from,
                                                   const struct policydb *to, struct arena *sets,
                                                   const struct context *c, struct context *out,
                                                   struct policy_error *err);

/* What lies in both A and B, in SETS; NULL: no memory. */
const struct set *set_and(struct arena *sets, const struct set *a, const struct set *b);
/* A copy in SETS; NULL: no memory. */
const struct set *set_copy(struct arena *sets, const struct set *s);

#endif
