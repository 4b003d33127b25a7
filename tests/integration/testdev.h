/*
 * The device of the test runner, as guests see it. Freestanding: the runner implements it, the
 * guests use it.
 */
#ifndef TESTS_INTEGRATION_TESTDEV_H
#define TESTS_INTEGRATION_TESTDEV_H

/* Ports. ECHO: reads give what was written last, complemented. */
#define TESTDEV_PORT       0x510u
#define TESTDEV_PORT_BYTES 16u
#define TESTDEV_ECHO       0u  /* 1, 2 or 4 bytes */
#define TESTDEV_COUNT      4u  /* 4 bytes: accesses of ECHO so far */
#define TESTDEV_FIFO       8u  /* writes append, reads take out; 0xee.. when empty */
#define TESTDEV_BOOTS      12u /* 1 byte: how often the machine has started */

/* MMIO. ECHO as above with up to 8 bytes, at any offset of its 64 bytes. */
#define TESTDEV_MMIO       0xd1000000ull
#define TESTDEV_MMIO_BYTES 0x1000u
#define TESTDEV_MMIO_ECHO  0x000u
#define TESTDEV_MMIO_IRQ   0x100u /* write: pulse the line that many microseconds from now */
#define TESTDEV_MMIO_MSI   0x108u /* write: send that vector as a message to CPU 0 */

#define TESTDEV_GSI        10u

/* Where nothing is. */
#define NOTHING_PORT 0x7f0u
#define NOTHING_MMIO 0xd1800000ull

#endif
