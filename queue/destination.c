/*
 * Destinations: how many transactions at once each may have, when one is
 * blocked and how it is probed.
 *
 * The window begins small, grows by one for each window of successes, and
 * only while it is used; a failure of the route halves it. A failure also
 * blocks the destination: what is under way goes on, and if any of it gets
 * through the block is over at once. Else one probe starts at each interval,
 * which grows quadratically between the floor and the ceiling of the class.
 * A server that merely asks for less (421) is not blocked while it still
 * serves other sessions of ours: the window shrinks under their number.
 *
 * One that ends sessions over messages is blocked once it did so over several
 * in a row, each for the first time. That may be those messages' fault, so the
 * probes begin at once and grow rarer up to the floor only.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/schedule_local.h"

/* Sessions that ended over messages, without any success since, that do not
 * block yet; and how many more it takes until a probe waits for the floor. */
#define BREAKS_OPEN 4
#define BREAKS_RAMP 60

static uint32_t
dest_hash(void *arg, uint32_t d)
{
	return dest_at(arg, d)->hash;
}

static uint32_t *
dest_hash_next(void *arg, uint32_t d)
{
	return &dest_at(arg, d)->hash_next;
}

static uint32_t *
dest_where(void *arg, uint32_t d)
{
	return &dest_at(arg, d)->where;
}

int
dest_init(struct sched *s)
{
	slab_init(&s->dests, sizeof(struct dest), offsetof(struct dest, link));
	heap_init(&s->probes, dest_where, s);
	return hindex_init(&s->by_dest, dest_hash, dest_hash_next, s);
}

static const struct sched_class *
class_of(const struct sched *s, const struct dest *d)
{
	return &s->classes[d->class];
}

static int
dest_fill(
    struct sched *s, struct dest *d, const char *action, const char *domain)
{
	size_t alen = strlen(action) + 1, dlen = strlen(domain) + 1;
	int i;

	d->action = malloc(alen + dlen);
	if (d->action == NULL)
		return -1;
	d->domain = d->action + alen;
	memcpy(d->action, action, alen);
	memcpy(d->domain, domain, dlen);
	s->stats.memory += alen + dlen;
	for (i = 0; i < RANKS; i++)
		d->lanes[i] = NIL;
	d->waiting = NIL;
	d->window = class_of(s, d)->window_start * WINDOW_ONE;
	return 0;
}

uint32_t
dest_get(struct sched *s, enum sched_kind kind, uint8_t class,
    const char *action, const char *domain, const char *owner)
{
	struct dest *dest;
	uint32_t d, hash;

	hash = sched_mix_string(s, domain, sched_mix_string(s, action, kind));
	for (d = hindex_chain(&s->by_dest, hash); d != NIL;
	     d = dest->hash_next) {
		dest = dest_at(s, d);
		if (dest->hash == hash && dest->kind == kind &&
		    strcmp(dest->action, action) == 0 &&
		    strcmp(dest->domain, domain) == 0) {
			dest->class = class;
			return d;
		}
	}
	if (heap_reserve(&s->probes, s->dests.count + 1) == -1)
		return NIL;
	d = slab_alloc(&s->dests);
	if (d == NIL)
		return NIL;
	dest = dest_at(s, d);
	dest->round = round_join(s, kind, action, owner);
	if (dest->round == NIL) {
		slab_free(&s->dests, d);
		return NIL;
	}
	dest->hash = hash;
	dest->kind = kind;
	dest->class = class;
	dest->paused = kind == SCHED_RELAY && sched_domain_paused(s, domain);
	if (dest_fill(s, dest, action, domain) == -1) {
		round_quit(s, dest->round);
		slab_free(&s->dests, d);
		return NIL;
	}
	hindex_insert(&s->by_dest, d);
	s->stats.dests++;
	return d;
}

static uint32_t
window_max(const struct sched *s, const struct dest *d)
{
	return (d->window_max != 0 ? d->window_max
				   : class_of(s, d)->window_max) *
	    WINDOW_ONE;
}

static void
cap_window(const struct sched *s, struct dest *d)
{
	if (d->window > window_max(s, d))
		d->window = window_max(s, d);
}

void
dest_limit(struct sched *s, uint32_t d, uint32_t limit)
{
	struct dest *dest = dest_at(s, d);

	dest->window_max = limit < UINT16_MAX ? limit : UINT16_MAX;
	cap_window(s, dest);
	dest_update(s, d);
}

/* What a destination has learned is kept while anything is queued for it,
 * and while it is blocked. */
void
dest_drop_if_empty(struct sched *s, uint32_t d)
{
	struct dest *dest = dest_at(s, d);

	if (dest->entries > 0 || dest->inflight > 0 ||
	    dest->state == DEST_BLOCKED)
		return;
	if (dest->state != DEST_OPEN)
		s->stats.dests_blocked--;
	hindex_remove(&s->by_dest, d);
	round_quit(s, dest->round);
	s->stats.memory -= strlen(dest->action) + strlen(dest->domain) + 2;
	free(dest->action);
	dest->action = NULL;
	slab_free(&s->dests, d);
	s->stats.dests--;
}

static int
may_start(const struct dest *d)
{
	if (d->ready == 0 || d->paused)
		return 0;
	if (d->state == DEST_OPEN)
		return d->inflight < d->window / WINDOW_ONE;
	return d->state == DEST_PROBE;
}

void
dest_update(struct sched *s, uint32_t d)
{
	struct dest *dest = dest_at(s, d);
	int may = may_start(dest);

	if (may == dest->in_turn)
		return;
	dest->in_turn = may;
	if (may)
		round_enter(s, d);
	else
		round_leave(s, d);
}

int
dest_start(struct sched *s, uint32_t d, uint32_t batch)
{
	struct dest *dest = dest_at(s, d);
	int probe = dest->state == DEST_PROBE;

	dest->inflight++;
	/* Only a window that was full proves that it could be larger. */
	if (dest->inflight >= dest->window / WINDOW_ONE)
		dest->credit = dest->inflight;
	if (probe) {
		dest->state = DEST_PROBING;
		dest->probe = batch;
	}
	dest_update(s, d);
	round_start(s, d);
	return probe;
}

/* Seconds to the next probe, jitter included; that only shortens, so that a
 * ceiling is one. */
static uint32_t
jittered(const struct sched *s, const struct dest *d, uint64_t t)
{
	t -= sched_mix(s, d->hash, d->failures, 2) % (t / 8 + 1);
	return t > 0 ? t : 1;
}

static uint32_t
probe_interval(const struct sched *s, const struct dest *d)
{
	const struct sched_class *class = class_of(s, d);
	uint64_t t, n = d->steps;

	t = class->probe_floor * n * n;
	return jittered(
	    s, d, t < class->probe_ceiling ? t : class->probe_ceiling);
}

/* Where sessions are made and end over messages. It may take as many probes as
 * there are messages of that kind to find one of another. */
static uint32_t
break_interval(const struct sched *s, const struct dest *d)
{
	uint64_t t = class_of(s, d)->probe_floor, n = 1;

	if (d->breaks > BREAKS_OPEN)
		n = d->breaks - BREAKS_OPEN;
	return jittered(s, d, n < BREAKS_RAMP ? t * n / BREAKS_RAMP : t);
}

static void
excuse_ring(struct sched *s, uint32_t first)
{
	uint32_t e = first;

	if (first == NIL)
		return;
	do {
		entry_at(s, e)->flags &= ~ENTRY_OWED;
		entry_set_timer(s, e);
		e = entry_at(s, e)->link.next;
	} while (e != first);
}

/* The route was tried for all that is here: no attempt is owed any more. */
static void
excuse(struct sched *s, struct dest *dest)
{
	uint32_t first, l;

	if (!dest->owed)
		return;
	dest->owed = 0;
	excuse_ring(s, dest->waiting);
	for (int i = 0; i < RANKS; i++) {
		if ((first = l = dest->lanes[i]) == NIL)
			continue;
		do {
			excuse_ring(s, lane_at(s, l)->head);
			l = lane_at(s, l)->link.next;
		} while (l != first);
	}
}

static void
block(struct sched *s, uint32_t d, uint32_t interval, int64_t now)
{
	struct dest *dest = dest_at(s, d);

	if (dest->state == DEST_OPEN)
		s->stats.dests_blocked++;
	dest->state = DEST_BLOCKED;
	dest->probe_at = time_in(now + interval);
	heap_set(&s->probes, d, dest->probe_at);
}

static void
shrink(struct dest *dest, uint32_t most)
{
	uint32_t window = dest->window / 2;

	if (window > most * WINDOW_ONE)
		window = most * WINDOW_ONE;
	dest->window = window > WINDOW_ONE ? window : WINDOW_ONE;
}

static void
dest_failed(struct sched *s, uint32_t d, int probe, int slow, int64_t now)
{
	struct dest *dest = dest_at(s, d);

	slow = slow && dest->inflight > 0;
	shrink(dest, slow ? dest->inflight : UINT16_MAX);
	if (!probe && (dest->state != DEST_OPEN || slow))
		return;
	if (dest->failures < UINT16_MAX)
		dest->failures++;
	/* an operator who asks whether it is back makes no later what would
	 * have been done without him */
	if (probe && dest->early && dest->probe_at > time_in(now))
		block(s, d, dest->probe_at - time_in(now), now);
	else {
		dest->steps += dest->steps < UINT16_MAX;
		block(s, d, probe_interval(s, dest), now);
	}
	excuse(s, dest);
}

/* Where other messages are taken it was this one's doing, and where none are
 * the server's: so each counts once, until one is taken. */
static void
dest_broken(struct sched *s, uint32_t d, int probe, int blameless, int64_t now)
{
	struct dest *dest = dest_at(s, d);

	if (!blameless)
		shrink(dest, UINT16_MAX);
	if (!probe && (dest->state != DEST_OPEN || blameless))
		return;
	if (!blameless && dest->breaks < UINT16_MAX)
		dest->breaks++;
	if (probe)
		dest->failures = dest->steps = 0;
	if (probe || dest->breaks > BREAKS_OPEN)
		block(s, d, break_interval(s, dest), now);
}

static void
grow(const struct sched *s, struct dest *d)
{
	if (d->credit > 0) {
		d->credit--;
		d->window += WINDOW_ONE * WINDOW_ONE / d->window + 1;
	}
	cap_window(s, d);
}

static void
dest_succeeded(struct sched *s, uint32_t d, int probe, int64_t now)
{
	struct dest *dest = dest_at(s, d);

	dest->failures = dest->steps = dest->breaks = 0;
	if (dest->state == DEST_OPEN) {
		grow(s, dest);
		return;
	}
	dest->state = DEST_OPEN;
	s->stats.dests_blocked--;
	heap_remove(&s->probes, d);
	if (probe)
		dest->window = class_of(s, dest)->window_start * WINDOW_ONE;
	cap_window(s, dest);
	dest_release(s, d, 0, now);
}

void
dest_finish(struct sched *s, uint32_t d, uint32_t batch, enum sched_route route,
    int blameless, int64_t now)
{
	struct dest *dest = dest_at(s, d);
	int probe = dest->state == DEST_PROBING && dest->probe == batch;

	dest->inflight--;
	round_finish(s, d);
	if (route == SCHED_ROUTE_OK)
		dest_succeeded(s, d, probe, now);
	else if (route == SCHED_ROUTE_BROKEN)
		dest_broken(s, d, probe, blameless, now);
	else if (route != SCHED_ROUTE_UNKNOWN)
		dest_failed(s, d, probe, route == SCHED_ROUTE_SLOW, now);
	else if (probe)
		dest->state = DEST_PROBE;
	dest_update(s, d);
	dest_drop_if_empty(s, d);
}

static void
begin_probe(struct sched *s, uint32_t d, uint8_t early)
{
	struct dest *dest = dest_at(s, d);

	if (dest->state != DEST_BLOCKED)
		return;
	heap_remove(&s->probes, d);
	dest->state = DEST_PROBE;
	dest->early = early;
	dest_update(s, d);
}

void
dest_probe_now(struct sched *s, uint32_t d)
{
	begin_probe(s, d, 1);
}

void
dest_forget_failures(struct sched *s, uint32_t d)
{
	struct dest *dest = dest_at(s, d);

	dest->failures = dest->steps = dest->breaks = 0;
	begin_probe(s, d, 0);
}

void
dest_tick(struct sched *s, int64_t now)
{
	uint32_t d, t;

	while (heap_first(&s->probes, &d, &t) && t <= now) {
		begin_probe(s, d, 0);
		dest_drop_if_empty(s, d);
	}
}

uint32_t
dest_release(struct sched *s, uint32_t d, int all, int64_t now)
{
	struct dest *dest = dest_at(s, d);
	uint32_t left = dest->nwaiting, e = dest->waiting, next, n = 0;

	for (; left > 0; left--, e = next) {
		next = entry_at(s, e)->link.next;
		if (!all && entry_at(s, e)->breaks >= BREAKS_AGAIN)
			continue;
		entry_at(s, e)->next = 0;
		entry_move(s, e, SCHED_READY, now);
		n++;
	}
	return n;
}
