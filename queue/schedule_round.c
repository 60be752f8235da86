/*
 * Rounds: those whose turn comes, one after the other. What is relayed has one
 * round of destinations, and so has what is expanded. Local delivery has a
 * round of actions, each of which has one of owners of destinations, and these
 * have theirs. For a server or a command that hangs is no destination there
 * but stands behind those of many users, and an account that does may have many
 * destinations: whoever has his part of the transactions is left out until one
 * of them ends.
 *
 * The rounds of the kinds are there from the start, and their handles are the
 * kinds; all others are named, and are there while they have members.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/schedule_local.h"

static struct round *
round_at(const struct sched *s, uint32_t r)
{
	return slab_get(&s->rounds, r);
}

static uint32_t
round_hash(void *arg, uint32_t r)
{
	return round_at(arg, r)->hash;
}

static uint32_t *
round_hash_next(void *arg, uint32_t r)
{
	return &round_at(arg, r)->hash_next;
}

int
round_init(struct sched *s)
{
	uint32_t r;

	slab_init(
	    &s->rounds, sizeof(struct round), offsetof(struct round, link));
	for (int kind = 0; kind < SCHED_KINDS; kind++) {
		if ((r = slab_alloc(&s->rounds)) == NIL)
			return -1;
		round_at(s, r)->parent = round_at(s, r)->head = NIL;
	}
	return hindex_init(&s->by_round, round_hash, round_hash_next, s);
}

void
round_clear(struct sched *s)
{
	for (uint32_t r = 0; r < s->rounds.used; r++)
		free(round_at(s, r)->name);
	slab_clear(&s->rounds);
	hindex_clear(&s->by_round);
}

static int
is_local(const struct round *round)
{
	return round->parent != NIL;
}

/* The round of that name in another, or NIL when out of memory. */
static uint32_t
get_named(struct sched *s, uint32_t parent, const char *name)
{
	uint32_t r, hash = sched_mix_string(s, name, parent);
	struct round *round;

	for (r = hindex_chain(&s->by_round, hash); r != NIL;
	     r = round->hash_next) {
		round = round_at(s, r);
		if (round->hash == hash && round->parent == parent &&
		    strcmp(round->name, name) == 0)
			return r;
	}
	if ((r = slab_alloc(&s->rounds)) == NIL)
		return NIL;
	round = round_at(s, r);
	if ((round->name = strdup(name)) == NULL) {
		slab_free(&s->rounds, r);
		return NIL;
	}
	round->hash = hash;
	round->parent = parent;
	round->head = NIL;
	round_at(s, parent)->members++;
	hindex_insert(&s->by_round, r);
	s->stats.memory += strlen(name) + 1;
	return r;
}

/* Frees it, and what it alone was a member of. */
static void
drop_if_empty(struct sched *s, uint32_t r)
{
	struct round *round;
	uint32_t parent;

	while ((round = round_at(s, r))->members == 0 && is_local(round)) {
		parent = round->parent;
		hindex_remove(&s->by_round, r);
		s->stats.memory -= strlen(round->name) + 1;
		free(round->name);
		round->name = NULL;
		slab_free(&s->rounds, r);
		round_at(s, parent)->members--;
		r = parent;
	}
}

uint32_t
round_join(struct sched *s, enum sched_kind kind, const char *action,
    const char *owner)
{
	uint32_t r = kind, a;

	if (kind == SCHED_LOCAL) {
		if ((a = get_named(s, r, action)) == NIL)
			return NIL;
		r = get_named(s, a, owner != NULL ? owner : "");
		if (r == NIL) {
			drop_if_empty(s, a);
			return NIL;
		}
	}
	round_at(s, r)->members++;
	return r;
}

void
round_quit(struct sched *s, uint32_t r)
{
	round_at(s, r)->members--;
	drop_if_empty(s, r);
}

/* How many transactions it may have at once, 0: all. */
static uint32_t
limit(const struct sched *s, const struct round *round)
{
	if (round->parent == SCHED_LOCAL)
		return s->params.max_action;
	return *round->name != '\0' ? s->params.max_owner : 0;
}

static int
has_turn(const struct sched *s, const struct round *round)
{
	uint32_t max = limit(s, round);

	return round->head != NIL && (max == 0 || round->inflight < max);
}

/* Puts it into the round that it is a member of, or takes it out. */
static void
update(struct sched *s, uint32_t r)
{
	struct round *round = round_at(s, r);
	uint32_t *head;
	int turn;

	if (!is_local(round) || (turn = has_turn(s, round)) == round->in_turn)
		return;
	round->in_turn = (uint8_t)turn;
	head = &round_at(s, round->parent)->head;
	if (turn)
		ring_append(&s->rounds, head, r);
	else
		ring_remove(&s->rounds, head, r);
	update(s, round->parent);
}

void
round_update_all(struct sched *s)
{
	for (uint32_t r = SCHED_KINDS; r < s->rounds.used; r++)
		if (round_at(s, r)->name != NULL)
			update(s, r);
}

void
round_enter(struct sched *s, uint32_t d)
{
	uint32_t r = dest_at(s, d)->round;

	ring_append(&s->dests, &round_at(s, r)->head, d);
	update(s, r);
}

void
round_leave(struct sched *s, uint32_t d)
{
	uint32_t r = dest_at(s, d)->round;

	ring_remove(&s->dests, &round_at(s, r)->head, d);
	update(s, r);
}

uint32_t
round_first(const struct sched *s, enum sched_kind kind)
{
	uint32_t first = round_at(s, kind)->head;

	/* an action, and one of its owners */
	for (int i = 0; i < 2 && kind == SCHED_LOCAL && first != NIL; i++)
		first = round_at(s, first)->head;
	return first;
}

void
round_start(struct sched *s, uint32_t d)
{
	struct dest *dest = dest_at(s, d);
	struct round *round = round_at(s, dest->round);
	uint32_t r, *head;

	if (dest->in_turn && round->head == d)
		round->head = dest->link.next;
	for (r = dest->round; r != NIL; r = round->parent) {
		round = round_at(s, r);
		round->inflight++;
		update(s, r);
		if (!round->in_turn)
			continue;
		head = &round_at(s, round->parent)->head;
		if (*head == r)
			*head = round->link.next;
	}
}

void
round_finish(struct sched *s, uint32_t d)
{
	struct round *round;
	uint32_t r;

	for (r = dest_at(s, d)->round; r != NIL; r = round->parent) {
		round = round_at(s, r);
		round->inflight--;
		update(s, r);
	}
}
