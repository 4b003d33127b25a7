/*
 * What the guest kernel checks: its object classes and their permissions, by the names that a
 * policy uses. Linux's classes keep Linux's names (security/selinux/include/classmap.h), so that
 * ordinary policies make sense; two are the guest kernel's own. A policy may number them as it
 * likes: they are matched by name when it is loaded.
 */
#ifndef GUEST_KERNEL_POLICY_CLASSES_H
#define GUEST_KERNEL_POLICY_CLASSES_H

#include <stddef.h>
#include <stdint.h>

enum policy_class {
	POLICY_CLASS_PROCESS = 0,
	POLICY_CLASS_SECURITY,
	POLICY_CLASS_SYSTEM,
	POLICY_CLASS_CAPABILITY,
	POLICY_CLASS_CAPABILITY2,
	POLICY_CLASS_TCP_SOCKET,
	POLICY_CLASS_UDP_SOCKET,
	POLICY_CLASS_RAWIP_SOCKET,
	POLICY_CLASS_ICMP_SOCKET,
	POLICY_CLASS_NODE,
	POLICY_CLASS_NETIF,
	POLICY_CLASS_PACKET,
	POLICY_CLASS_MSGQ,
	POLICY_CLASS_SHM,
	POLICY_CLASS_FILE,
	POLICY_CLASS_DIR,
	POLICY_CLASS_CHR_FILE,
	POLICY_CLASS_BLK_FILE,
	POLICY_CLASS_HTTP_RESOURCE, /* a path of the HTTP server */
	POLICY_CLASS_COMMAND,       /* a command of the shell */
	POLICY_CLASS_COUNT,
};

/* Permissions, as bits of the kernel's own numbering. Those of one class do not share a value. */
enum {
	/* process */
	PROCESS_FORK = 1u << 0,
	PROCESS_TRANSITION = 1u << 1,
	PROCESS_DYNTRANSITION = 1u << 2,
	PROCESS_SIGKILL = 1u << 3,
	PROCESS_SIGSTOP = 1u << 4,
	PROCESS_SIGNAL = 1u << 5,
	PROCESS_GETATTR = 1u << 6,
	PROCESS_SETSCHED = 1u << 7,
	PROCESS_GETCAP = 1u << 8,
	PROCESS_SETCAP = 1u << 9,
	/* security */
	SECURITY_LOAD_POLICY = 1u << 0,
	SECURITY_SETENFORCE = 1u << 1,
	SECURITY_SETBOOL = 1u << 2,
	SECURITY_COMPUTE_AV = 1u << 3,
	SECURITY_CHECK_CONTEXT = 1u << 4,
	/* system */
	SYSTEM_SYSLOG_READ = 1u << 0,
	SYSTEM_REBOOT = 1u << 1,
	SYSTEM_HALT = 1u << 2,
	SYSTEM_STATUS = 1u << 3,
	/* sockets */
	SOCKET_CREATE = 1u << 0,
	SOCKET_BIND = 1u << 1,
	SOCKET_CONNECT = 1u << 2,
	SOCKET_LISTEN = 1u << 3,
	SOCKET_ACCEPT = 1u << 4,
	SOCKET_READ = 1u << 5,
	SOCKET_WRITE = 1u << 6,
	SOCKET_GETOPT = 1u << 7,
	SOCKET_SETOPT = 1u << 8,
	SOCKET_SHUTDOWN = 1u << 9,
	SOCKET_NAME_BIND = 1u << 10,    /* the object is the port */
	SOCKET_NODE_BIND = 1u << 11,    /* the object is the address */
	SOCKET_NAME_CONNECT = 1u << 12, /* the object is the port; TCP only */
	/* node */
	NODE_RECVFROM = 1u << 0,
	NODE_SENDTO = 1u << 1,
	/* netif */
	NETIF_INGRESS = 1u << 0,
	NETIF_EGRESS = 1u << 1,
	/* packet */
	PACKET_SEND = 1u << 0,
	PACKET_RECV = 1u << 1,
	/* msgq, shm */
	IPC_CREATE = 1u << 0,
	IPC_DESTROY = 1u << 1,
	IPC_GETATTR = 1u << 2,
	IPC_SETATTR = 1u << 3,
	IPC_READ = 1u << 4,
	IPC_WRITE = 1u << 5,
	MSGQ_ENQUEUE = 1u << 6,
	/* file, dir, chr_file, blk_file */
	FILE_READ = 1u << 0,
	FILE_WRITE = 1u << 1,
	FILE_CREATE = 1u << 2,
	FILE_GETATTR = 1u << 3,
	FILE_SETATTR = 1u << 4,
	FILE_OPEN = 1u << 5,
	FILE_IOCTL = 1u << 6,
	FILE_MAP = 1u << 7,
	FILE_UNLINK = 1u << 8,
	FILE_EXECUTE = 1u << 9, /* dir: search */
	/* http_resource */
	HTTP_GET = 1u << 0,
	HTTP_HEAD = 1u << 1,
	HTTP_POST = 1u << 2,
	HTTP_PUT = 1u << 3,
	HTTP_DELETE = 1u << 4,
	/* command */
	COMMAND_RUN = 1u << 0,
};

struct class_map {
	const char *name;
	const char *perm[33]; /* by bit, then NULL */
};

/* By enum policy_class. */
extern const struct class_map policy_classes[POLICY_CLASS_COUNT];

/* NAME of LEN bytes; POLICY_CLASS_COUNT: none. */
enum policy_class classes_find(const char *name, size_t len);
/* One bit, or 0. */
uint32_t classes_perm(enum policy_class tclass, const char *name, size_t len);

#endif
