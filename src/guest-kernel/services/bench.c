/* See bench.h. */
#include "guest-kernel/services/bench.h"

#include "guest-kernel/core/msg.h"

#define ROUNDS 2000u

static void spawn_one(void *arg)
{
	(void)arg;
}

static void do_allocate(struct system *s)
{
	(void)s;
	mem_free(mem_alloc(64));
}

static void do_frame(struct system *s)
{
	(void)s;
	frame_put(frame_get());
}

static void do_yield(struct system *s)
{
	(void)s;
	task_yield();
}

static void do_task(struct system *s)
{
	(void)s;
	struct task *t = task_start("bench", PRIO_DEFAULT - 1, spawn_one, NULL);
	if (t)
		task_join(t);
}

static void do_clock(struct system *s)
{
	(void)s;
	(void)arch_now_ns();
}

static void do_mutex(struct system *s)
{
	(void)s;
	static struct mutex m;
	static bool made;
	if (!made)
		mutex_init(&m);
	made = true;
	mutex_lock(&m);
	mutex_unlock(&m);
}

static void do_random(struct system *s)
{
	uint8_t out[32];
	entropy_get(&s->devices.entropy, out, sizeof(out));
}

static void do_sleep(struct system *s)
{
	(void)s;
	task_sleep(1);
}

static void do_message(struct system *s)
{
	(void)s;
	static struct mailbox *mb;
	struct msg m = {.len_bytes = 8};
	mb = mb ? mb : mailbox_create(4);
	if (mb && msg_send(mb, &m, 0))
		(void)msg_receive(mb, MSG_ANYONE, &m, 0);
}

static const struct {
	const char *name;
	void (*run)(struct system *s);
	unsigned rounds;
} benches[] = {
        {"read the clock", do_clock, ROUNDS},
        {"allocate and free 64 bytes", do_allocate, ROUNDS},
        {"take and give a frame", do_frame, ROUNDS},
        {"lock and unlock a mutex", do_mutex, ROUNDS},
        {"send and receive a message", do_message, ROUNDS},
        {"32 random bytes", do_random, ROUNDS},
        {"yield", do_yield, ROUNDS},
        {"start and join a task", do_task, ROUNDS / 10},
        {"sleep for 1 ns", do_sleep, ROUNDS / 10},
};

unsigned bench_run(struct system *s, struct bench_result *out, unsigned max)
{
	unsigned n = 0;
	for (; n < sizeof(benches) / sizeof(benches[0]) && n < max; n++) {
		benches[n].run(s);
		uint64_t began = arch_now_ns();
		for (unsigned i = 0; i < benches[n].rounds; i++)
			benches[n].run(s);
		out[n] = (struct bench_result){benches[n].name,
		                               (arch_now_ns() - began) / benches[n].rounds};
	}
	return n;
}
