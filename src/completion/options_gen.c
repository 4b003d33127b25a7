/*
 * Writes the options of `vmm run`, a line each, for the shells' completion: made from the table
 * that `vmm run` itself reads, while the tree is built. table.awk describes the lines; it adds
 * those of the other commands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/config.h"
#include "vmm/cli/keys.h"

/* Values that the tables leave to functions. That each is still one is checked below. */
static const struct choice {
	const char *option;
	const char *key;    /* NULL: of the option itself */
	const char *values; /* "a,b"; @tap, @pci: what this host has of it */
} choices[] = {
        {"protocol", NULL, "auto,linux64,pvh"},
        {"transport", NULL, "mmio,pci"},
        {"idle", NULL, "guest,host"},
        {"log-level", NULL, "error,warn,info,debug"},
        {"vfio", NULL, "@pci"},
        {"vfio", "address", "@pci"},
        {"vfio", "iommu", "auto,iommufd,group"},
        {"disk", "engine", "uring,threads"},
        {"net", "tap", "@tap"},
        {"net", "link", "up,down"},
};
#define CHOICES (sizeof(choices) / sizeof(choices[0]))

static const char *find_choice(const char *option, const char *key)
{
	for (size_t i = 0; i < CHOICES; i++) {
		const char *of = choices[i].key;
		bool same_key = key && of ? strcmp(of, key) == 0 : !key && !of;
		if (same_key && strcmp(choices[i].option, option) == 0)
			return choices[i].values;
	}
	return NULL;
}

static bool takes(const struct option_row *row, const char *text)
{
	struct run_config *c = calloc(1, sizeof(*c));
	struct problem p = {.text = "no memory"};
	if (!c)
		return false;
	config_init(c);
	bool good = config_apply(c, row, text, NULL, &p);
	if (!good)
		(void)fprintf(stderr, "--%s %s: %s\n", row->name, text, p.text);
	config_fini(c);
	free(c);
	return good;
}

/* Each value of CHOICE, as somebody would write it after the option. */
static bool check_choice(const struct choice *choice)
{
	struct problem p = {.text = ""};
	const struct option_row *row = config_find(choice->option, &p);
	char text[80];
	if (!row) {
		(void)fprintf(stderr, "--%s: there is no such option\n", choice->option);
		return false;
	}
	if (choice->values[0] == '@')
		return true;
	for (const char *at = choice->values; *at;) {
		size_t len = strcspn(at, ",");
		const char *other = row->first_key ? "x," : "tap=x,";
		(void)snprintf(text, sizeof(text), "%s%s%s%.*s", choice->key ? other : "",
		               choice->key ? choice->key : "", choice->key ? "=" : "", (int)len,
		               at);
		if (!takes(row, text))
			return false;
		at += len + (at[len] == ',');
	}
	return true;
}

static void print_keys(const struct option_row *row)
{
	/* What may stand first without its key: a file, for all that have a path. */
	const char *gap = "";
	const char *first = find_choice(row->name, NULL);
	if (!first && row->first_key && strcmp(row->first_key, "path") == 0)
		first = "@file";
	if (first) {
		(void)fputs(first, stdout);
		gap = " ";
	}
	for (const struct key_row *key = row->keys; key->name; key++, gap = " ") {
		const char *values = find_choice(row->name, key->name);
		(void)printf("%s%s", gap, key->name);
		if (key->form == KEY_SWITCH)
			(void)fputs("?on,off", stdout);
		else if (key->form != KEY_FLAG)
			(void)printf("=%s",
			             key->form == KEY_PATH ? "@file" : (values ? values : ""));
	}
}

static void print_row(const struct option_row *row)
{
	static const char *const kinds[] = {
	        [OPTION_SWITCH] = "-",  [OPTION_VALUE] = "text", [OPTION_TEXT] = "text",
	        [OPTION_PATH] = "file", [OPTION_KEYS] = "keys",  [OPTION_MAY_KEYS] = "?keys",
	};
	const char *values = find_choice(row->name, NULL);
	char letter[3] = "-";
	if (row->letter)
		letter[1] = row->letter;
	(void)printf("run\t--%s\t%s\t%s\t", row->name, letter,
	             values && !row->keys ? "words" : kinds[row->form]);
	if (row->keys)
		print_keys(row);
	else
		(void)fputs(values ? values : "-", stdout);
	(void)fputc('\t', stdout);
	for (const char *c = row->help; *c; c++)
		(void)fputc(*c == '\n' ? ' ' : *c, stdout);
	(void)fputc('\n', stdout);
}

int main(void)
{
	for (size_t i = 0; i < CHOICES; i++)
		if (!check_choice(&choices[i]))
			return 1;
	for (size_t i = 0; i < config_option_count; i++)
		print_row(&config_options[i]);
	return ferror(stdout) || fflush(stdout) != 0;
}
