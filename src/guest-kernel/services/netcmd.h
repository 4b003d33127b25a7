/* Commands of the shell that use the network: netcmd.c, and those that move data in nettest.c. */
#ifndef GK_SERVICES_NETCMD_H
#define GK_SERVICES_NETCMD_H

#include "guest-kernel/services/shell.h"

bool cmd_net(struct shell *sh, unsigned argc, char **argv);
bool cmd_netstat(struct shell *sh, unsigned argc, char **argv);
bool cmd_tcpinfo(struct shell *sh, unsigned argc, char **argv);
bool cmd_ping(struct shell *sh, unsigned argc, char **argv);
bool cmd_nslookup(struct shell *sh, unsigned argc, char **argv);
bool cmd_capture(struct shell *sh, unsigned argc, char **argv);
bool cmd_fetch(struct shell *sh, unsigned argc, char **argv);
bool cmd_nettest(struct shell *sh, unsigned argc, char **argv);

void netcmd_tcp_info(struct shell *sh, const struct net_tcp_info *t);

#endif
