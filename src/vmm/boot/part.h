/* Reading a boot_part: every offset is checked against the part, not against the file. */
#ifndef SRC_VMM_BOOT_PART_H
#define SRC_VMM_BOOT_PART_H

#include "boot.h"

/*
 * All of the regular file (or block device) FD as a part named NAME; neither is owned by it.
 * VMM_E_FORMAT: empty; VMM_E_INVAL: a directory, a pipe or the like.
 */
VMM_WARN_UNUSED vmm_err_t part_of_fd(struct boot_part *part, int fd, const char *name,
                                     vmm_err_info_t *ei);

/*
 * Copy LEN bytes at OFFSET of the part to DST. VMM_E_FORMAT: they reach beyond its end; WHAT names
 * them in the message ("setup header").
 */
VMM_WARN_UNUSED vmm_err_t part_read(const struct boot_part *part, uint64_t offset, void *dst,
                                    size_t len, const char *what, vmm_err_info_t *ei);

static inline bool part_present(const struct boot_part *part)
{
	return part->fd >= 0;
}

#endif
