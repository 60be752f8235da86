/*
 * Whether there is a ~/.forward, and whether anybody but its owner could have
 * written it, or a list that it includes: who can, could make of the owner's
 * rights what he likes.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/xattr.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deliver/local.h"

/* Whether it is the own group of somebody else, who is in it without standing
 * among its members. */
static int
is_shared(gid_t gid)
{
	const struct passwd *other;
	int shared = 0;

	setpwent();
	while (!shared && (other = getpwent()) != NULL)
		shared = other->pw_gid == gid && other->pw_uid != geteuid();
	endpwent();
	return shared;
}

/* Debian and others give each user a group of his own, and a umask that lets
 * it write: nobody is in it but him. */
static int
is_private_group(gid_t gid)
{
	const struct group *group = gid == getgid() ? getgrgid(gid) : NULL;
	const struct passwd *user = group ? getpwuid(geteuid()) : NULL;

	return user != NULL && user->pw_gid == gid &&
	    strcmp(user->pw_name, group->gr_name) == 0 &&
	    group->gr_mem[0] == NULL && !is_shared(gid);
}

/* Where there is an access control list, the rights of the group are the most
 * that anybody has whom it names. */
static int
has_access_list(const char *path)
{
	return getxattr(path, "system.posix_acl_access", NULL, 0) != -1 ||
	    (errno != ENODATA && errno != ENOTSUP);
}

static int
others_may_write(const char *path, const struct stat *st)
{
	return (st->st_mode & S_IWOTH) != 0 ||
	    ((st->st_mode & S_IWGRP) != 0 &&
		(has_access_list(path) || !is_private_group(st->st_gid)));
}

int
local_is_own_file(int fd)
{
	char path[40];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fstat(fd, &st) == 0 &&
	    (st.st_uid == geteuid() || st.st_uid == 0) &&
	    !others_may_write(path, &st);
}

/* Whether somebody else can give names to files there: to put one of the
 * owner's own in the place of another is enough. */
static int
is_open_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == -1 ||
	    (st.st_uid != geteuid() && st.st_uid != 0) ||
	    (others_may_write(path, &st) && (st.st_mode & S_ISVTX) == 0);
}

/* With `chmod +t ~` a user has his mail wait while he edits his .forward, or
 * the programs that it names: qmail and OpenSMTPD know it, too. Where others
 * may write, the bit has a meaning of its own. */
static int
is_being_edited(const char *home)
{
	struct stat st;

	return stat(home, &st) == 0 && st.st_uid == geteuid() &&
	    (st.st_mode & (S_ISVTX | S_IWGRP | S_IWOTH)) == S_ISVTX;
}

/* Looks for a .forward, and for nothing in it: 0 if there is none, 1, or -1
 * with an outcome, also while it is being edited. */
static int
find_forward(const struct local_job *job, char *path, size_t size,
    struct stat *st, struct local_outcome *out)
{
	if (is_being_edited(job->home))
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.2.1",
		    "%s is sticky, so mail waits until `chmod -t`", job->home);
	snprintf(path, size, "%s/.forward", job->home);
	if (lstat(path, st) == 0)
		return 1;
	return errno == ENOENT || errno == ENOTDIR || errno == EACCES
	    ? 0
	    : local_error(out, path, errno);
}

int
local_finds_forward(const struct local_job *job)
{
	struct local_outcome unused;
	char path[4096];
	struct stat st;

	return find_forward(job, path, sizeof(path), &st, &unused) != 0;
}

/* A .forward that somebody else could have written is not obeyed: the mail
 * waits, and the log says what to mend. */
int
local_has_forward(const struct local_job *job, char *path, size_t size,
    struct local_outcome *out)
{
	struct stat st;
	int found = find_forward(job, path, size, &st, out);

	if (found != 1)
		return found;
	if (!S_ISREG(st.st_mode) ||
	    (st.st_uid != geteuid() && st.st_uid != 0) ||
	    others_may_write(path, &st))
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "%s must be a regular file that only its owner may write",
		    path);
	if (is_open_folder(job->home))
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "%s must be a folder that only its owner may write, or "
		    "its .forward is not obeyed",
		    job->home);
	return st.st_size > 0;
}
