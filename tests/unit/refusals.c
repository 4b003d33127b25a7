/* See refusals.h. */
#include "refusals.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HELD_MAX      8192u
#define PLACES_MAX    2000u
#define TOLERATED_MAX 16u

/* ---- what is refused ---- */

static _Thread_local bool counting; /* the code under test runs, not the test */
static atomic_bool trying;
static unsigned left;    /* calls before the one that fails; 0: none does */
static char refused[32]; /* the call that was */

/* Under the lock: other threads give back what they were given. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *held[HELD_MAX]; /* given out meanwhile, and not freed */
static unsigned held_count;
static size_t mapped_bytes; /* likewise */

static bool refuses(const char *what)
{
	if (!counting || left == 0 || --left > 0)
		return false;
	(void)snprintf(refused, sizeof(refused), "%s", what);
	return true;
}

static void *hold(void *p)
{
	if (!counting || !p)
		return p;
	(void)pthread_mutex_lock(&lock);
	if (held_count == HELD_MAX)
		abort();
	held[held_count++] = p;
	(void)pthread_mutex_unlock(&lock);
	return p;
}

static void let_go(const void *p)
{
	(void)pthread_mutex_lock(&lock);
	for (unsigned i = held_count; p && i-- > 0;) {
		if (held[i] == p) {
			held[i] = held[--held_count];
			break;
		}
	}
	(void)pthread_mutex_unlock(&lock);
}

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static int fails(int err)
{
	errno = err;
	return -1;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
void __real_free(void *p);
void __wrap_free(void *p);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);
int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __real_socketpair(int domain, int type, int protocol, int fd[2]);
int __wrap_socketpair(int domain, int type, int protocol, int fd[2]);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __real_pipe2(int fd[2], int flags);
int __wrap_pipe2(int fd[2], int flags);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

void *__wrap_malloc(size_t n)
{
	return refuses("malloc") ? no_memory() : hold(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refuses("calloc") ? no_memory() : hold(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	if (refuses("realloc"))
		return no_memory();
	let_go(p);
	return hold(__real_realloc(p, n));
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
	return refuses("aligned_alloc") ? no_memory() : hold(__real_aligned_alloc(align, n));
}

char *__wrap_strdup(const char *s)
{
	return refuses("strdup") ? no_memory() : hold(__real_strdup(s));
}

void __wrap_free(void *p)
{
	let_go(p);
	__real_free(p);
}

void *refusals_malloc(size_t n)
{
	return __wrap_malloc(n);
}

void refusals_free(void *p)
{
	__wrap_free(p);
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	unsigned mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, unsigned) : 0;
	va_end(ap);
	return refuses("open") ? fails(EMFILE) : __real_open(path, flags, mode);
}

int __wrap_eventfd(unsigned value, int flags)
{
	return refuses("eventfd") ? fails(EMFILE) : __real_eventfd(value, flags);
}

int __wrap_epoll_create1(int flags)
{
	return refuses("epoll_create1") ? fails(EMFILE) : __real_epoll_create1(flags);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
	return refuses("memfd_create") ? fails(EMFILE) : __real_memfd_create(name, flags);
}

int __wrap_socketpair(int domain, int type, int protocol, int fd[2])
{
	return refuses("socketpair") ? fails(EMFILE)
	                             : __real_socketpair(domain, type, protocol, fd);
}

int __wrap_socket(int domain, int type, int protocol)
{
	return refuses("socket") ? fails(EMFILE) : __real_socket(domain, type, protocol);
}

int __wrap_pipe2(int fd[2], int flags)
{
	return refuses("pipe2") ? fails(EMFILE) : __real_pipe2(fd, flags);
}

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (refuses("mmap")) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	void *p = __real_mmap(at, len, prot, flags, fd, offset);
	if (counting && p != MAP_FAILED && !(flags & MAP_FIXED))
		mapped_bytes += len;
	return p;
}

int __wrap_munmap(void *at, size_t len)
{
	int res = __real_munmap(at, len);
	if (counting && res == 0)
		mapped_bytes -= len;
	return res;
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
	return refuses("pthread_create") ? EAGAIN : __real_pthread_create(t, a, run, arg);
}

void refusals_here(void)
{
	counting = trying;
}

static unsigned long hidden_capability = ULONG_MAX;

void refusals_hide_capability(unsigned long capability)
{
	hidden_capability = capability;
}

/* KVM's, but for those that ask only, and the one that runs. */
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	char what[32];
	va_list ap;
	va_start(ap, request);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	(void)snprintf(what, sizeof(what), "ioctl 0x%04lx", request & 0xffff);
	if (_IOC_TYPE(request) == KVMIO && request != KVM_RUN && request != KVM_CHECK_EXTENSION &&
	    refuses(what))
		return fails(ENOMEM);
	if (request == KVM_CHECK_EXTENSION && (uintptr_t)arg == hidden_capability)
		return 0;
	return __real_ioctl(fd, request, arg);
}

/* ---- and what must come of it ---- */

static unsigned entries(const char *path)
{
	unsigned n = 0;
	DIR *d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

/* A thread that was joined is listed for a moment more. */
static bool threads_come_down(unsigned before)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	for (unsigned i = 0; i < 2000; i++) {
		if (entries("/proc/self/task") <= before)
			return true;
		(void)nanosleep(&moment, NULL);
	}
	return false;
}

static unsigned before_fds, before_threads;

static void must_be_clean(unsigned place)
{
	ck_assert_msg(held_count == 0, "place %u, %s: %u blocks are left", place, refused,
	              held_count);
	ck_assert_msg(mapped_bytes == 0, "place %u, %s: %zu bytes are mapped", place, refused,
	              mapped_bytes);
	ck_assert_msg(threads_come_down(before_threads), "place %u, %s: threads are left", place,
	              refused);
	unsigned fds = entries("/proc/self/fd");
	ck_assert_msg(fds == before_fds, "place %u, %s: %u descriptors, there were %u", place,
	              refused, fds, before_fds);
}

static void *return_at_once(void *arg)
{
	return arg;
}

/* A sanitizer's run-time starts a thread of its own with the first of the program's. Ours is listed
 * for a moment more. */
static void start_first_thread(void)
{
	const struct timespec moment = {.tv_nsec = 20000000};
	pthread_t t;
	ck_assert_int_eq(pthread_create(&t, NULL, return_at_once, NULL), 0);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	(void)nanosleep(&moment, NULL);
}

/* The call that was refused now is one of those that may be. */
static void count_tolerated(const struct tolerated *tolerated, unsigned *seen, unsigned place)
{
	unsigned i = 0;
	while (tolerated && tolerated[i].call && strcmp(tolerated[i].call, refused) != 0)
		i++;
	ck_assert_msg(tolerated && tolerated[i].call && seen[i]++ < tolerated[i].places,
	              "place %u: without %s it goes on all the same", place, refused);
}

void refuse_each(bool (*try)(vmm_err_info_t *ei), const struct tolerated *tolerated)
{
	unsigned seen[TOLERATED_MAX] = {0}, places = 0;
	start_first_thread();
	before_fds = entries("/proc/self/fd");
	before_threads = entries("/proc/self/task");
	for (;; places++) {
		ck_assert_uint_lt(places, PLACES_MAX);
		vmm_err_info_t ei = {0};
		held_count = 0;
		mapped_bytes = 0;
		refused[0] = '\0';
		left = places + 1;
		trying = true;
		counting = true;
		bool done = try(&ei);
		counting = false;
		trying = false;
		must_be_clean(places);
		if (!refused[0]) {
			ck_assert_msg(done, "fails by itself: %s: %s", ei.field, ei.message);
			break;
		}
		if (done)
			count_tolerated(tolerated, seen, places);
		else
			ck_assert_msg(ei.message[0] && ei.field[0], "place %u, %s: no reason",
			              places, refused);
	}
	ck_assert_uint_gt(places, 1);
	for (unsigned i = 0; tolerated && tolerated[i].call; i++)
		ck_assert_msg(seen[i] == tolerated[i].places, "%s was tolerated at %u places",
		              tolerated[i].call, seen[i]);
}
