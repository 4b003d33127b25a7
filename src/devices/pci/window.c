/* The windows of a PCI bus. See window.h. */
#include "devices/pci/window.h"

#include <string.h>

#include "vmm/errset.h"

static enum bus_space space_of(const struct pci_bar *b)
{
	return b->kind == PCI_BAR_IO ? BUS_PIO : BUS_MMIO;
}

/* The entry that holds ADDR, or where it would have to be put. Sorted: binary search. */
static unsigned find(const struct pci_map *map, unsigned count, uint64_t addr, bool *found)
{
	unsigned lo = 0;
	unsigned hi = count;
	*found = false;
	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		if (addr < map[mid].base) {
			hi = mid;
		} else if (addr - map[mid].base >= map[mid].len_bytes) {
			lo = mid + 1;
		} else {
			*found = true;
			return mid;
		}
	}
	return lo;
}

static bool look_up(struct pci_bus *bus, enum bus_space space, uint64_t addr, unsigned size,
                    struct pci_map *out)
{
	bool found;
	(void)pthread_rwlock_rdlock(&bus->map_lock);
	unsigned i = find(bus->map[space], bus->map_count[space], addr, &found);
	if (found)
		*out = bus->map[space][i];
	(void)pthread_rwlock_unlock(&bus->map_lock);
	return found && size <= out->len_bytes - (addr - out->base);
}

static uint64_t window_read(void *ctx, uint64_t offset, unsigned size)
{
	struct pci_window *w = ctx;
	struct pci_map m;
	uint64_t addr = w->base + offset;
	if (!look_up(w->bus, w->space, addr, size, &m))
		return UINT64_MAX;
	return m.f->ops->bar_read(m.f, m.bar, addr - m.base, size);
}

static void window_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_window *w = ctx;
	struct pci_map m;
	uint64_t addr = w->base + offset;
	if (look_up(w->bus, w->space, addr, size, &m))
		m.f->ops->bar_write(m.f, m.bar, addr - m.base, size, value);
}

static const struct bus_ops window_ops = {window_read, window_write};

static bool in_windows(const struct pci_bus *bus, const struct pci_bar *b, uint64_t addr)
{
	for (unsigned i = 0; i < PCI_WINDOWS; i++) {
		const struct pci_window *w = &bus->window[i];
		if (w->space == space_of(b) && addr >= w->base && addr - w->base < w->len_bytes &&
		    b->len_bytes <= w->len_bytes - (addr - w->base))
			return true;
	}
	return false;
}

static void map_remove(struct pci_bus *bus, const struct pci_func *f, unsigned bar)
{
	enum bus_space space = space_of(&f->bar[bar]);
	struct pci_map *map = bus->map[space];
	unsigned *count = &bus->map_count[space];
	unsigned kept = 0;
	for (unsigned i = 0; i < *count; i++)
		if (map[i].f != f || map[i].bar != bar)
			map[kept++] = map[i];
	*count = kept;
}

/* False: it would overlap what is there already. */
static bool map_insert(struct pci_bus *bus, struct pci_func *f, unsigned bar, uint64_t addr)
{
	enum bus_space space = space_of(&f->bar[bar]);
	struct pci_map *map = bus->map[space];
	unsigned n = bus->map_count[space];
	uint64_t len = f->bar[bar].len_bytes;
	bool found;
	unsigned at = find(map, n, addr, &found);
	if (found || n == PCI_MAPS_MAX || (at < n && map[at].base - addr < len))
		return false;
	memmove(&map[at + 1], &map[at], (n - at) * sizeof(*map));
	map[at] = (struct pci_map){addr, len, f, bar};
	bus->map_count[space] = n + 1;
	return true;
}

void pci_windows_update(struct pci_bus *bus, struct pci_func *f)
{
	bool changed[PCI_REGIONS] = {false};
	(void)pthread_rwlock_wrlock(&bus->map_lock);
	for (unsigned i = 0; i < PCI_REGIONS; i++) {
		struct pci_bar *b = &f->bar[i];
		uint64_t addr = pci_bar_register(f, i);
		bool want = pci_bar_decoded(f, i) && in_windows(bus, b, addr);
		if (want == b->mapped && (!want || addr == b->addr))
			continue;
		if (b->mapped)
			map_remove(bus, f, i);
		bool was = b->mapped;
		b->mapped = want && map_insert(bus, f, i, addr);
		b->addr = addr;
		changed[i] = was || b->mapped;
	}
	(void)pthread_rwlock_unlock(&bus->map_lock);
	for (unsigned i = 0; i < PCI_REGIONS; i++)
		if (changed[i] && f->ops->bar_moved)
			f->ops->bar_moved(f, i);
}

/* 64-bit BARs go above RAM, unless there is no room; a ROM and 32-bit BARs go below 4 GiB. */
static struct pci_window *window_for(struct pci_bus *bus, const struct pci_bar *b)
{
	switch (b->kind) {
	case PCI_BAR_IO:
		return &bus->window[PCI_WINDOW_IO];
	case PCI_BAR_MEM64:
		if (b->len_bytes <= bus->window[PCI_WINDOW_MEM64].len_bytes)
			return &bus->window[PCI_WINDOW_MEM64];
		break;
	case PCI_BAR_MEM32:
	case PCI_BAR_NONE:
		break;
	}
	return &bus->window[PCI_WINDOW_MEM32];
}

static vmm_err_t place(struct pci_bus *bus, struct pci_func *f, unsigned bar, vmm_err_info_t *ei)
{
	struct pci_bar *b = &f->bar[bar];
	struct pci_window *w = window_for(bus, b);
	uint64_t at = (w->next + b->len_bytes - 1) & ~(b->len_bytes - 1);
	uint64_t end = w->base + w->len_bytes;
	if (at < w->next || at >= end || b->len_bytes > end - at)
		return err_set(ei, VMM_E_LIMIT, f->name,
		               "BAR %u of %llu KiB does not fit into the rest of its window, "
		               "0x%llx-0x%llx",
		               bar, (unsigned long long)(b->len_bytes >> 10),
		               (unsigned long long)w->base, (unsigned long long)(end - 1));
	w->next = at + b->len_bytes;
	b->initial = at;
	pci_bar_set_register(f, bar, at);
	return VMM_OK;
}

/* Largest first: every BAR is aligned to its length, and this way nothing is lost to that. */
static vmm_err_t place_all(struct pci_bus *bus, vmm_err_info_t *ei)
{
	for (unsigned shift = 63; shift >= 2; shift--) {
		for (unsigned i = 0; i < PCI_FUNCS_MAX; i++) {
			struct pci_func *f = bus->func[i];
			for (unsigned bar = 0; f && bar < PCI_REGIONS; bar++) {
				if (f->bar[bar].kind == PCI_BAR_NONE ||
				    f->bar[bar].len_bytes != 1ull << shift)
					continue;
				vmm_err_t err = place(bus, f, bar, ei);
				if (err)
					return err;
			}
		}
	}
	return VMM_OK;
}

vmm_err_t pci_windows_attach(struct pci_bus *bus, const struct machine *m, struct bus *machine_bus,
                             vmm_err_info_t *ei)
{
	const struct pci_window windows[PCI_WINDOWS] = {
	        [PCI_WINDOW_IO] = {.space = BUS_PIO,
	                           .base = MACHINE_PORT_PCI_IO,
	                           .len_bytes = MACHINE_PORT_PCI_IO_END - MACHINE_PORT_PCI_IO},
	        [PCI_WINDOW_MEM32] = {.space = BUS_MMIO,
	                              .base = MACHINE_PCI_MEM32,
	                              .len_bytes = MACHINE_PCI_MEM32_END - MACHINE_PCI_MEM32},
	        [PCI_WINDOW_MEM64] = {.space = BUS_MMIO,
	                              .base = m->pci_mem64,
	                              .len_bytes = m->pci_mem64_bytes},
	};
	static const char *const names[PCI_WINDOWS] = {"PCI I/O window", "PCI memory window",
	                                               "PCI 64-bit memory window"};
	vmm_err_t err = VMM_OK;
	for (unsigned i = 0; i < PCI_WINDOWS && !err; i++) {
		struct pci_window *w = &bus->window[i];
		*w = windows[i];
		w->bus = bus;
		w->next = w->base;
		if (w->len_bytes > 0)
			err = bus_add(machine_bus, w->space, w->base, w->len_bytes, &window_ops, w,
			              names[i], ei);
	}
	return err ? err : place_all(bus, ei);
}
