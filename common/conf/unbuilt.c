/*
 * What the grammar can say and this release does not do. Master refuses to
 * start with any of it, since a filter or an encryption that is silently left
 * out is worse than none; `relaisd -n` only reports it.
 */
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

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
		snprintf(what, sizeof(what), "table backend `%s`",
		    table->backend);
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
		found_if(unbuilt, true, &conf->wrappers[i].where,
		    "mda wrapper");
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
	found_if(unbuilt, action->local.userbase != NULL, where, "userbase");
}

unsigned int
conf_unbuilt(const struct conf *conf, conf_report *report, void *arg)
{
	struct unbuilt unbuilt = { .report = report, .arg = arg };
	uint32_t i;

	found_if(&unbuilt, conf->queue.compression, &conf->queue.where,
	    "queue compression");
	found_if(&unbuilt, conf->queue.encryption, &conf->queue.where,
	    "queue encryption");
	check_tables(conf, &unbuilt);
	check_filters(conf, &unbuilt);
	for (i = 0; i < conf->nlisteners; i++)
		check_listener(&conf->listeners[i], &unbuilt);
	for (i = 0; i < conf->nactions; i++)
		check_action(&conf->actions[i], &unbuilt);
	return unbuilt.found;
}
