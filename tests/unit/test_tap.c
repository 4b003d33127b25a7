/*
 * The TAP backend on real TAP devices, in a network namespace of the test's own. Errors are tested
 * for what they say. Exits with 77 (skipped), and the reason, where the host does not allow it.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/backend/tap.h"
#include "net_rig.h"
#include "suite.h"

#define SKIPPED       77
#define FRAME_WAIT_MS 5000 /* how long a busy host may hold a frame */

static vmm_err_t try_open(const char *name, unsigned queues, struct net_backend **b,
                          vmm_err_info_t *ei)
{
	struct tap_opts o = {.name = name, .queue_count = queues};
	memset(ei, 0, sizeof(*ei));
	return tap_open(&o, b, ei);
}

static short flags_of(const char *name)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	int res = ioctl(fd, SIOCGIFFLAGS, &ifr);
	(void)close(fd);
	return res == 0 ? ifr.ifr_flags : 0;
}

/* IFF_RUNNING follows a moment later; this is the carrier itself. */
static bool has_carrier(const char *name)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GLINK};
	struct ifreq ifr = {.ifr_data = (char *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ck_assert_int_eq(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	(void)close(fd);
	return value.data;
}

static void set_up(const char *name)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_flags = IFF_UP;
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	(void)close(fd);
}

/* A queue of a TAP or TUN, as `ip tuntap` or an embedder makes it. */
static int raw_queue(const char *name, int flags)
{
	struct ifreq ifr = {0};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_flags = (short)flags;
	ck_assert_msg(ioctl(fd, TUNSETIFF, &ifr) == 0, "%s: %s", name, strerror(errno));
	return fd;
}

/* As `ip tuntap add` does: it stays when its queues are closed. */
static void make_persistent(const char *name, int flags)
{
	int fd = raw_queue(name, flags);
	ck_assert_int_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	(void)close(fd);
}

START_TEST(makes_a_tap_and_brings_it_up)
{
	struct net_backend *b;
	vmm_err_info_t ei;
	struct tap_opts o = {.name = "made0", .queue_count = 1, .mtu = 4000};
	ck_assert_msg(tap_open(&o, &b, &ei) == VMM_OK, "%s", ei.message);
	ck_assert(flags_of("made0") & IFF_UP);
	ck_assert_uint_eq(b->offloads, NET_OFFLOAD_ALL);
	struct ifreq ifr = {.ifr_name = "made0"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(ioctl(fd, SIOCGIFMTU, &ifr), 0);
	(void)close(fd);
	ck_assert_int_eq(ifr.ifr_mtu, 4000);
	int size = 0;
	ck_assert_int_eq(ioctl(b->fd[0], TUNGETVNETHDRSZ, &size), 0);
	ck_assert_int_eq(size, 12);
	ck_assert_int_ne(fcntl(b->fd[0], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(b->fd[0], F_GETFD) & FD_CLOEXEC, 0);
	b->ops->destroy(b);
	ck_assert_uint_eq(if_nametoindex("made0"), 0);
}
END_TEST

START_TEST(leaves_an_existing_tap_alone)
{
	struct net_backend *b;
	vmm_err_info_t ei;
	make_persistent("old0", _i ? IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE : IFF_TAP | IFF_NO_PI);
	ck_assert_msg(try_open("old0", 1, &b, &ei) == VMM_OK, "%s", ei.message);
	ck_assert(!(flags_of("old0") & IFF_UP));
	b->ops->destroy(b);
	ck_assert_uint_ne(if_nametoindex("old0"), 0);
}
END_TEST

START_TEST(opens_many_queues)
{
	struct net_backend *b;
	vmm_err_info_t ei;
	ck_assert_msg(try_open("mq0", 8, &b, &ei) == VMM_OK, "%s", ei.message);
	ck_assert_uint_eq(b->queue_count, 8);
	ck_assert(b->ops->set_queue(b, 7, false));
	ck_assert(b->ops->set_queue(b, 7, false));
	struct ifreq ifr = {0};
	ck_assert_int_eq(ioctl(b->fd[7], TUNGETIFF, &ifr), 0);
	ck_assert(ifr.ifr_flags & IFF_DETACH_QUEUE);
	ck_assert(b->ops->set_queue(b, 7, true));
	ck_assert_int_eq(ioctl(b->fd[7], TUNGETIFF, &ifr), 0);
	ck_assert(!(ifr.ifr_flags & IFF_DETACH_QUEUE));
	b->ops->destroy(b);
}
END_TEST

static void expect_error(const char *name, unsigned queues, vmm_err_t code, const char *words)
{
	struct net_backend *b;
	vmm_err_info_t ei;
	ck_assert_int_eq(try_open(name, queues, &b, &ei), code);
	ck_assert_ptr_null(b);
	ck_assert_str_eq(ei.field, "tap");
	ck_assert_msg(strstr(ei.message, words), "'%s' is not in '%s'", words, ei.message);
}

START_TEST(explains_bad_names)
{
	expect_error("", 1, VMM_E_INVAL, "0 characters");
	expect_error("a-name-too-long-", 1, VMM_E_INVAL, "1 to 15");
	expect_error("tap%d", 1, VMM_E_INVAL, "not an interface name");
	expect_error("../tap", 1, VMM_E_INVAL, "not an interface name");
}
END_TEST

START_TEST(explains_wrong_devices)
{
	expect_error("lo", 1, VMM_E_INVAL, "not a TAP");
	int tun = raw_queue("tun0", IFF_TUN | IFF_NO_PI);
	expect_error("tun0", 1, VMM_E_INVAL, "not a TAP");
	(void)close(tun);
	int tap = raw_queue("busy0", IFF_TAP | IFF_NO_PI);
	expect_error("busy0", 1, VMM_E_BUSY, "in use");
	(void)close(tap);
	make_persistent("single0", IFF_TAP | IFF_NO_PI);
	expect_error("single0", 2, VMM_E_INVAL, "multi_queue");
}
END_TEST

static void make_owned(const char *name, unsigned long owner)
{
	int fd = raw_queue(name, IFF_TAP | IFF_NO_PI);
	ck_assert_int_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	ck_assert_int_eq(ioctl(fd, TUNSETOWNER, owner), 0);
	(void)close(fd);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};
	ck_assert_int_eq(syscall(SYS_capset, &hdr, none), 0);
}

/* Without CAP_NET_ADMIN nothing can be made, and only one's own be used. */
START_TEST(explains_missing_rights)
{
	struct net_backend *b;
	vmm_err_info_t ei;
	make_owned("other0", 65534);
	make_owned("mine0", geteuid());
	drop_capabilities();
	expect_error("other0", 1, VMM_E_PERM, "belongs to another user");
	expect_error("none0", 1, VMM_E_NOENT, "tuntap add dev none0 mode tap user USER vnet_hdr");
	expect_error("none0", 2, VMM_E_NOENT, "mode tap user USER multi_queue vnet_hdr");
	ck_assert_msg(try_open("mine0", 1, &b, &ei) == VMM_OK, "%s", ei.message);
	b->ops->destroy(b);
}
END_TEST

static void expect_fds(const int *fds, unsigned n, const char *words)
{
	struct net_backend *b;
	vmm_err_info_t ei;
	struct tap_opts o = {.fds = fds, .queue_count = n};
	ck_assert_msg(tap_open(&o, &b, &ei) == VMM_E_INVAL, "accepted, though '%s'", words);
	ck_assert_msg(strstr(ei.message, words), "'%s' is not in '%s'", words, ei.message);
}

START_TEST(checks_given_descriptors)
{
	const int good = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	int fds[2];
	int pipe_fd[2];
	ck_assert_int_eq(pipe(pipe_fd), 0);
	expect_fds(pipe_fd, 1, "not a TAP queue");
	fds[0] = 9999;
	expect_fds(fds, 1, "cannot be duplicated");
	fds[0] = raw_queue("a0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	expect_fds(fds, 1, "IFF_TAP");
	(void)close(fds[0]);
	fds[0] = raw_queue("a0", IFF_TAP | IFF_NO_PI);
	expect_fds(fds, 1, "IFF_VNET_HDR");
	(void)close(fds[0]);
	fds[0] = raw_queue("a0", good);
	fds[1] = raw_queue("b0", good);
	expect_fds(fds, 2, "IFF_MULTI_QUEUE");
	struct net_backend *b;
	vmm_err_info_t ei;
	struct tap_opts o = {.fds = fds, .queue_count = 1};
	ck_assert_msg(tap_open(&o, &b, &ei) == VMM_OK, "%s", ei.message);
	ck_assert_str_eq(b->name, "a0");
	ck_assert_int_ne(b->fd[0], fds[0]);
	b->ops->destroy(b);
	(void)close(fds[0]);
	(void)close(fds[1]);
	fds[0] = raw_queue("a0", good | IFF_MULTI_QUEUE);
	fds[1] = raw_queue("b0", good | IFF_MULTI_QUEUE);
	expect_fds(fds, 2, "another TAP");
}
END_TEST

/* A packet socket on the host's side of the TAP. */
static int host_socket(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	                         .sll_protocol = htons(ETH_P_ALL),
	                         .sll_ifindex = (int)if_nametoindex(name)};
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/*
 * A TAP whose carrier has just come drops what is sent to it: the kernel gives it a queue from a
 * work item, which says IFF_RUNNING first. SIOCSIFFLAGS then waits for the lock of that work.
 */
static void wait_running(const char *name)
{
	for (int i = 0; i < 1000 && !(flags_of(name) & IFF_RUNNING); i++)
		(void)usleep(5000);
	ck_assert(flags_of(name) & IFF_RUNNING);
	set_up(name);
}

/* Our own frames have an EtherType that nothing else uses. */
static void make_frame(uint8_t *f, uint32_t len, uint8_t seed)
{
	memset(f, 0xff, 6);
	memcpy(f + 6, "\x02\0\0\0\0\x09", 6);
	f[12] = 0x88;
	f[13] = 0xb5;
	for (uint32_t i = 14; i < len; i++)
		f[i] = rig_byte(i, seed);
}

static bool is_ours(const uint8_t *f)
{
	return f[12] == 0x88 && f[13] == 0xb5;
}

/* What the guest sends comes by a soft interrupt, which a busy host puts off. */
static bool host_gets(int host, const uint8_t *frame, size_t len)
{
	static uint8_t got[2048];
	struct pollfd p = {.fd = host, .events = POLLIN};
	while (poll(&p, 1, FRAME_WAIT_MS) == 1)
		if (recv(host, got, sizeof(got), 0) == (ssize_t)len && !memcmp(got, frame, len))
			return true;
	return false;
}

/* True if one of the frames that the guest got by now is FRAME. */
static bool guest_has(struct rig *rig, const uint8_t *frame, size_t len)
{
	uint16_t head;
	uint32_t used;
	bool seen = false;
	while (rig_used(rig, 0, &head, &used)) {
		const uint8_t *p = rig_mem(rig, RIG_DATA + 0x10000 + head * 2048, 2048);
		ck_assert_uint_eq(p[10] | p[11] << 8, 1);
		if (is_ours(p + RIG_HDR) && used == RIG_HDR + len)
			seen |= !memcmp(p + RIG_HDR, frame, len);
	}
	return seen;
}

/* The kernel's own frames (IPv6) may be on their way through the same queue. */
static bool guest_gets(struct rig *rig, const uint8_t *frame, size_t len)
{
	rig_run(rig);
	for (int i = 0; i < FRAME_WAIT_MS / 50; i++) {
		if (guest_has(rig, frame, len))
			return true;
		loop_run_once(rig->loop, 50);
	}
	return guest_has(rig, frame, len);
}

/* A card on a real TAP: frames in both directions, the cable, the device's end. */
START_TEST(carries_frames)
{
	static uint8_t frame[1514];
	static struct rig rig;
	struct net_backend *b;
	vmm_err_info_t ei;
	uint16_t head;
	uint32_t len;
	make_persistent("card0", IFF_TAP | IFF_NO_PI);
	set_up("card0");
	ck_assert_msg(try_open("card0", 1, &b, &ei) == VMM_OK, "%s", ei.message);
	rig_open_on(&rig, b, 256);
	int host = host_socket("card0");
	wait_running("card0");
	rig_start(&rig, vdev_offered(rig.vd));
	/* From the guest. */
	make_frame(frame, sizeof(frame), 1);
	memset(rig_mem(&rig, RIG_DATA, RIG_HDR), 0, RIG_HDR);
	memcpy(rig_mem(&rig, RIG_DATA + RIG_HDR, sizeof(frame)), frame, sizeof(frame));
	struct seg out = {RIG_DATA, RIG_HDR + sizeof(frame), false};
	(void)rig_add(&rig, 1, &out, 1);
	rig_kick(&rig, 1);
	ck_assert(rig_used(&rig, 1, &head, &len));
	ck_assert(host_gets(host, frame, sizeof(frame)));
	/* A header that promises what the frame does not hold is refused by the kernel. */
	struct virtio_net_hdr_v1 *hdr = rig_mem(&rig, RIG_DATA, RIG_HDR);
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = 60000;
	(void)rig_add(&rig, 1, &out, 1);
	rig_kick(&rig, 1);
	ck_assert_uint_eq(net_stats(rig.net).tx_dropped, 1);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, 1);
	/* To the guest. */
	for (unsigned i = 0; i < 64; i++) {
		struct seg in = {RIG_DATA + 0x10000 + i * 2048, 2048, true};
		(void)rig_add(&rig, 0, &in, 1);
	}
	rig_kick(&rig, 0);
	make_frame(frame, sizeof(frame), 2);
	ck_assert_int_eq(send(host, frame, sizeof(frame), 0), sizeof(frame));
	ck_assert(guest_gets(&rig, frame, sizeof(frame)));
	/* The host sees the cable as well. */
	ck_assert(has_carrier("card0"));
	vmm_net_set_link(rig.net, false);
	ck_assert(!has_carrier("card0"));
	vmm_net_set_link(rig.net, true);
	ck_assert(has_carrier("card0"));
	(void)close(host);
	rig_close(&rig);
}
END_TEST

/* Can this process have a network namespace with TAPs in it? Asked in a child. */
static const char *why_not(void)
{
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return "/dev/net/tun cannot be opened";
	pid_t pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) == 0 ? 0 : 1);
	int status = 1;
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return "a network namespace is not permitted (needs root)";
	return NULL;
}

static void own_namespace(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
}

int main(void)
{
	const char *reason = why_not();
	if (reason) {
		printf("skipped: %s\n", reason);
		return SKIPPED;
	}
	TCase *tc = tcase_create("tap");
	/* Each TAP that goes waits for the kernel's grace periods, which are long on a busy host.
	 */
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, own_namespace, NULL);
	tcase_add_test(tc, makes_a_tap_and_brings_it_up);
	tcase_add_loop_test(tc, leaves_an_existing_tap_alone, 0, 2);
	tcase_add_test(tc, opens_many_queues);
	tcase_add_test(tc, explains_bad_names);
	tcase_add_test(tc, explains_wrong_devices);
	tcase_add_test(tc, explains_missing_rights);
	tcase_add_test(tc, checks_given_descriptors);
	tcase_add_test(tc, carries_frames);
	return suite_run("tap", tc);
}
