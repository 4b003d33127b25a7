/*
 * Time: KVM's clock (Linux, Documentation/virt/kvm/x86/msr.rst) where there is one, else the TSC at
 * the frequency that CPUID tells, or that the PIT measures.
 */
#include "x86.h"

#define NS_PER_S         1000000000ull

#define CPUID_HYPERVISOR 0x40000000u
#define CPUID_KVM        0x40000001u
#define CPUID_TIMING     0x40000010u
#define KVM_CLOCKSOURCE2 (1u << 3)
#define TSC_STABLE       1u

#define PIT_HZ           1193182u
#define PIT_CHANNEL2     0x42u
#define PIT_COMMAND      0x43u
#define PORT_B           0x61u
#define PIT_TICKS        2386u /* 2 ms */
#define RTC_INDEX        0x70u
#define RTC_DATA         0x71u

struct kvm_time {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, pad2[2];
} __attribute__((aligned(64)));

struct kvm_wall {
	uint32_t version, sec, nsec;
};

static struct kvm_time kvm_time[ARCH_CPUS_MAX];
static struct kvm_wall kvm_wall;
static bool have_kvm;
static uint64_t tsc_khz = 1000000, tsc_base, system_base, wall_boot_ns;
static uint64_t tsc_to_ns = 1ull << 32; /* ns a tick, times 2^32 */
static uint32_t apic_khz = 1000000;     /* KVM and QEMU alike */
static uint64_t last_ns;

static uint64_t scale(uint64_t delta, int shift, uint32_t mul)
{
	delta = shift < 0 ? delta >> -shift : delta << shift;
	return (uint64_t)(((unsigned __int128)delta * mul) >> 32);
}

static uint64_t kvm_now(unsigned cpu, uint8_t *flags)
{
	const volatile struct kvm_time *t = &kvm_time[cpu];
	uint32_t version;
	uint64_t ns;
	do {
		version = t->version;
		__atomic_thread_fence(__ATOMIC_ACQUIRE); /* KVM: odd while it writes */
		ns = t->system_time +
		     scale(x86_rdtsc() - t->tsc_timestamp, t->tsc_shift, t->tsc_to_system_mul);
		*flags = t->flags;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (version & 1 || version != t->version);
	return ns;
}

/* Clocks of several CPUs that KVM does not call stable are held together by the last value given.
 */
static uint64_t not_before(uint64_t ns)
{
	uint64_t last = __atomic_load_n(&last_ns, __ATOMIC_RELAXED);
	while (ns > last) {
		if (__atomic_compare_exchange_n(&last_ns, &last, ns, true, __ATOMIC_RELAXED,
		                                __ATOMIC_RELAXED))
			return ns;
	}
	return last;
}

uint64_t arch_now_ns(void)
{
	if (have_kvm) {
		uint8_t stable;
		unsigned long flags = arch_irq_save();
		uint64_t ns = kvm_now(arch_cpu(), &stable);
		arch_irq_restore(flags);
		/* A clock that is not stable may step back by a little, at the beginning below its
		 * base. */
		ns = ns > system_base ? ns - system_base : 0;
		return stable & TSC_STABLE ? ns : not_before(ns);
	}
	return (uint64_t)(((unsigned __int128)(x86_rdtsc() - tsc_base) * tsc_to_ns) >> 32);
}

uint64_t arch_wall_boot_ns(void)
{
	return wall_boot_ns;
}

uint64_t clock_apic_ticks(uint64_t ns)
{
	ns = ns > 4 * NS_PER_S ? 4 * NS_PER_S : ns;
	return ns * apic_khz / 1000000u;
}

uint64_t clock_tsc_at(uint64_t at_ns)
{
	uint64_t now = arch_now_ns();
	uint64_t delta = at_ns > now ? at_ns - now : 0;
	delta = delta > 60 * NS_PER_S ? 60 * NS_PER_S : delta;
	return x86_rdtsc() + delta * (tsc_khz / 1000) / 1000 + 1;
}

static uint32_t bcd(uint8_t reg)
{
	x86_outb(RTC_INDEX, reg);
	uint8_t v = x86_inb(RTC_DATA);
	return (v >> 4) * 10u + (v & 15u);
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static uint64_t days(uint32_t year, uint32_t month, uint32_t day)
{
	uint32_t y = month <= 2 ? year - 1 : year;
	uint32_t m = (month + 9) % 12;
	return 365ull * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

static uint64_t rtc_ns(void)
{
	uint32_t month = bcd(8), day = bcd(7);
	if (month == 0 || month > 12 || day == 0 || day > 31)
		return 0;
	uint64_t s =
	        days(2000 + bcd(9), month, day) * 86400 + bcd(4) * 3600u + bcd(2) * 60u + bcd(0);
	return s * NS_PER_S;
}

static bool kvm_init(void)
{
	struct cpuid top = x86_cpuid(CPUID_HYPERVISOR, 0);
	if (!(x86_cpuid(1, 0).ecx & (1u << 31)) || top.ebx != 0x4b4d564bu /* "KVMK" */ ||
	    !(x86_cpuid(CPUID_KVM, 0).eax & KVM_CLOCKSOURCE2))
		return false;
	if (!gk_wrmsr_safe(MSR_KVM_SYSTEM_TIME_NEW, arch_phys(&kvm_time[0]) | 1) ||
	    kvm_time[0].tsc_to_system_mul == 0)
		return false;
	uint8_t ignored;
	system_base = kvm_now(0, &ignored);
	uint64_t khz = (1000000ull << 32) / kvm_time[0].tsc_to_system_mul;
	tsc_khz = kvm_time[0].tsc_shift < 0 ? khz << -kvm_time[0].tsc_shift
	                                    : khz >> kvm_time[0].tsc_shift;
	if (gk_wrmsr_safe(MSR_KVM_WALL_CLOCK_NEW, arch_phys(&kvm_wall)))
		wall_boot_ns = kvm_wall.sec * NS_PER_S + kvm_wall.nsec + system_base;
	return true;
}

/* 0 where there is no PIT, or it does not count. */
static uint64_t measure_khz(void)
{
	x86_outb(PORT_B, (x86_inb(PORT_B) & 0xfc) | 1);
	x86_outb(PIT_COMMAND, 0xb0); /* channel 2, both bytes, mode 0 */
	x86_outb(PIT_CHANNEL2, PIT_TICKS & 0xff);
	x86_outb(PIT_CHANNEL2, PIT_TICKS >> 8);
	uint64_t began = x86_rdtsc();
	uint64_t limit = 1u << 30;
	while (!(x86_inb(PORT_B) & 0x20)) {
		if (x86_rdtsc() - began > limit)
			return 0;
	}
	uint64_t khz = (x86_rdtsc() - began) * PIT_HZ / PIT_TICKS / 1000;
	return khz > 100000 ? khz : 0;
}

static uint64_t tsc_frequency(void)
{
	if (x86_cpuid(1, 0).ecx & (1u << 31) &&
	    x86_cpuid(CPUID_HYPERVISOR, 0).eax >= CPUID_TIMING) {
		struct cpuid t = x86_cpuid(CPUID_TIMING, 0);
		apic_khz = t.ebx ? t.ebx : apic_khz;
		if (t.eax)
			return t.eax;
	}
	uint64_t khz = measure_khz();
	return khz ? khz : 1000000;
}

void clock_init(void)
{
	have_kvm = kvm_init();
	if (have_kvm)
		return;
	tsc_khz = tsc_frequency();
	tsc_to_ns = (1000000ull << 32) / tsc_khz;
	tsc_base = x86_rdtsc();
	wall_boot_ns = rtc_ns();
}

void clock_init_cpu(void)
{
	if (have_kvm)
		x86_wrmsr(MSR_KVM_SYSTEM_TIME_NEW, arch_phys(&kvm_time[arch_cpu()]) | 1);
}
