/* ARP (RFC 826) with the conflict detection of RFC 5227. */
#include "net/stack/priv.h"

static void arp_send(struct net_if *nif, unsigned op, const struct net_addr *spa,
                     const struct net_addr *tpa, const uint8_t *tha, const uint8_t *to)
{
	static const uint8_t bcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct pkt *p = pkt_alloc(nif->st, PKT_ROOM);
	if (!p)
		return;
	uint8_t *h = pkt_push(p, ARP_LEN);
	mem_set(h, 0, ARP_LEN);
	put_be16(h, 1);
	put_be16(h + 2, ETH_IP4);
	h[4] = 6;
	h[5] = 4;
	put_be16(h + ARP_OP, op);
	mem_copy(h + ARP_SHA, nif->cfg.mac, 6);
	mem_copy(h + ARP_SPA, spa->b + 12, 4);
	if (tha)
		mem_copy(h + ARP_THA, tha, 6);
	mem_copy(h + ARP_TPA, tpa->b + 12, 4);
	if_send_eth(nif, p, to ? to : bcast, ETH_ARP);
}

void arp_request(struct net_if *nif, const struct net_addr *sender, const struct net_addr *target,
                 const uint8_t *unicast_to)
{
	arp_send(nif, ARP_REQUEST, sender, target, NULL, unicast_to);
}

static void arp_take(struct net_if *nif, const uint8_t *h)
{
	static const uint8_t nobody[6];
	unsigned op = get_be16(h + ARP_OP);
	const uint8_t *sha = h + ARP_SHA;
	struct net_addr spa = addr_v4_wire(h + ARP_SPA), tpa = addr_v4_wire(h + ARP_TPA);
	if ((sha[0] & 1) || mem_cmp(sha, nobody, 6) == 0 || addr_is_mcast(&spa) ||
	    addr_is_loopback(&spa) || mem_cmp(sha, nif->cfg.mac, 6) == 0)
		return;
	struct if_addr *mine = if_find_addr(nif, &spa);
	if (mine) {
		if_addr_conflict(nif, mine, true);
		return;
	}
	dhcp_conflict(nif, &spa);
	struct if_addr *asked = if_find_addr(nif, &tpa);
	/* Who probes is about to take the address (RFC 5227, 1.1): not one of everybody's, then. */
	bool ours = (asked && asked->state == ADDR_OK) ||
	            (nif->cfg.flags & NET_IF_ANY_ADDR && !addr_is_any(&spa));
	bool announced = addr_eq(&spa, &tpa);
	if (!addr_is_any(&spa))
		neigh_learn(nif, &spa, sha, op == ARP_REPLY && !announced && ours, true,
		            op == ARP_REQUEST && ours && !announced);
	if (op == ARP_REQUEST && ours && !announced)
		arp_send(nif, ARP_REPLY, &tpa, &spa, sha, sha);
}

void arp_input(struct net_if *nif, const struct pkt *p)
{
	uint8_t h[ARP_LEN];
	if (pkt_read(p, 0, h, sizeof(h)) && get_be16(h) == 1 && get_be16(h + 2) == ETH_IP4 &&
	    h[4] == 6 && h[5] == 4)
		arp_take(nif, h);
}
