/* `vmm run`'s command line. See config.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "keys.h"

struct args {
	int argc;
	char **argv;
	int next;
};

static const struct option_row *find_letter(char letter, struct problem *p)
{
	for (size_t i = 0; i < config_option_count; i++)
		if (config_options[i].letter == letter)
			return &config_options[i];
	(void)problem_set(p, NULL, "there is no such option; `vmm run --help` lists them");
	return NULL;
}

/* --name, --name=value, -x, -xvalue: the row, and the value that is part of the word. */
static const struct option_row *read_word(struct run_config *c, const char *word,
                                          const char **value, struct problem *p)
{
	*value = NULL;
	if (word[1] != '-') {
		(void)snprintf(p->field, sizeof(p->field), "%.2s", word);
		if (word[2])
			*value = word + 2;
		return find_letter(word[1], p);
	}
	char *name = config_text(c, word + 2);
	char *equals = strchr(name, '=');
	if (equals) {
		*equals = '\0';
		*value = equals + 1;
	}
	(void)snprintf(p->field, sizeof(p->field), "--%s", name);
	return config_find(name, p);
}

/* Is WORD what ROW would take behind its '='? An image of such a name can be called ./NAME. */
static bool reads_as_keys(const struct option_row *row, const char *word)
{
	size_t len = strcspn(word, "=,");
	for (const struct key_row *key = row->keys; key->name; key++)
		if (strlen(key->name) == len && strncmp(key->name, word, len) == 0)
			return true;
	bool size = row->first_key && strcmp(row->first_key, "size") == 0;
	return size && isdigit((unsigned char)word[0]);
}

static bool apply_word(struct run_config *c, struct args *a, const char *word, struct problem *p)
{
	const char *value;
	const struct option_row *row = read_word(c, word, &value, p);
	if (!row)
		return false;
	if (row->form == OPTION_SWITCH && value)
		return problem_set(p, NULL, "takes no value, but '%s' is given", value);
	bool takes_next = row->form != OPTION_SWITCH && row->form != OPTION_MAY_KEYS;
	if (!value && row->form == OPTION_MAY_KEYS && a->next < a->argc &&
	    reads_as_keys(row, a->argv[a->next]))
		return problem_set(p, NULL, "takes '%s' only behind '=': --%s=%s", a->argv[a->next],
		                   row->name, a->argv[a->next]);
	if (!value && takes_next) {
		if (a->next == a->argc)
			return problem_set(p, NULL, "needs a value: %s", row->meta);
		value = a->argv[a->next++];
	}
	return config_apply(c, row, value, NULL, p);
}

static bool apply_image(struct run_config *c, const char *word, struct problem *p)
{
	if (c->boot.image)
		return problem_set(p, "IMAGE", "'%s' is given beside '%s'; one guest at a time",
		                   word, c->boot.image);
	c->boot.image = config_text(c, word);
	return true;
}

bool config_from_args(struct run_config *c, int argc, char **argv, struct problem *p)
{
	struct args a = {argc, argv, 1};
	bool options = true;
	while (a.next < argc && !c->help) {
		const char *word = argv[a.next++];
		bool is_option = options && word[0] == '-' && word[1] != '\0';
		if (is_option && strcmp(word, "--") == 0)
			options = false;
		else if (!(is_option ? apply_word(c, &a, word, p) : apply_image(c, word, p)))
			return false;
	}
	return true;
}
