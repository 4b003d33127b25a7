/* The profile of a vCPU, and the sum over those of a VM. See exit_profile.h. */
#include "exit_profile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errset.h"
#include "sized.h"
#include "vm_priv.h"

_Static_assert(BUCKETS(VMM_PROFILE_BITS) == VMM_PROFILE_BUCKETS, "profile buckets");

#define PROBES   8u
#define NS_PER_S 1000000000ull

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

struct profile *profile_create(void)
{
	struct profile *p = calloc(1, sizeof(*p));
	if (p)
		p->place = &p->rest;
	return p;
}

void profile_destroy(struct profile *p)
{
	free(p);
}

void profile_describe(uint64_t key, vmm_profile_entry_t *e)
{
	e->reason = (uint32_t)(key >> PROFILE_REASON_SHIFT);
	e->is_write = key & PROFILE_WRITE;
	e->address = key & PROFILE_ADDRESS;
}

_Static_assert(VMM_PROFILE_PLACES == 1u << 8, "a slot is the top byte of a hash");

/* Where the search for a key begins (Fibonacci hashing). */
static uint32_t slot_of(uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 56);
}

/* Few places, most of them found at once: the guest's devices are where they are. */
struct profile_place *profile_find(struct profile *p, uint64_t key)
{
	uint32_t at = slot_of(key);
	for (uint32_t i = 0; i < PROBES; i++) {
		struct profile_place *place = &p->places[(at + i) % VMM_PROFILE_PLACES];
		if (place->key == key)
			return place;
		if (place->key == 0) {
			/* Pairs with sum_place: the counters of a place with a key are 0 or more.
			 */
			__atomic_store_n(&place->key, key, __ATOMIC_RELEASE);
			return place;
		}
	}
	return &p->rest;
}

void profile_widen(struct profile_place *place, uint64_t ticks)
{
	uint64_t least = get(&place->min_ticks), most = get(&place->max_ticks);
	least = least == 0 || ticks + 1 < least ? ticks + 1 : least;
	most = ticks > most ? ticks : most;
	atomic_store_explicit(&place->min_ticks, least, memory_order_relaxed);
	atomic_store_explicit(&place->max_ticks, most, memory_order_relaxed);
	place->span = most - (least - 1);
}

void profile_resume(struct profile *p)
{
	uint64_t now = ticks_now();
	if (get(&p->began) == 0) {
		atomic_store(&p->tid, gettid());
		atomic_store(&p->began, now);
	}
	if (p->resting)
		profile_add(&p->rest_ticks, now - p->resting);
	p->resting = 0;
}

void profile_rest(struct profile *p)
{
	uint64_t now = ticks_now();
	if (p->left)
		profile_record(p->place, now - p->left);
	p->left = 0;
	if (!p->resting && get(&p->began))
		p->resting = now;
}

uint64_t vmm_profile_bucket_low(uint32_t bucket)
{
	return bucket_low(bucket, VMM_PROFILE_BITS);
}

/* Time that the kernel accounts to guests: field 43 of a stat file of proc(5), in ticks. */
static uint64_t stat_guest_ns(int fd)
{
	char text[1024];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	/* The name may hold anything; the last parenthesis ends it. Field 3 follows. */
	const char *at = strrchr(text, ')');
	for (unsigned field = 2; at && field < 43; field++)
		at = strchr(at + 1, ' ');
	long hz = sysconf(_SC_CLK_TCK);
	return at && hz > 0 ? strtoull(at, NULL, 10) * (NS_PER_S / (uint64_t)hz) : 0;
}

static uint64_t thread_guest_ns(int tid)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	uint64_t ns = stat_guest_ns(fd);
	(void)close(fd);
	return ns;
}

int profile_stat_open(void)
{
	return open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
}

static uint64_t halted_ns(vmm_vm_t *vm, uint32_t cpu, vmm_kvm_stats_t *stats)
{
	uint64_t sum = 0;
	stats->struct_size = sizeof(*stats);
	if (vmm_vcpu_kvm_stats(vm, cpu, stats) != VMM_OK)
		return 0;
	for (uint32_t i = 0; i < stats->count; i++)
		if (strncmp(stats->stat[i].name, "halt_", 5) == 0 && stats->stat[i].is_time)
			sum += stats->stat[i].value;
	return sum;
}

/* The entry for KEY among COUNT, or a new one; NULL: no room. */
static vmm_profile_entry_t *entry_for(vmm_profile_t *out, uint64_t key, bool is_rest)
{
	vmm_profile_entry_t probe = {0};
	profile_describe(key, &probe);
	for (uint32_t i = 0; i < out->count; i++) {
		vmm_profile_entry_t *e = &out->entries[i];
		if (e->reason == probe.reason && e->is_write == probe.is_write &&
		    e->address == probe.address && e->is_rest == is_rest)
			return e;
	}
	if (out->count == out->room)
		return NULL;
	vmm_profile_entry_t *e = &out->entries[out->count++];
	memset(e, 0, sizeof(*e));
	profile_describe(key, e);
	e->is_rest = is_rest;
	return e;
}

static uint64_t sum_place(vmm_profile_t *out, const struct profile_place *place, bool is_rest)
{
	uint64_t key = __atomic_load_n(&place->key, __ATOMIC_ACQUIRE);
	uint64_t ticks = get(&place->ticks), n = 0, min = get(&place->min_ticks);
	for (uint32_t i = 0; i < VMM_PROFILE_BUCKETS; i++)
		n += get(&place->bucket[i]);
	vmm_profile_entry_t *e = n > 0 ? entry_for(out, key, is_rest) : NULL;
	if (!e)
		return ticks;
	if (e->count == 0 || min - 1 < e->min_ticks)
		e->min_ticks = min - 1;
	if (get(&place->max_ticks) > e->max_ticks)
		e->max_ticks = get(&place->max_ticks);
	e->count += n;
	e->ticks += ticks;
	for (uint32_t i = 0; i < VMM_PROFILE_BUCKETS; i++)
		e->bucket[i] += get(&place->bucket[i]);
	return ticks;
}

static int by_ticks(const void *a, const void *b)
{
	const vmm_profile_entry_t *x = a, *y = b;
	if (x->ticks != y->ticks)
		return x->ticks < y->ticks ? 1 : -1;
	return (x->address > y->address) - (x->address < y->address);
}

static uint64_t above(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void sum_vcpu(vmm_vm_t *vm, uint32_t cpu, vmm_profile_t *out, vmm_kvm_stats_t *stats)
{
	const struct profile *p = vm->vcpus[cpu].profile;
	uint64_t began = get(&p->began);
	if (began == 0)
		return;
	uint64_t end = vm->stopped_ticks ? vm->stopped_ticks : ticks_now();
	uint64_t wall = above(end, began), in_vmm = 0;
	for (uint32_t i = 0; i < VMM_PROFILE_PLACES; i++)
		in_vmm += sum_place(out, &p->places[i], false);
	in_vmm += sum_place(out, &p->rest, true);
	out->wall_ticks += wall;
	out->vmm_ticks += in_vmm;
	out->run_ticks += above(wall, in_vmm + get(&p->rest_ticks));
	if (!vm->filters.on)
		out->guest_ns += vm->vcpus[cpu].guest_ns ? vm->vcpus[cpu].guest_ns
		                                         : thread_guest_ns(atomic_load(&p->tid));
	out->halted_ns += halted_ns(vm, cpu, stats);
}

void profile_stopping(vmm_vm_t *vm)
{
	if (!(vm->opts.flags & VMM_VM_PROFILE) || vm->stopped_ticks)
		return;
	vm->stopped_ticks = ticks_now();
	for (uint32_t i = 0; i < vm->vcpu_count && !vm->filters.on; i++)
		if (vm->vcpus[i].profile)
			vm->vcpus[i].guest_ns =
			        thread_guest_ns(atomic_load(&vm->vcpus[i].profile->tid));
}

vmm_err_t vmm_vm_profile(vmm_vm_t *vm, vmm_profile_t *out)
{
	vmm_err_info_t *ei = vm_error(vm);
	if (!sized_info(out, sizeof(*out), ei))
		return VMM_E_INVAL;
	if (out->room > 0 && !out->entries)
		return err_set(ei, VMM_E_INVAL, "entries", "room for %u, but none is given",
		               out->room);
	if (!(vm->opts.flags & VMM_VM_PROFILE) || vm->vcpu_count == 0)
		return err_set(ei, VMM_E_STATE, "vm",
		               "not created with VMM_VM_PROFILE, or not built");
	vmm_kvm_stats_t *stats = calloc(1, sizeof(*stats));
	if (!stats)
		return err_set(ei, VMM_E_NOMEM, "profile", "out of memory");
	*out = (vmm_profile_t){
	        .struct_size = sizeof(*out),
	        .cpus = vm->vcpu_count,
	        .tsc_khz = vmm_vm_tsc_khz(vm),
	        .entries = out->entries,
	        .room = out->room,
	};
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		sum_vcpu(vm, i, out, stats);
	/* In the sandbox no file can be opened any more. */
	if (vm->filters.on && vm->profile_stat_fd >= 0)
		out->guest_ns = stat_guest_ns(vm->profile_stat_fd);
	for (uint32_t i = 0; i < out->count; i++)
		out->exits += out->entries[i].count;
	qsort(out->entries, out->count, sizeof(*out->entries), by_ticks);
	free(stats);
	return VMM_OK;
}
