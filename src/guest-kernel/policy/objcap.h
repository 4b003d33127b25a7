/*
 * Object capabilities, for messages and memory: a reference to an object with rights, that a holder
 * has and can hand on in part. What is handed on never has more rights than what it comes from, and
 * never the right to be handed on again. Revoking one revokes everything that came from it.
 *
 * Handles are numbers with a generation, so that an old one never means a new capability. Looking
 * one up takes no lock; changes do (a spin lock: not in an interrupt).
 */
#ifndef GUEST_KERNEL_POLICY_OBJCAP_H
#define GUEST_KERNEL_POLICY_OBJCAP_H

#include <stdatomic.h>

#include "base.h"

enum {
	OBJCAP_READ = 1u << 0,
	OBJCAP_WRITE = 1u << 1,
	OBJCAP_MAP = 1u << 2,
	OBJCAP_SEND = 1u << 3,
	OBJCAP_RECEIVE = 1u << 4,
	OBJCAP_DELEGATE = 1u << 5,
	OBJCAP_REVOKE = 1u << 6,
	OBJCAP_ALL = (1u << 7) - 1,
};

/* 0 is never one. */
typedef uint64_t objcap_t;

struct objcap_entry {
	_Atomic(uint32_t) generation; /* odd: in use */
	_Atomic(uint32_t) rights;
	_Atomic(uint64_t) object;
	_Atomic(uint32_t) holder;
	/* Index + 1, or 0; under the lock. Free entries are linked by next. */
	uint32_t parent, child, next, previous;
};

struct objcap_space {
	const struct policy_mem *mem;
	struct objcap_entry *entry;
	uint32_t capacity, used;
	uint32_t free; /* index + 1 */
	atomic_flag lock;
};

/* CAPACITY: how many there can be at a time. POLICY_E_NOMEM. */
POLICY_WARN_UNUSED policy_status_t objcap_init(struct objcap_space *s, const struct policy_mem *mem,
                                               uint32_t capacity);
void objcap_fini(struct objcap_space *s);

/* HOLDER's first capability for OBJECT, with RIGHTS: for the object's maker. POLICY_E_LIMIT. */
POLICY_WARN_UNUSED policy_status_t objcap_create(struct objcap_space *s, uint32_t holder,
                                                 uint64_t object, uint32_t rights, objcap_t *cap);
/*
 * HOLDER hands RIGHTS of CAP to TO; *GIVEN has those of them that CAP has, without
 * OBJCAP_DELEGATE. POLICY_E_DENIED: CAP is not HOLDER's, or lacks OBJCAP_DELEGATE; POLICY_E_LIMIT.
 */
POLICY_WARN_UNUSED policy_status_t objcap_delegate(struct objcap_space *s, uint32_t holder,
                                                   objcap_t cap, uint32_t to, uint32_t rights,
                                                   objcap_t *given);
/*
 * CAP and all that came from it are gone. For who holds it, or what it came from, with
 * OBJCAP_REVOKE; else POLICY_E_DENIED.
 */
POLICY_WARN_UNUSED policy_status_t objcap_revoke(struct objcap_space *s, uint32_t holder,
                                                 objcap_t cap);
/* All that OBJECT's death, or HOLDER's, takes along. */
void objcap_forget_object(struct objcap_space *s, uint64_t object);
void objcap_forget_holder(struct objcap_space *s, uint32_t holder);

/* HOLDER may use CAP on OBJECT with all of RIGHTS. */
bool objcap_allows(const struct objcap_space *s, uint32_t holder, objcap_t cap, uint64_t object,
                   uint32_t rights);
/* The rights of CAP; 0: there is no such capability (any more). */
uint32_t objcap_rights(const struct objcap_space *s, objcap_t cap);

#endif
