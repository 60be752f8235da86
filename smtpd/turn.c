/*
 * What the parts of a session add to a turn: replies, questions, log events,
 * and the end. Called by session.c, body.c and cmd_*.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "session_private.h"

enum { TRACE_SHOWN = 500 /* octets of a command */ };

void
session_turn_reset(struct session_turn *t)
{
	/* it may have held a password */
	explicit_bzero(t->scratch, t->scratch_len);
	t->out_len = 0;
	t->action_count = 0;
	t->scratch_len = 0;
}

void
session_reply_peer(struct session *s, struct session_turn *t, unsigned code,
    const char *enhanced, const char *text)
{
	t->out_len += reply_build(t->out + t->out_len, SESSION_OUT - t->out_len,
	    (int)code, enhanced, text);
}

void
session_refuse(struct session *s, struct session_turn *t, enum reply_id id,
    const char *arg)
{
	session_reply(s, t, id, arg);
	if (++s->errors < s->conf->max_errors)
		return;
	session_reply(s, t, REPLY_TOO_MANY_ERRORS);
	session_hang_up(s, t, "too many errors", 1);
}

void
session_hang_up(
    struct session *s, struct session_turn *t, const char *reason, int linger)
{
	struct session_action *a;

	if (s->input == INPUT_OVER)
		return;
	s->input = INPUT_OVER;
	s->question = ASK_NOTHING;
	session_log(t, "disconnected", "reason", reason, "messages",
	    session_text(t, "%u", s->mails), "address", s->client_addr, NULL);
	a = &t->actions[t->action_count++];
	a->kind = ACT_DISCONNECT;
	a->linger = linger;
}

void
session_expect_command(struct session *s, struct session_turn *t)
{
	if (s->input == INPUT_OVER)
		return;
	s->input = INPUT_COMMANDS;
	s->deadline = t->now + s->conf->command_time;
}

uint64_t
session_question_id(struct session *s, struct session_turn *t)
{
	return (uint64_t)++ * t->serial << 32 | s->slot;
}

union ipc_msg *
session_send(struct session_turn *t, enum msg_type type, enum process_kind peer)
{
	struct session_action *a = &t->actions[t->action_count++];

	a->kind = ACT_SEND;
	a->type = type;
	a->peer = peer;
	memset(&a->msg, 0, sizeof(a->msg));
	return &a->msg;
}

void
session_ask(struct session *s, struct session_turn *t, enum question question,
    uint64_t id, int64_t time)
{
	s->question = question;
	s->question_id = id;
	s->wait_until = t->now + time;
}

static void
add_pair(struct session_action *a, const char *key, const char *value)
{
	unsigned n = 0;

	while (a->log.pairs[n] != NULL)
		n += 2;
	if (value == NULL || n == 2 * SESSION_LOG_PAIRS)
		return;
	a->log.pairs[n] = key;
	a->log.pairs[n + 1] = value;
	a->log.pairs[n + 2] = NULL;
}

static struct session_action *
add_log(struct session_turn *t, const char *event, va_list ap)
{
	struct session_action *a = &t->actions[t->action_count++];
	const char *key;

	a->kind = ACT_LOG;
	a->log.event = event;
	a->log.pairs[0] = NULL;
	while ((key = va_arg(ap, const char *)) != NULL)
		add_pair(a, key, va_arg(ap, const char *));
	return a;
}

void
session_log(struct session_turn *t, const char *event, ...)
{
	va_list ap;

	va_start(ap, event);
	add_log(t, event, ap);
	va_end(ap);
}

void
session_log_client(
    struct session *s, struct session_turn *t, const char *event, ...)
{
	struct session_action *a;
	va_list ap;

	va_start(ap, event);
	a = add_log(t, event, ap);
	va_end(ap);
	add_pair(a, "address", s->client_addr);
	add_pair(a, "host", s->rdns == RDNS_CONFIRMED ? s->client_name : NULL);
	/* a command of the same turn may set another one */
	add_pair(a, "helo",
	    *s->helo != '\0' ? session_text(t, "%s", s->helo) : NULL);
}

static void
add_trace(struct session_turn *t, const char *line)
{
	struct session_action *a = &t->actions[t->action_count++];

	a->kind = ACT_TRACE;
	a->trace.at = t->out_len;
	a->trace.line = line;
}

void
session_trace(struct session_turn *t, const struct smtp_command *cmd,
    const char *line, size_t len)
{
	int shown = (int)(len < TRACE_SHOWN ? len : TRACE_SHOWN);

	if (!t->traced)
		return;
	if (cmd->verb == VERB_UNKNOWN || cmd->verb == VERB_FOREIGN)
		add_trace(t, "(no command)");
	else if (cmd->verb == VERB_AUTH)
		add_trace(t, "AUTH (hidden)");
	else
		add_trace(t, session_text(t, "%.*s", shown, line));
}

void
session_trace_auth(struct session_turn *t)
{
	if (t->traced)
		add_trace(t, "(hidden)");
}

const char *
session_text(struct session_turn *t, const char *format, ...)
{
	size_t room = SESSION_SCRATCH - t->scratch_len;
	char *text = t->scratch + t->scratch_len;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, room, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room)
		return "";
	t->scratch_len += (size_t)n + 1;
	return text;
}

const char *
session_reply_text(struct session_turn *t, enum reply_id id, const char *arg)
{
	char line[REPLY_SIZE];

	reply_format(line, sizeof(line), id, arg, NULL);
	line[strcspn(line, "\r\n")] = '\0';
	return session_text(t, "%s", line);
}

uint32_t
session_flags(const struct session *s)
{
	uint32_t flags = 0;

	if (s->local)
		flags |= SESSION_LOCAL;
	if (s->conf->options & OPT_SOCKET)
		flags |= SESSION_SOCKET;
	if (s->inside)
		flags |= SESSION_INSIDE;
	if (s->tls)
		flags |= SESSION_TLS;
	if (s->tls_verified)
		flags |= SESSION_TLS_VERIFIED;
	if (*s->user != '\0')
		flags |= SESSION_AUTH;
	if (s->rdns == RDNS_CONFIRMED)
		flags |= SESSION_FCRDNS;
	if (s->rdns == RDNS_OPEN)
		flags |= SESSION_NAME_OPEN;
	return flags;
}

int
session_is_submission(const struct session *s)
{
	return s->local || *s->user != '\0';
}
