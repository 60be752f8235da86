/*
 * AUTH: RFC 4954. This is only the framing: base64, cancelling, limits. What
 * the octets mean, and whether they are right, is known in auth alone. A
 * response lives in the turn's scratch, which is wiped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session_private.h"
#include "smtp/base64.h"
#include "smtp/extension.h"

static void
set_line_buffer(struct session *s, char *buf, size_t size)
{
	s->line.buf = buf;
	s->line.size = size;
	line_set_limit(&s->line, size);
}

void
auth_end(struct session *s, struct session_turn *t, int abort)
{
	if (s->sasl_id != 0 && abort && !s->sasl_lost)
		session_send(t, MSG_sasl_abort, PROC_AUTH)->sasl_abort.id =
		    s->sasl_id;
	s->sasl_id = 0;
	s->sasl_lost = s->sasl_final = 0;
	if (s->auth_buf != NULL) {
		set_line_buffer(s, s->line_buf, sizeof(s->line_buf));
		explicit_bzero(s->auth_buf, LINE_AUTH_MAX);
		free(s->auth_buf);
		s->auth_buf = NULL;
	}
	if (s->input == INPUT_AUTH)
		session_expect_command(s, t);
}

/* Decodes a response into the scratch; -1 if it is no base64. */
static int
decode(
    struct session_turn *t, const char *text, size_t len, struct ipc_blob *out)
{
	uint8_t *room = (uint8_t *)t->scratch + t->scratch_len;
	ssize_t n;

	n = base64_decode(text, len, room, SESSION_SCRATCH - t->scratch_len);
	if (n == -1)
		return -1;
	t->scratch_len += (size_t)n;
	*out = ipc_blob(room, (size_t)n);
	return 0;
}

static enum reply_id
refusal_of_auth(const struct session *s, const struct smtp_auth *auth)
{
	unsigned options = s->conf->options;
	struct smtp_extensions ext = { 0 };

	if (!(options & OPT_AUTH))
		return REPLY_NOT_OFFERED;
	if (session_is_submission(s))
		return REPLY_AUTH_ALREADY;
	if (!s->tls && !s->secure)
		return REPLY_AUTH_NEEDS_TLS;
	snprintf(
	    ext.mechanisms, sizeof(ext.mechanisms), "%s", s->conf->mechanisms);
	if (!extension_has_mechanism(&ext, auth->mechanism))
		return REPLY_AUTH_MECHANISM;
	return REPLY_NONE;
}

void
cmd_auth(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	const struct smtp_auth *auth = &cmd->auth;
	enum reply_id refusal = refusal_of_auth(s, auth);
	struct ipc_blob initial = { 0 };
	struct msg_sasl_begin *m;

	if (refusal != REPLY_NONE) {
		session_refuse(s, t, refusal,
		    refusal == REPLY_NOT_OFFERED
			? "AUTH"
			: session_text(t, "%s", auth->mechanism));
		return;
	}
	if (auth->initial != NULL &&
	    decode(t, auth->initial, auth->initial_len, &initial) == -1) {
		session_refuse(s, t, REPLY_AUTH_BASE64, NULL);
		return;
	}
	snprintf(s->mechanism, sizeof(s->mechanism), "%s", auth->mechanism);
	s->sasl_id = session_question_id(s, t);
	m = &session_send(t, MSG_sasl_begin, PROC_AUTH)->sasl_begin;
	m->id = s->sasl_id;
	m->mechanism = s->mechanism;
	m->table = s->conf->auth_table;
	m->tag = s->conf->tag;
	m->client_addr = s->client_addr;
	m->inside = s->inside;
	m->initial = initial;
	m->has_initial = auth->initial != NULL;
	m->channel_binding = ipc_blob(s->binding, s->binding_len);
	s->input = INPUT_AUTH;
	/* one span of time for the whole exchange */
	s->deadline = t->now + s->conf->auth_time;
	session_ask(s, t, ASK_SASL, s->sasl_id, s->conf->check_time);
}

/* Sends 334, and has room for a long line of the client. */
static void
challenge(
    struct session *s, struct session_turn *t, const struct ipc_blob *data)
{
	size_t room = SESSION_OUT - t->out_len;
	char *out = t->out + t->out_len;
	ssize_t n;

	if (s->auth_buf == NULL) {
		if ((s->auth_buf = malloc(LINE_AUTH_MAX)) == NULL) {
			session_reply(s, t, REPLY_AUTH_TEMPORARY);
			auth_end(s, t, 1);
			return;
		}
		set_line_buffer(s, s->auth_buf, LINE_AUTH_MAX);
	}
	if (room < BASE64_LENGTH(data->len) + 7)
		return;
	memcpy(out, "334 ", 4);
	n = base64_encode(data->data, data->len, out + 4, room - 4);
	memcpy(out + 4 + n, "\r\n", 2);
	t->out_len += (size_t)n + 6;
}

static void
authenticated(struct session *s, struct session_turn *t)
{
	session_log_client(s, t, "authenticated", "user", s->user, "mechanism",
	    s->mechanism, NULL);
	session_reply(s, t, REPLY_AUTH_OK);
	s->errors = 0;
	auth_end(s, t, 0);
}

static void
failed(struct session *s, struct session_turn *t, enum reply_id reply,
    const char *user)
{
	session_log_client(s, t, "authentication-failed", "user",
	    session_text(t, "%s", user), "mechanism", s->mechanism, NULL);
	session_reply(s, t, reply);
	auth_end(s, t, 0);
	if (++s->auth_failures < s->conf->max_auths)
		return;
	session_reply(s, t, REPLY_AUTH_TOO_MANY);
	session_hang_up(s, t, "too many failed logins", 1);
}

void
auth_line(
    struct session *s, struct session_turn *t, const char *line, size_t len)
{
	struct msg_sasl_step *m;
	struct ipc_blob response;

	/* a refusal may be the last: auth hears of the end before it */
	if (len == 1 && *line == '*') {
		s->user[0] = '\0';
		auth_end(s, t, 1);
		session_refuse(s, t, REPLY_AUTH_CANCELLED, NULL);
		return;
	}
	if (decode(t, line, len, &response) == -1 ||
	    (s->sasl_final && len > 0)) {
		s->user[0] = '\0';
		auth_end(s, t, 1);
		session_refuse(s, t, REPLY_AUTH_BASE64, NULL);
		return;
	}
	if (s->sasl_final) {
		authenticated(s, t);
		return;
	}
	if (s->sasl_lost) {
		session_reply(s, t, REPLY_AUTH_TEMPORARY);
		auth_end(s, t, 0);
		return;
	}
	m = &session_send(t, MSG_sasl_step, PROC_AUTH)->sasl_step;
	m->id = s->sasl_id;
	m->response = response;
	session_ask(s, t, ASK_SASL, s->sasl_id, s->conf->check_time);
}

void
auth_answer(
    struct session *s, struct session_turn *t, const struct msg_sasl_reply *m)
{
	static const enum reply_id replies[SASL_STATUS_MAX] = {
		[SASL_DENIED] = REPLY_AUTH_FAILED,
		[SASL_TEMPFAIL] = REPLY_AUTH_TEMPORARY,
		[SASL_MALFORMED] = REPLY_AUTH_MALFORMED,
		[SASL_UNSUPPORTED] = REPLY_AUTH_MECHANISM,
	};

	s->question = ASK_NOTHING;
	if (m == NULL || m->status >= SASL_STATUS_MAX ||
	    m->status == SASL_TEMPFAIL) {
		session_reply(s, t, REPLY_AUTH_TEMPORARY);
		auth_end(s, t, m == NULL);
	} else if (m->status == SASL_CONTINUE)
		challenge(s, t, &m->challenge);
	else if (m->status != SASL_OK || *m->user == '\0')
		failed(s, t,
		    m->status == SASL_OK ? REPLY_AUTH_FAILED
					 : replies[m->status],
		    m->user);
	else {
		snprintf(s->user, sizeof(s->user), "%s", m->user);
		/* RFC 4954 section 4: data with success go as a challenge */
		s->sasl_final = m->challenge.len > 0;
		if (s->sasl_final)
			challenge(s, t, &m->challenge);
		else
			authenticated(s, t);
	}
}
