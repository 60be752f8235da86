/*
 * Relay URLs and the addresses that stand in the configuration. Called by
 * master on what an administrator wrote and by deliver on what a table said;
 * trusts neither. RFC 5321 section 4.1.3 for the form of a literal.
 */
#include <arpa/inet.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/url.h"

static const struct scheme {
	const char *name;
	enum url_protocol protocol;
	uint16_t port; /* 0: must be given */
} schemes[] = {
	{ "smtp", URL_SMTP, 25 },
	{ "smtp+tls", URL_SMTP_TLS, 25 },
	{ "smtp+notls", URL_SMTP_NOTLS, 25 },
	{ "lmtp", URL_LMTP, 0 },
	{ "smtps", URL_SMTPS, 465 },
};

/* Schemes of the old grammar and the ones that took their place. */
static const struct {
	const char *old;
	const char *now;
	const char *more; /* advice */
} old_schemes[] = {
	{ "tls", "smtp+tls", "" },
	{ "smtp+auth", "smtp+tls", " with a label" },
	{ "tls+auth", "smtp+tls", " with a label" },
	{ "smtps+auth", "smtps", " with a label" },
	{ "secure", "smtp+tls", " or smtps://" },
	{ "secure+auth", "smtp+tls", " or smtps:// with a label" },
	{ "ssl", "smtps", "" },
	{ "ssl+auth", "smtps", " with a label" },
};

#define NOLD (sizeof(old_schemes) / sizeof(old_schemes[0]))

static size_t
old_find(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < NOLD; i++)
		if (strlen(old_schemes[i].old) == len &&
		    strncasecmp(old_schemes[i].old, text, len) == 0)
			break;
	return i;
}

const char *
url_scheme_now(const char *old, size_t len)
{
	size_t i = old_find(old, len);

	return i < NOLD ? old_schemes[i].now : NULL;
}

static const struct scheme *
scheme_find(const char *text, size_t len, char *error, size_t errorlen)
{
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strlen(schemes[i].name) == len &&
		    strncasecmp(schemes[i].name, text, len) == 0)
			return &schemes[i];
	if ((i = old_find(text, len)) < NOLD) {
		snprintf(error, errorlen,
		    "`%s://` is of the old grammar; write %s://%s",
		    old_schemes[i].old, old_schemes[i].now,
		    old_schemes[i].more);
		return NULL;
	}
	snprintf(error, errorlen,
	    "unknown protocol `%.*s`; write smtp, "
	    "smtp+tls, smtp+notls, smtps or lmtp",
	    (int)len, text);
	return NULL;
}

bool
url_host_valid(const char *name)
{
	size_t label = 0, len = strlen(name);
	const char *p;

	if (len == 0 || len > CONF_NAME_MAX)
		return false;
	for (p = name; *p != '\0'; p++) {
		if (*p == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (isalnum((unsigned char)*p) || *p == '-' ||
		    *p == '_' || (*p & 0x80) != 0) {
			if (++label > 63)
				return false;
		} else
			return false;
	}
	return label > 0;
}

static int
prefix_parse(const char *text, int width, int *prefix)
{
	char *end;
	long value;

	if (!isdigit((unsigned char)*text))
		return -1;
	value = strtol(text, &end, 10);
	if (*end != '\0' || value > width)
		return -1;
	*prefix = (int)value;
	return 0;
}

int
url_address_parse(const char *text, struct conf_address *address, int *prefix)
{
	char buf[64], *slash, *close;
	bool tagged;
	int width;

	memset(address, 0, sizeof(*address));
	if (strlen(text) >= sizeof(buf))
		return -1;
	memcpy(buf, text, strlen(text) + 1);
	slash = strchr(buf, '/');
	if (slash != NULL) {
		if (prefix == NULL)
			return -1;
		*slash++ = '\0';
	}
	text = buf;
	if (*text == '[') {
		if ((close = strchr(buf, ']')) == NULL)
			return -1;
		/* [2001:db8::/32] carries its prefix inside. */
		if (close[1] != '\0')
			return -1;
		*close = '\0';
		text++;
	} else if (slash != NULL && (close = strchr(slash, ']')) != NULL)
		return -1;
	tagged = strncasecmp(text, "IPv6:", 5) == 0;
	if (tagged)
		text += 5;
	if (!tagged && inet_pton(AF_INET, text, address->octets) == 1)
		address->family = CONF_INET4;
	else if (inet_pton(AF_INET6, text, address->octets) == 1)
		address->family = CONF_INET6;
	else
		return -1;
	width = address->family == CONF_INET4 ? 32 : 128;
	if (prefix == NULL)
		return 0;
	*prefix = width;
	return slash != NULL ? prefix_parse(slash, width, prefix) : 0;
}

static int
port_parse(const char *text, uint16_t *port)
{
	char *end;
	long value;

	if (!isdigit((unsigned char)*text))
		return -1;
	value = strtol(text, &end, 10);
	if (*end != '\0' || value < 1 || value > 65535)
		return -1;
	*port = (uint16_t)value;
	return 0;
}

/* Splits host[:port], where the host may be an address in brackets. */
static int
host_parse(const char *text, struct url *url, char *error, size_t errorlen)
{
	struct conf_address address;
	const char *end;
	size_t len;

	if (*text == '[' && (end = strchr(text, ']')) != NULL)
		end++;
	else
		end = text + strcspn(text, ":");
	len = (size_t)(end - text);
	if (len == 0 || len >= sizeof(url->host)) {
		snprintf(error, errorlen, "the host is %s",
		    len == 0 ? "missing" : "too long");
		return -1;
	}
	memcpy(url->host, text, len);
	url->host[len] = '\0';
	if (*end == ':' && port_parse(end + 1, &url->port) == -1) {
		snprintf(error, errorlen,
		    "`%s` is no port; write a number "
		    "from 1 to 65535%s",
		    end + 1,
		    strchr(end + 1, ':') != NULL
			? ", and an IPv6 address in brackets"
			: "");
		return -1;
	}
	url->is_address = (*end == '\0' || *end == ':') &&
	    url_address_parse(url->host, &address, NULL) == 0;
	if (url->is_address)
		inet_ntop(address.family == CONF_INET4 ? AF_INET : AF_INET6,
		    address.octets, url->host, sizeof(url->host));
	else if ((*end != '\0' && *end != ':') || !url_host_valid(url->host)) {
		snprintf(error, errorlen,
		    "`%s` is neither a host name nor an "
		    "address",
		    text);
		return -1;
	}
	return 0;
}

bool
url_without_tls(enum url_protocol protocol)
{
	return protocol == URL_SMTP_NOTLS || protocol == URL_LMTP;
}

int
url_parse(const char *text, struct url *url, char *error, size_t errorlen)
{
	const struct scheme *scheme = &schemes[0];
	const char *rest = text, *mark;
	size_t len;

	memset(url, 0, sizeof(*url));
	if ((mark = strstr(text, "://")) != NULL) {
		scheme =
		    scheme_find(text, (size_t)(mark - text), error, errorlen);
		if (scheme == NULL)
			return -1;
		rest = mark + 3;
	}
	url->protocol = scheme->protocol;
	url->port = scheme->port;
	if ((mark = strrchr(rest, '@')) != NULL) {
		len = (size_t)(mark - rest);
		if (len == 0 || len >= sizeof(url->label)) {
			snprintf(error, errorlen, "the label before @ is %s",
			    len == 0 ? "missing" : "too long");
			return -1;
		}
		memcpy(url->label, rest, len);
		rest = mark + 1;
	}
	if (host_parse(rest, url, error, errorlen) == -1)
		return -1;
	if (url->port == 0) {
		snprintf(error, errorlen, "%s:// needs a port", scheme->name);
		return -1;
	}
	return 0;
}
