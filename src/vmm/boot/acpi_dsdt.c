/* The DSDT: every device of the machine, with addresses and interrupts from machine.h. */
#include "acpi.h"

#include <stdio.h>

#define DEVICE_PRESENT       0x0fu /* present, enabled, shown, working: ACPI 6.4, 6.3.7 */
#define POWER_BUTTON_PRESSED 0x80u /* ACPI 6.4, 4.8.2.2.1.2 */

static bool gsi_is_shared(const struct machine *m, uint32_t gsi)
{
	unsigned users = 0;
	for (uint32_t i = 0; i < m->virtio_count; i++)
		users += m->virtio[i].gsi == gsi;
	return users > 1;
}

/* LNRO0005: what Linux matches virtio-mmio devices by. */
static void add_virtio(struct aml *a, const struct machine *m, uint32_t i)
{
	char name[8];
	(void)snprintf(name, sizeof(name), "V%03u", (unsigned)(i % 1000));
	struct aml_mark dev = aml_device(a, name);
	aml_name_string(a, "_HID", "LNRO0005");
	aml_name_integer(a, "_UID", i);
	struct aml_mark crs = aml_resources(a);
	aml_memory32(a, (uint32_t)m->virtio[i].base, MACHINE_VIRTIO_MMIO_SIZE);
	aml_interrupt(a, m->virtio[i].gsi, gsi_is_shared(m, m->virtio[i].gsi));
	aml_resources_close(a, crs);
	aml_close(a, dev);
}

static void add_serial(struct aml *a)
{
	struct aml_mark dev = aml_device(a, "COM1");
	aml_name_eisaid(a, "_HID", "PNP0501");
	aml_name_integer(a, "_UID", 1);
	struct aml_mark crs = aml_resources(a);
	aml_io(a, MACHINE_PORT_COM1, 8);
	aml_interrupt(a, MACHINE_GSI_COM1, false);
	aml_resources_close(a, crs);
	aml_close(a, dev);
}

static void add_keyboard_controller(struct aml *a)
{
	struct aml_mark dev = aml_device(a, "PS2_");
	aml_name_eisaid(a, "_HID", "PNP0303");
	struct aml_mark crs = aml_resources(a);
	aml_io(a, MACHINE_PORT_I8042_DATA, 1);
	aml_io(a, MACHINE_PORT_I8042_COMMAND, 1);
	aml_interrupt(a, 1, false);
	aml_resources_close(a, crs);
	aml_close(a, dev);
}

static void add_rtc(struct aml *a)
{
	struct aml_mark dev = aml_device(a, "RTC_");
	aml_name_eisaid(a, "_HID", "PNP0B00");
	struct aml_mark crs = aml_resources(a);
	aml_io(a, MACHINE_PORT_RTC, 2);
	aml_interrupt(a, MACHINE_GSI_RTC, false);
	aml_resources_close(a, crs);
	aml_close(a, dev);
}

/* QEMU0001: what Linux's pvpanic driver matches, to report a panic before it resets. */
static void add_pvpanic(struct aml *a)
{
	struct aml_mark dev = aml_device(a, "PEVT");
	aml_name_string(a, "_HID", "QEMU0001");
	aml_name_integer(a, "_STA", DEVICE_PRESENT);
	struct aml_mark crs = aml_resources(a);
	aml_io(a, MACHINE_PORT_PVPANIC, 1);
	aml_resources_close(a, crs);
	aml_close(a, dev);
}

/* A control-method button, pressed by an interrupt of the generic event device. */
static void add_power_button(struct aml *a)
{
	struct aml_mark dev = aml_device(a, "PWRB");
	aml_name_eisaid(a, "_HID", "PNP0C0C");
	aml_close(a, dev);
	dev = aml_device(a, "GED_");
	aml_name_string(a, "_HID", "ACPI0013");
	struct aml_mark crs = aml_resources(a);
	aml_interrupt(a, MACHINE_GSI_POWER_BUTTON, false);
	aml_resources_close(a, crs);
	struct aml_mark event = aml_method(a, "_EVT", 1);
	aml_notify(a, "\\_SB_.PWRB", POWER_BUTTON_PRESSED);
	aml_close(a, event);
	aml_close(a, dev);
}

void acpi_dsdt(struct aml *a, const struct machine *m)
{
	static const uint8_t s5[] = {MACHINE_ACPI_SLP_TYP_S5, 0, 0, 0};
	aml_name_package(a, "\\_S5_", s5, sizeof(s5));
	struct aml_mark sb = aml_scope(a, "\\_SB_");
	if (m->serial)
		add_serial(a);
	if (m->i8042)
		add_keyboard_controller(a);
	if (m->rtc)
		add_rtc(a);
	add_pvpanic(a);
	add_power_button(a);
	for (uint32_t i = 0; i < m->virtio_count; i++)
		add_virtio(a, m, i);
	if (m->pci)
		acpi_dsdt_pci(a, m);
	aml_close(a, sb);
}
