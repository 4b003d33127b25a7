/* Policy text, line by line, in words; for acl.c and capability.c. */
#ifndef GUEST_KERNEL_POLICY_LINES_H
#define GUEST_KERNEL_POLICY_LINES_H

#include "base.h"

#define WORDS_MAX 64u

struct word {
	const char *s;
	size_t len;
};

struct lines {
	const char *file; /* for errors */
	const char *at, *end;
	uint32_t line; /* of the words below, from 1 */
	struct word word[WORDS_MAX];
	uint32_t count;
};

void lines_init(struct lines *l, const char *file, const char *text, size_t len);
/*
 * The next line that has words: separated by blanks, tabs and commas, up to '#'. POLICY_E_NOT_FOUND
 * at the end; POLICY_E_SYNTAX: a control byte, or too many words.
 */
policy_status_t lines_next(struct lines *l, struct policy_error *err);
/* POLICY_E_SYNTAX with "FILE:LINE: " before the sentence. WORD (may be NULL) is quoted before it.
 */
policy_status_t lines_fail(const struct lines *l, const struct word *word, struct policy_error *err,
                           const char *fmt, ...) POLICY_PRINTF(4, 5);

/* A name to match: "http", "tcp:*" or "*". */
struct pattern {
	const char *s; /* without the '*' */
	bool prefix;
};
/* POLICY_E_SYNTAX: a '*' that is not at its end; POLICY_E_NOMEM. */
policy_status_t pattern_parse(struct pattern *p, struct arena *arena, const struct lines *l,
                              const struct word *w, struct policy_error *err);
static inline bool pattern_matches(const struct pattern *p, const char *name)
{
	return p->prefix ? str_prefix(name, p->s) : str_eq(name, p->s);
}

#endif
