/*
 * MAIL: RFC 5321 section 4.1.1.2, with SIZE, BODY, SMTPUTF8, RET and ENVID.
 * Where the listener has a table of senders, auth is asked whether the login
 * may send as that address.
 */
#include <stdio.h>

#include "session_private.h"

/* Why no message may begin now; REPLY_NONE if one may. */
static enum reply_id
refusal_of_mail(const struct session *s, const struct session_turn *t,
    const struct smtp_mail *mail)
{
	unsigned options = s->conf->options;

	if ((options & OPT_AUTH_REQUIRED) && !session_is_submission(s))
		return REPLY_AUTH_REQUIRED;
	if (t->queue == NULL || t->ids->count == 0)
		return REPLY_TEMPORARY;
	if (mail->has_size && mail->size > s->conf->max_size)
		return REPLY_TOO_BIG;
	return REPLY_NONE;
}

/* The log says why a client that is set up wrong sends nothing. */
static void
refuse(struct session *s, struct session_turn *t, const char *sender,
    enum reply_id reply, const char *arg)
{
	session_log_client(s, t, "mail-refused", "from",
	    session_text(t, "%s", sender), "reply",
	    session_reply_text(t, reply, arg), NULL);
	session_refuse(s, t, reply, arg);
}

void
mail_refuse(struct session *s, struct session_turn *t,
    const struct smtp_mail *mail, enum reply_id reply)
{
	char sender[ADDRESS_SIZE] = "";

	if (mail->sender.kind != ADDRESS_IS_NULL)
		address_format(&mail->sender, sender);
	refuse(s, t, sender, reply,
	    session_text(t, "%llu", (unsigned long long)s->conf->max_size));
}

static void
accept_sender(struct session *s, struct session_turn *t)
{
	s->stage = STAGE_MAIL;
	session_reply(s, t, REPLY_SENDER_OK);
}

static void
ask_sender(struct session *s, struct session_turn *t)
{
	struct msg_sender_check *m =
	    &session_send(t, MSG_sender_check, PROC_AUTH)->sender_check;

	m->id = session_question_id(s, t);
	m->table = s->conf->senders;
	m->auth_user = s->user;
	m->sender = s->txn->sender;
	session_ask(s, t, ASK_SENDER, m->id, s->conf->check_time);
}

static void
begin(struct session *s, struct session_turn *t, const struct smtp_mail *mail)
{
	struct address sender = mail->sender;
	struct transaction *txn;

	if (transaction_begin(s, t) == -1) {
		session_refuse(s, t, REPLY_TEMPORARY, NULL);
		return;
	}
	txn = s->txn;
	address_qualify(&sender, s->conf->domain);
	if (sender.kind != ADDRESS_IS_NULL)
		address_format(&sender, txn->sender);
	snprintf(txn->envid, sizeof(txn->envid), "%s", mail->envid);
	txn->ret = (uint8_t)mail->ret;
	txn->smtputf8 = mail->smtputf8 != 0;
	txn->body_type = (uint8_t)mail->body;
	if (s->conf->senders != NULL && *s->user != '\0' &&
	    *txn->sender != '\0')
		ask_sender(s, t);
	else
		accept_sender(s, t);
}

void
cmd_mail(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	enum reply_id refusal = refusal_of_mail(s, t, &cmd->mail);

	if (s->mails >= s->conf->max_mails ||
	    t->now - s->begun >= s->conf->session_time) {
		session_reply(s, t, REPLY_TOO_MANY_MESSAGES);
		session_hang_up(s, t, "enough messages", 0);
	} else if (refusal != REPLY_NONE)
		mail_refuse(s, t, &cmd->mail, refusal);
	else if (t->queue->accepting)
		begin(s, t, &cmd->mail);
	else {
		session_reply_peer(
		    s, t, t->queue->code, t->queue->enhanced, t->queue->text);
		if (t->queue->code == 421)
			session_hang_up(s, t, "the queue takes none", 0);
	}
}

void
mail_answer(struct session *s, struct session_turn *t,
    const struct msg_sender_verdict *m)
{
	s->question = ASK_NOTHING;
	session_expect_command(s, t);
	if (m != NULL && m->status == LOOKUP_FOUND) {
		accept_sender(s, t);
		return;
	}
	if (m != NULL && m->status == LOOKUP_NONE)
		refuse(s, t, s->txn->sender, REPLY_SENDER_NOT_YOURS, NULL);
	else
		session_reply(s, t, REPLY_TEMPORARY);
	transaction_reset(s, t);
}
