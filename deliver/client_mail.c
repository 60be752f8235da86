/*
 * The envelope of a transaction: RSET where one is open, MAIL, RCPT and DATA,
 * in one write where the server pipelines (RFC 2920), with the parameters of
 * its extensions. A server with a limit of recipients gets them in batches,
 * each with a body of its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/client_private.h"

enum {
	WINDOW = 64, /* commands under way at one time */
	BATCH_LIMIT = 20 /* bodies sent for one transaction */
};

/* ---- what the server cannot take -------------------------------------- */

/* What the server does not offer in clear it may offer under TLS, which has
 * only failed for now. Its SIZE is the same in both. */
static void
set_lacking(struct client *c, size_t i, enum client_scope scope, unsigned code,
    const char *enhanced, const char *text)
{
	if (client_fell_back(c))
		client_set_tls_missed(c, i, scope, text);
	else
		client_set_result(
		    c, i, DELIVERY_PERMFAIL, scope, code, enhanced, text);
}

static void
set_all_lacking(
    struct client *c, unsigned code, const char *enhanced, const char *text)
{
	for (size_t i = 0; i < c->results_count; i++)
		set_lacking(c, i, CLIENT_SCOPE_MESSAGE, code, enhanced, text);
}

/* 1 if the message as a whole is refused on our side of the wire. */
static int
refuse_message(struct client *c)
{
	const struct client_mail *mail = c->mail;
	const struct smtp_extensions *ext = &c->extensions;
	unsigned binary = EXT_CHUNKING | EXT_BINARYMIME;
	char text[160];

	if (mail->probe)
		return 0;
	if (ext->size_max > 0 && mail->size > ext->size_max) {
		snprintf(text, sizeof(text),
		    "the message has %" PRIu64
		    " octets, the server takes at most %" PRIu64,
		    mail->size, ext->size_max);
		client_set_rest(c, DELIVERY_PERMFAIL, CLIENT_SCOPE_MESSAGE, 552,
		    "5.3.4", text);
		return 1;
	}
	if ((mail->flags & MAIL_BINARY) != 0 &&
	    (ext->bits & binary) != binary) {
		set_all_lacking(c, 554, "5.6.3",
		    "the server does not take binary content (BINARYMIME)");
		return 1;
	}
	return 0;
}

/*
 * RFC 6531: a message is internationalised when an address has UTF-8, or when
 * it was sent as such and its header does. One that only came with the
 * parameter may go to any server; a body of 8 bits asks for 8BITMIME only.
 */
static void
decide_utf8(struct client *c)
{
	static const char text[] =
	    "the server does not take internationalised mail (SMTPUTF8)";
	const struct client_mail *mail = c->mail;
	int offered = (c->extensions.bits & EXT_SMTPUTF8) != 0;
	int header = (mail->flags & MAIL_UTF8) != 0 &&
	    (mail->flags & MAIL_8BIT_HEADER) != 0;
	int needed = address_needs_utf8(mail->sender) || header;

	c->utf8 = offered && (needed || (mail->flags & MAIL_UTF8) != 0);
	if (needed && !offered)
		set_all_lacking(c, 553, "5.6.7", text);
	for (size_t i = 0; i < mail->rcpts_count; i++) {
		if (!address_needs_utf8(mail->rcpts[i].address))
			continue;
		if (offered)
			c->utf8 = 1;
		else
			set_lacking(
			    c, i, CLIENT_SCOPE_RECIPIENT, 553, "5.6.7", text);
	}
}

/* ---- commands --------------------------------------------------------- */

static const unsigned address_flags =
    ADDRESS_UTF8 | ADDRESS_NULL | ADDRESS_BARE | ADDRESS_LONG;

static int
parse(const char *text, struct address *out)
{
	return address_parse(text, strlen(text), address_flags, out) ==
		ADDRESS_OK
	    ? 0
	    : -1;
}

static int
write_mail(struct client *c)
{
	const struct client_mail *mail = c->mail;
	struct smtp_mail m;
	char line[4096];
	ssize_t n;

	memset(&m, 0, sizeof(m));
	if (parse(mail->sender, &m.sender) == -1)
		return -1;
	if (!mail->probe) {
		m.has_size = 1;
		m.size = mail->size;
		if (c->chunked)
			m.body = BODY_BINARYMIME;
		else if ((mail->flags & MAIL_8BIT) != 0)
			m.body = BODY_8BITMIME;
		m.ret =
		    mail->ret < RET_MAX ? (enum smtp_ret)mail->ret : RET_UNSAID;
		snprintf(m.envid, sizeof(m.envid), "%s", mail->envid);
	}
	/* a server that we logged in to is to make no login of ours out of it
	 * (RFC 4954 section 5) */
	if (c->authenticated)
		strcpy(m.auth, "<>");
	m.smtputf8 = c->utf8;
	n = command_format_mail(&m, c->extensions.bits, line, sizeof(line));
	if (n == -1)
		return -1;
	client_say(c, line, (size_t)n);
	return 0;
}

static int
write_rcpt(struct client *c, const struct client_rcpt *rcpt)
{
	struct smtp_rcpt r;
	char line[4096];
	ssize_t n;

	memset(&r, 0, sizeof(r));
	if (parse(rcpt->address, &r.recipient) == -1)
		return -1;
	if (!c->mail->probe) {
		r.notify = rcpt->notify;
		snprintf(r.orcpt, sizeof(r.orcpt), "%s", rcpt->orcpt);
	}
	n = command_format_rcpt(&r, c->extensions.bits, line, sizeof(line));
	if (n == -1)
		return -1;
	client_say(c, line, (size_t)n);
	return 0;
}

/* ---- steps ------------------------------------------------------------ */

static size_t
steps_total(const struct client *c)
{
	return (size_t)c->with_rset + 1 + c->batch_count + (size_t)c->with_data;
}

/* What step i is; for RCPT, *place is the place in the batch. */
static enum step
step_at(const struct client *c, size_t i, size_t *place)
{
	if (c->with_rset && i-- == 0)
		return STEP_RSET;
	if (i == 0)
		return STEP_MAIL;
	*place = i - 1;
	return *place < c->batch_count ? STEP_RCPT : STEP_DATA;
}

static int
send_step(struct client *c, size_t i)
{
	size_t place;

	switch (step_at(c, i, &place)) {
	case STEP_RSET:
		client_say_words(c, "RSET", NULL);
		return 0;
	case STEP_MAIL:
		return write_mail(c);
	case STEP_RCPT:
		return write_rcpt(c, &c->mail->rcpts[c->batch[place]]);
	default:
		client_say_words(c, "DATA", NULL);
		return 0;
	}
}

/*
 * Sends as many steps as the server takes at a time. Those behind a MAIL that
 * is known to be refused are not sent any more, nor is a DATA for nobody.
 */
static void
send_steps(struct client *c)
{
	size_t window = (c->extensions.bits & EXT_PIPELINING) ? WINDOW : 1;
	size_t rcpts = (size_t)c->with_rset + 1 + c->batch_count;

	while (c->steps_sent < steps_total(c) &&
	    c->steps_sent - c->steps_replied < window) {
		if (c->mail_refused) {
			c->batch_count =
			    c->steps_sent - 1 - (size_t)c->with_rset;
			c->with_data = 0;
			return;
		}
		if (c->steps_sent == rcpts && c->steps_replied == rcpts &&
		    c->accepted == 0) {
			c->with_data = 0;
			return;
		}
		if (send_step(c, c->steps_sent) == -1) {
			client_abort(c, "an address cannot be written");
			return;
		}
		c->steps_sent++;
	}
}

/* ---- batches ---------------------------------------------------------- */

static void
end_transaction(struct client *c, int64_t now)
{
	c->mail = NULL;
	client_do(c, CLIENT_DO_RESULTS);
	client_go_idle(c, now);
}

void
client_next_batch(struct client *c, int64_t now)
{
	size_t limit = c->rcpt_limit > 0 ? c->rcpt_limit : c->results_count;

	if (c->batches == BATCH_LIMIT)
		client_set_rest(c, DELIVERY_TEMPFAIL, CLIENT_SCOPE_RECIPIENT,
		    452, "4.5.3",
		    "the server takes too few recipients at once");
	c->batch_count = 0;
	for (size_t i = 0; i < c->results_count && c->batch_count < limit; i++)
		if (c->rcpt_states[i] == RCPT_WAITS) {
			c->rcpt_states[i] = RCPT_BATCH;
			c->batch[c->batch_count++] = (uint32_t)i;
		}
	if (c->batch_count == 0) {
		end_transaction(c, now);
		return;
	}
	c->batches++;
	c->accepted = 0;
	c->mail_refused = c->committed = c->too_many = 0;
	c->with_rset = c->need_rset;
	/* an LMTP server answers the end of data for nobody with nothing */
	c->with_data = !c->mail->probe && !c->chunked && !c->config->lmtp &&
	    (c->extensions.bits & EXT_PIPELINING) != 0;
	c->steps_sent = c->steps_replied = c->final_next = 0;
	c->total = 0;
	client_enter(c, PHASE_ENVELOPE, now);
	send_steps(c);
}

/* Recipients whose address cannot be said to any server. */
static void
refuse_addresses(struct client *c)
{
	struct address address;

	if (parse(c->mail->sender, &address) == -1)
		client_set_rest(c, DELIVERY_PERMFAIL, CLIENT_SCOPE_MESSAGE, 553,
		    "5.1.7", "the sender is malformed");
	for (size_t i = 0; i < c->mail->rcpts_count; i++)
		if (parse(c->mail->rcpts[i].address, &address) == -1 ||
		    address.kind == ADDRESS_IS_NULL)
			client_set_result(c, i, DELIVERY_PERMFAIL,
			    CLIENT_SCOPE_RECIPIENT, 553, "5.1.3",
			    "the address is malformed");
}

void
client_transaction(
    struct client *c, const struct client_mail *mail, int64_t now)
{
	size_t n = mail->rcpts_count;

	if (c->phase != PHASE_IDLE)
		return;
	client_free_transaction(c);
	c->results = calloc(n, sizeof(*c->results));
	c->rcpt_states = calloc(n, sizeof(*c->rcpt_states));
	c->batch = calloc(n, sizeof(*c->batch));
	if (c->results == NULL || c->rcpt_states == NULL || c->batch == NULL) {
		client_free_transaction(c);
		client_abort(c, "out of memory");
		return;
	}
	c->results_count = n;
	c->mail = mail;
	c->transactions++;
	c->replied = c->committed = 0;
	c->batches = 0;
	c->utf8 = 0;
	c->chunked = (mail->flags & MAIL_BINARY) != 0 && !mail->probe;
	c->rcpt_limit = c->extensions.rcpt_max;
	if (c->config->rcpt_max > 0 &&
	    (c->rcpt_limit == 0 || c->rcpt_limit > c->config->rcpt_max))
		c->rcpt_limit = c->config->rcpt_max;
	if (!refuse_message(c)) {
		refuse_addresses(c);
		decide_utf8(c);
	}
	client_next_batch(c, now);
}

/* ---- replies ---------------------------------------------------------- */

static void
reply_mail(struct client *c, const struct smtp_reply *reply)
{
	if (reply_class(reply->code) == REPLY_POSITIVE) {
		c->need_rset = 1;
		return;
	}
	/* a word on what a kept session did before, and none on the mail */
	if (reply->code == 503 && (c->transactions > 1 || c->batches > 1)) {
		c->replied = c->batches > 1;
		client_end_reply(c, CLIENT_END_BUSY, reply);
		return;
	}
	c->mail_refused = 1;
	for (size_t i = 0; i < c->results_count; i++)
		client_set_reply(c, i, CLIENT_SCOPE_MESSAGE, reply);
}

/* RFC 5321 section 4.5.3.1.10: the server has enough recipients for now. A
 * bare 552 means that too. */
static int
is_too_many(const struct smtp_reply *reply)
{
	const unsigned short *e = reply->enhanced;

	if (reply->code != 452 && reply->code != 552)
		return 0;
	return e[0] == 0 || (e[1] == 5 && e[2] == 3);
}

static void
reply_rcpt(struct client *c, size_t place, const struct smtp_reply *reply)
{
	uint32_t i = c->batch[place];
	struct smtp_reply softened;

	if (c->mail_refused)
		return;
	if (reply_class(reply->code) == REPLY_POSITIVE) {
		if (c->mail->probe) {
			client_set_reply(c, i, CLIENT_SCOPE_RECIPIENT, reply);
			return;
		}
		c->rcpt_states[i] = RCPT_ACCEPTED;
		c->accepted++;
		return;
	}
	if (!is_too_many(reply)) {
		client_set_reply(c, i, CLIENT_SCOPE_RECIPIENT, reply);
		return;
	}
	if (c->accepted > 0) {
		c->rcpt_states[i] = RCPT_WAITS;
		c->too_many = 1;
		if (c->rcpt_limit == 0 || c->rcpt_limit > c->accepted)
			c->rcpt_limit = c->accepted;
		return;
	}
	softened = *reply;
	softened.code = 452;
	memcpy(softened.enhanced, (unsigned short[3]){ 4, 5, 3 },
	    sizeof(softened.enhanced));
	client_set_reply(c, i, CLIENT_SCOPE_RECIPIENT, &softened);
	c->results[i].said = reply->code == softened.code;
}

/* Some servers refuse the whole for recipients that were too many: those that
 * they took are told again, with no more than these. */
static void
refuse_data(struct client *c, const struct smtp_reply *reply)
{
	int again = c->too_many && reply_class(reply->code) == REPLY_PERMANENT;

	for (size_t i = 0; again && i < c->batch_count; i++)
		if (c->rcpt_states[c->batch[i]] == RCPT_ACCEPTED)
			c->rcpt_states[c->batch[i]] = RCPT_WAITS;
	client_set_accepted(c, CLIENT_SCOPE_MESSAGE, reply);
	c->accepted = 0;
}

static void
reply_data(struct client *c, const struct smtp_reply *reply, int64_t now)
{
	switch (reply_class(reply->code)) {
	case REPLY_INTERMEDIATE:
		if (c->accepted > 0) {
			client_begin_body(c, now);
			return;
		}
		/* RFC 2920 section 3.1: nobody is left, yet the server waits
		 * for a body */
		client_say_words(c, ".", NULL);
		client_enter(c, PHASE_EMPTY, now);
		return;
	case REPLY_POSITIVE:
		client_end(c, CLIENT_END_PROTOCOL, DELIVERY_TEMPFAIL, 451,
		    "4.5.0", "unexpected reply to DATA: %d %.900s", reply->code,
		    reply->text);
		return;
	default:
		refuse_data(c, reply);
		return;
	}
}

void
client_reply_envelope(
    struct client *c, const struct smtp_reply *reply, int64_t now)
{
	size_t place = 0;

	switch (step_at(c, c->steps_replied++, &place)) {
	case STEP_RSET:
		if (reply_class(reply->code) != REPLY_POSITIVE) {
			client_end_reply(c, CLIENT_END_PROTOCOL, reply);
			return;
		}
		c->need_rset = 0;
		break;
	case STEP_MAIL:
		reply_mail(c, reply);
		break;
	case STEP_RCPT:
		reply_rcpt(c, place, reply);
		break;
	case STEP_DATA:
		reply_data(c, reply, now);
		break;
	}
	if (c->phase != PHASE_ENVELOPE)
		return;
	send_steps(c);
	if (c->phase != PHASE_ENVELOPE || c->steps_replied < c->steps_sent)
		return;
	if (c->accepted == 0)
		client_next_batch(c, now);
	else if (c->chunked)
		client_begin_body(c, now);
	else {
		c->with_data = 1;
		send_steps(c);
	}
}
