/* Starting threads. See thread.h. */
#include "thread.h"

int thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);
	if (err)
		return err;
	err = pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	if (!err)
		err = pthread_create(thread, &attr, run, arg);
	(void)pthread_attr_destroy(&attr);
	return err;
}
