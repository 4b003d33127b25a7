/* Guest memory: one mapping. See gmem.h. */
#include "gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errset.h"
#include "machine.h"

#define HUGE_PAGE_SIZE (2ull << 20)
#define HUGETLB_2MB    ((unsigned)(MFD_HUGETLB | MFD_HUGE_2MB))

struct gmem {
	int fd;       /* the file behind it, or -1: anonymous */
	uint8_t *map; /* all of RAM, contiguous on the host side */
	uint64_t size_bytes;
	bool pinned;
	unsigned region_count;
	struct gmem_region regions[GMEM_REGIONS_MAX];
};

static vmm_err_t check_size(const struct gmem_opts *opts, vmm_err_info_t *ei)
{
	uint64_t align = opts->huge_pages ? HUGE_PAGE_SIZE : MACHINE_PAGE_SIZE;
	if (opts->size_bytes == 0 || opts->size_bytes % align != 0)
		return err_set(ei, VMM_E_INVAL, "memory",
		               "%llu bytes: must be a multiple of %llu bytes, and not zero",
		               (unsigned long long)opts->size_bytes, (unsigned long long)align);
	long pages = sysconf(_SC_PHYS_PAGES);
	long page = sysconf(_SC_PAGESIZE);
	uint64_t host = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
	if (opts->size_bytes > host)
		return err_set(ei, VMM_E_LIMIT, "memory",
		               "%llu MiB is more than the host has (%llu MiB)",
		               (unsigned long long)(opts->size_bytes >> 20),
		               (unsigned long long)(host >> 20));
	return VMM_OK;
}

static vmm_err_t open_backing(struct gmem *gm, const struct gmem_opts *opts, vmm_err_info_t *ei)
{
	if (opts->fd >= 0) {
		gm->fd = fcntl(opts->fd, F_DUPFD_CLOEXEC, 3);
		if (gm->fd < 0)
			return err_sys(ei, errno, "memory", "cannot duplicate descriptor %d",
			               opts->fd);
		struct stat st;
		if (fstat(gm->fd, &st) < 0 || (uint64_t)st.st_size < gm->size_bytes)
			return err_set(ei, VMM_E_INVAL, "memory",
			               "the file behind descriptor %d is smaller than %llu bytes",
			               opts->fd, (unsigned long long)gm->size_bytes);
		return VMM_OK;
	}
	if (!opts->huge_pages && !opts->memfd)
		return VMM_OK;
	gm->fd = memfd_create("vmm-guest", MFD_CLOEXEC | (opts->huge_pages ? HUGETLB_2MB : 0u));
	if (gm->fd < 0)
		return err_sys(ei, errno, "memory", "memfd_create failed");
	if (ftruncate(gm->fd, (off_t)gm->size_bytes) < 0)
		return err_sys(ei, errno, "memory", "cannot size the memory file to %llu MiB",
		               (unsigned long long)(gm->size_bytes >> 20));
	return VMM_OK;
}

/*
 * Anonymous memory, because the host gives it transparent huge pages, which it denies to memfds
 * by default: a boot then takes hundreds of page faults instead of tens of thousands. They need
 * the same alignment on both sides, so what is mapped starts at a multiple of their size.
 */
static void *map_anonymous(uint64_t bytes)
{
	uint8_t *p = mmap(NULL, bytes + HUGE_PAGE_SIZE, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return p;
	uint64_t before = -(uintptr_t)p & (HUGE_PAGE_SIZE - 1);
	if (before > 0)
		(void)munmap(p, before);
	(void)munmap(p + before + bytes, HUGE_PAGE_SIZE - before);
	return p + before;
}

/*
 * Not at its start, also where the host gives them unasked: a few pages there carry what the boot
 * code puts down, and zeroing 2 MiB for them would be the longest step of a small guest's start.
 */
static void advise_huge_pages(const struct gmem *gm)
{
	uint64_t small = gm->size_bytes < HUGE_PAGE_SIZE ? gm->size_bytes : HUGE_PAGE_SIZE;
	(void)madvise(gm->map, small, MADV_NOHUGEPAGE);
	if (gm->size_bytes > small)
		(void)madvise(gm->map + small, gm->size_bytes - small, MADV_HUGEPAGE);
}

static vmm_err_t map_backing(struct gmem *gm, const struct gmem_opts *opts, vmm_err_info_t *ei)
{
	/* Huge pages are reserved: where there are too few of them, this fails, not the guest. */
	int flags = MAP_SHARED | (opts->huge_pages ? 0 : MAP_NORESERVE);
	void *p = gm->fd < 0 ? map_anonymous(gm->size_bytes)
	                     : mmap(NULL, gm->size_bytes, PROT_READ | PROT_WRITE, flags, gm->fd, 0);
	if (p == MAP_FAILED) {
		int err = errno;
		if (opts->huge_pages)
			return err_sys_as(ei, VMM_E_NOMEM, err, "memory",
			                  "%llu huge pages of 2 MiB are not to be had "
			                  "(see /proc/sys/vm/nr_hugepages)",
			                  (unsigned long long)(gm->size_bytes / HUGE_PAGE_SIZE));
		return err_sys(ei, err, "memory", "cannot map %llu MiB",
		               (unsigned long long)(gm->size_bytes >> 20));
	}
	gm->map = p;
	/* The advice is only that. No guest memory in core dumps, nor, copied on write, in children
	 * of the embedder. */
	(void)madvise(p, gm->size_bytes, MADV_DONTDUMP);
	(void)madvise(p, gm->size_bytes, MADV_DONTFORK);
	if (!opts->huge_pages)
		advise_huge_pages(gm);
	if (opts->prefault && madvise(p, gm->size_bytes, MADV_POPULATE_WRITE) < 0)
		return err_sys_as(ei, VMM_E_NOMEM, errno, "memory", "cannot prefault %llu MiB",
		                  (unsigned long long)(gm->size_bytes >> 20));
	return VMM_OK;
}

static void lay_out(struct gmem *gm)
{
	uint64_t low = gm->size_bytes < MACHINE_LOW_RAM_END ? gm->size_bytes : MACHINE_LOW_RAM_END;
	gm->regions[0] = (struct gmem_region){.base = 0, .len_bytes = low, .host = gm->map};
	gm->region_count = 1;
	if (gm->size_bytes == low)
		return;
	gm->regions[1] = (struct gmem_region){
	        .base = MACHINE_HIGH_RAM,
	        .len_bytes = gm->size_bytes - low,
	        .host = gm->map + low,
	};
	gm->region_count = 2;
}

vmm_err_t gmem_create(const struct gmem_opts *opts, struct gmem **out, vmm_err_info_t *ei)
{
	*out = NULL;
	vmm_err_t err = check_size(opts, ei);
	if (err)
		return err;
	struct gmem *gm = calloc(1, sizeof(*gm));
	if (!gm)
		return err_set(ei, VMM_E_NOMEM, "memory", "out of memory");
	gm->fd = -1;
	gm->size_bytes = opts->size_bytes;
	err = open_backing(gm, opts, ei);
	if (!err)
		err = map_backing(gm, opts, ei);
	if (err) {
		gmem_destroy(gm);
		return err;
	}
	lay_out(gm);
	*out = gm;
	return VMM_OK;
}

void gmem_destroy(struct gmem *gm)
{
	if (!gm)
		return;
	if (gm->map)
		(void)munmap(gm->map, gm->size_bytes);
	if (gm->fd >= 0)
		(void)close(gm->fd);
	free(gm);
}

uint64_t gmem_size_bytes(const struct gmem *gm)
{
	return gm->size_bytes;
}

int gmem_fd(const struct gmem *gm)
{
	return gm->fd;
}

unsigned gmem_region_count(const struct gmem *gm)
{
	return gm->region_count;
}

const struct gmem_region *gmem_region_at(const struct gmem *gm, unsigned i)
{
	return i < gm->region_count ? &gm->regions[i] : NULL;
}

void *gmem_at(const struct gmem *gm, struct gpa addr, uint64_t len)
{
	if (len == 0)
		return NULL;
	for (unsigned i = 0; i < gm->region_count; i++) {
		const struct gmem_region *r = &gm->regions[i];
		/* Below the base it wraps, to more than any region has. */
		uint64_t off = addr.addr - r->base;
		if (off < r->len_bytes && len <= r->len_bytes - off)
			return r->host + off;
	}
	return NULL;
}

bool gmem_gpa(const struct gmem *gm, const void *host, struct gpa *addr)
{
	for (unsigned i = 0; i < gm->region_count; i++) {
		const struct gmem_region *r = &gm->regions[i];
		uintptr_t off = (uintptr_t)host - (uintptr_t)r->host;
		if (off < r->len_bytes) {
			addr->addr = r->base + off;
			return true;
		}
	}
	return false;
}

bool gmem_read(const struct gmem *gm, struct gpa addr, void *dst, size_t len)
{
	const void *p = gmem_at(gm, addr, len);
	if (!p)
		return false;
	memcpy(dst, p, len);
	return true;
}

bool gmem_write(const struct gmem *gm, struct gpa addr, const void *src, size_t len)
{
	void *p = gmem_at(gm, addr, len);
	if (!p)
		return false;
	memcpy(p, src, len);
	return true;
}

bool gmem_zero(const struct gmem *gm, struct gpa addr, uint64_t len)
{
	void *p = gmem_at(gm, addr, len);
	if (!p)
		return false;
	memset(p, 0, len);
	return true;
}

vmm_err_t gmem_load_fd(const struct gmem *gm, struct gpa addr, int fd, uint64_t offset,
                       uint64_t len, const char *field, vmm_err_info_t *ei)
{
	if (len == 0)
		return VMM_OK;
	uint8_t *p = gmem_at(gm, addr, len);
	if (!p)
		return err_set(
		        ei, VMM_E_LIMIT, field,
		        "%llu bytes at guest address 0x%llx do not fit in %llu MiB of memory",
		        (unsigned long long)len, (unsigned long long)addr.addr,
		        (unsigned long long)(gm->size_bytes >> 20));
	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(ei, errno, field, "cannot read at offset %llu",
			               (unsigned long long)offset);
		if (n == 0)
			return err_set(ei, VMM_E_IO, field, "ends %llu bytes too early",
			               (unsigned long long)len);
		p += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return VMM_OK;
}

static bool discard(const struct gmem *gm, uint64_t offset, uint64_t len)
{
	if (gm->fd < 0)
		return madvise(gm->map + offset, len, MADV_DONTNEED) == 0;
	return fallocate(gm->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
	                 (off_t)len) == 0;
}

bool gmem_discard(const struct gmem *gm, struct gpa addr, uint64_t len)
{
	uint8_t *p = gmem_at(gm, addr, len);
	if (!p || gm->pinned || ((addr.addr | len) & (MACHINE_PAGE_SIZE - 1)))
		return false;
	return discard(gm, (uint64_t)(p - gm->map), len);
}

void gmem_set_pinned(struct gmem *gm, bool on)
{
	gm->pinned = on;
}

bool gmem_discard_all(const struct gmem *gm)
{
	return discard(gm, 0, gm->size_bytes);
}
