/*
 * The host's side of a test guest: a VM with the text port and the device of testdev.h, run until
 * its guest ends or its time is up, and everything that was seen meanwhile.
 */
#ifndef TESTS_INTEGRATION_GUEST_HOST_H
#define TESTS_INTEGRATION_GUEST_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/balloon.h"
#include "vmm/device.h"
#include "vmm/vm.h"

#define GUEST_TEXT_MAX   (64u << 10)
#define GUEST_LOG_MAX    (16u << 10)
#define GUEST_EVENTS_MAX 16u
#define GUEST_FIFO_MAX   1024u
#define GUEST_TICK_MS    2

struct guest_host {
	const char *name;
	vmm_vm_t *vm;
	vmm_irq_t *irq;
	int timer_fd; /* delayed pulses of the line */
	/* Called every GUEST_TICK_MS while the guest runs; may be NULL. */
	void (*tick)(struct guest_host *h);
	int packet_fd; /* a socket on the TAP's other side */
	int disk_fd, read_only_fd;
	int console_fd;        /* what the guest's console says */
	char console_text[64]; /* its start */
	size_t console_len;
	vmm_balloon_t *balloon;

	/* testdev.h; one lock for everything that vCPU threads change. */
	pthread_mutex_t lock;
	uint8_t port_echo[4];
	uint32_t port_count;
	uint8_t mmio_echo[64];
	uint8_t fifo[GUEST_FIFO_MAX];
	size_t fifo_head, fifo_tail;
	uint8_t boots;
	unsigned msi_failures;
	char text[GUEST_TEXT_MAX];
	size_t text_len;
	char log[GUEST_LOG_MAX];
	size_t log_len;

	/* What became of it. */
	bool timed_out;
	unsigned event_count;
	vmm_event_t event[GUEST_EVENTS_MAX];
	vmm_stats_t stats;
};

/* A VM for the guest file PATH with CPUS vCPUs, not built yet. Ends the program if it cannot be. */
void guest_host_open(struct guest_host *h, const char *name, const char *path, uint32_t cpus,
                     vmm_transport_t transport);
/* Build, start, wait for a final event or SECONDS, take the statistics. */
void guest_host_run(struct guest_host *h, unsigned seconds);
void guest_host_close(struct guest_host *h);

/* Ends the program with a FAIL line that tells the VM's error, unless ERR is VMM_OK. */
void guest_host_need(const struct guest_host *h, const char *call, vmm_err_t err);

/* The last event, or NULL. */
const vmm_event_t *guest_host_end(const struct guest_host *h);

#endif
