/*
 * See recipient.h. What the queue sends is a set of names: an action, a user,
 * a line of an alias table. All else comes from here.
 */
#include "config.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/alias.h"
#include "conf/alias_item.h"
#include "conf/tablefile.h"
#include "master/account.h"
#include "master/contents.h"
#include "master/files.h"
#include "master/recipient.h"

/* Commands of an alias belong to nobody in particular. */
static const char default_user[] = "nobody";

static const char unanswered[] = "the password database does not answer";

static const struct {
	enum conf_action_kind kind;
	const char *method;
} methods[] = {
	{ CONF_ACTION_MBOX, "mbox" },
	{ CONF_ACTION_MAILDIR, "maildir" },
	{ CONF_ACTION_MDA, "mda" },
	{ CONF_ACTION_LMTP, "lmtp" },
	{ CONF_ACTION_FORWARD_ONLY, "forward-only" },
	{ CONF_ACTION_EXPAND_ONLY, "expand-only" },
};

static int
refuse(char *error, size_t size, int code, const char *text)
{
	strlcpy(error, text, size);
	return code;
}

/* ---- the user --------------------------------------------------------- */

static int
make_groups(struct recipient *r, size_t n)
{
	gid_t *groups = reallocarray(r->groups, n, sizeof(*groups));

	if (groups == NULL)
		return -1;
	r->groups = groups;
	return 0;
}

/* All groups of the account. 0, or -1: too many, or no memory for them. */
static int
resolve_groups(struct recipient *r)
{
	enum { AT_FIRST = 64 };

	for (int n = AT_FIRST, room = n; n <= RECIPIENT_GROUPS; room = n) {
		if (make_groups(r, (size_t)room) == -1)
			return -1;
		if (getgrouplist(r->name, r->gid, r->groups, &n) != -1) {
			r->ngroups = (size_t)n;
			return 0;
		}
		/* n is how many there are; more by the next call, perhaps */
		if (n <= room)
			return -1;
	}
	return -1;
}

/* The account that local becomes, with all its groups. */
static int
resolve_account(const char *name, struct recipient *r, char *error, size_t size)
{
	const struct passwd *pw;

	if (account_find(name, &pw) == -1)
		return refuse(error, size, 451, unanswered);
	if (pw == NULL)
		return refuse(error, size, 550, "no such user here");
	if (strlcpy(r->name, pw->pw_name, sizeof(r->name)) >= sizeof(r->name) ||
	    strlcpy(r->home, pw->pw_dir, sizeof(r->home)) >= sizeof(r->home))
		return refuse(error, size, 550, "the account is not usable");
	r->uid = pw->pw_uid;
	r->gid = pw->pw_gid;
	if (resolve_groups(r) == -1)
		return refuse(
		    error, size, 451, "the account is in too many groups");
	return 0;
}

/* Of whom the userbase did not know when it was loaded. Where its file knows of
 * him, or cannot be read, auth may have read another content since: that is no
 * reason to give mail back. */
static int
refuse_unknown(const struct conf *conf, const char *table, const char *name,
    char *error, size_t size)
{
	struct table_data *now = files_read_table(conf_find_table(conf, table));
	int changed = now == NULL || table_data_lookup(now, name) != NULL;

	table_data_free(now);
	return changed
	    ? refuse(error, size, 451,
		  "the userbase has changed since it was read: smtpctl reload")
	    : refuse(error, size, 550, "no such user here");
}

/* Who writes the mail of others. That he does not exist is no word about the
 * recipient, and no reason to give mail back. */
static int
resolve_writer(const char *name, struct recipient *r, char *error, size_t size)
{
	int code = resolve_account(name, r, error, size);

	if (code < 500)
		return code;
	snprintf(error, size,
	    "the account %s, by which the action writes, does not exist", name);
	return 451;
}

/* A userbase entry is uid:gid:home; it may stand in for an account. */
static int
resolve_userbase(const struct master *m, const char *table, const char *name,
    struct recipient *r, char *error, size_t size)
{
	const struct table_entry *e = contents_lookup(m->contents, table, name);
	unsigned uid, gid;
	int at = 0;

	if (e == NULL || e->value == NULL)
		return refuse_unknown(m->conf, table, name, error, size);
	if (sscanf(e->value, "%u:%u:%n", &uid, &gid, &at) != 2 || at == 0 ||
	    e->value[at] != '/' || uid == 0 || gid == 0 ||
	    strlcpy(r->directory, e->value + at, sizeof(r->directory)) >=
		sizeof(r->directory))
		return refuse(error, size, 451,
		    "the userbase has no uid:gid:home for this user, with "
		    "numbers that are not root's: mend it and `smtpctl "
		    "reload`");
	if (make_groups(r, 1) == -1)
		return refuse(error, size, 451, "out of memory");
	r->uid = uid;
	r->gid = gid;
	r->groups[0] = gid;
	r->ngroups = 1;
	return 0;
}

/* Whose mail it is (of the userbase or an account), and who is to write it:
 * the same, or the `user` of the action. */
static int
resolve_user(const struct master *m, const struct conf_local *l,
    const char *user, struct recipient *r, char *error, size_t size)
{
	const struct passwd *pw = NULL;
	int code = 0;

	if (strlcpy(r->user, user, sizeof(r->user)) >= sizeof(r->user))
		return refuse(error, size, 550, "no such user here");
	if (l->userbase != NULL)
		code = resolve_userbase(m, l->userbase, user, r, error, size);
	else if (l->user != NULL && account_find(user, &pw) == -1)
		code = refuse(error, size, 451, unanswered);
	if (pw != NULL)
		strlcpy(r->directory, pw->pw_dir, sizeof(r->directory));
	if (code != 0)
		return code;
	if (l->user != NULL)
		code = resolve_writer(l->user, r, error, size);
	else if (l->userbase == NULL)
		code = resolve_account(user, r, error, size);
	else {
		memcpy(r->name, r->user, sizeof(r->name));
		memcpy(r->home, r->directory, sizeof(r->home));
	}
	if (r->directory[0] == '\0')
		memcpy(r->directory, r->home, sizeof(r->directory));
	r->use_forward = strcasecmp(r->name, r->user) == 0;
	return code;
}

/* Commands, files and lists of an alias: one user for all of them. */
static int
resolve_alias_user(const struct master *m, const struct conf_local *l,
    struct recipient *r, char *error, size_t size)
{
	const char *name = l->user != NULL ? l->user : default_user;
	const struct passwd *pw;
	int code;

	/* an ordinary user's instance can be nobody else */
	if (!m->privileged)
		name = (pw = getpwuid(geteuid())) != NULL ? pw->pw_name : "";
	code = resolve_writer(name, r, error, size);
	memcpy(r->user, r->name, sizeof(r->user));
	memcpy(r->directory, r->home, sizeof(r->directory));
	return code;
}

/* ---- an entry of an alias --------------------------------------------- */

static int
refuse_changed(const char *what, char *error, size_t size)
{
	snprintf(error, size,
	    "the alias no longer has the %s that this waits for: put it back "
	    "and `smtpctl reload`, or `smtpctl remove` this",
	    what);
	return 451;
}

static int
resolve_entry(const struct master *m, const struct conf_action *action,
    const struct msg_local_delivery *d, struct recipient *r, char *error,
    size_t size)
{
	static const struct {
		enum alias_kind kind;
		const char *method;
		const char *name;
	} places[DEST_MAX] = {
		[DEST_COMMAND] = { ALIAS_COMMAND, "command", "command" },
		[DEST_FILE] = { ALIAS_FILE, "file", "file" },
		[DEST_INCLUDE] = { ALIAS_INCLUDE, "include", "list" },
	};
	const char *table = action->local.alias ? action->local.alias
						: action->local.virtual_table;
	const struct alias_item *item;
	const struct table_entry *e;
	struct alias alias = { 0 };
	char why[128];
	size_t at;
	int rc = 0;

	if (d->kind >= DEST_MAX || places[d->kind].method == NULL)
		return refuse(error, size, 451, "an unknown kind of recipient");
	if (table == NULL ||
	    (e = contents_lookup(m->contents, table, d->alias)) == NULL ||
	    e->value == NULL ||
	    alias_parse(e->value, strlen(e->value), &alias, why, sizeof(why),
		&at) == -1)
		return refuse_changed(places[d->kind].name, error, size);
	item = alias_item_find(&alias, places[d->kind].kind, d->entry);
	if (item == NULL)
		rc = refuse_changed(places[d->kind].name, error, size);
	else if (strlcpy(r->parameter, item->text, sizeof(r->parameter)) >=
	    sizeof(r->parameter))
		rc = refuse(error, size, 451,
		    "an item of the alias is too "
		    "long");
	else
		r->method = places[d->kind].method;
	alias_free(&alias);
	return rc;
}

/* ---- the method ------------------------------------------------------- */

static int
resolve_method(const struct conf_action *action, struct recipient *r,
    char *error, size_t size)
{
	const struct conf_local *l = &action->local;
	const char *parameter = "";
	const struct group *gr;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (methods[i].kind == action->kind)
			r->method = methods[i].method;
	if (r->method == NULL)
		return refuse(error, size, 451, "an unknown kind of action");
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
	if (action->kind == CONF_ACTION_MBOX && (gr = getgrnam("mail")) != NULL)
		r->mail_gid = gr->gr_gid;
	return 0;
}

int
recipient_place_varies(
    const struct master *m, const struct msg_local_delivery *d)
{
	const struct conf_action *action = conf_find_action(m->conf, d->action);

	if (d->kind != DEST_USER || action == NULL)
		return 0;
	if (action->local.virtual_table != NULL && action->local.by_address)
		return 1;
	return action->kind == CONF_ACTION_MAILDIR &&
	    action->local.path != NULL &&
	    strstr(action->local.path, "%{") != NULL;
}

int
recipient_resolve(const struct master *m, const struct msg_local_delivery *d,
    struct recipient *r, char *error, size_t size)
{
	const struct conf_action *action;
	int code;

	memset(r, 0, sizeof(*r));
	action = conf_find_action(m->conf, d->action);
	if (action == NULL || action->kind == CONF_ACTION_RELAY)
		return refuse(error, size, 451,
		    "the action is no longer in the configuration");
	if (d->kind == DEST_USER) {
		code = resolve_method(action, r, error, size);
		if (code == 0)
			code = resolve_user(
			    m, &action->local, d->user, r, error, size);
		if (d->entry == ENTRY_MAILBOX)
			r->use_forward = 0;
		r->item = alias_item_is_mark(d->entry) ? d->entry : 0;
	} else {
		code = resolve_entry(m, action, d, r, error, size);
		if (code == 0)
			code = resolve_alias_user(
			    m, &action->local, r, error, size);
	}
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

void
recipient_clear(struct recipient *r)
{
	free(r->groups);
	r->groups = NULL;
}
