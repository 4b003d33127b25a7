/*
 * The library's threads: vCPUs, event loop, disk workers. They inherit the signal mask of whoever
 * starts them.
 */
#ifndef SRC_VMM_THREAD_H
#define SRC_VMM_THREAD_H

#include <pthread.h>

/*
 * Room for callbacks of the embedder, and less than a huge page: on a host that gives those out
 * unasked, the first use of a larger stack would zero, and keep, 2 MiB.
 */
#define THREAD_STACK_BYTES (1u << 20)

/* pthread_create with that stack: 0 or an errno. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

#endif
