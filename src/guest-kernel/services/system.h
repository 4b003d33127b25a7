/* What the shipped kernel consists of: the kernel, its devices, and the console that all share. */
#ifndef GK_SERVICES_SYSTEM_H
#define GK_SERVICES_SYSTEM_H

#include "guest-kernel/block/disk.h"
#include "guest-kernel/core/waitq.h"
#include "guest-kernel/drivers/devices.h"
#include "guest-kernel/net/netd.h"
#include "guest-kernel/security/security.h"

#define INPUT_BYTES 256u

struct httpd;

struct system {
	struct kernel *kernel;
	struct netd net;
	bool net_up;
	struct httpd *httpd; /* NULL: it does not run */
	struct devices devices;
	struct disk *disks[DISKS_MAX];
	/* Typed and not read yet. What does not fit is lost. */
	struct spinlock input_lock;
	struct waitq input_wait;
	char input[INPUT_BYTES];
	unsigned input_from, input_count;
	uint64_t input_lost;
	struct work button; /* the power button was pressed */
};

/*
 * The first task of the shipped kernel, whatever machine it is on: takes every CPU and device into
 * use, says that it is ready, and returns when the services have been started. KERNEL is the struct
 * kernel. Once in a process's life.
 */
void system_main(void *kernel);
/* Brings everything up on KERNEL. Task context. */
void system_start(struct system *s, struct kernel *k);
/* Starts the network and its services; addresses come in the background. What does not start
 * is named on the console. */
void system_start_net(struct system *s, struct httpd *h);
/* From here on the power button flushes the disks and switches the machine off. */
void system_start_button(struct system *s);
/* For the end: writes what the disks' caches hold, and waits, a second at most, until what was sent
 * on connections that have been closed has arrived. What has not is named on the console. */
void system_settle(struct system *s);
/* Waits until something has been typed. */
size_t system_read(struct system *s, char *out, size_t max);

#endif
