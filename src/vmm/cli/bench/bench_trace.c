/*
 * Where one exit's time goes, by the kernel's own stamps: the tracepoints kvm:kvm_exit and
 * kvm:kvm_entry, read through an instance of tracefs of our own with the TSC as its clock (Linux
 * Documentation/trace/ftrace.rst). trace_begin and trace_end run on the vCPU's thread, the rest
 * before and after it. What the kernel writes is text, which is not trusted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "stats/summary.h"

#define TEXT_MAX (8u << 20)

static const char *const roots[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};

static bool put_file(const struct trace *t, const char *name, const char *text)
{
	char path[160];
	(void)snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int errnum = errno;
	(void)close(fd);
	errno = errnum;
	return good;
}

static bool fail(char *why, size_t room, const char *what)
{
	(void)snprintf(why, room, "%s: %s", what, strerror(errno));
	return false;
}

static void instance_of(const char *root, pid_t pid, char *dir, size_t room)
{
	(void)snprintf(dir, room, "%s/instances/vmm-bench-%d", root, (int)pid);
}

bool trace_open(struct trace *t, char *why, size_t room)
{
	size_t i = 0;
	char events[64];
	*t = (struct trace){.switch_fd = -1};
	for (; i < sizeof(roots) / sizeof(roots[0]); i++) {
		(void)snprintf(events, sizeof(events), "%s/events", roots[i]);
		if (access(events, F_OK) == 0)
			break;
	}
	if (i == sizeof(roots) / sizeof(roots[0]))
		return fail(why, room, "no tracefs at /sys/kernel/tracing that may be read");
	(void)snprintf(t->dir, sizeof(t->dir), "%s/instances/vmm-bench-%d", roots[i],
	               (int)getpid());
	if (mkdir(t->dir, 0700) != 0) {
		t->dir[0] = '\0';
		return fail(why, room, "no instance of tracefs may be made");
	}
	const struct {
		const char *file, *text;
	} settings[] = {
	        {"tracing_on", "0"},
	        {"trace_clock", "x86-tsc"},
	        {"buffer_size_kb", "1024"},
	        {"events/kvm/kvm_exit/enable", "1"},
	        {"events/kvm/kvm_entry/enable", "1"},
	};
	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (!put_file(t, settings[i].file, settings[i].text))
			return fail(why, room, settings[i].file);
	char path[160];
	(void)snprintf(path, sizeof(path), "%s/tracing_on", t->dir);
	t->switch_fd = open(path, O_WRONLY | O_CLOEXEC);
	return t->switch_fd >= 0 || fail(why, room, "tracing_on");
}

void trace_begin(struct trace *t)
{
	char tid[16];
	if (t->switch_fd < 0)
		return;
	(void)snprintf(tid, sizeof(tid), "%d", (int)gettid());
	t->on = put_file(t, "set_event_pid", tid) && write(t->switch_fd, "1", 1) == 1;
}

void trace_end(struct trace *t)
{
	if (t->on)
		(void)!write(t->switch_fd, "0", 1);
}

/* The number that ends right before AT, and begins after a space. */
static bool number_before(const char *line, const char *at, uint64_t *out)
{
	const char *digit = at;
	while (digit > line && digit[-1] >= '0' && digit[-1] <= '9')
		digit--;
	if (digit == at || digit == line || digit[-1] != ' ')
		return false;
	for (*out = 0; digit < at; digit++)
		if (__builtin_mul_overflow(*out, 10, out) ||
		    __builtin_add_overflow(*out, (uint64_t)(*digit - '0'), out))
			return false;
	return true;
}

static bool parse_line(const char *line, size_t len, struct trace_event *e)
{
	static const char exit_mark[] = ": kvm_exit: ", entry_mark[] = ": kvm_entry: ";
	const char *exit_at = memmem(line, len, exit_mark, sizeof(exit_mark) - 1);
	const char *entry_at = memmem(line, len, entry_mark, sizeof(entry_mark) - 1);
	e->entry = entry_at && (!exit_at || entry_at < exit_at);
	const char *at = e->entry ? entry_at : exit_at;
	return at && number_before(line, at, &e->ticks);
}

size_t trace_parse(const char *text, size_t len, struct trace_event *out, size_t room)
{
	size_t n = 0;
	while (len > 0 && n < room) {
		const char *newline = memchr(text, '\n', len);
		size_t line = newline ? (size_t)(newline - text) : len;
		n += parse_line(text, line, &out[n]);
		line += newline != NULL;
		text += line;
		len -= line;
	}
	return n;
}

struct trace_event *trace_take(struct trace *t, size_t *count)
{
	char path[160];
	*count = 0;
	if (!t->on)
		return NULL;
	(void)snprintf(path, sizeof(path), "%s/trace", t->dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = malloc(TEXT_MAX);
	size_t have = 0;
	ssize_t n = 0;
	while (fd >= 0 && text && have < TEXT_MAX &&
	       (n = read(fd, text + have, TEXT_MAX - have)) > 0)
		have += (size_t)n;
	if (fd >= 0)
		(void)close(fd);
	/* A line of an event is longer than this. */
	size_t room = have / sizeof(": kvm_exit: ") + 1;
	struct trace_event *e = calloc(room, sizeof(*e));
	if (e && text)
		*count = trace_parse(text, have, e, room);
	free(text);
	return e;
}

void trace_remove(pid_t pid)
{
	char dir[96];
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		instance_of(roots[i], pid, dir, sizeof(dir));
		(void)rmdir(dir);
	}
}

/* The first exit after BEGIN and the last entry before END; AT is where the search goes on. */
static bool find_pair(const struct trace_event *e, size_t count, size_t *at, uint64_t begin,
                      uint64_t end, uint64_t *left, uint64_t *entered)
{
	size_t i = *at;
	*left = *entered = 0;
	while (i < count && e[i].ticks < begin)
		i++;
	for (; i < count && e[i].ticks <= end; i++) {
		if (!e[i].entry && *left == 0)
			*left = e[i].ticks;
		else if (e[i].entry && *left != 0)
			*entered = e[i].ticks;
	}
	*at = i;
	return *left != 0 && *entered != 0;
}

bool trace_split(const struct trace_event *e, size_t count, const struct bench_sample *s,
                 const uint64_t *stamp, uint32_t samples, struct trace_parts *out)
{
	uint64_t *part[TRACE_PARTS];
	size_t at = 0;
	uint32_t n = 0;
	uint64_t left, entered;
	uint64_t *all = calloc((size_t)samples * TRACE_PARTS + 1, sizeof(*all));
	*out = (struct trace_parts){.user = stamp != NULL};
	for (unsigned p = 0; p < TRACE_PARTS; p++)
		part[p] = all ? all + (size_t)p * samples : NULL;
	for (uint32_t i = 0; all && i < samples; i++) {
		if (!find_pair(e, count, &at, s[i].begin, s[i].end, &left, &entered))
			continue;
		uint64_t turn = stamp ? stamp[i] : entered;
		if (turn < left || turn > entered)
			continue;
		part[TRACE_TO_KERNEL][n] = left - s[i].begin;
		part[TRACE_TO_USER][n] = turn - left;
		part[TRACE_FROM_USER][n] = entered - turn;
		part[TRACE_TO_GUEST][n] = s[i].end - entered;
		n++;
	}
	for (unsigned p = 0; n > 0 && p < TRACE_PARTS; p++) {
		samples_sort(part[p], n);
		out->median[p] = part[p][n / 2];
	}
	out->samples = n;
	free(all);
	return n > 0;
}
