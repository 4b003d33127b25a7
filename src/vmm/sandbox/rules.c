/* The system calls of each thread. See rules.h. */
#include "rules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "devices/vfio/iommufd_abi.h"

#define MAIN (1u << SANDBOX_MAIN)
#define VCPU (1u << SANDBOX_VCPU)
#define LOOP (1u << SANDBOX_LOOP)
#define DISK (1u << SANDBOX_DISK)
#define NET  (1u << SANDBOX_NET)
#define ALL  (MAIN | VCPU | LOOP | DISK | NET)

/* What follows the threads: further members of the row. */
#define CALL(name, who, ...)                                    \
	{                                                       \
		.nr = SYS_##name, .threads = (who), __VA_ARGS__ \
	}
#define EQUAL(name, who, position, number, text, ...)                                         \
	{                                                                                     \
		.nr = SYS_##name, .threads = (who), .test = SANDBOX_EQUAL, .arg = (position), \
		.value = (uint32_t)(number), .what = (text), __VA_ARGS__                      \
	}
/* Each takes the number's name before it is replaced. */
#define WITH(name, who, position, number, ...) \
	EQUAL(name, who, position, number, #number, __VA_ARGS__)
#define IOCTL(request, who, ...) EQUAL(ioctl, who, 1, request, #request, __VA_ARGS__)
#define FCNTL(command, who, ...) EQUAL(fcntl, who, 1, command, #command, __VA_ARGS__)
#define PRCTL(option, who, ...)  EQUAL(prctl, who, 0, option, #option, __VA_ARGS__)
#define NO_EXEC(name, who, ...)                                                      \
	{                                                                            \
		.nr = SYS_##name, .threads = (who), .test = SANDBOX_CLEAR, .arg = 2, \
		.value = PROT_EXEC, .what = "!PROT_EXEC", __VA_ARGS__                \
	}
#define OWN_PID(name, who, ...)                                                                    \
	{                                                                                          \
		.nr = SYS_##name, .threads = (who), .test = SANDBOX_OWN_PID, .arg = 0, __VA_ARGS__ \
	}
#define SELDOM(why) .seldom = (why)

#define NO_VDSO     "only where the host's clock cannot be read in user space"
#define PRESSURE    "depends on memory: a thread's heap grows, shrinks, or is locked by another"
#define ON_BUG      "what is reported of a failure of KVM, or of vmm itself"
#define EMBEDDER    "for embedders: vmm run does not pause, nor send messages of its own"
#define IDLE        "for --idle guest, and for embedders with MSRs of their own"
#define LOCKED      "only where no more memory may be locked for a passed device"
#define IOMMUFD     "only where the host has iommufd"
#define VIOLATION   "what is said of a call that is not allowed"
#define CONTENTION  "only where two threads want a lock at once"
#define RACE        "only where a vCPU writes before the loop has begun"
#define LAST_OUTPUT "output that still waits when the VM ends"

const struct sandbox_rule sandbox_rules[] = {
        /* The exit path. */
        IOCTL(KVM_RUN, VCPU),
        IOCTL(KVM_IRQ_LINE, MAIN | VCPU | LOOP),
        IOCTL(KVM_SIGNAL_MSI, MAIN | VCPU | LOOP, SELDOM(EMBEDDER)),
        CALL(futex, MAIN | VCPU | LOOP | DISK),
        CALL(futex, NET, SELDOM(CONTENTION)),
        CALL(write, MAIN | VCPU | LOOP | DISK),
        CALL(write, NET, SELDOM(VIOLATION)),
        CALL(read, MAIN | LOOP),

        /* What an exit that ends the VM says of the vCPU. */
        IOCTL(KVM_GET_REGS, VCPU),
        IOCTL(KVM_GET_SREGS, VCPU),
        IOCTL(KVM_TRANSLATE, VCPU, SELDOM(ON_BUG)),

        /* A machine reset makes KVM's side of the VM anew. */
        IOCTL(KVM_CREATE_VM, LOOP),
        IOCTL(KVM_SET_USER_MEMORY_REGION, VCPU | LOOP),
        IOCTL(KVM_SET_IDENTITY_MAP_ADDR, LOOP),
        IOCTL(KVM_SET_TSS_ADDR, LOOP),
        IOCTL(KVM_CREATE_IRQCHIP, LOOP),
        IOCTL(KVM_CREATE_PIT2, LOOP),
        IOCTL(KVM_CREATE_VCPU, LOOP),
        IOCTL(KVM_GET_TSC_KHZ, MAIN | LOOP),
        IOCTL(KVM_SET_CPUID2, LOOP),
        IOCTL(KVM_SET_MSRS, LOOP),
        IOCTL(KVM_SET_SIGNAL_MASK, LOOP, SELDOM("without VMM_VM_KICK_HANDLED")),
        IOCTL(KVM_GET_SREGS, LOOP),
        IOCTL(KVM_SET_REGS, LOOP),
        IOCTL(KVM_SET_SREGS, LOOP),
        IOCTL(KVM_IRQFD, VCPU | LOOP),
        IOCTL(KVM_IOEVENTFD, VCPU | LOOP),
        IOCTL(KVM_CREATE_DEVICE, LOOP),
        IOCTL(KVM_SET_DEVICE_ATTR, LOOP),
        IOCTL(KVM_ENABLE_CAP, LOOP, SELDOM(IDLE)),
        IOCTL(KVM_X86_SET_MSR_FILTER, LOOP, SELDOM(EMBEDDER)),
        IOCTL(KVM_REGISTER_COALESCED_MMIO, LOOP, SELDOM(EMBEDDER)),
        IOCTL(KVM_KVMCLOCK_CTRL, MAIN, SELDOM(EMBEDDER)),

        /* On PCI the guest moves registers and chooses messages; of a passed device, the rest of
         * its configuration goes through. */
        IOCTL(KVM_SET_GSI_ROUTING, VCPU),
        CALL(eventfd2, VCPU),
        IOCTL(VFIO_DEVICE_SET_IRQS, MAIN | VCPU | LOOP),
        IOCTL(VFIO_DEVICE_RESET, MAIN | LOOP),
        IOCTL(VFIO_IOMMU_MAP_DMA, LOOP),
        IOCTL(VFIO_IOMMU_UNMAP_DMA, LOOP),
        IOCTL(IOMMU_IOAS_MAP, LOOP, SELDOM(IOMMUFD)),
        IOCTL(IOMMU_IOAS_UNMAP, LOOP, SELDOM(IOMMUFD)),
        /* How much memory is locked is looked up, for the message. */
        CALL(openat, LOOP, .refuse = EACCES, SELDOM(LOCKED)),
        EQUAL(prlimit64, LOOP, 2, 0, "to be read", SELDOM(LOCKED)),
        CALL(pread64, MAIN | VCPU | LOOP),
        CALL(pwrite64, MAIN | VCPU | LOOP | DISK),

        /* A profile. The C library sorts it by a way that depends on how much memory there is. */
        IOCTL(KVM_GET_STATS_FD, MAIN),
        CALL(sysinfo, MAIN),

        /* The event loop. */
        CALL(epoll_wait, LOOP | NET),
        CALL(epoll_ctl, MAIN | LOOP | NET),
        CALL(poll, MAIN | VCPU | LOOP),

        /* Disks: at once, on an io_uring (whose operations are restricted: disk_uring.c), by
         * threads. A reset waits for what is under way. */
        CALL(preadv, LOOP | DISK),
        CALL(preadv2, LOOP, SELDOM("where the image's file system can tell that it would wait")),
        CALL(pwritev2, LOOP | DISK),
        CALL(fdatasync, DISK),
        CALL(fallocate, LOOP | DISK),
        IOCTL(BLKDISCARD, DISK),
        CALL(io_uring_enter, LOOP),
        CALL(io_uring_enter, MAIN | VCPU,
             SELDOM("where a reset or the end meets requests under way")),
        CALL(clock_nanosleep, MAIN | VCPU | LOOP, SELDOM("where the kernel is short of memory")),
        FCNTL(F_OFD_SETLK, MAIN),

        /* Network cards. */
        CALL(readv, VCPU | LOOP | NET),
        CALL(writev, LOOP),
        IOCTL(TUNSETOFFLOAD, VCPU | LOOP),
        IOCTL(TUNSETQUEUE, VCPU | LOOP),
        IOCTL(TUNSETCARRIER, MAIN | LOOP, SELDOM("for embedders: vmm run does not change a link")),

        /* The user-mode network: sockets of IP, for what the guest does; those that listen are
         * open already. */
        WITH(socket, NET, 0, AF_INET),
        WITH(socket, NET, 0, AF_INET6),
        CALL(connect, NET),
        CALL(getsockname, NET),
        WITH(getsockopt, NET, 2, SO_ERROR),
        WITH(getsockopt, NET, 2, IPV6_MTU, SELDOM("only where the host has a way by IPv6")),
        WITH(setsockopt, NET, 2, SO_LINGER),
        WITH(setsockopt, NET, 2, TCP_NODELAY),
        CALL(shutdown, NET),
        CALL(sendmsg, NET),

        /* Consoles and the serial port, entropy. */
        CALL(sendto, VCPU | LOOP | NET),
        CALL(sendto, MAIN, SELDOM(LAST_OUTPUT)),
        CALL(recvfrom, LOOP | NET),
        CALL(accept4, LOOP | NET),
        FCNTL(F_DUPFD_CLOEXEC, LOOP),
        CALL(ftruncate, MAIN | LOOP),
        CALL(ftruncate, VCPU, SELDOM(RACE)),
        CALL(rt_sigpending, VCPU | LOOP),
        CALL(rt_sigpending, MAIN, SELDOM(LAST_OUTPUT)),
        CALL(rt_sigtimedwait, VCPU | LOOP),
        CALL(rt_sigtimedwait, MAIN, SELDOM(LAST_OUTPUT)),
        CALL(getrandom, LOOP),
        /* A socket's file is out of reach: who made the process removes it. */
        CALL(newfstatat, MAIN, .refuse = EACCES),

        /* The terminal. */
        IOCTL(TIOCGWINSZ, MAIN),
        IOCTL(TCGETS, MAIN),
        IOCTL(TCSETSW, MAIN),

        /* The C library's memory and threads. No memory becomes executable. */
        NO_EXEC(mmap, ALL, SELDOM(PRESSURE)),
        NO_EXEC(mprotect, ALL, SELDOM(PRESSURE)),
        CALL(munmap, ALL, SELDOM(PRESSURE)),
        CALL(brk, ALL, SELDOM(PRESSURE)),
        CALL(madvise, ALL, SELDOM(PRESSURE)),
        CALL(close, MAIN | VCPU | LOOP | NET),
        CALL(rt_sigprocmask, ALL),
        CALL(rt_sigreturn, VCPU),
        CALL(rt_sigreturn, MAIN | LOOP | DISK | NET,
             SELDOM("for embedders whose handlers of signals return")),
        CALL(restart_syscall, ALL, SELDOM("after a stop by a debugger or job control")),
        CALL(clock_gettime, ALL, SELDOM(NO_VDSO)),
        CALL(time, VCPU, SELDOM(NO_VDSO)),
        OWN_PID(tgkill, MAIN | VCPU | LOOP),
        CALL(getpid, MAIN | VCPU | LOOP),
        CALL(gettid, ALL, SELDOM(VIOLATION)),
        PRCTL(PR_GET_NAME, ALL, SELDOM(VIOLATION)),
        CALL(exit, VCPU | LOOP | DISK | NET),
        CALL(exit_group, MAIN),
        CALL(exit_group, VCPU | LOOP | DISK | NET, SELDOM(VIOLATION)),
};
const size_t sandbox_rule_count = sizeof(sandbox_rules) / sizeof(sandbox_rules[0]);
