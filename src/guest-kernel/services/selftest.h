/*
 * What the kernel's own parts do on the machine that they run on: memory, timers, tasks on every
 * CPU, messages, interrupts of devices. For a host that nobody has tried before.
 */
#ifndef GK_SERVICES_SELFTEST_H
#define GK_SERVICES_SELFTEST_H

#include "guest-kernel/services/system.h"

/* SAY is called with the name of each test and what is wrong, or NULL. How many failed. Takes about
 * a tenth of a second. Task context. */
unsigned selftest_run(struct system *s, void (*say)(void *ctx, const char *name, const char *wrong),
                      void *ctx);

#endif
