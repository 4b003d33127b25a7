/*
 * libgknet: the protocol stack as a library for the host, for tests, fuzzing and measurements.
 *
 * Time is virtual: it stands still except in gk_advance, so ten seconds of protocol take
 * milliseconds and every run with the same seed is the same. Raw IP packets go in and out; nothing
 * is sent, no thread is made, no descriptor is opened. An instance belongs to one thread.
 *
 * Calls return 0 or a count, or a negative errno value of Linux. Sockets are small handles.
 */
#ifndef GKNET_H
#define GKNET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gk;

struct gk_opts {
	size_t struct_size; /* sizeof(struct gk_opts) */
	uint64_t seed;      /* of everything random */
	uint32_t mtu;       /* 0: 1500 */
	int ecn;         /* 0: when asked, 1: ask as well, 2: never, 3: ask for AccECN, 4: as 0, but
	                    classic only */
	int syn_cookies; /* 0: when flooded, 1: never, 2: always */
	int any_address; /* 1: packets to every address are taken */
	const char *cc;  /* NULL: "cubic" */
};

/* NULL: no memory. OPTS may be NULL. */
struct gk *gk_new(const struct gk_opts *opts);
void gk_free(struct gk *gk);

/* "10.0.0.1/24", "fd00::1/64". -EINVAL, -EEXIST, -ENOMEM. */
int gk_addr(struct gk *gk, const char *cidr);
/* "0.0.0.0/0" by a router, or NULL: on the link. */
int gk_route(struct gk *gk, const char *cidr, const char *via);

/* Virtual time in ns, and when the stack next has something to do (UINT64_MAX: not by itself). */
uint64_t gk_now(const struct gk *gk);
uint64_t gk_deadline(const struct gk *gk);
/* Let NS pass, with every timer on the way at its own time. */
void gk_advance(struct gk *gk, uint64_t ns);

/* A raw IP packet from the wire; it is copied. -ENOMEM. */
int gk_input(struct gk *gk, const void *packet, size_t len);
/* The oldest packet that the stack has sent, at most CAP bytes of it; its length, 0: none. */
long gk_output(struct gk *gk, void *packet, size_t cap);

/* As their namesakes of POSIX, never blocking. Addresses are struct sockaddr_in and sockaddr_in6.
 */
int gk_socket(struct gk *gk, int domain, int type);
int gk_bind(struct gk *gk, int s, const struct sockaddr *addr, socklen_t len);
int gk_listen(struct gk *gk, int s, int backlog);
int gk_accept(struct gk *gk, int s);
int gk_connect(struct gk *gk, int s, const struct sockaddr *addr, socklen_t len);
long gk_send(struct gk *gk, int s, const void *data, size_t len, int flags); /* MSG_OOB, MSG_MORE */
long gk_recv(struct gk *gk, int s, void *data, size_t len, int flags);       /* MSG_PEEK */
long gk_sendto(struct gk *gk, int s, const void *data, size_t len, const struct sockaddr *to,
               socklen_t tolen);
long gk_recvfrom(struct gk *gk, int s, void *data, size_t len, struct sockaddr_storage *from);
int gk_shutdown(struct gk *gk, int s, int how);
int gk_close(struct gk *gk, int s);
/* SOL_SOCKET and IPPROTO_TCP options by Linux's numbers, integers only. -ENOPROTOOPT. */
int gk_setsockopt(struct gk *gk, int s, int level, int name, int64_t value);
int gk_getsockopt(struct gk *gk, int s, int level, int name, int64_t *value);
/* TCP_INFO: at most LEN bytes of Linux's struct tcp_info (<linux/tcp.h>); how many they are.
 * -EOPNOTSUPP: not a stream. */
long gk_tcp_info(struct gk *gk, int s, void *info, size_t len);
/* TCP_CONGESTION: "cubic", "reno", "newreno", "tahoe". -ENOENT. */
int gk_set_congestion(struct gk *gk, int s, const char *name);
/* Each end of a socket; -ENOTCONN: it has no peer. */
int gk_getsockname(struct gk *gk, int s, struct sockaddr_storage *addr);
int gk_getpeername(struct gk *gk, int s, struct sockaddr_storage *addr);
/* POLLIN, POLLOUT, POLLPRI, POLLERR, POLLHUP, POLLRDHUP. */
int gk_poll(struct gk *gk, int s);

#ifdef __cplusplus
}
#endif

#endif
