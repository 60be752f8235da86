/*
 * Command lines: a refusal is one well-formed reply; a MAIL or RCPT that is
 * taken is written, read and written as the same; nothing kept of a line
 * holds a control character. The first two octets of the input say which
 * extensions were offered, whether the transaction is SMTPUTF8, and whether
 * addresses are completed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/command.h"
#include "smtp/utf8.h"

enum { ALL = EXT_LIMITS * 2 - 1, EVERY = COMMAND_SMTPUTF8 | COMMAND_BARE };

static void
require(int condition)
{
	if (!condition)
		abort();
}

static void
check_refusal(const struct smtp_command *c)
{
	char out[REPLY_SIZE];
	size_t n = command_refusal(c, out, sizeof(out));

	require(n > 6 && n <= REPLY_LINE_MAX);
	require(strstr(out, "\r\n") == out + n - 2);
	require(out[0] == '5');
}

/* Writes the command, reads it, writes it again. */
static void
check_round_trip(const struct smtp_command *c)
{
	char first[8192], second[8192];
	struct smtp_command d;
	ssize_t n, m;

	n = c->verb == VERB_MAIL
	    ? command_format_mail(&c->mail, ALL, first, sizeof(first))
	    : command_format_rcpt(&c->rcpt, ALL, first, sizeof(first));
	require(n > 2);
	require(
	    command_parse(first, (size_t)n - 2, ALL, EVERY, &d) == REPLY_NONE);
	require(d.verb == c->verb);
	m = c->verb == VERB_MAIL
	    ? command_format_mail(&d.mail, ALL, second, sizeof(second))
	    : command_format_rcpt(&d.rcpt, ALL, second, sizeof(second));
	require(m == n && strcmp(first, second) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data + 2;
	struct smtp_command c;
	unsigned extensions;
	unsigned options;

	if (size < 2)
		return 0;
	extensions = data[0] | (data[1] & 0x1fu) << 8;
	options = (data[1] & 0x80 ? COMMAND_SMTPUTF8 : 0u) |
	    (data[1] & 0x40 ? COMMAND_BARE : 0u);
	size -= 2;
	command_is_foreign(line, size);
	if (command_parse(line, size, extensions, options, &c) != REPLY_NONE) {
		check_refusal(&c);
		return 0;
	}
	require(c.arg >= line && c.arg + c.arg_len <= line + size);
	switch (c.verb) {
	case VERB_MAIL:
		require(utf8_is_text(c.mail.envid, strlen(c.mail.envid)));
		require(utf8_is_text(c.mail.auth, strlen(c.mail.auth)));
		require(!c.mail.sender.utf8_given || c.mail.smtputf8);
		check_round_trip(&c);
		break;
	case VERB_RCPT:
		require(utf8_is_text(c.rcpt.orcpt, strlen(c.rcpt.orcpt)));
		require((options & COMMAND_SMTPUTF8) ||
		    !c.rcpt.recipient.utf8_given);
		check_round_trip(&c);
		break;
	case VERB_HELO:
	case VERB_EHLO:
	case VERB_LHLO:
		require(strlen(c.helo.name) == c.arg_len);
		require(strpbrk(c.helo.name, " |\"'()<>\\;,%$`") == NULL);
		break;
	case VERB_AUTH:
		require(c.auth.initial == NULL ||
		    c.auth.initial + c.auth.initial_len <= line + size);
		break;
	default:
		break;
	}
	return 0;
}
