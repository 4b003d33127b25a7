/*
 * Balloon, entropy source and a console of three ports with a driver that means harm. The first
 * byte picks the device, the rest is a program: each step writes to rings or buffers, to config
 * space, or notifies and resets; or something happens at the host's side. Whatever it does, the
 * device must touch nothing outside the memory of its guest, must not hang, and must come back for
 * the next driver.
 */
#include <linux/virtio_console.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../unit/vdev_rig.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/console.h"
#include "devices/virtio/rng.h"

struct input {
	const uint8_t *data;
	size_t left;
};

static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < bytes && in->left; i++, in->left--)
		v |= (uint64_t)*in->data++ << (8 * i);
	return v;
}

/* The host's side of the console: ports 0 and 1 are one end each of a pair, port 2 is a Unix
 * socket. */
struct host {
	int near[2], far[2];
	int client; /* of the socket, or -1 */
};

static struct host host;
static char dir[] = "/tmp/fuzz-vdevs-XXXXXX", socket_path[sizeof(dir) + 8];

static void remove_dir(void)
{
	(void)rmdir(dir);
}

static void open_host(void)
{
	if (!socket_path[0]) {
		rig_must(mkdtemp(dir) && atexit(remove_dir) == 0, "mkdtemp");
		(void)snprintf(socket_path, sizeof(socket_path), "%s/port", dir);
	}
	host.client = -1;
	for (unsigned i = 0; i < 2; i++) {
		int pair[2], room = 4096; /* so that it fills up */
		rig_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) ==
		                 0,
		         "socketpair");
		(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
		host.near[i] = pair[0];
		host.far[i] = pair[1];
	}
}

static void close_host(void)
{
	for (unsigned i = 0; i < 2; i++) {
		(void)close(host.near[i]);
		if (host.far[i] >= 0)
			(void)close(host.far[i]);
	}
	if (host.client >= 0)
		(void)close(host.client);
}

static struct vdev *make_console(struct loop *loop)
{
	vmm_console_opts_t o = VMM_CONSOLE_OPTS_INIT;
	vmm_console_port_opts_t ports[3] = {
	        {.name = "first"}, {.is_console = true}, {.name = "last"}};
	struct vdev *vd = NULL;
	open_host();
	for (unsigned i = 0; i < 2; i++)
		ports[i].chardev = (vmm_chardev_opts_t){
		        .kind = VMM_CHARDEV_FD, .in_fd = host.near[i], .out_fd = host.near[i]};
	ports[2].chardev = (vmm_chardev_opts_t){.kind = VMM_CHARDEV_UNIX, .path = socket_path};
	o.ports = ports;
	o.port_count = 3;
	rig_must(console_create(&o, 0, loop, NULL, &vd, NULL) == VMM_OK, "console");
	return vd;
}

static struct vdev *make(unsigned kind, struct loop *loop)
{
	struct vdev *vd = NULL;
	vmm_balloon_opts_t balloon = VMM_BALLOON_OPTS_INIT;
	balloon.flags = VMM_BALLOON_REPORTING | VMM_BALLOON_DEFLATE_ON_OOM;
	balloon.stats_interval_ms = 1;
	if (kind == 0)
		rig_must(balloon_create(&balloon, RIG_MEMORY, &vd, NULL) == VMM_OK, "balloon");
	else if (kind == 1)
		rig_must(rng_create(1u << 20, 1u << 14, &vd, NULL) == VMM_OK, "rng");
	else
		vd = make_console(loop);
	return vd;
}

static void connect_client(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", socket_path);
	host.client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rig_must(host.client >= 0 && connect(host.client, (struct sockaddr *)&to, sizeof(to)) == 0,
	         "connect");
}

static void console_event(struct rig *rig, struct input *in)
{
	static uint8_t bytes[8192];
	unsigned op = (unsigned)take(in, 1), port = op >> 4 & 1;
	int *fd = op & 0x20 ? &host.client : &host.far[port];
	switch (op & 7) {
	case 0 ... 2:
		if (*fd >= 0)
			(void)send(*fd, bytes, take(in, 2) % sizeof(bytes), MSG_NOSIGNAL);
		break;
	case 3 ... 4: /* there is room again */
		while (*fd >= 0 && recv(*fd, bytes, sizeof(bytes), 0) > 0)
			;
		break;
	case 5: /* somebody comes, or goes */
		if (*fd >= 0) {
			(void)close(*fd);
			*fd = -1;
		} else if (fd == &host.client) {
			connect_client();
		}
		break;
	default:
		console_resize(rig->vd, (uint16_t)take(in, 1), (uint16_t)take(in, 1));
		if (console_pty(rig->vd, port))
			abort();
		break;
	}
}

static void balloon_event(struct rig *rig, struct input *in)
{
	vmm_balloon_stats_t stats;
	uint64_t target = take(in, 3) << 8;
	bool whole = target % 4096 == 0 && target < RIG_MEMORY;
	if (balloon_set_target(rig->vd, target) != whole)
		abort();
	balloon_stats(rig->vd, &stats);
	if ((whole && stats.target_bytes != target) || stats.actual_bytes > RIG_MEMORY)
		abort();
}

/* What the host does; then there is a moment for the device's timer, if it has one. */
static void host_event(struct rig *rig, struct input *in)
{
	if (console_is(rig->vd))
		console_event(rig, in);
	else if (balloon_is(rig->vd))
		balloon_event(rig, in);
	else if (!rng_is(rig->vd))
		abort();
	loop_run_once(rig->loop, console_is(rig->vd) ? 0 : 2);
	rig_run(rig);
}

/* A control message of a console, or what is as long for the others. */
static void add_message(struct rig *rig, struct input *in)
{
	uint8_t op = (uint8_t)take(in, 1);
	struct virtio_console_control m = {
	        .id = op & 3, .event = (uint16_t)(op >> 2 & 7), .value = (uint16_t)(op >> 5 & 1)};
	const struct seg s = {RIG_DATA, sizeof(m) - (op >> 7), false};
	memcpy(rig_mem(rig, RIG_DATA, sizeof(m)), &m, sizeof(m));
	(void)rig_add(rig, rig->vd->queue_count > 3 ? 3 : 0, &s, 1);
	rig_kick(rig, rig->vd->queue_count > 3 ? 3 : 0);
}

/* A well-formed chain, apart from what the input says of its segments. */
static void add_chain(struct rig *rig, struct input *in, unsigned q)
{
	struct seg s[4];
	unsigned n = (unsigned)take(in, 1) % 4 + 1;
	for (unsigned i = 0; i < n; i++) {
		uint64_t shape = take(in, 3);
		s[i] = (struct seg){RIG_DATA + (shape & 0xff) * 64, (uint32_t)(shape >> 8) & 0x1fff,
		                    (shape >> 21) & 1};
	}
	(void)rig_add(rig, q, s, n);
}

static void write_data(struct rig *rig, struct input *in)
{
	uint64_t at = RIG_DATA + take(in, 1) * 64;
	for (unsigned n = (unsigned)take(in, 1) % 64; n; n--)
		*(uint8_t *)rig_mem(rig, at++, 1) = (uint8_t)take(in, 1);
}

static void write_descriptor(struct rig *rig, struct input *in, unsigned q)
{
	struct vring_desc *d = &rig_desc(rig, q)[take(in, 1)];
	d->addr = take(in, 4);
	d->len = (uint32_t)take(in, 3);
	d->flags = (uint16_t)take(in, 1);
	d->next = (uint16_t)take(in, 1);
}

static void write_config(struct rig *rig, struct input *in)
{
	uint64_t offset = take(in, 1);
	(void)pthread_mutex_lock(&rig->vd->lock);
	vdev_config_write(rig->vd, offset, 1u << (take(in, 1) & 3), take(in, 4));
	(void)pthread_mutex_unlock(&rig->vd->lock);
}

static void step(struct rig *rig, struct input *in)
{
	unsigned op = (unsigned)take(in, 1);
	unsigned q = (op >> 4) % rig->vd->queue_count;
	switch (op & 15) {
	case 0 ... 3:
		add_chain(rig, in, q);
		break;
	case 4:
		write_descriptor(rig, in, q);
		break;
	case 5:
		rig_avail(rig, q)->ring[take(in, 1)] = (uint16_t)take(in, 2);
		break;
	case 6:
		rig_avail(rig, q)->idx = (uint16_t)take(in, 2);
		break;
	case 7:
		write_data(rig, in);
		break;
	case 8:
		add_message(rig, in);
		break;
	case 9:
		host_event(rig, in);
		break;
	case 10:
		write_config(rig, in);
		break;
	case 11:
		rig_reset(rig);
		rig_start(rig, take(in, 8) & vdev_offered(rig->vd));
		break;
	case 12: /* 4.2.2.2 */
		(void)pthread_mutex_lock(&rig->vd->lock);
		vdev_stop_queue(rig->vd, q);
		(void)pthread_mutex_unlock(&rig->vd->lock);
		break;
	default:
		rig_kick(rig, q);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size < 2048 ? size : 2048};
	static struct rig rig;
	struct loop *loop;
	memset(&rig, 0, sizeof(rig));
	rig_must(loop_create(&loop, NULL) == VMM_OK, "loop_create");
	unsigned kind = (unsigned)take(&in, 1) % 3;
	rig_attach_on(&rig, make(kind, loop), loop);
	rig_start(&rig, take(&in, 8) & vdev_offered(rig.vd));
	while (in.left)
		step(&rig, &in);
	for (unsigned q = 0; q < rig.vd->queue_count; q++)
		rig_kick(&rig, q);
	rig_reset(&rig);
	rig_start(&rig, vdev_offered(rig.vd));
	if (!rig.vd->active || (rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		abort();
	rig_close(&rig);
	if (kind == 2)
		close_host();
	return 0;
}
