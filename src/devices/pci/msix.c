/* MSI-X. See msix.h. */
#include "devices/pci/msix.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/errset.h"

#define ENTRY_CTRL (PCI_MSIX_ENTRY_VECTOR_CTRL / 4)
#define ENTRY_DATA (PCI_MSIX_ENTRY_DATA / 4)
#define ENTRY_LOW  (PCI_MSIX_ENTRY_LOWER_ADDR / 4)
#define ENTRY_HIGH (PCI_MSIX_ENTRY_UPPER_ADDR / 4)

vmm_err_t msix_adopt(struct msix *m, struct pci_func *f, struct msi_routes *routes, uint8_t cap,
                     unsigned count, vmm_err_info_t *ei)
{
	m->f = f;
	m->routes = routes;
	m->cap = cap;
	(void)pthread_mutex_init(&m->lock, NULL);
	m->vector = calloc(count, sizeof(*m->vector));
	if (!m->vector)
		return err_set(ei, VMM_E_NOMEM, f->name, "out of memory");
	m->count = count;
	for (unsigned i = 0; i < count; i++) {
		m->vector[i].line.fd = -1;
		m->vector[i].entry[ENTRY_CTRL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
	pci_config_allow(f, m->cap + PCI_MSIX_FLAGS, 2,
	                 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	return VMM_OK;
}

vmm_err_t msix_init(struct msix *m, struct pci_func *f, struct msi_routes *routes, unsigned count,
                    unsigned bar, uint32_t table, uint32_t pba, vmm_err_info_t *ei)
{
	uint8_t cap = pci_func_add_cap(f, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	if (cap == 0)
		return err_set(ei, VMM_E_LIMIT, f->name, "no room for MSI-X in its config space");
	pci_config_set(f, cap + PCI_MSIX_FLAGS, 2, count - 1);
	pci_config_set(f, cap + PCI_MSIX_TABLE, 4, table | bar);
	pci_config_set(f, cap + PCI_MSIX_PBA, 4, pba | bar);
	return msix_adopt(m, f, routes, cap, count, ei);
}

void msix_fini(struct msix *m)
{
	for (unsigned i = 0; i < m->count; i++)
		msi_line_close(&m->vector[i].line);
	free(m->vector);
	m->vector = NULL;
	m->count = 0;
	if (m->f)
		(void)pthread_mutex_destroy(&m->lock);
}

/* Open the line on first use; a device that is told opens nothing that its guest never uses. */
static bool make_line(struct msix *m, unsigned i)
{
	struct msi_line *line = &m->vector[i].line;
	if (line->fd >= 0)
		return true;
	if (msi_line_open(line, m->routes, NULL))
		return false;
	if (m->changed)
		m->changed(m->ctx, i);
	return true;
}

static void update_vector(struct msix *m, unsigned i)
{
	struct msix_vector *v = &m->vector[i];
	bool on = m->enabled && !m->masked && !(v->entry[ENTRY_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	if (!on)
		msi_line_disconnect(&v->line);
	else if (make_line(m, i))
		(void)msi_line_connect(&v->line,
		                       (uint64_t)v->entry[ENTRY_HIGH] << 32 | v->entry[ENTRY_LOW],
		                       v->entry[ENTRY_DATA]);
}

/* Nothing of what was pending survives: the vectors' meaning is the driver's to give anew. */
static void disable(struct msix *m)
{
	if (m->changed)
		m->changed(m->ctx, MSIX_ALL);
	for (unsigned i = 0; i < m->count; i++)
		msi_line_close(&m->vector[i].line);
}

static void set_state(struct msix *m, bool enabled, bool masked)
{
	if (m->enabled == enabled && m->masked == masked)
		return;
	bool was = m->enabled;
	m->masked = masked;
	m->enabled = enabled;
	if (was && !enabled)
		disable(m);
	for (unsigned i = 0; i < m->count && enabled; i++)
		update_vector(m, i);
}

void msix_config_written(struct msix *m, uint32_t offset, unsigned size)
{
	uint32_t at = m->cap + PCI_MSIX_FLAGS;
	if (offset + size <= at || offset >= at + 2)
		return;
	uint32_t flags = pci_config_get(m->f, at, 2);
	(void)pthread_mutex_lock(&m->lock);
	set_state(m, flags & PCI_MSIX_FLAGS_ENABLE, flags & PCI_MSIX_FLAGS_MASKALL);
	(void)pthread_mutex_unlock(&m->lock);
}

void msix_reset(struct msix *m)
{
	(void)pthread_mutex_lock(&m->lock);
	set_state(m, false, false);
	for (unsigned i = 0; i < m->count; i++) {
		uint32_t *entry = m->vector[i].entry;
		memset(entry, 0, PCI_MSIX_ENTRY_SIZE);
		entry[ENTRY_CTRL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
	(void)pthread_mutex_unlock(&m->lock);
}

/* Only aligned accesses of 4 or 8 bytes are defined (PCI 3.0, 6.8.2). */
static bool aligned(uint64_t offset, unsigned size)
{
	return (size == 4 || size == 8) && !(offset & (size - 1));
}

uint64_t msix_table_read(struct msix *m, uint64_t offset, unsigned size)
{
	if (!aligned(offset, size) || offset >= msix_table_bytes(m->count))
		return 0;
	uint64_t value = 0;
	(void)pthread_mutex_lock(&m->lock);
	const uint32_t *entry = m->vector[offset / PCI_MSIX_ENTRY_SIZE].entry;
	memcpy(&value, &entry[offset % PCI_MSIX_ENTRY_SIZE / 4], size);
	(void)pthread_mutex_unlock(&m->lock);
	return value;
}

void msix_table_write(struct msix *m, uint64_t offset, unsigned size, uint64_t value)
{
	if (!aligned(offset, size) || offset >= msix_table_bytes(m->count))
		return;
	unsigned i = (unsigned)(offset / PCI_MSIX_ENTRY_SIZE);
	(void)pthread_mutex_lock(&m->lock);
	uint32_t *entry = m->vector[i].entry;
	memcpy(&entry[offset % PCI_MSIX_ENTRY_SIZE / 4], &value, size);
	entry[ENTRY_CTRL] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	update_vector(m, i);
	(void)pthread_mutex_unlock(&m->lock);
}

uint64_t msix_pba_read(struct msix *m, uint64_t offset, unsigned size)
{
	if (!aligned(offset, size) || offset >= msix_pba_bytes(m->count))
		return 0;
	uint64_t value = 0;
	unsigned first = (unsigned)offset * 8;
	(void)pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < size * 8 && first + i < m->count; i++) {
		const struct msi_line *line = &m->vector[first + i].line;
		if (line->fd >= 0 && !line->connected && msi_line_pending(line))
			value |= 1ull << i;
	}
	(void)pthread_mutex_unlock(&m->lock);
	return value;
}

bool msix_raise(struct msix *m, unsigned vector)
{
	if (!atomic_load(&m->enabled))
		return false;
	(void)pthread_mutex_lock(&m->lock);
	if (m->enabled && vector < m->count && make_line(m, vector))
		msi_line_raise(&m->vector[vector].line);
	(void)pthread_mutex_unlock(&m->lock);
	return true;
}
