/*
 * Descriptors that only Berkeley DB gets. It opens files of its log at any
 * time and in any thread, and where it finds no descriptor it asks twice more
 * within seconds and then gives up its environment: the queue would end, and
 * recover. So it opens and closes by the functions below, which keep two: for
 * the next file of the log, and for an old one that is read.
 *
 * It syncs by one of them too, which believes no sync after one that failed.
 *
 * All stores of a process have these together, as Berkeley DB has its hooks.
 * Called by store_bdb.c. Trusts that another thread which takes the descriptor
 * just closed gives it back within PATIENCE_MS: none of ours keeps one that
 * long where it is short of them.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "os/spare.h"
#include "queue/store_bdb.h"

enum { STEP_MS = 10, PATIENCE_MS = 12 * 1000 /* Berkeley DB's own */ };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct spare spare;
static atomic_int unsynced; /* the error of a sync */

static void
keep(void)
{
	pthread_mutex_lock(&lock);
	spare_keep(&spare);
	pthread_mutex_unlock(&lock);
}

static int
give_up(void)
{
	int had;

	pthread_mutex_lock(&lock);
	had = spare_give_up(&spare);
	pthread_mutex_unlock(&lock);
	return had;
}

static int
open_file(const char *path, int flags, ...)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000 };
	int fd, is_short, waited = 0;
	unsigned mode;
	va_list ap;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, unsigned) : 0;
	va_end(ap);
	while ((fd = open(path, flags | O_CLOEXEC, mode)) == -1) {
		is_short = errno == EMFILE || errno == ENFILE;
		if (errno == EINTR || (is_short && give_up()))
			continue;
		if ((!is_short && errno != ENOSPC) || waited >= PATIENCE_MS)
			return -1;
		nanosleep(&step, NULL);
		waited += STEP_MS;
	}
	return fd;
}

static int
close_file(int fd)
{
	int rc = close(fd);

	keep();
	return rc;
}

/* Of octets that could not be written a sync tells once, to whichever thread
 * comes first; the next would succeed without them. So none does. */
static int
sync_file(int fd)
{
	int error = atomic_load(&unsynced);

	while (error == 0 && fdatasync(fd) == -1)
		if (errno != EINTR)
			atomic_store(&unsynced, error = errno);
	errno = error;
	return error;
}

void
store_spare_keep(void)
{
	atomic_store(&unsynced, 0);
	db_env_set_func_fsync(sync_file);
	db_env_set_func_open(open_file);
	db_env_set_func_close(close_file);
	keep();
}

void
store_spare_drop(void)
{
	while (give_up())
		;
}
