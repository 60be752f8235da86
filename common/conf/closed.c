/*
 * See closed.h. It asks of each rule with a relay action: could a stranger
 * reach it with a recipient of his choice? A table that is a file is taken to
 * name what it should; one that stands in the configuration is looked into.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <regex.h>
#include <string.h>
#include <strings.h>

#include "conf/closed.h"
#include "conf/url.h"

enum {
	/* shorter prefixes than these are no network of anyone's */
	NARROW_INET4 = 8,
	NARROW_INET6 = 7
};

/* A domain that nobody can have meant to name. */
#define STRANGE_DOMAIN "q7zx-nobody.invalid"
#define STRANGE_ADDRESS "q7zx@" STRANGE_DOMAIN

static bool
is_mapped(const struct conf_address *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(a->octets, prefix, sizeof(prefix)) == 0;
}

static bool
is_wide_network(const char *text)
{
	struct conf_address a;
	int prefix;

	if (url_address_parse(text, &a, &prefix) == -1)
		return false;
	if (a.family == CONF_INET4)
		return prefix < NARROW_INET4;
	/* the rest of IPv6 holds no address of IPv4 */
	if (prefix >= 96 && is_mapped(&a))
		return prefix - 96 < NARROW_INET4;
	return prefix < NARROW_INET6;
}

/* `*`, `*.*`, `@`, `@*` name no domain, and neither does a user part alone. */
static bool
is_wide_name(const struct conf_condition *c, const char *text)
{
	if (text[strspn(text, "*@.")] == '\0')
		return *text != '\0';
	return (c->kind == CONF_FOR_RCPT_TO || c->kind == CONF_IF_RCPT_TO) &&
	    strchr(text, '@') == NULL;
}

static bool
expression_matches(const char *expression, const char *key)
{
	regex_t re;
	bool matches;

	if (strncmp(expression, "(?i)", 4) == 0)
		expression += 4;
	if (regcomp(&re, expression, REG_EXTENDED | REG_NOSUB | REG_ICASE) != 0)
		return false;
	matches = regexec(&re, key, 0, NULL, 0) == 0;
	regfree(&re);
	return matches;
}

/* Whether an expression takes what nobody can have meant to name. */
static bool
is_wide_expression(const struct conf_condition *c, const char *key)
{
	if (c->kind == CONF_FROM_SRC)
		return expression_matches(key, "198.51.100.77") ||
		    expression_matches(key, "2001:db8:7a78::77");
	return expression_matches(key,
	    c->kind == CONF_FOR_RCPT_TO || c->kind == CONF_IF_RCPT_TO
		? STRANGE_ADDRESS
		: STRANGE_DOMAIN);
}

static bool
entry_is_wide(const struct conf_condition *c, const char *key)
{
	bool source = c->kind == CONF_FROM_SRC;

	if (c->regex)
		return is_wide_expression(c, key);
	return source ? is_wide_network(key) : is_wide_name(c, key);
}

/* Whether the table of a condition holds everything there is. */
static bool
table_is_wide(const struct conf *conf, const struct conf_condition *c)
{
	const struct conf_table *t = conf_find_table(conf, c->table);

	for (uint32_t i = 0; t != NULL && i < t->nentries; i++)
		if (entry_is_wide(c, t->entries[i].key))
			return true;
	return false;
}

/* The authorities of the system vouch for anybody who asks them. */
static bool
ca_is_own(const struct conf_ca *ca)
{
	static const char *const system[] = { "/etc/ca-certificates",
		"/etc/pki/", "/etc/ssl/ca-bundle", "/etc/ssl/cert",
		"/usr/lib/ssl/", "/usr/share/", "/var/lib/ca-certificates/" };

	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		if (ca == NULL ||
		    strncmp(ca->path, system[i], strlen(system[i])) == 0)
			return false;
	return true;
}

static bool
is_loopback(const struct conf_address *a)
{
	struct in6_addr six;

	if (a->family == CONF_INET4)
		return a->octets[0] == 127;
	memcpy(&six, a->octets, sizeof(six));
	return IN6_IS_ADDR_LOOPBACK(&six) ||
	    (is_mapped(a) && a->octets[12] == 127);
}

/* Whether only this machine can speak to a listener. The loopback interface
 * may have addresses that others reach, so its name counts only where it is
 * not known what that stands for. */
static bool
hears_itself_only(const struct conf_listener *l)
{
	for (uint32_t i = 0; i < l->naddresses; i++)
		if (!is_loopback(&l->addresses[i]))
			return false;
	return l->naddresses > 0 ||
	    (l->interface != NULL &&
		(strcmp(l->interface, "lo") == 0 ||
		    strcmp(l->interface, "lo0") == 0));
}

static bool
listener_is_safe(const struct conf *conf, const struct conf_listener *l)
{
	if (l->is_socket || l->auth == CONF_AUTH_REQUIRE ||
	    (l->tls_verify && ca_is_own(conf_find_ca(conf, l->ca))))
		return true;
	return hears_itself_only(l);
}

/* Whether all listeners with a tag of the table keep strangers out. */
static bool
tag_is_safe(const struct conf *conf, const struct conf_condition *c)
{
	const struct conf_table *t = conf_find_table(conf, c->table);

	if (c->negated || c->regex || t == NULL || t->nentries == 0)
		return false;
	for (uint32_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		for (uint32_t k = 0; l->tag != NULL && k < t->nentries; k++)
			if (strcasecmp(l->tag, t->entries[k].key) == 0 &&
			    !listener_is_safe(conf, l))
				return false;
	}
	return true;
}

/* Whether a stranger with a recipient of his choice is kept out by c. */
static bool
condition_closes(const struct conf *conf, const struct conf_condition *c)
{
	switch (c->kind) {
	case CONF_FROM_ANY:
	case CONF_FOR_ANY:
		return c->negated;
	case CONF_FROM_LOCAL:
	case CONF_FROM_SOCKET:
	case CONF_FROM_AUTH:
	case CONF_IF_AUTH:
	case CONF_FOR_LOCAL:
		return !c->negated;
	case CONF_FROM_RDNS:
		return !c->negated && c->table != NULL &&
		    !table_is_wide(conf, c);
	case CONF_FROM_SRC:
	case CONF_FOR_DOMAIN:
	case CONF_FOR_RCPT_TO:
	case CONF_IF_RCPT_TO:
		return !c->negated && !table_is_wide(conf, c);
	case CONF_IF_TAG:
		return tag_is_safe(conf, c);
	case CONF_FROM_MAIL_FROM:
	case CONF_IF_HELO:
	case CONF_IF_TLS:
	case CONF_IF_MAIL_FROM:
		return false;
	}
	return false;
}

/* Whether c lets through every stranger with a recipient of his choice. A
 * negated list of domains or addresses names the exceptions. */
static bool
condition_holds_for_strangers(
    const struct conf *conf, const struct conf_condition *c)
{
	switch (c->kind) {
	case CONF_FROM_ANY:
	case CONF_FOR_ANY:
		return !c->negated;
	case CONF_FROM_LOCAL:
	case CONF_FROM_SOCKET:
	case CONF_FOR_LOCAL:
	case CONF_FROM_AUTH:
	case CONF_IF_AUTH:
		return c->negated && c->table == NULL;
	case CONF_FROM_SRC:
	case CONF_FOR_DOMAIN:
	case CONF_FOR_RCPT_TO:
	case CONF_IF_RCPT_TO:
		return c->negated && !table_is_wide(conf, c);
	default:
		return false;
	}
}

static bool
rule_opens(const struct conf *conf, const struct conf_match *m)
{
	const struct conf_action *action = conf_find_action(conf, m->action);
	bool has_from = false, has_for = false;

	if (m->reject || action == NULL || action->kind != CONF_ACTION_RELAY)
		return false;
	for (uint32_t i = 0; i < m->nconditions; i++) {
		enum conf_condition_kind kind = m->conditions[i].kind;

		if (condition_closes(conf, &m->conditions[i]))
			return false;
		has_from |= kind <= CONF_FROM_MAIL_FROM;
		has_for |= kind >= CONF_FOR_ANY && kind <= CONF_FOR_RCPT_TO;
	}
	/* what is left out means local */
	return has_from && has_for;
}

static bool
rule_takes_all_strangers(const struct conf *conf, const struct conf_match *m)
{
	bool has_from = false, has_for = false;

	for (uint32_t i = 0; i < m->nconditions; i++) {
		enum conf_condition_kind kind = m->conditions[i].kind;

		if (!condition_holds_for_strangers(conf, &m->conditions[i]))
			return false;
		has_from |= kind <= CONF_FROM_MAIL_FROM;
		has_for |= kind >= CONF_FOR_ANY && kind <= CONF_FOR_RCPT_TO;
	}
	return has_from && has_for;
}

unsigned int
conf_check_closed(const struct conf *conf, conf_report *report, void *arg)
{
	unsigned int count = 0;

	for (uint32_t i = 0; i < conf->nmatches; i++) {
		const struct conf_match *m = &conf->matches[i];

		if (rule_opens(conf, m) && !m->open_relay) {
			report(arg, &m->where,
			    "this rule relays for anyone on the Internet to "
			    "anywhere; add `auth`, or `for domain`, or "
			    "`from src` with your networks, or the `tag` of "
			    "listeners that demand a login or a certificate, "
			    "or the word `open-relay` if that is what you "
			    "want");
			count++;
		}
		if (rule_takes_all_strangers(conf, m))
			break;
	}
	return count;
}

bool
conf_names_source(const struct conf *conf, const struct conf_match *m)
{
	bool has_from = false;

	for (uint32_t i = 0; i < m->nconditions; i++) {
		const struct conf_condition *c = &m->conditions[i];
		bool is_from = c->kind <= CONF_FROM_MAIL_FROM;

		has_from |= is_from;
		if ((is_from || c->kind == CONF_IF_AUTH ||
			c->kind == CONF_IF_TAG) &&
		    condition_closes(conf, c))
			return c->kind != CONF_FROM_ANY;
	}
	/* what is left out means local */
	return !has_from;
}

void
conf_mark_sources(struct conf *conf)
{
	for (uint32_t i = 0; i < conf->nmatches; i++)
		conf->matches[i].names_source =
		    conf_names_source(conf, &conf->matches[i]);
}
