/*
 * See addresses.h. The lists may hold anything; what is no address is refused
 * with its text rather than guessed at, and so is an address that begins with
 * a dash, which some program behind us could take for an option. The others
 * of the list are none the worse for it.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/text.h"
#include "smtp/address.h"
#include "smtpctl/addresses.h"

enum { TEXT_MAX = 2048, NOTE_MAX = 200, COMMENT_DEPTH = 32 };

/* The address under collection. */
struct collector {
	struct addresses *out;
	char text[TEXT_MAX];
	size_t len;
	int space; /* white space since the last octet */
	int angle; /* 1 inside < >, 2 after */
	int open; /* a comment in it has no end */
	int overflow;
	char *error;
	size_t size;
};

int
addresses_add(struct addresses *a, const char *address)
{
	char **grown;

	/* a list names few twice, but does: quadratic only to a point */
	for (size_t i = 0; i < a->count && a->count < 2000; i++)
		if (address_equal(a->list[i], address))
			return 0;
	if (a->count == ADDRESSES_MAX)
		return -1;
	if (a->count == a->room) {
		size_t room = a->room ? a->room * 2 : 16;

		grown = reallocarray(a->list, room, sizeof(*grown));
		if (grown == NULL)
			return -1;
		a->list = grown;
		a->room = room;
	}
	if ((a->list[a->count] = strdup(address)) == NULL)
		return -1;
	a->count++;
	return 0;
}

static int
is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

static void
put(struct collector *c, char ch)
{
	if (c->angle == 2 || c->len + 2 >= TEXT_MAX) {
		c->overflow = 1;
		return;
	}
	/* white space around `@` and `.` means nothing, elsewhere it ends */
	if (c->space && c->len > 0 && ch != '@' && ch != '.' &&
	    c->text[c->len - 1] != '@' && c->text[c->len - 1] != '.')
		c->text[c->len++] = ' ';
	c->space = 0;
	c->text[c->len++] = ch;
}

/* A line of error, or that there are others where it finds no room. */
static void
note(struct collector *c, const char *why)
{
	static const char others[] = "\nand others";
	size_t n = strlen(c->error);
	char text[101];

	/* whoever wrote the message is not to write to our terminal */
	text_safe(text, sizeof(text), c->text, TEXT_PLAIN, 1);
	if (n == 0 || c->size - n > NOTE_MAX + sizeof(others))
		snprintf(c->error + n, c->size - n, "%s`%s`: %s",
		    n > 0 ? "\n" : "", text, why);
	else if (n < sizeof(others) ||
	    strcmp(c->error + n - sizeof(others) + 1, others) != 0)
		snprintf(c->error + n, c->size - n, "%s", others);
}

/* The element is over. */
static int
take(struct collector *c)
{
	const unsigned flags = ADDRESS_UTF8 | ADDRESS_BARE | ADDRESS_LONG;
	char canonical[ADDRESS_SIZE], path[TEXT_MAX + 3];
	struct address a;
	enum address_error e = ADDRESS_OK;
	const char *why = NULL;
	int empty = c->len == 0 && c->angle != 1; /* <> names nobody */

	c->text[c->len] = '\0';
	if (c->angle == 1)
		why = "`>` is missing";
	else if (c->open)
		why = "`)` is missing";
	else if (c->overflow)
		why = "too long, or followed by something that is no address";
	else if (!empty && c->angle == 2) {
		snprintf(path, sizeof(path), "<%s>", c->text);
		e = address_parse_path(
		    path, strlen(path), flags | ADDRESS_POSTMASTER, &a);
	} else if (!empty)
		e = address_parse(c->text, c->len, flags, &a);
	if (e != ADDRESS_OK)
		why = address_strerror(e);
	if (why == NULL && !empty) {
		address_format(&a, canonical);
		if (canonical[0] == '-')
			why = "it begins with a dash";
		else if (addresses_add(c->out, canonical) == -1)
			why = "too many recipients";
	}
	if (why != NULL)
		note(c, why);
	c->len = 0;
	c->angle = c->space = c->open = c->overflow = 0;
	return why == NULL ? 0 : -1;
}

/* Steps over a comment; the index of its last octet, len if it has no end. */
static size_t
skip_comment(const char *s, size_t i, size_t len)
{
	int depth = 0;

	for (; i < len; i++) {
		if (s[i] == '\\')
			i++;
		else if (s[i] == '(' && depth < COMMENT_DEPTH)
			depth++;
		else if (s[i] == ')' && --depth <= 0)
			return i;
	}
	return len;
}

/* Copies what follows a parenthesis that is not closed: whether it lists others
 * cannot be known. The index of its last octet. */
static size_t
copy_open(struct collector *c, const char *s, size_t i, size_t len)
{
	c->open = 1;
	for (; i < len; i++)
		if (is_blank(s[i]))
			c->space = 1;
		else
			put(c, s[i]);
	return len;
}

/* Copies a quoted string; the index of its last octet. */
static size_t
copy_quoted(struct collector *c, const char *s, size_t i, size_t len)
{
	put(c, s[i++]);
	for (; i < len; i++) {
		c->space = 0;
		put(c, s[i]);
		if (s[i] == '\\' && i + 1 < len)
			put(c, s[++i]);
		else if (s[i] == '"')
			return i;
	}
	return len;
}

int
addresses_parse(
    struct addresses *out, const char *s, size_t len, char *error, size_t size)
{
	struct collector c = { .out = out, .error = error, .size = size };
	int literal = 0, rc = 0;

	for (size_t i = 0, end; i < len; i++) {
		char ch = s[i];

		if (ch == '(')
			i = (end = skip_comment(s, i, len)) < len
			    ? end
			    : copy_open(&c, s, i, len);
		else if (ch == '"')
			i = copy_quoted(&c, s, i, len);
		else if (is_blank(ch))
			c.space = 1;
		else if (ch == '<' && c.angle == 0) {
			c.len = 0; /* that was a name */
			c.space = c.overflow = 0;
			c.angle = 1;
		} else if (ch == '>' && c.angle == 1)
			c.angle = 2;
		else if (ch == ':' && c.angle == 0 && !literal)
			c.len = 0; /* that was the name of a group */
		else if ((ch == ',' || ch == ';') && c.angle != 1) {
			rc |= take(&c);
		} else {
			literal = ch == '[' ? 1 : ch == ']' ? 0 : literal;
			put(&c, ch);
		}
	}
	return rc | take(&c);
}

int
addresses_qualify(struct addresses *a, const char *domain)
{
	struct addresses whole = { 0 };
	char canonical[ADDRESS_SIZE];
	struct address one;
	int rc = 0;

	for (size_t i = 0; i < a->count && rc == 0; i++) {
		const char *text = a->list[i];

		if (address_parse(text, strlen(text), ADDRESS_CANONICAL,
			&one) == ADDRESS_OK &&
		    one.kind == ADDRESS_IS_BARE) {
			address_qualify(&one, domain);
			text = address_format(&one, canonical);
		}
		rc = addresses_add(&whole, text);
	}
	addresses_free(rc == 0 ? a : &whole);
	if (rc == 0)
		*a = whole;
	return rc;
}

void
addresses_leave_out(struct addresses *a, const char *done)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->count; i++)
		if (done[i] == 1)
			free(a->list[i]);
		else
			a->list[kept++] = a->list[i];
	a->count = kept;
}

/* Steps over a quoted string; the index of its last octet. */
static size_t
skip_quoted(const char *s, size_t i, size_t len)
{
	for (i++; i < len && s[i] != '"'; i++)
		if (s[i] == '\\')
			i++;
	return i;
}

static int
is_bare(const char *s, size_t begin, size_t end)
{
	struct address a;

	return end > begin &&
	    address_parse(s + begin, end - begin, ADDRESS_BARE, &a) ==
	    ADDRESS_OK &&
	    a.kind == ADDRESS_IS_BARE;
}

size_t
addresses_next_bare(const char *s, size_t len)
{
	size_t begin = 0, end = 0; /* of the text of an element, without
				    * comments around it; no text: end is 0 */
	int angle = 0, literal = 0;

	for (size_t i = 0; i < len; i++) {
		char ch = s[i];

		if (ch == '(')
			i = skip_comment(s, i, len);
		else if ((ch == '<' && angle == 0) ||
		    (ch == ':' && angle == 0 && !literal)) {
			angle = ch == '<';
			end = 0; /* that was a name, or one of a group */
		} else if ((ch == '>' && angle == 1) ||
		    ((ch == ',' || ch == ';') && angle != 1)) {
			if (is_bare(s, begin, end))
				return end;
			angle = ch == '>' ? 2 : 0;
			end = 0;
		} else if (!is_blank(ch) && angle != 2) {
			literal = ch == '[' ? 1 : ch == ']' ? 0 : literal;
			if (end == 0)
				begin = i;
			if (ch == '"')
				i = skip_quoted(s, i, len);
			end = i < len ? i + 1 : len;
		}
	}
	return angle != 1 && is_bare(s, begin, end) ? end : 0;
}

void
addresses_free(struct addresses *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->list[i]);
	free(a->list);
	memset(a, 0, sizeof(*a));
}
