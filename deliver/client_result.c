/*
 * Verdicts on recipients: how a reply is classified by its code and enhanced
 * code (RFC 5321 section 4.2, RFC 3463), and where the results are kept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/client_private.h"

enum delivery_status
client_status(const struct smtp_reply *reply)
{
	switch (reply_class(reply->code)) {
	case REPLY_POSITIVE:
		return DELIVERY_OK;
	case REPLY_PERMANENT:
		return DELIVERY_PERMFAIL;
	default:
		return DELIVERY_TEMPFAIL;
	}
}

void
client_enhanced(const struct smtp_reply *reply, char out[12])
{
	if (reply->enhanced[0] != 0)
		reply_enhanced_format(reply, out);
	else
		snprintf(out, 12, "%c.0.0", '0' + reply->code / 100);
}

/* Results without a text of their own, when memory is short. */
static char no_text[] = "";

void
client_set_result(struct client *c, size_t i, enum delivery_status status,
    enum client_scope scope, unsigned code, const char *enhanced,
    const char *text)
{
	struct client_result *r = &c->results[i];
	char *copy;

	if (c->rcpt_states[i] == RCPT_DONE)
		return;
	c->rcpt_states[i] = RCPT_DONE;
	r->status = status;
	r->scope = scope;
	r->code = (uint16_t)code;
	snprintf(r->enhanced, sizeof(r->enhanced), "%s", enhanced);
	copy = strdup(text);
	r->text = copy != NULL ? copy : no_text;
}

static enum hop_kind
hop_kind(const struct client *c)
{
	if (c->extensions.bits & EXT_DSN)
		return HOP_DSN;
	return c->config->lmtp ? HOP_FINAL : HOP_NO_DSN;
}

int
client_fell_back(const struct client *c)
{
	return c->config->fallen_back || c->refused_tls;
}

/* The codes of RFC 3207 and RFC 5248 for mail that has to come by TLS. Where
 * TLS is there and failed they say nothing of the mail: it may work again. */
static int
is_for_want_of_tls(const struct client *c, const struct smtp_reply *reply)
{
	const unsigned short *e = reply->enhanced;

	if (!client_fell_back(c))
		return 0;
	return reply->code == 530 || reply->code == 523 ||
	    (e[0] == 5 && e[1] == 7 && (e[2] == 10 || e[2] == 11));
}

void
client_set_tls_missed(
    struct client *c, size_t i, enum client_scope scope, const char *text)
{
	char why[1025];

	c->misses_tls = 1;
	snprintf(why, sizeof(why), "TLS failed, and without it: %.950s", text);
	client_set_result(c, i, DELIVERY_TEMPFAIL, scope, 451, "4.7.10", why);
}

void
client_set_reply(struct client *c, size_t i, enum client_scope scope,
    const struct smtp_reply *reply)
{
	enum delivery_status status = client_status(reply);
	unsigned code = (unsigned)reply->code;
	char enhanced[12], text[950];

	if (is_for_want_of_tls(c, reply)) {
		snprintf(
		    text, sizeof(text), "%d %.900s", reply->code, reply->text);
		client_set_tls_missed(c, i, scope, text);
		return;
	}
	client_enhanced(reply, enhanced);
	/* 3yz where it decides about mail is a mistake of the server */
	if (reply_class(reply->code) == REPLY_INTERMEDIATE) {
		code = 451;
		snprintf(enhanced, sizeof(enhanced), "4.5.0");
	}
	if (status == DELIVERY_OK)
		c->results[i].hop = hop_kind(c);
	/* the first result of a recipient counts */
	if (c->rcpt_states[i] == RCPT_DONE)
		return;
	client_set_result(c, i, status, scope, code, enhanced, reply->text);
	c->results[i].said = code == (unsigned)reply->code;
}

void
client_set_accepted(
    struct client *c, enum client_scope scope, const struct smtp_reply *reply)
{
	for (size_t i = 0; i < c->batch_count; i++)
		if (c->rcpt_states[c->batch[i]] == RCPT_ACCEPTED)
			client_set_reply(c, c->batch[i], scope, reply);
}

void
client_set_rest(struct client *c, enum delivery_status status,
    enum client_scope scope, unsigned code, const char *enhanced,
    const char *text)
{
	for (size_t i = 0; i < c->results_count; i++)
		client_set_result(c, i, status, scope, code, enhanced, text);
}

void
client_free_transaction(struct client *c)
{
	for (size_t i = 0; i < c->results_count; i++)
		if (c->results[i].text != NULL && c->results[i].text != no_text)
			free((char *)(uintptr_t)c->results[i].text);
	free(c->results);
	free(c->rcpt_states);
	free(c->batch);
	c->results = NULL;
	c->rcpt_states = NULL;
	c->batch = NULL;
	c->results_count = c->batch_count = 0;
}
