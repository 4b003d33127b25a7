/*
 * The detail of the calls on a VM that failed: each thread that makes calls has its own, so that
 * any number of them may fail at a time. A record is made for a thread when it is first needed, and
 * kept until the VM is destroyed; the list only grows, so nobody waits for a lock. A thread that
 * comes when another has ended may get its id, and its record with it.
 */
#include <stdlib.h>

#include "vm_priv.h"

static struct vm_error *find(const vmm_vm_t *vm)
{
	struct vm_error *e = atomic_load_explicit(&vm->errors, memory_order_acquire);
	while (e && !pthread_equal(e->thread, pthread_self()))
		e = e->next;
	return e;
}

static void add(vmm_vm_t *vm, struct vm_error *e)
{
	e->thread = pthread_self();
	e->next = atomic_load_explicit(&vm->errors, memory_order_relaxed);
	/* The record before the list that has it; pairs with find. */
	while (!atomic_compare_exchange_weak_explicit(&vm->errors, &e->next, e,
	                                              memory_order_release, memory_order_relaxed))
		;
}

void vm_error_init(vmm_vm_t *vm)
{
	add(vm, &vm->first_error);
}

void vm_error_fini(vmm_vm_t *vm)
{
	struct vm_error *e = atomic_load(&vm->errors);
	while (e) {
		struct vm_error *next = e->next;
		if (e != &vm->first_error)
			free(e);
		e = next;
	}
}

vmm_err_info_t *vm_error(vmm_vm_t *vm)
{
	struct vm_error *e = find(vm);
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return NULL;
		add(vm, e);
	}
	return &e->info;
}

const vmm_err_info_t *vmm_vm_error(const vmm_vm_t *vm)
{
	static const vmm_err_info_t none;
	const struct vm_error *e = find(vm);
	return e ? &e->info : &none;
}
