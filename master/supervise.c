/*
 * The life of all workers: start, connect, watch, restart with back-off,
 * stop. Called by main.c once the configuration is loaded; trusts no worker to
 * live or to answer.
 */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/codec.h"
#include "ipc/stop.h"
#include "ipc/worker.h"
#include "master/backoff.h"
#include "master/master.h"
#include "master/servers.h"
#include "net/loop.h"
#include "os/log.h"

enum { CHUNK = 256 * 1024 };

/* ---- the configuration goes out --------------------------------------- */

static int
send_tables(struct channel *ch, const struct conf *conf)
{
	for (uint32_t i = 0; i < conf->ntables; i++) {
		const struct conf_table *t = &conf->tables[i];
		struct msg_config_file file = { .kind = "table",
			.name = t->name };
		int fd;

		if (t->kind != CONF_TABLE_FILE)
			continue;
		if ((fd = load_open_table(t)) == -1)
			return -1;
		if (ipc_send_fd(ch, config_file, &file, fd) == -1)
			return -1;
	}
	return 0;
}

int
supervise_configure(struct child *c, struct conf *conf, uint32_t gen)
{
	struct msg_config_begin begin = { .generation = gen };
	struct msg_config_end end = { .generation = gen };
	struct msg_config_chunk chunk;
	uint8_t *slice;
	size_t len;
	int rc = -1;

	if (c->kind == PROC_KEYS && load_keys(conf) == -1)
		goto forget;
	if (conf_slice(conf, c->kind, &slice, &len) == -1)
		goto forget;
	begin.total = (uint32_t)len;
	if (ipc_send(c->channel, config_begin, &begin) == -1)
		goto out;
	for (size_t at = 0; at < len; at += chunk.data.len) {
		chunk.data =
		    ipc_blob(slice + at, len - at < CHUNK ? len - at : CHUNK);
		if (ipc_send(c->channel, config_chunk, &chunk) == -1)
			goto out;
	}
	if (c->kind == PROC_AUTH && send_tables(c->channel, conf) == -1)
		goto out;
	rc = ipc_send(c->channel, config_end, &end);
out:
	explicit_bzero(slice, len);
	free(slice);
forget:
	if (c->kind == PROC_KEYS)
		load_forget_keys(conf);
	return rc;
}

/* ---- release ---------------------------------------------------------- */

void
supervise_release(struct child *c)
{
	struct master *m = c->master;
	struct msg_config_swap swap = { .generation = m->generation };
	struct msg_control_socket control = { 0 };
	int fd;

	c->state = CHILD_RELEASED;
	event_del(c->restart);
	pairs_connect(m->pairs, c);
	if (c->kind == PROC_SMTPD) {
		sockets_send(m->sockets, c->channel, m->generation);
		tickets_send(m->tickets, c->channel);
	}
	if (c->kind == PROC_QUEUE && (fd = dup(m->control_fd)) != -1)
		ipc_send_fd(c->channel, control_socket, &control, fd);
	ipc_send(c->channel, config_swap, &swap);
}

static int
all_at_least(const struct master *m, enum child_state state)
{
	for (size_t i = 0; i < m->child_count; i++)
		if (m->children[i].state < state)
			return 0;
	return 1;
}

static int
any_alive(const struct master *m)
{
	for (size_t i = 0; i < m->child_count; i++)
		if (m->children[i].pid > 0)
			return 1;
	return 0;
}

/* ---- trying again ----------------------------------------------------- */

static void
try_later(struct child *c)
{
	int64_t lived = loop_now(c->master->loop) - c->started;
	uint32_t wait = backoff_wait(&c->backoff_ms, lived);
	struct timeval tv = { wait / 1000, (suseconds_t)(wait % 1000) * 1000 };

	event_add(c->restart, &tv);
}

/* One that died, could not be made, or refused its configuration. Of a start
 * that somebody waits for nothing is tried again. */
static void
not_begun(struct child *c)
{
	struct master *m = c->master;

	if (m->stopping)
		return;
	if (m->was_ready ||
	    (m->was_serving && m->starter == -1 && !notify_is_awaited())) {
		try_later(c);
		return;
	}
	log_error(
	    "%s could not start: see the lines above", process_name(c->kind));
	supervise_stop(m, EXIT_FAILURE);
}

/*
 * The configuration is the one that holds, but the files that it names may have
 * changed. The worker lives on, so that a reload can ask whether it takes what
 * the administrator has made of them; he may as well put them right.
 */
static void
refused(struct child *c)
{
	c->state = CHILD_REFUSED;
	not_begun(c);
	reload_step(c->master);
}

/* ---- what workers say about themselves -------------------------------- */

static void
on_config_ready(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct child *c = arg;
	struct master *m = c->master;
	const struct msg_config_ready *r = &msg->config_ready;

	if (reload_agreed(c, r))
		return;
	if (c->state != CHILD_STARTED || r->generation != m->generation)
		return;
	if (r->error[0] != '\0') {
		log_error("%s refuses the configuration: %s",
		    process_name(c->kind), r->error);
		refused(c);
		return;
	}
	c->state = CHILD_CONFIGURED;
	if (m->was_serving) {
		supervise_release(c);
		return;
	}
	/* the first time none begins before all have agreed */
	if (!all_at_least(m, CHILD_CONFIGURED))
		return;
	m->was_serving = 1;
	for (size_t i = 0; i < m->child_count; i++)
		supervise_release(&m->children[i]);
}

/* Whoever started us need not wait, nor hear of errors, any longer. */
static void
tell_ready(struct master *m)
{
	/* whoever has read that we are ready may read the file */
	if (!m->was_ready) {
		pid_file_write(m->conf->paths.pid_file);
		notify_manager("READY=1");
	}
	m->was_ready = 1;
	log_info("ready");
	if (m->starter == -1)
		return;
	if (write(m->starter, "", 1) == -1)
		log_warn("who started us is gone");
	close(m->starter);
	m->starter = -1;
	log_echo(-1);
}

static void
on_worker_ready(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct child *c = arg;

	if (c->state < CHILD_RELEASED)
		return;
	c->holds = msg->worker_ready.generation;
	if (c->state == CHILD_RELEASED) {
		c->state = CHILD_SERVING;
		log_debug("%s %u serves", process_name(c->kind), c->instance);
		if (all_at_least(c->master, CHILD_SERVING))
			tell_ready(c->master);
	}
	reload_step(c->master);
}

static void
on_log_line(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct child *c = arg;
	const struct msg_log_line *l = &msg->log_line;

	log_relay(process_name(c->kind), l->priority & LOG_PRIMASK, l->line);
}

/* ---- death ------------------------------------------------------------ */

/* Forgets a worker's process and channel; kills it if it still lives, since
 * a worker that broke its channel is not to be trusted with anything. */
static void
child_down(struct child *c)
{
	struct master *m = c->master;

	if (c->channel != NULL) {
		channel_free(c->channel);
		c->channel = NULL;
	}
	if (c->state == CHILD_DOWN)
		return;
	c->state = CHILD_DOWN;
	reload_lost(c);
	if (m->stopping) {
		if (!any_alive(m))
			loop_stop(m->loop);
		return;
	}
	not_begun(c);
}

static void
on_channel_closed(void *arg, struct channel *ch, const char *reason)
{
	struct child *c = arg;

	if (c->pid > 0 && !c->master->stopping) {
		log_warn("%s %u: channel lost: %s", process_name(c->kind),
		    c->instance, reason);
		kill(c->pid, SIGKILL);
	}
	/* the restart waits for the process to be reaped; until then it is
	 * nobody's peer and agrees to nothing */
	channel_free(ch);
	c->channel = NULL;
	c->state = CHILD_STARTED;
	event_del(c->restart);
	reload_lost(c);
}

static int
faces_network(enum process_kind kind)
{
	return kind == PROC_SMTPD || kind == PROC_DELIVER ||
	    kind == PROC_RESOLVER;
}

void
supervise_end(const struct child *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
}

/* A worker tells that its channel to another has ended, and perhaps that the
 * other broke the rules. */
static void
on_peer_lost(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_peer_lost *lost = &msg->peer_lost;
	struct child *teller = arg, *peer;
	int known;

	peer = supervise_child(
	    teller->master, (enum process_kind)lost->kind, lost->instance);
	known = pairs_lost(teller->master->pairs, teller, peer, lost->pair);
	if (known == -1)
		channel_refuse(ch, "it tells of whom it cannot know");
	if (known != 1 || !lost->broken)
		return;
	log_warn("%s %u broke the rules of its channel to %s %u",
	    process_name(peer->kind), peer->instance,
	    process_name(teller->kind), teller->instance);
	/* false words must cost who says them: back-off bounds both ways */
	if (faces_network(peer->kind))
		supervise_end(peer);
	else if (faces_network(teller->kind))
		supervise_end(teller);
}

static void
describe_death(const struct child *c, int status)
{
	if (WIFSIGNALED(status))
		log_error("%s %u (pid %d) was killed by signal %d%s",
		    process_name(c->kind), c->instance, (int)c->pid,
		    WTERMSIG(status),
		    WTERMSIG(status) == SIGSYS
			? ": it made a forbidden system call"
			: "");
	else if (WEXITSTATUS(status) != 0 || !c->master->stopping)
		log_warn("%s %u (pid %d) exited with status %d",
		    process_name(c->kind), c->instance, (int)c->pid,
		    WEXITSTATUS(status));
}

static void
on_sigchld(evutil_socket_t sig, short what, void *arg)
{
	struct master *m = arg;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (hand_off_reaped(m->hand_off, pid, status) ||
		    drop_reaped(m->drop, pid, status))
			continue;
		for (size_t i = 0; i < m->child_count; i++) {
			struct child *c = &m->children[i];

			if (c->pid != pid)
				continue;
			describe_death(c, status);
			c->pid = 0;
			child_down(c);
		}
	}
}

/* ---- starting --------------------------------------------------------- */

static channel_handler *const life_handlers[MSG_MAX] = {
	[MSG_config_ready] = on_config_ready,
	[MSG_worker_ready] = on_worker_ready,
	[MSG_log_line] = on_log_line,
	[MSG_peer_lost] = on_peer_lost,
};
static const struct channel_ops child_ops = { life_handlers, on_channel_closed,
	NULL };

static void
configure(struct child *c)
{
	struct master *m = c->master;

	c->state = CHILD_STARTED;
	if (supervise_configure(c, m->conf, m->generation) == 0)
		return;
	log_error(
	    "%s cannot be given its configuration", process_name(c->kind));
	refused(c);
}

static void
start(struct child *c)
{
	struct master *m = c->master;
	int fd;

	if ((c->pid = spawn_worker(m, c->kind, c->instance, &fd)) == -1) {
		c->pid = 0;
		not_begun(c);
		return;
	}
	c->life++;
	c->channel = channel_new(
	    m->loop, fd, PROC_MASTER, c->kind, c->instance, &child_ops, c);
	if (c->channel == NULL)
		log_fatal("out of memory");
	channel_add_handlers(c->channel, request_handlers, m);
	configure(c);
}

static void
begin(struct child *c)
{
	c->started = loop_now(c->master->loop);
	if (c->pid == 0)
		start(c);
	else if (c->master->next == NULL)
		configure(c);
	else /* what it was asked about last is what a reload will swap in */
		try_later(c);
}

static void
on_restart(evutil_socket_t fd, short what, void *arg)
{
	begin(arg);
}

/* A container may have the time of fewer processors than its machine has: so
 * many, a part counting as one; LONG_MAX if nobody says. */
static long
cores_granted(void)
{
	unsigned long quota, period;
	long cores = LONG_MAX;
	FILE *fp;

	if ((fp = fopen("/sys/fs/cgroup/cpu.max", "re")) == NULL)
		return cores;
	if (fscanf(fp, "%lu %lu", &quota, &period) == 2 && period > 0 &&
	    quota / period < LONG_MAX)
		cores = (long)(quota / period + (quota % period != 0));
	fclose(fp);
	return cores;
}

static uint32_t
one_per_core(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN), granted = cores_granted();

	if (cores > granted)
		cores = granted;
	if (cores < 1)
		return 1;
	return cores < WORKERS_MAX ? (uint32_t)cores : WORKERS_MAX;
}

/* smtpd comes last: by then all that it asks is there. */
static int
make_children(struct master *m)
{
	uint32_t per_core = one_per_core();
	const struct {
		enum process_kind kind;
		uint32_t count;
	} plan[] = {
		{ PROC_KEYS, 1 },
		{ PROC_RESOLVER, 1 },
		{ PROC_AUTH, 1 },
		{ PROC_QUEUE, 1 },
		{ PROC_DELIVER,
		    m->conf->workers.deliver ? m->conf->workers.deliver
					     : per_core },
		{ PROC_SMTPD,
		    m->conf->workers.smtpd ? m->conf->workers.smtpd
					   : per_core },
	};
	size_t total = 0, kinds = sizeof(plan) / sizeof(plan[0]);

	for (size_t i = 0; i < kinds; i++)
		total += plan[i].count;
	if ((m->children = calloc(total, sizeof(*m->children))) == NULL)
		return -1;
	for (size_t i = 0; i < kinds; i++)
		for (uint32_t j = 0; j < plan[i].count; j++) {
			struct child *c = &m->children[m->child_count++];

			c->master = m;
			c->kind = plan[i].kind;
			c->instance = (uint16_t)j;
			c->restart =
			    event_new(loop_base(m->loop), -1, 0, on_restart, c);
			if (c->restart == NULL)
				return -1;
		}
	return 0;
}

struct child *
supervise_child(struct master *m, enum process_kind kind, uint16_t instance)
{
	for (size_t i = 0; i < m->child_count; i++)
		if (m->children[i].kind == kind &&
		    m->children[i].instance == instance)
			return &m->children[i];
	return NULL;
}

uint32_t
supervise_queue_life(struct master *m)
{
	return supervise_child(m, PROC_QUEUE, 0)->life;
}

struct channel *
supervise_queue(struct master *m, uint32_t life)
{
	const struct child *queue = supervise_child(m, PROC_QUEUE, 0);

	return queue->life == life ? queue->channel : NULL;
}

void
supervise_set_log(struct master *m, int verbose, uint32_t trace)
{
	struct msg_log_level level = { .verbose = (uint8_t)verbose,
		.trace = trace };

	m->options.verbose = verbose;
	m->options.trace = trace;
	log_set_level(verbose, trace);
	for (size_t i = 0; i < m->child_count; i++)
		if (m->children[i].channel != NULL)
			ipc_send(m->children[i].channel, log_level, &level);
}

/* ---- stopping --------------------------------------------------------- */

static void
on_stop_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;

	for (size_t i = 0; i < m->child_count; i++)
		if (m->children[i].pid > 0)
			kill(m->children[i].pid, SIGKILL);
	loop_stop(m->loop);
}

void
supervise_stop(struct master *m, int status)
{
	/* longer than any worker, each of which ends by itself */
	struct timeval tv = { STOP_MASTER, 0 };
	struct msg_worker_stop stop = { 0 };

	if (m->stopping)
		return;
	m->stopping = 1;
	m->status = status;
	log_info("stopping");
	notify_manager("STOPPING=1");
	for (size_t i = 0; i < m->child_count; i++) {
		struct child *c = &m->children[i];

		event_del(c->restart);
		if (c->channel != NULL)
			ipc_send(c->channel, worker_stop, &stop);
	}
	if (!any_alive(m))
		loop_stop(m->loop);
	else
		event_base_once(loop_base(m->loop), -1, EV_TIMEOUT,
		    on_stop_deadline, m, &tv);
}

static void
on_sigterm(evutil_socket_t sig, short what, void *arg)
{
	supervise_stop(arg, EXIT_SUCCESS);
}

static void
on_sighup(evutil_socket_t sig, short what, void *arg)
{
	reload_begin(arg, 0, 0);
}

int
supervise_run(struct master *m)
{
	static const struct {
		int sig;
		event_callback_fn fn;
	} signals[] = {
		{ SIGTERM, on_sigterm },
		{ SIGINT, on_sigterm },
		{ SIGHUP, on_sighup },
		{ SIGCHLD, on_sigchld },
	};
	enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };
	struct event *events[SIGNALS];

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < SIGNALS; i++) {
		events[i] = evsignal_new(
		    loop_base(m->loop), signals[i].sig, signals[i].fn, m);
		if (events[i] == NULL || event_add(events[i], NULL) == -1)
			log_fatal("signals: %s", strerror(errno));
	}
	m->begun = loop_now(m->loop);
	m->generation = m->next_generation = 1;
	if (make_children(m) == -1 || (m->pairs = pairs_new(m)) == NULL ||
	    (m->servers = servers_new(m)) == NULL ||
	    (m->reload_timer = reload_timer_new(m)) == NULL)
		log_fatal("out of memory");
	for (size_t i = 0; i < m->child_count && !m->stopping; i++)
		begin(&m->children[i]);
	m->drop = drop_new(m);
	if (loop_run(m->loop) == -1)
		log_fatal("event loop: %s", strerror(errno));
	drop_free(m->drop);
	event_free(m->reload_timer);
	servers_free(m->servers);
	pairs_free(m->pairs);
	for (size_t i = 0; i < SIGNALS; i++)
		event_free(events[i]);
	for (size_t i = 0; i < m->child_count; i++) {
		channel_free(m->children[i].channel);
		event_free(m->children[i].restart);
	}
	free(m->children);
	return m->status;
}
