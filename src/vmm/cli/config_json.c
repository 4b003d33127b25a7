/* `vmm run --config`: the same options from a JSON file. See config.h. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "keys.h"

#define FILE_BYTES_MAX (1u << 20)

struct where {
	struct run_config *c;
	const char *name; /* of the file */
	const char *dir;
	struct problem *p;
};

static void set_field(const struct where *w, const char *key)
{
	(void)snprintf(w->p->field, sizeof(w->p->field), "%s: %s", w->name, key);
}

/* A string, a number or a truth as text; NULL for anything else. */
static const char *scalar(const struct where *w, const json_t *v)
{
	char number[32];
	switch (json_typeof(v)) {
	case JSON_STRING:
		return json_string_value(v);
	case JSON_INTEGER:
		(void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
		return config_text(w->c, number);
	case JSON_TRUE:
		return "on";
	case JSON_FALSE:
		return "off";
	default:
		return NULL;
	}
}

static const struct key_row *find_key(const struct option_row *row, const char *name)
{
	const struct key_row *key = row->keys;
	while (key->name && strcmp(key->name, name) != 0)
		key++;
	return key->name ? key : NULL;
}

struct pairs {
	struct pair pair[CONFIG_PAIRS_MAX];
	size_t count;
};

static bool add_pair(const struct where *w, struct pairs *all, const struct key_row *key,
                     const char *name, const json_t *v)
{
	/* Paths and texts are strings only: what else stands there was meant for another key. */
	if (key && key->form == KEY_PATH && !json_is_string(v))
		return problem_set(w->p, NULL, "'%s' must be a string", name);
	if (all->count == CONFIG_PAIRS_MAX)
		return problem_set(w->p, NULL, "more than %u keys", CONFIG_PAIRS_MAX);
	const char *text = scalar(w, v);
	if (!text)
		return problem_set(w->p, NULL,
		                   "'%s' must be a string, a whole number, true or false", name);
	all->pair[all->count++] = (struct pair){name, text};
	return true;
}

static bool apply_object(const struct where *w, const struct option_row *row, const json_t *v)
{
	struct pairs all = {.count = 0};
	const char *name;
	json_t *member;
	json_object_foreach((json_t *)v, name, member)
	{
		const struct key_row *key = find_key(row, name);
		bool list = key && key->form == KEY_VALUES && json_is_array(member);
		size_t n = list ? json_array_size(member) : 1;
		for (size_t i = 0; i < n; i++)
			if (!add_pair(w, &all, key, name,
			              list ? json_array_get(member, i) : member))
				return false;
	}
	return config_apply_pairs(w->c, row, all.pair, all.count, w->dir, w->p);
}

static bool apply_one(const struct where *w, const struct option_row *row, const json_t *v)
{
	bool keys = row->form == OPTION_KEYS || row->form == OPTION_MAY_KEYS;
	if (row->form == OPTION_SWITCH) {
		if (!json_is_boolean(v))
			return problem_set(w->p, NULL, "must be true or false");
		return json_is_false(v) || config_apply(w->c, row, NULL, w->dir, w->p);
	}
	if (keys && json_is_object(v))
		return apply_object(w, row, v);
	if ((row->form == OPTION_PATH || row->form == OPTION_TEXT) && !json_is_string(v))
		return problem_set(w->p, NULL, "must be a string");
	const char *text = scalar(w, v);
	if (!text || (!keys && json_is_boolean(v)))
		return problem_set(w->p, NULL, "must be a string%s",
		                   keys ? " or an object" : " or a whole number");
	/* A bare true turns an option with keys on; only those with such a key take it. */
	return config_apply(w->c, row, text, w->dir, w->p);
}

static bool apply_member(const struct where *w, const char *key, const json_t *v)
{
	set_field(w, key);
	const struct option_row *row = config_find(key, w->p);
	if (!row)
		return false;
	if (strcmp(key, "config") == 0 || strcmp(key, "help") == 0)
		return problem_set(w->p, NULL, "has no meaning in a file");
	if (!json_is_array(v))
		return apply_one(w, row, v);
	if (!row->repeats)
		return problem_set(w->p, NULL, "can be given once only; a list is not allowed");
	for (size_t i = 0; i < json_array_size(v); i++) {
		char indexed[64];
		(void)snprintf(indexed, sizeof(indexed), "%.40s[%zu]", key, i);
		set_field(w, indexed);
		if (!apply_one(w, row, json_array_get(v, i)))
			return false;
	}
	return true;
}

bool config_from_json(struct run_config *c, const char *text, size_t len, const char *name,
                      const char *dir, struct problem *p)
{
	json_error_t error;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return problem_set(p, name, "line %d, column %d: %s", error.line, error.column,
		                   error.text);
	struct where w = {c, name, dir, p};
	bool ok = json_is_object(root) ||
	          problem_set(p, name, "must be an object: { \"kernel\": ..., ... }");
	const char *key;
	json_t *value;
	if (ok) {
		json_object_foreach(root, key, value)
		{
			ok = apply_member(&w, key, value);
			if (!ok)
				break;
		}
	}
	json_decref(root);
	return ok;
}

static char *read_text(const char *path, size_t *len, struct problem *p)
{
	/* A FIFO must not keep us waiting before its type is known. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)problem_set(p, path, "cannot read it: %s", strerror(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX) {
		(void)problem_set(p, path, "must be a regular file of at most 1 MiB");
	} else {
		size_t size = (size_t)st.st_size;
		text = malloc(size + 1);
		ssize_t n = text ? read(fd, text, size) : -1;
		if (n < 0) {
			(void)problem_set(p, path, "cannot read it: %s", strerror(errno));
			free(text);
			text = NULL;
		} else {
			*len = (size_t)n;
		}
	}
	if (fd >= 0)
		(void)close(fd);
	return text;
}

bool config_from_file(struct run_config *c, const char *path, struct problem *p)
{
	size_t len = 0;
	char *text = read_text(path, &len, p);
	if (!text)
		return false;
	char *dir = config_text(c, path);
	char *slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	const char *base = !slash ? "." : dir[0] == '\0' ? "/" : dir;
	bool ok = config_from_json(c, text, len, path, base, p);
	free(text);
	return ok;
}
