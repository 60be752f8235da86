/*
 * See session_player.h.
 */
#include "config.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session_player.h"
#include "smtpd/session.h"

enum {
	QUEUE_MAX = 1 << 20,
	EVENTS_MAX = 64,
	EVENT_SIZE = 4096,
	LOG_MAX = 1 << 16
};

struct player {
	const struct dialogue *dialogue;
	unsigned line;
	size_t piece;
	struct session_conf conf;
	struct session_pool *pool;
	struct session *session;
	struct session_turn turn;
	struct session_ids ids;
	struct msg_queue_status queue;
	uint32_t serial;
	int connected;
	struct session_facts facts;
	/* the client's octets: sent, and of these consumed */
	char *in;
	size_t in_len, in_sent, in_used;
	/* what came from the session and was not looked at */
	char *out;
	size_t out_len, out_used;
	char events[EVENTS_MAX][EVENT_SIZE];
	unsigned event_first, event_count;
	/* "event key=value ..." lines, and how far they were looked at */
	char log[LOG_MAX];
	size_t log_len, log_used;
	uint64_t question;
	/* what was submitted */
	char *body;
	size_t body_len;
};

static void
fail_at(const struct player *p, const char *what, const char *detail)
{
	fail_msg("%s, line %u, pieces of %zu: %s: %s", p->dialogue->name,
	    p->line, p->piece, what, detail);
}

/* ---- what the session does -------------------------------------------- */

static void add_event(struct player *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
add_event(struct player *p, const char *format, ...)
{
	va_list ap;

	assert_true(p->event_count < EVENTS_MAX);
	va_start(ap, format);
	vsnprintf(p->events[p->event_count++], EVENT_SIZE, format, ap);
	va_end(ap);
}

static void
add_body(struct player *p, const struct ipc_blob *data)
{
	assert_true(p->body_len + data->len <= QUEUE_MAX);
	if (data->len > 0)
		memcpy(p->body + p->body_len, data->data, data->len);
	p->body_len += data->len;
}

static void
describe_submit(struct player *p, const struct msg_submit *m)
{
	struct ipc_list list = m->rcpts;
	struct msg_rcpt_spec spec;
	char rcpts[2048] = "";
	size_t n = 0;

	while (ipc_next_rcpt_spec(&list, &spec) && n < 1024)
		n += (size_t)snprintf(rcpts + n, sizeof(rcpts) - n,
		    " to=<%s>:%s:%u:%s", spec.address, spec.action, spec.notify,
		    spec.orcpt);
	if (!m->body_sent)
		p->body_len = 0;
	add_body(p, &m->body);
	assert_int_equal(m->size, p->body_len);
	add_event(p,
	    "Q submit from=<%s> envid=%s ret=%u flags=%u user=%s helo=%s "
	    "sent=%u rcpts=%u msgid=%u name=%s%s ",
	    m->sender, m->envid, m->ret, m->flags, m->auth_user, m->helo,
	    m->body_sent, m->rcpts.count, m->msgid, m->client_name, rcpts);
}

static void
describe_send(struct player *p, enum msg_type type, const union ipc_msg *m)
{
	struct ipc_buf wire = { 0 };

	/* whatever is sent must fit the table of messages */
	assert_int_equal(msg_encode(type, m, &wire), 0);
	ipc_buf_free(&wire);
	assert_true(msg_may_travel(type, PROC_SMTPD, PROC_AUTH) ||
	    msg_may_travel(type, PROC_SMTPD, PROC_QUEUE));
	switch (type) {
	case MSG_rcpt_check:
		p->question = m->rcpt_check.id;
		add_event(p,
		    "Q rcpt_check from=<%s> to=<%s> user=%s helo=%s "
		    "flags=%u name=%s tag=%s ",
		    m->rcpt_check.sender, m->rcpt_check.recipient,
		    m->rcpt_check.auth_user, m->rcpt_check.helo,
		    m->rcpt_check.flags, m->rcpt_check.client_name,
		    m->rcpt_check.tag);
		break;
	case MSG_sasl_begin:
		p->question = m->sasl_begin.id;
		add_event(p,
		    "Q sasl_begin mech=%s initial=%u:%.*s binding=%zu ",
		    m->sasl_begin.mechanism, m->sasl_begin.has_initial,
		    (int)m->sasl_begin.initial.len,
		    (const char *)m->sasl_begin.initial.data,
		    m->sasl_begin.channel_binding.len);
		break;
	case MSG_sasl_step:
		p->question = m->sasl_step.id;
		add_event(p, "Q sasl_step response=%.*s ",
		    (int)m->sasl_step.response.len,
		    (const char *)m->sasl_step.response.data);
		break;
	case MSG_sender_check:
		p->question = m->sender_check.id;
		add_event(p, "Q sender_check table=%s user=%s sender=<%s> ",
		    m->sender_check.table, m->sender_check.auth_user,
		    m->sender_check.sender);
		break;
	case MSG_etrn:
		p->question = m->etrn.id;
		add_event(p, "Q etrn domain=%s subdomains=%u ", m->etrn.domain,
		    m->etrn.subdomains);
		break;
	case MSG_body_data:
		add_body(p, &m->body_data.data);
		break;
	case MSG_body_abort:
		p->body_len = 0;
		add_event(p, "Q body_abort ");
		break;
	case MSG_submit:
		p->question = m->submit.id;
		describe_submit(p, &m->submit);
		break;
	default:
		add_event(p, "Q %s ", msg_name(type));
		break;
	}
}

static void add_log(struct player *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
add_log(struct player *p, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(p->log + p->log_len, LOG_MAX - p->log_len, format, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < LOG_MAX - p->log_len);
	p->log_len += (size_t)n;
}

static void
describe_log(struct player *p, const struct session_action *a)
{
	add_log(p, "%s", a->log.event);
	for (unsigned i = 0; a->log.pairs[i] != NULL; i += 2)
		add_log(p, " %s=%s", a->log.pairs[i], a->log.pairs[i + 1]);
	add_log(p, "\n");
}

/* Does what the driver does after each call. */
static void
perform(struct player *p)
{
	struct session_turn *t = &p->turn;

	assert_true(t->out_len <= SESSION_OUT);
	assert_true(t->action_count <= SESSION_ACTIONS);
	assert_true(p->out_len + t->out_len <= QUEUE_MAX);
	memcpy(p->out + p->out_len, t->out, t->out_len);
	p->out_len += t->out_len;
	for (unsigned i = 0; i < t->action_count; i++) {
		const struct session_action *a = &t->actions[i];

		if (a->kind == ACT_SEND)
			describe_send(p, a->type, &a->msg);
		else if (a->kind == ACT_LOG)
			describe_log(p, a);
		else if (a->kind == ACT_TRACE)
			add_log(p, "trace %s\n", a->trace.line);
		else if (a->kind == ACT_START_TLS)
			add_event(p, "X tls ");
		else if (a->kind == ACT_DISCONNECT)
			add_event(p, "X close ");
	}
	session_turn_reset(t);
}

/* Gives the session what the client has sent, piece by piece. */
static void
pump(struct player *p)
{
	size_t n;

	for (;;) {
		while (session_has_output(p->session)) {
			session_octets(p->session, &p->turn, "", 0);
			perform(p);
		}
		if (!session_wants_input(p->session))
			return;
		n = session_octets(p->session, &p->turn, p->in + p->in_used,
		    p->in_sent - p->in_used);
		perform(p);
		assert_true(n <= p->in_sent - p->in_used);
		p->in_used += n;
		if (n > 0 && p->in_used < p->in_sent)
			continue;
		if (p->in_sent == p->in_len) {
			if (n == 0)
				return;
			continue;
		}
		n = p->piece > 0 ? p->piece : p->in_len;
		p->in_sent +=
		    n < p->in_len - p->in_sent ? n : p->in_len - p->in_sent;
	}
}

/* ---- the dialogue ----------------------------------------------------- */

static void
option(struct player *p, const char *word)
{
	static const struct {
		const char *name;
		unsigned bit;
	} bits[] = { { "starttls", OPT_STARTTLS },
		{ "tls-required", OPT_TLS_REQUIRED }, { "smtps", OPT_SMTPS },
		{ "auth", OPT_AUTH }, { "auth-required", OPT_AUTH_REQUIRED },
		{ "auth-plaintext", OPT_AUTH_PLAINTEXT },
		{ "socket", OPT_SOCKET }, { "mask-src", OPT_MASK_SRC },
		{ "no-dsn", OPT_NO_DSN },
		{ "received-auth", OPT_RECEIVED_AUTH }, { "etrn", OPT_ETRN } };
	const char *value = strchr(word, '=');
	size_t len = value != NULL ? (size_t)(value - word) : strlen(word);
	unsigned long n = value != NULL ? strtoul(value + 1, NULL, 10) : 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (strcmp(bits[i].name, word) == 0) {
			p->conf.options |= bits[i].bit;
			return;
		}
	if (strcmp(word, "traced") == 0)
		p->turn.traced = 1;
	else if (strcmp(word, "secure") == 0)
		p->facts.secure = 1;
	else if (strcmp(word, "senders") == 0)
		p->conf.senders = "people";
	else if (strcmp(word, "tag") == 0) {
		p->conf.tag = "SUBMIT";
		p->conf.since = p->turn.since = p->turn.generation;
	} else if (strcmp(word, "scram") == 0)
		p->conf.mechanisms = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN";
	else if (strcmp(word, "local") == 0)
		p->facts.local_user = "alice";
	else if (strcmp(word, "early") == 0)
		p->facts.early = 1;
	else if (strcmp(word, "rdns") == 0)
		p->facts.rdns_pending = 1;
	else if (strncmp(word, "max_size", len) == 0)
		p->conf.max_size = n;
	else if (strncmp(word, "max_rcpts", len) == 0)
		p->conf.max_rcpts = (uint32_t)n;
	else if (strncmp(word, "max_excess", len) == 0)
		p->conf.max_excess = (uint32_t)n;
	else if (strncmp(word, "max_mails", len) == 0)
		p->conf.max_mails = (uint32_t)n;
	else if (strncmp(word, "max_errors", len) == 0)
		p->conf.max_errors = (uint32_t)n;
	else if (strncmp(word, "max_refused", len) == 0)
		p->conf.max_refused = (uint32_t)n;
	else if (strncmp(word, "max_received", len) == 0)
		p->conf.max_received = (uint32_t)n;
	else if (strncmp(word, "greet", len) == 0)
		p->conf.greet_time = (int64_t)n;
	else if (strncmp(word, "session", len) == 0)
		p->conf.session_time = (int64_t)n;
	else if (strncmp(word, "max_line", len) == 0)
		p->conf.max_line = n;
	else if (strncmp(word, "header", len) == 0)
		p->conf.header.octets = n;
	else if (strncmp(word, "idle", len) == 0)
		p->conf.max_idle_commands = (uint32_t)n;
	else if (strncmp(word, "ids", len) == 0)
		p->ids.count = (uint32_t)n;
	else
		fail_at(p, "unknown option", word);
}

static void
connect_client(struct player *p)
{
	p->connected = 1;
	p->facts.id = 0x1234;
	p->facts.slot = 7;
	p->facts.client_addr =
	    p->facts.local_user != NULL ? "local" : "192.0.2.1";
	session_connected(p->session, &p->turn, &p->facts);
	perform(p);
}

/* Decodes escapes of text onto the client's octets or into out. */
static size_t
unescape(const char *text, size_t len, char *out)
{
	static const char names[] = "rnt0\\", values[] = "\r\n\t\0\\";
	size_t n = 0;
	char hex[3] = "";

	for (size_t i = 0; i < len; i++) {
		const char *at;

		if (text[i] != '\\' || i + 1 == len) {
			out[n++] = text[i];
			continue;
		}
		if (text[++i] == 'x') {
			memcpy(hex, text + i + 1, 2);
			out[n++] = (char)strtoul(hex, NULL, 16);
			i += 2;
		} else if ((at = strchr(names, text[i])) != NULL)
			out[n++] = values[at - names];
	}
	return n;
}

static void
client(struct player *p, const char *text, size_t len, int line)
{
	assert_true(p->in_len + len + 2 < QUEUE_MAX);
	if (line)
		memcpy(p->in + p->in_len, text, len);
	p->in_len += line ? len : unescape(text, len, p->in + p->in_len);
	if (line) {
		memcpy(p->in + p->in_len, "\r\n", 2);
		p->in_len += 2;
	}
}

/* The code, enhanced code and text behind `code` in an answer. */
static unsigned
reply_words(char *words, const char **enhanced, const char **text)
{
	char *end, *space;
	unsigned code = (unsigned)strtoul(words, &end, 10);

	*enhanced = *text = "";
	if (*end == ' ') {
		*enhanced = end + 1;
		if ((space = strchr(end + 1, ' ')) != NULL) {
			*space = '\0';
			*text = space + 1;
		}
	}
	return code;
}

static void
answer_sasl(struct player *p, char *rest)
{
	static const struct {
		const char *word;
		enum sasl_status status;
	} statuses[] = { { "continue", SASL_CONTINUE }, { "ok", SASL_OK },
		{ "denied", SASL_DENIED }, { "tempfail", SASL_TEMPFAIL },
		{ "malformed", SASL_MALFORMED } };
	union ipc_msg m = { .sasl_reply = { .id = p->question,
				.status = SASL_UNSUPPORTED,
				.user = "" } };
	char *arg = strchr(rest, ' ');

	if (arg != NULL)
		*arg++ = '\0';
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (strcmp(statuses[i].word, rest) == 0)
			m.sasl_reply.status = statuses[i].status;
	if (m.sasl_reply.status == SASL_CONTINUE && arg != NULL)
		m.sasl_reply.challenge = ipc_blob(arg, strlen(arg));
	else if (arg != NULL && strchr(arg, ' ') != NULL) {
		char *data = strchr(arg, ' ');

		*data++ = '\0';
		m.sasl_reply.challenge = ipc_blob(data, strlen(data));
	}
	if (m.sasl_reply.status == SASL_OK)
		m.sasl_reply.user = arg;
	session_answer(p->session, &p->turn, MSG_sasl_reply, &m);
}

static void
answer_verdict(struct player *p, char *rest)
{
	union ipc_msg m = { .rcpt_verdict = { .id = p->question,
				.generation = p->turn.generation,
				.action = "" } };
	struct msg_rcpt_verdict *v = &m.rcpt_verdict;

	v->code = (uint16_t)reply_words(rest, &v->enhanced, &v->text);
	if (v->code == 250) {
		v->action = v->enhanced;
		if (strncmp(v->text, "all", 3) == 0)
			v->reach = REACH_ALL;
		else if (strncmp(v->text, "domain", 6) == 0)
			v->reach = REACH_DOMAIN;
		if (strstr(v->text, " before") != NULL)
			v->generation--;
		v->known = strstr(v->text, " known") != NULL;
	}
	session_answer(p->session, &p->turn, MSG_rcpt_verdict, &m);
}

static void
answer_peer(struct player *p, const char *word, char *rest)
{
	union ipc_msg m = { 0 };
	const char *text;

	if (strcmp(word, "verdict") == 0)
		answer_verdict(p, rest);
	else if (strcmp(word, "submitted") == 0) {
		m.submitted.id = p->question;
		m.submitted.code =
		    (uint16_t)reply_words(rest, &m.submitted.enhanced, &text);
		m.submitted.text = text;
		session_answer(p->session, &p->turn, MSG_submitted, &m);
	} else if (strcmp(word, "sender") == 0) {
		m.sender_verdict.id = p->question;
		m.sender_verdict.status = strcmp(rest, "yes") == 0
		    ? LOOKUP_FOUND
		    : strcmp(rest, "no") == 0 ? LOOKUP_NONE
					      : LOOKUP_TEMPFAIL;
		session_answer(p->session, &p->turn, MSG_sender_verdict, &m);
	} else if (strcmp(word, "etrn") == 0) {
		m.etrn_done.id = p->question;
		m.etrn_done.count = strcmp(rest, "refused") == 0
		    ? ETRN_REFUSED
		    : (uint32_t)strtoul(rest, NULL, 10);
		session_answer(p->session, &p->turn, MSG_etrn_done, &m);
	} else
		fail_at(p, "unknown answer", word);
}

/*
 * verdict CODE [ACTION [domain | all [before] [known]] | ENHANCED TEXT],
 * submitted CODE [ENHANCED TEXT], sender yes | no | tempfail, etrn COUNT, sasl
 * STATUS [...], tls, tls-failed, rdns [NAME], rdns-open [NAME], claimed NAME
 * (of an address that the name does not lead back to), lost auth | queue,
 * reload, listeners (a reload that changes them), tick MS, eof, shutdown, queue
 * CODE ENHANCED TEXT | gone | back. A verdict "before" comes out of the
 * configuration before the reload, and one that is "known" from a rule that
 * names its sources.
 */
static void
answer(struct player *p, char *word)
{
	static const struct session_tls tls = {
		"TLSv1.3:TLS_AES_256_GCM_SHA384:256", 0, "0123456789", 10
	};
	char *rest = strchr(word, ' ');
	struct session *s = p->session;

	if (rest != NULL)
		*rest++ = '\0';
	else
		rest = word + strlen(word);
	if (strcmp(word, "sasl") == 0)
		answer_sasl(p, rest);
	else if (strcmp(word, "tls") == 0)
		session_tls_done(s, &p->turn, &tls);
	else if (strcmp(word, "tls-failed") == 0)
		session_tls_done(s, &p->turn, NULL);
	else if (strcmp(word, "rdns") == 0)
		session_rdns(s, &p->turn, rest,
		    *rest != '\0' ? RDNS_CONFIRMED : RDNS_UNCONFIRMED);
	else if (strcmp(word, "rdns-open") == 0)
		session_rdns(s, &p->turn, rest, RDNS_OPEN);
	else if (strcmp(word, "claimed") == 0)
		session_rdns(s, &p->turn, rest, RDNS_UNCONFIRMED);
	else if (strcmp(word, "lost") == 0)
		session_lost(s, &p->turn,
		    strcmp(rest, "auth") == 0 ? PROC_AUTH : PROC_QUEUE);
	else if (strcmp(word, "reload") == 0)
		p->turn.generation++;
	else if (strcmp(word, "listeners") == 0)
		p->turn.since = ++p->turn.generation;
	else if (strcmp(word, "tick") == 0) {
		p->turn.now += strtol(rest, NULL, 10);
		session_tick(s, &p->turn);
	} else if (strcmp(word, "eof") == 0)
		session_eof(s, &p->turn);
	else if (strcmp(word, "shutdown") == 0)
		session_shutdown(s, &p->turn);
	else if (strcmp(word, "queue") == 0 && strcmp(rest, "gone") == 0)
		p->turn.queue = NULL;
	else if (strcmp(word, "queue") == 0 && strcmp(rest, "back") == 0)
		p->turn.queue = &p->queue;
	else if (strcmp(word, "queue") == 0) {
		static char kept[256];

		snprintf(kept, sizeof(kept), "%s", rest);
		p->queue.accepting = 0;
		p->queue.code = (uint16_t)reply_words(
		    kept, &p->queue.enhanced, &p->queue.text);
	} else
		answer_peer(p, word, rest);
	perform(p);
}

static void
expect_line(struct player *p, const char *want)
{
	const char *got = p->out + p->out_used;
	const char *end = memmem(got, p->out_len - p->out_used, "\r\n", 2);
	char line[1024];

	if (end == NULL)
		fail_at(p, "the server is silent, wanted", want);
	snprintf(line, sizeof(line), "%.*s", (int)(end - got), got);
	if (strcmp(line, want) != 0)
		fail_at(p, "the server says", line);
	p->out_used = (size_t)(end + 2 - p->out);
}

static void
expect_event(struct player *p, char kind, char *want)
{
	char *event, *word, *save = NULL, needle[1100];

	if (p->event_first == p->event_count)
		fail_at(p, "nothing is asked, wanted", want);
	event = p->events[p->event_first++];
	if (event[0] != kind)
		fail_at(p, "the session asks", event);
	for (word = strtok_r(want, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		snprintf(needle, sizeof(needle), " %s ", word);
		if (strstr(event, needle) == NULL)
			fail_at(p, word, event);
	}
}

/* Where our own field ends in what was submitted. */
static size_t
received_length(struct player *p)
{
	size_t i = 0;
	char *end;

	assert_true(p->body_len > 10 && memcmp(p->body, "Received: ", 10) == 0);
	do {
		end = memmem(p->body + i, p->body_len - i, "\r\n", 2);
		assert_non_null(end);
		i = (size_t)(end + 2 - p->body);
	} while (i < p->body_len && (p->body[i] == ' ' || p->body[i] == '\t'));
	return i;
}

static void
expect_body(struct player *p, const char *text, size_t len)
{
	char *want = malloc(len + 1);
	size_t at = received_length(p), n;

	assert_non_null(want);
	n = unescape(text, len, want);

	if (p->body_len - at != n || memcmp(p->body + at, want, n) != 0) {
		p->body[p->body_len] = '\0';
		fail_at(p, "the body is", p->body + at);
	}
	free(want);
}

static void
expect_received(struct player *p, const char *text)
{
	char field[8192];
	size_t n = 0, len = received_length(p);

	/* unfolded, so that the dialogue need not know where it is folded */
	for (size_t i = 0; i < len && n + 1 < sizeof(field); i++) {
		char c = p->body[i];

		if (c == '\r' || c == '\n' ||
		    ((c == '\t' || c == ' ') && n > 0 && field[n - 1] == ' '))
			continue;
		field[n++] = c == '\t' ? ' ' : c;
	}
	field[n] = '\0';
	if (strstr(field, text) == NULL)
		fail_at(p, "the trace is", field);
}

static void
expect_log(struct player *p, const char *text)
{
	const char *from = p->log + p->log_used, *at = strstr(from, text);

	if (at == NULL)
		fail_at(p, text, from);
	p->log_used = (size_t)(at - p->log) + strlen(text);
}

static void
play_line(struct player *p, char *line)
{
	char *text = line[2] == ' ' ? line + 3 : line + 2;
	size_t len = strlen(text);

	if (line[0] == 'O') {
		char *save = NULL, *word = strtok_r(text, " ", &save);

		for (; word != NULL; word = strtok_r(NULL, " ", &save))
			option(p, word);
		return;
	}
	if (!p->connected)
		connect_client(p);
	if (line[0] == 'C' || line[0] == 'c') {
		client(p, text, len, line[0] == 'C');
		return;
	}
	pump(p);
	switch (line[0]) {
	case 'S':
		expect_line(p, text);
		break;
	case 'Q':
	case 'X':
		expect_event(p, line[0], text);
		break;
	case 'A':
		answer(p, text);
		break;
	case 'B':
		expect_body(p, text, len);
		break;
	case 'R':
		expect_received(p, text);
		break;
	case 'L':
		expect_log(p, text);
		break;
	default:
		fail_at(p, "not a step", line);
	}
	pump(p);
}

static void
play_script(struct player *p)
{
	char *copy = strdup(p->dialogue->script), *line = copy, *end;

	assert_non_null(copy);
	while (*line != '\0') {
		p->line++;
		if ((end = strchr(line, '\n')) != NULL)
			*end = '\0';
		play_line(p, line);
		line = end != NULL ? end + 1 : line + strlen(line);
	}
	free(copy);
	pump(p);
	p->out[p->out_len] = '\0';
	if (p->out_used < p->out_len)
		fail_at(p, "the server also says", p->out + p->out_used);
	if (p->event_first < p->event_count)
		fail_at(p, "also", p->events[p->event_first]);
}

void
dialogue_play(const struct dialogue *d, size_t piece)
{
	struct player *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->dialogue = d;
	p->piece = piece;
	session_conf_defaults(&p->conf);
	p->conf.hostname = "mx.example";
	p->conf.domain = "our.example";
	p->pool = session_pool_new(1, 1 << 20);
	p->session = session_new(&p->conf, p->pool);
	assert_non_null(p->session);
	p->in = malloc(QUEUE_MAX);
	p->out = malloc(QUEUE_MAX + 1);
	p->body = malloc(QUEUE_MAX + 1);
	assert_true(p->in != NULL && p->out != NULL && p->body != NULL);
	p->queue = (struct msg_queue_status){
		.accepting = 1, .code = 250, .enhanced = "", .text = ""
	};
	p->ids = (struct session_ids){ 0xabc, 100 };
	p->turn.now = 1000000;
	p->turn.time = (struct trace_time){ 1795536000, 60 };
	p->turn.ids = &p->ids;
	p->turn.queue = &p->queue;
	p->turn.serial = &p->serial;
	play_script(p);
	session_close(p->session, &p->turn);
	session_turn_reset(&p->turn);
	session_free(p->session);
	session_pool_free(p->pool);
	free(p->in);
	free(p->out);
	free(p->body);
	free(p);
}

void
dialogues_play(const struct dialogue *d, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		dialogue_play(&d[i], 0);
		if (d[i].whole_only)
			continue;
		for (size_t piece = 1; piece < 10; piece++)
			dialogue_play(&d[i], piece);
		dialogue_play(&d[i], 64);
	}
}
