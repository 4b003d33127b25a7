/* The machine's interrupt assignment. See machine.h. */
#include "machine.h"

uint32_t machine_virtio_gsi(uint32_t i)
{
	static const uint8_t pins[] = {5, 6, 7, 10, 11, 12, 16, 17, 18, 19, 20, 21, 22, 23};
	return pins[i % (sizeof(pins) / sizeof(pins[0]))];
}
