/*
 * Memory, descriptors, mappings, threads and objects of KVM that are not to be had: whatever a call
 * needs is refused at its first place, then at its second, and so on until it gets through. The
 * calls are taken by the linker (vmm_refusals in tests/CMakeLists.txt). Only those of the thread
 * that tries are refused, and of one that says so (refusals_here).
 */
#ifndef TESTS_UNIT_REFUSALS_H
#define TESTS_UNIT_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/err.h"

struct tolerated {
	const char *call; /* as "eventfd", or "ioctl 0xae76" */
	unsigned places;  /* so many, no more and no less */
};

/*
 * TRY with each of its calls refused in turn, until none is. TRY says whether it got through, and
 * why not. Each time it must fail with a reason, or have got through in another way, and leave
 * nothing behind: no memory, mapping, descriptor or thread. TOLERATED lists the calls that are
 * refused without a failure, up to one without a name; NULL: none is.
 */
void refuse_each(bool (*try)(vmm_err_info_t *ei), const struct tolerated *tolerated);

/* While there is a try the calls of this thread, which ends with it, are refused like its own. The
 * trying thread waits meanwhile. */
void refusals_here(void);

/* KVM says from now on that it has not this capability. */
void refusals_hide_capability(unsigned long capability);

/* For jansson, which does not call our malloc by itself. */
void *refusals_malloc(size_t n);
void refusals_free(void *p);

#endif
