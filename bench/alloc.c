/*
 * The guest kernel's allocators (hosted build) beside glibc's, jemalloc and mimalloc: nanoseconds
 * an operation, and how much memory a trace of mixed sizes takes. Each measurement runs in a
 * process of its own, in turn; the least of all rounds counts, for the machine is not quiet. An
 * allocator that is not installed is left out.
 *
 *   bench_alloc [ROUNDS [WORKLOAD]]      only workloads whose names contain WORKLOAD
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "figures.h"
#include "guest-kernel/arch/arch.h"

#define PAIRS      3000000u
#define BATCHES    600u
#define BATCH      1000u
#define HANDED     1000000u
#define RING       1024u
#define EVENTS     600000u
#define LIVE_MAX   65536u
#define PHASES     3u
#define ALLOCATORS (sizeof(allocators) / sizeof(allocators[0]))
#define ROUNDS_MAX 99u

static const struct allocator *const allocators[] = {
        &alloc_pool, &alloc_slab, &alloc_kernel, &alloc_glibc, &alloc_jemalloc, &alloc_mimalloc,
};

/* What one process found. */
struct result {
	double ns;       /* an operation: an allocation and its free */
	double overhead; /* peak of resident memory by peak of live bytes; 0: not measured */
	double after;    /* the same for what is held when the trace's last phase begins */
};

struct workload {
	const char *name;
	size_t size; /* of all objects; 0: any */
	bool (*run)(const struct allocator *a, size_t size, struct result *r);
};

static void touch(void *p)
{
	*(volatile char *)p = 1;
}

/* Allocates and frees one at a time. */
static bool run_pairs(const struct allocator *a, size_t size, struct result *r)
{
	uint64_t begin = 0;
	for (unsigned i = 0; i < PAIRS + PAIRS / 10; i++) {
		if (i == PAIRS / 10)
			begin = figures_now_ns();
		void *p = a->alloc(size);
		touch(p);
		a->free(p);
	}
	r->ns = (double)(figures_now_ns() - begin) / PAIRS;
	return true;
}

/* Allocates many, then frees them: every second one first. */
static bool run_batches(const struct allocator *a, size_t size, struct result *r)
{
	static void *objs[BATCH];
	uint64_t begin = 0;
	for (unsigned round = 0; round < BATCHES + BATCHES / 10; round++) {
		if (round == BATCHES / 10)
			begin = figures_now_ns();
		for (unsigned i = 0; i < BATCH; i++) {
			objs[i] = a->alloc(size);
			touch(objs[i]);
		}
		for (unsigned i = 0; i < BATCH; i += 2)
			a->free(objs[i]);
		for (unsigned i = 1; i < BATCH; i += 2)
			a->free(objs[i]);
	}
	r->ns = (double)(figures_now_ns() - begin) / ((double)BATCHES * BATCH);
	return true;
}

/* One CPU allocates, another frees. */
struct hand {
	const struct allocator *a;
	_Alignas(64) _Atomic unsigned put;
	_Alignas(64) _Atomic unsigned taken;
	_Alignas(64) void *ring[RING];
};

static void *consume(void *arg)
{
	struct hand *h = arg;
	arch_hosted_pin(1);
	for (unsigned i = 0; i < HANDED; i++) {
		while (atomic_load_explicit(&h->put, memory_order_acquire) == i)
			arch_cpu_relax();
		touch(h->ring[i % RING]);
		h->a->free(h->ring[i % RING]);
		atomic_store_explicit(&h->taken, i + 1, memory_order_release);
	}
	return NULL;
}

static bool run_handing(const struct allocator *a, size_t size, struct result *r)
{
	static struct hand h;
	pthread_t consumer;
	h.a = a;
	if (pthread_create(&consumer, NULL, consume, &h) != 0)
		return false;
	uint64_t begin = figures_now_ns();
	for (unsigned i = 0; i < HANDED; i++) {
		void *p = a->alloc(size);
		if (!p)
			return false;
		touch(p);
		while (i - atomic_load_explicit(&h.taken, memory_order_acquire) == RING)
			arch_cpu_relax();
		h.ring[i % RING] = p;
		atomic_store_explicit(&h.put, i + 1, memory_order_release);
	}
	(void)pthread_join(consumer, NULL);
	r->ns = (double)(figures_now_ns() - begin) / HANDED;
	return true;
}

/* A trace: SIZE is allocated into a slot, or 0: what is there is freed. */
struct event {
	uint32_t slot, size;
};

static struct {
	struct event events[2 * EVENTS];
	unsigned count, turn; /* turn: the first event of the last phase */
	size_t peak_bytes, turn_bytes;
} trace;

static uint64_t draw(void)
{
	static uint64_t x = 88172645463325252ull;
	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

/*
 * Sizes as a small server's: many small structures, strings, packets of an MTU, pages, seldom a
 * large buffer. From phase to phase the small ones grow, so that what was freed does not fit.
 */
static uint32_t draw_size(unsigned phase)
{
	static const struct {
		unsigned percent;
		uint32_t least, most;
	} mix[] = {{30, 16, 64},     {25, 64, 256},   {20, 256, 1024},
	           {15, 1500, 2048}, {8, 2048, 8192}, {2, 8192, 131072}};
	unsigned percent = (unsigned)(draw() % 100), i = 0;
	for (; percent >= mix[i].percent; i++)
		percent -= mix[i].percent;
	uint32_t size = mix[i].least + (uint32_t)(draw() % (mix[i].most - mix[i].least + 1));
	return i < 3 ? size + size / 4 * phase : size;
}

/* In how many allocations it is freed: most soon, some later, a few when the phase ends. */
static unsigned draw_life(unsigned left)
{
	unsigned percent = (unsigned)(draw() % 100);
	unsigned life = (unsigned)(draw() % (percent < 70 ? 64 : 8192)) + 1;
	return percent >= 95 || life > left ? left : life;
}

/* Slots by the time at which they are freed; chains of them, by the first slot and the next. */
static struct {
	uint32_t due[EVENTS + 2], next[LIVE_MAX], sizes[LIVE_MAX], idle[LIVE_MAX];
	uint32_t idle_count;
} making;

static size_t end_lives(unsigned now, size_t live)
{
	for (uint32_t s = making.due[now]; s; s = making.next[s]) {
		trace.events[trace.count++] = (struct event){s, 0};
		live -= making.sizes[s];
		making.idle[making.idle_count++] = s;
	}
	return live;
}

static void make_trace(void)
{
	const unsigned phase_len = EVENTS / PHASES;
	size_t live = 0;
	for (uint32_t s = LIVE_MAX - 1; s > 0; s--)
		making.idle[making.idle_count++] = s;
	for (unsigned now = 0; now < EVENTS; now++) {
		unsigned left = phase_len - now % phase_len;
		live = end_lives(now, live);
		if (now == phase_len * (PHASES - 1)) {
			trace.turn = trace.count;
			trace.turn_bytes = live;
		}
		if (making.idle_count == 0)
			continue;
		uint32_t s = making.idle[--making.idle_count];
		making.sizes[s] = draw_size(now / phase_len);
		/* One in eight of those that would end with the phase stays for the next. */
		unsigned life = draw_life(left);
		if (life == left && draw() % 8 == 0 && now + left + phase_len <= EVENTS)
			life += phase_len;
		making.next[s] = making.due[now + life];
		making.due[now + life] = s;
		trace.events[trace.count++] = (struct event){s, making.sizes[s]};
		live += making.sizes[s];
		trace.peak_bytes = live > trace.peak_bytes ? live : trace.peak_bytes;
	}
	(void)end_lives(EVENTS, live);
}

static size_t resident_bytes(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (f)
		(void)fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void replay(const struct allocator *a, void **slots, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		const struct event *e = &trace.events[i];
		if (e->size) {
			char *p = a->alloc(e->size);
			for (uint32_t at = 0; at < e->size; at += 4096)
				touch(p + at);
			touch(p + e->size - 1);
			slots[e->slot] = p;
		} else {
			a->free(slots[e->slot]);
		}
	}
}

static bool run_trace(const struct allocator *a, size_t size, struct result *r)
{
	static void *slots[LIVE_MAX];
	(void)size;
	memset(slots, 1, sizeof(slots));
	a->free(a->alloc(1));
	size_t before = resident_bytes(), peak = 0;
	uint64_t ns = 0;
	for (unsigned from = 0, step = 0, to; from < trace.count; from = to, step++) {
		to = from + 1000 < trace.count ? from + 1000 : trace.count;
		uint64_t begin = figures_now_ns();
		replay(a, slots, from, to);
		ns += figures_now_ns() - begin;
		size_t now = resident_bytes() - before;
		peak = now > peak ? now : peak;
		if (from <= trace.turn && trace.turn < to)
			r->after =
			        (double)(alloc_kernel_pages() ? alloc_kernel_pages() * 4096 : now) /
			        (double)trace.turn_bytes;
	}
	r->ns = (double)ns / EVENTS;
	r->overhead = (double)peak / (double)trace.peak_bytes;
	return true;
}

static const struct workload workloads[] = {
        {"pairs, 16 B", 16, run_pairs},
        {"pairs, 64 B", 64, run_pairs},
        {"pairs, 256 B", 256, run_pairs},
        {"pairs, 2 KiB", 2048, run_pairs},
        {"pairs, 4 KiB", 4096, run_pairs},
        {"pairs, 16 KiB", 16384, run_pairs},
        {"batch of 1000, 64 B", 64, run_batches},
        {"batch of 1000, 512 B", 512, run_batches},
        {"batch of 1000, 2 KiB", 2048, run_batches},
        {"handed to another CPU, 64 B", 64, run_handing},
        {"handed to another CPU, 2 KiB", 2048, run_handing},
        {"mixed trace", 0, run_trace},
};
#define WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

/* False: not to be had. */
static bool measure(const struct workload *w, const struct allocator *a, struct result *out)
{
	int fds[2];
	struct result r = {0};
	if (pipe(fds) != 0)
		return false;
	pid_t pid = fork();
	if (pid == 0) {
		bool ok = a->open(w->size) && w->run(a, w->size, &r) &&
		          write(fds[1], &r, sizeof(r)) == (ssize_t)sizeof(r);
		_exit(ok ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	(void)close(fds[1]);
	bool ok = pid > 0 && read(fds[0], out, sizeof(*out)) == (ssize_t)sizeof(*out);
	(void)close(fds[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return ok;
}

static void print_header(void)
{
	(void)printf("%-30s", "ns an operation");
	for (size_t i = 0; i < ALLOCATORS; i++)
		(void)printf("%12s", allocators[i]->name);
	(void)printf("\n");
}

/* FIELD 0: ns. */
static void print_row(const char *name, const struct result *r, const bool *ok, unsigned field)
{
	(void)printf("%-30s", name);
	for (size_t i = 0; i < ALLOCATORS; i++) {
		double v = field == 0 ? r[i].ns : field == 1 ? r[i].overhead : r[i].after;
		if (ok[i])
			(void)printf("%12.*f", field ? 2 : 1, v);
		else
			(void)printf("%12s", "-");
	}
	(void)printf("\n");
	(void)fflush(stdout);
}

static void run(const struct workload *w, unsigned rounds)
{
	struct result best[ALLOCATORS] = {0};
	bool ok[ALLOCATORS] = {false};
	for (unsigned round = 0; round < rounds; round++)
		for (size_t i = 0; i < ALLOCATORS; i++) {
			struct result r;
			if (!measure(w, allocators[i], &r))
				continue;
			if (!ok[i] || r.ns < best[i].ns)
				best[i] = r;
			ok[i] = true;
		}
	print_row(w->name, best, ok, 0);
	if (w->run == run_trace) {
		print_row("  peak memory / peak of live", best, ok, 1);
		print_row("  held / live at the turn", best, ok, 2);
	}
}

/*
 * jemalloc wants room for its thread-local data that the loader sets aside only when asked to, in
 * the environment of the program.
 */
static void ask_loader(char **argv)
{
	if (getenv("GLIBC_TUNABLES") ||
	    setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=16384", 1) != 0)
		return;
	(void)execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	ask_loader(argv);
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 7;
	if (rounds == 0 || rounds > ROUNDS_MAX)
		return EXIT_FAILURE;
	make_trace();
	(void)printf("trace: %u allocations, at most %zu KiB live, %zu KiB at the turn\n", EVENTS,
	             trace.peak_bytes / 1024, trace.turn_bytes / 1024);
	print_header();
	for (size_t i = 0; i < WORKLOADS; i++)
		if (argc < 3 || strstr(workloads[i].name, argv[2]))
			run(&workloads[i], rounds);
	return EXIT_SUCCESS;
}
