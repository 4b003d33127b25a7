/* The devices' keys, a table each; those of network cards are in keys_net.c. See keys.h. */
#include "keys.h"

#include <stdlib.h>
#include <string.h>

#include "keys_value.h"
#include "parse.h"

/* Disks. */

static vmm_rate_t *disk_rate(struct run_config *c, void *item)
{
	vmm_disk_opts_t *d = item;
	return key_rate_begin(&c->disk_rate[d - c->disk], &d->rate);
}

RATE_KEY(disk_bandwidth, disk_rate, bytes_per_second, key_rate_bytes)
RATE_KEY(disk_bandwidth_burst, disk_rate, bytes_burst, key_rate_bytes)
RATE_KEY(disk_iops, disk_rate, ops_per_second, key_rate_ops)
RATE_KEY(disk_iops_burst, disk_rate, ops_burst, key_rate_ops)

void *disk_begin(struct run_config *c, struct problem *p)
{
	if (c->disk_count == VMM_DISKS_MAX) {
		(void)problem_set(p, NULL, "more than %u disks", VMM_DISKS_MAX);
		return NULL;
	}
	vmm_disk_opts_t *d = &c->disk[c->disk_count++];
	*d = (vmm_disk_opts_t)VMM_DISK_OPTS_INIT;
	return d;
}

bool disk_end(struct run_config *c, void *item, struct problem *p)
{
	(void)c;
	const vmm_disk_opts_t *d = item;
	return d->path || d->fd >= 0 || problem_set(p, NULL, "needs a path, or fd=N");
}

static bool disk_path(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)p;
	((vmm_disk_opts_t *)item)->path = value;
	return true;
}

static bool disk_fd(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	uint64_t n = 0;
	if (!key_number(value, INT32_MAX, "a descriptor's number", &n, p))
		return false;
	((vmm_disk_opts_t *)item)->fd = (int)n;
	return true;
}

static bool disk_readonly(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)p;
	key_set_flag(&((vmm_disk_opts_t *)item)->flags, VMM_DISK_READ_ONLY, key_is_on(value));
	return true;
}

static bool disk_direct(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)p;
	key_set_flag(&((vmm_disk_opts_t *)item)->flags, VMM_DISK_DIRECT, key_is_on(value));
	return true;
}

static bool disk_lock(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)p;
	key_set_flag(&((vmm_disk_opts_t *)item)->flags, VMM_DISK_NO_LOCK, !key_is_on(value));
	return true;
}

static bool disk_engine(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	bool threads = strcmp(value, "threads") == 0;
	if (!threads && strcmp(value, "uring") != 0)
		return problem_set(p, NULL, "'%s': must be uring or threads", value);
	key_set_flag(&((vmm_disk_opts_t *)item)->flags, VMM_DISK_NO_URING, threads);
	return true;
}

static bool disk_serial(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)p;
	((vmm_disk_opts_t *)item)->serial = config_text(c, value);
	return true;
}

static bool disk_queue_size(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	uint64_t n = 0;
	if (!key_number(value, 1024, "a power of two", &n, p))
		return false;
	((vmm_disk_opts_t *)item)->queue_size = (uint32_t)n;
	return true;
}

const struct key_row disk_keys[] = {
        {"path", KEY_PATH, disk_path},
        {"fd", KEY_VALUE, disk_fd},
        {"readonly", KEY_SWITCH, disk_readonly},
        {"direct", KEY_SWITCH, disk_direct},
        {"lock", KEY_SWITCH, disk_lock},
        {"engine", KEY_VALUE, disk_engine},
        {"serial", KEY_VALUE, disk_serial},
        {"queue-size", KEY_VALUE, disk_queue_size},
        {"bandwidth", KEY_VALUE, disk_bandwidth},
        {"bandwidth-burst", KEY_VALUE, disk_bandwidth_burst},
        {"iops", KEY_VALUE, disk_iops},
        {"iops-burst", KEY_VALUE, disk_iops_burst},
        {.name = NULL},
};

/* Consoles and the serial port: one set of keys for both. */

void *console_begin(struct run_config *c, struct problem *p)
{
	if (c->console_count == VMM_CONSOLE_PORTS_MAX) {
		(void)problem_set(p, NULL, "more than %u consoles", VMM_CONSOLE_PORTS_MAX);
		return NULL;
	}
	struct port_config *port = &c->console[c->console_count++];
	*port = (struct port_config){.opts.chardev = VMM_CHARDEV_OPTS_INIT};
	return port;
}

static bool port_check(const struct port_config *port, struct problem *p)
{
	return port->given ||
	       problem_set(p, NULL, "needs one of stdio, pty, file=PATH, unix=PATH, null, none");
}

/* A port with a name is a data port; without one it is a terminal. */
bool console_end(struct run_config *c, void *item, struct problem *p)
{
	struct port_config *port = item;
	if (!port_check(port, p))
		return false;
	if (port->none)
		c->console_count--;
	port->opts.is_console = port->opts.is_console || !port->opts.name;
	return true;
}

void *serial_begin(struct run_config *c, struct problem *p)
{
	(void)p;
	c->serial = (struct port_config){.opts.chardev = VMM_CHARDEV_OPTS_INIT};
	return &c->serial;
}

bool serial_end(struct run_config *c, void *item, struct problem *p)
{
	(void)c;
	return port_check(item, p);
}

static bool port_kind(struct port_config *port, vmm_chardev_kind_t kind, const char *path,
                      struct problem *p)
{
	if (port->given)
		return problem_set(p, NULL, "a port has one end only");
	port->given = true;
	port->opts.chardev.kind = kind;
	port->opts.chardev.path = path;
	return true;
}

static bool port_stdio(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)value;
	struct port_config *port = item;
	port->stdio = true;
	return port_kind(port, VMM_CHARDEV_FD, NULL, p);
}

static bool port_pty(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)value;
	return port_kind(item, VMM_CHARDEV_PTY, NULL, p);
}

static bool port_null(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)value;
	return port_kind(item, VMM_CHARDEV_NULL, NULL, p);
}

static bool port_none(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)value;
	((struct port_config *)item)->none = true;
	return port_kind(item, VMM_CHARDEV_NULL, NULL, p);
}

static bool port_file(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	return port_kind(item, VMM_CHARDEV_FILE, value, p);
}

static bool port_unix(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	return port_kind(item, VMM_CHARDEV_UNIX, value, p);
}

static bool port_fd(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	struct port_config *port = item;
	uint64_t n = 0;
	if (!key_number(value, INT32_MAX, "a descriptor's number", &n, p))
		return false;
	port->opts.chardev.in_fd = port->opts.chardev.out_fd = (int)n;
	return port_kind(port, VMM_CHARDEV_FD, NULL, p);
}

static bool port_name(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)p;
	((struct port_config *)item)->opts.name = config_text(c, value);
	return true;
}

static bool port_console(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)p;
	((struct port_config *)item)->opts.is_console = key_is_on(value);
	return true;
}

const struct key_row console_keys[] = {
        {"stdio", KEY_FLAG, port_stdio},   {"pty", KEY_FLAG, port_pty},
        {"null", KEY_FLAG, port_null},     {"none", KEY_FLAG, port_none},
        {"file", KEY_PATH, port_file},     {"unix", KEY_PATH, port_unix},
        {"fd", KEY_VALUE, port_fd},        {"name", KEY_VALUE, port_name},
        {"tty", KEY_SWITCH, port_console}, {.name = NULL},
};

/* The same without what only virtio ports have: the last two rows. */
const struct key_row serial_keys[] = {
        {"stdio", KEY_FLAG, port_stdio}, {"pty", KEY_FLAG, port_pty},
        {"null", KEY_FLAG, port_null},   {"none", KEY_FLAG, port_none},
        {"file", KEY_PATH, port_file},   {"unix", KEY_PATH, port_unix},
        {"fd", KEY_VALUE, port_fd},      {.name = NULL},
};

/* Entropy. */

void *rng_begin(struct run_config *c, struct problem *p)
{
	(void)p;
	c->rng = true;
	c->rng_opts = (vmm_rng_opts_t)VMM_RNG_OPTS_INIT;
	return &c->rng_opts;
}

bool rng_end(struct run_config *c, void *item, struct problem *p)
{
	(void)c, (void)item, (void)p;
	return true;
}

static bool rng_on(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item, (void)value, (void)p;
	c->rng = true;
	return true;
}

static bool rng_off(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item, (void)value, (void)p;
	c->rng = false;
	return true;
}

static bool rng_rate(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	vmm_rng_opts_t *r = item;
	return key_size(value, &r->bytes_per_second, p) &&
	       (r->bytes_per_second > 0 || problem_set(p, NULL, "must be above zero"));
}

static bool rng_burst(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	vmm_rng_opts_t *r = item;
	return key_size(value, &r->burst_bytes, p) &&
	       (r->burst_bytes > 0 || problem_set(p, NULL, "must be above zero"));
}

const struct key_row rng_keys[] = {
        {"on", KEY_FLAG, rng_on},
        {"off", KEY_FLAG, rng_off},
        {"rate", KEY_VALUE, rng_rate},
        {"burst", KEY_VALUE, rng_burst},
        {.name = NULL},
};

/* The balloon. */

void *balloon_begin(struct run_config *c, struct problem *p)
{
	(void)p;
	c->balloon = true;
	c->balloon_opts = (vmm_balloon_opts_t)VMM_BALLOON_OPTS_INIT;
	return &c->balloon_opts;
}

bool balloon_end(struct run_config *c, void *item, struct problem *p)
{
	(void)c, (void)item, (void)p;
	return true;
}

static bool balloon_on(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item, (void)value, (void)p;
	c->balloon = true;
	return true;
}

static bool balloon_off(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item, (void)value, (void)p;
	c->balloon = false;
	return true;
}

static bool balloon_size(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	return key_size(value, &((vmm_balloon_opts_t *)item)->target_bytes, p);
}

static bool balloon_oom(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)p;
	key_set_flag(&((vmm_balloon_opts_t *)item)->flags, VMM_BALLOON_DEFLATE_ON_OOM,
	             key_is_on(value));
	return true;
}

static bool balloon_reporting(struct run_config *c, void *item, const char *value,
                              struct problem *p)
{
	(void)c, (void)p;
	key_set_flag(&((vmm_balloon_opts_t *)item)->flags, VMM_BALLOON_REPORTING, key_is_on(value));
	return true;
}

const struct key_row balloon_keys[] = {
        {"on", KEY_FLAG, balloon_on},
        {"off", KEY_FLAG, balloon_off},
        {"size", KEY_VALUE, balloon_size},
        {"deflate-on-oom", KEY_SWITCH, balloon_oom},
        {"reporting", KEY_SWITCH, balloon_reporting},
        {.name = NULL},
};

/* Passed devices. */

void *vfio_begin(struct run_config *c, struct problem *p)
{
	if (c->vfio_count == VMM_VFIO_DEVICES_MAX) {
		(void)problem_set(p, NULL, "more than %u devices", VMM_VFIO_DEVICES_MAX);
		return NULL;
	}
	vmm_vfio_opts_t *o = &c->vfio[c->vfio_count++];
	*o = (vmm_vfio_opts_t)VMM_VFIO_OPTS_INIT;
	return o;
}

bool vfio_end(struct run_config *c, void *item, struct problem *p)
{
	(void)c;
	return ((const vmm_vfio_opts_t *)item)->address ||
	       problem_set(p, NULL, "needs an address, as in 0000:01:00.0");
}

static bool vfio_address(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)p;
	((vmm_vfio_opts_t *)item)->address = config_text(c, value);
	return true;
}

static bool vfio_iommu(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	static const char *const ways[] = {"auto", "iommufd", "group"};
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(value, ways[i]) == 0) {
			((vmm_vfio_opts_t *)item)->iommu = (vmm_vfio_iommu_t)i;
			return true;
		}
	}
	return problem_set(p, NULL, "'%s': must be auto, iommufd or group", value);
}

const struct key_row vfio_keys[] = {
        {"address", KEY_VALUE, vfio_address},
        {"iommu", KEY_VALUE, vfio_iommu},
        {.name = NULL},
};
