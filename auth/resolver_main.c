/*
 * The resolver worker: the only process that speaks DNS. Joins the channels
 * of smtpd and deliver to resolver.c; trusts neither its askers nor the
 * network.
 */
#include "config.h"

#include <seccomp.h>
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
configure(void *arg, struct worker *worker, const uint8_t *slice, size_t len,
    const struct worker_file *files, size_t file_count, char *error,
    size_t size)
{
	struct context *c = arg;

	c->worker = worker;
	conf_free(c->next);
	c->next = conf_decode(slice, len, error, size);
	return c->next != NULL ? 0 : -1;
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
