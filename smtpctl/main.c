/*
 * smtpctl, and by the name it is started under sendmail, mailq, newaliases.
 * It may be installed setgid for the drop folder and started by anybody with
 * any environment and descriptors: it begins by making both harmless.
 */
#include "config.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "os/log.h"
#include "smtpctl/sendmail.h"

static void
make_harmless(struct caller *c)
{
	if (log_fill_standard() == -1)
		_exit(EX_OSERR);
	c->drop_gid = getegid();
	c->real_gid = getgid();
	/* the right comes back for the one file that needs it */
	if (setegid(c->real_gid) == -1)
		_exit(EX_OSERR);
	/* a write that fails is told, and its file removed */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	umask(077);
}

static int
usage(void)
{
	fputs(
	    "usage: smtpctl [-j] [-S socket] command [argument ...]\n"
	    "commands: show queue|message|envelope|status|stats|hosts|routes,\n"
	    "  schedule, remove, flush, discover, pause, resume, monitor,\n"
	    "  explain, history, update table|aliases, log, trace, untrace, "
	    "reload,\n"
	    "  stop, verify, backup, encrypt\n",
	    stderr);
	return EX_USAGE;
}

/* A hash for a table of credentials. */
static int
encrypt_password(const char *given, int json)
{
	char line[CRYPT_MAX_PASSPHRASE_SIZE + 1], *salt, *hash;
	struct crypt_data data = { 0 };

	if (given == NULL) {
		if (fgets(line, sizeof(line), stdin) == NULL) {
			fputs("smtpctl: encrypt: there is no password on "
			      "standard input: write it there as one line\n",
			    stderr);
			return EX_NOINPUT;
		}
		line[strcspn(line, "\r\n")] = '\0';
		given = line;
	}
	if (strlen(given) >= CRYPT_MAX_PASSPHRASE_SIZE) {
		fprintf(stderr,
		    "smtpctl: encrypt: a password has at most %d octets\n",
		    CRYPT_MAX_PASSPHRASE_SIZE - 1);
		return EX_DATAERR;
	}
	if ((salt = crypt_gensalt("$y$", 0, NULL, 0)) == NULL ||
	    (hash = crypt_r(given, salt, &data)) == NULL || hash[0] == '*') {
		fprintf(stderr, "smtpctl: encrypt: %s\n", strerror(errno));
		return EX_SOFTWARE;
	}
	/* none of its characters means anything in JSON */
	printf(json ? "{\"hash\":\"%s\"}\n" : "%s\n", hash);
	explicit_bzero(line, sizeof(line));
	return EX_OK;
}

static int
smtpctl_main(struct caller *c, int argc, char **argv)
{
	int ch, json = 0;

	while ((ch = getopt(argc, argv, "+jS:")) != -1)
		switch (ch) {
		case 'j':
			json = 1;
			break;
		case 'S':
			c->socket = optarg;
			break;
		default:
			return usage();
		}
	argc -= optind;
	argv += optind;
	if (argc == 0)
		return usage();
	if (strcmp(argv[0], "encrypt") == 0)
		return argc > 2 ? usage() : encrypt_password(argv[1], json);
	if (strcmp(argv[0], "mailq") == 0 && argc == 1)
		return mailq_main(c, json);
	/* started by master, with the file on standard input; by one of an
	 * older version, as in an upgrade, without a time */
	if (strcmp(argv[0], "from-drop") == 0 && argc <= 2)
		return sendmail_from_drop(
		    c, argc == 2 ? strtoll(argv[1], NULL, 10) : INT64_MAX);
	return smtpctl_ask(c, argv, (size_t)argc, json);
}

/* A variable, which is not believed when we have more rights than our caller;
 * than root nobody has more. Who meant another instance must not think that
 * he reached it. */
static const char *
setting(const char *variable, const char *usual)
{
	const char *value = getenv(variable);

	if (value == NULL)
		return usual;
	if (getuid() == 0 || secure_getenv(variable) != NULL)
		return value;
	fprintf(stderr,
	    "%s: %s is not believed, as this program is set-group-ID: %s is "
	    "used\n",
	    program_invocation_short_name, variable, usual);
	return usual;
}

/* By the name we were started under. */
static int
run(struct caller *c, int argc, char **argv)
{
	const char *name;

	if (argc == 0 || argv[0] == NULL)
		return usage();
	name = strrchr(argv[0], '/');
	name = name != NULL ? name + 1 : argv[0];
	if (strcmp(name, "sendmail") == 0 || strcmp(name, "send-mail") == 0)
		return sendmail_main(c, argc, argv);
	if (strcmp(name, "mailq") == 0)
		return mailq_main(c, argc > 1 && strcmp(argv[1], "-j") == 0);
	if (strcmp(name, "newaliases") == 0)
		return newaliases_main(c);
	return smtpctl_main(c, argc, argv);
}

int
main(int argc, char **argv)
{
	struct caller c = { 0 };
	int status;

	make_harmless(&c);
	c.socket = setting("RELAIS_CONTROL", RELAIS_RUNDIR "/control");
	c.folder = setting("RELAIS_DROP", RELAIS_STATEDIR "/drop");
	status = run(&c, argc, argv);
	flush_output();
	return status;
}
