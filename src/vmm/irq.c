/* Interrupt lines. See irq.h. */
#include "irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "errset.h"

void irq_chip_init(struct irq_chip *chip)
{
	(void)pthread_mutex_init(&chip->lock, NULL);
	chip->vm_fd = -1;
}

void irq_chip_fini(struct irq_chip *chip)
{
	(void)pthread_mutex_destroy(&chip->lock);
}

void irq_chip_set_vm(struct irq_chip *chip, int vm_fd)
{
	(void)pthread_mutex_lock(&chip->lock);
	chip->vm_fd = vm_fd;
	(void)pthread_mutex_unlock(&chip->lock);
}

/* Under the lock: raised twice before it falls, a pin that two devices share shows one edge. */
static void chip_pulse(struct irq_chip *chip, uint32_t gsi)
{
	struct kvm_irq_level pin = {.irq = gsi, .level = 1};
	(void)pthread_mutex_lock(&chip->lock);
	if (chip->vm_fd >= 0) {
		(void)ioctl(chip->vm_fd, KVM_IRQ_LINE, &pin);
		pin.level = 0;
		(void)ioctl(chip->vm_fd, KVM_IRQ_LINE, &pin);
	}
	(void)pthread_mutex_unlock(&chip->lock);
}

void irq_chip_set_level(struct irq_chip *chip, uint32_t gsi, bool level)
{
	struct kvm_irq_level pin = {.irq = gsi, .level = level};
	(void)pthread_mutex_lock(&chip->lock);
	if (chip->vm_fd >= 0)
		(void)ioctl(chip->vm_fd, KVM_IRQ_LINE, &pin);
	(void)pthread_mutex_unlock(&chip->lock);
}

vmm_err_t irq_line_open(struct irq_line *line, uint32_t gsi, vmm_err_info_t *ei)
{
	line->gsi = gsi;
	line->chip = NULL;
	line->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (line->fd < 0)
		return err_sys(ei, errno, "interrupt", "cannot make an eventfd for GSI %u", gsi);
	return VMM_OK;
}

void irq_line_on_chip(struct irq_line *line, uint32_t gsi, struct irq_chip *chip)
{
	*line = (struct irq_line){.fd = -1, .gsi = gsi, .chip = chip};
}

void irq_line_close(struct irq_line *line)
{
	if (line->fd >= 0)
		(void)close(line->fd);
	line->fd = -1;
}

void irq_pulse(const struct irq_line *line)
{
	if (line->chip) {
		chip_pulse(line->chip, line->gsi);
		return;
	}
	if (line->fd < 0)
		return;
	const uint64_t one = 1;
	/* Fails only when 2^64 - 2 pulses wait unread: the edge is then pending anyway. */
	ssize_t n = write(line->fd, &one, sizeof(one));
	(void)n;
}
