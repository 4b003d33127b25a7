/* Interrupt lines: eventfds, and the chip's pins. KVM's calls are taken by the linker (--wrap). */
#include <check.h>
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "suite.h"
#include "vmm/irq.h"

#define VM_FD 1234
#define GSI   7u

int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);

/* What KVM was asked, one after another: under the chip's lock, as is 'calls'. */
static struct kvm_irq_level asked[4096];
static unsigned calls;
static int last_fd;
static bool no_descriptors;

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	va_start(ap, request);
	const struct kvm_irq_level *pin = va_arg(ap, const struct kvm_irq_level *);
	va_end(ap);
	if (request != KVM_IRQ_LINE || calls == sizeof(asked) / sizeof(asked[0]))
		abort();
	asked[calls++] = *pin;
	last_fd = fd;
	return 0;
}

int __wrap_eventfd(unsigned value, int flags)
{
	if (!no_descriptors)
		return __real_eventfd(value, flags);
	errno = EMFILE;
	return -1;
}

static struct irq_chip chip;

static void setup(void)
{
	calls = 0;
	no_descriptors = false;
	irq_chip_init(&chip);
}

static void teardown(void)
{
	irq_chip_fini(&chip);
}

START_TEST(an_eventfd_counts_its_edges)
{
	struct irq_line line;
	eventfd_t edges = 0;
	ck_assert_int_eq(irq_line_open(&line, GSI, NULL), VMM_OK);
	ck_assert_uint_eq(line.gsi, GSI);
	ck_assert_int_lt(eventfd_read(line.fd, &edges), 0); /* none yet, and it does not block */
	ck_assert_int_eq(errno, EAGAIN);
	for (unsigned i = 0; i < 3; i++)
		irq_pulse(&line);
	ck_assert_int_eq(eventfd_read(line.fd, &edges), 0);
	ck_assert_uint_eq(edges, 3);
	irq_line_close(&line);
	ck_assert_int_eq(line.fd, -1);
	irq_pulse(&line); /* goes nowhere */
	irq_line_close(&line);
	ck_assert_uint_eq(calls, 0);
}
END_TEST

/* A full counter: the edge is pending, and the pulse neither blocks nor is lost. */
START_TEST(a_full_eventfd_does_not_block)
{
	struct irq_line line;
	eventfd_t edges = 0;
	ck_assert_int_eq(irq_line_open(&line, GSI, NULL), VMM_OK);
	ck_assert_int_eq(eventfd_write(line.fd, UINT64_MAX - 1), 0);
	irq_pulse(&line);
	ck_assert_int_eq(eventfd_read(line.fd, &edges), 0);
	ck_assert(edges == UINT64_MAX - 1);
	irq_line_close(&line);
}
END_TEST

START_TEST(no_descriptor_is_told_with_its_line)
{
	struct irq_line line;
	vmm_err_info_t ei;
	no_descriptors = true;
	ck_assert_int_eq(irq_line_open(&line, 19, &ei), VMM_E_LIMIT);
	ck_assert_int_eq(ei.sys_errno, EMFILE);
	ck_assert_ptr_nonnull(strstr(ei.message, "GSI 19"));
	ck_assert_int_eq(line.fd, -1);
	irq_pulse(&line);
}
END_TEST

START_TEST(a_chip_gets_both_halves_of_an_edge)
{
	struct irq_line line;
	irq_line_on_chip(&line, GSI, &chip);
	irq_pulse(&line); /* no VM at the moment */
	ck_assert_uint_eq(calls, 0);
	irq_chip_set_vm(&chip, VM_FD);
	irq_pulse(&line);
	ck_assert_uint_eq(calls, 2);
	ck_assert_int_eq(last_fd, VM_FD);
	ck_assert_uint_eq(asked[0].irq, GSI);
	ck_assert_uint_eq(asked[0].level, 1);
	ck_assert_uint_eq(asked[1].irq, GSI);
	ck_assert_uint_eq(asked[1].level, 0);
	irq_chip_set_vm(&chip, -1);
	irq_pulse(&line);
	ck_assert_uint_eq(calls, 2);
	irq_line_close(&line); /* the chip is not the line's */
	irq_chip_set_vm(&chip, VM_FD);
	irq_pulse(&line);
	ck_assert_uint_eq(calls, 4);
}
END_TEST

START_TEST(levels_are_held)
{
	irq_chip_set_level(&chip, 20, true);
	ck_assert_uint_eq(calls, 0);
	irq_chip_set_vm(&chip, VM_FD);
	irq_chip_set_level(&chip, 20, true);
	irq_chip_set_level(&chip, 20, false);
	ck_assert_uint_eq(calls, 2);
	ck_assert_uint_eq(asked[0].irq, 20);
	ck_assert_uint_eq(asked[0].level, 1);
	ck_assert_uint_eq(asked[1].level, 0);
}
END_TEST

static void *pulse_often(void *line)
{
	for (unsigned i = 0; i < 1000; i++)
		irq_pulse(line);
	return NULL;
}

/* Two devices on one pin: no edge begins before the other one's has ended. */
START_TEST(edges_of_two_threads_stay_apart)
{
	struct irq_line line;
	pthread_t other;
	irq_line_on_chip(&line, GSI, &chip);
	irq_chip_set_vm(&chip, VM_FD);
	ck_assert_int_eq(pthread_create(&other, NULL, pulse_often, &line), 0);
	(void)pulse_often(&line);
	ck_assert_int_eq(pthread_join(other, NULL), 0);
	ck_assert_uint_eq(calls, 4000);
	for (unsigned i = 0; i < calls; i++)
		ck_assert_uint_eq(asked[i].level, (i + 1) % 2);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("irq");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_eventfd_counts_its_edges);
	tcase_add_test(tc, a_full_eventfd_does_not_block);
	tcase_add_test(tc, no_descriptor_is_told_with_its_line);
	tcase_add_test(tc, a_chip_gets_both_halves_of_an_edge);
	tcase_add_test(tc, levels_are_held);
	tcase_add_test(tc, edges_of_two_threads_stay_apart);
	return suite_run("irq", tc);
}
