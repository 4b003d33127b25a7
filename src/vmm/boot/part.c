/* Reading a boot_part. See part.h. */
#include "part.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../errset.h"

vmm_err_t part_of_fd(struct boot_part *part, int fd, const char *name, vmm_err_info_t *ei)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(ei, errno, name, "cannot ask for its size");
	uint64_t len = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, &len) < 0)
			return err_sys(ei, errno, name, "cannot ask for its size");
	} else if (!S_ISREG(st.st_mode)) {
		return err_set(ei, VMM_E_INVAL, name,
		               "%s is not a file that can be read at any offset", name);
	}
	if (len == 0)
		return err_set(ei, VMM_E_FORMAT, name, "%s is empty", name);
	*part = (struct boot_part){.fd = fd, .offset = 0, .len_bytes = len, .name = name};
	return VMM_OK;
}

vmm_err_t part_read(const struct boot_part *part, uint64_t offset, void *dst, size_t len,
                    const char *what, vmm_err_info_t *ei)
{
	if (offset > part->len_bytes || len > part->len_bytes - offset)
		return err_set(ei, VMM_E_FORMAT, part->name,
		               "%s: %s (%zu bytes at offset %llu) reaches beyond the end, at %llu",
		               part->name, what, len, (unsigned long long)offset,
		               (unsigned long long)part->len_bytes);
	uint8_t *p = dst;
	uint64_t at = part->offset + offset;
	while (len > 0) {
		ssize_t n = pread(part->fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(ei, errno, part->name, "%s: cannot read %s", part->name,
			               what);
		if (n == 0)
			return err_set(ei, VMM_E_IO, part->name, "%s: ends within %s", part->name,
			               what);
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return VMM_OK;
}
