/* A protocol stack as an ordinary process: its device, its clock and its loop. */
#ifndef EXAMPLES_TAP_HOST_H
#define EXAMPLES_TAP_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "net/stack/stack.h"

#define CHUNK 65536u

/* Memory for a frame that comes in. */
struct frame_buf {
	struct frame_buf *next;
	uint8_t data[65536 + 128];
};

struct host {
	int fd;
	bool vnet; /* frames have a virtio-net header: checksum and segmentation offloads */
	struct net_stack *st;
	struct net_if *nif;
	struct frame_buf *unused; /* to be read into: fresh memory costs more than the copy */
	struct net_buf *stream;   /* CHUNK bytes of a pattern, for whoever sends some */
	bool done;
	int status;              /* of the process, once done */
	void (*tick)(void *ctx); /* optional: called after each turn of the loop */
	void *tick_ctx;
};

/* DEVICE is the name of a TAP, or "fd:N": a packet socket pair's end, one frame a message. What is
 * left 0 in CFG is filled in. Ends the process if the device or the memory is not to be had. */
void host_open(struct host *h, const char *device, const struct net_cfg *cfg);
/* Until h->done, SIGTERM or SIGINT. */
void host_loop(struct host *h);
void host_close(struct host *h);
uint64_t host_now_ns(void);
/* A listener on PORT whose connections are given to FN with CTX; ends the process if there can be
 * none. */
void host_listen(struct host *h, uint16_t port, net_event_fn fn, void *ctx);
/* Read and forget. The last result of net_recv_bufs: 0 at the end, -NET_EAGAIN if more may come. */
int host_discard(struct host *h, struct net_sock *s, uint64_t *count);

/* An iperf3 server on port 5201: one test at a time, TCP, either direction, parallel streams. */
void iperf3_serve(struct host *h);

#endif
