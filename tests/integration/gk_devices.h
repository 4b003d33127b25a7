/*
 * The VMM's side of gk_process: its devices on a loop of their own, behind virtio-mmio registers.
 * By itself, because kernel and VMM have types of the same names.
 */
#ifndef TESTS_INTEGRATION_GK_DEVICES_H
#define TESTS_INTEGRATION_GK_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GK_DEVICES_MAX 4u

struct gk_devices;

struct gk_devices_opts {
	const char *tap, *disk; /* or NULL: none */
	const char *forward;    /* or NULL: no user-mode network */
	const char *dns;        /* of that, or NULL: the host's */
	uint64_t memory_bytes;  /* from guest-physical 0 on */
	/* On the loop's thread: device INDEX interrupts; something has been typed. */
	void (*interrupt)(void *ctx, unsigned index);
	void (*typed)(void *ctx);
	void *ctx;
};

/* Makes entropy source, balloon, card and disk, and runs their loop. NULL: standard error has why.
 */
struct gk_devices *gk_devices_open(const struct gk_devices_opts *opts);
/* Their loop ends: they call nobody any more, and answer no request. */
void gk_devices_stop(struct gk_devices *d);
void gk_devices_close(struct gk_devices *d);
/* The file that memory is; theirs. */
int gk_devices_memory(const struct gk_devices *d);
unsigned gk_devices_count(const struct gk_devices *d);
/* Registers of a device. Any thread. */
uint32_t gk_devices_read(struct gk_devices *d, unsigned index, uint32_t offset, unsigned size);
void gk_devices_write(struct gk_devices *d, unsigned index, uint32_t offset, unsigned size,
                      uint32_t value);
/* Takes up to MAX bytes that were typed. Any thread. */
size_t gk_devices_typed(struct gk_devices *d, char *out, size_t max);

#endif
