/*
 * Message-signalled interrupts: an eventfd that KVM turns into the message its route holds. While a
 * line is disconnected (masked), its eventfd keeps what was raised: it is the pending bit, for our
 * own devices and for those of VFIO alike, and KVM delivers it when the line is connected again.
 *
 * Threads: any. The lock of the routes is innermost; changing a route may take milliseconds, so no
 * interrupt is raised under it.
 */
#ifndef SRC_VMM_MSI_H
#define SRC_VMM_MSI_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/err.h"

#define MSI_ROUTES_MAX 1024u

struct msi_route {
	bool taken; /* a line has this GSI */
	bool set;   /* and a message goes there */
	uint64_t addr;
	uint32_t data;
};

/* The part of KVM's GSI table that is ours: it follows the pins of the interrupt chips. */
struct msi_routes {
	pthread_mutex_t lock;
	int vm_fd; /* -1: there is no VM at the moment, messages stay pending */
	struct msi_route route[MSI_ROUTES_MAX];
};

struct msi_line {
	struct msi_routes *routes;
	int fd; /* eventfd, or -1: not open */
	uint32_t index;
	bool connected;
};

/* R is zeroed before: most of it is never touched. */
void msi_routes_init(struct msi_routes *r);
void msi_routes_fini(struct msi_routes *r);
/* Messages go to this VM from now on. Every line is disconnected when it changes. */
void msi_routes_set_vm(struct msi_routes *r, int vm_fd);

/* VMM_E_LIMIT: more than MSI_ROUTES_MAX lines; or the host has no eventfd left. */
VMM_WARN_UNUSED vmm_err_t msi_line_open(struct msi_line *line, struct msi_routes *r,
                                        vmm_err_info_t *ei);
void msi_line_close(struct msi_line *line);

/*
 * What is raised becomes the message DATA at ADDR from now on, and so does what is pending. False:
 * KVM refuses the message; the line stays disconnected.
 */
bool msi_line_connect(struct msi_line *line, uint64_t addr, uint32_t data);
void msi_line_disconnect(struct msi_line *line);

void msi_line_raise(const struct msi_line *line);
bool msi_line_pending(const struct msi_line *line);

#endif
