/*
 * See settings.h. Called when a configuration arrives; trusts master.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/tls.h"
#include "smtpd/settings.h"

enum {
	/* what the memory of limits.c is allowed to be made for */
	CONNECTIONS_MAX = 1 << 20
};

static unsigned
options_of(const struct conf *conf, const struct conf_listener *l)
{
	static const unsigned by_tls[] = {
		[CONF_LISTEN_PLAIN] = 0,
		[CONF_LISTEN_TLS] = OPT_STARTTLS,
		[CONF_LISTEN_TLS_REQUIRE] = OPT_STARTTLS | OPT_TLS_REQUIRED,
		[CONF_LISTEN_SMTPS] = OPT_SMTPS,
	};
	static const unsigned by_auth[] = {
		[CONF_AUTH_NONE] = 0,
		[CONF_AUTH_OPTIONAL] = OPT_AUTH,
		[CONF_AUTH_REQUIRE] = OPT_AUTH | OPT_AUTH_REQUIRED,
	};
	unsigned options = by_tls[l->tls] | by_auth[l->auth];

	if (l->is_socket)
		options |= OPT_SOCKET;
	if (l->mask_src)
		options |= OPT_MASK_SRC;
	if (l->no_dsn)
		options |= OPT_NO_DSN;
	if (l->received_auth)
		options |= OPT_RECEIVED_AUTH;
	for (uint32_t i = 0; i < conf->nactions; i++)
		if (conf->actions[i].relay.backup)
			options |= OPT_ETRN;
	return options;
}

/* 0 leaves the default. */
static void
set_number(uint32_t *to, uint32_t value)
{
	if (value != 0)
		*to = value;
}

static void
set_time(int64_t *to, uint32_t seconds)
{
	if (seconds != 0)
		*to = (int64_t)seconds * 1000;
}

static void
fill_limits(struct session_conf *c, const struct conf_smtp *smtp)
{
	set_number(&c->max_mails, smtp->max_mails);
	set_number(&c->max_rcpts, smtp->max_rcpt);
	set_number(&c->max_errors, smtp->max_errors);
	set_number(&c->max_idle_commands, smtp->max_commands);
	set_time(&c->command_time, smtp->command_timeout);
	set_time(&c->tls_time, smtp->tls_timeout);
	set_time(&c->auth_time, smtp->auth_timeout);
	set_time(&c->data_time, smtp->data_timeout);
	set_time(&c->session_time, smtp->session_timeout);
	set_time(&c->greet_time, smtp->greet_delay);
}

/* What clients are asked for: all that is written of listeners, and whose
 * certificates count. */
static struct conf
demands_of(const struct settings *s)
{
	const struct conf *conf = s->conf;

	return (struct conf){ .listeners = conf->listeners,
		.nlisteners = conf->nlisteners,
		.cas = conf->cas,
		.ncas = conf->ncas };
}

void
settings_begin(
    struct settings *s, const struct settings *before, uint32_t generation)
{
	struct conf now = demands_of(s), then;

	s->since = generation;
	if (before != NULL) {
		then = demands_of(before);
		if (conf_equal(&then, &now))
			s->since = before->since;
	}
	for (uint32_t i = 0; i < s->conf->nlisteners; i++)
		s->listeners[i].session.since = s->since;
	s->socket.session.since = s->since;
}

void
settings_limits(const struct settings *s, struct limits_settings *limits)
{
	const struct conf_smtp *smtp = &s->conf->smtp;

	*limits = limits_default_settings;
	set_number(&limits->total, smtp->max_conn);
	if (limits->total > CONNECTIONS_MAX)
		limits->total = CONNECTIONS_MAX;
	set_number(&limits->per_address, smtp->max_conn_per_host);
	set_number(&limits->rate, smtp->max_conn_rate);
}

static void
fill_session(
    struct listener *to, const struct conf *conf, const struct conf_listener *l)
{
	struct session_conf *c = &to->session;

	session_conf_defaults(c);
	if (conf->server_name != NULL)
		c->domain = conf->server_name;
	c->hostname = l->hostname != NULL ? l->hostname : c->domain;
	c->tag = l->tag != NULL ? l->tag : "";
	c->auth_table = l->auth_table != NULL ? l->auth_table : "";
	c->senders = l->senders;
	c->options = options_of(conf, l);
	if (l->max_message_size != 0)
		c->max_size = l->max_message_size;
	else if (conf->smtp.max_message_size != 0)
		c->max_size = conf->smtp.max_message_size;
	/* sums of sizes must not wrap */
	if (c->max_size > UINT64_MAX / 4)
		c->max_size = UINT64_MAX / 4;
	fill_limits(c, &conf->smtp);
	to->hostnames = l->hostnames;
}

/* Adds one certificate; 1 when its key exchange may be finite field. */
static int
add_pki(const struct conf_pki *pki, struct tls_pki *list, size_t *count)
{
	if (pki == NULL || pki->cert_pem == NULL)
		return 0;
	list[(*count)++] =
	    (struct tls_pki){ pki->name, pki->cert_pem, strlen(pki->cert_pem) };
	return pki->dhe != CONF_DHE_NONE;
}

/* list has room for all. Those that the listener names; else the one of our own
 * name; else all. */
static int
choose_pkis(const struct conf *conf, const struct conf_listener *l,
    const char *hostname, struct tls_pki *list, size_t *count)
{
	int dhe = 0;

	for (uint32_t i = 0; i < l->npkis; i++)
		dhe |=
		    add_pki(conf_find_pki(conf, l->pkis[i].text), list, count);
	if (*count == 0)
		dhe = add_pki(conf_find_pki(conf, hostname), list, count);
	if (*count == 0)
		for (uint32_t i = 0; i < conf->npkis; i++)
			dhe |= add_pki(&conf->pkis[i], list, count);
	return dhe;
}

static int
start_tls(struct listener *to, const struct conf *conf,
    const struct conf_listener *l, struct tls_tickets *tickets,
    const struct key_signer *keys, char *error, size_t size)
{
	const struct conf_ca *ca = conf_find_ca(conf, l->ca);
	size_t most = conf->npkis + (size_t)l->npkis;
	struct tls_pki *list = calloc(most + 1, sizeof(*list));
	char name[32];
	struct tls_server_options o = { .listener = name,
		.pki = list,
		.protocols = l->protocols,
		.ciphers = l->ciphers != NULL ? l->ciphers : conf->smtp.ciphers,
		.verify = l->tls_verify ? TLS_VERIFY_REQUIRED : TLS_VERIFY_NONE,
		.tickets = tickets,
		.keys = keys };
	size_t n;

	if (list == NULL) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	snprintf(name, sizeof(name), "%u", (unsigned)(l - conf->listeners));
	o.dhe = choose_pkis(conf, l, to->session.hostname, list, &o.pki_count);
	if (ca != NULL && ca->ca_pem != NULL) {
		o.ca_pem = ca->ca_pem;
		o.ca_pem_len = strlen(ca->ca_pem);
	}
	if (o.pki_count == 0)
		snprintf(error, size, "no certificate");
	else
		to->tls = tls_server_new(&o, error, size);
	free(list);
	if (to->tls != NULL)
		return 0;
	/* the message gains the place that it is about; names of files are not
	 * among what we know */
	n = strlen(error);
	if (n + 1 < size)
		snprintf(error + n, size - n, ", for `listen on %s port %u`",
		    l->interface != NULL ? l->interface : "socket", l->port);
	return -1;
}

static void
settings_free(struct settings *s)
{
	for (uint32_t i = 0; s->listeners != NULL && i < s->conf->nlisteners;
	     i++)
		tls_server_free(s->listeners[i].tls);
	free(s->listeners);
	conf_free(s->conf);
	free(s);
}

struct settings *
settings_new(struct conf *conf, struct tls_tickets *tickets,
    const struct key_signer *keys, char *error, size_t size)
{
	/* `listen on socket` is there without being written */
	static const struct conf_listener plain_socket = { .is_socket = true };
	const struct conf_listener *socket = &plain_socket;
	struct settings *s = calloc(1, sizeof(*s));

	if (s == NULL ||
	    (s->listeners = calloc(
		 conf->nlisteners + 1, sizeof(*s->listeners))) == NULL) {
		snprintf(error, size, "out of memory");
		conf_free(conf);
		free(s);
		return NULL;
	}
	s->refs = 1;
	s->conf = conf;
	for (uint32_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		s->listeners[i].settings = s;
		fill_session(&s->listeners[i], conf, l);
		if (l->is_socket && l->interface == NULL)
			socket = l;
		if (l->tls != CONF_LISTEN_PLAIN &&
		    start_tls(&s->listeners[i], conf, l, tickets, keys, error,
			size) == -1) {
			settings_free(s);
			return NULL;
		}
	}
	s->socket.settings = s;
	fill_session(&s->socket, conf, socket);
	return s;
}

void
settings_ref(struct settings *s)
{
	s->refs++;
}

void
settings_unref(struct settings *s)
{
	if (s != NULL && --s->refs == 0)
		settings_free(s);
}
