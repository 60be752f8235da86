/*
 * The drop folder: mail that sendmail left there while nobody answered. At
 * start and from time to time master looks for whole files, and for each one
 * forks, becomes its owner for good and executes smtpctl with the file as its
 * standard input; when that reports success the file is removed. Whoever may
 * write to the folder may put anything there: nothing is opened that is not a
 * plain file with one name, nothing is read here, and the file that is removed
 * is the one that was opened.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	SCAN_SECONDS = 10,
	RETRY_SECONDS = 60, /* after one could not be sent */
	RUN_SECONDS = 15 * 60,
	NAME_SIZE = 64,
	NO_GROUP = 65534
};

/* One file at a time: mail that waited can wait its turn. */
struct drop {
	struct master *master;
	struct event *timer;
	struct event *deadline;
	int dir;
	DIR *scan;
	pid_t pid;
	char name[NAME_SIZE];
	struct stat file;
	int failed; /* one of this scan could not be sent */
};

/* For good. An owner without an account, as in a container or one that was
 * removed meanwhile, has no groups. */
static int
become_owner(uid_t uid)
{
	const struct passwd *pw = getpwuid(uid);
	gid_t gid = pw != NULL ? pw->pw_gid : NO_GROUP;

	if ((pw != NULL ? initgroups(pw->pw_name, gid) : setgroups(0, NULL)) ==
		-1 ||
	    setresgid(gid, gid, gid) == -1 || setresuid(uid, uid, uid) == -1 ||
	    (uid != 0 && setuid(0) != -1))
		return -1;
	return 0;
}

static void
run_child(const struct drop *d, int fd)
{
	const struct master *m = d->master;
	char path[] = RELAIS_SBINDIR "/smtpctl", option[] = "-S",
	     command[] = "from-drop", path_var[] = "PATH=/usr/bin:/bin";
	char *argv[] = { path, option, m->conf->paths.control_socket, command,
		NULL };
	char *env[] = { path_var, NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (setsid() == -1 || dup2(fd, STDIN_FILENO) == -1)
		_exit(127);
	closefrom(STDERR_FILENO + 1);
	if ((m->privileged && become_owner(d->file.st_uid) == -1) ||
	    chdir("/") == -1)
		_exit(127);
	execve(path, argv, env);
	_exit(127);
}

/* Opens a file of the folder if it is what sendmail makes; -1 if not. Its owner
 * may write, as he notes there who has got the message. */
static int
open_file(struct drop *d, const char *name)
{
	int fd = openat(d->dir, name,
	    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd == -1)
		return -1;
	if (fstat(fd, &d->file) == -1 || !S_ISREG(d->file.st_mode) ||
	    d->file.st_nlink != 1 ||
	    (!d->master->privileged && d->file.st_uid != geteuid())) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
arm(struct drop *d, int seconds)
{
	struct timeval tv = { seconds, 0 };

	event_add(d->timer, &tv);
}

/* Goes on with the scan until a file is being sent, or all were seen. */
static void
next_file(struct drop *d)
{
	struct timeval tv = { RUN_SECONDS, 0 };
	struct dirent *e;
	int fd;

	while (d->scan != NULL && (e = readdir(d->scan)) != NULL) {
		if (strncmp(e->d_name, "m.", 2) != 0 ||
		    strlen(e->d_name) >= sizeof(d->name))
			continue;
		if ((fd = open_file(d, e->d_name)) == -1)
			continue;
		strlcpy(d->name, e->d_name, sizeof(d->name));
		if ((d->pid = fork()) == 0)
			run_child(d, fd);
		close(fd);
		if (d->pid > 0) {
			event_add(d->deadline, &tv);
			return;
		}
		d->pid = 0;
		log_warn("drop folder: %s", strerror(errno));
		break;
	}
	if (d->scan != NULL)
		closedir(d->scan);
	d->scan = NULL;
	arm(d, d->failed ? RETRY_SECONDS : SCAN_SECONDS);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct drop *d = arg;
	int copy;

	d->failed = 0;
	copy = openat(d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy != -1 && (d->scan = fdopendir(copy)) == NULL)
		close(copy);
	next_file(d);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct drop *d = arg;

	if (d->pid > 0)
		kill(-d->pid, SIGKILL);
}

int
drop_reaped(struct drop *d, pid_t pid, int status)
{
	struct stat st;

	if (d == NULL || pid != d->pid)
		return 0;
	d->pid = 0;
	event_del(d->deadline);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		if (fstatat(d->dir, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_dev == d->file.st_dev && st.st_ino == d->file.st_ino)
			unlinkat(d->dir, d->name, 0);
		log_info("mail that waited in the drop folder was taken in");
	} else {
		d->failed = 1;
		log_warn("drop folder: %s of uid %u could not be sent yet",
		    d->name, (unsigned)d->file.st_uid);
	}
	next_file(d);
	return 1;
}

struct drop *
drop_new(struct master *m)
{
	struct event_base *base = loop_base(m->loop);
	char path[4096];
	struct drop *d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	d->master = m;
	spool_drop_path(&m->conf->paths, path, sizeof(path));
	d->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d->timer = evtimer_new(base, on_timer, d);
	d->deadline = evtimer_new(base, on_deadline, d);
	if (d->dir == -1 || d->timer == NULL || d->deadline == NULL) {
		log_warn(
		    "%s: %s: mail left there waits", path, strerror(errno));
		drop_free(d);
		return NULL;
	}
	/* the first look comes when the workers have had time to start */
	arm(d, 2);
	return d;
}

void
drop_free(struct drop *d)
{
	if (d == NULL)
		return;
	if (d->pid > 0)
		kill(-d->pid, SIGTERM);
	if (d->scan != NULL)
		closedir(d->scan);
	if (d->timer != NULL)
		event_free(d->timer);
	if (d->deadline != NULL)
		event_free(d->deadline);
	if (d->dir != -1)
		close(d->dir);
	free(d);
}
