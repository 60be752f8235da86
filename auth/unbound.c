/*
 * See unbound.h.
 */
#include "config.h"

#include <sys/resource.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unbound-event.h>

#include "auth/unbound.h"
#include "conf/wide.h"
#include "net/loop.h"

enum {
	/* libunbound goes on with what was given up: it needs room for that */
	PORTS_MAX = 4096,
	PORTS_OTHERS = 64 /* descriptors for all else */
};

static const struct {
	const char *name;
	const char *value;
} options[] = {
	{ "module-config:", "validator iterator" },
	{ "do-not-query-localhost:", "no" },
	{ "unblock-lan-zones:", "yes" },
	{ "insecure-lan-zones:", "yes" },
	/* a server that was down for a moment is asked again soon */
	{ "infra-host-ttl:", "15" },
	{ "cache-max-negative-ttl:", "300" },
	{ "serve-expired:", "no" },
	{ "edns-buffer-size:", "1232" },
	{ "msg-cache-size:", "8m" },
	{ "rrset-cache-size:", "16m" },
	{ "neg-cache-size:", "1m" },
	/* Streams, of up to 200 questions each. Without room libunbound breaks
	 * off the oldest, and what it sends next has no id. */
	{ "outgoing-num-tcp:", "10" },
};

unsigned
unbound_count_ports(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    files.rlim_max >= PORTS_MAX + PORTS_OTHERS)
		return PORTS_MAX;
	return files.rlim_max > 2 * PORTS_OTHERS
	    ? (unsigned)files.rlim_max - PORTS_OTHERS
	    : PORTS_OTHERS;
}

static int
set_ports(struct ub_ctx *ctx, unsigned ports)
{
	char text[16];
	int rc;

	snprintf(text, sizeof(text), "%u", ports);
	rc = ub_ctx_set_option(ctx, "outgoing-range:", text);
	return rc != 0
	    ? rc
	    : ub_ctx_set_option(ctx, "num-queries-per-thread:", text);
}

/* What no signature can be had for, since the public DNS knows nothing of it or
 * something else. */
static int
add_insecure(struct ub_ctx *ctx, const struct conf_resolver *s)
{
	int rc = 0;

	for (size_t i = 0; wide_private[i] != NULL && rc == 0; i++)
		rc =
		    ub_ctx_set_option(ctx, "domain-insecure:", wide_private[i]);
	for (uint32_t i = 0; i < s->ninsecure && rc == 0; i++)
		rc = ub_ctx_set_option(
		    ctx, "domain-insecure:", s->insecure[i].text);
	return rc;
}

/* Takes the place of libc's for libunbound, which asks it with a socket of a
 * kind that the sandbox forbids: here an interface is named by its number. */
unsigned int
if_nametoindex(const char *name)
{
	return (unsigned int)strtoul(name, NULL, 10);
}

static int
add_server(struct ub_ctx *ctx, const struct conf_address *a)
{
	char host[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 20];
	char scope[12] = "";

	inet_ntop(a->family == CONF_INET4 ? AF_INET : AF_INET6, a->octets, host,
	    sizeof(host));
	if (a->scope != 0)
		snprintf(scope, sizeof(scope), "%%%u", a->scope);
	snprintf(
	    text, sizeof(text), "%s%s@%u", host, scope, a->port ? a->port : 53);
	return ub_ctx_set_fwd(ctx, text);
}

/* The trust anchor is a zone file's text: one record a line. */
static int
add_anchors(struct ub_ctx *ctx, const char *text)
{
	char line[2048];
	size_t len;
	int rc = 0;

	for (; *text != '\0' && rc == 0; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (len == 0 || len >= sizeof(line) || *text == ';')
			continue;
		memcpy(line, text, len);
		line[len] = '\0';
		rc = ub_ctx_add_ta(ctx, line);
	}
	return rc;
}

struct ub_ctx *
unbound_new(struct loop *loop, const struct conf_resolver *s, int validate,
    unsigned ports, char *error, size_t size)
{
	struct ub_ctx *ctx;
	int rc = 0;

	if ((ctx = ub_ctx_create_event(loop_base(loop))) == NULL) {
		strlcpy(error, "libunbound: out of memory", size);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (rc == 0)
			rc = ub_ctx_set_option(
			    ctx, options[i].name, options[i].value);
	if (rc == 0)
		rc = set_ports(ctx, ports);
	if (rc == 0)
		rc = add_insecure(ctx, s);
	for (uint32_t i = 0; i < s->nservers && rc == 0; i++)
		rc = add_server(ctx, &s->servers[i]);
	if (rc == 0 && validate && s->trust_anchor != NULL)
		rc = add_anchors(ctx, s->trust_anchor);
	/* libunbound would answer for these itself. This ends the set-up, so
	 * it comes last. */
	if (rc == 0)
		rc = ub_ctx_zone_add(ctx, "test.", "transparent");
	if (rc == 0)
		rc = ub_ctx_zone_add(ctx, "home.arpa.", "transparent");
	if (rc != 0) {
		snprintf(error, size, "libunbound: %s", ub_strerror(rc));
		ub_ctx_delete(ctx);
		return NULL;
	}
	return ctx;
}
