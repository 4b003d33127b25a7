/*
 * The policy on sockets of the protocol stack. A stack asks by its hook `policy` (stack.h, struct
 * net_ops), and passes on what net_set_label gave the socket; the kernel's hook is one line:
 *
 *     return sec_socket_says(stack, op, label, local, remote);
 *
 * What is asked, as Linux does (security/selinux/hooks.c), with OWN for the socket's own label:
 *
 *     create                OWN: create; raw sockets CAP_NET_RAW as well
 *     bind                  OWN: bind; the port: name_bind (not for ephemeral ones), below 1024
 *                           CAP_NET_BIND_SERVICE as well; the address: node_bind (not for "any")
 *     connect               OWN: connect; the port, of TCP: name_connect
 *     listen, accept        OWN
 *     send, receive         OWN: write, read; the peer's address: node { sendto }, { recvfrom },
 *                           of TCP both when it connects or accepts
 *     options, shutdown     OWN: setopt, getopt, shutdown; not for NET_SO_ERROR, which is the
 *                           answer to what was asked before
 *     packets               the service net: netif { ingress }, { egress }, on the interface
 *
 * A peer within the same stack is a subject too: what is sent to it needs write on its label by the
 * sender, and read on the sender's by it; a connection needs both both ways. That is what keeps
 * levels apart.
 *
 * The checks are made for the socket's subject, whoever calls: any thread, one at a time for one
 * stack, not an interrupt.
 */
#ifndef GK_SECURITY_SOCKET_H
#define GK_SECURITY_SOCKET_H

#include "guest-kernel/security/security.h"
#include "guest-kernel/net/hooks.h"
#include "net/stack/stack.h"

/* Takes part in the hooks of the stack, as its socket's label; lasts until security_stop. */
struct sec_socket;

enum sec_socket_kind { SEC_TCP, SEC_UDP, SEC_PING, SEC_RAW };

/*
 * The current task wants a socket of that kind: its label for net_set_label. NULL: the policy
 * denies it, or there are too many different subjects with sockets; then there must be no socket.
 * Without a policy NULL as well, with *DENIED false.
 */
struct sec_socket *sec_socket_create(enum sec_socket_kind kind, bool *denied);

/* ST may be NULL: no peers within. LABEL NULL: the kernel's own sockets, which act as service net.
 */
enum net_say sec_socket_says(struct net_stack *st, enum net_op op, void *label,
                             const struct net_endpoint *local, const struct net_endpoint *remote);
/* To ST: what sec_socket_says tells it to keep holds for the policy of now; before that is gone, so
 * must ST be. */
void sec_socket_keep(struct net_stack *st);

/* What the kernel's network asks, for its stack ST. NULL: there is no policy. */
const struct net_hooks *sec_net_hooks(struct kernel *k, struct net_stack *st);

/* An interface; NAME is its owner's, the rest is zero to begin with. */
struct sec_netif {
	char name[16];
	policy_label_t label;
	uint32_t seqno; /* of the policy that LABEL was made under */
	/* By enum net_dir: a plain yes is kept, see policy_still. */
	const _Atomic(uint32_t) *epoch;
	uint32_t good_for[2];
};

/*
 * May the service net, which moves all packets, let one in by N (NET_DIR_IN), or out? Its label is
 * made anew when the policy has changed. By one thread at a time, not an interrupt.
 */
bool sec_netif_ask(struct sec_netif *n, enum net_dir dir);
static inline bool sec_netif_allows(struct sec_netif *n, enum net_dir dir)
{
	return policy_still(n->epoch, n->good_for[dir]) || sec_netif_ask(n, dir);
}
/* Before the policy is gone. */
void sec_netif_forget(struct sec_netif *n);

#endif
