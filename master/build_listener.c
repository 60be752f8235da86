/*
 * Listeners, and the certificates and authorities that they name. What a
 * listener lacks is told when its line ends.
 */
#include <ctype.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/url.h"
#include "master/parser.h"

void
listener_begin(
    struct parser *p, const struct conf_where *where, const char *interface)
{
	struct conf *conf = p->conf;
	struct conf_listener *listener;
	uint32_t i;
	char at[512];

	for (i = 0; interface == NULL && i < conf->nlisteners; i++)
		if (conf->listeners[i].is_socket) {
			conf_where_text(
			    conf, &conf->listeners[i].where, at, sizeof(at));
			parse_error(p, where,
			    "`listen on socket` stands "
			    "already at %s",
			    at);
		}
	listener =
	    conf_append(&conf->listeners, &conf->nlisteners, sizeof(*listener));
	if ((p->listener = listener) == NULL) {
		parse_out_of_memory(p);
		return;
	}
	listener->where = *where;
	listener->is_socket = interface == NULL;
	if (interface != NULL)
		listener->interface = parse_strdup(p, interface);
}

void
listener_tls(struct parser *p, const struct conf_where *where,
    enum conf_listen_tls tls, bool verify)
{
	if (p->listener->tls != CONF_LISTEN_PLAIN)
		parse_error(p, where,
		    "a listener has one of `tls`, "
		    "`tls-require` and `smtps`; write another `listen` line "
		    "for the other port");
	p->listener->tls = tls;
	p->listener->tls_verify = verify;
}

void
listener_auth(struct parser *p, const struct conf_where *where,
    enum conf_listen_auth auth, const char *table)
{
	if (p->listener->auth != CONF_AUTH_NONE)
		parse_error(p, where, "`auth` stands here twice");
	p->listener->auth = auth;
	set_string(p, where, &p->listener->auth_table, "auth", table);
}

void
listener_family(
    struct parser *p, const struct conf_where *where, enum conf_family family)
{
	if (p->listener->family != CONF_FAMILY_ANY)
		parse_error(p, where,
		    "one of `inet4` and `inet6` can stand "
		    "here; leave both out to listen on both");
	p->listener->family = family;
}

/* The ports of mail, so that they mean the same on every machine. */
static uint16_t
port_by_name(const char *name)
{
	static const struct {
		const char *name;
		uint16_t port;
	} ports[] = {
		{ "smtp", 25 },
		{ "lmtp", 24 },
		{ "smtps", 465 },
		{ "submissions", 465 },
		{ "submission", 587 },
	};
	const struct servent *service;
	size_t i;

	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (strcmp(ports[i].name, name) == 0)
			return ports[i].port;
	service = getservbyname(name, "tcp");
	return service != NULL ? ntohs((uint16_t)service->s_port) : 0;
}

void
listener_port(
    struct parser *p, const struct conf_where *where, const char *port)
{
	uint32_t number = 0;

	if (p->listener->port != 0)
		parse_error(p, where,
		    "`port` stands here twice; write a "
		    "`listen` line for each port");
	if (isdigit((unsigned char)*port)) {
		if (!parse_number(p, where, port, 1, 65535, &number))
			return;
	} else if ((number = port_by_name(port)) == 0) {
		parse_error(p, where,
		    "no port is called `%s`; write its "
		    "number, or smtp, submission or smtps",
		    port);
		return;
	}
	p->listener->port = (uint16_t)number;
}

void
listener_size(
    struct parser *p, const struct conf_where *where, const char *size)
{
	if (p->listener->max_message_size != 0)
		parse_error(p, where, "`max-message-size` stands here twice");
	parse_size(p, where, size, &p->listener->max_message_size);
}

/* Whether an interface or a host of any machine may be called so, or it is an
 * address with a zone. Digits alone are an address gone wrong. */
static bool
interface_valid(const char *name)
{
	bool letter = false, plain = true;
	struct conf_address address;
	char host[64];
	const char *c;

	snprintf(host, sizeof(host), "%.*s", (int)strcspn(name, "%"), name);
	if (url_address_parse(host, &address, NULL) == 0)
		return true;
	for (c = name; *c != '\0'; c++) {
		letter |= isalpha((unsigned char)*c) || (*c & 0x80) != 0;
		plain &=
		    isalnum((unsigned char)*c) || strchr("-_.:@", *c) != NULL;
	}
	return letter &&
	    (url_host_valid(name) || (plain && strlen(name) < IFNAMSIZ));
}

/* A literal address needs no look at the machine's interfaces. */
static void
listener_address(struct parser *p, struct conf_listener *listener)
{
	struct conf_address address, *slot;

	if (url_address_parse(listener->interface, &address, NULL) == -1) {
		if (!interface_valid(listener->interface))
			parse_error(p, &listener->where,
			    "`%s` is no interface, address or host; write an "
			    "interface (see `ip link`), an address, lo0, "
			    "egress or all",
			    listener->interface);
		return;
	}
	if (listener->family != CONF_FAMILY_ANY &&
	    listener->family != address.family) {
		parse_error(p, &listener->where, "`%s` is no %s address",
		    listener->interface,
		    listener->family == CONF_INET4 ? "inet4" : "inet6");
		return;
	}
	address.port = listener->port;
	slot = conf_append(
	    &listener->addresses, &listener->naddresses, sizeof(*slot));
	if (slot == NULL)
		parse_out_of_memory(p);
	else
		*slot = address;
}

void
listener_end(struct parser *p)
{
	struct conf_listener *listener = p->listener;
	bool plain = listener->tls == CONF_LISTEN_PLAIN;
	const struct conf_where *where = &listener->where;

	if (listener->is_socket)
		return;
	if (listener->port == 0)
		listener->port = listener->tls == CONF_LISTEN_SMTPS ? 465 : 25;
	if (listener->auth != CONF_AUTH_NONE && plain)
		parse_error(p, where,
		    "`auth` needs TLS, or passwords travel "
		    "in the clear; add `tls-require pki NAME` or `smtps pki "
		    "NAME`");
	else if (listener->npkis > 0 && plain)
		parse_error(p, where,
		    "`pki` has no use without TLS; add "
		    "`tls`, `tls-require` or `smtps`");
	else if (listener->npkis == 0 && !plain)
		parse_error(p, where,
		    "TLS needs a certificate; add `pki "
		    "NAME`, and above it `pki NAME cert \"/path\"` and `pki "
		    "NAME key \"/path\"`");
	if (listener->tls_verify && listener->ca == NULL)
		parse_error(p, where,
		    "`verify` needs to know whose "
		    "certificates to trust; add `ca NAME`, and above it `ca "
		    "NAME cert \"/path\"`");
	listener_address(p, listener);
}

/* ---- certificates ----------------------------------------------------- */

/* The name in lower case; pki and ca names are host names or "*". */
static char *
certificate_name(
    struct parser *p, const struct conf_where *where, const char *name)
{
	char *copy, *c;

	if (strcmp(name, "*") != 0 && !url_host_valid(name)) {
		parse_error(p, where,
		    "`%s` is no host name; a pki or ca is "
		    "called by a host name, or \"*\"",
		    name);
		return NULL;
	}
	if ((copy = parse_strdup(p, name)) == NULL)
		return NULL;
	for (c = copy; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

void
pki_begin(struct parser *p, const struct conf_where *where, const char *name)
{
	struct conf *conf = p->conf;
	uint32_t i;

	for (i = 0; i < conf->npkis; i++)
		if (strcasecmp(conf->pkis[i].name, name) == 0) {
			p->pki = &conf->pkis[i];
			return;
		}
	p->pki = conf_append(&conf->pkis, &conf->npkis, sizeof(*p->pki));
	if (p->pki == NULL) {
		parse_out_of_memory(p);
		return;
	}
	p->pki->where = *where;
	p->pki->name = certificate_name(p, where, name);
	if (p->pki->name == NULL)
		p->pki->name = parse_strdup(p, name);
}

void
pki_dhe(struct parser *p, const struct conf_where *where, const char *mode)
{
	static const char *const modes[] = { "none", "auto", "legacy" };
	unsigned int i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcasecmp(modes[i], mode) == 0) {
			p->pki->dhe = i;
			return;
		}
	parse_error(p, where,
	    "`dhe %s` is unknown; write none, auto or "
	    "legacy",
	    mode);
}

/* What a link leads to is what is trusted: conf/closed.h knows the system's
 * list by its path. */
static char *
real_path(struct parser *p, const char *path)
{
	char *real = realpath(path, NULL);

	return real != NULL ? real : parse_strdup(p, path);
}

void
ca_define(struct parser *p, const struct conf_where *where, const char *name,
    const char *path)
{
	struct conf_ca *ca;

	if (conf_find_ca(p->conf, name) != NULL) {
		parse_error(p, where, "the ca `%s` is defined twice", name);
		return;
	}
	ca = conf_append(&p->conf->cas, &p->conf->ncas, sizeof(*ca));
	if (ca == NULL) {
		parse_out_of_memory(p);
		return;
	}
	ca->where = *where;
	ca->name = certificate_name(p, where, name);
	ca->path = real_path(p, path);
	if (ca->name == NULL)
		ca->name = parse_strdup(p, name);
}
