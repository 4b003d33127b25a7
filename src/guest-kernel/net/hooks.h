/*
 * Where the network asks whether something may be done. Every function may be NULL, which allows;
 * false and NET_NO refuse. They are called with the stack locked, and must not call it, nor wait
 * long.
 */
#ifndef GK_NET_HOOKS_H
#define GK_NET_HOOKS_H

#include "net/stack/stack.h"

struct net_hooks {
	void *ctx;
	/* The calling task makes a socket; *LABEL is what the socket is known by from then on. */
	bool (*create)(void *ctx, enum net_sock_type type, void **label);
	/* The calling task, or for what arrives nobody, does OP with a socket of LABEL. */
	enum net_say (*socket)(void *ctx, enum net_op op, void *label,
	                       const struct net_endpoint *local, const struct net_endpoint *remote);
	/* PEER asks the HTTP server for METHOD on PATH. The stack is not locked. */
	bool (*http)(void *ctx, const struct net_endpoint *peer, const char *method,
	             const char *path);
};

#endif
