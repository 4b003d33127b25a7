/* 16550: output, receive FIFO and its interrupt, identification, loop mode, flow control. */
#include <check.h>
#include <linux/serial_reg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/serial.h"
#include "suite.h"

struct host {
	struct serial uart;
	uint8_t out[64];
	size_t out_len;
	unsigned rooms;
};

static void output(void *ctx, const uint8_t *data, size_t len)
{
	struct host *h = ctx;
	ck_assert_uint_le(h->out_len + len, sizeof(h->out));
	memcpy(h->out + h->out_len, data, len);
	h->out_len += len;
}

static void room(void *ctx)
{
	struct host *h = ctx;
	h->rooms++;
}

static void setup(struct host *h)
{
	memset(h, 0, sizeof(*h));
	serial_init(&h->uart, output, room, h);
	h->uart.irq.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_ge(h->uart.irq.fd, 0);
}

static void out(struct host *h, uint64_t reg, uint8_t value)
{
	serial_bus_ops.write(&h->uart, reg, 1, value);
}

static uint8_t in(struct host *h, uint64_t reg)
{
	return (uint8_t)serial_bus_ops.read(&h->uart, reg, 1);
}

static uint64_t edges(struct host *h)
{
	uint64_t n = 0;
	return read(h->uart.irq.fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

START_TEST(transmits_and_raises_thre)
{
	struct host h;
	setup(&h);
	out(&h, UART_TX, 'a');
	ck_assert_uint_eq(edges(&h), 0);
	out(&h, UART_IER, UART_IER_THRI);
	ck_assert_uint_eq(edges(&h), 1);
	ck_assert_uint_eq(in(&h, UART_IIR) & 0x0f, UART_IIR_THRI);
	ck_assert_uint_eq(in(&h, UART_IIR) & 0x0f, UART_IIR_NO_INT);
	out(&h, UART_TX, 'b');
	ck_assert_uint_eq(edges(&h), 1);
	ck_assert_uint_eq(h.out_len, 2);
	ck_assert_mem_eq(h.out, "ab", 2);
	ck_assert_uint_eq(in(&h, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	serial_fini(&h.uart);
}
END_TEST

START_TEST(receives_with_interrupt)
{
	struct host h;
	setup(&h);
	out(&h, UART_IER, UART_IER_RDI);
	ck_assert_uint_eq(serial_input(&h.uart, (const uint8_t *)"xy", 2), 2);
	ck_assert_uint_eq(edges(&h), 1);
	ck_assert_uint_eq(in(&h, UART_IIR) & 0x0f, UART_IIR_RDI);
	ck_assert_uint_eq(in(&h, UART_LSR) & UART_LSR_DR, UART_LSR_DR);
	ck_assert_uint_eq(in(&h, UART_RX), 'x');
	ck_assert_uint_eq(serial_input(&h.uart, (const uint8_t *)"z", 1), 1);
	ck_assert_uint_eq(edges(&h), 1);
	ck_assert_uint_eq(in(&h, UART_RX), 'y');
	ck_assert_uint_eq(in(&h, UART_RX), 'z');
	ck_assert_uint_eq(in(&h, UART_LSR) & UART_LSR_DR, 0);
	ck_assert_uint_eq(in(&h, UART_RX), 0);
	serial_fini(&h.uart);
}
END_TEST

START_TEST(full_fifo_asks_for_more_when_read)
{
	struct host h;
	setup(&h);
	uint8_t data[SERIAL_FIFO_BYTES + 3];
	memset(data, 'q', sizeof(data));
	ck_assert_uint_eq(serial_input(&h.uart, data, sizeof(data)), SERIAL_FIFO_BYTES);
	ck_assert_uint_eq(serial_input(&h.uart, data, 1), 0);
	ck_assert_uint_eq(h.rooms, 0);
	ck_assert_uint_eq(in(&h, UART_RX), 'q');
	ck_assert_uint_eq(h.rooms, 1);
	ck_assert_uint_eq(in(&h, UART_RX), 'q');
	ck_assert_uint_eq(h.rooms, 1);
	out(&h, UART_FCR, UART_FCR_CLEAR_RCVR);
	ck_assert_uint_eq(in(&h, UART_LSR) & UART_LSR_DR, 0);
	serial_fini(&h.uart);
}
END_TEST

START_TEST(divisor_scratch_and_loop)
{
	struct host h;
	setup(&h);
	out(&h, UART_LCR, UART_LCR_DLAB);
	out(&h, UART_DLL, 0x34);
	out(&h, UART_DLM, 0x12);
	ck_assert_uint_eq(in(&h, UART_DLL), 0x34);
	ck_assert_uint_eq(in(&h, UART_DLM), 0x12);
	out(&h, UART_LCR, 3);
	out(&h, UART_SCR, 0x5a);
	ck_assert_uint_eq(in(&h, UART_SCR), 0x5a);
	out(&h, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT2);
	ck_assert_uint_eq(in(&h, UART_MSR), UART_MSR_CTS | UART_MSR_DCD);
	out(&h, UART_TX, 'l');
	ck_assert_uint_eq(h.out_len, 0);
	ck_assert_uint_eq(in(&h, UART_RX), 'l');
	for (unsigned i = 0; i <= SERIAL_FIFO_BYTES; i++)
		out(&h, UART_TX, 'm');
	ck_assert_uint_eq(in(&h, UART_LSR) & UART_LSR_OE, UART_LSR_OE);
	ck_assert_uint_eq(in(&h, UART_LSR) & UART_LSR_OE, 0);
	serial_fini(&h.uart);
}
END_TEST

START_TEST(odd_sizes_and_reset)
{
	struct host h;
	setup(&h);
	serial_bus_ops.write(&h.uart, UART_TX, 4, 0x41414141);
	ck_assert_uint_eq(h.out_len, 0);
	ck_assert_uint_eq(serial_bus_ops.read(&h.uart, UART_RX, 2), UINT64_MAX);
	out(&h, UART_IER, 0xff);
	ck_assert_uint_eq(in(&h, UART_IER), 0x0f);
	serial_reset(&h.uart);
	ck_assert_uint_eq(in(&h, UART_IER), 0);
	serial_fini(&h.uart);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("serial");
	tcase_add_test(tc, transmits_and_raises_thre);
	tcase_add_test(tc, receives_with_interrupt);
	tcase_add_test(tc, full_fifo_asks_for_more_when_read);
	tcase_add_test(tc, divisor_scratch_and_loop);
	tcase_add_test(tc, odd_sizes_and_reset);
	return suite_run("serial", tc);
}
