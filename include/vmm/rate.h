/* Rate limits of disks and network cards. */
#ifndef VMM_RATE_H
#define VMM_RATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VMM_RATE_MAX  (1ull << 40) /* of a rate: bytes or operations per second */
#define VMM_BURST_MAX (1ull << 32) /* of a burst: bytes or operations */

/*
 * Two token buckets. A bucket fills steadily, with so much per second, up to its burst; an
 * operation begins when both hold something and takes all that it costs out of them, also more than
 * they hold: what follows waits until that is made up for. So the average keeps to the rate
 * whatever the sizes are, and in any one second at most the rate, one burst and one operation pass.
 *
 * What waits stays in the guest's queue (or, to the guest, in the host's): nothing is dropped here.
 */
typedef struct vmm_rate {
	size_t struct_size;
	uint64_t bytes_per_second; /* up to VMM_RATE_MAX; 0: no limit */
	uint64_t bytes_burst;      /* up to VMM_BURST_MAX; 0: as much as comes in 10 ms */
	uint64_t ops_per_second;   /* requests, frames; as above */
	uint64_t ops_burst;
} vmm_rate_t;

#define VMM_RATE_INIT                             \
	{                                         \
		.struct_size = sizeof(vmm_rate_t) \
	}

#ifdef __cplusplus
}
#endif
#endif
