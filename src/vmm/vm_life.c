/*
 * A VM's life: start, pause, resume, reset, halt, stop. vCPU threads look at the gate once a round
 * and wait here while it is closed; whoever wants them still closes it, kicks them, and waits until
 * all are parked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "errset.h"
#include "thread.h"
#include "vm_priv.h"

static void kick_all(vmm_vm_t *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vcpu_kick(&vm->vcpus[i]);
}

bool vm_gate_wait(vmm_vm_t *vm)
{
	(void)pthread_mutex_lock(&vm->life_lock);
	vm->parked++;
	(void)pthread_cond_broadcast(&vm->life_cond);
	while (atomic_load(&vm->gate) == GATE_CLOSED)
		(void)pthread_cond_wait(&vm->life_cond, &vm->life_lock);
	bool go_on = atomic_load(&vm->gate) == GATE_OPEN;
	if (go_on)
		vm->parked--;
	(void)pthread_mutex_unlock(&vm->life_lock);
	return go_on;
}

/* Close the gate and wait until no vCPU is in the guest. Lock held; not on a vCPU thread. */
static void hold_vcpus(vmm_vm_t *vm)
{
	atomic_store(&vm->gate, GATE_CLOSED);
	kick_all(vm);
	while (vm->parked < vm->vcpu_count && atomic_load(&vm->gate) == GATE_CLOSED)
		(void)pthread_cond_wait(&vm->life_cond, &vm->life_lock);
}

static void release_vcpus(vmm_vm_t *vm)
{
	atomic_store(&vm->gate, GATE_OPEN);
	(void)pthread_cond_broadcast(&vm->life_cond);
	/* One that has not woken when the gate closes again just stays parked. */
}

void vm_halt(vmm_vm_t *vm, const vmm_event_t *event)
{
	(void)pthread_mutex_lock(&vm->life_lock);
	bool first = vm->state == VM_RUNNING || vm->state == VM_PAUSED || vm->state == VM_BUILT;
	if (first) {
		vm->state = VM_HALTED;
		atomic_store(&vm->gate, GATE_CLOSED);
		kick_all(vm);
	}
	(void)pthread_mutex_unlock(&vm->life_lock);
	if (!first)
		return;
	vmm_event_t final = *event;
	final.final = true;
	vm_post_event(vm, &final);
}

static void halt_with(vmm_vm_t *vm, vmm_event_kind_t kind, uint32_t code, const char *text)
{
	vmm_event_t event = {.kind = kind, .code = code};
	(void)snprintf(event.text, sizeof(event.text), "%s", text);
	vm_halt(vm, &event);
}

static void reset_devices(vmm_vm_t *vm)
{
	for (uint32_t i = 0; i < vm->virtio_count; i++) {
		struct vdev *vd = vm->virtio[i];
		if (vm->vpci[i])
			continue; /* by its bus */
		(void)pthread_mutex_lock(&vd->lock);
		vregs_set_status(&vm->mmio[i], 0);
		(void)pthread_mutex_unlock(&vd->lock);
	}
	if (vm->pci)
		pci_bus_reset(vm->pci);
	if (vm->serial)
		serial_port_reset(vm->serial);
	for (uint32_t i = 0; i < vm->user_count; i++)
		if (vm->user[i].reset)
			vm->user[i].reset(vm->user[i].ctx);
}

/* The machine as at power-on. No vCPU runs; on the loop's thread. */
static vmm_err_t reset_machine(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	reset_devices(vm);
	vm_kvm_down(vm);
	vm_vfio_unmap(vm);
	if (!gmem_discard_all(vm->gm))
		return err_sys(ei, errno, "memory", "cannot clear guest memory");
	vmm_err_t err = vm_vfio_map(vm, ei);
	return err ? err : vm_kvm_up(vm, ei);
}

/* Runs on the loop: the vCPU that asked for the reset waits at the gate meanwhile. */
void vm_reset_task(void *ctx)
{
	vmm_vm_t *vm = ctx;
	(void)pthread_mutex_lock(&vm->life_lock);
	/* Paused: vmm_vm_resume posts this again. Halted or stopped: there is nothing to reset. */
	if (vm->state == VM_RUNNING && vm->reset_wanted)
		hold_vcpus(vm);
	if (vm->state != VM_RUNNING || !vm->reset_wanted) {
		(void)pthread_mutex_unlock(&vm->life_lock);
		return;
	}
	vm->reset_wanted = false;
	vmm_err_info_t ei = {0};
	vmm_err_t err = reset_machine(vm, &ei);
	if (!err) {
		atomic_fetch_add(&vm->resets, 1);
		/* Told before the guest can go on to what is told after it. */
		vm_post(vm, VMM_EVENT_RESET, 0, 0, false, "the machine was reset");
		release_vcpus(vm);
	}
	(void)pthread_mutex_unlock(&vm->life_lock);
	if (err) {
		vmm_event_t event = {.kind = VMM_EVENT_HOST_ERROR};
		(void)snprintf(event.text, sizeof(event.text), "reset failed: %s: %.300s", ei.field,
		               ei.message);
		vm_halt(vm, &event);
	}
}

static void want_reset(vmm_vm_t *vm)
{
	(void)pthread_mutex_lock(&vm->life_lock);
	/* Before its start a machine is as after a reset, and after its end it stays. */
	vm->reset_wanted = vm->state == VM_RUNNING || vm->state == VM_PAUSED;
	/* No instruction after the one that asked: its vCPU meets a closed gate. */
	if (vm->state == VM_RUNNING)
		atomic_store(&vm->gate, GATE_CLOSED);
	bool wanted = vm->reset_wanted;
	(void)pthread_mutex_unlock(&vm->life_lock);
	if (wanted)
		loop_post(vm->loop, &vm->reset_task);
}

void vm_request(void *ctx, enum platform_request what, uint32_t code)
{
	vmm_vm_t *vm = ctx;
	char text[64];
	switch (what) {
	case PLATFORM_POWER_OFF:
		halt_with(vm, VMM_EVENT_POWER_OFF, 0, "the guest switched itself off");
		break;
	case PLATFORM_DEBUG_EXIT:
		(void)snprintf(text, sizeof(text), "the guest wrote %u to the debug-exit port",
		               code);
		halt_with(vm, VMM_EVENT_DEBUG_EXIT, code, text);
		break;
	case PLATFORM_PANIC:
		vm_post(vm, VMM_EVENT_PANIC, 0, code, false, "the guest reports that it panicked");
		break;
	case PLATFORM_RESET:
		if (vm->opts.flags & (VMM_VM_NO_REBOOT | VMM_VM_STEP)) {
			halt_with(vm, VMM_EVENT_RESET, 0, "the guest asked for a reset");
			break;
		}
		want_reset(vm);
		break;
	}
}

void vmm_vm_reset(vmm_vm_t *vm)
{
	vm_request(vm, PLATFORM_RESET, 0);
}

void vmm_vm_power_button(vmm_vm_t *vm)
{
	irq_pulse(&vm->power_button);
}

void vm_confine_thread(vmm_vm_t *vm, enum sandbox_thread thread)
{
	int err = sandbox_filter_load(&vm->filters, thread);
	if (!err)
		return;
	char why[96];
	char text[160];
	(void)snprintf(text, sizeof(text), "sandbox: a thread's filter cannot be loaded: %s",
	               strerror_r(err, why, sizeof(why)));
	halt_with(vm, VMM_EVENT_HOST_ERROR, (uint32_t)err, text);
}

static void *loop_main(void *ctx)
{
	vmm_vm_t *vm = ctx;
	(void)pthread_setname_np(pthread_self(), "vmm-loop");
	vm_confine_thread(vm, SANDBOX_LOOP);
	loop_run(vm->loop);
	return NULL;
}

static vmm_err_t spawn(vmm_vm_t *vm, pthread_t *thread, void *(*main_fn)(void *), void *arg,
                       const char *name)
{
	int err = thread_start(thread, main_fn, arg);
	if (err)
		return err_sys(vm_error(vm), err, "thread", "cannot start %s's thread", name);
	return VMM_OK;
}

static vmm_err_t spawn_vcpus(vmm_vm_t *vm)
{
	vmm_err_t err = VMM_OK;
	for (uint32_t i = 0; !err && i < vm->vcpu_count; i++) {
		struct vcpu *v = &vm->vcpus[i];
		err = spawn(vm, &v->thread, vcpu_main, v, "a vCPU");
		v->has_thread = !err;
	}
	return err;
}

/* The guest need not wait for the event loop: what it asks for stays asked for. */
static vmm_err_t spawn_all(vmm_vm_t *vm)
{
	for (uint32_t i = 0; i < vm->virtio_count; i++)
		if (vm->virtio[i]->ops->start_threads)
			vm->virtio[i]->ops->start_threads(vm->virtio[i], &vm->filters);
	vmm_err_t err = vm->opts.flags & VMM_VM_STEP ? VMM_OK : spawn_vcpus(vm);
	if (err)
		return err;
	release_vcpus(vm);
	err = spawn(vm, &vm->loop_thread, loop_main, vm, "the event loop");
	vm->has_loop_thread = !err;
	return err;
}

vmm_err_t vmm_vm_start(vmm_vm_t *vm)
{
	if (vm->state != VM_BUILT)
		return err_set(vm_error(vm), VMM_E_STATE, "vm", "only a built VM can be started");
	vm->started_ns = clock_now_ns();
	/* Threads inherit the mask: none of the process's signals is for them. */
	sigset_t all;
	sigset_t old;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	/* The lock keeps a guest that ends at once from being seen before it was RUNNING. */
	(void)pthread_mutex_lock(&vm->life_lock);
	vm->state = VM_RUNNING;
	atomic_store(&vm->gate, GATE_CLOSED);
	vmm_err_t err = spawn_all(vm);
	(void)pthread_mutex_unlock(&vm->life_lock);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		vmm_vm_stop(vm);
	return err;
}

vmm_err_t vmm_vm_pause(vmm_vm_t *vm)
{
	(void)pthread_mutex_lock(&vm->life_lock);
	bool running = vm->state == VM_RUNNING && !(vm->opts.flags & VMM_VM_STEP);
	if (running) {
		vm->state = VM_PAUSED;
		hold_vcpus(vm);
	}
	(void)pthread_mutex_unlock(&vm->life_lock);
	if (running)
		return VMM_OK;
	return err_set(vm_error(vm), VMM_E_STATE, "vm", "only a running VM can be paused");
}

vmm_err_t vmm_vm_resume(vmm_vm_t *vm)
{
	(void)pthread_mutex_lock(&vm->life_lock);
	bool paused = vm->state == VM_PAUSED;
	if (paused) {
		vm->state = VM_RUNNING;
		for (uint32_t i = 0; i < vm->vcpu_count && vm->caps.kvmclock_ctrl; i++)
			kvm_clock_was_paused(vm->vcpus[i].fd);
		if (vm->reset_wanted)
			loop_post(vm->loop, &vm->reset_task);
		else
			release_vcpus(vm);
	}
	(void)pthread_mutex_unlock(&vm->life_lock);
	if (paused)
		return VMM_OK;
	return err_set(vm_error(vm), VMM_E_STATE, "vm", "only a paused VM can be resumed");
}

void vmm_vm_stop(vmm_vm_t *vm)
{
	profile_stopping(vm);
	(void)pthread_mutex_lock(&vm->life_lock);
	vm->state = VM_STOPPED;
	atomic_store(&vm->gate, GATE_EXIT);
	(void)pthread_cond_broadcast(&vm->life_cond);
	kick_all(vm);
	(void)pthread_mutex_unlock(&vm->life_lock);
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i].has_thread)
			(void)pthread_join(vm->vcpus[i].thread, NULL);
		vm->vcpus[i].has_thread = false;
	}
	if (vm->has_loop_thread) {
		loop_stop(vm->loop);
		(void)pthread_join(vm->loop_thread, NULL);
		vm->has_loop_thread = false;
	}
}
