/*
 * An interrupt line, as a device sees it: something to pulse. The line is an eventfd; vm.c connects
 * it to a GSI through KVM_IRQFD, a unit test just reads it.
 */
#ifndef SRC_VMM_IRQ_H
#define SRC_VMM_IRQ_H

#include <stdint.h>

#include "vmm/err.h"

struct irq_line {
	int fd; /* eventfd, or -1: not connected, pulses go nowhere */
	uint32_t gsi;
};

VMM_WARN_UNUSED vmm_err_t irq_line_open(struct irq_line *line, uint32_t gsi, vmm_err_info_t *ei);
void irq_line_close(struct irq_line *line);

/* One edge. Any thread; never blocks. */
void irq_pulse(const struct irq_line *line);

#endif
