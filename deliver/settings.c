/*
 * See settings.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/settings.h"
#include "net/key_client.h"
#include "net/tls.h"

enum { REPORT_MAX = 1000 /* actions */ };

struct settings *
settings_new(struct conf *conf)
{
	struct settings *s;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->tls = calloc(conf->nactions + 1, sizeof(*s->tls))) == NULL) {
		free(s);
		conf_free(conf);
		return NULL;
	}
	s->conf = conf;
	s->references = 1;
	return s;
}

struct settings *
settings_hold(struct settings *s)
{
	s->references++;
	return s;
}

void
settings_release(struct settings *s)
{
	if (s == NULL || --s->references > 0)
		return;
	for (uint32_t i = 0; i < s->conf->nactions; i++)
		if (s->tls[i] != NULL)
			tls_client_free(s->tls[i]);
	free(s->tls);
	conf_free(s->conf);
	free(s);
}

const struct conf_action *
settings_relay(const struct settings *s, const char *name)
{
	const struct conf_action *action = conf_find_action(s->conf, name);

	return action != NULL && action->kind == CONF_ACTION_RELAY ? action
								   : NULL;
}

struct tls_client *
settings_tls(struct settings *s, const struct conf_action *action,
    struct key_client *keys, char *error, size_t size)
{
	const struct conf_relay *relay = &action->relay;
	const struct conf_ca *ca = conf_find_ca(
	    s->conf, relay->ca != NULL ? relay->ca : CONF_SYSTEM_CA);
	const struct conf_pki *pki = conf_find_pki(s->conf, relay->pki);
	struct tls_client **slot = &s->tls[action - s->conf->actions];
	struct tls_pki certificate;
	struct tls_client_options o = { .protocols = relay->protocols,
		.ciphers = relay->ciphers };

	if (*slot != NULL)
		return *slot;
	if (ca != NULL && ca->ca_pem != NULL) {
		o.ca_pem = ca->ca_pem;
		o.ca_pem_len = strlen(ca->ca_pem);
	}
	if (pki != NULL && pki->cert_pem != NULL) {
		certificate = (struct tls_pki){ .name = pki->name,
			.pem = pki->cert_pem,
			.pem_len = strlen(pki->cert_pem) };
		o.pki = &certificate;
		o.keys = key_client_signer(keys);
	}
	return *slot = tls_client_new(&o, error, size);
}

int
settings_check_tls(
    struct settings *s, struct key_client *keys, char *error, size_t size)
{
	const struct conf *conf = s->conf;

	for (const struct conf_action *a = conf->actions;
	     a < conf->actions + conf->nactions; a++) {
		const struct conf_relay *r = &a->relay;
		size_t n;

		if (a->kind != CONF_ACTION_RELAY ||
		    (r->protocols == NULL && r->ciphers == NULL &&
			r->ca == NULL && r->pki == NULL) ||
		    settings_tls(s, a, keys, error, size) != NULL)
			continue;
		n = strlen(error);
		snprintf(error + n, size - n, ", for `action \"%s\"`", a->name);
		return -1;
	}
	return 0;
}

int
settings_tls_contradicts(
    const struct conf_action *action, enum url_protocol protocol)
{
	return url_without_tls(protocol) &&
	    action->relay.tls != CONF_RELAY_TLS_OPPORTUNISTIC;
}

enum client_tls
settings_tls_policy(
    const struct conf_action *action, enum url_protocol protocol)
{
	enum conf_relay_tls tls = action->relay.tls;

	if (tls == CONF_RELAY_TLS_NO_VERIFY)
		return CLIENT_TLS_REQUIRED;
	if (tls == CONF_RELAY_TLS_OPPORTUNISTIC) {
		if (url_without_tls(protocol))
			return CLIENT_TLS_NEVER;
		if (protocol == URL_SMTP)
			return CLIENT_TLS_OPPORTUNISTIC;
	}
	return CLIENT_TLS_VERIFIED;
}

const char *
settings_entry(const struct settings *s, const char *table, const char *key,
    int *elsewhere)
{
	const struct conf_table *t = conf_find_table(s->conf, table);

	*elsewhere = t != NULL && t->kind != CONF_TABLE_STATIC;
	/* of equal keys the last counts */
	for (uint32_t i = t != NULL && !*elsewhere ? t->nentries : 0; i-- > 0;)
		if (strcasecmp(t->entries[i].key, key) == 0)
			return t->entries[i].value;
	return NULL;
}

const char *
settings_addrname(const struct settings *s, const char *table,
    const char *address, int *elsewhere)
{
	const struct conf_table *t = conf_find_table(s->conf, table);
	struct conf_address want, a;

	*elsewhere = t != NULL && t->kind != CONF_TABLE_STATIC;
	if (t == NULL || *elsewhere ||
	    url_address_parse(address, &want, NULL) == -1)
		return NULL;
	for (uint32_t i = t->nentries; i-- > 0;)
		if (url_address_parse(t->entries[i].key, &a, NULL) == 0 &&
		    a.family == want.family &&
		    memcmp(a.octets, want.octets, sizeof(a.octets)) == 0)
			return t->entries[i].value;
	return NULL;
}

static int
is_repeated(const struct conf_table *t, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (strcmp(t->entries[i].key, t->entries[at].key) == 0)
			return 1;
	return 0;
}

const char *
settings_next(const struct settings *s, const char *table, const char *before,
    uint64_t seed, int *elsewhere)
{
	const struct conf_table *t = conf_find_table(s->conf, table);
	uint32_t at = 0;

	*elsewhere = t != NULL && t->kind != CONF_TABLE_STATIC;
	if (t == NULL || *elsewhere || t->nentries == 0)
		return NULL;
	if (before == NULL)
		return t->entries[seed % t->nentries].key;
	while (at < t->nentries && strcmp(t->entries[at].key, before) != 0)
		at++;
	/* what stands there more than once, to be chosen more often, is one */
	do
		at = (at + 1) % t->nentries;
	while (is_repeated(t, at));
	return t->entries[at].key;
}

int
settings_has_several(const struct settings *s, const char *table)
{
	const struct conf_table *t = conf_find_table(s->conf, table);

	return t != NULL && (t->kind != CONF_TABLE_STATIC || t->nentries > 1);
}

/* The entries of a table as a list, or its name where they are elsewhere. */
static void
hosts_text(const struct settings *s, const char *table, char *out, size_t size)
{
	const struct conf_table *t = conf_find_table(s->conf, table);

	*out = '\0';
	if (t == NULL || t->kind != CONF_TABLE_STATIC)
		snprintf(out, size, "<%s>", table);
	for (uint32_t i = 0; t != NULL && i < t->nentries; i++) {
		if (i > 0)
			strlcat(out, ",", size);
		strlcat(out, t->entries[i].key, size);
	}
}

void
settings_report(const struct settings *s, struct channel *ch, uint64_t id)
{
	struct msg_relay_answer m = { .id = id };
	struct msg_relay_info info;
	struct ipc_buf buf = { 0 };
	char hosts[256];

	for (uint32_t i = 0; i < s->conf->nactions && buf.count < REPORT_MAX;
	     i++) {
		const struct conf_action *a = &s->conf->actions[i];

		if (a->relay.host == NULL)
			continue;
		hosts_text(s, a->relay.host, hosts, sizeof(hosts));
		info = (struct msg_relay_info){ a->name, hosts };
		ipc_add_relay_info(&buf, &info);
	}
	m.relays = ipc_buf_list(&buf);
	ipc_send(ch, relay_answer, &m);
	ipc_buf_free(&buf);
}

int
settings_own_address(
    const char *text, enum mx_family family, struct mx_address *out)
{
	enum conf_family want = family == MX_INET4 ? CONF_INET4 : CONF_INET6;
	struct conf_address a;

	if (url_address_parse(text, &a, NULL) == -1 || a.family != want)
		return -1;
	out->family = (uint8_t)family;
	memcpy(out->octets, a.octets, sizeof(out->octets));
	return 0;
}

int
settings_source(const struct settings *s, const struct conf_action *action,
    enum mx_family family, uint64_t seed, struct mx_address *out,
    int *elsewhere)
{
	const struct conf_table *t =
	    conf_find_table(s->conf, action->relay.src);

	*elsewhere = t != NULL && t->kind != CONF_TABLE_STATIC;
	for (uint32_t i = 0; t != NULL && !*elsewhere && i < t->nentries; i++)
		if (settings_own_address(
			t->entries[(seed + i) % t->nentries].key, family,
			out) == 0)
			return 0;
	return -1;
}
