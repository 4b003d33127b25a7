/* The guests of the benches: 32-bit machine code at 0x100000. */
#ifndef BENCH_GUESTS_H
#define BENCH_GUESTS_H

#include <stdint.h>

/*
 * One byte to COM1: proof from the guest's first instructions. Then the end, in the ways that one
 * VMM or another knows: debug-exit port, reset by the keyboard controller.
 */
static const uint8_t guest_start[] = {
        0x66, 0xba, 0xf8, 0x03, /* mov dx, 0x3f8 */
        0xb0, '!',              /* mov al, '!' */
        0xee,                   /* out dx, al */
        0x31, 0xc0,             /* xor eax, eax */
        0xe6, 0xf4,             /* out 0xf4, al */
        0xb0, 0xfe, 0xe6, 0x64, /* out 0x64, 0xfe */
        0xfa, 0xf4, 0xeb, 0xfd, /* cli; hlt; jmp */
};

/* Port reads without end. */
static const uint8_t guest_pio[] = {
        0x66, 0xba, 0x10, 0x05, /* mov dx, 0x510 */
        0xec,                   /* in al, dx */
        0xeb, 0xfd,             /* jmp */
};

/* Reads of four bytes at 0xd1000000 without end. */
static const uint8_t guest_mmio[] = {
        0xa1, 0x00, 0x00, 0x00, 0xd1, /* mov eax, [0xd1000000] */
        0xeb, 0xf9,                   /* jmp */
};

/* Sleeps. */
static const uint8_t guest_halt[] = {0xfa, 0xf4, 0xeb, 0xfd};

#endif
