/* gzip into a memfd, bounded. See inflate.h. RFC 1952. */
#include "inflate.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "../errset.h"
#include "part.h"

#define CHUNK       (64u << 10)
#define WINDOW_GZIP (15 + 16) /* zlib: the largest window, gzip header and trailer only */

struct unpack {
	const struct boot_part *part;
	uint64_t max_bytes;
	uint64_t taken; /* of the part */
	uint64_t made;
	int fd;
	z_stream z;
	uint8_t in[CHUNK];
	uint8_t out[CHUNK];
};

static vmm_err_t write_out(struct unpack *u, vmm_err_info_t *ei)
{
	size_t len = CHUNK - u->z.avail_out;
	if (len > u->max_bytes - u->made)
		return err_set(ei, VMM_E_LIMIT, u->part->name,
		               "%s unpacks to more than %llu KiB: give the guest more memory",
		               u->part->name, (unsigned long long)(u->max_bytes >> 10));
	const uint8_t *p = u->out;
	while (len > 0) {
		ssize_t n = write(u->fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(ei, n < 0 ? errno : EIO, u->part->name,
			               "%s: cannot unpack it", u->part->name);
		p += n;
		len -= (size_t)n;
		u->made += (uint64_t)n;
	}
	u->z.next_out = u->out;
	u->z.avail_out = CHUNK;
	return VMM_OK;
}

static vmm_err_t read_in(struct unpack *u, vmm_err_info_t *ei)
{
	uint64_t left = u->part->len_bytes - u->taken;
	size_t len = left < CHUNK ? (size_t)left : CHUNK;
	if (len == 0)
		return err_set(ei, VMM_E_FORMAT, u->part->name,
		               "%s: the gzip data ends too early, after %llu bytes", u->part->name,
		               (unsigned long long)u->taken);
	vmm_err_t err = part_read(u->part, u->taken, u->in, len, "gzip data", ei);
	if (err)
		return err;
	u->taken += len;
	u->z.next_in = u->in;
	u->z.avail_in = (uInt)len;
	return VMM_OK;
}

static vmm_err_t unpack_all(struct unpack *u, vmm_err_info_t *ei)
{
	u->z.next_out = u->out;
	u->z.avail_out = CHUNK;
	for (;;) {
		vmm_err_t err = VMM_OK;
		if (u->z.avail_in == 0)
			err = read_in(u, ei);
		if (err)
			return err;
		int z = inflate(&u->z, Z_NO_FLUSH);
		if (z != Z_OK && z != Z_STREAM_END)
			return err_set(ei, z == Z_MEM_ERROR ? VMM_E_NOMEM : VMM_E_FORMAT,
			               u->part->name, "%s is not proper gzip: %s", u->part->name,
			               u->z.msg ? u->z.msg : "damaged");
		err = write_out(u, ei);
		if (err || z == Z_STREAM_END)
			return err;
	}
}

vmm_err_t inflate_part(const struct boot_part *part, uint64_t max_bytes, struct boot_part *out,
                       vmm_err_info_t *ei)
{
	struct unpack *u = calloc(1, sizeof(*u));
	if (!u || inflateInit2(&u->z, WINDOW_GZIP) != Z_OK) {
		free(u);
		return err_set(ei, VMM_E_NOMEM, part->name, "out of memory");
	}
	u->part = part;
	u->max_bytes = max_bytes;
	u->fd = memfd_create("vmm-kernel", MFD_CLOEXEC);
	vmm_err_t err = VMM_OK;
	if (u->fd < 0)
		err = err_sys(ei, errno, part->name, "%s: no memory file to unpack it into",
		              part->name);
	else
		err = unpack_all(u, ei);
	(void)inflateEnd(&u->z);
	if (!err && u->made == 0)
		err = err_set(ei, VMM_E_FORMAT, part->name, "%s unpacks to nothing", part->name);
	if (!err)
		*out = (struct boot_part){.fd = u->fd, .len_bytes = u->made, .name = part->name};
	else if (u->fd >= 0)
		(void)close(u->fd);
	free(u);
	return err;
}
