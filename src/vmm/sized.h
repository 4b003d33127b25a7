/*
 * Structures of the public API that begin with struct_size, so that they can grow: what a caller
 * that was built against other headers hands over. Any thread.
 */
#ifndef SRC_VMM_SIZED_H
#define SRC_VMM_SIZED_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/err.h"

/*
 * Whether OPTS, of which this library knows the first KNOWN bytes, can be used: it is not NULL, not
 * shorter, and what a newer caller has behind them is zero, which means 'as before'. Else false,
 * and EI (may be NULL) with VMM_E_INVAL says why.
 */
bool sized_opts(const void *opts, size_t known, vmm_err_info_t *ei);

/* The same for INFO, which the library fills in: there must be room for KNOWN bytes. The caller
 * sees by struct_size how many were filled. */
bool sized_info(const void *info, size_t known, vmm_err_info_t *ei);

#endif
