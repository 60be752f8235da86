/*
 * Rounds: those whose turn comes, one after the other. What is relayed has one
 * round of destinations, and so has what is expanded. Local delivery has a
 * round of actions, each of which has one of its destinations, since a server
 * or a command that hangs is no destination there but stands behind those of
 * many users: an action that has its part of the transactions is left out
 * until one of them ends.
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
	hindex_insert(&s->by_round, r);
	s->stats.memory += strlen(name) + 1;
	return r;
}

uint32_t
round_join(struct sched *s, enum sched_kind kind, const char *action)
{
	uint32_t r = kind;

	if (kind == SCHED_LOCAL && (r = get_named(s, r, action)) == NIL)
		return NIL;
	round_at(s, r)->members++;
	return r;
}

void
round_quit(struct sched *s, uint32_t r)
{
	struct round *round = round_at(s, r);

	if (--round->members > 0 || round->parent == NIL)
		return;
	hindex_remove(&s->by_round, r);
	s->stats.memory -= strlen(round->name) + 1;
	free(round->name);
	round->name = NULL;
	slab_free(&s->rounds, r);
}

static int
has_turn(const struct sched *s, const struct round *round)
{
	return round->head != NIL &&
	    (s->params.max_action == 0 ||
		round->inflight < s->params.max_action);
}

/* Puts it into the round that it is a member of, or takes it out. */
static void
update(struct sched *s, uint32_t r)
{
	struct round *round = round_at(s, r);
	uint32_t *head;
	int turn = has_turn(s, round);

	if (round->parent == NIL || turn == round->in_turn)
		return;
	round->in_turn = (uint8_t)turn;
	head = &round_at(s, round->parent)->head;
	if (turn)
		ring_append(&s->rounds, head, r);
	else
		ring_remove(&s->rounds, head, r);
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

	if (kind == SCHED_LOCAL && first != NIL)
		first = round_at(s, first)->head;
	return first;
}

void
round_start(struct sched *s, uint32_t d)
{
	struct dest *dest = dest_at(s, d);
	uint32_t r = dest->round;
	struct round *round = round_at(s, r), *parent;

	round->inflight++;
	if (dest->in_turn && round->head == d)
		round->head = dest->link.next;
	update(s, r);
	if (!round->in_turn)
		return;
	parent = round_at(s, round->parent);
	if (parent->head == r)
		parent->head = round->link.next;
}

void
round_finish(struct sched *s, uint32_t d)
{
	uint32_t r = dest_at(s, d)->round;

	round_at(s, r)->inflight--;
	update(s, r);
}
