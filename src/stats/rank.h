/*
 * Whether two sets of samples differ: the Mann-Whitney U test (Mann, Whitney 1947), which assumes
 * no distribution, with the correction for ties and the normal approximation. Pure.
 */
#ifndef SRC_STATS_RANK_H
#define SRC_STATS_RANK_H

#include "summary.h"

struct rank_test {
	double u;      /* of A: pairs in which A is larger, ties half */
	double z;      /* with continuity correction; 0 if nothing differs */
	double p;      /* two-sided: how often chance alone does as much */
	double larger; /* U / (n * m): how often a sample of B is the smaller of a pair */
};

/* A and B in ascending order of value. With an empty one, or all values the same: p = 1. */
struct rank_test rank_test(const struct weighted *a, size_t na, const struct weighted *b,
                           size_t nb);

#endif
