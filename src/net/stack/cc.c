/* Reno, NewReno and Tahoe (RFC 5681), and what all algorithms share. */
#include "net/stack/tcp.h"

uint32_t cc_slow_start(struct tcp *t, uint32_t acked)
{
	uint32_t room = t->ssthresh - t->cwnd, used = min_u32(acked, room);
	t->cwnd += used;
	return acked - used;
}

/* One segment for each PER_WINDOW bytes acknowledged (RFC 3465). */
void cc_avoid(struct tcp *t, uint32_t per_window, uint32_t acked)
{
	t->ccs.count += acked;
	if (per_window && t->ccs.count >= per_window) {
		uint32_t times = min_u32(t->ccs.count / per_window, acked / t->mss + 1);
		t->cwnd += times * t->mss;
		t->ccs.count %= per_window;
	}
}

static void reno_init(struct tcp *t)
{
	t->ccs = (struct cc_state){0};
}

static uint32_t reno_ssthresh(struct tcp *t, bool marked)
{
	(void)marked;
	t->ccs.count = 0;
	return t->cwnd / 2;
}

static void reno_acked(struct tcp *t, uint32_t acked, uint32_t rtt_us)
{
	(void)rtt_us;
	if (t->cwnd < t->ssthresh)
		acked = cc_slow_start(t, acked);
	if (acked)
		cc_avoid(t, t->cwnd, acked);
}

const struct cc_ops cc_reno = {"reno", reno_init, reno_ssthresh, reno_acked, NULL, false};
const struct cc_ops cc_newreno = {"newreno", reno_init, reno_ssthresh, reno_acked, NULL, false};
const struct cc_ops cc_tahoe = {"tahoe", reno_init, reno_ssthresh, reno_acked, NULL, true};

const struct cc_ops *cc_find(const char *name)
{
	static const struct cc_ops *const all[] = {&cc_cubic, &cc_reno, &cc_newreno, &cc_tahoe};
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const char *a = all[i]->name, *b = name;
		while (*a && *a == *b)
			a++, b++;
		if (*a == *b)
			return all[i];
	}
	return NULL;
}
