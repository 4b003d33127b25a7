/* `vmm bench boot|mem|density|disk|net`: rounds, in each one VM of every peer. See peers.h. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/bench.h"
#include "bench.h"
#include "peers.h"
#include "stats/rank.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/parse.h"

#define SETTLE_NS 200000000ull
#define NS_PER_S  1000000000ull

static const char help[] =
        "usage: vmm bench boot|mem|density|disk|net [OPTIONS]\n"
        "\n"
        "Whole VMs: vmm's, and those of QEMU (microvm) and kvmtool where they are installed, with\n"
        "the same guest, in turn, A B A B. Prints medians and, for each peer, the ratio vmm/peer\n"
        "with its least and greatest value over the rounds.\n"
        "\n"
        "  boot     from the start of the VMM until the guest is up, and CPU time\n"
        "  mem      memory of one VM whose guest is up and idle\n"
        "  density  many VMs at once: time until all are up, memory of each\n"
        "  disk     work that the guest does on --disk\n"
        "  net      work that the guest does through --tap\n"
        "\n"
        "  -k, --kernel FILE    the guest (boot, mem, density: one of vmm's own)\n"
        "  -i, --initrd FILE    its initial RAM disk\n"
        "  -a, --cmdline TEXT   its command line\n"
        "  --until TEXT         the start of the line that it prints when it is up\n"
        "  --disk FILE          a scratch disk, overwritten by what the guest does\n"
        "  --tap NAME           a TAP device\n"
        "  -m, --memory SIZE    of each VM (128M)\n"
        "  -c, --cpus N         of each VM (1)\n"
        "  -n, --rounds N       (5)\n"
        "  --vms N              of density (8)\n"
        "  --peer vmm|qemu|kvmtool\n"
        "                       may be repeated (all); of another file: kvmtool=FILE\n"
        "  --timeout SECONDS    for each VM (60)\n"
        "  --json FILE          every value; - for standard output\n"
        "\n"
        "For disk and net the guest prints 'lap start 1' and then 'lap NAME COUNT' after each "
        "piece\n"
        "of COUNT operations; the figures are ns of each.\n";

struct metric {
	char name[48];
	const char *unit;
	double value[PEERS][ROUNDS_MAX];
	uint32_t count[PEERS];
};

struct bench {
	struct peers_options o;
	bool takes_part[PEERS];
	char why[PEERS][160];
	struct metric m[METRICS_MAX];
	size_t metrics;
	bool partial;
	sigset_t stop;
};

static void put(struct bench *b, const char *name, const char *unit, enum peer peer, double value)
{
	struct metric *m = NULL;
	for (size_t i = 0; i < b->metrics; i++)
		if (strcmp(b->m[i].name, name) == 0)
			m = &b->m[i];
	if (!m) {
		if (b->metrics == METRICS_MAX)
			return;
		m = &b->m[b->metrics++];
		(void)snprintf(m->name, sizeof(m->name), "%s", name);
		m->unit = unit;
	}
	if (m->count[peer] < ROUNDS_MAX)
		m->value[peer][m->count[peer]++] = value;
}

static uint64_t end_of(const struct bench *b)
{
	return peers_now_ns() + b->o.timeout_s * NS_PER_S;
}

static bool starts_with(const char *line, const char *text)
{
	return strncmp(line, text, strlen(text)) == 0;
}

/* A VM that does not do what it should takes its VMM out of the comparison, with the reason. */
static bool give_up(struct bench *b, enum peer peer, const char *why)
{
	b->takes_part[peer] = false;
	(void)snprintf(b->why[peer], sizeof(b->why[peer]), "%s", why);
	return false;
}

static bool wait_until_up(struct bench *b, enum peer peer, struct spawned *s)
{
	uint64_t end = end_of(b);
	const char *line;
	while ((line = peer_line(s, end)))
		if (starts_with(line, b->o.until))
			return true;
	char why[160], said[120];
	peer_complaint(s, said, sizeof(said));
	(void)snprintf(why, sizeof(why), "its guest did not come up%s%s", said[0] ? ": " : "",
	               said);
	return give_up(b, peer, why);
}

static bool start(struct bench *b, enum peer peer, struct spawned *s)
{
	return peer_start(peer, &b->o, s) || give_up(b, peer, strerror(errno));
}

static bool round_boot(struct bench *b, enum peer peer)
{
	struct spawned s;
	if (!start(b, peer, &s))
		return false;
	bool up = wait_until_up(b, peer, &s);
	uint64_t took = peers_now_ns() - s.began_ns;
	uint64_t cpu = peer_stop(&s);
	if (up) {
		put(b, "until up", "ms", peer, (double)took / 1e6);
		put(b, "CPU time", "ms", peer, (double)cpu / 1e6);
	}
	return up;
}

static void settle(void)
{
	const struct timespec t = {.tv_nsec = (long)SETTLE_NS};
	(void)nanosleep(&t, NULL);
}

static bool round_mem(struct bench *b, enum peer peer)
{
	struct spawned s;
	uint64_t pss = 0, rss = 0;
	if (!start(b, peer, &s))
		return false;
	bool good = wait_until_up(b, peer, &s);
	settle();
	if (good && !peer_memory(&s, &pss, &rss))
		good = give_up(b, peer, "its memory cannot be read");
	(void)peer_stop(&s);
	if (good) {
		put(b, "proportional", "KiB", peer, (double)pss);
		put(b, "resident", "KiB", peer, (double)rss);
	}
	return good;
}

static uint64_t available_kib(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1) /* NOLINT(cert-err34-c) */
			break;
	if (f)
		(void)fclose(f);
	return kib;
}

static bool round_density(struct bench *b, enum peer peer)
{
	struct spawned *s = calloc(b->o.vms, sizeof(*s));
	uint32_t started = 0;
	uint64_t sum = 0, pss, rss, before = available_kib(), began = peers_now_ns();
	bool good = s || give_up(b, peer, "out of memory");
	while (good && started < b->o.vms && (good = start(b, peer, &s[started])))
		started++;
	for (uint32_t i = 0; good && i < started; i++)
		good = wait_until_up(b, peer, &s[i]);
	uint64_t took = peers_now_ns() - began;
	settle();
	uint64_t after = available_kib();
	for (uint32_t i = 0; good && i < started; i++, sum += pss)
		if (!peer_memory(&s[i], &pss, &rss))
			good = give_up(b, peer, "its memory cannot be read");
	for (uint32_t i = 0; i < started; i++)
		(void)peer_stop(&s[i]);
	free(s);
	if (good) {
		put(b, "until all are up", "ms", peer, (double)took / 1e6);
		put(b, "proportional, each", "KiB", peer, (double)sum / b->o.vms);
		put(b, "of MemAvailable, each", "KiB", peer,
		    before > after ? (double)(before - after) / b->o.vms : 0);
	}
	return good;
}

static bool round_laps(struct bench *b, enum peer peer)
{
	struct spawned s;
	if (!start(b, peer, &s))
		return false;
	uint64_t end = end_of(b), last = 0;
	unsigned laps = 0;
	const char *line;
	while ((line = peer_line(&s, end))) {
		char name[32];
		unsigned long long count;
		uint64_t now = peers_now_ns();
		if (sscanf(line, "lap %31s %llu", name, &count) != 2 || /* NOLINT(cert-err34-c) */
		    count == 0)
			continue;
		if (last && strcmp(name, "start") != 0) {
			put(b, name, "ns", peer, (double)(now - last) / (double)count);
			laps++;
		}
		last = now;
	}
	(void)peer_stop(&s);
	char why[96];
	(void)snprintf(why, sizeof(why), "its guest printed no 'lap NAME COUNT' within %u s",
	               b->o.timeout_s);
	return laps > 0 || give_up(b, peer, why);
}

static bool one_round(struct bench *b, enum peer peer)
{
	switch (b->o.what) {
	case PEERS_BOOT:
		return round_boot(b, peer);
	case PEERS_MEM:
		return round_mem(b, peer);
	case PEERS_DENSITY:
		return round_density(b, peer);
	case PEERS_DISK:
	case PEERS_NET:
		break;
	}
	return round_laps(b, peer);
}

static bool interrupted(const struct bench *b)
{
	const struct timespec none = {0};
	return sigtimedwait(&b->stop, NULL, &none) > 0;
}

static void run(struct bench *b)
{
	(void)sigemptyset(&b->stop);
	(void)sigaddset(&b->stop, SIGINT);
	(void)sigaddset(&b->stop, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &b->stop, NULL);
	for (uint32_t r = 0; r < b->o.rounds && !b->partial; r++) {
		for (unsigned peer = 0; peer < PEERS && !b->partial; peer++) {
			if (isatty(STDERR_FILENO))
				(void)fprintf(stderr, "\r\033[K[%u/%u] %s", r + 1, b->o.rounds,
				              peer_name((enum peer)peer));
			if (b->takes_part[peer])
				(void)one_round(b, (enum peer)peer);
			b->partial = interrupted(b);
		}
	}
	if (isatty(STDERR_FILENO))
		(void)fputs("\r\033[K", stderr);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Least, median, greatest. */
struct spread {
	double least, median, greatest;
};

static struct spread spread_of(const double *v, uint32_t n)
{
	double sorted[ROUNDS_MAX];
	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), ascending);
	return (struct spread){sorted[0],
	                       n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2,
	                       sorted[n - 1]};
}

/* vmm over PEER, round by round: what both met in one round cancels out. */
static bool ratio_of(const struct metric *m, unsigned peer, struct spread *out)
{
	double ratio[ROUNDS_MAX];
	uint32_t n = 0;
	for (uint32_t r = 0; r < m->count[PEER_VMM] && r < m->count[peer]; r++)
		if (m->value[peer][r] > 0)
			ratio[n++] = m->value[PEER_VMM][r] / m->value[peer][r];
	if (n > 0)
		*out = spread_of(ratio, n);
	return n > 0;
}

/* Times are kept in ns; a column is easier to read in units of the size of the first. */
static const char *scale_of(const struct metric *m, double *by)
{
	double median = 0;
	for (unsigned peer = 0; peer < PEERS && median == 0; peer++)
		if (m->count[peer] > 0)
			median = spread_of(m->value[peer], m->count[peer]).median;
	*by = 1;
	if (strcmp(m->unit, "ns") != 0 || median < 1e4)
		return m->unit;
	*by = median < 1e7 ? 1e3 : 1e6;
	return median < 1e7 ? "us" : "ms";
}

static void print_metric(const struct metric *m)
{
	double by;
	const char *unit = scale_of(m, &by);
	for (unsigned peer = 0; peer < PEERS; peer++) {
		struct spread ratio;
		if (m->count[peer] == 0)
			continue;
		struct spread s = spread_of(m->value[peer], m->count[peer]);
		(void)printf("%-22s %-8s %6u %12.1f %12.1f %12.1f %-4s", m->name,
		             peer_name((enum peer)peer), m->count[peer], s.least / by,
		             s.median / by, s.greatest / by, unit);
		if (peer != PEER_VMM && ratio_of(m, peer, &ratio))
			(void)printf(" %7.3f  %.3f to %.3f", ratio.median, ratio.least,
			             ratio.greatest);
		(void)fputc('\n', stdout);
	}
}

static void print_all(const struct bench *b)
{
	(void)printf("%-22s %-8s %6s %12s %12s %12s %-4s %7s  %s\n", "", "", "rounds", "least",
	             "median", "greatest", "", "vmm is", "least to greatest");
	for (size_t i = 0; i < b->metrics; i++)
		print_metric(&b->m[i]);
	for (unsigned peer = 0; peer < PEERS; peer++)
		if (b->why[peer][0])
			(void)printf("not compared: %s %s\n", peer_name((enum peer)peer),
			             b->why[peer]);
	if (b->partial)
		(void)puts("PARTIAL: the run was interrupted.");
}

static json_t *metric_json(const struct metric *m)
{
	json_t *peers = json_object();
	for (unsigned peer = 0; peer < PEERS; peer++) {
		if (m->count[peer] == 0)
			continue;
		json_t *list = json_array();
		for (uint32_t r = 0; r < m->count[peer]; r++)
			(void)json_array_append_new(list, json_real(m->value[peer][r]));
		(void)json_object_set_new(peers, peer_name((enum peer)peer), list);
	}
	return json_pack("{s:s, s:s, s:o}", "name", m->name, "unit", m->unit, "rounds", peers);
}

static bool write_json(const struct bench *b, const char *what)
{
	vmm_host_info_t host = {.struct_size = sizeof(host)};
	if (vmm_host_probe(NULL, &host) != VMM_OK)
		host.kind = VMM_HOST_UNKNOWN;
	json_t *metrics = json_array(), *absent = json_object();
	for (size_t i = 0; i < b->metrics; i++)
		(void)json_array_append_new(metrics, metric_json(&b->m[i]));
	for (unsigned peer = 0; peer < PEERS; peer++)
		if (b->why[peer][0])
			(void)json_object_set_new(absent, peer_name((enum peer)peer),
			                          json_string(b->why[peer]));
	json_t *root =
	        json_pack("{s:s, s:i, s:s, s:b, s:o, s:o, s:o}", "format", "vmm-bench", "version",
	                  1, "what", what, "partial", b->partial, "host", describe_host(host.kind),
	                  "not_compared", absent, "metrics", metrics);
	FILE *f = strcmp(b->o.json, "-") == 0 ? stdout : fopen(b->o.json, "we");
	bool good = f && root && json_dumpf(root, f, JSON_INDENT(1)) == 0 && fputc('\n', f) != EOF;
	if (f && f != stdout && fclose(f) != 0)
		good = false;
	if (!good)
		(void)fprintf(stderr, "vmm bench %s: %s: cannot be written\n", what, b->o.json);
	json_decref(root);
	return good;
}

static bool bad_value(const char *option, const char *value, const char *right)
{
	(void)fprintf(stderr, "vmm bench: %s: '%s': must be %s\n", option, value, right);
	return false;
}

static bool set_number(const char *option, const char *value, uint32_t max, uint32_t *out)
{
	uint64_t n = 0;
	char right[32];
	(void)snprintf(right, sizeof(right), "1 to %u", max);
	if (!parse_number(value, max, &n) || n == 0)
		return bad_value(option, value, right);
	*out = (uint32_t)n;
	return true;
}

static bool set_peer(struct peers_options *o, const char *option, const char *value)
{
	for (unsigned peer = 0; peer < PEERS; peer++) {
		const char *name = peer_name((enum peer)peer);
		size_t len = strlen(name);
		if (strncmp(value, name, len) != 0 || (value[len] != '\0' && value[len] != '='))
			continue;
		if (value[len] == '=' && value[len + 1] == '\0')
			break;
		if (value[len] == '=')
			o->program[peer] = value + len + 1;
		return o->any_wanted = o->wanted[peer] = true;
	}
	return bad_value(option, value, "vmm, qemu or kvmtool, perhaps with =PROGRAM");
}

static bool set_memory(struct peers_options *o, const char *option, const char *value)
{
	/* Whole MiB, which is what all of the peers can be told. */
	if (parse_size(value, &o->memory_bytes) && o->memory_bytes >= 32u << 20 &&
	    o->memory_bytes % (1u << 20) == 0)
		return true;
	return bad_value(option, value, "a size in whole MiB, at least 32M");
}

static bool is(const char *word, const char *name, const char *letter)
{
	return strcmp(word, name) == 0 || (letter && strcmp(word, letter) == 0);
}

static bool set_text(struct peers_options *o, const char *option, const char *value)
{
	const struct {
		const char *name, *letter;
		const char **to;
	} texts[] = {
	        {"--kernel", "-k", &o->kernel},   {"--initrd", "-i", &o->initrd},
	        {"--cmdline", "-a", &o->cmdline}, {"--until", NULL, &o->until},
	        {"--disk", NULL, &o->disk},       {"--tap", NULL, &o->tap},
	        {"--json", NULL, &o->json},
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (is(option, texts[i].name, texts[i].letter)) {
			*texts[i].to = value;
			return true;
		}
	}
	(void)fprintf(stderr, "vmm bench: %s: there is no such option\n", option);
	return false;
}

static bool apply(struct peers_options *o, const char *option, const char *value)
{
	if (is(option, "--rounds", "-n"))
		return set_number(option, value, ROUNDS_MAX, &o->rounds);
	if (is(option, "--vms", NULL))
		return set_number(option, value, VMS_MAX, &o->vms);
	if (is(option, "--cpus", "-c"))
		return set_number(option, value, 32, &o->cpus);
	if (is(option, "--timeout", NULL))
		return set_number(option, value, 86400, &o->timeout_s);
	if (is(option, "--peer", NULL))
		return set_peer(o, option, value);
	if (is(option, "--memory", "-m"))
		return set_memory(o, option, value);
	return set_text(o, option, value);
}

static bool check(struct peers_options *o)
{
	bool laps = o->what == PEERS_DISK || o->what == PEERS_NET;
	const char *lacks = NULL;
	if (o->what == PEERS_DISK && !o->disk)
		lacks = "--disk: is needed: a scratch disk for the guest's work";
	else if (o->what == PEERS_NET && !o->tap)
		lacks = "--tap: is needed: the TAP device for the guest's work";
	else if (laps && !o->kernel)
		lacks = "--kernel: is needed: a guest that does the work and prints its laps";
	else if (!laps && o->kernel && !o->until)
		lacks = "--until: is needed with --kernel: the line that says the guest is up";
	if (lacks)
		(void)fprintf(stderr, "vmm bench: %s\n", lacks);
	if (!o->until)
		o->until = BENCH_UP;
	return !lacks;
}

static bool parse_args(struct peers_options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2) {
		if (is(argv[i], "--help", "-h"))
			return o->help = true;
		if (argv[i][0] != '-' || i + 1 == argc) {
			(void)fprintf(stderr, "vmm bench %s: %s: %s\n", argv[0], argv[i],
			              argv[i][0] == '-' ? "needs a value" : "is no option");
			return false;
		}
		if (!apply(o, argv[i], argv[i + 1]))
			return false;
	}
	return check(o);
}

static int bench(struct bench *b, const char *name)
{
	unsigned ran = 0;
	for (unsigned peer = 0; peer < PEERS; peer++) {
		const char *why = peer_obstacle((enum peer)peer, &b->o);
		b->takes_part[peer] = !b->o.any_wanted || b->o.wanted[peer];
		if (b->takes_part[peer] && why)
			(void)give_up(b, (enum peer)peer, why);
	}
	run(b);
	for (size_t i = 0; i < b->metrics; i++)
		ran += b->m[i].count[PEER_VMM] > 0;
	if (!b->o.json || strcmp(b->o.json, "-") != 0)
		print_all(b);
	if (b->o.json && !write_json(b, name))
		return CLI_HOST_ERROR;
	if (b->partial)
		return CLI_STOPPED;
	return ran > 0 || (b->o.any_wanted && !b->o.wanted[PEER_VMM]) ? CLI_OK : CLI_HOST_ERROR;
}

int bench_peers(int argc, char **argv)
{
	static const char *const names[] = {"boot", "mem", "density", "disk", "net"};
	struct bench *b = calloc(1, sizeof(*b));
	if (!b)
		return CLI_HOST_ERROR;
	b->o = (struct peers_options){
	        .rounds = 5,
	        .vms = 8,
	        .cpus = 1,
	        .timeout_s = 60,
	        .memory_bytes = 128ull << 20,
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(argv[0], names[i]) == 0)
			b->o.what = (enum peers_what)i;
	int status = CLI_USAGE;
	if (parse_args(&b->o, argc, argv)) {
		status = CLI_OK;
		if (b->o.help)
			(void)fputs(help, stdout);
		else
			status = bench(b, argv[0]);
	}
	free(b);
	return status;
}
