/* The network's task, and what the stack asks of the kernel. See netd.h. */
#include "guest-kernel/net/netd.h"

#include <string.h>

#include "guest-kernel/core/kernel.h"

#define RCVBUF_FIRST (128u << 10)
#define BUFFER_MIN   (64u << 10)
#define BUFFER_MAX   (6u << 20)

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return arch_now_ns();
}

static void entropy(void *ctx, void *buf, size_t len)
{
	const struct netd *n = ctx;
	entropy_get(n->entropy, buf, len);
}

static void *stack_alloc(void *ctx, size_t size)
{
	const struct netd *n = ctx;
	return heap_alloc(n->heap, size);
}

static void stack_free(void *ctx, void *p, size_t size)
{
	const struct netd *n = ctx;
	(void)size;
	kfree(n->kernel->memory.mm, p);
}

static enum net_say policy(void *ctx, enum net_op op, void *label, const struct net_endpoint *local,
                           const struct net_endpoint *remote)
{
	const struct netd *n = ctx;
	const struct net_hooks *h = n->hooks;
	return h && h->socket ? h->socket(h->ctx, op, label, local, remote) : NET_YES;
}

/* So much of memory may one connection's buffers grow to. */
static uint32_t buffer_max(const struct kernel *k)
{
	uint64_t part = k->boot->ram_bytes / 32;
	if (part < BUFFER_MIN)
		return BUFFER_MIN;
	return part < BUFFER_MAX ? (uint32_t)part : BUFFER_MAX;
}

static bool make_stack(struct netd *n)
{
	static const struct net_ops ops = {
	        .now_ns = now_ns,
	        .entropy = entropy,
	        .alloc = stack_alloc,
	        .free = stack_free,
	        .policy = policy,
	};
	uint32_t max = buffer_max(n->kernel);
	struct net_cfg cfg = {
	        .ops = &ops,
	        .ctx = n,
	        .tcp_rcvbuf = max < RCVBUF_FIRST ? max : RCVBUF_FIRST,
	        .tcp_rcvbuf_max = max,
	        .tcp_sndbuf_max = max,
	        .frag_mem_max = 64u << 10,
	        .tw_max = 512,
	        .syn_backlog = 128,
	};
	n->stack = net_stack_create(&cfg);
	return n->stack != NULL;
}

/* A quarter of memory, at most. */
static bool make_heap(struct netd *n)
{
	struct mm *mm = n->kernel->memory.mm;
	size_t pages = (size_t)(n->kernel->boot->ram_bytes / 4 / ARCH_PAGE_SIZE);
	n->owner = mm_owner_create(mm, "network", pages);
	n->heap = n->owner ? heap_create(mm, "network", n->owner) : NULL;
	return n->heap != NULL;
}

static void wake(void *ctx)
{
	const struct netd *n = ctx;
	if (n->task)
		task_wake(n->task);
}

static uint32_t offloads(const struct nic *nic)
{
	uint32_t out = 0;
	if (!virtio_has(&nic->dev, NIC_F_CSUM))
		return 0;
	out |= NET_IF_CSUM_TX;
	out |= virtio_has(&nic->dev, NIC_F_HOST_TSO4) ? NET_IF_TSO4 : 0;
	out |= virtio_has(&nic->dev, NIC_F_HOST_TSO6) ? NET_IF_TSO6 : 0;
	return out;
}

static bool add_port(struct netd *n, struct nic *nic)
{
	struct port *p = &n->ports[n->port_count];
	struct net_if_cfg cfg = {
	        .link = NET_LINK_ETHER,
	        .offloads = offloads(nic),
	        .output = port_output,
	        .ctx = p,
	};
	*p = (struct port){.net = n, .nic = nic};
	p->queue_tail = &p->queue;
	(void)fmt(p->name, sizeof(p->name), "net%u", n->port_count);
	memcpy(cfg.name, p->name, sizeof(cfg.name));
	memcpy(p->policy.name, p->name, sizeof(p->policy.name));
	memcpy(cfg.mac, nic->mac, sizeof(cfg.mac));
	p->nif = net_if_add(n->stack, &cfg);
	n->port_count += p->nif != NULL;
	return p->nif != NULL;
}

void netd_enter(struct netd *n)
{
	mutex_lock(&n->lock);
}

static void flush(struct netd *n)
{
	for (unsigned i = 0; i < n->port_count; i++)
		port_send_more(&n->ports[i]);
}

void netd_leave(struct netd *n)
{
	if (net_next_deadline(n->stack) <= arch_now_ns())
		net_poll(n->stack);
	flush(n);
	bool sooner = net_next_deadline(n->stack) < n->sleeps_until_ns;
	mutex_unlock(&n->lock);
	if (sooner)
		task_wake(n->task);
}

static void follow_link(struct port *p)
{
	net_if_set_link(p->nif, __atomic_load_n(&p->nic->link, __ATOMIC_RELAXED));
}

/* Under the mutex. True: there is more to do at once. */
static bool work(struct netd *n)
{
	bool more = false;
	for (unsigned i = 0; i < n->port_count; i++) {
		struct port *p = &n->ports[i];
		follow_link(p);
		more |= port_receive(p);
	}
	net_poll(n->stack);
	flush(n);
	for (unsigned i = 0; i < n->port_count && !more; i++)
		more = !port_listen(&n->ports[i]);
	n->sleeps_until_ns = more ? 0 : net_next_deadline(n->stack);
	return more;
}

static void run(void *arg)
{
	struct netd *n = arg;
	mutex_lock(&n->lock);
	setup_ports(n);
	while (!n->stopping) {
		bool more = work(n);
		uint64_t until = n->sleeps_until_ns;
		mutex_unlock(&n->lock);
		if (more)
			task_yield();
		else
			(void)task_park(until);
		mutex_lock(&n->lock);
	}
	mutex_unlock(&n->lock);
}

/* What a socket is closed with, its FIN, is under way. */
static void note_unsettled(void *ctx, const struct net_conn *c)
{
	bool *unsettled = ctx;
	*unsettled |= c->type == NET_STREAM &&
	              (c->state == NET_TCP_FIN_WAIT1 || c->state == NET_TCP_CLOSING ||
	               c->state == NET_TCP_LAST_ACK);
}

bool netd_settle(struct netd *n, uint64_t deadline_ns)
{
	for (;;) {
		bool unsettled = false;
		netd_enter(n);
		net_conns(n->stack, note_unsettled, &unsettled);
		netd_leave(n);
		if (!unsettled || arch_now_ns() >= deadline_ns)
			return !unsettled;
		task_sleep(NS_PER_MS);
	}
}

/* True: nothing has been leaked. */
static bool undo(struct netd *n)
{
	for (unsigned i = 0; i < n->port_count; i++)
		port_stop(&n->ports[i]);
	if (n->stack)
		net_stack_destroy(n->stack);
	for (unsigned i = 0; i < n->port_count; i++)
		sec_netif_forget(&n->ports[i].policy);
	if (n->heap && heap_destroy(n->heap) != 0)
		return false;
	return !n->owner || mm_owner_destroy(n->kernel->memory.mm, n->owner);
}

static bool start(struct netd *n, struct nic *const *nics, unsigned count, const char **why)
{
	*why = "no memory for the protocol stack";
	if (!make_heap(n) || !make_stack(n))
		return false;
	n->hooks = sec_net_hooks(n->kernel, n->stack);
	for (unsigned i = 0; i < count && i < NETD_PORTS_MAX; i++) {
		if (!add_port(n, nics[i]))
			return false;
	}
	*why = "no memory for the network's task";
	n->task = sec_service_start("net", PRIO_SERVICE, run, n);
	return n->task != NULL;
}

bool netd_start(struct netd *n, struct kernel *k, struct entropy *e, struct nic *const *nics,
                unsigned count, const char **why)
{
	*n = (struct netd){.kernel = k, .entropy = e};
	mutex_init(&n->lock);
	spin_init_named(&n->state_lock, "network state");
	waitq_init(&n->state_wait);
	mutex_lock(&n->lock);
	bool good = start(n, nics, count, why);
	if (!good)
		(void)undo(n);
	for (unsigned i = 0; good && i < n->port_count; i++)
		nic_start(n->ports[i].nic, wake, n);
	mutex_unlock(&n->lock);
	return good;
}

bool netd_stop(struct netd *n)
{
	for (unsigned i = 0; i < n->port_count; i++)
		nic_start(n->ports[i].nic, NULL, NULL);
	mutex_lock(&n->lock);
	n->stopping = true;
	mutex_unlock(&n->lock);
	task_wake(n->task);
	task_join(n->task);
	capture_drop(&n->capture);
	return undo(n);
}
