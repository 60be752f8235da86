/*
 * See reply.h: the table of replies and the server's formatting. A reply is
 * well-formed whatever its text holds.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "smtp/reply.h"

/* Octets of text that reply_format can fill in. */
enum { FORMAT_MAX = 2048 };

static const struct entry {
	int code;
	const char *enhanced;
	const char *text;
} replies[REPLY_COUNT] = {
	[REPLY_NONE] = { 0, "", "" },
#define REPLY(id, code, enhanced, text) [REPLY_##id] = { code, enhanced, text },
#include "smtp/replies.tbl"
};

int
reply_code(enum reply_id id)
{
	return replies[id].code;
}

const char *
reply_enhanced(enum reply_id id)
{
	return replies[id].enhanced;
}

const char *
reply_text(enum reply_id id)
{
	return replies[id].text;
}

static char
safe_octet(char c)
{
	return c >= ' ' && c <= '~' ? c : '?';
}

size_t
reply_format(char *out, size_t size, enum reply_id id, ...)
{
	const char *format = replies[id].text, *arg;
	char text[FORMAT_MAX];
	size_t n = 0;
	va_list ap;

	va_start(ap, id);
	arg = va_arg(ap, const char *);
	while (*format != '\0' && n + 1 < sizeof(text)) {
		if (format[0] != '%' || format[1] != 's') {
			text[n++] = *format++;
			continue;
		}
		format += 2;
		/* no newline of an argument may begin a line of the reply */
		for (const char *a = arg != NULL ? arg : "?";
		     *a != '\0' && n + 1 < sizeof(text); a++)
			text[n++] = safe_octet(*a);
		if (arg != NULL)
			arg = va_arg(ap, const char *);
	}
	va_end(ap);
	text[n] = '\0';
	return reply_build(
	    out, size, replies[id].code, replies[id].enhanced, text);
}

/* The enhanced code to send with a code, followed by nothing. */
static void
choose_enhanced(int code, const char *enhanced, char out[REPLY_ENHANCED_SIZE])
{
	unsigned short parts[3];
	size_t n;

	*out = '\0';
	if (enhanced == NULL || *enhanced == '\0' || code / 100 == 3)
		return;
	n = reply_enhanced_parse(enhanced, code, parts);
	if (n == 0 || enhanced[n] != '\0')
		snprintf(out, REPLY_ENHANCED_SIZE, "%c.0.0",
		    (char)('0' + code / 100));
	else
		snprintf(out, REPLY_ENHANCED_SIZE, "%s", enhanced);
}

/*
 * Octets of the next line of text, at most room; *skip are those between it
 * and the line that follows. A line too long is folded at its last space.
 */
static size_t
next_line(const char *text, size_t room, size_t *skip)
{
	size_t n = strcspn(text, "\n"), fold;

	if (n <= room) {
		*skip = text[n] == '\n';
		if (n > 0 && *skip && text[n - 1] == '\r') {
			n--;
			*skip = 2;
		}
		return n;
	}
	for (fold = room; fold > room / 2; fold--)
		if (text[fold] == ' ') {
			*skip = 1;
			return fold;
		}
	*skip = 0;
	return room;
}

size_t
reply_build(
    char *out, size_t size, int code, const char *enhanced, const char *text)
{
	char chosen[REPLY_ENHANCED_SIZE], prefix[4 + REPLY_ENHANCED_SIZE + 1];
	size_t prefix_len, room, len, skip, n = 0, last = 0;

	if (code < 200 || code > 599)
		code = 451;
	choose_enhanced(code, enhanced, chosen);
	prefix_len = (size_t)snprintf(prefix, sizeof(prefix), "%03d-%s%s", code,
	    chosen, *chosen != '\0' ? " " : "");
	room = REPLY_LINE_MAX - 2 - prefix_len;
	do {
		len = next_line(text, room, &skip);
		if (n + prefix_len + len + 3 > size)
			break;
		last = n;
		memcpy(out + n, prefix, prefix_len);
		n += prefix_len;
		for (size_t i = 0; i < len; i++)
			out[n++] = safe_octet(text[i]);
		out[n++] = '\r';
		out[n++] = '\n';
		text += len + skip;
	} while (*text != '\0');
	if (n > 0)
		out[last + 3] = ' ';
	out[n] = '\0';
	return n;
}
