/*
 * AUTH (RFC 4954). The secret is in the auth process, which picks the
 * mechanism and makes each response; here the exchange is only carried. What
 * must hold: a password goes only to a server that is known to be the right
 * one (RFC 4616 section 5), and a SCRAM server that does not prove itself is
 * not believed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "deliver/client_private.h"
#include "smtp/base64.h"

enum {
	RESPONSE_MAX = 8192 /* octets; its base64 fits in LINE_AUTH_MAX */
};

/* Mechanisms that show the password to the server. */
static const char *const clear_mechanisms[] = { "PLAIN", "LOGIN" };

static int
is_clear(const char *name, size_t len)
{
	for (size_t i = 0; i < 2; i++)
		if (strlen(clear_mechanisms[i]) == len &&
		    strncasecmp(clear_mechanisms[i], name, len) == 0)
			return 1;
	return 0;
}

/* Whether the server may see the password: TLS without a good certificate is
 * TLS with anybody, which is enough only where somebody has asked for it. */
static int
may_show(const struct client *c)
{
	return c->config->clear_password || c->verified ||
	    (c->tls && c->config->tls == CLIENT_TLS_REQUIRED);
}

static const char unsafe[] =
    "the password is not sent to a server without a valid certificate: write "
    "smtp+tls:// or smtps://, or tls no-verify";

/* Whether the server would take the password if it might have it. */
static int
withholds(const struct client *c)
{
	if (may_show(c))
		return 0;
	for (size_t i = 0; i < 2; i++)
		if (extension_has_mechanism(
			&c->extensions, clear_mechanisms[i]))
			return 1;
	return 0;
}

/* The mechanisms offered that may be used, space separated. */
static void
usable_mechanisms(const struct client *c, char *out, size_t size)
{
	const char *p = c->extensions.mechanisms;
	size_t n = 0, len;

	*out = '\0';
	for (; *p != '\0'; p += len) {
		p += strspn(p, " ");
		len = strcspn(p, " ");
		if (len == 0 || n + len + 2 > size)
			break;
		if (is_clear(p, len) && !may_show(c))
			continue;
		n += (size_t)snprintf(
		    out + n, size - n, "%s%.*s", n > 0 ? " " : "", (int)len, p);
	}
}

static int
keep_challenge(struct client *c, const void *data, size_t len)
{
	free(c->challenge);
	c->challenge_len = 0;
	if ((c->challenge = malloc(len + 1)) == NULL)
		return -1;
	memcpy(c->challenge, data, len);
	c->challenge[len] = '\0';
	c->challenge_len = len;
	return 0;
}

void
client_forget_auth(struct client *c)
{
	if (c->sasl_begun) {
		c->sasl_begun = 0;
		client_do(c, CLIENT_DO_SASL_ABORT);
	}
}

static void
fail(struct client *c, const char *text)
{
	client_end(
	    c, CLIENT_END_AUTH, DELIVERY_TEMPFAIL, 451, "4.7.0", "%s", text);
}

void
client_begin_auth(struct client *c, int64_t now)
{
	char mechanisms[EXTENSION_MECHANISMS_SIZE];

	usable_mechanisms(c, mechanisms, sizeof(mechanisms));
	if (*mechanisms == '\0') {
		fail(c,
		    withholds(c) ? unsafe
				 : "authentication is needed, and not offered");
		return;
	}
	if (keep_challenge(c, mechanisms, strlen(mechanisms)) == -1) {
		fail(c, "out of memory");
		return;
	}
	c->sasl_begun = 1;
	c->sasl_sent = c->sasl_proved = c->sasl_scram = 0;
	client_enter(c, PHASE_SASL, now);
	client_do(c, CLIENT_DO_SASL_BEGIN);
}

/* Sends AUTH with the initial response if there is one, or a response. */
static void
send_response(struct client *c, const char *mechanism, const uint8_t *response,
    size_t len, int64_t now)
{
	char text[BASE64_LENGTH(RESPONSE_MAX) + 1], line[64];

	if (base64_encode(response, len, text, sizeof(text)) == -1) {
		fail(c, "the response is too long");
		return;
	}
	if (c->sasl_sent) {
		client_note(c, '>', "(hidden)", 8);
		client_write(c, text, strlen(text));
	} else {
		snprintf(line, sizeof(line), "AUTH %.32s", mechanism);
		client_note(c, '>', line, strlen(line));
		client_write(c, line, strlen(line));
		if (len > 0) {
			client_write(c, " ", 1);
			client_write(c, text, strlen(text));
		}
		c->sasl_sent = 1;
		c->sasl_scram = strncasecmp(mechanism, "SCRAM-", 6) == 0;
	}
	client_write(c, "\r\n", 2);
	explicit_bzero(text, sizeof(text));
	client_enter(c, PHASE_AUTH, now);
}

void
client_sasl(struct client *c, enum sasl_status status, const char *mechanism,
    const uint8_t *response, size_t len, int64_t now)
{
	static const char *const reasons[SASL_STATUS_MAX] = {
		[SASL_DENIED] = "the server did not prove who it is",
		[SASL_TEMPFAIL] = "the credentials cannot be had now",
		[SASL_MALFORMED] = "the server's challenge makes no sense",
		[SASL_UNSUPPORTED] = "no mechanism that the server offers fits",
	};

	if (c->phase != PHASE_SASL)
		return;
	if (status == SASL_CONTINUE || status == SASL_OK) {
		c->sasl_proved = status == SASL_OK;
		/* the name goes into a command line */
		if (!c->sasl_sent &&
		    !extension_has_mechanism(&c->extensions, mechanism))
			fail(c, "a mechanism was chosen that is not offered");
		else if (len > RESPONSE_MAX)
			fail(c, "the response is too long");
		else
			send_response(c, mechanism, response, len, now);
		return;
	}
	c->sasl_begun = 0;
	if (status == SASL_UNSUPPORTED && withholds(c)) {
		fail(c, unsafe);
		return;
	}
	fail(c,
	    (unsigned)status < SASL_STATUS_MAX ? reasons[status]
					       : "no credentials");
}

static void
take_challenge(struct client *c, int64_t now)
{
	uint8_t octets[REPLY_TEXT_SIZE];
	ssize_t n;

	n = base64_decode(
	    c->parser.line, strlen(c->parser.line), octets, sizeof(octets));
	if (n == -1 || c->parser.reply.lines != 1 ||
	    keep_challenge(c, octets, (size_t)n) == -1) {
		fail(c, "the server's challenge is malformed");
		return;
	}
	client_enter(c, PHASE_SASL, now);
	client_do(c, CLIENT_DO_SASL_STEP);
}

void
client_reply_auth(struct client *c, const struct smtp_reply *reply, int64_t now)
{
	if (reply->code == 334) {
		take_challenge(c, now);
		return;
	}
	if (reply_class(reply->code) != REPLY_POSITIVE) {
		client_end_reply(c, CLIENT_END_AUTH, reply);
		return;
	}
	if (c->sasl_scram && !c->sasl_proved) {
		fail(c, "the server let us in without proving who it is");
		return;
	}
	/* an exchange that auth holds to be over needs no goodbye */
	if (c->sasl_proved)
		c->sasl_begun = 0;
	client_forget_auth(c);
	c->authenticated = 1;
	client_go_idle(c, now);
}
