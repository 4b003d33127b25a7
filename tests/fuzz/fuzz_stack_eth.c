/* Hostile frames into a stack on Ethernet, as --net user has it and the guest kernel: ARP,
 * neighbour discovery, router advertisements, redirects, group membership, and what IP carries
 * there. Input: records of a length byte pair and a frame; lengths of 0xff.. let time pass, those
 * of 0xfe.. keep the stack busy with what it wants itself. The last byte says how the interface is.
 * Frames to nobody in particular are sent to the stack, and their checksums fixed up. */
#include <stdint.h>
#include <string.h>

#include "../unit/stack/rig.h"
#include "net/stack/priv.h"

#define ETH    14u
#define FRAMES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 1};

static void inject(struct rig *r, uint8_t *f, uint32_t len)
{
	if (len < ETH)
		return;
	if (!(f[0] & 1))
		memcpy(f, own_mac, sizeof(own_mac));
	unsigned type = get_be16(f + 12);
	if (type == 0x86dd && len >= ETH + 40)
		put_be16(f + ETH + 4, (uint16_t)(len - ETH - 40));
	if (type == 0x0800 || type == 0x86dd)
		fix_csums(f + ETH, len - ETH);
	struct pkt *p = pkt_from(r->h[0].st, f, len);
	if (p)
		net_input(r->h[0].nif, p);
	net_poll(r->h[0].st);
}

/* Groups come and go, many neighbours are asked for at once. */
static void busy(struct rig *r, struct net_sock *s, unsigned how)
{
	static const char *const groups[] = {"239.1.2.3", "ff05::1:3", "224.0.0.1", "ff02::fb"};
	for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct net_addr g = ip(groups[i]);
		(void)net_join(s, &g, net_if_index(r->h[0].nif), how & 1);
	}
	for (unsigned i = 0; how & 2 && i < NEIGH_MAX + 8; i++) {
		struct net_endpoint to = {.addr = addr_v4(0x0a000064u + i % 150), .port = 9};
		if (i >= 150) {
			to.addr = ip("fd00::");
			put_be16(to.addr.b + 14, (uint16_t)(0x100 + i));
		}
		(void)net_send(s, "x", 1, 0, &to);
	}
	for (unsigned i = 0; how & 4 && i < 8; i++) {
		struct net_endpoint to = ep("10.0.0.99", 9);
		(void)net_send(s, "x", 1, 0, &to);
	}
	net_poll(r->h[0].st);
}

/* Something to look up, so that there are neighbours to be spoofed. */
static void send_somewhere(struct net_sock *s)
{
	static const char *const where[] = {"10.0.0.2", "fd00::2", "192.0.2.1", "2001:db8::1"};
	for (unsigned i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		struct net_endpoint to = ep(where[i], 9);
		(void)net_send(s, "x", 1, 0, &to);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = size ? data[--size] : 0;
	const struct rig_opts o = {.crafted = true,
	                           .ether = true,
	                           .cfg = {.temp_addrs = how & 2},
	                           .if_flags = how & 1 ? NET_IF_NO_DAD : 0};
	struct rig *r = rig_new(&o);
	struct net_sock *s = NULL;
	rig_run(r, 5 * SEC);
	if (net_socket(r->h[0].st, NET_DGRAM, &s) == 0)
		send_somewhere(s);
	drop_out(r);
	size_t at = 0;
	for (unsigned n = 0; n < FRAMES && size - at >= 2; n++) {
		uint8_t f[2048];
		uint32_t len = get_be16(data + at);
		at += 2;
		if (len >= 0xfe00) {
			if (len >= 0xff00)
				rig_run(r, (len & 0xff) * SEC);
			else if (s)
				busy(r, s, len & 7);
			if (s)
				send_somewhere(s);
			drop_out(r);
			continue;
		}
		len %= sizeof(f);
		if (len > size - at)
			len = (uint32_t)(size - at);
		memcpy(f, data + at, len);
		at += len;
		inject(r, f, len);
		drop_out(r);
	}
	if (s)
		net_close(s);
	rig_run(r, 200 * SEC);
	rig_free(r);
	return 0;
}
