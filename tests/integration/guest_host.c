/* The host's side of a test guest. See guest_host.h. */
#include "guest_host.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "testdev.h"

#define PORT_TEXT   0xe9u
#define MSI_ADDRESS 0xfee00000ull

void guest_host_need(const struct guest_host *h, const char *call, vmm_err_t err)
{
	if (err == VMM_OK)
		return;
	const vmm_err_info_t *ei = h->vm ? vmm_vm_error(h->vm) : NULL;
	(void)printf("FAIL %s: %s: %s: %s: %s\n", h->name, call, vmm_strerror(err),
	             ei ? ei->field : "", ei ? ei->message : "");
	exit(EXIT_FAILURE);
}

static void append(char *text, size_t *len, size_t room, const char *more, size_t n)
{
	if (n > room - 1 - *len)
		n = room - 1 - *len;
	memcpy(text + *len, more, n);
	*len += n;
	text[*len] = '\0';
}

static void on_log(void *ctx, vmm_log_level_t level, const char *line)
{
	struct guest_host *h = ctx;
	(void)level;
	(void)pthread_mutex_lock(&h->lock);
	append(h->log, &h->log_len, sizeof(h->log), line, strlen(line));
	append(h->log, &h->log_len, sizeof(h->log), "\n", 1);
	(void)pthread_mutex_unlock(&h->lock);
}

static uint64_t text_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)ctx;
	(void)offset;
	(void)size;
	return PORT_TEXT; /* as Bochs: the port is there */
}

static void text_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	(void)offset;
	(void)size;
	struct guest_host *h = ctx;
	const char c = (char)value;
	(void)pthread_mutex_lock(&h->lock);
	append(h->text, &h->text_len, sizeof(h->text), &c, 1);
	(void)pthread_mutex_unlock(&h->lock);
}

static uint64_t complement(const uint8_t *from, unsigned size)
{
	uint64_t value = 0;
	memcpy(&value, from, size);
	return ~value;
}

static uint64_t fifo_take(struct guest_host *h, unsigned size)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < size; i++) {
		uint8_t byte = 0xee;
		if (h->fifo_tail != h->fifo_head)
			byte = h->fifo[h->fifo_tail++ % GUEST_FIFO_MAX];
		value |= (uint64_t)byte << (8 * i);
	}
	return value;
}

static void fifo_put(struct guest_host *h, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		if (h->fifo_head - h->fifo_tail < GUEST_FIFO_MAX)
			h->fifo[h->fifo_head++ % GUEST_FIFO_MAX] = (uint8_t)(value >> (8 * i));
}

static uint64_t port_read(void *ctx, uint64_t offset, unsigned size)
{
	struct guest_host *h = ctx;
	uint64_t value = ~0ull;
	(void)pthread_mutex_lock(&h->lock);
	if (offset == TESTDEV_ECHO && size <= sizeof(h->port_echo)) {
		h->port_count++;
		value = complement(h->port_echo, size);
	} else if (offset == TESTDEV_COUNT) {
		value = h->port_count;
	} else if (offset == TESTDEV_FIFO) {
		value = fifo_take(h, size);
	} else if (offset == TESTDEV_BOOTS) {
		value = h->boots;
	}
	(void)pthread_mutex_unlock(&h->lock);
	return value;
}

static void port_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct guest_host *h = ctx;
	(void)pthread_mutex_lock(&h->lock);
	if (offset == TESTDEV_ECHO && size <= sizeof(h->port_echo)) {
		h->port_count++;
		memcpy(h->port_echo, &value, size);
	} else if (offset == TESTDEV_FIFO) {
		fifo_put(h, size, value);
	}
	(void)pthread_mutex_unlock(&h->lock);
}

static uint64_t mmio_read(void *ctx, uint64_t offset, unsigned size)
{
	struct guest_host *h = ctx;
	uint64_t value = ~0ull;
	(void)pthread_mutex_lock(&h->lock);
	if (offset + size <= sizeof(h->mmio_echo))
		value = complement(h->mmio_echo + offset, size);
	(void)pthread_mutex_unlock(&h->lock);
	return value;
}

static void pulse_later(struct guest_host *h, uint64_t delay_us)
{
	if (delay_us == 0) {
		vmm_irq_pulse(h->irq);
		return;
	}
	const struct itimerspec t = {
	        .it_value = {(time_t)(delay_us / 1000000), (long)(delay_us % 1000000) * 1000},
	};
	(void)timerfd_settime(h->timer_fd, 0, &t, NULL);
}

static void mmio_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct guest_host *h = ctx;
	(void)pthread_mutex_lock(&h->lock);
	if (offset + size <= sizeof(h->mmio_echo))
		memcpy(h->mmio_echo + offset, &value, size);
	(void)pthread_mutex_unlock(&h->lock);
	if (offset == TESTDEV_MMIO_IRQ)
		pulse_later(h, value);
	else if (offset == TESTDEV_MMIO_MSI && vmm_msi_send(h->vm, MSI_ADDRESS, (uint32_t)value))
		h->msi_failures++;
}

static void on_reset(void *ctx)
{
	struct guest_host *h = ctx;
	(void)pthread_mutex_lock(&h->lock);
	h->boots++;
	(void)pthread_mutex_unlock(&h->lock);
}

static void add_devices(struct guest_host *h)
{
	const vmm_bus_device_opts_t devices[] = {
	        {.struct_size = sizeof(devices[0]),
	         .name = "text",
	         .space = VMM_SPACE_PIO,
	         .base = PORT_TEXT,
	         .len_bytes = 1,
	         .read = text_read,
	         .write = text_write,
	         .ctx = h},
	        {.struct_size = sizeof(devices[0]),
	         .name = "test ports",
	         .space = VMM_SPACE_PIO,
	         .base = TESTDEV_PORT,
	         .len_bytes = TESTDEV_PORT_BYTES,
	         .read = port_read,
	         .write = port_write,
	         .reset = on_reset,
	         .ctx = h},
	        {.struct_size = sizeof(devices[0]),
	         .name = "test registers",
	         .space = VMM_SPACE_MMIO,
	         .base = TESTDEV_MMIO,
	         .len_bytes = TESTDEV_MMIO_BYTES,
	         .read = mmio_read,
	         .write = mmio_write,
	         .ctx = h},
	};
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		guest_host_need(h, "vmm_bus_device_add", vmm_bus_device_add(h->vm, &devices[i]));
	guest_host_need(h, "vmm_irq_add", vmm_irq_add(h->vm, TESTDEV_GSI, &h->irq));
}

void guest_host_open(struct guest_host *h, const char *name, const char *path, uint32_t cpus,
                     vmm_transport_t transport)
{
	*h = (struct guest_host){.name = name, .boots = 1};
	(void)pthread_mutex_init(&h->lock, NULL);
	h->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (h->timer_fd < 0)
		guest_host_need(h, "timerfd_create", VMM_E_IO);
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.memory_bytes = 64ull << 20;
	opts.cpus = cpus;
	opts.transport = transport;
	opts.log = on_log;
	opts.log_ctx = h;
	guest_host_need(h, "vmm_vm_create", vmm_vm_create(&opts, &h->vm, NULL));
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel = path;
	guest_host_need(h, "vmm_boot_set", vmm_boot_set(h->vm, &boot));
	add_devices(h);
}

static int64_t now_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Take what events there are; true after a final one. */
static bool take_events(struct guest_host *h)
{
	vmm_event_t e;
	while (vmm_vm_next_event(h->vm, &e)) {
		if (h->event_count < GUEST_EVENTS_MAX)
			h->event[h->event_count++] = e;
		if (e.final)
			return true;
	}
	return false;
}

static void wait_for_end(struct guest_host *h, int64_t end_ms)
{
	struct pollfd p[] = {
	        {.fd = vmm_vm_event_fd(h->vm), .events = POLLIN},
	        {.fd = h->timer_fd, .events = POLLIN},
	};
	for (;;) {
		int64_t left = end_ms - now_ms();
		if (left <= 0) {
			h->timed_out = true;
			return;
		}
		if (poll(p, 2, h->tick ? GUEST_TICK_MS : (int)left) == 0 && h->tick)
			h->tick(h);
		uint64_t ticks;
		if (p[1].revents && read(h->timer_fd, &ticks, sizeof(ticks)) == sizeof(ticks))
			vmm_irq_pulse(h->irq);
		if (p[0].revents && take_events(h))
			return;
	}
}

void guest_host_run(struct guest_host *h, unsigned seconds)
{
	guest_host_need(h, "vmm_vm_build", vmm_vm_build(h->vm));
	guest_host_need(h, "vmm_vm_start", vmm_vm_start(h->vm));
	wait_for_end(h, now_ms() + (int64_t)seconds * 1000);
	vmm_vm_stop(h->vm);
	h->stats = (vmm_stats_t){.struct_size = sizeof(h->stats)};
	guest_host_need(h, "vmm_vm_stats", vmm_vm_stats(h->vm, &h->stats));
}

void guest_host_close(struct guest_host *h)
{
	vmm_vm_destroy(h->vm);
	(void)close(h->timer_fd);
	(void)pthread_mutex_destroy(&h->lock);
}

const vmm_event_t *guest_host_end(const struct guest_host *h)
{
	return h->event_count ? &h->event[h->event_count - 1] : NULL;
}
