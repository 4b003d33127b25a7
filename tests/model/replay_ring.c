/*
 * Replays a run of ring.pml on ring.c: standard input has the lines that `spin -T -DREPLAY` prints.
 * The driver's side is played here, the device's is the real one; what each call answers, and what
 * it leaves in the rings, has to be what the model says. Both count modulo 8; here the indices
 * begin shortly before they wrap.
 */
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio/ring.h"

#define SIZE       2u
#define WRAP       8u
#define FIRST      (65536u - WRAP)
#define DESC_ADDR  0x1000u
#define AVAIL_ADDR 0x2000u
#define USED_ADDR  0x3000u
#define DATA_ADDR  0x10000u
#define LINE_MAX   80

struct replay {
	struct ring r;
	bool events;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t kicked_idx; /* the driver's available index at its last decision */
	uint16_t last_used;
	unsigned steps;
};

static volatile uint16_t *used_event(struct replay *p)
{
	return &p->avail->ring[SIZE];
}

static volatile uint16_t *avail_event(struct replay *p)
{
	return (volatile uint16_t *)&p->used->ring[SIZE];
}

static void start(struct replay *p, struct gmem *gm)
{
	struct vring_desc *desc = gmem_at(gm, (struct gpa){DESC_ADDR}, sizeof(*desc) * SIZE);
	p->avail = gmem_at(gm, (struct gpa){AVAIL_ADDR}, 6 + 2 * SIZE);
	p->used = gmem_at(gm, (struct gpa){USED_ADDR}, 6 + 8 * SIZE);
	for (unsigned i = 0; i < SIZE; i++)
		desc[i] = (struct vring_desc){DATA_ADDR + 16 * i, 16, VRING_DESC_F_WRITE, 0};
	p->r = (struct ring){.size = SIZE,
	                     .ready = true,
	                     .desc_addr = {DESC_ADDR},
	                     .avail_addr = {AVAIL_ADDR},
	                     .used_addr = {USED_ADDR}};
	if (!ring_start(&p->r, gm, p->events, false))
		abort();
	p->r.last_avail = p->r.next_used = FIRST;
	p->r.published_used = p->r.signalled_used = FIRST;
	p->avail->idx = p->used->idx = FIRST;
	p->kicked_idx = p->last_used = FIRST;
	if (p->events)
		*used_event(p) = *avail_event(p) = FIRST;
}

/* The driver offers chain ID, and is to notify the device, or not. */
static bool offer(struct replay *p, unsigned id, unsigned kicks)
{
	p->avail->ring[p->avail->idx % SIZE] = (uint16_t)id;
	p->avail->idx++;
	bool wanted = p->events ? vring_need_event(*avail_event(p), p->avail->idx, p->kicked_idx)
	                        : !(p->used->flags & VRING_USED_F_NO_NOTIFY);
	p->kicked_idx = p->avail->idx;
	return wanted == kicks;
}

static bool take_used(struct replay *p, unsigned id, unsigned index)
{
	if (p->used->idx == p->last_used || p->used->ring[p->last_used % SIZE].id != id)
		return false;
	return ++p->last_used % WRAP == index;
}

static bool rearm(struct replay *p)
{
	if (p->events)
		*used_event(p) = p->last_used;
	else
		p->avail->flags = 0;
	return true;
}

static bool pop(struct replay *p, unsigned id, unsigned index)
{
	struct iovec iov[SIZE];
	struct ring_chain chain;
	return ring_pop(&p->r, &chain, iov, SIZE) == RING_OK && chain.head == id &&
	       chain.write_bytes == 16 && p->r.last_avail % WRAP == index;
}

static bool is_empty(struct replay *p, unsigned index)
{
	struct iovec iov[SIZE];
	struct ring_chain chain;
	return ring_pop(&p->r, &chain, iov, SIZE) == RING_EMPTY && p->r.last_avail % WRAP == index;
}

static bool push(struct replay *p, unsigned id, unsigned index)
{
	uint16_t before = p->used->idx;
	ring_push(&p->r, (uint16_t)id, 0);
	return p->r.next_used % WRAP == index && p->used->idx == before;
}

static bool enable(struct replay *p, unsigned more, unsigned index)
{
	return ring_kick_enable(&p->r) == more && (!p->events || *avail_event(p) % WRAP == index);
}

static bool publish(struct replay *p, unsigned interrupts, unsigned index)
{
	return ring_publish(&p->r) == interrupts && p->used->idx % WRAP == index;
}

static bool step(struct replay *p, const char *what, unsigned a, unsigned b)
{
	p->steps++;
	if (strcmp(what, "offer") == 0)
		return offer(p, a, b);
	if (strcmp(what, "used") == 0)
		return take_used(p, a, b);
	if (strcmp(what, "rearm") == 0)
		return rearm(p);
	if (strcmp(what, "mute") == 0)
		return p->avail->flags = VRING_AVAIL_F_NO_INTERRUPT, true;
	if (strcmp(what, "disable") == 0)
		return ring_kick_disable(&p->r), true;
	if (strcmp(what, "pop") == 0)
		return pop(p, a, b);
	if (strcmp(what, "empty") == 0)
		return is_empty(p, b);
	if (strcmp(what, "push") == 0)
		return push(p, a, b);
	if (strcmp(what, "enable") == 0)
		return enable(p, a, b);
	return strcmp(what, "publish") == 0 && publish(p, a, b);
}

/* Returns false where the code and the model part. */
static bool replay(struct replay *p)
{
	char line[LINE_MAX], what[16];
	unsigned a, b;
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, " replay %15s %u %u", what, &a, &b) !=
		    3) /* NOLINT(cert-err34-c) */
			continue;
		if (!step(p, what, a, b)) {
			(void)fprintf(stderr, "step %u: ring.c does not do '%s %u %u'\n", p->steps,
			              what, a, b);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct gmem_opts memory = {.size_bytes = 1u << 20, .fd = -1};
	struct gmem *gm;
	vmm_err_info_t ei;
	if (argc != 3 || gmem_create(&memory, &gm, &ei) != VMM_OK) {
		(void)fprintf(stderr, "usage: replay_ring EVENTS CHAINS <TRACE\n");
		return 2;
	}
	struct replay p = {.events = argv[1][0] == '1'};
	start(&p, gm);
	bool good = replay(&p);
	/* All of it was played, to the end. */
	unsigned chains = (uint16_t)(p.last_used - FIRST);
	if (good && chains != (unsigned)atoi(argv[2])) { /* NOLINT(cert-err34-c) */
		(void)fprintf(stderr, "the trace ends after %u chains\n", chains);
		good = false;
	}
	gmem_destroy(gm);
	return good ? 0 : 1;
}
