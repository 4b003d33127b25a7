/* The vmm command: its sub-commands and what they end with. Uses only include/vmm. */
#ifndef SRC_VMM_CLI_CLI_H
#define SRC_VMM_CLI_CLI_H

#include <stdbool.h>

/* Exit statuses, as vmm(1) documents them. */
enum cli_status {
	CLI_OK = 0,             /* done; the guest powered off */
	CLI_HOST_ERROR = 1,     /* a file, a device or a system call failed */
	CLI_USAGE = 2,          /* an option, a key or a value is wrong */
	CLI_BAD_IMAGE = 3,      /* a kernel or image is malformed, or a hash does not match */
	CLI_RESET = 4,          /* the guest reset, and --no-reboot was given */
	CLI_TRIPLE_FAULT = 5,   /* the guest could not handle an exception */
	CLI_INTERNAL_ERROR = 6, /* KVM could not go on */
	CLI_PANIC = 7,          /* the guest reported a panic */
	CLI_STOPPED = 8,        /* stopped from outside before it powered off */
	CLI_DENIED = 9,         /* vmm policy: denied, or the two differ */
	CLI_SANDBOX = 9,        /* vmm itself did what its sandbox forbids */
	CLI_DEBUG_EXIT = 64,    /* and above: 64 + the low six bits the guest wrote to port 0xf4 */
};

/* ARGV[0] is the sub-command's name. Each returns the exit status. */
int cmd_run(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_vfio(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

/* A message that begins with the field's name needs it no second time. */
bool cli_is_named(const char *message, const char *field);

#endif
