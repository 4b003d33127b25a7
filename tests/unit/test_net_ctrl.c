/* virtio-net's control queue: every class, good and bad commands, multiqueue. */
#include <check.h>
#include <string.h>

#include "net_rig.h"
#include "suite.h"

#define F(bit) (1ull << VIRTIO_NET_F_##bit)
#define CTRL   RIG_DATA
#define ACK    (RIG_DATA + 0x10000)

static struct rig rig;

static void setup(void)
{
	rig_open(&rig, 4, 256, true);
}

static void teardown(void)
{
	rig_close(&rig);
	ck_assert_uint_eq(rig.destroyed, 1);
}

/* Send a command as Linux does: header, data, answer. Returns the answer. */
static uint8_t command_on(unsigned q, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	uint8_t *p = rig_mem(&rig, CTRL, 2 + len + 1);
	uint8_t *ack = rig_mem(&rig, ACK, 1);
	uint16_t head;
	uint32_t used;
	p[0] = class;
	p[1] = cmd;
	if (len)
		memcpy(p + 2, data, len);
	*ack = 0xaa;
	struct seg s[] = {{CTRL, 2, false}, {CTRL + 2, len, false}, {ACK, 1, true}};
	if (len == 0)
		s[1] = s[2];
	(void)rig_add(&rig, q, s, len ? 3 : 2);
	rig_kick(&rig, q);
	ck_assert(rig_used(&rig, q, &head, &used));
	ck_assert_uint_eq(used, 1);
	return *ack;
}

#define ctrl(class, cmd, data, len) command_on(8, VIRTIO_NET_CTRL_##class, cmd, data, len)

static void start_all(void)
{
	rig_start(&rig, vdev_offered(rig.vd));
	ck_assert_uint_eq(rig.net->ctrl_queue, 8);
}

START_TEST(receive_modes)
{
	const uint8_t on = 1;
	const uint8_t odd = 7;
	const uint8_t two[2] = {1, 1};
	start_all();
	ck_assert_uint_eq(ctrl(RX, VIRTIO_NET_CTRL_RX_PROMISC, &on, 1), VIRTIO_NET_OK);
	ck_assert_uint_eq(ctrl(RX, VIRTIO_NET_CTRL_RX_ALLMULTI, &on, 1), VIRTIO_NET_OK);
	ck_assert_uint_eq(ctrl(RX, VIRTIO_NET_CTRL_RX_NOBCAST, &on, 1), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(RX, VIRTIO_NET_CTRL_RX_PROMISC, &odd, 1), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(RX, VIRTIO_NET_CTRL_RX_PROMISC, two, 2), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(RX, VIRTIO_NET_CTRL_RX_PROMISC, NULL, 0), VIRTIO_NET_ERR);
}
END_TEST

START_TEST(address_tables)
{
	uint8_t t[4 + 12 + 4 + 6] = {[0] = 2, [16] = 1};
	start_all();
	ck_assert_uint_eq(ctrl(MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, t, sizeof(t)), VIRTIO_NET_OK);
	ck_assert_uint_eq(ctrl(MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, t, sizeof(t) - 1),
	                  VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, t, 3), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, t, 4 + 12), VIRTIO_NET_ERR);
	t[16] = 0; /* now six bytes are left over */
	ck_assert_uint_eq(ctrl(MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, t, sizeof(t)), VIRTIO_NET_ERR);
	memset(t, 0xff, 4); /* as many addresses as there can be */
	ck_assert_uint_eq(ctrl(MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, t, sizeof(t)), VIRTIO_NET_ERR);
}
END_TEST

START_TEST(address)
{
	const uint8_t mac[6] = {0x52, 1, 2, 3, 4, 5};
	const uint8_t group[6] = {0x53, 1, 2, 3, 4, 5};
	const uint8_t zero[6] = {0};
	uint8_t told[6];
	start_all();
	ck_assert_uint_eq(ctrl(MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6), VIRTIO_NET_OK);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 0, 1), 0x52);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 5, 1), 5);
	ck_assert_uint_eq(ctrl(MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, group, 6), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, zero, 6), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 5), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(MAC, 9, mac, 6), VIRTIO_NET_ERR);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 0, 1), 0x52);
	/* The next driver finds the card's own address again. */
	rig_reset(&rig);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 0, 1), 2);
	vmm_net_mac(rig.net, told);
	ck_assert_uint_eq(told[5], 1);
}
END_TEST

START_TEST(guest_offloads)
{
	uint64_t bits = F(GUEST_CSUM) | F(GUEST_TSO6);
	start_all();
	ck_assert_uint_eq(rig.be->offloads, NET_OFFLOAD_ALL);
	ck_assert_uint_eq(ctrl(GUEST_OFFLOADS, 0, &bits, 8), VIRTIO_NET_OK);
	ck_assert_uint_eq(rig.be->offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO6);
	bits |= F(GUEST_UFO); /* never offered */
	ck_assert_uint_eq(ctrl(GUEST_OFFLOADS, 0, &bits, 8), VIRTIO_NET_ERR);
	ck_assert_uint_eq(rig.be->offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO6);
	bits = 0;
	ck_assert_uint_eq(ctrl(GUEST_OFFLOADS, 0, &bits, 4), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(GUEST_OFFLOADS, 1, &bits, 8), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(GUEST_OFFLOADS, 0, &bits, 8), VIRTIO_NET_OK);
	ck_assert_uint_eq(rig.be->offloads, 0);
}
END_TEST

START_TEST(announces_after_the_cable_returned)
{
	start_all();
	vmm_net_set_link(rig.net, false);
	vmm_net_set_link(rig.net, true);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 6, 2),
	                  VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	ck_assert_uint_eq(ctrl(ANNOUNCE, 5, NULL, 0), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ctrl(ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0), VIRTIO_NET_OK);
	ck_assert_uint_eq(vdev_config_read(rig.vd, 6, 2), VIRTIO_NET_S_LINK_UP);
}
END_TEST

START_TEST(unknown_classes)
{
	const uint8_t vid[2] = {1, 0};
	start_all();
	ck_assert_uint_eq(ctrl(VLAN, VIRTIO_NET_CTRL_VLAN_ADD, vid, 2), VIRTIO_NET_ERR);
	ck_assert_uint_eq(command_on(8, 0xff, 0, NULL, 0), VIRTIO_NET_ERR);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, 0);
}
END_TEST

/* What was not agreed to is refused, whatever the card could do. */
START_TEST(commands_need_their_features)
{
	const uint8_t data[8] = {1};
	rig_start(&rig, F(CTRL_VQ));
	/* Without VIRTIO_NET_F_MQ the control queue is the third one. */
	ck_assert_uint_eq(rig.net->ctrl_queue, 2);
	ck_assert_uint_eq(command_on(2, VIRTIO_NET_CTRL_RX, 0, data, 1), VIRTIO_NET_ERR);
	ck_assert_uint_eq(command_on(2, VIRTIO_NET_CTRL_MAC, 0, data, 8), VIRTIO_NET_ERR);
	ck_assert_uint_eq(command_on(2, VIRTIO_NET_CTRL_MAC, 1, data, 6), VIRTIO_NET_ERR);
	ck_assert_uint_eq(command_on(2, VIRTIO_NET_CTRL_ANNOUNCE, 0, NULL, 0), VIRTIO_NET_ERR);
	ck_assert_uint_eq(command_on(2, VIRTIO_NET_CTRL_MQ, 0, data, 2), VIRTIO_NET_ERR);
	ck_assert_uint_eq(command_on(2, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, data, 8),
	                  VIRTIO_NET_ERR);
}
END_TEST

START_TEST(malformed_commands)
{
	uint16_t head;
	uint32_t used;
	const struct seg no_ack = {CTRL, 3, false};
	const struct seg short_header[] = {{CTRL, 1, false}, {ACK, 1, true}};
	const struct seg no_header = {ACK, 1, true};
	start_all();
	(void)rig_add(&rig, 8, &no_ack, 1);
	(void)rig_add(&rig, 8, short_header, 2);
	(void)rig_add(&rig, 8, &no_header, 1);
	rig_kick(&rig, 8);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(rig_used(&rig, 8, &head, &used));
		ck_assert_uint_eq(used, 0);
	}
	ck_assert_uint_eq(rig.vd->stats.guest_errors, 3);
	ck_assert(!(rig.vd->status & VIRTIO_CONFIG_S_NEEDS_RESET));
}
END_TEST

static uint8_t set_pairs(uint16_t n)
{
	const uint8_t le[2] = {(uint8_t)n, (uint8_t)(n >> 8)};
	return ctrl(MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, le, 2);
}

START_TEST(multiqueue)
{
	uint16_t head;
	uint32_t len;
	struct seg s = {RIG_DATA + 0x20000, 2048, true};
	start_all();
	ck_assert(rig.be->on[0] && !rig.be->on[1] && !rig.be->on[2] && !rig.be->on[3]);
	ck_assert_uint_eq(set_pairs(0), VIRTIO_NET_ERR);
	ck_assert_uint_eq(set_pairs(5), VIRTIO_NET_ERR);
	ck_assert_uint_eq(set_pairs(0x8001), VIRTIO_NET_ERR);
	/* Not in use: its buffers are not touched. */
	(void)rig_add(&rig, 4, &s, 1);
	rig_inject(&rig, 2, 70, 1);
	rig_kick(&rig, 4);
	ck_assert(!rig_used(&rig, 4, &head, &len));
	ck_assert_uint_eq(set_pairs(3), VIRTIO_NET_OK);
	rig_run(&rig);
	ck_assert(rig.be->on[1] && rig.be->on[2] && !rig.be->on[3]);
	ck_assert(rig_used(&rig, 4, &head, &len));
	ck_assert_uint_eq(len, RIG_HDR + 70);
	ck_assert_uint_eq(set_pairs(1), VIRTIO_NET_OK);
	ck_assert(!rig.be->on[1] && !rig.be->on[2]);
	(void)rig_add(&rig, 4, &s, 1);
	rig_inject(&rig, 2, 71, 1);
	rig_run(&rig);
	ck_assert(!rig_used(&rig, 4, &head, &len));
	ck_assert_uint_eq(set_pairs(4), VIRTIO_NET_OK);
	rig_run(&rig);
	ck_assert(rig_used(&rig, 4, &head, &len));
	ck_assert_uint_eq(len, RIG_HDR + 71);
	rig.be->refuse = true;
	ck_assert_uint_eq(set_pairs(2), VIRTIO_NET_ERR);
	rig.be->refuse = false;
	rig_reset(&rig);
	ck_assert(!rig.be->on[1] && !rig.be->on[3]);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("net_ctrl");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, receive_modes);
	tcase_add_test(tc, address_tables);
	tcase_add_test(tc, address);
	tcase_add_test(tc, guest_offloads);
	tcase_add_test(tc, announces_after_the_cable_returned);
	tcase_add_test(tc, unknown_classes);
	tcase_add_test(tc, commands_need_their_features);
	tcase_add_test(tc, malformed_commands);
	tcase_add_test(tc, multiqueue);
	return suite_run("net_ctrl", tc);
}
