/*
 * What the grammar can say and this release does not do. Master refuses to
 * start with any of it, since a filter or an encryption that is silently left
 * out is worse than none; `relaisd -n` only reports it.
 */
#include <stdio.h>
#include <string.h>

#include "conf/fields.h"

struct unbuilt {
	conf_report *report;
	void *arg;
	unsigned int found;
};

static void
found_if(struct unbuilt *unbuilt, bool found, const struct conf_where *where,
    const char *what)
{
	if (!found)
		return;
	unbuilt->found++;
	unbuilt->report(unbuilt->arg, where, what);
}

/* Limits of a section that were given, but for those in `built`, a list that
 * ends with NULL, and those that were told of with `base`. */
static void
check_limits(struct unbuilt *unbuilt, const char *section,
    const struct shape *shape, const void *group, const void *base,
    const struct conf_where *where, const char *const *built)
{
	uint32_t value, told = 0;
	char what[128], *c;

	for (size_t i = 0; i < shape->nfields; i++) {
		const struct field *field = &shape->fields[i];
		const char *const *b = built;

		if (field->type != FIELD_U32)
			continue;
		while (*b != NULL && strcmp(*b, field->name) != 0)
			b++;
		memcpy(&value, field_at(field, group), sizeof(value));
		if (base != NULL)
			memcpy(&told, field_at(field, base), sizeof(told));
		if (*b != NULL || value == told)
			continue;
		snprintf(
		    what, sizeof(what), "%s limit %s", section, field->name);
		for (c = what; *c != '\0'; c++)
			if (*c == '_')
				*c = '-';
		found_if(unbuilt, true, where, what);
	}
}

static void
check_settings(const struct conf *conf, struct unbuilt *unbuilt)
{
	static const char *const mta[] = { "max_conn_per_relay",
		"max_conn_per_domain", "session_mail_max", "session_keepalive",
		NULL };
	static const char *const mda[] = { "max_session",
		"max_session_per_user", NULL };
	static const char *const scheduler[] = { "max_inflight", NULL };

	found_if(unbuilt, conf->admd != NULL, &conf->admd_where, "admd");
	found_if(unbuilt, conf->mta.max_deferred != 0, &conf->mta.where,
	    "mta max-deferred");
	for (uint32_t i = 0; i < conf->mta.nlimits; i++) {
		const struct conf_mta_limit *limit = &conf->mta.limits[i];
		const struct conf_mta_limit *base = i > 0 ? limit - i : NULL;

		check_limits(unbuilt, "mta", &shape_mta_limit, limit, base,
		    &limit->where, mta);
	}
	check_limits(unbuilt, "mda", &shape_mda, &conf->mda, NULL,
	    &conf->mda.where, mda);
	check_limits(unbuilt, "scheduler", &shape_scheduler, &conf->scheduler,
	    NULL, &conf->scheduler.where, scheduler);
	found_if(unbuilt, conf->queue.compression, &conf->queue.where,
	    "queue compression");
	found_if(unbuilt, conf->queue.encryption, &conf->queue.encryption_where,
	    "queue encryption");
	found_if(unbuilt, conf->srs.key != NULL, &conf->srs.where, "srs");
}

static void
check_tables(const struct conf *conf, struct unbuilt *unbuilt)
{
	const struct conf_table *table;
	char what[CONF_NAME_MAX + 64];
	uint32_t i;

	for (i = 0; i < conf->ntables; i++) {
		table = &conf->tables[i];
		if (table->kind != CONF_TABLE_BACKEND)
			continue;
		snprintf(
		    what, sizeof(what), "table backend `%s`", table->backend);
		found_if(unbuilt, true, &table->where, what);
	}
}

static void
check_filters(const struct conf *conf, struct unbuilt *unbuilt)
{
	uint32_t i;

	for (i = 0; i < conf->nprocs; i++)
		found_if(unbuilt, true, &conf->procs[i].where, "proc");
	for (i = 0; i < conf->nfilters; i++)
		found_if(unbuilt, true, &conf->filters[i].where, "filter");
	for (i = 0; i < conf->nwrappers; i++)
		found_if(
		    unbuilt, true, &conf->wrappers[i].where, "mda wrapper");
}

static void
check_listener(const struct conf_listener *listener, struct unbuilt *unbuilt)
{
	const struct conf_where *where = &listener->where;

	found_if(unbuilt, listener->nfilters > 0, where, "listen filter");
	found_if(unbuilt, listener->masquerade, where, "senders masquerade");
	found_if(unbuilt, listener->proxy_v2, where, "proxy-v2");
}

static void
check_action(const struct conf_action *action, struct unbuilt *unbuilt)
{
	const struct conf_where *where = &action->where;

	found_if(unbuilt, action->relay.nfilters > 0, where, "relay filter");
	found_if(unbuilt, action->relay.srs, where, "relay srs");
	found_if(unbuilt, action->local.wrapper != NULL, where, "wrapper");
}

unsigned int
conf_unbuilt(const struct conf *conf, conf_report *report, void *arg)
{
	struct unbuilt unbuilt = { .report = report, .arg = arg };
	uint32_t i;

	check_settings(conf, &unbuilt);
	check_tables(conf, &unbuilt);
	check_filters(conf, &unbuilt);
	for (i = 0; i < conf->nlisteners; i++)
		check_listener(&conf->listeners[i], &unbuilt);
	for (i = 0; i < conf->nactions; i++)
		check_action(&conf->actions[i], &unbuilt);
	return unbuilt.found;
}
