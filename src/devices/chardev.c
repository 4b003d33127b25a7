/* Transfers between the host's end of a character stream and its device. See chardev.h. */
#include "devices/chardev_priv.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/clock.h"
#include "vmm/errset.h"

#define PTY_LOOK_NS     (200 * NS_PER_MS)
#define READS_PER_ROUND 16
#define CLOSE_WAIT_MS   100

static bool poll_now(int fd, short events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;
	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* write() to a pipe whose reader left must not end the embedder's process, whose signal handling is
 * not ours to change: SIGPIPE is blocked meanwhile, and taken back if this call raised it. */
static ssize_t write_pipe(int fd, const uint8_t *data, size_t len)
{
	sigset_t pipe_only;
	sigset_t old;
	sigset_t before;
	(void)sigemptyset(&pipe_only);
	(void)sigaddset(&pipe_only, SIGPIPE);
	(void)sigpending(&before);
	(void)pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
	ssize_t n = write(fd, data, len);
	int err = errno;
	if (n < 0 && err == EPIPE && !sigismember(&before, SIGPIPE)) {
		const struct timespec at_once = {0};
		(void)sigtimedwait(&pipe_only, NULL, &at_once);
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = err;
	return n;
}

static ssize_t write_once(const struct chardev_end *end, const uint8_t *data, size_t len)
{
	int fd = end->source.fd;
	if (end->mode == CHARDEV_SOCKET)
		return send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (end->mode == CHARDEV_POLLED) {
		if (!poll_now(fd, POLLOUT, 0)) {
			errno = EAGAIN;
			return -1;
		}
		if (len > PIPE_BUF)
			len = PIPE_BUF; /* as much as a pipe that polls writable takes */
	}
	return end->pipe ? write_pipe(fd, data, len) : write(fd, data, len);
}

/* Nothing can be written any more: what waits is dropped, what comes as well. Lock held. */
static void output_failed(struct chardev *cd, int err)
{
	if (cd->kind == VMM_CHARDEV_FD || cd->kind == VMM_CHARDEV_FILE)
		log_say(cd->log, VMM_LOG_WARN, "%s: output ends here: %s", cd->field,
		        strerror(err));
	cd->dropped += cd->pending_len;
	cd->pending_len = 0;
	cd->connected = false;
}

/* A file is this VM's from now on. Lock held. */
static void begin(struct chardev *cd)
{
	if (cd->untouched && ftruncate(cd->out.source.fd, 0) < 0)
		log_say(cd->log, VMM_LOG_WARN, "%s: cannot empty '%s': %s", cd->field, cd->path,
		        strerror(errno));
	cd->untouched = false;
}

/* As much as goes without blocking. Lock held. */
static size_t put(struct chardev *cd, const uint8_t *data, size_t len)
{
	size_t done = 0;
	begin(cd);
	while (done < len && cd->connected) {
		ssize_t n = write_once(&cd->out, data + done, len - done);
		if (n > 0) {
			done += (size_t)n;
			cd->stuck = false;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n == 0 || errno == EAGAIN) {
			break;
		} else {
			output_failed(cd, errno);
		}
	}
	return done;
}

/* Lock held. */
static void flush(struct chardev *cd)
{
	while (cd->pending_len > 0) {
		size_t part = CHARDEV_PENDING_MAX - cd->pending_head;
		if (part > cd->pending_len)
			part = cd->pending_len;
		size_t n = put(cd, cd->pending + cd->pending_head, part);
		if (cd->pending_len == 0)
			break; /* the output failed */
		cd->pending_head = (cd->pending_head + n) % CHARDEV_PENDING_MAX;
		cd->pending_len -= n;
		if (n < part)
			break;
	}
}

/* Keep what fits. Lock held. */
static size_t keep(struct chardev *cd, const uint8_t *data, size_t len)
{
	size_t room = CHARDEV_PENDING_MAX - cd->pending_len;
	if (len > room)
		len = room;
	for (size_t done = 0; done < len;) {
		size_t at = (cd->pending_head + cd->pending_len) % CHARDEV_PENDING_MAX;
		size_t part = CHARDEV_PENDING_MAX - at;
		if (part > len - done)
			part = len - done;
		memcpy(cd->pending + at, data + done, part);
		cd->pending_len += part;
		done += part;
	}
	return len;
}

static bool has_output(const struct chardev *cd)
{
	return cd->connected && cd->out.source.fd >= 0;
}

/* Lock held. */
static size_t write_locked(struct chardev *cd, const uint8_t *data, size_t len)
{
	size_t done = 0;
	if (has_output(cd) && cd->pending_len == 0)
		done = put(cd, data, len);
	if (!has_output(cd)) {
		cd->dropped += len - done;
		return len;
	}
	if (done == len)
		return len;
	done += keep(cd, data + done, len - done);
	loop_post(cd->loop, &cd->flush_task);
	return done;
}

size_t chardev_write(struct chardev *cd, const uint8_t *data, size_t len)
{
	(void)pthread_mutex_lock(&cd->lock);
	size_t done = write_locked(cd, data, len);
	if (done < len)
		cd->room_wanted = true;
	(void)pthread_mutex_unlock(&cd->lock);
	return done;
}

void chardev_write_wait(struct chardev *cd, const uint8_t *data, size_t len, int timeout_ms)
{
	(void)pthread_mutex_lock(&cd->lock);
	size_t done = write_locked(cd, data, len);
	while (done < len && !cd->stuck) {
		/* Waiting with the lock held keeps the descriptor from being closed. */
		size_t before = cd->pending_len;
		(void)poll_now(cd->out.source.fd, POLLOUT, timeout_ms);
		flush(cd);
		if (cd->pending_len == before)
			cd->stuck = true;
		done += write_locked(cd, data + done, len - done);
	}
	cd->dropped += len - done;
	(void)pthread_mutex_unlock(&cd->lock);
}

static void set_watch(struct chardev *cd, struct loop_source *src, uint32_t events)
{
	if (!src->added && src->fd >= 0 && loop_add(cd->loop, src, events, NULL))
		src->added = false;
}

static void tell_connected(struct chardev *cd, bool connected)
{
	if (cd->ops->connected)
		cd->ops->connected(cd->ctx, connected);
}

static void look_later(struct chardev *cd)
{
	loop_timer_set(cd->loop, &cd->timer, clock_now_ns() + PTY_LOOK_NS);
}

/* The other side of a socket or pseudo-terminal has gone. */
static void disconnect(struct chardev *cd)
{
	loop_del(cd->loop, &cd->in.source);
	(void)pthread_mutex_lock(&cd->lock);
	loop_del(cd->loop, &cd->out.source);
	cd->connected = false;
	cd->dropped += cd->pending_len;
	cd->pending_len = 0;
	cd->stuck = false;
	bool room = cd->room_wanted;
	cd->room_wanted = false;
	if (cd->kind == VMM_CHARDEV_UNIX) {
		chardev_end_close(&cd->in);
		chardev_end_close(&cd->out);
	}
	(void)pthread_mutex_unlock(&cd->lock);
	tell_connected(cd, false);
	if (room && cd->ops->writable)
		cd->ops->writable(cd->ctx);
	if (cd->kind == VMM_CHARDEV_PTY)
		look_later(cd);
	else
		set_watch(cd, &cd->listener, EPOLLIN);
}

static void input_ended(struct chardev *cd)
{
	if (cd->kind == VMM_CHARDEV_PTY || cd->kind == VMM_CHARDEV_UNIX) {
		disconnect(cd);
		return;
	}
	loop_del(cd->loop, &cd->in.source);
	chardev_end_close(&cd->in);
}

/* Give the consumer what was read; false if it is full. */
static bool offer(struct chardev *cd)
{
	size_t taken = cd->input_len ? cd->ops->input(cd->ctx, cd->input, cd->input_len) : 0;
	cd->input_len -= taken;
	memmove(cd->input, cd->input + taken, cd->input_len);
	cd->paused = cd->input_len > 0;
	if (cd->paused)
		loop_del(cd->loop, &cd->in.source);
	return !cd->paused;
}

static ssize_t read_once(struct chardev *cd)
{
	int fd = cd->in.source.fd;
	if (cd->in.mode == CHARDEV_SOCKET)
		return recv(fd, cd->input, sizeof(cd->input), MSG_DONTWAIT);
	if (cd->in.mode == CHARDEV_POLLED && !poll_now(fd, POLLIN, 0)) {
		errno = EAGAIN;
		return -1;
	}
	return read(fd, cd->input, sizeof(cd->input));
}

/* Read until there is no more, the consumer is full, or others should have a turn. */
static void read_input(struct chardev *cd)
{
	for (int i = 0; i < READS_PER_ROUND && cd->in.source.fd >= 0 && !cd->paused; i++) {
		ssize_t n = read_once(cd);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			input_ended(cd);
			return;
		}
		cd->input_len = (size_t)n;
		if (!offer(cd))
			return;
	}
}

static void watch_input(struct chardev *cd)
{
	if (cd->in.source.fd < 0 || cd->paused)
		return;
	set_watch(cd, &cd->in.source, EPOLLIN);
	/* What epoll refuses (a regular file, /dev/null) is always ready: read it bit by bit. */
	if (!cd->in.source.added)
		loop_timer_set(cd->loop, &cd->timer, clock_now_ns());
}

static void input_ready(void *ctx, uint32_t events)
{
	(void)events;
	read_input(ctx);
}

static void run_input(void *ctx)
{
	struct chardev *cd = ctx;
	/* A pseudo-terminal without a slave would report its hang-up without end. */
	if (cd->paused && offer(cd) && (cd->kind != VMM_CHARDEV_PTY || chardev_connected(cd)))
		watch_input(cd);
}

void chardev_input_room(struct chardev *cd)
{
	loop_post(cd->loop, &cd->input_task);
}

static void run_flush(void *ctx)
{
	struct chardev *cd = ctx;
	(void)pthread_mutex_lock(&cd->lock);
	flush(cd);
	bool empty = cd->pending_len == 0;
	bool room = empty && cd->room_wanted;
	if (empty) {
		cd->room_wanted = false;
		loop_del(cd->loop, &cd->out.source);
	} else {
		set_watch(cd, &cd->out.source, EPOLLOUT);
	}
	(void)pthread_mutex_unlock(&cd->lock);
	if (room && cd->ops->writable)
		cd->ops->writable(cd->ctx);
}

static void output_ready(void *ctx, uint32_t events)
{
	struct chardev *cd = ctx;
	if ((events & EPOLLHUP) && cd->kind == VMM_CHARDEV_PTY) {
		disconnect(cd);
		return;
	}
	run_flush(cd);
}

/* The loop runs: the VM was started. */
static void run_begin(void *ctx)
{
	struct chardev *cd = ctx;
	(void)pthread_mutex_lock(&cd->lock);
	begin(cd);
	(void)pthread_mutex_unlock(&cd->lock);
}

static void connect_now(struct chardev *cd)
{
	(void)pthread_mutex_lock(&cd->lock);
	cd->connected = true;
	(void)pthread_mutex_unlock(&cd->lock);
	tell_connected(cd, true);
	watch_input(cd);
}

static void listener_ready(void *ctx, uint32_t events)
{
	(void)events;
	struct chardev *cd = ctx;
	int fd = accept4(cd->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	(void)pthread_mutex_lock(&cd->lock);
	bool ok = chardev_connect_ends(cd, fd);
	(void)pthread_mutex_unlock(&cd->lock);
	if (!ok) {
		(void)close(fd);
		return;
	}
	loop_del(cd->loop, &cd->listener); /* one at a time: the next one waits */
	connect_now(cd);
}

static void timer_expired(void *ctx)
{
	struct chardev *cd = ctx;
	if (cd->kind != VMM_CHARDEV_PTY) {
		read_input(cd);
		watch_input(cd);
		return;
	}
	struct pollfd p = {.fd = cd->in.source.fd, .events = POLLIN};
	if (poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP))
		connect_now(cd);
	else
		look_later(cd);
}

vmm_err_t chardev_create(const vmm_chardev_opts_t *opts, const char *field, struct loop *loop,
                         struct log *log, struct chardev **out, vmm_err_info_t *ei)
{
	*out = NULL;
	struct chardev *cd = calloc(1, sizeof(*cd));
	if (!cd)
		return err_set(ei, VMM_E_NOMEM, field, "out of memory");
	(void)snprintf(cd->field, sizeof(cd->field), "%s", field);
	(void)pthread_mutex_init(&cd->lock, NULL);
	cd->loop = loop;
	cd->log = log;
	cd->in.source = (struct loop_source){.fd = -1, .ready = input_ready, .ctx = cd};
	cd->out.source = (struct loop_source){.fd = -1, .ready = output_ready, .ctx = cd};
	cd->listener = (struct loop_source){.fd = -1, .ready = listener_ready, .ctx = cd};
	cd->timer = (struct loop_timer){.expired = timer_expired, .ctx = cd};
	cd->input_task = (struct loop_task){.run = run_input, .ctx = cd};
	cd->flush_task = (struct loop_task){.run = run_flush, .ctx = cd};
	cd->begin_task = (struct loop_task){.run = run_begin, .ctx = cd};
	vmm_err_t err = chardev_open(cd, opts, ei);
	if (err) {
		chardev_destroy(cd);
		return err;
	}
	*out = cd;
	return VMM_OK;
}

vmm_err_t chardev_attach(struct chardev *cd, const struct chardev_ops *ops, void *ctx,
                         vmm_err_info_t *ei)
{
	cd->ops = ops;
	cd->ctx = ctx;
	if (cd->kind == VMM_CHARDEV_UNIX)
		return loop_add(cd->loop, &cd->listener, EPOLLIN, ei);
	if (cd->untouched)
		loop_post(cd->loop, &cd->begin_task);
	if (cd->kind == VMM_CHARDEV_PTY)
		look_later(cd);
	else
		watch_input(cd);
	return VMM_OK;
}

void chardev_destroy(struct chardev *cd)
{
	if (!cd)
		return;
	flush(cd);
	while (cd->pending_len > 0 && poll_now(cd->out.source.fd, POLLOUT, CLOSE_WAIT_MS))
		flush(cd);
	loop_timer_cancel(cd->loop, &cd->timer);
	loop_unpost(cd->loop, &cd->input_task);
	loop_unpost(cd->loop, &cd->flush_task);
	loop_unpost(cd->loop, &cd->begin_task);
	loop_del(cd->loop, &cd->in.source);
	loop_del(cd->loop, &cd->out.source);
	loop_del(cd->loop, &cd->listener);
	/* A socket goes with its listener, a file stays unless the VM never ran. */
	if (cd->kind == VMM_CHARDEV_UNIX || cd->untouched)
		chardev_unlink_made(cd);
	if (cd->listener.fd >= 0)
		(void)close(cd->listener.fd);
	chardev_end_close(&cd->in);
	chardev_end_close(&cd->out);
	(void)pthread_mutex_destroy(&cd->lock);
	free(cd->path);
	free(cd);
}

bool chardev_connected(struct chardev *cd)
{
	(void)pthread_mutex_lock(&cd->lock);
	bool connected = cd->connected;
	(void)pthread_mutex_unlock(&cd->lock);
	return connected;
}

const char *chardev_pty(const struct chardev *cd)
{
	return cd->kind == VMM_CHARDEV_PTY ? cd->path : NULL;
}
