/*
 * The user-mode network: a backend that is a whole internet as the guest sees it, made of ordinary
 * sockets of this process. Our protocol stack (net/stack) plays every other host: what the guest
 * sends by TCP, UDP or ICMP echo reaches the host's sockets, and what comes back reaches the guest.
 * No privilege, no other process, no route of the host is touched.
 *
 * The guest's network is `net`; in it, .2 is the gateway, .3 the name server, .15 the guest, which
 * is told so by DHCP. In `net6`, ::2 and fe80::2 are the gateway, ::3 the name server, as router
 * advertisements say; the guest makes its address by itself. Of the host nothing is reachable but
 * what was named: neither loopback nor any other of its addresses, nor what is on its links only,
 * nor where clouds keep credentials, nor any of these through an address that is translated.
 *
 * Threads: one of its own, which has the stack and all sockets; the card's end is a descriptor.
 */
#ifndef SRC_NET_USER_USER_H
#define SRC_NET_USER_USER_H

#include "net/backend/backend.h"
#include "vmm/err.h"

#define USER_FORWARDS_MAX 32u

struct user_opts {
	const char *net;            /* "10.0.2.0/24" is the default; /8 to /28 */
	const char *net6;           /* "fd00:10:0:2::/64" is the default; always a /64 */
	bool no_ipv6;               /* as it is with an MTU below 1280 */
	const char *dns;            /* the address of a name server; NULL: the host's own */
	const char *const *hostfwd; /* "tcp:127.0.0.1:8080-:80", FORWARD_COUNT of them */
	unsigned hostfwd_count;
	bool loopback; /* the gateway's address is the host's 127.0.0.1 */
	uint16_t mtu;  /* 576 to 65535; 0: 1500 */
};

/*
 * Opens what the rules name, and makes the backend; its thread starts with net_backend_ops.start.
 * On failure nothing stays open.
 *
 * Errors, each with the key as its field: VMM_E_INVAL: what is no network, address or rule;
 * VMM_E_BUSY: a port is in use; VMM_E_PERM: it may not be used by this user; VMM_E_LIMIT: more than
 * USER_FORWARDS_MAX rules; VMM_E_NOMEM; VMM_E_IO.
 */
VMM_WARN_UNUSED vmm_err_t user_open(const struct user_opts *opts, struct net_backend **out,
                                    vmm_err_info_t *ei);

#endif
