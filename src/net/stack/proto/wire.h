/*
 * Offsets and numbers of the headers on the wire. Headers are read from copies with get_be16 and
 * get_be32 at these offsets, never through structures laid over a packet.
 */
#ifndef NET_STACK_PROTO_WIRE_H
#define NET_STACK_PROTO_WIRE_H

/* Ethernet II, IEEE 802.1Q */
#define ETH_HLEN     14u
#define ETH_VLAN_LEN 4u
#define ETH_IP4      0x0800u
#define ETH_ARP      0x0806u
#define ETH_VLAN     0x8100u
#define ETH_IP6      0x86ddu

/* ARP for IPv4 over Ethernet (RFC 826) */
#define ARP_LEN     28u
#define ARP_OP      6u
#define ARP_SHA     8u
#define ARP_SPA     14u
#define ARP_THA     18u
#define ARP_TPA     24u
#define ARP_REQUEST 1u
#define ARP_REPLY   2u

/* IPv4 (RFC 791) */
#define IP4_HLEN    20u
#define IP4_TOS     1u
#define IP4_TOTLEN  2u
#define IP4_ID      4u
#define IP4_FRAG    6u
#define IP4_TTL     8u
#define IP4_PROTO   9u
#define IP4_CSUM    10u
#define IP4_SRC     12u
#define IP4_DST     16u
#define IP4_DF      0x4000u
#define IP4_MF      0x2000u
#define IP4_OFFMASK 0x1fffu

/* IPv6 (RFC 8200) */
#define IP6_HLEN       40u
#define IP6_PLEN       4u
#define IP6_NEXT       6u
#define IP6_HOPS       7u
#define IP6_SRC        8u
#define IP6_DST        24u
#define IP6_MIN_MTU    1280u

#define PROTO_HOPOPTS  0u
#define PROTO_ICMP     1u
#define PROTO_IGMP     2u
#define PROTO_TCP      6u
#define PROTO_UDP      17u
#define PROTO_ROUTING  43u
#define PROTO_FRAGMENT 44u
#define PROTO_ICMP6    58u
#define PROTO_NONE     59u
#define PROTO_DSTOPTS  60u

#define ECN_MASK       3u
#define ECN_ECT1       1u
#define ECN_ECT0       2u
#define ECN_CE         3u

/* ICMP (RFC 792, 1191) and ICMPv6 (RFC 4443, 4861) */
#define ICMP_HLEN        8u
#define ICMP_ECHO_REPLY  0u
#define ICMP_UNREACH     3u
#define ICMP_UNR_PROTO   2u
#define ICMP_UNR_PORT    3u
#define ICMP_UNR_FRAG    4u
#define ICMP_REDIRECT    5u
#define ICMP_ECHO        8u
#define ICMP_TIME        11u
#define ICMP_PARAM       12u
#define ICMP6_UNREACH    1u
#define ICMP6_TOOBIG     2u
#define ICMP6_TIME       3u
#define ICMP6_PARAM      4u
#define ICMP6_ECHO       128u
#define ICMP6_ECHO_REPLY 129u
#define ICMP6_MLD_QUERY  130u
#define ICMP6_RS         133u
#define ICMP6_RA         134u
#define ICMP6_NS         135u
#define ICMP6_NA         136u
#define ICMP6_REDIRECT   137u
#define ICMP6_MLD2       143u

/* UDP (RFC 768) */
#define UDP_HLEN 8u
#define UDP_CSUM 6u

/* TCP (RFC 9293) */
#define TCP_HLEN        20u
#define TCP_SEQ         4u
#define TCP_ACKNO       8u
#define TCP_OFF         12u
#define TCP_FLAGS       13u
#define TCP_WND         14u
#define TCP_CSUM        16u
#define TCP_UP          18u

#define TCP_FIN         0x01u
#define TCP_SYN         0x02u
#define TCP_RST         0x04u
#define TCP_PSH         0x08u
#define TCP_ACK         0x10u
#define TCP_URG         0x20u
#define TCP_ECE         0x40u
#define TCP_CWR         0x80u
#define TCP_AE          0x100u /* in the byte before: flags are read with it as 16 bits */
#define TCP_ACE         0x1c0u /* AE, CWR and ECE as one number (RFC 9768) */
#define TCP_ACE_SHIFT   6u

#define TCPOPT_EOL      0u
#define TCPOPT_NOP      1u
#define TCPOPT_MSS      2u
#define TCPOPT_WSCALE   3u
#define TCPOPT_SACKPERM 4u
#define TCPOPT_SACK     5u
#define TCPOPT_TS       8u
#define TCPOPT_UTO      28u
#define TCPOPT_ACCECN0  172u
#define TCPOPT_ACCECN1  174u

#endif
