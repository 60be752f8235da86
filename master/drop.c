/*
 * The drop folder: mail that sendmail left there while nobody answered. At
 * start and from time to time master looks for whole files, for a few of their
 * owners at a time, and for each one forks, becomes its owner for good and
 * executes smtpctl with the file as its standard input; when that says that all
 * have the mail, or will never have it, the file is removed. Whoever may write
 * to the folder may put anything there: nothing is opened that is not a plain
 * file with one name, nothing is read here, and the file that is removed is the
 * one that was opened.
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

#include "ipc/enums.h"
#include "master/master.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	START_SECONDS = 2, /* that the workers need to start */
	SCAN_SECONDS = 10,
	RETRY_SECONDS = 60, /* after one could not be sent */
	SEND_SECONDS = 15 * 60,
	RUNS_MAX = 8,
	UNFINISHED_SECONDS = 24 * 60 * 60,
	STEP_ENTRIES = 1000, /* of the folder, then others have their turn */
	NAME_SIZE = 64,
	NO_GROUP = 65534
};

#define NO_UID UINT64_MAX

/* What is sent for one user, one file after the other. Whoever stops the
 * process, which is his, or left thousands of files, holds up nobody else. */
struct run {
	struct drop *drop;
	struct event *deadline;
	DIR *scan; /* where his next file is looked for; NULL: no run */
	uid_t uid;
	pid_t pid; /* 0: none is being sent */
	char name[NAME_SIZE];
	struct stat file;
	int failed; /* one could not be sent */
};

/* In a round all who have mail there get a run, by their uids. */
struct drop {
	struct master *master;
	struct event *timer; /* of the next round */
	struct event *step;
	int dir;
	DIR *scan; /* where who is next is looked for; NULL: all had a run */
	uint64_t least; /* uid that may be next */
	uint64_t next; /* the lowest of those that the scan has seen */
	struct run runs[RUNS_MAX];
	int failed; /* one of this round could not be sent */
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
run_child(const struct run *r, int fd)
{
	const struct master *m = r->drop->master;
	char path[] = RELAIS_SBINDIR "/smtpctl", option[] = "-S",
	     command[] = "from-drop", ttl[16],
	     path_var[] = "PATH=/usr/bin:/bin";
	char *argv[] = { path, option, m->conf->paths.control_socket, command,
		ttl, NULL };
	char *env[] = { path_var, NULL };

	snprintf(ttl, sizeof(ttl), "%u", m->conf->queue.ttl);
	if (setsid() == -1 || dup2(fd, STDIN_FILENO) == -1)
		_exit(127);
	closefrom(STDERR_FILENO + 1);
	if ((m->privileged && become_owner(r->uid) == -1) || chdir("/") == -1)
		_exit(127);
	execve(path, argv, env);
	_exit(127);
}

/* ---- the folder ------------------------------------------------------- */

static DIR *
open_scan(const struct drop *d)
{
	int fd = openat(d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *scan = fd != -1 ? fdopendir(fd) : NULL;

	if (scan == NULL)
		log_warn("drop folder: %s", strerror(errno));
	if (scan == NULL && fd != -1)
		close(fd);
	return scan;
}

static int
may_send(const struct drop *d, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	    (d->master->privileged || st->st_uid == geteuid());
}

/* What a sendmail left that was killed while it wrote. One that writes still
 * hears that its file is gone. */
static void
remove_unfinished(const struct drop *d, const char *name, const struct stat *st)
{
	if (strncmp(name, "t.", 2) == 0 && S_ISREG(st->st_mode) &&
	    st->st_mtime < loop_time(d->master->loop) - UNFINISHED_SECONDS)
		unlinkat(d->dir, name, 0);
}

/* The next name of a scan under which a file to send seems to lie. NULL at the
 * end, and when no entries are left for this step. */
static const char *
next_name(const struct drop *d, DIR *scan, struct stat *st, unsigned *entries)
{
	struct dirent *e;

	while (*entries > 0 && (e = readdir(scan)) != NULL) {
		--*entries;
		if (strlen(e->d_name) >= NAME_SIZE ||
		    fstatat(d->dir, e->d_name, st, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		if (strncmp(e->d_name, "m.", 2) == 0 && may_send(d, st))
			return e->d_name;
		remove_unfinished(d, e->d_name, st);
	}
	return NULL;
}

/* Opens a file of the folder if it is what sendmail makes, and still its
 * owner's; -1 if not. He may write, as he notes there who has got the
 * message. */
static int
open_file(struct run *r, const char *name)
{
	int fd = openat(r->drop->dir, name,
	    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd == -1)
		return -1;
	if (fstat(fd, &r->file) == -1 || !may_send(r->drop, &r->file) ||
	    r->file.st_uid != r->uid) {
		close(fd);
		return -1;
	}
	strlcpy(r->name, name, sizeof(r->name));
	return fd;
}

/* ---- runs ------------------------------------------------------------- */

static void
arm(struct event *event, int seconds)
{
	struct timeval tv = { seconds, 0 };

	event_add(event, &tv);
}

/* Once all had a run, new mail is looked for, though one may not end. */
static void
end_round(struct drop *d)
{
	if (d->scan == NULL)
		arm(d->timer, d->failed ? RETRY_SECONDS : SCAN_SECONDS);
}

static void
end_run(struct run *r)
{
	closedir(r->scan);
	r->scan = NULL;
	r->drop->failed |= r->failed;
	end_round(r->drop);
}

/* Looks for the next file of a run's owner, and sends it. */
static void
next_file(struct run *r, unsigned *entries)
{
	const char *name;
	struct stat st;
	int fd;

	while ((name = next_name(r->drop, r->scan, &st, entries)) != NULL) {
		if (st.st_uid != r->uid || (fd = open_file(r, name)) == -1)
			continue;
		if ((r->pid = fork()) == 0)
			run_child(r, fd);
		close(fd);
		if (r->pid > 0) {
			arm(r->deadline, SEND_SECONDS);
			return;
		}
		r->pid = 0;
		r->failed = 1;
		log_warn("drop folder: %s", strerror(errno));
		end_run(r);
		return;
	}
	if (*entries > 0)
		end_run(r);
}

static int
has_run(const struct drop *d, uid_t uid)
{
	for (size_t i = 0; i < RUNS_MAX; i++)
		if (d->runs[i].scan != NULL && d->runs[i].uid == uid)
			return 1;
	return 0;
}

/* Looks for who is next in this round, and gives him the run. */
static void
next_owner(struct drop *d, struct run *r, unsigned *entries)
{
	struct stat st;

	while (next_name(d, d->scan, &st, entries) != NULL)
		if (st.st_uid >= d->least && st.st_uid < d->next &&
		    !has_run(d, st.st_uid))
			d->next = st.st_uid;
	if (*entries == 0)
		return;
	if (d->next != NO_UID && (r->scan = open_scan(d)) != NULL) {
		r->uid = (uid_t)d->next;
		r->failed = 0;
		d->least = d->next + 1;
		d->next = NO_UID;
		rewinddir(d->scan);
		return;
	}
	closedir(d->scan);
	d->scan = NULL;
	end_round(d);
}

/* Goes on until each run sends a file and nobody has to get one, or it has been
 * enough for now. */
static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	unsigned entries = STEP_ENTRIES;
	struct drop *d = arg;

	for (size_t i = 0; i < RUNS_MAX; i++) {
		struct run *r = &d->runs[i];

		while (entries > 0 && r->pid == 0) {
			if (r->scan != NULL)
				next_file(r, &entries);
			else if (d->scan != NULL)
				next_owner(d, r, &entries);
			else
				break;
		}
	}
	if (entries == 0)
		arm(d->step, 0);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct drop *d = arg;

	/* until the queue has the spool, another daemon may have it, whose
	 * the folder is as well */
	if (supervise_child(d->master, PROC_QUEUE, 0)->state != CHILD_SERVING) {
		arm(d->timer, START_SECONDS);
		return;
	}
	d->failed = 0;
	d->least = 0;
	d->next = NO_UID;
	if ((d->scan = open_scan(d)) != NULL)
		arm(d->step, 0);
	else
		end_round(d);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	if (r->pid > 0)
		kill(-r->pid, SIGKILL);
}

static void
ended(struct run *r, int status)
{
	const struct drop *d = r->drop;
	struct stat st;

	r->pid = 0;
	event_del(r->deadline);
	if (WIFEXITED(status) &&
	    (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == DROP_REFUSED)) {
		if (fstatat(d->dir, r->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_dev == r->file.st_dev && st.st_ino == r->file.st_ino)
			unlinkat(d->dir, r->name, 0);
		if (WEXITSTATUS(status) == 0)
			log_info("mail that waited in the drop folder was "
				 "taken in");
		else
			log_info("drop folder: %s of uid %u was refused to "
				 "some or all, and is removed",
			    r->name, (unsigned)r->uid);
	} else {
		r->failed = 1;
		log_warn("drop folder: %s of uid %u could not be sent yet",
		    r->name, (unsigned)r->uid);
	}
}

int
drop_reaped(struct drop *d, pid_t pid, int status)
{
	for (size_t i = 0; d != NULL && i < RUNS_MAX; i++)
		if (d->runs[i].pid == pid) {
			ended(&d->runs[i], status);
			arm(d->step, 0);
			return 1;
		}
	return 0;
}

/* ---- life ------------------------------------------------------------- */

static int
make_events(struct drop *d)
{
	struct event_base *base = loop_base(d->master->loop);
	int bad;

	d->timer = evtimer_new(base, on_timer, d);
	d->step = evtimer_new(base, on_step, d);
	bad = d->timer == NULL || d->step == NULL;
	for (size_t i = 0; i < RUNS_MAX; i++) {
		struct run *r = &d->runs[i];

		r->drop = d;
		r->deadline = evtimer_new(base, on_deadline, r);
		bad |= r->deadline == NULL;
	}
	return bad ? -1 : 0;
}

struct drop *
drop_new(struct master *m)
{
	char path[4096];
	struct drop *d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	d->master = m;
	spool_drop_path(&m->conf->paths, path, sizeof(path));
	d->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (make_events(d) == -1 || d->dir == -1) {
		log_warn(
		    "%s: %s: mail left there waits", path, strerror(errno));
		drop_free(d);
		return NULL;
	}
	arm(d->timer, START_SECONDS);
	return d;
}

void
drop_free(struct drop *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < RUNS_MAX; i++) {
		struct run *r = &d->runs[i];

		if (r->pid > 0)
			kill(-r->pid, SIGTERM);
		if (r->scan != NULL)
			closedir(r->scan);
		if (r->deadline != NULL)
			event_free(r->deadline);
	}
	if (d->scan != NULL)
		closedir(d->scan);
	if (d->timer != NULL)
		event_free(d->timer);
	if (d->step != NULL)
		event_free(d->step);
	if (d->dir != -1)
		close(d->dir);
	free(d);
}
