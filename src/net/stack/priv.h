/*
 * The inside of the stack: the instance, interfaces, neighbours, and what the layers call of each
 * other. Calls go down (socket, TCP, IP, interface) on the way out and up on the way in; what comes
 * up never calls the owner's callbacks, but notes an event for net_poll.
 */
#ifndef NET_STACK_PRIV_H
#define NET_STACK_PRIV_H

#include "net/stack/hash.h"
#include "net/stack/pkt.h"
#include "net/stack/proto/wire.h"
#include "net/stack/stack.h"
#include "net/stack/timer.h"
#include "net/stack/util.h"

#define MEM_GRAIN      32u
#define MEM_CLASSES    40u
#define MEM_KEEP_MAX   (256u * 1024)
#define IF_ADDR_MAX    16u
#define IF_GROUP_MAX   24u
#define NEIGH_BUCKETS  64u
#define NEIGH_MAX      512u
#define NEIGH_QUEUE    3u
#define PMTU_MAX       256u
#define UDP_BUCKETS    256u
#define LOOP_BUDGET    512u
#define IP_DEFAULT_TTL 64u

/* A bug of the stack, not of the peer: stop. */
#define BUG_ON(cond)                      \
	do {                              \
		if (cond)                 \
			__builtin_trap(); \
	} while (0)

enum addr_state { ADDR_TENTATIVE, ADDR_OK, ADDR_DUPLICATE };

struct if_addr {
	struct net_addr addr;
	uint8_t plen; /* counted in the 128 bits of struct net_addr */
	uint8_t state;
	uint8_t probes; /* duplicate detection: still to send; then announcements */
	bool autoconf, temporary, used;
	uint64_t preferred_ns, valid_ns; /* ends; TIMER_NEVER */
	uint64_t next_ns;                /* the next probe or announcement */
	uint64_t defended_ns;
};

struct if_group {
	struct net_addr addr;
	uint32_t refs;
	uint8_t reports; /* unsolicited reports still to send */
};

struct dhcp;

struct net_if {
	struct net_stack *st;
	struct net_if *next;
	struct net_if_cfg cfg;
	uint32_t mtu[2]; /* by: is it IPv4? */
	uint16_t index;
	bool up;
	struct if_addr addr[IF_ADDR_MAX];
	unsigned addr_end; /* none is used from here on */
	struct if_group group[IF_GROUP_MAX];
	uint8_t hop_limit, rs_left, dad_counter;
	uint32_t reachable_ms, retrans_ms;
	struct timer timer; /* addresses, learnt routes and router solicitations */
	uint64_t rs_ns;
	struct timer mc_timer; /* group reports */
	struct dhcp *dhcp;
	net_echo_fn echo;
	void *echo_ctx;
};

struct route {
	struct route *next;
	struct net_addr dst, gw;
	struct net_if *nif;
	uint32_t metric;
	uint8_t plen;
	bool has_gw, redirect;
	uint64_t until_ns;
};

enum neigh_state { NEIGH_INCOMPLETE, NEIGH_REACHABLE, NEIGH_STALE, NEIGH_DELAY, NEIGH_PROBE };

struct neigh {
	struct neigh *next;
	struct net_if *nif;
	struct net_addr addr;
	uint8_t mac[6];
	uint8_t state, probes, queued;
	struct pkt *queue, *queue_last;
	uint64_t used_ns;
	struct timer timer;
};

struct pmtu {
	struct pmtu *next;
	struct net_addr dst;
	uint32_t mtu;
	uint64_t until_ns;
};

struct bucket { /* token bucket of a rate limit */
	uint64_t last_ns;
	uint32_t tokens;
};

struct mem_cell {
	struct mem_cell *next;
};

enum key { KEY_ISN, KEY_PORT, KEY_TABLE, KEY_COOKIE, KEY_IID, KEY_COUNT };

struct reass;
struct dns;
struct tcp_table;
struct udp;

struct net_stack {
	const _Atomic(uint32_t) *policy_epoch; /* 0 there: nothing is kept */
	struct net_cfg cfg;
	uint64_t now;   /* ns */
	bool now_fresh; /* NOW was read for the burst that goes on */
	struct hash_key key[KEY_COUNT];
	struct timer_heap timers;
	uint64_t woken_for;
	struct net_if *ifs, *lo;
	uint16_t next_ifindex;
	struct route *routes;
	uint32_t route_gen; /* changes with routes and addresses */
	struct neigh *neigh[NEIGH_BUCKETS];
	uint32_t neigh_count;
	struct pmtu *pmtus;
	uint32_t pmtu_count;
	struct reass *reass;
	uint32_t frag_mem;
	struct pkt *loop_head, *loop_tail;
	struct bucket icmp_bucket, challenge_bucket;
	uint64_t rng_state[4];
	struct net_sock *socks, *socks_last;
	struct net_sock *events, *events_last; /* sockets with events to tell of */
	struct udp *udp[UDP_BUCKETS];
	struct udp *udp_any; /* transparent, any port */
	struct tcp_table *tcp;
	struct dns *dns;
	struct mem_cell *mem[MEM_CLASSES]; /* small blocks that were freed, by size */
	uint32_t mem_kept;                 /* bytes in them */
	struct net_stats stats;
};

/* A packet on its way in, and what IP tells the transport of it. The IP header stays in front. */
struct ip_meta {
	struct pkt *p; /* net_input frees it: who keeps it leaves NULL here */
	struct net_addr src, dst;
	struct net_if *nif;
	uint32_t l4_off, l4_len;
	uint8_t proto, ttl, tos;
	bool v4, group; /* group: broadcast or multicast destination */
};

struct hop {
	struct net_if *nif;
	struct net_addr next_hop;
};

/* What a transport tells IP. */
struct ip_tx {
	struct net_addr src, dst; /* src "any": to be chosen */
	struct hop hop;           /* interface NULL: by the routes */
	bool routed;              /* the hop and the source are complete */
	bool df;                  /* IPv4: do not fragment */
	bool forge;               /* src need not be ours */
	uint8_t proto, ttl, tos;
};

/* stack.c */
void *stack_alloc(struct net_stack *st, size_t size);
void *stack_zalloc(struct net_stack *st, size_t size);
void stack_free(struct net_stack *st, void *p, size_t size);
uint32_t stack_random(struct net_stack *st);
/* Reads the clock, once for each burst of packets and each net_poll. */
void stack_now(struct net_stack *st);
bool bucket_take(struct bucket *b, uint64_t now, uint32_t per_second, uint32_t burst);
/* At TIMER_NEVER it is disarmed. */
void timer_arm(struct net_stack *st, struct timer *t, uint64_t when_ns);

/* netif.c */
/* The address after A, or the first if A is NULL; NULL: there are no more. */
struct if_addr *if_next_addr(const struct net_if *nif, const struct if_addr *a);
/* A usable link-local IPv6 address, or "::". */
struct net_addr if_linklocal6(const struct net_if *nif);
/* The group that neighbours look for A in. */
struct net_addr if_solicited_node(const struct net_addr *a);
struct if_addr *if_find_addr(struct net_if *nif, const struct net_addr *a);
/* The interface that has A as a usable address, or NULL. */
struct net_if *if_of_addr(struct net_stack *st, const struct net_addr *a);
bool if_is_bcast4(const struct net_if *nif, const struct net_addr *a);
/* Where an answer to SRC, which was heard on NIF, has to go; NULL: where the routes say. */
static inline struct net_if *if_back(struct net_if *nif, const struct net_addr *src)
{
	return nif && (addr_is_linklocal(src) || nif->cfg.flags & NET_IF_ANY_ADDR) ? nif : NULL;
}
struct if_addr *if_new_addr(struct net_if *nif, const struct net_addr *a, unsigned plen);
void if_drop_addr(struct net_if *nif, struct if_addr *a);
void if_schedule(struct net_if *nif);
void if_output(struct net_if *nif, struct pkt *p, const struct net_addr *next_hop);
void if_send_eth(struct net_if *nif, struct pkt *p, const uint8_t *mac, unsigned type);

/* if_addr.c: duplicate detection of both families, and the life of addresses */
void if_addr_timer(struct timer *t);
void if_addr_conflict(struct net_if *nif, struct if_addr *a, bool theirs_in_use);

/* arp.c, neigh.c, nd.c */
void arp_input(struct net_if *nif, const struct pkt *p);
void arp_request(struct net_if *nif, const struct net_addr *sender, const struct net_addr *target,
                 const uint8_t *unicast_to);
void neigh_output(struct net_if *nif, const struct net_addr *next_hop, struct pkt *p);
struct neigh *neigh_find(struct net_stack *st, struct net_if *nif, const struct net_addr *a);
/* News of a neighbour's address: SOLICITED proves that it hears us. CREATE: a new entry may be
 * made. */
void neigh_learn(struct net_if *nif, const struct net_addr *a, const uint8_t *mac, bool solicited,
                 bool override, bool create);
/* A transport saw progress: the neighbour is reachable. */
void neigh_confirm(const struct hop *hop);
void neigh_flush(struct net_stack *st, const struct net_if *nif);
void nd_input(const struct ip_meta *m, unsigned type);
void nd_solicit(struct net_if *nif, const struct net_addr *target, const uint8_t *unicast_to,
                bool dad);
void nd_advertise(struct net_if *nif, const struct net_addr *target, const struct net_addr *to,
                  bool solicited);
void nd_router_solicit(struct net_if *nif);
void nd_start(struct net_if *nif);
void nd_regenerate(struct net_if *nif, const struct if_addr *old);

/* route.c */
bool route_lookup(struct net_stack *st, const struct net_addr *dst, struct net_if *bound,
                  struct hop *out);
bool route_source(struct net_stack *st, struct net_if *nif, const struct net_addr *dst,
                  struct net_addr *src);
void route_changed(struct net_stack *st);
int route_set(struct net_stack *st, const struct net_addr *dst, unsigned plen,
              const struct net_addr *gw, struct net_if *nif, uint32_t metric, uint64_t until_ns);
void route_unset(struct net_stack *st, const struct net_addr *dst, unsigned plen,
                 const struct net_addr *gw, const struct net_if *nif);
/* A router says how long DST is on the link, or reached by itself, GW; 0: no more. All ones, which
 * is without end, is 136 years: what is learnt ends, and is bounded. A way by GW that was set
 * stays. */
void route_learn(struct net_if *nif, const struct net_addr *dst, unsigned plen,
                 const struct net_addr *gw, uint32_t life_s);
/* Drops the routes by NIF whose time is over at NOW: at TIMER_NEVER all. Returns when the next one
 * ends, or TIMER_NEVER. */
uint64_t route_expire(struct net_if *nif, uint64_t now);
/* FROM says that TO is the better first hop for DST. */
void route_redirect(struct net_if *nif, const struct net_addr *from, const struct net_addr *dst,
                    const struct net_addr *to);
/* Forget what was redirected by NIF to GW, where one is given, and of DST, where one is. */
void route_unredirect(struct net_if *nif, const struct net_addr *gw, const struct net_addr *dst);
/* The MTU of the path to DST by NIF. */
uint32_t pmtu_get(const struct net_if *nif, const struct net_addr *dst);
bool pmtu_set(struct net_stack *st, const struct net_addr *dst, uint32_t mtu);
void pmtu_clear(struct net_stack *st);

/* The next of the options O, of TCP or of IPv4 (which has the same numbers), from *AT on, which
 * moves behind it; NULL: there are no more, and *AT is LEN if all were well-formed. */
static inline const uint8_t *opt_next(const uint8_t *o, uint32_t len, uint32_t *at)
{
	while (*at < len && o[*at] == TCPOPT_NOP)
		++*at;
	const uint8_t *x = o + *at;
	if (*at == len || *x == TCPOPT_EOL) {
		*at = len;
	} else if (len - *at >= 2 && x[1] >= 2 && x[1] <= len - *at) {
		*at += x[1];
		return x;
	}
	return NULL;
}

/* ip4.c, ip6.c, ip_out.c, frag.c */
void ip4_input(struct ip_meta *m);
void ip6_input(struct ip_meta *m);
/* May the packet come in? Counts why not. */
bool ip_accept(struct ip_meta *m);
void ip_deliver(struct ip_meta *m);
/* Fill in what TX leaves open of the way and the source. */
int ip_resolve(struct net_stack *st, struct ip_tx *tx);
/* Takes P over; resolves TX where it is not routed. */
int ip_send(struct net_stack *st, struct pkt *p, struct ip_tx *tx);
/* To a neighbour or a group by NIF, from SRC whether it is ours or not. */
static inline struct ip_tx ip6_on_link(struct net_if *nif, const struct net_addr *src,
                                       const struct net_addr *dst, uint8_t proto, uint8_t hops)
{
	return (struct ip_tx){.src = *src,
	                      .dst = *dst,
	                      .hop = {nif, *dst},
	                      .routed = true,
	                      .forge = true,
	                      .proto = proto,
	                      .ttl = hops};
}
/* Is the checksum of what IP carries right, or known to be? */
bool ip_csum_ok(const struct ip_meta *m);
bool ip_filter(const struct ip_meta *m, enum net_dir dir);
uint8_t *ip4_push(struct pkt *p, const struct ip_tx *tx, uint32_t id_frag);
struct frag_info {
	uint32_t id, off;
	bool more;
	uint32_t hdr_len;  /* what goes in front of the whole datagram */
	uint32_t data_off; /* where the fragment's data begins in the packet */
	uint8_t next;      /* IPv6: the header after the fragment header */
	uint32_t next_at;  /* IPv6: where the first fragment says it */
};
/* Keeps the packet. True: it was the last one that was missing, M now has the whole datagram. */
bool frag_input(struct ip_meta *m, const struct frag_info *f);
void frag_flush(struct net_stack *st, const struct net_if *nif);

/* icmp.c */
static inline uint8_t icmp_proto(bool v4)
{
	return v4 ? PROTO_ICMP : PROTO_ICMP6;
}
void icmp_input(const struct ip_meta *m);
enum icmp_why {
	ICMP_NO_HOST,
	ICMP_NO_PORT,
	ICMP_TOO_LATE,
	ICMP_BAD_HEADER,
	ICMP_BAD_NEXT,
	ICMP_BAD_OPTION
};
/* An error about M's packet. */
void icmp_error(const struct ip_meta *m, enum icmp_why why, uint32_t arg);
/* P begins with the ICMP header, but for the checksum. */
int icmp_send(struct net_stack *st, struct pkt *p, struct ip_tx *tx);
/* TX lacks the protocol. */
int icmp_echo(struct net_stack *st, struct pkt *p, struct ip_tx *tx, bool reply, uint16_t id,
              uint16_t seq);
/* What an ICMP error means for a socket. */
struct icmp_err {
	struct net_addr src, dst; /* of the packet it is about: src is ours */
	uint16_t sport, dport;
	uint32_t seq; /* TCP */
	uint8_t proto;
	uint16_t len; /* IPv4: the packet's */
	int err;      /* NET_E* */
	bool hard;
	uint32_t mtu; /* too big: the next hop's */
};

/* group.c: IGMPv3 and MLDv2 */
int group_join(struct net_if *nif, const struct net_addr *a);
void group_leave(struct net_if *nif, const struct net_addr *a);
/* Is A one of the groups that NIF hears? */
bool group_has(struct net_if *nif, const struct net_addr *a);
void igmp_input(const struct ip_meta *m);
void mld_query(const struct ip_meta *m);
void group_timer(struct timer *t);

/* udp.c */
void udp_input(struct ip_meta *m);
void udp_error(struct net_stack *st, const struct icmp_err *e);
void ping_reply(const struct ip_meta *m, uint16_t id);

/* tcp */
int tcp_init(struct net_stack *st);
void tcp_exit(struct net_stack *st);
void tcp_input(const struct ip_meta *m);
void tcp_error(struct net_stack *st, const struct icmp_err *e);
void tcp_poll(struct net_stack *st);
void sock_forget_kept(struct net_stack *st); /* addresses have come or gone */

/* dhcp.c, dns.c */
void dhcp_free(struct net_if *nif);
void dhcp_conflict(struct net_if *nif, const struct net_addr *a);
void dns_free(struct net_stack *st);

#endif
