/* The Mann-Whitney U test. See rank.h. */
#include "rank.h"

#include <math.h>

static double total(const struct weighted *w, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)w[i].count;
	return sum;
}

/* Entry I's samples and those of the same value behind it; I moves past them. */
static double take(const struct weighted *w, size_t n, size_t *i, uint64_t value)
{
	double count = 0;
	for (; *i < n && w[*i].value == value; (*i)++)
		count += (double)w[*i].count;
	return count;
}

struct rank_test rank_test(const struct weighted *a, size_t na, const struct weighted *b, size_t nb)
{
	const double n = total(a, na), m = total(b, nb), all = n + m;
	struct rank_test r = {.p = 1, .larger = 0.5};
	if (n == 0 || m == 0)
		return r;
	double ties = 0, b_below = 0;
	size_t i = 0, j = 0;
	while (i < na || j < nb) {
		uint64_t value = i < na ? a[i].value : b[j].value;
		if (j < nb && b[j].value < value)
			value = b[j].value;
		double in_a = take(a, na, &i, value), in_b = take(b, nb, &j, value);
		double t = in_a + in_b;
		r.u += in_a * (b_below + in_b / 2);
		b_below += in_b;
		ties += t * t * t - t;
	}
	r.larger = r.u / (n * m);
	double variance = n * m / 12 * (all + 1 - ties / (all * (all - 1)));
	double distance = fabs(r.u - n * m / 2) - 0.5;
	if (variance <= 0 || distance <= 0)
		return r;
	r.z = distance / sqrt(variance);
	r.p = erfc(r.z / sqrt(2.0));
	if (r.u < n * m / 2)
		r.z = -r.z;
	return r;
}
