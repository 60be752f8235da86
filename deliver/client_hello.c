/*
 * The opening of a session: greeting, EHLO or LHLO with HELO as the way back
 * (RFC 5321 section 3.2), STARTTLS by policy (RFC 3207, RFC 7435).
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "deliver/client_private.h"

void
client_reply_greeting(
    struct client *c, const struct smtp_reply *reply, int64_t now)
{
	if (reply_class(reply->code) != REPLY_POSITIVE)
		client_end_reply(c, CLIENT_END_REFUSED, reply);
	else
		client_begin_hello(c, now);
}

void
client_begin_hello(struct client *c, int64_t now)
{
	memset(&c->incoming, 0, sizeof(c->incoming));
	client_say_words(c, c->config->lmtp ? "LHLO" : "EHLO", c->config->helo);
	client_enter(c, PHASE_EHLO, now);
}

/* What must be done before mail: TLS, then AUTH. */
static void
proceed(struct client *c, int64_t now)
{
	const struct client_config *config = c->config;

	if (config->own_name != NULL &&
	    strcasecmp(c->extensions.name, config->own_name) == 0) {
		client_end(c, CLIENT_END_LOOP, DELIVERY_PERMFAIL, 554, "5.4.6",
		    "mail loops back: the server calls itself %s as we do",
		    config->own_name);
		return;
	}
	if (!c->tls && config->tls != CLIENT_TLS_NEVER) {
		if ((c->extensions.bits & EXT_STARTTLS) != 0) {
			client_say_words(c, "STARTTLS", NULL);
			client_enter(c, PHASE_STARTTLS, now);
			return;
		}
		if (config->tls != CLIENT_TLS_OPPORTUNISTIC) {
			client_end(c, CLIENT_END_TLS, DELIVERY_TEMPFAIL, 451,
			    "4.7.4", "TLS is required, and not offered");
			return;
		}
	}
	if (config->authenticate && !c->authenticated)
		client_begin_auth(c, now);
	else
		client_go_idle(c, now);
}

void
client_reply_ehlo(struct client *c, const struct smtp_reply *reply, int64_t now)
{
	enum reply_class class = reply_class(reply->code);

	if (class == REPLY_POSITIVE) {
		c->extensions = c->incoming;
		proceed(c, now);
	} else if (class == REPLY_PERMANENT && !c->config->lmtp && !c->tls &&
	    !c->config->authenticate) {
		client_say_words(c, "HELO", c->config->helo);
		client_enter(c, PHASE_HELO, now);
	} else
		client_end_reply(c, CLIENT_END_REFUSED, reply);
}

void
client_reply_helo(struct client *c, const struct smtp_reply *reply, int64_t now)
{
	if (reply_class(reply->code) != REPLY_POSITIVE) {
		client_end_reply(c, CLIENT_END_REFUSED, reply);
		return;
	}
	memset(&c->extensions, 0, sizeof(c->extensions));
	snprintf(c->extensions.name, sizeof(c->extensions.name), "%.*s",
	    (int)strcspn(reply->text, " "), reply->text);
	proceed(c, now);
}

void
client_reply_starttls(
    struct client *c, const struct smtp_reply *reply, int64_t now)
{
	if (reply->code == 220) {
		client_enter(c, PHASE_TLS, now);
		client_do(c, CLIENT_DO_TLS);
	} else if (c->config->tls != CLIENT_TLS_OPPORTUNISTIC)
		client_end_reply(c, CLIENT_END_TLS, reply);
	else if (reply_class(reply->code) == REPLY_TRANSIENT ||
	    reply_class(reply->code) == REPLY_PERMANENT) {
		/* offered and refused: go on as if it had not been offered */
		c->extensions.bits &= ~(unsigned)EXT_STARTTLS;
		c->refused_tls = 1;
		proceed(c, now);
	} else
		client_end(c, CLIENT_END_PROTOCOL, DELIVERY_TEMPFAIL, 451,
		    "4.5.0", "unexpected reply to STARTTLS: %d %.900s",
		    reply->code, reply->text);
}
