/* A memory manager over ordinary memory, which notes faults and text and knows when it leaks. */
#ifndef TESTS_UNIT_GK_MM_RIG_H
#define TESTS_UNIT_GK_MM_RIG_H

#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/mm_priv.h"
#include "guest-kernel/mm/pool.h"
#include "suite.h"

#define RIG_FAULTS_MAX 16u
#define MIB            (1024u * 1024u)

struct rig {
	struct mm *mm;
	char *memory;
	size_t bytes;
	unsigned cpus, faults;
	struct mm_fault fault[RIG_FAULTS_MAX];
	struct mm_stack allocated, freed; /* of the last fault; zero: it had none */
	char text[16384];
	size_t text_len;
	struct mm_sink sink;
};

/* BYTES of memory that pretends to lie at physical address PHYS. */
void rig_start_at(struct rig *r, uint64_t phys, size_t bytes, struct mm_opts opts);
void rig_start(struct rig *r, size_t bytes, unsigned cpus, bool debug);
/* Nothing may be in use any more, and nobody may have reported a fault that was not expected. */
void rig_end(struct rig *r);
/* Asserts that exactly one fault came since last time, and what kind it was. */
void rig_expect(struct rig *r, enum mm_fault_kind kind);
/* Free pages, wherever they are; the CPUs' magazines are emptied first. */
size_t rig_free_pages(struct rig *r);
/* What was written to the sink since last time. */
const char *rig_text(struct rig *r);

#endif
