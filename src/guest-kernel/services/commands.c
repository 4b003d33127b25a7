/* The shell's commands. */
#include <string.h>

#include "guest-kernel/core/cmdline.h"
#include "guest-kernel/core/executor.h"
#include "guest-kernel/core/msg.h"
#include "guest-kernel/core/panic.h"
#include "guest-kernel/services/bench.h"
#include "guest-kernel/services/crash.h"
#include "guest-kernel/services/selftest.h"
#include "guest-kernel/services/netcmd.h"
#include "guest-kernel/services/shell.h"

static unsigned long us(uint64_t ns)
{
	return (unsigned long)(ns / NS_PER_US);
}

static bool denied(struct shell *sh, const char *what)
{
	shell_print(sh, "%s: denied by the policy\n", what);
	sh->failures++;
	return true;
}

static bool cmd_help(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (unsigned i = 0; i < shell_command_count; i++)
		shell_print(sh, "  %-9s %-22s %s\n", shell_commands[i].name,
		            shell_commands[i].usage, shell_commands[i].help);
	return true;
}

static void to_console(void *ctx, const char *text, size_t len)
{
	const struct shell *sh = ctx;
	kernel_console_write(sh->sys->kernel, text, len);
}

static bool cmd_mem(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	mm_meminfo(memory_mm(), &(struct mm_sink){to_console, sh});
	return true;
}

static bool cmd_slabs(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	mm_slabinfo(memory_mm(), &(struct mm_sink){to_console, sh});
	return true;
}

static bool cmd_ps(struct shell *sh, unsigned argc, char **argv)
{
	static const char *const states[] = {"ready", "running", "blocked", "dead"};
	enum { MAX = 64 };
	(void)argc;
	(void)argv;
	struct task_info *list = mem_alloc(MAX * sizeof(*list));
	if (!list)
		return true;
	size_t n = task_list(sh->sys->kernel, list, MAX);
	shell_print(sh, "   id cpu prio state      time (us)   switches name\n");
	for (size_t i = 0; i < n; i++) {
		const struct task_info *t = &list[i];
		shell_print(sh, "%5u %3u %4u %-8s %11lu %10lu %s\n", t->id, t->cpu, t->prio,
		            t->idle && t->state != TASK_RUNNING ? "idle" : states[t->state],
		            us(t->ran_ns), (unsigned long)t->switches, t->name);
	}
	mem_free(list);
	return true;
}

static bool cmd_dmesg(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	if (!sec_system(SYSTEM_SYSLOG_READ))
		return denied(sh, argv[0]);
	struct log *l = &sh->sys->kernel->log;
	uint64_t end = l->written;
	for (uint64_t n = log_oldest(l); n < end; n++) {
		struct log_record r;
		if (!log_read(l, n, &r))
			continue;
		shell_print(sh, "[%5lu.%06lu] ", us(r.ns) / 1000000, us(r.ns) % 1000000);
		to_console(sh, r.text, strlen(r.text));
		to_console(sh, "\n", 1);
	}
	return true;
}

static bool cmd_boot(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	const struct kernel *k = sh->sys->kernel;
	const struct arch_boot *b = k->boot;
	char text[64], size[16];
	arch_cpu_name(text);
	shell_print(sh, "machine %s, devices by %s, image %s, %s\n", b->machine, b->found_by,
	            fmt_bytes(size, b->image_bytes), text[0] ? text : "a CPU without a name");
	uint64_t cycles = 0;
	for (unsigned i = 0; i < k->stage_count; i++) {
		shell_print(sh, "  %-8s %8lu us  %10lu cycles\n", k->stages[i].name,
		            us(k->stages[i].ns), (unsigned long)(k->stages[i].cycles - cycles));
		cycles = k->stages[i].cycles;
	}
	shell_print(sh, "command line: %.200s\n", b->cmdline);
	return true;
}

static void show_disk(struct shell *sh, unsigned i, const struct disk *d)
{
	char size[16];
	struct disk_stats st;
	disk_stats(d, &st);
	shell_print(sh, "disk%u %s%s\n", i, fmt_bytes(size, disk_bytes(d)),
	            disk_read_only(d) ? " read-only" : "");
	shell_print(
	        sh,
	        "  cache: %lu blocks, %lu dirty, %lu hits, %lu misses, %lu read ahead (%lu used)\n",
	        st.blocks, st.dirty, st.hits, st.misses, st.read_ahead, st.read_ahead_used);
	shell_print(sh, "  scheduler: %lu requests, %lu merged into others, %lu overdue\n",
	            st.scheduled, st.merged, st.overdue);
	shell_print(sh, "  device: %lu reads, %lu writes, %lu flushes, %lu errors\n", st.reads,
	            st.writes, st.flushes, st.errors);
}

static bool number(const char *text, uint64_t *out)
{
	size_t n = strlen(text);
	return n > 0 && parse_size(text, n, out) == n;
}

static bool disk_dump(struct shell *sh, struct disk *d, uint64_t offset)
{
	uint8_t data[64];
	if (!disk_read(d, offset, data, sizeof(data))) {
		shell_print(sh, "cannot read there\n");
		return true;
	}
	for (unsigned i = 0; i < sizeof(data); i++)
		shell_print(sh, "%02x%s", data[i], i % 16 == 15 ? "\n" : " ");
	return true;
}

/* Without FLUSH it stays in the cache until the next one, or until the cache needs room. */
static bool disk_say(struct shell *sh, struct disk *d, uint64_t offset, const char *text,
                     bool flush)
{
	bool good = disk_write(d, offset, text, strlen(text)) && (!flush || disk_flush(d));
	shell_print(sh, "%s\n",
	            !good   ? "cannot write there"
	            : flush ? "written and flushed"
	                    : "written to the cache");
	return good;
}

/* The sum of LEN bytes from OFFSET, so that a test can compare with the image. */
static bool disk_sum(struct shell *sh, struct disk *d, uint64_t offset, uint64_t len)
{
	static const uint64_t prime = 1099511628211ull;
	uint64_t sum = 14695981039346656037ull;
	uint8_t *data = mem_alloc(ARCH_PAGE_SIZE);
	bool good = data != NULL;
	while (good && len > 0) {
		size_t n = len < ARCH_PAGE_SIZE ? (size_t)len : ARCH_PAGE_SIZE;
		good = disk_read(d, offset, data, n);
		for (size_t i = 0; good && i < n; i++)
			sum = (sum ^ data[i]) * prime;
		offset += n;
		len -= n;
	}
	mem_free(data);
	if (good)
		shell_print(sh, "fnv1a %016lx\n", (unsigned long)sum);
	else
		shell_print(sh, "cannot read there\n");
	return good;
}

/* The same pattern that the host can make: byte i is i * 7 + (i >> 8) + seed. */
static bool disk_fill(struct shell *sh, struct disk *d, uint64_t offset, uint64_t len)
{
	uint8_t *data = mem_alloc(ARCH_PAGE_SIZE);
	bool good = data != NULL;
	for (uint64_t at = 0; good && at < len; at += ARCH_PAGE_SIZE) {
		size_t n = len - at < ARCH_PAGE_SIZE ? (size_t)(len - at) : ARCH_PAGE_SIZE;
		for (size_t i = 0; i < n; i++)
			data[i] = (uint8_t)((at + i) * 7 + ((at + i) >> 8) + 1);
		good = disk_write(d, offset + at, data, n);
	}
	mem_free(data);
	good = good && disk_flush(d);
	shell_print(sh, good ? "filled and flushed\n" : "cannot write there\n");
	return good;
}

static bool cmd_disk(struct shell *sh, unsigned argc, char **argv)
{
	uint64_t which, offset = 0, len = 0;
	unsigned count = sh->sys->devices.disk_count;
	if (argc == 1) {
		for (unsigned i = 0; i < count; i++)
			show_disk(sh, i, sh->sys->disks[i]);
		if (count == 0)
			shell_print(sh, "no disk\n");
		return true;
	}
	if (argc < 4 || !number(argv[1], &which) || which >= count || !number(argv[3], &offset))
		return false;
	struct disk *d = sh->sys->disks[which];
	if (strcmp(argv[2], "read") == 0)
		return disk_dump(sh, d, offset);
	bool write = strcmp(argv[2], "write") == 0;
	if (argc == 5 && (write || strcmp(argv[2], "dirty") == 0))
		return disk_say(sh, d, offset, argv[4], write);
	if (argc != 5 || !number(argv[4], &len))
		return false;
	if (strcmp(argv[2], "sum") == 0)
		return disk_sum(sh, d, offset, len);
	return strcmp(argv[2], "fill") == 0 && disk_fill(sh, d, offset, len);
}

static void show_device(struct shell *sh, const struct virtio_dev *dev)
{
	uint64_t requests = 0, kicks = 0;
	for (unsigned i = 0; i < dev->queue_count; i++) {
		requests += dev->queues[i].requests;
		kicks += dev->queues[i].kicks;
	}
	shell_print(sh, "%s in %s %u: %lu requests, %lu notifications, %lu interrupts%s%s\n",
	            virtio_name(dev->id), virtio_place(dev), dev->slot, (unsigned long)requests,
	            (unsigned long)kicks, (unsigned long)counter_read(&dev->interrupts),
	            dev->settled ? ", BROKEN: " : "", dev->settled ? dev->why : "");
}

static void show_devices(struct shell *sh, const struct devices *d)
{
	for (unsigned i = 0; i < d->disk_count; i++)
		show_device(sh, &d->disks[i]->dev);
	for (unsigned i = 0; i < d->nic_count; i++)
		show_device(sh, &d->nics[i]->dev);
	if (d->entropy.device)
		show_device(sh, &d->entropy.dev);
	if (d->console)
		show_device(sh, &d->console->dev);
	if (d->balloon)
		show_device(sh, &d->balloon->dev);
}

static bool cmd_dev(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	const struct devices *d = &sh->sys->devices;
	shell_print(sh, "%u virtio devices, %u without use; entropy from the %s%s%s%s\n", d->found,
	            d->refused, d->entropy.device ? "device" : "",
	            d->entropy.device && d->entropy.cpu ? " " : "", d->entropy.cpu ? "CPU" : "",
	            d->entropy.device || d->entropy.cpu ? "" : "clock alone");
	shell_print(sh, "entropy: seeded %lu times, %lu blocks given out\n",
	            (unsigned long)d->entropy.seeds, (unsigned long)d->entropy.requests);
	shell_print(sh, "typed and lost: %lu characters\n", (unsigned long)sh->sys->input_lost);
	if (d->balloon)
		shell_print(sh, "balloon: %u pages of %u wished\n", d->balloon->actual_pages,
		            d->balloon->wanted_pages);
	if (d->console)
		shell_print(sh, "virtio-console: %lu bytes written, %lu dropped\n",
		            (unsigned long)d->console->written, (unsigned long)d->console->dropped);
	show_devices(sh, d);
	return true;
}

static bool cmd_rng(struct shell *sh, unsigned argc, char **argv)
{
	uint8_t bytes[16];
	(void)argc;
	if (!sec_device("/rng", FILE_OPEN | FILE_READ))
		return denied(sh, argv[0]);
	entropy_get(&sh->sys->devices.entropy, bytes, sizeof(bytes));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		shell_print(sh, "%02x", bytes[i]);
	shell_print(sh, "\n");
	return true;
}

static bool cmd_cpus(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	const struct kernel *k = sh->sys->kernel;
	for (unsigned i = 0; i < ARCH_CPUS_MAX; i++) {
		const struct cpu *c = k->cpus[i];
		if (c)
			shell_print(sh, "cpu%u: %lu interrupts, %lu timers fired\n", i,
			            (unsigned long)counter_read(&c->interrupts),
			            (unsigned long)counter_read(&c->timers.fired));
	}
	shell_print(sh, "%lu switches, %lu of them moved a task\n",
	            (unsigned long)counter_read(&k->sched.switches),
	            (unsigned long)counter_read(&k->sched.steals));
	return true;
}

static bool cmd_uptime(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	uint64_t now = arch_now_ns(), wall = arch_wall_boot_ns();
	shell_print(sh, "up %lu.%06lu s", us(now) / 1000000, us(now) % 1000000);
	if (wall)
		shell_print(sh, ", %lu s since 1970", (unsigned long)((wall + now) / NS_PER_S));
	shell_print(sh, "\n");
	return true;
}

static bool cmd_sleep(struct shell *sh, unsigned argc, char **argv)
{
	uint64_t ms;
	(void)sh;
	if (argc != 2 || !number(argv[1], &ms) || ms > 3600000)
		return false;
	task_sleep(ms * NS_PER_MS);
	return true;
}

static bool cmd_echo(struct shell *sh, unsigned argc, char **argv)
{
	for (unsigned i = 1; i < argc; i++)
		shell_print(sh, "%s%s", argv[i], i + 1 < argc ? " " : "");
	shell_print(sh, "\n");
	return true;
}

static bool cmd_bench(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct bench_result r[BENCH_MAX];
	unsigned n = bench_run(sh->sys, r, BENCH_MAX);
	for (unsigned i = 0; i < n; i++)
		shell_print(sh, "  %-28s %8lu ns\n", r[i].name, (unsigned long)r[i].ns);
	return true;
}

static void say_tested(void *ctx, const char *name, const char *wrong)
{
	shell_print(ctx, "%s selftest/%s%s%s\n", wrong ? "FAIL" : "PASS", name, wrong ? ": " : "",
	            wrong ? wrong : "");
}

static bool cmd_selftest(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	unsigned failed = selftest_run(sh->sys, say_tested, sh);
	shell_print(sh, "selftest: %u failed\n", failed);
	return true;
}

static bool cmd_history(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	const struct line *l = &sh->line;
	unsigned first = l->history_count > SHELL_HISTORY ? l->history_count - SHELL_HISTORY : 0;
	for (unsigned i = first; i < l->history_count; i++)
		shell_print(sh, "%4u  %s\n", i + 1, l->history[i % SHELL_HISTORY]);
	return true;
}

static bool cmd_poweroff(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	if (!sec_system(SYSTEM_HALT))
		return denied(sh, argv[0]);
	system_settle(sh->sys);
	arch_power_off();
}

static bool cmd_reboot(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	if (!sec_system(SYSTEM_REBOOT))
		return denied(sh, argv[0]);
	system_settle(sh->sys);
	arch_reset();
}

static bool cmd_crash(struct shell *sh, unsigned argc, char **argv)
{
	if (!sec_system(SYSTEM_HALT))
		return denied(sh, argv[0]);
	return crash_by(argc == 2 ? argv[1] : "");
}

const struct command shell_commands[] = {
        {"help", "", "this list", cmd_help, false},
        {"mem", "", "memory: frames, colours, owners", cmd_mem, false},
        {"slabs", "", "caches and pools", cmd_slabs, false},
        {"ps", "", "tasks, with their times", cmd_ps, false},
        {"cpus", "", "processors, interrupts, switches", cmd_cpus, false},
        {"dmesg", "", "the log", cmd_dmesg, false},
        {"boot", "", "the machine, and how long each stage of boot took", cmd_boot, false},
        {"dev", "", "devices", cmd_dev, false},
        {"disk", "[N read|write|dirty|sum|fill AT [TEXT|LEN]]", "disks, or one's contents",
         cmd_disk, false},
        {"net", "", "network cards and their addresses", cmd_net, true},
        {"netstat", "", "sockets, connections and counters", cmd_netstat, true},
        {"tcpinfo", "", "how the last connection of fetch or nettest went", cmd_tcpinfo, true},
        {"ping", "HOST [COUNT]", "ask a host for an echo", cmd_ping, true},
        {"nslookup", "NAME", "the addresses of a name", cmd_nslookup, true},
        {"fetch", "http://HOST[:PORT][/PATH]", "get a page", cmd_fetch, true},
        {"nettest", "source|sink|echo|pingpong [HOST:]PORT [BYTES]", "TCP at full speed",
         cmd_nettest, true},
        {"capture", "[on [KIB]|off|hex|save DISK AT]", "record packets as a pcap file", cmd_capture,
         true},
        {"rng", "", "16 random bytes", cmd_rng, false},
        {"uptime", "", "time since boot", cmd_uptime, false},
        {"sleep", "MILLISECONDS", "wait", cmd_sleep, false},
        {"echo", "[WORD...]", "say it", cmd_echo, false},
        {"bench", "", "what the kernel's own operations take", cmd_bench, false},
        {"selftest", "", "try memory, timers, CPUs, messages, interrupts", cmd_selftest, false},
        {"history", "", "what was typed", cmd_history, false},
        {"crash", CRASH_KINDS, "end with a crash report", cmd_crash, false},
        {"policy", "[stats|reload|why SUBJECT OBJECT CLASS PERMISSION]",
         "what may be done, and why", cmd_policy, false},
        {"sestatus", "", "which policy is in force", cmd_sestatus, false},
        {"setenforce", "0|1", "permissive or enforcing", cmd_setenforce, false},
        {"getsebool", "[NAME]", "booleans of the policy", cmd_getsebool, false},
        {"setsebool", "NAME on|off", "set one", cmd_setsebool, false},
        {"id", "[TASK]", "who the shell is, or a task", cmd_id, false},
        {"kill", "TASK", "ask a task to end", cmd_kill, false},
        {"talk", "CONTEXT CONTEXT", "do messages and datagrams pass between them?", cmd_talk,
         false},
        {"reboot", "", "flush the disks and reset", cmd_reboot, false},
        {"poweroff", "", "flush the disks and switch off", cmd_poweroff, false},
};
const unsigned shell_command_count = sizeof(shell_commands) / sizeof(shell_commands[0]);
