/*
 * HELO, EHLO and LHLO: RFC 5321 section 4.1.1.1, RFC 2033. Each of them ends a
 * transaction and says anew what is offered.
 */
#include <stdio.h>
#include <string.h>

#include "session_private.h"
#include "smtp/extension.h"

/* Mechanisms that bind to the channel are for channels that can be bound. */
static void
list_mechanisms(const struct session *s, char *out, size_t size)
{
	const char *from = s->conf->mechanisms, *end;
	size_t len, used = 0;

	out[0] = '\0';
	for (; *from != '\0'; from = *end == ' ' ? end + 1 : end) {
		end = from + strcspn(from, " ");
		len = (size_t)(end - from);
		if (len > 5 && s->binding_len == 0 &&
		    memcmp(end - 5, "-PLUS", 5) == 0)
			continue;
		if (len == 0 || used + len + 2 > size)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%.*s",
		    used > 0 ? " " : "", (int)len, from);
	}
}

static void
offer(const struct session *s, struct smtp_extensions *ext)
{
	const struct session_conf *conf = s->conf;

	ext->bits = EXT_SIZE | EXT_8BITMIME | EXT_PIPELINING | EXT_CHUNKING |
	    EXT_BINARYMIME | EXT_SMTPUTF8 | EXT_ENHANCED | EXT_HELP |
	    EXT_LIMITS;
	ext->size_max = conf->max_size;
	ext->rcpt_max = conf->max_rcpts;
	ext->mail_max = conf->max_mails;
	if (!(conf->options & OPT_NO_DSN))
		ext->bits |= EXT_DSN;
	if ((conf->options & OPT_STARTTLS) && !s->tls)
		ext->bits |= EXT_STARTTLS;
	if (conf->options & OPT_ETRN)
		ext->bits |= EXT_ETRN;
	if ((conf->options & OPT_AUTH) && *s->user == '\0' &&
	    (s->tls || s->secure)) {
		list_mechanisms(s, ext->mechanisms, sizeof(ext->mechanisms));
		if (*ext->mechanisms != '\0')
			ext->bits |= EXT_AUTH;
	}
	snprintf(ext->name, sizeof(ext->name), "%s", s->hostname);
}

void
cmd_helo(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	struct smtp_extensions ext = { 0 };
	char greeting[ADDRESS_DOMAIN_SIZE + 16];

	if (cmd->verb == VERB_LHLO && !(s->conf->options & OPT_SOCKET)) {
		session_refuse(s, t, REPLY_NOT_LMTP, NULL);
		return;
	}
	if (cmd->verb != VERB_LHLO && s->lmtp) {
		session_refuse(s, t, REPLY_SAY_LHLO, NULL);
		return;
	}
	transaction_reset(s, t);
	s->stage = STAGE_READY;
	s->lmtp = cmd->verb == VERB_LHLO;
	s->extended = cmd->verb != VERB_HELO;
	memcpy(s->helo, cmd->helo.name, sizeof(s->helo));
	if (!s->extended) {
		s->extensions = 0;
		session_reply(s, t, REPLY_HELO, s->hostname, s->helo);
		return;
	}
	offer(s, &ext);
	s->extensions = ext.bits;
	snprintf(greeting, sizeof(greeting), "greets %s", s->helo);
	t->out_len += extension_format(
	    t->out + t->out_len, SESSION_OUT - t->out_len, &ext, greeting);
}
