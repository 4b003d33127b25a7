/* Between the files of security/. */
#ifndef GK_SECURITY_PRIV_H
#define GK_SECURITY_PRIV_H

#include "guest-kernel/core/kernel.h"
#include "guest-kernel/security/security.h"

struct net_stack;

#define OBJCAPS_MAX 256u
#define SOCKETS_MAX 64u

/* Who a socket belongs to. Kept for good, so that connections can go on having it. */
struct sec_socket {
	struct policy_subject subject;
	enum policy_class tclass;
};

/* The label of an address, and the policy it was made under. */
#define NODES_KEPT 32u
struct sec_node {
	uint8_t addr[16];
	policy_label_t label;
	uint32_t seqno;
};

struct security {
	struct kernel *kernel;
	struct policy *policy;
	struct policy_mem mem;
	/*
	 * The engine's lock, for all that makes labels. Interrupts are off while it is held:
	 * whoever has it is not preempted by who waits for it. FLAGS are the holder's.
	 */
	struct spinlock lock;
	unsigned long flags;
	const char *source;
	struct policy_subject self; /* the kernel's */
	policy_label_t policy_object, system_object;
	struct spinlock objects_lock;
	struct objcap_space objects;
	uint64_t last_object;
	struct spinlock sockets_lock;
	struct sec_socket sockets[SOCKETS_MAX];
	unsigned socket_count;
	struct net_stack *stack; /* the kernel's, or NULL */
	struct sec_socket *net;  /* the service net's, under policy net_seqno; or NULL */
	uint32_t net_seqno;
	struct sec_node nodes[NODES_KEPT];
};

static inline struct security *security_here(void)
{
	struct kernel *k = kernel_of_cpu();
	return k ? k->security : NULL;
}

/* The built-in policy, a package. */
extern const unsigned char security_builtin[], security_builtin_end[];

#endif
