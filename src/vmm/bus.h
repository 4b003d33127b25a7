/*
 * The bus: which device answers at which port or MMIO address. Built while the VM is configured,
 * frozen before the first KVM_RUN, then read by all vCPU threads without a lock.
 *
 * Locks: an operation runs on the vCPU thread and takes its own device's lock. It must not take
 * another device's lock, nor wait for another vCPU.
 */
#ifndef SRC_VMM_BUS_H
#define SRC_VMM_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/err.h"

enum bus_space {
	BUS_PIO,  /* ports 0 .. 0xffff */
	BUS_MMIO, /* guest-physical addresses outside RAM */
	BUS_SPACES
};

/*
 * SIZE is 1, 2, 4 or 8 bytes; OFFSET is from the start of the range and offset + size lies inside
 * it. A read returns the value in its low SIZE bytes; the rest is ignored.
 */
struct bus_ops {
	uint64_t (*read)(void *ctx, uint64_t offset, unsigned size);
	void (*write)(void *ctx, uint64_t offset, unsigned size, uint64_t value);
};

#define BUS_RANGES_MAX 96u

struct bus_range {
	uint64_t base;
	uint64_t len_bytes;
	const struct bus_ops *ops;
	void *ctx;
	const char *name; /* owned by the caller, for messages */
};

struct bus {
	bool frozen;
	unsigned count[BUS_SPACES];
	struct bus_range range[BUS_SPACES][BUS_RANGES_MAX];
};

/* VMM_E_INVAL: empty, wraps or overlaps another range; VMM_E_LIMIT: full; VMM_E_STATE: frozen. */
VMM_WARN_UNUSED vmm_err_t bus_add(struct bus *bus, enum bus_space space, uint64_t base,
                                  uint64_t len_bytes, const struct bus_ops *ops, void *ctx,
                                  const char *name, vmm_err_info_t *ei);

/* No range can be added any more; look-ups are allowed from now on. */
void bus_freeze(struct bus *bus);

/* Whether R holds all of [addr, addr + size). ADDR below it wraps to more than any length. */
static inline bool bus_range_holds(const struct bus_range *r, uint64_t addr, unsigned size)
{
	uint64_t offset = addr - r->base;
	return offset < r->len_bytes && size <= r->len_bytes - offset;
}

/* The range that holds all of [addr, addr + size), or NULL. */
static inline const struct bus_range *bus_find(const struct bus *bus, enum bus_space space,
                                               uint64_t addr, unsigned size)
{
	/* The last range that begins at or below ADDR, if one does; on an empty bus, one of no
	 * length. No branch depends on the address: the processor would not foresee it. */
	const struct bus_range *r = bus->range[space];
	for (unsigned n = bus->count[space]; n > 1;) {
		unsigned half = n / 2;
		r = r[half].base <= addr ? r + half : r;
		n -= half;
	}
	return bus_range_holds(r, addr, size) ? r : NULL;
}

/*
 * One access of 1, 2, 4 or 8 bytes. False where nothing answers: a read then gives all ones, a
 * write goes nowhere.
 */
static inline bool bus_read(const struct bus *bus, enum bus_space space, uint64_t addr,
                            unsigned size, uint64_t *value)
{
	const struct bus_range *r = bus_find(bus, space, addr, size);
	*value = r ? r->ops->read(r->ctx, addr - r->base, size) : UINT64_MAX;
	return r != NULL;
}

static inline bool bus_write(const struct bus *bus, enum bus_space space, uint64_t addr,
                             unsigned size, uint64_t value)
{
	const struct bus_range *r = bus_find(bus, space, addr, size);
	if (r)
		r->ops->write(r->ctx, addr - r->base, size, value);
	return r != NULL;
}

#endif
