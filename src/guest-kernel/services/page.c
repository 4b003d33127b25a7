/*
 * The HTTP server's pages: the same figures for people ('/', which replaces its own contents every
 * two seconds) and for Prometheus ('/metrics', its text format 0.0.4).
 */
#include <string.h>

#include "guest-kernel/services/httpd.h"

#define TASKS_SHOWN 24u

struct page {
	char *out;
	size_t cap, len;
};

static void add(struct page *p, const char *format, ...) GK_PRINTF(2, 3);

/* What does not fit any more is left out. */
static void add(struct page *p, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	size_t room = p->cap - p->len;
	size_t n = fmt_v(p->out + p->len, room, format, ap);
	va_end(ap);
	if (n < room)
		p->len += n;
}

/* ---- the figures ---- */

struct figures {
	uint64_t now_ns, ram, free_bytes, heap_bytes, switches, interrupts;
	unsigned cpus, tasks;
	struct net_stats net;
};

static void take_figures(struct system *sys, struct figures *f)
{
	struct kernel *k = sys->kernel;
	struct mm_owner_stats owner = {0};
	*f = (struct figures){
	        .now_ns = arch_now_ns(),
	        .ram = k->boot->ram_bytes,
	        .free_bytes = memory_free_bytes(),
	        .switches = counter_read(&k->sched.switches),
	        .cpus = __atomic_load_n(&k->cpus_online, __ATOMIC_RELAXED),
	        .tasks = __atomic_load_n(&k->sched.task_count, __ATOMIC_RELAXED),
	};
	for (unsigned i = 0; i < ARCH_CPUS_MAX; i++)
		f->interrupts += k->cpus[i] ? counter_read(&k->cpus[i]->interrupts) : 0;
	struct netd *n = &sys->net;
	netd_enter(n);
	f->net = *net_stack_stats(n->stack);
	netd_leave(n);
	mm_owner_stats(n->owner, &owner);
	f->heap_bytes = owner.pages * ARCH_PAGE_SIZE;
}

/* ---- for Prometheus ---- */

static void metric(struct page *p, const char *name, const char *type, const char *help,
                   uint64_t value)
{
	add(p, "# HELP gk_%s %s\n# TYPE gk_%s %s\ngk_%s %lu\n", name, help, name, type, name,
	    (unsigned long)value);
}

static void machine_metrics(struct page *p, const struct figures *f)
{
	add(p, "# HELP gk_build_info The kernel's version.\n# TYPE gk_build_info gauge\n"
	       "gk_build_info{version=\"" GK_VERSION "\"} 1\n");
	add(p,
	    "# HELP gk_uptime_seconds Time since boot.\n# TYPE gk_uptime_seconds gauge\n"
	    "gk_uptime_seconds %lu.%03lu\n",
	    (unsigned long)(f->now_ns / NS_PER_S),
	    (unsigned long)(f->now_ns % NS_PER_S / NS_PER_MS));
	metric(p, "cpus", "gauge", "Processors that run.", f->cpus);
	metric(p, "memory_bytes", "gauge", "Memory of the machine.", f->ram);
	metric(p, "memory_free_bytes", "gauge", "Memory that is free.", f->free_bytes);
	metric(p, "network_memory_bytes", "gauge", "Memory that the network holds.", f->heap_bytes);
	metric(p, "tasks", "gauge", "Tasks that exist.", f->tasks);
	metric(p, "context_switches_total", "counter", "Switches between tasks.", f->switches);
	metric(p, "interrupts_total", "counter", "Interrupts, timers among them.", f->interrupts);
}

struct label_metric {
	const char *name, *help;
	size_t offset;
};

static uint64_t field(const void *base, size_t offset)
{
	uint64_t v;
	memcpy(&v, (const uint8_t *)base + offset, sizeof(v));
	return v;
}

static void card_metrics(struct page *p, const struct netd *n)
{
	static const struct label_metric list[] = {
	        {"receive_packets", "Frames received.", offsetof(struct nic, received)},
	        {"receive_bytes", "Bytes received.", offsetof(struct nic, received_bytes)},
	        {"transmit_packets", "Frames sent.", offsetof(struct nic, sent)},
	        {"transmit_bytes", "Bytes sent.", offsetof(struct nic, sent_bytes)},
	        {"drop", "Frames dropped for want of memory.", offsetof(struct nic, dropped)},
	        {"bad", "Frames that made no sense.", offsetof(struct nic, bad)},
	};
	for (unsigned m = 0; m < sizeof(list) / sizeof(list[0]) && n->port_count > 0; m++) {
		add(p, "# HELP gk_network_%s_total %s\n# TYPE gk_network_%s_total counter\n",
		    list[m].name, list[m].help, list[m].name);
		for (unsigned i = 0; i < n->port_count; i++)
			add(p, "gk_network_%s_total{device=\"%s\"} %lu\n", list[m].name,
			    n->ports[i].name,
			    (unsigned long)field(n->ports[i].nic, list[m].offset));
	}
}

static void stack_metrics(struct page *p, const struct net_stats *st)
{
	static const struct label_metric list[] = {
	        {"ip_in", "IP packets received.", offsetof(struct net_stats, ip_in)},
	        {"ip_out", "IP packets sent.", offsetof(struct net_stats, ip_out)},
	        {"icmp_in", "ICMP messages received.", offsetof(struct net_stats, icmp_in)},
	        {"udp_in", "UDP datagrams received.", offsetof(struct net_stats, udp_in)},
	        {"udp_out", "UDP datagrams sent.", offsetof(struct net_stats, udp_out)},
	        {"tcp_in", "TCP segments received.", offsetof(struct net_stats, tcp_in)},
	        {"tcp_out", "TCP segments sent.", offsetof(struct net_stats, tcp_out)},
	        {"tcp_retransmitted", "TCP segments sent again.",
	         offsetof(struct net_stats, tcp_retrans)},
	        {"tcp_resets_sent", "TCP resets sent.", offsetof(struct net_stats, tcp_rst_out)},
	        {"no_memory", "Packets lost for want of memory.",
	         offsetof(struct net_stats, nomem)},
	};
	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		char name[48];
		(void)fmt(name, sizeof(name), "%s_total", list[i].name);
		metric(p, name, "counter", list[i].help, field(st, list[i].offset));
	}
}

static void disk_metrics(struct page *p, struct system *sys)
{
	static const struct label_metric list[] = {
	        {"reads", "Requests to read.", offsetof(struct disk_stats, reads)},
	        {"writes", "Requests to write.", offsetof(struct disk_stats, writes)},
	        {"flushes", "Requests to flush.", offsetof(struct disk_stats, flushes)},
	        {"cache_hits", "Blocks found in the cache.", offsetof(struct disk_stats, hits)},
	        {"cache_misses", "Blocks not found there.", offsetof(struct disk_stats, misses)},
	        {"errors", "Requests that failed.", offsetof(struct disk_stats, errors)},
	        {"scheduled", "Requests of the scheduler.", offsetof(struct disk_stats, scheduled)},
	        {"merged", "Blocks that became part of another's request.",
	         offsetof(struct disk_stats, merged)},
	        {"overdue", "Requests that went first because they were overdue.",
	         offsetof(struct disk_stats, overdue)},
	};
	unsigned count = sys->devices.disk_count;
	struct disk_stats st;
	for (unsigned m = 0; m < sizeof(list) / sizeof(list[0]) && count > 0; m++) {
		add(p, "# HELP gk_disk_%s_total %s\n# TYPE gk_disk_%s_total counter\n",
		    list[m].name, list[m].help, list[m].name);
		for (unsigned i = 0; i < count; i++) {
			disk_stats(sys->disks[i], &st);
			add(p, "gk_disk_%s_total{device=\"disk%u\"} %lu\n", list[m].name, i,
			    (unsigned long)field(&st, list[m].offset));
		}
	}
}

static void device_metrics(struct page *p, const struct system *sys)
{
	const struct devices *d = &sys->devices;
	metric(p, "random_seeds_total", "counter", "Times that fresh entropy was mixed in.",
	       d->entropy.seeds);
	metric(p, "random_blocks_total", "counter", "Blocks of random bytes given out.",
	       d->entropy.requests);
	metric(p, "input_lost_total", "counter", "Characters typed and lost.", sys->input_lost);
	if (d->console) {
		metric(p, "console_written_bytes_total", "counter",
		       "Bytes written to the virtio console.", d->console->written);
		metric(p, "console_dropped_bytes_total", "counter", "Bytes that it did not take.",
		       d->console->dropped);
	}
	if (d->balloon) {
		metric(p, "balloon_pages", "gauge", "Pages in the balloon.",
		       d->balloon->actual_pages);
		metric(p, "balloon_wished_pages", "gauge", "Pages that the host wishes for.",
		       d->balloon->wanted_pages);
	}
}

size_t page_metrics(struct system *sys, char *out, size_t cap)
{
	struct page p = {out, cap, 0};
	struct figures f;
	take_figures(sys, &f);
	machine_metrics(&p, &f);
	card_metrics(&p, &sys->net);
	stack_metrics(&p, &f.net);
	disk_metrics(&p, sys);
	device_metrics(&p, sys);
	if (sys->httpd) {
		metric(&p, "http_requests_total", "counter", "Requests to the HTTP server.",
		       sys->httpd->requests);
		metric(&p, "http_errors_total", "counter", "Requests answered with an error.",
		       sys->httpd->errors);
	}
	if (p.len < cap)
		p.len += security_metrics(sys->kernel, out + p.len, cap - p.len);
	return p.len;
}

/* ---- for people ---- */

static const char head[] =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        "<link rel=\"icon\" href=\"data:,\"><title>guest-kernel</title>\n<style>\n"
        ":root{color-scheme:light dark;--bg:#f4f5f7;--card:#fff;--text:#1c2330;--dim:#5d6776;"
        "--line:#e1e5ea;--mark:#2563eb}\n"
        "@media(prefers-color-scheme:dark){:root{--bg:#12161d;--card:#1b212b;--text:#e6eaf0;"
        "--dim:#94a0b0;--line:#2b3340;--mark:#60a5fa}}\n"
        "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--text);"
        "font:15px/1.5 system-ui,sans-serif}\n"
        "main{max-width:64rem;margin:0 auto;padding:1.5rem}h1{font-size:1.5rem;margin:0}"
        "h2{font-size:1rem;margin:0 0 .5rem}p{margin:0;color:var(--dim)}\n"
        ".grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:1rem;"
        "margin:1rem 0}.card{background:var(--card);border:1px solid var(--line);"
        "border-radius:.6rem;padding:1rem;margin-bottom:1rem;overflow-x:auto}"
        ".grid .card{margin:0}\n"
        ".big{font-size:1.6rem;font-weight:600;color:var(--text)}"
        ".bar{height:.5rem;border-radius:.25rem;background:var(--line);margin-top:.5rem}"
        ".bar i{display:block;height:100%;border-radius:.25rem;background:var(--mark)}\n"
        "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
        "th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid var(--line);"
        "white-space:nowrap}th{color:var(--dim);font-weight:500}"
        "tr:last-child td{border-bottom:0}th:first-child,td:first-child,.l{text-align:left}\n"
        "footer{color:var(--dim);font-size:.85rem}a{color:var(--mark)}\n"
        "</style></head><body><main id=\"m\">\n";

static const char tail[] =
        "</main><script>\n"
        "setInterval(async()=>{try{const r=await fetch('/');if(!r.ok)return;"
        "const d=new DOMParser().parseFromString(await r.text(),'text/html');"
        "document.getElementById('m').replaceWith(d.getElementById('m'));}catch(e){"
        "document.getElementById('live').textContent='no answer from the guest';}},2000);\n"
        "</script></body></html>\n";

/* TEXT may come from a device or the command line. */
static void add_escaped(struct page *p, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			add(p, "&lt;");
			break;
		case '>':
			add(p, "&gt;");
			break;
		case '&':
			add(p, "&amp;");
			break;
		case '"':
			add(p, "&quot;");
			break;
		default:
			add(p, "%c", *text);
			break;
		}
	}
}

static void add_uptime(struct page *p, uint64_t now_ns)
{
	unsigned long s = (unsigned long)(now_ns / NS_PER_S);
	if (s >= 86400)
		add(p, "%lu d ", s / 86400);
	if (s >= 3600)
		add(p, "%lu h ", s / 3600 % 24);
	if (s >= 60)
		add(p, "%lu min ", s / 60 % 60);
	add(p, "%lu s", s % 60);
}

static void add_cards(struct page *p, struct system *sys, const struct figures *f)
{
	char used[16], all[16], net[16];
	uint64_t in_use = f->ram > f->free_bytes ? f->ram - f->free_bytes : 0;
	unsigned percent = f->ram ? (unsigned)(in_use * 100 / f->ram) : 0;
	const struct kernel *k = sys->kernel;
	add(p, "<div class=\"grid\"><div class=\"card\"><p>Uptime</p><p class=\"big\">");
	add_uptime(p, f->now_ns);
	add(p, "</p><p>ready after %lu.%lu ms</p></div>",
	    (unsigned long)(k->stages[k->stage_count - 1].ns / NS_PER_MS),
	    (unsigned long)(k->stages[k->stage_count - 1].ns / 100000 % 10));
	add(p,
	    "<div class=\"card\"><p>Memory</p><p class=\"big\">%s</p><p>of %s, the network has "
	    "%s</p><div class=\"bar\"><i style=\"width:%u%%\"></i></div></div>",
	    fmt_bytes(used, in_use), fmt_bytes(all, f->ram), fmt_bytes(net, f->heap_bytes),
	    percent);
	add(p,
	    "<div class=\"card\"><p>Processors</p><p class=\"big\">%u</p><p>%lu interrupts</p>"
	    "</div>",
	    f->cpus, (unsigned long)f->interrupts);
	add(p,
	    "<div class=\"card\"><p>Tasks</p><p class=\"big\">%u</p><p>%lu switches</p></div>"
	    "</div>\n",
	    f->tasks, (unsigned long)f->switches);
}

static void add_network(struct page *p, struct system *sys)
{
	struct netd *n = &sys->net;
	add(p, "<div class=\"card\"><h2>Network</h2><table><tr><th>card<th class=\"l\">addresses"
	       "<th>received<th>bytes<th>sent<th>bytes<th>dropped</tr>");
	netd_enter(n);
	for (unsigned i = 0; i < n->port_count; i++) {
		const struct port *port = &n->ports[i];
		char in[16], out[16], text[46];
		struct net_if_addr a;
		add(p, "<tr><td>%s%s<td class=\"l\">", port->name,
		    port->nic->link ? "" : " (no link)");
		for (unsigned k = 0; net_if_get_addr(port->nif, k, &a); k++)
			add(p, "%s%s/%u%s", k ? "<br>" : "", net_addr_format(&a.addr, text),
			    a.prefix, a.tentative ? " (tentative)" : "");
		add(p, "<td>%lu<td>%s<td>%lu<td>%s<td>%lu</tr>", (unsigned long)port->nic->received,
		    fmt_bytes(in, port->nic->received_bytes), (unsigned long)port->nic->sent,
		    fmt_bytes(out, port->nic->sent_bytes),
		    (unsigned long)(port->nic->dropped + port->tx_dropped));
	}
	netd_leave(n);
	if (n->port_count == 0)
		add(p, "<tr><td colspan=\"7\">no card</tr>");
	add(p, "</table></div>\n");
}

static void add_protocols(struct page *p, const struct net_stats *st)
{
	add(p,
	    "<div class=\"card\"><h2>Protocols</h2><table><tr><th>protocol<th>in<th>out<th>bad"
	    "<th class=\"l\">and</tr>"
	    "<tr><td>IP<td>%lu<td>%lu<td>%lu<td class=\"l\">%lu fragments</tr>",
	    (unsigned long)st->ip_in, (unsigned long)st->ip_out, (unsigned long)st->ip_in_bad,
	    (unsigned long)st->frag_in);
	add(p, "<tr><td>ICMP<td>%lu<td>%lu<td>0<td class=\"l\">%lu held back</tr>",
	    (unsigned long)st->icmp_in, (unsigned long)st->icmp_out,
	    (unsigned long)st->icmp_limited);
	add(p, "<tr><td>UDP<td>%lu<td>%lu<td>%lu<td class=\"l\">%lu to no port</tr>",
	    (unsigned long)st->udp_in, (unsigned long)st->udp_out, (unsigned long)st->udp_bad,
	    (unsigned long)st->udp_no_port);
	add(p,
	    "<tr><td>TCP<td>%lu<td>%lu<td>%lu<td class=\"l\">%lu sent again, %lu resets</tr>"
	    "</table></div>\n",
	    (unsigned long)st->tcp_in, (unsigned long)st->tcp_out, (unsigned long)st->tcp_bad,
	    (unsigned long)st->tcp_retrans, (unsigned long)st->tcp_rst_out);
}

static void add_disks(struct page *p, struct system *sys)
{
	if (sys->devices.disk_count == 0)
		return;
	add(p, "<div class=\"card\"><h2>Disks</h2><table><tr><th>disk<th>size<th>reads<th>writes"
	       "<th>flushes<th>cache hits<th>misses<th>errors</tr>");
	for (unsigned i = 0; i < sys->devices.disk_count; i++) {
		char size[16];
		struct disk_stats st;
		disk_stats(sys->disks[i], &st);
		add(p, "<tr><td>disk%u%s<td>%s<td>%lu<td>%lu<td>%lu<td>%lu<td>%lu<td>%lu</tr>", i,
		    disk_read_only(sys->disks[i]) ? " (read-only)" : "",
		    fmt_bytes(size, disk_bytes(sys->disks[i])), st.reads, st.writes, st.flushes,
		    st.hits, st.misses, st.errors);
	}
	add(p, "</table></div>\n");
}

static void add_tasks(struct page *p, struct system *sys)
{
	static const char *const states[] = {"ready", "running", "waits", "ended"};
	struct task_info *list = mem_alloc(TASKS_SHOWN * sizeof(*list));
	if (!list)
		return;
	size_t n = task_list(sys->kernel, list, TASKS_SHOWN);
	add(p, "<div class=\"card\"><h2>Tasks</h2><table><tr><th>name<th>id<th>CPU<th>priority"
	       "<th class=\"l\">state<th>time<th>switches</tr>");
	for (size_t i = 0; i < n; i++) {
		const struct task_info *t = &list[i];
		add(p, "<tr><td>");
		add_escaped(p, t->name);
		add(p, "<td>%u<td>%u<td>%u<td class=\"l\">%s<td>%lu.%03lu s<td>%lu</tr>", t->id,
		    t->cpu, t->prio,
		    t->idle && t->state != TASK_RUNNING ? "idle" : states[t->state],
		    (unsigned long)(t->ran_ns / NS_PER_S),
		    (unsigned long)(t->ran_ns % NS_PER_S / NS_PER_MS), (unsigned long)t->switches);
	}
	add(p, "</table></div>\n");
	mem_free(list);
}

size_t page_status(struct system *sys, char *out, size_t cap)
{
	/* Room for the end is kept: a page that is too long lacks rows, not its end. */
	struct page p = {out, cap - sizeof(tail), 0};
	struct figures f;
	char cpu[64];
	take_figures(sys, &f);
	arch_cpu_name(cpu);
	add(&p, "%s<h1>guest-kernel</h1><p>version " GK_VERSION " on ", head);
	add_escaped(&p, sys->kernel->boot->machine);
	add(&p, ", ");
	add_escaped(&p, cpu[0] ? cpu : "a CPU without a name");
	add(&p, " <span id=\"live\"></span></p>\n");
	add_cards(&p, sys, &f);
	add_network(&p, sys);
	add_protocols(&p, &f.net);
	add_disks(&p, sys);
	add_tasks(&p, sys);
	add(&p, "<footer>The page follows the guest every two seconds. "
	        "<a href=\"/metrics\">Metrics</a> for Prometheus.</footer>\n");
	p.cap = cap;
	add(&p, "%s", tail);
	return p.len;
}
