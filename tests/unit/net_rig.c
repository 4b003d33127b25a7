/* See net_rig.h. */
#include "net_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void be_set_offloads(struct net_backend *b, uint32_t offloads)
{
	((struct rig_backend *)b)->offloads = offloads;
}

static bool be_set_queue(struct net_backend *b, unsigned q, bool on)
{
	struct rig_backend *be = (struct rig_backend *)b;
	if (be->refuse)
		return false;
	be->on[q] = on;
	return true;
}

static void be_set_link(struct net_backend *b, bool up)
{
	((struct rig_backend *)b)->link = up;
}

static void be_destroy(struct net_backend *b)
{
	struct rig_backend *be = (struct rig_backend *)b;
	for (unsigned q = 0; q < b->queue_count; q++) {
		(void)close(b->fd[q]);
		if (be->peer[q] >= 0)
			(void)close(be->peer[q]);
	}
	(*be->destroyed)++;
	free(be);
}

_Static_assert(RIG_QUEUES == 2 * NET_BACKEND_QUEUES_MAX + 1, "room for all queues of a card");

static const struct net_backend_ops be_ops = {.set_offloads = be_set_offloads,
                                              .set_queue = be_set_queue,
                                              .set_link = be_set_link,
                                              .destroy = be_destroy};

static struct rig_backend *make_backend(unsigned pairs, unsigned *destroyed)
{
	struct rig_backend *be = calloc(1, sizeof(*be));
	rig_must(be, "calloc");
	be->b = (struct net_backend){
	        .ops = &be_ops, .offloads = NET_OFFLOAD_ALL, .queue_count = pairs};
	(void)snprintf(be->b.name, sizeof(be->b.name), "rig0");
	be->destroyed = destroyed;
	for (unsigned q = 0; q < pairs; q++) {
		int fd[2];
		rig_must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		                    fd) == 0,
		         "socketpair");
		be->b.fd[q] = fd[0];
		be->peer[q] = fd[1];
		be->on[q] = true;
	}
	return be;
}

static void open_card(struct rig *rig, struct net_backend *b, uint16_t size, bool offloads)
{
	struct net_opts o = {.mac = {2, 0, 0, 0, 0, 1},
	                     .mtu = 1500,
	                     .queue_size = size,
	                     .offloads = offloads,
	                     .link_up = true,
	                     .pcap_fd = -1};
	vmm_err_info_t ei;
	struct vdev *vd;
	rig_must(net_create(&o, 0, b, &vd, &ei) == VMM_OK, "net_create");
	rig->net = net_of(vd);
	rig_attach(rig, vd);
}

void rig_open(struct rig *rig, unsigned pairs, uint16_t size, bool offloads)
{
	memset(rig, 0, sizeof(*rig));
	rig->be = make_backend(pairs, &rig->destroyed);
	open_card(rig, &rig->be->b, size, offloads);
}

void rig_open_on(struct rig *rig, struct net_backend *b, uint16_t size)
{
	memset(rig, 0, sizeof(*rig));
	open_card(rig, b, size, true);
}

void rig_inject(struct rig *rig, unsigned pair, uint32_t len, uint8_t seed)
{
	uint8_t *frame = calloc(1, RIG_HDR + len);
	rig_must(frame, "calloc");
	for (uint32_t i = 0; i < len; i++)
		frame[RIG_HDR + i] = rig_byte(i, seed);
	ssize_t n = send(rig->be->peer[pair], frame, RIG_HDR + len, 0);
	free(frame);
	rig_must(n == (ssize_t)(RIG_HDR + len), "inject");
}

int rig_sent(struct rig *rig, unsigned pair, uint8_t *buf, unsigned len)
{
	ssize_t n = recv(rig->be->peer[pair], buf, len, 0);
	rig_must(n >= 0 || errno == EAGAIN, "recv");
	return (int)n;
}
