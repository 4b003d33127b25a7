/* The policy on sockets. See socket.h. */
#include "guest-kernel/security/socket.h"

#include <string.h>

#include "priv.h"

#define IPPROTO_TCP_NUMBER 6u
#define IPPROTO_UDP_NUMBER 17u
#define PORT_RESERVED      1024u
/* What a socket gets that asks for none: as on Linux nobody is asked about them. */
#define PORT_EPHEMERAL_MIN 32768u
#define PORT_EPHEMERAL_MAX 60999u

static const enum policy_class classes[] = {
        [SEC_TCP] = POLICY_CLASS_TCP_SOCKET,
        [SEC_UDP] = POLICY_CLASS_UDP_SOCKET,
        [SEC_PING] = POLICY_CLASS_ICMP_SOCKET,
        [SEC_RAW] = POLICY_CLASS_RAWIP_SOCKET,
};

/* -- who a socket belongs to -- */

static bool same(const struct sec_socket *k, const struct policy_subject *s,
                 enum policy_class tclass)
{
	return k->tclass == tclass && k->subject.label == s->label &&
	       k->subject.caps.effective == s->caps.effective;
}

/* Entries are never taken back: connections have them after the task that made their listener. */
static struct sec_socket *intern(struct security *s, const struct policy_subject *subject,
                                 enum policy_class tclass)
{
	struct sec_socket *found = NULL;
	unsigned long flags = spin_lock_irqsave(&s->sockets_lock);
	for (unsigned i = 0; i < s->socket_count && !found; i++)
		if (same(&s->sockets[i], subject, tclass))
			found = &s->sockets[i];
	bool fresh = !found && s->socket_count < SOCKETS_MAX;
	if (fresh) {
		found = &s->sockets[s->socket_count++];
		*found = (struct sec_socket){.subject = *subject, .tclass = tclass};
	}
	spin_unlock_irqrestore(&s->sockets_lock, flags);
	if (fresh)
		policy_label_get(s->policy, subject->label);
	return found;
}

static bool check(struct security *s, const struct sec_socket *k, policy_label_t object,
                  enum policy_class tclass, uint32_t perms, int cap, const char *detail)
{
	const struct policy_request r = {.subject = &k->subject,
	                                 .object = object,
	                                 .tclass = tclass,
	                                 .perms = perms,
	                                 .cap = cap,
	                                 .detail = detail};
	return policy_check(s->policy, &r) == POLICY_OK;
}

/* For what is asked of each packet: what is to be kept is for policy_still. */
static bool check_for(struct security *s, const struct sec_socket *k, policy_label_t object,
                      enum policy_class tclass, uint32_t perms, uint32_t *good_for)
{
	const struct policy_request r = {.subject = &k->subject,
	                                 .object = object,
	                                 .tclass = tclass,
	                                 .perms = perms,
	                                 .cap = POLICY_NO_CAP};
	return policy_check_for(s->policy, &r, good_for) == POLICY_OK;
}

static enum net_say say(struct security *s, const struct sec_socket *k, policy_label_t object,
                        enum policy_class tclass, uint32_t perms)
{
	uint32_t good_for;
	if (!check_for(s, k, object, tclass, perms, &good_for))
		return NET_NO;
	return good_for ? NET_KEEP : NET_YES;
}

static enum net_say own(struct security *s, const struct sec_socket *k, uint32_t perms)
{
	return say(s, k, k->subject.label, k->tclass, perms);
}

struct sec_socket *sec_socket_create(enum sec_socket_kind kind, bool *denied)
{
	struct security *s = security_here();
	*denied = s != NULL;
	if (!s)
		return NULL;
	const struct sec_socket asked = {.subject = task_current()->subject,
	                                 .tclass = classes[kind]};
	int cap = kind == SEC_RAW ? CAP_NET_RAW : POLICY_NO_CAP;
	if (!check(s, &asked, asked.subject.label, asked.tclass, SOCKET_CREATE, cap, NULL))
		return NULL; /* denied */
	struct sec_socket *k = intern(s, &asked.subject, asked.tclass);
	*denied = !k;
	if (!k)
		log_warning("no room for the sockets of another subject");
	return k;
}

/*
 * The kernel's own sockets (DHCP, names) are those of the service net, which also moves the
 * packets. Found once for each policy, by whoever has the stack.
 */
static struct sec_socket *kernel_socket(struct security *s)
{
	struct policy_subject net;
	uint32_t seqno = policy_seqno(s->policy);
	if (s->net && s->net_seqno == seqno)
		return s->net;
	if (sec_service_subject(s, "net", NULL, &net, NULL))
		return NULL;
	s->net = intern(s, &net, POLICY_CLASS_UDP_SOCKET);
	s->net_seqno = seqno;
	policy_label_put(s->policy, net.label);
	return s->net;
}

/* -- ports and addresses -- */

static bool on_port(struct security *s, const struct sec_socket *k, uint16_t port, uint32_t perm,
                    int cap, const char *detail)
{
	char name[16];
	policy_sid_t sid;
	policy_label_t label = 0;
	uint8_t protocol =
	        k->tclass == POLICY_CLASS_TCP_SOCKET ? IPPROTO_TCP_NUMBER : IPPROTO_UDP_NUMBER;
	(void)fmt(name, sizeof(name), "port:%u", port);
	if (!policy_port_sid(s->policy, protocol, port, &sid) &&
	    policy_label(s->policy, sid, name, &label))
		label = 0;
	bool good = check(s, k, label, k->tclass, perm, cap, detail);
	policy_label_put(s->policy, label);
	return good;
}

static bool is_v4(const struct net_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

static bool is_any(const struct net_addr *a)
{
	static const uint8_t none[16];
	return memcmp(a->b, none, 16) == 0 || (is_v4(a) && memcmp(a->b + 12, none, 4) == 0);
}

static policy_label_t make_node(struct security *s, const struct net_addr *a)
{
	char name[POLICY_NAME_MAX + 1] = "node:";
	policy_sid_t sid;
	policy_label_t label;
	bool v4 = is_v4(a);
	(void)net_addr_format(a, name + 5);
	if (policy_node_sid(s->policy, v4 ? a->b + 12 : a->b, v4 ? 4 : 16, &sid) ||
	    policy_label(s->policy, sid, name, &label))
		return 0;
	return label;
}

/*
 * Datagrams ask for each: the label of an address is kept until another one takes its place. It is
 * the stack's thread alone that comes here, so it is not replaced while it is in use.
 */
static struct sec_node *node_of(struct security *s, const struct net_addr *a)
{
	uint32_t hash = (a->w[2] ^ a->w[3] ^ a->w[0]) * 2654435761u;
	struct sec_node *n = &s->nodes[hash >> 27];
	uint32_t seqno = policy_seqno(s->policy);
	if (n->label && n->seqno == seqno && memcmp(n->addr, a->b, sizeof(n->addr)) == 0)
		return n;
	policy_label_put(s->policy, n->label);
	*n = (struct sec_node){.label = make_node(s, a), .seqno = seqno};
	memcpy(n->addr, a->b, sizeof(n->addr));
	return n;
}

/* A datagram comes from A (NODE_RECVFROM), or goes there (NODE_SENDTO). */
static enum net_say with_node(struct security *s, const struct sec_socket *k,
                              const struct net_addr *a, uint32_t perm)
{
	return say(s, k, node_of(s, a)->label, POLICY_CLASS_NODE, perm);
}

/* A connection's bytes go both ways. */
static bool connects_node(struct security *s, const struct sec_socket *k, const struct net_addr *a)
{
	return check(s, k, node_of(s, a)->label, POLICY_CLASS_NODE, NODE_SENDTO | NODE_RECVFROM,
	             POLICY_NO_CAP, NULL);
}

/* -- peers within the stack -- */

static const struct sec_socket *peer_of(struct security *s, struct net_stack *st,
                                        const struct sec_socket *k,
                                        const struct net_endpoint *remote)
{
	enum net_sock_type type = k->tclass == POLICY_CLASS_TCP_SOCKET ? NET_STREAM : NET_DGRAM;
	void *label;
	if (!st || k->tclass == POLICY_CLASS_ICMP_SOCKET || !net_label_at(st, type, remote, &label))
		return NULL;
	return label ? label : kernel_socket(s);
}

/* FROM's bytes reach TO. */
static bool flows(struct security *s, const struct sec_socket *from, const struct sec_socket *to)
{
	return check(s, from, to->subject.label, to->tclass, SOCKET_WRITE, POLICY_NO_CAP,
	             "peer=local") &&
	       check(s, to, from->subject.label, to->tclass, SOCKET_READ, POLICY_NO_CAP,
	             "peer=local");
}

/* -- the hooks -- */

static bool may_bind(struct security *s, const struct sec_socket *k,
                     const struct net_endpoint *local)
{
	char detail[16];
	int cap = local->port < PORT_RESERVED ? CAP_NET_BIND_SERVICE : POLICY_NO_CAP;
	(void)fmt(detail, sizeof(detail), "src=%u", local->port);
	if (!own(s, k, SOCKET_BIND))
		return false;
	bool ephemeral = local->port == 0 ||
	                 (local->port >= PORT_EPHEMERAL_MIN && local->port <= PORT_EPHEMERAL_MAX);
	if (!ephemeral && k->tclass != POLICY_CLASS_ICMP_SOCKET &&
	    !on_port(s, k, local->port, SOCKET_NAME_BIND, cap, detail))
		return false;
	return is_any(&local->addr) || check(s, k, node_of(s, &local->addr)->label, k->tclass,
	                                     SOCKET_NODE_BIND, POLICY_NO_CAP, NULL);
}

static bool may_connect(struct security *s, struct net_stack *st, const struct sec_socket *k,
                        const struct net_endpoint *remote)
{
	char detail[16];
	(void)fmt(detail, sizeof(detail), "dest=%u", remote->port);
	if (!own(s, k, SOCKET_CONNECT))
		return false;
	if (k->tclass != POLICY_CLASS_TCP_SOCKET)
		return true;
	if (!on_port(s, k, remote->port, SOCKET_NAME_CONNECT, POLICY_NO_CAP, detail) ||
	    !connects_node(s, k, &remote->addr))
		return false;
	const struct sec_socket *peer = peer_of(s, st, k, remote);
	return !peer || (flows(s, k, peer) && flows(s, peer, k));
}

static enum net_say lesser(enum net_say a, enum net_say b)
{
	return a < b ? a : b;
}

/* Whose socket a datagram reaches within the stack may change with every socket there is. */
static enum net_say to_here(struct security *s, struct net_stack *st, const struct sec_socket *k,
                            const struct net_endpoint *remote)
{
	if (!st || !net_is_here(st, &remote->addr))
		return NET_KEEP;
	const struct sec_socket *peer = peer_of(s, st, k, remote);
	return !peer || flows(s, k, peer) ? NET_YES : NET_NO;
}

/* Bytes go out, or come in. */
static enum net_say may_move(struct security *s, struct net_stack *st, const struct sec_socket *k,
                             const struct net_endpoint *remote, bool out)
{
	enum net_say answer = own(s, k, out ? SOCKET_WRITE : SOCKET_READ);
	/* Of a stream's the rest was asked when it connected. */
	if (!answer || k->tclass == POLICY_CLASS_TCP_SOCKET)
		return answer;
	answer = lesser(answer, with_node(s, k, &remote->addr, out ? NODE_SENDTO : NODE_RECVFROM));
	return answer && out ? lesser(answer, to_here(s, st, k, remote)) : answer;
}

/* All but bytes. */
static bool may_do(struct security *s, struct net_stack *st, enum net_op op,
                   const struct sec_socket *k, const struct net_endpoint *local,
                   const struct net_endpoint *remote)
{
	switch (op) {
	case NET_OP_BIND:
		return may_bind(s, k, local);
	case NET_OP_CONNECT:
		return may_connect(s, st, k, remote);
	case NET_OP_LISTEN:
		return own(s, k, SOCKET_LISTEN);
	case NET_OP_ACCEPT:
		return own(s, k, SOCKET_ACCEPT) && connects_node(s, k, &remote->addr);
	case NET_OP_SETOPT:
		return own(s, k, SOCKET_SETOPT);
	case NET_OP_GETOPT:
		return own(s, k, SOCKET_GETOPT);
	case NET_OP_SHUTDOWN:
		return own(s, k, SOCKET_SHUTDOWN);
	case NET_OP_SEND:
	case NET_OP_RECV:
		break;
	}
	return false;
}

enum net_say sec_socket_says(struct net_stack *st, enum net_op op, void *label,
                             const struct net_endpoint *local, const struct net_endpoint *remote)
{
	struct security *s = security_here();
	if (!s)
		return NET_YES;
	const struct sec_socket *k = label ? label : kernel_socket(s);
	if (!k)
		return policy_mode(s->policy) != POLICY_ENFORCING ? NET_YES : NET_NO;
	if (op == NET_OP_SEND || op == NET_OP_RECV)
		return may_move(s, st, k, remote, op == NET_OP_SEND);
	return may_do(s, st, op, k, local, remote) ? NET_YES : NET_NO;
}

void sec_socket_keep(struct net_stack *st)
{
	struct security *s = security_here();
	if (s)
		net_set_policy_epoch(st, policy_epoch(s->policy));
}

/* -- interfaces -- */

static void label_netif(struct security *s, struct sec_netif *n)
{
	char object[POLICY_NAME_MAX + 1];
	policy_sid_t sid;
	uint32_t seqno = policy_seqno(s->policy);
	if (n->label && n->seqno == seqno)
		return;
	sec_netif_forget(n);
	(void)fmt(object, sizeof(object), "netif:%s", n->name);
	if (policy_netif_sid(s->policy, n->name, &sid) ||
	    policy_label(s->policy, sid, object, &n->label))
		n->label = 0;
	n->seqno = seqno;
}

bool sec_netif_ask(struct sec_netif *n, enum net_dir dir)
{
	struct security *s = security_here();
	if (!s)
		return true;
	const struct sec_socket *k = kernel_socket(s);
	if (!k)
		return policy_mode(s->policy) != POLICY_ENFORCING;
	label_netif(s, n);
	n->epoch = policy_epoch(s->policy);
	return check_for(s, k, n->label, POLICY_CLASS_NETIF,
	                 dir == NET_DIR_IN ? NETIF_INGRESS : NETIF_EGRESS, &n->good_for[dir]);
}

void sec_netif_forget(struct sec_netif *n)
{
	sec_label_put(n->label);
	n->label = 0;
	memset(n->good_for, 0, sizeof(n->good_for));
}

/* -- the kernel's network -- */

static bool hook_create(void *ctx, enum net_sock_type type, void **label)
{
	static const enum sec_socket_kind kinds[] = {
	        [NET_STREAM] = SEC_TCP, [NET_DGRAM] = SEC_UDP, [NET_PING] = SEC_PING};
	bool denied;
	(void)ctx;
	*label = sec_socket_create(kinds[type], &denied);
	return !denied;
}

static enum net_say hook_socket(void *ctx, enum net_op op, void *label,
                                const struct net_endpoint *local, const struct net_endpoint *remote)
{
	struct security *s = security_here();
	(void)ctx;
	return sec_socket_says(s ? s->stack : NULL, op, label, local, remote);
}

static bool hook_http(void *ctx, const struct net_endpoint *peer, const char *method,
                      const char *path)
{
	static const struct {
		const char *name;
		uint32_t perm;
	} methods[] = {{"GET", HTTP_GET},
	               {"HEAD", HTTP_HEAD},
	               {"POST", HTTP_POST},
	               {"PUT", HTTP_PUT},
	               {"DELETE", HTTP_DELETE}};
	(void)ctx;
	(void)peer;
	for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, method) == 0)
			return sec_http(path, methods[i].perm);
	return false;
}

const struct net_hooks *sec_net_hooks(struct kernel *k, struct net_stack *st)
{
	static const struct net_hooks hooks = {
	        .create = hook_create, .socket = hook_socket, .http = hook_http};
	if (!k->security)
		return NULL;
	k->security->stack = st;
	sec_socket_keep(st);
	return &hooks;
}
