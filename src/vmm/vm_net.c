/* Network cards of a VM: checks what the embedder wants and plugs a card into its network. */
#include <string.h>

#include "devices/rate.h"
#include "devices/virtio/net.h"
#include "errset.h"
#include "sized.h"
#include "net/backend/tap.h"
#include "net/pcap.h"
#include "net/user/user.h"
#include "vm_priv.h"
#include "vmm/net.h"

#define NET_USER_FLAGS (VMM_NET_LOOPBACK | VMM_NET_NO_IPV6)
#define NET_FLAGS_ALL \
	(VMM_NET_MAC | VMM_NET_NO_OFFLOAD | VMM_NET_LINK_DOWN | VMM_NET_USER | NET_USER_FLAGS)
#define NET_MTU_MIN     68u
#define NET_QUEUE_SIZE  256u
#define NET_QUEUE_MIN   2u
#define NET_QUEUE_PAIRS 1u

_Static_assert(VMM_NET_QUEUE_PAIRS_MAX <= NET_BACKEND_QUEUES_MAX, "a pair is a backend's queue");

_Static_assert(VMM_NET_FORWARDS_MAX == USER_FORWARDS_MAX, "the two are one limit");

static vmm_err_t check_user(const vmm_net_opts_t *o, vmm_err_info_t *ei)
{
	bool user = o->flags & VMM_NET_USER;
	if (user && (o->tap || o->tap_fds))
		return err_set(ei, VMM_E_INVAL, "tap",
		               "a card is on the user-mode network or on a TAP, not on both");
	if (user && o->queue_pairs > 1)
		return err_set(ei, VMM_E_INVAL, "queue_pairs",
		               "%u: the user-mode network has one pair", o->queue_pairs);
	if (user || (!o->user_net && !o->user_net6 && !o->user_dns && !o->hostfwd_count &&
	             !(o->flags & NET_USER_FLAGS)))
		return VMM_OK;
	return err_set(ei, VMM_E_INVAL,
	               o->user_net                   ? "net"
	               : o->user_net6                ? "net6"
	               : o->user_dns                 ? "dns"
	               : o->hostfwd_count            ? "hostfwd"
	               : o->flags & VMM_NET_LOOPBACK ? "loopback"
	                                             : "ipv6",
	               "is of the user-mode network (VMM_NET_USER), and this card is on a TAP");
}

static vmm_err_t check_source(const vmm_net_opts_t *o, vmm_err_info_t *ei)
{
	vmm_err_t err = check_user(o, ei);
	if (err || o->flags & VMM_NET_USER)
		return err;
	if (!o->tap == !o->tap_fds)
		return err_set(ei, VMM_E_INVAL, "tap",
		               "a card needs the name of a TAP or open TAP descriptors, not %s",
		               o->tap ? "both" : "neither");
	if (!o->tap_fds)
		return VMM_OK;
	if (o->tap_fd_count == 0 || o->tap_fd_count > VMM_NET_QUEUE_PAIRS_MAX)
		return err_set(ei, VMM_E_INVAL, "tap_fd_count", "%u: must be 1 to %u",
		               o->tap_fd_count, VMM_NET_QUEUE_PAIRS_MAX);
	if (o->queue_pairs && o->queue_pairs != o->tap_fd_count)
		return err_set(ei, VMM_E_INVAL, "queue_pairs",
		               "%u: there are %u TAP descriptors, one for each pair",
		               o->queue_pairs, o->tap_fd_count);
	return VMM_OK;
}

static vmm_err_t check_mac(const vmm_net_opts_t *o, vmm_err_info_t *ei)
{
	static const uint8_t zero[6];
	const uint8_t *m = o->mac;
	if (!(o->flags & VMM_NET_MAC) || (!(m[0] & 1) && memcmp(m, zero, sizeof(zero)) != 0))
		return VMM_OK;
	return err_set(ei, VMM_E_INVAL, "mac",
	               "%02x:%02x:%02x:%02x:%02x:%02x: must be a unicast address other than zero "
	               "(even first byte)",
	               m[0], m[1], m[2], m[3], m[4], m[5]);
}

static vmm_err_t check_opts(const vmm_net_opts_t *o, vmm_err_info_t *ei)
{
	if (!sized_opts(o, sizeof(*o), ei))
		return VMM_E_INVAL;
	if (o->flags & ~NET_FLAGS_ALL)
		return err_set(ei, VMM_E_INVAL, "flags", "0x%x has unknown bits", o->flags);
	if (o->mtu && o->mtu < NET_MTU_MIN)
		return err_set(ei, VMM_E_INVAL, "mtu", "%u: must be %u to 65535, or 0", o->mtu,
		               NET_MTU_MIN);
	if (o->queue_pairs > VMM_NET_QUEUE_PAIRS_MAX)
		return err_set(ei, VMM_E_INVAL, "queue_pairs", "%u: must be 1 to %u",
		               o->queue_pairs, VMM_NET_QUEUE_PAIRS_MAX);
	uint32_t size = o->queue_size;
	if (size && (size < NET_QUEUE_MIN || size > RING_SIZE_MAX || (size & (size - 1))))
		return err_set(ei, VMM_E_INVAL, "queue_size",
		               "%u: must be a power of two, %u to %u", size, NET_QUEUE_MIN,
		               RING_SIZE_MAX);
	vmm_err_t err = check_mac(o, ei);
	if (!err)
		err = rate_check(o->rx_rate, ei);
	if (!err)
		err = rate_check(o->tx_rate, ei);
	return err ? err : check_source(o, ei);
}

static unsigned count_nets(const vmm_vm_t *vm)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < vm->virtio_count; i++)
		n += net_is(vm->virtio[i]);
	return n;
}

static vmm_err_t open_tap(const vmm_net_opts_t *opts, struct net_backend **b, vmm_err_info_t *ei)
{
	struct tap_opts t = {.name = opts->tap, .fds = opts->tap_fds, .mtu = opts->mtu};
	t.queue_count = opts->tap_fds       ? opts->tap_fd_count
	                : opts->queue_pairs ? opts->queue_pairs
	                                    : NET_QUEUE_PAIRS;
	return tap_open(&t, b, ei);
}

static vmm_err_t open_user(const vmm_net_opts_t *opts, struct net_backend **b, vmm_err_info_t *ei)
{
	const struct user_opts u = {.net = opts->user_net,
	                            .net6 = opts->user_net6,
	                            .no_ipv6 = opts->flags & VMM_NET_NO_IPV6,
	                            .dns = opts->user_dns,
	                            .hostfwd = opts->hostfwd,
	                            .hostfwd_count = opts->hostfwd_count,
	                            .loopback = opts->flags & VMM_NET_LOOPBACK,
	                            .mtu = opts->mtu};
	return user_open(&u, b, ei);
}

static vmm_err_t plug(vmm_vm_t *vm, const vmm_net_opts_t *opts, struct net_opts *o, unsigned index,
                      struct vdev **vd)
{
	bool user = opts->flags & VMM_NET_USER;
	struct net_backend *b;
	vmm_err_t err = user ? open_user(opts, &b, vm_error(vm)) : open_tap(opts, &b, vm_error(vm));
	if (!err && opts->pcap) {
		err = pcap_open(opts->pcap, &o->pcap_fd, vm_error(vm));
		if (err)
			b->ops->destroy(b);
	}
	if (!err)
		err = net_create(o, index, b, vd, vm_error(vm));
	if (!err)
		err = vm_add_virtio(vm, *vd);
	vm->host_net |= !err && user;
	return err;
}

vmm_err_t vmm_net_add(vmm_vm_t *vm, const vmm_net_opts_t *opts, vmm_net_t **net)
{
	vmm_err_info_t *ei = vm_error(vm);
	vmm_err_t err = vm_configurable(vm, "net");
	if (!err)
		err = check_opts(opts, ei);
	if (err)
		return err;
	unsigned index = count_nets(vm);
	if (index == VMM_NETS_MAX)
		return err_set(ei, VMM_E_LIMIT, "net", "more than %u network cards", VMM_NETS_MAX);
	struct net_opts o = {
	        .mtu = opts->mtu,
	        .queue_size = (uint16_t)(opts->queue_size ? opts->queue_size : NET_QUEUE_SIZE),
	        .offloads = !(opts->flags & VMM_NET_NO_OFFLOAD),
	        .link_up = !(opts->flags & VMM_NET_LINK_DOWN),
	        .rx_rate = opts->rx_rate,
	        .tx_rate = opts->tx_rate,
	        .pcap_fd = -1,
	};
	if (opts->flags & VMM_NET_MAC)
		memcpy(o.mac, opts->mac, sizeof(o.mac));
	else
		net_derive_mac(vm->name, index, o.mac);
	struct vdev *vd;
	err = plug(vm, opts, &o, index, &vd);
	if (!err && net)
		*net = (vmm_net_t *)vd;
	return err;
}
