/* Socket options: most are a field with a range. */
#include "net/stack/tcp.h"

#define BUF_MIN 2048
#define BUF_MAX (64 * 1024 * 1024)
#define MSS_MIN 88 /* Linux's TCP_MIN_MSS and MAX_TCP_WINDOW */
#define MSS_MAX 32767

#define SOCK(field) \
	offsetof(struct net_sock, field), sizeof(((struct net_sock *)NULL)->field), false
#define TCP(field) offsetof(struct tcp, field), sizeof(((struct tcp *)NULL)->field), true

static const struct option {
	uint8_t name;
	uint16_t at; /* the field's offset in the socket, and its size */
	uint8_t size;
	bool stream; /* only streams have it */
	int32_t min; /* with a maximum of 1, everything but 0 is 1 */
	int32_t max;
	void (*changed)(struct tcp *t);
} options[] = {
        {NET_SO_REUSEADDR, SOCK(reuse), 0, 1, NULL},
        {NET_SO_BROADCAST, SOCK(bcast), 0, 1, NULL},
        {NET_SO_TRANSPARENT, SOCK(transparent), 0, 1, NULL},
        {NET_SO_V6ONLY, SOCK(v6only), 0, 1, NULL},
        {NET_SO_PRIORITY_TOS, SOCK(opt.tos), 0, 255, NULL},
        {NET_SO_TTL, SOCK(opt.ttl), 1, 255, NULL},
        {NET_SO_IFINDEX, SOCK(local.ifindex), 0, 0xffff, NULL},
        {NET_SO_SNDBUF, SOCK(opt.sndbuf), 0, BUF_MAX, NULL},
        {NET_SO_RCVBUF, SOCK(opt.rcvbuf), 0, BUF_MAX, NULL},
        {NET_SO_KEEPALIVE, TCP(opt.keepalive), 0, 1, tcp_keep_restart},
        {NET_TCP_NODELAY, TCP(opt.nodelay), 0, 1, tcp_push},
        {NET_TCP_CORK, TCP(cork), 0, 1, tcp_output},
        {NET_TCP_MAXSEG, TCP(opt.mss_user), 0, MSS_MAX, NULL},
        {NET_TCP_KEEPIDLE, TCP(opt.keep_idle_s), 1, 32767, tcp_keep_restart},
        {NET_TCP_KEEPINTVL, TCP(opt.keep_intvl_s), 1, 32767, tcp_keep_restart},
        {NET_TCP_KEEPCNT, TCP(opt.keep_cnt), 1, 127, tcp_keep_restart},
        {NET_TCP_USER_TIMEOUT, TCP(opt.user_timeout_ms), 0, INT32_MAX, NULL},
        {NET_TCP_SYNCNT, TCP(syncnt), 1, 127, NULL},
        {NET_TCP_QUICKACK, TCP(quickack), 0, 1, NULL},
        {NET_TCP_PACING, TCP(opt.pacing), 0, 1, NULL},
        {NET_TCP_UTO, TCP(opt.uto_s), 0, 0x7fff * 60, NULL},
};

_Static_assert(offsetof(struct tcp, s) == 0, "offsets in both count from the socket");

static const struct option *find(const struct net_sock *s, enum net_opt name)
{
	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].name == name && (!options[i].stream || s->type == NET_STREAM))
			return &options[i];
	return NULL;
}

/* What the value of an option decides besides. */
static void consequences(struct net_sock *s, enum net_opt name, bool on)
{
	struct tcp *t = to_tcp(s);
	if (name == NET_SO_SNDBUF)
		s->opt.sndbuf_fixed = true;
	else if (name == NET_SO_RCVBUF)
		s->opt.rcvbuf_fixed = true;
	else if (name == NET_TCP_USER_TIMEOUT)
		t->opt.uto_fixed = on;
	else if (name == NET_TCP_UTO)
		t->uto_send = on && tcp_synchronized(t);
	else if (name == NET_TCP_MAXSEG && tcp_synchronized(t))
		tcp_sync_mss(t);
}

static int set(struct net_sock *s, enum net_opt name, int64_t v)
{
	const struct option *o = find(s, name);
	if (name == NET_SO_LINGER && s->type == NET_STREAM) {
		s->opt.reset_on_close = v == 0;
		return 0;
	}
	if (!o)
		return -NET_ENOPROTOOPT;
	if (o->max == 1)
		v = v != 0;
	if (v < o->min || v > o->max || (name == NET_TCP_MAXSEG && v && v < MSS_MIN) ||
	    (name == NET_SO_IFINDEX && v && !net_if_by_index(s->st, (unsigned)v)))
		return -NET_EINVAL;
	if (name == NET_SO_PRIORITY_TOS && s->type == NET_STREAM)
		v &= ~ECN_MASK;
	if (o->max == BUF_MAX && v < BUF_MIN)
		v = BUF_MIN;
	uint8_t *field = (uint8_t *)s + o->at;
	if (o->size == 1)
		*field = (uint8_t)v;
	else if (o->size == 2)
		*(uint16_t *)(void *)field = (uint16_t)v;
	else
		*(uint32_t *)(void *)field = (uint32_t)v;
	consequences(s, name, v != 0);
	if (o->changed)
		o->changed(to_tcp(s));
	return 0;
}

int net_set(struct net_sock *s, enum net_opt opt, int64_t value)
{
	stack_now(s->st);
	return sock_allowed(s, NET_OP_SETOPT, NULL, NULL) ? set(s, opt, value) : -NET_EACCES;
}

static int get(const struct net_sock *s, enum net_opt name, int64_t *v)
{
	const struct tcp *t = to_tcp(s);
	const struct option *o = find(s, name);
	if (s->type == NET_STREAM && name == NET_TCP_MAXSEG) {
		*v = t->opt.mss_user && !tcp_synchronized(t) ? t->opt.mss_user : t->mss;
	} else if (s->type == NET_STREAM && name == NET_TCP_ATMARK) {
		*v = t->urg_in && tcp_read_seq(t) == t->rcv_up - 1;
	} else if (s->type == NET_STREAM && name == NET_TCP_URGENT) {
		*v = t->urg_in ? (int64_t)(t->rcv_up - tcp_read_seq(t)) : 0;
	} else if (o) {
		const uint8_t *field = (const uint8_t *)s + o->at;
		*v = o->size == 1   ? *field
		     : o->size == 2 ? *(const uint16_t *)(const void *)field
		                    : *(const uint32_t *)(const void *)field;
	} else {
		return -NET_ENOPROTOOPT;
	}
	return 0;
}

int net_get(struct net_sock *s, enum net_opt opt, int64_t *value)
{
	if (opt == NET_SO_ERROR) {
		*value = -sock_take_err(s);
		return 0;
	}
	return sock_allowed(s, NET_OP_GETOPT, NULL, NULL) ? get(s, opt, value) : -NET_EACCES;
}

int net_set_cc(struct net_sock *s, const char *name)
{
	const struct cc_ops *cc = cc_find(name);
	if (s->type != NET_STREAM)
		return -NET_EOPNOTSUPP;
	if (!cc)
		return -NET_ENOENT;
	if (!sock_allowed(s, NET_OP_SETOPT, NULL, NULL))
		return -NET_EACCES;
	to_tcp(s)->opt.cc = cc;
	cc->init(to_tcp(s));
	return 0;
}
