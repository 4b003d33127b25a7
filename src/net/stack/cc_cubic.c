/*
 * CUBIC (RFC 9438) with HyStart++ (RFC 9406). Windows in bytes, times in ms; no floating point:
 * C = 0.4 and beta = 0.7 are fractions of 1024.
 */
#include "net/stack/tcp.h"

#define BETA              717u /* 0.7 */
#define ALPHA_NUM         542u /* 3 (1 - beta) / (1 + beta) = 0.529 */
#define MIN_RTT_THRESH_US 4000u
#define MAX_RTT_THRESH_US 16000u
#define N_RTT_SAMPLE      8u
#define CSS_GROWTH_DIV    4u
#define CSS_ROUNDS        5u

static uint32_t cube_root(uint64_t x)
{
	uint64_t r = 0;
	for (int s = 60; s >= 0; s -= 3) {
		r += r;
		uint64_t b = 3 * r * (r + 1) + 1;
		if (x >> s >= b) {
			x -= b << s;
			r++;
		}
	}
	return (uint32_t)r;
}

static void cubic_init(struct tcp *t)
{
	t->ccs = (struct cc_state){
	        .round_end = t->snd_nxt, .last_min_us = UINT32_MAX, .now_min_us = UINT32_MAX};
}

static uint32_t cubic_ssthresh(struct tcp *t, bool marked)
{
	struct cc_state *c = &t->ccs;
	(void)marked;
	c->epoch_ns = 0;
	c->hystart_done = true;
	/* Fast convergence (RFC 9438, 4.7). */
	if (t->cwnd < c->w_max)
		c->w_max = (uint32_t)((uint64_t)t->cwnd * (1024 + BETA) / 2048);
	else
		c->w_max = t->cwnd;
	return (uint32_t)((uint64_t)t->cwnd * BETA / 1024);
}

static void cubic_restart(struct tcp *t)
{
	t->ccs.epoch_ns = 0;
	t->ccs.est_count = 0;
}

/* A new epoch of congestion avoidance (4.2, 4.8). */
static void begin_epoch(struct tcp *t)
{
	struct cc_state *c = &t->ccs;
	c->epoch_ns = t->s.st->now ? t->s.st->now : 1;
	c->w_est = t->cwnd;
	c->est_count = 0;
	if (t->cwnd >= c->w_max) {
		c->k_ms = 0;
		c->origin = t->cwnd;
		return;
	}
	/* K = cbrt((W_max - cwnd) / C) seconds, windows in segments. In ms: the cube is 10^9. */
	uint64_t segs1024 = (uint64_t)(c->w_max - t->cwnd) * 1024 / t->mss;
	uint64_t cube = segs1024 * 2500000 / 1024 * 1000;
	c->k_ms = cube_root(cube);
	c->origin = c->w_max;
}

/* W_cubic(t) in bytes (figure 1). */
static uint32_t w_cubic(const struct tcp *t, uint64_t ms)
{
	const struct cc_state *c = &t->ccs;
	int64_t d = (int64_t)min_u64(ms, 1000000) - (int64_t)c->k_ms;
	uint64_t a = (uint64_t)(d < 0 ? -d : d);
	if (a > 200000)
		a = 200000;
	/* C * d^3 in thousandths of a segment, then in bytes. */
	uint64_t milli = a * a / 1000 * a * 4 / 10000;
	uint64_t bytes = milli * t->mss / 1000;
	if (d < 0)
		return c->origin > bytes ? (uint32_t)(c->origin - bytes) : t->mss;
	return (uint32_t)min_u64(c->origin + bytes, 0x7fffffff);
}

static void avoid(struct tcp *t, uint32_t acked, uint32_t rtt_us)
{
	struct cc_state *c = &t->ccs;
	if (!c->epoch_ns)
		begin_epoch(t);
	uint64_t ms = (t->s.st->now - c->epoch_ns) / NS_PER_MS;
	uint32_t rtt_ms = (t->srtt_us ? t->srtt_us : rtt_us) / 1000;
	uint32_t target = w_cubic(t, ms + rtt_ms);
	target = min_u32(target, t->cwnd + t->cwnd / 2);
	/* The Reno-friendly window (4.3): alpha segments for each window acknowledged. */
	uint32_t alpha = c->w_est >= c->w_max ? 1024 : ALPHA_NUM;
	c->est_count += (uint32_t)((uint64_t)acked * alpha / 1024);
	if (c->est_count >= t->cwnd) {
		c->est_count -= t->cwnd;
		c->w_est += t->mss;
	}
	if (c->w_est > target)
		target = c->w_est;
	if (target > t->cwnd) { /* (target - cwnd) / cwnd for each segment */
		uint64_t per = (uint64_t)t->cwnd * t->mss / (target - t->cwnd);
		per = min_u64(max_u64(per, 2u * t->mss), TCP_INFINITE);
		cc_avoid(t, (uint32_t)per, acked);
	} else {
		cc_avoid(t, 100 * (t->cwnd / t->mss + 1) * t->mss, acked);
	}
}

/* ---- HyStart++ ---- */

static void end_of_round(struct tcp *t)
{
	struct cc_state *c = &t->ccs;
	c->last_min_us = c->now_min_us;
	c->now_min_us = UINT32_MAX;
	c->samples = 0;
	c->round_end = t->snd_nxt;
	if (c->css && ++c->css_rounds >= CSS_ROUNDS) {
		t->ssthresh = t->cwnd;
		c->hystart_done = true;
	}
}

static void watch_delay(struct tcp *t, uint32_t rtt_us)
{
	struct cc_state *c = &t->ccs;
	if (!rtt_us)
		return;
	c->now_min_us = min_u32(c->now_min_us, rtt_us);
	c->samples++;
	if (c->samples < N_RTT_SAMPLE || c->now_min_us == UINT32_MAX)
		return;
	if (c->css) {
		if (c->now_min_us < c->base_min_us) { /* it was no queue after all */
			c->css = false;
			c->base_min_us = UINT32_MAX;
		}
		return;
	}
	if (c->last_min_us == UINT32_MAX)
		return;
	uint32_t thresh =
	        min_u32(max_u32(c->last_min_us / 8, MIN_RTT_THRESH_US), MAX_RTT_THRESH_US);
	if (c->now_min_us >= c->last_min_us + thresh) {
		c->base_min_us = c->now_min_us;
		c->css = true;
		c->css_rounds = 0;
	}
}

static void cubic_acked(struct tcp *t, uint32_t acked, uint32_t rtt_us)
{
	struct cc_state *c = &t->ccs;
	if (t->cwnd < t->ssthresh) {
		if (!c->hystart_done) {
			watch_delay(t, rtt_us);
			if (seq_le(c->round_end, t->snd_una))
				end_of_round(t);
		}
		if (t->cwnd < t->ssthresh) {
			uint32_t n = c->css && !c->hystart_done ? acked / CSS_GROWTH_DIV : acked;
			uint32_t left = cc_slow_start(t, n);
			acked = n == acked ? left : 0;
		}
	}
	if (acked && t->cwnd >= t->ssthresh)
		avoid(t, acked, rtt_us);
}

const struct cc_ops cc_cubic = {"cubic",     cubic_init,    cubic_ssthresh,
                                cubic_acked, cubic_restart, false};
