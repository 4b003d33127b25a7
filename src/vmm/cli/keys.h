/* The keys of options that have some: devices, the sandbox. See config.h. */
#ifndef SRC_VMM_CLI_KEYS_H
#define SRC_VMM_CLI_KEYS_H

#include "config.h"

enum key_form {
	KEY_FLAG,
	KEY_SWITCH,
	KEY_VALUE,
	KEY_VALUES, /* one that may be given several times: a list in JSON, too */
	KEY_PATH,
};

struct key_row {
	const char *name;
	enum key_form form;
	/* VALUE is NULL for a flag, "on" or "off" for a switch. */
	bool (*apply)(struct run_config *c, void *item, const char *value, struct problem *p);
};

/* Each table ends with a row without a name. */
#define KEYS_DECLARE(what)                                           \
	extern const struct key_row what##_keys[];                   \
	void *what##_begin(struct run_config *c, struct problem *p); \
	bool what##_end(struct run_config *c, void *item, struct problem *p)

KEYS_DECLARE(disk);
KEYS_DECLARE(net);
KEYS_DECLARE(console);
KEYS_DECLARE(serial);
KEYS_DECLARE(rng);
KEYS_DECLARE(balloon);
KEYS_DECLARE(vfio);
KEYS_DECLARE(profile);
KEYS_DECLARE(sandbox);
KEYS_DECLARE(cgroup);

#endif
