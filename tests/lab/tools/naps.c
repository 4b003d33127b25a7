/*
 * naps COUNT: sleeps COUNT times for a millisecond, between two marks (mark.h). A CPU that has
 * nothing else to do halts meanwhile. Exit status: 0 done, 2 the tool could not run.
 */
#include <stdlib.h>
#include <time.h>

#include "mark.h"

int main(int argc, char **argv)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	long count = argc == 2 ? atol(argv[1]) : 0;

	if (count <= 0)
		return 2;
	LAB_MARK_BEGIN();
	for (long i = 0; i < count; i++)
		if (nanosleep(&nap, NULL) != 0)
			return 2;
	LAB_MARK_END();
	return 0;
}
