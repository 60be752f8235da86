/*
 * The command line of relaisd: getopt(3) letters as smtpd(8) of OpenSMTPD has
 * them. Run by root or by whoever starts the daemon; it trusts that person.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/closed.h"
#include "conf/overlap.h"
#include "conf/print.h"
#include "master/action_check.h"
#include "master/files.h"
#include "master/load.h"
#include "master/options.h"
#include "master/parse.h"
#include "master/postmaster.h"
#include "os/log.h"

static void __attribute__((noreturn)) usage(FILE *out, int status)
{
	fprintf(out,
	    "usage: relaisd [-dhnv] [-D macro=value] [-f file] "
	    "[-T trace]\n"
	    "       relaisd [-v] [-D macro=value] [-f file] -E file | -I "
	    "file\n");
	exit(status);
}

static uint32_t
trace_parse(const char *name)
{
	uint32_t mask = log_trace_mask(name);

	if (mask != 0)
		return mask;
	fprintf(stderr, "relaisd: -T %s is unknown: there are %s\n", name,
	    log_trace_names);
	exit(EXIT_FAILURE);
}

void
options_parse(
    struct master_options *options, bool *check, int argc, char **argv)
{
	const char **macros;
	size_t nmacros = 0;
	int letter;

	memset(options, 0, sizeof(*options));
	options->path = DEFAULT_CONFIGURATION;
	*check = false;
	/* There are never more macros than arguments. */
	if ((macros = calloc((size_t)argc + 1, sizeof(*macros))) == NULL)
		log_fatal("out of memory");
	options->macros = macros;
	while ((letter = getopt(argc, argv, "dD:E:f:hI:nT:v")) != -1) {
		switch (letter) {
		case 'd':
			options->foreground = 1;
			break;
		case 'D':
			macros[nmacros++] = optarg;
			break;
		case 'E':
			options->export_path = optarg;
			break;
		case 'f':
			options->path = optarg;
			break;
		case 'h':
			usage(stdout, EXIT_SUCCESS);
		case 'I':
			options->import_path = optarg;
			break;
		case 'n':
			*check = true;
			break;
		case 'T':
			options->trace |= trace_parse(optarg);
			break;
		case 'v':
			options->verbose++;
			break;
		default:
			usage(stderr, EXIT_FAILURE);
		}
	}
	if (optind != argc ||
	    (options->export_path != NULL) + (options->import_path != NULL) +
		    *check >
		1)
		usage(stderr, EXIT_FAILURE);
}

void
options_free(struct master_options *options)
{
	free(options->macros);
	options->macros = NULL;
}

static void
report_unbuilt(void *arg, const struct conf_where *where, const char *what)
{
	char at[512];

	conf_where_text(arg, where, at, sizeof(at));
	fprintf(stderr, "%s: %s is not built yet\n", at, what);
}

static void
report_open(void *arg, const struct conf_where *where, const char *what)
{
	char at[512];

	conf_where_text(arg, where, at, sizeof(at));
	fprintf(stderr, "%s: %s\n", at, what);
}

/* What the machine lacks may come before the start. */
static void
report_missing(void *arg, const struct conf_where *where, const char *name)
{
	char at[512];

	conf_where_text(arg, where, at, sizeof(at));
	fprintf(stderr,
	    "%s: warning: `listen on %s`: this machine has no such interface "
	    "or "
	    "address, and no such host in /etc/hosts; a start fails until it "
	    "is there\n",
	    at, name);
}

/* How many things are wrong with the listeners on any machine. */
static unsigned int
check_listeners(struct conf *conf)
{
	const struct conf_listener *l;

	if (load_addresses(conf, report_missing, conf) == -1)
		return 1;
	for (l = conf->listeners; l < conf->listeners + conf->nlisteners; l++)
		for (uint32_t i = 0; i < l->naddresses; i++)
			if (!sockets_may_bind(&l->addresses[i])) {
				report_missing(conf, &l->where, l->interface);
				break;
			}
	return conf_check_overlap(conf, report_open, conf);
}

int
options_check(const struct master_options *options)
{
	unsigned int wrong, unbuilt;
	struct conf *conf;

	if ((conf = conf_parse(options->path, options->macros, stderr)) == NULL)
		return EXIT_FAILURE;
	wrong = files_check(conf, false, stderr);
	wrong += check_listeners(conf);
	unbuilt = conf_unbuilt(conf, report_unbuilt, conf);
	if (options->verbose > 0 && conf_print(conf, stdout) == -1)
		wrong++;
	/* the system's authorities are not to be printed with it */
	if (wrong == 0 && load_authorities(conf) == -1)
		wrong++;
	wrong += conf_check_closed(conf, report_open, conf);
	/* a name from elsewhere is not to be printed with it */
	if (wrong == 0 && load_server_name(conf) == 0)
		postmaster_check(conf, stderr);
	action_check(conf, stderr);
	if (wrong == 0)
		fputs(unbuilt == 0 ? "configuration OK\n"
				   : "configuration "
				     "valid, but it asks for what this release "
				     "does not do\n",
		    stderr);
	conf_free(conf);
	return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
