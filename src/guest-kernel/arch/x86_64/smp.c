/* Starting the other CPUs (Intel SDM 3A, 8.4.4): one after the other, through a page below 1 MiB.
 */
#include "x86.h"

#define AP_PAGE     0x8000u /* entry.S */
#define PATIENCE_NS 200000000ull

extern const char gk_ap_start[], gk_ap_end[];
void gk_ap_main(void);
extern uint64_t gk_ap_stack;

struct percpu *x86_percpu[ARCH_CPUS_MAX];
uint32_t x86_apic_ids[ARCH_CPUS_MAX];
uint64_t gk_ap_stack;

static struct {
	unsigned index;
	uint8_t *ist[DESC_IST_STACKS];
	void (*entry)(void *);
	void *arg;
	bool here;
} next;

__attribute__((no_stack_protector)) void gk_ap_main(void)
{
	void (*entry)(void *) = next.entry;
	void *arg = next.arg;
	desc_init(x86_percpu[next.index], next.index, next.ist);
	apic_init_cpu();
	clock_init_cpu();
	/* Pairs with the acquire in await: all of NEXT has been read. */
	__atomic_store_n(&next.here, true, __ATOMIC_RELEASE);
	entry(arg);
}

static bool await(void)
{
	uint64_t end = arch_now_ns() + PATIENCE_NS;
	while (!__atomic_load_n(&next.here, __ATOMIC_ACQUIRE)) {
		if (arch_now_ns() > end)
			return false;
		arch_cpu_relax();
	}
	return true;
}

static void *zeroed_page(const struct arch_frames *frames)
{
	uint64_t frame = frames->get(frames->ctx);
	if (frame == 0)
		return NULL;
	uint64_t *words = arch_ram(frame);
	for (unsigned i = 0; i < ARCH_PAGE_SIZE / sizeof(*words); i++)
		words[i] = 0;
	return words;
}

static uint8_t *exception_stack(unsigned cpu, unsigned index, const struct arch_frames *frames)
{
	uint64_t frame = frames->get(frames->ctx);
	return frame ? paging_map_ist(cpu, index, frame, frames) : NULL;
}

_Static_assert(sizeof(struct percpu) <= ARCH_PAGE_SIZE, "one page");

bool arch_cpu_start(unsigned cpu, void *stack, void (*entry)(void *), void *arg,
                    const struct arch_frames *frames)
{
	struct percpu *p = zeroed_page(frames);
	bool good = p != NULL;
	for (unsigned i = 0; i < DESC_IST_STACKS; i++) {
		next.ist[i] = good ? exception_stack(cpu, i, frames) : NULL;
		good = good && next.ist[i];
	}
	if (!good)
		return false;
	p->apic_id = x86_apic_ids[cpu];
	x86_percpu[cpu] = p;
	next.index = cpu;
	next.entry = entry;
	next.arg = arg;
	next.here = false;
	gk_ap_stack = (uintptr_t)stack + ARCH_STACK_BYTES;
	__builtin_memcpy(arch_ram(AP_PAGE), gk_ap_start, (size_t)(gk_ap_end - gk_ap_start));
	apic_send(p->apic_id, APIC_INIT);
	for (unsigned attempt = 0; attempt < 2; attempt++) {
		apic_send(p->apic_id, APIC_START | AP_PAGE >> 12);
		if (await())
			return true;
	}
	x86_percpu[cpu] = NULL;
	return false;
}
