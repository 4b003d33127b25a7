/* Policy text in lines and words. See lines.h. */
#include "lines.h"

void lines_init(struct lines *l, const char *file, const char *text, size_t len)
{
	*l = (struct lines){.file = file, .at = text, .end = text + len};
}

policy_status_t lines_fail(const struct lines *l, const struct word *word, struct policy_error *err,
                           const char *fmt, ...)
{
	struct text t;
	va_list ap;
	if (!err)
		return POLICY_E_SYNTAX;
	err->status = POLICY_E_SYNTAX;
	text_init(&t, err->text, sizeof(err->text));
	text_format(&t, "%s:%u: ", l->file, l->line);
	if (word) {
		text_char(&t, '\'');
		text_add_n(&t, word->s, word->len < 64 ? word->len : 64);
		text_add(&t, word->len < 64 ? "': " : "...': ");
	}
	va_start(ap, fmt);
	text_vformat(&t, fmt, ap);
	va_end(ap);
	return POLICY_E_SYNTAX;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == ',' || c == '\r';
}

/* One line's words; the '\n' is eaten. */
static policy_status_t split(struct lines *l, struct policy_error *err)
{
	bool comment = false;
	bool inside = false;
	for (; l->at < l->end && *l->at != '\n'; l->at++) {
		char c = *l->at;
		comment = comment || c == '#';
		if (comment)
			continue;
		if (blank(c)) {
			inside = false;
			continue;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f)
			return lines_fail(l, NULL, err, "the byte 0x%x is no text",
			                  (unsigned char)c);
		if (!inside && l->count == WORDS_MAX)
			return lines_fail(l, NULL, err, "more than %u words", WORDS_MAX);
		if (!inside)
			l->word[l->count++] = (struct word){.s = l->at};
		l->word[l->count - 1].len++;
		inside = true;
	}
	if (l->at < l->end)
		l->at++;
	return POLICY_OK;
}

policy_status_t lines_next(struct lines *l, struct policy_error *err)
{
	l->count = 0;
	while (l->count == 0) {
		if (l->at == l->end)
			return POLICY_E_NOT_FOUND;
		l->line++;
		policy_status_t status = split(l, err);
		if (status)
			return status;
	}
	return POLICY_OK;
}

policy_status_t pattern_parse(struct pattern *p, struct arena *arena, const struct lines *l,
                              const struct word *w, struct policy_error *err)
{
	p->prefix = w->s[w->len - 1] == '*';
	size_t len = w->len - p->prefix;
	for (size_t i = 0; i < len; i++)
		if (w->s[i] == '*')
			return lines_fail(l, w, err, "a '*' stands only at the end of a name");
	p->s = arena_string(arena, w->s, len);
	return p->s ? POLICY_OK
	            : policy_fail(err, POLICY_E_NOMEM, "%s:%u: no memory", l->file, l->line);
}
