/* The keys of options that confine vmm: the sandbox, the control group. See keys.h. */
#include <string.h>

#include "keys_value.h"
#include "parse.h"

#define CPU_MILLIS_MIN 10u
#define CPU_MILLIS_MAX 1000000u

void *sandbox_begin(struct run_config *c, struct problem *p)
{
	(void)p;
	c->sandbox = true;
	c->pid_namespace = false;
	c->sandbox_opts = (vmm_sandbox_opts_t)VMM_SANDBOX_OPTS_INIT;
	return &c->sandbox_opts;
}

bool sandbox_end(struct run_config *c, void *item, struct problem *p)
{
	const vmm_sandbox_opts_t *s = item;
	if (c->pid_namespace && !c->sandbox)
		return problem_set(p, NULL, "pid-namespace and off exclude each other");
	if (!(s->layers & VMM_SANDBOX_USER) || (s->uid && s->gid))
		return true;
	return problem_set(p, NULL, "uid and gid go together, and neither is 0");
}

static bool sandbox_on(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item, (void)value, (void)p;
	c->sandbox = true;
	return true;
}

static bool sandbox_off(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item, (void)value, (void)p;
	c->sandbox = false;
	return true;
}

static bool sandbox_strict(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)value, (void)p;
	((vmm_sandbox_opts_t *)item)->required |= VMM_SANDBOX_ALL;
	return true;
}

static bool sandbox_pid_namespace(struct run_config *c, void *item, const char *value,
                                  struct problem *p)
{
	(void)item, (void)value, (void)p;
	c->pid_namespace = true;
	return true;
}

static bool sandbox_id(vmm_sandbox_opts_t *s, const char *value, uint32_t *id, struct problem *p)
{
	uint64_t n = 0;
	if (!key_number(value, UINT32_MAX - 1, "a number", &n, p))
		return false;
	*id = (uint32_t)n;
	s->layers |= VMM_SANDBOX_USER;
	s->required |= VMM_SANDBOX_USER;
	return true;
}

static bool sandbox_uid(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	vmm_sandbox_opts_t *s = item;
	return sandbox_id(s, value, &s->uid, p);
}

static bool sandbox_gid(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	vmm_sandbox_opts_t *s = item;
	return sandbox_id(s, value, &s->gid, p);
}

const struct key_row sandbox_keys[] = {
        {"on", KEY_FLAG, sandbox_on},
        {"off", KEY_FLAG, sandbox_off},
        {"strict", KEY_FLAG, sandbox_strict},
        {"pid-namespace", KEY_FLAG, sandbox_pid_namespace},
        {"uid", KEY_VALUE, sandbox_uid},
        {"gid", KEY_VALUE, sandbox_gid},
        {.name = NULL},
};

/* The control group. */

void *cgroup_begin(struct run_config *c, struct problem *p)
{
	(void)p;
	c->cgroup = (vmm_cgroup_opts_t)VMM_CGROUP_OPTS_INIT;
	c->cgroup.io = c->cgroup_io;
	return &c->cgroup;
}

bool cgroup_end(struct run_config *c, void *item, struct problem *p)
{
	(void)item;
	if (!c->cgroup.path)
		return problem_set(p, NULL, "needs the group: /sys/fs/cgroup/..., made if need be");
	return c->cgroup.path[0] == '/' ||
	       problem_set(p, NULL, "'%s': must be an absolute path", c->cgroup.path);
}

static bool cgroup_path(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item, (void)p;
	c->cgroup.path = config_text(c, value);
	return true;
}

static bool cgroup_cpu(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item;
	uint64_t millis = 0;
	if (!parse_millis(value, CPU_MILLIS_MAX, &millis) || millis < CPU_MILLIS_MIN)
		return problem_set(p, NULL, "'%s': must be a number of CPUs, as in 1.5, 0.01 to %u",
		                   value, CPU_MILLIS_MAX / 1000);
	c->cgroup.cpu_millis = (uint32_t)millis;
	return true;
}

static bool cgroup_memory(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item;
	return key_rate_bytes(value, &c->cgroup.memory_bytes, p);
}

static bool cgroup_pids(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item;
	uint64_t n = 0;
	if (!parse_number(value, UINT32_MAX, &n) || n == 0)
		return problem_set(p, NULL, "'%s': must be a number of threads, 1 or more", value);
	c->cgroup.pids = (uint32_t)n;
	return true;
}

static bool cgroup_io(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)item;
	if (c->cgroup.io_count == CGROUP_IO_MAX)
		return problem_set(p, NULL, "at most %u lines", CGROUP_IO_MAX);
	if (!strchr(value, ':') || !strchr(value, ' '))
		return problem_set(
		        p, NULL, "'%s': must be a line for io.max, as in 8:0 rbps=1048576", value);
	c->cgroup_io[c->cgroup.io_count++] = config_text(c, value);
	return true;
}

const struct key_row cgroup_keys[] = {
        {"path", KEY_VALUE, cgroup_path},     {"cpu", KEY_VALUE, cgroup_cpu},
        {"memory", KEY_VALUE, cgroup_memory}, {"pids", KEY_VALUE, cgroup_pids},
        {"io", KEY_VALUES, cgroup_io},        {.name = NULL},
};
