/* Pieces of 32-bit machine code for guests of a few instructions (examples/tiny_guest.h). */
#ifndef TESTS_INTEGRATION_TINY_H
#define TESTS_INTEGRATION_TINY_H

#include "../../examples/tiny_guest.h"

#define OUT_IMM8(port, value) 0xb0, (value), 0xe6, (port)
#define OUT_DX8(port, value) \
	0x66, 0xba, (uint8_t)((port)&0xff), (uint8_t)((port) >> 8), 0xb0, (value), 0xee
#define HLT_FOREVER 0xfa, 0xf4, 0xeb, 0xfd
#define SPIN        0xeb, 0xfe

#endif
