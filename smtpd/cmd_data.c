/*
 * DATA: RFC 5321 section 4.1.1.4, and what the queue says of a message, be it
 * from DATA or BDAT. 250 is said only here, and only after the queue has said
 * that the message is durable.
 */
#include <stdio.h>
#include <string.h>

#include "session_private.h"

void
cmd_data(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	enum reply_id refusal;

	if (s->txn->body_type == BODY_BINARYMIME) {
		session_refuse(s, t, REPLY_DATA_FOR_BINARY, NULL);
		return;
	}
	if ((refusal = body_begin(s, t, BODY_DATA)) != REPLY_NONE) {
		session_reply(s, t, refusal);
		return;
	}
	session_reply(s, t, REPLY_START_DATA);
	s->input = INPUT_DATA;
}

/* What the queue said, as it goes to the client. Anything that is neither its
 * 250 nor a refusal is no promise to keep the message. */
static void
take_outcome(struct session *s, const struct msg_submitted *m)
{
	struct outcome *o = &s->outcome;

	memset(o, 0, sizeof(*o));
	if (m == NULL || (m->code != 250 && (m->code < 400 || m->code > 599)))
		o->reply = REPLY_TEMPORARY;
	else if (m->code == 250) {
		o->reply = REPLY_MESSAGE_OK;
		snprintf(o->arg, sizeof(o->arg), "%08x", s->txn->msgid);
	} else {
		o->code = m->code;
		snprintf(o->enhanced, sizeof(o->enhanced), "%s", m->enhanced);
		snprintf(o->text, sizeof(o->text), "%s", m->text);
	}
}

void
data_answer(
    struct session *s, struct session_turn *t, const struct msg_submitted *m)
{
	struct transaction *txn = s->txn;

	s->question = ASK_NOTHING;
	session_expect_command(s, t);
	body_flushed(txn);
	take_outcome(s, m);
	if (s->outcome.reply == REPLY_MESSAGE_OK) {
		s->mails++;
		s->errors = 0;
		s->idle_commands = 0;
	}
	session_log_client(s, t, "message", "msgid",
	    session_text(t, "%08x", txn->msgid), "from",
	    session_text(t, "%s", txn->sender), "size",
	    session_text(
		t, "%llu", (unsigned long long)(txn->flushed + txn->len)),
	    "rcpts", session_text(t, "%u", txn->rcpts.count), "reply",
	    s->outcome.reply == REPLY_MESSAGE_OK ? "250"
		: m != NULL ? session_text(t, "%u %s", m->code, m->text)
			    : "no answer of the queue",
	    NULL);
	body_outcome(s, t);
}
