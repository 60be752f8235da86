/*
 * Answers what depends on rules, tables and accounts. A question that has to
 * wait, for an account or for a primary, is kept as the message that it was
 * and asked again from the start. Called by the worker's channels; trusts the
 * form of messages and nothing in them.
 */
#include "config.h"

#include <sys/types.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/auth.h"
#include "auth/expand.h"
#include "auth/recipient.h"
#include "conf/url.h"
#include "net/loop.h"
#include "os/log.h"
#include "smtp/address.h"

enum { JOBS_MAX = 20000 };

struct job {
	TAILQ_ENTRY(job) entry;
	struct channel *channel;
	enum msg_type type;
	struct ipc_buf payload;
	unsigned int outstanding; /* accounts that it waits for */
	uint64_t callahead; /* the id of a question to a primary, or 0 */
	struct channel *asked; /* the deliver that has it */
	/* The primary's word counts for the action that it was asked for, in
	 * the configuration that had it. */
	const struct conf_action *action;
	uint32_t generation;
	enum callahead_status word;
	bool answered;
};

static void
job_free(struct auth *auth, struct job *job)
{
	TAILQ_REMOVE(&auth->jobs, job, entry);
	auth->njobs--;
	if (job->outstanding > 0)
		accounts_forget(auth->accounts, job);
	ipc_buf_free(&job->payload);
	free(job);
}

/* Keeps a message as a job; NULL when there are too many. */
static struct job *
job_new(
    struct auth *auth, struct channel *ch, enum msg_type type, const void *msg)
{
	struct job *job;

	if ((job = calloc(1, sizeof(*job))) == NULL)
		return NULL;
	job->channel = ch;
	job->type = type;
	if (msg_encode(type, msg, &job->payload) == -1) {
		ipc_buf_free(&job->payload);
		free(job);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&auth->jobs, job, entry);
	auth->njobs++;
	return job;
}

static enum policy_answer
lookup(void *arg, const char *table, enum conf_service service, const char *key,
    const char **value)
{
	struct auth *auth = arg;

	switch (tables_lookup(auth->now.tables, table, service, key, value)) {
	case LOOKUP_FOUND:
		return POLICY_YES;
	case LOOKUP_NONE:
		return POLICY_NO;
	default:
		return POLICY_ERROR;
	}
}

static enum policy_answer
user(void *arg, const char *name)
{
	struct auth *auth = arg;
	struct msg_user_query q = { .name = name };
	enum policy_answer a;

	a = accounts_ask(
	    auth->accounts, name, auth->running, auth_now(auth), &q.id);
	if (a == POLICY_PENDING)
		auth->running->outstanding++;
	if (q.id != 0 &&
	    ipc_send(worker_master(auth->worker), user_query, &q) == -1)
		log_warn("a question about an account could not be sent");
	return a;
}

void
rules_swap(struct auth *auth)
{
	auth->host.conf = auth->now.conf;
	auth->host.lookup = lookup;
	auth->host.user = user;
	auth->host.arg = auth;
}

/* ---- rcpt_check ------------------------------------------------------- */

static void
send_verdict(const struct auth *auth, struct channel *ch, uint64_t id,
    const struct recipient_reply *reply, const struct policy_verdict *why)
{
	struct msg_rcpt_verdict v = { .id = id,
		.code = reply->code,
		.enhanced = reply->enhanced,
		.text = reply->text,
		.action = "" };

	if (why != NULL)
		v.rule = why->rule;
	if (why != NULL && reply->code == 250) {
		v.action = why->action->name;
		v.known = why->known;
		v.generation = worker_generation(auth->worker);
		/* a trace of the rules tells of every recipient */
		if ((log_traced() & TRACE_RULES) == 0)
			v.reach = (uint8_t)why->reach;
	}
	if (ipc_send(ch, rcpt_verdict, &v) == -1)
		log_warn("a verdict could not be sent");
}

static struct policy_facts
facts_of(const struct msg_rcpt_check *m)
{
	return (struct policy_facts){ .tag = m->tag,
		.client_addr = m->client_addr,
		.client_name = m->client_name,
		.helo = m->helo,
		.auth_user = m->auth_user,
		.sender = m->sender,
		.recipient = m->recipient,
		.flags = m->flags };
}

static struct policy_verdict
decide(const struct auth *auth, const struct msg_rcpt_check *m)
{
	struct policy_facts facts = facts_of(m);

	return policy_decide(&auth->host, &facts);
}

/* Sends the primary a question through the deliver worker of the domain. */
static int
ask_primary(struct auth *auth, struct job *job, const struct msg_rcpt_check *m,
    const struct conf_action *action)
{
	uint16_t count = worker_peer_count(auth->worker, PROC_DELIVER);
	struct msg_callahead q = { .action = action->name,
		.recipient = m->recipient };
	uint32_t h = 0;

	for (const char *d = address_domain(m->recipient); *d != '\0'; d++)
		h = h * 31 + (unsigned char)*d;
	if (count == 0 ||
	    (job->asked = worker_peer(
		 auth->worker, PROC_DELIVER, (uint16_t)(h % count))) == NULL)
		return -1;
	q.id = job->callahead = ++auth->last_id;
	job->action = action;
	job->generation = worker_generation(auth->worker);
	job->answered = false;
	if (ipc_send(job->asked, callahead, &q) == 0)
		return 0;
	job->callahead = 0;
	return -1;
}

/* What the primary says of a recipient; what a restart may not forget goes to
 * the queue. */
static enum callahead_advice
take_word(struct auth *auth, const struct conf_action *action,
    const char *recipient, enum callahead_status status)
{
	struct channel *queue = worker_peer(auth->worker, PROC_QUEUE, 0);
	int64_t now = loop_time(worker_loop(auth->worker));
	struct msg_callahead_keep keep = { .action = action->name,
		.recipient = recipient,
		.good = status == CALLAHEAD_GOOD,
		.when = (uint64_t)now };

	if (queue != NULL &&
	    callahead_worth(auth->callahead, action->name, recipient, status))
		ipc_send(queue, callahead_keep, &keep);
	return callahead_answer(auth->callahead, action->name, recipient,
	    status, action->relay.unknown, now);
}

/* What is known of a recipient, or what the primary has just said; asks it
 * where there is neither. */
static enum callahead_advice
call_ahead(struct auth *auth, struct job *job, const struct msg_rcpt_check *m,
    const struct conf_action *action)
{
	int64_t now = loop_time(worker_loop(auth->worker));
	enum callahead_advice advice;

	if (job->answered && job->action == action &&
	    job->generation == worker_generation(auth->worker))
		return take_word(auth, action, m->recipient, job->word);
	advice =
	    callahead_look(auth->callahead, action->name, m->recipient, now);
	if (advice == CALLAHEAD_ASK && ask_primary(auth, job, m, action) == -1)
		advice = callahead_answer(auth->callahead, action->name,
		    m->recipient, CALLAHEAD_NONE, action->relay.unknown, now);
	return advice;
}

static void
reply_to_advice(enum callahead_advice advice, struct recipient_reply *reply)
{
	switch (advice) {
	case CALLAHEAD_ACCEPT:
		recipient_set_reply(reply, 250, "2.1.5", "");
		break;
	case CALLAHEAD_REFUSE:
		recipient_set_reply(reply, 550, "5.1.1", "No such recipient");
		break;
	case CALLAHEAD_TEMPFAIL:
		recipient_set_reply(reply, 451, "4.4.0",
		    "The recipient cannot be verified now");
		break;
	case CALLAHEAD_ASK:
		reply->code = 0;
		break;
	}
}

/* A backup takes those who are listed; others only on the primary's word. */
static void
check_backup(struct auth *auth, struct job *job, const struct msg_rcpt_check *m,
    const struct conf_action *action, struct recipient_reply *reply)
{
	const struct conf_relay *relay = &action->relay;
	enum policy_answer listed = POLICY_NO;

	if (relay->recipients != NULL)
		listed = lookup(auth, relay->recipients,
		    CONF_SERVICE_RECIPIENTS, m->recipient, NULL);
	if (listed == POLICY_YES || recipient_is_postmaster(m->recipient) ||
	    (relay->recipients == NULL && !relay->call_ahead)) {
		recipient_set_reply(reply, 250, "2.1.5", "");
		return;
	}
	if (listed == POLICY_ERROR) {
		recipient_set_reply(
		    reply, 451, "4.3.0", "Recipients cannot be looked up now");
		return;
	}
	reply_to_advice(relay->call_ahead ? call_ahead(auth, job, m, action)
					  : CALLAHEAD_REFUSE,
	    reply);
}

void
rules_refusal(enum policy_kind kind, struct recipient_reply *reply)
{
	switch (kind) {
	case POLICY_REJECT:
		recipient_set_reply(
		    reply, 550, "5.7.1", "Refused by a rule of this site");
		break;
	case POLICY_NO_RULE:
		recipient_set_reply(reply, 550, "5.7.1",
		    "We do not relay for you, nor take mail for this address");
		break;
	case POLICY_TEMPFAIL:
		recipient_set_reply(reply, 451, "4.3.0",
		    "A table or a name cannot be looked up now");
		break;
	case POLICY_ACTION:
	case POLICY_WAIT:
		reply->code = 0;
		break;
	}
}

int
rules_refuse_route(const struct policy_host *host, const struct policy_facts *f,
    struct policy_verdict *v, struct recipient_reply *reply)
{
	switch (policy_refuses_route(host, f, v)) {
	case POLICY_NO:
		return 0;
	case POLICY_YES:
		recipient_set_reply(reply, 550, "5.7.1",
		    "A local part with %, ! or @ is not relayed for strangers");
		break;
	case POLICY_ERROR:
		rules_refusal(POLICY_TEMPFAIL, reply);
		break;
	case POLICY_PENDING:
		rules_refusal(POLICY_WAIT, reply);
		break;
	}
	return 1;
}

static void
check_recipient(struct auth *auth, struct job *job,
    const struct msg_rcpt_check *m, struct policy_verdict *v,
    struct recipient_reply *reply)
{
	struct policy_facts facts = facts_of(m);

	if (rules_refuse_route(&auth->host, &facts, v, reply))
		return;
	if (v->action->kind != CONF_ACTION_RELAY)
		expand_check(&auth->host, &facts, v->action, reply);
	else if (v->action->relay.backup)
		check_backup(auth, job, m, v->action, reply);
	else
		recipient_set_reply(reply, 250, "2.1.5", "");
}

static void
trace_verdict(const struct auth *auth, const struct msg_rcpt_check *m,
    const struct policy_verdict *v, unsigned int code)
{
	const struct conf *conf = auth->now.conf;
	char where[400] = "no rule";

	if ((log_traced() & TRACE_RULES) == 0)
		return;
	if (v->kind != POLICY_NO_RULE && v->rule < conf->nmatches)
		conf_where_text(
		    conf, &conf->matches[v->rule].where, where, sizeof(where));
	log_trace(TRACE_RULES, "%s to %s: %s, %u", m->sender, m->recipient,
	    where, code);
}

/* Whether an answer was sent. */
static int
run_rcpt_check(
    struct auth *auth, struct job *job, const struct msg_rcpt_check *m)
{
	struct recipient_reply reply = { 0 };
	struct policy_verdict v = decide(auth, m);

	if (v.kind != POLICY_ACTION)
		rules_refusal(v.kind, &reply);
	else
		check_recipient(auth, job, m, &v, &reply);
	if (reply.code == 0)
		return 0;
	trace_verdict(auth, m, &v, reply.code);
	send_verdict(auth, job->channel, m->id, &reply, &v);
	return 1;
}

/* ---- expand ----------------------------------------------------------- */

/* How many destinations one answer holds at most in octets: well below the
 * limit of a message. */
enum { EXPANDED_OCTETS_MAX = 12 << 20 };

static int
list_dests(const struct expand_result *r, struct ipc_buf *list)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct expand_entry *e = &r->dests[i];
		struct msg_expand_dest d = { .kind = (uint8_t)e->kind,
			.address = e->address,
			.action = e->action,
			.user = e->user,
			.alias = e->alias,
			.entry = e->entry,
			.code = e->reply.code,
			.enhanced = e->reply.enhanced,
			.text = e->reply.text };

		ipc_add_expand_dest(list, &d);
	}
	return list->failed || list->len > EXPANDED_OCTETS_MAX ? -1 : 0;
}

static int
run_expand(struct auth *auth, struct job *job, const struct msg_expand *m)
{
	struct expand_request q = { .tag = m->tag,
		.helo = m->helo,
		.sender = m->sender,
		.recipient = m->recipient,
		.action = m->action,
		.user = m->user,
		.depth = m->depth,
		.forwarded = m->forwarded };
	struct msg_expanded a = { .id = m->id };
	struct ipc_buf list = { 0 };
	struct expand_result r;
	int done;

	expand_run(&auth->host, &q, &r);
	done = r.reply.code != 0;
	if (r.reply.code == 250 && list_dests(&r, &list) == -1)
		recipient_set_reply(
		    &r.reply, 451, "4.3.0", "The list is too long for now");
	if (r.reply.code == 250) {
		a.owner = r.owner;
		a.dests = ipc_buf_list(&list);
	}
	a.lacking = r.lacking != 0;
	a.code = r.reply.code;
	a.enhanced = r.reply.enhanced;
	a.text = r.reply.text;
	log_trace(TRACE_EXPAND, "%s by %s: %u, %zu destinations", m->recipient,
	    m->action, r.reply.code, r.count);
	if (done && ipc_send(job->channel, expanded, &a) == -1) {
		a = (struct msg_expanded){ .id = m->id,
			.code = 451,
			.enhanced = "4.3.0",
			.text = "Out of memory" };
		ipc_send(job->channel, expanded, &a);
	}
	ipc_buf_free(&list);
	expand_free(&r);
	return done;
}

/* ---- questions that wait ---------------------------------------------- */

/* Runs a job, which is gone afterwards unless it waits. */
static void
job_run(struct auth *auth, struct job *job)
{
	union ipc_msg m;
	int done = 1;

	/* made by msg_encode, so it can be decoded */
	if (msg_decode(job->type, job->payload.data, job->payload.len, &m) ==
	    0) {
		auth->running = job;
		if (job->type == MSG_rcpt_check)
			done = run_rcpt_check(auth, job, &m.rcpt_check);
		else if (job->type == MSG_explain)
			done = explain_run(auth, job->channel, &m.explain);
		else
			done = run_expand(auth, job, &m.expand);
		auth->running = NULL;
	}
	if (done)
		job_free(auth, job);
}

void
on_rcpt_check(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct recipient_reply busy;
	struct auth *auth = arg;
	struct job *job = NULL;

	if (auth->njobs < JOBS_MAX)
		job = job_new(auth, ch, MSG_rcpt_check, &m->rcpt_check);
	if (job != NULL) {
		job_run(auth, job);
		return;
	}
	recipient_set_reply(&busy, 451, "4.3.2", "Too busy to check this");
	send_verdict(auth, ch, m->rcpt_check.id, &busy, NULL);
}

void
on_expand(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct msg_expanded busy = { .id = m->expand.id,
		.code = 451,
		.enhanced = "4.3.2",
		.text = "Too busy to expand this" };
	struct auth *auth = arg;
	struct job *job = NULL;

	if (auth->njobs < JOBS_MAX)
		job = job_new(auth, ch, MSG_expand, &m->expand);
	if (job != NULL)
		job_run(auth, job);
	else
		ipc_send(ch, expanded, &busy);
}

void
on_explain(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct msg_explained busy = { .id = m->explain.id,
		.code = 451,
		.enhanced = "4.3.2",
		.text = "Too busy to explain this" };
	struct auth *auth = arg;
	struct job *job = NULL;

	if (auth->njobs < JOBS_MAX)
		job = job_new(auth, ch, MSG_explain, &m->explain);
	if (job != NULL)
		job_run(auth, job);
	else
		ipc_send(ch, explained, &busy);
}

void
on_backup_query(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct msg_backup_answer a = { .id = m->backup_query.id };
	struct auth *auth = arg;
	char recipient[12 + ADDRESS_DOMAIN_SIZE];

	snprintf(recipient, sizeof(recipient), "postmaster@%s",
	    m->backup_query.domain);
	switch (policy_backup(&auth->host, recipient)) {
	case POLICY_YES:
		a.status = LOOKUP_FOUND;
		break;
	case POLICY_NO:
		a.status = LOOKUP_NONE;
		break;
	default:
		a.status = LOOKUP_TEMPFAIL;
		break;
	}
	ipc_send(ch, backup_answer, &a);
}

static void
job_ready(void *arg, void *waiter)
{
	struct job *job = waiter;

	if (job->outstanding > 0 && --job->outstanding == 0)
		job_run(arg, job);
}

void
rules_account(struct auth *auth, const struct msg_user_answer *m)
{
	accounts_answer(
	    auth->accounts, m->id, m->status, auth_now(auth), job_ready, auth);
}

void
on_callahead_keep(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_callahead_keep *k = &m->callahead_keep;
	struct auth *auth = arg;

	callahead_import(auth->callahead, k->action, k->recipient, k->good,
	    (int64_t)k->when);
}

/* The primary's word, or none, on the recipient of a job, which is asked again
 * from the start: the rules may be others by now. */
static void
callahead_finish(
    struct auth *auth, struct job *job, enum callahead_status status)
{
	job->callahead = 0;
	job->word = status;
	job->answered = true;
	job_run(auth, job);
}

void
on_callahead_done(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_callahead_done *done = &m->callahead_done;
	struct auth *auth = arg;
	struct job *job;

	TAILQ_FOREACH (job, &auth->jobs, entry)
		if (job->callahead == done->id && job->asked == ch)
			break;
	if (job == NULL || done->id == 0)
		return;
	callahead_finish(auth, job,
	    done->status < CALLAHEAD_STATUS_MAX ? done->status
						: CALLAHEAD_NONE);
}

void
rules_peer_down(struct auth *auth, const struct channel *ch)
{
	struct job *job, *next;

	for (job = TAILQ_FIRST(&auth->jobs); job != NULL; job = next) {
		next = TAILQ_NEXT(job, entry);
		if (job->channel == ch)
			job_free(auth, job);
		else if (job->callahead != 0 && job->asked == ch)
			callahead_finish(auth, job, CALLAHEAD_NONE);
	}
}

/* ---- table_query, sender_check ---------------------------------------- */

/* Secrets leave in no answer. */
static int
may_be_told(const struct auth *auth, const char *table, uint8_t service)
{
	const struct conf_table *t = conf_find_table(auth->now.conf, table);
	const uint32_t secret =
	    1U << CONF_SERVICE_CREDENTIALS | 1U << CONF_SERVICE_RELAY_AUTH;

	return service < CONF_NSERVICES && (secret & (1U << service)) == 0 &&
	    (t == NULL || (t->uses & secret) == 0);
}

/* The family that is wanted of a list of own addresses. */
static enum conf_family
wanted_family(const char *key)
{
	return strcmp(key, "inet4") == 0 ? CONF_INET4
	    : strcmp(key, "inet6") == 0  ? CONF_INET6
					 : CONF_FAMILY_ANY;
}

static int
is_wanted(const char *value, enum conf_family want)
{
	struct conf_address a;

	return want == CONF_FAMILY_ANY ||
	    (url_address_parse(value, &a, NULL) == 0 && a.family == want);
}

/* Any entry of a list, by chance: one that goes on from the last answer would
 * give some who ask in step always the same. */
static enum lookup_status
any_entry(const struct auth *auth, const char *table, enum conf_family want,
    const char **value)
{
	size_t count = tables_count(auth->now.tables, table);
	size_t first = arc4random_uniform((uint32_t)count);
	enum lookup_status status;

	for (size_t i = 0; i < count; i++) {
		status = tables_entry(
		    auth->now.tables, table, (first + i) % count, value, NULL);
		if (status != LOOKUP_FOUND || is_wanted(*value, want))
			return status;
	}
	*value = "";
	/* an empty one, or none */
	return tables_entry(auth->now.tables, table, count, NULL, NULL);
}

/* The entry of a list behind this one, and the first behind the last. */
static enum lookup_status
entry_behind(const struct auth *auth, const char *table, const char *key,
    const char **value)
{
	size_t count = tables_count(auth->now.tables, table);
	const char *entry;

	for (size_t i = 0; i < count; i++)
		if (tables_entry(auth->now.tables, table, i, &entry, NULL) ==
			LOOKUP_FOUND &&
		    strcasecmp(entry, key) == 0)
			return tables_entry(auth->now.tables, table,
			    (i + 1) % count, value, NULL);
	return LOOKUP_NONE;
}

/* Of a table of relay hosts: by domain the host, or in a list any one, and by
 * one of them the next. */
static enum lookup_status
relay_host(const struct auth *auth, const char *table, const char *key,
    const char **value)
{
	enum lookup_status status;

	if (*key == '\0')
		return any_entry(auth, table, CONF_FAMILY_ANY, value);
	status = tables_lookup(
	    auth->now.tables, table, CONF_SERVICE_RELAYHOST, key, value);
	if (status == LOOKUP_FOUND && **value == '\0')
		return entry_behind(auth, table, key, value);
	return status;
}

static enum lookup_status
answer_query(const struct auth *auth, const struct msg_table_query *q,
    const char **value)
{
	enum conf_family want = wanted_family(q->key);

	if (!may_be_told(auth, q->table, q->service))
		return LOOKUP_TEMPFAIL;
	if (q->service == CONF_SERVICE_SOURCE &&
	    (want != CONF_FAMILY_ANY || *q->key == '\0'))
		return any_entry(auth, q->table, want, value);
	if (q->service == CONF_SERVICE_RELAYHOST)
		return relay_host(auth, q->table, q->key, value);
	return tables_lookup(
	    auth->now.tables, q->table, q->service, q->key, value);
}

void
on_table_query(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_table_query *q = &m->table_query;
	struct msg_table_answer a = { .id = q->id };
	const char *value = "";

	a.status = (uint8_t)answer_query(arg, q, &value);
	a.value = value;
	if (ipc_send(ch, table_answer, &a) == -1) {
		/* longer than any answer */
		a.status = LOOKUP_TEMPFAIL;
		a.value = "";
		ipc_send(ch, table_answer, &a);
	}
}

void
on_sender_check(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_sender_check *q = &m->sender_check;
	struct msg_sender_verdict v = { .id = q->id,
		.status = LOOKUP_TEMPFAIL };
	const struct auth *auth = arg;

	if (may_be_told(auth, q->table, CONF_SERVICE_SENDERS))
		v.status = (uint8_t)tables_sender(
		    auth->now.tables, q->table, q->auth_user, q->sender);
	if (ipc_send(ch, sender_verdict, &v) == -1)
		log_warn("a verdict on a sender could not be sent");
}
