/* The shell's commands of the network. See netcmd.h. */
#include "guest-kernel/services/netcmd.h"

#include <string.h>

#include "guest-kernel/core/cmdline.h"
#include "guest-kernel/net/socket.h"

#define READY_NS   (15 * NS_PER_S)
#define ECHO_WORDS 8u

static bool fail(struct shell *sh, const char *what, long err)
{
	shell_print(sh, "%s: %s\n", what, net_error_text(err));
	sh->failures++;
	return true;
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
	size_t n = strlen(text);
	return n > 0 && parse_size(text, n, out) == n && *out <= max;
}

/* The address of NAME, once there is a network. False: it has been said what is wrong. */
static bool find(struct shell *sh, const char *name, struct net_addr *out)
{
	struct netd *n = &sh->sys->net;
	(void)netd_wait_ready(n, arch_now_ns() + READY_NS);
	int err = resolve(n, name, out);
	if (err)
		(void)fail(sh, name, err);
	return err == 0;
}

/* ---- net, netstat, tcpinfo ---- */

static void show_port(struct shell *sh, const struct port *p)
{
	static const char *const states[] = {"IPv6 only", "asking DHCP", "by DHCP",
	                                     "DHCP is silent", "as told"};
	const struct nic *n = p->nic;
	char text[46];
	struct net_if_addr a;
	shell_print(sh, "%s %02x:%02x:%02x:%02x:%02x:%02x link %s, %s\n", p->name, n->mac[0],
	            n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5], n->link ? "up" : "down",
	            n->dev.broken ? "BROKEN" : states[p->state]);
	for (unsigned i = 0; net_if_get_addr(p->nif, i, &a); i++)
		shell_print(sh, "  %s/%u%s%s\n", net_addr_format(&a.addr, text), a.prefix,
		            a.tentative ? " tentative" : "", a.duplicate ? " DUPLICATE" : "");
	shell_print(sh,
	            "  received %lu frames, %lu bytes; sent %lu, %lu; dropped %lu, bad %lu%s%s, "
	            "queue pairs: %u\n",
	            (unsigned long)n->received, (unsigned long)n->received_bytes,
	            (unsigned long)n->sent, (unsigned long)n->sent_bytes,
	            (unsigned long)(n->dropped + p->tx_dropped), (unsigned long)n->bad,
	            virtio_has(&n->dev, NIC_F_HOST_TSO4) ? ", segments by the card" : "",
	            n->merges ? ", merged buffers" : "", n->pairs);
}

bool cmd_net(struct shell *sh, unsigned argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct netd *n = &sh->sys->net;
	netd_enter(n);
	for (unsigned i = 0; i < n->port_count; i++)
		show_port(sh, &n->ports[i]);
	netd_leave(n);
	if (n->port_count == 0)
		shell_print(sh, "no network card\n");
	return true;
}

static const char *endpoint(const struct net_endpoint *e, char out[static 64])
{
	char addr[46];
	bool v4 = e->addr.q[0] == 0 && e->addr.w[2] == 0xffff0000u;
	(void)net_addr_format(&e->addr, addr);
	(void)fmt(out, 64, v4 ? "%s:%u" : "[%s]:%u", addr, e->port);
	return out;
}

#define CONNS_SHOWN 64u

struct conn_list {
	unsigned count, more;
	struct net_conn conn[CONNS_SHOWN];
};

static void note_conn(void *ctx, const struct net_conn *c)
{
	struct conn_list *l = ctx;
	if (l->count < CONNS_SHOWN)
		l->conn[l->count++] = *c;
	else
		l->more++;
}

/* To be freed; NULL: no memory, which has been said. */
static struct conn_list *list_conns(struct shell *sh)
{
	struct netd *n = &sh->sys->net;
	struct conn_list *l = mem_alloc(sizeof(*l));
	if (!l) {
		(void)fail(sh, "netstat", -NET_ENOMEM);
		return NULL;
	}
	netd_enter(n);
	net_conns(n->stack, note_conn, l);
	netd_leave(n);
	return l;
}

static void show_counters(struct shell *sh)
{
	struct netd *n = &sh->sys->net;
	netd_enter(n);
	struct net_stats s = *net_stack_stats(n->stack);
	netd_leave(n);
#define U(x) ((unsigned long)s.x)
	shell_print(sh, "ip: %lu in, %lu out, %lu bad, %lu fragments\n", U(ip_in), U(ip_out),
	            U(ip_in_bad), U(frag_in));
	shell_print(sh, "icmp: %lu in, %lu out; udp: %lu in, %lu out, %lu to no port\n", U(icmp_in),
	            U(icmp_out), U(udp_in), U(udp_out), U(udp_no_port));
	shell_print(sh,
	            "tcp: %lu in, %lu out, %lu bad, %lu again, %lu resets, %lu out of order, "
	            "%lu out of memory\n",
	            U(tcp_in), U(tcp_out), U(tcp_bad), U(tcp_retrans), U(tcp_rst_out), U(tcp_ooo),
	            U(nomem));
#undef U
}

static const char *state_name(const struct net_conn *c)
{
	static const char *const states[] = {
	        "CLOSED",     "LISTEN",     "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
	        "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",  "LAST-ACK",     "TIME-WAIT",
	};
	return c->type == NET_STREAM ? states[c->state] : "";
}

bool cmd_netstat(struct shell *sh, unsigned argc, char **argv)
{
	static const char *const types[] = {"tcp", "udp", "ping"};
	(void)argc;
	(void)argv;
	struct conn_list *l = list_conns(sh);
	if (!l)
		return true;
	shell_print(sh, "      recv-q send-q %-26s %-26s state\n", "local", "remote");
	for (unsigned i = 0; i < l->count; i++) {
		const struct net_conn *c = &l->conn[i];
		char local[64], remote[64];
		shell_print(sh, "%-4s %7u %6u %-26s %-26s %s\n", types[c->type], c->rcvq, c->sndq,
		            endpoint(&c->local, local), endpoint(&c->remote, remote),
		            state_name(c));
	}
	if (l->more)
		shell_print(sh, "and %u more\n", l->more);
	mem_free(l);
	show_counters(sh);
	return true;
}

void netcmd_tcp_info(struct shell *sh, const struct net_tcp_info *t)
{
	shell_print(sh,
	            "  %s cwnd %u ssthresh %u rtt %u.%03u ms rto %u.%03u ms mss %u/%u pmtu %u\n",
	            t->cc, t->tcpi_snd_cwnd, t->tcpi_snd_ssthresh, t->tcpi_rtt / 1000,
	            t->tcpi_rtt % 1000, t->tcpi_rto / 1000, t->tcpi_rto % 1000, t->tcpi_snd_mss,
	            t->tcpi_rcv_mss, t->tcpi_pmtu);
	shell_print(sh,
	            "  sent %lu bytes in %u segments, acknowledged %lu, sent again %u; received "
	            "%lu in %u\n",
	            (unsigned long)t->tcpi_bytes_sent, t->tcpi_segs_out,
	            (unsigned long)t->tcpi_bytes_acked, t->tcpi_total_retrans,
	            (unsigned long)t->tcpi_bytes_received, t->tcpi_segs_in);
	shell_print(sh, "  windows: theirs %u (scale %u), ours %u (scale %u);%s%s%s%s\n",
	            t->tcpi_snd_wnd, t->tcpi_snd_wscale, t->tcpi_rcv_wnd, t->tcpi_rcv_wscale,
	            t->tcpi_options & NET_TCPI_OPT_TIMESTAMPS ? " timestamps" : "",
	            t->tcpi_options & NET_TCPI_OPT_SACK ? " SACK" : "",
	            t->tcpi_options & NET_TCPI_OPT_WSCALE ? " scaling" : "",
	            t->accecn                            ? " AccECN"
	            : t->tcpi_options & NET_TCPI_OPT_ECN ? " ECN"
	                                                 : "");
}

bool cmd_tcpinfo(struct shell *sh, unsigned argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return false;
	if (sh->has_tcp_info)
		netcmd_tcp_info(sh, &sh->tcp_info);
	else
		shell_print(sh, "no connection of this shell's has ended yet (fetch, nettest)\n");
	return true;
}

/* ---- ping, nslookup ---- */

struct pings {
	unsigned sent, received;
	uint64_t min_ns, max_ns, sum_ns;
};

/* Waits for the answer to PAYLOAD; others are late ones. */
static bool wait_echo(struct ksock *s, uint64_t stamp, uint64_t *took_ns)
{
	uint64_t end = stamp + NS_PER_S;
	for (;;) {
		/* The ICMP header comes with it. */
		uint64_t in[1 + ECHO_WORDS] = {0}, now = arch_now_ns();
		if (now >= end)
			return false;
		s->patience_ns = end - now;
		long n = ksock_recv(s, in, sizeof(in), NULL);
		*took_ns = arch_now_ns() - stamp;
		if (n == -NET_ETIMEDOUT)
			return false;
		if (n == (long)sizeof(in) && in[1] == stamp)
			return true;
	}
}

static void ping_once(struct shell *sh, struct ksock *s, struct pings *p, const char *name)
{
	uint64_t out[ECHO_WORDS] = {arch_now_ns()}, took;
	long r = ksock_send(s, out, sizeof(out), NULL);
	p->sent++;
	if (r < 0) {
		shell_print(sh, "%s: %s\n", name, net_error_text(r));
		return;
	}
	if (!wait_echo(s, out[0], &took)) {
		shell_print(sh, "no answer from %s\n", name);
		return;
	}
	p->min_ns = p->received == 0 || took < p->min_ns ? took : p->min_ns;
	p->max_ns = took > p->max_ns ? took : p->max_ns;
	p->sum_ns += took;
	p->received++;
	shell_print(sh, "%lu bytes from %s: %lu.%03lu ms\n", (unsigned long)sizeof(out), name,
	            (unsigned long)(took / NS_PER_MS),
	            (unsigned long)(took % NS_PER_MS / NS_PER_US));
}

bool cmd_ping(struct shell *sh, unsigned argc, char **argv)
{
	uint64_t count = 3;
	struct net_endpoint to = {0};
	struct ksock *s;
	struct pings p = {0};
	char name[46];
	if (argc < 2 || argc > 3 || (argc == 3 && (!number(argv[2], 1000, &count) || count == 0)))
		return false;
	if (!find(sh, argv[1], &to.addr))
		return true;
	int err = ksock_open(&sh->sys->net, NET_PING, &s);
	if (err)
		return fail(sh, "ping", err);
	err = ksock_connect(s, &to);
	(void)net_addr_format(&to.addr, name);
	for (uint64_t i = 0; !err && i < count; i++) {
		ping_once(sh, s, &p, name);
		if (i + 1 < count)
			task_sleep(200 * NS_PER_MS);
	}
	ksock_close(s);
	if (err)
		return fail(sh, argv[1], err);
	shell_print(sh, "%u sent, %u received", p.sent, p.received);
	if (p.received)
		shell_print(sh, "; least %lu us, average %lu, most %lu",
		            (unsigned long)(p.min_ns / NS_PER_US),
		            (unsigned long)(p.sum_ns / p.received / NS_PER_US),
		            (unsigned long)(p.max_ns / NS_PER_US));
	shell_print(sh, "\n");
	sh->failures += p.received < p.sent;
	return true;
}

bool cmd_nslookup(struct shell *sh, unsigned argc, char **argv)
{
	static const unsigned types[] = {NET_DNS_A, NET_DNS_AAAA};
	struct net_addr found[NET_DNS_MAX];
	unsigned total = 0;
	int last = -NET_ENOENT;
	char text[46];
	if (argc != 2)
		return false;
	(void)netd_wait_ready(&sh->sys->net, arch_now_ns() + READY_NS);
	for (unsigned t = 0; t < 2; t++) {
		int n = resolve_all(&sh->sys->net, argv[1], types[t], found);
		last = n < 0 && n != -NET_ENOENT ? n : last;
		for (int i = 0; i < n; i++, total++)
			shell_print(sh, "%s %s\n", argv[1], net_addr_format(&found[i], text));
	}
	return total > 0 || fail(sh, argv[1], last);
}

/* ---- capture ---- */

static void capture_show(struct shell *sh, const struct capture *c)
{
	shell_print(sh, "%s, %lu frames in %lu bytes%s, %lu missed\n",
	            c->on ? "capturing" : "not capturing", (unsigned long)c->frames,
	            (unsigned long)c->len, c->file ? "" : " (none kept)", (unsigned long)c->missed);
}

/* As `xxd -r -p` reads it. */
static void capture_hex(struct shell *sh, const struct capture *c)
{
	char line[65];
	for (size_t at = 0; at < c->len; at += 32) {
		size_t n = c->len - at < 32 ? c->len - at : 32;
		for (size_t i = 0; i < n; i++)
			(void)fmt(line + 2 * i, 3, "%02x", c->file[at + i]);
		shell_print(sh, "%s\n", line);
	}
}

static bool capture_save(struct shell *sh, const struct capture *c, char **argv)
{
	uint64_t disk, at;
	if (!number(argv[2], DISKS_MAX, &disk) || !number(argv[3], UINT64_MAX, &at) ||
	    disk >= sh->sys->devices.disk_count)
		return false;
	struct disk *d = sh->sys->disks[disk];
	if (c->file && disk_write(d, at, c->file, c->len) && disk_flush(d)) {
		shell_print(sh, "%lu bytes written and flushed\n", (unsigned long)c->len);
		return true;
	}
	shell_print(sh, c->file ? "cannot write there\n" : "nothing has been captured\n");
	sh->failures++;
	return true;
}

static bool capture_begin(struct shell *sh, struct netd *n, const char *kib)
{
	uint64_t size = 256;
	if (kib && (!number(kib, CAPTURE_BYTES_MAX >> 10, &size) || size == 0))
		return false;
	netd_enter(n);
	bool good = capture_start(&n->capture, (size_t)size << 10);
	netd_leave(n);
	return good || fail(sh, "capture", -NET_ENOMEM);
}

bool cmd_capture(struct shell *sh, unsigned argc, char **argv)
{
	struct netd *n = &sh->sys->net;
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "on") == 0 && argc <= 3)
		return capture_begin(sh, n, argc == 3 ? argv[2] : NULL);
	bool off = strcmp(what, "off") == 0, hex = strcmp(what, "hex") == 0;
	if (argc > 1 && !(argc == 2 && (off || hex)) && !(argc == 4 && strcmp(what, "save") == 0))
		return false;
	/* Only this shell begins and drops captures: once off, it stays as it is. */
	netd_enter(n);
	if (argc > 1)
		n->capture.on = false;
	struct capture c = n->capture;
	netd_leave(n);
	if (argc == 4)
		return capture_save(sh, &c, argv);
	if (hex)
		capture_hex(sh, &c);
	else
		capture_show(sh, &c);
	return true;
}
