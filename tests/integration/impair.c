/*
 * An impaired wire between two Ethernet ends:
 *
 *   impair [loss=PERCENT] [delay=MS] [jitter=MS] [reorder=PERCENT] [dup=PERCENT] [rate=MBIT]
 *          [queue=KIB] [seed=N] TAP TAP
 *   impair ... TAP -- COMMAND...
 *
 * Each direction loses at random, waits in a queue of QUEUE KiB (default 1000) for its turn at
 * RATE, and is late by DELAY, give or take JITTER (the order is kept; of those that REORDER picks
 * it is not: they overtake by going without the delay). With a COMMAND, the other end is its
 * descriptor 3, a packet socket; the bridge ends with the command, and with its status. On SIGTERM
 * it says how many frames went and how many it lost. For hosts whose kernel has no netem.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 2048
#define BURST     64
#define SEC       1000000000ull

struct frame {
	struct frame *next;
	uint64_t at;
	size_t len;
	uint8_t data[];
};

/* One direction. */
struct way {
	struct frame *wire; /* by time of arrival */
	uint64_t busy_until, last_at;
	unsigned long sent, lost, full;
};

struct impair {
	double loss, delay, jitter, reorder, dup, rate, queue, seed;
	uint64_t rng;
	int fd[2];
	struct way way[2]; /* from fd[i] */
	pid_t child;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec;
}

/* In [0, 1). */
static double chance(struct impair *m)
{
	m->rng ^= m->rng << 13;
	m->rng ^= m->rng >> 7;
	m->rng ^= m->rng << 17;
	return (double)(m->rng >> 11) / 9007199254740992.0;
}

static void insert(struct way *w, const uint8_t *data, size_t len, uint64_t at)
{
	struct frame *f = malloc(sizeof(*f) + len), **place = &w->wire;
	if (!f)
		return;
	memcpy(f->data, data, len);
	f->len = len;
	f->at = at;
	while (*place && (*place)->at <= at)
		place = &(*place)->next;
	f->next = *place;
	*place = f;
}

static void take(struct impair *m, struct way *w, const uint8_t *data, size_t len, uint64_t now)
{
	uint64_t out = w->busy_until > now ? w->busy_until : now;
	w->sent++;
	if (chance(m) * 100 < m->loss) {
		w->lost++;
		return;
	}
	if (m->rate > 0) {
		if ((double)(out - now) * m->rate / 8000 > m->queue * 1024) {
			w->full++;
			return;
		}
		out += (uint64_t)((double)len * 8000 / m->rate);
		w->busy_until = out;
	}
	if (chance(m) * 100 < m->reorder) {
		insert(w, data, len, out);
		return;
	}
	double late = m->delay + m->jitter * (2 * chance(m) - 1);
	uint64_t at = out + (uint64_t)(late > 0 ? late * 1e6 : 0);
	if (at < w->last_at)
		at = w->last_at;
	w->last_at = at;
	insert(w, data, len, at);
	if (chance(m) * 100 < m->dup)
		insert(w, data, len, at);
}

/* False: the end has gone. */
static bool receive(struct impair *m, int i, uint64_t now)
{
	uint8_t data[FRAME_MAX];
	for (int n = 0; n < BURST; n++) {
		ssize_t len = read(m->fd[i], data, sizeof(data));
		if (len == 0)
			return false;
		if (len < 0)
			return errno == EAGAIN || errno == EINTR || errno == EIO;
		take(m, &m->way[i], data, (size_t)len, now);
	}
	return true;
}

static void deliver(struct impair *m, int i, uint64_t now)
{
	struct way *w = &m->way[i];
	while (w->wire && w->wire->at <= now) {
		struct frame *f = w->wire;
		w->wire = f->next;
		(void)!write(m->fd[!i], f->data, f->len);
		free(f);
	}
}

static void run(struct impair *m)
{
	bool alive = true;
	while (alive && !stopped) {
		uint64_t now = now_ns(), next = now + SEC;
		for (int i = 0; i < 2; i++) {
			alive = receive(m, i, now) && alive;
			deliver(m, i, now);
			if (m->way[i].wire && m->way[i].wire->at < next)
				next = m->way[i].wire->at;
		}
		now = now_ns();
		uint64_t wait = next > now ? next - now : 0;
		struct timespec ts = {(time_t)(wait / SEC), (long)(wait % SEC)};
		struct pollfd pfd[2] = {{m->fd[0], POLLIN, 0}, {m->fd[1], POLLIN, 0}};
		(void)ppoll(pfd, 2, &ts, NULL);
	}
	for (int i = 0; i < 2; i++)
		fprintf(stderr, "impair: way %d: %lu frames, %lu lost, %lu more for want of room\n",
		        i, m->way[i].sent, m->way[i].lost, m->way[i].full);
}

static int open_tap(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0) {
		perror(name);
		exit(2);
	}
	return fd;
}

static int start(struct impair *m, char **command)
{
	int pair[2], size = 8 << 20;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0) {
		perror("socketpair");
		exit(2);
	}
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	m->child = fork();
	if (m->child == 0) {
		if (pair[1] != 3)
			(void)dup2(pair[1], 3);
		execvp(command[0], command);
		perror(command[0]);
		_exit(127);
	}
	close(pair[1]);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	return pair[0];
}

static int set(struct impair *m, const char *word)
{
	const struct {
		const char *name;
		double *value;
	} all[] = {{"loss=", &m->loss},       {"delay=", &m->delay}, {"jitter=", &m->jitter},
	           {"reorder=", &m->reorder}, {"dup=", &m->dup},     {"rate=", &m->rate},
	           {"queue=", &m->queue},     {"seed=", &m->seed}};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strncmp(word, all[i].name, strlen(all[i].name)) == 0) {
			*all[i].value = strtod(word + strlen(all[i].name), NULL);
			return 1;
		}
	return 0;
}

int main(int argc, char **argv)
{
	struct impair m = {.queue = 1000, .seed = 1};
	int i = 1, status = 0;
	while (i < argc && set(&m, argv[i]))
		i++;
	if (argc - i < 2) {
		fprintf(stderr, "usage: impair [NAME=VALUE...] TAP (TAP | -- COMMAND...)\n");
		return 2;
	}
	m.rng = (uint64_t)m.seed * 0x9e3779b97f4a7c15ull + 1;
	m.fd[0] = open_tap(argv[i++]);
	m.fd[1] = strcmp(argv[i], "--") == 0 ? start(&m, argv + i + 1) : open_tap(argv[i]);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGPIPE, SIG_IGN);
	run(&m);
	if (m.child > 0) {
		(void)kill(m.child, SIGTERM);
		(void)waitpid(m.child, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	return 0;
}
