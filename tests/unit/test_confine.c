/* What `vmm run` says of a system call that a filter does not allow: in processes of their own. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/confine.h"
#include "vmm/sandbox/filter.h"

struct offence {
	const char *name; /* of the thread; NULL: the main one */
	enum sandbox_thread kind;
	void (*offend)(void);
	const char *says[3];
};

static void make_a_socket(void)
{
	(void)socket(AF_NETLINK, SOCK_RAW, 0);
}

static void ask_a_tap(void)
{
	(void)ioctl(-1, 0x400454caul, 0); /* TUNSETIFF */
}

static void ask_kvm(void)
{
	(void)ioctl(-1, 0xae01ul, 0); /* KVM_CREATE_VM */
}

static void open_a_file(void)
{
	(void)open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static const struct offence offences[] = {
        {"vmm-net", SANDBOX_NET, make_a_socket, {"vmm-net (--net user)", "socket (41)", "0x10,"}},
        {"vmm-loop",
         SANDBOX_LOOP,
         ask_a_tap,
         {"vmm-loop (the devices)", "ioctl (16)", "0x400454ca of a TAP or a terminal,"}},
        {"vmm-disk",
         SANDBOX_DISK,
         open_a_file,
         {"vmm-disk (--disk, its workers)", "openat (257),", "please report"}},
        {"vmm-vcpu3",
         SANDBOX_VCPU,
         ask_kvm,
         {"vmm-vcpu3 (a virtual CPU)", "ioctl (16)", "0xae01 of KVM,"}},
        {NULL, SANDBOX_MAIN, open_a_file, {"(vmm run itself)", "openat (257),", "--sandbox off"}},
};

static const struct sandbox_filters filters = {.on = true, .trap = true};

static void *offend(void *ctx)
{
	const struct offence *o = ctx;
	if (o->name)
		(void)pthread_setname_np(pthread_self(), o->name);
	if (sandbox_filter_load(&filters, o->kind) == 0)
		o->offend();
	return NULL;
}

/* The child: another thread's offence is told by the main one, as vmm run does; or, where
 * UNWATCHED, the main one only waits for the other, as while a VM is stopped. */
static _Noreturn void commit(const struct offence *o, bool unwatched)
{
	static struct term term;
	pthread_t thread;
	uint64_t woken;
	int wake = eventfd(0, EFD_CLOEXEC);
	if (wake < 0 || !confine_report(wake, &term))
		_exit(100);
	if (!o->name)
		(void)offend((void *)(uintptr_t)o);
	else if (unwatched && !confine_unwatched() &&
	         pthread_create(&thread, NULL, offend, (void *)(uintptr_t)o) == 0)
		(void)pthread_join(thread, NULL);
	else if (pthread_create(&thread, NULL, offend, (void *)(uintptr_t)o) == 0 &&
	         read(wake, &woken, sizeof(woken)) == sizeof(woken))
		(void)write(STDERR_FILENO, confine_violation(), strlen(confine_violation()));
	_exit(o->name && !unwatched ? CLI_SANDBOX : 101);
}

static void check_report(const struct offence *o, bool unwatched)
{
	char text[512] = "";
	int ends[2];
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		(void)dup2(ends[1], STDERR_FILENO);
		commit(o, unwatched);
	}
	(void)close(ends[1]);
	size_t len = 0;
	for (ssize_t n;
	     len < sizeof(text) - 1 && (n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0;)
		len += (size_t)n;
	(void)close(ends[0]);
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == CLI_SANDBOX, "status %#x: %s",
	              (unsigned)status, text);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_msg(strstr(text, o->says[i]), "'%s' does not say '%s'", text, o->says[i]);
}

START_TEST(a_violation_names_thread_feature_call_and_request)
{
	check_report(&offences[_i], false);
}
END_TEST

START_TEST(a_violation_ends_a_process_that_waits_for_the_thread)
{
	check_report(&offences[_i], true);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("confine");
	tcase_add_loop_test(tc, a_violation_names_thread_feature_call_and_request, 0,
	                    sizeof(offences) / sizeof(offences[0]));
	tcase_add_loop_test(tc, a_violation_ends_a_process_that_waits_for_the_thread, 0,
	                    sizeof(offences) / sizeof(offences[0]));
	return suite_run("confine", tc);
}
