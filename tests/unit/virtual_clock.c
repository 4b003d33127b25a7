/* See virtual_clock.h. */
#include "virtual_clock.h"

#include <sys/epoll.h>
#include <time.h>

#include "vmm/clock.h"

static uint64_t now_ns; /* 0: the host's clock */

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	if (!now_ns || id != CLOCK_MONOTONIC)
		return __real_clock_gettime(id, ts);
	*ts = (struct timespec){(time_t)(now_ns / NS_PER_SECOND), (long)(now_ns % NS_PER_SECOND)};
	return 0;
}

int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	if (!now_ns || timeout_ms < 0)
		return __real_epoll_wait(fd, events, max, timeout_ms);
	int n = __real_epoll_wait(fd, events, max, 0);
	if (n == 0)
		virtual_clock_pass((unsigned)timeout_ms * NS_PER_MS);
	return n;
}

void virtual_clock_start(void)
{
	now_ns = clock_now_ns();
}

void virtual_clock_pass(uint64_t ns)
{
	now_ns += ns;
}

void virtual_clock_stop(void)
{
	now_ns = 0;
}
