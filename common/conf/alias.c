/*
 * Splits an alias into its destinations. A comma separates unless it stands
 * inside double quotes; quotes may enclose a whole destination ("|prog arg")
 * or a part of it (|"prog arg"), and are dropped; inside them a backslash
 * takes the next octet literally. Comments in parentheses, as headers have
 * them, are dropped from addresses; a comma in one separates nothing. The text
 * may come from any user's .forward: nothing in it is trusted.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/alias.h"
#include "conf/conf.h"

#define ALIAS_TEXT_MAX 1024 /* octets of one destination */

struct splitter {
	const char *text;
	size_t len;
	size_t at;
	char *error;
	size_t errorlen;
};

static int
splitter_fail(struct splitter *split, const char *error)
{
	snprintf(split->error, split->errorlen, "%s", error);
	return -1;
}

static void
skip_blanks(struct splitter *split)
{
	while (split->at < split->len &&
	    isspace((unsigned char)split->text[split->at]))
		split->at++;
}

/* Whether the quotes that begin here are those of a local part, which stay:
 * "a b"@example.org. */
static int
quotes_stay(const struct splitter *split)
{
	size_t i;

	for (i = split->at + 1; i < split->len; i++) {
		if (split->text[i] == '\\')
			i++;
		else if (split->text[i] == '"')
			return i + 1 < split->len && split->text[i + 1] == '@';
	}
	return 0;
}

/* Whether this begins an address, if anything; what else there is may hold
 * parentheses of its own. */
static int
is_address(const char *buf, size_t len)
{
	if (len == 0)
		return 1;
	return strchr("|/:", *buf) == NULL &&
	    (len < 6 || strncasecmp(buf, "error:", 6) != 0);
}

/* To the end of a comment, which may hold others and escapes: RFC 5322 section
 * 3.2.2. */
static int
skip_comment(struct splitter *split)
{
	int depth = 0;

	for (; split->at < split->len; split->at++) {
		char c = split->text[split->at];

		if (c == '\\' && split->at + 1 < split->len)
			split->at++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			return 0;
	}
	return splitter_fail(
	    split, "a parenthesis is not closed; write `)` at its end");
}

/* Reads up to a comma outside quotes into buf, without the quotes. */
static int
item_read(struct splitter *split, char *buf, size_t size)
{
	size_t len = 0, keep = 0;
	int quoted = 0, stay;
	char c;

	stay = split->at < split->len && split->text[split->at] == '"' &&
	    quotes_stay(split);
	for (; split->at < split->len; split->at++) {
		c = split->text[split->at];
		if (!quoted && c == ',')
			break;
		if (!quoted && c == '(' && is_address(buf, len)) {
			if (skip_comment(split) == -1)
				return -1;
			c = ' ';
		}
		if (!quoted && len == 0 && isspace((unsigned char)c))
			continue;
		if (c == '"') {
			quoted = !quoted;
			keep = len;
			if (!stay)
				continue;
		} else if (quoted && c == '\\' && split->at + 1 < split->len) {
			/* What stays quoted keeps its escapes. */
			if (stay && len + 1 < size)
				buf[len++] = c;
			c = split->text[++split->at];
		}
		if (c == '\0' || c == '\n' || c == '\r')
			return splitter_fail(
			    split, "a control character; take it out");
		if (len + 1 >= size)
			return splitter_fail(split,
			    "a destination is longer "
			    "than 1024 octets; put it in a file and write "
			    "`:include:/path`");
		buf[len++] = c;
		if (quoted || !isspace((unsigned char)c))
			keep = len;
	}
	if (quoted)
		return splitter_fail(split,
		    "a double quote is not closed; write `\"` at its end");
	buf[keep] = '\0';
	return 0;
}

/* Name <address>, as headers have it, means the address. */
static const char *
skip_name(char *buf)
{
	size_t len = strlen(buf);
	char *angle = strrchr(buf, '<');

	if (angle == NULL || buf[len - 1] != '>')
		return buf;
	buf[len - 1] = '\0';
	return angle + 1;
}

/* Says what a destination is and where its text begins. */
static int
item_classify(struct splitter *split, char *buf, struct alias_item *item,
    const char **text)
{
	*text = buf;
	if (*buf == '|') {
		item->kind = ALIAS_COMMAND;
		for (*text = buf + 1; isspace((unsigned char)**text);)
			(*text)++;
	} else if (*buf == '/')
		item->kind = ALIAS_FILE;
	else if (strncasecmp(buf, ":include:", 9) == 0) {
		item->kind = ALIAS_INCLUDE;
		for (*text = buf + 9; isspace((unsigned char)**text);)
			(*text)++;
		if (**text != '/')
			return splitter_fail(split,
			    "`:include:` needs the "
			    "path of a file that begins with /");
	} else if (strncasecmp(buf, "error:", 6) == 0) {
		item->kind = ALIAS_ERROR;
		*text = buf + 6;
	} else {
		item->kind = ALIAS_ADDRESS;
		/* \user: deliver without another look at .forward. */
		if (*buf == '\\')
			*text = buf + 1;
		else
			*text = skip_name(buf);
	}
	if (**text == '\0')
		return splitter_fail(
		    split, "a destination is empty; write a recipient");
	return 0;
}

int
alias_parse(const char *text, size_t len, struct alias *alias, char *error,
    size_t errorlen, size_t *at)
{
	struct splitter split = { text, len, 0, error, errorlen };
	char buf[ALIAS_TEXT_MAX + 1];
	struct alias_item found, *item;
	const char *begin;

	memset(alias, 0, sizeof(*alias));
	for (;; split.at++) {
		skip_blanks(&split);
		*at = split.at;
		if (split.at >= len && alias->nitems > 0)
			return 0; /* a comma at the end is harmless */
		if (item_read(&split, buf, sizeof(buf)) == -1 ||
		    item_classify(&split, buf, &found, &begin) == -1)
			break;
		item =
		    conf_append(&alias->items, &alias->nitems, sizeof(*item));
		if (item == NULL || (item->text = strdup(begin)) == NULL) {
			splitter_fail(&split, "out of memory");
			break;
		}
		item->kind = found.kind;
		if (split.at >= len)
			return 0;
	}
	alias_free(alias);
	return -1;
}

int
alias_error_parse(const char *text, struct alias_error *error)
{
	unsigned int class, subject, detail;
	int used = 0;

	if ((text[0] != '4' && text[0] != '5') ||
	    !isdigit((unsigned char)text[1]) ||
	    !isdigit((unsigned char)text[2]) || text[3] != ' ' ||
	    text[4] == '\0')
		return -1;
	error->code = (uint16_t)((text[0] - '0') * 100 + (text[1] - '0') * 10 +
	    (text[2] - '0'));
	error->text = text + 4;
	snprintf(error->enhanced, sizeof(error->enhanced), "%c.2.0", text[0]);
	if (sscanf(error->text, "%1u.%3u.%3u %n", &class, &subject, &detail,
		&used) == 3 &&
	    used > 0 && class == error->code / 100U &&
	    error->text[used] != '\0') {
		snprintf(error->enhanced, sizeof(error->enhanced), "%u.%u.%u",
		    class % 10, subject % 1000, detail % 1000);
		error->text += used;
	}
	return 0;
}

void
alias_free(struct alias *alias)
{
	uint32_t i;

	for (i = 0; i < alias->nitems; i++)
		free(alias->items[i].text);
	free(alias->items);
	memset(alias, 0, sizeof(*alias));
}
