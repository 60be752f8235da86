/*
 * The copy of a message that ends in a mailbox or a command: trace fields in
 * front, LF line ends, and for mbox the quoting of From lines. A binary body
 * has no line ends and keeps its octets. Called by the methods of local.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "deliver/local.h"
#include "mail/header.h"
#include "mail/trace.h"

enum { BLOCK = 64 * 1024, SECTION_MAX = 1024 * 1024 };

static const char from[] = "From ";

struct copy {
	int fd;
	unsigned style;
	int binary; /* what is behind the header goes as it is */
	int in_body; /* such a header is over */
	int line_start; /* nothing but ">" and from_len octets so far */
	int held_cr; /* a CR that may belong to a CRLF */
	size_t from_len; /* octets of `from` that are held back */
	char last; /* octet written */
	size_t out_len;
	char out[2 * BLOCK + 64];
};

static int
flush(struct copy *c)
{
	size_t at = 0;
	ssize_t n;

	while (at < c->out_len) {
		n = write(c->fd, c->out + at, c->out_len - at);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		at += (size_t)n;
	}
	c->out_len = 0;
	return 0;
}

static int
put(struct copy *c, const char *data, size_t len)
{
	if (c->out_len + len > sizeof(c->out) && flush(c) == -1)
		return -1;
	memcpy(c->out + c->out_len, data, len);
	c->out_len += len;
	if (len > 0)
		c->last = data[len - 1];
	return 0;
}

static int
put_octet(struct copy *c, char octet)
{
	return put(c, &octet, 1);
}

/* What was held back as the beginning of a From line. */
static int
release_from(struct copy *c, const char *mark)
{
	size_t len = c->from_len;

	c->from_len = 0;
	c->line_start = 0;
	return put(c, mark, strlen(mark)) == -1 ? -1 : put(c, from, len);
}

/* At the start of a line of an mbox. A line that begins with "From " behind
 * any number of ">" gets one more, so that a reader can undo it (the mboxrd
 * form). 1 when the octet was taken. */
static int
take_line_start(struct copy *c, char octet)
{
	if (c->from_len == 0 && octet == '>')
		return put_octet(c, octet) == -1 ? -1 : 1;
	if (octet == from[c->from_len]) {
		if (++c->from_len < sizeof(from) - 1)
			return 1;
		return release_from(c, ">") == -1 ? -1 : 1;
	}
	return release_from(c, "");
}

static int
take_octet(struct copy *c, char octet)
{
	int rc = 0;

	if (c->line_start && (c->style & COPY_MBOX) != 0)
		rc = take_line_start(c, octet);
	if (rc != 0)
		return rc == 1 ? 0 : -1;
	c->line_start = octet == '\n';
	c->in_body |= c->binary && octet == '\n' && c->last == '\n';
	return put_octet(c, octet);
}

/* The octets that can be copied without a look at each. */
static size_t
plain_span(const struct copy *c, const char *data, size_t len)
{
	size_t n = 0;

	if (c->held_cr || c->line_start)
		return 0;
	while (n < len && data[n] != '\r' && data[n] != '\n')
		n++;
	return n;
}

static int
take(struct copy *c, const char *data, size_t len)
{
	size_t i = 0, n;

	while (i < len) {
		if ((n = plain_span(c, data + i, len - i)) > 0) {
			if (put(c, data + i, n) == -1)
				return -1;
			i += n;
			continue;
		}
		if (c->held_cr && data[i] != '\n' && take_octet(c, '\r') == -1)
			return -1;
		c->held_cr = data[i] == '\r' && !c->in_body;
		if (!c->held_cr && take_octet(c, data[i]) == -1)
			return -1;
		i++;
	}
	return 0;
}

static int
put_heading(struct copy *c, const struct local_job *job)
{
	char field[TRACE_FIELD_MAX], line[2048];
	time_t now = time(NULL);
	struct tm tm;
	size_t n;

	if (c->style & (COPY_MBOX | COPY_FROM)) {
		/* without a zone, and mail readers show it as it is */
		localtime_r(&now, &tm);
		n = (size_t)snprintf(line, sizeof(line), "From %s ",
		    job->sender[0] ? job->sender : "MAILER-DAEMON");
		/* a space in a quoted local part would split the line */
		for (char *s = line + 5; s < line + n - 1; s++)
			if (*s == ' ' || *s == '\t')
				*s = '_';
		n += strftime(
		    line + n, sizeof(line) - n, "%a %b %e %H:%M:%S %Y\n", &tm);
		if (put(c, line, n) == -1)
			return -1;
	}
	n = trace_return_path(field, sizeof(field), job->sender);
	if (take(c, field, n) == -1)
		return -1;
	n = trace_delivered_to(field, sizeof(field), job->address);
	return take(c, field, n);
}

int
local_copy(const struct local_job *job, int fd, unsigned style)
{
	static struct copy c;
	static char block[BLOCK];
	off_t at = 0;
	ssize_t n;

	memset(&c, 0, offsetof(struct copy, out));
	c.fd = fd;
	c.style = style;
	c.binary = (job->flags & MAIL_BINARY) != 0;
	if (put_heading(&c, job) == -1)
		return -1;
	c.line_start = 1;
	while ((n = pread(job->body, block, sizeof(block), at)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 || take(&c, block, (size_t)n) == -1)
			return -1;
		at += n;
	}
	/* a body that is shorter than it was when it became durable is torn */
	if ((uint64_t)at != job->size) {
		errno = EIO;
		return -1;
	}
	if (c.held_cr && take_octet(&c, '\r') == -1)
		return -1;
	if (c.from_len > 0 && release_from(&c, "") == -1)
		return -1;
	if (c.last != '\n' && (!c.in_body || (style & COPY_MBOX)) &&
	    put_octet(&c, '\n') == -1)
		return -1;
	if ((style & COPY_MBOX) && put_octet(&c, '\n') == -1)
		return -1;
	return flush(&c);
}

int
local_sync_name(const char *path)
{
	char folder[4096];
	char *slash;
	int fd, rc;

	if (strlcpy(folder, path, sizeof(folder)) >= sizeof(folder)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((slash = strrchr(folder, '/')) == NULL)
		strlcpy(folder, ".", sizeof(folder));
	else
		slash[slash == folder] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return errno == EACCES ? 0 : -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

int
local_is_loop(const struct local_job *job)
{
	static char section[SECTION_MAX];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(section) &&
	    (n = pread(job->body, section + len, sizeof(section) - len,
		 (off_t)len)) > 0)
		len += (size_t)n;
	return header_delivered_to(section, len, job->address);
}
