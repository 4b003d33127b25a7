/* Packet capture. See capture.h. */
#include "guest-kernel/net/capture.h"

#include "guest-kernel/core/memory.h"
#include "guest-kernel/core/timer.h"
#include "net/stack/stack.h"

#define MAGIC_NS      0xa1b23c4du
#define LINK_ETHERNET 1u
#define FILE_HEADER   24u
#define FRAME_HEADER  16u

static void put32(struct capture *c, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		c->file[c->len++] = (uint8_t)(v >> (8 * i));
}

bool capture_start(struct capture *c, size_t cap)
{
	if (cap < FILE_HEADER || cap > CAPTURE_BYTES_MAX)
		return false;
	capture_drop(c);
	c->file = mem_alloc(cap);
	if (!c->file)
		return false;
	c->cap = cap;
	put32(c, MAGIC_NS);
	put32(c, 2 | 4u << 16); /* version 2.4 */
	put32(c, 0);
	put32(c, 0);
	put32(c, CAPTURE_SNAP);
	put32(c, LINK_ETHERNET);
	c->on = true;
	return true;
}

void capture_drop(struct capture *c)
{
	mem_free(c->file);
	*c = (struct capture){0};
}

void capture_frame(struct capture *c, const struct pkt *p, uint64_t wall_ns)
{
	uint32_t keep = p->len < CAPTURE_SNAP ? p->len : CAPTURE_SNAP;
	if (!c->on)
		return;
	if (c->cap - c->len < FRAME_HEADER + keep) {
		c->missed++;
		return;
	}
	put32(c, (uint32_t)(wall_ns / NS_PER_S));
	put32(c, (uint32_t)(wall_ns % NS_PER_S));
	put32(c, keep);
	put32(c, p->len);
	(void)pkt_read(p, 0, c->file + c->len, keep);
	c->len += keep;
	c->frames++;
}
