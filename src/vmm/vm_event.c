/* Events to the embedder: a bounded queue behind a pollable descriptor. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "vm_priv.h"

/* Make the descriptor's readiness say whether events wait. Lock held. */
static void update_fd(vmm_vm_t *vm)
{
	uint64_t value = 1;
	ssize_t n;
	if (vm->event_count > 0)
		n = write(vm->event_fd, &value, sizeof(value));
	else
		n = read(vm->event_fd, &value, sizeof(value));
	(void)n; /* the eventfd is non-blocking; both outcomes leave it as wanted */
}

void vm_post_event(vmm_vm_t *vm, const vmm_event_t *event)
{
	(void)pthread_mutex_lock(&vm->event_lock);
	/* The last place is kept for the final event, which must never be lost. */
	unsigned room = event->final ? VM_EVENTS_MAX : VM_EVENTS_MAX - 1;
	if (!vm->event_final && vm->event_count < room) {
		vm->event_final = event->final;
		vm->events[(vm->event_head + vm->event_count) % VM_EVENTS_MAX] = *event;
		vm->event_count++;
		update_fd(vm);
	}
	(void)pthread_mutex_unlock(&vm->event_lock);
}

void vm_post(vmm_vm_t *vm, vmm_event_kind_t kind, uint32_t vcpu, uint32_t code, bool final,
             const char *fmt, ...)
{
	vmm_event_t event = {.kind = kind, .vcpu = vcpu, .code = code, .final = final};
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(event.text, sizeof(event.text), fmt, ap);
	va_end(ap);
	vm_post_event(vm, &event);
}

int vmm_vm_event_fd(const vmm_vm_t *vm)
{
	return vm->event_fd;
}

bool vmm_vm_next_event(vmm_vm_t *vm, vmm_event_t *event)
{
	(void)pthread_mutex_lock(&vm->event_lock);
	bool found = vm->event_count > 0;
	if (found) {
		*event = vm->events[vm->event_head];
		vm->event_head = (vm->event_head + 1) % VM_EVENTS_MAX;
		vm->event_count--;
		if (vm->event_count == 0)
			update_fd(vm);
	}
	(void)pthread_mutex_unlock(&vm->event_lock);
	return found;
}
