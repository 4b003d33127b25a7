/* Network cards: virtio-net on a TAP device (virtio 1.2, 5.1). */
#ifndef VMM_NET_H
#define VMM_NET_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VMM_NETS_MAX            8u
#define VMM_NET_QUEUE_PAIRS_MAX 8u

/* vmm_net_opts_t.flags */
#define VMM_NET_MAC        (1u << 0) /* use opts.mac instead of the MAC derived from the VM */
#define VMM_NET_NO_OFFLOAD (1u << 1) /* no checksum or segmentation offloads */
#define VMM_NET_LINK_DOWN  (1u << 2) /* start with the cable unplugged */

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
 * Errors, with the TAP's name in vmm_vm_error: VMM_E_STATE after build; VMM_E_INVAL: no TAP,
 * unknown flags, MAC, MTU, queue pairs or size, or the descriptor is not a TAP queue with a vnet
 * header; VMM_E_NOENT: no such TAP, and none can be made; VMM_E_PERM: not permitted (the detail
 * says how to get the right); VMM_E_BUSY: in use; VMM_E_LIMIT: more than VMM_NETS_MAX; VMM_E_NOMEM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_net_add(vmm_vm_t *vm, const vmm_net_opts_t *opts,
                                              vmm_net_t **net);

/* Plug or unplug the cable (VIRTIO_NET_F_STATUS). Any thread, from build to destroy. */
VMM_API void vmm_net_set_link(vmm_net_t *net, bool up);

/* The MAC address that the guest is told. */
VMM_API void vmm_net_mac(const vmm_net_t *net, uint8_t mac[6]);

#ifdef __cplusplus
}
#endif
#endif
