/* Starting a VMM of our own or of others, listening to its guest, ending it. See peers.h. */
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS_MAX 40u
#define NS_PER_S 1000000000ull

extern char **environ;
extern const uint8_t bench_guest_image[], bench_guest_image_end[];

#define GUEST_MAC "52:54:00:12:34:56"

static const char *program_of(enum peer peer, const struct peers_options *o)
{
	static const char *const programs[PEERS] = {"/proc/self/exe", "qemu-system-x86_64", "lkvm"};
	return o->program[peer] ? o->program[peer] : programs[peer];
}

uint64_t peers_now_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

const char *peer_name(enum peer peer)
{
	static const char *const names[PEERS] = {"vmm", "qemu", "kvmtool"};
	return names[peer];
}

static bool is_installed(const char *program)
{
	const char *path = getenv("PATH");
	char file[512];
	if (strchr(program, '/'))
		return access(program, X_OK) == 0;
	while (path && *path) {
		size_t n = strcspn(path, ":");
		(void)snprintf(file, sizeof(file), "%.*s/%s", (int)n, path, program);
		if (access(file, X_OK) == 0)
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

const char *peer_obstacle(enum peer peer, const struct peers_options *o)
{
	if (!is_installed(program_of(peer, o)))
		return "is not installed";
	if (peer == PEER_KVMTOOL && !o->kernel)
		return "has no PVH entry, which the bench guest needs; give --kernel a bzImage";
	return NULL;
}

/* Words of a command line; the texts that had to be made live in ROOM. */
struct words {
	char *word[ARGS_MAX];
	size_t count;
	char room[4096];
	size_t used;
};

static void add(struct words *w, const char *word)
{
	size_t len = strlen(word) + 1;
	if (w->count + 1 >= ARGS_MAX || len > sizeof(w->room) - w->used)
		return;
	w->word[w->count++] = memcpy(w->room + w->used, word, len);
	w->used += len;
}

static void add2(struct words *w, const char *option, const char *value)
{
	add(w, option);
	add(w, value);
}

static void words_vmm(struct words *w, const struct peers_options *o, const char *kernel)
{
	char text[512];
	add2(w, "vmm", "run");
	add2(w, "--kernel", kernel);
	add2(w, "--serial", "stdio");
	add(w, "--rng=off");
	add2(w, "--sandbox", "off"); /* as its peers are run */
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)o->memory_bytes);
	add2(w, "--memory", text);
	(void)snprintf(text, sizeof(text), "%u", o->cpus);
	add2(w, "--cpus", text);
	if (o->initrd)
		add2(w, "--initrd", o->initrd);
	if (o->cmdline)
		add2(w, "--cmdline", o->cmdline);
	if (o->disk)
		add2(w, "--disk", o->disk);
	(void)snprintf(text, sizeof(text), "tap=%s,mac=" GUEST_MAC, o->tap ? o->tap : "");
	if (o->tap)
		add2(w, "--net", text);
}

static void words_qemu(struct words *w, const struct peers_options *o, const char *kernel)
{
	char text[512];
	add(w, program_of(PEER_QEMU, o));
	add2(w, "-M", "microvm,x-option-roms=off,pit=off,pic=off,isa-serial=on,rtc=on");
	add2(w, "-global", "virtio-mmio.force-legacy=false"); /* devices as vmm's are */
	add2(w, "-accel", "kvm");
	add2(w, "-cpu", "host");
	add(w, "-nodefaults");
	add(w, "-no-user-config");
	add2(w, "-display", "none");
	add2(w, "-serial", "stdio");
	(void)snprintf(text, sizeof(text), "%lluM", (unsigned long long)(o->memory_bytes >> 20));
	add2(w, "-m", text);
	(void)snprintf(text, sizeof(text), "%u", o->cpus);
	add2(w, "-smp", text);
	add2(w, "-kernel", kernel);
	if (o->initrd)
		add2(w, "-initrd", o->initrd);
	if (o->cmdline)
		add2(w, "-append", o->cmdline);
	(void)snprintf(text, sizeof(text), "if=none,format=raw,id=d0,file=%s",
	               o->disk ? o->disk : "");
	if (o->disk) {
		add2(w, "-drive", text);
		add2(w, "-device", "virtio-blk-device,drive=d0");
	}
	(void)snprintf(text, sizeof(text), "tap,id=n0,ifname=%s,script=no,downscript=no",
	               o->tap ? o->tap : "");
	if (o->tap) {
		add2(w, "-netdev", text);
		add2(w, "-device", "virtio-net-device,netdev=n0,mac=" GUEST_MAC);
	}
}

static void words_kvmtool(struct words *w, const struct peers_options *o, const char *kernel)
{
	char text[512];
	add2(w, program_of(PEER_KVMTOOL, o), "run");
	add(w, "--nodefaults");
	add2(w, "--console", "serial");
	add2(w, "-k", kernel);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)(o->memory_bytes >> 20));
	add2(w, "-m", text);
	(void)snprintf(text, sizeof(text), "%u", o->cpus);
	add2(w, "-c", text);
	if (o->initrd)
		add2(w, "-i", o->initrd);
	(void)snprintf(text, sizeof(text), "%s pci=conf1 reboot=k i8042.noaux=1",
	               o->cmdline ? o->cmdline : "console=ttyS0");
	add2(w, "-p", text);
	if (o->disk)
		add2(w, "-d", o->disk);
	(void)snprintf(text, sizeof(text), "mode=tap,tapif=%s,guest_mac=" GUEST_MAC,
	               o->tap ? o->tap : "");
	add2(w, "-n", o->tap ? text : "mode=none");
}

/* The bench guest in a file that a child can open by name, or -1. */
static int guest_file(void)
{
	size_t len = (size_t)(bench_guest_image_end - bench_guest_image);
	int fd = memfd_create("bench-guest", 0);
	if (fd >= 0 && write(fd, bench_guest_image, len) == (ssize_t)len)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static void build_words(enum peer peer, const struct peers_options *o, const char *kernel,
                        struct words *w)
{
	if (peer == PEER_VMM)
		words_vmm(w, o, kernel);
	else if (peer == PEER_QEMU)
		words_qemu(w, o, kernel);
	else
		words_kvmtool(w, o, kernel);
	w->word[w->count] = NULL;
}

static int spawn(const char *program, struct words *w, int out, int err_out, pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	(void)sigemptyset(&none);
	if (posix_spawn_file_actions_init(&fa) != 0 || posix_spawnattr_init(&attr) != 0)
		return ENOMEM;
	(void)posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
	if (err_out >= 0)
		(void)posix_spawn_file_actions_adddup2(&fa, err_out, STDERR_FILENO);
	else
		(void)posix_spawn_file_actions_addopen(&fa, STDERR_FILENO, "/dev/null", O_WRONLY,
		                                       0);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	int err = posix_spawnp(pid, program, &fa, &attr, w->word, environ);
	(void)posix_spawn_file_actions_destroy(&fa);
	(void)posix_spawnattr_destroy(&attr);
	return err;
}

static void close_outputs(struct spawned *s)
{
	(void)close(s->out);
	if (s->err >= 0)
		(void)close(s->err);
	s->out = s->err = -1;
}

void peer_complaint(const struct spawned *s, char *text, size_t room)
{
	char tail[512];
	off_t len = s->err >= 0 ? lseek(s->err, 0, SEEK_END) : 0;
	off_t from = len > (off_t)sizeof(tail) ? len - (off_t)sizeof(tail) : 0;
	ssize_t n = len > 0 ? pread(s->err, tail, sizeof(tail), from) : 0;
	while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == '\r'))
		n--;
	ssize_t at = n;
	while (at > 0 && tail[at - 1] != '\n')
		at--;
	size_t used = 0;
	for (; at < n && used + 1 < room; at++)
		if (tail[at] >= ' ' && tail[at] != 0x7f)
			text[used++] = tail[at];
	text[used] = '\0';
}

bool peer_start(enum peer peer, const struct peers_options *o, struct spawned *s)
{
	struct words w = {.count = 0};
	char kernel[64];
	int pipe_fd[2], guest = -1;
	*s = (struct spawned){.pid = -1, .out = -1, .err = -1};
	if (pipe2(pipe_fd, O_CLOEXEC) != 0)
		return false;
	if (!o->kernel) {
		guest = guest_file();
		(void)snprintf(kernel, sizeof(kernel), "/proc/self/fd/%d", guest);
	}
	build_words(peer, o, o->kernel ? o->kernel : kernel, &w);
	s->began_ns = peers_now_ns();
	s->err = memfd_create("stderr", MFD_CLOEXEC);
	int err = spawn(program_of(peer, o), &w, pipe_fd[1], s->err, &s->pid);
	if (guest >= 0)
		(void)close(guest);
	(void)close(pipe_fd[1]);
	s->out = pipe_fd[0];
	if (err) {
		close_outputs(s);
		errno = err;
		return false;
	}
	return true;
}

/* More of the output; false: none until END_NS, or its end. */
static bool read_more(struct spawned *s, uint64_t end_ns)
{
	uint64_t now = peers_now_ns();
	struct pollfd p = {.fd = s->out, .events = POLLIN};
	uint64_t ms = now < end_ns ? (end_ns - now) / 1000000 + 1 : 0;
	if (ms == 0 || poll(&p, 1, ms > 3600000 ? 3600000 : (int)ms) <= 0)
		return false;
	ssize_t n = read(s->out, s->line + s->len, sizeof(s->line) - 1 - s->len);
	if (n <= 0)
		return false;
	s->len += (size_t)n;
	return true;
}

const char *peer_line(struct spawned *s, uint64_t end_ns)
{
	/* What was returned last stands in front, ended by a NUL where its newline was. */
	char *old = memchr(s->line, '\0', s->len);
	if (old) {
		s->len -= (size_t)(old + 1 - s->line);
		memmove(s->line, old + 1, s->len);
	}
	for (;;) {
		char *newline = memchr(s->line, '\n', s->len);
		if (newline) {
			*newline = '\0';
			return s->line;
		}
		if (s->len == sizeof(s->line) - 1)
			s->len = 0; /* no line of ours is that long */
		size_t before = s->len;
		if (!read_more(s, end_ns))
			return NULL;
		for (size_t i = before; i < s->len; i++)
			if (s->line[i] == '\0' || s->line[i] == '\r')
				s->line[i] = ' ';
	}
}

uint64_t peer_stop(struct spawned *s)
{
	struct rusage u = {0};
	int status;
	(void)kill(s->pid, SIGKILL);
	(void)wait4(s->pid, &status, 0, &u);
	close_outputs(s);
	return ((uint64_t)u.ru_utime.tv_sec + (uint64_t)u.ru_stime.tv_sec) * NS_PER_S +
	       ((uint64_t)u.ru_utime.tv_usec + (uint64_t)u.ru_stime.tv_usec) * 1000;
}

bool peer_memory(const struct spawned *s, uint64_t *pss_kib, uint64_t *rss_kib)
{
	char path[64], line[256];
	unsigned long long kib;
	*pss_kib = *rss_kib = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)s->pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Pss: %llu", &kib) == 1) /* NOLINT(cert-err34-c) */
			*pss_kib = kib;
		else if (sscanf(line, "Rss: %llu", &kib) == 1) /* NOLINT(cert-err34-c) */
			*rss_kib = kib;
	}
	(void)fclose(f);
	return *rss_kib > 0;
}
