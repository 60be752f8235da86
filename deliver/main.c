/*
 * The deliver worker: sends mail to other hosts by SMTP and LMTP. Holds
 * outbound sockets and nothing else: no file, no key, no password, no DNS.
 * Trusts the queue for what to send, and no octet that comes back.
 */
#include "config.h"

#include <sys/socket.h>

#include <event2/event.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/codec.h"
#include "deliver/deliver.h"
#include "deliver/pool.h"
#include "deliver/question.h"
#include "deliver/route.h"
#include "deliver/settings.h"
#include "deliver/transfer.h"
#include "ipc/stop.h"
#include "ipc/worker.h"
#include "net/key_client.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tls.h"
#include "os/log.h"

/* Sockets of our own making, and bodies that are files. */
static const int syscalls[] = {
	SCMP_SYS(pread64),
};

/* ---- messages --------------------------------------------------------- */

static void
on_transfer(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	transfer_begin(((struct deliver *)arg)->transfers, &m->transfer);
}

static void
on_transfer_cancel(
    void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	transfer_cancel(
	    ((struct deliver *)arg)->transfers, m->transfer_cancel.id);
}

static void
on_body_data(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	transfer_body_data(((struct deliver *)arg)->transfers, &m->body_data);
}

static void
on_body_file(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	transfer_body_file(
	    ((struct deliver *)arg)->transfers, &m->body_file, fd);
}

static void
on_callahead(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	transfer_begin_probe(((struct deliver *)arg)->transfers, &m->callahead);
}

static void
on_route_query(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	pool_report(((struct deliver *)arg)->pool, ch, m->route_query.id);
}

static void
on_relay_query(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	settings_report(
	    ((struct deliver *)arg)->settings, ch, m->relay_query.id);
}

static void
on_dns_answer(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	questions_answer(((struct deliver *)arg)->questions, ch, MSG_dns_answer,
	    m->dns_answer.id, m);
}

static void
on_table_answer(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	questions_answer(((struct deliver *)arg)->questions, ch,
	    MSG_table_answer, m->table_answer.id, m);
}

static void
on_client_sasl_reply(
    void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	questions_answer(((struct deliver *)arg)->questions, ch,
	    MSG_client_sasl_reply, m->client_sasl_reply.id, m);
}

static void
on_key_signed(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	key_client_signed(((struct deliver *)arg)->keys, &m->key_signed);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_transfer] = on_transfer,
	[MSG_transfer_cancel] = on_transfer_cancel,
	[MSG_body_data] = on_body_data,
	[MSG_body_file] = on_body_file,
	[MSG_callahead] = on_callahead,
	[MSG_route_query] = on_route_query,
	[MSG_relay_query] = on_relay_query,
	[MSG_dns_answer] = on_dns_answer,
	[MSG_table_answer] = on_table_answer,
	[MSG_client_sasl_reply] = on_client_sasl_reply,
	[MSG_key_signed] = on_key_signed,
};

/* ---- life ------------------------------------------------------------- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct deliver *d = arg;

	questions_tick(d->questions);
	pool_tick(d->pool);
	transfers_tick(d->transfers);
	if (d->stop_by != 0 &&
	    (transfers_count(d->transfers) == 0 ||
		loop_now(d->loop) >= d->stop_by))
		worker_exit(d->worker, 0);
}

/* Once, before any peer can say a word: what the first configuration is
 * checked with, and all others after it. */
static int
prepare(struct deliver *d, char *error, size_t size)
{
	struct timeval second = { .tv_sec = 1 };

	if (d->tick != NULL)
		return 0;
	if (tls_init(error, size) == -1)
		return -1;
	tzset(); /* reads a file, for the dates of certificates */
	strlcpy(error, "out of memory", size);
	d->tick = event_new(loop_base(d->loop), -1, EV_PERSIST, on_tick, d);
	if (d->tick == NULL || event_add(d->tick, &second) == -1 ||
	    (d->streams = stream_set_new(d->loop)) == NULL ||
	    (d->keys = key_client_new(d->loop)) == NULL ||
	    (d->hosts = route_hosts_new()) == NULL ||
	    (d->questions = questions_new(d)) == NULL ||
	    (d->pool = pool_new(d)) == NULL ||
	    (d->transfers = transfers_new(d)) == NULL)
		return -1;
	return 0;
}

static int
configure(void *arg, struct worker *worker, const uint8_t *slice, size_t len,
    const struct worker_file *files, size_t file_count, char *error,
    size_t size)
{
	struct deliver *d = arg;
	struct conf *conf;

	d->worker = worker;
	d->loop = worker_loop(worker);
	if ((conf = conf_decode(slice, len, error, size)) == NULL)
		return -1;
	settings_release(d->next);
	if ((d->next = settings_new(conf)) == NULL) {
		strlcpy(error, "out of memory", size);
		return -1;
	}
	if (prepare(d, error, size) == -1)
		return -1;
	return settings_check_tls(d->next, d->keys, error, size);
}

/* The addresses by which mail could come back to us. Loopback is nobody's. */
static void
find_own_addresses(struct deliver *d)
{
	struct ifaddrs *list, *i;
	struct mx_address a;

	if (getifaddrs(&list) == -1) {
		log_warn("the addresses of this host cannot be read: loops "
			 "are found by name only");
		return;
	}
	for (i = list; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL ||
		    d->own_addresses_count == DELIVER_OWN_ADDRESSES)
			continue;
		memset(&a, 0, sizeof(a));
		if (i->ifa_addr->sa_family == AF_INET) {
			a.family = MX_INET4;
			memcpy(a.octets,
			    &((struct sockaddr_in *)i->ifa_addr)->sin_addr, 4);
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			a.family = MX_INET6;
			memcpy(a.octets,
			    &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr,
			    16);
		} else
			continue;
		if (!mx_address_loopback(&a))
			d->own_addresses[d->own_addresses_count++] = a;
	}
	freeifaddrs(list);
}

static int
before_sandbox(void *arg, char *error, size_t size)
{
	struct deliver *d = arg;

	find_own_addresses(d);
	return 0;
}

/* Transfers under way end under the settings that they began with. */
static void
swap(void *arg)
{
	struct deliver *d = arg;

	settings_release(d->settings);
	d->settings = d->next;
	d->settings->generation = worker_generation(d->worker);
	d->next = NULL;
	pool_close_idle(d->pool);
}

static void
peer_up(void *arg, struct channel *ch)
{
	struct deliver *d = arg;

	if (channel_peer(ch) == PROC_KEYS)
		key_client_set_channel(d->keys, ch);
}

static void
peer_down(void *arg, struct channel *ch)
{
	struct deliver *d = arg;
	enum process_kind kind = channel_peer(ch);

	if (kind == PROC_KEYS)
		key_client_set_channel(d->keys, NULL);
	if (kind == PROC_AUTH || kind == PROC_RESOLVER)
		questions_peer_down(d->questions, kind);
	if (kind == PROC_AUTH || kind == PROC_QUEUE)
		transfers_peer_down(d->transfers, kind);
}

static void
stop(void *arg)
{
	struct deliver *d = arg;

	/* less than the queue, which must hear what became of them */
	d->stop_by = loop_now(d->loop) + STOP_DELIVER * 1000;
	transfers_stop(d->transfers);
	pool_close_idle(d->pool);
}

static const struct worker_ops ops = {
	.kind = PROC_DELIVER,
	.handlers = handlers,
	.syscalls = syscalls,
	.syscall_count = sizeof(syscalls) / sizeof(syscalls[0]),
	.net = SANDBOX_NET_CONNECT,
	.configure = configure,
	.before_sandbox = before_sandbox,
	.swap = swap,
	.peer_up = peer_up,
	.peer_down = peer_down,
	.stop = stop,
};

int
main(int argc, char **argv)
{
	struct deliver *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return 1;
	return worker_main(argc, argv, &ops, d);
}
