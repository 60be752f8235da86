/*
 * See reply.h: the client's half. A hostile server gets no more than a line
 * of 4096 octets and 200 continuation lines, and whatever it sends comes out
 * as printable text.
 */
#include <stdio.h>
#include <string.h>

#include "smtp/reply.h"

void
reply_parser_init(struct reply_parser *p)
{
	memset(p, 0, sizeof(*p));
}

enum reply_class
reply_class(int code)
{
	return (enum reply_class)(code / 100);
}

/* One to three digits without leading zero; 0 octets if there is none. */
static size_t
read_part(const char *s, unsigned short *part)
{
	size_t n;

	*part = 0;
	for (n = 0; n < 3 && s[n] >= '0' && s[n] <= '9'; n++)
		*part = (unsigned short)(*part * 10 + (s[n] - '0'));
	if (n > 1 && s[0] == '0')
		return 0;
	return n;
}

size_t
reply_enhanced_parse(const char *text, int code, unsigned short enhanced[3])
{
	unsigned short parts[3];
	size_t n = 2, len;

	if (code / 100 == 3 || text[0] != '0' + code / 100 || text[1] != '.')
		return 0;
	parts[0] = (unsigned short)(code / 100);
	if ((len = read_part(text + n, &parts[1])) == 0 || text[n + len] != '.')
		return 0;
	n += len + 1;
	if ((len = read_part(text + n, &parts[2])) == 0)
		return 0;
	n += len;
	if (text[n] != '\0' && text[n] != ' ')
		return 0;
	memcpy(enhanced, parts, sizeof(parts));
	return n;
}

char *
reply_enhanced_format(const struct smtp_reply *r, char out[REPLY_ENHANCED_SIZE])
{
	*out = '\0';
	if (r->enhanced[0] != 0)
		snprintf(out, REPLY_ENHANCED_SIZE, "%hu.%hu.%hu",
		    r->enhanced[0], r->enhanced[1], r->enhanced[2]);
	return out;
}

static enum reply_event
fail(struct reply_parser *p, const char *error)
{
	p->error = error;
	return REPLY_EVENT_ERROR;
}

/* Adds a line's text to that of the reply, its enhanced code taken off. */
static void
join_text(struct smtp_reply *r, const char *text)
{
	unsigned short enhanced[3];
	size_t len = strlen(r->text), n;

	if ((n = reply_enhanced_parse(text, r->code, enhanced)) > 0) {
		if (r->enhanced[0] == 0)
			memcpy(r->enhanced, enhanced, sizeof(enhanced));
		text += n;
		text += *text == ' ';
	}
	if (*text == '\0')
		return;
	if (len > 0 && len + 1 < sizeof(r->text))
		r->text[len++] = ' ';
	n = strlen(text);
	if (n > sizeof(r->text) - 1 - len)
		n = sizeof(r->text) - 1 - len;
	memcpy(r->text + len, text, n);
	r->text[len + n] = '\0';
}

static int
parse_code(const char *line)
{
	int code = 0;

	for (int i = 0; i < 3; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		code = code * 10 + (line[i] - '0');
	}
	return code >= 200 && code <= 599 ? code : -1;
}

static int
ends_code(char c)
{
	return c == ' ' || c == '\t' || c == '-';
}

/* Whether a line within a reply is text that nobody gave a code: "Thank you
 * for your mail". The reply goes on to its last line all the same, so nothing
 * is taken for the answer to another command; to end here would have a message
 * sent again that the server has taken. */
static int
is_bare_text(const struct reply_parser *p, size_t len)
{
	if (p->reply.lines == 0)
		return 0;
	for (size_t i = 0; i < 3; i++)
		if (i >= len || p->line[i] < '0' || p->line[i] > '9')
			return 1;
	return len > 3 && !ends_code(p->line[3]);
}

/* A whole line is in p->line; leaves its text there and judges it. */
static enum reply_event
finish_line(struct reply_parser *p)
{
	struct smtp_reply *r = &p->reply;
	int code, more;
	size_t n = p->line_len, head = 4;

	if (n > 0 && p->line[n - 1] == '\r')
		n--;
	p->line[n] = '\0';
	p->line_len = p->read = 0;
	if (is_bare_text(p, n)) {
		code = r->code;
		head = 0;
		more = 1;
	} else if (n < 3 || (code = parse_code(p->line)) == -1)
		return fail(p, "no reply code");
	else if (n > 3 && !ends_code(p->line[3]))
		return fail(p, "malformed reply");
	else
		more = n > 3 && p->line[3] == '-';
	if (++r->lines > REPLY_CONTINUATION_MAX + 1)
		return fail(p, "too many lines in a reply");
	/* where codes differ the last one counts, as with other clients */
	if (code / 100 != r->code / 100)
		memset(r->enhanced, 0, sizeof(r->enhanced));
	r->code = code;
	n = n > head ? n - head : 0;
	if (n > REPLY_TEXT_SIZE - 1)
		n = REPLY_TEXT_SIZE - 1; /* there is room for a code as well */
	memmove(p->line, p->line + head, n);
	p->line[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (p->line[i] < ' ' || p->line[i] > '~')
			p->line[i] = '?';
	join_text(r, p->line);
	return more ? REPLY_EVENT_LINE : REPLY_EVENT_DONE;
}

enum reply_event
reply_parse(struct reply_parser *p, const char *data, size_t len, size_t *used)
{
	const char *lf;
	size_t n, keep;

	*used = 0;
	if (p->error != NULL)
		return REPLY_EVENT_ERROR;
	if (len == 0)
		return REPLY_EVENT_MORE;
	lf = memchr(data, '\n', len);
	n = lf != NULL ? (size_t)(lf - data) : len;
	p->read += n;
	if (p->read > REPLY_READ_MAX)
		return fail(p, "reply line too long");
	keep = sizeof(p->line) - 1 - p->line_len;
	keep = n < keep ? n : keep;
	memcpy(p->line + p->line_len, data, keep);
	p->line_len += keep;
	*used = n + (lf != NULL);
	return lf != NULL ? finish_line(p) : REPLY_EVENT_MORE;
}
