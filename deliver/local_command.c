/*
 * Delivery through a program: an `mda` of the configuration, or a command of
 * an alias or a .forward. It runs under the recipient's shell-less /bin/sh
 * with the message on standard input, a small environment, and nothing open
 * but 0, 1 and 2. Its exit status is read as sysexits.h has it.
 */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "conf/format.h"
#include "deliver/local.h"
#include "os/signals.h"

enum { COMMAND_MAX = 8192, OUTPUT_MAX = 400, SHELL_SIGNAL = 128 };

static void
set_variable(const char *name, const char *value, size_t len)
{
	char text[1100];

	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	memcpy(text, value, len);
	text[len] = '\0';
	/* a line end would make two lines of one in a careless script */
	for (char *s = text; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	setenv(name, text, 1);
}

/* Of the local part of an address, or of one that has no domain. */
static size_t
local_length(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL ? (size_t)(at - address) : strlen(address);
}

/* What a list manager or a filter goes by is the address that was written to,
 * whatever table leads from it to the user. The detail is the user's own. */
static void
set_variables(const struct local_job *job)
{
	const size_t local = local_length(job->address);
	const size_t given = local_length(job->recipient);
	const char *domain = job->recipient + given, *tag;

	domain += *domain == '@';
	set_variable("SENDER", job->sender, strlen(job->sender));
	set_variable("RECIPIENT", job->address, strlen(job->address));
	set_variable(
	    "ORIGINAL_RECIPIENT", job->recipient, strlen(job->recipient));
	set_variable("LOCAL", job->recipient, given);
	set_variable("DOMAIN", domain, strlen(domain));
	tag = job->delimiter[0] ? memchr(job->address, job->delimiter[0], local)
				: NULL;
	if (tag != NULL)
		set_variable("EXTENSION", tag + 1,
		    (size_t)(job->address + local - tag - 1));
}

static void
run_child(const struct local_job *job, const char *command, int in, int out)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
	extern char **environ;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signals_restore();
	signal(SIGXFSZ, SIG_DFL);
	if (setresgid(getgid(), getgid(), getgid()) == -1)
		_exit(EX_TEMPFAIL);
	if (dup2(in, 0) == -1 || dup2(out, 1) == -1 || dup2(out, 2) == -1)
		_exit(EX_TEMPFAIL);
	closefrom(3);
	set_variables(job);
	execve("/bin/sh", argv, environ);
	_exit(EX_TEMPFAIL);
}

struct child {
	pid_t pid;
	int ended;
	int status; /* of waitpid, once it has ended */
};

static int
has_ended(struct child *child)
{
	if (!child->ended)
		child->ended =
		    waitpid(child->pid, &child->status, WNOHANG) == child->pid;
	return child->ended;
}

/* Waits for the end of a child, and no longer than to the deadline. Whether it
 * has ended. SIGCHLD is blocked, or one could come just before the wait. */
static int
await_end(struct child *child, int64_t deadline)
{
	const struct timespec second = { .tv_sec = 1 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	while (!has_ended(child) && local_now() < deadline)
		sigtimedwait(&set, NULL, &second);
	return child->ended;
}

static void
end(struct child *child)
{
	kill(child->pid, SIGKILL);
	while (waitpid(child->pid, &child->status, 0) == -1 && errno == EINTR)
		continue;
}

/* The first line of what the program printed, for the bounce; the rest is
 * read and dropped so that it never blocks. It is over when the output is
 * closed, when the program has ended and only something that it left behind
 * holds the output, or at the deadline. */
static void
read_output(
    int fd, char *text, size_t size, int64_t deadline, struct child *program)
{
	struct pollfd pfd = { fd, POLLIN, 0 };
	char block[1024];
	size_t n = 0;
	ssize_t got;
	int ready;

	while (local_now() < deadline) {
		ready = poll(&pfd, 1, has_ended(program) ? 0 : 500);
		if (ready == 0 && program->ended)
			break;
		if (ready <= 0)
			continue;
		got = read(fd, block, sizeof(block));
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got && n + 1 < size; i++)
			text[n++] = block[i];
	}
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
}

static int
judge(int status, const char *text, struct local_outcome *out)
{
	static const struct {
		int status;
		int code;
		const char *enhanced;
		const char *text;
	} rows[] = {
		{ EX_NOUSER, 550, "5.1.1", "no such user" },
		{ EX_NOHOST, 550, "5.1.2", "no such host" },
		{ EX_UNAVAILABLE, 550, "5.3.0", "refused by the program" },
		{ EX_NOPERM, 550, "5.7.0", "not permitted" },
		{ EX_CANTCREAT, 550, "5.2.0", "cannot create the output" },
		{ EX_DATAERR, 550, "5.6.0", "the message is malformed" },
		{ EX_TEMPFAIL, 451, "4.3.0", "the program failed for now" },
		{ EX_OSERR, 451, "4.3.0", "a system error" },
		{ EX_IOERR, 451, "4.3.0", "an input or output error" },
		/* the shell's own: the command is missing or cannot run */
		{ 126, 451, "4.3.5", "the command cannot be run" },
		{ 127, 451, "4.3.5", "there is no such command" },
	};

	if (WIFSIGNALED(status))
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.0",
		    "the program was killed by signal %d", WTERMSIG(status));
	/* the shell's words for the same */
	if (WEXITSTATUS(status) > SHELL_SIGNAL &&
	    WEXITSTATUS(status) <= SHELL_SIGNAL + SIGRTMAX)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.0",
		    "the program was killed by signal %d",
		    WEXITSTATUS(status) - SHELL_SIGNAL);
	if (WEXITSTATUS(status) == 0)
		return local_done(
		    out, DELIVERY_OK, 250, "2.0.0", "delivered to a command");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == WEXITSTATUS(status))
			return local_done(out,
			    rows[i].code < 500 ? DELIVERY_TEMPFAIL
					       : DELIVERY_PERMFAIL,
			    rows[i].code, rows[i].enhanced, "%s%s%s",
			    rows[i].text, text[0] ? ": " : "", text);
	return local_done(out, DELIVERY_PERMFAIL, 554, "5.3.0",
	    "the program ended with status %d%s%s", WEXITSTATUS(status),
	    text[0] ? ": " : "", text);
}

/* A process of its own feeds the program, so that neither waits for the
 * other for ever. Exits 0 also when the program did not want it all. */
static pid_t
start_feeder(const struct local_job *job, unsigned style, const int in[2],
    const int output[2])
{
	pid_t pid = fork();

	if (pid == 0) {
		close(in[0]);
		close(output[0]);
		close(output[1]);
		_exit(local_copy(job, in[1], style) == 0 || errno == EPIPE ? 0
									   : 1);
	}
	return pid;
}

/* The program and its feeder, which comes first: a program that nobody feeds
 * would take the end of its input for that of a message. Where to read what it
 * prints, or -1 with an outcome. */
static int
start(const struct local_job *job, const char *command, unsigned style,
    struct child *program, struct child *feeder, struct local_outcome *out)
{
	int in[2], output[2];

	if (pipe2(in, O_CLOEXEC) == -1 || pipe2(output, O_CLOEXEC) == -1)
		return local_error(out, "pipe", errno);
	feeder->pid = start_feeder(job, style, in, output);
	if (feeder->pid != -1 && (program->pid = fork()) == 0)
		run_child(job, command, in[0], output[1]);
	close(in[0]);
	close(in[1]);
	close(output[1]);
	if (program->pid != -1)
		return output[0];
	local_error(out, "fork", errno);
	close(output[0]);
	if (feeder->pid != -1)
		end(feeder);
	return -1;
}

static int
run(const struct local_job *job, const char *command, unsigned style,
    struct local_outcome *out)
{
	struct child program = { .pid = -1 }, feeder = { .pid = -1 };
	const int64_t deadline = local_now() + job->deadline * 1000LL;
	char text[OUTPUT_MAX] = "";
	sigset_t set;
	int output;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	output = start(job, command, style, &program, &feeder, out);
	if (output == -1)
		return -1;
	read_output(output, text, sizeof(text), deadline, &program);
	close(output);
	if (!await_end(&program, deadline)) {
		/* all that it started; we and the feeder ignore this one */
		kill(0, SIGTERM);
		end(&program);
		end(&feeder);
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.0",
		    "the program takes longer than %d s", job->deadline);
	}
	/* what the program left behind may still read, or do nothing */
	if (!await_end(&feeder, deadline))
		end(&feeder);
	else if (feeder.status != 0)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.0",
		    "the message could not be read to its end");
	return judge(program.status, text, out);
}

int
local_mda(const struct local_job *job, struct local_outcome *out)
{
	const struct format_values values = { job->sender, job->recipient,
		job->address, job->user, job->directory, job->msgid,
		job->delimiter };
	char command[COMMAND_MAX], error[128];

	if (format_expand(job->parameter, &values, command, sizeof(command),
		error, sizeof(error)) == -1)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "mda command: %s", error);
	return run(job, command, COPY_MAIL_ONLY, out);
}

/* Procmail, vacation and list managers find the sender in a From line, or make
 * mailboxes without any. */
int
local_command(
    const struct local_job *job, const char *command, struct local_outcome *out)
{
	return run(job, command, COPY_FROM, out);
}
