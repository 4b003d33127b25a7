/* The console: a 16550 (National PC16550D), eight data bits, with its FIFO. */
#include "x86.h"

#define RBR      0u
#define THR      0u
#define IER      1u
#define FCR      2u
#define LCR      3u
#define MCR      4u
#define LSR      5u

#define LSR_DR   0x01u
#define LSR_THRE 0x20u
#define FIFO     16u
#define PATIENCE 100000u /* reads of LSR: then the device is taken for dead, and written anyway */

static struct {
	uint32_t lock;
	unsigned room; /* what the FIFO takes before LSR need be read again */
} serial;

void serial_init(void)
{
	uint16_t port = x86_ports.serial;
	x86_outb((uint16_t)(port + IER), 0);
	x86_outb((uint16_t)(port + LCR), 0x03);
	x86_outb((uint16_t)(port + FCR), 0x01);
	x86_outb((uint16_t)(port + MCR), 0x0b); /* DTR, RTS, OUT2: the last lets interrupts out */
}

static void put(uint8_t byte)
{
	for (unsigned i = 0; serial.room == 0; i++) {
		if (x86_inb((uint16_t)(x86_ports.serial + LSR)) & LSR_THRE || i == PATIENCE)
			serial.room = FIFO;
	}
	serial.room--;
	x86_outb((uint16_t)(x86_ports.serial + THR), byte);
}

/* Of its own, not core's spin lock: a crash must get through even if its holder is stopped. */
static bool lock(void)
{
	for (unsigned i = 0; i < 10000000; i++) {
		if (__atomic_exchange_n(&serial.lock, 1, __ATOMIC_ACQUIRE) == 0)
			return true;
		arch_cpu_relax();
	}
	return false;
}

void arch_console_write(const char *text, size_t len)
{
	unsigned long flags = arch_irq_save();
	bool mine = lock();
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			put('\r');
		put((uint8_t)text[i]);
	}
	if (mine)
		__atomic_store_n(&serial.lock, 0, __ATOMIC_RELEASE);
	arch_irq_restore(flags);
}

size_t arch_console_read(char *out, size_t max)
{
	size_t n = 0;
	while (n < max && x86_inb((uint16_t)(x86_ports.serial + LSR)) & LSR_DR)
		out[n++] = (char)x86_inb((uint16_t)(x86_ports.serial + RBR));
	return n;
}

bool arch_console_on_input(arch_irq_fn fn, void *ctx)
{
	if (!arch_irq_attach(x86_ports.serial_gsi, false, fn, ctx))
		return false;
	x86_outb((uint16_t)(x86_ports.serial + IER), 0x01);
	return true;
}
