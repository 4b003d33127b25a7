/*
 * A clock that the test keeps: what takes no time in it takes none on a busy machine either. The
 * calls are taken by the linker (vmm_virtual_clock in tests/CMakeLists.txt). For devices that have
 * nothing under way elsewhere while they wait: what waits for a descriptor only lets time pass.
 */
#ifndef TESTS_UNIT_VIRTUAL_CLOCK_H
#define TESTS_UNIT_VIRTUAL_CLOCK_H

#include <stdint.h>

/*
 * From here on CLOCK_MONOTONIC stands still, but for what passes: the time-out of each
 * epoll_wait(2) that finds nothing ready, at once, and what virtual_clock_pass is told. One thread
 * may look at it.
 */
void virtual_clock_start(void);
void virtual_clock_pass(uint64_t ns);
/* The host's clock again. */
void virtual_clock_stop(void);

#endif
