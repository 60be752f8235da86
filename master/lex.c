/*
 * The words of relais.conf, as smtpd.conf(5) has them: bare, or in double or
 * single quotes; `#` begins a comment that a backslash carries on too; inside
 * braces an end of line counts for nothing. Called by the parser of bison.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/lex.h"
#include "master/parse.h"

int yylex(YYSTYPE *, struct conf_where *, struct parser *);

/* ---- words ------------------------------------------------------------ */

static const char *
word_keep(struct parser *p, const char *word)
{
	char *copy, **slot;

	if ((copy = parse_strdup(p, word)) == NULL)
		return "";
	if ((slot = conf_append(&p->words, &p->nwords, sizeof(*slot))) ==
	    NULL) {
		free(copy);
		parse_out_of_memory(p);
		return "";
	}
	*slot = copy;
	return copy;
}

static struct macro *
macro_find(struct parser *p, const char *name)
{
	uint32_t i;

	for (i = 0; i < p->nmacros; i++)
		if (strcmp(p->macros[i].name, name) == 0)
			return &p->macros[i];
	return NULL;
}

void
lex_macro_set(struct parser *p, const struct conf_where *where,
    const char *name, const char *value, bool fixed)
{
	struct macro *macro;
	const char *c;

	for (c = name; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && *c != '_') {
			parse_error(p, where,
			    "a macro's name has letters, "
			    "digits and underscores only, not `%s`",
			    name);
			return;
		}
	if ((macro = macro_find(p, name)) == NULL) {
		macro = conf_append(&p->macros, &p->nmacros, sizeof(*macro));
		if (macro == NULL) {
			parse_out_of_memory(p);
			return;
		}
		macro->name = parse_strdup(p, name);
	} else if (macro->fixed)
		return;
	free(macro->value);
	macro->value = parse_strdup(p, value);
	macro->fixed = fixed;
	macro->where = *where;
	if (macro->name == NULL || macro->value == NULL)
		p->nmacros--;
}

/* Reads the name behind `$` and pushes the macro's value. */
static bool
macro_expand(struct parser *p, const struct conf_where *where)
{
	/* asked now: where the name ends, the value may have ended too */
	bool in_macro = p->frame->is_macro;
	char name[CONF_NAME_MAX + 1];
	struct frame *frame;
	struct macro *macro;
	size_t len = 0;
	char *value;
	int c;

	while ((isalnum(c = lex_raw(p)) || c == '_') && len < sizeof(name) - 1)
		name[len++] = (char)c;
	lex_unread(p, c);
	name[len] = '\0';
	if (in_macro) {
		parse_error(p, where,
		    "the value of a macro cannot use "
		    "another one, `$%s`",
		    name);
		return false;
	}
	if ((macro = macro_find(p, name)) == NULL) {
		parse_error(p, where,
		    "the macro `$%s` is not defined; write "
		    "`%s = \"value\"` above, or quote a word that begins "
		    "with $",
		    name, len > 0 ? name : "name");
		return false;
	}
	macro->used = true;
	/* what stands in it may set the macro anew: the frame has its own */
	if ((value = parse_strdup(p, macro->value)) == NULL)
		return false;
	if ((frame = lex_push(p, value, strlen(value))) == NULL) {
		free(value);
		return false;
	}
	frame->owned = value;
	frame->is_macro = true;
	frame->where = *where;
	return true;
}

static bool
word_begins(int c)
{
	return c >= 0x80 || isalnum(c) ||
	    (c > 0 && strchr(":_/.@~*%+-[^?&|", c) != NULL);
}

static bool
word_goes_on(int c)
{
	return c >= 0x80 || isalnum(c) ||
	    (ispunct(c) && strchr("(){}<>!=#,", c) == NULL);
}

/* Both readers of a word: 0, or -1 after an error was reported. */
static int
word_put(struct parser *p, const struct conf_where *where, char *buf,
    size_t *len, int c)
{
	if (*len + 1 >= PARSER_WORD_MAX) {
		parse_error(p, where, "a word is longer than %d octets",
		    PARSER_WORD_MAX - 1);
		return -1;
	}
	buf[(*len)++] = (char)c;
	buf[*len] = '\0';
	return 0;
}

static int
word_quoted(
    struct parser *p, const struct conf_where *where, int quote, char *buf)
{
	size_t len = 0;
	int c, next;

	buf[0] = '\0';
	while ((c = lex_raw(p)) != quote) {
		if (c == LEX_EOF || p->ungot_end) {
			parse_error(p, where, "the quote is not closed");
			lex_unread(p, c);
			return -1;
		}
		if (c == '\n') {
			p->quote = *where;
			continue;
		}
		if (c == '\0') {
			parse_error(p, where, "a NUL octet inside quotes");
			return -1;
		}
		if (c == '\\') {
			next = lex_raw(p);
			if (next == '\n' && !p->ungot_end)
				continue;
			if (next == quote || next == ' ' || next == '\t')
				c = next;
			else
				lex_unread(p, next);
		}
		if (word_put(p, where, buf, &len, c) == -1)
			return -1;
	}
	return 0;
}

static int
word_bare(struct parser *p, const struct conf_where *where, int c, char *buf)
{
	size_t len = 0;

	do {
		if (word_put(p, where, buf, &len, c) == -1)
			return -1;
		c = lex_get(p, false);
	} while (c != LEX_EOF && word_goes_on(c));
	lex_unread(p, c);
	return 0;
}

/* ---- tokens ----------------------------------------------------------- */

/* Skips blanks, comments, and ends of lines inside braces; expands macros. */
static int
token_begin(struct parser *p, struct conf_where *where)
{
	int c;

	for (;;) {
		c = lex_get(p, false);
		*where = p->before;
		if (c == ' ' || c == '\t' || c == '\r')
			continue;
		if (c == '#') {
			while (c != '\n' && c != LEX_EOF)
				c = lex_get(p, true);
			*where = p->before;
		}
		if (c == '\n' && p->depth > 0 && !p->skipping)
			p->line_start = true;
		else if (c == '$') {
			if (!macro_expand(p, where))
				return LEX_ERROR;
		} else
			return c;
	}
}

/* After an error the rest of the line is of no use. */
static int
token_error(struct parser *p)
{
	int c;

	while ((c = lex_raw(p)) != '\n' && c != LEX_EOF)
		;
	lex_unread(p, c);
	p->nsyntax++;
	return YYerror;
}

bool
lex_equals_follows(const struct parser *p)
{
	const struct frame *frame = p->frame;
	size_t at = frame != NULL ? frame->at : 0;

	if (frame == NULL)
		return false;
	while (at < frame->len &&
	    (frame->text[at] == ' ' || frame->text[at] == '\t'))
		at++;
	return at < frame->len && frame->text[at] == '=';
}

static int
token_word(struct parser *p, YYSTYPE *value, const char *word, bool quoted)
{
	bool first = p->line_start;
	int token = 0;

	p->line_start = false;
	snprintf(p->token_text, sizeof(p->token_text), "%s", word);
	if (!quoted && !p->plain && !p->after_less)
		token = parse_keyword(word);
	/* `set` begins a setting unless it is the name of a macro. */
	if (token == SET && (!first || lex_equals_follows(p)))
		token = 0;
	p->after_less = false;
	if (first && p->depth == 0) {
		snprintf(p->directive, sizeof(p->directive), "%s", word);
		p->plain = token == SET;
	}
	if (token != 0)
		return token;
	value->string = word_keep(p, word);
	return STRING;
}

static int
token_mark(struct parser *p, const struct conf_where *where, int c)
{
	int next;

	snprintf(
	    p->token_text, sizeof(p->token_text), "%c", isprint(c) ? c : '?');
	p->line_start = false;
	p->after_less = c == '<';
	if (c == '{' && p->depth++ == 0)
		p->brace = *where;
	else if (c == '}' && p->depth > 0)
		p->depth--;
	if (c != '=')
		return c;
	if ((next = lex_get(p, false)) == '>')
		return ARROW;
	lex_unread(p, next);
	return '=';
}

static int
token_read(struct parser *p, YYSTYPE *value, struct conf_where *where)
{
	char buf[PARSER_WORD_MAX];
	int c = token_begin(p, where);

	if (p->line_start && c != '\n')
		p->directive_where = *where;
	if (c == LEX_EOF) {
		if (p->depth > 0)
			parse_error(p, &p->brace, "the brace is not closed");
		p->unclosed = p->depth > 0;
		p->depth = 0;
		return 0;
	}
	if (c == '\n') {
		p->line_start = true;
		p->plain = p->after_less = false;
		snprintf(p->token_text, sizeof(p->token_text), "end of line");
		return EOL;
	}
	if (c == '"' || c == '\'') {
		if (word_quoted(p, where, c, buf) == -1)
			return token_error(p);
		return token_word(p, value, word_keep(p, buf), true);
	}
	if (word_begins(c)) {
		if (word_bare(p, where, c, buf) == -1)
			return token_error(p);
		return token_word(p, value, buf, false);
	}
	if (c > 0 && strchr("{}<>=!,", c) != NULL)
		return token_mark(p, where, c);
	if (c != LEX_ERROR)
		parse_error(p, where,
		    isprint(c) ? "`%c` can stand in quotes "
				 "only"
			       : "the octet \\%03o can stand in quotes only",
		    c);
	return token_error(p);
}

/* Words that begin a statement and nothing else. */
static bool
begins_statement(int token)
{
	switch (token) {
	case ACTION:
	case BOUNCE:
	case INCLUDE:
	case LISTEN:
	case MATCH:
	case QUEUE:
	case SCHEDULER:
	case TABLE:
		return true;
	default:
		return false;
	}
}

/* After an error inside braces: up to the line that closes them, or to the
 * next statement when they are never closed. */
static int
token_skip(struct parser *p, YYSTYPE *value, struct conf_where *where)
{
	bool closed = false, first;
	int token;

	for (;;) {
		first = p->line_start;
		token = token_read(p, value, where);
		if (token == 0 || (token == EOL && closed))
			break;
		if (token == '}')
			closed = true;
		else if (first && begins_statement(token)) {
			p->held_token = token;
			p->held_where = *where;
			token = EOL;
			break;
		}
	}
	p->skipping = false;
	p->depth = 0;
	return token;
}

int
yylex(YYSTYPE *value, struct conf_where *where, struct parser *p)
{
	int token;

	if (p->held_token != 0) {
		token = p->held_token;
		p->held_token = 0;
		*where = p->held_where;
		p->directive_where = *where;
		return token;
	}
	if (p->nerrors >= PARSER_ERRORS_MAX) {
		*where = p->before;
		return 0;
	}
	if (p->skipping)
		return token_skip(p, value, where);
	return token_read(p, value, where);
}
