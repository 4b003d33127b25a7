/* The guest kernel's object classes. See classes.h. */
#include "classes.h"

#include "base.h"

#define SOCKET_PERMS                                                                          \
	"create", "bind", "connect", "listen", "accept", "read", "write", "getopt", "setopt", \
	        "shutdown", "name_bind", "node_bind"
#define FILE_PERMS "read", "write", "create", "getattr", "setattr", "open", "ioctl", "map", "unlink"

const struct class_map policy_classes[POLICY_CLASS_COUNT] = {
        [POLICY_CLASS_PROCESS] = {"process",
                                  {"fork", "transition", "dyntransition", "sigkill", "sigstop",
                                   "signal", "getattr", "setsched", "getcap", "setcap"}},
        [POLICY_CLASS_SECURITY] = {"security",
                                   {"load_policy", "setenforce", "setbool", "compute_av",
                                    "check_context"}},
        [POLICY_CLASS_SYSTEM] = {"system", {"syslog_read", "reboot", "halt", "status"}},
        /* By number, as in capability.h. */
        [POLICY_CLASS_CAPABILITY] = {"capability",
                                     {"chown",
                                      "dac_override",
                                      "dac_read_search",
                                      "fowner",
                                      "fsetid",
                                      "kill",
                                      "setgid",
                                      "setuid",
                                      "setpcap",
                                      "linux_immutable",
                                      "net_bind_service",
                                      "net_broadcast",
                                      "net_admin",
                                      "net_raw",
                                      "ipc_lock",
                                      "ipc_owner",
                                      "sys_module",
                                      "sys_rawio",
                                      "sys_chroot",
                                      "sys_ptrace",
                                      "sys_pacct",
                                      "sys_admin",
                                      "sys_boot",
                                      "sys_nice",
                                      "sys_resource",
                                      "sys_time",
                                      "sys_tty_config",
                                      "mknod",
                                      "lease",
                                      "audit_write",
                                      "audit_control",
                                      "setfcap"}},
        [POLICY_CLASS_CAPABILITY2] = {"capability2",
                                      {"mac_override", "mac_admin", "syslog", "wake_alarm",
                                       "block_suspend", "audit_read", "perfmon", "bpf",
                                       "checkpoint_restore"}},
        [POLICY_CLASS_TCP_SOCKET] = {"tcp_socket", {SOCKET_PERMS, "name_connect"}},
        [POLICY_CLASS_UDP_SOCKET] = {"udp_socket", {SOCKET_PERMS}},
        [POLICY_CLASS_RAWIP_SOCKET] = {"rawip_socket", {SOCKET_PERMS}},
        [POLICY_CLASS_ICMP_SOCKET] = {"icmp_socket", {SOCKET_PERMS}},
        [POLICY_CLASS_NODE] = {"node", {"recvfrom", "sendto"}},
        [POLICY_CLASS_NETIF] = {"netif", {"ingress", "egress"}},
        [POLICY_CLASS_PACKET] = {"packet", {"send", "recv"}},
        [POLICY_CLASS_MSGQ] = {"msgq",
                               {"create", "destroy", "getattr", "setattr", "read", "write",
                                "enqueue"}},
        [POLICY_CLASS_SHM] = {"shm", {"create", "destroy", "getattr", "setattr", "read", "write"}},
        [POLICY_CLASS_FILE] = {"file", {FILE_PERMS, "execute"}},
        [POLICY_CLASS_DIR] = {"dir", {FILE_PERMS, "search"}},
        [POLICY_CLASS_CHR_FILE] = {"chr_file", {FILE_PERMS}},
        [POLICY_CLASS_BLK_FILE] = {"blk_file", {FILE_PERMS}},
        [POLICY_CLASS_HTTP_RESOURCE] = {"http_resource", {"get", "head", "post", "put", "delete"}},
        [POLICY_CLASS_COMMAND] = {"command", {"run"}},
};

enum policy_class classes_find(const char *name, size_t len)
{
	unsigned c = 0;
	while (c < POLICY_CLASS_COUNT && !str_eq_n(name, len, policy_classes[c].name))
		c++;
	return (enum policy_class)c;
}

uint32_t classes_perm(enum policy_class tclass, const char *name, size_t len)
{
	const char *const *perm = policy_classes[tclass].perm;
	for (unsigned i = 0; i < 32 && perm[i]; i++)
		if (str_eq_n(name, len, perm[i]))
			return 1u << i;
	return 0;
}
