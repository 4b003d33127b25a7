/* The virtqueue's device side: what it takes, what it refuses, whom it tells. */
#include <linux/virtio_ring.h>
#include <string.h>

#include "devices/virtio/ring.h"
#include "suite.h"

#define SIZE       8u
#define DESC_ADDR  0x1000u
#define AVAIL_ADDR 0x2000u
#define USED_ADDR  0x3000u
#define TABLE_ADDR 0x4000u
#define DATA_ADDR  0x10000u
#define MEMORY     (1u << 20)

struct fixture {
	struct gmem *gm;
	struct ring r;
	struct vring_desc *desc, *table;
	struct vring_avail *avail;
	struct vring_used *used;
	struct ring_chain chain;
	struct iovec iov[RING_SIZE_MAX];
};

static struct fixture f;

static void start(bool event_idx)
{
	f.r = (struct ring){.size = SIZE,
	                    .ready = true,
	                    .desc_addr = {DESC_ADDR},
	                    .avail_addr = {AVAIL_ADDR},
	                    .used_addr = {USED_ADDR}};
	ck_assert(ring_start(&f.r, f.gm, event_idx, true));
	memset(f.avail, 0, 6 + 2 * SIZE);
	memset(f.used, 0, 6 + 8 * SIZE);
}

static void setup(void)
{
	const struct gmem_opts opts = {.size_bytes = MEMORY, .fd = -1};
	f = (struct fixture){0};
	ck_assert_int_eq(gmem_create(&opts, &f.gm, NULL), VMM_OK);
	f.desc = gmem_at(f.gm, (struct gpa){DESC_ADDR}, sizeof(*f.desc) * SIZE);
	f.table = gmem_at(f.gm, (struct gpa){TABLE_ADDR}, sizeof(*f.desc) * SIZE);
	f.avail = gmem_at(f.gm, (struct gpa){AVAIL_ADDR}, 6 + 2 * SIZE);
	f.used = gmem_at(f.gm, (struct gpa){USED_ADDR}, 6 + 8 * SIZE);
	start(false);
}

static void teardown(void)
{
	gmem_destroy(f.gm);
}

static void offer(uint16_t head)
{
	f.avail->ring[f.avail->idx % SIZE] = head;
	f.avail->idx++;
}

static enum ring_result pop(void)
{
	return ring_pop(&f.r, &f.chain, f.iov, RING_SIZE_MAX);
}

/* The ring refuses what is available now, says why, and takes nothing more. */
static void refuses(const char *why)
{
	ck_assert_int_eq(pop(), RING_BAD);
	ck_assert_msg(strstr(f.r.why, why), "'%s', not '%s'", f.r.why, why);
	ck_assert_uint_eq(ring_available(&f.r), 0);
	ck_assert_int_eq(pop(), RING_BAD);
	start(false);
}

static void set(unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	f.desc[i] = (struct vring_desc){addr, len, flags, next};
}

START_TEST(takes_chains_in_order)
{
	set(3, DATA_ADDR, 16, VRING_DESC_F_NEXT, 1);
	set(1, DATA_ADDR + 100, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 5);
	set(5, DATA_ADDR + 700, 1, VRING_DESC_F_WRITE, 0);
	set(0, DATA_ADDR, 4, 0, 0);
	ck_assert_int_eq(pop(), RING_EMPTY);
	offer(3);
	offer(0);
	ck_assert_uint_eq(ring_available(&f.r), 2);
	ck_assert_int_eq(pop(), RING_OK);
	ck_assert_uint_eq(f.chain.head, 3);
	ck_assert_uint_eq(f.chain.nread, 1);
	ck_assert_uint_eq(f.chain.nwrite, 2);
	ck_assert_uint_eq(f.chain.read_bytes, 16);
	ck_assert_uint_eq(f.chain.write_bytes, 513);
	ck_assert_ptr_eq(f.iov[1].iov_base, gmem_at(f.gm, (struct gpa){DATA_ADDR + 100}, 512));
	ring_unpop(&f.r);
	ck_assert_int_eq(pop(), RING_OK);
	ck_assert_uint_eq(f.chain.head, 3);
	ck_assert_int_eq(pop(), RING_OK);
	ck_assert_uint_eq(f.chain.head, 0);
	ck_assert_int_eq(pop(), RING_EMPTY);
}
END_TEST

START_TEST(indices_wrap)
{
	set(2, DATA_ADDR, 8, 0, 0);
	for (unsigned i = 0; i < 70000; i++) {
		offer(2);
		ck_assert_int_eq(pop(), RING_OK);
		ring_push(&f.r, f.chain.head, i);
		ck_assert(ring_publish(&f.r));
		ck_assert_uint_eq(f.used->idx, (uint16_t)(i + 1));
		ck_assert_uint_eq(f.used->ring[i % SIZE].len, i);
	}
}
END_TEST

START_TEST(refuses_bad_chains)
{
	offer(SIZE);
	refuses("out of range");
	set(0, DATA_ADDR, 8, VRING_DESC_F_NEXT, SIZE);
	offer(0);
	refuses("out of range");
	set(0, DATA_ADDR, 8, VRING_DESC_F_NEXT, 0);
	offer(0);
	refuses("loops");
	set(0, DATA_ADDR, 0, 0, 0);
	offer(0);
	refuses("length zero");
	set(0, MEMORY - 4, 8, 0, 0);
	offer(0);
	refuses("outside guest memory");
	set(0, UINT64_MAX - 3, 8, 0, 0);
	offer(0);
	refuses("outside guest memory");
	set(0, DATA_ADDR, 8, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	set(1, DATA_ADDR, 8, 0, 0);
	offer(0);
	refuses("after a writable");
	set(0, DATA_ADDR, UINT32_MAX, 0, 0);
	offer(0);
	refuses("too many bytes");
	f.avail->idx = SIZE + 1;
	refuses("more than the queue size");
}
END_TEST

START_TEST(indirect_tables)
{
	f.table[0] = (struct vring_desc){DATA_ADDR, 4, VRING_DESC_F_NEXT, 1};
	f.table[1] = (struct vring_desc){DATA_ADDR, 4, VRING_DESC_F_WRITE, 0};
	set(0, TABLE_ADDR, 32, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	ck_assert_int_eq(pop(), RING_OK);
	ck_assert_uint_eq(f.chain.nread, 1);
	ck_assert_uint_eq(f.chain.nwrite, 1);
	set(0, TABLE_ADDR, 17, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	refuses("wrong length");
	f.table[1].flags = VRING_DESC_F_NEXT;
	f.table[1].next = 0;
	set(0, TABLE_ADDR, 32, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	refuses("loop");
	f.table[0].flags = VRING_DESC_F_INDIRECT;
	offer(0);
	refuses("indirect");
}
END_TEST

START_TEST(interrupts_as_the_driver_wishes)
{
	set(0, DATA_ADDR, 8, 0, 0);
	ck_assert(!ring_publish(&f.r));
	f.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	ring_push(&f.r, 0, 0);
	ck_assert_uint_eq(f.used->idx, 0);
	ck_assert(!ring_publish(&f.r));
	ck_assert_uint_eq(f.used->idx, 1);
	f.avail->flags = 0;
	ring_push(&f.r, 0, 0);
	ck_assert(ring_publish(&f.r));

	start(true);
	f.avail->ring[SIZE] = 1; /* used_event: after the second */
	ring_push(&f.r, 0, 0);
	ck_assert(!ring_publish(&f.r));
	ring_push(&f.r, 0, 0);
	ck_assert(ring_publish(&f.r));
}
END_TEST

START_TEST(arming_the_notification_looks_again)
{
	set(0, DATA_ADDR, 8, 0, 0);
	ring_kick_disable(&f.r);
	ck_assert_uint_eq(f.used->flags, VRING_USED_F_NO_NOTIFY);
	ck_assert(!ring_kick_enable(&f.r));
	ck_assert_uint_eq(f.used->flags, 0);
	offer(0);
	ck_assert(ring_kick_enable(&f.r));

	/* An index that runs back meanwhile: the caller has to learn of it. */
	start(false);
	ck_assert_int_eq(pop(), RING_EMPTY);
	f.avail->idx = UINT16_MAX;
	ck_assert(ring_kick_enable(&f.r));
	ck_assert_int_eq(pop(), RING_BAD);
	ck_assert(!ring_kick_enable(&f.r)); /* once, not for ever */
}
END_TEST

START_TEST(bad_queues_do_not_start)
{
	const struct ring good = {.size = SIZE,
	                          .desc_addr = {DESC_ADDR},
	                          .avail_addr = {AVAIL_ADDR},
	                          .used_addr = {USED_ADDR}};
	struct ring r = good;
	r.size = 12;
	ck_assert(!ring_start(&r, f.gm, false, false));
	r.size = 2 * RING_SIZE_MAX;
	ck_assert(!ring_start(&r, f.gm, false, false));
	r = good;
	r.desc_addr.addr += 8;
	ck_assert(!ring_start(&r, f.gm, false, false));
	r = good;
	r.used_addr.addr = MEMORY - 8;
	ck_assert(!ring_start(&r, f.gm, false, false));
	r.used_addr.addr = UINT64_MAX & ~3ull;
	ck_assert(!ring_start(&r, f.gm, false, false));
	r = good;
	ck_assert(ring_start(&r, f.gm, false, false));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ring");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, takes_chains_in_order);
	tcase_add_test(tc, indices_wrap);
	tcase_add_test(tc, refuses_bad_chains);
	tcase_add_test(tc, indirect_tables);
	tcase_add_test(tc, interrupts_as_the_driver_wishes);
	tcase_add_test(tc, arming_the_notification_looks_again);
	tcase_add_test(tc, bad_queues_do_not_start);
	return suite_run("ring", tc);
}
