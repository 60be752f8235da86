/*
 * See extension.h. Each extension stands once in the table, with how its
 * parameter is written and how it is read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "smtp/decimal.h"
#include "smtp/extension.h"

/* Octets of a line of the reply without code and CRLF. */
enum { PARAMETER_MAX = REPLY_LINE_MAX - 6 };

static void
write_size(const struct smtp_extensions *ext, char *out, size_t size)
{
	if (ext->size_max != 0)
		snprintf(out, size, " %" PRIu64, ext->size_max);
}

static void
write_mechanisms(const struct smtp_extensions *ext, char *out, size_t size)
{
	snprintf(out, size, " %s", ext->mechanisms);
}

static void
write_limits(const struct smtp_extensions *ext, char *out, size_t size)
{
	size_t n = 0;

	if (ext->rcpt_max != 0)
		n = (size_t)snprintf(
		    out, size, " RCPTMAX=%" PRIu32, ext->rcpt_max);
	if (ext->mail_max != 0)
		snprintf(out + n, size - n, " MAILMAX=%" PRIu32, ext->mail_max);
}

/* The next word of a line; *len is 0 at the end. */
static const char *
next_word(const char *s, size_t *len)
{
	s += strspn(s, " ");
	*len = strcspn(s, " ");
	return s;
}

static void
read_size(struct smtp_extensions *ext, const char *parameter)
{
	size_t len;
	const char *word = next_word(parameter, &len);

	if (decimal_parse(word, len, UINT64_MAX, &ext->size_max) == -1)
		ext->size_max = 0;
}

static int
has_mechanism(const struct smtp_extensions *ext, const char *name, size_t len)
{
	size_t n;

	for (const char *word = next_word(ext->mechanisms, &n); n > 0;
	     word = next_word(word + n, &n))
		if (n == len && strncasecmp(word, name, n) == 0)
			return 1;
	return 0;
}

/* sasl-mech of RFC 4422 3.1. */
static int
is_mechanism(const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!(word[i] >= '0' && word[i] <= '9') &&
		    !((word[i] | 0x20) >= 'a' && (word[i] | 0x20) <= 'z') &&
		    word[i] != '-' && word[i] != '_')
			return 0;
	return len <= 20;
}

static void
read_mechanisms(struct smtp_extensions *ext, const char *parameter)
{
	size_t at = strlen(ext->mechanisms), len;

	for (const char *word = next_word(parameter, &len); len > 0;
	     word = next_word(word + len, &len)) {
		if (!is_mechanism(word, len) || has_mechanism(ext, word, len) ||
		    at + 1 + len >= sizeof(ext->mechanisms))
			continue;
		if (at > 0)
			ext->mechanisms[at++] = ' ';
		for (size_t i = 0; i < len; i++)
			ext->mechanisms[at++] = word[i] >= 'a' && word[i] <= 'z'
			    ? (char)(word[i] - 0x20)
			    : word[i];
		ext->mechanisms[at] = '\0';
	}
}

static void
read_limits(struct smtp_extensions *ext, const char *parameter)
{
	static const char rcpt[] = "RCPTMAX=", mail[] = "MAILMAX=";
	const size_t name = sizeof(rcpt) - 1;
	uint64_t n;
	size_t len;

	for (const char *word = next_word(parameter, &len); len > 0;
	     word = next_word(word + len, &len)) {
		if (len <= name ||
		    decimal_parse(word + name, len - name, UINT32_MAX, &n) ==
			-1)
			continue;
		if (strncasecmp(word, rcpt, name) == 0)
			ext->rcpt_max = (uint32_t)n;
		else if (strncasecmp(word, mail, name) == 0)
			ext->mail_max = (uint32_t)n;
	}
}

static const struct extension {
	const char *keyword;
	enum smtp_extension bit;
	void (*write)(const struct smtp_extensions *, char *, size_t);
	void (*read)(struct smtp_extensions *, const char *);
} extensions[] = {
	{ "PIPELINING", EXT_PIPELINING, NULL, NULL },
	{ "SIZE", EXT_SIZE, write_size, read_size },
	{ "ETRN", EXT_ETRN, NULL, NULL },
	{ "STARTTLS", EXT_STARTTLS, NULL, NULL },
	{ "AUTH", EXT_AUTH, write_mechanisms, read_mechanisms },
	{ "ENHANCEDSTATUSCODES", EXT_ENHANCED, NULL, NULL },
	{ "8BITMIME", EXT_8BITMIME, NULL, NULL },
	{ "DSN", EXT_DSN, NULL, NULL },
	{ "SMTPUTF8", EXT_SMTPUTF8, NULL, NULL },
	{ "CHUNKING", EXT_CHUNKING, NULL, NULL },
	{ "BINARYMIME", EXT_BINARYMIME, NULL, NULL },
	{ "LIMITS", EXT_LIMITS, write_limits, read_limits },
	{ "HELP", EXT_HELP, NULL, NULL },
};

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static const struct extension *
find(const char *keyword, size_t len)
{
	for (size_t i = 0; i < NITEMS(extensions); i++)
		if (strlen(extensions[i].keyword) == len &&
		    strncasecmp(extensions[i].keyword, keyword, len) == 0)
			return &extensions[i];
	return NULL;
}

const char *
extension_keyword(enum smtp_extension bit)
{
	for (size_t i = 0; i < NITEMS(extensions); i++)
		if (extensions[i].bit == bit)
			return extensions[i].keyword;
	return "";
}

unsigned
extension_find(const char *keyword, size_t len)
{
	const struct extension *e = find(keyword, len);

	return e != NULL ? e->bit : 0;
}

size_t
extension_format(char *out, size_t size, const struct smtp_extensions *ext,
    const char *greeting)
{
	char text[NITEMS(extensions) * 32 + 2 * PARAMETER_MAX];
	char parameter[PARAMETER_MAX];
	size_t n;

	n = (size_t)snprintf(text, PARAMETER_MAX, "%s%s%s", ext->name,
	    *greeting != '\0' ? " " : "", greeting);
	if (n >= PARAMETER_MAX)
		n = PARAMETER_MAX - 1;
	/* a greeting is one line, whatever it holds */
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\n')
			*c = '?';
	for (size_t i = 0; i < NITEMS(extensions); i++) {
		const struct extension *e = &extensions[i];

		if ((ext->bits & e->bit) == 0)
			continue;
		*parameter = '\0';
		if (e->write != NULL)
			e->write(
			    ext, parameter, PARAMETER_MAX - strlen(e->keyword));
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\n%s%s",
		    e->keyword, parameter);
	}
	return reply_build(out, size, 250, NULL, text);
}

void
extension_parse_line(struct smtp_extensions *ext, int first, const char *line)
{
	const struct extension *e;
	const char *word;
	size_t len;

	word = next_word(line, &len);
	if (first) {
		if (len >= sizeof(ext->name))
			len = sizeof(ext->name) - 1;
		memcpy(ext->name, word, len);
		ext->name[len] = '\0';
		return;
	}
	/* AUTH=LOGIN is how servers wrote it before RFC 2554 */
	if (strncasecmp(word, "AUTH=", 5) == 0)
		len = 4;
	if ((e = find(word, len)) == NULL)
		return;
	ext->bits |= e->bit;
	if (e->read != NULL && word[len] != '\0')
		e->read(ext, word + len + 1);
}

int
extension_has_mechanism(const struct smtp_extensions *ext, const char *name)
{
	return has_mechanism(ext, name, strlen(name));
}
