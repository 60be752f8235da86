/*
 * Delivery into a Maildir: written under tmp, synced, linked into new. Needs
 * no lock; a reader sees a whole message or none.
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

#include "deliver/format.h"
#include "deliver/local.h"
#include "mail/header.h"

enum { PATH_SIZE = 2048, SECTION_MAX = 256 * 1024 };

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
		if (mkdir(part, 0700) == -1 && errno != EEXIST)
			return -1;
		if (c == '\0')
			return 0;
		*s = c;
	}
}

static int
sync_folder(int folder)
{
	int fd = openat(folder, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd == -1)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static int
make_maildir(int folder)
{
	static const char *const parts[] = { "tmp", "new", "cur" };

	for (size_t i = 0; i < 3; i++)
		if (mkdirat(folder, parts[i], 0700) == -1 && errno != EEXIST)
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

static int
deliver(const struct local_job *job, int folder, struct local_outcome *out)
{
	char name[512], tmp[520], final[520];
	int fd, error = 0;

	if (make_maildir(folder) == -1 || make_name(name, sizeof(name)) == -1)
		return local_error(out, "the Maildir", errno);
	snprintf(tmp, sizeof(tmp), "tmp/%s", name);
	snprintf(final, sizeof(final), "new/%s", name);
	fd = openat(folder, tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return local_error(out, "writing to the Maildir", errno);
	if (local_copy(job, fd, COPY_MAIL_ONLY) == -1 || fsync(fd) == -1)
		error = errno;
	if (close(fd) == -1 && error == 0)
		error = errno;
	if (error == 0 && linkat(folder, tmp, folder, final, 0) == -1)
		error = errno;
	unlinkat(folder, tmp, 0);
	if (error == 0 && sync_folder(folder) == -1)
		error = errno;
	if (error != 0)
		return local_error(out, "writing to the Maildir", error);
	return local_done(
	    out, DELIVERY_OK, 250, "2.0.0", "delivered to Maildir");
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

int
local_maildir(const struct local_job *job, struct local_outcome *out)
{
	const struct format_values values = { job->sender, job->recipient,
		job->address, job->user, job->home, job->msgid,
		job->delimiter };
	const char *format =
	    job->parameter[0] ? job->parameter : "%{user.directory:raw}/Maildir";
	char path[PATH_SIZE], home[PATH_SIZE], error[128];
	int folder, rc;

	if (strncmp(format, "~/", 2) == 0) {
		snprintf(home, sizeof(home), "%%{user.directory:raw}%s",
		    format + 1);
		format = home;
	}
	if (format_expand(format, &values, path, sizeof(path), error,
		sizeof(error)) == -1)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "maildir path: %s", error);
	if (strcmp(job->method, "maildir-junk") == 0 && is_junk(job) &&
	    strlcat(path, "/.Junk", sizeof(path)) >= sizeof(path))
		return local_error(out, path, ENAMETOOLONG);
	if (make_folders(path) == -1)
		return local_error(out, "making the Maildir", errno);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder == -1)
		return local_error(out, "opening the Maildir", errno);
	rc = local_confine(path, out);
	if (rc == 0)
		rc = deliver(job, folder, out);
	close(folder);
	return rc;
}
