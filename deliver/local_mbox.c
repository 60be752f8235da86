/*
 * Appending to a file in mbox form: a user's mailbox in the mail folder, or a
 * file that an alias or a .forward names. Locked with a dot lock and with
 * fcntl, since mail readers use either; cut back to its old length when
 * anything fails, so that no reader ever sees half a message.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/statfs.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "deliver/local.h"

enum {
	LOCK_TRIES = 60,
	LOCK_WAIT_MS = 500,
	STALE_SECONDS = 600,
	/* trace fields, and what quoting adds */
	ROOM_BESIDE = 16 * 1024
};

static void
wait_a_moment(void)
{
	struct timespec ts = { 0, LOCK_WAIT_MS * 1000000L };

	nanosleep(&ts, NULL);
}

/* 1 with the lock held, 0 where the folder allows none, -1 if it stays
 * taken. */
static int
take_dot_lock(const char *lock)
{
	struct stat st;
	int fd;

	for (int i = 0; i < LOCK_TRIES; i++) {
		fd = open(lock,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd != -1) {
			close(fd);
			return 1;
		}
		if (errno != EEXIST)
			return errno == EACCES || errno == EPERM ||
				errno == EROFS
			    ? 0
			    : -1;
		if (lstat(lock, &st) == 0 &&
		    time(NULL) - st.st_mtime > STALE_SECONDS)
			unlink(lock);
		else
			wait_a_moment();
	}
	errno = EWOULDBLOCK;
	return -1;
}

static int
take_fcntl_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (fcntl(fd, F_SETLK, &lock) == 0)
			return 0;
		if (errno != EACCES && errno != EAGAIN)
			return -1;
		wait_a_moment();
	}
	return -1;
}

/* The file must be the recipient's own, and only his: a symbolic link, a
 * second name, a FIFO or another's file is somebody's trap. */
static int
check_file(int fd, struct stat *st, struct local_outcome *out)
{
	if (fstat(fd, st) == -1)
		return local_error(out, "mailbox", errno);
	if (!S_ISREG(st->st_mode))
		return local_done(out, DELIVERY_PERMFAIL, 550, "5.2.0",
		    "the mailbox is not a regular file");
	if (st->st_uid != geteuid())
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.2.0",
		    "the mailbox belongs to somebody else");
	if (st->st_nlink != 1)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.2.0",
		    "the mailbox has more than one name");
	return 0;
}

/* What was cut off in a crash, or a mailbox that was made by hand, may end
 * inside a line; a From line must follow an empty one. Writes what is missing.
 * 0, or -1 with errno. */
static int
end_last_message(int fd, off_t size)
{
	char end[2] = { '\n', '\n' };
	off_t at = size < 2 ? 0 : size - 2;
	size_t missing;

	if (size == 0)
		return 0;
	if (pread(fd, end + (at + 2 - size), (size_t)(size - at), at) == -1)
		return -1;
	missing = end[1] != '\n' ? 2 : end[0] != '\n' ? 1 : 0;
	return write(fd, "\n\n", missing) == (ssize_t)missing ? 0 : -1;
}

/* Which of a user's files, or of an alias's, it was is not told elsewhere. */
static int
mailbox_error(
    struct local_outcome *out, const char *what, const char *path, int error)
{
	char text[512];

	snprintf(text, sizeof(text), "%s %s", what, path);
	return local_error(out, text, error);
}

/* Btrfs cannot even cut a file when a quota is used up: what will be written
 * must have its room before. What is not needed of it stays for the next
 * message. */
static int
reserve_room(int fd, off_t size, uint64_t len)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == -1 ||
	    (unsigned long)fs.f_type != BTRFS_SUPER_MAGIC)
		return 0;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, size,
		(off_t)(len + ROOM_BESIDE)) == -1 &&
	    (errno == EDQUOT || errno == ENOSPC))
		return -1;
	return 0;
}

static int
append(const struct local_job *job, const char *path, int fd,
    struct local_outcome *out)
{
	struct stat st;
	int error;

	if (take_fcntl_lock(fd) == -1)
		return mailbox_error(out, "locking the mailbox", path, errno);
	if (check_file(fd, &st, out) == -1)
		return -1;
	if (reserve_room(fd, st.st_size, job->size) == -1)
		return mailbox_error(out, "writing the mailbox", path, errno);
	/* an empty one may be new, and its name not on the disk yet */
	if (end_last_message(fd, st.st_size) == 0 &&
	    local_copy(job, fd, COPY_MBOX) == 0 && fsync(fd) == 0 &&
	    (st.st_size > 0 || local_sync_name(path) == 0 || errno == EINVAL))
		return local_done(
		    out, DELIVERY_OK, 250, "2.0.0", "delivered to mailbox");
	error = errno;
	if (ftruncate(fd, st.st_size) == -1 || fsync(fd) == -1)
		error = errno;
	return mailbox_error(out, "writing the mailbox", path, error);
}

static int
local_append(
    const struct local_job *job, const char *path, struct local_outcome *out)
{
	char lock[4096];
	int locked, fd, rc;

	if ((size_t)snprintf(lock, sizeof(lock), "%s.lock", path) >=
	    sizeof(lock))
		return local_error(out, path, ENAMETOOLONG);
	if ((locked = take_dot_lock(lock)) == -1)
		return errno == EWOULDBLOCK
		    ? local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.0",
			  "the mailbox %s is locked: by %s", path, lock)
		    : mailbox_error(out, "opening the mailbox", path, errno);
	/* O_NONBLOCK: a FIFO must not make us wait for its reader */
	fd = open(path,
	    O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
	    0600);
	if (fd == -1)
		rc = mailbox_error(out, "opening the mailbox", path, errno);
	else {
		rc = append(job, path, fd, out);
		close(fd);
	}
	if (locked)
		unlink(lock);
	return rc;
}

int
local_file(
    const struct local_job *job, const char *path, struct local_outcome *out)
{
	size_t len = strlen(path);

	return len > 0 && path[len - 1] == '/'
	    ? local_maildir_at(job, path, out)
	    : local_append(job, path, out);
}

int
local_mbox(const struct local_job *job, struct local_outcome *out)
{
	const char *folder = job->parameter[0] ? job->parameter : "/var/mail";
	char path[4096];

	if (strchr(job->user, '/') != NULL || job->user[0] == '.')
		return local_done(out, DELIVERY_PERMFAIL, 550, "5.1.1",
		    "this user can have no mailbox");
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, job->user) >=
	    sizeof(path))
		return local_error(out, folder, ENAMETOOLONG);
	if (!job->place->confined && setegid(job->mail_gid) == -1)
		return local_error(out, "the group of the mail folder", errno);
	if (local_confine(job, folder, out) == -1)
		return -1;
	return local_append(job, path, out);
}
