/*
 * See alias_line.h. Quotes and parentheses are those of alias.c, and hold a
 * `#` that begins no comment. So do the apostrophes of a command: the shell
 * would find them open.
 */
#include <stddef.h>
#include <string.h>

#include "conf/alias_line.h"

/* Where a destination stands at the end of what is read so far. */
struct scan {
	char first; /* its first octet but blanks and quotes; 0: none yet */
	char quote; /* what ends the quotes; 0: outside */
	int depth; /* of parentheses */
};

static int
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void
scan_plain(struct scan *scan, char c)
{
	if (c == ',')
		scan->first = '\0';
	else if (c == '"' || (c == '\'' && scan->first == '|'))
		scan->quote = c;
	else if (c == '(' &&
	    (scan->first == '\0' || !strchr("|/:", scan->first)))
		scan->depth = 1;
	else if (scan->first == '\0' && !is_blank(c))
		scan->first = c;
}

/* What is left of the line without its comment. */
static size_t
scan_line(struct scan *scan, const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = line[i];

		if (c == '\\' && (scan->quote == '"' || scan->depth > 0))
			i++;
		else if (scan->depth > 0)
			scan->depth += (c == '(') - (c == ')');
		else if (scan->quote == '\0') {
			if (c == '#' && (i == 0 || is_blank(line[i - 1])))
				return i;
			scan_plain(scan, c);
		} else if (c == scan->quote)
			scan->quote = '\0';
		else if (scan->first == '\0')
			scan->first = c;
	}
	return len;
}

/* Joins in place. A backslash in a comment is part of it. */
static char *
join_lines(struct alias_lines *lines)
{
	struct scan scan = { 0 };
	char *begin = lines->rest, *end = begin, *line;
	int more = 1;

	lines->line = lines->read + 1;
	while (more && (line = strsep(&lines->rest, "\n")) != NULL) {
		size_t len = strlen(line), kept;

		lines->read++;
		while (len > 0 && line[len - 1] == '\r')
			len--;
		kept = scan_line(&scan, line, len);
		more = kept == len && len > 0 && line[len - 1] == '\\';
		kept -= (size_t)more;
		memmove(end, line, kept);
		end += kept;
	}
	*end = '\0';
	return begin;
}

char *
alias_next_line(struct alias_lines *lines)
{
	char *line;

	while (lines->rest != NULL) {
		line = join_lines(lines);
		line += strspn(line, " \t");
		if (*line != '\0')
			return line;
	}
	return NULL;
}
