/*
 * laps: copies standard input to standard error, and times it by its lines 'lap NAME COUNT'. For
 * each it prints 'NAME COUNT TOTAL BUSY': nanoseconds since the line before of that kind, and of
 * them those in which this machine's CPUs were not idle.
 * Exit status: 0 at the end of the input, 2 if it cannot be read.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

int main(void)
{
	static char text[4096];
	long long last_ns = clock_ns();
	long long last_idle = clock_idle_ns();
	size_t have = 0;
	ssize_t n;

	while ((n = read(0, text + have, 1)) == 1) {
		long long now;
		long long idle;
		long count;
		char name[64];
		const char *lap;

		if (text[have] != '\n' && have < sizeof(text) - 2) {
			have++;
			continue;
		}
		text[have + 1] = '\0';
		have = 0;
		fputs(text, stderr);
		lap = strstr(text, "lap ");
		if (lap == NULL || sscanf(lap, "lap %63s %ld", name, &count) != 2)
			continue;
		now = clock_ns();
		idle = clock_idle_ns();
		printf("%s %ld %lld %lld\n", name, count, now - last_ns,
		       now - last_ns - (idle - last_idle));
		fflush(stdout);
		last_ns = now;
		last_idle = idle;
	}
	return n == 0 ? 0 : 2;
}
