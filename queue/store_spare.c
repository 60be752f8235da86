/*
 * Descriptors that only Berkeley DB gets. It opens files of its log at any
 * time and in any thread, and where it finds no descriptor it asks twice more
 * within seconds and then gives up its environment: the queue would end, and
 * recover. So some are kept open that mean nothing, and one is closed for a
 * file that finds none. That also holds when the limit falls while we run, or
 * when the machine has none left: the shares of store_files.c cannot know.
 *
 * All stores of a process have these together, as Berkeley DB has its hooks.
 * Trusts that another thread which takes the descriptor just closed gives it
 * back within PATIENCE_MS: none of ours keeps one that long where it is short
 * of them.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "queue/store_bdb.h"

enum {
	/* the next file of the log, and an old one that is read */
	SPARES = 2,
	STEP_MS = 10,
	PATIENCE_MS = 12 * 1000 /* Berkeley DB's own */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int spare[SPARES];
static unsigned count; /* of them */

static void
keep(void)
{
	int fd;

	pthread_mutex_lock(&lock);
	while (count < SPARES && (fd = open("/", O_PATH | O_CLOEXEC)) != -1)
		spare[count++] = fd;
	pthread_mutex_unlock(&lock);
}

/* Whether there was one. */
static int
give_up(void)
{
	int had;

	pthread_mutex_lock(&lock);
	if ((had = count > 0))
		close(spare[--count]);
	pthread_mutex_unlock(&lock);
	return had;
}

/* For want of what others may soon give back. */
static int
is_for_now(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOSPC;
}

static int
open_file(const char *path, int flags, ...)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000 };
	int fd, waited = 0;
	unsigned mode;
	va_list ap;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, unsigned) : 0;
	va_end(ap);
	while ((fd = open(path, flags | O_CLOEXEC, mode)) == -1) {
		if (errno == EINTR ||
		    ((errno == EMFILE || errno == ENFILE) && give_up()))
			continue;
		if (!is_for_now(errno) || waited >= PATIENCE_MS)
			return -1;
		nanosleep(&step, NULL);
		waited += STEP_MS;
	}
	return fd;
}

static int
close_file(int fd)
{
	int rc = close(fd), error = errno;

	keep();
	errno = error;
	return rc;
}

void
store_spare_keep(void)
{
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
