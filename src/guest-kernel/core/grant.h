/*
 * Memory that tasks share. A grant has the context of who made it, like a mailbox, and is reached
 * only through an object capability (sec_delegate, sec_revoke): who maps it needs OBJCAP_MAP and
 * OBJCAP_READ and shm { read }, to write OBJCAP_WRITE and shm { write } besides.
 *
 * The kernel has one address space, so what is checked is the handing out of the address: a mapping
 * that was allowed stays good until its task gives it back, whatever is revoked meanwhile, and one
 * to read is read-only by its type. Task context.
 */
#ifndef GK_CORE_GRANT_H
#define GK_CORE_GRANT_H

#include "guest-kernel/security/security.h"

#define GRANT_PAGES_MAX 1024u

struct grant {
	void *memory;
	uint32_t pages;
	uint32_t refs; /* its maker's, until it destroys it, and one for each mapping */
	struct sec_object object;
};

/* PAGES, 1 to GRANT_PAGES_MAX, all zero; *CAP is the caller's, with all rights. NULL: out of range,
 * no memory, no room for a capability, or denied. */
struct grant *grant_create(uint32_t pages, objcap_t *cap);
/* No capability for it is good any more; the memory goes with the last mapping. For who made it,
 * once, when nobody begins to map it any more. */
void grant_destroy(struct grant *g);

/* The memory, for the caller's capability CAP; NULL: denied. */
const void *grant_map(struct grant *g, objcap_t cap);
void *grant_map_write(struct grant *g, objcap_t cap);
/* Once for each mapping. */
void grant_unmap(struct grant *g);

#endif
