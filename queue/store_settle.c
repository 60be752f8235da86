/*
 * The files of the database before recovery: what is read of them then is on
 * the disk. What a write has left in the page cache need not be there: of
 * octets that could not be written the kernel says so once, and shows them all
 * the same. Recovery would take such a page for written, and the log of it
 * would go: it is lost with the next loss of power, or when the cache is
 * needed.
 *
 * Called by store_bdb.c, with the spool locked and no environment open. Trusts
 * that the folder is the queue's own; no link in it is followed.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/store_bdb.h"

/* Holes stay such: a start on a full disk needs room for the rest alone. */
static int
copy_all(int from, int to)
{
	static const uint8_t zero[1 << 12];
	static uint8_t data[sizeof(zero)];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(from, data, sizeof(data), at)) > 0) {
		if (memcmp(data, zero, (size_t)n) != 0 &&
		    (n = pwrite(to, data, (size_t)n, at)) == -1)
			return -1;
		at += n;
	}
	if (n == -1 || ftruncate(to, at) == -1)
		return -1;
	return fdatasync(to);
}

/*
 * In the place of a file of the log comes one that is written anew, with what
 * is seen of it. Written over, it would not get to the disk: ext4 takes the
 * blocks of a page whose write has failed for written from then on, and where
 * they were not, nothing but zeros is read of them when the cache is gone.
 */
static int
write_again(int folder, const char *name, int fd)
{
	static const char copy[] = "settling";
	int to, rc, error;

	to = openat(folder, copy,
	    O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to == -1)
		return -1;
	rc = copy_all(fd, to);
	if (rc == 0)
		rc = renameat(folder, copy, folder, name);
	error = errno;
	close(to);
	if (rc == -1)
		(void)unlinkat(folder, copy, 0);
	errno = error;
	return rc;
}

/* Of a file of a database only what is on the disk is left to be seen. What
 * fails to get there is in the log. */
static int
forget_unwritten(int fd)
{
	(void)fdatasync(fd);
	errno = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return errno == 0 ? 0 : -1;
}

static int
settle_file(int folder, const char *name)
{
	int fd, error, rc, is_log = strncmp(name, "log.", 4) == 0;
	const char *dot = strrchr(name, '.');

	if (!is_log && (dot == NULL || strcmp(dot, ".db") != 0))
		return 0;
	fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	rc = is_log ? write_again(folder, name, fd) : forget_unwritten(fd);
	error = errno;
	close(fd);
	errno = error;
	return rc;
}

int
store_settle(int folder)
{
	struct dirent **list;
	int count, rc = 0;

	/* before any is renamed: a listing under way may tell it once more */
	count = scandirat(folder, ".", &list, NULL, NULL);
	for (int i = 0; i < count; i++) {
		if (rc == 0)
			rc = settle_file(folder, list[i]->d_name);
		free(list[i]);
	}
	if (count != -1)
		free(list);
	if (rc == 0 && count != -1)
		rc = fsync(folder);
	return count == -1 ? -1 : rc;
}
