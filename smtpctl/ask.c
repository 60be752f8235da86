/*
 * Questions to the daemon and how their answers are printed: smtpctl's
 * commands, mailq and newaliases.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "smtpctl/client.h"
#include "smtpctl/print.h"
#include "smtpctl/sendmail.h"

enum { ERROR_SIZE = 1025 };

struct printer {
	void (*row)(FILE *, struct ipc_list);
	FILE *message; /* where its octets go */
};

/* Whoever has closed the other end of a pipe has seen enough: no word to him.
 */
void
flush_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return;
	if (errno != EPIPE)
		perror("smtpctl: standard output");
	_exit(EX_IOERR);
}

static void
on_row(void *arg, struct ipc_list fields)
{
	const struct printer *p = arg;

	p->row(stdout, fields);
	/* a monitor is watched, and a long queue's first page shows at once */
	flush_output();
}

static void
on_data(void *arg, const void *data, size_t len)
{
	const struct printer *p = arg;

	fwrite(data, 1, len, p->message);
	flush_output();
}

static void
on_mailq_row(void *arg, struct ipc_list fields)
{
	mailq_row(arg, fields);
	flush_output();
}

/* How the rows of a command look; the others are bars. */
static const struct {
	const char *first, *second; /* second NULL: any */
	void (*row)(FILE *, struct ipc_list);
} looks[] = {
	{ "show", "stats", print_pairs },
	{ "show", "envelope", print_pairs },
	{ "show", "status", print_words },
	{ "monitor", NULL, print_bars },
	{ "update", "aliases", print_aliases },
	{ "verify", NULL, print_pairs },
	{ "backup", NULL, print_pairs },
	{ "schedule", NULL, print_pairs },
	{ "flush", NULL, print_pairs },
	{ "remove", NULL, print_pairs },
	{ "discover", NULL, print_pairs },
	{ "pause", NULL, print_pairs },
	{ "resume", NULL, print_pairs },
};

static int
is_denied(const char *error)
{
	return strstr(error, "permission denied") != NULL;
}

static int
exit_status(enum client_result result, const char *error)
{
	if (result == CLIENT_OK)
		return EX_OK;
	/* file:line:column stands first in its line, as editors want it */
	if (result != CLIENT_REFUSED || error[0] != '/')
		fputs("smtpctl: ", stderr);
	print_lines(stderr, error);
	if (result != CLIENT_REFUSED) {
		if (strstr(error, "does not run") != NULL)
			fputs("smtpctl: start it, as root: `systemctl start "
			      "relais`, or `relaisd`\n",
			    stderr);
		return EX_UNAVAILABLE;
	}
	if (is_denied(error))
		return EX_NOPERM;
	if (strncmp(error, "unknown command", 15) == 0 ||
	    strstr(error, "argument") != NULL)
		fputs("smtpctl: `smtpctl` alone lists the commands, "
		      "smtpctl(8) says what they want\n",
		    stderr);
	return strncmp(error, "unknown ", 8) == 0 ? EX_USAGE : 1;
}

/* Master heeds a signal while there is no queue to hand a question on. */
static int
stop_unheard(const struct caller *c)
{
	pid_t pid = client_listener(c->socket);

	if (pid <= 0 || kill(pid, SIGTERM) == -1) {
		fputs("smtpctl: stop it, as root: `systemctl stop relais`, or "
		      "SIGTERM to its first process\n",
		    stderr);
		return EX_UNAVAILABLE;
	}
	fprintf(stderr, "smtpctl: SIGTERM was sent to relaisd (pid %d)\n",
	    (int)pid);
	return EX_OK;
}

int
smtpctl_ask(const struct caller *c, char *const *words, size_t count, int json)
{
	struct printer p = { json ? print_json : print_bars, stdout };
	const struct client_ops ops = { on_row, on_data, &p };
	enum client_result result;
	char error[ERROR_SIZE], *data = NULL;
	size_t len = 0;
	int status;

	for (size_t i = 0; !json && i < sizeof(looks) / sizeof(looks[0]); i++)
		if (strcmp(words[0], looks[i].first) == 0 &&
		    (looks[i].second == NULL ||
			(count > 1 && strcmp(words[1], looks[i].second) == 0)))
			p.row = looks[i].row;
	if (json && (p.message = open_memstream(&data, &len)) == NULL) {
		perror("smtpctl");
		return EX_OSERR;
	}
	result = client_ask(
	    c->socket, words, count, &ops, NULL, error, sizeof(error));
	if (json && fclose(p.message) == 0 && len > 0 && result == CLIENT_OK)
		print_json_message(stdout, data, len);
	free(data);
	status = exit_status(result, error);
	if (result == CLIENT_UNHEARD && count == 1 &&
	    strcmp(words[0], "stop") == 0)
		status = stop_unheard(c);
	return status;
}

/* Whether the rows of `show queue` are but his own: the same people see all of
 * them who may have the figures of the queue. */
static int
sees_own_only(const struct caller *c)
{
	char show[] = "show", stats[] = "stats", *words[] = { show, stats };
	const struct client_ops ops = { 0 };
	char error[ERROR_SIZE];

	return client_ask(c->socket, words, 2, &ops, NULL, error,
		   sizeof(error)) == CLIENT_REFUSED &&
	    is_denied(error);
}

int
mailq_main(const struct caller *c, int json)
{
	char show[] = "show", queue[] = "queue", *words[] = { show, queue };
	struct mailq q = { .out = stdout };
	const struct client_ops ops = { on_mailq_row, NULL, &q };
	enum client_result result;
	char error[ERROR_SIZE];

	if (json)
		return smtpctl_ask(c, words, 2, 1);
	result =
	    client_ask(c->socket, words, 2, &ops, NULL, error, sizeof(error));
	if (result == CLIENT_OK && q.messages == 0 && sees_own_only(c))
		puts("None of your mail is in the queue");
	else if (result == CLIENT_OK)
		mailq_end(&q);
	return exit_status(result, error);
}

/* Tables are read when the configuration is, so reading them anew is a
 * reload; nothing is compiled. */
int
newaliases_main(const struct caller *c)
{
	char update[] = "update", aliases[] = "aliases",
	     *words[] = { update, aliases };

	if (client_is_down(c->socket)) {
		/* no failure, or no package could be installed meanwhile that
		 * adds an alias (Debian policy 11.6) */
		fputs("newaliases: relaisd does not run: it reads the aliases "
		      "when it starts; `relaisd -n` checks them now\n",
		    stderr);
		return EX_OK;
	}
	return smtpctl_ask(c, words, 2, 0);
}
