/* Switches itself off through the ACPI sleep control register. */
#include "rt.h"

void guest_main(void)
{
	outb(MACHINE_PORT_ACPI + MACHINE_ACPI_SLEEP_CONTROL,
	     (uint8_t)(MACHINE_ACPI_SLP_EN | MACHINE_ACPI_SLP_TYP_S5 << 2));
	for (uint64_t end = rdtsc() + RT_TICKS_SECOND; rdtsc() < end;)
		pause();
	check("switched off", false);
}
