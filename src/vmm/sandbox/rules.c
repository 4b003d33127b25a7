/* The system calls of each thread. See rules.h. */
#include "rules.h"

#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define MAIN (1u << SANDBOX_MAIN)
#define VCPU (1u << SANDBOX_VCPU)
#define LOOP (1u << SANDBOX_LOOP)
#define DISK (1u << SANDBOX_DISK)
#define ALL  (MAIN | VCPU | LOOP | DISK)

#define CALL(name, who)                                    \
	{                                                  \
		.nr = SYS_##name, .threads = (who)         \
	}
#define IOCTL(request, who)                                                                    \
	{                                                                                      \
		.nr = SYS_ioctl, .threads = (who), .test = SANDBOX_EQUAL, .arg = 1,            \
		.value = (uint32_t)(request), .what = #request                                 \
	}
#define PRCTL(option, who)                                                                     \
	{                                                                                      \
		.nr = SYS_prctl, .threads = (who), .test = SANDBOX_EQUAL, .arg = 0,            \
		.value = (option), .what = #option                                             \
	}
#define NO_EXEC(name, who)                                                                     \
	{                                                                                      \
		.nr = SYS_##name, .threads = (who), .test = SANDBOX_CLEAR, .arg = 2,           \
		.value = PROT_EXEC                                                             \
	}

const struct sandbox_rule sandbox_rules[] = {
        /* The exit path. */
        IOCTL(KVM_RUN, VCPU),
        IOCTL(KVM_IRQ_LINE, VCPU | LOOP | MAIN),
        IOCTL(KVM_SIGNAL_MSI, VCPU | LOOP),
        CALL(futex, ALL),
        CALL(write, ALL),
        CALL(read, ALL),

        /* What an exit that ends the VM says of the vCPU. */
        IOCTL(KVM_GET_REGS, VCPU | LOOP),
        IOCTL(KVM_GET_SREGS, VCPU | LOOP),
        IOCTL(KVM_TRANSLATE, VCPU),

        /* A machine reset makes KVM's side of the VM anew. */
        IOCTL(KVM_CREATE_VM, LOOP),
        IOCTL(KVM_SET_USER_MEMORY_REGION, LOOP),
        IOCTL(KVM_SET_IDENTITY_MAP_ADDR, LOOP),
        IOCTL(KVM_SET_TSS_ADDR, LOOP),
        IOCTL(KVM_CREATE_IRQCHIP, LOOP),
        IOCTL(KVM_CREATE_PIT2, LOOP),
        IOCTL(KVM_CREATE_VCPU, LOOP),
        IOCTL(KVM_GET_TSC_KHZ, LOOP),
        IOCTL(KVM_SET_CPUID2, LOOP),
        IOCTL(KVM_SET_MSRS, LOOP),
        IOCTL(KVM_SET_SIGNAL_MASK, LOOP),
        IOCTL(KVM_SET_REGS, LOOP),
        IOCTL(KVM_SET_SREGS, LOOP),
        IOCTL(KVM_IRQFD, LOOP),
        IOCTL(KVM_IOEVENTFD, LOOP),
        IOCTL(KVM_KVMCLOCK_CTRL, MAIN),

        /* The event loop. */
        CALL(epoll_wait, LOOP),
        CALL(epoll_ctl, MAIN | VCPU | LOOP),
        CALL(poll, MAIN | VCPU | LOOP),

        /* Disks: at once, on an io_uring, by threads. A reset waits for what is under way. */
        CALL(preadv, LOOP | DISK),
        CALL(preadv2, LOOP),
        CALL(pwritev2, LOOP | DISK),
        CALL(pwrite64, DISK),
        CALL(fdatasync, DISK),
        CALL(fallocate, LOOP | DISK),
        IOCTL(BLKDISCARD, DISK),
        CALL(io_uring_enter, MAIN | VCPU | LOOP),
        CALL(clock_nanosleep, MAIN | VCPU | LOOP),
        CALL(pread64, LOOP),

        /* Network cards. */
        CALL(readv, VCPU | LOOP),
        CALL(writev, LOOP),
        IOCTL(TUNSETOFFLOAD, VCPU | LOOP),
        IOCTL(TUNSETQUEUE, VCPU | LOOP),
        IOCTL(TUNSETCARRIER, MAIN | LOOP),

        /* Consoles and the serial port, entropy. */
        CALL(sendto, VCPU | LOOP),
        CALL(recvfrom, LOOP),
        CALL(accept4, LOOP),
        CALL(getrandom, LOOP),

        /* The terminal. */
        IOCTL(TIOCGWINSZ, MAIN),
        IOCTL(TCGETS, MAIN),
        IOCTL(TCSETSW, MAIN),

        /* The C library's memory and threads. No memory becomes executable. */
        NO_EXEC(mmap, MAIN | VCPU | LOOP | DISK),
        NO_EXEC(mprotect, MAIN | VCPU | LOOP | DISK),
        CALL(munmap, ALL),
        CALL(brk, ALL),
        CALL(madvise, ALL),
        CALL(close, MAIN | LOOP),
        CALL(rt_sigprocmask, ALL),
        CALL(rt_sigtimedwait, VCPU),
        CALL(rt_sigreturn, ALL),
        CALL(restart_syscall, ALL),
        {.nr = SYS_tgkill, .threads = MAIN | VCPU | LOOP, .test = SANDBOX_OWN_PID, .arg = 0},
        CALL(getpid, MAIN | VCPU | LOOP),
        CALL(gettid, ALL),
        PRCTL(PR_GET_NAME, ALL),
        CALL(exit, VCPU | LOOP | DISK),
        CALL(exit_group, MAIN),
};
const size_t sandbox_rule_count = sizeof(sandbox_rules) / sizeof(sandbox_rules[0]);
