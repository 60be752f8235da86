/*
 * Rules and filters: what a `match` or `filter` line says, put together word
 * by word and completed at its end.
 */
#include <stdlib.h>
#include <string.h>

#include "master/parser.h"

void
match_begin(struct parser *p, const struct conf_where *where)
{
	struct conf *conf = p->conf;

	p->match =
	    conf_append(&conf->matches, &conf->nmatches, sizeof(*p->match));
	if (p->match == NULL)
		parse_out_of_memory(p);
	else
		p->match->where = *where;
}

static bool
is_from(enum conf_condition_kind kind)
{
	return kind <= CONF_FROM_MAIL_FROM;
}

static bool
is_for(enum conf_condition_kind kind)
{
	return kind >= CONF_FOR_ANY && kind <= CONF_FOR_RCPT_TO;
}

static bool
same_group(enum conf_condition_kind a, enum conf_condition_kind b)
{
	return a == b || (is_from(a) && is_from(b)) || (is_for(a) && is_for(b));
}

static void
condition_add(struct parser *p, bool negated, enum conf_condition_kind kind,
    bool regex, const char *table)
{
	struct conf_condition *condition;

	condition = conf_append(
	    &p->match->conditions, &p->match->nconditions, sizeof(*condition));
	if (condition == NULL) {
		parse_out_of_memory(p);
		return;
	}
	condition->kind = kind;
	condition->negated = negated;
	condition->regex = regex;
	if (table != NULL)
		condition->table = parse_strdup(p, table);
}

void
match_condition(struct parser *p, const struct conf_where *where, bool negated,
    enum conf_condition_kind kind, bool regex, const char *table)
{
	static const char *const words[] = {
		[CONF_IF_TAG] = "tag",
		[CONF_IF_HELO] = "helo",
		[CONF_IF_AUTH] = "auth",
		[CONF_IF_TLS] = "tls",
		[CONF_IF_MAIL_FROM] = "mail-from",
		[CONF_IF_RCPT_TO] = "rcpt-to",
	};
	const struct conf_condition *condition = p->match->conditions;
	uint32_t i;

	for (i = 0; i < p->match->nconditions; i++, condition++)
		if (same_group(condition->kind, kind)) {
			parse_error(p, where,
			    "a rule has one `%s`; put "
			    "several values in braces, or write several "
			    "rules",
			    is_from(kind)      ? "from"
				: is_for(kind) ? "for"
					       : words[kind]);
			return;
		}
	if (kind == CONF_FROM_RDNS)
		p->conf->smtp.names_matter = true;
	condition_add(p, negated, kind, regex, table);
}

static int
condition_compare(const void *a, const void *b)
{
	const struct conf_condition *left = a, *right = b;

	return (int)left->kind - (int)right->kind;
}

void
match_end(struct parser *p, const struct conf_where *where, const char *action)
{
	struct conf_match *match = p->match;
	bool has_from = false, has_for = false;
	uint32_t i;

	for (i = 0; i < match->nconditions; i++) {
		has_from = has_from || is_from(match->conditions[i].kind);
		has_for = has_for || is_for(match->conditions[i].kind);
	}
	if (!has_from)
		condition_add(p, false, CONF_FROM_LOCAL, false, NULL);
	if (!has_for)
		condition_add(p, false, CONF_FOR_LOCAL, false, NULL);
	qsort(match->conditions, match->nconditions, sizeof(*match->conditions),
	    condition_compare);
	match->reject = action == NULL;
	if (action != NULL)
		set_reference(
		    p, where, &match->action, "action", REF_ACTION, action);
}

void
match_word(struct parser *p, const struct conf_where *where, const char *word)
{
	if (strcmp(word, "open-relay") == 0)
		p->match->open_relay = true;
	else
		parse_error(p, where,
		    "`%s` cannot stand behind the action; "
		    "the options of a rule stand before `action`",
		    word);
}

/* ---- programs --------------------------------------------------------- */

void
proc_begin(struct parser *p, const struct conf_where *where, const char *name,
    const char *command)
{
	struct conf *conf = p->conf;

	if (conf_find_proc(conf, name) != NULL)
		parse_error(p, where, "the proc `%s` is defined twice", name);
	p->proc = conf_append(&conf->procs, &conf->nprocs, sizeof(*p->proc));
	if (p->proc == NULL) {
		parse_out_of_memory(p);
		return;
	}
	p->proc->where = *where;
	p->proc->name = parse_strdup(p, name);
	p->proc->command = parse_strdup(p, command);
}

void
wrapper_define(struct parser *p, const struct conf_where *where,
    const char *name, const char *command)
{
	struct conf *conf = p->conf;
	struct conf_wrapper *wrapper;

	if (conf_find_wrapper(conf, name) != NULL)
		parse_error(
		    p, where, "the mda wrapper `%s` is defined twice", name);
	wrapper =
	    conf_append(&conf->wrappers, &conf->nwrappers, sizeof(*wrapper));
	if (wrapper == NULL) {
		parse_out_of_memory(p);
		return;
	}
	wrapper->where = *where;
	wrapper->name = parse_strdup(p, name);
	wrapper->command = parse_strdup(p, command);
}

/* ---- filters ---------------------------------------------------------- */

void
filter_begin(struct parser *p, const struct conf_where *where, const char *name,
    enum conf_filter_kind kind)
{
	struct conf *conf = p->conf;
	const struct conf_filter *earlier = conf_find_filter(conf, name);
	char at[512];

	if (earlier != NULL) {
		conf_where_text(conf, &earlier->where, at, sizeof(at));
		parse_error(p, where,
		    "the filter `%s` is already defined at "
		    "%s; choose another name",
		    name, at);
	}
	p->filter =
	    conf_append(&conf->filters, &conf->nfilters, sizeof(*p->filter));
	if (p->filter == NULL) {
		parse_out_of_memory(p);
		return;
	}
	p->filter->where = *where;
	p->filter->name = parse_strdup(p, name);
	p->filter->kind = kind;
}

void
filter_exec(
    struct parser *p, const struct conf_where *where, const char *command)
{
	p->proc = &p->filter->exec;
	p->proc->where = *where;
	p->proc->command = parse_strdup(p, command);
}

void
filter_test(struct parser *p, bool negated, enum conf_filter_test test,
    bool regex, const char *table)
{
	p->filter->test = test;
	p->filter->negated = negated;
	p->filter->regex = regex;
	if (table != NULL)
		p->filter->table = parse_strdup(p, table);
}

void
filter_decide(struct parser *p, enum conf_decision decision, const char *text)
{
	p->filter->decision = decision;
	if (text != NULL)
		p->filter->text = parse_strdup(p, text);
}

/* What is known in a phase, and what may be decided there. */
void
filter_phase_end(struct parser *p, const struct conf_where *where)
{
	static const enum conf_phase known_from[] = {
		[CONF_TEST_FCRDNS] = CONF_PHASE_CONNECT,
		[CONF_TEST_RDNS] = CONF_PHASE_CONNECT,
		[CONF_TEST_SRC] = CONF_PHASE_CONNECT,
		[CONF_TEST_HELO] = CONF_PHASE_HELO,
		[CONF_TEST_AUTH] = CONF_PHASE_AUTH,
		[CONF_TEST_MAIL_FROM] = CONF_PHASE_MAIL_FROM,
		[CONF_TEST_RCPT_TO] = CONF_PHASE_RCPT_TO,
	};
	const struct conf_filter *filter = p->filter;
	const char *text = filter->text;

	if (filter->phase < known_from[filter->test] ||
	    (filter->test == CONF_TEST_RCPT_TO &&
		filter->phase != CONF_PHASE_RCPT_TO))
		parse_error(p, where,
		    "what this filter looks at is not known "
		    "in its phase; choose a later phase, or `rcpt-to` for a "
		    "recipient");
	if (filter->phase == CONF_PHASE_COMMIT &&
	    (filter->decision == CONF_DECISION_JUNK ||
		filter->decision == CONF_DECISION_BYPASS))
		parse_error(p, where,
		    "at `commit` the message is complete; "
		    "decide on junk or bypass in an earlier phase");
	if ((filter->decision == CONF_DECISION_REJECT ||
		filter->decision == CONF_DECISION_DISCONNECT) &&
	    (text == NULL || (*text != '4' && *text != '5') ||
		strspn(text, "0123456789") != 3))
		parse_error(p, where,
		    "the message must begin with a reply "
		    "code of 4xx or 5xx, such as \"550 go away\"");
}
