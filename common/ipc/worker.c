/*
 * See worker.h. Trusts master; a peer is trusted only as far as channel.c
 * lets its messages through.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/test_hook.h"
#include "ipc/worker.h"
#include "net/loop.h"
#include "os/journal.h"
#include "os/log.h"
#include "os/reserve.h"
#include "os/signals.h"

enum { MASTER_FD = 3, FILES_MAX = 1024, ERROR_SIZE = 512 };
#define SLICE_MAX (64u << 20)

struct incoming {
	uint8_t *slice;
	size_t len;
	size_t total;
	uint32_t generation;
	struct worker_file files[FILES_MAX];
	size_t file_count;
	int open; /* between config_begin and config_end */
};

struct worker {
	const struct worker_ops *ops;
	void *ctx;
	struct loop *loop;
	struct channel *master;
	struct channel *peers[PROC_MAX][WORKERS_MAX];
	uint32_t pairs[PROC_MAX][WORKERS_MAX]; /* what master calls them */
	uint16_t peer_count[PROC_MAX];
	/* descriptors, plus one, of peers that came before we serve */
	int waiting[PROC_MAX][WORKERS_MAX];
	struct incoming in;
	uint32_t next_generation; /* configured, to be swapped in */
	uint32_t generation; /* of the one that holds */
	uint16_t instance;
	int64_t begun;
	struct loop_deferred log_flush;
	int reserve; /* its first descriptor */
	int serving;
	int status;
	int to_journal; /* the lines that are for standard error */
	int in_log; /* guards the log sink against itself */

	const char *user;
	const char *root;
	const char *folders[2];
};

/* ---- the configuration ------------------------------------------------ */

static void
incoming_reset(struct incoming *in)
{
	for (size_t i = 0; i < in->file_count; i++) {
		free((char *)in->files[i].kind);
		free((char *)in->files[i].name);
	}
	if (in->slice != NULL)
		explicit_bzero(in->slice, in->len);
	free(in->slice);
	memset(in, 0, sizeof(*in));
}

static void
on_config_begin(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct worker *w = arg;

	for (size_t i = 0; i < w->in.file_count; i++)
		close(w->in.files[i].fd);
	incoming_reset(&w->in);
	if (m->config_begin.total > SLICE_MAX ||
	    (w->in.slice = malloc(m->config_begin.total + 1)) == NULL)
		log_fatal("configuration of %u octets does not fit",
		    m->config_begin.total);
	w->in.total = m->config_begin.total;
	w->in.generation = m->config_begin.generation;
	w->in.open = 1;
}

static void
on_config_chunk(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct worker *w = arg;
	const struct ipc_blob *data = &m->config_chunk.data;

	if (!w->in.open || data->len > w->in.total - w->in.len)
		log_fatal("configuration out of order");
	if (data->len > 0)
		memcpy(w->in.slice + w->in.len, data->data, data->len);
	w->in.len += data->len;
}

static void
on_config_file(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct worker *w = arg;
	struct worker_file *f = &w->in.files[w->in.file_count];

	if (!w->in.open || w->in.file_count == FILES_MAX)
		log_fatal("configuration holds too many files");
	f->kind = strdup(m->config_file.kind);
	f->name = strdup(m->config_file.name);
	f->fd = fd;
	if (f->kind == NULL || f->name == NULL)
		log_fatal("out of memory");
	w->in.file_count++;
}

static void
on_config_end(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct worker *w = arg;
	struct msg_config_ready ready = { .generation = w->in.generation };
	char error[ERROR_SIZE] = "";

	if (!w->in.open || w->in.len != w->in.total)
		log_fatal("configuration out of order");
	if (w->ops->configure(w->ctx, w, w->in.slice, w->in.len, w->in.files,
		w->in.file_count, error, sizeof(error)) == -1)
		ready.error = error[0] ? error : "refused";
	else
		w->next_generation = w->in.generation;
	incoming_reset(&w->in);
	if (ipc_send(w->master, config_ready, &ready) == -1)
		log_fatal("cannot answer master");
}

/* ---- peers ------------------------------------------------------------ */

static void
drop_peer(struct worker *w, struct channel *ch)
{
	w->peers[channel_peer(ch)][channel_instance(ch)] = NULL;
	if (w->ops->peer_down != NULL)
		w->ops->peer_down(w->ctx, ch);
	channel_free(ch);
}

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	struct worker *w = arg;
	enum process_kind kind = channel_peer(ch);
	uint16_t instance = channel_instance(ch);
	struct msg_peer_lost lost = { .kind = (uint8_t)kind,
		.instance = instance,
		.pair = w->pairs[kind][instance],
		.broken = channel_was_broken(ch) != 0 };

	if (ch == w->master) {
		/* nobody is left to ask: whatever is not durable is lost to
		 * a client that was told nothing, so it will try again */
		w->master = NULL;
		channel_free(ch);
		_exit(0);
	}
	/* master tells of deaths; at a stop the others go one by one */
	(reason == channel_closed ? log_debug : log_info)(
	    "lost %s %u: %s", process_name(kind), instance, reason);
	ipc_send(w->master, peer_lost, &lost);
	drop_peer(w, ch);
}

static void
on_peer_writable(void *arg, struct channel *ch)
{
	struct worker *w = arg;

	if (w->ops->peer_writable != NULL && ch != w->master)
		w->ops->peer_writable(w->ctx, ch);
}

static channel_handler *const no_handlers[MSG_MAX];
static const struct channel_ops peer_ops = { no_handlers, on_closed,
	on_peer_writable };

static void
connect_peer(
    struct worker *w, enum process_kind kind, uint16_t instance, int fd)
{
	struct channel *old, *ch;

	if ((old = w->peers[kind][instance]) != NULL)
		drop_peer(w, old);
	ch = channel_new(
	    w->loop, fd, w->ops->kind, kind, instance, &peer_ops, w);
	if (ch == NULL)
		log_fatal("out of memory");
	channel_add_handlers(ch, w->ops->handlers, w->ctx);
	w->peers[kind][instance] = ch;
	if (w->ops->peer_up != NULL)
		w->ops->peer_up(w->ctx, ch);
}

/* A peer may have begun to ask before our configuration holds: its channel
 * is not read until then. */
static void
on_peer(void *arg, struct channel *from, const union ipc_msg *m, int fd)
{
	struct worker *w = arg;
	enum process_kind kind = m->peer.kind;
	uint16_t instance = m->peer.instance;

	if (kind == PROC_MASTER || kind >= PROC_LOCAL ||
	    instance >= WORKERS_MAX)
		log_fatal("master names a peer that cannot be");
	if (w->peer_count[kind] <= instance)
		w->peer_count[kind] = (uint16_t)(instance + 1);
	w->pairs[kind][instance] = m->peer.pair;
	if (w->serving) {
		connect_peer(w, kind, instance, fd);
		return;
	}
	if (w->waiting[kind][instance] != 0)
		close(w->waiting[kind][instance] - 1);
	w->waiting[kind][instance] = fd + 1;
}

static void
connect_waiting(struct worker *w)
{
	for (int kind = 0; kind < PROC_MAX; kind++)
		for (uint16_t i = 0; i < w->peer_count[kind]; i++) {
			if (w->waiting[kind][i] == 0)
				continue;
			connect_peer(w, (enum process_kind)kind, i,
			    w->waiting[kind][i] - 1);
			w->waiting[kind][i] = 0;
		}
}

/* ---- into the sandbox ------------------------------------------------- */

static void
on_test_hook(evutil_socket_t fd, short what, void *arg)
{
	const struct worker *w = arg;

	test_hook_try(w->ops->kind);
}

/* In any other build than one for tests it finds nothing to do. */
static void
arm_test_hook(struct worker *w)
{
	static const struct timeval moment = { 0, 300 * 1000 };

	if (test_hook_variable() != NULL)
		event_base_once(loop_base(w->loop), -1, EV_TIMEOUT,
		    on_test_hook, w, &moment);
}

static void
serve(struct worker *w)
{
	struct sandbox sb = { .user = w->user,
		.root = w->root,
		.folders = w->folders[0] ? w->folders : NULL,
		.syscalls = w->ops->syscalls,
		.syscall_count = w->ops->syscall_count,
		.threads = w->ops->threads,
		.net = w->ops->net,
		.ports = w->ops->ports };
	char error[ERROR_SIZE] = "";

	if (w->ops->before_sandbox != NULL &&
	    w->ops->before_sandbox(w->ctx, error, sizeof(error)) == -1)
		log_fatal("cannot start: %s", error);
	w->reserve = reserve_begin(sandbox_max_files());
	if (sandbox_enter(&sb, error, sizeof(error)) == -1)
		log_fatal("cannot enter the sandbox: %s", error);
	w->serving = 1;
	w->ops->swap(w->ctx);
	if (w->ops->start != NULL &&
	    w->ops->start(w->ctx, error, sizeof(error)) == -1)
		log_fatal("cannot start: %s", error);
	connect_waiting(w);
	arm_test_hook(w);
}

static void
on_config_swap(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct worker *w = arg;
	struct msg_worker_ready ready = { 0 };

	if (m->config_swap.generation != w->next_generation)
		log_fatal("swap to a configuration that was never sent");
	w->generation = w->next_generation;
	if (w->serving)
		w->ops->swap(w->ctx);
	else
		serve(w);
	ready.generation = w->generation;
	if (ipc_send(w->master, worker_ready, &ready) == -1)
		log_fatal("cannot answer master");
}

/* ---- the rest of a life ----------------------------------------------- */

static void
on_stop(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct worker *w = arg;

	if (w->serving && w->ops->stop != NULL)
		w->ops->stop(w->ctx);
	else
		worker_exit(w, 0);
}

static void
on_log_level(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	log_set_level(m->log_level.verbose, m->log_level.trace);
}

static channel_handler *const master_handlers[MSG_MAX] = {
	[MSG_config_begin] = on_config_begin,
	[MSG_config_chunk] = on_config_chunk,
	[MSG_config_file] = on_config_file,
	[MSG_config_end] = on_config_end,
	[MSG_config_swap] = on_config_swap,
	[MSG_peer] = on_peer,
	[MSG_worker_stop] = on_stop,
	[MSG_log_level] = on_log_level,
};
static const struct channel_ops master_ops = { master_handlers, on_closed,
	NULL };

static void
log_to_master(void *arg, int priority, const char *line)
{
	struct worker *w = arg;
	struct msg_log_line m = { .priority = (uint8_t)priority, .line = line };

	if (w->master == NULL || w->in_log || channel_congested(w->master))
		return;
	w->in_log = 1;
	ipc_send(w->master, log_line, &m);
	/* the reason of an exit must be out before it */
	if (priority <= LOG_CRIT)
		channel_flush(w->master);
	w->in_log = 0;
}

static void
flush_log(void *arg)
{
	log_flush();
	journal_flush();
}

static void
wake_log(void *arg)
{
	struct worker *w = arg;

	loop_defer(w->loop, &w->log_flush);
}

static enum log_mode
read_arguments(struct worker *w, int argc, char **argv)
{
	enum log_mode mode = LOG_TO_SINK;
	int opt, verbose = 0;
	uint32_t trace = 0;

	while ((opt = getopt(argc, argv, "b:i:djvT:u:c:w:")) != -1) {
		switch (opt) {
		case 'i':
			w->instance = (uint16_t)atoi(optarg);
			break;
		case 'b':
			w->begun = strtoll(optarg, NULL, 10);
			break;
		case 'd':
			mode = LOG_TO_STDERR;
			break;
		case 'j':
			w->to_journal = 1;
			break;
		case 'v':
			verbose++;
			break;
		case 'T':
			trace = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case 'u':
			w->user = optarg;
			break;
		case 'c':
			w->root = optarg;
			break;
		case 'w':
			w->folders[0] = optarg;
			break;
		default:
			exit(2);
		}
	}
	log_set_level(verbose, trace);
	return mode;
}

int
worker_main(int argc, char **argv, const struct worker_ops *ops, void *ctx)
{
	struct worker *w;
	enum log_mode mode;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		return 1;
	w->ops = ops;
	w->ctx = ctx;
	mode = read_arguments(w, argc, argv);
	if (w->to_journal)
		journal_init(process_name(ops->kind));
	else
		log_init(process_name(ops->kind), mode);
	if (fcntl(MASTER_FD, F_GETFD) == -1) {
		log_error("this program is started by relaisd, not by hand");
		return 2;
	}
	fcntl(MASTER_FD, F_SETFD, FD_CLOEXEC);
	signals_ignore();
	if ((w->loop = loop_new()) == NULL)
		log_fatal("no event loop: %s", strerror(errno));
	w->master = channel_new(
	    w->loop, MASTER_FD, ops->kind, PROC_MASTER, 0, &master_ops, w);
	if (w->master == NULL)
		log_fatal("out of memory");
	channel_add_handlers(w->master, ops->handlers, ctx);
	/* a worker can reach no syslog; in the foreground it writes itself */
	loop_deferred_init(&w->log_flush, flush_log, NULL);
	if (w->to_journal)
		journal_hold(wake_log, w);
	else if (mode == LOG_TO_STDERR)
		log_hold(wake_log, w);
	else
		log_set_sink(log_to_master, w);
	if (loop_run(w->loop) == -1)
		log_fatal("event loop: %s", strerror(errno));
	if (w->master != NULL)
		channel_flush(w->master);
	flush_log(NULL);
	return w->status;
}

struct loop *
worker_loop(struct worker *w)
{
	return w->loop;
}

uint16_t
worker_instance(const struct worker *w)
{
	return w->instance;
}

int64_t
worker_begun(const struct worker *w)
{
	return w->begun;
}

int
worker_reserve(const struct worker *w)
{
	return w->reserve;
}

uint32_t
worker_generation(const struct worker *w)
{
	return w->generation;
}

struct channel *
worker_master(struct worker *w)
{
	return w->master;
}

struct channel *
worker_peer(struct worker *w, enum process_kind kind, uint16_t instance)
{
	if (kind >= PROC_MAX || instance >= WORKERS_MAX)
		return NULL;
	return w->peers[kind][instance];
}

uint16_t
worker_peer_count(struct worker *w, enum process_kind kind)
{
	return kind < PROC_MAX ? w->peer_count[kind] : 0;
}

const char *
worker_folder(const struct worker *w)
{
	return w->folders[0];
}

void
worker_exit(struct worker *w, int status)
{
	w->status = status;
	loop_stop(w->loop);
}
