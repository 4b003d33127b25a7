/* Congestion control: a table of operations; TCP itself counts, recovers and undoes. */
#ifndef NET_STACK_CC_H
#define NET_STACK_CC_H

#include <stdbool.h>
#include <stdint.h>

struct tcp;

struct cc_ops {
	const char *name;
	void (*init)(struct tcp *t);
	/* The new ssthresh in bytes after a loss, or a mark where MARKED. */
	uint32_t (*ssthresh)(struct tcp *t, bool marked);
	/* ACKED bytes left the network while the window was in use; no recovery is going on. */
	void (*acked)(struct tcp *t, uint32_t acked, uint32_t rtt_us);
	/* A retransmission timeout, or an idle time, has ended the epoch. */
	void (*restart)(struct tcp *t);
	/* No fast recovery: on a loss, begin with one segment (Tahoe). */
	bool no_recovery;
};

const struct cc_ops *cc_find(const char *name);
/* Slow start up to ssthresh (RFC 5681, 3.1); returns the bytes left over. */
uint32_t cc_slow_start(struct tcp *t, uint32_t acked);
void cc_avoid(struct tcp *t, uint32_t per_window, uint32_t acked);

extern const struct cc_ops cc_reno, cc_newreno, cc_tahoe, cc_cubic;

/* State of the algorithms. */
struct cc_state {
	uint32_t count; /* bytes acknowledged towards the next segment */
	/* CUBIC */
	uint32_t w_max, origin, k_ms, w_est, est_count;
	uint64_t epoch_ns;
	/* HyStart++ */
	uint32_t round_end, last_min_us, now_min_us, base_min_us;
	uint16_t samples;
	uint8_t css_rounds;
	bool css, hystart_done;
};

#endif
