/* Hostile frames into a stack on Ethernet, as --net user has it and the guest kernel: ARP,
 * neighbour discovery, router advertisements, redirects, group membership, and what IP carries
 * there. Input: records of a length byte pair and a frame; lengths of 0xff.. let time pass. Frames
 * to nobody in particular are sent to the stack, and their checksums fixed up. */
#include <stdint.h>
#include <string.h>

#include "../unit/stack/rig.h"
#include "net/stack/priv.h"

#define ETH    14u
#define FRAMES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 1};

/* RFC 8200, 8.1, of an ICMPv6 message without extension headers. */
static void fix_icmp6(uint8_t *p, uint32_t len)
{
	if (len < 44 || p[0] >> 4 != 6 || p[6] != 58)
		return;
	uint32_t payload = len - 40;
	put_be16(p + 4, (uint16_t)payload);
	put_be16(p + 42, 0);
	uint32_t sum = payload + 58;
	for (uint32_t i = 8; i + 1 < len; i += 2)
		sum += get_be16(p + i);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put_be16(p + 42, (uint16_t)~sum);
}

static void inject(struct rig *r, uint8_t *f, uint32_t len)
{
	if (len < ETH)
		return;
	if (!(f[0] & 1))
		memcpy(f, own_mac, sizeof(own_mac));
	unsigned type = get_be16(f + 12);
	if (type == 0x0800)
		fix_csums(f + ETH, len - ETH);
	else if (type == 0x86dd)
		fix_icmp6(f + ETH, len - ETH);
	struct pkt *p = pkt_from(r->h[0].st, f, len);
	if (p)
		net_input(r->h[0].nif, p);
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
	const struct rig_opts o = {
	        .crafted = true, .ether = true, .if_flags = size & 1 ? NET_IF_NO_DAD : 0};
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
		if (len >= 0xff00) {
			rig_run(r, (len & 0xff) * SEC);
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
