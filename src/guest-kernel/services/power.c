/*
 * The end of the machine in good order, and its power button: a press is the host's word, which no
 * policy of the guest's is asked about.
 */
#include "guest-kernel/services/system.h"

#define SETTLE_NS NS_PER_S

void system_settle(struct system *s)
{
	for (unsigned i = 0; i < s->devices.disk_count; i++) {
		if (!disk_flush(s->disks[i]))
			log_error("disk%u: not everything could be written", i);
	}
	if (s->net_up && !netd_settle(&s->net, arch_now_ns() + SETTLE_NS))
		log_warning("network: not everything that was sent has arrived");
}

static void power_off(struct work *w)
{
	struct system *s = LIST_OF(w, struct system, button);
	log_warning("the power button was pressed: off");
	system_settle(s);
	arch_power_off();
}

static void on_press(void *ctx)
{
	struct system *s = ctx;
	(void)workq_add(&s->kernel->workq, &s->button);
}

void system_start_button(struct system *s)
{
	work_init(&s->button, power_off);
	if (!arch_on_power_button(on_press, s))
		log_debug("the machine has no power button");
}
