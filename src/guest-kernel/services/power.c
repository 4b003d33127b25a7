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

static void on_press(void *ctx)
{
	struct system *s = ctx;
	spin_lock(&s->button_lock);
	s->button_pressed = true;
	waitq_wake_all(&s->button_wait);
	spin_unlock(&s->button_lock);
}

static bool is_pressed(void *ctx)
{
	const struct system *s = ctx;
	return s->button_pressed;
}

static void wait_for_press(void *ctx)
{
	struct system *s = ctx;
	(void)waitq_wait(&s->button_wait, &s->button_lock, is_pressed, s, FOREVER);
	log_warning("the power button was pressed: off");
	(void)system_flush(s);
	arch_power_off();
}

void system_start_button(struct system *s)
{
	spin_init_named(&s->button_lock, "button");
	waitq_init(&s->button_wait);
	/* More urgent than any service: a busy guest hears it as well. */
	struct task *t = task_start("power", PRIO_DRIVER, wait_for_press, s);
	if (!t) {
		log_warning("no memory for the power button's task: it is not heard");
		return;
	}
	task_detach(t);
	if (!arch_on_power_button(on_press, s))
		log_debug("the machine has no power button");
}
