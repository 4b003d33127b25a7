/*
 * Inside the user-mode network. All of it, but for user_open and the backend's operations, runs on
 * the network's own thread.
 */
#ifndef SRC_NET_USER_USER_PRIV_H
#define SRC_NET_USER_USER_PRIV_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "net/stack/stack.h"
#include "net/user/user.h"
#include "vmm/loop.h"
#include "vmm/sandbox/filter.h"

#define USER_TCP_MAX   1024u  /* connections, begun ones included */
#define USER_DGRAM_MAX 256u   /* UDP and ping flows; the one unused longest makes room */
#define USER_PREFIX6   64u    /* the guest chooses the other half of its address (RFC 4862) */
#define USER_BUFFER    66000u /* a frame, or what is read from a socket at once */
#define USER_SMALL     4096u  /* up to here data is copied, so that it keeps no large buffer busy */

/* An address of the host's side, of either family; family 0: none. */
union user_sockaddr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* IPv4 addresses in host order. */
struct user_config {
	uint32_t net, mask, gateway, dns, guest;
	bool ipv6; /* there is IPv6, with these addresses of a /64 */
	struct net_addr net6, gateway6, dns6;
	union user_sockaddr resolver; /* where what is sent to a DNS address goes */
	bool loopback;
	uint16_t mtu;
	unsigned prefix;
};

struct user_net;

/* A port of the host that leads into the guest. */
struct user_forward {
	struct user_net *un;
	struct loop_source source; /* the listening, or for UDP the bound, socket */
	bool udp;
	union user_sockaddr at;
	struct net_endpoint guest;
};

struct user_tcp;
struct user_dgram;

struct user_net {
	struct net_backend b;
	struct user_config cfg;
	_Atomic uint32_t offloads; /* NET_OFFLOAD_* that the guest takes */
	struct user_forward forward[USER_FORWARDS_MAX];
	unsigned forward_count;

	struct sandbox_filters filters;
	pthread_t thread;
	bool running;
	_Atomic bool stopping;
	struct loop *loop;
	struct loop_task stop;
	struct loop_timer timer;
	struct loop_source wire;         /* our end of the pair */
	struct pkt *queue, **queue_tail; /* frames that the card has no room for at the moment */
	unsigned queued;

	struct net_stack *st;
	struct net_if *nif;
	struct net_sock *listener, *udp;
	struct user_tcp *tcps;
	struct user_dgram *dgrams; /* the one used last first */
	unsigned tcp_count, dgram_count;
	uint64_t swept_ns;
	uint64_t advertise_ns; /* the next advertisement to all; UINT64_MAX: nobody has asked yet */
	uint16_t next_port;    /* of the gateway, for whoever sends to a forwarded UDP port */
	struct net_buf *spare; /* to read into: USER_BUFFER bytes, or NULL */
	uint8_t scratch[65536];
};

static inline struct net_addr user_addr(uint32_t v4)
{
	struct net_addr a = {.b = {[10] = 0xff,
	                           [11] = 0xff,
	                           [12] = (uint8_t)(v4 >> 24),
	                           [13] = (uint8_t)(v4 >> 16),
	                           [14] = (uint8_t)(v4 >> 8),
	                           [15] = (uint8_t)v4}};
	return a;
}

static inline uint32_t user_v4(const struct net_addr *a)
{
	return (uint32_t)a->b[12] << 24 | (uint32_t)a->b[13] << 16 | (uint32_t)a->b[14] << 8 |
	       a->b[15];
}

static inline socklen_t user_sockaddr_len(const union user_sockaddr *a)
{
	return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

static inline bool user_same(const struct net_endpoint *a, const struct net_endpoint *b)
{
	return a->port == b->port && a->addr.q[0] == b->addr.q[0] && a->addr.q[1] == b->addr.q[1];
}

/* user_config.c */
VMM_WARN_UNUSED vmm_err_t user_configure(struct user_config *c, const struct user_opts *o,
                                         vmm_err_info_t *ei);
/* RULE in parts. */
VMM_WARN_UNUSED vmm_err_t user_parse_forward(const struct user_config *c, const char *rule,
                                             struct user_forward *out, vmm_err_info_t *ei);
/*
 * Where on the host what the guest sends to TO goes; false: nowhere. The caller makes sure besides
 * that it does not come to the host itself: user_is_own, or user_leads_home.
 */
bool user_target(const struct user_config *c, const struct net_endpoint *to,
                 union user_sockaddr *out);
/* FD, a connected datagram socket, leads to this host itself, and not by a name that was given. */
bool user_is_own(const struct user_config *c, int fd, const union user_sockaddr *target);
/* Would a socket that is connected to TARGET? Sends nothing. */
bool user_leads_home(const struct user_config *c, const union user_sockaddr *target);
/* Has the host a way to the IPv6 internet? */
bool user_has_way6(void);

/* user_dhcp.c: the answer to a frame of LEN bytes from the guest, if it is a DHCP message for us.
 * OUT has USER_DHCP_MAX bytes. 0: it is none, or needs no answer. */
#define USER_DHCP_MAX 400u
bool user_dhcp_is(const uint8_t *frame, size_t len);
size_t user_dhcp_answer(const struct user_config *c, const uint8_t mac[6], const uint8_t *frame,
                        size_t len, uint8_t *out);

/*
 * user_ra.c: an advertisement of MAC's, to who sent the solicitation ASKED, or to all nodes if that
 * is NULL; ROUTER: it is the way to everywhere. OUT has USER_RA_LEN bytes. Only with c->ipv6.
 */
#define USER_RA_LEN 142u
bool user_ra_is_asked(const uint8_t *frame, size_t len);
void user_ra_make(const struct user_config *c, const uint8_t mac[6], const uint8_t *asked,
                  bool router, uint8_t *out);
/* The gateway's link-local address. */
extern const struct net_addr user_linklocal;

/* user_tcp.c */
bool user_tcp_start(struct user_net *un);
void user_tcp_stop(struct user_net *un);
/* A connection from the host waits at F. */
void user_tcp_accept(struct user_forward *f);

/* user_dgram.c */
bool user_dgram_start(struct user_net *un);
void user_dgram_stop(struct user_net *un);
/* Datagrams from the host wait at F. */
void user_dgram_forward(struct user_forward *f);
/* Ends flows that have not been used for a minute. When to look again; UINT64_MAX: not at all. */
uint64_t user_dgram_sweep(struct user_net *un, uint64_t now_ns);

/* Watch SRC for EVENTS; 0: not at all (errors too would else be told). */
void user_watch(struct user_net *un, struct loop_source *src, uint32_t events);

#endif
