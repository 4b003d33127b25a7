/* Network cards: virtio-net (virtio 1.2, 5.1) on a TAP device or on the user-mode network. */
#ifndef VMM_NET_H
#define VMM_NET_H

#include "vmm/rate.h"
#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VMM_NETS_MAX            8u
#define VMM_NET_QUEUE_PAIRS_MAX 8u

/* vmm_net_opts_t.flags */
#define VMM_NET_MAC          (1u << 0) /* use opts.mac instead of the MAC derived from the VM */
#define VMM_NET_NO_OFFLOAD   (1u << 1) /* no checksum or segmentation offloads */
#define VMM_NET_LINK_DOWN    (1u << 2) /* start with the cable unplugged */
#define VMM_NET_USER         (1u << 3) /* the user-mode network instead of a TAP */
#define VMM_NET_LOOPBACK     (1u << 4) /* with USER: the gateway is the host's loopback */
#define VMM_NET_NO_IPV6      (1u << 5) /* with USER: IPv4 only */

#define VMM_NET_FORWARDS_MAX 32u

typedef struct vmm_net vmm_net_t;

typedef struct vmm_net_opts {
	size_t struct_size;
	/* The name of an existing TAP device, or one that is made for the VM's life if the process
	 * may (CAP_NET_ADMIN). NULL with tap_fds. */
	const char *tap;
	/* Open TAP queues instead (duplicated), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, one for each
	 * queue pair. */
	const int *tap_fds;
	uint32_t tap_fd_count;
	uint32_t flags;       /* VMM_NET_* */
	uint8_t mac[6];       /* with VMM_NET_MAC: unicast, not all zero */
	uint16_t mtu;         /* told to the guest, 68 .. 65535; 0: nothing is told */
	uint32_t queue_pairs; /* 1 .. VMM_NET_QUEUE_PAIRS_MAX; 0: 1 */
	uint32_t queue_size;  /* entries of each data queue, a power of two up to 1024; 0: 256 */
	/*
	 * With VMM_NET_USER: what the guest sends by TCP, UDP or ICMP echo reaches the host's
	 * sockets, of this process and with no privilege; DHCP gives the guest the network's .15,
	 * with .2 as the gateway and .3 as the name server; in user_net6 these are ::2 and ::3, and
	 * router advertisements tell of them. Of the host itself nothing can be reached but what is
	 * named here. Needs neither TAP nor queue pairs. With an MTU below 1280 there is no IPv6.
	 */
	const char *user_net; /* NULL: "10.0.2.0/24" */
	const char *user_dns; /* the address of a name server; NULL: the host's */
	/* "tcp:127.0.0.1:8080-:80": connections to that address of the host go to port 80 of the
	 * guest; or udp. Both addresses may be left out: 127.0.0.1, and the guest's. Those of IPv6
	 * stand in brackets, on either side. */
	const char *const *hostfwd;
	uint32_t hostfwd_count; /* up to VMM_NET_FORWARDS_MAX */
	/* A file that what passes the card is written to, in libpcap's format; NULL: none. It is
	 * made anew. With offloads, checksums are left to be filled in. */
	const char *pcap;
	/* Limits of what goes to the guest (rx), and of what comes from it (tx): frames, of which a
	 * segment that is left to be cut is one, and their bytes without virtio's header. NULL:
	 * none.
	 */
	const vmm_rate_t *rx_rate;
	const vmm_rate_t *tx_rate;
	const char *user_net6; /* with VMM_NET_USER: a /64; NULL: "fd00:10:0:2::/64" */
} vmm_net_opts_t;

#define VMM_NET_OPTS_INIT                             \
	{                                             \
		.struct_size = sizeof(vmm_net_opts_t) \
	}

/*
 * Add a network card to a VM that is not built yet. Without VMM_NET_MAC its address derives from
 * the VM's name and the card's number: the same on every start, locally administered. *NET (may be
 * NULL) is owned by the VM.
 *
 * Errors, with the option in vmm_vm_error: VMM_E_STATE after build; VMM_E_INVAL: no TAP, unknown
 * flags, MAC, MTU, queue pairs or size, rate, the descriptor is not a TAP queue with a vnet header,
 * or what is no network, name server or forward; VMM_E_NOENT: no such TAP, and none can be made;
 * VMM_E_PERM: not permitted (the detail says how to get the right); VMM_E_BUSY: the TAP or a
 * forwarded port is in use; VMM_E_LIMIT: more than VMM_NETS_MAX, or VMM_NET_FORWARDS_MAX; VMM_E_IO:
 * the pcap file cannot be written; VMM_E_NOMEM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_net_add(vmm_vm_t *vm, const vmm_net_opts_t *opts,
                                              vmm_net_t **net);

/*
 * Plug or unplug the cable (VIRTIO_NET_F_STATUS). Any thread, from build to destroy. The cable of a
 * card whose TAP has gone away is unplugged for good.
 */
VMM_API void vmm_net_set_link(vmm_net_t *net, bool up);

/*
 * Limit the card to RX and TX from now on; NULL: no longer. What waits follows the new limits at
 * once. Any thread, from build to destroy.
 *
 * Errors: VMM_E_INVAL: a rate or burst beyond vmm/rate.h's limits, or a burst without a rate. EI
 * (may be NULL) says which.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_net_set_rate(vmm_net_t *net, const vmm_rate_t *rx,
                                                   const vmm_rate_t *tx, vmm_err_info_t *ei);

/* The MAC address that the guest is told. */
VMM_API void vmm_net_mac(const vmm_net_t *net, uint8_t mac[6]);

#ifdef __cplusplus
}
#endif
#endif
