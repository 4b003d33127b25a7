/* Sockets inside the stack: what all kinds have in common, and what each kind provides. */
#ifndef NET_STACK_SOCK_H
#define NET_STACK_SOCK_H

#include "net/stack/priv.h"

#define PORT_EPHEMERAL_MIN 32768u /* Linux's ip_local_port_range */
#define PORT_EPHEMERAL_MAX 60999u

/* The operations, bits by enum net_op, that need not be asked about for REMOTE: see enum net_say.
 */
struct sock_kept {
	struct net_endpoint remote;
	uint32_t epoch;
	uint16_t ops;
};

struct net_sock {
	struct net_stack *st;
	struct net_sock *next, *prev; /* all sockets of the instance */
	struct net_sock *ev_next;
	net_event_fn fn;
	void *fn_ctx;
	void *label;
	struct net_endpoint local, remote;
	struct sock_kept kept;
	uint16_t err; /* pending, positive NET_E* */
	uint8_t type;
	struct { /* connections inherit it from their listener */
		uint32_t sndbuf, rcvbuf;
		bool sndbuf_fixed, rcvbuf_fixed, reset_on_close;
		uint8_t tos, ttl;
	} opt;
	bool open; /* somebody holds the handle */
	bool ev_queued;
	bool bound, connected, reuse, transparent, v6only, bcast;
};

/* sock.c */
/* SIZE: of the kind, which begins with the socket. NULL: no memory. */
struct net_sock *sock_new(struct net_stack *st, enum net_sock_type type, size_t size);
void sock_free(struct net_sock *s, size_t size);
void sock_notify(struct net_sock *s);
bool sock_takes(const struct net_sock *s, const struct net_addr *dst, const struct net_if *nif);
/* How well the socket fits what goes to DST and PORT; 0: not at all. */
static inline unsigned sock_score(const struct net_sock *s, const struct net_addr *dst,
                                  uint16_t port, const struct net_if *nif)
{
	bool any_port = s->transparent && s->local.port == 0;
	if ((!any_port && s->local.port != port) || !sock_takes(s, dst, nif))
		return 0;
	return 1u + (any_port ? 0 : 16) + (s->connected ? 8 : 0) +
	       (addr_is_any(&s->local.addr) ? 0 : 4) + (addr_is_v4(&s->local.addr) ? 2 : 0) +
	       (s->local.ifindex ? 1 : 0);
}
bool sock_allowed(const struct net_sock *s, enum net_op op, const struct net_endpoint *local,
                  const struct net_endpoint *remote);
static inline bool same_end(const struct net_endpoint *a, const struct net_addr *addr,
                            uint16_t port)
{
	return a->port == port && addr_eq(&a->addr, addr);
}
bool sock_ask_to_move(struct net_sock *s, enum net_op op, const struct net_endpoint *local,
                      const struct net_endpoint *remote);
/* The same for NET_OP_SEND and NET_OP_RECV, which each packet asks. */
static inline bool sock_may_move(struct net_sock *s, enum net_op op,
                                 const struct net_endpoint *local,
                                 const struct net_endpoint *remote)
{
	const struct sock_kept *k = &s->kept;
	return (k->epoch == atomic_load_explicit(s->st->policy_epoch, memory_order_acquire) &&
	        k->ops >> op & 1 && same_end(&k->remote, &remote->addr, remote->port)) ||
	       sock_ask_to_move(s, op, local, remote);
}
/* Is LOCAL in use by another socket of the kind? */
bool sock_port_taken(const struct net_sock *s, const struct net_endpoint *local);
int sock_bind(struct net_sock *s, const struct net_endpoint *local);
static inline int sock_take_err(struct net_sock *s)
{
	int err = s->err;
	s->err = 0;
	return -err;
}

/* udp.c */
struct net_sock *udp_create(struct net_stack *st, enum net_sock_type type);
void udp_destroy(struct net_sock *s);
int udp_bind(struct net_sock *s, const struct net_endpoint *local);
int udp_connect(struct net_sock *s, const struct net_endpoint *remote);
long udp_send(struct net_sock *s, const void *data, size_t len, const struct net_endpoint *from,
              const struct net_endpoint *to);
long udp_recv(struct net_sock *s, void *data, size_t len, unsigned flags, struct net_endpoint *from,
              struct net_endpoint *to);
unsigned udp_ready(const struct net_sock *s);
uint32_t udp_queued(const struct net_sock *s);
int udp_shutdown(struct net_sock *s, enum net_how how);

/* tcp_sock.c */
/* NULL: no memory. */
struct net_sock *tcp_create(struct net_stack *st);
void tcp_destroy(struct net_sock *s);
void tcp_close(struct net_sock *s, bool abort);

int tcp_connect(struct net_sock *s, const struct net_endpoint *remote);
long tcp_send(struct net_sock *s, const void *data, size_t len, unsigned flags);
long tcp_recv(struct net_sock *s, void *data, size_t len, unsigned flags);
int tcp_shutdown(struct net_sock *s, enum net_how how);
unsigned tcp_ready(const struct net_sock *s);
bool tcp_listens(const struct net_sock *s);

#endif
