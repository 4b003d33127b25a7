/*
 * A capture of frames in libpcap's file format, with times in nanoseconds
 * (https://www.tcpdump.org/manpages/pcap-savefile.5.html). One writer at a time.
 */
#ifndef SRC_NET_PCAP_H
#define SRC_NET_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "vmm/err.h"

/* Makes PATH anew. The descriptor in *FD is the caller's. VMM_E_NOENT, VMM_E_PERM, VMM_E_IO. */
VMM_WARN_UNUSED vmm_err_t pcap_open(const char *path, int *fd, vmm_err_info_t *ei);

/* Appends what is in IOV from byte SKIP up to byte END of it. False (errno): it is not, or not
 * wholly, written, and the file ends with this record at best. */
bool pcap_write(int fd, const struct iovec *iov, unsigned count, size_t skip, size_t end);

#endif
