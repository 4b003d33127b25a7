/*
 * A packet capture: frames as they pass the cards, kept in memory as a pcap file (the format of
 * tcpdump, little-endian, nanoseconds), until it is full. Used under the network's mutex.
 */
#ifndef GK_NET_CAPTURE_H
#define GK_NET_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTURE_BYTES_MAX (1u << 20)
#define CAPTURE_SNAP      512u /* bytes kept of a frame */

struct pkt;

struct capture {
	uint8_t *file; /* NULL: there is none */
	size_t cap, len;
	bool on;
	uint64_t frames, missed;
};

/* A new one, of at most CAP bytes. False: no memory, or CAP is out of range. */
bool capture_start(struct capture *c, size_t cap);
/* Frees it. */
void capture_drop(struct capture *c);
/* Called for every frame. */
void capture_frame(struct capture *c, const struct pkt *p, uint64_t wall_ns);

#endif
