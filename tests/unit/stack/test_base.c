/* Packets, checksums, timers, hashes, addresses as text. */
#include <check.h>
#include <string.h>

#include "net/stack/hash.h"
#include "net/stack/pkt.h"
#include "net/stack/timer.h"
#include "net/stack/util.h"
#include "rig.h"
#include "suite.h"

/* Appendix A of the SipHash paper: key 00..0f, message 00..0e. */
START_TEST(siphash_vector)
{
	struct hash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	uint8_t msg[15];
	for (unsigned i = 0; i < sizeof(msg); i++)
		msg[i] = (uint8_t)i;
	ck_assert_uint_eq(hash_sip(&key, msg, sizeof(msg)), 0xa129ca6149be45e5);
}
END_TEST

static unsigned fired;

START_TEST(timers_come_in_order)
{
	struct timer t[200] = {0};
	struct timer_heap h = {0};
	uint64_t rng = 42, last = 0;
	for (unsigned i = 0; i < 200; i++)
		timer_set(&h, &t[i], rig_rand(&rng) % 1000);
	for (unsigned i = 0; i < 200; i += 3)
		timer_set(&h, &t[i], rig_rand(&rng) % 1000);
	for (unsigned i = 0; i < 200; i += 5)
		timer_disarm(&h, &t[i]);
	fired = 0;
	struct timer *x;
	while ((x = timer_pop(&h, 2000))) {
		ck_assert_uint_ge(x->when_ns, last);
		last = x->when_ns;
		fired++;
	}
	ck_assert_uint_eq(fired, 160);
	ck_assert_uint_eq(timer_next(&h), TIMER_NEVER);
}
END_TEST

static uint16_t slow_sum(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

START_TEST(checksums_over_pieces)
{
	struct rig *r = rig_new(NULL);
	struct net_stack *st = r->h[0].st;
	uint8_t data[700];
	uint64_t rng = 7;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rig_rand(&rng);
	for (unsigned round = 0; round < 50; round++) {
		struct pkt *p = pkt_alloc(st, PKT_ROOM);
		unsigned own = rig_rand(&rng) % 100, at = own;
		memcpy(pkt_push(p, own), data, own);
		while (at < sizeof(data) && p->nfrags < PKT_FRAGS - 1) {
			unsigned n = rig_rand(&rng) % 90 + 1;
			n = n > sizeof(data) - at ? (unsigned)sizeof(data) - at : n;
			struct net_buf *b = net_buf_alloc(st, n);
			memcpy(b->data, data + at, n);
			ck_assert(pkt_add(p, b, 0, n));
			net_buf_unref(st, b);
			at += n;
		}
		unsigned off = rig_rand(&rng) % at;
		ck_assert_uint_eq(pkt_sum(p, off), slow_sum(data + off, at - off));
		pkt_free(p);
	}
	rig_free(r);
}
END_TEST

START_TEST(packets_are_cut_and_sliced)
{
	struct rig *r = rig_new(NULL);
	struct net_stack *st = r->h[0].st;
	uint8_t data[1000], out[1000];
	uint64_t rng = 9;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13);
	for (unsigned round = 0; round < 300; round++) {
		struct pkt *p = pkt_from(st, data, sizeof(data));
		unsigned front = rig_rand(&rng) % 500, keep = rig_rand(&rng) % 500 + 1;
		pkt_trim_front(p, front);
		pkt_trim_to(p, keep);
		unsigned off = rig_rand(&rng) % keep, len = rig_rand(&rng) % (keep - off) + 1;
		struct pkt *s = pkt_slice(p, off, len);
		ck_assert_ptr_nonnull(s);
		pkt_free(p);
		ck_assert_uint_eq(s->len, len);
		ck_assert(pkt_read(s, 0, out, len));
		ck_assert_mem_eq(out, data + front + off, len);
		ck_assert(!pkt_read(s, 1, out, len));
		pkt_free(s);
	}
	rig_free(r);
}
END_TEST

static uint8_t byte_at(uint32_t at)
{
	return (uint8_t)(at * 17 + (at >> 8));
}

static unsigned wrong_bytes(const uint8_t *buf, uint32_t n, uint32_t at)
{
	unsigned wrong = 0;
	for (uint32_t i = 0; i < n; i++)
		wrong += buf[i] != byte_at(at + i);
	return wrong;
}

START_TEST(byte_queue_is_a_queue)
{
	struct rig *r = rig_new(NULL);
	struct net_stack *st = r->h[0].st;
	struct bytq q = {0};
	uint64_t rng = 11;
	uint32_t in = 0, out = 0;
	uint8_t buf[5000];
	for (unsigned round = 0; round < 2000; round++) {
		uint32_t n = rig_rand(&rng) % sizeof(buf);
		if (rig_rand(&rng) % 2) {
			for (uint32_t i = 0; i < n; i++)
				buf[i] = byte_at(in + i);
			ck_assert_uint_eq(bytq_copy_in(st, &q, buf, n), n);
			in += n;
		} else {
			uint32_t off = q.len ? rig_rand(&rng) % q.len : 0;
			uint32_t want = min_u32(n, q.len - off);
			struct pkt *p = pkt_alloc(st, PKT_ROOM);
			uint32_t got = bytq_to_pkt(&q, off, n, p);
			ck_assert(got == want || (got < want && p->nfrags == PKT_FRAGS));
			ck_assert(pkt_read(p, 0, buf, got));
			ck_assert_uint_eq(wrong_bytes(buf, got, out + off), 0);
			pkt_free(p);
			n = min_u32(n, q.len);
			bytq_peek(&q, buf, n);
			ck_assert_uint_eq(wrong_bytes(buf, n, out), 0);
			bytq_drop(st, &q, n);
			out += n;
		}
		ck_assert_uint_eq(q.len, in - out);
	}
	bytq_clear(st, &q);
	rig_free(r);
}
END_TEST

/* Memory ends in the middle of a slice that is copied in several chunks: what was taken is there,
 * and counted. */
START_TEST(byte_queue_counts_what_it_took)
{
	struct rig *r = rig_new(NULL);
	struct net_stack *st = r->h[0].st;
	static uint8_t data[400000], out[80000];
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = byte_at(i);
	struct net_buf *b = net_buf_wrap(st, data, sizeof(data), NULL, NULL);
	for (unsigned allocations = 1; allocations < 9; allocations++) {
		struct bytq q = {0};
		ck_assert_uint_eq(bytq_copy_in(st, &q, data, 100), 100);
		r->h[0].fail_after = allocations;
		uint32_t n = bytq_add_rx(st, &q, b, 100, 70000);
		r->h[0].fail_after = 0;
		ck_assert_uint_eq(q.len, 100 + n);
		ck_assert(n == 70000 || allocations < 7);
		n = q.len;
		bytq_peek(&q, out, n);
		ck_assert_uint_eq(wrong_bytes(out, n, 0), 0);
		bytq_clear(st, &q);
	}
	net_buf_unref(st, b);
	rig_free(r);
}
END_TEST

START_TEST(addresses_as_text)
{
	static const char *const same[] = {"10.0.2.15",
	                                   "255.255.255.255",
	                                   "::",
	                                   "::1",
	                                   "fe80::1",
	                                   "2001:db8::8:800:200c:417a",
	                                   "1:2:3:4:5:6:7:8",
	                                   "ff02::1:ff00:0",
	                                   "1::"};
	static const char *const bad[] = {
	        "",        "1.2.3", "1.2.3.256", "01.2.3.4",      "1.2.3.4.",          ":1",
	        "1:::2",   "::1::", "12345::",   "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "g::",
	        "1.2.3.4x"};
	char buf[46];
	struct net_addr a;
	for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		ck_assert_int_eq(net_addr_parse(same[i], &a), 0);
		ck_assert_str_eq(net_addr_format(&a, buf), same[i]);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(net_addr_parse(bad[i], &a) < 0, "'%s'", bad[i]);
	ck_assert_int_eq(net_addr_parse("::ffff:1.2.3.4", &a), 0);
	ck_assert_str_eq(net_addr_format(&a, buf), "1.2.3.4");
}
END_TEST

/* Of every size two at a time, one of them from what was kept of the size before. */
START_TEST(kept_blocks_are_large_enough)
{
	struct rig *r = rig_new(&(struct rig_opts){.cached = true});
	struct net_stack *st = r->h[0].st;
	for (uint32_t size = 1; size < 3000; size++) {
		struct net_buf *b[2];
		for (unsigned i = 0; i < 2; i++) {
			b[i] = net_buf_alloc(st, size);
			ck_assert_ptr_nonnull(b[i]);
		}
		memset(b[0]->data, 1, size);
		memset(b[1]->data, 2, size);
		ck_assert_uint_eq(b[0]->data[0] + b[0]->data[size - 1], 2);
		ck_assert_uint_eq(b[1]->data[0] + b[1]->data[size - 1], 4);
		net_buf_unref(st, b[0]);
		net_buf_unref(st, b[1]);
	}
	rig_free(r);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("base");
	tcase_add_test(tc, siphash_vector);
	tcase_add_test(tc, timers_come_in_order);
	tcase_add_test(tc, checksums_over_pieces);
	tcase_add_test(tc, packets_are_cut_and_sliced);
	tcase_add_test(tc, byte_queue_is_a_queue);
	tcase_add_test(tc, byte_queue_counts_what_it_took);
	tcase_add_test(tc, addresses_as_text);
	tcase_add_test(tc, kept_blocks_are_large_enough);
	return suite_run("stack/base", tc);
}
