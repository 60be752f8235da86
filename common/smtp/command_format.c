/*
 * See command.h: the client's MAIL and RCPT. What the next hop did not offer
 * is left out; whether the message may go there without it is for the session
 * to say.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "smtp/command.h"

struct writer {
	char *out;
	size_t size;
	size_t len; /* size when something did not fit */
};

static void write_text(struct writer *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

static void
write_text(struct writer *w, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(w->out + w->len, w->size - w->len, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= w->size - w->len)
		w->len = w->size;
	else
		w->len += (size_t)n;
}

typedef ssize_t encode_function(const char *, size_t, char *, size_t);

/*
 * A parameter whose value an encoder writes; "" is left out, and so is what
 * grew over the max octets that the RFC permits on the wire, as UTF-8 in ORCPT
 * can: the address itself does not depend on it.
 */
static void
write_encoded(struct writer *w, const char *keyword, const char *value,
    encode_function *encode, size_t max)
{
	char wire[XTEXT_ORCPT_MAX + 1];

	if (*value != '\0' && encode(value, strlen(value), wire, max + 1) != -1)
		write_text(w, " %s=%s", keyword, wire);
}

_Static_assert(
    XTEXT_AUTH_MAX <= XTEXT_ORCPT_MAX && XTEXT_ENVID_MAX <= XTEXT_ORCPT_MAX,
    "write_encoded has room for the longest value");

static ssize_t
finish(struct writer *w)
{
	write_text(w, "\r\n");
	if (w->len < w->size)
		return (ssize_t)w->len;
	if (w->size > 0)
		*w->out = '\0';
	return -1;
}

ssize_t
command_format_mail(
    const struct smtp_mail *mail, unsigned extensions, char *out, size_t size)
{
	static const char *const bodies[] = { [BODY_7BIT] = "7BIT",
		[BODY_8BITMIME] = "8BITMIME",
		[BODY_BINARYMIME] = "BINARYMIME" };
	static const char *const rets[] = {
		[RET_FULL] = "FULL", [RET_HDRS] = "HDRS"
	};
	struct writer w = { .out = out, .size = size };
	unsigned body =
	    mail->body == BODY_BINARYMIME ? EXT_BINARYMIME : EXT_8BITMIME;
	char address[ADDRESS_SIZE];

	write_text(
	    &w, "MAIL FROM:<%s>", address_format(&mail->sender, address));
	if (mail->has_size && (extensions & EXT_SIZE) != 0)
		write_text(&w, " SIZE=%" PRIu64, mail->size);
	if (mail->body != BODY_UNSAID && (extensions & body) != 0)
		write_text(&w, " BODY=%s", bodies[mail->body]);
	if (mail->smtputf8 && (extensions & EXT_SMTPUTF8) != 0)
		write_text(&w, " SMTPUTF8");
	if (mail->ret != RET_UNSAID && (extensions & EXT_DSN) != 0)
		write_text(&w, " RET=%s", rets[mail->ret]);
	if ((extensions & EXT_DSN) != 0)
		write_encoded(
		    &w, "ENVID", mail->envid, xtext_encode, XTEXT_ENVID_MAX);
	if ((extensions & EXT_AUTH) != 0)
		write_encoded(
		    &w, "AUTH", mail->auth, xtext_encode, XTEXT_AUTH_MAX);
	return finish(&w);
}

ssize_t
command_format_rcpt(
    const struct smtp_rcpt *rcpt, unsigned extensions, char *out, size_t size)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = { { NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" } };
	struct writer w = { .out = out, .size = size };
	const char *before = " NOTIFY=";
	char address[ADDRESS_SIZE];

	write_text(
	    &w, "RCPT TO:<%s>", address_format(&rcpt->recipient, address));
	if ((extensions & EXT_DSN) == 0)
		return finish(&w);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((rcpt->notify & names[i].bit) != 0) {
			write_text(&w, "%s%s", before, names[i].name);
			before = ",";
		}
	write_encoded(
	    &w, "ORCPT", rcpt->orcpt, xtext_encode_orcpt, XTEXT_ORCPT_MAX);
	return finish(&w);
}
