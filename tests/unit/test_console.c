/* The virtio console: data both ways, control messages, and drivers that misbehave. */
#include <check.h>
#include <endian.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/virtio/console_priv.h"
#include "suite.h"
#include "vdev_rig.h"

#define PORTS     3u
#define DATA_RX   0u
#define DATA_TX   1u
#define PORT1_RX  4u
#define PORT1_TX  5u
#define CTRL_BUFS 32u
#define CTRL_BUF  RIG_DATA /* buffers for control messages, 512 bytes each */
#define CTRL_LEN  512u
#define TEXT      (RIG_DATA + 0x80000)

static struct rig rig;
static int far[PORTS]; /* the host's ends */

/* A console whose ports are on socket pairs; it has its loop before the rig has. */
static void open_console(unsigned ports)
{
	static const char *const names[PORTS] = {NULL, "org.example.one", NULL};
	vmm_console_port_opts_t o[PORTS];
	vmm_console_opts_t opts = VMM_CONSOLE_OPTS_INIT;
	struct vdev *vd;
	memset(&rig, 0, sizeof(rig));
	struct loop *loop;
	rig_must(loop_create(&loop, NULL) == VMM_OK, "loop_create");
	for (unsigned i = 0; i < ports; i++) {
		int pair[2];
		rig_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0,
		         "socketpair");
		far[i] = pair[1];
		o[i] = (vmm_console_port_opts_t){
		        .chardev = {VMM_CHARDEV_FD, pair[0], pair[0], NULL}, .name = names[i]};
		o[i].is_console = i == 2;
	}
	opts.ports = o;
	opts.port_count = ports;
	opts.columns = 80;
	opts.rows = 25;
	rig_must(console_create(&opts, 0, loop, NULL, &vd, NULL) == VMM_OK, "console_create");
	for (unsigned i = 0; i < ports; i++)
		(void)close(o[i].chardev.in_fd);
	rig_attach_on(&rig, vd, loop);
	rig_start(&rig, vdev_offered(vd));
}

static void teardown(void)
{
	rig_close(&rig);
	for (unsigned i = 0; i < PORTS; i++)
		if (far[i] > 0)
			(void)close(far[i]);
}

static void one_port(void)
{
	open_console(1);
}

static void many_ports(void)
{
	open_console(PORTS);
}

static uint64_t guest_errors(void)
{
	return rig.vd->stats.guest_errors;
}

static void says(int fd, const char *text)
{
	char got[256] = "";
	ck_assert_int_eq(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), (int)strlen(text));
	ck_assert_str_eq(got, text);
}

static bool is_silent(int fd)
{
	char c;
	return recv(fd, &c, 1, MSG_DONTWAIT) < 0;
}

static void guest_says(unsigned q, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);
	uint16_t head;
	uint32_t written;
	memcpy(rig_mem(&rig, TEXT, len), text, len);
	struct seg s = {TEXT, len, false};
	(void)rig_add(&rig, q, &s, 1);
	rig_kick(&rig, q);
	ck_assert(rig_used(&rig, q, &head, &written));
	ck_assert_uint_eq(written, 0);
}

static void guest_hears(unsigned q, const char *text)
{
	uint16_t head;
	uint32_t len;
	rig_run(&rig);
	ck_assert(rig_used(&rig, q, &head, &len));
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_mem_eq(rig_mem(&rig, TEXT, len), text, len);
}

static void give_buffer(unsigned q, bool write)
{
	struct seg s = {TEXT, 64, write};
	(void)rig_add(&rig, q, &s, 1);
	rig_kick(&rig, q);
}

static void give_control_buffers(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct seg s = {CTRL_BUF + i * CTRL_LEN, CTRL_LEN, true};
		(void)rig_add(&rig, CONSOLE_Q_CONTROL_RX, &s, 1);
	}
	rig_kick(&rig, CONSOLE_Q_CONTROL_RX);
}

static void control(uint32_t id, uint16_t event, uint16_t value)
{
	struct virtio_console_control m = {htole32(id), htole16(event), htole16(value)};
	uint16_t head;
	uint32_t len;
	memcpy(rig_mem(&rig, TEXT, sizeof(m)), &m, sizeof(m));
	struct seg s = {TEXT, sizeof(m), false};
	(void)rig_add(&rig, CONSOLE_Q_CONTROL_TX, &s, 1);
	rig_kick(&rig, CONSOLE_Q_CONTROL_TX);
	ck_assert(rig_used(&rig, CONSOLE_Q_CONTROL_TX, &head, &len));
}

/* The next message that the device sent, with PAYLOAD behind it. */
static void told(uint32_t id, uint16_t event, uint16_t value, const void *payload, uint32_t len)
{
	struct virtio_console_control m;
	uint16_t head;
	uint32_t written;
	ck_assert(rig_used(&rig, CONSOLE_Q_CONTROL_RX, &head, &written));
	ck_assert_uint_eq(written, sizeof(m) + len);
	const uint8_t *p = rig_mem(&rig, rig_desc(&rig, CONSOLE_Q_CONTROL_RX)[head].addr, written);
	memcpy(&m, p, sizeof(m));
	ck_assert_uint_eq(le32toh(m.id), id);
	ck_assert_uint_eq(le16toh(m.event), event);
	ck_assert_uint_eq(le16toh(m.value), value);
	if (len > 0)
		ck_assert_mem_eq(p + sizeof(m), payload, len);
}

static void told_nothing(void)
{
	uint16_t head;
	uint32_t len;
	ck_assert(!rig_used(&rig, CONSOLE_Q_CONTROL_RX, &head, &len));
}

START_TEST(carries_data_both_ways)
{
	guest_says(DATA_TX, "login: ");
	says(far[0], "login: ");
	give_buffer(DATA_RX, true);
	ck_assert_int_eq(send(far[0], "root\n", 5, 0), 5);
	guest_hears(DATA_RX, "root\n");
}
END_TEST

START_TEST(input_waits_for_buffers)
{
	uint16_t head;
	uint32_t len;
	ck_assert_int_eq(send(far[0], "early", 5, 0), 5);
	rig_run(&rig);
	ck_assert(!rig_used(&rig, DATA_RX, &head, &len));
	give_buffer(DATA_RX, true);
	guest_hears(DATA_RX, "early");
}
END_TEST

/* A reader that is slow holds the ring up; nothing is lost and nothing is written twice. */
START_TEST(output_waits_for_its_reader)
{
	enum { TOTAL = 8 << 20, CHUNK = 1 << 20 };
	static uint8_t got[65536];
	uint16_t head;
	uint32_t len;
	unsigned back = 0;
	unsigned wrong = 0;
	uint32_t at = 0;
	uint8_t *p = rig_mem(&rig, TEXT, CHUNK);
	for (uint32_t i = 0; i < CHUNK; i++)
		p[i] = rig_byte(i, 3);
	for (unsigned i = 0; i < TOTAL / CHUNK; i++) {
		struct seg s = {TEXT, CHUNK, false};
		(void)rig_add(&rig, DATA_TX, &s, 1);
	}
	rig_kick(&rig, DATA_TX);
	while (rig_used(&rig, DATA_TX, &head, &len))
		back++;
	ck_assert_uint_lt(back, TOTAL / CHUNK);
	for (unsigned i = 0; i < 100000 && at < TOTAL; i++) {
		ssize_t n = recv(far[0], got, sizeof(got), MSG_DONTWAIT);
		for (ssize_t k = 0; k < n; k++)
			wrong += got[k] != rig_byte((at + (uint32_t)k) % CHUNK, 3);
		at += n > 0 ? (uint32_t)n : 0;
		loop_run_once(rig.loop, 0);
	}
	ck_assert_uint_eq(at, TOTAL);
	ck_assert_uint_eq(wrong, 0);
	while (rig_used(&rig, DATA_TX, &head, &len))
		back++;
	ck_assert_uint_eq(back, TOTAL / CHUNK);
}
END_TEST

/* A reset while output waits forgets how far the first chain had got. */
START_TEST(reset_while_output_waits)
{
	enum { CHUNK = 4 << 20 };
	static uint8_t got[65536];
	struct seg s = {TEXT, CHUNK, false};
	(void)rig_add(&rig, DATA_TX, &s, 1);
	rig_kick(&rig, DATA_TX);
	rig_reset(&rig);
	rig_run(&rig);
	for (unsigned i = 0; i < 1000; i++) {
		while (recv(far[0], got, sizeof(got), MSG_DONTWAIT) > 0)
			;
		loop_run_once(rig.loop, 0);
	}
	rig_start(&rig, vdev_offered(rig.vd));
	guest_says(DATA_TX, "hello again");
	says(far[0], "hello again");
}
END_TEST

START_TEST(buffers_of_the_wrong_direction_carry_nothing)
{
	uint16_t head;
	uint32_t len;
	give_buffer(DATA_TX, true);
	ck_assert(rig_used(&rig, DATA_TX, &head, &len));
	ck_assert(is_silent(far[0]));
	give_buffer(DATA_RX, false);
	ck_assert_int_eq(send(far[0], "x", 1, 0), 1);
	rig_run(&rig);
	ck_assert(rig_used(&rig, DATA_RX, &head, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(guest_errors(), 1);
	give_buffer(DATA_RX, true); /* the character is not lost */
	guest_hears(DATA_RX, "x");
}
END_TEST

START_TEST(broken_rings_need_a_reset)
{
	unsigned q = _i & 1 ? DATA_TX : DATA_RX;
	struct seg s = {TEXT, 64, q == DATA_RX};
	(void)rig_add(&rig, q, &s, 1);
	struct vring_desc *d = rig_desc(&rig, q);
	switch (_i / 2) {
	case 0:
		d[0].addr = RIG_MEMORY - 63;
		break;
	case 1: /* a loop */
		d[0].flags |= VRING_DESC_F_NEXT;
		d[0].next = 0;
		break;
	case 2:
		d[0].len = 0;
		break;
	default:
		rig_avail(&rig, q)->ring[0] = 128;
		break;
	}
	ck_assert_int_eq(send(far[0], "x", 1, 0), 1);
	rig_kick(&rig, q);
	ck_assert(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert(is_silent(far[0]));
	rig_reset(&rig);
	rig_start(&rig, vdev_offered(rig.vd));
	give_buffer(DATA_RX, true);
	guest_hears(DATA_RX, "x");
	guest_says(DATA_TX, "back");
	says(far[0], "back");
}
END_TEST

START_TEST(emergency_writes_need_no_driver)
{
	const uint32_t at = offsetof(struct virtio_console_config, emerg_wr);
	rig_reset(&rig);
	vdev_config_write(rig.vd, at, 4, 'E');
	says(far[0], "E");
	ck_assert_uint_eq(vdev_config_read(rig.vd, at, 4), 0);
	vdev_config_write(rig.vd, 0, 2, 999); /* the size is not the driver's to write */
	ck_assert_uint_eq(vdev_config_read(rig.vd, 0, 2), 80);
	ck_assert(is_silent(far[0]));
}
END_TEST

START_TEST(size_changes_are_told)
{
	unsigned before = rig.config_signals;
	console_resize(rig.vd, 132, 43);
	ck_assert_uint_eq(rig.config_signals, before + 1);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 0, 2), 132);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 2, 2), 43);
}
END_TEST

/* As Linux does it: DEVICE_READY, then PORT_READY for each port that was added, then OPEN. */
START_TEST(ports_introduce_themselves)
{
	const uint16_t size[2] = {htole16(25), htole16(80)};
	give_control_buffers(CTRL_BUFS);
	told_nothing();
	control(UINT32_MAX, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i < PORTS; i++)
		told(i, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	told_nothing();
	control(0, VIRTIO_CONSOLE_PORT_READY, 1);
	told(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	told(0, VIRTIO_CONSOLE_RESIZE, 0, size, sizeof(size));
	told(0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	control(1, VIRTIO_CONSOLE_PORT_READY, 1);
	told(1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.example.one", 15);
	told(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	control(2, VIRTIO_CONSOLE_PORT_READY, 1);
	told(2, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	told(2, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	control(2, VIRTIO_CONSOLE_PORT_READY, 1); /* once is enough */
	control(UINT32_MAX, VIRTIO_CONSOLE_DEVICE_READY, 1);
	told_nothing();
	ck_assert_uint_eq(guest_errors(), 0);
}
END_TEST

START_TEST(ports_get_input_once_they_are_open)
{
	uint16_t head;
	uint32_t len;
	control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	control(1, VIRTIO_CONSOLE_PORT_READY, 1);
	give_buffer(PORT1_RX, true);
	ck_assert_int_eq(send(far[1], "hi", 2, 0), 2);
	rig_run(&rig);
	ck_assert(!rig_used(&rig, PORT1_RX, &head, &len));
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	guest_hears(PORT1_RX, "hi");
	guest_says(PORT1_TX, "ho");
	says(far[1], "ho");
	ck_assert(is_silent(far[0]) && is_silent(far[2]));
}
END_TEST

/* What is owed waits, and the newest size is what is told in the end. */
START_TEST(messages_wait_for_buffers)
{
	const uint16_t size[2] = {htole16(50), htole16(100)};
	control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	control(0, VIRTIO_CONSOLE_PORT_READY, 1);
	for (uint16_t i = 1; i <= 100; i++)
		console_resize(rig.vd, i, i / 2);
	give_control_buffers(CTRL_BUFS);
	told(0, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	told(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	told(0, VIRTIO_CONSOLE_RESIZE, 0, size, sizeof(size));
	told(0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	told(1, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	told(2, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	told_nothing();
}
END_TEST

START_TEST(wrong_control_messages_are_counted)
{
	control(0, VIRTIO_CONSOLE_PORT_READY, 1); /* before DEVICE_READY */
	ck_assert_uint_eq(guest_errors(), 1);
	control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	control(PORTS, VIRTIO_CONSOLE_PORT_OPEN, 1);
	control(UINT32_MAX, VIRTIO_CONSOLE_PORT_READY, 1);
	control(1, VIRTIO_CONSOLE_PORT_ADD, 1); /* the device's to send */
	control(1, UINT16_MAX, 1);
	ck_assert_uint_eq(guest_errors(), 5);
	/* Too short, and in the wrong direction. */
	struct seg s[] = {{TEXT, 7, false}, {TEXT, 8, true}};
	(void)rig_add(&rig, CONSOLE_Q_CONTROL_TX, &s[0], 1);
	(void)rig_add(&rig, CONSOLE_Q_CONTROL_TX, &s[1], 1);
	rig_kick(&rig, CONSOLE_Q_CONTROL_TX);
	ck_assert_uint_eq(guest_errors(), 7);
	ck_assert(!(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET));
}
END_TEST

START_TEST(control_buffers_that_are_too_small_go_back)
{
	uint16_t head;
	uint32_t len;
	struct seg s = {CTRL_BUF, 7, true};
	(void)rig_add(&rig, CONSOLE_Q_CONTROL_RX, &s, 1);
	control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	ck_assert(rig_used(&rig, CONSOLE_Q_CONTROL_RX, &head, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(guest_errors(), 1);
	give_control_buffers(1);
	told(0, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	told_nothing();
}
END_TEST

int main(void)
{
	TCase *one = tcase_create("one port");
	tcase_add_checked_fixture(one, one_port, teardown);
	tcase_add_test(one, carries_data_both_ways);
	tcase_add_test(one, input_waits_for_buffers);
	tcase_add_test(one, output_waits_for_its_reader);
	tcase_add_test(one, reset_while_output_waits);
	tcase_add_test(one, buffers_of_the_wrong_direction_carry_nothing);
	tcase_add_loop_test(one, broken_rings_need_a_reset, 0, 8);
	tcase_add_test(one, emergency_writes_need_no_driver);
	tcase_add_test(one, size_changes_are_told);
	TCase *many = tcase_create("many ports");
	tcase_add_checked_fixture(many, many_ports, teardown);
	tcase_add_test(many, ports_introduce_themselves);
	tcase_add_test(many, ports_get_input_once_they_are_open);
	tcase_add_test(many, messages_wait_for_buffers);
	tcase_add_test(many, wrong_control_messages_are_counted);
	tcase_add_test(many, control_buffers_that_are_too_small_go_back);
	int first = suite_run("console, one port", one);
	int second = suite_run("console, many ports", many);
	return first ? first : second;
}
