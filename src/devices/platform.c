/* The platform's small devices. See platform.h. */
#include "devices/platform.h"

#include "vmm/machine.h"

/* i8042 (IBM PC AT technical reference): the command that pulses the processor's reset line. */
#define I8042_CMD_RESET_CPU 0xfeu

#define PVPANIC_PANICKED    0x01u /* QEMU docs/specs/pvpanic.txt */
#define PVPANIC_CRASHED     0x02u

/* Status and data read 0: no keyboard, no mouse, so that drivers neither wait nor read. */
static uint64_t i8042_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)ctx;
	(void)offset;
	(void)size;
	return 0;
}

static void i8042_command(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	const struct platform *p = ctx;
	(void)offset;
	(void)size;
	if ((uint8_t)value == I8042_CMD_RESET_CPU)
		p->request(p->ctx, PLATFORM_RESET, 0);
}

static void i8042_data(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	(void)ctx;
	(void)offset;
	(void)size;
	(void)value;
}

static uint64_t acpi_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)ctx;
	(void)offset;
	(void)size;
	return 0; /* ACPI 6.5, 4.8.3.7: no wake-up has happened */
}

static void acpi_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	const struct platform *p = ctx;
	(void)size;
	uint64_t s5 = MACHINE_ACPI_SLP_EN | (MACHINE_ACPI_SLP_TYP_S5 << 2);
	if (offset == MACHINE_ACPI_SLEEP_CONTROL && (value & 0x3c) == (s5 & 0x3c))
		p->request(p->ctx, PLATFORM_POWER_OFF, 0);
	else if (offset == MACHINE_ACPI_RESET && (uint8_t)value == MACHINE_ACPI_RESET_VALUE)
		p->request(p->ctx, PLATFORM_RESET, 0);
}

static uint64_t debug_exit_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)ctx;
	(void)offset;
	(void)size;
	return 0;
}

static void debug_exit_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	const struct platform *p = ctx;
	(void)offset;
	(void)size;
	p->request(p->ctx, PLATFORM_DEBUG_EXIT, (uint8_t)value);
}

static uint64_t pvpanic_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)ctx;
	(void)offset;
	(void)size;
	return PVPANIC_PANICKED | PVPANIC_CRASHED; /* the events that are understood */
}

static void pvpanic_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	const struct platform *p = ctx;
	(void)offset;
	(void)size;
	if (value & (PVPANIC_PANICKED | PVPANIC_CRASHED))
		p->request(p->ctx, PLATFORM_PANIC, (uint8_t)value);
}

static const struct bus_ops i8042_command_ops = {i8042_read, i8042_command};
static const struct bus_ops i8042_data_ops = {i8042_read, i8042_data};
static const struct bus_ops acpi_ops = {acpi_read, acpi_write};
static const struct bus_ops debug_exit_ops = {debug_exit_read, debug_exit_write};
static const struct bus_ops pvpanic_ops = {pvpanic_read, pvpanic_write};

void platform_init(struct platform *p, platform_request_fn request, void *ctx)
{
	p->request = request;
	p->ctx = ctx;
	rtc_init(&p->rtc);
}

void platform_fini(struct platform *p)
{
	rtc_fini(&p->rtc);
}

vmm_err_t platform_add_to_bus(struct platform *p, struct bus *bus, vmm_err_info_t *ei)
{
	const struct {
		uint64_t base;
		uint64_t len;
		const struct bus_ops *ops;
		void *ctx;
		const char *name;
	} all[] = {
	        {MACHINE_PORT_I8042_DATA, 1, &i8042_data_ops, p, "i8042"},
	        {MACHINE_PORT_I8042_COMMAND, 1, &i8042_command_ops, p, "i8042"},
	        {MACHINE_PORT_RTC, 2, &rtc_bus_ops, &p->rtc, "rtc"},
	        {MACHINE_PORT_DEBUG_EXIT, 1, &debug_exit_ops, p, "debug-exit"},
	        {MACHINE_PORT_PVPANIC, 1, &pvpanic_ops, p, "pvpanic"},
	        {MACHINE_PORT_ACPI, MACHINE_ACPI_PORTS, &acpi_ops, p, "acpi"},
	};
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		vmm_err_t err = bus_add(bus, BUS_PIO, all[i].base, all[i].len, all[i].ops,
		                        all[i].ctx, all[i].name, ei);
		if (err)
			return err;
	}
	return VMM_OK;
}
