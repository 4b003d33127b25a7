/* The bus: sorted ranges, binary search. See bus.h. */
#include "bus.h"

#include <string.h>

#include "errset.h"

static uint64_t space_end(enum bus_space space)
{
	return space == BUS_PIO ? 0x10000 : UINT64_MAX;
}

vmm_err_t bus_add(struct bus *bus, enum bus_space space, uint64_t base, uint64_t len_bytes,
                  const struct bus_ops *ops, void *ctx, const char *name, vmm_err_info_t *ei)
{
	if (bus->frozen)
		return err_set(ei, VMM_E_STATE, name, "the bus takes no device after build");
	if (len_bytes == 0 || base >= space_end(space) || len_bytes > space_end(space) - base)
		return err_set(ei, VMM_E_INVAL, name,
		               "range 0x%llx + 0x%llx is empty or beyond the end of its space",
		               (unsigned long long)base, (unsigned long long)len_bytes);
	unsigned n = bus->count[space];
	if (n == BUS_RANGES_MAX)
		return err_set(ei, VMM_E_LIMIT, name, "more than %u ranges on one bus",
		               BUS_RANGES_MAX);
	struct bus_range *r = bus->range[space];
	unsigned at = 0;
	while (at < n && r[at].base < base)
		at++;
	/* Both neighbours start on their side of BASE, so subtraction cannot wrap. */
	const struct bus_range *clash = NULL;
	if (at > 0 && base - r[at - 1].base < r[at - 1].len_bytes)
		clash = &r[at - 1];
	if (at < n && r[at].base - base < len_bytes)
		clash = &r[at];
	if (clash)
		return err_set(ei, VMM_E_INVAL, name,
		               "range 0x%llx + 0x%llx overlaps %s at 0x%llx + 0x%llx",
		               (unsigned long long)base, (unsigned long long)len_bytes, clash->name,
		               (unsigned long long)clash->base,
		               (unsigned long long)clash->len_bytes);
	memmove(&r[at + 1], &r[at], (n - at) * sizeof(*r));
	r[at] = (struct bus_range){base, len_bytes, ops, ctx, name};
	bus->count[space] = n + 1;
	return VMM_OK;
}

void bus_freeze(struct bus *bus)
{
	bus->frozen = true;
}
