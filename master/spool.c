/*
 * The folders that an instance needs, made and checked at start:
 *	spool		0711 root
 *	spool/queue	0700 _relaisq	the queue's chroot, all of the store
 *	drop folder	01730 root:_relaisq, where a setgid sendmail leaves
 *			mail while the daemon is down
 *	chroot		0711 root	empty, for all other workers
 * A folder that somebody else could have prepared is refused.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "os/log.h"

/* Creates the folders above path that are missing. */
static int
make_parents(const char *path)
{
	char part[4096];

	if (strlcpy(part, path, sizeof(part)) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *s = strchr(part + 1, '/'); s != NULL;
	     s = strchr(s + 1, '/')) {
		*s = '\0';
		if (mkdir(part, 0755) == -1 && errno != EEXIST)
			return -1;
		*s = '/';
	}
	return 0;
}

static int
make_folder(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;
	int fd, rc = -1;

	if (make_parents(path) == -1 ||
	    (mkdir(path, 0700) == -1 && errno != EEXIST)) {
		log_error("%s: %s", path, strerror(errno));
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1) {
		log_error("%s: %s", path, strerror(errno));
		goto out;
	}
	if (st.st_uid != uid && st.st_uid != geteuid()) {
		log_error("%s belongs to uid %u: remove it, or give this "
			  "instance its own `set spool`",
		    path, (unsigned)st.st_uid);
		goto out;
	}
	if (((st.st_uid != uid || st.st_gid != gid) &&
		fchown(fd, uid, gid) == -1) ||
	    fchmod(fd, mode) == -1) {
		log_error("%s: %s", path, strerror(errno));
		goto out;
	}
	rc = 0;
out:
	if (fd != -1)
		close(fd);
	return rc;
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
	snprintf(path, sizeof(path), "%s/queue", p->spool);
	if (make_folder(path, quid, qgid, 0700) == -1)
		return -1;
	if (p->drop_folder == NULL) {
		snprintf(path, sizeof(path), "%s/drop", p->spool);
		if (make_folder(path, uid, qgid, 01730) == -1)
			return -1;
	} else if (make_folder(p->drop_folder, uid, qgid, 01730) == -1)
		return -1;
	if (make_parents(p->control_socket) == -1) {
		log_error("%s: %s", p->control_socket, strerror(errno));
		return -1;
	}
	return 0;
}
