/*
 * Guest memory: the only place where a guest-physical address becomes a host address, and never
 * without a length. One mapping of anonymous memory, or of a file; RAM lies below the 32-bit hole
 * and, if it is larger, continues at 4 GiB (machine.h). Read-only after creation, so any thread may
 * use it.
 */
#ifndef SRC_VMM_GMEM_H
#define SRC_VMM_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/err.h"

/* A guest-physical address: neither an integer nor a pointer. */
struct gpa {
	uint64_t addr;
};

#define GMEM_REGIONS_MAX 2

struct gmem_region {
	uint64_t base; /* guest-physical, page aligned */
	uint64_t len_bytes;
	uint8_t *host;
};

struct gmem_opts {
	uint64_t size_bytes; /* multiple of 4 KiB (2 MiB with huge pages) */
	bool huge_pages;     /* 2 MiB pages of hugetlbfs */
	bool memfd;          /* in a memfd, without transparent huge pages */
	bool prefault;       /* all pages present before the call returns */
	int fd;              /* use this file (duplicated), or -1: anonymous memory */
};

struct gmem;

/* VMM_E_INVAL: size zero or misaligned; VMM_E_LIMIT: more than the host's RAM; VMM_E_NOMEM. */
VMM_WARN_UNUSED vmm_err_t gmem_create(const struct gmem_opts *opts, struct gmem **out,
                                      vmm_err_info_t *ei);
void gmem_destroy(struct gmem *gm);

uint64_t gmem_size_bytes(const struct gmem *gm);
/* The file behind it, or -1: anonymous. */
int gmem_fd(const struct gmem *gm);
unsigned gmem_region_count(const struct gmem *gm);
const struct gmem_region *gmem_region_at(const struct gmem *gm, unsigned i);

/*
 * The host address of LEN bytes at ADDR, or NULL if any of them lies outside one RAM region.
 * LEN 0 gives NULL. The memory is shared with the guest, which may change it at any time: copy
 * once, validate the copy, use only the copy.
 */
void *gmem_at(const struct gmem *gm, struct gpa addr, uint64_t len);

/* The other way round, for a host address that gmem_at gave: its guest-physical address. */
VMM_WARN_UNUSED bool gmem_gpa(const struct gmem *gm, const void *host, struct gpa *addr);

/* Copy to or from the guest; false (and nothing copied) if the range is not all RAM. */
VMM_WARN_UNUSED bool gmem_read(const struct gmem *gm, struct gpa addr, void *dst, size_t len);
VMM_WARN_UNUSED bool gmem_write(const struct gmem *gm, struct gpa addr, const void *src,
                                size_t len);
VMM_WARN_UNUSED bool gmem_zero(const struct gmem *gm, struct gpa addr, uint64_t len);

/* Read LEN bytes of FD at OFFSET straight into guest RAM. VMM_E_IO also for a short file. */
VMM_WARN_UNUSED vmm_err_t gmem_load_fd(const struct gmem *gm, struct gpa addr, int fd,
                                       uint64_t offset, uint64_t len, const char *field,
                                       vmm_err_info_t *ei);

/*
 * Give LEN bytes at ADDR back to the host; they read as zero afterwards. Both page aligned.
 * False if the range is not RAM, it is pinned, or the host refuses.
 */
bool gmem_discard(const struct gmem *gm, struct gpa addr, uint64_t len);

/*
 * While ON, devices have the pages themselves: gmem_discard gives nothing back (it would give the
 * guest other pages than theirs). No thread uses guest memory when it changes.
 */
void gmem_set_pinned(struct gmem *gm, bool on);

/* Everything back to the host, as at power-on. Nothing is pinned. */
bool gmem_discard_all(const struct gmem *gm);

#endif
