/* Shaping the guest's CPUID. See cpuid.h. */
#include "cpuid.h"

#include <stdlib.h>
#include <string.h>

#include "errset.h"

#define EXTRA_ENTRIES       9u /* room for the leaves that are added */

#define LEAF_FEATURES       0x1u
#define LEAF_CACHES         0x4u
#define LEAF_MONITOR        0x5u
#define LEAF_PMU            0xau
#define LEAF_TOPOLOGY       0xbu
#define LEAF_TSC            0x15u
#define LEAF_TOPOLOGY_V2    0x1fu
#define LEAF_HYPERVISOR     0x40000000u
#define LEAF_TIMING         0x40000010u
#define LEAF_AMD_FEATURES   0x80000001u
#define LEAF_AMD_SIZES      0x80000008u
#define LEAF_AMD_CACHES     0x8000001du
#define LEAF_AMD_TOPOLOGY   0x8000001eu

#define F1_ECX_MONITOR      (1u << 3)
#define F1_ECX_TSC_DEADLINE (1u << 24)
#define F1_ECX_HYPERVISOR   (1u << 31)
#define F1_EDX_HTT          (1u << 28)
#define AMD_ECX_CMP_LEGACY  (1u << 1)

/* KVM's LAPIC timer runs at 1 GHz (APIC_BUS_CYCLE_NS is 1). */
#define APIC_BUS_KHZ 1000000u

#define LEVEL_SMT    1u
#define LEVEL_CORE   2u

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < table->nent; i++) {
		struct kvm_cpuid_entry2 *e = &table->entries[i];
		if (e->function != function)
			continue;
		if (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index)
			return e;
	}
	return NULL;
}

/* 36 where the leaf is missing: Intel SDM vol. 3, 4.1.4. */
unsigned cpuid_phys_bits(struct kvm_cpuid2 *table)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(table, LEAF_AMD_SIZES, 0);
	return e ? e->eax & 0xff : 36;
}

/* How many bits of the APIC id number the cores. */
static uint32_t id_bits(uint32_t cpus)
{
	uint32_t bits = 0;
	while ((1u << bits) < cpus)
		bits++;
	return bits;
}

static void drop(struct kvm_cpuid2 *table, uint32_t function)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < table->nent; i++)
		if (table->entries[i].function != function)
			table->entries[kept++] = table->entries[i];
	table->nent = kept;
}

static struct kvm_cpuid_entry2 *append(struct kvm_cpuid2 *table, uint32_t function, uint32_t index,
                                       bool indexed)
{
	struct kvm_cpuid_entry2 *e = &table->entries[table->nent++];
	*e = (struct kvm_cpuid_entry2){
	        .function = function,
	        .index = index,
	        .flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
	};
	return e;
}

static void shape_features(struct kvm_cpuid2 *t, const struct cpuid_shape *s)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, LEAF_FEATURES, 0);
	if (!e)
		return;
	e->ebx = (e->ebx & 0xffffu) | (s->cpus << 16) | (s->cpu << 24);
	e->ecx |= F1_ECX_HYPERVISOR;
	e->ecx &= ~F1_ECX_TSC_DEADLINE;
	if (s->tsc_deadline)
		e->ecx |= F1_ECX_TSC_DEADLINE;
	e->edx &= ~F1_EDX_HTT;
	if (s->cpus > 1)
		e->edx |= F1_EDX_HTT;
}

/* KVM's table has neither, as they exit by default. */
static void shape_monitor(struct kvm_cpuid2 *t, uint32_t max_leaf, const struct cpuid_shape *s)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, LEAF_FEATURES, 0);
	if (!s->mwait || !e || max_leaf < LEAF_MONITOR)
		return;
	e->ecx |= F1_ECX_MONITOR;
	drop(t, LEAF_MONITOR);
	e = append(t, LEAF_MONITOR, 0, false);
	e->eax = s->monitor[0];
	e->ebx = s->monitor[1];
	e->ecx = s->monitor[2];
	e->edx = s->monitor[3];
}

/* Leaf 4 and AMD's 0x8000001d have the same fields: the last level is shared by all, others not. */
static void shape_caches(struct kvm_cpuid2 *t, uint32_t leaf, const struct cpuid_shape *s)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entries[i];
		if (e->function != leaf || (e->eax & 0x1f) == 0)
			continue;
		uint32_t level = (e->eax >> 5) & 7;
		uint32_t sharers = level >= 3 ? s->cpus : 1;
		e->eax = (e->eax & 0x3fffu) | ((sharers - 1) << 14);
		if (leaf == LEAF_CACHES)
			e->eax |= (s->cpus - 1) << 26;
	}
}

static void shape_topology(struct kvm_cpuid2 *t, uint32_t leaf, const struct cpuid_shape *s)
{
	drop(t, leaf);
	struct kvm_cpuid_entry2 *smt = append(t, leaf, 0, true);
	smt->ebx = 1;
	smt->ecx = LEVEL_SMT << 8;
	smt->edx = s->cpu;
	struct kvm_cpuid_entry2 *core = append(t, leaf, 1, true);
	core->eax = id_bits(s->cpus);
	core->ebx = s->cpus;
	core->ecx = 1 | (LEVEL_CORE << 8);
	core->edx = s->cpu;
	struct kvm_cpuid_entry2 *end = append(t, leaf, 2, true);
	end->ecx = 2;
	end->edx = s->cpu;
}

static void shape_amd(struct kvm_cpuid2 *t, const struct cpuid_shape *s)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, LEAF_AMD_FEATURES, 0);
	if (e) {
		e->ecx &= ~AMD_ECX_CMP_LEGACY;
		if (s->cpus > 1)
			e->ecx |= AMD_ECX_CMP_LEGACY;
	}
	e = cpuid_find(t, LEAF_AMD_SIZES, 0);
	if (e)
		e->ecx = (e->ecx & ~0xf0ffu) | (s->cpus - 1) | (id_bits(s->cpus) << 12);
	shape_caches(t, LEAF_AMD_CACHES, s);
	e = cpuid_find(t, LEAF_AMD_TOPOLOGY, 0);
	if (e) {
		e->eax = s->cpu;
		e->ebx = s->cpu; /* core id, one thread a core */
		e->ecx = 0;      /* node 0 of 1 */
	}
}

/*
 * The clocks: leaf 0x15 on Intel (Linux takes the crystal for the LAPIC timer's clock, so it is
 * KVM's 1 GHz), and the hypervisor's timing leaf that VMware began and other systems read.
 */
static void shape_clock(struct kvm_cpuid2 *t, uint32_t max_leaf, bool amd,
                        const struct cpuid_shape *s)
{
	if (s->tsc_khz == 0)
		return;
	if (!amd && max_leaf >= LEAF_TSC) {
		drop(t, LEAF_TSC);
		struct kvm_cpuid_entry2 *e = append(t, LEAF_TSC, 0, false);
		e->eax = APIC_BUS_KHZ;
		e->ebx = s->tsc_khz;
		e->ecx = APIC_BUS_KHZ * 1000u;
	}
	struct kvm_cpuid_entry2 *top = cpuid_find(t, LEAF_HYPERVISOR, 0);
	if (!top)
		return;
	if (top->eax < LEAF_TIMING)
		top->eax = LEAF_TIMING;
	drop(t, LEAF_TIMING);
	struct kvm_cpuid_entry2 *e = append(t, LEAF_TIMING, 0, false);
	e->eax = s->tsc_khz;
	e->ebx = APIC_BUS_KHZ;
}

vmm_err_t cpuid_make(const struct kvm_cpuid2 *supported, const struct cpuid_shape *shape,
                     struct kvm_cpuid2 **out, vmm_err_info_t *ei)
{
	size_t room = supported->nent + EXTRA_ENTRIES;
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + room * sizeof(t->entries[0]));
	if (!t)
		return err_set(ei, VMM_E_NOMEM, "cpuid", "out of memory");
	memcpy(t, supported, sizeof(*t) + supported->nent * sizeof(t->entries[0]));
	const struct kvm_cpuid_entry2 *base = cpuid_find(t, 0, 0);
	uint32_t max_leaf = base ? base->eax : 0;
	bool amd = base && base->ebx == 0x68747541u; /* "Auth" of AuthenticAMD */
	shape_features(t, shape);
	shape_monitor(t, max_leaf, shape);
	shape_caches(t, LEAF_CACHES, shape);
	if (max_leaf >= LEAF_TOPOLOGY)
		shape_topology(t, LEAF_TOPOLOGY, shape);
	else
		drop(t, LEAF_TOPOLOGY);
	if (max_leaf >= LEAF_TOPOLOGY_V2)
		shape_topology(t, LEAF_TOPOLOGY_V2, shape);
	else
		drop(t, LEAF_TOPOLOGY_V2);
	/* No performance counters: they are not virtualised faithfully on every host. */
	drop(t, LEAF_PMU);
	if (amd)
		shape_amd(t, shape);
	shape_clock(t, max_leaf, amd, shape);
	*out = t;
	return VMM_OK;
}
