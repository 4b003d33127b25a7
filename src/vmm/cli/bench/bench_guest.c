/*
 * One case of `vmm bench exits`, in a process of its own: a VM with the bench guest, the devices
 * that answer it, and what they saw. The device callbacks run on the vCPU's thread; the rig is read
 * after the VM has stopped.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench.h"
#include "vmm/cli/kick.h"
#include "vmm/device.h"
#include "vmm/profile.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define MSI_ADDRESS   0xfee00000ull
#define MEMORY_SMALL  (BENCH_HUGE_PAGES * (2ull << 20))
#define MEMORY_TOUCH  (192ull << 20)
#define PAGE_SMALL    4096ull
#define PAGE_LARGE    (2ull << 20)
#define WAIT_SLICE_MS 1000

extern const uint8_t bench_guest_image[], bench_guest_image_end[];

struct rig {
	const struct bench_case *c;
	unsigned cpl;
	struct outcome *o;
	vmm_vm_t *vm;
	vmm_irq_t *irq;
	int doorbell; /* eventfd */
	int ended;    /* eventfd: the guest has ended by END_CODE, at CPL 3 */
	_Atomic uint32_t end_code;
	uint64_t arena_bytes;
	uint64_t arena_step;
	uint64_t memory_bytes;
	uint64_t *dirty;
	size_t dirty_words;
	bool aligned; /* the guest's TSC is the host's */
	bool broken;  /* a host call failed meanwhile: OUTCOME says which */

	/* One thread at a time: the vCPU's, or the waker's while the vCPU waits for it. */
	_Atomic bool counting; /* between BENCH_MARK_BEGIN and _END */
	_Atomic uint64_t seen;
	uint64_t *stamp; /* host's TSC at each access seen */
	struct vmm_kvm_stats before, after;
	struct trace trace;

	pthread_t waker;
	bool has_waker;
};

static void give_up(struct outcome *o, enum outcome_state state, const char *what,
                    const vmm_err_info_t *ei)
{
	if (o->state != OUTCOME_NOT_RUN)
		return;
	o->state = state;
	if (ei)
		(void)snprintf(o->why, sizeof(o->why), "%s: %s", ei->field, ei->message);
	else
		(void)snprintf(o->why, sizeof(o->why), "%s", what);
}

/* A host that lacks something is not a failure. */
static bool need(struct rig *r, const char *call, vmm_err_t err)
{
	if (err == VMM_OK)
		return true;
	const vmm_err_info_t *ei = vmm_vm_error(r->vm);
	bool lacks = err == VMM_E_UNSUPPORTED ||
	             ((r->c->flags & CASE_HUGE) && (err == VMM_E_NOMEM || err == VMM_E_LIMIT));
	give_up(r->o, lacks ? OUTCOME_ABSENT : OUTCOME_FAILED, call, ei);
	return false;
}

/* Part of what is measured: nothing locked, as one thread at a time comes here. */
static void count(struct rig *r)
{
	if (!atomic_load_explicit(&r->counting, memory_order_relaxed))
		return;
	uint64_t seen = atomic_load_explicit(&r->seen, memory_order_relaxed);
	if (seen < BENCH_COUNT_MAX)
		r->stamp[seen] = __rdtsc();
	atomic_store_explicit(&r->seen, seen + 1, memory_order_relaxed);
}

static void take_kvm_stats(struct rig *r, struct vmm_kvm_stats *s)
{
	*s = (struct vmm_kvm_stats){.struct_size = sizeof(*s)};
	if (vmm_vcpu_kvm_stats(r->vm, 0, s) != VMM_OK)
		s->count = 0;
}

/* Untouched, or clean: before the samples, and whenever the guest has been through the arena. */
static void rearm(struct rig *r)
{
	vmm_err_t err = VMM_OK;
	if (r->c->flags & CASE_DIRTY)
		err = vmm_dirty_log_read(r->vm, r->dirty, r->dirty_words);
	else if (r->c->flags & CASE_ARENA)
		err = vmm_memory_discard(r->vm, BENCH_ARENA, r->arena_bytes);
	if (!need(r, "arena", err))
		r->broken = true;
}

/* What the warm-up rang. With a waker there is nothing left to read. */
static void drain_doorbell(struct rig *r)
{
	eventfd_t ignored;
	if (r->c->flags & CASE_DOORBELL)
		(void)eventfd_read(r->doorbell, &ignored);
}

static void mark(struct rig *r, uint32_t what)
{
	switch (what) {
	case BENCH_MARK_BEGIN:
		r->seen = 0;
		drain_doorbell(r);
		take_kvm_stats(r, &r->before);
		r->counting = true;
		trace_begin(&r->trace);
		break;
	case BENCH_MARK_END:
		trace_end(&r->trace);
		r->counting = false;
		take_kvm_stats(r, &r->after);
		break;
	case BENCH_MARK_REARM:
		rearm(r);
		break;
	default:
		break;
	}
}

static uint64_t port_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)offset, (void)size;
	count(ctx);
	return 0;
}

static void interrupt(struct rig *r, uint64_t how)
{
	count(r);
	if (how == BENCH_IRQ_LINE)
		vmm_irq_pulse(r->irq);
	else if (vmm_msi_send(r->vm, MSI_ADDRESS, BENCH_VECTOR_IRQ) != VMM_OK)
		r->broken = true;
}

static void port_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct rig *r = ctx;
	(void)size;
	if (offset == BENCH_PORT_MARK - BENCH_PORT_DATA)
		mark(r, (uint32_t)value);
	else if (offset == BENCH_PORT_IRQ - BENCH_PORT_DATA)
		interrupt(r, value);
	else
		count(r);
}

static uint64_t mmio_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)offset, (void)size;
	count(ctx);
	return 0;
}

/* Again and again, until the VM is stopped: the first time counts. */
static void guest_ended(struct rig *r, uint32_t code)
{
	uint32_t none = UINT32_MAX;
	if (atomic_compare_exchange_strong(&r->end_code, &none, code))
		(void)eventfd_write(r->ended, 1);
}

static void mmio_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	(void)size;
	if (offset == BENCH_MMIO_MARK - BENCH_MMIO_DATA)
		mark(ctx, (uint32_t)value);
	else if (offset == BENCH_MMIO_END - BENCH_MMIO_DATA)
		guest_ended(ctx, (uint32_t)value);
	else
		count(ctx);
}

static bool msr_read(void *ctx, uint32_t msr, uint64_t *value)
{
	(void)msr;
	count(ctx);
	*value = 0;
	return true;
}

static bool msr_write(void *ctx, uint32_t msr, uint64_t value)
{
	(void)msr, (void)value;
	count(ctx);
	return true;
}

static bool add_devices(struct rig *r)
{
	const vmm_bus_device_opts_t ports = {
	        .struct_size = sizeof(ports),
	        .name = "bench ports",
	        .space = VMM_SPACE_PIO,
	        .base = BENCH_PORT_DATA,
	        .len_bytes = BENCH_PORTS,
	        .read = port_read,
	        .write = port_write,
	        .ctx = r,
	};
	vmm_bus_device_opts_t registers = ports;
	registers.name = "bench registers";
	registers.space = VMM_SPACE_MMIO;
	registers.base = BENCH_MMIO_DATA;
	registers.len_bytes = PAGE_SMALL;
	registers.read = mmio_read;
	registers.write = mmio_write;
	vmm_bus_device_opts_t coalesced = registers;
	coalesced.name = "coalesced registers";
	coalesced.base = BENCH_MMIO_COALESCED;
	coalesced.flags = VMM_BUS_COALESCED;
	bool good = need(r, "ports", vmm_bus_device_add(r->vm, &ports)) &&
	            need(r, "registers", vmm_bus_device_add(r->vm, &registers)) &&
	            need(r, "irq", vmm_irq_add(r->vm, BENCH_GSI, &r->irq));
	if (good && (r->c->flags & CASE_COALESCED))
		good = need(r, "coalesced", vmm_bus_device_add(r->vm, &coalesced));
	return good;
}

/* Only where they are rung: each is a device more that KVM looks through at every exit. */
static bool add_doorbells(struct rig *r)
{
	if (!(r->c->flags & (CASE_DOORBELL | CASE_WAKE)))
		return true;
	vmm_ioeventfd_opts_t bell = {
	        .struct_size = sizeof(bell),
	        .space = VMM_SPACE_PIO,
	        .address = BENCH_PORT_DOORBELL,
	        .len_bytes = 4,
	        .fd = r->doorbell,
	};
	if (!need(r, "ioeventfd", vmm_ioeventfd_add(r->vm, &bell)))
		return false;
	bell.space = VMM_SPACE_MMIO;
	bell.address = BENCH_MMIO_DOORBELL;
	return need(r, "ioeventfd", vmm_ioeventfd_add(r->vm, &bell));
}

static bool add_msrs(struct rig *r)
{
	if (!(r->c->flags & CASE_MSR))
		return true;
	const vmm_msr_opts_t msr = {
	        .struct_size = sizeof(msr),
	        .first = BENCH_MSR,
	        .count = 1,
	        .read = msr_read,
	        .write = msr_write,
	        .ctx = r,
	};
	return need(r, "msr", vmm_msr_add(r->vm, &msr));
}

static int image_fd(void)
{
	size_t len = (size_t)(bench_guest_image_end - bench_guest_image);
	int fd = memfd_create("bench-guest", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, bench_guest_image, len) != (ssize_t)len) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static bool create(struct rig *r, const struct bench_options *opts)
{
	vmm_vm_opts_t o = VMM_VM_OPTS_INIT;
	o.memory_bytes = r->memory_bytes;
	o.cpus = r->c->cpus;
	o.kvm_path = opts->kvm_path;
	o.flags = VMM_VM_NO_ACPI;
	if (opts->profiled)
		o.flags |= VMM_VM_PROFILE;
	if (r->c->flags & CASE_HUGE)
		o.flags |= VMM_VM_HUGE_PAGES;
	else if (r->c->flags & CASE_ARENA)
		o.flags |= VMM_VM_MEMFD; /* which has no transparent huge pages */
	vmm_err_info_t ei = {0};
	if (!kick_handle(&o)) {
		give_up(r->o, OUTCOME_FAILED, strerror(errno), NULL);
		return false;
	}
	if (vmm_vm_create(&o, &r->vm, &ei) != VMM_OK) {
		give_up(r->o, OUTCOME_FAILED, "VM", &ei);
		return false;
	}
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel_fd = image_fd();
	bool good = boot.kernel_fd >= 0 && need(r, "boot", vmm_boot_set(r->vm, &boot));
	if (boot.kernel_fd >= 0)
		(void)close(boot.kernel_fd);
	else
		give_up(r->o, OUTCOME_FAILED, "cannot make a file of the bench guest", NULL);
	return good && add_devices(r) && add_doorbells(r) && add_msrs(r) &&
	       need(r, "build", vmm_vm_build(r->vm));
}

static bool enter_user(struct rig *r)
{
	struct bench_header h;
	if (!need(r, "header", vmm_memory_read(r->vm, BENCH_HEADER, &h, sizeof(h))))
		return false;
	if (h.magic != BENCH_MAGIC || h.version != BENCH_VERSION) {
		give_up(r->o, OUTCOME_FAILED, "the bench guest is not this program's", NULL);
		return false;
	}
	const vmm_user_entry_t entry = {
	        .struct_size = sizeof(entry),
	        .rip = h.user_entry,
	        .rsp = h.user_stack,
	        .page_tables = h.page_tables,
	        .iopl = 3,
	};
	return need(r, "CPL 3", vmm_vcpu_set_user_entry(r->vm, 0, &entry));
}

static bool prepare(struct rig *r, const struct bench_options *opts)
{
	struct outcome *o = r->o;
	r->aligned = vmm_vm_tsc_align(r->vm) == VMM_OK;
	o->tsc_khz = vmm_vm_tsc_khz(r->vm);
	if (o->tsc_khz == 0) {
		give_up(o, OUTCOME_ABSENT,
		        "KVM does not tell the rate of the TSC (KVM_GET_TSC_KHZ)", NULL);
		return false;
	}
	const struct bench_params p = {
	        .magic = BENCH_MAGIC,
	        .version = BENCH_VERSION,
	        .kind = r->c->kind,
	        .cpl = r->cpl,
	        .count = opts->count,
	        .warm_up = opts->warm_up,
	        .vmmcall = opts->vmmcall,
	        .tsc_khz = o->tsc_khz,
	        .budget = (uint64_t)opts->budget_ms * o->tsc_khz,
	        .arena_bytes = r->arena_bytes,
	        .arena_step = r->arena_step,
	};
	o->wanted = opts->count;
	if (!need(r, "parameters", vmm_memory_write(r->vm, BENCH_PARAMS, &p, sizeof(p))))
		return false;
	if (r->cpl == 3 && !enter_user(r))
		return false;
	return !(r->c->flags & CASE_DIRTY) || need(r, "dirty log", vmm_dirty_log_set(r->vm, true));
}

/* The device of hlt-wake: a thread that sleeps until the doorbell, and answers. */
static void *wake_main(void *ctx)
{
	struct rig *r = ctx;
	uint64_t n;
	while (read(r->doorbell, &n, sizeof(n)) == (ssize_t)sizeof(n)) {
		count(r);
		vmm_irq_pulse(r->irq);
	}
	return NULL;
}

static const char *end_text(uint32_t code)
{
	switch (code) {
	case BENCH_END_ABSENT:
		return "the virtual CPU lacks it";
	case BENCH_END_NO_CPU:
		return "the second vCPU did not start";
	default:
		return "the bench guest found its parameters wrong";
	}
}

static void take_exception(struct rig *r)
{
	struct bench_result res = {0};
	(void)!vmm_memory_read(r->vm, BENCH_RESULT, &res, sizeof(res));
	(void)snprintf(r->o->why, sizeof(r->o->why),
	               "the guest took exception %u at 0x%llx: KVM does not carry it out",
	               res.vector, (unsigned long long)res.rip);
	r->o->state = OUTCOME_ABSENT;
}

/* True: the samples are in guest memory. */
static bool judge_end(struct rig *r, const vmm_event_t *e)
{
	if (r->broken && r->o->state == OUTCOME_NOT_RUN)
		give_up(r->o, OUTCOME_FAILED, "a call on the host failed during the samples", NULL);
	if (r->o->state != OUTCOME_NOT_RUN)
		return false;
	if (e->kind != VMM_EVENT_DEBUG_EXIT)
		give_up(r->o, OUTCOME_ABSENT, e->text, NULL);
	else if (e->code == BENCH_END_EXCEPTION)
		take_exception(r);
	else if (e->code != BENCH_END_OK)
		give_up(r->o, e->code == BENCH_END_BAD_PARAMS ? OUTCOME_FAILED : OUTCOME_ABSENT,
		        end_text(e->code), NULL);
	return e->kind == VMM_EVENT_DEBUG_EXIT && e->code == BENCH_END_OK;
}

/* Until the guest has ended. The parent ends a process that stays here too long. */
static void wait_for_end(struct rig *r, vmm_event_t *e)
{
	struct pollfd p[] = {{.fd = vmm_vm_event_fd(r->vm), .events = POLLIN},
	                     {.fd = r->ended, .events = POLLIN}};
	for (;;) {
		(void)poll(p, 2, WAIT_SLICE_MS);
		while (vmm_vm_next_event(r->vm, e))
			if (e->final)
				return;
		if (p[1].revents & POLLIN) {
			*e = (vmm_event_t){.kind = VMM_EVENT_DEBUG_EXIT, .code = r->end_code};
			return;
		}
	}
}

static uint64_t floor_of(struct rig *r)
{
	uint64_t floor[BENCH_FLOOR_COUNT];
	if (!need(r, "floor", vmm_memory_read(r->vm, BENCH_FLOOR, floor, sizeof(floor))))
		return 0;
	samples_sort(floor, BENCH_FLOOR_COUNT);
	return floor[BENCH_FLOOR_COUNT / 2];
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void take_samples(struct rig *r)
{
	struct outcome *o = r->o;
	struct bench_result res;
	struct bench_sample s;
	if (!need(r, "result", vmm_memory_read(r->vm, BENCH_RESULT, &res, sizeof(res))))
		return;
	o->done = res.done <= o->wanted ? res.done : 0;
	o->floor_ticks = r->c->flags & CASE_NO_FLOOR ? 0 : floor_of(r);
	o->split = r->aligned && (r->c->flags & CASE_SPLIT) && r->seen == o->done;
	for (uint32_t i = 0; i < o->done; i++) {
		if (!need(r, "sample",
		          vmm_memory_read(r->vm, BENCH_SAMPLES + i * sizeof(s), &s, sizeof(s))))
			return;
		o->net[i] = minus(minus(s.end, s.begin), o->floor_ticks);
		if (!o->split)
			continue;
		o->out[i] = minus(r->stamp[i], s.begin);
		o->back[i] = minus(s.end, r->stamp[i]);
	}
	if (r->c->flags & CASE_INTERRUPT && res.acknowledged != o->done) {
		(void)snprintf(o->why, sizeof(o->why), "%u rounds, but %llu interrupts arrived",
		               o->done, (unsigned long long)res.acknowledged);
		o->state = OUTCOME_FAILED;
	}
}

/* Of a traced run, which is for nothing else. */
static void take_trace(struct rig *r)
{
	struct outcome *o = r->o;
	size_t count;
	struct trace_event *e = trace_take(&r->trace, &count);
	struct bench_sample *s = calloc(o->done ? o->done : 1, sizeof(*s));
	bool good = e && s && r->aligned &&
	            need(r, "samples",
	                 vmm_memory_read(r->vm, BENCH_SAMPLES, s, o->done * sizeof(*s))) &&
	            trace_split(e, count, s, o->split ? r->stamp : NULL, o->done, &o->parts);
	if (!good)
		give_up(o, OUTCOME_ABSENT,
		        r->aligned ? "no kvm_exit and kvm_entry fell into a sample"
		                   : "the guest's TSC cannot be set to the host's",
		        NULL);
	free(e);
	free(s);
}

/* What the host saw against what the guest did. */
static void check_counts(struct rig *r)
{
	struct outcome *o = r->o;
	eventfd_t rung = 0;
	if (r->c->flags & CASE_DOORBELL) {
		(void)eventfd_read(r->doorbell, &rung);
		o->counted = true;
		o->host_seen = rung;
	} else if (r->c->flags & CASE_USER) {
		o->counted = true;
		o->host_seen = r->seen;
	}
	o->guest_did = (uint64_t)o->done * (r->c->flags & CASE_USER ? r->c->seen : 1);
	if (o->counted && o->host_seen != o->guest_did) {
		(void)snprintf(o->why, sizeof(o->why),
		               "the guest did %llu accesses, the host saw %llu",
		               (unsigned long long)o->guest_did, (unsigned long long)o->host_seen);
		o->state = OUTCOME_FAILED;
	}
}

static void take_kvm_counts(struct rig *r)
{
	struct outcome *o = r->o;
	for (uint32_t i = 0; i < r->after.count && i < r->before.count; i++) {
		uint64_t n = minus(r->after.stat[i].value, r->before.stat[i].value);
		const char *name = r->after.stat[i].name;
		bool wanted = strstr(name, "exits") || strcmp(name, "pf_fixed") == 0 ||
		              strcmp(name, "insn_emulation") == 0 ||
		              strcmp(name, "irq_injections") == 0;
		if (n == 0 || !wanted || o->kvm_count == OUTCOME_KVM_MAX)
			continue;
		struct outcome_kvm *k = &o->kvm[o->kvm_count++];
		(void)snprintf(k->name, sizeof(k->name), "%s", name);
		k->count = n;
	}
}

static void run(struct rig *r)
{
	vmm_event_t e = {0};
	if ((r->c->flags & CASE_WAKE) && pthread_create(&r->waker, NULL, wake_main, r) == 0)
		r->has_waker = true;
	if (!need(r, "start", vmm_vm_start(r->vm)))
		return;
	wait_for_end(r, &e);
	vmm_vm_stop(r->vm);
	if (!judge_end(r, &e))
		return;
	take_samples(r);
	if (r->o->state == OUTCOME_NOT_RUN)
		check_counts(r);
	if (r->trace.on && r->o->state == OUTCOME_NOT_RUN)
		take_trace(r);
	take_kvm_counts(r);
	if (r->o->state == OUTCOME_NOT_RUN)
		r->o->state = OUTCOME_OK;
}

static bool lay_out(struct rig *r)
{
	bool arena = r->c->flags & CASE_ARENA;
	r->memory_bytes = arena && !(r->c->flags & CASE_HUGE) ? MEMORY_TOUCH : MEMORY_SMALL;
	r->arena_bytes = r->memory_bytes - BENCH_ARENA;
	r->arena_step = r->c->flags & CASE_HUGE ? PAGE_LARGE : PAGE_SMALL;
	r->dirty_words = r->memory_bytes / PAGE_SMALL / 64;
	r->dirty = calloc(r->dirty_words, sizeof(*r->dirty));
	r->stamp = calloc(BENCH_COUNT_MAX, sizeof(*r->stamp));
	r->doorbell = eventfd(0, EFD_CLOEXEC | (r->c->flags & CASE_WAKE ? 0 : EFD_NONBLOCK));
	r->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->end_code = UINT32_MAX;
	return r->dirty && r->stamp && r->doorbell >= 0 && r->ended >= 0;
}

void bench_run_case(const struct bench_case *c, unsigned cpl, const struct bench_options *opts,
                    struct outcome *o)
{
	/* One case a process, and its threads may outlast this call. */
	static struct rig rig;
	struct rig *r = &rig;
	r->c = c;
	r->cpl = cpl;
	r->o = o;
	r->trace.switch_fd = -1;
	if (opts->traced && !trace_open(&r->trace, o->why, sizeof(o->why)))
		o->state = OUTCOME_ABSENT;
	else if (!lay_out(r))
		give_up(o, OUTCOME_FAILED, "cannot prepare: out of memory or descriptors", NULL);
	else if (create(r, opts) && prepare(r, opts))
		run(r);
	/* The process ends here: its VM, its waker and its memory go with it. */
}
