/* Unpacking a gzip part of a guest image. */
#ifndef SRC_VMM_BOOT_INFLATE_H
#define SRC_VMM_BOOT_INFLATE_H

#include "boot.h"

/*
 * Unpack PART (one gzip member) into a new memfd, which *OUT then describes; the caller closes
 * OUT->fd. VMM_E_FORMAT: not gzip, damaged or truncated; VMM_E_LIMIT: more than MAX_BYTES.
 */
VMM_WARN_UNUSED vmm_err_t inflate_part(const struct boot_part *part, uint64_t max_bytes,
                                       struct boot_part *out, vmm_err_info_t *ei);

#endif
