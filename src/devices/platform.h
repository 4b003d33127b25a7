/*
 * The platform's small devices: i8042 (reset line only), CMOS RTC, ACPI sleep and reset registers,
 * debug-exit port, pvpanic. Register accesses on vCPU threads; each device locks for itself.
 */
#ifndef SRC_DEVICES_PLATFORM_H
#define SRC_DEVICES_PLATFORM_H

#include <pthread.h>
#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/err.h"

enum platform_request {
	PLATFORM_POWER_OFF,
	PLATFORM_RESET,
	PLATFORM_DEBUG_EXIT, /* code: the value written */
	PLATFORM_PANIC,
};

/* What the platform asks of the machine; called on a vCPU thread, without a lock held. */
typedef void (*platform_request_fn)(void *ctx, enum platform_request what, uint32_t code);

struct rtc {
	pthread_mutex_t lock;
	uint8_t index;
	uint8_t ram[128];
};

struct platform {
	platform_request_fn request;
	void *ctx;
	struct rtc rtc;
};

void platform_init(struct platform *p, platform_request_fn request, void *ctx);
void platform_fini(struct platform *p);
VMM_WARN_UNUSED vmm_err_t platform_add_to_bus(struct platform *p, struct bus *bus,
                                              vmm_err_info_t *ei);

/* rtc.c: MC146818 registers (its data sheet; index at offset 0, data at offset 1). */
void rtc_init(struct rtc *rtc);
void rtc_fini(struct rtc *rtc);
extern const struct bus_ops rtc_bus_ops;

#endif
