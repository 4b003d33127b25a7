/*
 * What `vmm run` is asked to do, and the one table of options that says how. The command line and
 * the JSON file are two ways to write the same rows: an option's name without its dashes is its
 * key. Nothing here touches the host; mistakes go to a struct problem, never to a stream.
 */
#ifndef SRC_VMM_CLI_CONFIG_H
#define SRC_VMM_CLI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/balloon.h"
#include "vmm/cgroup.h"
#include "vmm/console.h"
#include "vmm/disk.h"
#include "vmm/net.h"
#include "vmm/rng.h"
#include "vmm/vfio.h"
#include "vmm/sandbox.h"
#include "vmm/vm.h"

#define CGROUP_IO_MAX 16u

/* One mistake: where it is and what would be right. */
struct problem {
	char field[160];
	char text[360];
};

/* Fill P; always false, so that a check can end with it. */
bool problem_set(struct problem *p, const char *field, const char *fmt, ...) VMM_PRINTF(3, 4);

/* Strings that live as long as the configuration. */
struct text {
	struct text *next;
	char chars[];
};

struct port_config {
	bool given; /* a kind was named */
	bool none;  /* "none" */
	bool stdio; /* the terminal or the streams of this process */
	vmm_console_port_opts_t opts;
};

struct run_config {
	struct text *texts;
	bool no_memory; /* a string could not be kept */

	vmm_vm_opts_t vm;
	bool memory_given;
	bool cpus_given;
	bool transport_given;
	vmm_boot_opts_t boot;

	uint32_t disk_count;
	vmm_disk_opts_t disk[VMM_DISKS_MAX];
	vmm_rate_t disk_rate[VMM_DISKS_MAX];
	uint32_t net_count;
	vmm_net_opts_t net[VMM_NETS_MAX];
	int net_fd[VMM_NETS_MAX][VMM_NET_QUEUE_PAIRS_MAX];
	const char *net_forward[VMM_NETS_MAX][VMM_NET_FORWARDS_MAX];
	vmm_rate_t net_rx_rate[VMM_NETS_MAX];
	vmm_rate_t net_tx_rate[VMM_NETS_MAX];
	bool shipped;       /* the kernel is the one that comes with vmm */
	bool net_given;     /* a card, or none, was asked for */
	uint16_t page_port; /* of the host, leads to the shipped guest's page; 0: none does */
	uint32_t console_count;
	struct port_config console[VMM_CONSOLE_PORTS_MAX];
	struct port_config serial;
	bool rng;
	vmm_rng_opts_t rng_opts;
	bool balloon;
	vmm_balloon_opts_t balloon_opts;

	uint32_t vfio_count;
	vmm_vfio_opts_t vfio[VMM_VFIO_DEVICES_MAX];
	bool sandbox;
	bool pid_namespace;
	vmm_sandbox_opts_t sandbox_opts;
	vmm_cgroup_opts_t cgroup; /* its path is NULL: none */
	const char *cgroup_io[CGROUP_IO_MAX];

	bool stats;
	bool profile;
	const char *profile_path; /* NULL: a table on standard error */
	uint64_t profile_every_s; /* 0: at the end only */
	bool dry_run;
	bool help;
	uint64_t stop_timeout_s; /* from the power button to the plug */
	uint64_t time_limit_s;   /* 0: none */
};

void config_init(struct run_config *c);
void config_fini(struct run_config *c);

/*
 * How virtio devices are reached: as was asked for; else by PCI, whose interrupts cost a guest no
 * exit. Only the shipped guest kernel has them over mmio: it starts so soon that the exits by which
 * it would find them on PCI are a third of it.
 */
vmm_transport_t config_transport(const struct run_config *c);

/* A copy that lives as long as C. Never NULL: "" and c->no_memory if there is no memory. */
char *config_text(struct run_config *c, const char *text);

enum option_form {
	OPTION_SWITCH,   /* no value; true or false in JSON */
	OPTION_VALUE,    /* one value */
	OPTION_TEXT,     /* one value, which may be empty */
	OPTION_PATH,     /* one value that names a file */
	OPTION_KEYS,     /* key=value,...; an object in JSON */
	OPTION_MAY_KEYS, /* the same, and nothing at all is fine too */
};

struct key_row;

struct option_row {
	const char *name;
	char letter; /* -m, or 0 */
	enum option_form form;
	bool repeats;
	const char *group; /* heading in --help, where one begins */
	const char *meta;  /* the value, in --help */
	const char *help;
	bool (*apply)(struct run_config *c, const char *value, struct problem *p);
	/* Keys: the item they describe is begun, filled and ended. */
	const struct key_row *keys; /* up to a row without a name */
	const char *first_key; /* what a leading element without '=' is the value of, or NULL */
	void *(*begin)(struct run_config *c, struct problem *p);
	bool (*end)(struct run_config *c, void *item, struct problem *p);
};

extern const struct option_row config_options[];
extern const size_t config_option_count;

/* The row called NAME, or NULL with the nearest name in P. */
const struct option_row *config_find(const char *name, struct problem *p);

/*
 * Apply ROW with VALUE (NULL where there is none). Files are relative to DIR unless it is NULL.
 * P's field is set by the caller; it is extended by the key that is wrong.
 */
bool config_apply(struct run_config *c, const struct option_row *row, const char *value,
                  const char *dir, struct problem *p);

/* One key=value of an option with keys, of which there are at most CONFIG_PAIRS_MAX. */
#define CONFIG_PAIRS_MAX 64u
struct pair {
	const char *key;
	const char *value; /* NULL: a bare key */
};

bool config_apply_pairs(struct run_config *c, const struct option_row *row,
                        const struct pair *pairs, size_t count, const char *dir, struct problem *p);

/* config_args.c: the command line after the sub-command's name. */
bool config_from_args(struct run_config *c, int argc, char **argv, struct problem *p);

/* config_json.c: a file, or LEN bytes of text that NAME stands for. */
bool config_from_file(struct run_config *c, const char *path, struct problem *p);
bool config_from_json(struct run_config *c, const char *text, size_t len, const char *name,
                      const char *dir, struct problem *p);

/* What no single option can know; the last step. */
bool config_check(struct run_config *c, struct problem *p);

#endif
