/* Drivers on devices that keep to the rules; test_gk_lies.c has those that do not. */
#include <string.h>

#include "gk_vdev.h"
#include "guest-kernel/drivers/devices.h"

static struct devices *found;

static void find_devices(void)
{
	found = mem_alloc(sizeof(*found));
	ck_assert_ptr_nonnull(found);
	devices_find(found, kernel_of_cpu()->boot);
	rig_keep();
}

/* ---- entropy ---- */

static uint32_t give_random(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count)
{
	(void)v;
	ck_assert_uint_eq(queue, 0);
	ck_assert_uint_eq(count, 1);
	ck_assert(segs[0].writable);
	memset(segs[0].data, 0x5a, segs[0].len);
	return segs[0].len;
}

static void rng_body(void *arg)
{
	struct vdev *v = arg;
	uint8_t a[100], b[100];
	find_devices();
	ck_assert(found->entropy.device);
	entropy_reseed(&found->entropy);
	ck_assert_uint_eq(v->requests, 1);
	ck_assert(!found->entropy.dev.broken);
	entropy_get(&found->entropy, a, sizeof(a));
	entropy_get(&found->entropy, b, sizeof(b));
	ck_assert_int_ne(memcmp(a, b, sizeof(a)), 0);
	ck_assert_int_ne(memcmp(a, a + 32, 32), 0);
}

START_TEST(the_entropy_device_is_asked)
{
	struct vdev v = {.id = VIRTIO_ID_RNG, .answer = give_random};
	vdev_run((struct vdev *[]){&v}, 1, rng_body, &v);
}
END_TEST

/* RFC 8439, 2.3.2. */
START_TEST(chacha20_is_as_published)
{
	uint32_t key[8];
	uint8_t bytes[32], out[64];
	static const uint8_t nonce_bytes[12] = {0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0};
	static const uint8_t expected[64] = {
	        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
	        0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
	        0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
	        0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
	        0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
	uint32_t nonce[3];
	for (unsigned i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	memcpy(key, bytes, 32);
	memcpy(nonce, nonce_bytes, 12);
	chacha20_block(key, 1, nonce, out);
	ck_assert_mem_eq(out, expected, 64);
}
END_TEST

/* ---- net ---- */

static unsigned frames_sent;
static uint8_t last_sent[2000];
static uint32_t last_sent_len;

static uint32_t net_answer(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count)
{
	(void)v;
	if (queue == 0)
		return UINT32_MAX;
	last_sent_len = 0;
	for (unsigned i = 0; i < count; i++) {
		ck_assert(!segs[i].writable);
		ck_assert_uint_le(last_sent_len + segs[i].len, sizeof(last_sent));
		memcpy(last_sent + last_sent_len, segs[i].data, segs[i].len);
		last_sent_len += segs[i].len;
	}
	frames_sent++;
	return 0;
}

static unsigned wakes;

static void on_wake(void *ctx)
{
	(void)ctx;
	wakes++;
}

#define RX_BUFFERS 8u
#define RX_BYTES   2048u

static void take_frame(struct nic *n, unsigned i)
{
	uint32_t len;
	uint8_t *b = nic_receive(n, 0, &len);
	struct nic_hdr hdr;
	ck_assert_ptr_nonnull(b);
	memcpy(&hdr, b, sizeof(hdr));
	ck_assert_uint_eq(nic_frame_buffers(n, &hdr, len), 1);
	ck_assert_uint_eq(len, 12 + 60 + i % 1000);
	for (size_t k = 0; k < 60 + i % 1000; k++)
		ck_assert_uint_eq(b[12 + k], (uint8_t)(k + i));
	ck_assert(nic_offer(n, 0, b, RX_BYTES, b));
	ck_assert(nic_listen(n, 0));
}

static void receive_frames(struct vdev *v, struct nic *n, uint8_t *buffers)
{
	for (unsigned i = 0; i < RX_BUFFERS; i++)
		ck_assert(nic_offer(n, 0, buffers + (size_t)i * RX_BYTES, RX_BYTES,
		                    buffers + (size_t)i * RX_BYTES));
	ck_assert(nic_listen(n, 0));
	for (unsigned i = 0; i < 500; i++) {
		uint8_t in[1600] = {0};
		unsigned before = wakes;
		for (unsigned k = 0; k < 60 + i % 1000; k++)
			in[12 + k] = (uint8_t)(k + i);
		ck_assert(vdev_push(v, 0, in, 12 + 60 + i % 1000));
		task_yield();
		ck_assert_uint_gt(wakes, before);
		take_frame(n, i);
	}
}

static void send_frames(struct nic *n, uint8_t *frame)
{
	struct nic_hdr hdr = {.flags = NIC_HDR_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
	struct virtq_seg segs[NIC_SEGS_MAX + 1] = {{frame, 40, false}, {frame + 40, 60, false}};
	for (unsigned i = 0; i < 200; i++) {
		memset(frame, (int)i, 100);
		ck_assert(nic_send(n, 0, &hdr, segs, 2, frame));
		nic_kick(n, 0);
		ck_assert_uint_eq(last_sent_len, 112);
		ck_assert_mem_eq(last_sent, &hdr, 12);
		ck_assert_mem_eq(last_sent + 12, frame, 100);
		ck_assert_ptr_eq(nic_sent(n, 0), frame);
		ck_assert_ptr_null(nic_sent(n, 0));
	}
	ck_assert_uint_eq(frames_sent, 200);
	ck_assert(!nic_send(n, 0, &hdr, segs, 0, frame));
	ck_assert(!nic_send(n, 0, &hdr, segs, NIC_SEGS_MAX + 1, frame));
}

/* What lies with the device comes back. */
static void stop_and_recall(struct nic *n, uint8_t *buffers)
{
	unsigned back = 0;
	nic_stop(n);
	for (uint8_t *b; (b = nic_recall(n)); back++)
		ck_assert(b >= buffers && b < buffers + (size_t)RX_BUFFERS * RX_BYTES);
	ck_assert_uint_eq(back, RX_BUFFERS - 1); /* one has been received */
	ck_assert_ptr_null(nic_recall_sent(n));
}

static void net_body(void *arg)
{
	struct vdev *v = arg;
	uint8_t tiny[32] = {0};
	find_devices();
	ck_assert_uint_eq(found->nic_count, 1);
	struct nic *n = found->nics[0];
	uint8_t *buffers = mem_pages(4), *frame = mem_alloc(2000);
	ck_assert_mem_eq(n->mac, v->config, 6);
	ck_assert(n->link && !n->merges);
	nic_start(n, on_wake, NULL);
	receive_frames(v, n, buffers);
	send_frames(n, frame);
	ck_assert_uint_eq(nic_frame_buffers(n, &(struct nic_hdr){0}, 12 + 13), 0);
	v->config[6] = 0;
	vdev_config_changed(v);
	task_yield();
	ck_assert(!n->link);
	ck_assert(vdev_push(v, 0, tiny, 32));
	uint32_t len;
	ck_assert_ptr_nonnull(nic_receive(n, 0, &len));
	v->lie = VDEV_LONG_LENGTH;
	ck_assert(vdev_push(v, 0, tiny, 32));
	ck_assert_ptr_null(nic_receive(n, 0, &len));
	ck_assert(n->dev.broken);
	ck_assert(!nic_send(n, 0, &(struct nic_hdr){0}, &(struct virtq_seg){frame, 100, false}, 1,
	                    n));
	stop_and_recall(n, buffers);
	mem_pages_free(buffers);
	mem_free(frame);
}

START_TEST(frames_go_in_and_out)
{
	struct vdev v = {
	        .id = VIRTIO_ID_NET,
	        .features = 1 << 5 | 1 << 16 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC,
	        .config = {2, 4, 6, 8, 10, 12, 1},
	        .answer = net_answer,
	};
	vdev_run((struct vdev *[]){&v}, 1, net_body, &v);
}
END_TEST

/* ---- console ---- */

static char written[4096];
static size_t written_len;

static uint32_t console_answer(struct vdev *v, unsigned queue, struct vdev_seg *segs,
                               unsigned count)
{
	if (queue == 0 || v->ctx)
		return UINT32_MAX;
	for (unsigned i = 0; i < count; i++) {
		ck_assert_uint_le(written_len + segs[i].len, sizeof(written));
		memcpy(written + written_len, segs[i].data, segs[i].len);
		written_len += segs[i].len;
	}
	return 0;
}

static char typed[64];

static void on_typed(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	size_t have = strlen(typed);
	ck_assert_uint_lt(have + len, sizeof(typed));
	memcpy(typed + have, text, len);
}

static void console_body(void *arg)
{
	struct vdev *v = arg;
	char text[3000];
	find_devices();
	struct console *c = found->console;
	ck_assert_ptr_nonnull(c);
	c->input = on_typed;
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	console_write(c, text, sizeof(text));
	ck_assert_uint_eq(written_len, sizeof(text));
	ck_assert_mem_eq(written, text, sizeof(text));
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(vdev_push(v, 0, "key ", 4));
		task_yield();
	}
	ck_assert_str_eq(typed, "key key key ");
	/* A device that takes nothing does not make the kernel wait. */
	v->ctx = v;
	for (unsigned i = 0; i < 3; i++)
		console_write(c, text, sizeof(text));
	ck_assert_uint_eq(c->dropped, 3 * sizeof(text) - VIRTQ_SIZE_MAX * CONSOLE_PIECE +
	                                      (CONSOLE_PIECE - sizeof(text) % CONSOLE_PIECE));
}

START_TEST(the_console_writes_and_is_typed_at)
{
	struct vdev v = {.id = VIRTIO_ID_CONSOLE, .answer = console_answer};
	vdev_run((struct vdev *[]){&v}, 1, console_body, &v);
}
END_TEST

/* ---- balloon ---- */

static uint8_t *in_balloon; /* by page frame */
static unsigned balloon_pages;

static uint32_t balloon_answer(struct vdev *v, unsigned queue, struct vdev_seg *segs,
                               unsigned count)
{
	(void)v;
	ck_assert_uint_eq(count, 1);
	for (uint32_t i = 0; i < segs[0].len / 4; i++) {
		uint32_t pfn;
		memcpy(&pfn, segs[0].data + 4 * (size_t)i, 4);
		ck_assert_ptr_nonnull(hosted_ram(hosted_self(), (uint64_t)pfn << 12, 4096));
		ck_assert_uint_eq(in_balloon[pfn], queue); /* out before in, in before out */
		in_balloon[pfn] = queue == 0;
		balloon_pages += queue == 0 ? 1u : -1u;
	}
	return 0;
}

static void wish(struct vdev *v, uint32_t pages)
{
	memcpy(v->config, &pages, 4);
	vdev_config_changed(v);
	task_sleep(100 * NS_PER_MS);
}

static void balloon_body(void *arg)
{
	struct vdev *v = arg;
	find_devices();
	struct balloon *b = found->balloon;
	ck_assert_ptr_nonnull(b);
	wish(v, 3000);
	ck_assert_uint_eq(balloon_pages, 3000);
	uint32_t actual;
	memcpy(&actual, v->config + 4, 4);
	ck_assert_uint_eq(actual, 3000);
	wish(v, 10);
	ck_assert_uint_eq(balloon_pages, 10);
	/* More than there is: it stops where the kernel needs the rest. */
	wish(v, UINT32_MAX);
	ck_assert_uint_gt(balloon_pages, 6000);
	void *p = mem_alloc(65536);
	ck_assert_ptr_nonnull(p);
	mem_free(p);
	wish(v, 0);
	ck_assert_uint_eq(balloon_pages, 0);
	v->lie = VDEV_SILENT;
	wish(v, 5);
	task_sleep(6 * NS_PER_S);
	ck_assert(b->dev.broken);
	rig_lost(1, 0); /* its task has ended */
}

START_TEST(the_balloon_follows_the_wish)
{
	in_balloon = calloc(1, 1 << 16);
	ck_assert_ptr_nonnull(in_balloon);
	struct vdev v = {.id = VIRTIO_ID_BALLOON, .answer = balloon_answer};
	vdev_run((struct vdev *[]){&v}, 1, balloon_body, &v);
	free(in_balloon);
}
END_TEST

/* ---- what there is no driver for, and one too many ---- */

static void odd_body(void *arg)
{
	(void)arg;
	find_devices();
	ck_assert_uint_eq(found->found, 3);
	ck_assert_uint_eq(found->refused, 2);
	ck_assert(found->entropy.device);
}

START_TEST(odd_devices_are_left_out)
{
	struct vdev a = {.id = VIRTIO_ID_RNG, .answer = give_random}, b = a;
	struct vdev c = {.id = 77, .answer = give_random};
	struct vdev none = {.answer = give_random};
	vdev_run((struct vdev *[]){&a, &none, &b, &c}, 4, odd_body, NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("drivers");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, the_entropy_device_is_asked);
	tcase_add_test(tc, chacha20_is_as_published);
	tcase_add_test(tc, frames_go_in_and_out);
	tcase_add_test(tc, the_console_writes_and_is_typed_at);
	tcase_add_test(tc, the_balloon_follows_the_wish);
	tcase_add_test(tc, odd_devices_are_left_out);
	return suite_run("gk_drivers", tc);
}
