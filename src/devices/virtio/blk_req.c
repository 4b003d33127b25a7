/* See blk_req.h. */
#include "devices/virtio/blk_req.h"

#include <endian.h>
#include <linux/virtio_blk.h>

static void refuse(struct blk_req *req, uint8_t status, const char *why)
{
	req->verdict = BLK_ANSWER;
	req->answer = status;
	req->why = why;
}

/* Drop the first N bytes of *IOV, which has at least so many. */
static void drop(struct iovec **iov, unsigned *count, size_t n)
{
	while (n) {
		struct iovec *v = *iov;
		size_t part = n < v->iov_len ? n : v->iov_len;
		v->iov_base = (uint8_t *)v->iov_base + part;
		v->iov_len -= part;
		n -= part;
		if (v->iov_len == 0) {
			(*iov)++;
			(*count)--;
		}
	}
}

static bool inside(const struct blk_limits *l, uint64_t sector, uint64_t bytes)
{
	uint64_t sectors = l->size_bytes / DISK_SECTOR;
	return sector <= sectors && bytes <= (sectors - sector) * DISK_SECTOR;
}

static void parse_transfer(struct blk_req *req, const struct blk_limits *l, uint64_t sector)
{
	struct disk_io *io = &req->io;
	if (io->op == DISK_WRITE && l->read_only)
		refuse(req, VIRTIO_BLK_S_IOERR, "write to a read-only disk");
	else if (io->left == 0 || io->left % DISK_SECTOR)
		refuse(req, VIRTIO_BLK_S_IOERR, "data is not a multiple of 512 bytes");
	else if (!inside(l, sector, io->left))
		refuse(req, VIRTIO_BLK_S_IOERR, "sector beyond the end of the disk");
	else if ((sector * DISK_SECTOR | io->left) & (l->align_bytes - 1))
		refuse(req, VIRTIO_BLK_S_IOERR, "not a multiple of the disk's blocks");
	else
		io->offset = sector * DISK_SECTOR;
}

/* The segments of a discard or write-zeroes request (5.2.6), copied once from the chain. */
static void parse_ranges(struct blk_req *req, const struct ring_chain *c,
                         const struct blk_limits *l)
{
	struct disk_io *io = &req->io;
	uint32_t allowed = io->op == DISK_ZERO ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	struct virtio_blk_discard_write_zeroes seg;
	uint64_t count = io->left / sizeof(seg);
	if (l->read_only) {
		refuse(req, VIRTIO_BLK_S_IOERR, "discard or write zeroes on a read-only disk");
		return;
	}
	if (count == 0 || count > DISK_RANGES_MAX || io->left % sizeof(seg)) {
		refuse(req, VIRTIO_BLK_S_IOERR, "list of ranges has a wrong length");
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		uint32_t at = (uint32_t)(sizeof(struct virtio_blk_outhdr) + i * sizeof(seg));
		(void)chain_read(c, at, &seg, sizeof(seg));
		uint64_t sector = le64toh(seg.sector);
		uint32_t sectors = le32toh(seg.num_sectors);
		uint32_t flags = le32toh(seg.flags);
		if (flags & ~allowed) {
			refuse(req, VIRTIO_BLK_S_UNSUPP, "range with unknown flags");
			return;
		}
		if (sectors > BLK_RANGE_SECTORS_MAX ||
		    !inside(l, sector, (uint64_t)sectors * DISK_SECTOR)) {
			refuse(req, VIRTIO_BLK_S_IOERR, "range is too long or beyond the end");
			return;
		}
		if (io->op == DISK_ZERO &&
		    ((sector | sectors) * DISK_SECTOR & (l->align_bytes - 1))) {
			refuse(req, VIRTIO_BLK_S_IOERR, "range is not made of the disk's blocks");
			return;
		}
		/* A range of nothing is allowed, and not for fallocate. */
		if (sectors)
			req->range[io->range_count++] = (struct disk_range){
			        sector * DISK_SECTOR, (uint64_t)sectors * DISK_SECTOR, flags != 0};
	}
	io->range = req->range;
}

/* The data: what follows the header, or what precedes the status. */
static void use_readable(struct blk_req *req, struct ring_chain *c)
{
	req->io.iov = c->iov;
	req->io.iov_count = c->nread;
	req->io.left = c->read_bytes - sizeof(struct virtio_blk_outhdr);
	drop(&req->io.iov, &req->io.iov_count, sizeof(struct virtio_blk_outhdr));
}

static void use_writable(struct blk_req *req, struct ring_chain *c)
{
	struct iovec *last = &c->iov[c->nread + c->nwrite - 1];
	req->io.iov = c->iov + c->nread;
	req->io.iov_count = c->nwrite;
	req->io.left = c->write_bytes - 1;
	last->iov_len--;
	if (last->iov_len == 0)
		req->io.iov_count--;
}

static void parse_body(struct blk_req *req, struct ring_chain *c, const struct blk_limits *l,
                       uint32_t type, uint64_t sector)
{
	struct disk_io *io = &req->io;
	switch (type) {
	case VIRTIO_BLK_T_IN:
		io->op = DISK_READ;
		use_writable(req, c);
		parse_transfer(req, l, sector);
		break;
	case VIRTIO_BLK_T_OUT:
		io->op = DISK_WRITE;
		use_readable(req, c);
		parse_transfer(req, l, sector);
		break;
	case VIRTIO_BLK_T_FLUSH:
		io->op = DISK_FLUSH;
		break;
	case VIRTIO_BLK_T_GET_ID:
		use_writable(req, c);
		req->verdict = BLK_GET_ID;
		if (io->left < VIRTIO_BLK_ID_BYTES)
			refuse(req, VIRTIO_BLK_S_IOERR, "no room for the serial number");
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		if (type == VIRTIO_BLK_T_DISCARD ? !l->discard : !l->write_zeroes) {
			refuse(req, VIRTIO_BLK_S_UNSUPP, NULL);
			break;
		}
		io->op = type == VIRTIO_BLK_T_DISCARD ? DISK_DISCARD : DISK_ZERO;
		io->left = c->read_bytes - sizeof(struct virtio_blk_outhdr);
		parse_ranges(req, c, l);
		break;
	default:
		refuse(req, VIRTIO_BLK_S_UNSUPP, NULL);
	}
}

void blk_req_parse(struct blk_req *req, struct ring_chain *chain, const struct blk_limits *limits)
{
	struct virtio_blk_outhdr hdr;
	req->verdict = BLK_DO;
	req->why = NULL;
	req->write_bytes = chain->write_bytes;
	req->io = (struct disk_io){.op = DISK_FLUSH};
	if (chain->nwrite == 0) {
		req->verdict = BLK_NO_ROOM;
		req->why = "no writable byte for the status";
		return;
	}
	const struct iovec *last = &chain->iov[chain->nread + chain->nwrite - 1];
	req->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	if (chain_read(chain, 0, &hdr, sizeof(hdr)) != sizeof(hdr)) {
		refuse(req, VIRTIO_BLK_S_IOERR, "header is shorter than 16 bytes");
		return;
	}
	parse_body(req, chain, limits, le32toh(hdr.type), le64toh(hdr.sector));
	req->data_bytes = (uint32_t)req->io.left;
}
