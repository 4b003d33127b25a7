/* The order of spin locks. See lockcheck.h. Debug builds only. */
#include "guest-kernel/core/lockcheck.h"

#include <string.h>

#include "guest-kernel/core/kernel.h"
#include "guest-kernel/core/panic.h"

/* Its own lock: it cannot use the one it checks. */
static void enter(struct lockcheck *c)
{
	while (__atomic_exchange_n(&c->busy, 1, __ATOMIC_ACQUIRE))
		arch_cpu_relax();
}

static void leave(struct lockcheck *c)
{
	__atomic_store_n(&c->busy, 0, __ATOMIC_RELEASE);
}

static uint8_t class_of(struct lockcheck *c, const char *name)
{
	for (uint32_t i = 0; i < c->count; i++) {
		if (strcmp(c->names[i], name) == 0)
			return (uint8_t)i;
	}
	if (c->count == LOCKCHECK_CLASSES)
		return LOCKCHECK_CLASSES;
	c->names[c->count] = name;
	return (uint8_t)c->count++;
}

/* Whether TO has been taken while FROM was held, at once or by way of others. */
static bool follows(const struct lockcheck *c, uint8_t from, uint8_t to)
{
	uint32_t reached = c->after[from], grown = 0;
	while (grown != reached) {
		grown = reached;
		for (uint32_t i = 0; i < c->count; i++)
			reached |= reached & (1u << i) ? c->after[i] : 0;
	}
	return reached & (1u << to);
}

static const char *conflict(struct lockcheck *c, const struct lockcheck_held *held, uint8_t class)
{
	for (uint32_t i = 0; i < held->count; i++) {
		uint8_t before = held->class[i];
		if (before == class || follows(c, class, before))
			return c->names[before];
		c->after[before] |= 1u << class;
	}
	return NULL;
}

void lockcheck_take(const void *lock, const char *name)
{
	struct cpu *cpu = arch_local();
	if (!cpu || !name)
		return;
	gk_assert(arch_irq_off());
	struct lockcheck *c = &cpu->kernel->lockcheck;
	struct lockcheck_held *held = &cpu->held;
	enter(c);
	uint8_t class = class_of(c, name);
	const char *other = class < LOCKCHECK_CLASSES ? conflict(c, held, class) : NULL;
	if (other)
		c->faults++;
	leave(c);
	if (class < LOCKCHECK_CLASSES && held->count < LOCKCHECK_HELD) {
		held->lock[held->count] = lock;
		held->class[held->count++] = class;
	}
	if (other && cpu->kernel->lock_fault)
		cpu->kernel->lock_fault(name, other);
	else if (other)
		panic("lock order: '%s' is taken while '%s' is held, and elsewhere after it", name,
		      other);
}

void lockcheck_drop(const void *lock)
{
	struct cpu *cpu = arch_local();
	struct lockcheck_held *held = cpu ? &cpu->held : NULL;
	for (uint32_t i = held ? held->count : 0; i > 0; i--) {
		if (held->lock[i - 1] != lock)
			continue;
		for (uint32_t k = i; k < held->count; k++) {
			held->lock[k - 1] = held->lock[k];
			held->class[k - 1] = held->class[k];
		}
		held->count--;
		return;
	}
}
