/*
 * An interrupt line, as a device sees it: something to pulse. The line is an eventfd that KVM_IRQFD
 * connects to a GSI, or that a unit test just reads; or it goes to the interrupt chip by a call.
 *
 * Both give the same edge. KVM hands an eventfd's edge for a pin of the IOAPIC to a kernel thread,
 * which costs a switch to it and back (2 % of all instructions of a TCP transfer, measured in the
 * lab), and has KVM wait for a grace period more when the VM is taken down: the machine's own
 * devices take the call, devices of the embedder the eventfd.
 */
#ifndef SRC_VMM_IRQ_H
#define SRC_VMM_IRQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/err.h"

/* KVM's interrupt chip. The lock is innermost, and makes an edge of its two halves. */
struct irq_chip {
	pthread_mutex_t lock;
	int vm_fd; /* -1: there is no VM at the moment, edges go nowhere */
};

struct irq_line {
	int fd; /* eventfd, or -1: not connected, pulses go nowhere */
	uint32_t gsi;
	struct irq_chip *chip; /* not NULL: pulses go there */
};

void irq_chip_init(struct irq_chip *chip);
void irq_chip_fini(struct irq_chip *chip);
/* Edges go to this VM from now on; -1: nowhere, and none is under way any more. Any thread. */
void irq_chip_set_vm(struct irq_chip *chip, int vm_fd);

/* Hold pin GSI at LEVEL. Its only user holds levels, not edges. */
void irq_chip_set_level(struct irq_chip *chip, uint32_t gsi, bool level);

/* A line that is an eventfd, for KVM_IRQFD. */
VMM_WARN_UNUSED vmm_err_t irq_line_open(struct irq_line *line, uint32_t gsi, vmm_err_info_t *ei);
/* A line that calls the chip, which outlives it. */
void irq_line_on_chip(struct irq_line *line, uint32_t gsi, struct irq_chip *chip);
void irq_line_close(struct irq_line *line);

/* One edge. Any thread; never blocks. */
void irq_pulse(const struct irq_line *line);

#endif
