/* The keys of options that are about the run, not the machine. See keys.h. */
#include "keys.h"
#include "parse.h"

#define EVERY_MAX_S 86400u

void *profile_begin(struct run_config *c, struct problem *p)
{
	(void)p;
	c->profile = true;
	c->profile_path = NULL;
	c->profile_every_s = 0;
	return c;
}

bool profile_end(struct run_config *c, void *item, struct problem *p)
{
	(void)item, (void)p;
	if (c->profile)
		c->vm.flags |= VMM_VM_PROFILE;
	else
		c->vm.flags &= ~VMM_VM_PROFILE;
	return true;
}

static bool profile_on(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item, (void)value, (void)p;
	c->profile = true;
	return true;
}

static bool profile_off(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item, (void)value, (void)p;
	c->profile = false;
	return true;
}

static bool profile_path(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item, (void)p;
	c->profile_path = value;
	return true;
}

static bool profile_every(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item;
	if (parse_number(value, EVERY_MAX_S, &c->profile_every_s) && c->profile_every_s > 0)
		return true;
	return problem_set(p, NULL, "'%s': must be seconds, 1 to %u", value, EVERY_MAX_S);
}

const struct key_row profile_keys[] = {
        {"on", KEY_FLAG, profile_on},
        {"off", KEY_FLAG, profile_off},
        {"path", KEY_PATH, profile_path},
        {"every", KEY_VALUE, profile_every},
        {.name = NULL},
};
