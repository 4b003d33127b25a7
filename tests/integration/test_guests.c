/*
 * Boots one guest of tests/integration/guests and compares what it says with what the VMM saw.
 *
 *   it_guests FILE NAME    prints 'PASS NAME: ...' lines; status 0, 1, or 77 for a skip
 *
 * One guest a process: a crash of the VMM costs one guest's verdicts, not all.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest_host.h"
#include "vmm/balloon.h"
#include "vmm/console.h"
#include "vmm/disk.h"
#include "vmm/net.h"
#include "vmm/rng.h"

/* Devices that the library under test may not have: their guests are skipped then. */
#pragma weak vmm_balloon_add
#pragma weak vmm_balloon_stats
#pragma weak vmm_console_add
#pragma weak vmm_rng_add

struct guest_case {
	const char *name;
	uint32_t cpus; /* 0: 1 */
	unsigned seconds;
	vmm_transport_t transport; /* of virtio devices */
	vmm_event_kind_t end;      /* 0: debug exit with code 0, and at least one PASS */
	/* Add devices. False: it cannot run here, having said why. */
	bool (*prepare)(struct guest_host *h);
	/* What the host saw. */
	void (*judge)(struct guest_host *h);
};

static unsigned failures;

static void verdict(const struct guest_host *h, const char *what, bool ok)
{
	(void)printf("%s %s: %s\n", ok ? "PASS" : "FAIL", h->name, what);
	failures += !ok;
}

static void at_least(const struct guest_host *h, const char *what, uint64_t found, uint64_t least)
{
	(void)printf("%s %s: %s (%llu, at least %llu)\n", found >= least ? "PASS" : "FAIL", h->name,
	             what, (unsigned long long)found, (unsigned long long)least);
	failures += found < least;
}

/* A driver that breaks rules is counted and told of, in a bounded number of lines. */
static void judge_abuse(struct guest_host *h, const char *id)
{
	at_least(h, "broken rules are counted", h->stats.guest_errors, 20);
	verdict(h, "and told of, by the device's name", strstr(h->log, id));
	unsigned lines = 0;
	for (const char *p = h->log; (p = strchr(p, '\n')); p++)
		lines++;
	verdict(h, "in a bounded number of lines", lines < 200);
}

static bool skip(const struct guest_host *h, const char *why)
{
	(void)printf("SKIP %s: %s: %s\n", h->name, why, strerror(errno));
	return false;
}

/* Something for the guest to receive: a broadcast frame of a local experiment (0x88b5). */
static void tick_net(struct guest_host *h)
{
	uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
	const struct sockaddr_ll to = {.sll_family = AF_PACKET,
	                               .sll_ifindex = (int)if_nametoindex("tap0"),
	                               .sll_halen = 6};
	/* No room in the queue: the guest takes nothing just now. */
	ssize_t n = sendto(h->packet_fd, frame, sizeof(frame), 0, (const struct sockaddr *)&to,
	                   sizeof(to));
	(void)n;
}

/* A TAP device in a network namespace of this process alone. */
static bool prepare_net(struct guest_host *h)
{
	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return skip(h, "a network namespace is not permitted");
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		return skip(h, "/dev/net/tun is missing or not permitted");
	vmm_net_opts_t net = VMM_NET_OPTS_INIT;
	net.tap = "tap0";
	guest_host_need(h, "vmm_net_add", vmm_net_add(h->vm, &net, NULL));
	struct ifreq request = {.ifr_name = "tap0", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
	(void)close(fd);
	h->packet_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	h->tick = tick_net;
	return (up && h->packet_fd >= 0) || skip(h, "the TAP device cannot be used");
}

static bool absent(const struct guest_host *h)
{
	(void)printf("SKIP %s: libvmm has no such device\n", h->name);
	return false;
}

/* A file, already without a name; on a disk if the current directory is. */
static int new_disk(struct guest_host *h, uint64_t bytes)
{
	char path[] = "disk-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || unlink(path) != 0 || ftruncate(fd, (off_t)bytes) != 0)
		guest_host_need(h, "mkostemp", VMM_E_IO);
	return fd;
}

/* Two disks: one to write on, with a sentinel around it that nothing may change; one read-only. */
static bool add_disks(struct guest_host *h, uint32_t flags)
{
	vmm_disk_opts_t disk = VMM_DISK_OPTS_INIT;
	disk.flags = flags;
	disk.fd = h->disk_fd = new_disk(h, 4u << 20);
	guest_host_need(h, "vmm_disk_add", vmm_disk_add(h->vm, &disk));
	disk.fd = h->read_only_fd = new_disk(h, 1u << 20);
	disk.flags |= VMM_DISK_READ_ONLY;
	guest_host_need(h, "vmm_disk_add", vmm_disk_add(h->vm, &disk));
	return true;
}

static bool prepare_blk(struct guest_host *h)
{
	return add_disks(h, 0);
}

static bool prepare_blk_threads(struct guest_host *h)
{
	return add_disks(h, VMM_DISK_NO_URING);
}

static bool all_zero(int fd, off_t offset, size_t len)
{
	uint8_t block[4096];
	for (size_t done = 0; done < len; done += sizeof(block)) {
		if (pread(fd, block, sizeof(block), offset + (off_t)done) != sizeof(block))
			return false;
		for (size_t i = 0; i < sizeof(block); i++)
			if (block[i])
				return false;
	}
	return true;
}

static void judge_blk(struct guest_host *h)
{
	judge_abuse(h, "disk0");
	uint8_t sector[1024];
	bool same = pread(h->disk_fd, sector, sizeof(sector), 8 * 512) == sizeof(sector);
	for (unsigned i = 0; same && i < sizeof(sector); i++)
		same = sector[i] == (uint8_t)(i * 31 + 7);
	verdict(h, "the image holds what the guest wrote", same);
	verdict(h, "and nothing beyond it",
	        all_zero(h->disk_fd, 64 << 10, (4u << 20) - (64u << 10)));
	verdict(h, "the image has its size", lseek(h->disk_fd, 0, SEEK_END) == 4 << 20);
	verdict(h, "the read-only image is untouched", all_zero(h->read_only_fd, 0, 1u << 20));
	(void)close(h->disk_fd);
	(void)close(h->read_only_fd);
}

static bool prepare_rng(struct guest_host *h)
{
	if (!vmm_rng_add)
		return absent(h);
	const vmm_rng_opts_t rng = VMM_RNG_OPTS_INIT;
	guest_host_need(h, "vmm_rng_add", vmm_rng_add(h->vm, &rng));
	return true;
}

static void judge_rng(struct guest_host *h)
{
	judge_abuse(h, "rng");
}

static void judge_ioeventfd(struct guest_host *h)
{
	at_least(h, "kicks arrived", h->stats.virtio_kicks, 1);
	verdict(h, "without exits: fewer than 500 for more than 1000 kicks",
	        h->stats.exits[KVM_EXIT_MMIO] < 500);
}

static bool prepare_balloon(struct guest_host *h)
{
	if (!vmm_balloon_add)
		return absent(h);
	const vmm_balloon_opts_t balloon = VMM_BALLOON_OPTS_INIT;
	guest_host_need(h, "vmm_balloon_add", vmm_balloon_add(h->vm, &balloon, &h->balloon));
	return true;
}

static void judge_balloon(struct guest_host *h)
{
	judge_abuse(h, "balloon");
	vmm_balloon_stats_t stats = {.struct_size = sizeof(stats)};
	guest_host_need(h, "vmm_balloon_stats", vmm_balloon_stats(h->balloon, &stats));
	at_least(h, "bytes went back to the host", stats.discarded, 8 * 4096);
}

/* Somebody reads the console: the port waits for a reader that does not. */
static void tick_console(struct guest_host *h)
{
	char text[4096];
	for (ssize_t n; (n = read(h->console_fd, text, sizeof(text))) > 0;) {
		size_t room = sizeof(h->console_text) - h->console_len;
		size_t kept = (size_t)n < room ? (size_t)n : room;
		memcpy(h->console_text + h->console_len, text, kept);
		h->console_len += kept;
	}
}

/* Two ports: a console whose output comes back through a pipe, and a plain one. */
static bool prepare_console(struct guest_host *h)
{
	if (!vmm_console_add)
		return absent(h);
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		guest_host_need(h, "pipe2", VMM_E_IO);
	h->console_fd = ends[0];
	const vmm_console_port_opts_t ports[] = {
	        {.chardev = {.kind = VMM_CHARDEV_FD, .in_fd = -1, .out_fd = ends[1]},
	         .is_console = true},
	        {.chardev = {.kind = VMM_CHARDEV_NULL, .in_fd = -1, .out_fd = -1}, .name = "plain"},
	};
	vmm_console_opts_t console = VMM_CONSOLE_OPTS_INIT;
	console.ports = ports;
	console.port_count = 2;
	guest_host_need(h, "vmm_console_add", vmm_console_add(h->vm, &console, NULL));
	(void)close(ends[1]);
	h->tick = tick_console;
	return true;
}

static void judge_console(struct guest_host *h)
{
	judge_abuse(h, "console0");
	tick_console(h);
	static const char expected[] = "text from the guest\n";
	const size_t len = sizeof(expected) - 1;
	verdict(h, "the guest's text came out",
	        h->console_len >= len && memcmp(h->console_text, expected, len) == 0);
	(void)close(h->console_fd);
}

static void judge_net(struct guest_host *h)
{
	judge_abuse(h, "net0");
	(void)close(h->packet_fd);
}

static void judge_pci(struct guest_host *h)
{
	at_least(h, "broken rules are counted", h->stats.guest_errors, 20);
}

static void judge_pio(struct guest_host *h)
{
	/* 6 counted accesses, 2 register tests, 1 write, a thousand round trips. */
	verdict(h, "the device saw every access once", h->port_count == 6 + 2 + 1 + 2000);
	verdict(h, "nothing went unclaimed", h->stats.unclaimed == 0);
}

static void judge_mmio(struct guest_host *h)
{
	verdict(h, "the last value is in the device", h->mmio_echo[0] == 0x7f);
	verdict(h, "what crossed the device's end was unclaimed", h->stats.unclaimed == 2);
}

static void judge_unclaimed(struct guest_host *h)
{
	verdict(h, "each of the 16 accesses to nothing is counted", h->stats.unclaimed == 16);
}

static void judge_msi(struct guest_host *h)
{
	verdict(h, "every message was taken", h->msi_failures == 0);
	verdict(h, "a message to a CPU that is not there is an error or dropped",
	        vmm_msi_send(h->vm, 0xfee00000ull | 77u << 12, 0x44) != VMM_E_STATE);
}

static void judge_emulation(struct guest_host *h)
{
	const vmm_event_t *e = guest_host_end(h);
	if (e->kind == VMM_EVENT_DEBUG_EXIT)
		return; /* hardware: the guest went on */
	verdict(h, "the event shows the instruction's bytes", strstr(e->text, "f3 48 0f b8 c0"));
	verdict(h, "and says what that means here", strstr(e->text, "hardware KVM"));
	verdict(h, "sub-error 1", e->code == KVM_INTERNAL_ERROR_EMULATION);
}

static void judge_triple_fault(struct guest_host *h)
{
	/* What RIP is then, SVM leaves undefined: KVM resets the vCPU. */
	verdict(h, "the event tells where", strstr(guest_host_end(h)->text, "at RIP 0x"));
}

static void judge_reset(struct guest_host *h)
{
	verdict(h, "two resets, then the end",
	        h->event_count == 3 && h->event[0].kind == VMM_EVENT_RESET &&
	                h->event[1].kind == VMM_EVENT_RESET && !h->event[0].final);
	verdict(h, "both are counted", h->stats.resets == 2);
}

static const struct guest_case cases[] = {
        {.name = "hello", .seconds = 20},
        {.name = "pio", .seconds = 20, .judge = judge_pio},
        {.name = "mmio", .seconds = 20, .judge = judge_mmio},
        {.name = "string-io", .seconds = 20},
        {.name = "unclaimed", .seconds = 20, .judge = judge_unclaimed},
        {.name = "irq", .seconds = 60},
        {.name = "msi", .seconds = 30, .judge = judge_msi},
        {.name = "hlt-wake", .seconds = 30},
        {.name = "timer", .seconds = 60},
        {.name = "smp", .seconds = 60, .cpus = 4},
        {.name = "power-off", .seconds = 20, .end = VMM_EVENT_POWER_OFF},
        {.name = "reset", .seconds = 30, .judge = judge_reset},
        {.name = "triple-fault",
         .seconds = 20,
         .end = VMM_EVENT_TRIPLE_FAULT,
         .judge = judge_triple_fault},
        {.name = "emulation",
         .seconds = 20,
         .end = VMM_EVENT_INTERNAL_ERROR,
         .judge = judge_emulation},
        {.name = "ioeventfd", .seconds = 30, .prepare = prepare_rng, .judge = judge_ioeventfd},
        {.name = "virtio-balloon",
         .seconds = 100,
         .prepare = prepare_balloon,
         .judge = judge_balloon},
        {.name = "virtio-blk", .seconds = 100, .prepare = prepare_blk, .judge = judge_blk},
        {.name = "virtio-blk-threads",
         .seconds = 100,
         .prepare = prepare_blk_threads,
         .judge = judge_blk},
        {.name = "virtio-console",
         .seconds = 100,
         .prepare = prepare_console,
         .judge = judge_console},
        {.name = "virtio-rng", .seconds = 100, .prepare = prepare_rng, .judge = judge_rng},
        {.name = "virtio-pci",
         .seconds = 100,
         .transport = VMM_TRANSPORT_PCI,
         .prepare = prepare_rng,
         .judge = judge_pci},
        {.name = "virtio-net", .seconds = 100, .prepare = prepare_net, .judge = judge_net},
};

/* The guest's own verdicts, with its name in front. */
static unsigned guest_verdicts(const struct guest_host *h)
{
	unsigned passes = 0;
	for (const char *line = h->text; *line;) {
		size_t n = strcspn(line, "\n");
		bool pass = strncmp(line, "PASS ", 5) == 0;
		bool fail = strncmp(line, "FAIL ", 5) == 0;
		if (pass || fail || strncmp(line, "SKIP ", 5) == 0)
			(void)printf("%.5s%s: %.*s\n", line, h->name, (int)n - 5, line + 5);
		else
			(void)printf("%s| %.*s\n", h->name, (int)n, line);
		passes += pass;
		failures += fail;
		line += n + (line[n] == '\n');
	}
	return passes;
}

static bool ended_well(const struct guest_case *c, const vmm_event_t *e, unsigned passes)
{
	if (!e || !e->final)
		return false;
	if (c->end && e->kind == c->end)
		return true;
	/* A guest that expects KVM to fail may also find hardware that does not. */
	return (!c->end || c->end == VMM_EVENT_INTERNAL_ERROR) && e->kind == VMM_EVENT_DEBUG_EXIT &&
	       e->code == 0 && (passes || strcmp(c->name, "hello") == 0);
}

static int run(const struct guest_case *c, const char *path)
{
	static struct guest_host h;
	guest_host_open(&h, c->name, path, c->cpus ? c->cpus : 1, c->transport);
	if (c->prepare && !c->prepare(&h)) {
		guest_host_close(&h);
		return 77;
	}
	guest_host_run(&h, c->seconds);
	unsigned passes = guest_verdicts(&h);
	const vmm_event_t *e = guest_host_end(&h);
	bool well = ended_well(c, e, passes);
	verdict(&h, "ended as it should", well);
	if (!well)
		(void)printf("%s| %s, event %d code %u: %s\n", h.name,
		             h.timed_out ? "time is up" : "ended", e ? e->kind : 0, e ? e->code : 0,
		             e ? e->text : "none");
	else if (c->judge)
		c->judge(&h);
	if (failures)
		(void)printf("%s", h.log);
	guest_host_close(&h);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		(void)fprintf(stderr, "usage: it_guests FILE NAME\n");
		return EXIT_FAILURE;
	}
	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		(void)printf("SKIP %s: /dev/kvm is missing or not permitted\n", argv[2]);
		return 77;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (strcmp(cases[i].name, argv[2]) == 0)
			return run(&cases[i], argv[1]);
	(void)printf("FAIL %s: no such case\n", argv[2]);
	return EXIT_FAILURE;
}
