/*
 * See dialogue.h. The other end is our own daemon, yet its replies are read
 * with bounds. RFC 5321, 3461 (DSN), 1870 (SIZE), 6152 (8BITMIME), 6531
 * (SMTPUTF8).
 */
#include "config.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "ipc/enums.h"
#include "smtp/address.h"
#include "smtp/xtext.h"
#include "smtpctl/dialogue.h"

enum {
	REPLY_SECONDS = 600,
	RCPTS_TRANSACTION = 1000,
	PUT_OFF_MAX = 100 /* recipients, until all that come behind wait too */
};

/* What is known of a recipient, as addresses_leave_out() has it. */
enum { WAITS, DONE, PUT_OFF, REFUSED };

struct dialogue {
	FILE *in;
	FILE *out;
	int verbose;
	int code;
	char line[1024]; /* the last line of the last reply */
	char server[ADDRESS_DOMAIN_SIZE];
	int has_dsn, has_8bit, has_utf8, has_size;
	unsigned long long max_size; /* 0: any */
	char *known; /* of each recipient */
	size_t put_off;
	char why[720]; /* the last of those was */
};

static void
note_extension(struct dialogue *d, const char *s)
{
	d->has_dsn |= strcasecmp(s, "DSN") == 0;
	d->has_8bit |= strcasecmp(s, "8BITMIME") == 0;
	if (strncasecmp(s, "SIZE", 4) == 0 && (s[4] == ' ' || s[4] == '\0')) {
		d->has_size = 1;
		d->max_size = strtoull(s + 4, NULL, 10);
	}
	d->has_utf8 |= strcasecmp(s, "SMTPUTF8") == 0;
}

/* Reads one reply; its code, or 0 when the daemon has gone away. */
static int
read_reply(struct dialogue *d)
{
	fflush(d->out);
	do {
		if (fgets(d->line, sizeof(d->line), d->in) == NULL ||
		    strlen(d->line) < 4) {
			snprintf(
			    d->line, sizeof(d->line), "the daemon broke off");
			return d->code = 0;
		}
		d->line[strcspn(d->line, "\r\n")] = '\0';
		if (d->verbose)
			fprintf(stderr, "<<< %s\n", d->line);
		note_extension(d, d->line + 4 - (d->line[3] == '\0'));
	} while (d->line[3] == '-');
	return d->code = atoi(d->line);
}

static int say(struct dialogue *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

static int
say(struct dialogue *d, const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (d->verbose)
		fprintf(stderr, ">>> %s\n", text);
	fprintf(d->out, "%s\r\n", text);
	return read_reply(d);
}

/* What a reply means to whoever called us. */
static int
exit_status(const struct dialogue *d)
{
	if (d->code < 500)
		return EX_TEMPFAIL;
	if (strstr(d->line, " 5.1.") != NULL)
		return EX_NOUSER;
	if (strstr(d->line, " 5.3.4") != NULL || d->code == 552 ||
	    strstr(d->line, " 5.6.") != NULL)
		return EX_DATAERR;
	if (strstr(d->line, " 5.7.") != NULL)
		return EX_NOPERM;
	return EX_UNAVAILABLE;
}

static int
greet(struct dialogue *d)
{
	const char *name;

	if (read_reply(d) != 220)
		return -1;
	name = d->line + 4;
	if (address_parse_domain(name, strcspn(name, " "), 0, d->server) !=
	    ADDRESS_OK)
		strcpy(d->server, "localhost");
	return say(d, "EHLO localhost") == 250 ? 0 : -1;
}

static int
mail_from(struct dialogue *d, const struct submission *s, const char *sender,
    size_t len, int eight_bit, int utf8)
{
	char envid[400] = "", params[600];
	int n;

	n = snprintf(params, sizeof(params), "%s%s",
	    eight_bit && d->has_8bit ? " BODY=8BITMIME" : "",
	    utf8 && d->has_utf8 ? " SMTPUTF8" : "");
	/* what is too large is refused before it is sent (RFC 1870) */
	if (d->has_size)
		n += snprintf(
		    params + n, sizeof(params) - (size_t)n, " SIZE=%zu", len);
	if (d->has_dsn && s->ret != RET_UNSAID)
		n += snprintf(params + n, sizeof(params) - (size_t)n, " RET=%s",
		    s->ret == RET_FULL ? "FULL" : "HDRS");
	if (d->has_dsn && s->envid != NULL &&
	    xtext_encode(s->envid, strlen(s->envid), envid, sizeof(envid)) > 0)
		snprintf(
		    params + n, sizeof(params) - (size_t)n, " ENVID=%s", envid);
	return say(d, "MAIL FROM:<%s>%s", sender, params) == 250 ? 0 : -1;
}

static int
rcpt_to(struct dialogue *d, const struct submission *s, const char *rcpt)
{
	char notify[64] = "";

	if (d->has_dsn && s->notify == NOTIFY_NEVER)
		strcpy(notify, " NOTIFY=NEVER");
	else if (d->has_dsn && s->notify != NOTIFY_UNSAID)
		snprintf(notify, sizeof(notify), " NOTIFY=%s",
		    (const char *const[]){ "", "SUCCESS", "FAILURE",
			"SUCCESS,FAILURE", "DELAY", "SUCCESS,DELAY",
			"FAILURE,DELAY",
			"SUCCESS,FAILURE,DELAY" }[s->notify >> 1 & 7]);
	return say(d, "RCPT TO:<%s>%s", rcpt, notify) / 100 == 2 ? 0 : -1;
}

static int
send_content(struct dialogue *d, const struct submission *s, const char *sender,
    const struct draft *draft)
{
	char from[1800], mailbox[1600], date[64], id[400];
	struct additions add = { from, date, id, d->server };
	unsigned long long random = 0;
	time_t now = time(NULL), written = now;
	struct tm tm;

	if (s->written > 0 && s->written < now)
		written = (time_t)s->written;
	snprintf(from, sizeof(from), "MAILER-DAEMON@%s", d->server);
	compose_mailbox(s->full_name, sender[0] != '\0' ? sender : from,
	    mailbox, sizeof(mailbox));
	snprintf(from, sizeof(from), "From: %s", mailbox);
	localtime_r(&written, &tm);
	strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S %z", &tm);
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (unsigned long long)getpid();
	snprintf(id, sizeof(id), "Message-ID: <%llx.%016llx@%s>",
	    (unsigned long long)now, random, d->server);
	if (say(d, "DATA") != 354)
		return -1;
	compose_write(draft, &add, d->out);
	return read_reply(d) == 250 ? 0 : -1;
}

static void
note_refusal(struct submission *s, const char *rcpt, const char *reply,
    char *error, size_t size)
{
	size_t n = s->told;

	snprintf(error + n, size - n, "%s%.200s: %.500s", n > 0 ? "\n" : "",
	    rcpt, reply);
	s->refused++;
	s->told = n + strlen(error + n);
}

/* One who is put off is no reason for the others to wait. */
static void
note_put_off(struct dialogue *d, size_t i, const char *rcpt)
{
	d->known[i] = PUT_OFF;
	d->put_off++;
	snprintf(d->why, sizeof(d->why), "%.200s: %.500s", rcpt, d->line);
}

/* One transaction, for recipients from *next on; -1 when it failed. */
static int
transaction(struct dialogue *d, struct submission *s, const char *sender,
    const struct draft *draft, size_t *next, int *status, char *error,
    size_t size)
{
	size_t taken = 0, begin = *next, before = s->refused, n = s->told;
	int eight_bit, utf8;

	/* what is too large is not read through before it is refused */
	eight_bit = (d->max_size == 0 || draft->len <= d->max_size) &&
	    compose_is_8bit(draft);
	utf8 = address_needs_utf8(sender);
	for (size_t i = 0; i < s->rcpts->count; i++)
		utf8 |= address_needs_utf8(s->rcpts->list[i]);
	if (mail_from(d, s, sender, draft->len, eight_bit, utf8) == -1)
		goto failed;
	for (; *next < s->rcpts->count && taken < RCPTS_TRANSACTION &&
	     d->put_off < PUT_OFF_MAX;
	     (*next)++) {
		if (rcpt_to(d, s, s->rcpts->list[*next]) == 0) {
			taken++;
			continue;
		}
		/* a full transaction (RFC 5321 4.5.3.1.10) */
		if (taken > 0 && (d->code == 452 || d->code == 552) &&
		    strstr(d->line, ".5.3") != NULL)
			break;
		if (d->code < 400 || d->code == 421)
			goto failed;
		if (d->code < 500) {
			note_put_off(d, *next, s->rcpts->list[*next]);
			continue;
		}
		*status = exit_status(d);
		d->known[*next] = REFUSED;
		note_refusal(s, s->rcpts->list[*next], d->line, error, size);
	}
	if (taken > 0 && send_content(d, s, sender, draft) == -1)
		goto failed;
	if (taken == 0)
		say(d, "RSET");
	s->taken += taken;
	for (size_t i = begin; i < *next; i++)
		if (d->known[i] == WAITS)
			d->known[i] = DONE;
	return 0;
failed:
	for (size_t i = begin; i < s->rcpts->count; i++)
		if (d->known[i] == REFUSED)
			d->known[i] = WAITS;
	*status = exit_status(d);
	s->refused = before;
	s->told = n;
	snprintf(error + n, size - n, "%s%.700s", n > 0 ? "\n" : "", d->line);
	return -1;
}

static int
submit(struct dialogue *d, struct submission *s, const struct draft *draft,
    char *error, size_t size)
{
	struct addresses sender = { 0 };
	int status = EX_OK, failed = 0;
	size_t next = 0;

	if (greet(d) == -1) {
		snprintf(error, size, "%.700s", d->line);
		return exit_status(d);
	}
	strcpy(s->domain, d->server);
	if (addresses_qualify(s->rcpts, d->server) == -1 ||
	    (d->known = calloc(s->rcpts->count + 1, 1)) == NULL ||
	    (s->sender[0] != '\0' &&
		(addresses_add(&sender, s->sender) == -1 ||
		    addresses_qualify(&sender, d->server) == -1))) {
		snprintf(error, size, "out of memory");
		addresses_free(&sender);
		return EX_TEMPFAIL;
	}
	while (!failed && next < s->rcpts->count && d->put_off < PUT_OFF_MAX)
		failed = transaction(d, s, sender.count ? sender.list[0] : "",
		    draft, &next, &status, error, size);
	say(d, "QUIT");
	for (size_t i = 0; i < s->rcpts->count; i++)
		if (d->known[i] == REFUSED &&
		    (s->gone == NULL ||
			addresses_add(s->gone, s->rcpts->list[i]) == 0))
			d->known[i] = DONE;
	addresses_leave_out(s->rcpts, d->known);
	if (!failed && s->rcpts->count > 0) {
		status = EX_TEMPFAIL;
		snprintf(error + s->told, size - s->told, "%s%s",
		    s->told > 0 ? "\n" : "", d->why);
	}
	addresses_free(&sender);
	return status;
}

int
dialogue_submit(int fd, struct submission *s, const struct draft *draft,
    char *error, size_t size)
{
	struct timeval tv = { REPLY_SECONDS, 0 };
	struct dialogue d = { .verbose = s->verbose };
	int copy = dup(fd), status = EX_OSERR;

	s->refused = s->told = s->taken = 0;
	s->domain[0] = '\0';
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	d.in = fdopen(fd, "r");
	d.out = copy != -1 ? fdopen(copy, "w") : NULL;
	if (d.in != NULL && d.out != NULL)
		status = submit(&d, s, draft, error, size);
	else
		snprintf(error, size, "%s", strerror(errno));
	free(d.known);
	if (d.in != NULL)
		fclose(d.in);
	else
		close(fd);
	if (d.out != NULL)
		fclose(d.out);
	else if (copy != -1)
		close(copy);
	return status;
}

/* An input, whose first line says how all of them end. */
struct input {
	enum { UNKNOWN, AS_THEY_ARE, BARE } ending;
	char last; /* octet that was read */
};

static int
write_all(int to, const char *data, size_t len)
{
	ssize_t w;

	for (; len > 0; data += w, len -= (size_t)w)
		if ((w = write(to, data, len)) <= 0)
			return -1;
	return 0;
}

/* In SMTP a line ends in CRLF, on a terminal in LF. Whoever ends one in CRLF
 * may send by BDAT, of which no octet may change. */
static int
write_lines(int to, const char *data, size_t len, struct input *in)
{
	const char *end, *lf;

	while (in->ending != AS_THEY_ARE &&
	    (end = memchr(data, '\n', len)) != NULL) {
		lf = (end > data ? end[-1] : in->last) == '\r' ? "\n" : "\r\n";
		if (in->ending == UNKNOWN) {
			in->ending = lf[0] == '\n' ? AS_THEY_ARE : BARE;
			continue;
		}
		if (write_all(to, data, (size_t)(end - data)) == -1 ||
		    write_all(to, lf, strlen(lf)) == -1)
			return -1;
		len -= (size_t)(end + 1 - data);
		data = end + 1;
	}
	if (len > 0)
		in->last = data[len - 1];
	return write_all(to, data, len);
}

static int
pass_on(int from, int to, struct input *in)
{
	char data[65536];
	ssize_t n = read(from, data, sizeof(data));

	if (n <= 0)
		return n == -1 && errno == EINTR ? 1 : 0;
	return write_lines(to, data, (size_t)n, in) == 0;
}

int
dialogue_proxy(int fd)
{
	struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN } };
	struct input in = { UNKNOWN, 0 }, replies = { AS_THEY_ARE, 0 };

	while (poll(p, 2, -1) > 0 || errno == EINTR) {
		if (p[1].revents != 0 && !pass_on(fd, STDOUT_FILENO, &replies))
			break;
		if (p[0].revents != 0 && !pass_on(STDIN_FILENO, fd, &in)) {
			shutdown(fd, SHUT_WR);
			p[0].fd = -1;
		}
	}
	close(fd);
	return EX_OK;
}
