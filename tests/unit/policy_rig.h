/* The policy engine under test: memory that is counted and can run out, policies of the corpus. */
#ifndef TESTS_UNIT_POLICY_RIG_H
#define TESTS_UNIT_POLICY_RIG_H

#include "guest-kernel/policy/policy.h"
#include "guest-kernel/policy/policydb.h"

struct rig_mem {
	struct policy_mem mem;
	size_t now, peak;
	unsigned long calls;
	unsigned long fail_at; /* the call that gets NULL, and all after it; 0: none */
};

void rig_mem_init(struct rig_mem *m);

struct rig_file {
	uint8_t *data;
	size_t len;
};

/* tests/fuzz/corpus/policydb/NAME. */
struct rig_file rig_file(const char *name);
void rig_file_free(struct rig_file *f);

/* Records of the engine, one after the other, each ended by '\n'. */
struct rig_audit {
	char text[16384];
	size_t len;
	unsigned records;
	uint64_t now_ns;
};

/* An engine with POLICY in force (NULL: none), whose records go to AUDIT. */
struct policy *rig_policy(struct rig_mem *m, struct rig_audit *audit, const char *policy);

/* The label of CONTEXT and NAME; aborts the test if there is none. */
policy_label_t rig_label(struct policy *p, const char *context, const char *name);
struct policy_subject rig_subject(struct policy *p, const char *context, const char *name);

#endif
