/*
 * A policy package: what `vmm policy build` writes and the guest kernel loads, as the policy of a
 * guest image or as PVH's policy module. A bare binary policy is taken as well: it has the magic
 * number of its own.
 *
 *     header   "VMMPOL\0\1", u32 total bytes, u32 number of parts
 *     part     u32 kind, u32 offset from the start of the package, u32 bytes, u32 checksum (FNV-1a)
 *
 * All little endian; parts begin at multiples of 8, do not overlap, and come in the order of their
 * kinds, each at most once. Hashes against damage are the image's; the checksum catches a package
 * that was cut or pasted by hand.
 */
#ifndef GUEST_KERNEL_POLICY_PACKAGE_H
#define GUEST_KERNEL_POLICY_PACKAGE_H

#include "base.h"

#define PACKAGE_MAGIC "VMMPOL\0\1"

enum package_kind {
	PACKAGE_POLICYDB = 0,
	PACKAGE_ACL = 1,
	PACKAGE_CAPABILITIES = 2,
	PACKAGE_KINDS = 3,
};

struct package {
	struct {
		const uint8_t *data; /* in the package; NULL: it has no such part */
		size_t len;
	} part[PACKAGE_KINDS];
};

/* PACKAGE points into DATA. POLICY_E_FORMAT. */
POLICY_WARN_UNUSED policy_status_t package_open(struct package *p, const void *data, size_t len,
                                                struct policy_error *err);

/* How many bytes package_write needs. 0: more than a package can have. */
size_t package_size(const struct package *p);
void package_write(const struct package *p, void *out);

#endif
