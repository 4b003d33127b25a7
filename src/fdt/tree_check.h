/*
 * Whether a flattened device tree may be handed to libfdt. Shared by the VMM (guest images) and the
 * guest kernel (its device tree); freestanding. Devicetree Specification 0.4, section 5.
 */
#ifndef SRC_FDT_TREE_CHECK_H
#define SRC_FDT_TREE_CHECK_H

#include <stddef.h>

/*
 * BLOB of LEN bytes, on an 8-byte boundary, is a whole tree of version 17 or later: 0. Else one of
 * libfdt's errors, a negative number. More than libfdt 1.6.1 does in fdt_check_full, which follows
 * a null pointer in a tree of an older version and never ends where a property's length is close
 * to 4 GiB.
 */
int tree_check(const void *blob, size_t len);

#endif
