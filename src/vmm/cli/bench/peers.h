/*
 * `vmm bench boot|mem|density|disk|net`: whole VMs, vmm's and those of other VMMs that are
 * installed, with the same guest, in turn. The guest speaks on its serial port: one line says that
 * it is up; lines 'lap NAME COUNT' end a piece of work of COUNT operations.
 */
#ifndef SRC_VMM_CLI_BENCH_PEERS_H
#define SRC_VMM_CLI_BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define ROUNDS_MAX  100u
#define VMS_MAX     256u
#define PEERS       3u
#define METRICS_MAX 16u

enum peer { PEER_VMM, PEER_QEMU, PEER_KVMTOOL };

enum peers_what { PEERS_BOOT, PEERS_MEM, PEERS_DENSITY, PEERS_DISK, PEERS_NET };

struct peers_options {
	enum peers_what what;
	uint32_t rounds;
	uint32_t vms;
	uint32_t cpus;
	uint32_t timeout_s;
	uint64_t memory_bytes;
	const char *kernel; /* NULL: the bench guest */
	const char *initrd;
	const char *cmdline;
	const char *until; /* the line that says the guest is up */
	const char *disk;
	const char *tap;
	const char *json;
	const char *program[PEERS]; /* or NULL: the one that is installed */
	bool wanted[PEERS];
	bool any_wanted;
	bool help;
};

/* One running VMM. */
struct spawned {
	pid_t pid;
	int out; /* its standard output */
	int err; /* a file with what it wrote to standard error, or -1 */
	uint64_t began_ns;
	char line[512];
	size_t len;
};

/* The name of a peer's program, and why it cannot take part, or NULL. */
const char *peer_name(enum peer peer);
const char *peer_obstacle(enum peer peer, const struct peers_options *o);

/* Start PEER. False with errno. */
bool peer_start(enum peer peer, const struct peers_options *o, struct spawned *s);

/*
 * The next line of its output, without its end; valid until the next call. NULL: none until
 * END_NS, or the VMM has ended.
 */
const char *peer_line(struct spawned *s, uint64_t end_ns);

/* The last line that it wrote to standard error, or nothing. */
void peer_complaint(const struct spawned *s, char *text, size_t room);

/* Kill it and wait; its CPU time in ns. */
uint64_t peer_stop(struct spawned *s);

/* Proportional and resident memory of it and what it started, in KiB. False: not to be had. */
bool peer_memory(const struct spawned *s, uint64_t *pss_kib, uint64_t *rss_kib);

uint64_t peers_now_ns(void);

/* ARGV[0] says which. */
int bench_peers(int argc, char **argv);

#endif
