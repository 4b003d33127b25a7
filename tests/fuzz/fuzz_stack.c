/* Hostile packets into a stack with a listener, a connection, a UDP socket and fragments under way.
 * Input: records of a length byte pair and a packet; lengths of 0xff.. let time pass. Checksums are
 * fixed up, and sequence numbers that are small are taken relative to the connection's. */
#include <stdint.h>
#include <string.h>

#include "../unit/stack/rig.h"
#include "net/stack/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void relative(uint8_t *p, uint32_t len, const struct peer *c)
{
	if (len < 40 || p[0] != 0x45 || p[9] != 6)
		return;
	if (get_be32(p + 24) < 0x20000)
		put_be32(p + 24, c->seq - 0x8000 + get_be32(p + 24));
	if (get_be32(p + 28) < 0x20000)
		put_be32(p + 28, c->ack - 0x8000 + get_be32(p + 28));
}

static void use_sockets(const struct peer *c)
{
	static uint8_t buf[4096];
	(void)net_recv(c->s, buf, sizeof(buf), 0, NULL);
	(void)net_send(c->s, buf, 700, 0, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_opts o = {.crafted = true};
	struct rig *r = rig_new(&o);
	struct peer c;
	peer_connect(
	        &c, r,
	        &(struct peer_opts){
	                .ts = size & 1, .accecn = size & 2, .sack = true, .ws = 7, .wnd = 500});
	struct net_sock *l, *u;
	struct net_endpoint any = {.port = 80};
	if (net_socket(r->h[0].st, NET_STREAM, &l) == 0 && net_bind(l, &any) == 0)
		(void)net_listen(l, 3);
	any.port = 53;
	if (net_socket(r->h[0].st, NET_DGRAM, &u) == 0)
		(void)net_bind(u, &any);
	size_t at = 0;
	for (unsigned n = 0; n < 64 && size - at >= 2; n++) {
		uint32_t len = get_be16(data + at);
		at += 2;
		if (len >= 0xff00) {
			rig_run(r, (len & 0xff) * 20 * MS);
			use_sockets(&c);
			drop_out(r);
			continue;
		}
		uint8_t p[2048];
		len = len % sizeof(p);
		if (len > size - at)
			len = (uint32_t)(size - at);
		memcpy(p, data + at, len);
		at += len;
		relative(p, len, &c);
		fix_csums(p, len);
		if (len)
			inject_ip(r, p, len);
		drop_out(r);
	}
	use_sockets(&c);
	net_close(c.s);
	rig_run(r, 200 * SEC);
	rig_free(r);
	return 0;
}
