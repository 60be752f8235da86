/*
 * What a local user gives to sendmail. Input: 0 octets or a list of addresses
 * up to the first NUL, then a message. Addresses that were taken are taken
 * again, as they are. The message on its way has CRLF as its only line end,
 * one lone dot, which is its end, and no field that names who is blind-copied.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "smtpctl/compose.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_addresses(const struct addresses *got)
{
	struct addresses again = { 0 };
	char error[256];

	for (size_t i = 0; i < got->count; i++)
		if (addresses_parse(&again, got->list[i], strlen(got->list[i]),
			error, sizeof(error)) == -1 ||
		    again.count != i + 1 ||
		    strcmp(again.list[i], got->list[i]) != 0)
			abort();
	addresses_free(&again);
}

static int
is_blind(const char *line, size_t len)
{
	static const char *const names[] = { "Bcc:", "Resent-Bcc:" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (len >= strlen(names[i]) &&
		    strncasecmp(line, names[i], strlen(names[i])) == 0)
			return 1;
	return 0;
}

static void
check_message(const char *data, size_t len)
{
	int in_header = 1, ended = 0;
	const char *end;
	size_t n;

	for (; len > 0; data += n, len -= n) {
		if (ended || (end = memchr(data, '\n', len)) == NULL ||
		    end == data || end[-1] != '\r')
			abort();
		n = (size_t)(end - data) + 1;
		if (memchr(data, '\r', n) != end - 1)
			abort();
		ended = n == 3 && *data == '.';
		if (!ended && *data == '.' && data[1] != '.')
			abort();
		if (n == 2)
			in_header = 0;
		if (in_header && is_blind(data, n))
			abort();
	}
	if (!ended)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct additions more = { "From: a@b.example",
		"Date: Thu, 1 Jan 1970 00:00:00 +0000", "Message-ID: <a@b>" };
	const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
	struct addresses to = { 0 };
	char error[256] = "", *text;
	struct draft draft;
	size_t typed, len;
	FILE *out;

	if (nul == NULL)
		return 0;
	typed = (size_t)(nul - data);
	draft = (struct draft){ (const char *)nul + 1, size - typed - 1 };
	if ((addresses_parse(
		 &to, (const char *)data, typed, error, sizeof(error)) == -1 ||
		compose_recipients(&draft, &to, error, sizeof(error)) == -1) &&
	    *error == '\0')
		abort();
	check_addresses(&to);
	addresses_free(&to);
	if ((out = open_memstream(&text, &len)) == NULL)
		abort();
	compose_write(&draft, &more, out);
	if (fclose(out) != 0)
		abort();
	check_message(text, len);
	free(text);
	return 0;
}
