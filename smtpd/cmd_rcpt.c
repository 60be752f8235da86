/*
 * RCPT: RFC 5321 section 4.1.1.3, with NOTIFY and ORCPT. Whether a recipient
 * is taken is not decided here but by the rules, in auth; without its verdict
 * of 250 nothing is accepted. Where auth says that a verdict of 250 reaches
 * beyond its recipient, it is given to those that it reaches, and to no other,
 * without a question for each.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "session_private.h"

void
rcpt_ask(struct session *s, struct session_turn *t)
{
	struct transaction *txn = s->txn;
	struct msg_rcpt_check *m =
	    &session_send(t, MSG_rcpt_check, PROC_AUTH)->rcpt_check;

	m->id = session_question_id(s, t);
	m->tag = s->conf->tag;
	m->client_addr = s->client_addr;
	m->client_name = s->client_name;
	m->helo = s->helo;
	m->auth_user = s->local ? s->local_user : s->user;
	m->flags = session_flags(s);
	if (txn->rcpt_utf8)
		m->flags |= SESSION_RCPT_UTF8;
	m->sender = txn->sender;
	m->recipient = txn->rcpt;
	session_ask(s, t, ASK_RCPT, m->id, s->conf->check_time);
}

void
rcpt_forget(struct session *s)
{
	if (s->txn != NULL)
		s->txn->standing.reach = REACH_RECIPIENT;
}

/* Keeps a verdict of 250 on the recipient in question. One that reaches no
 * further leaves what stands as it is. */
static void
keep_verdict(struct transaction *txn, const struct msg_rcpt_verdict *m)
{
	struct standing_verdict *kept = &txn->standing;
	const char *domain = address_domain(txn->rcpt);

	if (m->reach == REACH_RECIPIENT || m->reach > REACH_ALL ||
	    strlen(domain) >= sizeof(kept->domain) ||
	    strlen(m->action) >= sizeof(kept->action))
		return;
	kept->reach = m->reach;
	kept->known = m->known;
	kept->utf8 = txn->rcpt_utf8;
	kept->generation = m->generation;
	strcpy(kept->domain, domain);
	strcpy(kept->action, m->action);
}

/* Whether a verdict stands for the recipient in question. */
static int
verdict_stands(const struct transaction *txn, uint32_t generation)
{
	const struct standing_verdict *kept = &txn->standing;

	if (kept->reach == REACH_RECIPIENT || kept->generation != generation ||
	    kept->utf8 != txn->rcpt_utf8)
		return 0;
	/* that of a stranger may lead elsewhere: auth looks at each */
	if (!kept->known && address_is_routed(txn->rcpt))
		return 0;
	return kept->reach == REACH_ALL ||
	    strcasecmp(kept->domain, address_domain(txn->rcpt)) == 0;
}

/* No room is no error of the client: it may send a long list in one go and
 * then the message to those that were taken (RFC 5321, 4.5.3.1.10). But it may
 * not go on for ever. */
static void
refuse_excess(struct session *s, struct session_turn *t, enum reply_id why)
{
	session_reply(s, t, why);
	if (s->txn->excess++ < s->conf->max_excess)
		return;
	session_reply(s, t, REPLY_TOO_MANY_ERRORS);
	session_hang_up(s, t, "too many recipients", 1);
}

static void
take_recipient(struct session *s, struct session_turn *t, const char *action,
    uint8_t known)
{
	enum reply_id refusal = transaction_add_rcpt(s, action);

	if (refusal == REPLY_RCPT_NO_ROOM || refusal == REPLY_RCPT_TOO_MANY)
		refuse_excess(s, t, refusal);
	else if (refusal != REPLY_NONE)
		session_reply(s, t, refusal);
	else {
		s->txn->known |= known;
		s->stage = STAGE_RCPT;
		session_reply(s, t, REPLY_RCPT_OK);
	}
}

/* An address literal that names this machine is another way to write its name
 * (RFC 1123, 5.2.17). It is known by the connection, like `from local`: what
 * addresses we have comes and goes. */
static void
name_own_literal(const struct session *s, struct address *a)
{
	if (a->kind != ADDRESS_IS_LITERAL || strcmp(a->domain, s->literal) != 0)
		return;
	a->kind = ADDRESS_IS_BARE;
	a->domain[0] = '\0';
}

void
cmd_rcpt(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	struct transaction *txn = s->txn;
	struct address rcpt = cmd->rcpt.recipient;

	if (txn->rcpts.count >= s->conf->max_rcpts) {
		refuse_excess(s, t, REPLY_RCPT_TOO_MANY);
		return;
	}
	name_own_literal(s, &rcpt);
	address_qualify(&rcpt, s->conf->domain);
	address_format(&rcpt, txn->rcpt);
	snprintf(txn->orcpt, sizeof(txn->orcpt), "%s", cmd->rcpt.orcpt);
	txn->notify = (uint8_t)cmd->rcpt.notify;
	txn->rcpt_utf8 = rcpt.utf8 != 0;
	if (verdict_stands(txn, t->generation))
		take_recipient(s, t, txn->standing.action, txn->standing.known);
	/* the client's name is a fact that rules may ask about */
	else if (s->rdns_pending && t->now < s->begun + s->conf->rdns_time)
		session_ask(
		    s, t, ASK_RDNS, 0, s->begun + s->conf->rdns_time - t->now);
	else
		rcpt_ask(s, t);
}

static void
refuse_recipient(
    struct session *s, struct session_turn *t, const struct msg_rcpt_verdict *m)
{
	session_log_client(s, t, "rcpt-refused", "from",
	    session_text(t, "%s", s->txn->sender), "to",
	    session_text(t, "%s", s->txn->rcpt), "reply",
	    session_text(t, "%u %s %s", m->code, m->enhanced, m->text), NULL);
	session_reply_peer(s, t, m->code, m->enhanced, m->text);
	if (m->code == 421)
		session_hang_up(s, t, "refused", 1);
	else if (m->code >= 500 && !s->local &&
	    ++s->refused >= s->conf->max_refused) {
		session_reply(s, t, REPLY_TOO_MANY_ERRORS);
		session_hang_up(s, t, "too many recipients refused", 1);
	}
}

/* A rule may trust in what the listeners of a tag demand, and auth knows the
 * rules of one configuration only: they say nothing of a listener that demands
 * something else, which may have let in anybody. */
static int
is_out_of_date(const struct session *s, const struct session_turn *t,
    const struct msg_rcpt_verdict *m)
{
	return m->known && *s->conf->tag != '\0' &&
	    (s->conf->since != t->since || m->generation < t->since ||
		m->generation > t->generation);
}

void
rcpt_answer(
    struct session *s, struct session_turn *t, const struct msg_rcpt_verdict *m)
{
	s->question = ASK_NOTHING;
	session_expect_command(s, t);
	if (m != NULL && m->code >= 400 && m->code <= 599)
		refuse_recipient(s, t, m);
	else if (m != NULL && m->code == 250 && is_out_of_date(s, t, m)) {
		session_reply(s, t, REPLY_SHUTDOWN, s->hostname);
		session_hang_up(s, t, "the configuration has changed", 0);
	} else if (m != NULL && m->code == 250) {
		keep_verdict(s->txn, m);
		take_recipient(s, t, m->action, m->known);
	} else
		session_reply(s, t, REPLY_RCPT_TEMPORARY);
}
