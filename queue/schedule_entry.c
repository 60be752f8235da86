/*
 * Entries and messages of the scheduler: where they are found, and the one
 * way in which an entry moves from state to state.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "queue/schedule_local.h"

/* Where an entry goes when no lane could be allocated for it; seconds. */
#define SHORT_OF_MEMORY 60
#define ROOM_MIN 4

uint32_t
message_find(const struct sched *s, uint32_t msgid)
{
	const struct message *message;
	uint32_t m;

	m = hindex_chain(&s->by_msgid, sched_mix(s, msgid, 0, 0));
	for (; m != NIL; m = message->hash_next) {
		message = message_at(s, m);
		if (message->msgid == msgid)
			break;
	}
	return m;
}

uint32_t
message_entry(const struct sched *s, uint32_t m, uint32_t rcpt)
{
	const struct message *message = message_at(s, m);

	if (message->room != 0)
		return rcpt < message->room ? message->many[rcpt] : NIL;
	if (message->one != NIL && entry_at(s, message->one)->rcpt == rcpt)
		return message->one;
	return NIL;
}

uint32_t
entry_find(const struct sched *s, uint32_t msgid, uint32_t rcpt)
{
	uint32_t m = message_find(s, msgid);

	return m == NIL ? NIL : message_entry(s, m, rcpt);
}

uint32_t
message_get(struct sched *s, const struct sched_add *add)
{
	struct message *message;
	uint32_t m = message_find(s, add->msgid);

	if (m != NIL)
		return m;
	m = slab_alloc(&s->messages);
	if (m == NIL)
		return NIL;
	message = message_at(s, m);
	message->msgid = add->msgid;
	message->sender = add->sender_key;
	message->size = add->size < UINT32_MAX ? add->size : UINT32_MAX;
	message->one = NIL;
	hindex_insert(&s->by_msgid, m);
	s->stats.messages++;
	return m;
}

void
message_drop_if_empty(struct sched *s, uint32_t m)
{
	struct message *message = message_at(s, m);

	if (message->entries > 0)
		return;
	hindex_remove(&s->by_msgid, m);
	if (message->room != 0)
		free(message->many);
	slab_free(&s->messages, m);
	s->stats.messages--;
}

/* Room for one more recipient of this index; -1 when out of memory. */
static int
message_make_room(struct sched *s, struct message *message, uint32_t rcpt)
{
	uint32_t room = message->room, *many;

	if (message->room == 0 && message->one == NIL)
		return 0;
	if (room == 0 && entry_at(s, message->one)->rcpt > rcpt)
		room = entry_at(s, message->one)->rcpt;
	else if (rcpt > room)
		room = rcpt;
	if (message->room != 0 && rcpt < message->room)
		return 0;
	room = room + 1 < message->room + message->room / 2
	    ? message->room + message->room / 2
	    : room + 1;
	if (room < ROOM_MIN)
		room = ROOM_MIN;
	many = reallocarray(
	    message->room == 0 ? NULL : message->many, room, sizeof(*many));
	if (many == NULL)
		return -1;
	memset(
	    many + message->room, 0xff, (room - message->room) * sizeof(*many));
	if (message->room == 0)
		many[entry_at(s, message->one)->rcpt] = message->one;
	s->stats.memory += (room - message->room) * sizeof(*many);
	message->many = many;
	message->room = room;
	return 0;
}

uint32_t
entry_new(struct sched *s, uint32_t m, uint32_t d, uint32_t rcpt)
{
	struct message *message = message_at(s, m);
	struct entry *entry;
	uint32_t e;

	if (message_make_room(s, message, rcpt) == -1 ||
	    heap_reserve(&s->timers, s->entries.count + 1) == -1)
		return NIL;
	e = slab_alloc(&s->entries);
	if (e == NIL)
		return NIL;
	entry = entry_at(s, e);
	entry->message = m;
	entry->dest = d;
	entry->rcpt = rcpt;
	entry->state = SCHED_INCOMING;
	if (message->room == 0)
		message->one = e;
	else
		message->many[rcpt] = e;
	message->entries++;
	dest_at(s, d)->entries++;
	s->stats.entries++;
	s->stats.states[SCHED_INCOMING]++;
	s->stats.kinds[dest_at(s, d)->kind]++;
	return e;
}

void
entry_owe(struct sched *s, uint32_t e, int64_t now)
{
	struct entry *entry = entry_at(s, e);

	if (entry_is_over(entry, now))
		entry->flags |= ENTRY_OWED;
	/* its destination may have been excused while this was held */
	if (entry->flags & ENTRY_OWED)
		dest_at(s, entry->dest)->owed = 1;
}

void
entry_set_timer(struct sched *s, uint32_t e)
{
	struct entry *entry = entry_at(s, e);
	uint32_t t = UINT32_MAX;

	if (entry->state == SCHED_WAITING)
		t = entry->next;
	if (entry->expiry != 0 && entry->expiry < t &&
	    !(entry->flags & ENTRY_OWED))
		t = entry->expiry;
	if (entry->warn != 0 && entry->warn < t)
		t = entry->warn;
	if (t == UINT32_MAX)
		heap_remove(&s->timers, e);
	else
		heap_set(&s->timers, e, t);
}

/* Out of the ring and the heap of its present state. */
static void
entry_leave(struct sched *s, uint32_t e)
{
	struct entry *entry = entry_at(s, e);
	struct dest *d = dest_at(s, entry->dest);

	switch (entry->state) {
	case SCHED_READY:
		lane_remove(s, e);
		heap_remove(&s->timers, e);
		d->ready--;
		dest_update(s, entry->dest);
		break;
	case SCHED_WAITING:
		ring_remove(&s->entries, &d->waiting, e);
		heap_remove(&s->timers, e);
		d->nwaiting--;
		break;
	case SCHED_INFLIGHT:
		ring_remove(
		    &s->entries, &batch_at(s, entry->where)->entries, e);
		entry->where = 0;
		break;
	}
	s->stats.states[entry->state]--;
}

/* What may follow a state. One more way out is entry_remove, from any state
 * but in flight. doc/architecture.md explains it. */
#define TO(state) (1u << SCHED_##state)
static const uint8_t may_follow[] = {
	[SCHED_INCOMING] = TO(READY) | TO(WAITING) | TO(HELD),
	[SCHED_READY] = TO(INFLIGHT) | TO(WAITING) | TO(HELD) | TO(DONE),
	[SCHED_INFLIGHT] = TO(READY) | TO(WAITING) | TO(HELD) | TO(DONE),
	[SCHED_WAITING] = TO(READY) | TO(WAITING) | TO(HELD) | TO(DONE),
	[SCHED_HELD] = TO(READY) | TO(WAITING),
	[SCHED_DONE] = TO(WAITING),
};

static void
check_move(const struct entry *entry, enum sched_state state)
{
#ifdef RELAIS_TEST_HOOKS
	if (!(may_follow[entry->state] & 1u << state))
		abort();
#else
	(void)may_follow;
#endif
}

void
entry_move(struct sched *s, uint32_t e, enum sched_state state, int64_t now)
{
	struct entry *entry = entry_at(s, e);
	struct dest *d = dest_at(s, entry->dest);

	check_move(entry, state);
	entry_leave(s, e);
	if (state == SCHED_READY && lane_append(s, e) == -1) {
		entry->next = time_in(now + SHORT_OF_MEMORY);
		state = SCHED_WAITING;
	}
	entry->state = state;
	s->stats.states[state]++;
	if (state == SCHED_READY) {
		d->ready++;
		entry_set_timer(s, e);
		dest_update(s, entry->dest);
	} else if (state == SCHED_WAITING) {
		ring_append(&s->entries, &d->waiting, e);
		d->nwaiting++;
		entry_set_timer(s, e);
	}
}

void
entry_admit(struct sched *s, uint32_t e, int64_t now)
{
	struct entry *entry = entry_at(s, e);
	enum sched_state state = SCHED_READY;

	if (entry->flags & ENTRY_HOLD)
		state = SCHED_HELD;
	else if (entry->next > now)
		state = SCHED_WAITING;
	else
		entry->next = 0;
	entry->flags = 0;
	entry_owe(s, e, now);
	entry_move(s, e, state, now);
}

void
entry_start(struct sched *s, uint32_t e, uint32_t b)
{
	struct entry *entry = entry_at(s, e);

	check_move(entry, SCHED_INFLIGHT);
	entry_leave(s, e);
	entry->state = SCHED_INFLIGHT;
	entry->where = b;
	ring_append(&s->entries, &batch_at(s, b)->entries, e);
	s->stats.states[SCHED_INFLIGHT]++;
}

void
entry_remove(struct sched *s, uint32_t e)
{
	struct entry *entry = entry_at(s, e);
	uint32_t m = entry->message, d = entry->dest;
	struct message *message = message_at(s, m);

	entry_leave(s, e);
	if (message->room == 0)
		message->one = NIL;
	else
		message->many[entry->rcpt] = NIL;
	entry->state = ENTRY_FREE;
	slab_free(&s->entries, e);
	message->entries--;
	dest_at(s, d)->entries--;
	s->stats.entries--;
	s->stats.kinds[dest_at(s, d)->kind]--;
	if (message->entries == 0 && message->room != 0)
		s->stats.memory -= message->room * sizeof(uint32_t);
	message_drop_if_empty(s, m);
	dest_drop_if_empty(s, d);
}

uint32_t
message_each(struct sched *s, uint32_t msgid, uint32_t rcpt,
    uint32_t (*on)(struct sched *, uint32_t, int64_t), int64_t now)
{
	const struct message *message;
	uint32_t m = message_find(s, msgid), e, i, left, sum = 0;

	if (m == NIL)
		return 0;
	message = message_at(s, m);
	if (rcpt != SCHED_ALL || message->room == 0) {
		e = rcpt == SCHED_ALL ? message->one
				      : message_entry(s, m, rcpt);
		return e == NIL ? 0 : on(s, e, now);
	}
	/* `on` may remove an entry, and with the last one the message. */
	left = message->entries;
	for (i = 0; left > 0; i++) {
		e = message->many[i];
		if (e == NIL)
			continue;
		left--;
		sum += on(s, e, now);
	}
	return sum;
}
