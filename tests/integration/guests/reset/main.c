/* Asks for a reset in each way there is, one a boot; the test device counts the boots. */
#include "rt.h"
#include "testdev.h"

static uint32_t scratch = 0x1234; /* a restarted guest is loaded anew */

void guest_main(void)
{
	check_eq("data of the kernel file is as it was", scratch, 0x1234);
	scratch = 0;
	switch (inb(TESTDEV_PORT + TESTDEV_BOOTS)) {
	case 1:
		check("first boot", true);
		outb(MACHINE_PORT_I8042_COMMAND, 0xfe);
		break;
	case 2:
		check("reset by the keyboard controller", true);
		outb(MACHINE_PORT_ACPI + MACHINE_ACPI_RESET, MACHINE_ACPI_RESET_VALUE);
		break;
	case 3:
		check("reset by the ACPI register", true);
		return;
	default:
		check("known number of boots", false);
		return;
	}
	for (;;)
		__asm__ volatile("hlt");
}
