/* The TAP backend: queues of a Linux TAP device (Documentation/networking/tuntap.rst). */
#ifndef SRC_NET_BACKEND_TAP_H
#define SRC_NET_BACKEND_TAP_H

#include "net/backend/backend.h"
#include "vmm/err.h"

struct tap_opts {
	const char *name;     /* an existing TAP, or one to make; NULL with FDS */
	const int *fds;       /* open queues (duplicated), QUEUE_COUNT of them; NULL with NAME */
	unsigned queue_count; /* 1 .. NET_BACKEND_QUEUES_MAX */
	uint16_t mtu;         /* of a TAP that is made here; 0: the kernel's choice */
};

/*
 * Open QUEUE_COUNT queues. A TAP that exists is used as it is found: whether it is up, its MTU and
 * its addresses stay alone. One that does not exist is made, brought up, and goes away with the
 * backend; the kernel allows that with CAP_NET_ADMIN. Descriptors that were given are switched to
 * nonblocking, which their other duplicates share.
 *
 * Errors: VMM_E_INVAL: the name is no interface name, is that of something other than a TAP or of a
 * TAP with one queue where more are wanted, or a descriptor is not a TAP queue with IFF_NO_PI and
 * IFF_VNET_HDR; VMM_E_NOENT: no such TAP and none can be made, or no /dev/net/tun; VMM_E_PERM;
 * VMM_E_BUSY; VMM_E_NOMEM; VMM_E_UNSUPPORTED or VMM_E_IO from an ioctl that failed.
 */
VMM_WARN_UNUSED vmm_err_t tap_open(const struct tap_opts *opts, struct net_backend **out,
                                   vmm_err_info_t *ei);

#endif
