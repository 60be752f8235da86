/*
 * A configuration with real tables of aliases and virtual users, for the tests
 * of auth/expand. The password database is a list of names, and may answer
 * late.
 */
#ifndef UNIT_EXPAND_SCENE_H
#define UNIT_EXPAND_SCENE_H

#include "auth/policy.h"
#include "auth/tables.h"

#define S(text)      \
	(char[])     \
	{            \
		text \
	}

#define COND(...)                 \
	(struct conf_condition[]) \
	{                         \
		__VA_ARGS__       \
	}
#define DOMAIN(t, a)                                             \
	{                                                        \
		.conditions = COND({ .kind = CONF_FROM_ANY },    \
		    { .kind = CONF_FOR_DOMAIN, .table = S(t) }), \
		.nconditions = 2, .action = S(a)                 \
	}

extern struct conf expand_scene_conf;
extern struct conf_action expand_scene_actions[];
extern struct tables *expand_scene_tables;
extern const struct policy_host expand_scene_host;
extern int expand_scene_late_is_known; /* the account `late` */
extern int expand_scene_asked; /* questions about accounts */

int expand_scene_setup(void **state);
int expand_scene_teardown(void **state);

#endif
