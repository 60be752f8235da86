/*
 * See recipient.h. What the queue sends is a set of names: an action, a user,
 * a line of an alias table. All else comes from here.
 */
#include "config.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/alias.h"
#include "conf/tablefile.h"
#include "master/readfile.h"
#include "master/recipient.h"
#include "os/log.h"

/* Commands of an alias belong to nobody in particular. */
static const char default_user[] = "nobody";

static const struct {
	enum conf_action_kind kind;
	const char *method;
} methods[] = {
	{ CONF_ACTION_MBOX, "mbox" },
	{ CONF_ACTION_MAILDIR, "maildir" },
	{ CONF_ACTION_MDA, "mda" },
	{ CONF_ACTION_LMTP, "lmtp" },
	{ CONF_ACTION_FORWARD_ONLY, "forward" },
};

static int
refuse(char *error, size_t size, int code, const char *text)
{
	strlcpy(error, text, size);
	return code;
}

/* ---- tables ----------------------------------------------------------- */

/* Errors were reported when the configuration was loaded. */
static void
ignore(void *arg, bool is_error, uint32_t line, uint32_t column,
    const char *text)
{
}

static struct table_data *
table_content(const struct conf *conf, const char *name)
{
	const struct conf_table *t = conf_find_table(conf, name);
	struct table_data *data = NULL;
	char error[256], *text;
	size_t len;

	if (t == NULL)
		return NULL;
	if (t->kind == CONF_TABLE_STATIC)
		return table_from_conf(t);
	if (t->kind != CONF_TABLE_FILE)
		return NULL;
	text = readfile(
	    t->config, READFILE_TABLE_MAX, &len, error, sizeof(error));
	if (text == NULL) {
		log_error("table %s: %s", t->name, error);
		return NULL;
	}
	data = table_parse(text, len, t->uses, ignore, NULL);
	free(text);
	return data;
}

/* ---- the user --------------------------------------------------------- */

static int
resolve_passwd(const char *name, struct recipient *r, char *error,
    size_t size)
{
	const struct passwd *pw;

	errno = 0;
	if ((pw = getpwnam(name)) == NULL) {
		if (errno != 0 && errno != ENOENT && errno != ESRCH)
			return refuse(error, size, 451,
			    "the password database does not answer");
		return refuse(error, size, 550, "no such user here");
	}
	if (strlcpy(r->name, pw->pw_name, sizeof(r->name)) >=
		sizeof(r->name) ||
	    strlcpy(r->home, pw->pw_dir, sizeof(r->home)) >= sizeof(r->home))
		return refuse(error, size, 550, "the account is not usable");
	r->uid = pw->pw_uid;
	r->gid = pw->pw_gid;
	r->system_user = 1;
	return 0;
}

/* A userbase entry is uid:gid:home. */
static int
resolve_userbase(const struct conf *conf, const char *table, const char *name,
    struct recipient *r, char *error, size_t size)
{
	const struct table_entry *e;
	struct table_data *data;
	unsigned uid, gid;
	int rc = 0, at = 0;

	if ((data = table_content(conf, table)) == NULL)
		return refuse(error, size, 451, "the userbase is not usable");
	e = table_data_lookup(data, name);
	if (e == NULL || e->value == NULL)
		rc = refuse(error, size, 550, "no such user here");
	else if (sscanf(e->value, "%u:%u:%n", &uid, &gid, &at) != 2 ||
	    at == 0 || e->value[at] != '/' || uid == 0 || gid == 0 ||
	    strlcpy(r->home, e->value + at, sizeof(r->home)) >=
		sizeof(r->home) ||
	    strlcpy(r->name, name, sizeof(r->name)) >= sizeof(r->name))
		rc = refuse(error, size, 451,
		    "the userbase has no uid:gid:home for this user");
	else {
		r->uid = uid;
		r->gid = gid;
	}
	table_data_free(data);
	return rc;
}

/* ---- an entry of an alias --------------------------------------------- */

static int
resolve_entry(const struct conf *conf, const struct conf_action *action,
    const struct msg_local_delivery *d, struct recipient *r, char *error,
    size_t size)
{
	static const struct {
		enum dest_kind dest;
		enum alias_kind alias;
		const char *method;
	} kinds[] = {
		{ DEST_COMMAND, ALIAS_COMMAND, "command" },
		{ DEST_FILE, ALIAS_FILE, "file" },
		{ DEST_INCLUDE, ALIAS_INCLUDE, "include" },
	};
	const char *table = action->local.alias ? action->local.alias
						: action->local.virtual_table;
	struct alias alias = { 0 };
	const struct table_entry *e;
	struct table_data *data;
	char why[128];
	size_t at;
	int rc = 451;

	strlcpy(error, "the alias has changed meanwhile", size);
	if (table == NULL || (data = table_content(conf, table)) == NULL)
		return rc;
	e = table_data_lookup(data, d->alias);
	if (e == NULL || e->value == NULL ||
	    alias_parse(e->value, strlen(e->value), &alias, why, sizeof(why),
		&at) == -1)
		goto out;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (d->entry < alias.nitems && kinds[i].dest == d->kind &&
		    kinds[i].alias == alias.items[d->entry].kind &&
		    strlcpy(r->parameter, alias.items[d->entry].text,
			sizeof(r->parameter)) < sizeof(r->parameter)) {
			r->method = kinds[i].method;
			rc = 0;
		}
	alias_free(&alias);
out:
	table_data_free(data);
	return rc;
}

/* ---- the method ------------------------------------------------------- */

static int
resolve_method(const struct conf_action *action, struct recipient *r,
    char *error, size_t size)
{
	const struct conf_local *l = &action->local;
	const char *parameter = "";

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (methods[i].kind == action->kind)
			r->method = methods[i].method;
	if (r->method == NULL)
		return refuse(error, size, 550,
		    "this action expands and does not deliver");
	if (action->kind == CONF_ACTION_MAILDIR && l->path != NULL)
		parameter = l->path;
	else if (action->kind == CONF_ACTION_MDA)
		parameter = l->command;
	else if (action->kind == CONF_ACTION_LMTP)
		parameter = l->destination;
	if (strlcpy(r->parameter, parameter, sizeof(r->parameter)) >=
	    sizeof(r->parameter))
		return refuse(error, size, 451, "the action is too long");
	if (l->junk)
		r->method = "maildir-junk";
	if (action->kind == CONF_ACTION_LMTP && l->rcpt_to)
		r->method = "lmtp-rcpt-to";
	r->mail_group = action->kind == CONF_ACTION_MBOX;
	return 0;
}

int
recipient_resolve(const struct master *m, const struct msg_local_delivery *d,
    struct recipient *r, char *error, size_t size)
{
	const struct conf_action *action;
	const char *user;
	int code;

	memset(r, 0, sizeof(*r));
	action = conf_find_action(m->conf, d->action);
	if (action == NULL || action->kind == CONF_ACTION_RELAY)
		return refuse(error, size, 451,
		    "the action is no longer in the configuration");
	if (d->kind == DEST_USER) {
		user = action->local.user ? action->local.user : d->user;
		code = resolve_method(action, r, error, size);
	} else {
		user = action->local.user ? action->local.user : default_user;
		code = resolve_entry(m->conf, action, d, r, error, size);
	}
	if (code != 0)
		return code;
	if (d->kind == DEST_USER && action->local.userbase != NULL &&
	    action->local.user == NULL)
		code = resolve_userbase(m->conf, action->local.userbase, user,
		    r, error, size);
	else if (!m->privileged && d->kind != DEST_USER) {
		/* there is only one user to be */
		code = resolve_passwd(
		    getpwuid(geteuid()) ? getpwuid(geteuid())->pw_name : "",
		    r, error, size);
	} else
		code = resolve_passwd(user, r, error, size);
	if (code != 0)
		return code;
	if (!m->privileged && r->uid != geteuid())
		return refuse(error, size, 550,
		    "this server delivers to the user who started it only");
	if (r->uid == 0 && strcmp(r->method, "mbox") != 0 &&
	    strncmp(r->method, "maildir", 7) != 0 && m->privileged)
		return refuse(error, size, 451,
		    "nothing is run as root: name an alias for root, or a "
		    "`user` in the action");
	return 0;
}
