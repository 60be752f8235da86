/*
 * The files beside the database: bodies that are too large for memory, and
 * bodies on their way in. All is opened relative to descriptors of the
 * store's folders, and no link is ever followed.
 *
 * A body's file is synced, then named, then its folder synced, and only then
 * does its envelope commit; it is unlinked only after the envelope's removal
 * committed. So a crash leaves at worst a file without an envelope, which the
 * sweep at the next start removes.
 */
#include "config.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "os/log.h"
#include "queue/share.h"
#include "queue/store_bdb.h"

enum { NAME_OCTETS = 32, LOCK_STEP_MS = 20 };

int
store_ids_add(struct store_ids *ids, uint32_t msgid)
{
	size_t size;
	uint32_t *id;

	if (ids->count == ids->size) {
		size = ids->size ? ids->size * 2 : 64;
		if ((id = reallocarray(ids->id, size, sizeof(*id))) == NULL)
			return -1;
		ids->id = id;
		ids->size = size;
	}
	ids->id[ids->count++] = msgid;
	return 0;
}

/* Neighbours share a folder, so that a batch has few folders to sync. */
unsigned
store_folder_of(uint32_t msgid)
{
	return msgid >> 8 & 0xff;
}

static void
body_name(char name[NAME_OCTETS], uint32_t msgid)
{
	snprintf(name, NAME_OCTETS, "%08x", msgid);
}

static void
spool_name(char name[NAME_OCTETS], uint64_t number)
{
	snprintf(name, NAME_OCTETS, "%016" PRIx64, number);
}

static int
is_in_share(const struct store *st, int fd, enum share share)
{
	return st->options.reserve == 0 ||
	    share_has(share, st->options.reserve, fd);
}

/* The descriptor, or -1 with errno if it is not for that use. */
static int
keep_share(const struct store *st, int fd, enum share share)
{
	if (fd == -1 || is_in_share(st, fd, share))
		return fd;
	close(fd);
	errno = EMFILE;
	return -1;
}

/* Opens a folder that belongs to us and to nobody else's writing, made if
 * need be. */
static int
open_folder(int at, const char *name)
{
	struct stat st;
	int fd;

	if (mkdirat(at, name, 0700) == -1 && errno != EEXIST)
		return -1;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || st.st_uid != geteuid() ||
	    (st.st_mode & 022) != 0) {
		close(fd);
		errno = EPERM;
		return -1;
	}
	return fd;
}

/* All made at start, so that none needs a sync of its parent later. */
static int
make_body_folders(struct store *st)
{
	char name[NAME_OCTETS];

	for (unsigned n = 0; n < STORE_BODY_FOLDERS; n++) {
		snprintf(name, sizeof(name), "%02x", n);
		if (mkdirat(st->bodies_fd, name, 0700) == -1 && errno != EEXIST)
			return -1;
	}
	return fsync(st->bodies_fd);
}

/* A folder of bodies, for whichever thread, which gives it back. It stays open
 * if there are descriptors for that. */
static int
take_folder(struct store *st, unsigned n)
{
	char name[NAME_OCTETS];
	int fd;

	pthread_mutex_lock(&st->folder_lock);
	if ((fd = st->body_folder[n]) == -1) {
		snprintf(name, sizeof(name), "%02x", n);
		fd = open_folder(st->bodies_fd, name);
		if (fd != -1 && is_in_share(st, fd, SHARE_FOLDERS))
			st->body_folder[n] = fd;
	}
	pthread_mutex_unlock(&st->folder_lock);
	return fd;
}

static void
give_folder(struct store *st, unsigned n, int fd)
{
	int error = errno, is_ours;

	pthread_mutex_lock(&st->folder_lock);
	is_ours = fd != -1 && fd != st->body_folder[n];
	pthread_mutex_unlock(&st->folder_lock);
	if (is_ours)
		close(fd);
	errno = error;
}

/* The spool itself is made by whoever set up the machine. */
static int
open_root(const char *path, char *error, size_t size)
{
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
	} else if (st.st_uid != geteuid()) {
		snprintf(error, size, "%s: belongs to uid %u, not to uid %u",
		    path, (unsigned)st.st_uid, (unsigned)geteuid());
	} else if ((st.st_mode & 022) != 0) {
		snprintf(error, size, "%s: others may write to it (mode %04o)",
		    path, (unsigned)st.st_mode & 07777);
	} else
		return fd;
	if (fd != -1)
		close(fd);
	return -1;
}

/* Two processes in one environment would destroy it. Whoever dies lets go of
 * the lock, but perhaps only when the sync that it waits for ends. */
static int
lock_root(int fd, const char *path, uint32_t patience, char *error, size_t size)
{
	struct timespec step = { .tv_nsec = LOCK_STEP_MS * 1000000 };

	for (uint32_t waited = 0; flock(fd, LOCK_EX | LOCK_NB) == -1;
	     waited += LOCK_STEP_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			snprintf(
			    error, size, "%s: lock: %s", path, strerror(errno));
			return -1;
		}
		if (waited >= patience) {
			snprintf(error, size,
			    "%s: another process uses this spool: does "
			    "another relaisd run?",
			    path);
			return -1;
		}
		if (waited == 0)
			log_info("waiting for the process that still has "
				 "the spool");
		nanosleep(&step, NULL);
	}
	return 0;
}

int
store_files_open(struct store *st, const char *path, char *error, size_t size)
{
	struct {
		const char *name;
		int *fd;
	} folders[] = {
		{ "db", &st->db_fd },
		{ "bodies", &st->bodies_fd },
		{ "incoming", &st->incoming_fd },
	};
	struct stat sb;

	st->db_fd = st->bodies_fd = st->incoming_fd = -1;
	for (int i = 0; i < STORE_BODY_FOLDERS; i++)
		st->body_folder[i] = -1;
	if ((st->root_fd = open_root(path, error, size)) == -1 ||
	    lock_root(st->root_fd, path, st->options.lock_ms, error, size) ==
		-1)
		return -1;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		*folders[i].fd = open_folder(st->root_fd, folders[i].name);
		if (*folders[i].fd == -1) {
			snprintf(error, size, "%s/%s: %s", path,
			    folders[i].name, strerror(errno));
			return -1;
		}
	}
	if (make_body_folders(st) == -1 || fsync(st->root_fd) == -1) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		return -1;
	}
	/* whoever can write that file would set the database's options */
	if (fstatat(st->db_fd, "DB_CONFIG", &sb, AT_SYMLINK_NOFOLLOW) == 0) {
		snprintf(error, size,
		    "%s/db/DB_CONFIG: must not exist, remove it", path);
		return -1;
	}
	return 0;
}

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

void
store_files_close(struct store *st)
{
	for (int i = 0; i < STORE_BODY_FOLDERS; i++)
		close_fd(&st->body_folder[i]);
	close_fd(&st->incoming_fd);
	close_fd(&st->bodies_fd);
	close_fd(&st->db_fd);
	close_fd(&st->root_fd);
	free(st->moved.id);
	free(st->doomed.id);
}

/* ---- bodies ----------------------------------------------------------- */

void
store_files_discard(struct store *st, uint64_t number)
{
	char name[NAME_OCTETS];
	int error = errno;

	spool_name(name, number);
	(void)unlinkat(st->incoming_fd, name, 0);
	errno = error;
}

int
store_files_create(struct store *st, uint64_t number)
{
	char name[NAME_OCTETS];
	int fd;

	spool_name(name, number);
	fd = keep_share(st,
	    openat(st->incoming_fd, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600),
	    SHARE_INCOMING);
	if (fd == -1 && errno == EMFILE)
		store_files_discard(st, number);
	return fd;
}

/* Another message's body is never replaced; nobody else makes one. */
static int
rename_new(int from_fd, const char *from, int to_fd, const char *to)
{
	if (faccessat(to_fd, to, F_OK, 0) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(from_fd, from, to_fd, to);
}

int
store_files_name(struct store *st, uint64_t number, uint32_t msgid)
{
	unsigned n = store_folder_of(msgid);
	char from[NAME_OCTETS], to[NAME_OCTETS];
	int folder = take_folder(st, n), rc = -1;

	spool_name(from, number);
	body_name(to, msgid);
	if (folder != -1)
		rc = rename_new(st->incoming_fd, from, folder, to);
	give_folder(st, n, folder);
	return rc;
}

int
store_files_sync(struct store *st, unsigned n)
{
	int fd = take_folder(st, n), rc = fd != -1 ? fsync(fd) : -1;

	give_folder(st, n, fd);
	return rc;
}

int
store_files_unlink(struct store *st, uint32_t msgid)
{
	unsigned n = store_folder_of(msgid);
	int folder = take_folder(st, n), rc = -1;
	char name[NAME_OCTETS];

	body_name(name, msgid);
	if (folder != -1 && (unlinkat(folder, name, 0) == 0 || errno == ENOENT))
		rc = 0;
	give_folder(st, n, folder);
	return rc;
}

int
store_files_read(struct store *st, uint32_t msgid)
{
	unsigned n = store_folder_of(msgid);
	int folder = take_folder(st, n), fd = -1;
	char name[NAME_OCTETS];
	struct stat sb;

	body_name(name, msgid);
	if (folder != -1)
		fd = keep_share(st,
		    openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC),
		    SHARE_BODIES);
	give_folder(st, n, folder);
	if (fd != -1 && (fstat(fd, &sb) == -1 || !S_ISREG(sb.st_mode))) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

int
store_files_memory(struct store *st)
{
	return keep_share(st,
	    memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING),
	    SHARE_BODIES);
}

/* ---- the sweep at start ------------------------------------------------- */

static DIR *
open_listing(int at, const char *name)
{
	DIR *dir;
	int fd;

	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return NULL;
	if ((dir = fdopendir(fd)) == NULL)
		close(fd);
	return dir;
}

static void
sweep_file(struct store *st, int folder, const char *where, const char *name)
{
	if (unlinkat(folder, name, 0) == -1)
		log_warn("%s/%s: unlink: %s", where, name, strerror(errno));
	else
		st->stats.swept++;
}

static int
is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Whether an envelope claims the file; one that cannot be read does. */
static int
is_claimed(struct store *st, uint32_t msgid)
{
	switch (store_read_envelope(st, msgid, st->scratch)) {
	case STORE_OK:
		return st->scratch->body == ENVELOPE_BODY_FILE;
	case STORE_NOTFOUND:
		return 0;
	default:
		return 1;
	}
}

static int
sweep_bodies_in(struct store *st, unsigned n)
{
	char where[NAME_OCTETS], expect[NAME_OCTETS];
	struct dirent *entry;
	uint32_t msgid;
	DIR *dir;

	snprintf(where, sizeof(where), "%02x", n);
	if ((dir = open_listing(st->bodies_fd, where)) == NULL)
		return errno == ENOENT ? 0 : -1;
	while ((entry = readdir(dir)) != NULL) {
		if (is_dot(entry->d_name))
			continue;
		msgid = (uint32_t)strtoul(entry->d_name, NULL, 16);
		body_name(expect, msgid);
		if (strcmp(expect, entry->d_name) != 0 ||
		    store_folder_of(msgid) != n)
			log_warn("bodies/%s: a file that is not ours", where);
		else if (!is_claimed(st, msgid))
			sweep_file(st, dirfd(dir), where, entry->d_name);
	}
	closedir(dir);
	return 0;
}

int
store_files_empty(struct store *st)
{
	struct dirent *entry;
	DIR *dir;

	if ((dir = open_listing(st->root_fd, "incoming")) == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL)
		if (!is_dot(entry->d_name))
			sweep_file(st, dirfd(dir), "incoming", entry->d_name);
	closedir(dir);
	return 0;
}

enum store_status
store_files_sweep(struct store *st)
{
	for (unsigned n = 0; n < STORE_BODY_FOLDERS; n++)
		if (sweep_bodies_in(st, n) == -1) {
			log_error("bodies/%02x: %s", n, strerror(errno));
			return STORE_FAILED;
		}
	return STORE_OK;
}
