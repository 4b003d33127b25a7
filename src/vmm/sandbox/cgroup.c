/*
 * Limits of resources by a control group. See vmm/cgroup.h; Linux's
 * Documentation/admin-guide/cgroup-v2.rst, 'Core Interface Files' and each controller's.
 */
#include "vmm/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../errset.h"
#include "cgroup.h"
#include "put.h"

#define CPU_PERIOD_US 100000u /* the kernel's default */
#define CPU_QUOTA_MIN 1000u   /* us: it refuses less */
#define MILLIS        1000u

/* What is written to one file of the group. */
struct limit {
	const char *controller;
	const char *file;
	char text[48];
	const char *line; /* instead of TEXT, where a caller gives it */
};

bool cgroup_lists(int dir, const char *name, const char *word)
{
	char text[512];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	char *state = NULL;
	for (char *w = strtok_r(text, " \n", &state); w; w = strtok_r(NULL, " \n", &state))
		if (strcmp(w, word) == 0)
			return true;
	return false;
}

/* The directory that PATH's last component is in, by a descriptor; NAME gets that component. */
static int open_parent(const char *path, char name[NAME_MAX + 1], char parent[PATH_MAX])
{
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	size_t at = len;
	while (at > 0 && path[at - 1] != '/')
		at--;
	if (path[0] != '/' || at == len || len - at > NAME_MAX || at >= PATH_MAX) {
		errno = EINVAL;
		return -1;
	}
	(void)snprintf(name, NAME_MAX + 1, "%.*s", (int)(len - at), path + at);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		errno = EINVAL;
		return -1;
	}
	(void)snprintf(parent, PATH_MAX, "%.*s", (int)at, path);
	return open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A controller limits a group only where the parent hands it down. */
static vmm_err_t hand_down(int parent_fd, const char *parent, const char *controller,
                           vmm_err_info_t *ei)
{
	char text[16];
	if (cgroup_lists(parent_fd, "cgroup.subtree_control", controller))
		return VMM_OK;
	if (!cgroup_lists(parent_fd, "cgroup.controllers", controller))
		return err_set(ei, VMM_E_UNSUPPORTED, controller,
		               "%scgroup.controllers does not have '%s': the limit cannot be set "
		               "there",
		               parent, controller);
	(void)snprintf(text, sizeof(text), "+%s", controller);
	int err = put_text(parent_fd, "cgroup.subtree_control", text);
	if (err)
		return err_sys(ei, err, controller,
		               "'%s' cannot be written to %scgroup.subtree_control%s", text, parent,
		               err == EBUSY ? " (processes are in that group itself)" : "");
	return VMM_OK;
}

static vmm_err_t set_limit(int parent_fd, const char *parent, int dir, const struct limit *l,
                           vmm_err_info_t *ei)
{
	const char *text = l->line ? l->line : l->text;
	vmm_err_t code = hand_down(parent_fd, parent, l->controller, ei);
	if (code)
		return code;
	int err = put_text(dir, l->file, text);
	return err ? err_sys(ei, err, l->controller, "'%s' cannot be written to %s", text, l->file)
	           : VMM_OK;
}

static vmm_err_t set_limits(int parent_fd, const char *parent, int dir, const vmm_cgroup_opts_t *o,
                            vmm_err_info_t *ei)
{
	struct limit limits[] = {
	        {.controller = "cpu", .file = "cpu.max"},
	        {.controller = "memory", .file = "memory.max"},
	        {.controller = "pids", .file = "pids.max"},
	};
	uint64_t quota = (uint64_t)o->cpu_millis * (CPU_PERIOD_US / MILLIS);
	if (o->cpu_millis)
		(void)snprintf(limits[0].text, sizeof(limits[0].text), "%" PRIu64 " %u", quota,
		               CPU_PERIOD_US);
	if (o->memory_bytes)
		(void)snprintf(limits[1].text, sizeof(limits[1].text), "%" PRIu64, o->memory_bytes);
	if (o->pids)
		(void)snprintf(limits[2].text, sizeof(limits[2].text), "%" PRIu32, o->pids);
	vmm_err_t err = VMM_OK;
	for (size_t i = 0; !err && i < sizeof(limits) / sizeof(limits[0]); i++)
		if (limits[i].text[0])
			err = set_limit(parent_fd, parent, dir, &limits[i], ei);
	for (uint32_t i = 0; !err && i < o->io_count; i++) {
		const struct limit io = {.controller = "io", .file = "io.max", .line = o->io[i]};
		err = set_limit(parent_fd, parent, dir, &io, ei);
	}
	return err;
}

static vmm_err_t check(const vmm_cgroup_opts_t *o, vmm_err_info_t *ei)
{
	if (!o || o->struct_size != sizeof(*o))
		return err_set(ei, VMM_E_INVAL, "struct_size", "must be %zu",
		               sizeof(vmm_cgroup_opts_t));
	if (!o->path || o->path[0] != '/')
		return err_set(ei, VMM_E_INVAL, "path", "'%s': must be an absolute path",
		               o->path ? o->path : "");
	if (o->cpu_millis && o->cpu_millis < CPU_QUOTA_MIN / (CPU_PERIOD_US / MILLIS))
		return err_set(ei, VMM_E_INVAL, "cpu", "must be a hundredth of a CPU or more");
	for (uint32_t i = 0; i < o->io_count; i++)
		if (!o->io || !o->io[i] || !o->io[i][0])
			return err_set(ei, VMM_E_INVAL, "io", "must be a line for io.max");
	return VMM_OK;
}

static vmm_err_t join(int parent_fd, const char *parent, const char *name,
                      const vmm_cgroup_opts_t *o, vmm_err_info_t *ei)
{
	struct statfs fs;
	if (fstatfs(parent_fd, &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
		return err_set(ei, VMM_E_INVAL, "path",
		               "'%s': %s is not in a cgroup v2 file system", o->path, parent);
	if (mkdirat(parent_fd, name, 0755) != 0 && errno != EEXIST)
		return err_sys(ei, errno, "path", "'%s' cannot be made", o->path);
	int dir = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(ei, errno, "path", "'%s' cannot be opened", o->path);
	vmm_err_t code = set_limits(parent_fd, parent, dir, o, ei);
	int err = code ? 0 : put_text(dir, "cgroup.procs", "0");
	(void)close(dir);
	return err ? err_sys(ei, err, "path", "'%s' cannot be joined", o->path) : code;
}

vmm_err_t vmm_cgroup_join(const vmm_cgroup_opts_t *opts, vmm_err_info_t *ei)
{
	char name[NAME_MAX + 1], parent[PATH_MAX];
	vmm_err_t err = check(opts, ei);
	if (err)
		return err;
	int parent_fd = open_parent(opts->path, name, parent);
	if (parent_fd < 0 && errno == EINVAL)
		return err_set(ei, VMM_E_INVAL, "path", "'%s': must end with the group's name",
		               opts->path);
	if (parent_fd < 0)
		return err_sys(ei, errno, "path", "'%s': the directory above it cannot be opened",
		               opts->path);
	err = join(parent_fd, parent, name, opts, ei);
	(void)close(parent_fd);
	return err;
}
