/*
 * sendmail: takes a message on standard input and submits it over a session
 * of the daemon, or leaves it in the drop folder while there is none. Runs as
 * whoever calls it; may be setgid for the drop folder, and uses that right for
 * the one file that it writes there. The environment decides nothing here.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "ipc/enums.h"
#include "smtp/address.h"
#include "smtpctl/client.h"
#include "smtpctl/dialogue.h"
#include "smtpctl/drop.h"
#include "smtpctl/sendmail.h"

enum { REPORT_OCTETS = 64 * 1024, MEMORY_OCTETS = 8 * 1024 * 1024 };

/* One run. */
struct mail {
	struct sendmail_options options;
	struct addresses rcpts; /* after an attempt those who need another */
	char sender[ADDRESS_SIZE];
	char name[256];
	struct draft draft;
	int64_t written; /* when the draft was; 0: now */
	size_t taken; /* recipients to whom it has gone */
	size_t refused; /* and those to whom it never will */
	struct addresses gone; /* who they are */
	char domain[ADDRESS_DOMAIN_SIZE]; /* which those without one got */
	/* a line for each, or "": what stood among them and is no address,
	 * those who were refused, and what ended all */
	char odd[4000];
	char *refusals; /* may be NULL */
	char error[1200];
};

static void
print_words(const struct mail *m, FILE *f, const char *before)
{
	const char *words[] = { m->odd, m->refusals, m->error };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i] != NULL && words[i][0] != '\0')
			fprintf(f, "%s%s\n", before, words[i]);
}

static int
fail(const struct mail *m, int status)
{
	print_words(m, stderr, "sendmail: ");
	return status;
}

static void
mail_free(struct mail *m)
{
	addresses_free(&m->rcpts);
	addresses_free(&m->gone);
	free(m->refusals);
}

/* ---- the message ------------------------------------------------------ */

/* Mail that tells of a full disk must not need room on it: what is small stays
 * in memory. */
static FILE *
open_memory(void)
{
	int fd = memfd_create("message", MFD_CLOEXEC);
	FILE *f = fd != -1 ? fdopen(fd, "w+") : NULL;

	if (f == NULL && fd != -1)
		close(fd);
	return f != NULL ? f : tmpfile();
}

/* What is large goes to a file without name, if there can be one. */
static FILE *
move_to_file(FILE *memory)
{
	FILE *f = tmpfile();
	char block[64 * 1024];
	size_t n;

	if (f == NULL)
		return memory;
	rewind(memory);
	while ((n = fread(block, 1, sizeof(block), memory)) > 0)
		if (fwrite(block, 1, n, f) != n)
			break;
	if (n > 0 || ferror(memory) || fflush(f) != 0) {
		fclose(f);
		fseek(memory, 0, SEEK_END);
		return memory;
	}
	fclose(memory);
	return f;
}

/* Copies standard input; a lone dot ends it unless -i was given. NULL with
 * errno. */
static FILE *
read_input(int keep_dots)
{
	FILE *to = open_memory();
	size_t room = 0, before, len = 0;
	char *line = NULL;
	ssize_t n;

	while (to != NULL && (n = getline(&line, &room, stdin)) > 0) {
		if (!keep_dots &&
		    (strcmp(line, ".\n") == 0 || strcmp(line, ".\r\n") == 0))
			break;
		before = len;
		len += (size_t)n;
		if (before <= MEMORY_OCTETS && len > MEMORY_OCTETS)
			to = move_to_file(to);
		if (fwrite(line, 1, (size_t)n, to) != (size_t)n)
			break;
	}
	free(line);
	/* a line that finds no memory is no end */
	return to == NULL || ferror(to) || (n == -1 && !feof(stdin)) ||
		fflush(to) != 0
	    ? NULL
	    : to;
}

static int
map_file(int fd, struct draft *d)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		return -1;
	d->data = "";
	d->len = (size_t)st.st_size;
	if ((off_t)d->len != st.st_size) { /* more than all addresses */
		errno = EFBIG;
		return -1;
	}
	if (d->len == 0)
		return 0;
	p = mmap(NULL, d->len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	d->data = p;
	return 0;
}

static int
read_message(struct mail *m)
{
	FILE *f = read_input(m->options.keep_dots);

	if (f == NULL || map_file(fileno(f), &m->draft) == -1) {
		snprintf(m->error, sizeof(m->error),
		    "the message could not be read: %s", strerror(errno));
		return -1;
	}
	return 0; /* f stays open as long as we run */
}

/* ---- who -------------------------------------------------------------- */

/* A word of the caller, or in quotes if it names an account and is no address,
 * as `CORP\user` of a directory service. */
static const char *
account_address(const char *word, char quoted[ADDRESS_LOCAL_SIZE])
{
	struct address a;
	size_t n = 0;

	if (address_parse(word, strlen(word), ADDRESS_CANONICAL, &a) ==
		ADDRESS_OK ||
	    getpwnam(word) == NULL)
		return word;
	quoted[n++] = '"';
	for (const char *s = word; *s != '\0'; s++) {
		if (n + 4 > ADDRESS_LOCAL_SIZE)
			return word;
		if (*s == '"' || *s == '\\')
			quoted[n++] = '\\';
		quoted[n++] = *s;
	}
	quoted[n++] = '"';
	quoted[n] = '\0';
	return quoted;
}

/* An address, <address>, or one with a name as From has it. */
static enum address_error
parse_sender(const char *given, struct address *a)
{
	struct addresses one = { 0 };
	size_t len = strlen(given);
	enum address_error e;
	char error[200] = "";

	if (len >= 2 && given[0] == '<')
		e = address_parse_path(given, len,
		    ADDRESS_UTF8 | ADDRESS_NULL | ADDRESS_BARE | ADDRESS_LONG,
		    a);
	else
		e = address_parse(given, len, ADDRESS_CANONICAL, a);
	if (e != ADDRESS_OK &&
	    addresses_parse(&one, given, len, error, sizeof(error)) == 0 &&
	    one.count == 1)
		e = address_parse(
		    one.list[0], strlen(one.list[0]), ADDRESS_CANONICAL, a);
	addresses_free(&one);
	return e;
}

/* The exit status. */
static int
set_sender(struct mail *m)
{
	const char *given = m->options.sender;
	char quoted[ADDRESS_LOCAL_SIZE];
	const struct passwd *pw;
	struct address a;
	enum address_error e;

	errno = 0;
	pw = getpwuid(getuid());
	if (pw != NULL && m->options.full_name == NULL) {
		compose_full_name(
		    pw->pw_gecos, pw->pw_name, m->name, sizeof(m->name));
		m->options.full_name = m->name;
	}
	/* as of a directory whose daemon is down */
	if (given == NULL && pw == NULL && errno != 0) {
		snprintf(m->error, sizeof(m->error),
		    "the name of uid %u cannot be said now: %s; or give the "
		    "sender with -f",
		    (unsigned)getuid(), strerror(errno));
		return EX_TEMPFAIL;
	}
	if (given == NULL && pw == NULL) {
		snprintf(m->error, sizeof(m->error),
		    "uid %u has no name: give the sender with -f",
		    (unsigned)getuid());
		return EX_USAGE;
	}
	given = account_address(given != NULL ? given : pw->pw_name, quoted);
	if ((e = parse_sender(given, &a)) != ADDRESS_OK) {
		snprintf(m->error, sizeof(m->error), "sender `%.100s`: %s",
		    given, address_strerror(e));
		return EX_USAGE;
	}
	address_format(&a, m->sender);
	if (m->sender[0] == '-') {
		snprintf(m->error, sizeof(m->error),
		    "sender `%.100s`: it begins with a dash", given);
		return EX_USAGE;
	}
	return EX_OK;
}

/* -1 where nobody is named. */
static int
set_recipients(struct mail *m, int argc, char **argv)
{
	char quoted[ADDRESS_LOCAL_SIZE];

	for (int i = m->options.first; i < argc; i++) {
		const char *word = account_address(argv[i], quoted);

		addresses_parse(
		    &m->rcpts, word, strlen(word), m->odd, sizeof(m->odd));
	}
	if (m->options.extract)
		compose_recipients(
		    &m->draft, &m->rcpts, m->odd, sizeof(m->odd));
	if (m->rcpts.count > 0)
		return 0;
	if (m->odd[0] == '\0')
		snprintf(m->error, sizeof(m->error),
		    m->options.extract
			? "neither To, Cc nor Bcc names a recipient"
			: "no recipient: name one, or use -t");
	return -1;
}

/* ---- delivery to the daemon ------------------------------------------- */

/* What is left in the drop folder, as there is no session in time, has not
 * been given to the daemon, so it cannot come twice. */
static int
open_session(const struct caller *c, struct mail *m, int *status)
{
	const struct client_ops ops = { .seconds = client_patience() };
	char submit[] = "submit", *words[] = { submit };
	int fd = -1;

	switch (client_ask(
	    c->socket, words, 1, &ops, &fd, m->error, sizeof(m->error))) {
	case CLIENT_OK:
		break;
	default:
		*status = EX_TEMPFAIL;
		return -1;
	}
	if (fd == -1) {
		snprintf(
		    m->error, sizeof(m->error), "the daemon gave no session");
		*status = EX_TEMPFAIL;
	}
	return fd;
}

static int
submit(const struct caller *c, struct mail *m)
{
	struct submission s = { .sender = m->sender,
		.rcpts = &m->rcpts,
		.gone = &m->gone,
		.full_name = m->options.full_name,
		.envid = m->options.envid,
		.notify = m->options.notify,
		.ret = m->options.ret,
		.written = m->written,
		.domain = m->domain,
		.verbose = m->options.verbose };
	size_t size = DIALOGUE_LINE * (m->rcpts.count + 1);
	int status = EX_OK, fd;

	if ((m->refusals = malloc(size)) == NULL) {
		snprintf(m->error, sizeof(m->error), "%s", strerror(errno));
		return EX_TEMPFAIL;
	}
	m->refusals[0] = '\0';
	if ((fd = open_session(c, m, &status)) == -1)
		return status;
	status = dialogue_submit(fd, &s, &m->draft, m->refusals, size);
	snprintf(m->error, sizeof(m->error), "%s",
	    m->refusals + s.told + (m->refusals[s.told] == '\n'));
	m->refusals[s.told] = '\0';
	m->taken = s.taken;
	m->refused = s.refused;
	return status;
}

/* Mail that cannot be taken now waits in the drop folder. */
static int
leave(const struct caller *c, struct mail *m)
{
	char why[600];
	int rc;

	snprintf(why, sizeof(why), "%.590s", m->error);
	if (setegid(c->drop_gid) == -1)
		return fail(m, EX_TEMPFAIL);
	rc = drop_write(c->folder, &m->options, m->sender, &m->rcpts, &m->draft,
	    m->error, sizeof(m->error));
	if (setegid(c->real_gid) == -1)
		rc = -1;
	if (rc == 0) {
		if (m->options.verbose || isatty(STDERR_FILENO))
			fprintf(stderr,
			    "sendmail: %s: the message waits for "
			    "the daemon\n",
			    why);
		return EX_OK;
	}
	fprintf(stderr,
	    "sendmail: %s\n"
	    "sendmail: nor can the message wait in %s\n"
	    "sendmail: the message is not kept: send it again%s%s%s after "
	    "that\n",
	    why, m->error, m->taken > 0 ? " to " : "",
	    m->taken > 0 ? m->rcpts.list[0] : "",
	    m->taken > 0 && m->rcpts.count > 1 ? " and others" : "");
	return EX_TEMPFAIL;
}

static int
flush_queue(const struct caller *c)
{
	char flush[] = "flush", *words[] = { flush };

	return smtpctl_ask(c, words, 1, 0);
}

static int
serve_smtp(const struct caller *c, struct mail *m)
{
	int status = EX_OK, fd = open_session(c, m, &status);

	return fd == -1 ? fail(m, status) : dialogue_proxy(fd);
}

/* ---- what its sender is told ------------------------------------------ */

/* A report of the daemon's words and len octets of the message. */
static int
send_report(
    const struct caller *c, const struct mail *failed, size_t len, int may_wait)
{
	struct mail m = { 0 };
	char *text = NULL;
	size_t size = 0;
	int status = EX_TEMPFAIL;
	FILE *f;

	if ((f = open_memstream(&text, &size)) == NULL)
		return EX_TEMPFAIL;
	fprintf(f,
	    "From: MAILER-DAEMON\nTo: %s\n"
	    "Subject: Undelivered mail\nAuto-Submitted: auto-replied\n\n"
	    "This mail could not be sent%s:\n\n",
	    failed->sender, failed->taken > 0 ? " to all that it is for" : "");
	print_words(failed, f, "");
	fprintf(f, "\nIt %s.\n\n",
	    len == failed->draft.len ? "follows as you gave it"
		: len > 0            ? "begins as follows"
				     : "cannot be shown here");
	fwrite(failed->draft.data, 1, len, f);
	if (fclose(f) == 0 && addresses_add(&m.rcpts, failed->sender) == 0) {
		m.draft = (struct draft){ text, size };
		status = submit(c, &m);
		if (status == EX_TEMPFAIL && may_wait)
			status = leave(c, &m);
	}
	mail_free(&m);
	free(text);
	return status;
}

/* What made the daemon refuse the mail may make it refuse the report as
 * well. */
static int
report_failure(const struct caller *c, const struct mail *failed, int may_wait)
{
	size_t len = failed->draft.len;
	int status;

	if (len > REPORT_OCTETS)
		len = REPORT_OCTETS;
	status = send_report(c, failed, len, may_wait);
	if (status != EX_OK && status != EX_TEMPFAIL)
		status = send_report(c, failed, 0, may_wait);
	return status;
}

/* The exit status, where some or all of what was asked for failed for good. It
 * is no failure to send to some while the sender hears of the others: few
 * callers look at it, and none would send to the others again. */
static int
tell(const struct caller *c, struct mail *m, int status)
{
	int sent = m->taken > 0;

	fail(m, status);
	if (m->sender[0] == '\0' || (!sent && !m->options.mail_errors))
		return status; /* a report is not reported upon */
	return report_failure(c, m, 1) == EX_OK && sent ? EX_OK : status;
}

/* ---- the command ------------------------------------------------------ */

int
sendmail_main(const struct caller *c, int argc, char **argv)
{
	struct mail m = { 0 };
	int status;

	if (sendmail_parse(argc, argv, &m.options, m.error, sizeof(m.error)) ==
	    -1)
		return fail(&m, EX_USAGE);
	switch (m.options.mode) {
	case SENDMAIL_QUEUE:
		return mailq_main(c, 0);
	case SENDMAIL_FLUSH:
		return flush_queue(c);
	case SENDMAIL_ALIASES:
		return newaliases_main(c);
	case SENDMAIL_SMTP:
		return serve_smtp(c, &m);
	case SENDMAIL_MAIL:
		break;
	}
	if ((status = set_sender(&m)) != EX_OK)
		return fail(&m, status);
	if (!m.options.extract && set_recipients(&m, argc, argv) == -1)
		return fail(&m, EX_USAGE);
	if (read_message(&m) == -1)
		return fail(&m, EX_IOERR);
	if (m.options.extract && set_recipients(&m, argc, argv) == -1)
		return tell(c, &m, EX_DATAERR);
	status = submit(c, &m);
	if (status == EX_TEMPFAIL && (status = leave(c, &m)) == EX_OK) {
		m.taken += m.rcpts.count;
		m.error[0] = '\0';
	}
	if (status != EX_TEMPFAIL &&
	    (status != EX_OK || m.refused > 0 || m.odd[0] != '\0'))
		status = tell(c, &m, status != EX_OK ? status : EX_DATAERR);
	mail_free(&m);
	return status;
}

/* ---- mail that waited ------------------------------------------------- */

/* Notes in the file who needs no other attempt. Who was refused does while the
 * sender is not told of it: nobody would tell him later. */
static void
mark(const struct mail *m, const struct draft *file, int told)
{
	const struct addresses *lists[] = { &m->rcpts, &m->gone };
	struct addresses again = { 0 };
	int rc = 0;

	for (size_t n = 0; n < (told ? 1U : 2U); n++)
		for (size_t i = 0; i < lists[n]->count; i++)
			rc |= addresses_add(&again, lists[n]->list[i]);
	if (rc == 0)
		drop_mark(
		    STDIN_FILENO, file->data, file->len, &again, m->domain);
	addresses_free(&again);
}

/* The exit status: mail of which something was taken is not tried again only
 * because nobody can ever be told of the rest. */
static int
report_waited(const struct caller *c, const struct mail *m,
    const struct draft *file, int status)
{
	int told = m->sender[0] == '\0' ? EX_OK : report_failure(c, m, 0);

	if (told == EX_OK && status == EX_TEMPFAIL)
		mark(m, file, 1);
	if (told == EX_TEMPFAIL)
		mark(m, file, 0);
	else if (told != EX_OK && m->taken > 0)
		told = EX_OK;
	if (status == EX_TEMPFAIL)
		return status;
	return told == EX_OK ? DROP_REFUSED : told;
}

/* Those who are left have waited too long. The exit status: the mail goes once
 * the sender is told. */
static int
give_up(const struct caller *c, struct mail *m)
{
	char *text = NULL;
	size_t size = 0;
	int told = EX_OK;
	FILE *f;

	if ((f = open_memstream(&text, &size)) == NULL)
		return EX_TEMPFAIL;
	if (m->refusals != NULL && m->refusals[0] != '\0')
		fprintf(f, "%s\n", m->refusals);
	for (size_t i = 0; i < m->rcpts.count; i++)
		fprintf(f, "%s%s: waited too long", i > 0 ? "\n" : "",
		    m->rcpts.list[i]);
	if (fclose(f) != 0) {
		free(text);
		return EX_TEMPFAIL;
	}
	free(m->refusals);
	m->refusals = text;
	fail(m, EX_UNAVAILABLE);
	if (m->sender[0] != '\0')
		told = report_failure(c, m, 0);
	return told == EX_OK ? DROP_REFUSED : told;
}

/* When a file was written; now, if that cannot be said. */
static int64_t
written_at(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_mtime : time(NULL);
}

int
sendmail_from_drop(const struct caller *c, int64_t ttl)
{
	struct mail m = { 0 };
	const char *sender;
	struct draft file;
	char *text = NULL;
	int status = EX_DATAERR, waits;

	if (map_file(STDIN_FILENO, &file) == -1 ||
	    drop_parse(file.data, file.len, &m.options, &sender, &m.rcpts,
		&m.draft, &text, m.error, sizeof(m.error)) == -1) {
		status = fail(&m, EX_DATAERR);
		goto out;
	}
	snprintf(m.sender, sizeof(m.sender), "%s", sender);
	m.written = written_at(STDIN_FILENO);
	status = submit(c, &m);
	if ((waits = status == EX_TEMPFAIL)) {
		mark(&m, &file, 0);
		if (time(NULL) - m.written > ttl) {
			status = give_up(c, &m);
			goto out;
		}
	}
	/* the log has our words, as nobody may be there to be told */
	fail(&m, status);
	if (waits)
		m.error[0] = '\0';
	/* nobody waits for an answer any more */
	if (m.refused > 0 || (!waits && status != EX_OK))
		status = report_waited(c, &m, &file, status);
out:
	free(text);
	mail_free(&m);
	return status;
}
