/*
 * The network of the kernel: one protocol stack, its cards, and the task that runs it. The stack is
 * used under a mutex: by the task, which is woken by the cards' interrupts and by the stack's own
 * deadlines, and by whoever calls a socket (socket.h), on the caller's stack.
 *
 * Layers: stands on core, drivers and mm; services stand on it.
 */
#ifndef GK_NET_NETD_H
#define GK_NET_NETD_H

#include "guest-kernel/core/waitq.h"
#include "guest-kernel/drivers/entropy.h"
#include "guest-kernel/drivers/nic.h"
#include "guest-kernel/net/capture.h"
#include "guest-kernel/net/hooks.h"
#include "guest-kernel/mm/owner.h"
#include "guest-kernel/security/socket.h"
#include "net/stack/stack.h"

#define NETD_PORTS_MAX 4u
#define NETD_TX_QUEUE  256u /* packets that wait for room on a card */

struct netd;
struct heap;

/* How a card's addresses came about. */
enum port_state { PORT_UNSET, PORT_ASKING, PORT_DHCP, PORT_LINK_LOCAL, PORT_STATIC };

/* A card, and its interface of the stack. */
struct port {
	struct netd *net;
	struct nic *nic;
	struct net_if *nif;
	struct sec_netif policy;
	char name[16];
	uint8_t state; /* enum port_state */
	struct net_dhcp_lease lease;
	/* Under the mutex: to be sent when the card has room, and what lies with the card. */
	struct pkt *queue, **queue_tail;
	unsigned queued, offered[NIC_PAIRS_MAX];
	uint64_t tx_dropped;
};

struct netd {
	struct kernel *kernel;
	struct entropy *entropy;
	struct net_stack *stack;
	struct mutex lock;
	struct task *task;
	uint64_t sleeps_until_ns; /* under the mutex */
	bool stopping;
	struct port ports[NETD_PORTS_MAX];
	unsigned port_count;
	struct mm_owner *owner;
	struct heap *heap;
	const struct net_hooks *hooks; /* or NULL; set before the network is used */
	struct capture capture;
	/* Changes of any port's state; waiters look again. */
	struct spinlock state_lock;
	struct waitq state_wait;
	uint32_t state_seq;
};

/*
 * Starts the stack on COUNT cards, none included (there is the loopback then), and the task that
 * runs it. Addresses come by the command line's gk.ip=, see setup.c. False: no memory; *WHY says
 * for what. Task context.
 */
bool netd_start(struct netd *n, struct kernel *k, struct entropy *e, struct nic *const *nics,
                unsigned count, const char **why);
/* Ends the task and the stack, and resets the cards: no socket may be in use. False: the stack has
 * leaked memory, which stays lost. */
bool netd_stop(struct netd *n);

/* Around every use of n->stack. netd_leave lets the stack do at once what is due. */
void netd_enter(struct netd *n);
void netd_leave(struct netd *n);

/* Waits until a card has an IPv4 address, be it a link-local one because DHCP is silent. False:
 * none by DEADLINE_NS, or there is no card. */
bool netd_wait_ready(struct netd *n, uint64_t deadline_ns);
/* The address of the first card that has one; false: none has. Any task. */
bool netd_address(struct netd *n, struct net_addr *out);

/* Waits until the other ends have acknowledged all that was sent on connections which were closed
 * since. False: not by DEADLINE_NS. Task context. */
bool netd_settle(struct netd *n, uint64_t deadline_ns);

/* ---- inside net/ ---- */

/* wire.c, under the mutex: the card's frames to the stack, at most a budget. True: there is more.
 */
bool port_receive(struct port *p);
/* What was sent is freed, what waits is sent. */
void port_send_more(struct port *p);
bool port_listen(struct port *p);
void port_output(void *ctx, struct pkt *pkt);
/* Resets the card; all that waits or lies with it is freed. */
void port_stop(struct port *p);

/* setup.c, under the mutex: gives the ports their addresses, or sets out to. */
void setup_ports(struct netd *n);

#endif
