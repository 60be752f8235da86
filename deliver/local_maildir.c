/*
 * Delivery into a Maildir: written under tmp, synced, moved to new under a
 * name that nobody else has, and that synced. Needs no lock; a reader sees a
 * whole message or none.
 */
#include "config.h"

#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "conf/format.h"
#include "deliver/local.h"
#include "mail/header.h"

enum { PATH_SIZE = 2048, SECTION_MAX = 256 * 1024 };

/* A file system that cannot sync folders keeps their names in its own way, and
 * would refuse each attempt alike. */
static int
sync_folder(int fd)
{
	return fsync(fd) == 0 || errno == EINVAL ? 0 : -1;
}

/* Creates path and what is missing above it; what exists is used as it is. */
static int
make_folders(const char *path)
{
	char part[PATH_SIZE];

	if (strlcpy(part, path, sizeof(part)) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *s = part + 1;; s++) {
		if (*s != '/' && *s != '\0')
			continue;
		char c = *s;

		*s = '\0';
		if (mkdir(part, 0700) == 0) {
			if (local_sync_name(part) == -1 && errno != EINVAL)
				return -1;
		} else if (errno != EEXIST)
			return -1;
		if (c == '\0')
			return 0;
		*s = c;
	}
}

/* One folder below another, and its name on the disk. */
static int
make_below(int folder, const char *name)
{
	if (mkdirat(folder, name, 0700) == 0)
		return sync_folder(folder);
	return errno == EEXIST ? 0 : -1;
}

static int
make_maildir(int folder)
{
	static const char *const parts[] = { "tmp", "new", "cur" };

	for (size_t i = 0; i < 3; i++)
		if (make_below(folder, parts[i]) == -1)
			return -1;
	return 0;
}

/* time.unique.host, as the Maildir convention asks; the host's own octets
 * that would disturb are replaced. */
static int
make_name(char *name, size_t size)
{
	char host[256] = "localhost";
	struct timespec ts;
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -1;
	clock_gettime(CLOCK_REALTIME, &ts);
	gethostname(host, sizeof(host) - 1);
	for (char *s = host; *s != '\0'; s++)
		if (*s == '/' || *s == ':')
			*s = '_';
	snprintf(name, size, "%lld.M%06ldP%dR%016llx.%.200s",
	    (long long)ts.tv_sec, ts.tv_nsec / 1000, (int)getpid(),
	    (unsigned long long)random, host);
	return 0;
}

/* Writes a file below tmp, and lets the disk begin with it. */
static int
write_draft(const struct local_job *job, int box, struct local_outcome *out)
{
	struct local_draft *d = job->draft;
	int folder = job->place->box[box].folder, error;
	char tmp[520];

	if (make_name(d->name, sizeof(d->name)) == -1)
		return local_error(out, "the Maildir", errno);
	snprintf(tmp, sizeof(tmp), "tmp/%s", d->name);
	d->box = box;
	d->fd = openat(folder, tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (d->fd == -1)
		return local_error(out, "writing to the Maildir", errno);
	if (local_copy(job, d->fd, COPY_MAIL_ONLY) == 0) {
		sync_file_range(d->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		return local_done(
		    out, DELIVERY_OK, 250, "2.0.0", "delivered to Maildir");
	}
	error = errno;
	close(d->fd);
	d->fd = -1;
	unlinkat(folder, tmp, 0);
	return local_error(out, "writing to the Maildir", error);
}

/* Syncs a draft and moves it to new. */
static int
place_draft(const struct local_job *job, struct local_outcome *out)
{
	struct local_draft *d = job->draft;
	int folder = job->place->box[d->box].folder, error = 0;
	char tmp[520], final[520];

	snprintf(tmp, sizeof(tmp), "tmp/%s", d->name);
	snprintf(final, sizeof(final), "new/%s", d->name);
	if (fsync(d->fd) == -1)
		error = errno;
	if (close(d->fd) == -1 && error == 0)
		error = errno;
	d->fd = -1;
	if (error == 0 && renameat(folder, tmp, folder, final) == -1)
		error = errno;
	if (error == 0)
		return 0;
	unlinkat(folder, tmp, 0);
	return local_error(out, "writing to the Maildir", error);
}

/* Who hears of a failure sends the message again: it may not be there
 * already. */
static void
take_back(const struct local_job *job, int error, struct local_outcome *out)
{
	const struct local_draft *d = job->draft;
	char final[520];

	snprintf(final, sizeof(final), "new/%s", d->name);
	unlinkat(job->place->box[d->box].folder, final, 0);
	local_error(out, "syncing the Maildir", error);
}

void
local_maildir_settle(
    const struct local_job *jobs, struct local_outcome *outs, size_t count)
{
	int placed[2] = { 0, 0 }, error;

	for (size_t i = 0; i < count; i++)
		if (jobs[i].draft->fd != -1 &&
		    place_draft(&jobs[i], &outs[i]) == 0)
			placed[jobs[i].draft->box] = 1;
		else
			jobs[i].draft->name[0] = '\0';
	for (int box = 0; box < 2; box++) {
		if (!placed[box] ||
		    sync_folder(jobs->place->box[box].incoming) == 0)
			continue;
		error = errno;
		for (size_t i = 0; i < count; i++)
			if (jobs[i].draft->name[0] != '\0' &&
			    jobs[i].draft->box == box)
				take_back(&jobs[i], error, &outs[i]);
	}
}

/* Whether a filter before us marked the message as spam. */
static int
is_junk(const struct local_job *job)
{
	static char section[SECTION_MAX];
	struct header_field f;
	char value[16];
	size_t pos = 0;
	ssize_t n = pread(job->body, section, sizeof(section), 0);

	while (n > 0 && header_next(section, (size_t)n, &pos, &f)) {
		if (f.name_len != 6 ||
		    strncasecmp(section + f.start, "X-Spam", 6) != 0)
			continue;
		header_body(section, &f, value, sizeof(value));
		return strcasecmp(value, "yes") == 0;
	}
	return 0;
}

/* The folder that the configuration names, with formats expanded. */
static int
find_path(const struct local_job *job, char *path, size_t size,
    struct local_outcome *out)
{
	const struct format_values values = { job->sender, job->recipient,
		job->address, job->user, job->directory, job->msgid,
		job->delimiter };
	const char *format = job->parameter[0] ? job->parameter : "~/Maildir";
	char home[PATH_SIZE], error[128];

	if (strncmp(format, "~/", 2) == 0) {
		snprintf(
		    home, sizeof(home), "%%{user.directory:raw}%s", format + 1);
		format = home;
	}
	if (format_expand(format, &values, path, size, error, sizeof(error)) ==
	    -1)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "maildir path: %s", error);
	return 0;
}

/* Makes what is missing of a Maildir whose folder is open. */
static int
open_box(const struct local_job *job, int box, struct local_outcome *out)
{
	int folder = job->place->box[box].folder, fd;

	if (make_maildir(folder) == -1)
		return local_error(out, "making the Maildir", errno);
	fd = openat(
	    folder, "new", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return local_error(out, "opening the Maildir", errno);
	job->place->box[box].incoming = fd;
	return 0;
}

static int
open_path(
    const struct local_job *job, const char *path, struct local_outcome *out)
{
	int fd;

	if (make_folders(path) == -1)
		return local_error(out, "making the Maildir", errno);
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return local_error(out, "opening the Maildir", errno);
	job->place->box[0].folder = fd;
	if (local_confine(job, path, out) == -1)
		return -1;
	return open_box(job, 0, out);
}

static int
open_place(const struct local_job *job, struct local_outcome *out)
{
	char path[PATH_SIZE];

	return find_path(job, path, sizeof(path), out) == -1
	    ? -1
	    : open_path(job, path, out);
}

int
local_maildir_at(
    const struct local_job *job, const char *path, struct local_outcome *out)
{
	/* more may follow that needs what a Maildir does not */
	struct local_place place = { 1, { { -1, -1 }, { -1, -1 } } };
	struct local_draft draft = { .fd = -1 };
	struct local_job one = *job;
	int rc;

	one.place = &place;
	one.draft = &draft;
	rc = open_path(&one, path, out);
	if (rc == 0 && (rc = write_draft(&one, 0, out)) == 0) {
		local_maildir_settle(&one, out, 1);
		rc = out->status == DELIVERY_OK ? 0 : -1;
	}
	for (int i = 0; i < 2; i++) {
		int fd = i == 0 ? place.box[0].folder : place.box[0].incoming;

		if (fd != -1)
			close(fd);
	}
	return rc;
}

static int
open_junk(const struct local_job *job, struct local_outcome *out)
{
	int folder = job->place->box[0].folder, fd;

	if (make_below(folder, ".Junk") == -1)
		return local_error(out, "making the Junk folder", errno);
	fd = openat(folder, ".Junk", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return local_error(out, "opening the Junk folder", errno);
	job->place->box[1].folder = fd;
	return open_box(job, 1, out);
}

int
local_maildir(const struct local_job *job, struct local_outcome *out)
{
	const struct local_place *p = job->place;
	int junk = strcmp(job->method, "maildir-junk") == 0 && is_junk(job);

	if (p->box[0].incoming == -1 && open_place(job, out) == -1)
		return -1;
	if (junk && p->box[1].incoming == -1 && open_junk(job, out) == -1)
		return -1;
	return write_draft(job, junk, out);
}
