/*
 * See format.h; relais.conf(5), section FORMATS.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/format.h"

enum { VALUE_MAX = 1200, NAME_MAX_OCTETS = 128 };

struct part {
	char text[VALUE_MAX];
	int trusted; /* stands in the configuration or the password database */
};

/* Splits local@domain at its last @. */
static void
address_part(const char *address, char which, char *out, size_t size)
{
	const char *at = strrchr(address, '@');
	size_t len;

	if (which == 'd')
		snprintf(out, size, "%s", at ? at + 1 : "");
	else {
		len = at ? (size_t)(at - address) : strlen(address);
		snprintf(out, size, "%.*s", (int)len, address);
	}
}

/* 0 if there is no such format. */
static int
find_value(const char *name, const struct format_values *v, struct part *p)
{
	const struct {
		const char *name;
		const char *value;
		char part; /* u, d or 0 */
		int trusted;
	} table[] = {
		{ "sender", v->sender, 0, 0 },
		{ "sender.user", v->sender, 'u', 0 },
		{ "sender.domain", v->sender, 'd', 0 },
		{ "mbox.from", v->sender[0] ? v->sender : "MAILER-DAEMON", 0,
		    0 },
		{ "rcpt", v->rcpt, 0, 0 },
		{ "rcpt.user", v->rcpt, 'u', 0 },
		{ "rcpt.domain", v->rcpt, 'd', 0 },
		{ "dest", v->dest, 0, 0 },
		{ "dest.user", v->dest, 'u', 0 },
		{ "dest.domain", v->dest, 'd', 0 },
		{ "user.username", v->username, 0, 1 },
		{ "user.directory", v->directory, 0, 1 },
	};

	p->trusted = 0;
	if (strcmp(name, "id") == 0) {
		snprintf(p->text, sizeof(p->text), "%08x", v->msgid);
		return 1;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(name, table[i].name) != 0)
			continue;
		p->trusted = table[i].trusted;
		if (table[i].part)
			address_part(table[i].value, table[i].part, p->text,
			    sizeof(p->text));
		else
			snprintf(
			    p->text, sizeof(p->text), "%s", table[i].value);
		return 1;
	}
	return 0;
}

/* user+tag becomes user. */
static void
strip(char *text, const char *delimiter)
{
	char *cut, *at;

	if (delimiter == NULL || delimiter[0] == '\0' ||
	    (cut = strchr(text + (text[0] != '\0'), delimiter[0])) == NULL)
		return;
	at = strrchr(text, '@');
	if (at == NULL)
		*cut = '\0';
	else if (cut < at)
		memmove(cut, at, strlen(at) + 1);
}

/* [n], [first:last] or [first:] in octets. As in smtpd.conf(5), both ends are
 * counted from 0 and belong to the part; a negative first counts back from the
 * end, and so does a negative last, which itself is left out. */
static int
cut_range(char *text, const char *range)
{
	long len = (long)strlen(text), begin, last, end;
	char *rest;

	begin = last = strtol(range, &rest, 10);
	if (rest == range)
		return -1;
	if (begin < 0)
		begin = begin + len > 0 ? begin + len : 0;
	if (rest[0] == ':' && rest[1] == ']') {
		end = len;
		rest++;
	} else if (*rest == ':') {
		range = rest + 1;
		last = strtol(range, &rest, 10);
		end = last < 0 ? last + len : last < len ? last + 1 : len;
	} else
		end = begin < len ? begin + 1 : len;
	if (rest == range || *rest != ']')
		return -1;
	if (begin > len || end < begin)
		begin = end = 0;
	memmove(text, text + begin, (size_t)(end - begin));
	text[end - begin] = '\0';
	return 0;
}

static void
make_safe(struct part *p, int raw)
{
	if (raw && p->trusted)
		return;
	if (p->text[0] == '-')
		p->text[0] = ':';
	for (unsigned char *s = (unsigned char *)p->text; *s != '\0'; s++)
		if (*s < 0x80 && !isalnum(*s) &&
		    strchr("@._+=:,/-", *s) == NULL)
			*s = ':';
	/* a slash of a stranger would name another folder */
	if (!p->trusted)
		for (char *s = p->text; *s != '\0'; s++)
			if (*s == '/')
				*s = ':';
}

static int
apply(struct part *p, const char *modifiers, const struct format_values *v,
    int *raw)
{
	char word[16];
	size_t len;

	/* smtpd.conf(5) has a bar between two of them; a colon does as well */
	while (*modifiers == ':' || *modifiers == '|') {
		modifiers++;
		len = strcspn(modifiers, ":|");
		if (len >= sizeof(word))
			return -1;
		memcpy(word, modifiers, len);
		word[len] = '\0';
		modifiers += len;
		if (strcmp(word, "lowercase") == 0) {
			for (char *s = p->text; *s; s++)
				*s = (char)tolower((unsigned char)*s);
		} else if (strcmp(word, "uppercase") == 0) {
			for (char *s = p->text; *s; s++)
				*s = (char)toupper((unsigned char)*s);
		} else if (strcmp(word, "strip") == 0)
			strip(p->text, v->delimiter);
		else if (strcmp(word, "raw") == 0)
			*raw = 1;
		else
			return -1;
	}
	return *modifiers == '\0' ? 0 : -1;
}

/* One format, what stands between the braces. */
static int
expand_one(
    const char *spec, size_t len, const struct format_values *v, struct part *p)
{
	char name[NAME_MAX_OCTETS], modifiers[NAME_MAX_OCTETS];
	char *tail, *range = NULL;
	int raw = 0;

	if (len >= sizeof(name))
		return -1;
	memcpy(name, spec, len);
	name[len] = '\0';
	/* NAME, NAME[RANGE], each with :MODIFIER|MODIFIER behind */
	tail = name + strcspn(name, "[:");
	if (*tail == '[') {
		*tail = '\0';
		range = tail + 1;
		if ((tail = strchr(range, ']')) == NULL)
			return -1;
		tail++;
	}
	snprintf(modifiers, sizeof(modifiers), "%s", tail);
	if (range == NULL)
		*tail = '\0';
	if (!find_value(name, v, p) ||
	    (range != NULL && cut_range(p->text, range) == -1) ||
	    apply(p, modifiers, v, &raw) == -1)
		return -1;
	make_safe(p, raw);
	return 0;
}

/* What the octets at the beginning of text come to: a format, `%%`, or one
 * octet that is itself. How many these are, 0 for a format that does not
 * exist. */
static size_t
next_part(const char *text, const struct format_values *v, struct part *p)
{
	const char *end;

	if (text[0] == '%' && text[1] == '{') {
		end = strchr(text, '}');
		if (end == NULL ||
		    expand_one(text + 2, (size_t)(end - text - 2), v, p) == -1)
			return 0;
		return (size_t)(end - text) + 1;
	}
	p->text[0] = text[0];
	p->text[1] = '\0';
	return text[0] == '%' && text[1] == '%' ? 2 : 1;
}

int
format_expand(const char *text, const struct format_values *v, char *out,
    size_t size, char *error, size_t error_size)
{
	struct part part;
	size_t n = 0, len, used;

	for (; *text != '\0'; text += used) {
		if ((used = next_part(text, v, &part)) == 0) {
			snprintf(
			    error, error_size, "unknown format %.40s", text);
			return -1;
		}
		len = strlen(part.text);
		if (n + len >= size) {
			snprintf(error, error_size, "the result is too long");
			return -1;
		}
		memcpy(out + n, part.text, len);
		n += len;
	}
	out[n] = '\0';
	return 0;
}

const char *
format_unknown(const char *text, size_t *len)
{
	/* whether there is a format does not depend on what it stands for */
	static const struct format_values none = { "", "", "", "", "", 0, "" };
	struct part part;
	size_t used;

	for (; *text != '\0'; text += used)
		if ((used = next_part(text, &none, &part)) == 0) {
			*len = strcspn(text, "}");
			*len += text[*len] == '}';
			return text;
		}
	return NULL;
}
