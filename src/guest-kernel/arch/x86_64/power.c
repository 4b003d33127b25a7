/* The ends of the machine: each tries what the machine has, then a way that every VMM understands.
 */
#include "x86.h"

#define I8042_COMMAND    0x64u
#define I8042_RESET      0xfeu
#define PANICKED         0x01u

#define EVENT_POWER_DOWN 2u /* of QEMU's generic event device (its generic_event_device.h) */

struct x86_ports x86_ports = {.serial = 0x3f8, .serial_gsi = 4};

static void write_byte(uint16_t port, uint64_t mmio, uint8_t value)
{
	if (port != 0)
		x86_outb(port, value);
	volatile void *regs = mmio ? arch_mmio_map(mmio, 1) : NULL;
	if (regs)
		arch_mmio_write8(regs, 0, value);
}

static _Noreturn void triple_fault(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = {0, 0};
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
	for (;;)
		x86_hlt();
}

static struct {
	arch_irq_fn fn;
	void *ctx;
	volatile void *events; /* NULL: the interrupt has no other cause */
} button;

static void on_button(void *ctx)
{
	(void)ctx;
	if (!button.events || arch_mmio_read32(button.events, 0) & EVENT_POWER_DOWN)
		button.fn(button.ctx);
}

bool arch_on_power_button(arch_irq_fn fn, void *ctx)
{
	if (x86_ports.button_gsi == 0)
		return false;
	button.fn = fn;
	button.ctx = ctx;
	if (x86_ports.events_mmio)
		button.events = arch_mmio_map(x86_ports.events_mmio, 4);
	if (x86_ports.events_mmio && !button.events)
		return false;
	return arch_irq_attach(x86_ports.button_gsi, false, on_button, NULL);
}

_Noreturn void arch_power_off(void)
{
	x86_cli();
	arch_stop_others();
	write_byte(x86_ports.poweroff, x86_ports.poweroff_mmio, x86_ports.poweroff_value);
	arch_reset();
}

_Noreturn void arch_reset(void)
{
	x86_cli();
	write_byte(x86_ports.reset, x86_ports.reset_mmio, x86_ports.reset_value);
	x86_outb(I8042_COMMAND, I8042_RESET);
	triple_fault();
}

_Noreturn void arch_crash(unsigned status)
{
	x86_cli();
	if (x86_ports.panic)
		x86_outb(x86_ports.panic, PANICKED);
	if (x86_ports.debug_exit)
		x86_outb(x86_ports.debug_exit, (uint8_t)status);
	for (;;)
		x86_hlt();
}
