/*
 * What a table may be asked for, and what its entries must look like for
 * that. One row per use; table(5) of OpenSMTPD gave the forms. Called through
 * tablefile.h; the entries may come from any file or administrator.
 */
#include <ctype.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/alias.h"
#include "conf/tablefile.h"
#include "conf/url.h"

struct complaint {
	char *text;
	size_t size;
};

static int __attribute__((format(printf, 2, 3)))
complain(struct complaint *complaint, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(complaint->text, complaint->size, format, ap);
	va_end(ap);
	return -1;
}

static bool
printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (iscntrl((unsigned char)*text))
			return false;
	return true;
}

/* A domain, an address literal, or a pattern with `*`. */
static bool
domain_pattern(const char *text)
{
	const char *p;

	if (*text == '[')
		return strchr(text, ']') != NULL;
	for (p = text; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) &&
		    strchr("-_.*:", *p) == NULL && (*p & 0x80) == 0)
			return false;
	return p != text && strstr(text, "..") == NULL;
}

/* How domains come: as A-labels, and without a final dot. 1 with a clause where
 * one of `text` is written otherwise, for such an entry is never found. */
static int
check_form(const char *domain, const char *text, struct complaint *why)
{
	const char *p;

	for (p = domain; *p != '\0'; p++)
		if (*p & 0x80) {
			complain(why,
			    "`%s` matches nothing, as domains come in "
			    "US-ASCII; "
			    "write the `xn--...` that idn2(1) prints of it",
			    text);
			return 1;
		}
	if (p == domain || p[-1] != '.')
		return 0;
	complain(why,
	    "`%s` matches nothing, as domains come without a final dot; "
	    "leave it out",
	    text);
	return 1;
}

static int
check_domain(const char *key, const char *value, struct complaint *why)
{
	if (!domain_pattern(key))
		return complain(why,
		    "`%s` is no domain; write `example.org` "
		    "or `*.example.org`",
		    key);
	return check_form(key, key, why);
}

static int
check_credentials(const char *key, const char *value, struct complaint *why)
{
	if (*value == '$' || *value == '{' || *value == '_' || *value == '*' ||
	    *value == '!' || strlen(value) == 13)
		return 0;
	return complain(why,
	    "the password of `%s` is not hashed; make a hash "
	    "with `smtpctl encrypt`",
	    key);
}

static int
check_relay_auth(const char *key, const char *value, struct complaint *why)
{
	const char *colon = strchr(value, ':');

	if (colon == NULL || colon == value || colon[1] == '\0')
		return complain(why,
		    "the value of `%s` must be "
		    "`user:password`",
		    key);
	return 0;
}

static int
check_netaddr(const char *key, const char *value, struct complaint *why)
{
	struct conf_address address;
	int prefix;

	if (strcmp(key, "local") == 0 ||
	    url_address_parse(key, &address, &prefix) == 0)
		return 0;
	return complain(why,
	    "`%s` is neither an address nor a network; write "
	    "`192.0.2.1`, `192.0.2.0/24` or `[2001:db8::]/32`",
	    key);
}

static int
check_userinfo(const char *key, const char *value, struct complaint *why)
{
	unsigned int uid, gid;
	int used = 0;

	if (sscanf(value, "%10u:%10u:%n", &uid, &gid, &used) == 2 && used > 0 &&
	    value[used] == '/')
		return 0;
	return complain(why, "the value of `%s` must be `uid:gid:/home`", key);
}

static int
check_source(const char *key, const char *value, struct complaint *why)
{
	struct conf_address address;

	if (url_address_parse(key, &address, NULL) == 0)
		return 0;
	return complain(why,
	    "`%s` is no address; write `192.0.2.1` or "
	    "`[2001:db8::1]`",
	    key);
}

static bool
mailaddr_pattern(const char *text)
{
	const char *at = strrchr(text, '@');

	if (*text == '\0' || strpbrk(text, " \t<>") != NULL)
		return false;
	return at == NULL || at[1] == '\0' || domain_pattern(at + 1);
}

/* Whether a local part is none of RFC 5321's dot-strings. Those who come with
 * one are taken as if it were in quotes. */
static bool
has_stray_dots(const char *local, size_t len)
{
	bool dot = true;

	for (size_t i = 0; i < len; i++) {
		if (dot && local[i] == '.')
			return true;
		dot = local[i] == '.';
	}
	return len > 0 && dot;
}

/* In a local part `*` is an octet like others: 1 with a clause where it is
 * meant for more, for such an entry is well-formed and never found. The same
 * for a domain in another form than they come in. */
static int
check_pattern(const char *text, struct complaint *why)
{
	const char *at = strrchr(text, '@');
	size_t len = at != NULL ? (size_t)(at - text) : strlen(text);

	if (*text != '"' && has_stray_dots(text, len)) {
		complain(why,
		    "`%s` matches nobody, as an address with such dots is in "
		    "quotes; write `\"%.*s\"%s`",
		    text, (int)len, text, at != NULL ? at : "");
		return 1;
	}
	if (*text == '"' || memchr(text, '*', len) == NULL)
		return at != NULL ? check_form(at + 1, text, why) : 0;
	if (len == 1)
		complain(why,
		    "`%s` matches nobody, as `*` stands for others in a domain "
		    "only; write `%s`",
		    text, at != NULL ? at : "@");
	else
		complain(why,
		    "`%s` matches nobody, as `*` stands for others in a domain "
		    "only; write each address, or `regex` and an expression",
		    text);
	return 1;
}

static int
check_recipient(const char *key, const char *value, struct complaint *why)
{
	if (!mailaddr_pattern(key))
		return complain(why,
		    "`%s` is no mail address; write `user`, "
		    "`@example.org` or `user@example.org`",
		    key);
	return check_pattern(key, why);
}

/* `<>` is the null sender. */
static int
check_mailaddr(const char *key, const char *value, struct complaint *why)
{
	return strcmp(key, "<>") == 0 ? 0 : check_recipient(key, value, why);
}

/* Whom an alias leads to: the form alone, for master, who asks as root, is not
 * to link what parses domains. Quotes may hold anything. */
static bool
is_destination(const char *text)
{
	const char *at = strrchr(text, '@');
	size_t len = at != NULL ? (size_t)(at - text) : strlen(text);

	if (*text == '"')
		return true;
	return mailaddr_pattern(text) && len > 0 &&
	    strcspn(text, "()[]:;,\\\"@") >= len &&
	    !has_stray_dots(text, len) &&
	    (at == NULL || (at[1] != '\0' && strchr(at, '*') == NULL));
}

static int
check_destination(
    const char *key, const struct alias_item *item, struct complaint *why)
{
	struct alias_error error;

	if (item->kind == ALIAS_ADDRESS && !is_destination(item->text))
		return complain(why,
		    "`%s`, to whom `%s` leads, is no mail address; write "
		    "`user` or `user@example.org`",
		    item->text, key);
	if (item->kind == ALIAS_ERROR &&
	    alias_error_parse(item->text, &error) == -1)
		return complain(why,
		    "`error:%s`, to which `%s` leads, needs a code from 400 "
		    "to 599 and a text; write `error:550 text`",
		    item->text, key);
	return 0;
}

static int
check_alias(const char *key, const char *value, struct complaint *why)
{
	struct alias alias;
	int rc = 0;
	size_t at;

	if (alias_parse(
		value, strlen(value), &alias, why->text, why->size, &at) == -1)
		return -1;
	for (uint32_t i = 0; i < alias.nitems && rc == 0; i++)
		rc = check_destination(key, &alias.items[i], why);
	alias_free(&alias);
	return rc;
}

static int
check_addrname(const char *key, const char *value, struct complaint *why)
{
	struct conf_address address;

	if (url_address_parse(key, &address, NULL) == -1)
		return complain(why,
		    "`%s` is no address; write `192.0.2.1` or "
		    "`[2001:db8::1]` and its host name",
		    key);
	if (!url_host_valid(value))
		return complain(why, "`%s` is no host name", value);
	return 0;
}

static int
check_senders(const char *key, const char *value, struct complaint *why)
{
	char *copy, *rest, *item;
	int rc = 0;

	if ((copy = strdup(value)) == NULL)
		return complain(why, "out of memory");
	for (rest = copy; rc == 0 && (item = strsep(&rest, ",")) != NULL;) {
		item += strspn(item, " \t");
		item[strcspn(item, " \t")] = '\0';
		if (!mailaddr_pattern(item))
			rc = complain(why,
			    "`%s`, which `%s` may send as, is "
			    "no mail address",
			    item, key);
		else
			rc = check_pattern(item, why);
	}
	free(copy);
	return rc;
}

static int
check_relayhost(const char *key, const char *value, struct complaint *why)
{
	struct url url;

	return url_parse(
	    value != NULL ? value : key, &url, why->text, why->size);
}

static int
check_string(const char *key, const char *value, struct complaint *why)
{
	return printable(key) ? 0 : complain(why, "a control character");
}

static int
check_regex(const char *key, const char *value, struct complaint *why)
{
	char error[128];
	regex_t regex;
	int rc;

	/* letter case never counts, so this prefix changes nothing */
	if (strncmp(key, "(?i)", 4) == 0)
		key += 4;
	if ((rc = regcomp(&regex, key, REG_EXTENDED | REG_NOSUB)) == 0) {
		regfree(&regex);
		return 0;
	}
	regerror(rc, &regex, error, sizeof(error));
	return complain(
	    why, "the regular expression `%s` is malformed: %s", key, error);
}

static const struct {
	const char *name;
	bool list;
	bool mapping;
	int (*check)(const char *, const char *, struct complaint *);
} services[CONF_NSERVICES] = {
	[CONF_SERVICE_ALIAS] = { "aliases", false, true, check_alias },
	[CONF_SERVICE_DOMAIN] = { "domains", true, true, check_domain },
	[CONF_SERVICE_CREDENTIALS] = { "credentials", false, true,
	    check_credentials },
	[CONF_SERVICE_RELAY_AUTH] = { "relay credentials", false, true,
	    check_relay_auth },
	[CONF_SERVICE_NETADDR] = { "networks", true, false, check_netaddr },
	[CONF_SERVICE_USERINFO] = { "users", false, true, check_userinfo },
	[CONF_SERVICE_SOURCE] = { "source addresses", true, false,
	    check_source },
	[CONF_SERVICE_MAILADDR] = { "mail addresses", true, true,
	    check_mailaddr },
	[CONF_SERVICE_ADDRNAME] = { "names of addresses", false, true,
	    check_addrname },
	[CONF_SERVICE_SENDERS] = { "senders", false, true, check_senders },
	[CONF_SERVICE_RELAYHOST] = { "relay hosts", true, true,
	    check_relayhost },
	[CONF_SERVICE_STRING] = { "names", true, true, check_string },
	[CONF_SERVICE_REGEX] = { "regular expressions", true, false,
	    check_regex },
	[CONF_SERVICE_RECIPIENTS] = { "recipients", true, true,
	    check_recipient },
};

int
table_check_entry(enum conf_service service, const char *key, const char *value,
    char *error, size_t errorlen)
{
	struct complaint why = { error, errorlen };

	if (value == NULL && !services[service].list)
		return complain(
		    &why, "`%s` has no value; write `key: value`", key);
	return services[service].check(key, value, &why);
}

const char *
table_service_name(enum conf_service service)
{
	return services[service].name;
}

bool
table_service_takes(enum conf_service service, bool mapping)
{
	return mapping ? services[service].mapping : services[service].list;
}

/* Those of one use. */
static unsigned int
check_entries(const struct table_entry *entries, uint32_t n,
    enum conf_service service, table_report *report, void *arg)
{
	/* An entry that is never found may open what a rule was to close. */
	const bool strict =
	    service == CONF_SERVICE_NETADDR || service == CONF_SERVICE_REGEX;
	const struct table_entry *entry;
	unsigned int bad = 0;
	char error[512];

	for (entry = entries; entry < entries + n; entry++) {
		if (table_check_entry(service, entry->key, entry->value, error,
			sizeof(error)) == 0)
			continue;
		bad++;
		report(arg, strict, entry->line, entry->column, error);
	}
	return bad;
}

unsigned int
table_data_check(const struct table_data *table, uint32_t uses,
    table_report *report, void *arg)
{
	unsigned int service, bad = 0;

	for (service = 0; service < CONF_NSERVICES; service++) {
		if ((uses & (1U << service)) == 0)
			continue;
		bad += check_entries(
		    table->entries, table->nentries, service, report, arg);
		bad += check_entries(
		    table->lacking, table->nlacking, service, report, arg);
	}
	return bad;
}
