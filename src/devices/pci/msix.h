/*
 * MSI-X (PCI 3.0, 6.8.2): the table and pending bits of one function, in one of its BARs. A vector
 * that is enabled and not masked is a connected msi_line; a masked one keeps what was raised, which
 * the pending bit shows, and delivers it when it is unmasked.
 *
 * Threads: any. Its lock is inside the bus's and the device's.
 */
#ifndef SRC_DEVICES_PCI_MSIX_H
#define SRC_DEVICES_PCI_MSIX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/pci/func.h"
#include "vmm/msi.h"

#define MSIX_VECTORS_MAX 2048u

struct msix_vector {
	uint32_t entry[PCI_MSIX_ENTRY_SIZE / 4];
	struct msi_line line;
};

struct msix {
	struct pci_func *f;
	struct msi_routes *routes;
	/* A vector is used for the first time since MSI-X was enabled: its line is open now, and
	 * connected next. Or MSI-X was disabled: VECTOR is MSIX_ALL, and all lines are closed after
	 * it. May be NULL. */
	void (*changed)(void *ctx, unsigned vector);
	void *ctx;
	uint8_t cap;
	pthread_mutex_t lock;
	_Atomic bool enabled;
	bool masked; /* the whole function */
	unsigned count;
	struct msix_vector *vector;
};

#define MSIX_ALL MSIX_VECTORS_MAX

/*
 * The capability, with COUNT vectors: the table at TABLE of BAR, the pending bits at PBA of it.
 * VMM_E_NOMEM; VMM_E_LIMIT: no room in config space.
 */
VMM_WARN_UNUSED vmm_err_t msix_init(struct msix *m, struct pci_func *f, struct msi_routes *routes,
                                    unsigned count, unsigned bar, uint32_t table, uint32_t pba,
                                    vmm_err_info_t *ei);
/* The same, for a function that has the capability at CAP already. */
VMM_WARN_UNUSED vmm_err_t msix_adopt(struct msix *m, struct pci_func *f, struct msi_routes *routes,
                                     uint8_t cap, unsigned count, vmm_err_info_t *ei);
void msix_fini(struct msix *m);
void msix_reset(struct msix *m);

/* Config space was written; looks whether it concerns MSI-X. The bus's lock is held. */
void msix_config_written(struct msix *m, uint32_t offset, unsigned size);

/* OFFSET from the start of the table, or of the pending bits. */
uint64_t msix_table_read(struct msix *m, uint64_t offset, unsigned size);
void msix_table_write(struct msix *m, uint64_t offset, unsigned size, uint64_t value);
uint64_t msix_pba_read(struct msix *m, uint64_t offset, unsigned size);

/* The device's event. False: MSI-X is disabled, its pin must tell. */
bool msix_raise(struct msix *m, unsigned vector);

static inline uint32_t msix_table_bytes(unsigned count)
{
	return count * PCI_MSIX_ENTRY_SIZE;
}

static inline uint32_t msix_pba_bytes(unsigned count)
{
	return (count + 63) / 64 * 8;
}

#endif
