/* The first task of the shipped kernel: it brings everything up, in order, and says so. */
#include <string.h>

#include "guest-kernel/core/cmdline.h"
#include "guest-kernel/core/panic.h"
#include "guest-kernel/services/httpd.h"
#include "guest-kernel/services/shell.h"

static void to_all(void *ctx, const char *text, size_t len)
{
	const struct system *s = ctx;
	arch_console_write(text, len);
	if (s->devices.console)
		console_write(s->devices.console, text, len);
}

static void typed(void *ctx, const char *text, size_t len)
{
	struct system *s = ctx;
	unsigned long flags = spin_lock_irqsave(&s->input_lock);
	for (size_t i = 0; i < len; i++) {
		if (s->input_count == INPUT_BYTES) {
			s->input_lost++;
			continue;
		}
		s->input[(s->input_from + s->input_count++) % INPUT_BYTES] = text[i];
	}
	waitq_wake_all(&s->input_wait);
	spin_unlock_irqrestore(&s->input_lock, flags);
}

static void on_serial(void *ctx)
{
	char text[32];
	size_t n;
	while ((n = arch_console_read(text, sizeof(text))) > 0)
		typed(ctx, text, n);
}

struct reading {
	struct system *s;
	char *out;
	size_t max, got;
};

static bool take_input(void *ctx)
{
	struct reading *r = ctx;
	struct system *s = r->s;
	while (r->got < r->max && s->input_count > 0) {
		r->out[r->got++] = s->input[s->input_from];
		s->input_from = (s->input_from + 1) % INPUT_BYTES;
		s->input_count--;
	}
	return r->got > 0;
}

size_t system_read(struct system *s, char *out, size_t max)
{
	struct reading r = {s, out, max, 0};
	(void)waitq_wait(&s->input_wait, &s->input_lock, take_input, &r, FOREVER);
	return r.got;
}

/* A sixteenth of memory for each disk's cache, within bounds. */
static unsigned cache_blocks(const struct kernel *k)
{
	uint64_t blocks = k->boot->ram_bytes / 16 / DISK_BLOCK_BYTES;
	if (blocks < DISK_CACHE_MIN)
		return DISK_CACHE_MIN;
	return blocks < DISK_CACHE_MAX ? (unsigned)blocks : DISK_CACHE_MAX;
}

static void label_disk(struct disk *d, unsigned i)
{
	char path[16], name[24];
	(void)fmt(path, sizeof(path), "/disk%u", i);
	(void)fmt(name, sizeof(name), "disk:/disk%u", i);
	disk_set_label(d, sec_label("disk", path, POLICY_CLASS_BLK_FILE, name));
}

static void make_disks(struct system *s)
{
	struct devices *d = &s->devices;
	unsigned good = 0;
	for (unsigned i = 0; i < d->disk_count; i++) {
		s->disks[good] = disk_create(d->disks[i], cache_blocks(s->kernel));
		if (s->disks[good]) {
			label_disk(s->disks[good], good);
			good++;
		} else
			log_warning("no memory for the cache of disk%u; it is left out", i);
	}
	d->disk_count = good;
}

void system_start(struct system *s, struct kernel *k)
{
	s->kernel = k;
	spin_init_named(&s->input_lock, "input");
	waitq_init(&s->input_wait);
	devices_find(&s->devices, k->boot);
	k->console_ctx = s;
	k->console = to_all;
	make_disks(s);
	if (!arch_console_on_input(on_serial, s))
		log_warning("the serial port has no interrupt: nothing can be typed on it");
	on_serial(s); /* what came before there was an interrupt */
	if (s->devices.console) {
		s->devices.console->input_ctx = s;
		s->devices.console->input = typed;
	}
	entropy_reseed(&s->devices.entropy);
	system_start_button(s);
}

static unsigned http_port(const struct kernel *k)
{
	char value[16];
	uint64_t port;
	if (!cmdline_get(k->boot->cmdline, "gk.http", value, sizeof(value)))
		return HTTPD_PORT;
	size_t len = strlen(value);
	if (len > 0 && parse_number(value, len, &port) == len && port <= 65535)
		return (unsigned)port;
	log_warning("gk.http is '%s'; it must be a port, or 0 for no server", value);
	return HTTPD_PORT;
}

struct http_start {
	struct system *sys;
	struct httpd *httpd;
	unsigned port;
};

/* As the service http: what it makes, and the tasks that it starts, are the service's. */
static void start_http(void *arg)
{
	const struct http_start *h = arg;
	const char *why;
	if (httpd_start(h->httpd, h->sys, h->port, &why))
		h->sys->httpd = h->httpd;
	else
		log_error("no HTTP server: %s", why);
}

void system_start_net(struct system *s, struct httpd *h)
{
	const char *why;
	unsigned port = http_port(s->kernel);
	struct http_start start = {s, h, port};
	struct task *t = NULL;
	s->net_up = netd_start(&s->net, s->kernel, &s->devices.entropy, s->devices.nics,
	                       s->devices.nic_count, &why);
	if (!s->net_up)
		log_error("no network: %s", why);
	else if (port > 0)
		t = sec_service_start("http", PRIO_DEFAULT, start_http, &start);
	if (t)
		task_join(t);
}

static void read_options(struct kernel *k)
{
	char value[16];
	uint64_t level;
	if (!cmdline_get(k->boot->cmdline, "gk.loglevel", value, sizeof(value)))
		return;
	if (parse_number(value, strlen(value), &level) == 0 || level > LOG_DEBUG)
		log_warning("gk.loglevel is '%s'; it must be 0 (errors) to 3 (everything)", value);
	else
		k->log.console_level = (enum log_level)level;
}

static unsigned wanted_cpus(const struct kernel *k)
{
	char value[16];
	uint64_t cpus;
	if (!cmdline_get(k->boot->cmdline, "gk.cpus", value, sizeof(value)))
		return ARCH_CPUS_MAX;
	if (parse_number(value, strlen(value), &cpus) > 0 && cpus > 0 && cpus <= ARCH_CPUS_MAX)
		return (unsigned)cpus;
	log_warning("gk.cpus is '%s'; it must be 1 to 32", value);
	return ARCH_CPUS_MAX;
}

/* One write: each byte costs an exit, but each write the locks and looks as well. */
static void say_ready(struct shell *sh, unsigned cpus)
{
	const struct kernel *k = sh->sys->kernel;
	char text[240], size[16];
	size_t n = fmt(text, sizeof(text), "guest-kernel ready: %u CPU%s, %s, %lu us (", cpus,
	               cpus == 1 ? "" : "s", fmt_bytes(size, k->boot->ram_bytes),
	               (unsigned long)(k->stages[k->stage_count - 1].ns / NS_PER_US));
	uint64_t last = 0;
	for (unsigned i = 0; i < k->stage_count; i++) {
		n += fmt(text + n, sizeof(text) - n, "%s%s %lu", i ? ", " : "", k->stages[i].name,
		         (unsigned long)((k->stages[i].ns - last) / NS_PER_US));
		last = k->stages[i].ns;
	}
	shell_print(sh, "%s)\n", text);
}

static void start_policy(struct kernel *k)
{
	const char *why;
	if (!security_start(k, &why))
		panic("the policy cannot be put in force: %s", why);
	if (policy_mode(security_policy(k)) != POLICY_ENFORCING)
		log_warning("the policy is not enforced");
	kernel_stage(k, "policy");
}

/* The shell is a service like others: the policy says what it may do. */
static void shell_main(void *arg)
{
	static char script[ARCH_CMDLINE_MAX];
	struct shell *sh = arg;
	if (!sec_device("/console", FILE_OPEN | FILE_READ | FILE_WRITE)) {
		log_error("the shell may not use the console");
		return;
	}
	if (cmdline_get(sh->sys->kernel->boot->cmdline, "gk.run", script, sizeof(script)))
		shell_script(sh, script);
	shell_interactive(sh);
}

void system_main(void *kernel)
{
	static struct system system;
	static struct shell shell;
	static struct httpd httpd;
	struct kernel *k = kernel;
	read_options(k);
	unsigned cpus = kernel_start_cpus(k, wanted_cpus(k));
	kernel_stage(k, "cpus");
	if (k->boot->complaint)
		log_warning("%s", k->boot->complaint);
	start_policy(k);
	system_start(&system, k);
	kernel_stage(k, "devices");
	shell_init(&shell, &system);
	say_ready(&shell, cpus);
	system_start_net(&system, &httpd);
	struct task *t = sec_service_start("shell", PRIO_DEFAULT, shell_main, &shell);
	if (t)
		task_detach(t);
}

_Noreturn void kernel_main(const struct arch_boot *boot)
{
	static struct kernel k;
	kernel_start(&k, boot, system_main, &k);
}
