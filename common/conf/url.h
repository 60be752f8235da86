/*
 * Relay URLs: [proto://[label@]]host[:port], as `relay host`, `relay domain`
 * and their tables have them. Pure; called by master to check and by deliver
 * to use them.
 */
#ifndef CONF_URL_H
#define CONF_URL_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

enum url_protocol {
	URL_SMTP, /* STARTTLS if it is offered */
	URL_SMTP_TLS, /* STARTTLS, certificate verified */
	URL_SMTP_NOTLS,
	URL_LMTP,
	URL_SMTPS /* TLS from the first octet, certificate verified */
};

struct url {
	enum url_protocol protocol;
	char label[CONF_NAME_MAX + 1]; /* key of the auth table, or "" */
	char host[CONF_NAME_MAX + 1]; /* name, or address without brackets */
	bool is_address;
	uint16_t port; /* host order, never 0 */
};

/* 0, or -1 with a clause in `error` that says what is wrong. */
int url_parse(const char *text, struct url *, char *error, size_t errorlen);

/* The protocol that took the place of one of the grammar before OpenSMTPD
 * 6.4, which has no end; NULL if it is none of those. */
const char *url_scheme_now(const char *old, size_t len);
/* Whether a protocol has no TLS at all, whatever the action says. */
bool url_without_tls(enum url_protocol);

/* A host name of letters, digits, - and _ in labels of at most 63 octets. */
bool url_host_valid(const char *name);

/* Reads an address, with or without brackets, one of IPv6 also behind `IPv6:`
 * in any case, and an optional /prefix when `prefix` is not NULL (then set to
 * the width if none stands there). 0 or -1. Port and scope are 0. */
int url_address_parse(const char *text, struct conf_address *, int *prefix);

#endif
