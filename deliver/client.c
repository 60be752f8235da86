/*
 * See client.h. This file owns the life of a session: its output and actions,
 * its phases and deadlines (RFC 5321 section 4.5.3.2), the way replies take to
 * the phase that awaits them, and how a session ends.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/client_private.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND };

typedef void reply_handler(
    struct client *, const struct smtp_reply *, int64_t now);

/* The server's answer to QUIT decides nothing any more. */
static void
reply_quit(struct client *c, const struct smtp_reply *reply, int64_t now)
{
	client_end(c, CLIENT_END_QUIT, DELIVERY_OK, 221, "2.0.0", "closed");
}

/*
 * The phases: what is waited for, how long for each reply (or each part of
 * the body), how long for all of them, and who takes the reply. A server that
 * sends an octet now and then gains nothing: `wait` begins anew with a whole
 * reply only.
 */
static const struct {
	const char *name;
	int64_t wait;
	int64_t total;
	reply_handler *reply;
} phases[PHASE_COUNT] = {
	[PHASE_CONNECT] = { "the connection", 30 * SECOND, 0, NULL },
	[PHASE_GREETING] = { "the greeting", 5 * MINUTE, 0,
	    client_reply_greeting },
	[PHASE_EHLO] = { "the reply to EHLO", 5 * MINUTE, 0,
	    client_reply_ehlo },
	[PHASE_HELO] = { "the reply to HELO", 5 * MINUTE, 0,
	    client_reply_helo },
	[PHASE_STARTTLS] = { "the reply to STARTTLS", 2 * MINUTE, 0,
	    client_reply_starttls },
	[PHASE_TLS] = { "the TLS handshake", 2 * MINUTE, 0, NULL },
	[PHASE_AUTH] = { "the reply to AUTH", 2 * MINUTE, 10 * MINUTE,
	    client_reply_auth },
	[PHASE_SASL] = { "the credentials", 2 * MINUTE, 10 * MINUTE, NULL },
	[PHASE_IDLE] = { "mail", 0, 0, NULL },
	[PHASE_ENVELOPE] = { "the reply to the envelope", 5 * MINUTE,
	    20 * MINUTE, client_reply_envelope },
	[PHASE_BODY] = { "the body to leave", 3 * MINUTE, 10 * MINUTE, NULL },
	[PHASE_CHUNK] = { "the reply to BDAT", 5 * MINUTE, 10 * MINUTE,
	    client_reply_chunk },
	[PHASE_FINAL] = { "the reply to the message, which may have been taken",
	    10 * MINUTE, 30 * MINUTE, client_reply_final },
	[PHASE_EMPTY] = { "the reply to the end of data", 5 * MINUTE, 0,
	    client_reply_empty },
	[PHASE_QUIT] = { "the reply to QUIT", 10 * SECOND, 0, reply_quit },
	[PHASE_CLOSED] = { "nothing", 0, 0, NULL },
};

enum { NOTE_MAX = 500 /* octets of a line in the trace */ };

/* The slowest server that a body is sent to, in octets a second, and what it
 * may think about a recipient on the average: tarpits take 10 to 30 s. */
enum { BODY_RATE_MIN = 1024, RCPT_TIME = 30 * SECOND };

void
client_do(struct client *c, enum client_do what)
{
	if (c->todo_count < TODO_MAX)
		c->todo[c->todo_count++] = what;
}

static void
append(struct outbuf *out, const char *data, size_t len)
{
	size_t size = out->size;
	char *grown;

	if (out->failed)
		return;
	if (out->len + len > size) {
		while (out->len + len > size)
			size = size == 0 ? 1024 : size * 2;
		if ((grown = realloc(out->data, size)) == NULL) {
			out->failed = 1;
			return;
		}
		out->data = grown;
		out->size = size;
	}
	memcpy(out->data + out->len, data, len);
	out->len += len;
}

void
client_write(struct client *c, const char *data, size_t len)
{
	if (c->phase != PHASE_CLOSED)
		append(&c->out, data, len);
}

void
client_note(struct client *c, char way, const char *line, size_t len)
{
	if (!c->traced || c->phase == PHASE_CLOSED)
		return;
	append(&c->notes, &way, 1);
	append(&c->notes, line, len < NOTE_MAX ? len : NOTE_MAX);
	append(&c->notes, "", 1);
}

void
client_say(struct client *c, const char *line, size_t len)
{
	client_note(c, '>', line, len - 2);
	client_write(c, line, len);
}

void
client_say_words(struct client *c, const char *verb, const char *arg)
{
	char line[NOTE_MAX];

	if (arg == NULL)
		arg = "";
	if (c->traced) {
		snprintf(line, sizeof(line), "%s%s%s", verb,
		    *arg != '\0' ? " " : "", arg);
		client_note(c, '>', line, strlen(line));
	}
	client_write(c, verb, strlen(verb));
	if (*arg != '\0') {
		client_write(c, " ", 1);
		client_write(c, arg, strlen(arg));
	}
	client_write(c, "\r\n", 2);
}

void
client_enter(struct client *c, enum phase phase, int64_t now)
{
	int changed = c->phase != phase;

	/* AUTH and SASL, BODY and CHUNK are one exchange each */
	if ((c->phase == PHASE_AUTH && phase == PHASE_SASL) ||
	    (c->phase == PHASE_SASL && phase == PHASE_AUTH) ||
	    (c->phase == PHASE_CHUNK && phase == PHASE_BODY) ||
	    (c->phase == PHASE_BODY && phase == PHASE_CHUNK))
		changed = 0;
	c->phase = phase;
	if (changed) {
		c->total =
		    phases[phase].total > 0 ? now + phases[phase].total : 0;
		if (phase == PHASE_BODY && c->mail != NULL &&
		    c->mail->size < INT64_MAX / SECOND)
			c->total +=
			    (int64_t)(c->mail->size / BODY_RATE_MIN) * SECOND;
		if (phase == PHASE_ENVELOPE)
			c->total += (int64_t)c->batch_count * RCPT_TIME;
	}
	client_progress(c, now);
}

void
client_progress(struct client *c, int64_t now)
{
	int64_t wait = phases[c->phase].wait;

	c->deadline = wait > 0 ? now + wait : 0;
	if (c->total > 0 && c->deadline > c->total)
		c->deadline = c->total;
}

/* ---- the end ---------------------------------------------------------- */

static const char *const end_subjects[] = {
	[CLIENT_END_TLS] = "4.7.4",
	[CLIENT_END_AUTH] = "4.7.8",
};

/* A server that is still in order hears QUIT. The reply is not waited for. */
static void
say_goodbye(struct client *c, enum client_end end)
{
	if (end != CLIENT_END_REFUSED && end != CLIENT_END_TLS &&
	    end != CLIENT_END_AUTH && end != CLIENT_END_LOOP)
		return;
	if (c->phase == PHASE_TLS)
		return;
	if (c->phase == PHASE_SASL && c->sasl_sent)
		client_say_words(c, "*", NULL);
	client_say_words(c, "QUIT", NULL);
}

/* A server may go away over recipients that it refuses, or that are too many
 * for it. Those that it took would wait for ever if all were told again. */
static uint32_t
recipients_heard(const struct client *c, enum client_end end)
{
	size_t replied = c->steps_replied, before = (size_t)c->with_rset + 1;

	if (c->mail == NULL || c->phase != PHASE_ENVELOPE ||
	    (end != CLIENT_END_BUSY && end != CLIENT_END_LOST) ||
	    replied <= before || c->accepted == c->batch_count)
		return 0;
	return (uint32_t)(c->accepted > 0 ? c->accepted : replied - before);
}

static void
finish(struct client *c, enum client_end end, enum delivery_status status,
    unsigned code, const char *enhanced)
{
	struct client_outcome *outcome = &c->outcome;

	outcome->end = end;
	outcome->status = status;
	outcome->code = (uint16_t)code;
	snprintf(outcome->enhanced, sizeof(outcome->enhanced), "%s", enhanced);
	outcome->stale = c->mail != NULL && c->transactions > 1 &&
	    !c->replied && (end == CLIENT_END_LOST || end == CLIENT_END_BUSY);
	outcome->cut_at = recipients_heard(c, end);
	client_forget_auth(c);
	say_goodbye(c, end);
	if (c->mail != NULL) {
		/* once all is sent the server may have taken it: nobody else
		 * is to be asked at once */
		for (size_t i = 0; i < c->results_count; i++)
			if (c->rcpt_states[i] != RCPT_DONE)
				c->results[i].said = outcome->said;
		client_set_rest(c, status,
		    c->committed ? CLIENT_SCOPE_MESSAGE : CLIENT_SCOPE_SESSION,
		    code, outcome->enhanced, outcome->text);
		c->mail = NULL;
		client_do(c, CLIENT_DO_RESULTS);
	}
	c->phase = PHASE_CLOSED;
	c->deadline = c->total = 0;
	client_do(c, CLIENT_DO_CLOSE);
}

void
client_end(struct client *c, enum client_end end, enum delivery_status status,
    unsigned code, const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	if (c->phase == PHASE_CLOSED)
		return;
	va_start(ap, fmt);
	vsnprintf(c->outcome.text, sizeof(c->outcome.text), fmt, ap);
	va_end(ap);
	c->outcome.said = 0;
	finish(c, end, status, code, enhanced);
}

void
client_end_reply(
    struct client *c, enum client_end end, const struct smtp_reply *reply)
{
	char enhanced[12];
	unsigned code = (unsigned)reply->code;
	enum delivery_status status = DELIVERY_TEMPFAIL;

	if (c->phase == PHASE_CLOSED)
		return;
	client_enhanced(reply, enhanced);
	/* RFC 7504: 521 says that this host takes no mail at all */
	if (code == 521 && end == CLIENT_END_REFUSED)
		status = DELIVERY_PERMFAIL;
	else if (code < 400 || code > 499) {
		code = 451;
		enhanced[0] = '4';
	}
	if (end == CLIENT_END_TLS || end == CLIENT_END_AUTH)
		snprintf(enhanced, sizeof(enhanced), "%s", end_subjects[end]);
	if ((unsigned)reply->code == code)
		snprintf(c->outcome.text, sizeof(c->outcome.text), "%s",
		    reply->text);
	else
		snprintf(c->outcome.text, sizeof(c->outcome.text),
		    "the server said %d %.1000s", reply->code, reply->text);
	c->outcome.said = (unsigned)reply->code == code;
	finish(c, end, status, code, enhanced);
}

void
client_go_idle(struct client *c, int64_t now)
{
	client_enter(c, PHASE_IDLE, now);
	client_do(c, CLIENT_DO_IDLE);
}

/* ---- replies ---------------------------------------------------------- */

/* Replies that the server owes us. */
static size_t
awaited(const struct client *c)
{
	if (phases[c->phase].reply == NULL)
		return 0;
	if (c->phase == PHASE_ENVELOPE)
		return c->steps_sent - c->steps_replied;
	if (c->phase == PHASE_FINAL && c->config->lmtp)
		return c->accepted;
	return 1;
}

/* A reply that nobody asked for. While the body goes out it may be the reason
 * why the server is about to close; it can never be a success. */
static void
out_of_turn(struct client *c, const struct smtp_reply *reply)
{
	enum reply_class class = reply_class(reply->code);

	if (reply->code == 421) {
		client_end_reply(c, CLIENT_END_BUSY, reply);
		return;
	}
	if (c->phase == PHASE_BODY &&
	    (class == REPLY_TRANSIENT || class == REPLY_PERMANENT))
		client_set_accepted(c, CLIENT_SCOPE_MESSAGE, reply);
	client_end(c, CLIENT_END_PROTOCOL, DELIVERY_TEMPFAIL, 451, "4.5.0",
	    "the server talks out of turn: %d %.900s", reply->code,
	    reply->text);
}

/* With TLS 1.3 a server may refuse our side of the handshake after it is over
 * for us: what is lost ahead of the first reply is the handshake's failure. So
 * is what a server does in place of it. */
static int
tls_is_untried(const struct client *c)
{
	return c->config->tls == CLIENT_TLS_OPPORTUNISTIC &&
	    (c->phase == PHASE_STARTTLS || c->phase == PHASE_TLS ||
		(c->phase == PHASE_EHLO && c->tls));
}

/* An LMTP server may be about to close for one mailbox and have delivered to
 * the next (RFC 2033 section 4.2): those who got the message must not get it
 * again. */
static int
answers_one_of_many(const struct client *c)
{
	return c->phase == PHASE_QUIT ||
	    (c->phase == PHASE_FINAL && c->config->lmtp);
}

static void
take_reply(struct client *c, int expected, int64_t now)
{
	struct smtp_reply reply = c->parser.reply;

	c->first_line = 1;
	if (c->phase == PHASE_ENVELOPE || c->phase == PHASE_FINAL ||
	    c->phase == PHASE_CHUNK)
		c->replied |= reply.code != 421;
	if (!expected)
		out_of_turn(c, &reply);
	else if (reply.code == 421 && c->phase == PHASE_STARTTLS &&
	    tls_is_untried(c))
		client_tls_failed(c, reply.text);
	else if (reply.code == 421 && !answers_one_of_many(c))
		client_end_reply(c, CLIENT_END_BUSY, &reply);
	else {
		client_progress(c, now);
		phases[c->phase].reply(c, &reply, now);
	}
	reply_parser_init(&c->parser);
}

/* A line of a reply; a challenge is a part of AUTH. */
static void
note_reply(struct client *c, int last)
{
	char line[REPLY_TEXT_SIZE + 16];
	int n;

	if (!c->traced)
		return;
	n = snprintf(line, sizeof(line), "%d%c%s", c->parser.reply.code,
	    last ? ' ' : '-',
	    c->parser.reply.code == 334 ? "(hidden)" : c->parser.line);
	client_note(c, '<', line, (size_t)n);
}

void
client_octets(struct client *c, const char *data, size_t len, int64_t now)
{
	size_t budget = awaited(c), used;
	enum reply_event event;

	while (len > 0 && c->phase != PHASE_CLOSED) {
		if (c->phase == PHASE_TLS) {
			/* octets from before the handshake: CVE-2011-0411 */
			client_end(c, CLIENT_END_PROTOCOL, DELIVERY_TEMPFAIL,
			    451, "4.7.0",
			    "the server sent octets behind its reply to "
			    "STARTTLS");
			return;
		}
		event = reply_parse(&c->parser, data, len, &used);
		data += used;
		len -= used;
		if (event == REPLY_EVENT_ERROR) {
			client_end(c, CLIENT_END_PROTOCOL, DELIVERY_TEMPFAIL,
			    451, "4.5.0", "malformed reply: %s",
			    c->parser.error);
			return;
		}
		if (event == REPLY_EVENT_MORE)
			return;
		if (c->phase == PHASE_EHLO && budget > 0)
			extension_parse_line(
			    &c->incoming, c->first_line, c->parser.line);
		note_reply(c, event == REPLY_EVENT_DONE);
		c->first_line = 0;
		if (event == REPLY_EVENT_DONE) {
			take_reply(c, budget > 0, now);
			budget -= budget > 0;
		}
	}
}

/* ---- life ------------------------------------------------------------- */

struct client *
client_new(const struct client_config *config, int64_t now)
{
	struct client *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->config = config;
	c->first_line = 1;
	reply_parser_init(&c->parser);
	client_enter(c, PHASE_CONNECT, now);
	client_progress(c, now);
	return c;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	client_free_transaction(c);
	/* it may have held a password */
	freezero(c->out.data, c->out.size);
	free(c->notes.data);
	free(c->challenge);
	free(c);
}

int
client_next(struct client *c, struct client_action *action)
{
	memset(action, 0, sizeof(*action));
	if (c->out.failed) {
		c->out.failed = 0;
		c->out.len = c->taken = 0;
		client_end(c, CLIENT_END_ABORTED, DELIVERY_TEMPFAIL, 451,
		    "4.3.0", "out of memory");
	}
	if (c->taken > 0) {
		memmove(
		    c->out.data, c->out.data + c->taken, c->out.len - c->taken);
		c->out.len -= c->taken;
		c->taken = 0;
	}
	if (c->noted || c->notes.failed) {
		c->notes.len = 0;
		c->noted = c->notes.failed = 0;
	}
	if (c->notes.len > 0) {
		c->noted = 1;
		action->what = CLIENT_DO_TRACE;
		action->data = c->notes.data;
		action->len = c->notes.len;
		return 1;
	}
	if (c->out.len > 0) {
		action->what = CLIENT_DO_WRITE;
		action->data = c->out.data;
		action->len = c->taken = c->out.len;
		return 1;
	}
	/* an idle session keeps no buffer */
	if (c->phase == PHASE_IDLE && c->out.data != NULL) {
		freezero(c->out.data, c->out.size);
		memset(&c->out, 0, sizeof(c->out));
		free(c->notes.data);
		memset(&c->notes, 0, sizeof(c->notes));
	}
	if (c->todo_count == 0)
		return 0;
	action->what = c->todo[0];
	memmove(c->todo, c->todo + 1, --c->todo_count * sizeof(c->todo[0]));
	if (action->what == CLIENT_DO_SASL_BEGIN ||
	    action->what == CLIENT_DO_SASL_STEP) {
		action->data = c->challenge;
		action->len = c->challenge_len;
	}
	return 1;
}

void
client_trace(struct client *c, int on)
{
	c->traced = on;
}

int64_t
client_deadline(const struct client *c)
{
	return c->deadline;
}

/* ---- events ----------------------------------------------------------- */

void
client_connected(struct client *c, int64_t now)
{
	if (c->phase != PHASE_CONNECT)
		return;
	if (c->config->implicit_tls) {
		client_enter(c, PHASE_TLS, now);
		client_do(c, CLIENT_DO_TLS);
	} else
		client_enter(c, PHASE_GREETING, now);
}

void
client_unreachable(struct client *c, const char *text)
{
	const char *server = c->config->server;

	client_end(c, CLIENT_END_CONNECT, DELIVERY_TEMPFAIL, 451, "4.4.1",
	    "%s%s%s", server != NULL ? server : "", server != NULL ? ": " : "",
	    text);
}

void
client_no_source(struct client *c, const char *text)
{
	client_end(
	    c, CLIENT_END_SOURCE, DELIVERY_TEMPFAIL, 451, "4.3.5", "%s", text);
}

void
client_tls_established(struct client *c, int verified, int64_t now)
{
	if (c->phase != PHASE_TLS)
		return;
	if (c->config->tls == CLIENT_TLS_VERIFIED && !verified) {
		client_end(c, CLIENT_END_TLS, DELIVERY_TEMPFAIL, 451, "4.7.5",
		    "the server's certificate could not be verified");
		return;
	}
	c->tls = 1;
	c->verified = verified;
	/* all that was learnt before is forgotten (RFC 3207 section 4.2) */
	memset(&c->extensions, 0, sizeof(c->extensions));
	reply_parser_init(&c->parser);
	c->first_line = 1;
	if (c->config->implicit_tls)
		client_enter(c, PHASE_GREETING, now);
	else
		client_begin_hello(c, now);
}

void
client_tls_failed(struct client *c, const char *text)
{
	client_end(c, CLIENT_END_HANDSHAKE, DELIVERY_TEMPFAIL, 451, "4.7.5",
	    "TLS failed: %s", text);
}

void
client_eof(struct client *c)
{
	client_lost(c, "the server closed the connection");
}

void
client_lost(struct client *c, const char *text)
{
	if (c->phase == PHASE_QUIT)
		client_end(
		    c, CLIENT_END_QUIT, DELIVERY_OK, 221, "2.0.0", "closed");
	else if (tls_is_untried(c))
		client_tls_failed(c, text);
	else
		client_end(c, CLIENT_END_LOST, DELIVERY_TEMPFAIL, 451, "4.4.2",
		    "%s while waiting for %s", text, phases[c->phase].name);
}

void
client_timeout(struct client *c)
{
	if (c->phase == PHASE_QUIT)
		client_end(
		    c, CLIENT_END_QUIT, DELIVERY_OK, 221, "2.0.0", "closed");
	else if (c->phase == PHASE_CONNECT)
		client_unreachable(c, "the connection timed out");
	else if (tls_is_untried(c))
		/* silence is one more way to fail, and clear text is next */
		client_tls_failed(c, "the server is silent");
	else
		client_end(c, CLIENT_END_TIMEOUT, DELIVERY_TEMPFAIL, 451,
		    "4.4.2", "timeout while waiting for %s",
		    phases[c->phase].name);
}

void
client_abort(struct client *c, const char *text)
{
	client_end(
	    c, CLIENT_END_ABORTED, DELIVERY_TEMPFAIL, 451, "4.3.0", "%s", text);
}

void
client_unasked(struct client *c, const char *text)
{
	/* behind the last answer nobody waits for it */
	if (c->phase != PHASE_CONNECT && c->phase != PHASE_SASL)
		return;
	c->outcome.untried = 1;
	client_abort(c, text);
}

void
client_quit(struct client *c, int64_t now)
{
	if (c->phase != PHASE_IDLE)
		return;
	client_say_words(c, "QUIT", NULL);
	client_enter(c, PHASE_QUIT, now);
}

/* ---- what is known ---------------------------------------------------- */

int
client_is_idle(const struct client *c)
{
	return c->phase == PHASE_IDLE;
}

int
client_is_committed(const struct client *c)
{
	return c->mail != NULL && c->committed;
}

int
client_sends_utf8(const struct client *c)
{
	return c->utf8;
}

uint32_t
client_transactions(const struct client *c)
{
	return c->transactions;
}

int
client_may_continue(const struct client *c)
{
	const struct client_config *config = c->config;

	return c->phase == PHASE_IDLE && !c->misses_tls &&
	    (config->transactions_max == 0 ||
		c->transactions < config->transactions_max) &&
	    (c->extensions.mail_max == 0 ||
		c->transactions < c->extensions.mail_max);
}

const struct client_outcome *
client_outcome(const struct client *c)
{
	return &c->outcome;
}

const struct client_result *
client_result(const struct client *c, size_t i)
{
	return &c->results[i];
}

const char *
client_phase_name(const struct client *c)
{
	return phases[c->phase].name;
}
