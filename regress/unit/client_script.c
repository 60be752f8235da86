/*
 * See client_script.h. What the client does becomes a trace of C:, A: and R:
 * lines, which must be those of the script, in order, and none besides.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client_script.h"

enum { TRACE_SIZE = 1 << 18, RCPTS = 200, PACKET = 1 << 16, CHUNK = 7 };

struct player {
	const struct client_case *test;
	struct client *client;
	int64_t now;
	char trace[TRACE_SIZE];
	size_t trace_len, trace_read;
	char line[PACKET]; /* of the client's output, incomplete */
	size_t line_len;
	struct client_mail mail;
	struct client_rcpt rcpts[RCPTS];
	char words[4096]; /* what mail and rcpts point into */
	char body[4096];
	size_t body_len, body_sent;
};

static const char *const end_names[] = {
	[CLIENT_END_NONE] = "none",
	[CLIENT_END_QUIT] = "quit",
	[CLIENT_END_SOURCE] = "source",
	[CLIENT_END_CONNECT] = "connect",
	[CLIENT_END_REFUSED] = "refused",
	[CLIENT_END_BUSY] = "busy",
	[CLIENT_END_TLS] = "tls",
	[CLIENT_END_HANDSHAKE] = "handshake",
	[CLIENT_END_AUTH] = "auth",
	[CLIENT_END_LOST] = "lost",
	[CLIENT_END_TIMEOUT] = "timeout",
	[CLIENT_END_PROTOCOL] = "protocol",
	[CLIENT_END_LOOP] = "loop",
	[CLIENT_END_ABORTED] = "aborted",
};
static const char *const status_names[] = { "ok", "temp", "perm" };
static const char *const scope_names[] = { "recipient", "message", "session" };

static void __attribute__((format(printf, 2, 3)))
note(struct player *p, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(
	    p->trace + p->trace_len, TRACE_SIZE - p->trace_len, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && p->trace_len + (size_t)n < TRACE_SIZE);
	p->trace_len += (size_t)n;
}

/* Each line that the client writes must end with CRLF and hold neither CR,
 * LF nor NUL inside, binary chunks excepted. */
static void
note_output(struct player *p, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		assert_true(p->line_len + 1 < PACKET);
		p->line[p->line_len++] = data[i];
		if (data[i] != '\n')
			continue;
		assert_true(
		    p->line_len >= 2 && p->line[p->line_len - 2] == '\r');
		p->line[p->line_len - 2] = '\0';
		assert_int_equal(strlen(p->line), p->line_len - 2);
		assert_null(strchr(p->line, '\r'));
		note(p, "C: %s\n", p->line);
		p->line_len = 0;
	}
}

static void
note_trace(struct player *p, const char *data, size_t len)
{
	const char *end = data + len;

	for (; data < end; data += strlen(data) + 1)
		note(p, "T: %s\n", data);
}

static void
note_results(struct player *p)
{
	for (size_t i = 0; i < p->mail.rcpts_count; i++) {
		const struct client_result *r = client_result(p->client, i);

		/* what must hold of every result there is */
		assert_non_null(r->text);
		assert_true(r->status <= DELIVERY_PERMFAIL);
		assert_int_equal(r->code / 100, r->enhanced[0] - '0');
		assert_int_equal(r->enhanced[0] - '0',
		    r->status == DELIVERY_OK             ? 2
			: r->status == DELIVERY_TEMPFAIL ? 4
							 : 5);
		note(p, "R: %s %s %u %s%s %s\n", status_names[r->status],
		    scope_names[r->scope], r->code, r->enhanced,
		    r->hop == HOP_NO_DSN      ? " relayed"
			: r->hop == HOP_FINAL ? " final"
					      : "",
		    r->text);
	}
}

static void
give_body(struct player *p, int from_start)
{
	size_t left, n;

	if (from_start)
		p->body_sent = 0;
	left = p->body_len - p->body_sent;
	n = left < CHUNK ? left : CHUNK;
	p->body_sent += n;
	client_body(p->client, p->body + p->body_sent - n, n,
	    p->body_sent == p->body_len, p->now);
}

static void
take_actions(struct player *p)
{
	const struct client_outcome *o;
	struct client_action a;

	while (client_next(p->client, &a)) {
		switch (a.what) {
		case CLIENT_DO_WRITE:
			note_output(p, a.data, a.len);
			break;
		case CLIENT_DO_TRACE:
			note_trace(p, a.data, a.len);
			break;
		case CLIENT_DO_TLS:
			note(p, "A: tls\n");
			break;
		case CLIENT_DO_SASL_BEGIN:
		case CLIENT_DO_SASL_STEP:
			note(p, "A: sasl %s\n", (const char *)a.data);
			break;
		case CLIENT_DO_SASL_ABORT:
			note(p, "A: sasl-abort\n");
			break;
		case CLIENT_DO_BODY_BEGIN:
			note(p, "A: body\n");
			if (p->body_len > 0 || p->mail.size == 0)
				give_body(p, 1);
			break;
		case CLIENT_DO_BODY_MORE:
			give_body(p, 0);
			break;
		case CLIENT_DO_RESULTS:
			note_results(p);
			break;
		case CLIENT_DO_IDLE:
			note(p, "A: idle\n");
			break;
		case CLIENT_DO_CLOSE:
			o = client_outcome(p->client);
			note(p, "A: close %s %s %u %s%s %s\n",
			    end_names[o->end], status_names[o->status], o->code,
			    o->enhanced, o->stale ? " stale" : "", o->text);
			break;
		default:
			fail_msg("no action");
		}
	}
}

/* ---- the script ------------------------------------------------------- */

static size_t
unescape(const char *in, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (in[i] != '\\' || i + 1 == len) {
			out[n++] = in[i];
			continue;
		}
		switch (in[++i]) {
		case 'r':
			out[n++] = '\r';
			break;
		case 'n':
			out[n++] = '\n';
			break;
		case '0':
			out[n++] = '\0';
			break;
		case 'x':
			out[n++] = (char)strtol(
			    (char[]){ in[i + 1], in[i + 2], 0 }, NULL, 16);
			i += 2;
			break;
		default:
			out[n++] = in[i];
		}
	}
	out[n] = '\0';
	return n;
}

static void
set_option(struct player *p, char *word)
{
	struct client_mail *m = &p->mail;
	char *value = strchr(word, '=');

	if (value != NULL)
		*value++ = '\0';
	if (strcmp(word, "8bit") == 0)
		m->flags |= MAIL_8BIT;
	else if (strcmp(word, "8bit-header") == 0)
		m->flags |= MAIL_8BIT | MAIL_8BIT_HEADER;
	else if (strcmp(word, "utf8") == 0)
		m->flags |= MAIL_UTF8;
	else if (strcmp(word, "binary") == 0)
		m->flags |= MAIL_BINARY;
	else if (strcmp(word, "probe") == 0)
		m->probe = 1;
	else if (strcmp(word, "nobody") == 0)
		p->body_len = 0;
	else if (strcmp(word, "size") == 0)
		m->size = strtoull(value, NULL, 10);
	else if (strcmp(word, "ret") == 0)
		m->ret = strcmp(value, "full") == 0 ? RET_FULL : RET_HDRS;
	else if (strcmp(word, "envid") == 0)
		m->envid = value;
	else if (strcmp(word, "notify") == 0)
		p->rcpts[0].notify = strcmp(value, "never") == 0
		    ? NOTIFY_NEVER
		    : NOTIFY_SUCCESS | NOTIFY_FAILURE;
	else if (strcmp(word, "orcpt") == 0)
		p->rcpts[0].orcpt = value;
	else if (strcmp(word, "body") == 0)
		p->body_len = unescape(value, strlen(value), p->body);
	else
		fail_msg("unknown word %s", word);
}

static void
begin_mail(struct player *p, const char *spec, size_t len)
{
	char *save = NULL, *rcpts, *rsave = NULL, *word;

	snprintf(p->words, sizeof(p->words), "%.*s", (int)len, spec);
	memset(&p->mail, 0, sizeof(p->mail));
	memset(p->rcpts, 0, sizeof(p->rcpts));
	p->mail.rcpts = p->rcpts;
	p->mail.envid = "";
	p->mail.sender = strtok_r(p->words, " ", &save);
	if (strcmp(p->mail.sender, "<>") == 0)
		p->mail.sender = "";
	rcpts = strtok_r(NULL, " ", &save);
	for (word = strtok_r(rcpts, ",", &rsave); word != NULL;
	     word = strtok_r(NULL, ",", &rsave)) {
		assert_true(p->mail.rcpts_count < RCPTS);
		p->rcpts[p->mail.rcpts_count].orcpt = "";
		p->rcpts[p->mail.rcpts_count++].address = word;
	}
	p->body_len = unescape("x\\r\\n", 5, p->body);
	p->mail.size = p->body_len;
	while ((word = strtok_r(NULL, " ", &save)) != NULL)
		set_option(p, word);
	client_transaction(p->client, &p->mail, p->now);
}

static void
give_sasl(struct player *p, const char *spec, size_t len)
{
	static const char *const statuses[] = { "continue", "ok", "denied",
		"tempfail", "malformed", "unsupported" };
	char word[256], *save = NULL, *status, *mechanism, *response;

	snprintf(word, sizeof(word), "%.*s", (int)len, spec);
	status = strtok_r(word, " ", &save);
	mechanism = strtok_r(NULL, " ", &save);
	response = strtok_r(NULL, " ", &save);
	for (unsigned i = 0; i < 6; i++)
		if (strcmp(status, statuses[i]) == 0)
			client_sasl(p->client, (enum sasl_status)i,
			    mechanism != NULL ? mechanism : "",
			    (const uint8_t *)response,
			    response != NULL ? strlen(response) : 0, p->now);
}

static void
play_event(struct player *p, const char *e, size_t len)
{
	struct client *c = p->client;

	if (strncmp(e, "mail ", 5) == 0)
		begin_mail(p, e + 5, len - 5);
	else if (strncmp(e, "sasl ", 5) == 0)
		give_sasl(p, e + 5, len - 5);
	else if (strncmp(e, "connected", len) == 0)
		client_connected(c, p->now);
	else if (strncmp(e, "tls ok", len) == 0)
		client_tls_established(c, 1, p->now);
	else if (strncmp(e, "tls bad", len) == 0)
		client_tls_established(c, 0, p->now);
	else if (strncmp(e, "tls fail", len) == 0)
		client_tls_failed(c, "no shared cipher");
	else if (strncmp(e, "trace", len) == 0)
		client_trace(c, 1);
	else if (strncmp(e, "eof", len) == 0)
		client_eof(c);
	else if (strncmp(e, "quit", len) == 0)
		client_quit(c, p->now);
	else if (strncmp(e, "abort", len) == 0)
		client_abort(c, "cancelled");
	else if (strncmp(e, "bodyfail", len) == 0)
		client_body_failed(c, "no body");
	else if (strncmp(e, "timeout", len) == 0) {
		assert_true(client_deadline(c) > p->now);
		client_timeout(c);
	} else
		fail_msg("unknown event %.*s", (int)len, e);
	take_actions(p);
}

/* mode 0: whole; 1: octet by octet; n > 1: cut behind octet n - 1. */
static void
play_packet(struct player *p, const char *data, size_t len, size_t mode)
{
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		n = mode == 0                ? len
		    : mode == 1              ? 1
		    : at == 0 && mode <= len ? mode - 1
					     : len - at;
		p->now += 1;
		client_octets(p->client, data + at, n, p->now);
		take_actions(p);
	}
}

static void
expect(struct player *p, const char *line, size_t len)
{
	const char *got = p->trace + p->trace_read;
	size_t n = strcspn(got, "\n");

	p->trace[p->trace_len] = '\0';
	if (n != len || memcmp(got, line, len) != 0)
		fail_msg("%s\n\texpected %.*s\n\tgot      %.*s", p->test->title,
		    (int)len, line, (int)n, got);
	p->trace_read += n + 1;
}

/* Returns the longest packet of the script. */
static size_t
play(const struct client_case *test, size_t mode)
{
	struct player *p = calloc(1, sizeof(*p));
	char *packet = malloc(PACKET);
	size_t len, packet_len = 0, longest = 0;
	const char *s, *next;

	p->test = test;
	p->now = 1;
	p->client = client_new(&test->config, p->now);
	assert_true(client_deadline(p->client) > p->now);
	for (s = test->script; *s != '\0'; s = next) {
		len = strcspn(s, "\n");
		next = s[len] == '\n' ? s + len + 1 : s + len;
		if (*s == 'S' || *s == 'P') {
			packet_len +=
			    unescape(s + 3, len - 3, packet + packet_len);
			memcpy(packet + packet_len, "\r\n", 2);
			packet_len += 2;
			if (*next == 'P')
				continue;
			play_packet(p, packet, packet_len, mode);
			longest = packet_len > longest ? packet_len : longest;
			packet_len = 0;
		} else if (*s == 'E')
			play_event(p, s + 3, len - 3);
		else
			expect(p, s, len);
	}
	expect(p, "", 0);
	if (p->line_len != 0)
		fail_msg("%s: half a line is left", test->title);
	client_free(p->client);
	free(packet);
	free(p);
	return longest;
}

void
client_case_run(const struct client_case *test)
{
	size_t longest = play(test, 0);

	play(test, 1);
	for (size_t mode = 2; mode <= longest; mode++)
		play(test, mode);
}
