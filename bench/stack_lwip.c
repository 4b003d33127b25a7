/*
 * The same loads on Debian's lwIP. It has only one instance, so the wire joins two of its
 * interfaces and exchanges addresses on the way; they are chosen so that checksums stay right.
 */
#include <lwip/init.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <lwip/timeouts.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "stack_bench.h"

#define QUEUE 65536u

static struct netif end[2];
static struct {
	struct pbuf *p;
	unsigned to;
} queue[QUEUE];
static unsigned q_head, q_tail;
static struct tcp_pcb *accepted;
static uint64_t got;
static unsigned answered;

/* 10.0.0.1 > 10.0.0.2 becomes 11.0.0.2 > 9.0.0.1, and back: the same sums. */
static err_t output(struct netif *nif, struct pbuf *p, const ip4_addr_t *dst)
{
	(void)dst;
	struct pbuf *c = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
	if (!c || q_tail - q_head == QUEUE)
		return ERR_MEM;
	uint8_t *h = c->payload;
	static const uint8_t to1[8] = {11, 0, 0, 2, 9, 0, 0, 1},
	                     to0[8] = {10, 0, 0, 2, 10, 0, 0, 1};
	memcpy(h + 12, nif == &end[0] ? to1 : to0, 8);
	queue[q_tail % QUEUE].p = c;
	queue[q_tail++ % QUEUE].to = nif == &end[0];
	return ERR_OK;
}

static err_t init_end(struct netif *nif)
{
	nif->output = output;
	nif->mtu = 1500;
	return ERR_OK;
}

static void turn(void)
{
	static unsigned n;
	while (q_head != q_tail) {
		struct pbuf *p = queue[q_head % QUEUE].p;
		struct netif *nif = &end[queue[q_head++ % QUEUE].to];
		if (ip_input(p, nif) != ERR_OK)
			pbuf_free(p);
	}
	if (++n % 64 == 0)
		sys_check_timeouts();
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)err;
	if (!p) {
		tcp_close(pcb);
		return ERR_OK;
	}
	got += p->tot_len;
	tcp_recved(pcb, p->tot_len);
	if (arg) { /* echo */
		tcp_write(pcb, "x", 1, 0);
		tcp_output(pcb);
	}
	pbuf_free(p);
	return ERR_OK;
}

static err_t on_answer(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)arg;
	(void)err;
	if (p) {
		tcp_recved(pcb, p->tot_len);
		answered += p->tot_len;
		pbuf_free(p);
	}
	return ERR_OK;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)arg;
	(void)err;
	accepted = pcb;
	tcp_recv(pcb, on_recv);
	return ERR_OK;
}

static struct tcp_pcb *join(void)
{
	ip_addr_t to;
	struct tcp_pcb *c = tcp_new();
	IP_ADDR4(&to, 10, 0, 0, 2);
	if (!c)
		exit(1);
	accepted = NULL;
	tcp_connect(c, &to, 80, NULL);
	while (!accepted)
		turn();
	turn();
	return c;
}

static void bulk(struct tcp_pcb *c)
{
	static uint8_t data[CHUNK];
	uint64_t sent = 0;
	double began = cpu_s();
	got = 0;
	while (got < BULK_BYTES) {
		while (sent < BULK_BYTES) {
			u16_t n = tcp_sndbuf(c) < 32768 ? (u16_t)tcp_sndbuf(c) : 32768;
			if (!n || tcp_write(c, data, n, 0) != ERR_OK) /* by reference */
				break;
			sent += n;
		}
		tcp_output(c);
		turn();
	}
	show_bulk(cpu_s() - began);
}

static void round_trips(struct tcp_pcb *c)
{
	double began = cpu_s();
	tcp_nagle_disable(c);
	tcp_recv(c, on_answer);
	tcp_arg(accepted, accepted);
	tcp_nagle_disable(accepted);
	for (answered = 0; answered < ROUND_TRIPS;) {
		unsigned before = answered;
		tcp_write(c, "x", 1, 0);
		tcp_output(c);
		while (answered == before)
			turn();
	}
	show("request and response", ROUND_TRIPS / (cpu_s() - began), "/s of CPU time");
}

static void connections(void)
{
	double began = cpu_s();
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		struct tcp_pcb *c = join();
		tcp_abort(c);
		turn();
	}
	show("connections", CONNECTIONS / (cpu_s() - began), "/s of CPU time");
}

static void idle(void)
{
	struct mallinfo2 before = mallinfo2();
	for (unsigned i = 0; i < IDLE; i++)
		(void)join();
	struct mallinfo2 after = mallinfo2();
	show("idle connection, each end", (double)(after.uordblks - before.uordblks) / IDLE / 2,
	     "bytes");
}

static void add(unsigned i, u8_t a, u8_t mask)
{
	ip4_addr_t addr, netmask, gw;
	IP4_ADDR(&addr, a, 0, 0, 1);
	IP4_ADDR(&netmask, mask, 0, 0, 0);
	IP4_ADDR(&gw, 0, 0, 0, 0);
	netif_add(&end[i], &addr, &netmask, &gw, NULL, init_end, ip_input);
	netif_set_up(&end[i]);
	netif_set_link_up(&end[i]);
}

int main(void)
{
	steady_malloc();
	tcpip_init(NULL, NULL);
	LOCK_TCPIP_CORE();
	add(0, 10, 255);
	add(1, 9, 255);
	netif_set_default(&end[1]);
	struct tcp_pcb *l = tcp_new();
	if (!l || tcp_bind(l, IP_ADDR_ANY, 80) != ERR_OK)
		return 1;
	l = tcp_listen(l);
	tcp_accept(l, on_accept);
	struct tcp_pcb *c = join();
	printf("lwIP %s\n", LWIP_VERSION_STRING);
	bulk(c);
	round_trips(c);
	connections();
	idle();
	fflush(stdout);
	_Exit(0); /* its thread waits for the lock */
}
