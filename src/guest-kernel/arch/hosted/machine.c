/* The hosted machine: its life, CPUs, interrupts and clock. See hosted.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "hosted_priv.h"

#define MEMORY_DEFAULT (32ull << 20)
#define STEP_NS        50u    /* of the virtual clock: what a look at it takes */
#define RELAX_NS       10000u /* and what somebody who only waits lets pass */

static _Thread_local struct hosted_cpu *this_thread;

/* Calls, so that after a switch to another thread nobody uses an address from before. */
__attribute__((noinline)) struct hosted_cpu *hosted_me(void)
{
	return this_thread;
}

static __attribute__((noinline)) void set_irq_off(bool off)
{
	arch_hosted_irq_off = off;
}

void *arch_local(void)
{
	const struct hosted_cpu *me = hosted_me();
	return me ? me->local : NULL;
}

void arch_local_set(void *local)
{
	hosted_me()->local = local;
}

void *arch_current(void)
{
	const struct hosted_cpu *me = hosted_me();
	return me ? me->current : NULL;
}

void arch_current_set(void *task)
{
	hosted_me()->current = task;
}

struct hosted *hosted_self(void)
{
	return hosted_me()->machine;
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t arch_now_ns(void)
{
	struct hosted *m = hosted_me()->machine;
	if (m->opts.virtual_clock)
		return m->clock_ns += STEP_NS;
	return monotonic_ns() - m->clock_ns;
}

uint64_t arch_wall_boot_ns(void)
{
	return 0;
}

static bool stopping(const struct hosted *m)
{
	return __atomic_load_n(&m->stopping, __ATOMIC_ACQUIRE);
}

_Noreturn void hosted_leave(void)
{
	struct hosted_cpu *me = hosted_me();
	static _Thread_local struct arch_context nobody;
	arch_context_switch(&nobody, &me->host);
	abort();
}

void hosted_wake(struct hosted_cpu *c, uint32_t what)
{
	(void)__atomic_fetch_or(&c->pending, what, __ATOMIC_RELEASE);
	(void)pthread_mutex_lock(&c->mutex);
	(void)pthread_cond_signal(&c->wake);
	(void)pthread_mutex_unlock(&c->mutex);
}

void arch_stop_others(void)
{
	struct hosted *m = hosted_me()->machine;
	__atomic_store_n(&m->stopping, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < m->boot.cpus; i++)
		hosted_wake(&m->cpu[i], PENDING_KICK);
}

_Noreturn void hosted_end(int status)
{
	struct hosted *m = hosted_me()->machine;
	__atomic_store_n(&m->status, status, __ATOMIC_RELAXED);
	arch_stop_others();
	hosted_leave();
}

static void run_devices(struct hosted *m)
{
	uint64_t raised = __atomic_exchange_n(&m->gsi_pending, 0, __ATOMIC_ACQUIRE);
	unsigned count = __atomic_load_n(&m->irq_count, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < count; i++) {
		if (raised >> m->irqs[i].gsi & 1)
			m->irqs[i].fn(m->irqs[i].ctx);
	}
}

/* True if there was an interrupt to take. */
static bool take_one(struct hosted_cpu *c)
{
	struct hosted *m = c->machine;
	uint32_t pending = __atomic_exchange_n(&c->pending, 0, __ATOMIC_ACQUIRE);
	bool due = c->deadline_ns != UINT64_MAX && arch_now_ns() >= c->deadline_ns;
	if (!m->handlers || (!pending && !due))
		return false;
	set_irq_off(true);
	m->handlers->enter();
	if (due) {
		c->deadline_ns = UINT64_MAX;
		m->handlers->timer();
	}
	if (pending & PENDING_DEVICES)
		run_devices(m);
	if (pending & PENDING_KICK)
		m->handlers->kick();
	m->handlers->leave();
	/* Perhaps on another thread, that is, another CPU. */
	set_irq_off(false);
	return true;
}

static void deliver(void)
{
	do {
		if (stopping(hosted_me()->machine))
			hosted_leave();
	} while (take_one(hosted_me()));
}

static void relax(void)
{
	struct hosted *m = hosted_me()->machine;
	if (m->opts.virtual_clock)
		m->clock_ns += RELAX_NS;
	if (stopping(hosted_me()->machine))
		hosted_leave();
}

static const struct arch_hosted_hooks hooks = {deliver, relax};

void arch_handlers_set(const struct arch_handlers *h)
{
	hosted_me()->machine->handlers = h;
}

void arch_timer_set(uint64_t deadline_ns)
{
	hosted_me()->deadline_ns = deadline_ns;
}

void arch_kick(unsigned cpu)
{
	hosted_wake(&hosted_me()->machine->cpu[cpu], PENDING_KICK);
}

static bool has_work(const struct hosted_cpu *c)
{
	return __atomic_load_n(&c->pending, __ATOMIC_ACQUIRE) || stopping(c->machine);
}

static void wait_real(struct hosted_cpu *c)
{
	(void)pthread_mutex_lock(&c->mutex);
	uint64_t base = c->machine->clock_ns;
	while (!has_work(c)) {
		int status = 0;
		if (c->deadline_ns == UINT64_MAX) {
			status = pthread_cond_wait(&c->wake, &c->mutex);
		} else {
			uint64_t at = c->deadline_ns + base;
			struct timespec ts = {(time_t)(at / NS_PER_S), (long)(at % NS_PER_S)};
			status = pthread_cond_timedwait(&c->wake, &c->mutex, &ts);
		}
		if (status == ETIMEDOUT)
			break;
	}
	(void)pthread_mutex_unlock(&c->mutex);
}

static void wait_virtual(struct hosted_cpu *c)
{
	if (has_work(c))
		return;
	if (c->deadline_ns == UINT64_MAX)
		hosted_end(HOSTED_DEADLOCK);
	if (c->machine->clock_ns < c->deadline_ns)
		c->machine->clock_ns = c->deadline_ns;
}

void arch_idle(void)
{
	struct hosted_cpu *me = hosted_me();
	if (me->machine->opts.virtual_clock)
		wait_virtual(me);
	else
		wait_real(me);
	arch_irq_on();
	(void)arch_irq_save();
}

bool arch_irq_attach(uint32_t gsi, bool level, arch_irq_fn fn, void *ctx)
{
	struct hosted *m = hosted_me()->machine;
	(void)level;
	if (gsi >= HOSTED_GSIS || m->irq_count == HOSTED_HANDLERS)
		return false;
	m->irqs[m->irq_count].gsi = gsi;
	m->irqs[m->irq_count].fn = fn;
	m->irqs[m->irq_count].ctx = ctx;
	__atomic_store_n(&m->irq_count, m->irq_count + 1, __ATOMIC_RELEASE);
	return true;
}

/* A line that nobody else has; writing its number to the address of messages raises it. */
bool arch_msi_attach(arch_irq_fn fn, void *ctx, uint64_t *address, uint32_t *data)
{
	uint32_t line = HOSTED_MSI_FIRST + hosted_me()->machine->message_count;
	if (line >= HOSTED_GSI_BUTTON || !arch_irq_attach(line, false, fn, ctx))
		return false;
	hosted_me()->machine->message_count++;
	*address = HOSTED_MSI_ADDRESS;
	*data = line;
	return true;
}

void hosted_raise(struct hosted *m, uint32_t gsi)
{
	(void)__atomic_fetch_or(&m->gsi_pending, 1ull << gsi, __ATOMIC_RELEASE);
	hosted_wake(&m->cpu[0], PENDING_DEVICES);
}

/* ---- CPUs ---- */

static void cpu_setup(struct hosted_cpu *c, struct hosted *m, unsigned index)
{
	c->machine = m;
	c->index = index;
	c->deadline_ns = UINT64_MAX;
	(void)pthread_mutex_init(&c->mutex, NULL);
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&c->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
}

/* The calling thread is CPU C until the machine ends. */
static void cpu_run(struct hosted_cpu *c)
{
	pthread_attr_t attr;
	void *low = NULL;
	size_t bytes = 0;
	(void)pthread_getattr_np(pthread_self(), &attr);
	(void)pthread_attr_getstack(&attr, &low, &bytes);
	(void)pthread_attr_destroy(&attr);
	this_thread = c;
	arch_hosted_hooks = &hooks;
	arch_hosted_cpu = c->index;
	arch_hosted_irq_off = true;
	arch_context_adopt(&c->host);
	c->host.stack_low = (uintptr_t)low;
	c->host.stack_bytes = bytes;
	arch_context_switch(&c->host, &c->first);
	arch_hosted_hooks = NULL;
	this_thread = NULL;
	arch_hosted_irq_off = false;
	arch_hosted_cpu = 0;
}

static void *cpu_thread(void *arg)
{
	cpu_run(arg);
	return NULL;
}

bool arch_cpu_start(unsigned cpu, void *stack, void (*entry)(void *), void *arg,
                    const struct arch_frames *frames)
{
	struct hosted_cpu *c = &hosted_me()->machine->cpu[cpu];
	(void)frames;
	arch_context_init(&c->first, stack, ARCH_STACK_BYTES, entry, arg);
	c->started = pthread_create(&c->thread, NULL, cpu_thread, c) == 0;
	return c->started;
}

/* ---- the machine's life ---- */

static void first_task(void *arg)
{
	struct hosted *m = arg;
	m->main_fn(m->main_arg);
	hosted_end(HOSTED_POWER_OFF);
}

static void boot(void *arg)
{
	struct hosted *m = arg;
	m->kernel->lock_fault = m->opts.lock_fault;
	kernel_start(m->kernel, &m->boot, first_task, m);
}

static void describe(struct hosted *m)
{
	struct arch_boot *b = &m->boot;
	b->machine = "hosted";
	b->found_by = "the test";
	b->cpus = m->opts.cpus;
	b->ram_bytes = m->opts.memory_bytes;
	b->free[0] = (struct arch_range){HOSTED_RAM_BASE, m->opts.memory_bytes};
	b->free_count = 1;
	b->direct_map = (uintptr_t)m->ram - HOSTED_RAM_BASE;
	b->entry_cycles = arch_cycles();
	if (m->opts.pci)
		b->pci = *m->opts.pci;
	if (m->opts.cmdline && strlen(m->opts.cmdline) < sizeof(b->cmdline))
		memcpy(b->cmdline, m->opts.cmdline, strlen(m->opts.cmdline) + 1);
	for (unsigned i = 0; i < m->opts.device_count && i < ARCH_VIRTIO_MAX; i++) {
		const struct hosted_device *d = &m->opts.devices[i];
		if (d->on_pci)
			continue;
		b->virtio[b->virtio_count++] =
		        (struct arch_virtio_slot){d->base, d->len_bytes, d->gsi, false};
	}
}

static bool make_memory(struct hosted *m)
{
	const struct hosted_opts *o = &m->opts;
	int flags = o->ram_fd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	void *ram = mmap(NULL, o->memory_bytes, PROT_READ | PROT_WRITE, flags,
	                 o->ram_fd ? o->ram_fd : -1, o->ram_fd ? HOSTED_RAM_BASE : 0);
	m->ram = ram == MAP_FAILED ? NULL : ram;
	return m->ram != NULL;
}

static void destroy(struct hosted *m)
{
	for (unsigned i = 0; i < ARCH_STACKS_MAX; i++) {
		if (m->stacks[i])
			hosted_unmap(m->stacks[i], ARCH_STACK_BYTES + ARCH_PAGE_SIZE);
	}
	if (m->ram)
		hosted_unmap(m->ram, m->opts.memory_bytes);
	free(m->kernel);
	free(m);
}

static struct hosted *create(const struct hosted_opts *opts, task_fn main_fn, void *arg)
{
	struct hosted *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->opts = *opts;
	m->opts.cpus = opts->cpus == 0 || opts->virtual_clock ? 1 : opts->cpus;
	m->opts.memory_bytes = opts->memory_bytes ? opts->memory_bytes : MEMORY_DEFAULT;
	m->main_fn = main_fn;
	m->main_arg = arg;
	m->clock_ns = opts->virtual_clock ? 0 : monotonic_ns();
	m->kernel = calloc(1, sizeof(*m->kernel));
	if (!m->kernel || !make_memory(m)) {
		destroy(m);
		return NULL;
	}
	describe(m);
	for (unsigned i = 0; i < m->opts.cpus; i++)
		cpu_setup(&m->cpu[i], m, i);
	return m;
}

int hosted_run(const struct hosted_opts *opts, task_fn main_fn, void *arg)
{
	struct hosted *m = create(opts, main_fn, arg);
	void *stack = m ? mmap(NULL, ARCH_STACK_BYTES, PROT_READ | PROT_WRITE,
	                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
	                : MAP_FAILED;
	if (stack == MAP_FAILED) {
		if (m)
			destroy(m);
		return -1;
	}
	arch_context_init(&m->cpu[0].first, stack, ARCH_STACK_BYTES, boot, m);
	cpu_run(&m->cpu[0]);
	for (unsigned i = 1; i < m->opts.cpus; i++) {
		if (m->cpu[i].started)
			(void)pthread_join(m->cpu[i].thread, NULL);
	}
	if (m->opts.stopped)
		m->opts.stopped(m->opts.console_ctx);
	int status = m->status;
	hosted_unmap(stack, ARCH_STACK_BYTES);
	destroy(m);
	return status;
}
