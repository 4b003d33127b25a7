/* The table of `vmm run`'s options. See config.h. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "keys.h"
#include "parse.h"

/* Less was meant as mebibytes, or as nothing that can run. */
#define MEMORY_LEAST 65536u

static bool number(const char *value, uint64_t max, const char *what, uint64_t *out,
                   struct problem *p)
{
	return parse_number(value, max, out) ||
	       problem_set(p, NULL, "'%s': must be %s, at most %llu", value, what,
	                   (unsigned long long)max);
}

static bool set_memory(struct run_config *c, const char *value, struct problem *p)
{
	uint64_t bytes = 0;
	if (!parse_size(value, &bytes))
		return problem_set(p, NULL, "'%s': must be a size, as in 256M or 2G", value);
	bool bare = value[strspn(value, "0123456789")] == '\0';
	if (bytes > 0 && bytes < MEMORY_LEAST)
		return problem_set(p, NULL,
		                   bare ? "'%s' is that many bytes; write %sM for mebibytes"
		                        : "'%s': is less than any guest needs; as in 256M or 2G",
		                   value, value);
	c->vm.memory_bytes = bytes;
	c->memory_given = true;
	return true;
}

static bool set_cpus(struct run_config *c, const char *value, struct problem *p)
{
	uint64_t n = 0;
	if (!parse_number(value, VMM_CPUS_MAX, &n) || n == 0)
		return problem_set(p, NULL, "'%s': must be 1 to %u", value, VMM_CPUS_MAX);
	c->vm.cpus = (uint32_t)n;
	c->cpus_given = true;
	return true;
}

static bool set_name(struct run_config *c, const char *value, struct problem *p)
{
	(void)p;
	c->vm.name = value;
	return true;
}

static bool set_kernel(struct run_config *c, const char *value, struct problem *p)
{
	(void)p;
	c->boot.kernel = value;
	return true;
}

static bool set_image(struct run_config *c, const char *value, struct problem *p)
{
	(void)p;
	c->boot.image = value;
	return true;
}

static bool set_initrd(struct run_config *c, const char *value, struct problem *p)
{
	(void)p;
	c->boot.initrd = value;
	return true;
}

static bool set_protocol(struct run_config *c, const char *value, struct problem *p)
{
	static const struct {
		const char *name;
		vmm_boot_protocol_t protocol;
	} protocols[] = {
	        {"auto", VMM_BOOT_AUTO}, {"linux64", VMM_BOOT_LINUX64}, {"pvh", VMM_BOOT_PVH}};
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strcmp(value, protocols[i].name) == 0) {
			c->boot.protocol = protocols[i].protocol;
			return true;
		}
	}
	return problem_set(p, NULL, "'%s': must be auto, linux64 or pvh", value);
}

static bool set_transport(struct run_config *c, const char *value, struct problem *p)
{
	bool pci = strcmp(value, "pci") == 0;
	c->vm.transport = pci ? VMM_TRANSPORT_PCI : VMM_TRANSPORT_MMIO;
	c->transport_given = true;
	return pci || strcmp(value, "mmio") == 0 ||
	       problem_set(p, NULL, "'%s': must be pci or mmio", value);
}

static bool set_idle(struct run_config *c, const char *value, struct problem *p)
{
	bool guest = strcmp(value, "guest") == 0;
	if (!guest && strcmp(value, "host") != 0)
		return problem_set(p, NULL, "'%s': must be host or guest", value);
	if (guest)
		c->vm.flags |= VMM_VM_GUEST_IDLE;
	else
		c->vm.flags &= ~VMM_VM_GUEST_IDLE;
	return true;
}

static bool set_kvm(struct run_config *c, const char *value, struct problem *p)
{
	(void)p;
	c->vm.kvm_path = value;
	return true;
}

static bool set_log_level(struct run_config *c, const char *value, struct problem *p)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	for (int i = 0; i < 4; i++) {
		if (strcmp(value, levels[i]) == 0) {
			c->vm.log_level = (vmm_log_level_t)i;
			return true;
		}
	}
	return problem_set(p, NULL, "'%s': must be error, warn, info or debug", value);
}

static bool set_stop_timeout(struct run_config *c, const char *value, struct problem *p)
{
	return number(value, 86400, "seconds", &c->stop_timeout_s, p);
}

static bool set_time_limit(struct run_config *c, const char *value, struct problem *p)
{
	return number(value, INT_MAX, "seconds", &c->time_limit_s, p);
}

static bool set_config(struct run_config *c, const char *value, struct problem *p)
{
	return config_from_file(c, value, p);
}

/* An empty command line is a command line: it takes the place of the image's. */
static bool set_cmdline(struct run_config *c, const char *value, struct problem *p)
{
	(void)p;
	c->boot.cmdline = value;
	return true;
}

#define VM_FLAG(name, bit)                                                           \
	static bool name(struct run_config *c, const char *value, struct problem *p) \
	{                                                                            \
		(void)value, (void)p;                                                \
		c->vm.flags |= (bit);                                                \
		return true;                                                         \
	}
VM_FLAG(set_huge_pages, VMM_VM_HUGE_PAGES)
VM_FLAG(set_memfd, VMM_VM_MEMFD)
VM_FLAG(set_prefault, VMM_VM_PREFAULT)
VM_FLAG(set_no_reboot, VMM_VM_NO_REBOOT)
VM_FLAG(set_no_acpi, VMM_VM_NO_ACPI)

#define OWN_FLAG(name, field)                                                        \
	static bool name(struct run_config *c, const char *value, struct problem *p) \
	{                                                                            \
		(void)value, (void)p;                                                \
		c->field = true;                                                     \
		return true;                                                         \
	}
OWN_FLAG(set_stats, stats)
OWN_FLAG(set_dry_run, dry_run)
OWN_FLAG(set_help, help)

#define SWITCH(option, function, text) \
	.name = (option), .form = OPTION_SWITCH, .apply = (function), .help = (text)
#define VALUE(option, value, function, text) \
	.name = (option), .form = OPTION_VALUE, .meta = (value), .apply = (function), .help = (text)
#define TEXT(option, value, function, text) \
	.name = (option), .form = OPTION_TEXT, .meta = (value), .apply = (function), .help = (text)
#define FILE_OF(option, function, text) \
	.name = (option), .form = OPTION_PATH, .meta = "FILE", .apply = (function), .help = (text)
#define KEYS(option, keys_form, value, table, text)                                   \
	.name = (option), .form = (keys_form), .meta = (value), .keys = table##_keys, \
	.begin = table##_begin, .end = table##_end, .help = (text)

const struct option_row config_options[] = {
        {.group = "What to boot",
         FILE_OF("image", set_image, "a guest image or a kernel; the same as naming it alone")},
        {.letter = 'k', FILE_OF("kernel", set_kernel, "a Linux bzImage, or an ELF kernel")},
        {.letter = 'i', FILE_OF("initrd", set_initrd, "its initial RAM disk")},
        {.letter = 'a',
         TEXT("cmdline", "TEXT", set_cmdline,
              "its command line (a bare kernel: console=ttyS0 or hvc0)")},
        {VALUE("protocol", "P", set_protocol, "auto, linux64 or pvh (auto: by the file)")},

        {.group = "The machine",
         .letter = 'm',
         VALUE("memory", "SIZE", set_memory, "guest memory, as in 512M or 2G (256M)")},
        {.letter = 'c', VALUE("cpus", "N", set_cpus, "virtual CPUs, 1 to 32 (1)")},
        {VALUE("idle", "WHO", set_idle,
               "host: a vCPU that halts gives up its CPU (host);\n"
               "guest: it keeps it, and wakes up without an exit")},
        {VALUE("name", "NAME", set_name, "of this VM; MAC addresses derive from it (vm)")},
        {SWITCH("huge-pages", set_huge_pages, "guest memory on 2 MiB pages of the host")},
        {SWITCH("memfd", set_memfd, "guest memory in a memfd, for other processes to map")},
        {SWITCH("prefault", set_prefault, "all guest memory present before it starts")},
        {VALUE("transport", "T", set_transport,
               "of virtio devices: pci or mmio (pci; the shipped guest: mmio)")},
        {SWITCH("no-acpi", set_no_acpi, "no ACPI tables: devices by device tree only")},

        {.group = "Devices",
         .letter = 'd',
         .repeats = true,
         .first_key = "path",
         KEYS("disk", OPTION_KEYS, "PATH[,KEY...]", disk,
              "a raw file or block device: readonly, direct, serial=TEXT,\n"
              "lock=off, engine=uring|threads, queue-size=N, fd=N;\n"
              "at most: bandwidth=SIZE a second, iops=N (and ...-burst=)")},
        {.letter = 'n',
         .repeats = true,
         KEYS("net", OPTION_KEYS, "user|tap=NAME|none[,KEY...]", net,
              "a network card. user: through this process's sockets, with\n"
              "hostfwd=tcp:[ADDRESS]:PORT-[ADDRESS]:PORT, net=A.B.C.D/N,\n"
              "net6=PREFIX::/64, ipv6=off, dns=ADDRESS, loopback=on. On a TAP\n"
              "device: tap=NAME, queues=N, fd=N[:N...]. Of both: mac=ADDRESS,\n"
              "mtu=N, queue-size=N, offload=off, link=down, pcap=FILE; at most, to\n"
              "and from the guest:\n"
              "rx-bandwidth=SIZE a second, rx-pps=N, tx-bandwidth=SIZE, tx-pps=N\n"
              "(and ...-burst=). The shipped guest has\n"
              "user,hostfwd=tcp::8080-:80 if nothing is given")},
        {.repeats = true,
         KEYS("console", OPTION_KEYS, "PLACE[,KEY...]", console,
              "a virtio console: stdio, pty, file=PATH, unix=PATH, fd=N,\n"
              "null, none; further ones are ports: name=NAME, tty")},
        {KEYS("serial", OPTION_KEYS, "PLACE", serial,
              "the serial port COM1 (stdio, if no console is given)")},
        {KEYS("rng", OPTION_MAY_KEYS, "KEYS", rng,
              "the entropy device (on): off, rate=SIZE a second, burst=SIZE")},
        {.first_key = "size",
         KEYS("balloon", OPTION_MAY_KEYS, "SIZE[,KEY...]", balloon,
              "a memory balloon of that size to start with:\n"
              "deflate-on-oom=off, reporting=off")},

        {.repeats = true,
         .first_key = "address",
         KEYS("vfio", OPTION_KEYS, "ADDRESS[,KEY...]", vfio,
              "a PCI device of the host, as in 0000:01:00.0 (see vmm vfio):\n"
              "iommu=iommufd|group (auto: iommufd, where the host has it)")},
        {.group = "Confinement",
         KEYS("sandbox", OPTION_KEYS, "KEYS", sandbox,
              "what is left of vmm's rights while the guest runs (on): off,\n"
              "strict (every layer, or no guest), uid=N,gid=N,\n"
              "pid-namespace (a process of its own for the VM)")},
        {.first_key = "path",
         KEYS("cgroup", OPTION_KEYS, "PATH[,KEY...]", cgroup,
              "run in this group of cgroup v2, with limits: cpu=N CPUs,\n"
              "memory=SIZE, pids=N, io='8:0 rbps=N wiops=N' (as io.max)")},

        {.group = "This run",
         FILE_OF("config", set_config, "options from a JSON file; what comes later wins")},
        {SWITCH("no-reboot", set_no_reboot, "a reset of the guest ends vmm, with status 4")},
        {VALUE("stop-timeout", "SECONDS", set_stop_timeout,
               "from the power button to pulling the plug (10)")},
        {VALUE("time-limit", "SECONDS", set_time_limit, "stop after this long, status 8")},
        {SWITCH("stats", set_stats, "one line at the end: stages of boot, exits by reason")},
        {.first_key = "path",
         KEYS("profile", OPTION_MAY_KEYS, "FILE[,KEY...]", profile,
              "exits by reason and place, and where the time went: a table\n"
              "at the end, or JSON in FILE; every=SECONDS")},
        {SWITCH("dry-run", set_dry_run, "build the VM, do not start it")},
        {VALUE("log-level", "LEVEL", set_log_level, "error, warn, info or debug (warn)")},
        {FILE_OF("kvm", set_kvm, "KVM's device (/dev/kvm)")},
        {.letter = 'h', SWITCH("help", set_help, "this text")},
};
const size_t config_option_count = sizeof(config_options) / sizeof(config_options[0]);
