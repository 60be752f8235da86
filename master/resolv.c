/*
 * See resolv.h.
 */
#include "config.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/url.h"
#include "master/resolv.h"

enum { LINE_SIZE = 512, DNS_PORT = 53 };

/* The number of an interface, by its name or as it is; 0: there is none. */
static uint32_t
scope_of(const char *name)
{
	uint32_t index = if_nametoindex(name);

	return index != 0 ? index : (uint32_t)strtoul(name, NULL, 10);
}

/* addr, addr%interface. A link-local address is nothing without. */
static int
address_parse(const char *text, struct conf_address *a)
{
	char host[INET6_ADDRSTRLEN];
	const char *percent = strchr(text, '%');
	size_t len = percent != NULL ? (size_t)(percent - text) : strlen(text);
	bool link_local;

	if (len >= sizeof(host))
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	if (url_address_parse(host, a, NULL) == -1)
		return -1;
	link_local = a->family == CONF_INET6 && a->octets[0] == 0xfe &&
	    (a->octets[1] & 0xc0) == 0x80;
	if (percent != NULL && link_local)
		a->scope = scope_of(percent + 1);
	return link_local == (a->scope != 0) ? 0 : -1;
}

static int
add_server(struct conf_resolver *r, const char *text, char *bad, size_t size)
{
	struct conf_address address, *slot;

	if (address_parse(text, &address) == -1) {
		if (*bad != '\0')
			strlcat(bad, ", ", size);
		strlcat(bad, *text != '\0' ? text : "(none)", size);
		return 0;
	}
	slot = conf_append(&r->servers, &r->nservers, sizeof(*slot));
	if (slot == NULL)
		return -1;
	address.port = DNS_PORT;
	*slot = address;
	return 0;
}

/* What the line names as a server, or NULL. */
static const char *
server_of(char *line)
{
	static const char word[] = "nameserver";
	char *text;

	if (strncmp(line, word, sizeof(word) - 1) != 0)
		return NULL;
	text = line + sizeof(word) - 1;
	if (*text != ' ' && *text != '\t')
		return NULL;
	text += strspn(text, " \t");
	text[strcspn(text, " \t\r")] = '\0';
	return text;
}

int
resolv_parse(const char *text, struct conf_resolver *r, char *bad, size_t size)
{
	char line[LINE_SIZE];
	const char *server;
	size_t len;

	*bad = '\0';
	for (; *text != '\0'; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (len >= sizeof(line))
			continue;
		memcpy(line, text, len);
		line[len] = '\0';
		if ((server = server_of(line)) != NULL &&
		    add_server(r, server, bad, size) == -1)
			return -1;
	}
	return 0;
}

static bool
address_equal(const struct conf_address *a, const struct conf_address *b)
{
	return a->family == b->family && a->port == b->port &&
	    a->scope == b->scope &&
	    memcmp(a->octets, b->octets, sizeof(a->octets)) == 0;
}

bool
resolv_equal(const struct conf_resolver *a, const struct conf_resolver *b)
{
	if (a->nservers != b->nservers)
		return false;
	for (uint32_t i = 0; i < a->nservers; i++)
		if (!address_equal(&a->servers[i], &b->servers[i]))
			return false;
	return true;
}

void
resolv_text(const struct conf_resolver *r, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
	const struct conf_address *a;
	size_t used = 0;

	*buf = '\0';
	for (uint32_t i = 0; i < r->nservers && used < size; i++) {
		a = &r->servers[i];
		inet_ntop(a->family == CONF_INET4 ? AF_INET : AF_INET6,
		    a->octets, host, sizeof(host));
		if (a->scope == 0 || if_indextoname(a->scope, name) == NULL)
			*name = '\0';
		used += (size_t)snprintf(buf + used, size - used, "%s%s%s%s",
		    i > 0 ? ", " : "", host, *name != '\0' ? "%" : "", name);
	}
}
