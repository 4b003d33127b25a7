/* The configuration's shape: keeping strings, finding rows, applying values. See config.h. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "parse.h"

bool problem_set(struct problem *p, const char *field, const char *fmt, ...)
{
	if (field)
		(void)snprintf(p->field, sizeof(p->field), "%s", field);
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
	return false;
}

void config_init(struct run_config *c)
{
	*c = (struct run_config){
	        .vm = VMM_VM_OPTS_INIT,
	        .boot = VMM_BOOT_OPTS_INIT,
	        .rng = true,
	        .rng_opts = VMM_RNG_OPTS_INIT,
	        .balloon_opts = VMM_BALLOON_OPTS_INIT,
	        .sandbox = true,
	        .sandbox_opts = VMM_SANDBOX_OPTS_INIT,
	        .stop_timeout_s = 10,
	};
}

void config_fini(struct run_config *c)
{
	while (c->texts) {
		struct text *t = c->texts;
		c->texts = t->next;
		free(t);
	}
}

vmm_transport_t config_transport(const struct run_config *c)
{
	if (c->transport_given)
		return c->vm.transport;
	return c->shipped ? VMM_TRANSPORT_MMIO : VMM_TRANSPORT_PCI;
}

/* Room for *LEN characters and a NUL; without memory for none, and *LEN is 0. */
static char *keep(struct run_config *c, size_t *len)
{
	static char empty[1];
	struct text *t = malloc(sizeof(*t) + *len + 1);
	if (!t) {
		c->no_memory = true;
		*len = 0;
		return empty;
	}
	t->next = c->texts;
	c->texts = t;
	return t->chars;
}

char *config_text(struct run_config *c, const char *text)
{
	size_t len = strlen(text);
	char *copy = keep(c, &len);
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static const char *config_path(struct run_config *c, const char *dir, const char *path)
{
	if (!dir || path[0] == '/')
		return config_text(c, path);
	size_t len = strlen(dir) + 1 + strlen(path);
	char *copy = keep(c, &len);
	(void)snprintf(copy, len + 1, "%s/%s", dir, path);
	return copy;
}

const struct option_row *config_find(const char *name, struct problem *p)
{
	for (size_t i = 0; i < config_option_count; i++)
		if (strcmp(config_options[i].name, name) == 0)
			return &config_options[i];
	const char *near = parse_nearest(name, &config_options[0].name, config_option_count,
	                                 sizeof(config_options[0]));
	if (near)
		(void)problem_set(p, NULL, "there is no '%s'; did you mean '%s'?", name, near);
	else
		(void)problem_set(p, NULL, "there is no '%s'; `vmm run --help` lists what there is",
		                  name);
	return NULL;
}

static bool extend_field(struct problem *p, const char *key)
{
	size_t len = strlen(p->field);
	(void)snprintf(p->field + len, sizeof(p->field) - len, " %s", key);
	return false;
}

static const struct key_row *find_key(const struct option_row *row, const char *name,
                                      struct problem *p)
{
	size_t count = 0;
	for (const struct key_row *key = row->keys; key->name; key++, count++)
		if (strcmp(key->name, name) == 0)
			return key;
	const char *near = parse_nearest(name, &row->keys[0].name, count, sizeof(row->keys[0]));
	if (near) {
		(void)problem_set(p, NULL, "there is no key '%s'; did you mean '%s'?", name, near);
		return NULL;
	}
	char all[300] = "";
	size_t len = 0;
	for (size_t i = 0; i < count && len < sizeof(all); i++)
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "",
		                        row->keys[i].name);
	(void)problem_set(p, NULL, "there is no key '%s'; the keys are %s", name, all);
	return NULL;
}

static bool apply_pair(struct run_config *c, const struct option_row *row, void *item,
                       const struct pair *pair, const char *dir, struct problem *p)
{
	const struct key_row *key = find_key(row, pair->key, p);
	if (!key)
		return false;
	const char *value = pair->value;
	bool on = true;
	if (key->form == KEY_FLAG || key->form == KEY_SWITCH) {
		if (value && !parse_switch(value, &on)) {
			(void)problem_set(p, NULL, "'%s': must be on or off", value);
			return extend_field(p, key->name);
		}
		if (key->form == KEY_FLAG && !on)
			return true;
		value = on ? "on" : "off";
	} else if (!value || *value == '\0') {
		(void)problem_set(p, NULL, "needs a value: %s=...", key->name);
		return extend_field(p, key->name);
	}
	if (key->form == KEY_PATH)
		value = config_path(c, dir, value);
	return key->apply(c, item, value, p) || extend_field(p, key->name);
}

bool config_apply_pairs(struct run_config *c, const struct option_row *row,
                        const struct pair *pairs, size_t count, const char *dir, struct problem *p)
{
	void *item = row->begin(c, p);
	if (!item)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!apply_pair(c, row, item, &pairs[i], dir, p))
			return false;
	return row->end(c, item, p);
}

static bool is_key(const struct option_row *row, const char *name)
{
	for (const struct key_row *key = row->keys; key->name; key++)
		if (strcmp(key->name, name) == 0)
			return true;
	return false;
}

static bool apply_list(struct run_config *c, const struct option_row *row, const char *value,
                       const char *dir, struct problem *p)
{
	struct pair pairs[CONFIG_PAIRS_MAX];
	size_t count = 0;
	char *list = config_text(c, value ? value : "");
	char *key;
	char *rest;
	while (parse_next(&list, &key, &rest)) {
		if (count == CONFIG_PAIRS_MAX)
			return problem_set(p, NULL, "more than %u keys", CONFIG_PAIRS_MAX);
		/* A leading bare element; a path may well hold a '='. */
		if (count == 0 && row->first_key && !is_key(row, key)) {
			if (rest)
				rest[-1] = '=';
			rest = key;
			key = config_text(c, row->first_key);
		}
		pairs[count++] = (struct pair){key, rest};
	}
	if (count == 0 && row->form == OPTION_KEYS)
		return problem_set(p, NULL, "needs a value: %s", row->meta);
	return config_apply_pairs(c, row, pairs, count, dir, p);
}

bool config_apply(struct run_config *c, const struct option_row *row, const char *value,
                  const char *dir, struct problem *p)
{
	switch (row->form) {
	case OPTION_SWITCH:
		return row->apply(c, value, p);
	case OPTION_KEYS:
	case OPTION_MAY_KEYS:
		return apply_list(c, row, value, dir, p);
	case OPTION_VALUE:
	case OPTION_TEXT:
	case OPTION_PATH:
		break;
	}
	if (!value || (*value == '\0' && row->form != OPTION_TEXT))
		return problem_set(p, NULL, "needs a value: %s", row->meta);
	return row->apply(
	        c, row->form == OPTION_PATH ? config_path(c, dir, value) : config_text(c, value),
	        p);
}

/* Only one stream can have the terminal's keys. */
static bool check_stdio(const struct run_config *c, struct problem *p)
{
	unsigned users = c->serial.stdio;
	for (uint32_t i = 0; i < c->console_count; i++)
		users += c->console[i].stdio;
	return users <= 1 || problem_set(p, "--console", "stdio is given to more than one port");
}

bool config_check(struct run_config *c, struct problem *p)
{
	if (c->no_memory)
		return problem_set(p, "configuration", "out of memory");
	if (c->boot.image && c->boot.kernel)
		return problem_set(p, "IMAGE", "'%s' is given beside --kernel; give one of the two",
		                   c->boot.image);
	if (!c->boot.image && !c->boot.kernel)
		return problem_set(
		        p, "IMAGE",
		        "there is nothing to boot: give a guest image, or --kernel FILE");
	/* Somebody who names neither wants to see the guest. */
	if (!c->serial.given && c->console_count == 0)
		c->serial = (struct port_config){
		        .given = true,
		        .stdio = true,
		        .opts.chardev = {.kind = VMM_CHARDEV_FD, .in_fd = -1, .out_fd = -1}};
	if (c->serial.stdio || (c->serial.given && !c->serial.none)) {
		if (!c->boot.cmdline && c->boot.kernel)
			c->boot.cmdline = "console=ttyS0";
	} else if (!c->boot.cmdline && c->boot.kernel && c->console_count > 0) {
		c->boot.cmdline = "console=hvc0";
	}
	return check_stdio(c, p);
}
