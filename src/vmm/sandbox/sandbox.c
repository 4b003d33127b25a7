/*
 * The layers of the sandbox, but for seccomp's filters (filter.c). Each is tried in turn, on the
 * one thread that the process has between build and start. See vmm/sandbox.h; namespaces(7),
 * capabilities(7), landlock(7), pivot_root(2).
 */
#include "vmm/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../errset.h"
#include "../vm_priv.h"
#include "filter.h"
#include "put.h"

struct request {
	const vmm_sandbox_opts_t *opts;
	bool host_net; /* one thread needs the network that the process came with */
};

/* Each layer returns 0 or an errno. */
typedef int layer_fn(const struct request *r);

static int become_user(const struct request *r)
{
	const gid_t gid = r->opts->gid;
	const uid_t uid = r->opts->uid;
	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return errno;
	/* The change made the process undumpable, and so its files in /proc root's. */
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 ? 0 : errno;
}

/* Inside, this user is user 0 without a right to anything outside. */
static int map_ids(uid_t uid, gid_t gid)
{
	char text[48];
	(void)snprintf(text, sizeof(text), "0 %u 1", (unsigned)uid);
	int err = put_text(AT_FDCWD, "/proc/self/uid_map", text);
	if (err)
		return err;
	/* Linux before 3.19 has no such file, and no such rule. */
	err = put_text(AT_FDCWD, "/proc/self/setgroups", "deny");
	if (err && err != ENOENT)
		return err;
	(void)snprintf(text, sizeof(text), "0 %u 1", (unsigned)gid);
	return put_text(AT_FDCWD, "/proc/self/gid_map", text);
}

static int leave_namespaces(const struct request *r)
{
	const int net = r->host_net ? 0 : CLONE_NEWNET;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | net) != 0)
		return errno;
	return map_ids(uid, gid);
}

/* A place for the new root: any directory that is there for everybody. */
static const char *mount_point(void)
{
	static const char *const places[] = {"/tmp", "/proc", "/sys", "/dev", "/run"};
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (mount("none", places[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		          "size=4k,mode=0555") == 0)
			return places[i];
	return NULL;
}

/* An initramfs cannot be pivoted away from: there the new root is moved over it, as switch_root
 * does. Both leave nothing of the old one to reach. */
static int swap_root(void)
{
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) == 0 ? 0 : errno;
	if (errno != EINVAL)
		return errno;
	if (mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0)
		return errno;
	return 0;
}

static int empty_root(const struct request *r)
{
	(void)r;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return errno;
	const char *place = mount_point();
	if (!place || chdir(place) != 0)
		return errno;
	int err = swap_root();
	if (!err &&
	    (chdir("/") != 0 ||
	     mount(NULL, "/", NULL,
	           MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0))
		err = errno;
	return err;
}

static int drop_capabilities(const struct request *r)
{
	(void)r;
	/* Until the kernel knows no further one. Without CAP_SETPCAP there is nothing to bound. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM)
			return errno;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {{0}, {0}};
	return syscall(SYS_capset, &head, none) == 0 ? 0 : errno;
}

static int deny_privileges(const struct request *r)
{
	(void)r;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
}

static int deny_dumps(const struct request *r)
{
	(void)r;
	const struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return errno;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : errno;
}

/* All that this kernel's Landlock can restrict, and no exception. */
static uint64_t landlock_rights(long abi)
{
	uint64_t rights = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1; /* the thirteen of ABI 1 */
	if (abi >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	return rights;
}

static int deny_paths(const struct request *r)
{
	(void)r;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0)
		return errno;
	const struct landlock_ruleset_attr attr = {.handled_access_fs = landlock_rights(abi)};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return errno;
	int err = deny_privileges(r);
	if (!err && syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		err = errno;
	(void)close(fd);
	return err;
}

static int probe_seccomp(const struct request *r)
{
	(void)r;
	/* The C library counts the processors, in a file, when a second thread allocates. One heap
	 * for all threads needs no count. */
	(void)mallopt(M_ARENA_MAX, 1);
	/* Nor must its first conversion of a time, for the RTC, look for a time zone later. */
	tzset();
	/* The filters are loaded by the threads; here it is only asked whether they could. A null
	 * program is EFAULT where they can (prctl(2)). */
	if (prctl(PR_SET_SECCOMP, 2, NULL, 0, 0) != 0 && errno != EFAULT)
		return errno;
	return 0;
}

/* In an order in which each still has the rights that it needs. */
static const struct {
	uint32_t layer;
	const char *name;
	layer_fn *close;
	uint32_t needs;
} layers[] = {
        {VMM_SANDBOX_USER, "another user", become_user, 0},
        {VMM_SANDBOX_NAMESPACES, "namespaces", leave_namespaces, 0},
        {VMM_SANDBOX_ROOT, "an empty root", empty_root, VMM_SANDBOX_NAMESPACES},
        {VMM_SANDBOX_CAPABILITIES, "no capabilities", drop_capabilities, 0},
        {VMM_SANDBOX_NO_NEW_PRIVS, "no new privileges", deny_privileges, 0},
        {VMM_SANDBOX_LANDLOCK, "Landlock", deny_paths, 0},
        {VMM_SANDBOX_NO_DUMP, "no core dumps", deny_dumps, 0},
        {VMM_SANDBOX_SECCOMP, "seccomp filters", probe_seccomp, 0},
};
#define LAYERS (sizeof(layers) / sizeof(layers[0]))

static vmm_err_t close_layers(const struct request *r, uint32_t *closed, vmm_err_info_t *ei)
{
	const vmm_sandbox_opts_t *opts = r->opts;
	for (size_t i = 0; i < LAYERS; i++) {
		uint32_t bit = layers[i].layer;
		if (!(opts->layers & bit))
			continue;
		bool can = (layers[i].needs & *closed) == layers[i].needs;
		int err = can ? layers[i].close(r) : EPERM;
		if (!err)
			*closed |= bit;
		else if (opts->required & bit)
			return err_sys_as(ei, VMM_E_UNSUPPORTED, err, "sandbox",
			                  "%s cannot be had here", layers[i].name);
	}
	return VMM_OK;
}

vmm_err_t vmm_sandbox_enter(vmm_vm_t *vm, const vmm_sandbox_opts_t *opts, uint32_t *closed,
                            vmm_err_info_t *ei)
{
	uint32_t done = 0;
	if (closed)
		*closed = 0;
	if (!opts || opts->struct_size != sizeof(*opts))
		return err_set(ei, VMM_E_INVAL, "struct_size", "must be %zu",
		               sizeof(vmm_sandbox_opts_t));
	if ((opts->layers | opts->required) & ~(VMM_SANDBOX_ALL | VMM_SANDBOX_USER))
		return err_set(ei, VMM_E_INVAL, "layers", "0x%x has unknown bits",
		               opts->layers | opts->required);
	if (vm->state != VM_BUILT)
		return err_set(ei, VMM_E_STATE, "vm",
		               "the sandbox is entered between build and start");
	const struct request r = {.opts = opts, .host_net = vm->host_net};
	vmm_err_t err = close_layers(&r, &done, ei);
	if (closed)
		*closed = done;
	if (!err)
		vm->filters = (struct sandbox_filters){
		        .on = done & VMM_SANDBOX_SECCOMP,
		        .trap = opts->trap,
		};
	return err;
}

vmm_err_t vmm_sandbox_seal(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	int err = sandbox_filter_load(&vm->filters, SANDBOX_MAIN);
	if (err)
		return err_sys_as(ei, VMM_E_UNSUPPORTED, err, "sandbox",
		                  "the kernel does not take the filter of system calls");
	return VMM_OK;
}

uint32_t vmm_sandbox_available(void)
{
	int ends[2];
	uint32_t found = 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return 0;
	pid_t child = fork();
	if (child == 0) {
		const vmm_sandbox_opts_t all = {.layers = VMM_SANDBOX_ALL};
		const struct request r = {.opts = &all};
		(void)close_layers(&r, &found, NULL);
		ssize_t n = write(ends[1], &found, sizeof(found));
		_exit(n == (ssize_t)sizeof(found) ? 0 : 1);
	}
	(void)close(ends[1]);
	if (child > 0) {
		if (read(ends[0], &found, sizeof(found)) != (ssize_t)sizeof(found))
			found = 0;
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	(void)close(ends[0]);
	return found;
}

const char *vmm_sandbox_layer_name(uint32_t layer)
{
	for (size_t i = 0; i < LAYERS; i++)
		if (layers[i].layer == layer)
			return layers[i].name;
	return "unknown";
}
