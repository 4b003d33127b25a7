/* Consoles: virtio-console with several ports (virtio 1.2, 5.3), and the 16550 serial port. */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VMM_CONSOLES_MAX      4u
#define VMM_CONSOLE_PORTS_MAX 16u

/* Where a stream of characters comes from and goes to. */
typedef enum vmm_chardev_kind {
	VMM_CHARDEV_NULL = 0, /* output is dropped, there is no input */
	VMM_CHARDEV_FD = 1,   /* in_fd and out_fd (either may be -1), duplicated */
	VMM_CHARDEV_FILE =
	        2,           /* output to PATH, made if missing; cut when the VM starts; no input */
	VMM_CHARDEV_PTY = 3, /* a new pseudo-terminal; its name by vmm_*_pty */
	VMM_CHARDEV_UNIX = 4, /* listen on the Unix socket PATH; one client at a time */
} vmm_chardev_kind_t;

typedef struct vmm_chardev_opts {
	vmm_chardev_kind_t kind;
	int in_fd;
	int out_fd;
	const char *path;
} vmm_chardev_opts_t;

#define VMM_CHARDEV_OPTS_INIT             \
	{                                 \
		.in_fd = -1, .out_fd = -1 \
	}

typedef struct vmm_console_port_opts {
	vmm_chardev_opts_t chardev;
	const char *name; /* /dev/virtio-ports/NAME in a Linux guest; NULL: none */
	bool is_console;  /* an hvc terminal; false: a plain port. Port 0 always is one */
} vmm_console_port_opts_t;

typedef struct vmm_console vmm_console_t;

typedef struct vmm_console_opts {
	size_t struct_size;
	const vmm_console_port_opts_t *ports;
	uint32_t port_count; /* 1 .. VMM_CONSOLE_PORTS_MAX */
	uint16_t columns;    /* of port 0; 0: not known */
	uint16_t rows;
} vmm_console_opts_t;

#define VMM_CONSOLE_OPTS_INIT                             \
	{                                                 \
		.struct_size = sizeof(vmm_console_opts_t) \
	}

/*
 * Add a virtio console to a VM that is not built yet. Files, pseudo-terminals and sockets are made
 * by the call. *CONSOLE (may be NULL) is owned by the VM. A slow or absent reader never blocks the
 * guest for long: the port waits until the output can take more, or drops it where there is nobody
 * (an unconnected socket, a pseudo-terminal that nobody has open).
 *
 * Errors: VMM_E_STATE after build; VMM_E_INVAL: no ports, too many, a missing path or descriptor;
 * VMM_E_LIMIT: more than VMM_CONSOLES_MAX; VMM_E_NOENT, VMM_E_PERM, VMM_E_BUSY, VMM_E_IO for the
 * path; VMM_E_NOMEM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_console_add(vmm_vm_t *vm, const vmm_console_opts_t *opts,
                                                  vmm_console_t **console);

/* The size of port 0's terminal changed. Any thread, from build to destroy. */
VMM_API void vmm_console_resize(vmm_console_t *console, uint16_t columns, uint16_t rows);

/* The slave's path of a VMM_CHARDEV_PTY port, or NULL. Valid while the VM lives. */
VMM_API const char *vmm_console_pty(const vmm_console_t *console, uint32_t port);

/*
 * Give the VM a 16550 serial port, COM1 (port 0x3f8, IRQ 4), on CHARDEV. Without it there is none.
 * Errors as for vmm_console_add.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_serial_set(vmm_vm_t *vm, const vmm_chardev_opts_t *chardev);
VMM_API const char *vmm_serial_pty(const vmm_vm_t *vm);

#ifdef __cplusplus
}
#endif
#endif
