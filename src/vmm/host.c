/* What this host can do. See vmm/host.h. */
#include "vmm/host.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <mntent.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/vfio/hostdev.h"
#include "errset.h"
#include "sized.h"
#include "gmem.h"
#include "kvm.h"
#include "sandbox/cgroup.h"
#include "vmm/sandbox.h"

#define TUN_PATH        "/dev/net/tun"
#define VFIO_PATH       "/dev/vfio/vfio"
#define IOMMUFD_PATH    "/dev/iommu"
#define HUGE_PAGES_PATH "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define PROBE_BYTES     (1ull << 20)

static vmm_host_check_t *add(vmm_host_info_t *info, const char *name, vmm_check_state_t state,
                             const char *fmt, ...) VMM_PRINTF(4, 5);
static vmm_host_check_t *add(vmm_host_info_t *info, const char *name, vmm_check_state_t state,
                             const char *fmt, ...)
{
	/* The table holds more than there are checks; the last place takes whatever is too much. */
	if (info->check_count < VMM_HOST_CHECKS_MAX)
		info->check_count++;
	vmm_host_check_t *c = &info->check[info->check_count - 1];
	*c = (vmm_host_check_t){.state = state};
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(c->found, sizeof(c->found), fmt, ap);
	va_end(ap);
	return c;
}

static void fix(vmm_host_check_t *c, const char *text)
{
	(void)snprintf(c->fix, sizeof(c->fix), "%s", text);
}

static bool cpu_has(const char *flag)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	if (!f)
		return false;
	char *line = NULL;
	size_t size = 0;
	bool found = false;
	while (!found && getline(&line, &size, f) > 0) {
		if (strncmp(line, "flags", 5) != 0)
			continue;
		char *state = NULL;
		for (char *w = strtok_r(line, " \t\n", &state); w && !found;
		     w = strtok_r(NULL, " \t\n", &state))
			found = strcmp(w, flag) == 0;
		break; /* all processors show the same */
	}
	free(line);
	(void)fclose(f);
	return found;
}

static void explain_no_kvm(vmm_host_check_t *c, const char *path, const vmm_err_info_t *ei)
{
	struct stat st;
	if (ei->code == VMM_E_NOENT) {
		fix(c, cpu_has("vmx") ? "modprobe kvm_intel"
		       : cpu_has("svm")
		               ? "modprobe kvm_amd"
		               : "the CPU shows neither vmx nor svm: enable virtualisation in "
		                 "the firmware, or nesting in the outer hypervisor");
	} else if (ei->code == VMM_E_PERM && stat(path, &st) == 0) {
		/* A group that may use it helps only if it is not root's. */
		bool group = (st.st_mode & 060) == 060 && st.st_gid != 0;
		char first[120] = "";
		if (!group)
			(void)snprintf(first, sizeof(first), "chgrp kvm %s; chmod 0660 %s; ", path,
			               path);
		(void)snprintf(c->fix, sizeof(c->fix),
		               "%susermod -aG kvm $USER and log in again (mode %o, group id %u)",
		               first, (unsigned)(st.st_mode & 07777), (unsigned)st.st_gid);
	}
}

static void check_kind(vmm_host_info_t *info, const struct kvm_caps *caps)
{
	info->kind = caps->hardware ? VMM_HOST_HARDWARE : VMM_HOST_PAGETABLE;
	if (caps->hardware) {
		(void)add(info, "host kind", VMM_CHECK_OK, "hardware virtualisation (%s)",
		          cpu_has("vmx") ? "VT-x" : "AMD-V");
		return;
	}
	fix(add(info, "host kind", VMM_CHECK_NOTE,
	        "pagetable-based KVM, without VT-x or AMD-V: kernel code of guests is emulated"),
	    "small guests run; Linux guests need a host with vmx or svm in /proc/cpuinfo");
}

/* Making an empty VM shows what the limits of a sandbox or a module parameter would hide. */
static void check_vm(vmm_host_info_t *info, int kvm_fd)
{
	struct gmem_opts opts = {.size_bytes = PROBE_BYTES, .fd = -1};
	struct gmem *gm = NULL;
	vmm_err_info_t ei = {0};
	int vm_fd = -1;
	vmm_err_t err = gmem_create(&opts, &gm, &ei);
	if (!err)
		err = kvm_vm_create(kvm_fd, gm, &vm_fd, &ei);
	if (err)
		(void)add(info, "a VM", VMM_CHECK_FAIL, "%s: %s", ei.field, ei.message);
	else
		(void)add(info, "a VM", VMM_CHECK_OK,
		          "can be made: memory slots, irqchip, irqfd, ioeventfd; at most %u vCPUs",
		          info->max_vcpus);
	if (vm_fd >= 0)
		(void)close(vm_fd);
	gmem_destroy(gm);
}

static void check_kvm(vmm_host_info_t *info, const char *path)
{
	struct kvm_caps caps;
	vmm_err_info_t ei = {0};
	int fd = -1;
	if (kvm_open(path, -1, &fd, &caps, &ei) != VMM_OK) {
		explain_no_kvm(add(info, "kvm", VMM_CHECK_FAIL, "%s: %s", ei.field, ei.message),
		               path, &ei);
		return;
	}
	info->max_vcpus = caps.max_vcpus;
	(void)add(info, "kvm", VMM_CHECK_OK, "%s, API version %d", path, KVM_API_VERSION);
	check_kind(info, &caps);
	check_vm(info, fd);
	(void)add(info, "guest clock", caps.tsc_khz ? VMM_CHECK_OK : VMM_CHECK_NOTE, "%s",
	          caps.tsc_khz ? "the TSC frequency is known and told to guests"
	                       : "KVM does not tell the TSC frequency; guests measure it");
	(void)close(fd);
}

static void check_memory(vmm_host_info_t *info)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long page = sysconf(_SC_PAGESIZE);
	info->memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
	(void)add(info, "memory", VMM_CHECK_OK, "%llu MiB",
	          (unsigned long long)(info->memory_bytes >> 20));
}

static long read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	return n > 0 ? strtol(text, NULL, 10) : -1;
}

static void check_huge_pages(vmm_host_info_t *info)
{
	long all = read_number(HUGE_PAGES_PATH "nr_hugepages");
	long unused = read_number(HUGE_PAGES_PATH "free_hugepages");
	if (all > 0) {
		(void)add(info, "huge pages", VMM_CHECK_OK, "%ld of 2 MiB, %ld free", all, unused);
		return;
	}
	fix(add(info, "huge pages", VMM_CHECK_NOTE, "%s",
	        all < 0 ? "this kernel has none of 2 MiB"
	                : "none reserved; --huge-pages would fail"),
	    all < 0 ? "" : "for a guest of 1 GiB: sysctl vm.nr_hugepages=512");
}

static void check_tap(vmm_host_info_t *info)
{
	int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		(void)close(fd);
		if (geteuid() == 0)
			(void)add(info, "tap", VMM_CHECK_OK, "%s can be opened; taps can be made",
			          TUN_PATH);
		else
			fix(add(info, "tap", VMM_CHECK_OK, "%s can be opened", TUN_PATH),
			    "once for each card: sudo ip tuntap add NAME mode tap user $USER");
		return;
	}
	int err = errno;
	fix(add(info, "tap", VMM_CHECK_NOTE, "%s: %s; --net tap= would fail", TUN_PATH,
	        strerror(err)),
	    err == EACCES || err == EPERM ? "chmod 0666 /dev/net/tun" : "modprobe tun");
}

static void check_uring(vmm_host_info_t *info)
{
	struct io_uring ring;
	int err = io_uring_queue_init(4, &ring, 0);
	if (err == 0) {
		io_uring_queue_exit(&ring);
		(void)add(info, "io_uring", VMM_CHECK_OK, "works");
		return;
	}
	fix(add(info, "io_uring", VMM_CHECK_NOTE, "%s; disks use threads instead", strerror(-err)),
	    err == -EPERM ? "sysctl kernel.io_uring_disabled=0, or allow it in the sandbox" : "");
}

/* Which layers a VM's process could close. */
static void check_sandbox(vmm_host_info_t *info)
{
	uint32_t missing = VMM_SANDBOX_ALL & ~vmm_sandbox_available();
	char names[128] = "";
	size_t at = 0;
	for (uint32_t bit = 1; bit && bit <= VMM_SANDBOX_ALL; bit <<= 1)
		if ((missing & bit) && at < sizeof(names))
			at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s",
			                       at ? ", " : "", vmm_sandbox_layer_name(bit));
	if (!missing) {
		(void)add(info, "sandbox", VMM_CHECK_OK, "every layer can be had");
		return;
	}
	const char *how =
	        missing & VMM_SANDBOX_NAMESPACES
	                ? "sysctl kernel.unprivileged_userns_clone=1 "
	                  "kernel.apparmor_restrict_unprivileged_userns=0, those that exist"
	        : missing & VMM_SANDBOX_LANDLOCK
	                ? "Linux 5.13, with landlock in the kernel's parameter lsm="
	                : "";
	fix(add(info, "sandbox", VMM_CHECK_NOTE, "guests run without: %s", names), how);
}

/* Tried in a process of its own, as root and as a user may. */
static void check_pid_namespace(vmm_host_info_t *info)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0)
		_exit(unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child > 0 && status == 0)
		(void)add(info, "PID namespace", VMM_CHECK_OK, "can be had");
	else
		(void)add(info, "PID namespace", VMM_CHECK_NOTE,
		          "cannot be had; --sandbox pid-namespace would fail");
}

/* Where cgroup v2 is mounted first. */
static bool find_cgroups(char *at, size_t room)
{
	char line[1024];
	struct mntent m;
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	bool found = false;
	while (mounts && !found && getmntent_r(mounts, &m, line, sizeof(line))) {
		found = strcmp(m.mnt_type, "cgroup2") == 0;
		(void)snprintf(at, room, "%s", m.mnt_dir);
	}
	if (mounts)
		(void)endmntent(mounts);
	return found;
}

static void check_cgroups(vmm_host_info_t *info)
{
	static const char *const wanted[] = {"cpu", "io", "memory", "pids"};
	char at[128], missing[64] = "";
	if (!find_cgroups(at, sizeof(at))) {
		fix(add(info, "cgroup v2", VMM_CHECK_NOTE, "is not mounted; --cgroup would fail"),
		    "mount -t cgroup2 none /sys/fs/cgroup");
		return;
	}
	int dir = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t len = 0;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!cgroup_lists(dir, "cgroup.controllers", wanted[i]))
			len += (size_t)snprintf(missing + len, sizeof(missing) - len, "%s%s",
			                        len ? ", " : "", wanted[i]);
	if (dir >= 0)
		(void)close(dir);
	if (len == 0)
		(void)add(info, "cgroup v2", VMM_CHECK_OK,
		          "%s: --cgroup can limit cpu, io, memory and pids", at);
	else
		fix(add(info, "cgroup v2", VMM_CHECK_NOTE, "%s: --cgroup cannot limit %s", at,
		        missing),
		    "the kernel's parameters cgroup_no_v1=all, systemd.unified_cgroup_hierarchy=1");
}

static bool one_is_enough(void *ctx, const char *name)
{
	(void)name;
	*(bool *)ctx = true;
	return false;
}

/* Which way passed devices would take; of each device, `vmm vfio list` tells. */
static void check_passthrough(vmm_host_info_t *info)
{
	bool groups = access(VFIO_PATH, F_OK) == 0;
	bool iommu = false;
	(void)hostdev_each("/sys/kernel/iommu_groups", one_is_enough, &iommu);
	if (!iommu) {
		fix(add(info, "passthrough", VMM_CHECK_NOTE, "no IOMMU; --vfio would fail"),
		    "VT-d or AMD-Vi in the firmware; intel_iommu=on on the kernel's command line");
		return;
	}
	int fd = open(IOMMUFD_PATH, O_RDWR | O_CLOEXEC);
	int err = errno;
	if (fd >= 0) {
		(void)close(fd);
		(void)add(info, "passthrough", VMM_CHECK_OK, "through iommufd%s",
		          groups ? ", or by groups" : "");
		return;
	}
	bool no_right = err == EACCES || err == EPERM;
	vmm_host_check_t *c = add(info, "passthrough", groups ? VMM_CHECK_OK : VMM_CHECK_NOTE,
	                          "%s; no iommufd: %s: %s",
	                          groups ? "by groups" : "no " VFIO_PATH "; --vfio would fail",
	                          IOMMUFD_PATH, strerror(err));
	if (no_right)
		fix(c, "for iommufd, as root: chown $USER " IOMMUFD_PATH);
	else if (!groups)
		fix(c, "modprobe vfio-pci");
}

vmm_err_t vmm_host_probe(const char *kvm_path, vmm_host_info_t *info)
{
	if (!sized_info(info, sizeof(*info), NULL))
		return VMM_E_INVAL;
	*info = (vmm_host_info_t){.struct_size = sizeof(*info)};
	check_kvm(info, kvm_path ? kvm_path : "/dev/kvm");
	check_memory(info);
	check_huge_pages(info);
	check_tap(info);
	check_uring(info);
	check_sandbox(info);
	check_pid_namespace(info);
	check_cgroups(info);
	check_passthrough(info);
	return VMM_OK;
}
