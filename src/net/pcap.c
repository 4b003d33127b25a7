/* See pcap.h. */
#include "net/pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "vmm/errset.h"

#define MAGIC_NS      0xa1b23c4du
#define LINK_ETHERNET 1u
#define SNAP_LEN      262144u
#define PIECES_MAX    1024u /* IOV_MAX */

struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snap_len, link;
};

struct record_header {
	uint32_t sec, ns, kept, len;
};

vmm_err_t pcap_open(const char *path, int *fd, vmm_err_info_t *ei)
{
	const struct file_header h = {.magic = MAGIC_NS,
	                              .major = 2,
	                              .minor = 4,
	                              .snap_len = SNAP_LEN,
	                              .link = LINK_ETHERNET};
	*fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (*fd < 0)
		return err_sys(ei, errno, "pcap", "cannot make %.200s", path);
	if (write(*fd, &h, sizeof(h)) == (ssize_t)sizeof(h))
		return VMM_OK;
	vmm_err_t err = err_sys(ei, errno ? errno : ENOSPC, "pcap", "cannot write %.200s", path);
	(void)close(*fd);
	*fd = -1;
	return err;
}

bool pcap_write(int fd, const struct iovec *iov, unsigned count, size_t skip, size_t end)
{
	struct timespec now;
	struct iovec out[PIECES_MAX];
	size_t len = end > skip ? end - skip : 0, left = len;
	int n = 1;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	const struct record_header h = {(uint32_t)now.tv_sec, (uint32_t)now.tv_nsec, (uint32_t)len,
	                                (uint32_t)len};
	out[0] = (struct iovec){(void *)(uintptr_t)&h, sizeof(h)};
	for (unsigned i = 0; i < count && left > 0 && n < (int)PIECES_MAX; i++) {
		size_t off = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		size_t part = iov[i].iov_len - off;
		skip -= off;
		part = part < left ? part : left;
		if (part > 0)
			out[n++] = (struct iovec){(uint8_t *)iov[i].iov_base + off, part};
		left -= part;
	}
	if (left > 0) {
		errno = EMSGSIZE;
		return false;
	}
	ssize_t done = writev(fd, out, n);
	if (done == (ssize_t)(sizeof(h) + len))
		return true;
	errno = done < 0 ? errno : ENOSPC;
	return false;
}
