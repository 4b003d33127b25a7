/*
 * The protocol stack's interface: instances, interfaces, routes, sockets, services.
 *
 * Everything hangs off a `struct net_stack`; there is no other state. An instance is used by one
 * thread at a time and never blocks, sleeps or calls anything but the operations of its creator.
 * After a call of net_input (or any burst of them) and whenever the time of net_next_deadline has
 * come, the owner calls net_poll: that is where acknowledgments go out, timers run and the
 * sockets' event callbacks are made, so a callback may call anything of this interface.
 *
 * The clock is read once for a burst: by its first call, for all of them up to net_poll's return.
 *
 * Calls that return int or long give 0 or a count, or a negative NET_E* (the numbers of Linux).
 */
#ifndef NET_STACK_STACK_H
#define NET_STACK_STACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum net_errno {

	NET_ENOENT = 2,
	NET_EAGAIN = 11,
	NET_ENOMEM = 12,
	NET_EACCES = 13,
	NET_EEXIST = 17,
	NET_EINVAL = 22,
	NET_EPIPE = 32,
	NET_EPROTO = 71,
	NET_EDESTADDRREQ = 89,
	NET_EMSGSIZE = 90,
	NET_ENOPROTOOPT = 92,
	NET_EOPNOTSUPP = 95,
	NET_EAFNOSUPPORT = 97,
	NET_EADDRINUSE = 98,
	NET_EADDRNOTAVAIL = 99,
	NET_ENETDOWN = 100,
	NET_ENETUNREACH = 101,
	NET_ECONNABORTED = 103,
	NET_ECONNRESET = 104,
	NET_ENOBUFS = 105,
	NET_EISCONN = 106,
	NET_ENOTCONN = 107,
	NET_ETIMEDOUT = 110,
	NET_ECONNREFUSED = 111,
	NET_EHOSTUNREACH = 113,
	NET_EALREADY = 114,
	NET_EINPROGRESS = 115,
};

struct net_stack;
struct net_if;
struct net_sock;
struct pkt;

/* An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d. Network byte order. */
struct net_addr {
	union {
		uint8_t b[16];
		uint32_t w[4];
		uint64_t q[2];
	};
};

struct net_endpoint {
	struct net_addr addr;
	uint16_t port;    /* host order */
	uint16_t ifindex; /* 0: any; needed for link-local addresses */
};

/* ---- buffers and packets ---- */

/* Reference-counted memory. What net_buf_wrap made calls `release` when the last reference goes. */
struct net_buf {
	uint32_t refs;
	uint32_t size;
	uint8_t *data;
	void (*release)(struct net_buf *buf, void *ctx);
	void *ctx;
};

/* A slice of a buffer, with one reference to it. */
struct net_frag {
	struct net_buf *buf;
	uint32_t off;
	uint32_t len;
};

#define PKT_ROOM  160u /* bytes for headers in the packet itself */
#define PKT_FRAGS 18u

/* Offload flags of a packet; the meaning of struct virtio_net_hdr (virtio 1.2, 5.1.6). */
/* The checksum at csum_start + csum_off covers the pseudo header only. */
#define PKT_CSUM_PARTIAL 1u
#define PKT_CSUM_VALID   2u /* received: somebody has verified the transport checksum */
#define PKT_BCAST        4u /* received: the link-layer destination was a group */

enum pkt_gso { PKT_GSO_NONE, PKT_GSO_TCP4, PKT_GSO_TCP6, PKT_GSO_UDP };
/* Which of the segments that a packet becomes keep CWR. No device is known to keep it in all: such
 * packets are cut here. */
enum pkt_cwr { PKT_CWR_NONE, PKT_CWR_FIRST, PKT_CWR_ALL };

/* A packet: up to PKT_ROOM bytes of headers of its own, then slices of shared buffers. */
struct pkt {
	struct pkt *next;
	struct net_stack *st;
	struct net_if *nif;
	uint32_t len;  /* all bytes */
	uint16_t head; /* the header bytes are room[head, head_end) */
	uint16_t head_end;
	uint16_t csum_start; /* from the first byte of the packet, whatever that is now */
	uint16_t csum_off;
	uint16_t gso_size; /* payload bytes of each segment */
	uint8_t gso_type;
	uint8_t gso_ecn; /* enum pkt_cwr */
	uint8_t flags;
	uint8_t nfrags;
	struct net_frag frag[PKT_FRAGS];
	uint8_t room[PKT_ROOM];
};

/* A buffer of SIZE bytes with one reference, or NULL. */
struct net_buf *net_buf_alloc(struct net_stack *st, uint32_t size);
/* Wrap memory of the caller's; RELEASE is called with the last reference, from whichever call
 * drops it, and must not call the stack. */
struct net_buf *net_buf_wrap(struct net_stack *st, void *data, uint32_t size,
                             void (*release)(struct net_buf *, void *), void *ctx);
void net_buf_ref(struct net_buf *buf);
void net_buf_unref(struct net_stack *st, struct net_buf *buf);

/* An empty packet with HEADROOM bytes (at most PKT_ROOM) to push headers into, or NULL. */
struct pkt *pkt_alloc(struct net_stack *st, unsigned headroom);
void pkt_free(struct pkt *p);
/* Append a slice; takes a reference of its own. False: no room for one more slice. */
bool pkt_add(struct pkt *p, struct net_buf *buf, uint32_t off, uint32_t len);
/* A packet with a copy of LEN bytes, or NULL. DATA may be NULL: frag[0] is to be filled in. */
struct pkt *pkt_from(struct net_stack *st, const void *data, uint32_t len);
/* Copy LEN bytes at OFF to DST; false if the packet has not that many. */
bool pkt_read(const struct pkt *p, uint32_t off, void *dst, uint32_t len);
/* The pieces of the packet in order: fills at most MAX, returns how many there are. */
struct net_piece {
	const uint8_t *data;
	uint32_t len;
};
unsigned pkt_pieces(const struct pkt *p, struct net_piece *out, unsigned max);

/* ---- instances ---- */

enum net_op {
	NET_OP_BIND,
	NET_OP_CONNECT,
	NET_OP_LISTEN,
	NET_OP_ACCEPT,
	NET_OP_SEND,
	NET_OP_RECV,
	NET_OP_SETOPT, /* options, congestion control, groups */
	NET_OP_GETOPT, /* options but NET_SO_ERROR, and net_tcp_info */
	NET_OP_SHUTDOWN,
};
enum net_dir { NET_DIR_IN, NET_DIR_OUT };

/*
 * What a policy says to an operation. NET_KEEP, to NET_OP_SEND and NET_OP_RECV: yes, and there is
 * no need to ask again for the same socket, operation and remote end while the policy's epoch
 * (net_set_policy_epoch), the socket's label and the addresses of the stack are what they are.
 */
enum net_say { NET_NO, NET_YES, NET_KEEP };

/* What the packet filter sees of a packet. Ports are 0 where there are none. */
struct net_flow {
	enum net_dir dir;
	struct net_addr src, dst;
	uint16_t sport, dport;
	uint8_t proto;
	uint8_t tcp_flags;
};

struct net_ops {
	uint64_t (*now_ns)(void *ctx);                     /* monotonic */
	void (*entropy)(void *ctx, void *buf, size_t len); /* cryptographic quality */
	void *(*alloc)(void *ctx, size_t size);            /* 16-byte aligned, or NULL */
	void (*free)(void *ctx, void *p, size_t size);     /* with the size of alloc */
	/* Optional: the earliest deadline has become DEADLINE_NS. */
	void (*wake)(void *ctx, uint64_t deadline_ns);
	/* Optional: may the socket of LABEL do that? REMOTE is NULL for bind and listen, both ends
	 * are for NET_OP_SETOPT, NET_OP_GETOPT and NET_OP_SHUTDOWN. NET_OP_ACCEPT is asked with the
	 * listener's label. */
	enum net_say (*policy)(void *ctx, enum net_op op, void *label,
	                       const struct net_endpoint *local, const struct net_endpoint *remote);
	/* Optional: false drops the packet. */
	bool (*filter)(void *ctx, struct net_if *nif, const struct net_flow *flow);
};

/* Congestion notification, classic (RFC 3168) or accurate (RFC 9768), in new connections. */
enum net_ecn {
	NET_ECN_WHEN_ASKED, /* of whichever kind the peer asks for (as Linux 7.0) */
	NET_ECN_ASK,        /* ask for classic as well */
	NET_ECN_NEVER,
	NET_ECN_ASK_ACCURATE, /* ask for AccECN as well, and take classic */
	NET_ECN_CLASSIC,      /* when asked, and never AccECN */
};

struct net_cfg {
	const struct net_ops *ops;
	void *ctx;
	uint32_t tcp_rcvbuf;     /* 0: 128 KiB to begin with */
	uint32_t tcp_rcvbuf_max; /* 0: 6 MiB */
	uint32_t tcp_sndbuf_max; /* 0: 4 MiB */
	uint32_t frag_mem_max;   /* bytes in incomplete datagrams; 0: 256 KiB */
	uint32_t tw_max;         /* connections in TIME-WAIT; 0: 8192 */
	uint32_t syn_backlog;    /* half-open connections; 0: 1024 */
	uint8_t syn_cookies;     /* 0: when the backlog is full, 1: never, 2: always */
	uint8_t ecn;             /* enum net_ecn */
	uint8_t pacing;          /* 1: new connections pace */
	bool no_ipv6;
	bool temp_addrs; /* RFC 8981 temporary addresses besides the stable ones */
	bool no_cache; /* every small block comes from `alloc`: leak checks and sanitizers see it */
	const char *cc; /* congestion control of new connections; NULL: "cubic" */
};

struct net_stack *net_stack_create(const struct net_cfg *cfg);
/* Frees everything; sockets and interfaces of the instance become invalid, silently for peers. */
void net_stack_destroy(struct net_stack *st);
void net_poll(struct net_stack *st);
/* When net_poll has to be called next; UINT64_MAX: not before something else happens. */
uint64_t net_next_deadline(const struct net_stack *st);

struct net_stats {
	uint64_t ip_in, ip_out, ip_in_bad, ip_no_proto, ip_forward_refused, ip_filtered;
	uint64_t frag_in, frag_ok, frag_drop;
	uint64_t icmp_in, icmp_out, icmp_limited;
	uint64_t udp_in, udp_out, udp_bad, udp_no_port, udp_full;
	uint64_t tcp_in, tcp_out, tcp_bad, tcp_rst_out, tcp_retrans, tcp_rto, tcp_tlp;
	uint64_t tcp_fast_recovery, tcp_undo, tcp_paws, tcp_challenge, tcp_cookie_sent;
	uint64_t tcp_cookie_ok, tcp_cookie_bad, tcp_listen_drop, tcp_ooo, tcp_pruned, tcp_reneg;
	uint64_t neigh_drop, tx_drop, nomem;
};
const struct net_stats *net_stack_stats(const struct net_stack *st);

/* ---- interfaces ---- */

#define NET_IF_CSUM_TX  1u /* takes PKT_CSUM_PARTIAL */
#define NET_IF_TSO4     2u
#define NET_IF_TSO6     4u
#define NET_IF_TSO_ECN  8u

#define NET_IF_ANY_ADDR 1u /* every destination is ours: the user-mode network */
#define NET_IF_NO_V6    2u /* no IPv6 on it */
#define NET_IF_NO_DAD   4u /* addresses are used at once */
#define NET_IF_ROUTER   8u /* has the addresses that it is given, and ignores advertisements */

enum net_link { NET_LINK_ETHER, NET_LINK_IP, NET_LINK_LOOP };

struct net_if_cfg {
	char name[16];
	enum net_link link;
	uint8_t mac[6];
	uint32_t mtu;      /* of IP; 0: 1500. At least 576, with IPv6 1280 */
	uint32_t offloads; /* NET_IF_* of the first group */
	uint32_t flags;    /* NET_IF_* of the second group */
	uint32_t gso_max;  /* bytes of payload in one packet; 0: 65536 - 128 */
	uint16_t vlan;     /* 0, or 1 to 4094: frames carry this tag, others are dropped */
	/* Send. Takes the packet over. Must not call the stack except for pkt_free. */
	void (*output)(void *ctx, struct pkt *p);
	void *ctx;
};

/* Add an interface; the first one of a stack is "lo", which is there already. NULL: no memory or a
 * bad configuration. Link-local IPv6 and, from advertisements, SLAAC begin at once. */
struct net_if *net_if_add(struct net_stack *st, const struct net_if_cfg *cfg);
void net_if_remove(struct net_if *nif);
void net_if_set_link(struct net_if *nif, bool up);
/* What the interface takes from now on: NET_IF_* of the first group. */
void net_if_set_offloads(struct net_if *nif, uint32_t offloads);
unsigned net_if_index(const struct net_if *nif);
struct net_if *net_if_by_index(struct net_stack *st, unsigned index);
/* A packet or frame from the wire; takes it over. */
void net_input(struct net_if *nif, struct pkt *p);

/* PREFIX counts from the family's own first bit: 24, 64. -NET_EEXIST, -NET_EINVAL, -NET_ENOMEM. */
int net_if_add_addr(struct net_if *nif, const struct net_addr *addr, unsigned prefix);
int net_if_del_addr(struct net_if *nif, const struct net_addr *addr);

struct net_if_addr {
	struct net_addr addr;
	uint8_t prefix;  /* of the family's own first bit */
	bool tentative;  /* duplicate detection is under way */
	bool duplicate;  /* somebody else has it: not used */
	bool deprecated; /* for old connections only */
	bool temporary;
};
/* The I-th address of NIF; false: no such. */
bool net_if_get_addr(const struct net_if *nif, unsigned i, struct net_if_addr *out);

/* GW may be NULL: on the link. -NET_EINVAL, -NET_EEXIST, -NET_ENOMEM. */
int net_route_add(struct net_stack *st, const struct net_addr *dst, unsigned prefix,
                  const struct net_addr *gw, struct net_if *nif, uint32_t metric);
int net_route_del(struct net_stack *st, const struct net_addr *dst, unsigned prefix,
                  struct net_if *nif);

/* Sort possible destinations, the best first (RFC 6724, 6), as net_dns_query's answers are. */
void net_sort_destinations(struct net_stack *st, struct net_addr *addrs, unsigned count);

/* ICMP echo requests to addresses that are ours only by NET_IF_ANY_ADDR; takes over PAYLOAD.
 * The answer, if any, goes out by net_echo_reply. */
typedef void (*net_echo_fn)(void *ctx, struct net_if *nif, const struct net_addr *src,
                            const struct net_addr *dst, uint16_t id, uint16_t seq,
                            struct pkt *payload);
void net_if_on_echo(struct net_if *nif, net_echo_fn fn, void *ctx);
int net_echo_reply(struct net_if *nif, const struct net_addr *src, const struct net_addr *dst,
                   uint16_t id, uint16_t seq, const void *data, uint32_t len);

/* ---- sockets ---- */

enum net_sock_type { NET_STREAM, NET_DGRAM, NET_PING };
enum net_how { NET_SHUT_RD, NET_SHUT_WR, NET_SHUT_RDWR };

#define NET_EV_IN    1u /* data, a connection to accept, or the end */
#define NET_EV_OUT   2u /* room to send, or connected */
#define NET_EV_PRI   4u /* urgent data */
#define NET_EV_ERR   8u
#define NET_EV_HUP   16u /* both directions are over */
#define NET_EV_RDHUP 32u

#define NET_MSG_PEEK 1u
#define NET_MSG_OOB  2u /* urgent up to the last byte of this call */
#define NET_MSG_MORE 4u /* more follows: no short segment yet */

enum net_opt {
	NET_SO_REUSEADDR,
	NET_SO_KEEPALIVE,
	NET_SO_SNDBUF, /* bytes; turns automatic growth off */
	NET_SO_RCVBUF, /* likewise */
	NET_SO_LINGER, /* -1: off; 0: close resets */
	NET_SO_ERROR,  /* get only: the pending error, cleared by that */
	NET_SO_BROADCAST,
	NET_SO_TRANSPARENT, /* any local address, and any port if bound to 0 */
	NET_SO_PRIORITY_TOS,
	NET_SO_TTL,
	NET_SO_V6ONLY,
	NET_SO_IFINDEX, /* bound to an interface */
	NET_TCP_NODELAY,
	NET_TCP_CORK,
	NET_TCP_MAXSEG,
	NET_TCP_KEEPIDLE,  /* seconds */
	NET_TCP_KEEPINTVL, /* seconds */
	NET_TCP_KEEPCNT,
	NET_TCP_USER_TIMEOUT, /* ms; 0: by retries */
	NET_TCP_SYNCNT,
	NET_TCP_QUICKACK,
	NET_TCP_PACING,
	NET_TCP_ATMARK, /* get only: reading is at the urgent mark */
	NET_TCP_URGENT, /* get only: bytes up to the urgent mark */
	NET_TCP_UTO,    /* seconds of user timeout to tell the peer (RFC 5482); 0: the option is not
	                   used. Ours follows the peer's, unless NET_TCP_USER_TIMEOUT fixes it */
};

typedef void (*net_event_fn)(void *ctx, struct net_sock *s, unsigned events);

int net_socket(struct net_stack *st, enum net_sock_type type, struct net_sock **out);
/* The socket is gone for the caller; a connection closes in the background. */
void net_close(struct net_sock *s);
/* Reset a connection, then as net_close. */
void net_abort(struct net_sock *s);
int net_bind(struct net_sock *s, const struct net_endpoint *local);
/* -NET_EINPROGRESS for a stream: NET_EV_OUT or NET_EV_ERR follows. */
int net_connect(struct net_sock *s, const struct net_endpoint *remote);
int net_listen(struct net_sock *s, unsigned backlog);
int net_accept(struct net_sock *s, struct net_sock **out, struct net_endpoint *peer);
long net_send(struct net_sock *s, const void *data, size_t len, unsigned flags,
              const struct net_endpoint *to);
/* 0: the peer has closed. FROM may be NULL. */
long net_recv(struct net_sock *s, void *data, size_t len, unsigned flags,
              struct net_endpoint *from);
/* Datagrams with both ends named, for transparent sockets. */
long net_send_from(struct net_sock *s, const void *data, size_t len,
                   const struct net_endpoint *from, const struct net_endpoint *to);
long net_recv_to(struct net_sock *s, void *data, size_t len, struct net_endpoint *from,
                 struct net_endpoint *to);
/* Zero copy: the stream keeps references to [off, off + len) until it is acknowledged. */
long net_send_buf(struct net_sock *s, struct net_buf *buf, uint32_t off, uint32_t len);
/* Zero copy: up to MAX slices of what has arrived; the caller owns their references. Returns their
 * number, 0 at the end of the stream. */
int net_recv_bufs(struct net_sock *s, struct net_frag *out, unsigned max);
int net_shutdown(struct net_sock *s, enum net_how how);
int net_set(struct net_sock *s, enum net_opt opt, int64_t value);
int net_get(struct net_sock *s, enum net_opt opt, int64_t *value);
/* Congestion control of a stream: "cubic", "reno", "newreno", "tahoe". -NET_ENOENT. */
int net_set_cc(struct net_sock *s, const char *name);
int net_name(const struct net_sock *s, struct net_endpoint *local, struct net_endpoint *remote);
unsigned net_ready(const struct net_sock *s);
void net_on_event(struct net_sock *s, net_event_fn fn, void *ctx);
/* What the policy sees of the socket; connections inherit it from their listener. */
void net_set_label(struct net_sock *s, void *label);
/* A number, never 0, that changes when an answer of the policy may; to begin with each is asked. */
void net_set_policy_epoch(struct net_stack *st, const _Atomic(uint32_t) *epoch);
/* Is A an address of this stack, so that what is sent to it stays here? */
bool net_is_here(struct net_stack *st, const struct net_addr *a);
/*
 * Whose socket of TYPE within this stack would get what is sent to TO: its label in *LABEL. False:
 * nobody's here, or it is not an address of this stack.
 */
bool net_label_at(struct net_stack *st, enum net_sock_type type, const struct net_endpoint *to,
                  void **label);
/* Group membership of a datagram socket (IGMPv3, MLDv2). */
int net_join(struct net_sock *s, const struct net_addr *group, unsigned ifindex, bool join);

/* A listener's say on each new connection request, before anything is answered. */
enum net_syn { NET_SYN_ACCEPT, NET_SYN_RESET, NET_SYN_DROP, NET_SYN_DEFER };
typedef enum net_syn (*net_syn_fn)(void *ctx, uint64_t id, const struct net_endpoint *local,
                                   const struct net_endpoint *remote);
int net_on_syn(struct net_sock *listener, net_syn_fn fn, void *ctx);
/* Decide on a deferred request (by its id); false: it is gone by now. */
bool net_syn_decide(struct net_stack *st, uint64_t id, enum net_syn decision);

enum net_tcp_state {
	NET_TCP_CLOSED,
	NET_TCP_LISTEN,
	NET_TCP_SYN_SENT,
	NET_TCP_SYN_RCVD,
	NET_TCP_ESTABLISHED,
	NET_TCP_FIN_WAIT1,
	NET_TCP_FIN_WAIT2,
	NET_TCP_CLOSE_WAIT,
	NET_TCP_CLOSING,
	NET_TCP_LAST_ACK,
	NET_TCP_TIME_WAIT,
};

#define NET_TCPI_OPT_TIMESTAMPS 1u
#define NET_TCPI_OPT_SACK       2u
#define NET_TCPI_OPT_WSCALE     4u
#define NET_TCPI_OPT_ECN        8u

/* tcpi_accecn_fail_mode */
#define NET_ACCECN_ACE_FAIL_SEND 1u /* nothing goes out ECN-capable any more */
#define NET_ACCECN_ACE_FAIL_RECV 2u /* the peer's feedback is not believed */
#define NET_ACCECN_OPT_FAIL_SEND 4u /* the option is not sent any more */
#define NET_ACCECN_OPT_FAIL_RECV 8u /* the peer's option is not believed */

/* The fields of Linux's struct tcp_info. Times in µs where Linux has µs, else in ms. */
struct net_tcp_info {
	uint8_t tcpi_state, tcpi_ca_state, tcpi_retransmits, tcpi_probes, tcpi_backoff;
	uint8_t tcpi_options, tcpi_snd_wscale, tcpi_rcv_wscale;
	uint32_t tcpi_rto, tcpi_ato, tcpi_snd_mss, tcpi_rcv_mss;
	uint32_t tcpi_unacked, tcpi_sacked, tcpi_lost, tcpi_retrans;
	uint32_t tcpi_last_data_sent, tcpi_last_data_recv, tcpi_last_ack_recv;
	uint32_t tcpi_pmtu, tcpi_rcv_ssthresh, tcpi_rtt, tcpi_rttvar, tcpi_snd_ssthresh;
	uint32_t tcpi_snd_cwnd, tcpi_advmss, tcpi_reordering, tcpi_rcv_rtt, tcpi_rcv_space;
	uint32_t tcpi_total_retrans;
	uint64_t tcpi_pacing_rate, tcpi_bytes_acked, tcpi_bytes_received;
	uint32_t tcpi_segs_out, tcpi_segs_in, tcpi_notsent_bytes, tcpi_min_rtt;
	uint32_t tcpi_data_segs_in, tcpi_data_segs_out;
	uint64_t tcpi_bytes_sent, tcpi_bytes_retrans;
	uint32_t tcpi_dsack_dups, tcpi_reord_seen, tcpi_rcv_ooopack, tcpi_snd_wnd, tcpi_rcv_wnd;
	uint32_t tcpi_delivered, tcpi_delivered_ce;
	/* AccECN: how many marked packets came in, and bytes by the mark that they had */
	uint32_t tcpi_received_ce;
	uint32_t tcpi_delivered_e1_bytes, tcpi_delivered_e0_bytes, tcpi_delivered_ce_bytes;
	uint32_t tcpi_received_e1_bytes, tcpi_received_e0_bytes, tcpi_received_ce_bytes;
	uint8_t tcpi_accecn_fail_mode, tcpi_accecn_opt_seen;
	bool accecn; /* not Linux's: which kind NET_TCPI_OPT_ECN is */
	char cc[12];
};
int net_tcp_info(const struct net_sock *s, struct net_tcp_info *info);

/* One line of netstat. */
struct net_conn {
	enum net_sock_type type;
	enum net_tcp_state state;
	struct net_endpoint local, remote;
	uint32_t rcvq, sndq;
};
/* Calls FN for each socket, half-open connection and connection in TIME-WAIT. */
void net_conns(struct net_stack *st, void (*fn)(void *ctx, const struct net_conn *c), void *ctx);

/* ---- services ---- */

enum net_dhcp_state { NET_DHCP_OFF, NET_DHCP_ASKING, NET_DHCP_BOUND, NET_DHCP_SILENT };
struct net_dhcp_lease {
	struct net_addr addr, router, server, dns[3], ntp;
	uint8_t prefix;
	uint32_t lease_s;
	uint16_t mtu; /* 0: not told */
	char domain[64];
	char hostname[64];
};
/* Get an address for NIF (RFC 2131). FN is told of every change of state; on NET_DHCP_SILENT a
 * link-local address (RFC 3927) is in use and asking goes on. */
typedef void (*net_dhcp_fn)(void *ctx, enum net_dhcp_state state, const struct net_dhcp_lease *l);
int net_dhcp_start(struct net_if *nif, const char *hostname, net_dhcp_fn fn, void *ctx);
/* Gives the address back. */
void net_dhcp_stop(struct net_if *nif);

/* Name servers, at most 3; port 0 is 53. */
int net_dns_servers(struct net_stack *st, const struct net_endpoint *servers, unsigned count);
#define NET_DNS_A    1u
#define NET_DNS_AAAA 28u
#define NET_DNS_MAX  8u
/* ERR: 0, -NET_ENOENT (no such name or no such record), -NET_ETIMEDOUT, -NET_EPROTO. */
typedef void (*net_dns_fn)(void *ctx, int err, const struct net_addr *addrs, unsigned count);
/* -NET_EINVAL: no name; -NET_ENETUNREACH: no servers. FN is called from net_poll. */
int net_dns_query(struct net_stack *st, const char *name, unsigned type, net_dns_fn fn, void *ctx);

/* "10.0.2.15", "fe80::1". -NET_EINVAL. */
int net_addr_parse(const char *text, struct net_addr *out);
/* Needs 46 bytes. */
char *net_addr_format(const struct net_addr *a, char *buf);

#endif
