/* Interrupt lines. See irq.h. */
#include "irq.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "errset.h"

vmm_err_t irq_line_open(struct irq_line *line, uint32_t gsi, vmm_err_info_t *ei)
{
	line->gsi = gsi;
	line->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (line->fd < 0)
		return err_sys(ei, errno, "interrupt", "cannot make an eventfd for GSI %u", gsi);
	return VMM_OK;
}

void irq_line_close(struct irq_line *line)
{
	if (line->fd >= 0)
		(void)close(line->fd);
	line->fd = -1;
}

void irq_pulse(const struct irq_line *line)
{
	if (line->fd < 0)
		return;
	const uint64_t one = 1;
	/* Fails only when 2^64 - 2 pulses wait unread: the edge is then pending anyway. */
	ssize_t n = write(line->fd, &one, sizeof(one));
	(void)n;
}
