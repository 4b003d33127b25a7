/*
 * The end of the machine in good order, and its power button: a press is the host's word, which no
 * policy of the guest's is asked about.
 */
#include "guest-kernel/services/system.h"

bool system_flush(struct system *s)
{
	bool all = true;
	for (unsigned i = 0; i < s->devices.disk_count; i++) {
		if (disk_flush(s->disks[i]))
			continue;
		log_error("disk%u: not everything could be written", i);
		all = false;
	}
	return all;
}

static void power_off(struct work *w)
{
	struct system *s = LIST_OF(w, struct system, button);
	log_warning("the power button was pressed: off");
	(void)system_flush(s);
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
