/*
 * Stacks in virtual time. Either two of them at the ends of a wire that can lose, delay, reorder,
 * repeat and spoil, or one against a test that makes its peer's segments by hand. Nothing sleeps.
 */
#ifndef TESTS_UNIT_STACK_RIG_H
#define TESTS_UNIT_STACK_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/stack/pkt.h"
#include "net/stack/stack.h"

#define MS  1000000ull
#define SEC 1000000000ull

struct frame {
	struct frame *next;
	uint64_t at;
	int to;
	uint8_t gso_type;
	uint16_t gso_size;
	uint8_t flags;
	uint32_t len;
	uint8_t data[];
};

struct rig;

struct host {
	struct rig *rig;
	int index;
	struct net_stack *st;
	struct net_if *nif;
	unsigned blocks; /* allocated and not yet freed */
	uint64_t bytes, peak;
	uint64_t fail_after; /* this many allocations succeed; 0: all of them */
	uint64_t rng;
};

struct rig {
	uint64_t now;
	struct host h[2];
	struct frame *wire; /* by time of arrival */
	struct frame *out;  /* crafted: what host 0 sent, the oldest first */
	bool crafted;
	uint64_t delay_ns;
	uint64_t rate_bps; /* bits a second; 0: no limit */
	uint64_t busy_until[2];
	uint32_t queue_max;                               /* bytes that wait at most; 0: no limit */
	unsigned loss_pm, dup_pm, reorder_pm, corrupt_pm; /* per mille */
	uint64_t rng;
	uint64_t sent[2], lost;
	/* Optional: false drops the frame. */
	bool (*hook)(struct rig *r, int from, struct frame *f);
	void *hook_ctx;
};

struct rig_opts {
	bool crafted, ether, tso;
	bool cached; /* with the caches of small blocks, which hide bugs from sanitizers */
	uint32_t mtu;
	struct net_cfg cfg; /* ctx is filled in, and ops if there are none */
	uint32_t if_flags;
	uint64_t seed;
};

/* 10.0.0.1 and 10.0.0.2, fd00::1 and fd00::2; no duplicate detection unless Ethernet. */
struct rig *rig_new(const struct rig_opts *o);
/* Fails the test if a byte has leaked. */
void rig_free(struct rig *r);
void rig_run(struct rig *r, uint64_t ns);
/* Run until COND(CTX), at most NS; what COND said last. */
bool rig_until(struct rig *r, uint64_t ns, bool (*cond)(void *), void *ctx);
void rig_poll(struct rig *r);
uint32_t rig_rand(uint64_t *state);
const struct net_ops *rig_ops(void); /* their context is a struct host */

struct net_addr ip(const char *text);
struct net_endpoint ep(const char *addr, unsigned port);
/* A listening stream socket of H's, on PORT of all its addresses. */
struct net_sock *listen_on(struct host *h, unsigned port, unsigned backlog);

/* ---- crafted segments ---- */

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10
#define URG 0x20
#define ECE 0x40
#define CWR 0x80
#define AE  0x100
#define ACE (AE | CWR | ECE)

/* A TCP segment, sent or received; the test is 10.0.0.2. */
struct tseg {
	uint16_t sport, dport;
	uint32_t seq, ack;
	unsigned flags;
	uint32_t wnd; /* 0 means 65535 when sending; NOWND means zero */
	uint16_t up;
	uint8_t tos;
	const void *data;
	uint32_t len;
	uint8_t opts[40];
	uint32_t optlen;
	bool bad_csum;
	/* received */
	uint8_t copy[70000];
	bool has_ts, sack_ok, has_ws;
	uint32_t ts_val, ts_ecr;
	uint16_t mss;
	uint8_t ws;
	uint32_t uto;                  /* the user timeout option as on the wire; 0: none */
	unsigned ecn_kind, ecn_fields; /* the AccECN option; 0: none */
	uint32_t ecn[3];
	unsigned nsacks;
	uint32_t sack[4][2];
};
#define NOWND 0xffffffffu

/* A segment of these fields, without options or data; COPY is not set. */
struct tseg tseg_of(uint16_t sport, uint16_t dport, unsigned flags, uint32_t seq, uint32_t ack);
void craft(struct rig *r, const struct tseg *s);
/* The next TCP segment of the stack's; false: there is none. */
bool take(struct rig *r, struct tseg *s);
unsigned drop_out(struct rig *r);
void inject_ip(struct rig *r, const void *packet, uint32_t len);
/* The checksum of an IPv4 header, and of TCP, UDP, ICMP or IGMP behind an IPv4 or IPv6 header. */
void fix_csums(uint8_t *packet, uint32_t len);
uint32_t opt_mss(uint8_t *o, uint16_t mss);
uint32_t opt_ts(uint8_t *o, uint32_t val, uint32_t ecr);
uint32_t opt_ws(uint8_t *o, uint8_t ws);
uint32_t opt_sackok(uint8_t *o);
uint32_t opt_sack(uint8_t *o, unsigned n, const uint32_t blocks[][2]);
/* AccECN, 172 or 174, with N counters. */
uint32_t opt_accecn(uint8_t *o, unsigned kind, unsigned n, const uint32_t *counters);

/* A connection between the stack and the test. */
struct peer {
	struct rig *r;
	struct net_sock *s;
	uint16_t sport, dport; /* the test's, the stack's */
	uint32_t seq, ack;     /* the test's next, what it expects next */
	uint32_t iss, irs;
	bool ts;
	uint32_t ts_val, ts_ecr;
	uint32_t wnd;
	uint8_t ws, stack_ws;
	unsigned ace; /* flags that every segment has */
};
struct peer_opts {
	uint16_t mss;
	uint32_t wnd;
	bool ts, sack, ecn, accecn;
	int ws;          /* -1: none */
	uint64_t rtt_ns; /* of the handshake */
};
/* The test connects to a listener of the stack's on port 80, which accepts. */
void peer_connect(struct peer *p, struct rig *r, const struct peer_opts *o);
/* A segment of the peer's with its running numbers; advances its seq by the data. */
void peer_send(struct peer *p, unsigned flags, const void *data, uint32_t len);
/* An acknowledgment of exactly ACK, with options if there are. */
void peer_ack(struct peer *p, uint32_t ack, const uint8_t *opts, uint32_t optlen);
/* At most LEN bytes of data from the stack; its seq must be the expected one. Returns bytes. */
bool peer_take(struct peer *p, struct tseg *s);

/* The Internet checksum's sum of SUM and LEN bytes, for csum_fold. */
static inline uint64_t rig_sum(uint32_t sum, const void *data, size_t len)
{
	return (uint64_t)sum + (uint16_t)~csum_bytes(data, len);
}

#endif
