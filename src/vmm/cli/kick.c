/* The signal that wakes vCPU threads. See kick.h. */
#include "kick.h"

#include <signal.h>

static void on_kick(int signo)
{
	(void)signo;
}

bool kick_handle(vmm_vm_opts_t *opts)
{
	/* That the signal is handled is all that libvmm wants of it. */
	const struct sigaction action = {.sa_handler = on_kick, .sa_flags = SA_RESTART};
	opts->kick_signal = SIGRTMIN + 1;
	opts->flags |= VMM_VM_KICK_HANDLED;
	return sigaction(opts->kick_signal, &action, NULL) == 0;
}
