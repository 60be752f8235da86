/*
 * Handing messages to local users: resolve who that is, start `local` as the
 * user, give it what waits for the same target, one message after the other,
 * and pass on what it says. Starting a process costs far more than a
 * delivery, so one serves its target for a moment; but a user who has a
 * .forward, and a command, get a process for each message.
 *
 * A `local` runs as its recipient, who may do anything to it: what it answers
 * counts for the deliveries that it was given and nothing else.
 *
 * A delivery may outlive the queue that asked for it. The next queue asks for
 * it again, under an id that may have been another's in the life before: it is
 * told of nothing that it did not ask for itself.
 */
#include "config.h"

#include <sys/queue.h>
#include <sys/wait.h>

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/local_spawn.h"
#include "master/master.h"
#include "master/recipient.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	JOBS_MAX = 500, /* the scheduler keeps far below */
	RUN_WINDOW = 32, /* messages that a process has at a time */
	RUN_MS = 2000, /* then it takes no more: a .forward may be new */
	IDLE_MS = 200,
	TARGET_MS = 20 * 1000, /* then names are looked up again */
	RUNS_PER_TARGET = 7
};

struct job {
	TAILQ_ENTRY(job) entry;
	uint64_t id; /* of the queue's local_delivery */
	uint32_t asker; /* life of that queue */
	uint32_t msgid;
	uint32_t flags;
	uint64_t size;
	uint32_t crc;
	int body; /* local gets a copy: it may hand the message back */
	char *recipient; /* one block: then address, sender */
	char *address;
	char *sender;
};
TAILQ_HEAD(jobs, job);

enum run_state {
	RUN_STARTING, /* has not said yet what it takes */
	RUN_OPEN,
	RUN_CLOSED /* takes no more, but may have some to do */
};

struct run {
	LIST_ENTRY(run) entry;
	struct target *target;
	enum run_state state;
	bool began; /* has said what it takes */
	pid_t pid;
	struct channel *channel;
	struct event *timer;
	struct jobs jobs; /* in the order in which they were sent */
	unsigned count;
	int64_t started; /* loop_now */
};

/* Deliveries that one process can do: the same user, place and method. */
struct target {
	LIST_ENTRY(target) entry;
	struct hand_off *owner;
	uint32_t generation; /* of the configuration */
	int64_t created; /* loop_now */
	struct recipient recipient;
	char *key;
	LIST_HEAD(, run) runs;
	unsigned count;
	struct jobs waiting;
};

struct hand_off {
	struct master *master;
	LIST_HEAD(, target) targets;
	unsigned count; /* of jobs */
};

static void
answer(struct hand_off *h, uint32_t asker, const struct msg_local_done *done)
{
	struct channel *queue = supervise_queue(h->master, asker);

	if (queue == NULL)
		log_info("a local delivery has ended after the queue that "
			 "asked for it: it is tried again");
	else if (ipc_send(queue, local_done, done) == -1)
		log_warn("the result of a local delivery could not be sent");
}

static void
answer_failure(
    struct hand_off *h, uint32_t asker, uint64_t id, int code, const char *text)
{
	struct msg_local_done done = { .id = id,
		.code = (uint16_t)code,
		.enhanced = code >= 500 ? "5.1.1" : "4.3.0",
		.status = code >= 500 ? DELIVERY_PERMFAIL : DELIVERY_TEMPFAIL,
		.text = text };

	answer(h, asker, &done);
}

/* ---- jobs ------------------------------------------------------------- */

static struct job *
job_new(struct target *t, const struct msg_local_delivery *d, int body)
{
	size_t r = strlen(d->recipient) + 1, a = strlen(d->address) + 1;
	size_t s = strlen(d->sender) + 1;
	struct job *j;

	if ((j = calloc(1, sizeof(*j))) == NULL ||
	    (j->recipient = malloc(r + a + s)) == NULL) {
		free(j);
		return NULL;
	}
	j->id = d->id;
	j->asker = supervise_queue_life(t->owner->master);
	j->msgid = d->msgid;
	j->flags = d->flags;
	j->size = d->size;
	j->crc = d->crc;
	j->body = body;
	j->address = j->recipient + r;
	j->sender = j->address + a;
	memcpy(j->recipient, d->recipient, r);
	memcpy(j->address, d->address, a);
	memcpy(j->sender, d->sender, s);
	TAILQ_INSERT_TAIL(&t->waiting, j, entry);
	t->owner->count++;
	return j;
}

static void
job_free(struct hand_off *h, struct jobs *list, struct job *j)
{
	TAILQ_REMOVE(list, j, entry);
	h->count--;
	close(j->body);
	free(j->recipient);
	free(j);
}

/* The next that waits. What a queue that is gone has asked for and nobody has
 * begun is dropped: the next asks for it itself. Those come first. */
static struct job *
job_next(struct target *t)
{
	struct hand_off *h = t->owner;
	struct job *j;

	while ((j = TAILQ_FIRST(&t->waiting)) != NULL &&
	    supervise_queue(h->master, j->asker) == NULL)
		job_free(h, &t->waiting, j);
	return j;
}

static void
jobs_fail(struct hand_off *h, struct jobs *list, const char *text)
{
	struct job *j;

	while ((j = TAILQ_FIRST(list)) != NULL) {
		answer_failure(h, j->asker, j->id, 451, text);
		job_free(h, list, j);
	}
}

/* ---- runs ------------------------------------------------------------- */

static void
run_arm(struct run *run, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(run->timer, &tv);
}

/* It sees the end of its channel, and ends; then it is reaped. */
static void
run_close(struct run *run)
{
	run->state = RUN_CLOSED;
	channel_free(run->channel);
	run->channel = NULL;
	run_arm(run, local_deadline() * 1000LL);
}

static void
run_free(struct run *run)
{
	LIST_REMOVE(run, entry);
	run->target->count--;
	channel_free(run->channel);
	if (run->timer != NULL)
		event_free(run->timer);
	free(run);
}

static void
on_run_timer(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;

	if (run->state == RUN_OPEN && run->count == 0) {
		run_close(run);
		return;
	}
	log_warn("a local delivery (pid %d) takes longer than %d minutes: "
		 "ending it",
	    (int)run->pid, local_deadline() / 60);
	kill(-run->pid, SIGKILL);
}

static void
run_give(struct run *run, struct job *j)
{
	struct target *t = run->target;
	struct msg_local_job job = { .msgid = j->msgid,
		.user = t->recipient.user,
		.recipient = j->recipient,
		.address = j->address,
		.sender = j->sender,
		.flags = j->flags,
		.size = j->size,
		.crc = j->crc };
	int body = fcntl(j->body, F_DUPFD_CLOEXEC, 0);

	TAILQ_REMOVE(&t->waiting, j, entry);
	TAILQ_INSERT_TAIL(&run->jobs, j, entry);
	run->count++;
	run_arm(run, local_deadline() * 1000LL);
	if (body == -1 ||
	    ipc_send_fd(run->channel, local_job, &job, body) == -1)
		kill(-run->pid, SIGKILL);
}

static int
run_takes_more(struct run *run)
{
	struct loop *loop = run->target->owner->master->loop;

	if (run->state == RUN_OPEN && loop_now(loop) - run->started > RUN_MS) {
		run->state = RUN_CLOSED;
		if (run->count == 0)
			run_close(run);
	}
	return run->state == RUN_OPEN && run->channel != NULL;
}

/* ---- what local says -------------------------------------------------- */

static void target_dispatch(struct target *);

/* A .forward has come, or the place is gone: what is not answered waits for a
 * new process. */
static void
run_take_back(struct run *run)
{
	struct target *t = run->target;
	struct job *j;

	while ((j = TAILQ_LAST(&run->jobs, jobs)) != NULL) {
		TAILQ_REMOVE(&run->jobs, j, entry);
		TAILQ_INSERT_HEAD(&t->waiting, j, entry);
	}
	run->count = 0;
	run_close(run);
	target_dispatch(t);
}

static void
on_local_ready(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct run *run = arg;
	struct job *j;

	if (run->state != RUN_STARTING) {
		if (run->channel != NULL)
			run_take_back(run);
		return;
	}
	run->began = true;
	run->state = msg->local_ready.more ? RUN_OPEN : RUN_CLOSED;
	if (run->state == RUN_CLOSED && (j = job_next(run->target)) != NULL)
		run_give(run, j);
	target_dispatch(run->target);
	if (run->count > 0)
		return;
	if (run->state == RUN_CLOSED)
		run_close(run);
	else
		run_arm(run, IDLE_MS);
}

static void
on_local_result(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_local_result *r = &msg->local_result;
	struct run *run = arg;
	struct job *j = TAILQ_FIRST(&run->jobs);
	struct hand_off *h = run->target->owner;
	struct msg_local_done done = { .status = r->status,
		.code = r->code,
		.enhanced = r->enhanced,
		.text = r->text,
		.kept = r->kept,
		.forward = r->forward };

	if (j == NULL || r->status >= DELIVERY_STATUS_MAX)
		return;
	done.id = j->id;
	answer(h, j->asker, &done);
	job_free(h, &run->jobs, j);
	run->count--;
	if (run->channel == NULL)
		return; /* these are its last words */
	target_dispatch(run->target);
	if (run->count > 0)
		run_arm(run, local_deadline() * 1000LL);
	else if (run_takes_more(run))
		run_arm(run, IDLE_MS);
	else if (run->channel != NULL)
		run_close(run);
}

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	struct run *run = arg;

	/* the process is reaped, and its jobs ended, by its pid */
	run_close(run);
}

static channel_handler *const local_handlers[MSG_MAX] = {
	[MSG_local_ready] = on_local_ready,
	[MSG_local_result] = on_local_result,
};
static const struct channel_ops local_ops = { local_handlers, on_closed, NULL };

/* ---- targets ---------------------------------------------------------- */

static int
run_start(struct target *t)
{
	struct master *m = t->owner->master;
	struct run *run;
	int fd = -1;

	if ((run = calloc(1, sizeof(*run))) == NULL)
		return -1;
	run->target = t;
	run->started = loop_now(m->loop);
	TAILQ_INIT(&run->jobs);
	LIST_INSERT_HEAD(&t->runs, run, entry);
	t->count++;
	run->timer = evtimer_new(loop_base(m->loop), on_run_timer, run);
	if (run->timer == NULL ||
	    (run->pid = local_spawn(m, &t->recipient, &fd)) == -1) {
		run_free(run);
		return -1;
	}
	run_arm(run, local_deadline() * 1000LL);
	run->channel = channel_new(
	    m->loop, fd, PROC_MASTER, PROC_LOCAL, 0, &local_ops, run);
	if (run->channel == NULL) {
		run->state = RUN_CLOSED;
		kill(run->pid, SIGKILL);
	}
	return 0;
}

/* Gives what waits to processes that take it, or starts one. */
static void
target_dispatch(struct target *t)
{
	const struct conf *conf = t->owner->master->conf;
	unsigned limit = conf->mda.max_session_per_user != 0
	    ? conf->mda.max_session_per_user
	    : RUNS_PER_TARGET;
	struct run *run;
	struct job *j;
	int busy = 0;

	LIST_FOREACH (run, &t->runs, entry) {
		if (run->state == RUN_STARTING)
			busy = 1;
		if (!run_takes_more(run))
			continue;
		busy = 1;
		while (run->count < RUN_WINDOW && (j = job_next(t)) != NULL)
			run_give(run, j);
	}
	if (job_next(t) == NULL || busy || t->count >= limit)
		return;
	if (run_start(t) == -1 && t->count == 0)
		jobs_fail(t->owner, &t->waiting, "cannot start a delivery");
}

static void
target_free(struct target *t)
{
	LIST_REMOVE(t, entry);
	recipient_clear(&t->recipient);
	free(t->key);
	free(t);
}

/* The target of a delivery; NULL with the reply that says why not. */
static struct target *
target_get(struct hand_off *h, const struct msg_local_delivery *d, int *code,
    char *error, size_t size)
{
	struct master *m = h->master;
	int64_t now = loop_now(m->loop);
	struct target *t;
	char *key;

	*code = 451;
	strlcpy(error, "out of memory", size);
	if (asprintf(&key, "%u\1%u\1%s\1%s\1%s\1%s", d->kind, d->entry,
		d->action, d->user, d->alias,
		recipient_place_varies(m, d) ? d->address : "") == -1)
		return NULL;
	LIST_FOREACH (t, &h->targets, entry)
		if (t->generation == m->generation &&
		    now - t->created < TARGET_MS && strcmp(t->key, key) == 0) {
			free(key);
			return t;
		}
	if ((t = calloc(1, sizeof(*t))) == NULL) {
		free(key);
		return NULL;
	}
	*code = recipient_resolve(m, d, &t->recipient, error, size);
	if (*code != 0) {
		recipient_clear(&t->recipient);
		free(key);
		free(t);
		return NULL;
	}
	t->owner = h;
	t->generation = m->generation;
	t->created = now;
	t->key = key;
	LIST_INIT(&t->runs);
	TAILQ_INIT(&t->waiting);
	LIST_INSERT_HEAD(&h->targets, t, entry);
	return t;
}

/* ---- what master calls ------------------------------------------------ */

void
hand_off_deliver(struct hand_off *h, const struct msg_local_delivery *d, int fd)
{
	struct target *t = NULL;
	char error[256];
	int code = 451;

	if (h->count >= JOBS_MAX)
		strlcpy(error, "too many local deliveries", sizeof(error));
	else
		t = target_get(h, d, &code, error, sizeof(error));
	if (t == NULL || job_new(t, d, fd) == NULL) {
		close(fd);
		answer_failure(h, supervise_queue_life(h->master), d->id,
		    code != 0 ? code : 451,
		    t == NULL ? error : "out of memory");
	}
	if (t == NULL)
		return;
	target_dispatch(t);
	if (t->count == 0 && TAILQ_EMPTY(&t->waiting))
		target_free(t);
}

static struct run *
find_run(struct hand_off *h, pid_t pid)
{
	struct target *t;
	struct run *run;

	LIST_FOREACH (t, &h->targets, entry)
		LIST_FOREACH (run, &t->runs, entry)
			if (run->pid == pid)
				return run;
	return NULL;
}

int
hand_off_reaped(struct hand_off *h, pid_t pid, int status)
{
	struct run *run = find_run(h, pid);
	struct target *t;

	if (run == NULL)
		return 0;
	t = run->target;
	run->state = RUN_CLOSED;
	/* its answers may still wait in the socket: they are read first */
	if (run->channel != NULL && run->count > 0)
		channel_drain(run->channel);
	jobs_fail(h, &run->jobs,
	    WIFSIGNALED(status) ? "the delivery was killed"
				: "the delivery ended without a result");
	/* what cannot even start is not started again at once */
	if (!run->began)
		jobs_fail(h, &t->waiting, "the delivery could not begin");
	run_free(run);
	target_dispatch(t);
	if (t->count == 0 && TAILQ_EMPTY(&t->waiting))
		target_free(t);
	return 1;
}

struct hand_off *
hand_off_new(struct master *m)
{
	struct hand_off *h;

	if ((h = calloc(1, sizeof(*h))) == NULL)
		return NULL;
	h->master = m;
	LIST_INIT(&h->targets);
	return h;
}

void
hand_off_free(struct hand_off *h)
{
	struct target *t;
	struct run *run;
	struct job *j;

	if (h == NULL)
		return;
	while ((t = LIST_FIRST(&h->targets)) != NULL) {
		while ((run = LIST_FIRST(&t->runs)) != NULL) {
			/* commands end; local goes on to the end of its
			 * message, or it would leave half of one behind */
			kill(-run->pid, SIGTERM);
			while ((j = TAILQ_FIRST(&run->jobs)) != NULL)
				job_free(h, &run->jobs, j);
			run_free(run);
		}
		while ((j = TAILQ_FIRST(&t->waiting)) != NULL)
			job_free(h, &t->waiting, j);
		target_free(t);
	}
	free(h);
}
