/* Pieces of 32-bit machine code for guests of a few instructions (examples/tiny_guest.h). */
#ifndef TESTS_INTEGRATION_TINY_H
#define TESTS_INTEGRATION_TINY_H

#include "../../examples/tiny_guest.h"
#include "vmm/device.h"

#define OUT_IMM8(port, value) 0xb0, (value), 0xe6, (port)
#define OUT_DX8(port, value) \
	0x66, 0xba, (uint8_t)((port)&0xff), (uint8_t)((port) >> 8), 0xb0, (value), 0xee
#define HLT_FOREVER 0xfa, 0xf4, 0xeb, 0xfd
#define SPIN        0xeb, 0xfe

#define TINY_PORT   0x90

/* For a device that is only read. */
static inline void tiny_ignore(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	(void)ctx, (void)offset, (void)size, (void)value;
}

/* A device of the test's own at TINY_PORT. */
static inline vmm_bus_device_opts_t tiny_device(
        uint64_t (*read)(void *ctx, uint64_t offset, unsigned size),
        void (*write)(void *ctx, uint64_t offset, unsigned size, uint64_t value), void *ctx)
{
	return (vmm_bus_device_opts_t){
	        .struct_size = sizeof(vmm_bus_device_opts_t),
	        .name = "test",
	        .space = VMM_SPACE_PIO,
	        .base = TINY_PORT,
	        .len_bytes = 1,
	        .read = read,
	        .write = write,
	        .ctx = ctx,
	};
}

#endif
