/*
 * The body on the wire and the replies that decide: DATA with transparency
 * (RFC 5321 section 4.5.2), BDAT for binary content (RFC 3030), one reply a
 * recipient in LMTP (RFC 2033 section 4.2).
 */
#include <stdio.h>
#include <string.h>

#include "deliver/client_private.h"

void
client_begin_body(struct client *c, int64_t now)
{
	body_encoder_init(&c->encoder);
	client_enter(c, PHASE_BODY, now);
	client_do(c, CLIENT_DO_BODY_BEGIN);
}

static void
send_chunk(
    struct client *c, const char *data, size_t len, int last, int64_t now)
{
	char line[48];

	snprintf(
	    line, sizeof(line), "BDAT %zu%s\r\n", len, last ? " LAST" : "");
	client_say(c, line, strlen(line));
	client_write(c, data, len);
	client_enter(c, last ? PHASE_FINAL : PHASE_CHUNK, now);
}

static void
send_data(struct client *c, const char *data, size_t len, int last, int64_t now)
{
	struct smtp_span span;
	size_t used;

	while (len > 0) {
		body_encode(&c->encoder, data, len, &used, &span);
		client_write(c, span.data, span.len);
		data += used;
		len -= used;
	}
	if (!last) {
		client_progress(c, now);
		client_do(c, CLIENT_DO_BODY_MORE);
		return;
	}
	span = body_encode_end(&c->encoder);
	client_note(c, '>', ".", 1);
	client_write(c, span.data, span.len);
	client_enter(c, PHASE_FINAL, now);
}

void
client_body(
    struct client *c, const char *data, size_t len, int last, int64_t now)
{
	if (c->phase != PHASE_BODY)
		return;
	/* from here on the server may hold all of the message */
	c->committed = last;
	if (c->chunked)
		send_chunk(c, data, len, last, now);
	else
		send_data(c, data, len, last, now);
}

void
client_body_failed(struct client *c, const char *text)
{
	if (c->phase == PHASE_BODY)
		client_abort(c, text);
}

void
client_reply_chunk(
    struct client *c, const struct smtp_reply *reply, int64_t now)
{
	if (reply_class(reply->code) == REPLY_POSITIVE) {
		client_enter(c, PHASE_BODY, now);
		client_do(c, CLIENT_DO_BODY_MORE);
		return;
	}
	client_set_accepted(c, CLIENT_SCOPE_MESSAGE, reply);
	client_next_batch(c, now);
}

/* The recipient whose reply is next. */
static uint32_t
next_accepted(struct client *c)
{
	while (c->rcpt_states[c->batch[c->final_next]] != RCPT_ACCEPTED)
		c->final_next++;
	return c->batch[c->final_next++];
}

void
client_reply_final(
    struct client *c, const struct smtp_reply *reply, int64_t now)
{
	if (c->config->lmtp) {
		client_set_reply(
		    c, next_accepted(c), CLIENT_SCOPE_RECIPIENT, reply);
		c->accepted--;
	} else {
		client_set_accepted(c, CLIENT_SCOPE_MESSAGE, reply);
		c->accepted = 0;
	}
	if (c->accepted > 0)
		return;
	/* RFC 3030 does not say that a refused chunk ends the transaction */
	c->need_rset = c->chunked && reply_class(reply->code) != REPLY_POSITIVE;
	client_next_batch(c, now);
}

void
client_reply_empty(
    struct client *c, const struct smtp_reply *reply, int64_t now)
{
	c->need_rset = 0;
	client_next_batch(c, now);
}
