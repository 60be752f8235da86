/*
 * The smtpd worker: the process that faces the world. It holds client sockets
 * and the public half of certificates, and nothing else: no file, no key, no
 * password, no spool. What it is asked to believe it asks auth, resolver and
 * queue about.
 */
#include "config.h"

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "conf/codec.h"
#include "ipc/stop.h"
#include "net/key_client.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tls.h"
#include "os/log.h"
#include "os/passed.h"
#include "smtpd/smtpd.h"

enum {
	/* transactions kept for reuse: about 70 KiB each, if ever filled */
	POOL_KEEP = 64,
	/* octets, for the recipients of all open transactions */
	RCPTS_ROOM = 64 << 20,
	NAMES_KEPT = 4096
};

static const int syscalls[] = {
	SCMP_SYS(getsockname),
};

/* ---- the configuration ------------------------------------------------ */

/* What the first configuration is checked with, and all others after it. */
static int
prepare(struct smtpd *d, struct worker *worker, char *error, size_t size)
{
	uint64_t random[3];

	if (d->worker != NULL)
		return 0;
	if (tls_init(error, size) == -1)
		return -1;
	tzset(); /* reads a file, for the dates of Received */
	if (RAND_bytes((unsigned char *)random, sizeof(random)) != 1) {
		snprintf(error, size, "no random octets");
		return -1;
	}
	d->loop = worker_loop(worker);
	d->session_seed = random[2];
	d->streams = stream_set_new(d->loop);
	d->keys = key_client_new(d->loop);
	d->tickets = tls_tickets_new();
	d->pool = session_pool_new(POOL_KEEP, RCPTS_ROOM);
	d->names = rdns_cache_new(NAMES_KEPT);
	d->limits = limits_new(&limits_default_settings, random);
	if (d->streams == NULL || d->keys == NULL || d->tickets == NULL ||
	    d->pool == NULL || d->names == NULL || d->limits == NULL) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	d->worker = worker;
	return 0;
}

static int
configure(void *arg, struct worker *worker, const uint8_t *slice, size_t len,
    const struct worker_file *files, size_t file_count, char *error,
    size_t size)
{
	struct smtpd *d = arg;
	struct conf *conf;

	for (size_t i = 0; i < file_count; i++)
		close(files[i].fd);
	if (prepare(d, worker, error, size) == -1)
		return -1;
	settings_unref(d->next);
	d->next = NULL;
	if ((conf = conf_decode(slice, len, error, size)) == NULL)
		return -1;
	d->next = settings_new(
	    conf, d->tickets, key_client_signer(d->keys), error, size);
	return d->next != NULL ? 0 : -1;
}

static void
swap(void *arg)
{
	struct limits_settings limits;
	struct smtpd *d = arg;

	settings_begin(d->next, d->now, worker_generation(d->worker));
	settings_unref(d->now);
	d->now = d->next;
	d->next = NULL;
	settings_limits(d->now, &limits);
	if (limits_configure(d->limits, &limits) == -1)
		log_warn("the limits of connections stay: out of memory");
	listen_swap(d);
}

/* ---- peers ------------------------------------------------------------ */

static void
peer_up(void *arg, struct channel *ch)
{
	struct smtpd *d = arg;

	switch (channel_peer(ch)) {
	case PROC_QUEUE:
		d->queue = (struct msg_queue_status){
			.accepting = 1, .code = 250, .enhanced = "", .text = ""
		};
		d->queue_up = 1;
		ids_request(d);
		break;
	case PROC_KEYS:
		key_client_set_channel(d->keys, ch);
		break;
	default:
		break;
	}
}

static void
peer_down(void *arg, struct channel *ch)
{
	struct smtpd *d = arg;
	enum process_kind peer = channel_peer(ch);

	if (peer == PROC_QUEUE) {
		/* the next queue may give the same ids to others */
		d->queue_up = d->ids_asked = 0;
		d->ids = d->more_ids = (struct session_ids){ 0 };
	} else if (peer == PROC_KEYS)
		key_client_set_channel(d->keys, NULL);
	clients_lost(d, peer);
	if (peer == PROC_QUEUE)
		clients_resume(d);
}

static void
peer_writable(void *arg, struct channel *ch)
{
	if (channel_peer(ch) == PROC_QUEUE)
		clients_resume(arg);
}

static void
on_answer(void *arg, struct channel *ch, enum msg_type type, uint64_t id,
    const union ipc_msg *m)
{
	client_answer(arg, id, type, m);
}

static void
on_rcpt_verdict(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	on_answer(arg, ch, MSG_rcpt_verdict, m->rcpt_verdict.id, m);
}

static void
on_sender_verdict(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	on_answer(arg, ch, MSG_sender_verdict, m->sender_verdict.id, m);
}

static void
on_sasl_reply(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	on_answer(arg, ch, MSG_sasl_reply, m->sasl_reply.id, m);
}

static void
on_submitted(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	on_answer(arg, ch, MSG_submitted, m->submitted.id, m);
}

static void
on_etrn_done(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	on_answer(arg, ch, MSG_etrn_done, m->etrn_done.id, m);
}

static void
on_table_answer(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	names_own_answer(arg, &m->table_answer);
}

static void
on_dns_answer(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	names_dns_answer(arg, &m->dns_answer);
}

static void
on_queue_status(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct smtpd *d = arg;

	snprintf(d->queue_enhanced, sizeof(d->queue_enhanced), "%s",
	    m->queue_status.enhanced);
	snprintf(
	    d->queue_text, sizeof(d->queue_text), "%s", m->queue_status.text);
	d->queue = m->queue_status;
	d->queue.enhanced = d->queue_enhanced;
	d->queue.text = d->queue_text;
}

static void
on_id_block(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct smtpd *d = arg;

	d->ids_asked = 0;
	d->more_ids =
	    (struct session_ids){ m->id_block.first, m->id_block.count };
	listen_begin(d);
}

static void
on_key_signed(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct smtpd *d = arg;

	key_client_signed(d->keys, &m->key_signed);
}

static void
on_local_session(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct smtpd *d = arg;

	if (d->now == NULL || d->stopping || *m->local_session.user == '\0')
		passed_end(fd);
	else
		client_new(d, &d->now->socket, fd, NULL, m->local_session.user);
}

/* ---- master ----------------------------------------------------------- */

static void
on_listen_socket(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	listen_add(arg, m->listen_socket.listener, fd);
}

static void
on_ticket_keys(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_ticket_keys *k = &m->ticket_keys;
	struct smtpd *d = arg;

	if (d->tickets == NULL ||
	    tls_tickets_set(d->tickets, k->current.data, k->current.len,
		k->previous.data, k->previous.len) == -1)
		log_warn("ticket keys of a wrong length");
}

static void
on_stop_time(evutil_socket_t fd, short what, void *arg)
{
	struct smtpd *d = arg;

	worker_exit(d->worker, 0);
}

static void
stop(void *arg)
{
	struct timeval tv = { STOP_SMTPD, 0 };
	struct smtpd *d = arg;

	if (d->stopping)
		return;
	d->stopping = 1;
	listen_stop(d);
	if (TAILQ_EMPTY(&d->clients)) {
		worker_exit(d->worker, 0);
		return;
	}
	event_base_once(
	    loop_base(d->loop), -1, EV_TIMEOUT, on_stop_time, d, &tv);
	clients_shutdown(d);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_listen_socket] = on_listen_socket,
	[MSG_ticket_keys] = on_ticket_keys,
	[MSG_rcpt_verdict] = on_rcpt_verdict,
	[MSG_sender_verdict] = on_sender_verdict,
	[MSG_sasl_reply] = on_sasl_reply,
	[MSG_table_answer] = on_table_answer,
	[MSG_dns_answer] = on_dns_answer,
	[MSG_key_signed] = on_key_signed,
	[MSG_submitted] = on_submitted,
	[MSG_etrn_done] = on_etrn_done,
	[MSG_queue_status] = on_queue_status,
	[MSG_id_block] = on_id_block,
	[MSG_local_session] = on_local_session,
};

static const struct worker_ops ops = {
	.kind = PROC_SMTPD,
	.handlers = handlers,
	.syscalls = syscalls,
	.syscall_count = sizeof(syscalls) / sizeof(syscalls[0]),
	.net = SANDBOX_NET_NONE,
	.configure = configure,
	.swap = swap,
	.peer_up = peer_up,
	.peer_down = peer_down,
	.peer_writable = peer_writable,
	.stop = stop,
};

int
main(int argc, char **argv)
{
	struct smtpd *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return 1;
	TAILQ_INIT(&d->clients);
	TAILQ_INIT(&d->stalls);
	TAILQ_INIT(&d->ports);
	TAILQ_INIT(&d->next_ports);
	d->turn.ids = &d->ids;
	d->turn.serial = &d->serial;
	return worker_main(argc, argv, &ops, d);
}
