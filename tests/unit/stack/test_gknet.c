/* libgknet through its public header only: two instances, packets carried by hand. */
#include <check.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "gknet/gknet.h"
#include "suite.h"

static uint8_t packet[70000];

static unsigned carry(struct gk *from, struct gk *to)
{
	unsigned n = 0;
	for (long len; (len = gk_output(from, packet, sizeof(packet))) > 0; n++)
		ck_assert_int_eq(gk_input(to, packet, (size_t)len), 0);
	return n;
}

static void turn(struct gk *a, struct gk *b)
{
	while (carry(a, b) + carry(b, a))
		;
	gk_advance(a, 1000000);
	gk_advance(b, 1000000);
}

static struct sockaddr_in at(uint32_t addr, uint16_t port)
{
	struct sockaddr_in s = {.sin_family = AF_INET, .sin_port = htons(port)};
	s.sin_addr.s_addr = htonl(addr);
	return s;
}

static void check_name(const struct sockaddr_storage *name, uint32_t addr, uint16_t port)
{
	struct sockaddr_in in;
	memcpy(&in, name, sizeof(in));
	ck_assert_int_eq(in.sin_family, AF_INET);
	ck_assert_uint_eq(ntohl(in.sin_addr.s_addr), addr);
	ck_assert_uint_eq(ntohs(in.sin_port), port);
}

/* C of A is connected to S of B, which came from L. */
static void check_ends(struct gk *a, int c, struct gk *b, int s, int l)
{
	struct sockaddr_storage mine, theirs;
	struct tcp_info info = {0};
	ck_assert_int_eq(gk_getpeername(a, c, &theirs), 0);
	check_name(&theirs, 0x0a000002, 80);
	ck_assert_int_eq(gk_getsockname(a, c, &mine), 0);
	ck_assert_int_eq(gk_getpeername(b, s, &theirs), 0);
	ck_assert_mem_eq(&mine, &theirs, sizeof(struct sockaddr_in));
	ck_assert_int_eq(gk_getpeername(b, l, &theirs), -ENOTCONN);
	ck_assert_int_eq(gk_getsockname(b, 99, &theirs), -EBADF);
	ck_assert_int_eq(gk_tcp_info(a, c, &info, sizeof(info)), (long)sizeof(info));
	ck_assert_uint_eq(info.tcpi_state, 1); /* TCP_ESTABLISHED */
	ck_assert_uint_eq(info.tcpi_options, TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
	ck_assert_uint_eq(info.tcpi_snd_cwnd, 10);
	ck_assert_uint_eq(info.tcpi_snd_mss, 1448);
	info.tcpi_ca_state = 77;
	ck_assert_int_eq(gk_tcp_info(b, l, &info, 1), 1); /* a program that knows less of it */
	ck_assert_uint_eq(info.tcpi_state, 10);           /* TCP_LISTEN */
	ck_assert_uint_eq(info.tcpi_ca_state, 77);
	ck_assert_int_eq(gk_tcp_info(b, 99, &info, 1), -EBADF);
	int d = gk_socket(b, AF_INET, SOCK_DGRAM);
	ck_assert_int_eq(gk_tcp_info(b, d, &info, 1), -EOPNOTSUPP);
	ck_assert_int_eq(gk_close(b, d), 0);
	ck_assert_int_eq(gk_set_congestion(a, c, "newreno"), 0);
	ck_assert_int_eq(gk_set_congestion(a, c, "vegas"), -ENOENT);
}

/* Returns a hash of all that went over the wire. */
static uint64_t session(uint64_t seed)
{
	struct gk_opts o = {.struct_size = sizeof(o), .seed = seed};
	struct gk *a = gk_new(&o), *b = gk_new(&o);
	ck_assert_int_eq(gk_addr(a, "10.0.0.1/24"), 0);
	ck_assert_int_eq(gk_addr(b, "10.0.0.2/24"), 0);
	ck_assert_int_eq(gk_addr(b, "10.0.0.2"), -EINVAL);
	ck_assert_int_eq(gk_addr(b, "10.0.0.2/24"), -EEXIST);
	ck_assert_int_eq(gk_route(a, "0.0.0.0/0", "10.0.0.2"), 0);
	int l = gk_socket(b, AF_INET, SOCK_STREAM), c = gk_socket(a, AF_INET, SOCK_STREAM);
	struct sockaddr_in any = at(0, 80), to = at(0x0a000002, 80);
	ck_assert_int_eq(gk_bind(b, l, (struct sockaddr *)&any, sizeof(any)), 0);
	ck_assert_int_eq(gk_listen(b, l, 5), 0);
	ck_assert_int_eq(gk_connect(a, c, (struct sockaddr *)&to, sizeof(to)), -EINPROGRESS);
	long len = gk_output(a, packet, sizeof(packet));
	ck_assert_int_eq(len, 60);
	uint64_t h = 0;
	for (long i = 0; i < len; i++)
		h = h * 31 + packet[i];
	ck_assert_int_eq(gk_input(b, packet, (size_t)len), 0);
	turn(a, b);
	int s = gk_accept(b, l);
	ck_assert_int_ge(s, 0);
	ck_assert(gk_poll(a, c) & POLLOUT);
	ck_assert_int_eq(gk_setsockopt(a, c, IPPROTO_TCP, TCP_NODELAY, 1), 0);
	ck_assert_int_eq(gk_setsockopt(a, c, IPPROTO_TCP, 12345, 1), -ENOPROTOOPT);
	check_ends(a, c, b, s, l);
	ck_assert_int_eq(gk_send(a, c, "hello", 5, 0), 5);
	turn(a, b);
	char buf[16];
	ck_assert(gk_poll(b, s) & POLLIN);
	ck_assert_int_eq(gk_recv(b, s, buf, sizeof(buf), 0), 5);
	ck_assert_mem_eq(buf, "hello", 5);
	ck_assert_int_eq(gk_recv(b, s, buf, sizeof(buf), 0), -EAGAIN);
	ck_assert_int_eq(gk_close(a, c), 0);
	turn(a, b);
	ck_assert_int_eq(gk_recv(b, s, buf, sizeof(buf), 0), 0);
	ck_assert_int_eq(gk_recv(b, 99, buf, sizeof(buf), 0), -EBADF);
	gk_free(a);
	gk_free(b);
	return h;
}

START_TEST(same_seed_same_run)
{
	ck_assert_uint_eq(session(7), session(7));
	ck_assert_uint_ne(session(7), session(8));
}
END_TEST

START_TEST(time_is_virtual)
{
	struct gk *a = gk_new(NULL);
	ck_assert_int_eq(gk_addr(a, "10.0.0.1/24"), 0);
	int c = gk_socket(a, AF_INET, SOCK_STREAM);
	struct sockaddr_in to = at(0x0a000002, 80);
	ck_assert_int_eq(gk_connect(a, c, (struct sockaddr *)&to, sizeof(to)), -EINPROGRESS);
	uint64_t t = gk_now(a);
	ck_assert_uint_eq(gk_deadline(a) - t, 1000000000);
	gk_advance(a, 300000000000u);
	ck_assert_uint_eq(gk_now(a) - t, 300000000000u);
	int64_t err;
	ck_assert_int_eq(gk_getsockopt(a, c, SOL_SOCKET, SO_ERROR, &err), 0);
	ck_assert_int_eq(err, ETIMEDOUT);
	unsigned n = 0;
	while (gk_output(a, packet, sizeof(packet)) > 0)
		n++;
	ck_assert_uint_eq(n, 8);
	gk_free(a);
}
END_TEST

START_TEST(datagrams_of_both_families)
{
	struct gk *a = gk_new(NULL), *b = gk_new(NULL);
	ck_assert_int_eq(gk_addr(a, "fd00::1/64"), 0);
	ck_assert_int_eq(gk_addr(b, "fd00::2/64"), 0);
	int s = gk_socket(a, AF_INET6, SOCK_DGRAM), r = gk_socket(b, AF_INET6, SOCK_DGRAM);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(9)}, to = any;
	struct sockaddr_storage from;
	to.sin6_addr.s6_addr[0] = 0xfd;
	to.sin6_addr.s6_addr[15] = 2;
	ck_assert_int_eq(gk_bind(b, r, (struct sockaddr *)&any, sizeof(any)), 0);
	ck_assert_int_eq(gk_sendto(a, s, "x", 1, (struct sockaddr *)&to, sizeof(to)), 1);
	turn(a, b);
	char buf[16];
	ck_assert_int_eq(gk_recvfrom(b, r, buf, sizeof(buf), &from), 1);
	ck_assert_int_eq(from.ss_family, AF_INET6);
	ck_assert_int_eq(gk_sendto(b, r, "y", 1, (struct sockaddr *)&from, sizeof(to)), 1);
	turn(a, b);
	ck_assert_int_eq(gk_recv(a, s, buf, sizeof(buf), 0), 1);
	gk_free(a);
	gk_free(b);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("gknet");
	tcase_add_test(tc, same_seed_same_run);
	tcase_add_test(tc, time_is_virtual);
	tcase_add_test(tc, datagrams_of_both_families);
	return suite_run("stack/gknet", tc);
}
