/* Hostile packets into a stack with a listener, connections, a UDP socket, a ping and fragments
 * under way. Input: two bytes that say how the stack is, then records of a length byte pair and a
 * packet; lengths of 0xff.. let time pass, those of 0xfe.. use a socket. Checksums are fixed up,
 * and sequence numbers that are small are taken relative to the connection's. */
#include <stdint.h>
#include <string.h>

#include "../unit/stack/rig.h"
#include "net/stack/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte. */
#define WITH_TS      1u
#define WITH_FIN     2u /* we have closed our half of the connection */
#define WITH_FILTER  4u
#define WITH_ANY     8u  /* every address is ours, and echoes are answered by the owner */
#define WITH_LITTLE  16u /* buffers and fragments have little room */
#define WITH_UTO     32u
#define WITH_ECN     64u  /* accurate, if the second byte is odd */
#define WITH_STARVED 128u /* after some allocations there is no memory, until time passes */

#define ACTIVE_PORT  1u /* of a packet: it is for the connection that we open */

struct sockets {
	struct peer c;
	struct net_sock *listener, *udp, *active, *ping;
	uint16_t active_port;
	uint32_t active_iss;
};

static void relative(uint8_t *p, uint32_t len, const struct sockets *s)
{
	if (len < 40 || p[0] != 0x45 || p[9] != 6)
		return;
	bool active = get_be16(p + 22) == ACTIVE_PORT;
	if (active)
		put_be16(p + 22, s->active_port);
	if (get_be32(p + 24) < 0x20000 && !active)
		put_be32(p + 24, s->c.seq - 0x8000 + get_be32(p + 24));
	if (get_be32(p + 28) < 0x20000)
		put_be32(p + 28,
		         (active ? s->active_iss + 1 : s->c.ack) - 0x8000 + get_be32(p + 28));
}

static bool filter(void *ctx, struct net_if *nif, const struct net_flow *flow)
{
	(void)ctx, (void)nif;
	return flow->dport != 81;
}

static void on_echo(void *ctx, struct net_if *nif, const struct net_addr *src,
                    const struct net_addr *dst, uint16_t id, uint16_t seq, struct pkt *payload)
{
	(void)ctx;
	uint8_t byte = 0;
	(void)net_echo_reply(nif, dst, src, id, seq, &byte, 1);
	pkt_free(payload);
}

static struct net_sock *open_socket(struct rig *r, enum net_sock_type type, unsigned port)
{
	struct net_sock *s = NULL;
	const struct net_endpoint any = {.port = (uint16_t)port};
	if (net_socket(r->h[0].st, type, &s) == 0 && port)
		(void)net_bind(s, &any);
	return s;
}

/* Its SYN says what an answer has to be like. */
static void open_active(struct rig *r, struct sockets *s, uint8_t how)
{
	static struct tseg syn;
	struct net_endpoint to = ep("10.0.0.2", 90);
	drop_out(r);
	s->active = open_socket(r, NET_STREAM, 0);
	if (how & WITH_UTO)
		(void)net_set(s->active, NET_TCP_UTO, 200);
	(void)net_connect(s->active, &to);
	net_poll(r->h[0].st);
	if (!take(r, &syn))
		return;
	s->active_port = syn.sport;
	s->active_iss = syn.seq;
}

static void open_sockets(struct rig *r, struct sockets *s, uint8_t how, bool accurate)
{
	struct net_endpoint to6 = ep("fd00::2", 9);
	const struct peer_opts po = {.ts = how & WITH_TS,
	                             .sack = true,
	                             .ecn = (how & WITH_ECN) && !accurate,
	                             .accecn = (how & WITH_ECN) && accurate,
	                             .ws = 7,
	                             .wnd = 500};
	*s = (struct sockets){0};
	peer_connect(&s->c, r, &po);
	s->listener = open_socket(r, NET_STREAM, 80);
	(void)net_listen(s->listener, 3);
	s->udp = open_socket(r, NET_DGRAM, 53);
	(void)net_send(s->udp, "x", 1, 0, &to6);
	s->ping = open_socket(r, NET_PING, 7);
	(void)net_send(s->ping, "x", 1, 0, &to6);
	open_active(r, s, how);
	if (how & WITH_FIN)
		(void)net_shutdown(s->c.s, NET_SHUT_WR);
	rig_run(r, 0);
}

static void use_socket(struct rig *r, struct sockets *s, unsigned what)
{
	static uint8_t buf[4096];
	struct net_sock *accepted;
	struct net_sock **at = what & 8 ? &s->active : &s->c.s, *x = *at;
	if (!x)
		return;
	switch (what & 7) {
	case 0:
		(void)net_recv(x, buf, sizeof(buf), 0, NULL);
		break;
	case 1:
		(void)net_send(x, buf, 700, what & 16 ? NET_MSG_OOB : 0, NULL);
		break;
	case 2:
		(void)net_shutdown(x, NET_SHUT_WR);
		break;
	case 3:
		if (net_accept(s->listener, &accepted, NULL) == 0)
			net_close(accepted);
		break;
	case 4:
		(void)net_recv(s->udp, buf, sizeof(buf), 0, NULL);
		(void)net_recv(s->ping, buf, sizeof(buf), 0, NULL);
		break;
	case 5:
		net_if_set_link(r->h[0].nif, what & 8);
		break;
	case 6:
		(void)net_set(x, NET_TCP_UTO, what);
		break;
	default: /* what comes now is for nobody */
		net_close(x);
		*at = NULL;
		break;
	}
	net_poll(r->h[0].st);
}

static void inject(struct rig *r, const uint8_t *packet, uint32_t len)
{
	struct pkt *p = pkt_from(r->h[0].st, packet, len);
	if (p)
		net_input(r->h[0].nif, p);
	net_poll(r->h[0].st);
}

/* What the rig and the sanitizers see is what counts. */
static void play(struct rig *r, struct sockets *s, const uint8_t *data, size_t size)
{
	size_t at = 0;
	for (unsigned n = 0; n < 64 && size - at >= 2; n++) {
		uint8_t p[2048];
		uint32_t len = get_be16(data + at);
		at += 2;
		if (len >= 0xff00) {
			r->h[0].fail_after = 0;
			rig_run(r, (len & 0xff) * 20 * MS);
			use_socket(r, s, 0);
			use_socket(r, s, 1);
		} else if (len >= 0xfe00) {
			use_socket(r, s, len & 0x1f);
		} else {
			len %= sizeof(p);
			if (len > size - at)
				len = (uint32_t)(size - at);
			memcpy(p, data + at, len);
			at += len;
			relative(p, len, s);
			fix_csums(p, len);
			if (len)
				inject(r, p, len);
		}
		drop_out(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	uint8_t how = data[0];
	struct net_ops ops = *rig_ops();
	ops.filter = filter;
	struct rig_opts o = {.crafted = true,
	                     .if_flags = how & WITH_ANY ? NET_IF_ANY_ADDR : 0,
	                     .cfg = {.ops = how & WITH_FILTER ? &ops : NULL,
	                             .tcp_rcvbuf = how & WITH_LITTLE ? 4096 : 0,
	                             .tcp_rcvbuf_max = how & WITH_LITTLE ? 16384 : 0,
	                             .frag_mem_max = how & WITH_LITTLE ? 4096 : 0}};
	struct rig *r = rig_new(&o);
	struct sockets s;
	if (how & WITH_ANY)
		net_if_on_echo(r->h[0].nif, on_echo, NULL);
	open_sockets(r, &s, how, data[1] & 1);
	drop_out(r);
	r->h[0].fail_after = how & WITH_STARVED ? 1 + data[1] : 0;
	play(r, &s, data + 2, size - 2);
	r->h[0].fail_after = 0;
	use_socket(r, &s, 0);
	if (s.c.s)
		net_close(s.c.s);
	if (s.active)
		net_close(s.active);
	rig_run(r, 200 * SEC);
	rig_free(r);
	return 0;
}
