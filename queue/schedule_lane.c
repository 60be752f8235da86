/*
 * Lanes: the ready entries of one sender at one destination, in the order in
 * which they became ready. The lanes of a destination take turns, so a sender
 * with many messages does not delay another's one. The recipients of a
 * message became ready together and stand together: a transaction takes a
 * run of them.
 */
#include "queue/schedule_local.h"

static uint32_t
lane_key(const struct sched *s, uint32_t dest, uint32_t sender, uint32_t rank)
{
	return sched_mix(s, dest, sender, rank);
}

static uint32_t
lane_hash(void *arg, uint32_t l)
{
	struct lane *lane = lane_at(arg, l);

	return lane_key(arg, lane->dest, lane->sender, lane->rank);
}

static uint32_t *
lane_next(void *arg, uint32_t l)
{
	return &lane_at(arg, l)->hash_next;
}

int
lane_init(struct sched *s)
{
	slab_init(&s->lanes, sizeof(struct lane), offsetof(struct lane, link));
	return hindex_init(&s->by_lane, lane_hash, lane_next, s);
}

static uint32_t
lane_find(const struct sched *s, uint32_t dest, uint32_t sender, uint32_t rank)
{
	const struct lane *lane;
	uint32_t l;

	l = hindex_chain(&s->by_lane, lane_key(s, dest, sender, rank));
	for (; l != NIL; l = lane->hash_next) {
		lane = lane_at(s, l);
		if (lane->dest == dest && lane->sender == sender &&
		    lane->rank == rank)
			break;
	}
	return l;
}

/* It stays while the entry is READY. */
static uint8_t
rank_of(const struct entry *entry)
{
	return entry->breaks > 0 ? RANK_BROKEN : entry->priority;
}

int
lane_append(struct sched *s, uint32_t e)
{
	struct entry *entry = entry_at(s, e);
	uint32_t sender = message_at(s, entry->message)->sender, l;
	uint8_t rank = rank_of(entry);
	struct lane *lane;

	l = lane_find(s, entry->dest, sender, rank);
	if (l == NIL) {
		l = slab_alloc(&s->lanes);
		if (l == NIL)
			return -1;
		lane = lane_at(s, l);
		lane->dest = entry->dest;
		lane->sender = sender;
		lane->rank = rank;
		lane->head = NIL;
		hindex_insert(&s->by_lane, l);
		ring_append(
		    &s->lanes, &dest_at(s, entry->dest)->lanes[rank], l);
	}
	ring_append(&s->entries, &lane_at(s, l)->head, e);
	return 0;
}

void
lane_remove(struct sched *s, uint32_t e)
{
	struct entry *entry = entry_at(s, e);
	struct lane *lane;
	uint32_t l;

	l = lane_find(s, entry->dest, message_at(s, entry->message)->sender,
	    rank_of(entry));
	lane = lane_at(s, l);
	ring_remove(&s->entries, &lane->head, e);
	if (lane->head != NIL)
		return;
	ring_remove(&s->lanes, &dest_at(s, entry->dest)->lanes[lane->rank], l);
	hindex_remove(&s->by_lane, l);
	slab_free(&s->lanes, l);
}

/*
 * High priority goes first, but each fourth turn begins at normal, and of each
 * sixteen one at low and one at what broke sessions, so that nothing starves.
 * A probe is to tell whether the destination takes mail: of what broke sessions
 * only if there is nothing else.
 */
uint32_t
lane_pick(struct sched *s, uint32_t dest)
{
	struct dest *d = dest_at(s, dest);
	int first = SCHED_HIGH, i;

	d->turns++;
	if (d->turns % 16 == 0)
		first = SCHED_LOW;
	else if (d->turns % 16 == 9 && d->state == DEST_OPEN)
		first = RANK_BROKEN;
	else if (d->turns % 4 == 0)
		first = SCHED_NORMAL;
	if (d->lanes[first] != NIL)
		return d->lanes[first];
	for (i = 0; i < RANKS - 1; i++)
		if (d->lanes[i] != NIL)
			break;
	return d->lanes[i];
}

void
lane_rotate(struct sched *s, uint32_t l)
{
	struct lane *lane = lane_at(s, l);
	struct dest *d = dest_at(s, lane->dest);

	if (d->lanes[lane->rank] == l)
		d->lanes[lane->rank] = lane->link.next;
}
