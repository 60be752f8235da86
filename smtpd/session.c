/*
 * The life of a server session: its events, its lines and its command table.
 * What a command does stands in cmd_*.c, how a message is taken in body.c.
 * Trusts nothing of the client, and of its peers only the form of messages.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session_private.h"
#include "smtp/reply.h"

/* Room that one command may need in a turn. */
enum {
	OUT_RESERVE = 2 * REPLY_SIZE,
	ACTIONS_RESERVE = 8,
	SCRATCH_RESERVE = 12288
};

/*
 * Which commands are in order at which stage, and the reply where one is not.
 * BDAT is always in order: its octets follow in any case and must be taken, so
 * cmd_bdat refuses on its own. Octets that follow a refused AUTH or DATA are
 * commands.
 */
#define ANYWHERE  \
	{         \
		0 \
	}

static const struct {
	command_handler *handle;
	int needs_tls; /* where the listener requires TLS */
	int is_mail; /* does not count as idle */
	enum reply_id refusal[STAGE_COUNT];
} commands[VERB_COUNT] = {
	[VERB_HELO] = { cmd_helo, 0, 0, ANYWHERE },
	[VERB_EHLO] = { cmd_helo, 0, 0, ANYWHERE },
	[VERB_LHLO] = { cmd_helo, 0, 0, ANYWHERE },
	[VERB_MAIL] = { cmd_mail, 1, 1,
	    { REPLY_SAY_HELO, REPLY_NONE, REPLY_MAIL_TWICE, REPLY_MAIL_TWICE,
		REPLY_BDAT_EXPECTED } },
	[VERB_RCPT] = { cmd_rcpt, 1, 1,
	    { REPLY_SAY_HELO, REPLY_SAY_MAIL, REPLY_NONE, REPLY_NONE,
		REPLY_BDAT_EXPECTED } },
	[VERB_DATA] = { cmd_data, 1, 1,
	    { REPLY_SAY_HELO, REPLY_SAY_MAIL, REPLY_NO_RCPT_TAKEN, REPLY_NONE,
		REPLY_BDAT_AFTER_DATA } },
	[VERB_BDAT] = { cmd_bdat, 0, 1, ANYWHERE },
	[VERB_RSET] = { cmd_rset, 0, 0, ANYWHERE },
	[VERB_NOOP] = { cmd_noop, 0, 0, ANYWHERE },
	[VERB_QUIT] = { cmd_quit, 0, 0, ANYWHERE },
	[VERB_HELP] = { cmd_help, 0, 0, ANYWHERE },
	[VERB_VRFY] = { cmd_vrfy, 1, 0,
	    { [STAGE_CHUNKS] = REPLY_BDAT_EXPECTED } },
	[VERB_EXPN] = { cmd_expn, 1, 0,
	    { [STAGE_CHUNKS] = REPLY_BDAT_EXPECTED } },
	[VERB_ETRN] = { cmd_etrn, 1, 0,
	    { REPLY_SAY_HELO, REPLY_NONE, REPLY_IN_TRANSACTION,
		REPLY_IN_TRANSACTION, REPLY_BDAT_EXPECTED } },
	[VERB_AUTH] = { cmd_auth, 1, 0,
	    { REPLY_SAY_EHLO, REPLY_NONE, REPLY_IN_TRANSACTION,
		REPLY_IN_TRANSACTION, REPLY_IN_TRANSACTION } },
	[VERB_STARTTLS] = { cmd_starttls, 0, 0,
	    { REPLY_SAY_EHLO, REPLY_NONE, REPLY_IN_TRANSACTION,
		REPLY_IN_TRANSACTION, REPLY_IN_TRANSACTION } },
};

/* Who answers which question. */
static const enum process_kind askees[] = {
	[ASK_SENDER] = PROC_AUTH,
	[ASK_RCPT] = PROC_AUTH,
	[ASK_SASL] = PROC_AUTH,
	[ASK_SUBMIT] = PROC_QUEUE,
	[ASK_ETRN] = PROC_QUEUE,
};

void
session_conf_defaults(struct session_conf *c)
{
	*c = (struct session_conf){
		.hostname = "localhost",
		.domain = "localhost",
		.tag = "",
		.mechanisms = "PLAIN LOGIN",
		.auth_table = "",
		.max_size = 35u << 20,
		.header = { .octets = 256u << 10,
		    .field_octets = 128u << 10,
		    .fields = 4096,
		    .lines = 16384 },
		.max_received = 100,
		.max_mails = 1000,
		.max_rcpts = 1000,
		.max_excess = 1000,
		.max_errors = 20,
		.max_refused = 200,
		.max_auths = 3,
		.max_idle_commands = 100,
		.command_time = 300 * 1000,
		.tls_time = 60 * 1000,
		.auth_time = 120 * 1000,
		.envelope_time = 3600 * 1000,
		.data_time = 600 * 1000,
		.check_time = 60 * 1000,
		.submit_time = 300 * 1000,
		.rdns_time = 5 * 1000,
		.session_time = 3600 * 1000,
	};
}

/* ---- events and deadlines --------------------------------------------- */

static void
greet(struct session *s, struct session_turn *t)
{
	s->greeted = 1;
	session_reply(s, t, REPLY_GREETING, s->hostname);
	session_expect_command(s, t);
}

/* A client that speaks first does not hear what it is told: most that do are
 * programs that send spam. */
static void
refuse_early(struct session *s, struct session_turn *t)
{
	session_reply(s, t, REPLY_TALK_TOO_EARLY);
	session_hang_up(s, t, "spoke before the greeting", 1);
}

/* Programs on this machine may write all at once, and who must log in anyway
 * has another proof to give. */
static int
greeting_waits(const struct session *s, const struct session_facts *facts)
{
	return s->conf->greet_time > 0 && !facts->secure &&
	    !(s->conf->options & (OPT_AUTH_REQUIRED | OPT_SOCKET));
}

static void
begin_tls(struct session *s, struct session_turn *t)
{
	struct session_action *a = &t->actions[t->action_count++];

	a->kind = ACT_START_TLS;
	s->input = INPUT_NONE;
	session_ask(s, t, ASK_TLS, 0, s->conf->tls_time);
}

static void
copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from != NULL ? from : "");
}

void
session_connected(struct session *s, struct session_turn *t,
    const struct session_facts *facts)
{
	const char *hostname = facts->hostname;

	s->id = facts->id;
	s->slot = facts->slot;
	s->begun = t->now;
	copy(s->literal, sizeof(s->literal), facts->literal);
	copy(s->client_addr, sizeof(s->client_addr), facts->client_addr);
	copy(s->local_user, sizeof(s->local_user), facts->local_user);
	s->local = *s->local_user != '\0';
	s->inside = facts->secure != 0;
	s->secure = facts->secure || (s->conf->options & OPT_AUTH_PLAINTEXT);
	if (hostname == NULL)
		hostname = s->conf->hostname;
	copy(s->hostname, sizeof(s->hostname), hostname);
	s->rdns_pending = facts->rdns_pending != 0;
	s->rdns = s->rdns_pending ? RDNS_OPEN : RDNS_UNCONFIRMED;
	session_log(t, "connected", "address", s->client_addr, "user",
	    s->local ? s->local_user : NULL, "tag",
	    *s->conf->tag != '\0' ? s->conf->tag : NULL, NULL);
	if (s->conf->options & OPT_SMTPS)
		begin_tls(s, t);
	else if (facts->early)
		refuse_early(s, t);
	else if (greeting_waits(s, facts)) {
		s->input = INPUT_GREETING;
		s->deadline = t->now + s->conf->greet_time;
	} else
		greet(s, t);
}

void
session_tls_done(
    struct session *s, struct session_turn *t, const struct session_tls *tls)
{
	if (s->question != ASK_TLS)
		return;
	s->question = ASK_NOTHING;
	s->wait_until = 0;
	if (tls == NULL) {
		session_hang_up(s, t, "TLS handshake failed", 0);
		return;
	}
	s->tls = 1;
	s->tls_verified = tls->verified != 0;
	copy(s->tls_text, sizeof(s->tls_text), tls->text);
	if (tls->binding_len <= sizeof(s->binding)) {
		s->binding_len = (uint8_t)tls->binding_len;
		memcpy(s->binding, tls->binding_len > 0 ? tls->binding : "",
		    tls->binding_len);
	}
	session_log(t, "tls", "parameters", s->tls_text, "verified",
	    s->tls_verified ? "yes" : "no", NULL);
	if (!s->greeted)
		greet(s, t);
	else
		session_expect_command(s, t);
}

void
session_rdns(struct session *s, struct session_turn *t, const char *name,
    enum rdns_state state)
{
	if (!s->rdns_pending)
		return;
	s->rdns_pending = 0;
	copy(s->client_name, sizeof(s->client_name), name);
	s->rdns = (uint8_t)state;
	rcpt_forget(s);
	if (s->question == ASK_RDNS)
		rcpt_ask(s, t);
}

/* The question has no answer: what the client then hears. */
static void
question_failed(struct session *s, struct session_turn *t)
{
	switch (s->question) {
	case ASK_RDNS:
		/* the name may still come, for the next recipient */
		rcpt_ask(s, t);
		break;
	case ASK_SENDER:
		mail_answer(s, t, NULL);
		break;
	case ASK_RCPT:
		rcpt_answer(s, t, NULL);
		break;
	case ASK_SASL:
		auth_answer(s, t, NULL);
		break;
	case ASK_SUBMIT:
		data_answer(s, t, NULL);
		break;
	case ASK_ETRN:
		etrn_answer(s, t, NULL);
		break;
	case ASK_TLS:
		session_tls_done(s, t, NULL);
		break;
	case ASK_NOTHING:
		break;
	}
}

/* A worker that stops lets what is under way end, and then hangs up. */
static void
finish_if_stopping(struct session *s, struct session_turn *t)
{
	if (!s->stopping || s->question != ASK_NOTHING ||
	    session_has_output(s) ||
	    (s->input != INPUT_COMMANDS && s->input != INPUT_GREETING))
		return;
	session_reply(s, t, REPLY_SHUTDOWN, s->hostname);
	session_hang_up(s, t, "shutdown", 0);
}

void
session_answer(struct session *s, struct session_turn *t, enum msg_type type,
    const union ipc_msg *m)
{
	/* each of these begins with its id */
	uint64_t id = m->submitted.id;

	if (s->question == ASK_NOTHING || id != s->question_id)
		return;
	if (type == MSG_rcpt_verdict && s->question == ASK_RCPT)
		rcpt_answer(s, t, &m->rcpt_verdict);
	else if (type == MSG_submitted && s->question == ASK_SUBMIT)
		data_answer(s, t, &m->submitted);
	else if (type == MSG_sasl_reply && s->question == ASK_SASL)
		auth_answer(s, t, &m->sasl_reply);
	else if (type == MSG_sender_verdict && s->question == ASK_SENDER)
		mail_answer(s, t, &m->sender_verdict);
	else if (type == MSG_etrn_done && s->question == ASK_ETRN)
		etrn_answer(s, t, &m->etrn_done);
	finish_if_stopping(s, t);
}

void
session_lost(struct session *s, struct session_turn *t, enum process_kind peer)
{
	if (s->input == INPUT_OVER)
		return;
	if (peer == PROC_AUTH && s->input == INPUT_AUTH)
		s->sasl_lost = 1;
	if (peer == PROC_AUTH)
		rcpt_forget(s);
	if (peer == PROC_QUEUE && s->txn != NULL && s->txn->msgid != 0 &&
	    s->question != ASK_SUBMIT) {
		/* what went ahead is gone with it, and the id may be given to
		 * another message by the queue that comes next */
		s->txn->sent = 0;
		body_refuse(s, t, REPLY_TEMPORARY);
	}
	if (s->question >= ASK_SENDER && askees[s->question] == peer)
		question_failed(s, t);
	finish_if_stopping(s, t);
}

/* When the client's time is over. An envelope has its own, and then the
 * message. */
static int64_t
client_deadline(const struct session *s)
{
	const struct transaction *txn = s->txn;
	int64_t deadline = s->deadline;
	int64_t whole = s->begun + s->conf->session_time;

	if (txn != NULL) {
		whole = txn->deadline;
		if (txn->msgid != 0 &&
		    (s->input == INPUT_DATA || s->input == INPUT_CHUNK))
			return whole;
	} else if (s->input != INPUT_GREETING &&
	    (s->stage != STAGE_READY || s->input != INPUT_COMMANDS))
		return deadline;
	return whole < deadline ? whole : deadline;
}

int64_t
session_deadline(const struct session *s)
{
	if (s->input == INPUT_OVER)
		return 0;
	return s->question != ASK_NOTHING ? s->wait_until : client_deadline(s);
}

void
session_tick(struct session *s, struct session_turn *t)
{
	int64_t deadline = session_deadline(s);

	if (deadline == 0 || t->now < deadline)
		return;
	if (s->question != ASK_NOTHING) {
		question_failed(s, t);
		finish_if_stopping(s, t);
		return;
	}
	if (s->input == INPUT_GREETING && t->now >= s->deadline) {
		greet(s, t);
		return;
	}
	session_reply(s, t, REPLY_TIMEOUT, s->hostname);
	session_hang_up(s, t, "timeout", 1);
}

void
session_eof(struct session *s, struct session_turn *t)
{
	if (s->input != INPUT_OVER)
		session_hang_up(s, t, "the client went away", 0);
}

void
session_shutdown(struct session *s, struct session_turn *t)
{
	s->stopping = 1;
	finish_if_stopping(s, t);
}

/* ---- octets ----------------------------------------------------------- */

/* Whose addresses lack their domain is helped where he is one of ours: a
 * program on this machine, or a user. A stranger must write them whole. */
static unsigned
command_options(const struct session *s)
{
	unsigned options = 0;

	if (s->txn != NULL && s->txn->smtputf8)
		options |= COMMAND_SMTPUTF8;
	if (s->inside || *s->user != '\0')
		options |= COMMAND_BARE;
	return options;
}

static void
run_command(
    struct session *s, struct session_turn *t, const char *line, size_t len)
{
	struct smtp_command cmd;
	enum reply_id refusal;
	unsigned ext = s->extended ? s->extensions : 0;

	command_parse(line, len, ext, command_options(s), &cmd);
	session_trace(t, &cmd, line, len);
	if (cmd.close) {
		t->out_len += command_refusal(
		    &cmd, t->out + t->out_len, SESSION_OUT - t->out_len);
		session_hang_up(s, t, reply_text(cmd.error), 1);
		return;
	}
	session_expect_command(s, t);
	if (!commands[cmd.verb].is_mail &&
	    ++s->idle_commands > s->conf->max_idle_commands) {
		session_reply(s, t, REPLY_TOO_MANY_COMMANDS);
		session_hang_up(s, t, "too many commands", 1);
		return;
	}
	refusal = commands[cmd.verb].refusal[s->stage];
	/* RFC 2033, 4.2 */
	if (refusal == REPLY_NO_RCPT_TAKEN && s->lmtp)
		refusal = REPLY_SAY_RCPT;
	if (commands[cmd.verb].needs_tls && !s->tls &&
	    (s->conf->options & OPT_TLS_REQUIRED))
		refusal = REPLY_TLS_REQUIRED;
	if (refusal == REPLY_TLS_REQUIRED && cmd.verb == VERB_MAIL &&
	    cmd.error == REPLY_NONE)
		mail_refuse(s, t, &cmd.mail, refusal);
	else if (refusal != REPLY_NONE)
		session_refuse(s, t, refusal, NULL);
	else if (cmd.error != REPLY_NONE)
		session_refuse(s, t, cmd.error, cmd.error_arg);
	else
		commands[cmd.verb].handle(s, t, &cmd);
}

/* Another protocol shows in its first octets, be they whole or gathered. */
static int
is_foreign(const struct session *s, const char *data, size_t len)
{
	if (s->stage != STAGE_START || s->idle_commands > 0)
		return 0;
	if (s->line.len > 0)
		return command_is_foreign(s->line.buf, s->line.len);
	return line_is_idle(&s->line) && command_is_foreign(data, len);
}

static size_t
take_line(
    struct session *s, struct session_turn *t, const char *data, size_t len)
{
	const char *line;
	size_t used, line_len;
	enum line_event event;

	if (is_foreign(s, data, len)) {
		session_reply(s, t, REPLY_FOREIGN_PROTOCOL);
		session_hang_up(s, t, "another protocol", 1);
		return len;
	}
	event = line_next(&s->line, data, len, &used, &line, &line_len);
	switch (event) {
	case LINE_MORE:
		if (is_foreign(s, "", 0)) {
			session_reply(s, t, REPLY_FOREIGN_PROTOCOL);
			session_hang_up(s, t, "another protocol", 1);
		}
		break;
	case LINE_READY:
		if (s->input == INPUT_AUTH) {
			session_trace_auth(t);
			auth_line(s, t, line, line_len);
		} else
			run_command(s, t, line, line_len);
		break;
	case LINE_OVERLONG:
		if (s->input == INPUT_AUTH) {
			auth_end(s, t, 1);
			session_refuse(s, t, REPLY_AUTH_TOO_LONG, NULL);
		} else
			session_refuse(s, t, REPLY_LINE_TOO_LONG, NULL);
		break;
	case LINE_BARE:
		/* what follows may be meant as anything */
		session_reply(s, t, REPLY_BARE_NEWLINE);
		session_hang_up(s, t, "bare newline", 1);
		break;
	}
	return used;
}

static int
has_room(const struct session *s, const struct session_turn *t)
{
	return SESSION_OUT - t->out_len >= OUT_RESERVE &&
	    SESSION_ACTIONS - t->action_count >= ACTIONS_RESERVE &&
	    SESSION_SCRATCH - t->scratch_len >= SCRATCH_RESERVE &&
	    (s->txn == NULL || s->txn->pending_flush == 0);
}

/*
 * STARTTLS was taken. Octets behind it came in plain and must not be taken for
 * what the client said under TLS (CVE-2011-0411): whoever sends them is not
 * served. Else all is forgotten and the handshake begins.
 */
static void
switch_to_tls(struct session *s, struct session_turn *t, int pipelined)
{
	if (pipelined) {
		session_reply(s, t, REPLY_TLS_PIPELINED);
		session_hang_up(s, t, "commands behind STARTTLS", 1);
		return;
	}
	session_reply(s, t, REPLY_TLS_READY);
	transaction_reset(s, t);
	s->stage = STAGE_START;
	s->extended = 0;
	s->helo[0] = s->user[0] = '\0';
	s->extensions = 0;
	begin_tls(s, t);
}

size_t
session_octets(
    struct session *s, struct session_turn *t, const char *data, size_t len)
{
	size_t taken = 0;

	if (s->txn != NULL)
		body_flushed(s->txn);
	if (session_has_output(s))
		body_lmtp_replies(s, t);
	while (taken < len && session_wants_input(s) && has_room(s, t)) {
		const char *rest = data + taken;
		size_t left = len - taken;

		if (s->input == INPUT_DATA)
			taken += body_data(s, t, rest, left);
		else if (s->input == INPUT_CHUNK)
			taken += body_chunk(s, t, rest, left);
		else if (s->input == INPUT_GREETING) {
			refuse_early(s, t);
			taken = len;
		} else
			taken += take_line(s, t, rest, left);
		/* whatever else has come with it */
		finish_if_stopping(s, t);
	}
	if (s->starttls) {
		s->starttls = 0;
		switch_to_tls(s, t, taken < len);
	}
	finish_if_stopping(s, t);
	return taken;
}

/* ---- what others ask -------------------------------------------------- */

int
session_wants_input(const struct session *s)
{
	return s->question == ASK_NOTHING && s->input != INPUT_NONE &&
	    s->input != INPUT_OVER && !s->starttls && !session_has_output(s);
}

int
session_has_output(const struct session *s)
{
	return s->lmtp_rcpts.count > 0 && s->input != INPUT_OVER;
}

int
session_feeds_queue(const struct session *s)
{
	return (s->input == INPUT_DATA || s->input == INPUT_CHUNK) &&
	    s->txn != NULL && body_streams(s->txn);
}

int
session_is_over(const struct session *s)
{
	return s->input == INPUT_OVER;
}

uint64_t
session_id(const struct session *s)
{
	return s->id;
}

uint32_t
session_messages(const struct session *s)
{
	return s->mails;
}

struct session *
session_new(const struct session_conf *conf, struct session_pool *pool)
{
	struct session *s = malloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	/* the line buffer stays untouched, so an idle session costs less */
	memset(s, 0, offsetof(struct session, line_buf));
	s->conf = conf;
	s->pool = pool;
	line_init(&s->line, s->line_buf, sizeof(s->line_buf));
	return s;
}

void
session_close(struct session *s, struct session_turn *t)
{
	auth_end(s, t, 1);
	transaction_reset(s, t);
	s->input = INPUT_OVER;
	s->question = ASK_NOTHING;
}

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	if (s->txn != NULL)
		session_pool_put(s->pool, s->txn);
	free(s->auth_buf);
	free(s);
}
