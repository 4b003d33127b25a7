/* Mutexes, messages, the log, the order check of locks. */
#include <string.h>

#include "gk_rig.h"
#include "guest-kernel/core/msg.h"
#include "guest-kernel/core/waitq.h"

static struct task *start(const char *name, unsigned prio, task_fn fn, void *arg)
{
	struct task *t = task_start(name, prio, fn, arg);
	ck_assert_ptr_nonnull(t);
	return t;
}

/* ---- mutex ---- */

static struct mutex mutex;
static unsigned inside, entered;

static void enter_often(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 500; i++) {
		mutex_lock(&mutex);
		ck_assert_uint_eq(__atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED), 1);
		entered++;
		if (i % 16 == 0)
			task_yield();
		(void)__atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
		mutex_unlock(&mutex);
	}
}

static void mutex_body(void *arg)
{
	(void)arg;
	struct task *t[6];
	mutex_init(&mutex);
	for (unsigned i = 0; i < 6; i++)
		t[i] = start("enter", 3 + i % 2, enter_often, NULL);
	for (unsigned i = 0; i < 6; i++)
		task_join(t[i]);
	ck_assert_uint_eq(entered, 3000);
	ck_assert_ptr_null(mutex.owner);
}

START_TEST(a_mutex_excludes)
{
	rig_run(mutex_body, NULL);
}
END_TEST

START_TEST(a_mutex_excludes_smp)
{
	rig_run_smp(4, mutex_body, NULL);
}
END_TEST

static bool low_done, high_done;

static void low(void *arg)
{
	(void)arg;
	mutex_lock(&mutex);
	task_wake(arg);
	for (uint64_t end = arch_now_ns() + 10 * NS_PER_MS; arch_now_ns() < end;)
		arch_irq_restore(arch_irq_save());
	/* Another priority of its own takes nothing from what is lent. */
	ck_assert(task_set_prio(task_current(), 7));
	ck_assert_uint_eq(task_current()->prio, 1);
	low_done = true;
	mutex_unlock(&mutex);
	ck_assert_uint_eq(task_current()->prio, 7);
}

static void hog(void *arg)
{
	(void)arg;
	while (!high_done)
		arch_irq_restore(arch_irq_save());
}

/* The holder (6, then 7) runs before the hog (4), because an urgent task (1) waits for it. */
static void inherit_body(void *arg)
{
	(void)arg;
	mutex_init(&mutex);
	task_set_prio(task_current(), 1);
	struct task *a = start("low", 6, low, task_current());
	(void)task_park(FOREVER);
	struct task *b = start("hog", 4, hog, NULL);
	mutex_lock(&mutex);
	ck_assert(low_done);
	high_done = true;
	mutex_unlock(&mutex);
	task_join(a);
	task_join(b);
	task_set_prio(task_current(), PRIO_DEFAULT);
}

START_TEST(a_holder_inherits_priority)
{
	rig_run(inherit_body, NULL);
}
END_TEST

static void hold(void *arg)
{
	mutex_lock(&mutex);
	task_wake(arg);
	task_sleep(20 * NS_PER_MS);
	mutex_unlock(&mutex);
}

static void timeout_body(void *arg)
{
	(void)arg;
	mutex_init(&mutex);
	struct task *t = start("hold", 1, hold, task_current());
	(void)task_park(FOREVER);
	ck_assert(!mutex_try(&mutex));
	ck_assert(!mutex_lock_until(&mutex, arch_now_ns() + NS_PER_MS));
	ck_assert(mutex_lock_until(&mutex, arch_now_ns() + 100 * NS_PER_MS));
	mutex_unlock(&mutex);
	task_join(t);
}

START_TEST(a_mutex_times_out)
{
	rig_run(timeout_body, NULL);
}
END_TEST

/* ---- messages ---- */

#define SENDERS 4u
#define SENT    400u

static struct mailbox *box;

static void send_many(void *arg)
{
	struct msg m = {.type = (uint16_t)(uintptr_t)arg, .len_bytes = 4};
	for (uint32_t i = 0; i < SENT; i++) {
		memcpy(m.data, &i, sizeof(i));
		ck_assert(msg_send(box, &m, FOREVER));
	}
}

/* In a small box others' messages would keep out those of the chosen one. */
static void messages_body(void *arg)
{
	bool choose = arg != NULL;
	struct task *t[SENDERS];
	uint32_t next[SENDERS] = {0};
	box = mailbox_create(choose ? SENDERS * SENT : 5);
	ck_assert_ptr_nonnull(box);
	for (unsigned i = 0; i < SENDERS; i++)
		t[i] = start("send", 3 + i % 3, send_many, (void *)(uintptr_t)i);
	for (unsigned n = 0; n < SENDERS * SENT; n++) {
		struct msg m;
		/* Now and then from one sender only, whichever it is. */
		unsigned one = n % SENDERS;
		bool chosen = choose && n % 3 == 0 && next[one] < SENT;
		ck_assert(msg_receive(box, chosen ? t[one]->id : MSG_ANYONE, &m, FOREVER));
		ck_assert_uint_lt(m.type, SENDERS);
		ck_assert(!chosen || m.type == one);
		ck_assert_uint_eq(m.from, t[m.type]->id);
		ck_assert_int_eq(memcmp(m.data, &next[m.type], 4), 0);
		next[m.type]++;
	}
	for (unsigned i = 0; i < SENDERS; i++)
		task_join(t[i]);
	ck_assert_uint_eq(box->count, 0);
	mailbox_destroy(box);
}

START_TEST(messages_arrive_in_order)
{
	rig_run(messages_body, NULL);
}
END_TEST

START_TEST(messages_are_received_from_one)
{
	rig_run(messages_body, (void *)1);
}
END_TEST

START_TEST(messages_arrive_in_order_smp)
{
	rig_run_smp(3, messages_body, NULL);
}
END_TEST

static void receive_closed(void *arg)
{
	struct msg m;
	(void)arg;
	ck_assert(!msg_receive(box, MSG_ANYONE, &m, FOREVER));
}

static void message_limits_body(void *arg)
{
	(void)arg;
	struct msg m = {.len_bytes = MSG_DATA_BYTES + 1};
	ck_assert_ptr_null(mailbox_create(0));
	ck_assert_ptr_null(mailbox_create(MAILBOX_MAX + 1));
	box = mailbox_create(1);
	ck_assert(!msg_send(box, &m, 0));
	m.len_bytes = 0;
	uint64_t now = arch_now_ns();
	ck_assert(!msg_receive(box, MSG_ANYONE, &m, now + NS_PER_MS));
	ck_assert_uint_ge(arch_now_ns(), now + NS_PER_MS);
	ck_assert(msg_send(box, &m, 0));
	ck_assert(!msg_send(box, &m, 0));
	ck_assert(!msg_receive(box, task_current()->id + 1, &m, 0));
	ck_assert(msg_receive(box, task_current()->id, &m, 0));
	struct task *t = start("receive", 1, receive_closed, NULL);
	mailbox_close(box);
	task_join(t);
	ck_assert(!msg_send(box, &m, FOREVER));
	mailbox_destroy(box);
}

START_TEST(messages_have_limits)
{
	rig_run(message_limits_body, NULL);
}
END_TEST

/* ---- log ---- */

static void log_body(void *arg)
{
	(void)arg;
	struct log *l = &kernel_of_cpu()->log;
	struct log_record r;
	uint64_t first = l->written;
	for (unsigned i = 0; i < LOG_RECORDS + 10; i++)
		log_info("line %u", i);
	ck_assert(!log_read(l, first + 9, &r));
	ck_assert(log_read(l, log_oldest(l), &r));
	ck_assert_str_eq(r.text, "line 10");
	ck_assert(log_read(l, l->written - 1, &r));
	ck_assert_uint_eq(r.level, LOG_INFO);
	ck_assert(!log_read(l, l->written, &r));
	char longest[LOG_TEXT_BYTES + 100];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	log_info("%s", longest);
	ck_assert(log_read(l, l->written - 1, &r));
	ck_assert_uint_eq(strlen(r.text), LOG_TEXT_BYTES - 1);
}

START_TEST(the_log_keeps_the_last_lines)
{
	rig_run(log_body, NULL);
}
END_TEST

/* ---- lock order ---- */

static unsigned lock_faults;

static void on_lock_fault(const char *name, const char *other)
{
	ck_assert_str_eq(name, "A");
	ck_assert_str_eq(other, "C");
	lock_faults++;
}

static void take_two(struct spinlock *first, struct spinlock *second)
{
	unsigned long flags = spin_lock_irqsave(first);
	spin_lock(second);
	spin_unlock(second);
	spin_unlock_irqrestore(first, flags);
}

static void lock_body(void *arg)
{
	(void)arg;
	struct spinlock a, b, c;
	spin_init_named(&a, "A");
	spin_init_named(&b, "B");
	spin_init_named(&c, "C");
	take_two(&a, &b);
	take_two(&b, &c);
	take_two(&a, &c);
	ck_assert_uint_eq(lock_faults, 0);
	take_two(&c, &a);
	ck_assert_uint_eq(lock_faults, 1);
}

/* Nobody met anybody: the order alone is the fault, by way of B. */
START_TEST(a_wrong_order_of_locks_is_reported)
{
	struct hosted_opts opts = {.virtual_clock = true, .lock_fault = on_lock_fault};
	ck_assert_int_eq(hosted_run(&opts, lock_body, NULL), HOSTED_POWER_OFF);
	ck_assert_uint_eq(lock_faults, 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("sync");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_mutex_excludes);
	tcase_add_test(tc, a_mutex_excludes_smp);
	tcase_add_test(tc, a_holder_inherits_priority);
	tcase_add_test(tc, a_mutex_times_out);
	tcase_add_test(tc, messages_arrive_in_order);
	tcase_add_test(tc, messages_are_received_from_one);
	tcase_add_test(tc, messages_arrive_in_order_smp);
	tcase_add_test(tc, messages_have_limits);
	tcase_add_test(tc, the_log_keeps_the_last_lines);
	tcase_add_test(tc, a_wrong_order_of_locks_is_reported);
	return suite_run("gk_sync", tc);
}
