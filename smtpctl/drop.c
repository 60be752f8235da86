/*
 * See drop.h. The folder is 01730 and sendmail setgid: the group may create
 * files whose names nobody else can list. A file is written under a name that
 * master does not look at and renamed when it is whole and synced.
 */
#include "config.h"

#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/enums.h"
#include "smtp/address.h"
#include "smtpctl/drop.h"

enum { ENVELOPE_MAX = 64 * 1024 * 1024 };

static void
write_envelope(FILE *f, const struct sendmail_options *o, const char *sender,
    const struct addresses *rcpts)
{
	fputs(DROP_FIRST_LINE, f);
	fprintf(f, "sender %s\n", sender);
	if (o->full_name != NULL)
		fprintf(f, "name %s\n", o->full_name);
	if (o->envid != NULL)
		fprintf(f, "envid %s\n", o->envid);
	fprintf(f, "notify %u\nret %u\n", o->notify, o->ret);
	for (size_t i = 0; i < rcpts->count; i++)
		fprintf(f, "recipient %s\n", rcpts->list[i]);
	putc('\n', f);
}

static int
write_file(int fd, const struct sendmail_options *o, const char *sender,
    const struct addresses *rcpts, const struct draft *d)
{
	FILE *f = fdopen(fd, "w");
	int bad;

	if (f == NULL) {
		close(fd);
		return -1;
	}
	write_envelope(f, o, sender, rcpts);
	bad = fwrite(d->data, 1, d->len, f) != d->len;
	bad |= fflush(f) != 0 || fsync(fd) == -1;
	bad |= fclose(f) != 0;
	return bad ? -1 : 0;
}

/* Whether this program is set-group-ID, but who called it may start no such
 * program: there is no_new_privs, or a user namespace. */
static int
is_kept_from_group(void)
{
	struct stat st;

	return getauxval(AT_SECURE) == 0 && stat("/proc/self/exe", &st) == 0 &&
	    S_ISREG(st.st_mode) && (st.st_mode & S_ISGID) != 0;
}

/* Why nothing could be left there, and what helps. */
static void
explain(const char *folder, int reason, char *error, size_t size)
{
	static const struct {
		int reason;
		const char *help;
	} helps[] = {
		{ ENOENT, "it is made when relaisd starts: start it once" },
		{ ENOTDIR, "it is made when relaisd starts: start it once" },
		{ EACCES,
		    "give smtpctl the folder's group, as root: "
		    "`chgrp _relaisq " RELAIS_SBINDIR "/smtpctl; "
		    "chmod 2755 " RELAIS_SBINDIR "/smtpctl`" },
		{ ENOSPC, "make room there" },
		{ EDQUOT, "make room there" },
		{ EFBIG, "raise the limit (`ulimit -f`) of the caller" },
		{ EMFILE, "raise the limit (`ulimit -n`) of the caller" },
	};
	const char *help = "start relaisd";

	for (size_t i = 0; i < sizeof(helps) / sizeof(helps[0]); i++)
		if (helps[i].reason == reason)
			help = helps[i].help;
	if (reason == EACCES && is_kept_from_group())
		help = "NoNewPrivileges= or PrivateUsers= of the caller's "
		       "unit, or its like in a container, takes the group of "
		       "smtpctl away: start relaisd";
	snprintf(error, size, "%s: %s; %s", folder, strerror(reason), help);
}

/* The signals by which people end a program, but for those that would not end
 * this one: what they end leaves nothing. */
static void
hold_signals(sigset_t *held)
{
	static const int ends[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction action;
	sigset_t blocked;

	sigemptyset(held);
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (sigaction(ends[i], NULL, &action) == 0 &&
		    action.sa_handler == SIG_DFL &&
		    sigismember(&blocked, ends[i]) == 0)
			sigaddset(held, ends[i]);
	sigprocmask(SIG_BLOCK, held, NULL);
}

/* -1 with EINTR if one has come, which ends us when they are held no more. */
static int
check_signals(const sigset_t *held)
{
	sigset_t pending;

	sigpending(&pending);
	for (int n = 1; n < NSIG; n++)
		if (sigismember(&pending, n) == 1 &&
		    sigismember(held, n) == 1) {
			errno = EINTR;
			return -1;
		}
	return 0;
}

int
drop_write(const char *folder, const struct sendmail_options *o,
    const char *sender, const struct addresses *rcpts, const struct draft *d,
    char *error, size_t size)
{
	unsigned long long r[2];
	char temporary[64], final[64];
	const char *made = NULL;
	int dir, fd = -1, sync_fd, rc = -1;
	sigset_t held;

	hold_signals(&held);
	/* a link here is relaisd's: it leads to `set drop-folder` */
	dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1 || getrandom(r, sizeof(r), 0) != sizeof(r))
		goto out;
	snprintf(temporary, sizeof(temporary), "t.%016llx%016llx", r[0], r[1]);
	snprintf(final, sizeof(final), "m.%016llx%016llx", r[0], r[1]);
	fd = openat(dir, temporary,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		goto out;
	made = temporary;
	/* the folder itself cannot be opened for fsync: it is not readable */
	if ((sync_fd = dup(fd)) == -1) {
		close(fd);
		goto out;
	}
	if ((rc = write_file(fd, o, sender, rcpts, d)) == 0 &&
	    (rc = check_signals(&held)) == 0 &&
	    (rc = renameat(dir, temporary, dir, final)) == 0) {
		made = final;
		/* which may take long, and ends sooner for no signal */
		if ((rc = syncfs(sync_fd)) == 0)
			rc = check_signals(&held);
	}
	close(sync_fd);
out:
	if (rc == -1)
		explain(folder, errno, error, size);
	if (rc == -1 && made != NULL)
		unlinkat(dir, made, 0);
	if (dir != -1)
		close(dir);
	sigprocmask(SIG_UNBLOCK, &held, NULL);
	return rc;
}

/* A number of one or two digits, at most max; -1 if it is none. */
static int
take_number(const char *value, int max, uint8_t *n)
{
	size_t len = strlen(value);

	if (len == 0 || len > 2 || strspn(value, "0123456789") != len ||
	    atoi(value) > max)
		return -1;
	*n = (uint8_t)atoi(value);
	return 0;
}

static int
is_canonical(const char *address)
{
	char canonical[ADDRESS_SIZE];
	struct address a;

	return address_parse(address, strlen(address), ADDRESS_CANONICAL, &a) ==
	    ADDRESS_OK &&
	    strcmp(address_format(&a, canonical), address) == 0;
}

/* The words of a recipient, and of one who needs no other attempt: they have
 * one length, so that the one can stand in the place of the other. */
static const char word_recipient[] = "recipient", word_done[] = "completed";

/* One line of the envelope; -1 if it is none. */
static int
take_line(char *line, struct sendmail_options *o, const char **sender,
    struct addresses *rcpts)
{
	char *value = strchr(line, ' ');

	if (value == NULL)
		return -1;
	*value++ = '\0';
	for (const char *s = value; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return -1;
	if (strcmp(line, "sender") == 0)
		*sender = value;
	else if (strcmp(line, "name") == 0)
		o->full_name = value;
	else if (strcmp(line, "envid") == 0)
		o->envid = value;
	else if (strcmp(line, "notify") == 0)
		return take_number(value, 15, &o->notify);
	else if (strcmp(line, "ret") == 0)
		return take_number(value, RET_MAX - 1, &o->ret);
	else if (strcmp(line, word_recipient) == 0) {
		if (*value == '\0' || !is_canonical(value))
			return -1;
		return addresses_add(rcpts, value);
	} else if (strcmp(line, word_done) != 0)
		return -1;
	return 0;
}

int
drop_parse(const char *data, size_t len, struct sendmail_options *o,
    const char **sender, struct addresses *rcpts, struct draft *d, char **text,
    char *error, size_t size)
{
	const size_t first = strlen(DROP_FIRST_LINE);
	const char *end;
	size_t n;
	char *line, *next;

	memset(o, 0, sizeof(*o));
	*sender = NULL;
	*text = NULL;
	end = memmem(data, len, "\n\n", 2);
	if (len < first || memcmp(data, DROP_FIRST_LINE, first) != 0 ||
	    end == NULL || (n = (size_t)(end - data) + 1) > ENVELOPE_MAX)
		goto bad;
	if ((*text = strndup(data, n)) == NULL)
		goto bad;
	for (line = *text + first; *line != '\0'; line = next) {
		if ((next = strchr(line, '\n')) == NULL)
			goto bad;
		*next++ = '\0';
		if (take_line(line, o, sender, rcpts) == -1)
			goto bad;
	}
	if (*sender == NULL || rcpts->count == 0 || !is_canonical(*sender))
		goto bad;
	d->data = end + 2;
	d->len = len - n - 1;
	return 0;
bad:
	snprintf(error, size, "not a message that sendmail left");
	return -1;
}

/* Whether one of them is that address, or what it is with this domain. The
 * search begins behind the last that was found: mostly it is the next. */
static int
is_among(const struct addresses *a, const char *text, size_t len,
    const char *domain, size_t *last)
{
	for (size_t n = 1; n <= a->count; n++) {
		size_t i = (*last + n) % a->count;
		const char *address = a->list[i];

		if (strncmp(address, text, len) != 0 ||
		    (address[len] != '\0' &&
			(address_domain(address) != address + len + 1 ||
			    strcmp(address + len + 1, domain) != 0)))
			continue;
		*last = i;
		return 1;
	}
	return 0;
}

void
drop_mark(int fd, const char *data, size_t len, const struct addresses *waiting,
    const char *domain)
{
	const size_t n = strlen(word_recipient);
	const char *end = memmem(data, len, "\n\n", 2), *line, *next = data;
	size_t last = SIZE_MAX;
	struct timespec times[] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_nsec = UTIME_OMIT } };
	struct stat st;

	if (fstat(fd, &st) == 0)
		times[1] = st.st_mtim;
	while ((line = next) < end) {
		next = strchrnul(line, '\n') + 1;
		if (strncmp(line, word_recipient, n) != 0 ||
		    is_among(waiting, line + n + 1,
			(size_t)(next - line) - n - 2, domain, &last))
			continue;
		/* if it cannot be noted, he gets it twice */
		if (pwrite(fd, word_done, n, line - data) == -1)
			break;
	}
	futimens(fd, times);
	fsync(fd);
}
