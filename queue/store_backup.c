/*
 * Backup of a Berkeley DB store while mail flows, in steps between batches.
 *
 * The order makes it whole: first the databases, each page as it happens to
 * be, then the log, whose replay at the first opening brings all pages to one
 * moment, then the bodies that are files. Until the end no log file and no
 * body goes away. During a slice of a copy no checkpoint writes pages, and
 * the thread of the loop, which makes the step, writes none either: so no
 * page is copied half old and half new.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"
#include "queue/store_bdb.h"

enum { COPY_OCTETS = 1 << 18 };

enum backup_stage { STAGE_DATABASES, STAGE_LOGS, STAGE_BODIES, STAGE_DONE };

struct store_backup {
	struct store *st;
	enum backup_stage stage;
	int to_root;
	int to_db;
	int to_bodies;
	char **names; /* of this stage's files, from Berkeley DB */
	size_t next; /* name, or folder of bodies */
	DIR *listing; /* of the folder under way */
	int to_folder;
	int from_fd; /* the file under way, -1: none */
	int to_fd;
	uint8_t buf[COPY_OCTETS];
};

static const char *const databases[] = { "meta.db", "envelopes.db", "bodies.db",
	NULL };

static int
fail(const char *what)
{
	log_error("backup: %s: %s", what, strerror(errno));
	return -1;
}

static int
make_folder(int at, const char *name)
{
	if (mkdirat(at, name, 0700) == -1)
		return fail(name);
	return openat(
	    at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Says that the log must be replayed from its start. */
static int
leave_mark(int to_db)
{
	int fd;

	fd = openat(
	    to_db, "BACKUP", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return fail("BACKUP");
	close(fd);
	return 0;
}

struct store_backup *
store_backup_begin(struct store *st, int dirfd)
{
	struct store_backup *b;

	if (st->backup_running || st->txn != NULL ||
	    (b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	b->st = st;
	b->to_root = b->to_db = b->to_bodies = b->to_folder = -1;
	b->from_fd = b->to_fd = -1;
	st->backup_running = 1;
	if ((b->to_root = fcntl(dirfd, F_DUPFD_CLOEXEC, 0)) == -1 ||
	    (b->to_db = make_folder(dirfd, "db")) == -1 ||
	    (b->to_bodies = make_folder(dirfd, "bodies")) == -1 ||
	    leave_mark(b->to_db) == -1 ||
	    st->env->log_set_config(st->env, DB_LOG_AUTO_REMOVE, 0) != 0 ||
	    store_checkpoint(st) != STORE_OK) {
		store_backup_end(b);
		return NULL;
	}
	return b;
}

/* 1 when it is gone, as a body may be whose message was not committed. */
static int
begin_file(struct store_backup *b, int from, int to, const char *name)
{
	b->from_fd = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (b->from_fd == -1)
		return errno == ENOENT ? 1 : fail(name);
	b->to_fd = openat(to, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return b->to_fd == -1 ? fail(name) : 0;
}

static void
close_file(struct store_backup *b)
{
	if (b->from_fd != -1)
		close(b->from_fd);
	if (b->to_fd != -1)
		close(b->to_fd);
	b->from_fd = b->to_fd = -1;
}

/* A slice of the file under way; closes it at its end. */
static int
copy_slice(struct store_backup *b, size_t *octets)
{
	ssize_t n;

	n = read(b->from_fd, b->buf, sizeof(b->buf));
	if (n == -1)
		return errno == EINTR ? 0 : fail("read");
	if (n > 0) {
		if (write(b->to_fd, b->buf, (size_t)n) != n)
			return fail("write");
		*octets -= (size_t)n < *octets ? (size_t)n : *octets;
		return 0;
	}
	if (fsync(b->to_fd) == -1)
		return fail("fsync");
	close_file(b);
	return 0;
}

/* Opens the next named file. 1 when there is none. */
static int
next_named(struct store_backup *b, const char *const *names)
{
	const char *name;
	int rc;

	if (names == NULL || names[b->next] == NULL)
		return 1;
	name = names[b->next++];
	rc = begin_file(b, b->st->db_fd, b->to_db, name);
	return rc == 1 ? fail(name) : rc;
}

static int
list_logs(struct store_backup *b)
{
	int rc;

	rc = b->st->env->log_archive(b->st->env, &b->names, DB_ARCH_LOG);
	if (rc == 0)
		return 0;
	store_fail(b->st, "log_archive", rc);
	return -1;
}

static int
next_folder(struct store_backup *b)
{
	char name[3];
	int fd;

	snprintf(name, sizeof(name), "%02x", (unsigned)(b->next++ & 0xff));
	fd = openat(b->st->bodies_fd, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return fail(name);
	if ((b->listing = fdopendir(fd)) == NULL) {
		close(fd);
		return fail(name);
	}
	b->to_folder = make_folder(b->to_bodies, name);
	return b->to_folder == -1 ? -1 : 0;
}

/* Opens the next body. 1 when there is none. */
static int
next_body(struct store_backup *b)
{
	struct dirent *entry;
	int rc;

	for (;;) {
		if (b->listing == NULL) {
			if (b->next == STORE_BODY_FOLDERS)
				return 1;
			if (next_folder(b) == -1)
				return -1;
		}
		while ((entry = readdir(b->listing)) != NULL)
			if (entry->d_name[0] != '.' &&
			    (rc = begin_file(b, dirfd(b->listing), b->to_folder,
				 entry->d_name)) != 1)
				return rc;
		closedir(b->listing);
		b->listing = NULL;
		if (fsync(b->to_folder) == -1)
			return fail("fsync");
		close(b->to_folder);
		b->to_folder = -1;
	}
}

/* The next file of the stage; 1 when the stage is over. */
static int
next_file(struct store_backup *b)
{
	switch (b->stage) {
	case STAGE_DATABASES:
		return next_named(b, databases);
	case STAGE_LOGS:
		return next_named(b, (const char *const *)b->names);
	case STAGE_BODIES:
		return next_body(b);
	case STAGE_DONE:
		break;
	}
	return 1;
}

static int
next_stage(struct store_backup *b)
{
	b->stage++;
	b->next = 0;
	if (b->stage == STAGE_LOGS)
		return list_logs(b);
	if (b->stage == STAGE_DONE &&
	    (fsync(b->to_bodies) == -1 || fsync(b->to_db) == -1 ||
		fsync(b->to_root) == -1))
		return fail("fsync");
	return 0;
}

static int
copy_some(struct store_backup *b, size_t octets)
{
	int rc;

	while (b->stage != STAGE_DONE && octets > 0) {
		if (b->from_fd != -1) {
			if (copy_slice(b, &octets) == -1)
				return -1;
		} else if ((rc = next_file(b)) == -1 ||
		    (rc == 1 && next_stage(b) == -1))
			return -1;
	}
	return b->stage != STAGE_DONE;
}

int
store_backup_step(struct store_backup *b, size_t octets)
{
	int rc;

	if (b->st->txn != NULL)
		return -1;
	pthread_mutex_lock(&b->st->ticker.writing);
	rc = copy_some(b, octets);
	pthread_mutex_unlock(&b->st->ticker.writing);
	return rc;
}

void
store_backup_end(struct store_backup *b)
{
	struct store *st;
	int rc;

	if (b == NULL)
		return;
	st = b->st;
	close_file(b);
	if (b->listing != NULL)
		closedir(b->listing);
	for (size_t i = 0; i < 4; i++) {
		int fd[] = { b->to_folder, b->to_bodies, b->to_db, b->to_root };
		if (fd[i] != -1)
			close(fd[i]);
	}
	free(b->names);
	free(b);
	st->backup_running = 0;
	if (st->txn == NULL)
		store_unlink_doomed(st);
	if ((rc = st->env->log_set_config(st->env, DB_LOG_AUTO_REMOVE, 1)) != 0)
		store_fail(st, "log_set_config", rc);
}

int
store_backup(struct store *st, int dirfd)
{
	struct store_backup *b;
	int rc;

	if ((b = store_backup_begin(st, dirfd)) == NULL)
		return -1;
	while ((rc = store_backup_step(b, 64u << 20)) == 1)
		;
	store_backup_end(b);
	return rc;
}
