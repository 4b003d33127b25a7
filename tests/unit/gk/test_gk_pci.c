/* virtio over PCI: devices that keep to the rules, and functions that say what cannot be. */
#include <string.h>

#include "gk_vpci.h"
#include "guest-kernel/drivers/devices.h"

static struct devices *find_devices(void)
{
	struct devices *d = mem_alloc(sizeof(*d));
	ck_assert_ptr_nonnull(d);
	devices_find(d, kernel_of_cpu()->boot);
	rig_keep();
	return d;
}

static uint32_t give_random(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count)
{
	(void)v;
	ck_assert_uint_eq(queue, 0);
	ck_assert_uint_eq(count, 1);
	memset(segs[0].data, 0x5a, segs[0].len);
	return segs[0].len;
}

static struct vpci new_rng(unsigned devfn)
{
	struct vpci p = {.v = {.id = VIRTIO_ID_RNG, .answer = give_random}};
	vpci_init(&p, devfn);
	return p;
}

static void works(void *arg)
{
	struct vpci *p = arg;
	struct devices *d = find_devices();
	ck_assert_uint_eq(d->found, 1);
	ck_assert(d->entropy.device);
	entropy_reseed(&d->entropy);
	ck_assert_uint_eq(p->v.requests, 1);
	ck_assert_uint_eq(d->entropy.dev.interrupts, 1);
	ck_assert(!d->entropy.dev.broken);
}

START_TEST(interrupts_by_messages)
{
	struct vpci p = new_rng(8);
	vpci_run((struct vpci *[]){&p}, 1, works, &p);
	ck_assert_uint_eq(p.messages, 1);
	ck_assert_uint_eq(p.config[4] & 6, 6); /* memory, bus master */
	ck_assert_uint_eq(p.config_vector, 0);
	ck_assert_uint_eq(p.queue_vector[0], 1);
}
END_TEST

START_TEST(interrupts_by_the_pin)
{
	struct vpci p = new_rng(8 * 5); /* slot 5 is wired as slot 1 */
	vpci_set(&p, VPCI_MSIX, 1, 5);  /* MSI-X it has not */
	vpci_run((struct vpci *[]){&p}, 1, works, &p);
	ck_assert_uint_eq(p.messages, 0);
	ck_assert_uint_eq(p.pins, 1);
}
END_TEST

static uint32_t keep(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count)
{
	(void)v, (void)queue, (void)segs, (void)count;
	return UINT32_MAX;
}

static void balloon_body(void *arg)
{
	struct vpci *p = arg;
	struct devices *d = find_devices();
	ck_assert_ptr_nonnull(d->balloon);
	ck_assert(d->entropy.device);
	uint64_t before = d->balloon->dev.interrupts;
	vdev_config_changed(&p->v);
	task_sleep(NS_PER_MS);
	ck_assert_uint_eq(d->balloon->dev.interrupts, before + 1);
}

/* Two functions of one device, the second only because the first says that there are more. */
START_TEST(functions_beside_the_first)
{
	struct vpci rng = new_rng(16), balloon = {.v = {.id = VIRTIO_ID_BALLOON, .answer = keep}};
	vpci_init(&balloon, 17);
	vpci_set(&rng, 0x0e, 1, 0x80);
	vpci_run((struct vpci *[]){&rng, &balloon}, 2, balloon_body, &balloon);
}
END_TEST

static void refused(void *arg)
{
	const unsigned *want = arg;
	struct devices *d = find_devices();
	ck_assert(!d->entropy.device);
	ck_assert_uint_eq(d->found, want[0]);
	ck_assert_uint_eq(d->refused, want[1]);
}

/* Each is left out: FOUND and REFUSED count it, or it is no virtio device at all. */
static void expect(struct vpci *p, unsigned found, unsigned refusals)
{
	unsigned want[2] = {found, refusals};
	vpci_run((struct vpci *[]){p}, 1, refused, want);
	ck_assert_uint_eq(p->v.kicks, 0);
}

START_TEST(a_function_that_is_no_device_of_ours)
{
	struct vpci p = new_rng(8);
	vpci_set(&p, 0, 2, 0x8086);
	expect(&p, 0, 0);
	p = new_rng(8);
	vpci_set(&p, 2, 2, 0x1080);
	expect(&p, 0, 0);
	p = new_rng(8);
	vpci_set(&p, 0x0e, 1, 1); /* a bridge */
	expect(&p, 0, 0);
	p = new_rng(9); /* function 1 without a function 0 */
	expect(&p, 0, 0);
}
END_TEST

START_TEST(capabilities_that_lead_nowhere)
{
	struct vpci p = new_rng(8);
	vpci_set(&p, 6, 2, 0); /* no list */
	expect(&p, 0, 0);
	for (unsigned link = 0; link < 256; link += 3) {
		p = new_rng(8);
		vpci_set(&p, VPCI_CAPS + 1, 1, link); /* a loop, into the header, beyond the end */
		unsigned areas = link >= 0x54 && link < 0x58;
		if (!areas)
			expect(&p, 0, 0);
	}
	p = new_rng(8);
	vpci_set(&p, VPCI_CAPS + 2, 1, 8); /* a capability too short for its fields */
	expect(&p, 0, 0);
	p = new_rng(8);
	vpci_set(&p, VPCI_CAPS + 12, 4, 0x37); /* an area too short for its registers */
	expect(&p, 0, 0);
	p = new_rng(8);
	vpci_set(&p, VPCI_CAPS + 8, 4, 0xfffffff0); /* one that wraps */
	expect(&p, 0, 0);
}
END_TEST

START_TEST(bars_that_are_none)
{
	struct vpci p = new_rng(8);
	vpci_set(&p, VPCI_CAPS + 4, 1, 7); /* reserved numbers */
	expect(&p, 0, 0);
	p = new_rng(8);
	vpci_set(&p, VPCI_CAPS + 4, 1, 0); /* without an address */
	expect(&p, 0, 0);
	p = new_rng(8);
	vpci_set(&p, 0x20, 4, 0xc001); /* of ports */
	expect(&p, 0, 0);
	p = new_rng(8);
	vpci_set(&p, 0x20, 4, 0xfffffffc); /* at the very end */
	vpci_set(&p, 0x24, 4, 0xffffffff);
	expect(&p, 0, 0);
}
END_TEST

START_TEST(interrupts_and_notifications_that_cannot_be)
{
	struct vpci p = new_rng(8);
	p.vectors = 0; /* takes no vector for its configuration */
	expect(&p, 1, 1);
	p = new_rng(8);
	p.vectors = 1; /* none for its queues */
	expect(&p, 1, 1);
	p = new_rng(16);
	vpci_set(&p, VPCI_MSIX, 1, 5); /* no MSI-X, and slot 2 is wired to nothing */
	expect(&p, 1, 1);
	p = new_rng(8);
	vpci_set(&p, VPCI_MSIX + 4, 4, 0x4000 | 6); /* a table in no BAR */
	expect(&p, 1, 1);
	p = new_rng(8);
	p.notify_skip = VDEV_QUEUES; /* outside its area */
	expect(&p, 1, 1);
	p = new_rng(8);
	p.notify_skip = 1;
	vpci_set(&p, VPCI_CAPS + 3 * 0x14 + 16, 4, 0xffffffff);
	expect(&p, 1, 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pci");
	tcase_add_test(tc, interrupts_by_messages);
	tcase_add_test(tc, interrupts_by_the_pin);
	tcase_add_test(tc, functions_beside_the_first);
	tcase_add_test(tc, a_function_that_is_no_device_of_ours);
	tcase_add_test(tc, capabilities_that_lead_nowhere);
	tcase_add_test(tc, bars_that_are_none);
	tcase_add_test(tc, interrupts_and_notifications_that_cannot_be);
	return suite_run("gk_pci", tc);
}
