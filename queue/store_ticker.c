/*
 * The checkpoint thread of the Berkeley DB store: writes the pages that
 * changed, by time and when enough log has gathered, so that recovery is
 * short and the log can go. It logs nothing, since the log belongs to the
 * thread of the loop; a failure is left in `failed` for that one to find.
 */
#include <string.h>
#include <time.h>

#include "queue/store_bdb.h"

static void
deadline_after(struct timespec *ts, uint32_t ms)
{
	clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_sec += ms / 1000;
	ts->tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_sec++;
		ts->tv_nsec -= 1000000000;
	}
}

/* Sleeps until it is time or asked for. 0 when the thread must end. */
static int
wait_for_turn(struct store_ticker *t)
{
	struct timespec until;
	int stop, rc = 0;

	deadline_after(&until, t->interval_ms);
	pthread_mutex_lock(&t->lock);
	while (!t->stop && !t->wanted && rc == 0)
		rc = pthread_cond_timedwait(&t->wake, &t->lock, &until);
	t->wanted = 0;
	stop = t->stop;
	pthread_mutex_unlock(&t->lock);
	return !stop;
}

static void *
ticker_main(void *arg)
{
	struct store_ticker *t = arg;
	int rc;

	while (wait_for_turn(t)) {
		pthread_mutex_lock(&t->writing);
		rc = t->env->txn_checkpoint(t->env, 0, 0, 0);
		pthread_mutex_unlock(&t->writing);
		if (rc != 0) {
			atomic_store(&t->failed, rc);
			break;
		}
		atomic_fetch_add(&t->checkpoints, 1);
	}
	return NULL;
}

int
store_ticker_start(struct store_ticker *t, DB_ENV *env, uint32_t interval_ms)
{
	pthread_condattr_t attr;

	t->env = env;
	t->interval_ms = interval_ms;
	if (pthread_condattr_init(&attr) != 0)
		return -1;
	if (pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&t->wake, &attr) != 0) {
		pthread_condattr_destroy(&attr);
		return -1;
	}
	pthread_condattr_destroy(&attr);
	if (pthread_mutex_init(&t->lock, NULL) != 0 ||
	    pthread_mutex_init(&t->writing, NULL) != 0 ||
	    pthread_create(&t->thread, NULL, ticker_main, t) != 0)
		return -1;
	t->running = 1;
	return 0;
}

void
store_ticker_stop(struct store_ticker *t)
{
	if (!t->running)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = 1;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->writing);
	t->running = 0;
}

void
store_ticker_wake(struct store_ticker *t)
{
	pthread_mutex_lock(&t->lock);
	t->wanted = 1;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
}
