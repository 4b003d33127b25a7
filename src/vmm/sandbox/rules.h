/*
 * Which thread may make which system call once the sandbox is closed: the one table from which all
 * seccomp filters come. sandbox_gen compiles it, with libseccomp, into programs that the library
 * carries. tests/unit/test_sandbox.c loads these and makes every call; `sandbox_gen --rules` prints
 * the table.
 */
#ifndef SRC_VMM_SANDBOX_RULES_H
#define SRC_VMM_SANDBOX_RULES_H

#include <stddef.h>
#include <stdint.h>

enum sandbox_thread {
	SANDBOX_MAIN, /* the embedder's: waits for events, stops and destroys the VM */
	SANDBOX_VCPU,
	SANDBOX_LOOP,
	SANDBOX_DISK, /* workers of disks without io_uring */
	SANDBOX_NET,  /* of a user-mode network: the only one that may make sockets */
	SANDBOX_THREADS
};

/* What an argument must be. */
enum sandbox_test {
	SANDBOX_ANY,
	SANDBOX_EQUAL,   /* its low 32 bits are VALUE */
	SANDBOX_CLEAR,   /* it has none of the bits of VALUE */
	SANDBOX_OWN_PID, /* it is this process's id, which is put in when a filter is loaded */
};

struct sandbox_rule {
	int nr;           /* system call */
	unsigned threads; /* bits 1 << enum sandbox_thread */
	enum sandbox_test test;
	unsigned arg;
	uint32_t value;
	const char *what; /* of an ioctl, fcntl or prctl: its request's name */
	int refuse;       /* the errno that the call gets, instead of being allowed */
	/* Why an ordinary run does not make the call; NULL: one does. */
	const char *seldom;
};

extern const struct sandbox_rule sandbox_rules[];
extern const size_t sandbox_rule_count;

/* Stands in a compiled filter for the process id. No request or flag has this value. */
#define SANDBOX_PID_MARK 0x7650494du

#endif
