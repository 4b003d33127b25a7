/* The terminal of `vmm run`. See term.h. */
#include "term.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ESCAPE_KEY 0x01 /* Ctrl-A */

const char term_help[] = "\r\n"
                         "Ctrl-A x  end the VM at once\r\n"
                         "Ctrl-A p  press its power button\r\n"
                         "Ctrl-A r  reset it\r\n"
                         "Ctrl-A s  statistics so far\r\n"
                         "Ctrl-A h  this help\r\n"
                         "Ctrl-A Ctrl-A  a Ctrl-A for the guest\r\n";

/* In the background a read would stop this process. */
static bool terminal_is_ours(void)
{
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

bool term_open(struct term *t)
{
	*t = (struct term){.guest_fd = STDIN_FILENO, .keys_fd = -1};
	if (!isatty(STDIN_FILENO))
		return true;
	if (!terminal_is_ours()) {
		t->guest_fd = -1;
		return true;
	}
	int ends[2];
	if (tcgetattr(STDIN_FILENO, &t->saved) < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	struct termios raw = t->saved;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0) {
		int err = errno;
		(void)close(ends[0]);
		(void)close(ends[1]);
		errno = err;
		return false;
	}
	t->raw = true;
	t->guest_fd = ends[0];
	t->keys_fd = ends[1];
	return true;
}

void term_close(struct term *t)
{
	if (!t->raw)
		return;
	t->raw = false;
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
	(void)close(t->guest_fd);
	(void)close(t->keys_fd);
}

static enum term_request command(char key)
{
	switch (key) {
	case 'x':
		return TERM_QUIT;
	case 'p':
		return TERM_POWER_BUTTON;
	case 'r':
		return TERM_RESET;
	case 's':
		return TERM_STATS;
	case 'h':
	case '?':
		return TERM_HELP;
	default:
		return TERM_NOTHING;
	}
}

size_t term_filter(struct term *t, char *keys, size_t len, size_t *used, enum term_request *request)
{
	size_t kept = 0;
	*request = TERM_NOTHING;
	for (*used = 0; *used < len && *request == TERM_NOTHING; ++*used) {
		char key = keys[*used];
		if (!t->escaped && key == ESCAPE_KEY) {
			t->escaped = true;
			continue;
		}
		if (t->escaped && key != ESCAPE_KEY)
			*request = command(key);
		else
			keys[kept++] = key;
		t->escaped = false;
	}
	return kept;
}

bool term_pending(const struct term *t)
{
	return t->at < t->len;
}

bool term_read(struct term *t, enum term_request *request)
{
	*request = TERM_NOTHING;
	if (!term_pending(t)) {
		ssize_t n = read(STDIN_FILENO, t->keys, sizeof(t->keys));
		if (n <= 0)
			return n < 0 && (errno == EINTR || errno == EAGAIN);
		t->at = 0;
		t->len = (size_t)n;
	}
	size_t used = 0;
	for (; term_pending(t) && *request == TERM_NOTHING; t->at += used) {
		char *keys = t->keys + t->at;
		size_t kept = term_filter(t, keys, t->len - t->at, &used, request);
		/* A full pipe: nobody reads at the guest's end. Keys are dropped, as a tty does. */
		ssize_t written = write(t->keys_fd, keys, kept);
		(void)written;
	}
	return true;
}
