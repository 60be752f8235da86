/*
 * The queue worker: owns the spool and the schedule, and is the only process
 * that opens the store. One thread: a turn of the loop takes what the peers
 * say, then writes all that changed in one batch, answers, and starts what
 * the scheduler wants started. Trusts master; every other peer is held to
 * what it was given (see queue.h for the files).
 */
#include "config.h"

#include <sys/socket.h>

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "conf/codec.h"
#include "ipc/stop.h"
#include "os/log.h"
#include "queue/control.h"
#include "queue/known.h"
#include "queue/offline.h"
#include "queue/queue.h"

enum {
	BODIES_MAX = 20000, /* of one smtpd under way */
	STARTS_A_TURN = 200,
	SETTLE_MS = 10, /* changes nobody waits for gather so long */
	PEERS_PATIENCE = 5, /* seconds at start */
	OWN_IDS = 64,
	KNOWN_LIFE = 31 * 24 * 3600
};

/* What Berkeley DB, the store's threads and the files beside it need. */
static const int syscalls[] = { SCMP_SYS(access), SCMP_SYS(chmod),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(eventfd2), SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(arm_fadvise64_64), SCMP_SYS(fadvise64),
	SCMP_SYS(fadvise64_64), SCMP_SYS(fallocate), SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat), SCMP_SYS(fdatasync), SCMP_SYS(flock),
	SCMP_SYS(fstatfs), SCMP_SYS(fsync), SCMP_SYS(ftruncate),
	SCMP_SYS(getcwd), SCMP_SYS(getdents64), SCMP_SYS(geteuid),
	SCMP_SYS(getuid), SCMP_SYS(lseek), SCMP_SYS(lstat),
	SCMP_SYS(memfd_create), SCMP_SYS(mkdir), SCMP_SYS(mkdirat),
	SCMP_SYS(open), SCMP_SYS(pread64), SCMP_SYS(pselect6),
	SCMP_SYS(pwrite64), SCMP_SYS(rename), SCMP_SYS(renameat),
	SCMP_SYS(renameat2), SCMP_SYS(rseq), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield), SCMP_SYS(select), SCMP_SYS(set_robust_list),
	SCMP_SYS(set_tid_address), SCMP_SYS(stat), SCMP_SYS(sync_file_range),
	SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(unlink),
	SCMP_SYS(unlinkat), CONTROL_SYSCALLS };

int64_t
queue_now(struct queue *q)
{
	return q->wall + (loop_now(worker_loop(q->worker)) - q->mono) / 1000;
}

/* The clock of a machine that was off, or stood still, is set after we have
 * begun to count. */
int64_t
queue_date(struct queue *q)
{
	int64_t wall = loop_time(worker_loop(q->worker)), now = queue_now(q);

	return wall > now ? wall : now;
}

static int
take_own_ids(struct queue *q)
{
	if (store_id_block(q->store, OWN_IDS, &q->own_id) != STORE_OK)
		return -1;
	q->own_ids = OWN_IDS;
	return 0;
}

uint32_t
queue_own_id(struct queue *q)
{
	if (q->own_ids == 0 && take_own_ids(q) == -1)
		return 0;
	q->own_ids--;
	return q->own_id++;
}

/* ---- a turn ------------------------------------------------------------- */

void
queue_kick(struct queue *q)
{
	if (!q->in_turn)
		loop_defer(worker_loop(q->worker), &q->turn);
}

static void
set_timer(struct event *ev, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };

	event_add(ev, &tv);
}

/* Writes what somebody waits for; what nobody waits for soon after. */
static void
write_changes(struct queue *q)
{
	enum batch_need need = batch_need(q->batch);

	if (need == BATCH_CHANGES && !q->settle_now) {
		if (!q->settle_armed)
			set_timer(q->settle, SETTLE_MS);
		q->settle_armed = 1;
		return;
	}
	q->settle_now = 0;
	batch_flush(q->batch);
}

/* At start the workers come one after another: what would find nobody is not
 * started yet. */
static int
peers_are_here(struct queue *q)
{
	if (queue_now(q) >= q->patience)
		return 1;
	return worker_peer_count(q->worker, PROC_DELIVER) > 0 &&
	    worker_peer_count(q->worker, PROC_AUTH) > 0;
}

/* Milliseconds from this turn to the second `at`, as queue_now counts them:
 * not a whole second more, or a probe each second would take two. */
static int64_t
until(struct queue *q, int64_t at)
{
	int64_t passed = (loop_now(worker_loop(q->worker)) - q->mono) % 1000;
	int64_t ms = (at - queue_now(q)) * 1000 - passed;

	return ms > 0 ? ms : 1;
}

/* Starts what is due, and sets the timer for what is not. */
static void
start_due(struct queue *q)
{
	int64_t now = queue_now(q), at;

	if (q->stopping)
		return;
	if (q->disk == GUARD_STOP || !peers_are_here(q)) {
		set_timer(q->due, 1000);
		return;
	}
	if (dispatch_run(q, STARTS_A_TURN)) {
		event_active(q->due, EV_TIMEOUT, 0);
		return;
	}
	if ((at = sched_deadline(q->sched, now)) == -1)
		event_del(q->due);
	else
		set_timer(q->due, at > now ? until(q, at) : 100);
}

static void
finish_stop(struct queue *q)
{
	batch_flush(q->batch);
	if (q->progress != NULL)
		event_free(q->progress);
	store_close(q->store);
	q->store = NULL;
	worker_exit(q->worker, 0);
}

static void
on_turn(void *arg)
{
	struct queue *q = arg;

	if (q->store == NULL)
		return;
	q->in_turn = 1;
	write_changes(q);
	start_due(q);
	if (batch_need(q->batch) != BATCH_EMPTY)
		write_changes(q);
	q->in_turn = 0;
	if (q->stopping && RB_EMPTY(&q->jobs) && !ingest_is_waiting(&q->ingest))
		finish_stop(q);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	queue_kick(arg);
}

static void
on_settle(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	q->settle_armed = 0;
	q->settle_now = 1;
	queue_kick(q);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	if (q->store == NULL)
		return;
	store_check(q->store);
	operator_set_standing(q);
	dispatch_lend(q);
	etrn_tick(q);
	if (q->stopping && queue_now(q) >= q->patience)
		finish_stop(q);
	else
		queue_kick(q);
}

/* ---- the way in --------------------------------------------------------- */

static void
on_batch_done(
    void *arg, const struct batch_message *bm, enum store_status status)
{
	struct queue *q = arg;

	if (bm->vital) /* a report of our own, which is there or we are not */
		enlist_all(q, bm->env);
	else
		ingest_done(&q->ingest, bm, status);
}

static void
on_answer(void *arg, uint32_t sender, const struct msg_submitted *m)
{
	struct queue *q = arg;
	struct channel *ch =
	    worker_peer(q->worker, PROC_SMTPD, (uint16_t)sender);

	if (ch != NULL)
		ipc_send(ch, submitted, m);
}

static enum envelope_state
on_first_state(void *arg, const char *action)
{
	return enlist_first_state(arg, action);
}

static void
on_accepted(void *arg, const struct envelope *env)
{
	enlist_all(arg, env);
}

static const struct ingest_ops ingest_ops = { on_answer, on_first_state,
	on_accepted };

/* A peer that breaks the rules is cut off, and master hears of it. */
static void
cut_off(struct channel *ch, const char *why)
{
	log_warn("%s %u breaks the rules: %s", process_name(channel_peer(ch)),
	    channel_instance(ch), why);
	channel_refuse(ch, why);
}

static void
on_submit(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;

	if (q->store == NULL)
		return;
	if (ingest_submit(&q->ingest, channel_instance(ch), &m->submit,
		queue_date(q)) == -1)
		cut_off(ch, "a submit that may not be");
	queue_kick(q);
}

static void
on_body_data(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_body_data *b = &m->body_data;
	struct queue *q = ctx;

	if (q->store == NULL)
		return;
	if (bodies_data(q->bodies, channel_instance(ch), b->id, b->data.data,
		b->data.len, b->last) == BODY_FORBIDDEN)
		cut_off(ch, "a body that may not be");
}

/* A large body holds up its sender, not those who share the channel. */
static void
on_hold(void *arg, uint32_t sender, int64_t octets)
{
	struct queue *q = arg;
	struct channel *ch =
	    worker_peer(q->worker, PROC_SMTPD, (uint16_t)sender);

	if (ch != NULL && octets > 0)
		channel_hold(ch, (size_t)octets);
	else if (ch != NULL)
		channel_release(ch, (size_t)-octets);
}

static void
on_spool(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	if (q->store == NULL)
		return;
	bodies_progress(q->bodies);
	ingest_progress(&q->ingest);
	queue_kick(q);
}

static void
on_body_abort(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;

	if (q->store == NULL)
		return;
	bodies_abort(q->bodies, channel_instance(ch), m->body_abort.id);
}

static void
on_id_request(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct msg_id_block block = { .count = m->id_request.count };
	struct queue *q = ctx;

	if (q->store == NULL)
		return;
	if (block.count == 0)
		return;
	if (block.count > IDBLOCK_MAX)
		block.count = IDBLOCK_MAX;
	if (store_id_block(q->store, block.count, &block.first) != STORE_OK ||
	    idblock_give(
		q->ids, channel_instance(ch), block.first, block.count) == -1) {
		/* an answer all the same: it would never ask again */
		log_error("no message ids can be given out");
		block = (struct msg_id_block){ .count = 0 };
	}
	ipc_send(ch, id_block, &block);
}

/* ---- what auth has kept ------------------------------------------------- */

/* KNOWN_LIFE is that of CALLAHEAD_GOOD_LIFE: auth believes nothing older. */
static void
open_known(struct queue *q)
{
	q->known = known_open(q->spool, q->wall - KNOWN_LIFE);
}

static void
on_callahead_keep(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;

	if (q->disk == GUARD_OK)
		known_keep(q->known, &m->callahead_keep);
}

/* As much as auth takes now. */
static void
give_known(struct queue *q, struct channel *ch)
{
	struct msg_callahead_keep m;

	while (q->known_giving && !channel_congested(ch)) {
		if (!known_next(q->known, &m))
			q->known_giving = 0;
		else
			ipc_send(ch, callahead_keep, &m);
	}
}

static void
greet_auth(struct queue *q, struct channel *ch)
{
	if (q->known == NULL || ch == NULL)
		return;
	known_rewind(q->known);
	q->known_giving = 1;
	give_known(q, ch);
}

static void
peer_writable(void *arg, struct channel *ch)
{
	if (channel_peer(ch) == PROC_AUTH)
		give_known(arg, ch);
}

/* ---- control ------------------------------------------------------------ */

static void
on_control_socket(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;

	/* it comes before the start */
	if (q->control != NULL)
		control_on_socket(q->control, fd);
	else
		q->control_fd = fd;
}

static void
on_peer_user(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;

	control_on_peer_user(q->control, &m->peer_user);
}

static void
on_master_done(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;

	control_on_master_done(q->control, &m->master_done);
}

static void
on_names_changed(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;

	if (q->sched == NULL)
		return;
	enlist_retry_all(q);
	queue_kick(q);
}

static void
on_route_answer(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;

	control_on_route_answer(q->control, ch, &m->route_answer);
}

static void
on_relay_answer(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;

	control_on_relay_answer(q->control, &m->relay_answer);
}

static void
on_explained(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;

	if (q->control != NULL)
		control_on_explained(q->control, &m->explained);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_submit] = on_submit,
	[MSG_body_data] = on_body_data,
	[MSG_body_abort] = on_body_abort,
	[MSG_id_request] = on_id_request,
	[MSG_etrn] = etrn_on_etrn,
	[MSG_backup_answer] = etrn_on_backup_answer,
	[MSG_callahead_keep] = on_callahead_keep,
	[MSG_explained] = on_explained,
	[MSG_expanded] = expanded_on_expanded,
	[MSG_body_request] = dispatch_on_body_request,
	[MSG_transfer_done] = result_on_transfer_done,
	[MSG_local_done] = result_on_local_done,
	[MSG_control_socket] = on_control_socket,
	[MSG_peer_user] = on_peer_user,
	[MSG_master_done] = on_master_done,
	[MSG_names_changed] = on_names_changed,
	[MSG_route_answer] = on_route_answer,
	[MSG_relay_answer] = on_relay_answer,
};

/* ---- the life of the worker --------------------------------------------- */

static int
configure(void *arg, struct worker *worker, const uint8_t *slice, size_t len,
    const struct worker_file *files, size_t file_count, char *error,
    size_t size)
{
	struct queue *q = arg;

	q->worker = worker;
	for (size_t i = 0; i < file_count; i++)
		close(files[i].fd);
	conf_free(q->next_conf);
	q->next_conf = conf_decode(slice, len, error, size);
	return q->next_conf != NULL ? 0 : -1;
}

static void
on_recheck(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	if (q->store == NULL)
		return;
	if (enlist_recheck(q, &q->recheck_at))
		set_timer(q->recheck, 0);
	queue_kick(q);
}

static void
swap(void *arg)
{
	struct queue *q = arg;
	struct conf *before = q->conf;

	q->conf = q->next_conf;
	q->next_conf = NULL;
	if (q->sched != NULL) {
		enlist_configure(q);
		enlist_retry_hosts(q);
		q->recheck_times |= enlist_times_differ(before, q->conf);
		q->recheck_at = 0;
		on_recheck(-1, 0, q);
	}
	conf_free(before);
}

/* The store, and what guards it: recovery happens here. */
static int
open_spool(struct queue *q, char *error, size_t size)
{
	const struct guard_facts *facts;
	struct store_options options;
	size_t n;

	q->spool = worker_folder(q->worker);
	if (q->spool == NULL) {
		snprintf(error, size, "no spool was given");
		return -1;
	}
	store_options_default(&options);
	options.reserve = worker_reserve(q->worker);
	q->guard =
	    guard_open(q->spool, options.cache, options.log_file, error, size);
	if (q->guard != NULL)
		q->store = store_open(q->spool, &options, error, size);
	if (q->store != NULL)
		return 0;
	/* the folder has another name inside the chroot */
	n = strlen(error);
	snprintf(
	    error + n, size - n, ": this is of %s/queue", q->conf->paths.spool);
	if (q->guard == NULL)
		return -1;
	n = strlen(error);
	facts = guard_facts(q->guard);
	if (facts->free_octets < guard_needed(facts))
		snprintf(error + n, size - n,
		    ", whose disk, or quota, has too little room: make room "
		    "there");
	return -1;
}

static int
make_parts(struct queue *q)
{
	struct sched_params params = { 0 };
	struct control_env env = { .worker = q->worker,
		.store = q->store,
		.spool = q->spool,
		.ops = &operator_ops,
		.ctx = q };
	struct event_base *base = loop_base(worker_loop(q->worker));
	int fd;

	arc4random_buf(&params.seed, sizeof(params.seed));
	q->bodies = bodies_new(q->store, BODIES_MAX, on_hold, q);
	q->ids = idblock_new();
	q->batch = batch_new(q->store, q->bodies, on_batch_done, q);
	q->sched = env.sched = sched_new(&params);
	q->tick = event_new(base, -1, EV_PERSIST, on_tick, q);
	q->due = event_new(base, -1, 0, on_due, q);
	q->settle = event_new(base, -1, 0, on_settle, q);
	q->recheck = event_new(base, -1, 0, on_recheck, q);
	if ((fd = store_spool_fd(q->store)) != -1 &&
	    (q->progress = event_new(
		 base, fd, EV_READ | EV_PERSIST, on_spool, q)) == NULL)
		return -1;
	q->owed = owed_new(q);
	q->control = control_new(&env);
	q->ingest = (struct ingest){ .batch = q->batch,
		.bodies = q->bodies,
		.ids = q->ids,
		.ops = &ingest_ops,
		.arg = q };
	return q->bodies != NULL && q->ids != NULL && q->batch != NULL &&
		q->sched != NULL && q->tick != NULL && q->due != NULL &&
		q->settle != NULL && q->recheck != NULL && q->owed != NULL &&
		q->control != NULL
	    ? 0
	    : -1;
}

/* The seconds of queue_now begin where those of the wall clock do: else a date
 * would be shown now as one second, now as the next. */
static void
begin_count(struct queue *q)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	q->wall = wall.tv_sec;
	q->mono = loop_now(worker_loop(q->worker)) - wall.tv_nsec / 1000000;
}

static int
start(void *arg, char *error, size_t size)
{
	struct queue *q = arg;
	int64_t count;

	begin_count(q);
	q->patience = q->wall + PEERS_PATIENCE;
	if (open_spool(q, error, size) == -1)
		return -1;
	/* where that cannot be written, neither can what becomes of mail: all
	 * would be delivered again and again */
	if (take_own_ids(q) == -1) {
		snprintf(error, size,
		    "%s/queue can be read and not be written: if files "
		    "db/log.* "
		    "in it are lost, or older than others, write it out with "
		    "`relaisd -E file`, move it away, and take it in with "
		    "`relaisd -I file`",
		    q->conf->paths.spool);
		return -1;
	}
	open_known(q);
	if (make_parts(q) == -1) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	enlist_configure(q);
	pauses_load(q);
	if ((count = enlist_load(q)) == -1) {
		snprintf(error, size, "the queue cannot be read");
		return -1;
	}
	log_info("%lld recipients are queued", (long long)count);
	loop_deferred_init(&q->turn, on_turn, q);
	set_timer(q->tick, 1000);
	if (q->progress != NULL)
		event_add(q->progress, NULL);
	if (q->control_fd != -1)
		control_on_socket(q->control, q->control_fd);
	q->control_fd = -1;
	operator_set_standing(q);
	greet_auth(q, worker_peer(q->worker, PROC_AUTH, 0));
	queue_kick(q);
	return 0;
}

static void
peer_up(void *arg, struct channel *ch)
{
	struct queue *q = arg;

	if (q->store == NULL)
		return;
	if (channel_peer(ch) == PROC_SMTPD)
		ipc_send(ch, queue_status, &q->ingest.standing);
	if (channel_peer(ch) == PROC_AUTH)
		greet_auth(q, ch);
	queue_kick(q);
}

static void
peer_down(void *arg, struct channel *ch)
{
	uint16_t instance = channel_instance(ch);
	struct queue *q = arg;

	if (q->store == NULL)
		return;
	if (channel_peer(ch) == PROC_SMTPD) {
		/* whoever comes after must not get its answers */
		batch_flush(q->batch);
		bodies_drop(q->bodies, instance);
		ingest_drop(&q->ingest, instance);
		idblock_drop(q->ids, instance);
	}
	dispatch_peer_down(q, channel_peer(ch), instance);
	etrn_peer_down(q, channel_peer(ch), instance);
	control_on_peer_down(q->control, ch);
}

static void
stop(void *arg)
{
	struct queue *q = arg;

	q->stopping = 1;
	/* longer than deliver, whose results may come until then */
	q->patience = queue_now(q) + STOP_QUEUE;
	operator_set_standing(q);
	queue_kick(q);
}

static const struct worker_ops ops = {
	.kind = PROC_QUEUE,
	.handlers = handlers,
	.syscalls = syscalls,
	.syscall_count = sizeof(syscalls) / sizeof(syscalls[0]),
	.threads = 1,
	.net = SANDBOX_NET_NONE,
	.configure = configure,
	.start = start,
	.swap = swap,
	.peer_up = peer_up,
	.peer_down = peer_down,
	.peer_writable = peer_writable,
	.stop = stop,
};

int
main(int argc, char **argv)
{
	struct queue *q;
	int status;

	status = offline_main(argc, argv, ops.syscalls, ops.syscall_count);
	if (status != -1)
		return status;
	if ((q = calloc(1, sizeof(*q))) == NULL)
		return 1;
	q->control_fd = -1;
	RB_INIT(&q->jobs);
	TAILQ_INIT(&q->etrns);
	TAILQ_INIT(&q->etrns_started);
	return worker_main(argc, argv, &ops, q);
}
