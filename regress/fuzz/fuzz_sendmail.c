/*
 * sendmail(8): the first line of the input is its command line, a word behind
 * each TAB; the rest is the message. What was accepted of the command line has
 * no control characters and no setting out of range; each recipient is
 * canonical, once there and no option; and what would be submitted is lines
 * that end with CRLF, with a dot alone as the last and no other, without Bcc,
 * and with what is added there once.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "ipc/enums.h"
#include "mail/header.h"
#include "regress/fuzz/fuzz.h"
#include "smtp/address.h"
#include "smtpctl/compose.h"
#include "smtpctl/options.h"

enum { WORDS = 20 };

static int
is_printable(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return 0;
	return 1;
}

static void
try_options(char *line)
{
	char name[] = "sendmail", *argv[WORDS + 1] = { name }, error[256] = "";
	struct sendmail_options o;
	int argc = 1;

	for (; argc < WORDS && line != NULL; argc++)
		argv[argc] = strsep(&line, "\t");
	argv[argc] = NULL;
	if (sendmail_parse(argc, argv, &o, error, sizeof(error)) == -1) {
		require(error[0] == '-');
		return;
	}
	require(o.first >= 1 && o.first <= argc);
	require(o.sender == NULL || is_printable(o.sender));
	require(o.full_name == NULL || is_printable(o.full_name));
	require(o.envid == NULL || is_printable(o.envid));
	require(!(o.notify & NOTIFY_NEVER) || o.notify == NOTIFY_NEVER);
	require(o.ret < RET_MAX && o.mode <= SENDMAIL_ALIASES);
}

static void
check_recipients(const struct addresses *a)
{
	char again[ADDRESS_SIZE];
	struct address one;

	for (size_t i = 0; i < a->count; i++) {
		const char *s = a->list[i];

		require(*s != '-' && *s != '\0' && is_printable(s));
		require(address_parse(s, strlen(s), ADDRESS_CANONICAL, &one) ==
		    ADDRESS_OK);
		require(strcmp(address_format(&one, again), s) == 0);
		for (size_t k = 0; k < i; k++)
			require(!address_equal(s, a->list[k]));
	}
}

static void
try_recipients(const struct draft *d)
{
	char error[256] = "", first[256] = "";
	struct addresses a = { 0 };

	if (compose_recipients(d, &a, error, sizeof(error)) == -1)
		require(*error != '\0');
	check_recipients(&a);
	require(addresses_qualify(&a, "host.example") == 0);
	for (size_t i = 0; i < a.count; i++)
		require(*address_domain(a.list[i]) != '\0');
	addresses_free(&a);
	/* the whole text as a list of the command line */
	addresses_parse(&a, d->data, d->len, first, sizeof(first));
	check_recipients(&a);
	addresses_free(&a);
}

/* CRLF lines, dots doubled, one line with a dot at the end; takes that and
 * the doubling away. */
static size_t
undo(char *text, size_t len)
{
	size_t n = 0;

	require(len >= 3 && memcmp(text + len - 3, ".\r\n", 3) == 0);
	require(len == 3 || text[len - 4] == '\n');
	len -= 3;
	for (size_t i = 0, start = 1; i < len; i++) {
		require(text[i] != '\n' || (i > 0 && text[i - 1] == '\r'));
		require(
		    text[i] != '\r' || (i + 1 < len && text[i + 1] == '\n'));
		if (start && text[i] == '.') {
			require(i + 1 < len && text[i + 1] != '\r');
			i++;
		}
		start = text[i] == '\n';
		text[n++] = text[i];
	}
	return n;
}

static void
try_write(const struct draft *d)
{
	static const struct additions add = { "From: a@host.example",
		"Date: Tue, 24 Nov 2026 16:04:05 +0100",
		"Message-ID: <1@host.example>" };
	char *text = NULL;
	size_t size = 0, pos = 0;
	unsigned seen[HEADER_IDS] = { 0 };
	struct header_field f;
	FILE *out;

	require((out = open_memstream(&text, &size)) != NULL);
	compose_write(d, &add, out);
	fclose(out);
	size = undo(text, size);
	while (header_next(text, size, &pos, &f))
		seen[f.id]++;
	require(seen[HEADER_FROM] > 0 && seen[HEADER_DATE] > 0 &&
	    seen[HEADER_MESSAGE_ID] > 0);
	for (int i = HEADER_RESENT_FROM; i <= HEADER_RESENT_MESSAGE_ID; i++)
		require(seen[i] == 0 ||
		    (seen[HEADER_RESENT_FROM] > 0 &&
			seen[HEADER_RESENT_DATE] > 0 &&
			seen[HEADER_RESENT_MESSAGE_ID] > 0));
	require(seen[HEADER_BCC] == 0 && seen[HEADER_RESENT_BCC] == 0 &&
	    seen[HEADER_RETURN_PATH] == 0);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	char *line, mailbox[512];
	struct draft d;

	if (end == NULL)
		return 0;
	line = strndup((const char *)data, (size_t)(end - data));
	compose_mailbox(line, "a@host.example", mailbox, sizeof(mailbox));
	require(strlen(mailbox) < sizeof(mailbox) - 1);
	try_options(line);
	free(line);
	/* a block of its own, so that a read behind it is seen */
	d.len = size - (size_t)(end + 1 - data);
	d.data = memcpy(malloc(d.len + 1), end + 1, d.len);
	d.data = realloc((void *)(uintptr_t)d.data, d.len > 0 ? d.len : 1);
	try_recipients(&d);
	try_write(&d);
	free((void *)(uintptr_t)d.data);
	return 0;
}
