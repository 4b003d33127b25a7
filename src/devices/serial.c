/* 16550A UART. See serial.h. */
#include "devices/serial.h"

#include <linux/serial_reg.h>
#include <string.h>

void serial_init(struct serial *s, serial_output_fn output, serial_room_fn room, void *ctx)
{
	*s = (struct serial){.output = output, .room = room, .ctx = ctx, .irq.fd = -1};
	(void)pthread_mutex_init(&s->lock, NULL);
	serial_reset(s);
}

void serial_fini(struct serial *s)
{
	irq_line_close(&s->irq);
	(void)pthread_mutex_destroy(&s->lock);
}

void serial_reset(struct serial *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->ier = 0;
	s->lcr = 0;
	s->mcr = UART_MCR_OUT2;
	s->scr = 0;
	s->fcr = 0;
	s->divisor = 12; /* 9600 baud */
	s->thr_pending = false;
	s->overrun = false;
	s->irq_now = 0;
	s->rx_head = 0;
	s->rx_count = 0;
	(void)pthread_mutex_unlock(&s->lock);
}

/* Interrupt sources by priority (data sheet, table IV). Lock held. */
static uint8_t pending_source(const struct serial *s)
{
	if ((s->ier & UART_IER_RLSI) && s->overrun)
		return UART_IIR_RLSI;
	if ((s->ier & UART_IER_RDI) && s->rx_count > 0)
		return UART_IIR_RDI;
	if ((s->ier & UART_IER_THRI) && s->thr_pending)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

/* The line is edge triggered: pulse when a source appears that was not there before. Lock held. */
static void update_irq(struct serial *s)
{
	uint8_t now = 0;
	if ((s->ier & UART_IER_RLSI) && s->overrun)
		now |= UART_IER_RLSI;
	if ((s->ier & UART_IER_RDI) && s->rx_count > 0)
		now |= UART_IER_RDI;
	if ((s->ier & UART_IER_THRI) && s->thr_pending)
		now |= UART_IER_THRI;
	if (now & ~s->irq_now)
		irq_pulse(&s->irq);
	s->irq_now = now;
}

static void push_rx(struct serial *s, uint8_t byte)
{
	s->rx[(s->rx_head + s->rx_count) % SERIAL_FIFO_BYTES] = byte;
	s->rx_count++;
}

size_t serial_input(struct serial *s, const uint8_t *data, size_t len)
{
	size_t taken = 0;
	(void)pthread_mutex_lock(&s->lock);
	while (taken < len && s->rx_count < SERIAL_FIFO_BYTES)
		push_rx(s, data[taken++]);
	if (taken > 0) {
		s->irq_now &= (uint8_t)~UART_IER_RDI; /* each arrival is an edge */
		update_irq(s);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return taken;
}

static uint8_t take_rx(struct serial *s)
{
	if (s->rx_count == 0)
		return 0;
	uint8_t byte = s->rx[s->rx_head];
	s->rx_head = (s->rx_head + 1) % SERIAL_FIFO_BYTES;
	s->rx_count--;
	return byte;
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t source = pending_source(s);
	if (source == UART_IIR_THRI)
		s->thr_pending = false; /* reading IIR acknowledges this source */
	return source | (s->fcr & UART_FCR_ENABLE_FIFO ? 0xc0 : 0);
}

static uint8_t read_lsr(struct serial *s)
{
	uint8_t lsr = UART_LSR_TEMT | UART_LSR_THRE; /* transmission takes no time */
	if (s->rx_count > 0)
		lsr |= UART_LSR_DR;
	if (s->overrun)
		lsr |= UART_LSR_OE;
	s->overrun = false;
	return lsr;
}

/* In loop mode the modem inputs are the modem outputs (data sheet, 8.6.7). */
static uint8_t read_msr(const struct serial *s)
{
	if (!(s->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	uint8_t msr = 0;
	if (s->mcr & UART_MCR_RTS)
		msr |= UART_MSR_CTS;
	if (s->mcr & UART_MCR_DTR)
		msr |= UART_MSR_DSR;
	if (s->mcr & UART_MCR_OUT1)
		msr |= UART_MSR_RI;
	if (s->mcr & UART_MCR_OUT2)
		msr |= UART_MSR_DCD;
	return msr;
}

static uint8_t read_reg(struct serial *s, uint64_t reg, bool *made_room)
{
	bool dlab = s->lcr & UART_LCR_DLAB;
	switch (reg) {
	case UART_RX:
		if (dlab)
			return (uint8_t)s->divisor;
		*made_room = s->rx_count == SERIAL_FIFO_BYTES;
		return take_rx(s);
	case UART_IER:
		return dlab ? (uint8_t)(s->divisor >> 8) : s->ier;
	case UART_IIR:
		return read_iir(s);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return read_lsr(s);
	case UART_MSR:
		return read_msr(s);
	default:
		return s->scr;
	}
}

static void transmit(struct serial *s, uint8_t byte)
{
	if (s->mcr & UART_MCR_LOOP) {
		if (s->rx_count < SERIAL_FIFO_BYTES)
			push_rx(s, byte);
		else
			s->overrun = true;
	} else if (s->output) {
		s->output(s->ctx, &byte, 1);
	}
	s->thr_pending = true;
	s->irq_now &= (uint8_t)~UART_IER_THRI; /* emptied once more: a new edge */
}

static void write_ier(struct serial *s, uint8_t value)
{
	/* Switching the source on while the transmitter is empty raises it at once. */
	if ((value & UART_IER_THRI) && !(s->ier & UART_IER_THRI))
		s->thr_pending = true;
	s->ier = value & 0x0f;
}

static void write_reg(struct serial *s, uint64_t reg, uint8_t value, bool *made_room)
{
	bool dlab = s->lcr & UART_LCR_DLAB;
	switch (reg) {
	case UART_TX:
		if (dlab)
			s->divisor = (uint16_t)((s->divisor & 0xff00) | value);
		else
			transmit(s, value);
		break;
	case UART_IER:
		if (dlab)
			s->divisor = (uint16_t)((s->divisor & 0x00ff) | value << 8);
		else
			write_ier(s, value);
		break;
	case UART_FCR:
		s->fcr = value;
		if (value & UART_FCR_CLEAR_RCVR) {
			*made_room = s->rx_count == SERIAL_FIFO_BYTES;
			s->rx_count = 0;
		}
		break;
	case UART_LCR:
		s->lcr = value;
		break;
	case UART_MCR:
		s->mcr = value & 0x1f;
		break;
	case UART_SCR:
		s->scr = value;
		break;
	default:
		break; /* LSR and MSR are read-only */
	}
}

static uint64_t serial_read(void *ctx, uint64_t offset, unsigned size)
{
	struct serial *s = ctx;
	bool made_room = false;
	if (size != 1)
		return UINT64_MAX;
	(void)pthread_mutex_lock(&s->lock);
	uint8_t value = read_reg(s, offset, &made_room);
	update_irq(s);
	(void)pthread_mutex_unlock(&s->lock);
	if (made_room && s->room)
		s->room(s->ctx);
	return value;
}

static void serial_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct serial *s = ctx;
	bool made_room = false;
	if (size != 1)
		return;
	(void)pthread_mutex_lock(&s->lock);
	write_reg(s, offset, (uint8_t)value, &made_room);
	update_irq(s);
	(void)pthread_mutex_unlock(&s->lock);
	if (made_room && s->room)
		s->room(s->ctx);
}

const struct bus_ops serial_bus_ops = {serial_read, serial_write};
