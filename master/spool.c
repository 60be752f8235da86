/*
 * The folders that an instance needs, made and checked at start:
 *	spool		0711 root
 *	spool/queue	0700 _relaisq	the queue's chroot, all of the store
 *	drop folder	01730 root:_relaisq, where a setgid sendmail leaves
 *			mail while the daemon is down; a link leads there if
 *			it is not where sendmail looks
 *	chroot		0711 root	empty, for all other workers
 * A folder that somebody else could have prepared is refused.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/statfs.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "os/log.h"

/* the folder that sendmail knows, or a link that leads to another */
#define SIGNPOST RELAIS_STATEDIR "/drop"

/* Creates the folders above path that are missing. */
static int
make_parents(const char *path)
{
	char part[4096];
	int rc;

	if (strlcpy(part, path, sizeof(part)) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *s = strchr(part + 1, '/'); s != NULL;
	     s = strchr(s + 1, '/')) {
		*s = '\0';
		/* whatever our umask, users reach what lies below */
		if (mkdir(part, 0755) == 0)
			rc = chmod(part, 0755);
		else
			rc = errno == EEXIST ? 0 : -1;
		if (rc == -1)
			return -1;
		*s = '/';
	}
	return 0;
}

static void
complain(const char *path)
{
	const char *advice = "";
	int error = errno;
	struct stat st;

	if (error == EACCES && geteuid() != 0)
		advice = ": start as root, or with paths of your own, see "
			 "relais.conf(5)";
	else if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		advice = ": it is a link, which is not followed: let the "
			 "configuration name the folder that it leads to";
	log_error("%s: %s%s", path, strerror(error), advice);
}

/* What lies there may be mail: nothing is said of removing it. What lies in a
 * folder of root's is not root's: whoever owns a file of the drop folder is who
 * sends it. */
static void
complain_of_owner(const char *path, uid_t is, uid_t wanted)
{
	log_error("%s belongs to uid %u: if it is of this instance, write "
		  "`chown %s%u %s`, else give this instance its own "
		  "`set spool`",
	    path, (unsigned)is, wanted == 0 ? "" : "-R ", (unsigned)wanted,
	    path);
}

/* EINVAL: an id that this user namespace has not. EPERM: of root. */
static void
complain_of_change(const char *path, uid_t uid, gid_t gid)
{
	if (errno == EINVAL)
		log_error("%s: uid %u or gid %u is not mapped in this user "
			  "namespace: give the container more (see subuid(5)), "
			  "or start relaisd in it as an ordinary user",
		    path, (unsigned)uid, (unsigned)gid);
	else
		log_error("%s: %s: it must be able to belong to uid %u, with a "
			  "mode of its own: use a file system that keeps both",
		    path, strerror(errno), (unsigned)uid);
}

/* Some file systems, as those that are shared with a computer that has no such
 * thing, take a change of owner and mode and do not keep it. */
static int
change_folder(
    int fd, const struct stat *before, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;

	if (((before->st_uid != uid || before->st_gid != gid) &&
		fchown(fd, uid, gid) == -1) ||
	    fchmod(fd, mode) == -1 || fstat(fd, &st) == -1)
		return -1;
	if (st.st_uid == uid && st.st_gid == gid &&
	    (st.st_mode & 07777) == mode)
		return 0;
	errno = EOPNOTSUPP;
	return -1;
}

static int
make_folder(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;
	int fd, rc = -1;

	if (make_parents(path) == -1 ||
	    (mkdir(path, 0700) == -1 && errno != EEXIST)) {
		complain(path);
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1) {
		complain(path);
		goto out;
	}
	if (st.st_uid != uid && st.st_uid != geteuid()) {
		complain_of_owner(path, st.st_uid, uid);
		goto out;
	}
	if (change_folder(fd, &st, uid, gid, mode) == -1) {
		complain_of_change(path, uid, gid);
		goto out;
	}
	rc = 0;
out:
	if (fd != -1)
		close(fd);
	return rc;
}

/* Whether a part of the store can be the queue's, with what lies in it. */
static int
check_part(const char *queue, const struct stat *st, uid_t uid)
{
	mode_t least = S_ISDIR(st->st_mode) ? 0700 : 0600;
	mode_t looked_at = S_ISDIR(st->st_mode) ? 0722 : 0600;

	if (st->st_uid != uid) {
		complain_of_owner(queue, st->st_uid, uid);
		return -1;
	}
	if ((st->st_mode & looked_at) == least)
		return 0;
	log_error("something in %s has mode %04o: write "
		  "`chmod -R u+rwX,go-rwx %s`",
	    queue, (unsigned)st->st_mode & 07777, queue);
	return -1;
}

/* Whether the store is the queue's, which it may not be after a copy or a
 * restored backup. The folder above it has been made right by make_folder; of
 * bodies their folders are looked at, not each file. */
static int
check_store(const char *queue, uid_t uid)
{
	static const char *const parts[] = { "db", "bodies", "incoming" };
	char path[4106];
	struct dirent *entry;
	struct stat st;
	int rc = 0;
	DIR *dir;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", queue, parts[i]);
		if ((dir = opendir(path)) == NULL)
			continue; /* a new one */
		while (rc == 0 && (entry = readdir(dir)) != NULL)
			if (strcmp(entry->d_name, "..") != 0 &&
			    fstatat(dirfd(dir), entry->d_name, &st,
				AT_SYMLINK_NOFOLLOW) == 0)
				rc = check_part(queue, &st, uid);
		closedir(dir);
	}
	return rc;
}

static bool
has_file(const char *path)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if ((dir = opendir(path)) == NULL)
		return false;
	while (!found && (entry = readdir(dir)) != NULL)
		found = entry->d_name[0] != '.';
	closedir(dir);
	return found;
}

/* The queue makes a database that is not there, and removes bodies that it does
 * not know of. Of its three bodies.db is made last. */
static int
check_envelopes(const char *queue)
{
	char path[4120];
	bool lost;

	snprintf(path, sizeof(path), "%s/db/envelopes.db", queue);
	if (access(path, F_OK) == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/db/bodies.db", queue);
	lost = access(path, F_OK) == 0;
	for (unsigned n = 0; !lost && n < 256; n++) {
		snprintf(path, sizeof(path), "%s/bodies/%02x", queue, n);
		lost = has_file(path);
	}
	if (lost)
		log_error("%s/db/envelopes.db is missing, and mail in %s is "
			  "lost without it: put all of that folder back from "
			  "where it was copied, or move it away to begin anew",
		    queue, queue);
	return lost ? -1 : 0;
}

/* ---- where sendmail finds the drop folder ----------------------------- */

/* A link of ours that an earlier configuration wanted. */
static void
forget_signpost(void)
{
	struct stat st;

	if (lstat(SIGNPOST, &st) == 0 && S_ISLNK(st.st_mode))
		unlink(SIGNPOST);
}

/* sendmail may be unable to read the configuration and runs with a right of
 * its own: it can be told by nothing that its caller may write. So the
 * instance of the default configuration leaves a link for it where it looks,
 * in a folder that is root's. Mail that lies there already is not left
 * behind in silence. */
static void
leave_signpost(const char *drop, uid_t uid, gid_t gid)
{
	if (make_folder(RELAIS_STATEDIR, uid, gid, 0711) == -1)
		return;
	forget_signpost();
	if (rmdir(SIGNPOST) == -1 && errno != ENOENT)
		log_warn("%s holds mail that is not looked at: move its files "
			 "to %s and restart relaisd",
		    SIGNPOST, drop);
	else if (symlink(drop, SIGNPOST) == -1)
		log_warn("%s: %s: sendmail will not find the drop folder",
		    SIGNPOST, strerror(errno));
}

/* Mail that was taken must outlive what the spool lies on. */
static void
warn_of_place(const char *spool)
{
	struct statfs fs;

	if (statfs(spool, &fs) == -1)
		return;
	switch ((unsigned long)fs.f_type) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
		log_warn("%s lies in memory, and the mail in it ends with the "
			 "machine or the container: let `set spool` name a "
			 "folder on a disk",
		    spool);
		break;
	case OVERLAYFS_SUPER_MAGIC:
		log_warn("%s lies on an overlay: if that is a container's own, "
			 "the mail in it ends with the container: mount a "
			 "volume there",
		    spool);
		break;
	}
}

void
spool_drop_path(const struct conf_paths *p, char *path, size_t size)
{
	if (p->drop_folder != NULL)
		snprintf(path, size, "%s", p->drop_folder);
	else
		snprintf(path, size, "%s/drop", p->spool);
}

static const struct passwd *
queue_user(const struct master *m)
{
	const struct passwd *pw;
	char name[64];

	snprintf(name, sizeof(name), "%sq", m->conf->paths.user_prefix);
	if ((pw = getpwnam(name)) == NULL)
		log_error("user %s does not exist: create it and its "
			  "siblings (see relaisd(8)), or start as an ordinary "
			  "user",
		    name);
	return pw;
}

int
spool_prepare(const struct master *m)
{
	const struct conf_paths *p = &m->conf->paths;
	uid_t uid = geteuid(), quid = uid;
	gid_t gid = getegid(), qgid = gid;
	const struct passwd *pw;
	char path[4096];

	if (m->privileged) {
		if ((pw = queue_user(m)) == NULL)
			return -1;
		quid = pw->pw_uid;
		qgid = pw->pw_gid;
		if (make_folder(p->chroot, uid, gid, 0711) == -1)
			return -1;
	}
	if (make_folder(p->spool, uid, gid, 0711) == -1)
		return -1;
	warn_of_place(p->spool);
	snprintf(path, sizeof(path), "%s/queue", p->spool);
	if (make_folder(path, quid, qgid, 0700) == -1 ||
	    check_store(path, quid) == -1 || check_envelopes(path) == -1)
		return -1;
	spool_drop_path(p, path, sizeof(path));
	if (strcmp(path, SIGNPOST) == 0)
		forget_signpost();
	if (make_folder(path, uid, qgid, 01730) == -1)
		return -1;
	if (strcmp(path, SIGNPOST) != 0 &&
	    strcmp(m->options.path, DEFAULT_CONFIGURATION) == 0)
		leave_signpost(path, uid, gid);
	if (make_parents(p->control_socket) == -1) {
		complain(p->control_socket);
		return -1;
	}
	return 0;
}
