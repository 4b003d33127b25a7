/* Message-signalled interrupts. See msi.h. */
#include "msi.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "errset.h"
#include "kvm.h"
#include "machine.h"

#define PIC_PINS     8u
#define CHIP_ROUTES  (MACHINE_IOAPIC_PINS + 2 * PIC_PINS)
#define ROUTE_GSI(i) (MACHINE_IOAPIC_PINS + (i))

void msi_routes_init(struct msi_routes *r)
{
	r->vm_fd = -1;
	(void)pthread_mutex_init(&r->lock, NULL);
}

void msi_routes_fini(struct msi_routes *r)
{
	(void)pthread_mutex_destroy(&r->lock);
}

void msi_routes_set_vm(struct msi_routes *r, int vm_fd)
{
	(void)pthread_mutex_lock(&r->lock);
	r->vm_fd = vm_fd;
	(void)pthread_mutex_unlock(&r->lock);
}

static struct kvm_irq_routing_entry chip_entry(uint32_t gsi, uint32_t chip, uint32_t pin)
{
	return (struct kvm_irq_routing_entry){
	        .gsi = gsi,
	        .type = KVM_IRQ_ROUTING_IRQCHIP,
	        .u.irqchip = {.irqchip = chip, .pin = pin},
	};
}

/* The whole table, as KVM takes no less: the chips' pins as KVM_CREATE_IRQCHIP left them. */
static bool write_table(const struct msi_routes *r)
{
	union {
		struct kvm_irq_routing head;
		uint8_t bytes[sizeof(struct kvm_irq_routing) +
		              (CHIP_ROUTES + MSI_ROUTES_MAX) *
		                      sizeof(struct kvm_irq_routing_entry)];
	} table;
	memset(&table.head, 0, sizeof(table.head));
	struct kvm_irq_routing_entry *e = table.head.entries;
	for (uint32_t pin = 0; pin < MACHINE_IOAPIC_PINS; pin++)
		*e++ = chip_entry(pin, KVM_IRQCHIP_IOAPIC, pin);
	for (uint32_t pin = 0; pin < PIC_PINS; pin++) {
		*e++ = chip_entry(pin, KVM_IRQCHIP_PIC_MASTER, pin);
		*e++ = chip_entry(PIC_PINS + pin, KVM_IRQCHIP_PIC_SLAVE, pin);
	}
	for (uint32_t i = 0; i < MSI_ROUTES_MAX; i++) {
		const struct msi_route *route = &r->route[i];
		if (!route->set)
			continue;
		*e++ = (struct kvm_irq_routing_entry){
		        .gsi = ROUTE_GSI(i),
		        .type = KVM_IRQ_ROUTING_MSI,
		        .u.msi = {.address_lo = (uint32_t)route->addr,
		                  .address_hi = (uint32_t)(route->addr >> 32),
		                  .data = route->data},
		};
	}
	table.head.nr = (uint32_t)(e - table.head.entries);
	return kvm_set_gsi_routing(r->vm_fd, &table.head);
}

vmm_err_t msi_line_open(struct msi_line *line, struct msi_routes *r, vmm_err_info_t *ei)
{
	*line = (struct msi_line){.routes = r, .fd = -1};
	uint32_t i = 0;
	(void)pthread_mutex_lock(&r->lock);
	while (i < MSI_ROUTES_MAX && r->route[i].taken)
		i++;
	if (i < MSI_ROUTES_MAX)
		r->route[i] = (struct msi_route){.taken = true};
	(void)pthread_mutex_unlock(&r->lock);
	if (i == MSI_ROUTES_MAX)
		return err_set(ei, VMM_E_LIMIT, "interrupt",
		               "more than %u message-signalled interrupts", MSI_ROUTES_MAX);
	line->index = i;
	line->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (line->fd >= 0)
		return VMM_OK;
	int err = errno;
	(void)pthread_mutex_lock(&r->lock);
	r->route[i].taken = false;
	(void)pthread_mutex_unlock(&r->lock);
	return err_sys(ei, err, "interrupt", "cannot make an eventfd for a vector");
}

void msi_line_close(struct msi_line *line)
{
	if (line->fd < 0)
		return;
	msi_line_disconnect(line);
	struct msi_routes *r = line->routes;
	(void)pthread_mutex_lock(&r->lock);
	r->route[line->index] = (struct msi_route){0};
	(void)pthread_mutex_unlock(&r->lock);
	(void)close(line->fd);
	line->fd = -1;
}

static bool set_route(struct msi_routes *r, uint32_t i, uint64_t addr, uint32_t data)
{
	struct msi_route *route = &r->route[i];
	if (route->set && route->addr == addr && route->data == data)
		return true;
	struct msi_route before = *route;
	*route = (struct msi_route){.taken = true, .set = true, .addr = addr, .data = data};
	if (r->vm_fd < 0 || write_table(r))
		return true;
	*route = before;
	return false;
}

bool msi_line_connect(struct msi_line *line, uint64_t addr, uint32_t data)
{
	struct msi_routes *r = line->routes;
	(void)pthread_mutex_lock(&r->lock);
	bool ok = set_route(r, line->index, addr, data);
	if (ok && !line->connected && r->vm_fd >= 0)
		ok = kvm_irqfd_set(r->vm_fd, line->fd, ROUTE_GSI(line->index), true);
	line->connected |= ok;
	(void)pthread_mutex_unlock(&r->lock);
	return ok;
}

void msi_line_disconnect(struct msi_line *line)
{
	if (!line->connected)
		return;
	struct msi_routes *r = line->routes;
	(void)pthread_mutex_lock(&r->lock);
	if (r->vm_fd >= 0)
		(void)kvm_irqfd_set(r->vm_fd, line->fd, ROUTE_GSI(line->index), false);
	line->connected = false;
	(void)pthread_mutex_unlock(&r->lock);
}

void msi_line_raise(const struct msi_line *line)
{
	const uint64_t one = 1;
	/* Fails only when 2^64 - 2 wait unread: it is then pending anyway. */
	ssize_t n = write(line->fd, &one, sizeof(one));
	(void)n;
}

bool msi_line_pending(const struct msi_line *line)
{
	struct pollfd p = {.fd = line->fd, .events = POLLIN};
	return line->fd >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}
