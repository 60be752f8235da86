/*
 * Lines of the grammar before OpenSMTPD 6.4, in which one `accept` line said
 * who may send what where and what becomes of it. Such a line is taken apart
 * into the `action` and the `match` that say the same now, which the error
 * shows. What has no such words is left out and named.
 */
#include <ctype.h>
#include <string.h>

#include "conf/url.h"
#include "master/parser.h"

#define OLD_WORDS_MAX 256
#define OLD_TEXT_MAX 8192

/* A part of the file: a word, one in quotes, <table>, { a, b } or `!`. */
struct old_word {
	const char *text;
	size_t len;
};

/* Words of the present grammar, a blank before each. */
struct old_text {
	char text[OLD_TEXT_MAX];
	size_t len;
};

enum old_method { METHOD_NONE, METHOD_USERS, METHOD_LOCAL, METHOD_RELAY };

struct old_rule {
	struct old_word words[OLD_WORDS_MAX];
	size_t nwords;
	size_t at;
	enum old_method kind;
	struct old_text match;
	struct old_text method;
	struct old_text users; /* options that a relay does not have */
	struct old_text options;
	struct old_text left_out;
	bool unclear; /* the line is too long to be shown, or malformed */
};

/* ---- the old line ----------------------------------------------------- */

/* The lengths of what begins the text; that of what is not closed is 0. */

static size_t
quoted_length(const char *text, size_t len)
{
	size_t end = 1;

	while (end < len && text[end] != '"' && text[end] != '\n')
		end += text[end] == '\\' && end + 1 < len ? 2 : 1;
	return end < len && text[end] == '"' ? end + 1 : 0;
}

/* Blanks, comments, and ends of lines behind a backslash. */
static size_t
blanks_length(const char *text, size_t len)
{
	size_t at = 0;

	for (;;) {
		if (at < len && memchr(" \t\r", text[at], 3) != NULL)
			at++;
		else if (at + 1 < len && memcmp(text + at, "\\\n", 2) == 0)
			at += 2;
		else if (at < len && text[at] == '#')
			while (at < len && text[at] != '\n')
				at++;
		else
			return at;
	}
}

static size_t
list_length(const char *text, size_t len)
{
	size_t end, n;

	for (end = 1; end<len; end += n> 0 ? n : 1) {
		if (text[end] == '}')
			return end + 1;
		n = blanks_length(text + end, len - end);
		if (text[end] == '"' &&
		    (n = quoted_length(text + end, len - end)) == 0)
			return 0;
	}
	return 0;
}

static size_t
word_length(const char *text, size_t len)
{
	size_t end = 1;

	if (*text == '"')
		return quoted_length(text, len);
	if (*text == '<') {
		while (end < len && text[end] != '>' && text[end] != '\n')
			end++;
		return end < len && text[end] == '>' ? end + 1 : 0;
	}
	if (*text == '{')
		return list_length(text, len);
	if (*text == '!')
		return 1;
	while (end < len && !isspace((unsigned char)text[end]))
		end++;
	return end;
}

/* The words of the statement that begins the text. */
static void
split(struct old_rule *rule, const char *text, size_t len)
{
	struct old_word *word;
	size_t at = 0;

	for (;;) {
		at += blanks_length(text + at, len - at);
		if (at >= len || text[at] == '\n')
			return;
		if (rule->nwords == OLD_WORDS_MAX) {
			rule->unclear = true;
			return;
		}
		word = &rule->words[rule->nwords++];
		word->text = text + at;
		word->len = word_length(word->text, len - at);
		if (word->len == 0) {
			rule->unclear = true;
			return;
		}
		at += word->len;
	}
}

static bool
word_is(const struct old_word *word, const char *text)
{
	return word->len == strlen(text) &&
	    strncmp(word->text, text, word->len) == 0;
}

/* The next word without taking it, NULL at the end. */
static const struct old_word *
peek(const struct old_rule *rule)
{
	return rule->at < rule->nwords ? &rule->words[rule->at] : NULL;
}

static bool
next_is(struct old_rule *rule, const char *text)
{
	if (peek(rule) == NULL || !word_is(peek(rule), text))
		return false;
	rule->at++;
	return true;
}

/* ---- the new words ---------------------------------------------------- */

static void
append_octets(
    struct old_rule *rule, struct old_text *to, const char *text, size_t len)
{
	if (len >= sizeof(to->text) - to->len) {
		rule->unclear = true;
		return;
	}
	memcpy(to->text + to->len, text, len);
	to->len += len;
	to->text[to->len] = '\0';
}

static void
append(struct old_rule *rule, struct old_text *to, const char *word)
{
	append_octets(rule, to, " ", 1);
	append_octets(rule, to, word, strlen(word));
}

/* A list in one line, whatever stood between its words. */
static void
append_list(
    struct old_rule *rule, struct old_text *to, const struct old_word *word)
{
	const char *text = word->text, *end = word->text + word->len;
	size_t len;

	append_octets(rule, to, " ", 1);
	while (text < end) {
		len = blanks_length(text, (size_t)(end - text));
		len += text + len < end && text[len] == '\n';
		if (len > 0) {
			if (to->text[to->len - 1] != ' ')
				append_octets(rule, to, " ", 1);
			text += len;
			continue;
		}
		len = *text == '"' ? quoted_length(text, (size_t)(end - text))
				   : 1;
		append_octets(rule, to, text, len);
		text += len;
	}
}

static void
append_word(
    struct old_rule *rule, struct old_text *to, const struct old_word *word)
{
	char name[64], quoted[sizeof(name) + 2];

	if (*word->text == '{') {
		append_list(rule, to, word);
		return;
	}
	/* a name may be a word of the grammar by now */
	snprintf(name, sizeof(name), "%.*s", (int)word->len, word->text);
	if (strlen(name) == word->len && parse_keyword(name) != 0) {
		snprintf(quoted, sizeof(quoted), "\"%s\"", name);
		append(rule, to, quoted);
		return;
	}
	append_octets(rule, to, " ", 1);
	append_octets(rule, to, word->text, word->len);
}

/* An option with the value that comes next. */
static void
append_option(struct old_rule *rule, struct old_text *to, const char *option)
{
	if (peek(rule) == NULL) {
		append(rule, &rule->left_out, option);
		return;
	}
	append(rule, to, option);
	append_word(rule, to, peek(rule));
	rule->at++;
}

/* ---- what became of the words ----------------------------------------- */

enum old_place {
	TO_NOWHERE,
	TO_MATCH,
	TO_METHOD,
	TO_USERS,
	TO_OPTIONS,
	BY_HAND /* convert_by_hand() */
};

enum old_value { ALONE, VALUE, MAYBE };

static const struct old_row {
	const char *old;
	enum old_place to;
	const char *now;
	enum old_value value;
	enum old_method method; /* TO_METHOD */
} old_rows[] = {
	{ "deliver", TO_NOWHERE, NULL, ALONE, METHOD_NONE },
	{ "to", TO_NOWHERE, NULL, ALONE, METHOD_NONE },
	{ "!", TO_MATCH, "!", ALONE, METHOD_NONE },
	{ "from", BY_HAND, NULL, ALONE, METHOD_NONE },
	{ "for", BY_HAND, NULL, ALONE, METHOD_NONE },
	{ "tagged", TO_MATCH, "tag", VALUE, METHOD_NONE },
	{ "authenticated", TO_MATCH, "auth", ALONE, METHOD_NONE },
	{ "sender", TO_MATCH, "mail-from", VALUE, METHOD_NONE },
	{ "recipient", TO_MATCH, "rcpt-to", VALUE, METHOD_NONE },
	{ "mbox", TO_METHOD, "mbox", ALONE, METHOD_USERS },
	{ "forward-only", TO_METHOD, "forward-only", ALONE, METHOD_USERS },
	{ "maildir", TO_METHOD, "maildir", MAYBE, METHOD_LOCAL },
	{ "mda", TO_METHOD, "mda", VALUE, METHOD_LOCAL },
	{ "lmtp", TO_METHOD, "lmtp", VALUE, METHOD_LOCAL },
	{ "rcpt-to", TO_METHOD, "rcpt-to", ALONE, METHOD_LOCAL },
	{ "relay", TO_METHOD, "relay", ALONE, METHOD_RELAY },
	{ "alias", TO_USERS, "alias", VALUE, METHOD_NONE },
	{ "virtual", TO_USERS, "virtual", VALUE, METHOD_NONE },
	{ "userbase", TO_USERS, "userbase", VALUE, METHOD_NONE },
	{ "expire", TO_OPTIONS, "ttl", VALUE, METHOD_NONE },
	{ "auth", TO_OPTIONS, "auth", VALUE, METHOD_NONE },
	{ "pki", TO_OPTIONS, "pki", VALUE, METHOD_NONE },
	{ "ca", TO_OPTIONS, "ca", VALUE, METHOD_NONE },
	{ "source", TO_OPTIONS, "src", VALUE, METHOD_NONE },
	{ "hostname", TO_OPTIONS, "helo", VALUE, METHOD_NONE },
	{ "hostnames", TO_OPTIONS, "helo-src", VALUE, METHOD_NONE },
	{ "tls", BY_HAND, NULL, ALONE, METHOD_NONE },
	{ "verify", BY_HAND, NULL, ALONE, METHOD_NONE },
	{ "as", BY_HAND, NULL, ALONE, METHOD_NONE },
	{ "backup", BY_HAND, NULL, ALONE, METHOD_NONE },
	{ "via", BY_HAND, NULL, ALONE, METHOD_NONE },
};

static const struct old_row *
row_find(const struct old_word *word)
{
	size_t i;

	for (i = 0; i < sizeof(old_rows) / sizeof(old_rows[0]); i++)
		if (word_is(word, old_rows[i].old))
			return &old_rows[i];
	return NULL;
}

/* Whether a value that may be left out comes next. */
static bool
value_follows(const struct old_rule *rule)
{
	return peek(rule) != NULL && row_find(peek(rule)) == NULL;
}

/* The relay of `via`, its protocol as it is written now. */
static void
append_relay(struct old_rule *rule, const struct old_word *word)
{
	bool quoted = word->len > 1 && *word->text == '"';
	const char *url = word->text + quoted, *now = NULL, *rest;
	size_t len = word->len - 2 * quoted;

	append(rule, &rule->options, "host");
	rest = memchr(url, ':', len);
	if (rest != NULL && len - (size_t)(rest - url) > 3 &&
	    memcmp(rest, "://", 3) == 0)
		now = url_scheme_now(url, (size_t)(rest - url));
	if (now == NULL) {
		append_word(rule, &rule->options, word);
		return;
	}
	append(rule, &rule->options, "\"");
	append_octets(rule, &rule->options, now, strlen(now));
	append_octets(rule, &rule->options, rest, len - (size_t)(rest - url));
	append_octets(rule, &rule->options, "\"", 1);
}

/* `from` and `for`: local, any, [source] TABLE, domain TABLE. */
static void
convert_place(struct old_rule *rule, const char *word)
{
	const struct old_word *value;

	if (next_is(rule, "!"))
		append(rule, &rule->match, "!");
	if ((value = peek(rule)) == NULL) {
		append(rule, &rule->left_out, word);
		return;
	}
	append(rule, &rule->match, word);
	if (next_is(rule, "local"))
		append(rule, &rule->match, "local");
	else if (next_is(rule, "any"))
		append(rule, &rule->match, "any");
	else if (next_is(rule, "domain"))
		append_option(rule, &rule->match, "domain");
	else {
		next_is(rule, "source");
		append_option(rule, &rule->match, "src");
	}
}

static void
convert_by_hand(struct old_rule *rule, const char *word)
{
	if (strcmp(word, "from") == 0 || strcmp(word, "for") == 0)
		convert_place(rule, word);
	else if (strcmp(word, "tls") == 0 || strcmp(word, "verify") == 0) {
		/* `tls` verifies */
		append(rule, &rule->options, "tls");
		next_is(rule, "verify");
	} else if (strcmp(word, "as") == 0) {
		if (rule->kind == METHOD_RELAY)
			append_option(rule, &rule->options, "mail-from");
		else if (rule->kind == METHOD_LOCAL)
			append_option(rule, &rule->options, "user");
		else
			append_option(rule, &rule->left_out, word);
	} else if (strcmp(word, "backup") == 0) {
		append(rule, &rule->options, word);
		if (value_follows(rule))
			append_option(rule, &rule->options, "mx");
	} else if (peek(rule) != NULL)
		append_relay(rule, &rule->words[rule->at++]);
	else
		append(rule, &rule->left_out, word);
}

static void
convert_word(struct old_rule *rule)
{
	struct old_text *const texts[] = { [TO_MATCH] = &rule->match,
		[TO_METHOD] = &rule->method,
		[TO_USERS] = &rule->users,
		[TO_OPTIONS] = &rule->options };
	const struct old_word *word = &rule->words[rule->at++];
	const struct old_row *row = row_find(word);

	if (row == NULL)
		append_word(rule, &rule->left_out, word);
	else if (row->to == BY_HAND)
		convert_by_hand(rule, row->old);
	else if (row->to != TO_NOWHERE) {
		if (row->to == TO_METHOD)
			rule->kind = row->method;
		if (row->to == TO_MATCH && row->value == VALUE &&
		    next_is(rule, "!"))
			append(rule, &rule->match, "!");
		if (row->value == VALUE ||
		    (row->value == MAYBE && value_follows(rule)))
			append_option(rule, texts[row->to], row->now);
		else
			append(rule, texts[row->to], row->now);
	}
}

static void
report(struct parser *p, struct old_rule *rule, bool reject)
{
	const struct conf_where *where = &p->directive_where;

	if (rule->kind == METHOD_RELAY) {
		append_octets(
		    rule, &rule->left_out, rule->users.text, rule->users.len);
		rule->users.text[0] = '\0';
	}
	if (rule->unclear)
		parse_error(p, where,
		    "`%s` is of the grammar before OpenSMTPD 6.4; write an "
		    "`action` and a `match`, see relais.conf(5)",
		    p->directive);
	else if (reject || rule->kind == METHOD_NONE)
		parse_error(p, where,
		    "`%s` is of the grammar before OpenSMTPD 6.4; write "
		    "`match%s %s`",
		    p->directive, rule->match.text,
		    reject ? "reject" : "action \"NAME\"");
	else
		parse_error(p, where,
		    "`accept` is of the grammar before OpenSMTPD 6.4; write "
		    "`action \"NAME\"%s%s%s` and `match%s action \"NAME\"`",
		    rule->method.text, rule->users.text, rule->options.text,
		    rule->match.text);
	if (rule->left_out.len > 0 && !rule->unclear)
		parse_warning(p, where, "`%s` has been left out of that line",
		    rule->left_out.text + 1);
}

bool
old_grammar_report(
    struct parser *p, const struct conf_where *where, const char *found)
{
	struct old_rule rule = { .nwords = 0 };
	const char *text;
	size_t len = 0;
	bool reject = strcmp(p->directive, "reject") == 0;

	if (strcmp(p->directive, "accept") != 0 && !reject)
		return false;
	text = lex_text_from(p, &p->directive_where, &len);
	if (text == NULL)
		return false;
	split(&rule, text, len);
	rule.at = 1;
	while (rule.at < rule.nwords)
		convert_word(&rule);
	report(p, &rule, reject);
	return true;
}
