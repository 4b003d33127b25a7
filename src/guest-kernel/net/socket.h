/*
 * Sockets for the kernel's tasks: those of the stack, with calls that wait. Task context. Results
 * are those of the stack (0 or a count, or a negative NET_E*), and -NET_ETIMEDOUT when a call has
 * waited longer than the socket's patience.
 *
 * Any number of tasks may use a socket at a time, until one closes it.
 */
#ifndef GK_NET_SOCKET_H
#define GK_NET_SOCKET_H

#include "guest-kernel/net/netd.h"

struct ksock {
	struct netd *net;
	struct net_sock *sock;
	uint64_t patience_ns; /* of each call; FOREVER to begin with */
	struct spinlock lock;
	struct waitq wait;
	uint32_t events; /* how many there have been */
};

int ksock_open(struct netd *n, enum net_sock_type type, struct ksock **out);
/* A connection goes on in the background until its data are with the peer. NULL is nothing. */
void ksock_close(struct ksock *k);
/* The same, but the peer sees a reset. */
void ksock_abort(struct ksock *k);
int ksock_bind(struct ksock *k, const struct net_endpoint *local);
int ksock_listen(struct ksock *k, unsigned backlog);
int ksock_accept(struct ksock *k, struct ksock **out, struct net_endpoint *peer);
int ksock_connect(struct ksock *k, const struct net_endpoint *remote);
/* All of it, or an error. TO as of net_send. */
long ksock_send(struct ksock *k, const void *data, size_t len, const struct net_endpoint *to);
/* What there is, at least a byte; 0 at the end of a stream. */
long ksock_recv(struct ksock *k, void *data, size_t len, struct net_endpoint *from);
/* Drops what arrives, at most MAX bytes, without copying it; 0 at the end. */
long ksock_skip(struct ksock *k, size_t max);
/* References to DATA of BUF are sent, LEN bytes in all. */
long ksock_send_buf(struct ksock *k, struct net_buf *buf, uint32_t len);
int ksock_shutdown(struct ksock *k, enum net_how how);
/* The patience is over at once, for whoever waits and for all calls to come. Any task. */
void ksock_interrupt(struct ksock *k);

/*
 * The address of NAME: a number, or by DNS (A, then AAAA). -NET_ENOENT, -NET_ETIMEDOUT,
 * -NET_ENETUNREACH (no name server), -NET_EINVAL.
 */
int resolve(struct netd *n, const char *name, struct net_addr *out);
/* All addresses of one TYPE (NET_DNS_*), at most NET_DNS_MAX; how many. */
int resolve_all(struct netd *n, const char *name, unsigned type, struct net_addr *out);

/* What a NET_E* means, in a few words. */
const char *net_error_text(long err);

#endif
