/*
 * How errors are worded: where, what is wrong, and what to write instead. The
 * grammar only knows which word it did not expect and which it would have;
 * the tables here know what people usually mean.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "master/parser.h"

static void __attribute__((format(printf, 4, 0)))
report(struct parser *p, const struct conf_where *where, const char *kind,
    const char *format, va_list ap)
{
	char at[512];

	if (where->line == 0)
		snprintf(at, sizeof(at), "command line");
	else
		conf_where_text(p->conf, where, at, sizeof(at));
	fprintf(p->errors, "%s: %s", at, kind);
	vfprintf(p->errors, format, ap);
	putc('\n', p->errors);
}

void
parse_error(
    struct parser *p, const struct conf_where *where, const char *format, ...)
{
	va_list ap;

	if (++p->nerrors > PARSER_ERRORS_MAX)
		return;
	va_start(ap, format);
	report(p, where, "", format, ap);
	va_end(ap);
	if (p->nerrors == PARSER_ERRORS_MAX)
		fputs("too many errors; what follows is not looked at\n",
		    p->errors);
}

void
parse_warning(
    struct parser *p, const struct conf_where *where, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	report(p, where, "warning: ", format, ap);
	va_end(ap);
}

void
parse_out_of_memory(struct parser *p)
{
	p->nerrors++;
	fputs("out of memory while reading the configuration\n", p->errors);
}

/* ---- the nearest name ------------------------------------------------- */

#define NEAR_MAX 32 /* octets of a name that are compared */

/* How many octets must be changed, added or taken away, or swapped. */
static size_t
distance(const char *a, const char *b)
{
	size_t la = strnlen(a, NEAR_MAX), lb = strnlen(b, NEAR_MAX);
	size_t rows[NEAR_MAX + 1][NEAR_MAX + 1];
	size_t i, j, best;

	for (i = 0; i <= la; i++)
		rows[i][0] = i;
	for (j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (i = 1; i <= la; i++)
		for (j = 1; j <= lb; j++) {
			best = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (rows[i - 1][j] + 1 < best)
				best = rows[i - 1][j] + 1;
			if (rows[i][j - 1] + 1 < best)
				best = rows[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] &&
			    rows[i - 2][j - 2] + 1 < best)
				best = rows[i - 2][j - 2] + 1;
			rows[i][j] = best;
		}
	return rows[la][lb];
}

const char *
advice_nearest(const char *word, const char *const *names, size_t nnames)
{
	size_t i, d, best, len = strlen(word);
	const char *nearest = NULL;

	/* A third of the word may be wrong, but at most two octets. */
	best = len < 3 ? 1 : len < 6 ? 2 : 3;
	for (i = 0; i < nnames; i++) {
		if (names[i] == NULL || *names[i] == '<')
			continue;
		d = distance(word, names[i]);
		if (d < best && d > 0) {
			best = d;
			nearest = names[i];
		}
	}
	return nearest;
}

/* ---- syntax errors ---------------------------------------------------- */

/* What people write, by the statement that it stands in ("" for any) and the
 * word that was not expected ("" for any). The first row that fits is used. */
static const struct advice {
	const char *directive;
	const char *word;
	const char *text;
} advices[] = {
	{ "action", "verify",
	    "`tls` alone demands TLS and verifies the "
	    "certificate; write `tls`, or `tls no-verify` to skip that" },
	{ "action", "via", "write `host` instead of `via`" },
	{ "action", "as",
	    "write `mail-from` instead of `as`, or `user` for local mail" },
	{ "action", "hostname", "write `helo` instead of `hostname`" },
	{ "action", "source", "write `src` instead of `source`" },
	{ "action", "certificate",
	    "write `pki NAME`, and above it `pki NAME "
	    "cert \"/path\"`" },
	{ "action", "tls-require", "in an action it is `tls`" },
	{ "action", "smtps", "write `relay host smtps://NAME`" },
	{ "action", "deliver",
	    "write the method alone: `action \"NAME\" "
	    "mbox`" },
	{ "action", "expire", "write `ttl` instead of `expire`" },
	{ "match", "deliver",
	    "write `action \"NAME\"`, and above it `action "
	    "\"NAME\" mbox`" },
	{ "match", "relay",
	    "write `action \"NAME\"`, and above it `action "
	    "\"NAME\" relay`" },
	{ "match", "mbox",
	    "write `action \"NAME\"`, and above it `action "
	    "\"NAME\" mbox`" },
	{ "match", "maildir",
	    "write `action \"NAME\"`, and above it `action "
	    "\"NAME\" maildir`" },
	{ "match", "sender", "write `mail-from` instead of `sender`" },
	{ "match", "recipient", "write `rcpt-to` instead of `recipient`" },
	{ "match", "source", "write `from src` instead of `source`" },
	{ "match", "tagged", "write `tag` instead of `tagged`" },
	{ "match", "authenticated",
	    "write `auth` instead of "
	    "`authenticated`" },
	{ "match", "secure", "write `tls` instead of `secure`" },
	{ "match", "domain", "write `for domain`" },
	{ "match", "alias", "`alias` is an option of the action" },
	{ "match", "virtual", "`virtual` is an option of the action" },
	{ "match", ">",
	    "a table is written `<name>`, the null sender \"<>\" in quotes" },
	{ "match", "from", "the options of a rule stand before `action`" },
	{ "match", "for", "the options of a rule stand before `action`" },
	{ "match", "tag", "the options of a rule stand before `action`" },
	{ "match", "auth", "the options of a rule stand before `action`" },
	{ "match", "end of line",
	    "a rule ends with `action \"NAME\"` or "
	    "`reject`" },
	{ "match", "accept",
	    "a rule ends with `action \"NAME\"` or "
	    "`reject`" },
	{ "listen", "secure",
	    "`secure` became two lines: one with `tls`, and "
	    "one with `smtps` for port 465" },
	{ "listen", "certificate",
	    "write `pki NAME`, and above it `pki NAME "
	    "cert \"/path\"`" },
	{ "listen", "no-verify",
	    "a listener verifies no client unless it "
	    "says `verify`; leave `no-verify` out" },
	{ "listen", "starttls", "write `tls` instead of `starttls`" },
	{ "listen", "verify",
	    "only `tls-require verify` and `smtps verify` "
	    "look at a client's certificate" },
	{ "listen", "auth-require", "write `auth` instead of `auth-require`" },
	{ "pki", "certificate", "write `cert` instead of `certificate`" },
	{ "ca", "certificate", "write `cert` instead of `certificate`" },
	{ "filter", "builtin", "write `phase` instead of `builtin`" },
	{ "filter", "smtp-in", "write `phase` instead of `smtp-in`" },
	{ "table", "db", "write `table NAME db:/path`" },
	{ "queue", "expire", "write `queue ttl`" },
	{ "expire", "", "write `queue ttl` instead of `expire`" },
	{ "max-message-size", "", "write `smtp max-message-size`" },
	{ "bounce-warn", "", "write `bounce warn-interval`" },
	{ "limit", "", "write `mta limit` or `smtp limit`" },
	{ "subaddressing-delimiter", "", "write `smtp sub-addr-delim`" },
	{ "deliver", "",
	    "write `action \"NAME\" mbox`, and `match ... action "
	    "\"NAME\"`" },
	{ "relay", "", "write `action \"NAME\" relay`" },
	{ "from", "", "a rule begins with `match`; write `match from ...`" },
	{ "for", "", "a rule begins with `match`; write `match for ...`" },
	{ "mbox", "", "write `action \"NAME\" mbox`" },
	{ "maildir", "", "write `action \"NAME\" maildir`" },
	{ "port", "",
	    "write `listen on INTERFACE port ...`; a line goes on "
	    "only after a backslash" },
	{ "tls", "",
	    "a line goes on only after a backslash at the end of the "
	    "line above" },
	{ "auth", "",
	    "a line goes on only after a backslash at the end of "
	    "the line above" },
};

const char *
advice_find(const struct parser *p, const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (strcmp(advices[i].directive, p->directive) == 0 &&
		    (*advices[i].word == '\0' ||
			strcmp(advices[i].word, word) == 0))
			return advices[i].text;
	return NULL;
}

static bool
is_listed(const char *name, const char *const *names, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int
name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "`a`, `b` or a word" of what may stand here. Names of tokens are words of
 * the grammar, marks in single quotes, or descriptions. */
static void
expected_text(char *buf, size_t size, const char *const *expected, int n)
{
	const char *names[256], *separator, *name;
	size_t len = 0;
	int i, count = 0;

	buf[0] = '\0';
	for (i = 0; i < n && count < 256; i++)
		if (strcmp(expected[i], "invalid token") != 0)
			names[count++] = expected[i];
	qsort(names, (size_t)count, sizeof(names[0]), name_compare);
	for (i = 0; i < count && len < size; i++) {
		name = names[i];
		separator = i == 0 ? "" : i == count - 1 ? " or " : ", ";
		if (strchr(name, ' ') != NULL)
			len += (size_t)snprintf(
			    buf + len, size - len, "%s%s", separator, name);
		else if (*name == '\'')
			len += (size_t)snprintf(buf + len, size - len, "%s`%c`",
			    separator, name[1]);
		else
			len += (size_t)snprintf(
			    buf + len, size - len, "%s`%s`", separator, name);
	}
}

/* A line that begins with a word which begins no statement could only be a
 * macro, so `=` is all that the grammar would have. */
static bool
no_statement(struct parser *p, const char *const *expected, int nexpected)
{
	static const char *const statements[] = { "accept", "action", "admd",
		"bounce", "ca", "filter", "include", "listen", "match", "mda",
		"mta", "pki", "proc", "queue", "scheduler", "set", "smtp",
		"srs", "table" };
	const char *nearest, *advice;

	if (nexpected != 1 || strcmp(expected[0], "'='") != 0)
		return false;
	if ((advice = advice_find(p, "")) != NULL) {
		parse_error(p, &p->directive_where,
		    "`%s` begins no "
		    "statement; %s",
		    p->directive, advice);
		return true;
	}
	nearest = advice_nearest(p->directive, statements,
	    sizeof(statements) / sizeof(statements[0]));
	if (nearest != NULL)
		parse_error(p, &p->directive_where,
		    "`%s` begins no "
		    "statement; did you mean `%s`?",
		    p->directive, nearest);
	else
		parse_error(p, &p->directive_where,
		    "`%s` begins no "
		    "statement; relais.conf(5) lists them, and a macro is "
		    "`%s = \"value\"`",
		    p->directive, p->directive);
	return true;
}

/* Whether only blanks stand between the first word of the statement and
 * this place. */
static bool
second_in_statement(const struct parser *p, const struct conf_where *where)
{
	size_t at, len = 0;
	const char *line = lex_line_text(p, where, &len);

	if (line == NULL || where->line != p->directive_where.line)
		return false;
	at = p->directive_where.column - 1 + strlen(p->directive);
	while (at < len && (line[at] == ' ' || line[at] == '\t'))
		at++;
	return at == where->column - 1;
}

/* `tls = "..."`: a reserved word in the place of a macro's name. */
static bool
reserved_macro(
    struct parser *p, const struct conf_where *where, const char *found)
{
	bool first = where->line == p->directive_where.line &&
	    where->column == p->directive_where.column;

	if (p->depth > 0 || parse_keyword(p->directive) == 0)
		return false;
	if (!(strcmp(found, "'='") == 0 && second_in_statement(p, where)) &&
	    !(first && lex_equals_follows(p)))
		return false;
	parse_error(p, &p->directive_where,
	    "a macro cannot be called `%s`, "
	    "which is a reserved word; choose another name",
	    p->directive);
	return true;
}

/* An error inside braces: true when it was one of braces. */
static bool
inside_braces(struct parser *p, const struct conf_where *where, bool is_keyword)
{
	if (p->depth == 0)
		return false;
	/* A statement inside braces: they were never closed. */
	p->skipping = !(is_keyword && where->line == p->directive_where.line &&
	    where->column == p->directive_where.column);
	p->depth = p->skipping ? p->depth : 0;
	if (is_keyword)
		parse_error(p, where,
		    "`%s` cannot stand inside braces; is "
		    "the `{` in line %u not closed, or the word not quoted?",
		    p->token_text, p->brace.line);
	return is_keyword;
}

/* What to write instead, for an error that is none of the above. */
static void
report_unexpected(struct parser *p, const struct conf_where *where,
    const char *what, bool is_keyword, const char *const *expected, int n)
{
	bool word_fits = is_listed("a word", expected, n);
	bool end_fits = is_listed("end of line", expected, n);
	const char *word = p->token_text, *advice, *nearest;
	char list[1024];

	if ((advice = advice_find(p, word)) != NULL)
		parse_error(p, where, "%s; %s", what, advice);
	else if (is_listed("listen", expected, n))
		parse_error(p, where,
		    "`%s` begins no statement; "
		    "relais.conf(5) lists them",
		    word);
	else if (is_keyword && word_fits && !end_fits)
		parse_error(p, where,
		    "%s: it is a reserved word; write "
		    "\"%s\" to use it as a name",
		    what, word);
	else if ((nearest = advice_nearest(word, expected, (size_t)n)) != NULL)
		parse_error(p, where, "%s; did you mean `%s`?", what, nearest);
	else if (n == 1 && end_fits)
		parse_error(p, where,
		    "%s; end the line before it, or write "
		    "a value that has spaces in double quotes",
		    what);
	else {
		expected_text(list, sizeof(list), expected, n);
		parse_error(p, where, "%s; write %s", what, list);
	}
}

void
advice_syntax(struct parser *p, const struct conf_where *where,
    const char *found, const char *const *expected, int nexpected)
{
	const char *word = p->token_text;
	bool is_keyword = strcmp(found, word) == 0 && parse_keyword(word) != 0;
	char what[96];

	p->nsyntax++;
	/* The lexer has told what is wrong with this word, or that the text
	 * ended inside braces. */
	if (strcmp(found, "error") == 0 ||
	    strcmp(found, "invalid token") == 0 || p->unclosed)
		return;
	if (inside_braces(p, where, is_keyword) ||
	    old_grammar_report(p, where, word) ||
	    reserved_macro(p, where, found) ||
	    no_statement(p, expected, nexpected))
		return;
	if (strcmp(found, "end of line") == 0 ||
	    strcmp(found, "end of file") == 0)
		snprintf(what, sizeof(what), "the line ends too early");
	else
		snprintf(what, sizeof(what), "`%s` cannot stand here", word);
	report_unexpected(p, where, what, is_keyword, expected, nexpected);
	if (p->quote.line != 0)
		parse_error(p, &p->quote,
		    "the quote that opens here ends in "
		    "another line; is one missing?");
	p->quote.line = 0;
}
