/*
 * The scheduler as the queue process drives it: entries come in, what is due
 * goes out, results come back. See scheduler.h for what it promises and
 * schedule_local.h for how it is made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/schedule_local.h"

/* Entries that become ready in one call of sched_next, at most. */
#define TICK_MAX 1024
/* Wait after a transaction that ended without any result; seconds. */
#define UNKNOWN_WAIT 10

static const struct sched_class class_default = {
	.retry_floor = 400,
	.retry_ceiling = 4 * 3600,
	.probe_floor = 60,
	.probe_ceiling = 1800,
	.window_start = 5,
	.window_max = 100,
	.batch_max = 100,
};

uint32_t
sched_mix(const struct sched *s, uint32_t a, uint32_t b, uint32_t c)
{
	uint64_t h = s->params.seed ^ ((uint64_t)a << 32 | b);

	h = (h ^ h >> 32 ^ c) * 0xd6e8feb86659fd93u;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

uint32_t
sched_mix_string(const struct sched *s, const char *p, uint32_t n)
{
	uint64_t h = s->params.seed ^ n;

	for (; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 0x9e3779b97f4a7c15u ^ h >> 29;
	return sched_mix(s, (uint32_t)h, h >> 32, 1);
}

uint32_t
sched_sender_key(const struct sched *s, const char *sender)
{
	return sched_mix_string(s, sender, SCHED_KINDS);
}

static uint32_t
msgid_hash(void *arg, uint32_t m)
{
	return sched_mix(arg, message_at(arg, m)->msgid, 0, 0);
}

static uint32_t *
msgid_next(void *arg, uint32_t m)
{
	return &message_at(arg, m)->hash_next;
}

static uint32_t *
entry_where(void *arg, uint32_t e)
{
	return &entry_at(arg, e)->where;
}

struct sched *
sched_new(const struct sched_params *params)
{
	struct sched *s = calloc(1, sizeof(*s));
	int i;

	if (s == NULL)
		return NULL;
	sched_set_params(s, params);
	s->params.seed = params->seed;
	for (i = 0; i < SCHED_CLASSES; i++)
		s->classes[i] = class_default;
	slab_init(
	    &s->entries, sizeof(struct entry), offsetof(struct entry, link));
	slab_init(&s->messages, sizeof(struct message), 0);
	slab_init(
	    &s->batches, sizeof(struct batch), offsetof(struct batch, link));
	heap_init(&s->timers, entry_where, s);
	if (lane_init(s) == -1 || round_init(s) == -1 || dest_init(s) == -1 ||
	    hindex_init(&s->by_msgid, msgid_hash, msgid_next, s) == -1) {
		sched_free(s);
		return NULL;
	}
	return s;
}

void
sched_free(struct sched *s)
{
	uint32_t e, d;

	if (s == NULL)
		return;
	for (e = 0; e < s->entries.used; e++)
		if (entry_at(s, e)->state != ENTRY_FREE)
			entry_remove(s, e);
	for (d = 0; d < s->dests.used; d++)
		free(dest_at(s, d)->action);
	while (s->npaused > 0)
		free(s->paused_domains[--s->npaused]);
	slab_clear(&s->entries);
	slab_clear(&s->messages);
	slab_clear(&s->lanes);
	slab_clear(&s->dests);
	slab_clear(&s->batches);
	round_clear(s);
	hindex_clear(&s->by_msgid);
	hindex_clear(&s->by_lane);
	hindex_clear(&s->by_dest);
	heap_clear(&s->timers);
	heap_clear(&s->probes);
	free(s);
}

void
sched_set_params(struct sched *s, const struct sched_params *params)
{
	int i;

	/* The seed stays: hashes are made with it. */
	for (i = 0; i < SCHED_KINDS; i++)
		s->params.max_inflight[i] = params->max_inflight[i] != 0
		    ? params->max_inflight[i]
		    : 1000;
	s->params.max_action = params->max_action;
	s->params.max_owner = params->max_owner;
	round_update_all(s);
}

static uint32_t
or_default(uint32_t value, uint32_t other)
{
	return value != 0 ? value : other;
}

static uint32_t
at_most(uint32_t value, uint32_t bound)
{
	return value < bound ? value : bound;
}

void
sched_set_class(struct sched *s, uint8_t number, const struct sched_class *c)
{
	const struct sched_class *d = &class_default;
	struct sched_class *out = &s->classes[number];

	out->retry_floor = or_default(c->retry_floor, d->retry_floor);
	out->retry_ceiling = or_default(c->retry_ceiling, d->retry_ceiling);
	out->window_start = or_default(c->window_start, d->window_start);
	out->window_max = or_default(c->window_max, d->window_max);
	out->batch_max = or_default(c->batch_max, d->batch_max);
	if (out->retry_ceiling < out->retry_floor)
		out->retry_ceiling = out->retry_floor;
	out->probe_floor = or_default(
	    c->probe_floor, at_most(d->probe_floor, out->retry_ceiling));
	out->probe_ceiling = or_default(
	    c->probe_ceiling, at_most(d->probe_ceiling, out->retry_ceiling));
	if (out->window_max > UINT16_MAX)
		out->window_max = UINT16_MAX;
	if (out->window_start > out->window_max)
		out->window_start = out->window_max;
	if (out->batch_max > SCHED_BATCH_MAX)
		out->batch_max = SCHED_BATCH_MAX;
}

void
sched_set_dest(struct sched *s, uint32_t d, uint8_t class, uint32_t window_max)
{
	if (d >= s->dests.used || dest_at(s, d)->action == NULL)
		return;
	dest_at(s, d)->class = class;
	dest_limit(s, d, window_max);
}

/* No attempt lies farther off than a ceiling and its jitter: one that does was
 * written under a clock that ran ahead, and must not wait for it. */
static int64_t
sane_next(const struct sched *s, uint32_t d, int64_t next, int64_t now)
{
	int64_t ceiling = s->classes[dest_at(s, d)->class].retry_ceiling;

	return next > now + 2 * ceiling ? now : next;
}

static int
add_entry(struct sched *s, const struct sched_add *add, uint32_t m, uint32_t d,
    int64_t now)
{
	struct entry *entry;
	uint32_t e;

	e = entry_new(s, m, d, add->rcpt);
	if (e == NIL)
		return -1;
	entry = entry_at(s, e);
	entry->priority = add->priority;
	entry->expiry = time_in(add->expiry);
	entry->warn = time_in(add->warn);
	entry->next = time_in(sane_next(s, d, add->next, now));
	entry->attempts =
	    add->attempts < UINT16_MAX ? add->attempts : UINT16_MAX;
	if (add->flags & SCHED_ADD_HELD)
		entry->flags |= ENTRY_HOLD;
	if (!(add->flags & SCHED_ADD_INCOMING))
		entry_admit(s, e, now);
	return 0;
}

int
sched_add(struct sched *s, const struct sched_add *add, int64_t now)
{
	uint32_t m, d;

	if (add->rcpt >= SCHED_RCPT_MAX || (unsigned)add->kind >= SCHED_KINDS ||
	    (unsigned)add->priority >= SCHED_PRIORITIES ||
	    add->action == NULL || add->domain == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (entry_find(s, add->msgid, add->rcpt) != NIL) {
		errno = EEXIST;
		return -1;
	}
	d = dest_get(
	    s, add->kind, add->class, add->action, add->domain, add->owner);
	if (d != NIL)
		dest_limit(s, d, add->window_max);
	m = d == NIL ? NIL : message_get(s, add);
	if (m == NIL || add_entry(s, add, m, d, now) == -1) {
		if (m != NIL)
			message_drop_if_empty(s, m);
		if (d != NIL)
			dest_drop_if_empty(s, d);
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

static uint32_t
commit_entry(struct sched *s, uint32_t e, int64_t now)
{
	if (entry_at(s, e)->state != SCHED_INCOMING)
		return 0;
	entry_admit(s, e, now);
	return 1;
}

void
sched_commit(struct sched *s, uint32_t msgid, int64_t now)
{
	message_each(s, msgid, SCHED_ALL, commit_entry, now);
}

static void
fill_job(const struct sched *s, struct sched_job *job, uint32_t m, uint32_t d)
{
	const struct dest *dest = dest_at(s, d);

	job->id = 0;
	job->msgid = message_at(s, m)->msgid;
	job->kind = dest->kind;
	job->class = dest->class;
	job->probe = 0;
	job->dest = d;
	job->action = dest->action;
	job->domain = dest->domain;
	job->nrcpts = 0;
}

static int
is_paused(const struct sched *s, const struct entry *entry)
{
	const struct dest *dest = dest_at(s, entry->dest);

	return dest->paused || s->paused[dest->kind];
}

/* Takes note of an entry if it is time for it. */
static void
take_due(struct sched *s, uint32_t e, enum sched_what what,
    struct sched_job *job, int64_t now)
{
	struct entry *entry = entry_at(s, e);
	int due = what == SCHED_EXPIRED
	    ? entry_is_over(entry, now) && !is_paused(s, entry)
	    : entry->warn != 0 && entry->warn <= now;

	if (!due ||
	    (entry->state != SCHED_READY && entry->state != SCHED_WAITING))
		return;
	if (what == SCHED_EXPIRED) {
		entry_move(s, e, SCHED_DONE, now);
		s->stats.expired++;
	} else {
		entry->warn = 0;
		entry_set_timer(s, e);
	}
	job->rcpts[job->nrcpts++] = entry->rcpt;
}

/* Something to tell of an entry, and in the same breath of all others of its
 * message: their sender wants to read it once. */
static enum sched_what
event(struct sched *s, uint32_t e, enum sched_what what, int64_t now,
    struct sched_job *job)
{
	uint32_t m = entry_at(s, e)->message, i;
	const struct message *message = message_at(s, m);

	fill_job(s, job, m, entry_at(s, e)->dest);
	take_due(s, e, what, job, now);
	for (i = 0; i < message->room && job->nrcpts < SCHED_BATCH_MAX; i++)
		if (message->many[i] != NIL)
			take_due(s, message->many[i], what, job, now);
	return what;
}

/*
 * The first timer that is due: an entry becomes ready, or there is something
 * to tell. *moved counts the former.
 */
static enum sched_what
tick(struct sched *s, int64_t now, struct sched_job *job, uint32_t *moved)
{
	struct entry *entry;
	uint32_t e, t;

	for (*moved = 0; *moved < TICK_MAX; ++*moved) {
		if (!heap_first(&s->timers, &e, &t) || t > now)
			break;
		entry = entry_at(s, e);
		if (entry_is_over(entry, now)) {
			if (!is_paused(s, entry))
				return event(s, e, SCHED_EXPIRED, now, job);
			entry_owe(s, e, now);
			entry_set_timer(s, e);
			continue;
		}
		if (entry->warn != 0 && entry->warn <= now)
			return event(s, e, SCHED_WARN, now, job);
		entry_move(s, e, SCHED_READY, now);
	}
	return SCHED_NOTHING;
}

/* Takes a transaction of the destination's next lane. */
static enum sched_what
start(struct sched *s, uint32_t d, struct sched_job *job)
{
	uint32_t b = slab_alloc(&s->batches), l, e, next, m, max;
	struct batch *batch;
	int last;

	if (b == NIL)
		return SCHED_NOTHING;
	if (++s->next_seq == 0)
		s->next_seq = 1;
	batch = batch_at(s, b);
	batch->seq = s->next_seq;
	batch->dest = d;
	batch->entries = NIL;
	l = lane_pick(s, d);
	lane_rotate(s, l);
	e = lane_at(s, l)->head;
	m = entry_at(s, e)->message;
	fill_job(s, job, m, d);
	job->id = (uint64_t)batch->seq << 32 | b;
	max = s->classes[job->class].batch_max;
	do {
		/* With its last entry the lane goes. */
		next = entry_at(s, e)->link.next;
		last = next == e;
		job->rcpts[job->nrcpts++] = entry_at(s, e)->rcpt;
		entry_start(s, e, b);
		e = next;
	} while (!last && job->nrcpts < max && entry_at(s, e)->message == m);
	job->probe = dest_start(s, d, b);
	s->stats.inflight[job->kind]++;
	s->stats.started++;
	return SCHED_START;
}

/* The kind whose turn it is, or SCHED_KINDS. */
static uint32_t
kind_to_start(const struct sched *s)
{
	uint32_t i, kind;

	for (i = 0; i < SCHED_KINDS; i++) {
		kind = (s->next_kind + i) % SCHED_KINDS;
		if (!s->paused[kind] && round_first(s, kind) != NIL &&
		    s->stats.inflight[kind] < s->params.max_inflight[kind])
			return kind;
	}
	return SCHED_KINDS;
}

int
sched_lacks_place(const struct sched *s)
{
	uint32_t first = round_first(s, SCHED_RELAY), d = first;

	if (d == NIL || s->paused[SCHED_RELAY] ||
	    s->stats.inflight[SCHED_RELAY] <
		s->params.max_inflight[SCHED_RELAY])
		return 0;
	/* no more of them than there are places have something under way */
	do {
		if (dest_at(s, d)->inflight == 0)
			return 1;
		d = dest_at(s, d)->link.next;
	} while (d != first);
	return 0;
}

enum sched_what
sched_next(struct sched *s, int64_t now, struct sched_job *job)
{
	enum sched_what what;
	uint32_t moved, kind;

	dest_tick(s, now);
	do {
		what = tick(s, now, job, &moved);
		if (what != SCHED_NOTHING)
			return what;
		kind = kind_to_start(s);
	} while (kind == SCHED_KINDS && moved == TICK_MAX);
	if (kind == SCHED_KINDS)
		return SCHED_NOTHING;
	s->next_kind = (kind + 1) % SCHED_KINDS;
	return start(s, round_first(s, kind), job);
}

int64_t
sched_deadline(const struct sched *s, int64_t now)
{
	uint32_t item, t, least = UINT32_MAX;

	if (kind_to_start(s) != SCHED_KINDS)
		return now;
	if (heap_first(&s->timers, &item, &t))
		least = t;
	if (heap_first(&s->probes, &item, &t) && t < least)
		least = t;
	if (least == UINT32_MAX)
		return -1;
	return least > now ? least : now;
}

/* Seconds to the next attempt of an entry: quadratic, with jitter that is the
 * same for all recipients of a transaction, so they stay together. */
static uint32_t
retry_delay(const struct sched *s, const struct entry *entry)
{
	const struct sched_class *class =
	    &s->classes[dest_at(s, entry->dest)->class];
	uint64_t n = entry->attempts, t = class->retry_floor * n * n;
	uint32_t random = sched_mix(s, message_at(s, entry->message)->msgid,
	    entry->dest, entry->attempts);

	if (t < class->retry_ceiling)
		t += random % (t / 8 + 1);
	else
		t = class->retry_ceiling -
		    random % (class->retry_ceiling / 8 + 1);
	return t < class->retry_floor ? class->retry_floor : t;
}

/*
 * An entry comes back undelivered: to `state` with entry.next set, unless
 * something was decided about it meanwhile.
 */
static void
come_back(struct sched *s, uint32_t e, enum sched_state state, int64_t now,
    struct sched_verdict *verdict)
{
	struct entry *entry = entry_at(s, e);

	memset(verdict, 0, sizeof(*verdict));
	if (entry->flags & ENTRY_REMOVE) {
		state = SCHED_DONE;
		verdict->removed = 1;
	} else if (entry->flags & ENTRY_HOLD) {
		state = SCHED_HELD;
	} else if (entry_is_over(entry, now)) {
		state = SCHED_DONE;
		verdict->expired = 1;
		s->stats.expired++;
	}
	entry->flags &= ENTRY_OWED;
	if (entry->flags != 0)
		dest_at(s, entry->dest)->owed = 1;
	entry_move(s, e, state, now);
	verdict->state = entry->state;
	verdict->attempts = entry->attempts;
	verdict->next = entry->state == SCHED_WAITING ? entry->next : now;
}

static void
wait_for_retry(
    struct sched *s, uint32_t e, int64_t now, struct sched_verdict *verdict)
{
	struct entry *entry = entry_at(s, e);

	if (entry->attempts < UINT16_MAX)
		entry->attempts++;
	entry->next = time_in(now + retry_delay(s, entry));
	entry->flags &= ~ENTRY_OWED;
	s->stats.tempfail++;
	come_back(s, e, SCHED_WAITING, now, verdict);
}

uint32_t
sched_postpone(struct sched *s, uint32_t msgid, uint32_t rcpt, int64_t now)
{
	uint32_t e = entry_find(s, msgid, rcpt);
	struct entry *entry;

	if (e == NIL || entry_at(s, e)->state != SCHED_DONE)
		return 0;
	entry = entry_at(s, e);
	if (entry->attempts < UINT16_MAX)
		entry->attempts++;
	entry->next = time_in(now + retry_delay(s, entry));
	if (entry->expiry != 0 && entry->expiry < entry->next)
		entry->expiry = entry->next;
	entry_move(s, e, SCHED_WAITING, now);
	return 1;
}

int
sched_result(struct sched *s, uint32_t msgid, uint32_t rcpt,
    enum sched_outcome outcome, int64_t now, struct sched_verdict *verdict)
{
	uint32_t e = entry_find(s, msgid, rcpt);
	struct entry *entry;

	memset(verdict, 0, sizeof(*verdict));
	if (e == NIL || entry_at(s, e)->state != SCHED_INFLIGHT) {
		errno = ENOENT;
		return -1;
	}
	entry = entry_at(s, e);
	if (outcome == SCHED_NOT_TRIED) {
		verdict->state = SCHED_INFLIGHT;
		verdict->attempts = entry->attempts;
		return 0;
	}
	batch_at(s, entry->where)->progress = 1;
	if (outcome == SCHED_TEMPFAIL) {
		wait_for_retry(s, e, now, verdict);
		return 0;
	}
	if (outcome == SCHED_DELIVERED)
		s->stats.delivered++;
	else {
		s->stats.refused++;
		verdict->removed = (entry->flags & ENTRY_REMOVE) != 0;
	}
	entry->flags = 0;
	entry_move(s, e, SCHED_DONE, now);
	verdict->state = SCHED_DONE;
	verdict->attempts = entry->attempts;
	return 0;
}

/* An entry of a transaction that has ended without result for it. */
static void
leave_unfinished(struct sched *s, uint32_t e, enum sched_route route,
    int progress, int64_t now, struct sched_verdict *verdict)
{
	struct entry *entry = entry_at(s, e);

	if (route == SCHED_ROUTE_BROKEN) {
		if (entry->breaks < BREAKS_AGAIN)
			entry->breaks++;
		wait_for_retry(s, e, now, verdict);
	} else if (route == SCHED_ROUTE_SLOW || route == SCHED_ROUTE_FAILED) {
		entry->flags &= ~ENTRY_OWED;
		come_back(s, e, SCHED_READY, now, verdict);
	} else if (progress) {
		come_back(s, e, SCHED_READY, now, verdict);
	} else {
		entry->next = time_in(now + UNKNOWN_WAIT);
		come_back(s, e, SCHED_WAITING, now, verdict);
	}
}

int
sched_finish(struct sched *s, uint64_t id, enum sched_route route, int64_t now,
    struct sched_verdict *verdicts, uint32_t *rcpts)
{
	struct sched_verdict verdict;
	uint32_t b = (uint32_t)id, d, e, rcpt;
	struct batch *batch;
	int n = 0, blameless;

	if (b >= s->batches.used || id >> 32 == 0 ||
	    batch_at(s, b)->seq != id >> 32) {
		errno = ENOENT;
		return -1;
	}
	batch = batch_at(s, b);
	d = batch->dest;
	/* the server has decided about all, or it is as before */
	blameless =
	    batch->entries == NIL || entry_at(s, batch->entries)->breaks > 0;
	while ((e = batch->entries) != NIL) {
		rcpt = entry_at(s, e)->rcpt;
		leave_unfinished(s, e, route, batch->progress, now, &verdict);
		if (verdicts != NULL)
			verdicts[n] = verdict;
		if (rcpts != NULL)
			rcpts[n] = rcpt;
		n++;
	}
	batch->seq = 0;
	slab_free(&s->batches, b);
	s->stats.inflight[dest_at(s, d)->kind]--;
	if (route != SCHED_ROUTE_OK && route != SCHED_ROUTE_UNKNOWN)
		s->stats.route_failures++;
	dest_finish(s, d, b, route, blameless, now);
	return n;
}
