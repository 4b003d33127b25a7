/*
 * Contexts of objects that carry none: what portcon, nodecon, netifcon, genfscon and fs_use of the
 * policy say, else the initial SID of their kind (libsepol 3.4, services.c, sepol_port_sid and on).
 * NULL: the policy has not even that.
 */
#ifndef GUEST_KERNEL_POLICY_LABEL_H
#define GUEST_KERNEL_POLICY_LABEL_H

#include "policydb.h"

/* Initial SIDs that have a meaning here; their numbers are SELinux's. */
enum {
	SECINITSID_KERNEL = 1,
	SECINITSID_SECURITY = 2,
	SECINITSID_UNLABELED = 3,
	SECINITSID_FILE = 5,
	SECINITSID_PORT = 9,
	SECINITSID_NETIF = 10,
	SECINITSID_NETMSG = 11,
	SECINITSID_NODE = 12,
	SECINITSID_DEVNULL = 27,
};

enum {
	SECURITY_FS_USE_XATTR = 1,
	SECURITY_FS_USE_TRANS = 2,
	SECURITY_FS_USE_TASK = 3,
	SECURITY_FS_USE_GENFS = 4,
	SECURITY_FS_USE_NONE = 5,
};

const struct context *label_initial(const struct policydb *db, uint32_t sid);
/* PROTOCOL: IPPROTO_TCP and so on. */
const struct context *label_port(const struct policydb *db, uint8_t protocol, uint16_t port);
/* LEN 4 or 16 bytes in network order. */
const struct context *label_node(const struct policydb *db, const uint8_t *addr, size_t len);
const struct context *label_netif(const struct policydb *db, const char *name);
/* The longest path of the policy that PATH begins with; unlabeled if there is none. */
const struct context *label_genfs(const struct policydb *db, const char *fstype, const char *path,
                                  uint32_t tclass);
const struct context *label_fs_use(const struct policydb *db, const char *fstype,
                                   uint32_t *behavior);

#endif
