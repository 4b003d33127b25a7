/*
 * QEMU's machines, which say what they have through fw_cfg (QEMU, docs/specs/fw_cfg.rst) and, with
 * ACPI on, put no devices on the command line. Only 'microvm' has virtio-mmio: 24 windows of 512
 * bytes; its interrupts are the second IOAPIC's where there is one (hw/i386/microvm.c).
 */
#include "x86.h"

#define PORT_SELECT     0x510u
#define PORT_DATA       0x511u
#define KEY_SIGNATURE   0x00u
#define KEY_NB_CPUS     0x05u

#define WINDOWS         0xfeb00000ull
#define WINDOW_BYTES    0x200u
#define WINDOW_COUNT    24u
#define IOAPIC_1        0xfec00000ull
#define IOAPIC_2        0xfec10000ull
#define IOAPIC_PINS     24u
#define GSI_FIRST       5u /* with one IOAPIC: eight devices at most */

#define GED_EVENTS      0xfea00000ull /* 32 bits, cleared when read (hw/acpi/generic_event_device.c) */
#define GED_GSI         9u
#define GED_REGS        0xfea00200ull /* sleep control, sleep status, reset */
#define GED_SLEEP_TO_S5 0x34u
#define GED_RESET       0x02u
#define GED_RESET_VALUE 0x42u
#define VIRTIO_MAGIC    0x74726976u

static uint32_t read_key(uint16_t key, unsigned bytes)
{
	uint32_t value = 0;
	x86_outw(PORT_SELECT, key);
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint32_t)x86_inb(PORT_DATA) << (8 * i);
	return value;
}

bool qemu_present(void)
{
	return read_key(KEY_SIGNATURE, 4) == 0x554d4551u; /* "QEMU" */
}

unsigned qemu_cpus(void)
{
	uint32_t cpus = read_key(KEY_NB_CPUS, 2);
	return cpus == 0 ? 1 : cpus > ARCH_CPUS_MAX ? ARCH_CPUS_MAX : cpus;
}

static void add_windows(bool two_ioapics)
{
	uint32_t count = two_ioapics ? WINDOW_COUNT : 8;
	for (uint32_t i = 0; i < count && x86_boot.virtio_count < ARCH_VIRTIO_MAX; i++) {
		uint32_t gsi = two_ioapics ? IOAPIC_PINS + i : GSI_FIRST + i;
		x86_boot.virtio[x86_boot.virtio_count++] = (struct arch_virtio_slot){
		        WINDOWS + i * WINDOW_BYTES, WINDOW_BYTES, gsi, false};
	}
}

void qemu_describe(void)
{
	x86_boot.machine = "QEMU";
	(void)ioapic_add(IOAPIC_1, 0);
	volatile void *window = arch_mmio_map(WINDOWS, ARCH_PAGE_SIZE);
	if (!window || arch_mmio_read32(window, 0) != VIRTIO_MAGIC)
		return;
	x86_boot.machine = "QEMU microvm";
	bool two = ioapic_add(IOAPIC_2, IOAPIC_PINS);
	x86_ports.poweroff_mmio = GED_REGS;
	x86_ports.poweroff_value = GED_SLEEP_TO_S5;
	x86_ports.reset_mmio = GED_REGS + GED_RESET;
	x86_ports.reset_value = GED_RESET_VALUE;
	x86_ports.button_gsi = GED_GSI;
	x86_ports.events_mmio = GED_EVENTS;
	if (x86_boot.virtio_count > 0)
		return;
	x86_boot.found_by = "fw_cfg";
	add_windows(two);
}
