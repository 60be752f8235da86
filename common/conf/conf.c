/*
 * The life of a configuration tree: its defaults, its release, and looking
 * things up in it. Called by master, which fills the tree, and by every
 * worker on the tree that codec.c built from its slice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "conf/conf.h"
#include "conf/fields.h"

#define MINUTE 60U
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define BACKUP_TTL (30 * DAY)

static const struct conf_mta_limit mta_limit_defaults = {
	.max_conn_per_relay = 100,
	.max_conn_per_domain = 100,
	.session_mail_max = 100,
	.session_keepalive = 10,
};

static const struct conf conf_defaults = {
	.smtp = {
		.max_message_size = 35 << 20,
		.max_mails = 100,
		.max_rcpt = 1000,
		.max_errors = 20,
		.max_commands = 100,
		.max_conn = 10000,
		.max_conn_per_host = 100,
		.max_conn_rate = 600,
		.command_timeout = 5 * MINUTE,
		.tls_timeout = MINUTE,
		.auth_timeout = 2 * MINUTE,
		.data_timeout = 10 * MINUTE,
		.session_timeout = HOUR,
	},
	.mta = { .port = 25 },
	.mda = {
		.max_session = 50,
		.max_session_per_user = 7,
	},
	.scheduler = { .max_inflight = 5000 },
	.queue = { .ttl = 5 * DAY },
	.retry = { .min = 300, .max = 4 * HOUR },
	.bounce = { .warn = { 4 * HOUR } },
	.srs = { .ttl = 4 * DAY },
};

/* Strings that always have a value. */
static int
conf_default_strings(struct conf *conf)
{
	const struct {
		char **field;
		const char *value;
	} strings[] = {
		{ &conf->paths.spool, RELAIS_STATEDIR },
		{ &conf->paths.control_socket, RELAIS_RUNDIR "/control" },
		{ &conf->paths.pid_file, RELAIS_RUNDIR "/relaisd.pid" },
		{ &conf->paths.chroot, RELAIS_RUNDIR "/empty" },
		{ &conf->paths.libexec, RELAIS_LIBEXECDIR },
		{ &conf->paths.user_prefix, RELAIS_USER_PREFIX },
		{ &conf->smtp.sub_addr_delim, "+" },
	};
	size_t i;

	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if ((*strings[i].field = strdup(strings[i].value)) == NULL)
			return -1;
	return 0;
}

struct conf *
conf_new(void)
{
	struct conf *conf;
	struct conf_mta_limit *limit;

	if ((conf = malloc(sizeof(*conf))) == NULL)
		return NULL;
	*conf = conf_defaults;
	limit =
	    conf_append(&conf->mta.limits, &conf->mta.nlimits, sizeof(*limit));
	if (limit == NULL || conf_default_strings(conf) == -1) {
		conf_free(conf);
		return NULL;
	}
	*limit = mta_limit_defaults;
	return conf;
}

/* Any string may be a key or a password. */
static void
string_release(char *string)
{
	if (string != NULL)
		explicit_bzero(string, strlen(string));
	free(string);
}

static void
element_release(const struct shape *shape, void *element)
{
	const struct field *field, *end = shape->fields + shape->nfields;
	char *first = NULL;
	uint32_t i, n;

	for (field = shape->fields; field < end; field++) {
		if (field->type == FIELD_STRING || field->type == FIELD_TABLE)
			string_release(*field_string(field, element));
		n = field_children(field, element, &first);
		for (i = 0; i < n; i++)
			element_release(
			    field->shape, first + i * field->shape->size);
		if (field->type == FIELD_LIST)
			free(first);
	}
}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	element_release(&shape_conf, conf);
	free(conf);
}

static bool
string_equal(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool
scalar_equal(const struct field *field, const void *a, const void *b)
{
	switch (field->type) {
	case FIELD_WHERE:
		return true;
	case FIELD_STRING:
	case FIELD_TABLE:
		return string_equal(
		    *field_string(field, a), *field_string(field, b));
	case FIELD_OCTETS:
		return memcmp(field_at(field, a), field_at(field, b),
			   field->limit) == 0;
	default:
		return memcmp(field_at(field, a), field_at(field, b),
			   field_width[field->type]) == 0;
	}
}

static bool
element_equal(const struct shape *shape, const void *a, const void *b)
{
	const struct field *field, *end = shape->fields + shape->nfields;
	char *left = NULL, *right = NULL;
	uint32_t i, n;

	for (field = shape->fields; field < end; field++) {
		if (field->type != FIELD_STRUCT && field->type != FIELD_LIST) {
			if (!scalar_equal(field, a, b))
				return false;
			continue;
		}
		n = field_children(field, a, &left);
		if (n != field_children(field, b, &right))
			return false;
		for (i = 0; i < n; i++)
			if (!element_equal(field->shape,
				left + i * field->shape->size,
				right + i * field->shape->size))
				return false;
	}
	return true;
}

bool
conf_equal(const struct conf *a, const struct conf *b)
{
	struct conf left = *a, right = *b;

	/* The names of the files only serve conf_where. */
	left.nfiles = right.nfiles = 0;
	return element_equal(&shape_conf, &left, &right);
}

/* One finder per list: same shape, other list. */
#define FINDER(what, list, compare)                                 \
	const struct conf_##what *conf_find_##what(                 \
	    const struct conf *conf, const char *name)              \
	{                                                           \
		uint32_t i;                                         \
                                                                    \
		for (i = 0; name != NULL && i < conf->n##list; i++) \
			if (conf->list[i].name != NULL &&           \
			    compare(conf->list[i].name, name) == 0) \
				return &conf->list[i];              \
		return NULL;                                        \
	}

FINDER(action, actions, strcmp)
FINDER(table, tables, strcmp)
FINDER(pki, pkis, strcasecmp)
FINDER(ca, cas, strcasecmp)
FINDER(filter, filters, strcmp)
FINDER(proc, procs, strcmp)
FINDER(wrapper, wrappers, strcmp)

const struct conf_listener *
conf_find_listener(const struct conf *conf, const char *tag)
{
	uint32_t i;

	for (i = 0; tag != NULL && i < conf->nlisteners; i++)
		if (conf->listeners[i].tag != NULL &&
		    strcmp(conf->listeners[i].tag, tag) == 0)
			return &conf->listeners[i];
	return NULL;
}

const struct conf_mta_limit *
conf_find_mta_limit(const struct conf *conf, const char *domain)
{
	uint32_t i;

	for (i = 1; domain != NULL && i < conf->mta.nlimits; i++)
		if (conf->mta.limits[i].domain != NULL &&
		    strcasecmp(conf->mta.limits[i].domain, domain) == 0)
			return &conf->mta.limits[i];
	return conf->mta.nlimits > 0 ? &conf->mta.limits[0]
				     : &mta_limit_defaults;
}

uint32_t
conf_action_ttl(const struct conf *conf, const struct conf_action *action)
{
	if (action->ttl != 0)
		return action->ttl;
	if (action->kind == CONF_ACTION_RELAY && action->relay.backup)
		return BACKUP_TTL;
	return conf->queue.ttl;
}

void
conf_where_text(const struct conf *conf, const struct conf_where *where,
    char *buf, size_t len)
{
	if (where->line == 0)
		snprintf(buf, len, "default");
	else
		snprintf(buf, len, "%s:%u:%u",
		    where->file < conf->nfiles ? conf->files[where->file].text
					       : "configuration",
		    where->line, where->column);
}

void *
conf_append(void *list, uint32_t *count, size_t size)
{
	size_t n = *count;
	char *grown;

	/* room for twice as many at each power of two: freed memory that is
	 * overwritten makes one step cost as much as all that is free */
	memcpy(&grown, list, sizeof(grown));
	if (n == UINT32_MAX ||
	    ((n & (n - 1)) == 0 &&
		(grown = reallocarray(grown, n > 0 ? 2 * n : 1, size)) == NULL))
		return NULL;
	memcpy(list, &grown, sizeof(grown));
	grown += n * size;
	memset(grown, 0, size);
	(*count)++;
	return grown;
}
