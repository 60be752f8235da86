/*
 * See closed.h. It asks of each rule whose action hands mail on: could a
 * stranger reach it with a recipient of his choice? A table that is a file is
 * taken to name what it should; one that stands in the configuration is looked
 * into.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/closed.h"
#include "conf/wide.h"

enum {
	/* so many of the system's authorities in a file make it a copy of that
	 * list; a few of them may be one's own */
	SYSTEM_CERTIFICATES = 8
};

static bool
entry_is_wide(const struct conf_condition *c, const char *key)
{
	if (c->kind == CONF_FROM_SRC)
		return c->regex ? wide_client_expression(key)
				: wide_network(key);
	if (c->regex)
		return wide_name_expression(key);
	return c->kind == CONF_FOR_RCPT_TO || c->kind == CONF_IF_RCPT_TO
	    ? wide_mailbox(key)
	    : wide_domain(key);
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

/* A PEM text without blank space: lines may be broken anywhere. */
static char *
squeeze(const char *pem)
{
	char *text = strdup(pem), *to = text;

	for (const char *from = text; from != NULL && *from != '\0'; from++)
		if (!isspace((unsigned char)*from))
			*to++ = *from;
	if (text != NULL)
		*to = '\0';
	return text;
}

/* How many certificates of one squeezed text stand in another. */
static size_t
count_common(char *own, const char *system)
{
	static const char end[] = "-----ENDCERTIFICATE-----";
	char *block = strstr(own, "-----BEGINCERTIFICATE-----"), *rest;
	size_t count = 0;

	for (; block != NULL && (rest = strstr(block, end)) != NULL;
	     block = strstr(rest + 1, "-----BEGINCERTIFICATE-----")) {
		*rest = '\0'; /* where `end` begins */
		count += strstr(system, block) != NULL;
	}
	return count;
}

/* Where the texts are not read yet, nothing is known of them. */
static bool
copies_system(const struct conf *conf, const struct conf_ca *ca)
{
	const struct conf_ca *list = conf_find_ca(conf, CONF_SYSTEM_CA);
	char *own, *system;
	bool copies;

	if (list == NULL || list->ca_pem == NULL || ca->ca_pem == NULL)
		return false;
	own = squeeze(ca->ca_pem);
	system = squeeze(list->ca_pem);
	copies = own == NULL || system == NULL ||
	    count_common(own, system) >= SYSTEM_CERTIFICATES;
	free(own);
	free(system);
	return copies;
}

/* The authorities of the system vouch for anybody who asks them. */
static bool
ca_is_own(const struct conf *conf, const char *name)
{
	static const char *const system[] = { "/etc/ca-certificates",
		"/etc/pki/", "/etc/ssl/ca-bundle", "/etc/ssl/cert",
		"/usr/lib/ssl/", "/usr/share/", "/var/lib/ca-certificates/" };
	const struct conf_ca *ca = conf_find_ca(conf, name);

	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		if (ca == NULL ||
		    strncmp(ca->path, system[i], strlen(system[i])) == 0)
			return false;
	return !copies_system(conf, ca);
}

static bool
is_loopback(const struct conf_address *a)
{
	struct in6_addr six;

	if (a->family == CONF_INET4)
		return a->octets[0] == 127;
	memcpy(&six, a->octets, sizeof(six));
	return IN6_IS_ADDR_LOOPBACK(&six) ||
	    (IN6_IS_ADDR_V4MAPPED(&six) && a->octets[12] == 127);
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
	    (l->tls_verify && ca_is_own(conf, l->ca)))
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
		const char *tag = l->tag != NULL ? l->tag : "";

		for (uint32_t k = 0; k < t->nentries; k++)
			if (strcasecmp(tag, t->entries[k].key) == 0 &&
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

bool
conf_hands_on(const struct conf_action *action)
{
	return action->kind == CONF_ACTION_RELAY ||
	    (action->kind == CONF_ACTION_LMTP &&
		(action->local.rcpt_to || action->local.by_address));
}

static bool
rule_opens(const struct conf *conf, const struct conf_match *m)
{
	const struct conf_action *action = conf_find_action(conf, m->action);
	bool has_from = false, has_for = false;

	if (m->reject || action == NULL || !conf_hands_on(action))
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
			    "anywhere; add `auth`, or `for domain` with your "
			    "domains, or `from src` with your networks, or the "
			    "`tag` of listeners that demand a login or a "
			    "certificate, or the word `open-relay` if that is "
			    "what you want; relais.conf(5) tells what counts");
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
