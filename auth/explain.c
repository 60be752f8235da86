/*
 * `smtpctl explain`: the rules run as they do for a client, and each one that
 * was tried is told with the condition that failed. Nothing is remembered and
 * no primary is asked. A run that has to wait for an account is made again
 * from its start, trace and all, as every other.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/expand.h"
#include "auth/recipient.h"
#include "conf/print.h"
#include "net/loop.h"

enum { STEPS_MAX = 1000, RULE_MAX = 1024 };

struct explanation {
	struct auth *auth;
	struct ipc_buf steps;
};

/* The rule as a line, cut to what a step holds. */
static void
rule_text(
    const struct conf *conf, const struct conf_match *m, char *out, size_t size)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f;

	*out = '\0';
	if ((f = open_memstream(&text, &len)) == NULL)
		return;
	conf_print_match(conf, m, f);
	if (fclose(f) == 0 && text != NULL) {
		text[strcspn(text, "\n")] = '\0';
		snprintf(out, size, "%s", text);
	}
	free(text);
}

static void
where_text(const struct conf *conf, const struct conf_where *where, char *out,
    size_t size)
{
	char text[4096];
	size_t len, from;

	conf_where_text(conf, where, text, sizeof(text));
	/* the end of a long path says more than its beginning */
	len = strlen(text);
	from = len < size ? 0 : len - size + 1;
	memcpy(out, text + from, len - from + 1);
}

static void
on_step(void *arg, uint32_t rule, const struct conf_condition *failed)
{
	struct explanation *x = arg;
	const struct conf *conf = x->auth->now.conf;
	const struct conf_match *m = &conf->matches[rule];
	char where[400], text[RULE_MAX + 1], why[64] = "";
	struct msg_explain_step s = {
		.where = where, .rule = text, .failed = why
	};

	if (x->steps.count >= STEPS_MAX)
		return;
	where_text(conf, &m->where, where, sizeof(where));
	rule_text(conf, m, text, sizeof(text));
	if (failed != NULL)
		snprintf(why, sizeof(why), "%s%s", failed->negated ? "! " : "",
		    policy_condition_name(failed->kind));
	ipc_add_explain_step(&x->steps, &s);
}

/* The rules ask on behalf of the explanation, and answers come from auth. */
static enum policy_answer
ask_table(void *arg, const char *table, enum conf_service service,
    const char *key, const char **value)
{
	struct explanation *x = arg;

	return x->auth->host.lookup(x->auth, table, service, key, value);
}

static enum policy_answer
ask_user(void *arg, const char *name)
{
	struct explanation *x = arg;

	return x->auth->host.user(x->auth, name);
}

/* What a backup would do with the recipient, without doing it. */
static const char *
explain_backup(struct explanation *x, const struct conf_action *action,
    const char *recipient, struct recipient_reply *reply)
{
	const struct conf_relay *relay = &action->relay;
	struct auth *auth = x->auth;
	enum policy_answer listed = POLICY_NO;

	if (relay->recipients != NULL)
		listed = ask_table(x, relay->recipients,
		    CONF_SERVICE_RECIPIENTS, recipient, NULL);
	recipient_set_reply(reply, 250, "2.1.5", "");
	if (listed == POLICY_YES)
		return "it stands in the list of recipients";
	if (recipient_is_postmaster(recipient) ||
	    (relay->recipients == NULL && !relay->call_ahead))
		return "";
	if (relay->call_ahead) {
		switch (callahead_look(auth->callahead, action->name, recipient,
		    loop_time(worker_loop(auth->worker)))) {
		case CALLAHEAD_ACCEPT:
			return "the primary has taken it lately";
		case CALLAHEAD_REFUSE:
			break;
		default:
			return "the primary would be asked";
		}
	}
	recipient_set_reply(reply, 550, "5.1.1", "No such recipient");
	return relay->call_ahead ? "the primary has refused it lately"
				 : "it is not in the list of recipients";
}

static const char *
explain_verdict(struct explanation *x, const struct policy_host *host,
    const struct policy_facts *f, struct policy_verdict *v,
    struct recipient_reply *reply)
{
	const char *recipient = f->recipient;

	if (v->kind != POLICY_ACTION) {
		rules_refusal(v->kind, reply);
		return "";
	}
	if (rules_refuse_route(host, f, v, reply))
		return "";
	if (v->action->kind != CONF_ACTION_RELAY) {
		expand_check(host, f, v->action, reply);
		return "";
	}
	if (v->action->relay.backup)
		return explain_backup(x, v->action, recipient, reply);
	recipient_set_reply(reply, 250, "2.1.5", "");
	return "";
}

int
explain_run(struct auth *auth, struct channel *ch, const struct msg_explain *m)
{
	struct explanation x = { .auth = auth };
	struct policy_host host = auth->host;
	struct policy_facts facts = { .tag = m->tag,
		.client_addr = m->client_addr,
		.client_name = m->client_name,
		.helo = m->helo,
		.auth_user = m->auth_user,
		.sender = m->sender,
		.recipient = m->recipient,
		.flags = m->flags };
	struct msg_explained a = { .id = m->id };
	struct recipient_reply reply = { 0 };
	struct policy_verdict v;
	char where[400] = "";

	host.lookup = ask_table;
	host.user = ask_user;
	host.trace = on_step;
	host.arg = &x;
	v = policy_decide(&host, &facts);
	a.note = explain_verdict(&x, &host, &facts, &v, &reply);
	if (v.kind == POLICY_ACTION || v.kind == POLICY_REJECT)
		where_text(auth->now.conf,
		    &auth->now.conf->matches[v.rule].where, where,
		    sizeof(where));
	a.code = reply.code;
	a.enhanced = reply.enhanced;
	a.text = reply.text;
	a.action = v.action != NULL ? v.action->name : "";
	a.where = where;
	a.steps = ipc_buf_list(&x.steps);
	/* no code yet: an account is being asked for */
	if (reply.code != 0 && ipc_send(ch, explained, &a) == -1) {
		a.steps = (struct ipc_list){ 0 };
		ipc_send(ch, explained, &a);
	}
	ipc_buf_free(&x.steps);
	return reply.code != 0;
}
