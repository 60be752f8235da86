/*
 * See action_check.h. It asks the user database and reads tables, as whoever
 * runs relaisd.
 */
#include <sys/types.h>

#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>

#include "conf/tablefile.h"
#include "conf/url.h"
#include "master/action_check.h"
#include "master/files.h"

static void __attribute__((format(printf, 4, 5))) warn(const struct conf *conf,
    const struct conf_action *action, FILE *errors, const char *format, ...)
{
	char at[512];
	va_list ap;

	conf_where_text(conf, &action->where, at, sizeof(at));
	fprintf(errors, "%s: warning: the action `%s` ", at, action->name);
	va_start(ap, format);
	vfprintf(errors, format, ap);
	va_end(ap);
	fputs("; its mail waits until that is put right\n", errors);
}

static void
check_user(
    const struct conf *conf, const struct conf_action *action, FILE *errors)
{
	if (action->local.user != NULL && getpwnam(action->local.user) == NULL)
		warn(conf, action, errors,
		    "writes as `%s`, and there is no such account",
		    action->local.user);
}

/* Files that cannot be read are reported elsewhere. */
static void
check_labels(
    const struct conf *conf, const struct conf_action *action, FILE *errors)
{
	const struct conf_table *auth =
	    conf_find_table(conf, action->relay.auth);
	const struct conf_table *host =
	    conf_find_table(conf, action->relay.host);
	struct table_data *known = NULL, *hosts = NULL;
	char error[256];
	struct url url;

	if (auth != NULL && host != NULL) {
		known = files_read_table(auth);
		hosts = files_read_table(host);
	}
	for (uint32_t i = 0;
	     known != NULL && hosts != NULL && i < hosts->nentries; i++)
		if (url_parse(hosts->entries[i].key, &url, error,
			sizeof(error)) == 0 &&
		    *url.label != '\0' &&
		    table_data_lookup(known, url.label) == NULL)
			warn(conf, action, errors,
			    "logs in with the label `%s`, which the table `%s` "
			    "does not have",
			    url.label, auth->name);
	table_data_free(known);
	table_data_free(hosts);
}

void
action_check(const struct conf *conf, FILE *errors)
{
	for (const struct conf_action *a = conf->actions;
	     a < conf->actions + conf->nactions; a++)
		if (a->kind == CONF_ACTION_RELAY)
			check_labels(conf, a, errors);
		else
			check_user(conf, a, errors);
}
