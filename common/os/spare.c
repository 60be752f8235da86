/*
 * See spare.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "os/spare.h"

void
spare_keep(struct spare *s)
{
	int error = errno, fd;

	while (s->count < SPARE_COUNT &&
	    (fd = open("/", O_PATH | O_CLOEXEC)) != -1)
		s->fd[s->count++] = fd;
	errno = error;
}

int
spare_give_up(struct spare *s)
{
	int error = errno;

	if (s->count == 0)
		return 0;
	close(s->fd[--s->count]);
	errno = error;
	return 1;
}
