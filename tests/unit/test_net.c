/* virtio-net: reception, transmission, link, life, hostile chains. Commands: test_net_ctrl.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net_rig.h"
#include "suite.h"
#include "virtual_clock.h"
#include "vmm/clock.h"

#define F(bit) (1ull << VIRTIO_NET_F_##bit)
#define MRG    F(MRG_RXBUF)
#define BUF    1536u

static struct rig rig;

static void setup(void)
{
	rig_open(&rig, 1, 256, true);
}

static void teardown(void)
{
	virtual_clock_stop();
	rig_close(&rig);
	ck_assert_uint_eq(rig.destroyed, 1);
}

/* COUNT receive buffers of LEN bytes each, one after the other in memory. */
static void add_buffers(unsigned first, unsigned count, uint32_t len)
{
	for (unsigned i = first; i < first + count; i++) {
		struct seg s = {RIG_DATA + i * len, len, true};
		(void)rig_add(&rig, 0, &s, 1);
	}
}

/* The frame in memory from ADDR on, buffers in a row, is LEN bytes of SEED. */
static void expect_frame(uint64_t addr, uint32_t len, uint8_t seed, uint16_t num_buffers)
{
	const uint8_t *p = rig_mem(&rig, addr, RIG_HDR + len);
	ck_assert_uint_eq(p[10] | p[11] << 8, num_buffers);
	for (uint32_t i = 0; i < len; i++)
		if (p[RIG_HDR + i] != rig_byte(i, seed))
			ck_abort_msg("byte %u of the frame is wrong", i);
}

START_TEST(receives_into_one_buffer)
{
	uint16_t head;
	uint32_t len;
	rig_start(&rig, _i ? MRG : 0);
	add_buffers(0, 4, BUF);
	rig_kick(&rig, 0);
	ck_assert(!rig_used(&rig, 0, &head, &len));
	rig_inject(&rig, 0, 60, 1);
	rig_inject(&rig, 0, 1514, 2);
	rig_run(&rig);
	ck_assert(rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(head, 0);
	ck_assert_uint_eq(len, RIG_HDR + 60);
	ck_assert(rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(head, 1);
	ck_assert_uint_eq(len, RIG_HDR + 1514);
	ck_assert(!rig_used(&rig, 0, &head, &len));
	expect_frame(RIG_DATA, 60, 1, 1);
	expect_frame(RIG_DATA + BUF, 1514, 2, 1);
	ck_assert_uint_eq(net_stats(rig.net).rx_frames, 2);
	ck_assert_uint_eq(net_stats(rig.net).rx_bytes, 1574);
}
END_TEST

/* The first large frame goes through the stash, the second one straight into the buffers. */
START_TEST(merges_buffers)
{
	const uint32_t size = 65000;
	unsigned per_frame = (RIG_HDR + size + BUF - 1) / BUF;
	rig_start(&rig, MRG | F(GUEST_CSUM) | F(GUEST_TSO4));
	ck_assert_uint_eq(rig.be->offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
	add_buffers(0, 200, BUF);
	rig_kick(&rig, 0);
	unsigned at = 0;
	for (uint8_t round = 0; round < 3; round++) {
		rig_inject(&rig, 0, size, round);
		rig_run(&rig);
		expect_frame(RIG_DATA + at * BUF, size, round, (uint16_t)per_frame);
		for (unsigned i = 0; i < per_frame; i++) {
			uint16_t head;
			uint32_t len;
			uint32_t last = RIG_HDR + size - (per_frame - 1) * BUF;
			ck_assert(rig_used(&rig, 0, &head, &len));
			ck_assert_uint_eq(head, at + i);
			ck_assert_uint_eq(len, i + 1 < per_frame ? BUF : last);
		}
		at += per_frame;
	}
	ck_assert_uint_eq(net_stats(rig.net).rx_frames, 3);
	ck_assert_uint_eq(net_stats(rig.net).rx_dropped, 0);
}
END_TEST

/* Frames of all sizes in turn, through a ring that wraps several times. */
START_TEST(merges_many_sizes)
{
	rig_start(&rig, MRG);
	uint32_t size = 60;
	unsigned slot = 0; /* the buffer that the next frame starts in */
	add_buffers(0, 256, BUF);
	rig_kick(&rig, 0);
	for (unsigned n = 0; n < 400; n++) {
		size = (size * 13 + 977) % 30000 + 60;
		unsigned need = (RIG_HDR + size + BUF - 1) / BUF;
		rig_inject(&rig, 0, size, (uint8_t)n);
		rig_run(&rig);
		uint32_t got = 0;
		for (unsigned i = 0; i < need; i++) {
			uint16_t head;
			uint32_t len;
			ck_assert(rig_used(&rig, 0, &head, &len));
			ck_assert_uint_eq(head, slot % 256);
			const uint8_t *p = rig_mem(&rig, RIG_DATA + head * BUF, BUF);
			if (i == 0)
				ck_assert_uint_eq(p[10] | p[11] << 8, need);
			for (uint32_t b = i ? 0 : RIG_HDR; b < len; b++)
				if (p[b] != rig_byte(got + b - RIG_HDR, (uint8_t)n))
					ck_abort_msg("frame %u, byte %u", n, got + b);
			got += len;
			struct seg s = {RIG_DATA + head * BUF, BUF, true};
			ck_assert_uint_eq(rig_add(&rig, 0, &s, 1), head);
			slot++;
		}
		ck_assert_uint_eq(got, RIG_HDR + size);
		rig_kick(&rig, 0);
	}
	ck_assert_uint_eq(net_stats(rig.net).rx_dropped, 0);
}
END_TEST

START_TEST(splits_the_header_over_segments)
{
	struct seg s[] = {{RIG_DATA, 5, true}, {RIG_DATA + 5, 6, true}, {RIG_DATA + 11, 600, true}};
	uint16_t head;
	uint32_t len;
	rig_start(&rig, MRG);
	(void)rig_add(&rig, 0, s, 3);
	rig_inject(&rig, 0, 599, 9);
	rig_kick(&rig, 0);
	ck_assert(rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(len, RIG_HDR + 599);
	expect_frame(RIG_DATA, 599, 9, 1);
}
END_TEST

START_TEST(drops_what_does_not_fit_without_merging)
{
	uint16_t head;
	uint32_t len;
	rig_start(&rig, 0);
	add_buffers(0, 3, 200);
	rig_inject(&rig, 0, 189, 1); /* one byte too long */
	rig_inject(&rig, 0, 188, 2); /* fills the buffer */
	rig_kick(&rig, 0);
	ck_assert(rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(head, 0);
	ck_assert_uint_eq(len, 200);
	expect_frame(RIG_DATA, 188, 2, 1);
	ck_assert(!rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(net_stats(rig.net).rx_dropped, 1);
}
END_TEST

START_TEST(waits_for_buffers)
{
	uint16_t head;
	uint32_t len;
	rig_start(&rig, MRG);
	rig_inject(&rig, 0, 4000, 3);
	rig_run(&rig);
	ck_assert(!rig_used(&rig, 0, &head, &len));
	/* One of the three buffers that it takes: still waiting, and nothing is lost. */
	add_buffers(0, 1, BUF);
	rig_kick(&rig, 0);
	ck_assert(!rig_used(&rig, 0, &head, &len));
	add_buffers(1, 2, BUF);
	rig_kick(&rig, 0);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(rig_used(&rig, 0, &head, &len));
	expect_frame(RIG_DATA, 4000, 3, 3);
	ck_assert_uint_eq(net_stats(rig.net).rx_dropped, 0);
}
END_TEST

START_TEST(drops_a_frame_larger_than_the_ring)
{
	uint16_t head;
	uint32_t len;
	rig_close(&rig);
	rig_open(&rig, 1, 4, true);
	rig_start(&rig, MRG);
	add_buffers(0, 4, 100);
	rig_inject(&rig, 0, 400, 1);
	rig_inject(&rig, 0, 300, 2);
	rig_kick(&rig, 0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert(rig_used(&rig, 0, &head, &len));
	expect_frame(RIG_DATA, 300, 2, 4);
	ck_assert_uint_eq(net_stats(rig.net).rx_dropped, 1);
}
END_TEST

START_TEST(asks_for_a_kick_only_when_starved)
{
	rig_start(&rig, MRG | 1ull << VIRTIO_RING_F_EVENT_IDX);
	volatile uint16_t *avail_event = (uint16_t *)&rig_used_ring(&rig, 0)->ring[256];
	add_buffers(0, 8, BUF);
	rig_kick(&rig, 0);
	uint16_t before = *avail_event;
	for (unsigned i = 0; i < 7; i++)
		rig_inject(&rig, 0, 100, 0);
	rig_run(&rig);
	ck_assert_uint_eq(*avail_event, before);
	rig_inject(&rig, 0, 100, 0);
	rig_inject(&rig, 0, 100, 0);
	rig_run(&rig);
	ck_assert_uint_eq(*avail_event, 8);
	ck_assert_uint_eq(net_stats(rig.net).rx_frames, 8);
}
END_TEST

/*
 * What comes at once is told with few interrupts: one for the first frame, then for bursts of a
 * growing size, and at the latest after each batch.
 */
START_TEST(receives_in_bursts)
{
	rig_start(&rig, MRG);
	add_buffers(0, 256, BUF);
	for (unsigned i = 0; i < 200; i++)
		rig_inject(&rig, 0, 100, (uint8_t)i);
	rig_kick(&rig, 0);
	ck_assert_uint_eq(net_stats(rig.net).rx_frames, 200);
	/* 1, 2, 4, 8, 16, then 32 of each burst of 32, 64 and the rest */
	ck_assert_uint_ge(rig.used_signals[0], 8);
	ck_assert_uint_le(rig.used_signals[0], 12);
}
END_TEST

/* An answer that is there when a frame was sent shares its interrupt. */
START_TEST(receives_after_sending)
{
	uint16_t head;
	uint32_t len;
	rig_start(&rig, MRG);
	add_buffers(0, 4, BUF);
	rig_kick(&rig, 0);
	rig.vd->one_line = true;
	memset(rig.used_signals, 0, sizeof(rig.used_signals));
	struct seg s = {RIG_DATA + 0x10000, RIG_HDR + 60, false};
	(void)rig_add(&rig, 1, &s, 1);
	rig_inject(&rig, 0, 60, 1);
	vdev_kick(rig.vd, 1);
	ck_assert(rig_used(&rig, 0, &head, &len));
	ck_assert(rig_used(&rig, 1, &head, &len));
	ck_assert_uint_eq(rig.used_signals[0] + rig.used_signals[1], 1);
}
END_TEST

/* Frames that nobody takes do not keep the loop busy: no buffers, no driver, no cable. */
START_TEST(does_not_spin)
{
	rig_start(&rig, MRG);
	rig_inject(&rig, 0, 60, 1);
	rig_run(&rig);
	ck_assert_uint_eq(rig.net->pair[0].watched, 0);
	add_buffers(0, 4, BUF);
	rig_kick(&rig, 0);
	ck_assert_uint_eq(net_stats(rig.net).rx_frames, 1);
	ck_assert_uint_ne(rig.net->pair[0].watched, 0);
	vmm_net_set_link(rig.net, false);
	rig_run(&rig);
	ck_assert_uint_eq(rig.net->pair[0].watched, 0);
	vmm_net_set_link(rig.net, true);
	rig_run(&rig);
	ck_assert_uint_ne(rig.net->pair[0].watched, 0);
	rig_reset(&rig);
	rig_inject(&rig, 0, 60, 1);
	rig_run(&rig);
	ck_assert_uint_eq(rig.net->pair[0].watched, 0);
}
END_TEST

static void stop_queue(unsigned q)
{
	(void)pthread_mutex_lock(&rig.vd->lock);
	vdev_stop_queue(rig.vd, q);
	(void)pthread_mutex_unlock(&rig.vd->lock);
	rig_run(&rig);
}

/* A queue that the driver takes back: its buffers are not written, and the loop rests. */
START_TEST(stops_a_queue)
{
	uint16_t head;
	uint32_t len;
	rig_start(&rig, MRG);
	add_buffers(0, 4, BUF);
	rig_inject(&rig, 0, 60, 1);
	rig_kick(&rig, 0);
	ck_assert(rig_used(&rig, 0, &head, &len));
	stop_queue(0);
	ck_assert_uint_eq(rig.net->pair[0].watched, 0);
	uint64_t frames = net_stats(rig.net).rx_frames;
	rig_inject(&rig, 0, 60, 1);
	rig_kick(&rig, 0);
	ck_assert(!rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(net_stats(rig.net).rx_frames, frames);
	ck_assert_uint_eq(rig.net->pair[0].watched, 0);
	/* The other direction goes on. */
	uint8_t got[128];
	struct seg s = {RIG_DATA + 0x10000, RIG_HDR + 60, false};
	memset(rig_mem(&rig, s.addr, s.len), 0, s.len);
	(void)rig_add(&rig, 1, &s, 1);
	rig_kick(&rig, 1);
	ck_assert_int_eq(rig_sent(&rig, 0, got, sizeof(got)), (int)s.len);
	stop_queue(1);
	(void)rig_add(&rig, 1, &s, 1);
	rig_kick(&rig, 1);
	ck_assert_int_eq(rig_sent(&rig, 0, got, sizeof(got)), -1);
	stop_queue(2); /* control */
	rig_reset(&rig);
	rig_start(&rig, MRG);
	add_buffers(0, 4, BUF);
	rig_inject(&rig, 0, 60, 1);
	rig_kick(&rig, 0);
	ck_assert(rig_used(&rig, 0, &head, &len));
}
END_TEST

static void send_frame(uint64_t addr, uint32_t len, uint8_t seed)
{
	uint8_t *p = rig_mem(&rig, addr, RIG_HDR + len);
	memset(p, 0, RIG_HDR);
	for (uint32_t i = 0; i < len; i++)
		p[RIG_HDR + i] = rig_byte(i, seed);
}

START_TEST(transmits)
{
	static uint8_t got[70000];
	uint16_t head;
	uint32_t len;
	const uint32_t size = 65000;
	rig_start(&rig, F(CSUM) | F(HOST_TSO4));
	send_frame(RIG_DATA, size, 5);
	/* Header and data cut where the driver likes. */
	struct seg s[] = {{RIG_DATA, 7, false},
	                  {RIG_DATA + 7, 20, false},
	                  {RIG_DATA + 27, RIG_HDR + size - 27, false}};
	(void)rig_add(&rig, 1, s, 3);
	rig_kick(&rig, 1);
	ck_assert(rig_used(&rig, 1, &head, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(rig_sent(&rig, 0, got, sizeof(got)), (int)(RIG_HDR + size));
	ck_assert_mem_eq(got, rig_mem(&rig, RIG_DATA, RIG_HDR + size), RIG_HDR + size);
	ck_assert_uint_eq(net_stats(rig.net).tx_frames, 1);
	ck_assert_uint_eq(net_stats(rig.net).tx_bytes, size);
}
END_TEST

START_TEST(transmits_more_than_a_budget)
{
	uint8_t got[2000];
	unsigned sent = 0;
	rig_start(&rig, 0);
	send_frame(RIG_DATA, 100, 5);
	struct seg s = {RIG_DATA, RIG_HDR + 100, false};
	for (unsigned i = 0; i < 250; i++)
		(void)rig_add(&rig, 1, &s, 1);
	rig_kick(&rig, 1);
	/* The socket holds fewer: the card waits for room, and loses nothing. */
	for (unsigned i = 0; i < 250; i++) {
		while (rig_sent(&rig, 0, got, sizeof(got)) == (int)(RIG_HDR + 100))
			sent++;
		rig_run(&rig);
	}
	ck_assert_uint_eq(sent, 250);
	ck_assert_uint_eq(net_stats(rig.net).tx_frames, 250);
	ck_assert_uint_eq(net_stats(rig.net).tx_dropped, 0);
}
END_TEST

START_TEST(refuses_malformed_frames)
{
	uint8_t got[64];
	uint16_t head;
	uint32_t len;
	const struct seg cases[][2] = {
	        {{RIG_DATA, RIG_HDR - 1, false}, {0, 0, false}},       /* no whole header */
	        {{RIG_DATA, RIG_HDR, false}, {0, 0, false}},           /* no frame */
	        {{RIG_DATA, NET_FRAME_MAX + 1, false}, {0, 0, false}}, /* too long */
	        {{RIG_DATA, 100, false}, {RIG_DATA, 100, true}},       /* writable part */
	        {{RIG_DATA, 100, true}, {0, 0, false}},
	};
	rig_start(&rig, 0);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)rig_add(&rig, 1, cases[i], cases[i][1].len ? 2 : 1);
		rig_kick(&rig, 1);
		ck_assert_msg(rig_used(&rig, 1, &head, &len), "case %u", i);
		ck_assert_int_eq(rig_sent(&rig, 0, got, sizeof(got)), -1);
		ck_assert_uint_eq(net_stats(rig.net).tx_dropped, i + 1);
		ck_assert_uint_eq(rig.vd->stats.guest_errors, i + 1);
	}
	ck_assert(!(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET));
}
END_TEST

/* Rings that break the rules: the card stops, says so once, and works again after a reset. */
START_TEST(survives_hostile_rings)
{
	unsigned q = _i & 1;
	uint16_t head;
	uint32_t len;
	rig_start(&rig, MRG);
	struct seg good = {RIG_DATA, BUF, q == 0};
	(void)rig_add(&rig, q, &good, 1);
	struct vring_desc *d = rig_desc(&rig, q);
	switch (_i / 2) {
	case 0: /* loop */
		d[0].flags |= VRING_DESC_F_NEXT;
		d[0].next = 0;
		break;
	case 1:
		d[0].addr = RIG_MEMORY - 4;
		break;
	case 2:
		rig_avail(&rig, q)->ring[0] = 999;
		break;
	case 3:
		rig_avail(&rig, q)->idx = 5000;
		break;
	default: /* not the card's to write, or too small for a header */
		d[0].flags = q ? VRING_DESC_F_INDIRECT : 0;
		break;
	}
	rig_inject(&rig, 0, 100, 1);
	rig_kick(&rig, q);
	ck_assert(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert(!rig_used(&rig, q, &head, &len));
	rig_inject(&rig, 0, 100, 1);
	rig_kick(&rig, q);
	ck_assert_uint_eq(rig.config_signals, 1);
	rig_reset(&rig);
	rig_start(&rig, MRG);
	add_buffers(0, 1, BUF);
	rig_kick(&rig, 0);
	rig_inject(&rig, 0, 77, 1);
	rig_run(&rig);
	ck_assert(rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(len, RIG_HDR + 77);
}
END_TEST

/* A reset while buffers are held and a frame waits for more of them. */
START_TEST(resets_while_busy)
{
	uint16_t head;
	uint32_t len;
	rig_start(&rig, MRG);
	add_buffers(0, 2, BUF);
	rig_inject(&rig, 0, 9000, 1);
	rig_kick(&rig, 0);
	ck_assert_uint_ne(rig.net->pair[0].rx.pending, 0);
	struct seg s = {RIG_DATA, RIG_HDR + 100, false};
	for (unsigned i = 0; i < 200; i++)
		(void)rig_add(&rig, 1, &s, 1);
	vdev_kick(rig.vd, 1); /* has posted the rest of its work */
	rig_reset(&rig);
	memset(rig_mem(&rig, RIG_DATA, 2 * BUF), 0x55, 2 * BUF);
	rig_inject(&rig, 0, 300, 2);
	rig_run(&rig);
	const uint8_t *p = rig_mem(&rig, RIG_DATA, 2 * BUF);
	for (unsigned i = 0; i < 2 * BUF; i++)
		ck_assert_uint_eq(p[i], 0x55);
	ck_assert_uint_eq(rig.be->offloads, 0);
	/* What came before the driver was there is not for it. */
	rig_start(&rig, MRG);
	add_buffers(0, 2, BUF);
	rig_kick(&rig, 0);
	ck_assert(!rig_used(&rig, 0, &head, &len));
	rig_inject(&rig, 0, 301, 3);
	rig_run(&rig);
	ck_assert(rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(len, RIG_HDR + 301);
}
END_TEST

START_TEST(link_goes_down_and_up)
{
	uint8_t got[256];
	uint16_t head;
	uint32_t len;
	rig_start(&rig, MRG | F(STATUS));
	add_buffers(0, 4, BUF);
	rig_kick(&rig, 0);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 6, 2), VIRTIO_NET_S_LINK_UP);
	uint32_t generation = rig.vd->config_generation;
	vmm_net_set_link(rig.net, false);
	vmm_net_set_link(rig.net, false);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 6, 2), 0);
	ck_assert_uint_eq(rig.vd->config_generation, generation + 1);
	ck_assert_uint_eq(rig.config_signals, 1);
	ck_assert(!rig.be->link);
	/* Unplugged: nothing comes in, nothing goes out, the driver gets its frames back. */
	rig_inject(&rig, 0, 100, 1);
	struct seg s = {RIG_DATA + 0x10000, RIG_HDR + 60, false};
	(void)rig_add(&rig, 1, &s, 1);
	rig_kick(&rig, 1);
	ck_assert(rig_used(&rig, 1, &head, &len));
	ck_assert(!rig_used(&rig, 0, &head, &len));
	ck_assert_int_eq(rig_sent(&rig, 0, got, sizeof(got)), -1);
	vmm_net_set_link(rig.net, true);
	ck_assert(rig.be->link);
	rig_inject(&rig, 0, 101, 1);
	rig_run(&rig);
	ck_assert(rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(len, RIG_HDR + 101);
	(void)rig_add(&rig, 1, &s, 1);
	rig_kick(&rig, 1);
	ck_assert_int_eq(rig_sent(&rig, 0, got, sizeof(got)), (int)(RIG_HDR + 60));
}
END_TEST

/* The far end is gone for good: said once, and no busy loop. To the guest the cable is unplugged.
 */
START_TEST(reports_a_dead_backend_once)
{
	uint16_t head;
	uint32_t len;
	rig_start(&rig, MRG | F(STATUS));
	add_buffers(0, 4, BUF);
	rig_kick(&rig, 0);
	(void)close(rig.be->peer[0]);
	rig.be->peer[0] = -1;
	rig_run(&rig);
	rig_run(&rig);
	ck_assert_uint_eq(rig.lines, 1);
	ck_assert(!rig.net->work.queued);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 6, 2), 0);
	ck_assert_uint_eq(rig.config_signals, 1);
	/* Nobody can plug it in again, and the driver gets its frames back. */
	vmm_net_set_link(rig.net, true);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 6, 2), 0);
	struct seg s = {RIG_DATA + 0x10000, RIG_HDR + 60, false};
	(void)rig_add(&rig, 1, &s, 1);
	rig_kick(&rig, 1);
	ck_assert(rig_used(&rig, 1, &head, &len));
	ck_assert_uint_eq(rig.lines, 1);
}
END_TEST

START_TEST(offers_no_offloads_when_told_so)
{
	uint64_t offloads = F(CSUM) | F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(HOST_TSO4) |
	                    F(HOST_TSO6) | F(CTRL_GUEST_OFFLOADS) | F(HOST_ECN) | F(GUEST_ECN);
	ck_assert_uint_eq(vdev_offered(rig.vd) & offloads, offloads);
	ck_assert_uint_eq(vdev_offered(rig.vd) & F(MQ), 0);
	rig_close(&rig);
	rig_open(&rig, 2, 256, false);
	ck_assert_uint_eq(vdev_offered(rig.vd) & offloads, 0);
	ck_assert_uint_ne(vdev_offered(rig.vd) & F(MQ), 0);
	/* mac, status, max_virtqueue_pairs, mtu */
	ck_assert_uint_eq(vdev_config_read(rig.vd, 0, 4), 2);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 8, 2), 2);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 10, 2), 1500);
}
END_TEST

START_TEST(derives_stable_addresses)
{
	uint8_t a[6];
	uint8_t b[6];
	net_derive_mac("web", 0, a);
	net_derive_mac("web", 0, b);
	ck_assert_mem_eq(a, b, 6);
	ck_assert_uint_eq(a[0] & 3, 2);
	net_derive_mac("web", 1, b);
	ck_assert_mem_ne(a, b, 6);
	net_derive_mac("web1", 0, b);
	ck_assert_mem_ne(a, b, 6);
}
END_TEST

#define RATE_FRAME 1000u

static void flood_turn(void)
{
	static uint8_t frame[RIG_HDR + RATE_FRAME], got[RIG_HDR + RATE_FRAME];
	static unsigned filled, offered; /* chains that the card has */
	uint16_t head;
	uint32_t len;
	for (; filled < 200; filled++)
		add_buffers(filled, 1, BUF);
	for (; offered < 200; offered++) {
		struct seg s = {RIG_DATA + 0x100000, RIG_HDR + RATE_FRAME, false};
		(void)rig_add(&rig, 1, &s, 1);
	}
	while (write(rig.be->peer[0], frame, sizeof(frame)) > 0)
		;
	vdev_kick(rig.vd, 0);
	vdev_kick(rig.vd, 1);
	loop_run_once(rig.loop, 2);
	while (rig_used(&rig, 0, &head, &len))
		filled--;
	while (rig_used(&rig, 1, &head, &len))
		offered--;
	while (rig_sent(&rig, 0, got, sizeof(got)) >= 0)
		;
}

/* The driver offers frames to send and buffers to fill, and the far end frames, as many as there is
 * room for: for a second, in the middle of which nothing happens for PAUSE_NS. */
static void flood(uint64_t pause_ns)
{
	uint64_t start = clock_now_ns();
	while (clock_now_ns() < start + NS_PER_SECOND / 2)
		flood_turn();
	virtual_clock_pass(pause_ns);
	while (clock_now_ns() < start + NS_PER_SECOND)
		flood_turn();
}

static void within(uint64_t got, uint64_t wanted)
{
	ck_assert_uint_ge(got, wanted * 99 / 100);
	ck_assert_uint_le(got, wanted * 101 / 100);
}

/* Each direction has a limit of its own; what a busy machine delays comes out of the burst. */
START_TEST(keeps_to_its_rates)
{
	vmm_rate_t rx = VMM_RATE_INIT, tx = VMM_RATE_INIT;
	vmm_err_info_t ei;
	rig_start(&rig, MRG);
	rx.ops_burst = 1;
	ck_assert_int_eq(vmm_net_set_rate(rig.net, &rx, NULL, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "ops_burst");
	rx.ops_per_second = 2000;
	rx.ops_burst = 400;
	tx.bytes_per_second = 3000 * RATE_FRAME;
	tx.bytes_burst = 600 * RATE_FRAME;
	virtual_clock_start();
	ck_assert_int_eq(vmm_net_set_rate(rig.net, &rx, &tx, &ei), VMM_OK);
	struct net_stats before = {0}, s;
	static const unsigned pause_ms[] = {0, 190, 450}, percent[] = {100, 100, 75};
	for (unsigned i = 0; i < 3; i++) {
		flood(pause_ms[i] * NS_PER_MS);
		s = net_stats(rig.net);
		within(s.rx_frames - before.rx_frames, 20 * percent[i]);
		within(s.tx_frames - before.tx_frames, 30 * percent[i]);
		before = s;
	}
	ck_assert_uint_eq(s.rx_dropped + s.tx_dropped, 0);
	ck_assert_int_eq(vmm_net_set_rate(rig.net, NULL, NULL, NULL), VMM_OK);
	for (unsigned i = 0; i < 10; i++)
		flood_turn();
	ck_assert_uint_gt(net_stats(rig.net).rx_frames, s.rx_frames + 400);
	ck_assert_uint_gt(net_stats(rig.net).tx_frames, s.tx_frames + 600);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("net");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, receives_into_one_buffer, 0, 2);
	tcase_add_test(tc, merges_buffers);
	tcase_add_test(tc, merges_many_sizes);
	tcase_add_test(tc, splits_the_header_over_segments);
	tcase_add_test(tc, drops_what_does_not_fit_without_merging);
	tcase_add_test(tc, waits_for_buffers);
	tcase_add_test(tc, drops_a_frame_larger_than_the_ring);
	tcase_add_test(tc, asks_for_a_kick_only_when_starved);
	tcase_add_test(tc, receives_in_bursts);
	tcase_add_test(tc, receives_after_sending);
	tcase_add_test(tc, does_not_spin);
	tcase_add_test(tc, stops_a_queue);
	tcase_add_test(tc, transmits);
	tcase_add_test(tc, transmits_more_than_a_budget);
	tcase_add_test(tc, refuses_malformed_frames);
	tcase_add_loop_test(tc, survives_hostile_rings, 0, 10);
	tcase_add_test(tc, resets_while_busy);
	tcase_add_test(tc, link_goes_down_and_up);
	tcase_add_test(tc, reports_a_dead_backend_once);
	tcase_add_test(tc, offers_no_offloads_when_told_so);
	tcase_add_test(tc, derives_stable_addresses);
	tcase_add_test(tc, keeps_to_its_rates);
	return suite_run("net", tc);
}
