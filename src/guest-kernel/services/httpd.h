/*
 * The HTTP server on port 80 (gk.http=PORT, 0 for none): '/' is the status page, '/metrics' the
 * same figures for Prometheus. One task accepts; each connection has a task of its own, at most
 * HTTPD_CONNS of them. The last of them is not kept alive, so that one is free again soon; who has
 * waited for one HTTPD_HASTE_NS is told to come later (503). A client that is silent for
 * HTTPD_PATIENCE_NS, or slower than that with a request, is left.
 */
#ifndef GK_SERVICES_HTTPD_H
#define GK_SERVICES_HTTPD_H

#include "guest-kernel/services/system.h"

#define HTTPD_PORT        80u
#define HTTPD_CONNS       16u
#define HTTPD_PATIENCE_NS (10 * NS_PER_S)
#define HTTPD_HASTE_NS    (100 * NS_PER_MS)
#define HTTPD_PAGE_BYTES  16384u

struct httpd {
	struct system *sys;
	struct ksock *listener;
	struct task *task;
	struct spinlock lock;
	struct waitq room; /* under it: */
	unsigned conns;    /* tasks that serve one */
	bool stopping;
	uint64_t requests, errors, refused;
	uint64_t connections;
};

/* False: WHY says what is missing. Task context. */
bool httpd_start(struct httpd *h, struct system *sys, unsigned port, const char **why);
/* Waits until every connection is over; each ends with its request. */
void httpd_stop(struct httpd *h);

/* page.c: the pages, written into OUT, at most CAP bytes; how many. */
size_t page_status(struct system *sys, char *out, size_t cap);
size_t page_metrics(struct system *sys, char *out, size_t cap);

#endif
