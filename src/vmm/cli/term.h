/*
 * The terminal of `vmm run`: raw mode, and Ctrl-A as the escape that the guest does not see. The
 * keys go to the guest through a pipe, so that the escape works even where the guest reads nothing.
 * One thread.
 */
#ifndef SRC_VMM_CLI_TERM_H
#define SRC_VMM_CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

enum term_request {
	TERM_NOTHING,
	TERM_QUIT,         /* Ctrl-A x */
	TERM_POWER_BUTTON, /* Ctrl-A p */
	TERM_RESET,        /* Ctrl-A r */
	TERM_STATS,        /* Ctrl-A s */
	TERM_HELP,         /* Ctrl-A h, or ? */
};

struct term {
	bool raw;     /* standard input is a terminal, and is ours */
	bool escaped; /* the last key was Ctrl-A */
	int guest_fd; /* read end: what the guest gets as its input */
	int keys_fd;  /* write end */
	struct termios saved;
	size_t at, len; /* keys that were read and not looked at: keys[at .. len) */
	char keys[256];
};

/* Look at standard input. If it is a terminal in our hands: raw mode, and a pipe. False (errno) if
 * a system call failed; the terminal is as it was then. */
bool term_open(struct term *t);
void term_close(struct term *t);

/* Read keys, unless some are pending, up to a request; those that are for the guest go to the pipe.
 * False at the end of the input. */
bool term_read(struct term *t, enum term_request *request);
/* Keys came behind the last request: term_read does not wait for more. */
bool term_pending(const struct term *t);

/* The pure part: filters KEYS in place; returns how many are left before a request ends it. */
size_t term_filter(struct term *t, char *keys, size_t len, size_t *used,
                   enum term_request *request);

extern const char term_help[];

#endif
