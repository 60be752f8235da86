/*
 * The resolver worker: the only process that speaks DNS. Joins the channels
 * of smtpd and deliver to resolver.c; trusts neither its askers nor the
 * network.
 */
#include "config.h"

#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/resolver.h"
#include "conf/codec.h"
#include "ipc/worker.h"
#include "os/log.h"

struct context {
	struct worker *worker;
	struct resolver *resolver;
	struct conf *conf;
	struct conf *next;
};

/* What libunbound needs beyond sockets (found by trying, see
 * doc/decisions). */
static const int syscalls[] = {
	SCMP_SYS(sysinfo),
	SCMP_SYS(ioctl),
	SCMP_SYS(getuid),
};

/* TCP ports beside 53, 0 at the end: the sandbox has those of the first
 * configuration, and nobody can add one. */
enum { PORTS_MAX = 32 };
static uint16_t ports[PORTS_MAX + 1];

static void
on_done(void *asker, uint64_t id, const struct resolver_answer *a)
{
	struct msg_dns_answer m = { .id = id,
		.status = (uint8_t)a->status,
		.secure = (uint8_t)a->secure,
		.ttl = a->ttl,
		.name = a->owner,
		.records = a->records };

	if (ipc_send(asker, dns_answer, &m) == -1) {
		m = (struct msg_dns_answer){ .id = id, .status = DNS_TEMPFAIL };
		ipc_send(asker, dns_answer, &m);
	}
}

static void
on_dns_query(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct context *c = arg;

	resolver_ask(c->resolver, ch, m->dns_query.id, m->dns_query.name,
	    m->dns_query.type, on_done);
}

static void
on_dns_cancel(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct context *c = arg;

	resolver_cancel(c->resolver, ch, m->dns_cancel.id);
}

static int
port_is_open(unsigned int port)
{
	const uint16_t *p = ports;

	while (*p != 0 && *p != port)
		p++;
	return port == 0 || port == 53 || *p != 0;
}

/* Each configuration but the first has to do with the ports that are open. */
static int
check_ports(const struct conf_resolver *conf, char *error, size_t size)
{
	for (uint32_t i = 0; i < conf->nservers; i++)
		if (!port_is_open(conf->servers[i].port)) {
			snprintf(error, size,
			    "port %u of a resolver is new: stop relaisd and "
			    "start it again",
			    (unsigned int)conf->servers[i].port);
			return -1;
		}
	return 0;
}

static int
open_ports(const struct conf_resolver *conf, char *error, size_t size)
{
	size_t n = 0;

	for (uint32_t i = 0; i < conf->nservers; i++) {
		if (port_is_open(conf->servers[i].port))
			continue;
		if (n == PORTS_MAX) {
			snprintf(error, size,
			    "the resolvers have more than %d ports", PORTS_MAX);
			return -1;
		}
		ports[n++] = (uint16_t)conf->servers[i].port;
	}
	return 0;
}

static int
configure(void *arg, struct worker *worker, const uint8_t *slice, size_t len,
    const struct worker_file *files, size_t file_count, char *error,
    size_t size)
{
	struct context *c = arg;

	c->worker = worker;
	conf_free(c->next);
	c->next = conf_decode(slice, len, error, size);
	if (c->next == NULL)
		return -1;
	return c->conf != NULL ? check_ports(&c->next->resolver, error, size)
			       : open_ports(&c->next->resolver, error, size);
}

static int
before_sandbox(void *arg, char *error, size_t size)
{
	struct context *c = arg;

	c->resolver = resolver_new(worker_loop(c->worker));
	if (c->resolver == NULL) {
		strlcpy(error, "out of memory", size);
		return -1;
	}
	return resolver_configure(c->resolver, &c->next->resolver, error, size);
}

static void
swap(void *arg)
{
	struct context *c = arg;
	char error[256];

	/* master sends the one that holds again when its servers change, and
	 * does not wait for our word on it */
	if (c->next == NULL)
		return;
	/* the first configuration is in use since before the sandbox */
	if (c->conf != NULL &&
	    resolver_configure(
		c->resolver, &c->next->resolver, error, sizeof(error)) == -1) {
		log_error("keeping the resolvers as they were: %s", error);
		conf_free(c->next);
		c->next = NULL;
		return;
	}
	conf_free(c->conf);
	c->conf = c->next;
	c->next = NULL;
}

/* The channel's address is what names an asker. */
static void
peer_down(void *arg, struct channel *ch)
{
	struct context *c = arg;

	resolver_forget(c->resolver, ch);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_dns_query] = on_dns_query,
	[MSG_dns_cancel] = on_dns_cancel,
};

static const struct worker_ops ops = {
	.kind = PROC_RESOLVER,
	.handlers = handlers,
	.syscalls = syscalls,
	.syscall_count = sizeof(syscalls) / sizeof(syscalls[0]),
	.net = SANDBOX_NET_DNS,
	.ports = ports,
	.configure = configure,
	.before_sandbox = before_sandbox,
	.swap = swap,
	.peer_down = peer_down,
};

int
main(int argc, char **argv)
{
	struct context c = { 0 };

	return worker_main(argc, argv, &ops, &c);
}
