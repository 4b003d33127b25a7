/* The machine's interrupt assignment. See machine.h. */
#include "machine.h"

#include <stddef.h>

static const uint8_t device_pins[] = {5, 6, 7, 10, 11, 12, 16, 17, 18, 19, 20, 21, 22, 23};
#define DEVICE_PINS (sizeof(device_pins) / sizeof(device_pins[0]))

uint32_t machine_virtio_gsi(uint32_t i)
{
	return device_pins[i % DEVICE_PINS];
}

bool machine_gsi_is_for_devices(uint32_t gsi)
{
	for (size_t i = 0; i < DEVICE_PINS; i++)
		if (device_pins[i] == gsi)
			return true;
	return false;
}
