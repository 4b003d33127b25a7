/*
 * `vmm bench exits`: what each kind of exit costs. A case runs in a child process with a VM of its
 * own, because some hang the guest, or KVM, on some hosts; its samples come back in shared memory.
 */
#ifndef SRC_VMM_CLI_BENCH_BENCH_H
#define SRC_VMM_CLI_BENCH_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "abi/bench.h"
#include "stats/summary.h"
#include "vmm/host.h"

/* How a case is set up, and what can be checked of it. */
#define CASE_USER        (1u << 0) /* every round is seen by a device, MSR or interrupt of the host */
#define CASE_SPLIT       (1u << 1) /* and stamped there, once */
#define CASE_DOORBELL    (1u << 2) /* every round signals an eventfd that nobody reads meanwhile */
#define CASE_MSR         (1u << 3)
#define CASE_COALESCED   (1u << 4)
#define CASE_WAKE        (1u << 5) /* a host thread answers the doorbell with an interrupt */
#define CASE_INTERRUPT   (1u << 6) /* every round ends in an interrupt that the guest counts */
#define CASE_ARENA       (1u << 7) /* touches new memory */
#define CASE_HUGE        (1u << 8) /* in pages of 2 MiB */
#define CASE_DIRTY       (1u << 9)
#define CASE_HARDWARE    (1u << 10) /* needs VT-x or AMD-V */
#define BENCH_HUGE_PAGES 48u        /* that a VM with them takes */
#define CASE_NO_FLOOR    (1u << 11) /* a latency, not a duration: nothing to subtract */

struct bench_case {
	const char *name;
	uint32_t kind;
	uint32_t flags;
	uint32_t cpus; /* vCPUs */
	bool user;     /* runs at CPL 3 too */
	uint32_t seen; /* accesses that the host sees per round, with CASE_USER */
	const char *what;
};

extern const struct bench_case bench_cases[];
extern const size_t bench_case_count;

struct bench_options {
	uint32_t count;
	uint32_t warm_up;
	uint32_t budget_ms;   /* of the samples of one case */
	uint32_t timeout_s;   /* of a whole case */
	const char *kvm_path; /* or NULL */
	vmm_host_kind_t host;
	uint32_t host_cpus; /* that this process may use */
	bool vmmcall;
	bool profiled;
	bool traced; /* this run is for KVM's tracepoints, not for the figures */
};

/* One line of tracefs: a vCPU has left the guest, or is about to enter it. */
struct trace_event {
	uint64_t ticks;
	bool entry;
};

/* From the guest's instruction to KVM, from there to the VMM's device, and the way home. */
enum { TRACE_TO_KERNEL, TRACE_TO_USER, TRACE_FROM_USER, TRACE_TO_GUEST, TRACE_PARTS };

struct trace_parts {
	uint32_t samples; /* that both tracepoints were found of */
	bool user;        /* else TO_USER is all of the time in KVM, and FROM_USER nothing */
	uint64_t median[TRACE_PARTS];
};

enum outcome_state {
	OUTCOME_NOT_RUN = 0,
	OUTCOME_OK,
	OUTCOME_ABSENT, /* not on this host; WHY */
	OUTCOME_FAILED, /* WHY */
};

#define OUTCOME_KVM_MAX 8u
#define OUTCOME_WHY_MAX 576u
#define NET_BUCKET_BITS 6u

struct outcome_kvm {
	char name[48];
	uint64_t count;
};

/* What a child leaves in shared memory. Ticks are of the guest's TSC. */
struct outcome {
	enum outcome_state state;
	char why[OUTCOME_WHY_MAX];
	uint32_t wanted;
	uint32_t done;
	uint32_t tsc_khz;
	uint64_t floor_ticks;
	bool counted; /* host_seen and guest_did say something */
	uint64_t host_seen;
	uint64_t guest_did;
	bool split;               /* out and back are there */
	struct trace_parts parts; /* of a traced run */
	uint32_t kvm_count;
	struct outcome_kvm kvm[OUTCOME_KVM_MAX]; /* KVM's own counters over the samples */
	uint64_t net[BENCH_COUNT_MAX];           /* DONE of them, floor subtracted */
	uint64_t out[BENCH_COUNT_MAX];           /* guest to the host's device */
	uint64_t back[BENCH_COUNT_MAX];          /* and back */
};

/* bench_guest.c: run one case; in the child. Fills O. */
void bench_run_case(const struct bench_case *c, unsigned cpl, const struct bench_options *opts,
                    struct outcome *o);

/* bench_trace.c: an instance of tracefs for one run of one case. */
struct trace {
	char dir[96];
	int switch_fd;
	bool on;
};

/* In the process of the case. False: not on this host; WHY. */
bool trace_open(struct trace *t, char *why, size_t room);
/* On the vCPU's thread, right before the samples and right after them. */
void trace_begin(struct trace *t);
void trace_end(struct trace *t);
/* Events in the order of time, to be freed; NULL or none: nothing was traced. */
struct trace_event *trace_take(struct trace *t, size_t *count);
/* When that process, PID, has ended, however it did. */
void trace_remove(pid_t pid);
/* The events of any text; how many there are, at most ROOM. */
size_t trace_parse(const char *text, size_t len, struct trace_event *out, size_t room);
/* STAMP: when the VMM's device was called, or NULL. False: no sample has both events. */
bool trace_split(const struct trace_event *e, size_t count, const struct bench_sample *s,
                 const uint64_t *stamp, uint32_t samples, struct trace_parts *out);

/* A measured case, ready to print. */
struct measured {
	const struct bench_case *bench;
	unsigned cpl;
	enum outcome_state state;
	char why[OUTCOME_WHY_MAX];
	uint32_t wanted;
	uint32_t tsc_khz;
	uint64_t floor_ticks;
	bool counted;
	uint64_t host_seen;
	uint64_t guest_did;
	uint32_t kvm_count;
	struct outcome_kvm kvm[OUTCOME_KVM_MAX];
	struct summary net, out, back;
	bool split;
	bool traced; /* PARTS, or NO_PARTS says why not */
	struct trace_parts parts;
	char no_parts[OUTCOME_WHY_MAX];
	struct weighted *bucket; /* of net, NET_BUCKET_BITS; freed by measured_fini */
	size_t bucket_count;
};

struct bench_report {
	struct measured *m;
	size_t count;
	bool partial; /* interrupted: what was not run is NOT_RUN */
	vmm_host_kind_t host;
};

/* Sort and sum up what the child left. False: out of memory. */
bool measured_take(struct measured *m, struct outcome *o);
void report_fini(struct bench_report *r);

/* bench_print.c */
void report_table(FILE *out, const struct bench_report *r, bool histograms);
void report_csv(FILE *out, const struct bench_report *r);

/* bench_json.c: NULL: out of memory. */
json_t *report_json(const struct bench_report *r);
/* The machine, its kernel and this build; the same object in every file that vmm bench writes. */
json_t *describe_host(vmm_host_kind_t kind);

/* bench_plot.c: histograms and a comparison chart through gnuplot. False, having said why. */
bool report_plot(const struct bench_report *r, const char *path);

/* bench_compare.c, bench_model.c: print what two files say; an exit status. Any JSON is safe. */
int compare_reports(json_t *a, const char *a_name, json_t *b, const char *b_name);
/* NATIVE_S < 0: take the guest time of the profile. */
int model_predict(const json_t *costs, const json_t *profile, double native_s);

/* The sub-commands; ARGV[0] is the name. Each returns an exit status. */
int bench_exits(int argc, char **argv);
int bench_compare(int argc, char **argv);
int bench_model(int argc, char **argv);

#endif
