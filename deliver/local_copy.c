/*
 * The copy of a message that ends in a mailbox or a command: trace fields in
 * front, LF line ends, and for mbox the quoting of From lines. Called by the
 * methods of local.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "deliver/local.h"
#include "mail/header.h"
#include "mail/trace.h"

enum { BLOCK = 64 * 1024, SECTION_MAX = 1024 * 1024 };

struct copy {
	int fd;
	unsigned style;
	int line_start;
	int held_cr; /* a CR that may belong to a CRLF */
	size_t out_len;
	char prefix[8]; /* the first octets of a line, for From */
	size_t prefix_len;
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
	return 0;
}

static int
put_octet(struct copy *c, char octet)
{
	return put(c, &octet, 1);
}

/* A line that begins with "From " behind any number of ">" gets one more, so
 * that a reader can undo it (the mboxrd form). */
static int
end_prefix(struct copy *c)
{
	size_t quotes = strspn(c->prefix, ">");
	int is_from = strncmp(c->prefix + quotes, "From ", 5) == 0;
	int rc = 0;

	if (is_from)
		rc = put_octet(c, '>');
	if (rc == 0)
		rc = put(c, c->prefix, c->prefix_len);
	c->prefix_len = 0;
	c->prefix[0] = '\0';
	c->line_start = 0;
	return rc;
}

/* Whether the octets held so far may still become a From line. */
static int
prefix_goes_on(const struct copy *c, char octet)
{
	static const char from[] = "From ";
	size_t quotes = strspn(c->prefix, ">");
	size_t have = c->prefix_len - quotes;

	if (c->prefix_len + 2 >= sizeof(c->prefix))
		return 0;
	if (have == 0 && octet == '>')
		return 1;
	return have < 5 && octet == from[have];
}

static int
take_octet(struct copy *c, char octet)
{
	if (octet == '\n') {
		if (c->line_start && end_prefix(c) == -1)
			return -1;
		c->line_start = 1;
		return put_octet(c, '\n');
	}
	if (!c->line_start || !(c->style & COPY_MBOX)) {
		c->line_start = 0;
		return put_octet(c, octet);
	}
	if (prefix_goes_on(c, octet)) {
		c->prefix[c->prefix_len++] = octet;
		c->prefix[c->prefix_len] = '\0';
		return 0;
	}
	if (end_prefix(c) == -1)
		return -1;
	return put_octet(c, octet);
}

static int
take(struct copy *c, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\r') {
			if (c->held_cr && take_octet(c, '\r') == -1)
				return -1;
			c->held_cr = 1;
			continue;
		}
		if (c->held_cr && data[i] != '\n' && take_octet(c, '\r') == -1)
			return -1;
		c->held_cr = 0;
		if (take_octet(c, data[i]) == -1)
			return -1;
	}
	return 0;
}

static int
put_field(struct copy *c, const char *field, size_t len)
{
	return take(c, field, len);
}

static int
put_heading(struct copy *c, const struct local_job *job)
{
	char field[TRACE_FIELD_MAX], line[2048];
	time_t now = time(NULL);
	struct tm tm;
	size_t n;

	if (c->style & COPY_MBOX) {
		gmtime_r(&now, &tm);
		n = (size_t)snprintf(line, sizeof(line), "From %s ",
		    job->sender[0] ? job->sender : "MAILER-DAEMON");
		/* a space in a quoted local part would split the line */
		for (char *s = line + 5; s < line + n - 1; s++)
			if (*s == ' ' || *s == '\t')
				*s = '_';
		n += strftime(line + n, sizeof(line) - n,
		    "%a %b %e %H:%M:%S %Y\n", &tm);
		if (put(c, line, n) == -1)
			return -1;
	}
	n = trace_return_path(field, sizeof(field), job->sender);
	if (put_field(c, field, n) == -1)
		return -1;
	n = trace_delivered_to(field, sizeof(field), job->address);
	return put_field(c, field, n);
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
	if (!c.line_start && put_octet(&c, '\n') == -1)
		return -1;
	if (c.prefix_len > 0 && end_prefix(&c) == -1)
		return -1;
	if ((style & COPY_MBOX) && put_octet(&c, '\n') == -1)
		return -1;
	return flush(&c);
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
