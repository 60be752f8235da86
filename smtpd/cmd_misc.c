/*
 * The commands that touch no message: RSET, NOOP, QUIT, HELP, VRFY, EXPN (RFC
 * 5321 section 4.1.1) and ETRN (RFC 1985). VRFY says the same of every
 * address, so it tells nobody who has a mailbox.
 */
#include <string.h>

#include "session_private.h"

void
cmd_rset(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	transaction_reset(s, t);
	session_reply(s, t, REPLY_RSET);
}

void
cmd_noop(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	session_reply(s, t, REPLY_NOOP);
}

void
cmd_quit(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	session_reply(s, t, REPLY_CLOSING);
	session_hang_up(s, t, "quit", 0);
}

void
cmd_help(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	session_reply(s, t, REPLY_HELP);
}

void
cmd_vrfy(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	session_reply(s, t, REPLY_VRFY);
}

void
cmd_expn(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	session_refuse(s, t, REPLY_EXPN, NULL);
}

void
cmd_etrn(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	struct msg_etrn *m;

	memcpy(s->etrn, cmd->etrn.domain, sizeof(s->etrn));
	if (!(s->conf->options & OPT_ETRN)) {
		session_refuse(s, t, REPLY_NOT_OFFERED, "ETRN");
		return;
	}
	m = &session_send(t, MSG_etrn, PROC_QUEUE)->etrn;
	m->id = session_question_id(s, t);
	m->domain = s->etrn;
	m->subdomains = cmd->etrn.subdomains != 0;
	session_ask(s, t, ASK_ETRN, m->id, s->conf->check_time);
}

void
etrn_answer(
    struct session *s, struct session_turn *t, const struct msg_etrn_done *m)
{
	s->question = ASK_NOTHING;
	session_expect_command(s, t);
	if (m == NULL || m->count == ETRN_UNABLE)
		session_reply(s, t, REPLY_ETRN_UNABLE, s->etrn);
	else if (m->count == ETRN_REFUSED)
		session_refuse(s, t, REPLY_ETRN_REFUSED, s->etrn);
	else if (m->count == 0)
		session_reply(s, t, REPLY_ETRN_NONE, s->etrn);
	else
		session_reply(s, t, REPLY_ETRN_STARTED, s->etrn,
		    session_text(t, "%u", m->count));
}
