/* What chardev.c (transfers) and chardev_open.c (opening and closing) share. */
#ifndef SRC_DEVICES_CHARDEV_PRIV_H
#define SRC_DEVICES_CHARDEV_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "devices/chardev.h"

/* How a descriptor is kept from blocking. */
enum chardev_mode {
	CHARDEV_NONBLOCK, /* our own description, O_NONBLOCK set */
	CHARDEV_SOCKET,   /* shared: MSG_DONTWAIT */
	CHARDEV_POLLED,   /* shared: poll first, small transfers */
	CHARDEV_DIRECT,   /* a regular file: never waits for long, and epoll refuses it */
};

struct chardev_end {
	struct loop_source source; /* fd is -1: not open */
	enum chardev_mode mode;
	bool pipe; /* writing may raise SIGPIPE */
};

struct chardev {
	vmm_chardev_kind_t kind;
	char field[32];
	struct loop *loop;
	struct log *log;
	const struct chardev_ops *ops;
	void *ctx;

	/* The loop's thread. */
	struct chardev_end in;
	struct loop_source listener;
	struct loop_timer timer;     /* PTY: look whether somebody came; file: read on */
	struct loop_task input_task; /* input_room */
	struct loop_task flush_task; /* output has to wait for EPOLLOUT */
	struct loop_task begin_task; /* FILE: the VM runs */
	bool paused;                 /* the consumer is full */
	size_t input_len;
	uint8_t input[CHARDEV_INPUT_MAX];

	pthread_mutex_t lock;   /* for what follows */
	struct chardev_end out; /* its source is added and deleted on the loop's thread */
	bool connected;
	bool room_wanted; /* chardev_write took too little */
	bool stuck;       /* chardev_write_wait waited in vain */
	bool untouched;   /* FILE: its old contents are still there */
	uint64_t dropped;
	size_t pending_head;
	size_t pending_len;
	uint8_t pending[CHARDEV_PENDING_MAX]; /* a circle */

	char *path; /* UNIX: the socket; PTY: the slave; FILE: the file */
	dev_t made_dev;
	ino_t made_ino;
	bool made; /* PATH did not exist before */
};

/* chardev_open.c */
VMM_WARN_UNUSED vmm_err_t chardev_open(struct chardev *cd, const vmm_chardev_opts_t *opts,
                                       vmm_err_info_t *ei);
/* Close an end that is not on the loop. */
void chardev_end_close(struct chardev_end *end);
/* A second descriptor for the output of a connection whose input is IN_FD. */
VMM_WARN_UNUSED bool chardev_connect_ends(struct chardev *cd, int in_fd);
/* Remove what opening has made at cd->path, if it is still there. */
void chardev_unlink_made(struct chardev *cd);

#endif
