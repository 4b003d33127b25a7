/*
 * Access control list: ordered rules, of which the first that fits decides; where none fits, no.
 *
 *     # SUBJECT  OBJECT     ACTION                DECISION
 *     http       port:80    tcp_socket.name_bind  allow
 *     http       path:*     get                   allow
 *     *          disk:*     *                     deny
 *
 * SUBJECT and OBJECT are names, prefixes with '*' at their end, or '*'. ACTION is a permission (of
 * whatever class has it), CLASS.PERMISSION, CLASS.* or '*'.
 */
#ifndef GUEST_KERNEL_POLICY_ACL_H
#define GUEST_KERNEL_POLICY_ACL_H

#include "classes.h"
#include "lines.h"

/* What a rule's action means: permissions of each class. */
struct acl_action {
	const char *text;
	uint32_t perms[POLICY_CLASS_COUNT];
};

struct acl_rule {
	struct pattern subject, object;
	const struct acl_action *action;
	bool allow;
	uint32_t line;
};

struct acl {
	const char *file;
	uint32_t count;
	struct acl_rule *rule;
};

/* FILE names the text in errors. Memory from ARENA. POLICY_E_SYNTAX, POLICY_E_NOMEM. */
POLICY_WARN_UNUSED policy_status_t acl_parse(struct acl *acl, struct arena *arena, const char *file,
                                             const char *text, size_t len,
                                             struct policy_error *err);

/* The permissions of TCLASS that SUBJECT has for OBJECT. */
uint32_t acl_allowed(const struct acl *acl, const char *subject, const char *object,
                     enum policy_class tclass);
/* The rule that decides on PERM (one bit), or NULL: none fits. */
const struct acl_rule *acl_rule_for(const struct acl *acl, const char *subject, const char *object,
                                    enum policy_class tclass, uint32_t perm);

#endif
