/* The TAP backend. See tap.h. */
#include "net/backend/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/errset.h"

#define FIELD   "tap"
#define TUN_DEV "/dev/net/tun"

static unsigned tun_offloads(uint32_t offloads)
{
	unsigned flags = 0;
	if (offloads & NET_OFFLOAD_CSUM)
		flags |= TUN_F_CSUM;
	if (offloads & NET_OFFLOAD_TSO4)
		flags |= TUN_F_TSO4;
	if (offloads & NET_OFFLOAD_TSO6)
		flags |= TUN_F_TSO6;
	if (offloads & NET_OFFLOAD_ECN)
		flags |= TUN_F_TSO_ECN;
	return flags;
}

static void tap_set_offloads(struct net_backend *b, uint32_t offloads)
{
	/* Any subset of what tap_open tried is accepted as well. */
	(void)ioctl(b->fd[0], TUNSETOFFLOAD, tun_offloads(offloads & b->offloads));
}

static bool tap_set_queue(struct net_backend *b, unsigned q, bool on)
{
	struct ifreq ifr = {0};
	ifr.ifr_flags = (short)(on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE);
	/* EINVAL: the queue is in that state already. */
	return ioctl(b->fd[q], TUNSETQUEUE, &ifr) == 0 || errno == EINVAL;
}

static void tap_set_link(struct net_backend *b, bool up)
{
	/* So that a bridge sees the cable too. Linux before 4.20 has no such call: the card alone
	 * then shows the link. */
	int carrier = up;
	(void)ioctl(b->fd[0], TUNSETCARRIER, &carrier);
}

static void tap_destroy(struct net_backend *b)
{
	for (unsigned i = 0; i < b->queue_count; i++)
		if (b->fd[i] >= 0)
			(void)close(b->fd[i]);
	free(b);
}

static const struct net_backend_ops tap_ops = {.set_offloads = tap_set_offloads,
                                               .set_queue = tap_set_queue,
                                               .set_link = tap_set_link,
                                               .destroy = tap_destroy};

/* What the kernel would refuse, or worse, take for a pattern ("tap%d"). */
static vmm_err_t check_name(const char *name, vmm_err_info_t *ei)
{
	size_t len = strlen(name);
	if (len == 0 || len >= IFNAMSIZ)
		return err_set(ei, VMM_E_INVAL, FIELD,
		               "'%.40s' has %zu characters: an interface name has 1 to %d", name,
		               len, IFNAMSIZ - 1);
	if (strpbrk(name, "/%: \t\n") || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(ei, VMM_E_INVAL, FIELD,
		               "'%s' is not an interface name: no '/', '%%', ':' or space", name);
	return VMM_OK;
}

static bool exists(const char *name)
{
	return if_nametoindex(name) != 0;
}

/* Ask interface NAME with ioctl REQUEST; IFR's name is filled in here. */
static bool ask(const char *name, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	(void)snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	bool ok = ioctl(fd, request, ifr) == 0;
	int saved = errno;
	(void)close(fd);
	errno = saved;
	return ok;
}

/* The tun driver tells ethtool "tun" as its name, and "tap" or "tun" as its bus. */
static bool is_tap(const char *name)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ifr = {0};
	ifr.ifr_data = (char *)&info;
	return ask(name, SIOCETHTOOL, &ifr) && !strcmp(info.driver, "tun") &&
	       !strcmp(info.bus_info, "tap");
}

static vmm_err_t explain_tun_dev(int err, vmm_err_info_t *ei)
{
	if (err == ENOENT || err == ENODEV || err == ENXIO)
		return err_sys_as(ei, VMM_E_NOENT, err, FIELD,
		                  TUN_DEV " is missing: load the tun module (modprobe tun)");
	if (err == EACCES || err == EPERM)
		return err_sys_as(ei, VMM_E_PERM, err, FIELD,
		                  TUN_DEV " may not be opened by this user: its mode should be "
		                          "0666 (the kernel checks each TAP's owner)");
	return err_sys(ei, err, FIELD, "cannot open " TUN_DEV);
}

/* Why TUNSETIFF refused, in words that say what to do. */
static vmm_err_t explain_attach(const struct tap_opts *o, bool existed, int err, vmm_err_info_t *ei)
{
	const char *name = o->name;
	const char *mq = o->queue_count > 1 ? " multi_queue" : "";
	if ((err == EPERM || err == EACCES) && !existed)
		return err_sys_as(ei, VMM_E_NOENT, err, FIELD,
		                  "there is no TAP '%s' and this user cannot make one: as root, "
		                  "ip tuntap add dev %s mode tap user USER%s vnet_hdr",
		                  name, name, mq);
	if (err == EPERM || err == EACCES)
		return err_sys_as(ei, VMM_E_PERM, err, FIELD,
		                  "TAP '%s' belongs to another user: as root, ip tuntap del dev %s "
		                  "mode tap%s, then ip tuntap add dev %s mode tap user USER%s "
		                  "vnet_hdr",
		                  name, name, mq, name, mq);
	if (err == EBUSY)
		return err_sys_as(ei, VMM_E_BUSY, err, FIELD,
		                  "TAP '%s' is in use by another program", name);
	if (err == E2BIG)
		return err_sys_as(ei, VMM_E_BUSY, err, FIELD, "all queues of TAP '%s' are in use",
		                  name);
	if (err == EINVAL && existed && !is_tap(name))
		return err_set(ei, VMM_E_INVAL, FIELD, "interface '%s' is not a TAP device", name);
	if (err == EINVAL && existed && o->queue_count > 1)
		return err_set(ei, VMM_E_INVAL, FIELD,
		               "TAP '%s' has one queue and %u are wanted: make it with multi_queue",
		               name, o->queue_count);
	return err_sys(ei, err, FIELD, "cannot attach to TAP '%s'", name);
}

static bool attach(int fd, const char *name, int flags)
{
	struct ifreq ifr = {0};
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags);
	return ioctl(fd, TUNSETIFF, &ifr) == 0;
}

static vmm_err_t open_queue(struct net_backend *b, const struct tap_opts *o, bool existed,
                            unsigned q, vmm_err_info_t *ei)
{
	int fd = open(TUN_DEV, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return explain_tun_dev(errno, ei);
	b->fd[q] = fd;
	if (attach(fd, o->name, o->queue_count > 1 ? IFF_MULTI_QUEUE : 0))
		return VMM_OK;
	int err = errno;
	/* The flag has to agree with how the device was made; one queue of many will do. */
	if (err == EINVAL && o->queue_count == 1 && attach(fd, o->name, IFF_MULTI_QUEUE))
		return VMM_OK;
	return explain_attach(o, existed, err, ei);
}

/* A TAP that we made: nobody else will bring it up. */
static vmm_err_t bring_up(const struct tap_opts *o, vmm_err_info_t *ei)
{
	struct ifreq ifr = {0};
	if (o->mtu) {
		ifr.ifr_mtu = o->mtu;
		if (!ask(o->name, SIOCSIFMTU, &ifr))
			return err_sys(ei, errno, FIELD, "cannot set the MTU of TAP '%s' to %u",
			               o->name, o->mtu);
	}
	if (!ask(o->name, SIOCGIFFLAGS, &ifr))
		return err_sys(ei, errno, FIELD, "cannot read the flags of TAP '%s'", o->name);
	ifr.ifr_flags |= IFF_UP;
	if (!ask(o->name, SIOCSIFFLAGS, &ifr))
		return err_sys(ei, errno, FIELD, "cannot bring up TAP '%s'", o->name);
	return VMM_OK;
}

static vmm_err_t open_named(struct net_backend *b, const struct tap_opts *o, vmm_err_info_t *ei)
{
	vmm_err_t err = check_name(o->name, ei);
	if (err)
		return err;
	bool existed = exists(o->name);
	for (unsigned q = 0; !err && q < o->queue_count; q++)
		/* From the second queue on the device is there: the first one made it. */
		err = open_queue(b, o, existed || q > 0, q, ei);
	if (!err && !existed)
		err = bring_up(o, ei);
	(void)snprintf(b->name, sizeof(b->name), "%s", o->name);
	return err;
}

/* Does IFR, as TUNGETIFF gave it, describe a queue that a card can use? */
static vmm_err_t check_given(const struct net_backend *b, const struct tap_opts *o, unsigned q,
                             const struct ifreq *ifr, vmm_err_info_t *ei)
{
	int flags = (unsigned short)ifr->ifr_flags;
	const char *want = NULL;
	if (!(flags & IFF_TAP))
		want = "is not a TAP queue (IFF_TAP)";
	else if (!(flags & IFF_NO_PI))
		want = "has packet information: open it with IFF_NO_PI";
	else if (!(flags & IFF_VNET_HDR))
		want = "has no vnet header: open it with IFF_VNET_HDR";
	else if (o->queue_count > 1 && !(flags & IFF_MULTI_QUEUE))
		want = "is not one queue of many: open it with IFF_MULTI_QUEUE";
	else if (q > 0 && strncmp(b->name, ifr->ifr_name, IFNAMSIZ) != 0)
		want = "belongs to another TAP than the first one";
	if (!want)
		return VMM_OK;
	return err_set(ei, VMM_E_INVAL, FIELD, "descriptor %d %s", o->fds[q], want);
}

static vmm_err_t take_given(struct net_backend *b, const struct tap_opts *o, vmm_err_info_t *ei)
{
	for (unsigned q = 0; q < o->queue_count; q++) {
		struct ifreq ifr = {0};
		int fd = fcntl(o->fds[q], F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return err_sys_as(ei, VMM_E_INVAL, errno, FIELD,
			                  "descriptor %d cannot be duplicated", o->fds[q]);
		b->fd[q] = fd;
		if (ioctl(fd, TUNGETIFF, &ifr) < 0)
			return err_sys_as(ei, VMM_E_INVAL, errno, FIELD,
			                  "descriptor %d is not a TAP queue", o->fds[q]);
		vmm_err_t err = check_given(b, o, q, &ifr, ei);
		if (err)
			return err;
		(void)snprintf(b->name, sizeof(b->name), "%.15s", ifr.ifr_name);
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return err_sys(ei, errno, FIELD, "cannot make descriptor %d nonblocking",
			               o->fds[q]);
	}
	return VMM_OK;
}

/* The header's size and byte order, and which offloads there are. */
static vmm_err_t set_header(struct net_backend *b, vmm_err_info_t *ei)
{
	for (unsigned q = 0; q < b->queue_count; q++) {
		int size = NET_VNET_HDR_BYTES;
		int on = 1;
		if (ioctl(b->fd[q], TUNSETVNETHDRSZ, &size) < 0)
			return err_sys(ei, errno, FIELD, "cannot set the header size of TAP '%s'",
			               b->name);
		if (ioctl(b->fd[q], TUNSETVNETLE, &on) < 0)
			return err_sys(ei, errno, FIELD, "cannot set the byte order of TAP '%s'",
			               b->name);
	}
	if (ioctl(b->fd[0], TUNSETOFFLOAD, tun_offloads(NET_OFFLOAD_ALL)) == 0)
		b->offloads = NET_OFFLOAD_ALL;
	tap_set_offloads(b, 0);
	return VMM_OK;
}

vmm_err_t tap_open(const struct tap_opts *opts, struct net_backend **out, vmm_err_info_t *ei)
{
	*out = NULL;
	struct net_backend *b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(ei, VMM_E_NOMEM, FIELD, "out of memory");
	b->ops = &tap_ops;
	b->queue_count = opts->queue_count;
	for (unsigned q = 0; q < NET_BACKEND_QUEUES_MAX; q++)
		b->fd[q] = -1;
	vmm_err_t err = opts->name ? open_named(b, opts, ei) : take_given(b, opts, ei);
	if (!err)
		err = set_header(b, ei);
	if (err) {
		tap_destroy(b);
		return err;
	}
	*out = b;
	return VMM_OK;
}
