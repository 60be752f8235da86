/*
 * See resolv.h.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "conf/url.h"
#include "master/resolv.h"

enum { LINE_SIZE = 512, DNS_PORT = 53 };

static int
add_server(struct conf_resolver *r, const char *text)
{
	struct conf_address address, *slot;

	if (url_address_parse(text, &address, NULL) == -1)
		return 0;
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
resolv_parse(const char *text, struct conf_resolver *r)
{
	char line[LINE_SIZE];
	const char *server;
	size_t len;

	for (; *text != '\0'; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (len >= sizeof(line))
			continue;
		memcpy(line, text, len);
		line[len] = '\0';
		if ((server = server_of(line)) != NULL &&
		    add_server(r, server) == -1)
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
	char host[INET6_ADDRSTRLEN];
	size_t used = 0;

	*buf = '\0';
	for (uint32_t i = 0; i < r->nservers && used < size; i++) {
		inet_ntop(
		    r->servers[i].family == CONF_INET4 ? AF_INET : AF_INET6,
		    r->servers[i].octets, host, sizeof(host));
		used += (size_t)snprintf(
		    buf + used, size - used, "%s%s", i > 0 ? ", " : "", host);
	}
}
