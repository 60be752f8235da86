/*
 * Lines of the grammar before OpenSMTPD 6.4, in which one `accept` line said
 * who may send what where and what becomes of it. Such a line is taken apart
 * into the `action` and the `match` that say the same now, which the error
 * shows. A word that is not known here is left out and named.
 */
#include <ctype.h>
#include <string.h>

#include "master/parser.h"

#define OLD_WORDS_MAX 64
#define OLD_TEXT_MAX 1024

struct old_rule {
	char words[OLD_WORDS_MAX][128];
	size_t nwords;
	size_t at;
	char match[OLD_TEXT_MAX];
	char method[OLD_TEXT_MAX];
	char options[OLD_TEXT_MAX];
	char unknown[128];
	bool reject;
};

static void
append(char *text, const char *word)
{
	size_t len = strlen(text);

	snprintf(text + len, OLD_TEXT_MAX - len, " %s", word);
}

/* Words of the line: quoted ones with their quotes, <table>, { a, b }. */
static void
split(struct old_rule *rule, const char *line, size_t len)
{
	size_t at = 0, end, n;

	while (at < len && rule->nwords < OLD_WORDS_MAX) {
		while (at < len && isspace((unsigned char)line[at]))
			at++;
		if (at == len || line[at] == '#' || line[at] == '\\')
			return;
		end = at + 1;
		if (line[at] == '"') {
			while (end < len && line[end] != '"')
				end++;
			end += end < len;
		} else if (line[at] == '{') {
			while (end < len && line[end] != '}')
				end++;
			end += end < len;
		} else if (line[at] != '!')
			while (end < len && !isspace((unsigned char)line[end]))
				end++;
		n = end - at < sizeof(rule->words[0])
		    ? end - at
		    : sizeof(rule->words[0]) - 1;
		memcpy(rule->words[rule->nwords], line + at, n);
		rule->words[rule->nwords++][n] = '\0';
		at = end;
	}
}

static const char *
next(struct old_rule *rule)
{
	return rule->at < rule->nwords ? rule->words[rule->at++] : "";
}

static bool
next_is(struct old_rule *rule, const char *word)
{
	if (rule->at >= rule->nwords ||
	    strcmp(rule->words[rule->at], word) != 0)
		return false;
	rule->at++;
	return true;
}

/* Old words, where what they became goes, the new words, and whether a value
 * follows. */
static const struct {
	const char *old;
	enum { TO_MATCH, TO_METHOD, TO_OPTIONS } to;
	const char *now;
	bool value;
} old_words[] = {
	{ "!", TO_MATCH, "!", false },
	{ "tagged", TO_MATCH, "tag", true },
	{ "authenticated", TO_MATCH, "auth", false },
	{ "sender", TO_MATCH, "mail-from", true },
	{ "recipient", TO_MATCH, "rcpt-to", true },
	{ "mbox", TO_METHOD, "mbox", false },
	{ "mda", TO_METHOD, "mda", true },
	{ "lmtp", TO_METHOD, "lmtp", true },
	{ "relay", TO_METHOD, "relay", false },
	{ "rcpt-to", TO_METHOD, "rcpt-to", false },
	{ "forward-only", TO_METHOD, "forward-only", false },
	{ "alias", TO_OPTIONS, "alias", true },
	{ "virtual", TO_OPTIONS, "virtual", true },
	{ "userbase", TO_OPTIONS, "userbase", true },
	{ "expire", TO_OPTIONS, "ttl", true },
	{ "auth", TO_OPTIONS, "auth", true },
	{ "pki", TO_OPTIONS, "pki", true },
	{ "ca", TO_OPTIONS, "ca", true },
	{ "as", TO_OPTIONS, "mail-from", true },
	{ "source", TO_OPTIONS, "src", true },
	{ "hostname", TO_OPTIONS, "helo", true },
	{ "hostnames", TO_OPTIONS, "helo-src", true },
	{ "verify", TO_OPTIONS, "tls", false },
	{ "tls", TO_OPTIONS, "tls", false },
};

/* The relay of `via`, with the protocol as it is written now. */
static void
append_url(struct old_rule *rule, const char *url)
{
	static const char *const protocols[][2] = {
		{ "\"smtps+auth://", "\"smtps://" },
		{ "\"ssl+auth://", "\"smtps://" },
		{ "\"ssl://", "\"smtps://" },
		{ "\"tls+auth://", "\"smtp+tls://" },
		{ "\"tls://", "\"smtp+tls://" },
		{ "\"secure+auth://", "\"smtp+tls://" },
		{ "\"secure://", "\"smtp+tls://" },
	};
	char text[160];
	size_t i, len;

	for (i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		len = strlen(protocols[i][0]);
		if (strncmp(url, protocols[i][0], len) != 0)
			continue;
		snprintf(
		    text, sizeof(text), "%s%s", protocols[i][1], url + len);
		append(rule->options, text);
		return;
	}
	append(rule->options, url);
}

/* `from` and `for`, which take what follows in several forms. */
static bool
convert_place(struct old_rule *rule, const char *word)
{
	const char *value;

	if (strcmp(word, "from") != 0 && strcmp(word, "for") != 0)
		return false;
	append(rule->match, word);
	value = next(rule);
	if (strcmp(word, "from") == 0 &&
	    (strcmp(value, "source") == 0 || *value == '<' || *value == '{' ||
		*value == '"')) {
		append(rule->match, "src");
		if (strcmp(value, "source") == 0)
			value = next(rule);
	} else if (strcmp(value, "domain") == 0) {
		append(rule->match, value);
		value = next(rule);
	}
	append(rule->match, value);
	if (next_is(rule, "alias")) {
		append(rule->options, "alias");
		append(rule->options, next(rule));
	} else if (next_is(rule, "virtual")) {
		append(rule->options, "virtual");
		append(rule->options, next(rule));
	}
	return true;
}

static void
convert_word(struct old_rule *rule, const char *word)
{
	char *texts[] = { rule->match, rule->method, rule->options };
	size_t i;

	if (convert_place(rule, word) || strcmp(word, "deliver") == 0 ||
	    strcmp(word, "to") == 0)
		return;
	if (strcmp(word, "maildir") == 0) {
		append(rule->method, word);
		if (rule->at < rule->nwords && *rule->words[rule->at] == '"')
			append(rule->method, next(rule));
		return;
	}
	/* `relay backup "name"` became `relay backup mx "name"`. */
	if (strcmp(word, "backup") == 0) {
		append(rule->options, "backup");
		if (rule->at < rule->nwords && *rule->words[rule->at] == '"') {
			append(rule->options, "mx");
			append(rule->options, next(rule));
		}
		return;
	}
	if (strcmp(word, "via") == 0) {
		append(rule->options, "host");
		append_url(rule, next(rule));
		return;
	}
	for (i = 0; i < sizeof(old_words) / sizeof(old_words[0]); i++) {
		if (strcmp(old_words[i].old, word) != 0)
			continue;
		append(texts[old_words[i].to], old_words[i].now);
		if (old_words[i].value)
			append(texts[old_words[i].to], next(rule));
		return;
	}
	snprintf(rule->unknown, sizeof(rule->unknown), "%s", word);
}

bool
old_grammar_report(
    struct parser *p, const struct conf_where *where, const char *found)
{
	struct old_rule rule = { .nwords = 0 };
	const char *line;
	size_t len = 0;

	if (strcmp(p->directive, "accept") != 0 &&
	    strcmp(p->directive, "reject") != 0)
		return false;
	line = lex_line_text(p, &p->directive_where, &len);
	if (line == NULL)
		return false;
	split(&rule, line, len);
	rule.reject = strcmp(next(&rule), "reject") == 0;
	while (rule.at < rule.nwords)
		convert_word(&rule, next(&rule));
	if (rule.reject || rule.method[0] == '\0')
		parse_error(p, &p->directive_where,
		    "`%s` is of the grammar "
		    "before OpenSMTPD 6.4; write `match%s %s`",
		    p->directive, rule.match,
		    rule.reject ? "reject" : "action \"NAME\"");
	else
		parse_error(p, &p->directive_where,
		    "`accept` is of the "
		    "grammar before OpenSMTPD 6.4; write `action "
		    "\"NAME\"%s%s` and `match%s action \"NAME\"`",
		    rule.method, rule.options, rule.match);
	if (rule.unknown[0] != '\0')
		parse_warning(p, &p->directive_where,
		    "`%s` has been left out "
		    "of that line",
		    rule.unknown);
	return true;
}
