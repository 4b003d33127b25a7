/* The keys of network cards. See keys.h. */
#include <stdlib.h>
#include <string.h>

#include "keys_value.h"
#include "parse.h"

static vmm_rate_t *net_rx_rate(struct run_config *c, void *item)
{
	vmm_net_opts_t *n = item;
	return key_rate_begin(&c->net_rx_rate[n - c->net], &n->rx_rate);
}

static vmm_rate_t *net_tx_rate(struct run_config *c, void *item)
{
	vmm_net_opts_t *n = item;
	return key_rate_begin(&c->net_tx_rate[n - c->net], &n->tx_rate);
}

RATE_KEY(net_rx_bandwidth, net_rx_rate, bytes_per_second, key_rate_bytes)
RATE_KEY(net_rx_bandwidth_burst, net_rx_rate, bytes_burst, key_rate_bytes)
RATE_KEY(net_rx_pps, net_rx_rate, ops_per_second, key_rate_ops)
RATE_KEY(net_rx_pps_burst, net_rx_rate, ops_burst, key_rate_ops)
RATE_KEY(net_tx_bandwidth, net_tx_rate, bytes_per_second, key_rate_bytes)
RATE_KEY(net_tx_bandwidth_burst, net_tx_rate, bytes_burst, key_rate_bytes)
RATE_KEY(net_tx_pps, net_tx_rate, ops_per_second, key_rate_ops)
RATE_KEY(net_tx_pps_burst, net_tx_rate, ops_burst, key_rate_ops)

void *net_begin(struct run_config *c, struct problem *p)
{
	if (c->net_count == VMM_NETS_MAX) {
		(void)problem_set(p, NULL, "more than %u network cards", VMM_NETS_MAX);
		return NULL;
	}
	c->net_given = true;
	vmm_net_opts_t *n = &c->net[c->net_count++];
	*n = (vmm_net_opts_t)VMM_NET_OPTS_INIT;
	return n;
}

/* `none` drops the entry again. */
static bool net_none(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)value, (void)p;
	if (item != &c->net[c->net_count]) /* unless it says so twice */
		c->net_count--;
	return true;
}

bool net_end(struct run_config *c, void *item, struct problem *p)
{
	const vmm_net_opts_t *n = item;
	if (n == &c->net[c->net_count])
		return true; /* none: the entry is gone again */
	if (n->tap && n->tap_fd_count)
		return problem_set(p, NULL, "tap and fd are given; give one of the two");
	if (n->flags & VMM_NET_USER && (n->tap || n->tap_fd_count))
		return problem_set(p, NULL, "user and %s are given; give one of the two",
		                   n->tap ? "tap" : "fd");
	const char *users = n->user_net                   ? "net"
	                    : n->user_net6                ? "net6"
	                    : n->user_dns                 ? "dns"
	                    : n->hostfwd_count            ? "hostfwd"
	                    : n->flags & VMM_NET_LOOPBACK ? "loopback"
	                    : n->flags & VMM_NET_NO_IPV6  ? "ipv6"
	                                                  : NULL;
	if (!(n->flags & VMM_NET_USER) && users)
		return problem_set(p, NULL, "%s is a key of the user-mode network: give user too",
		                   users);
	return n->flags & VMM_NET_USER || n->tap || n->tap_fd_count ||
	       problem_set(p, NULL, "needs user, tap=NAME, fd=N, or none");
}

static bool net_user(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)value, (void)p;
	((vmm_net_opts_t *)item)->flags |= VMM_NET_USER;
	return true;
}

static bool net_net(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)p;
	((vmm_net_opts_t *)item)->user_net = config_text(c, value);
	return true;
}

static bool net_net6(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)p;
	((vmm_net_opts_t *)item)->user_net6 = config_text(c, value);
	return true;
}

static bool net_ipv6(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)p;
	key_set_flag(&((vmm_net_opts_t *)item)->flags, VMM_NET_NO_IPV6, !key_is_on(value));
	return true;
}

static bool net_dns(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)p;
	((vmm_net_opts_t *)item)->user_dns = config_text(c, value);
	return true;
}

/* May be given several times. */
static bool net_hostfwd(struct run_config *c, void *item, const char *value, struct problem *p)
{
	vmm_net_opts_t *n = item;
	const char **rules = c->net_forward[n - c->net];
	if (n->hostfwd_count == VMM_NET_FORWARDS_MAX)
		return problem_set(p, NULL, "more than %u forwarded ports", VMM_NET_FORWARDS_MAX);
	rules[n->hostfwd_count++] = config_text(c, value);
	n->hostfwd = rules;
	return true;
}

static bool net_loopback(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)p;
	key_set_flag(&((vmm_net_opts_t *)item)->flags, VMM_NET_LOOPBACK, key_is_on(value));
	return true;
}

static bool net_pcap(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)p;
	((vmm_net_opts_t *)item)->pcap = config_text(c, value);
	return true;
}

static bool net_tap(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)p;
	((vmm_net_opts_t *)item)->tap = config_text(c, value);
	return true;
}

/* fd=3:4:5 gives the queues of one card. */
static bool net_fd(struct run_config *c, void *item, const char *value, struct problem *p)
{
	vmm_net_opts_t *n = item;
	int *fds = c->net_fd[n - c->net];
	char *list = config_text(c, value);
	char *state = NULL;
	for (char *one = strtok_r(list, ":", &state); one; one = strtok_r(NULL, ":", &state)) {
		uint64_t fd = 0;
		if (n->tap_fd_count == VMM_NET_QUEUE_PAIRS_MAX)
			return problem_set(p, NULL, "more than %u descriptors",
			                   VMM_NET_QUEUE_PAIRS_MAX);
		if (!key_number(one, INT32_MAX, "a descriptor's number", &fd, p))
			return false;
		fds[n->tap_fd_count++] = (int)fd;
	}
	n->tap_fds = fds;
	return true;
}

static bool net_mac(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	vmm_net_opts_t *n = item;
	n->flags |= VMM_NET_MAC;
	return parse_mac(value, n->mac) ||
	       problem_set(p, NULL, "'%s': must be like 02:00:5e:10:00:01", value);
}

static bool net_mtu(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	uint64_t n = 0;
	if (!key_number(value, 65535, "a number of bytes", &n, p))
		return false;
	((vmm_net_opts_t *)item)->mtu = (uint16_t)n;
	return true;
}

static bool net_queues(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	uint64_t n = 0;
	if (!key_number(value, VMM_NET_QUEUE_PAIRS_MAX, "a number", &n, p))
		return false;
	((vmm_net_opts_t *)item)->queue_pairs = (uint32_t)n;
	return n > 0 || problem_set(p, NULL, "must be 1 or more");
}

static bool net_queue_size(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	uint64_t n = 0;
	if (!key_number(value, 1024, "a power of two", &n, p))
		return false;
	((vmm_net_opts_t *)item)->queue_size = (uint32_t)n;
	return true;
}

static bool net_offload(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c, (void)p;
	key_set_flag(&((vmm_net_opts_t *)item)->flags, VMM_NET_NO_OFFLOAD, !key_is_on(value));
	return true;
}

static bool net_link(struct run_config *c, void *item, const char *value, struct problem *p)
{
	(void)c;
	bool up = strcmp(value, "up") == 0;
	if (!up && strcmp(value, "down") != 0)
		return problem_set(p, NULL, "'%s': must be up or down", value);
	key_set_flag(&((vmm_net_opts_t *)item)->flags, VMM_NET_LINK_DOWN, !up);
	return true;
}

const struct key_row net_keys[] = {
        {"none", KEY_FLAG, net_none},
        {"user", KEY_FLAG, net_user},
        {"net", KEY_VALUE, net_net},
        {"net6", KEY_VALUE, net_net6},
        {"ipv6", KEY_SWITCH, net_ipv6},
        {"dns", KEY_VALUE, net_dns},
        {"hostfwd", KEY_VALUES, net_hostfwd},
        {"loopback", KEY_SWITCH, net_loopback},
        {"tap", KEY_VALUE, net_tap},
        {"fd", KEY_VALUE, net_fd},
        {"mac", KEY_VALUE, net_mac},
        {"mtu", KEY_VALUE, net_mtu},
        {"queues", KEY_VALUE, net_queues},
        {"queue-size", KEY_VALUE, net_queue_size},
        {"offload", KEY_SWITCH, net_offload},
        {"link", KEY_VALUE, net_link},
        {"pcap", KEY_PATH, net_pcap},
        {"rx-bandwidth", KEY_VALUE, net_rx_bandwidth},
        {"rx-bandwidth-burst", KEY_VALUE, net_rx_bandwidth_burst},
        {"rx-pps", KEY_VALUE, net_rx_pps},
        {"rx-pps-burst", KEY_VALUE, net_rx_pps_burst},
        {"tx-bandwidth", KEY_VALUE, net_tx_bandwidth},
        {"tx-bandwidth-burst", KEY_VALUE, net_tx_bandwidth_burst},
        {"tx-pps", KEY_VALUE, net_tx_pps},
        {"tx-pps-burst", KEY_VALUE, net_tx_pps_burst},
        {.name = NULL},
};
