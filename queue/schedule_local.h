/*
 * The inside of the scheduler, shared by its files only: entries, messages,
 * lanes and destinations, and the moves between them.
 *
 *	scheduler.c		what the queue calls: add, next, result, finish
 *	schedule_control.c	what the operator calls, and what is shown
 *	schedule_entry.c	entries and messages, and where an entry stands
 *	schedule_lane.c		one sender's entries at one destination
 *	schedule_round.c	turns of destinations, owners and actions
 *	destination.c		windows, blocking and probing
 *
 * A READY entry stands in a lane, a WAITING one in its destination's ring, an
 * INFLIGHT one in its batch's; the others in no ring. READY and WAITING
 * entries that have something to wait for are in the heap of timers.
 */
#ifndef QUEUE_SCHEDULE_LOCAL_H
#define QUEUE_SCHEDULE_LOCAL_H

#include "queue/schedule_heap.h"
#include "queue/schedule_index.h"
#include "queue/scheduler.h"
#include "queue/slab.h"

/* The state that a free item of the slab has. */
#define ENTRY_FREE SCHED_STATES
#define WINDOW_ONE 256 /* windows count in 256ths */

enum entry_flag {
	ENTRY_HOLD = 1 << 0, /* when it comes back from a transaction */
	ENTRY_REMOVE = 1 << 1,
	ENTRY_OWED = 1 << 2 /* its time is over, but not before an attempt */
};

/* How often a session has ended over an entry, counted up to: */
#define BREAKS_AGAIN 2

/* 40 octets; there may be millions. Times are seconds, 0 is none. */
struct entry {
	uint32_t message;
	uint32_t dest;
	uint32_t rcpt;
	uint32_t next; /* WAITING: the next attempt */
	uint32_t expiry;
	uint32_t warn;
	struct ring_link link;
	uint32_t where; /* in the heap; INFLIGHT: the batch */
	uint16_t attempts;
	uint8_t state;
	uint8_t flags : 4; /* enum entry_flag */
	uint8_t priority : 2;
	uint8_t breaks : 2; /* up to BREAKS_AGAIN */
};

/* 32 octets. One recipient is most common and costs no array. */
struct message {
	uint32_t msgid;
	uint32_t sender;
	uint32_t size; /* octets, UINT32_MAX: that or more */
	uint32_t hash_next;
	uint32_t entries;
	uint32_t room; /* 0: `one` holds the only entry */
	union {
		uint32_t one;
		uint32_t *many; /* by rcpt, NIL where there is none */
	};
};

/* The ranks of lanes: the priorities, and behind them one of entries over which
 * a session has ended. */
#define RANK_BROKEN SCHED_PRIORITIES
#define RANKS (RANK_BROKEN + 1)

struct lane {
	struct ring_link link;
	uint32_t dest;
	uint32_t sender;
	uint32_t head; /* ring of entries */
	uint32_t hash_next;
	uint8_t rank;
};

enum dest_state {
	DEST_OPEN,
	DEST_BLOCKED, /* until probe_at */
	DEST_PROBE, /* one may start */
	DEST_PROBING /* and is under way */
};

struct dest {
	struct ring_link link; /* among those whose turn comes */
	uint32_t round; /* in which that is */
	char *action; /* NULL: free item */
	char *domain; /* behind it in the same block */
	uint32_t hash;
	uint32_t hash_next;
	uint32_t where; /* in the heap of probes */
	uint32_t lanes[RANKS];
	uint32_t waiting; /* ring of entries */
	uint32_t nwaiting;
	uint32_t entries;
	uint32_t ready;
	uint32_t inflight;
	uint32_t window; /* in WINDOW_ONE */
	uint32_t window_max; /* transactions, 0: that of the class */
	uint32_t failures; /* in a row, without any answer to mail */
	uint32_t steps; /* of these, what the next interval grows by */
	uint32_t breaks; /* of sessions, since the last success */
	uint32_t credit; /* successes that may yet widen the window */
	uint32_t probe_at;
	uint32_t turns;
	uint32_t probe; /* PROBING: the batch */
	uint8_t kind;
	uint8_t class;
	uint8_t state;
	uint8_t paused;
	uint8_t in_turn;
	uint8_t owed; /* some READY or WAITING entry may be ENTRY_OWED */
	uint8_t early; /* PROBE, PROBING: asked for, ahead of probe_at */
};

/* See schedule_round.c. */
struct round {
	struct ring_link link; /* among those of the parent whose turn comes */
	char *name; /* NULL: free item, or that of a kind */
	uint32_t hash;
	uint32_t hash_next;
	uint32_t parent; /* NIL: that of a kind */
	uint32_t head; /* ring of destinations or rounds whose turn comes */
	uint32_t members; /* those whose turn does not come, too */
	uint32_t inflight; /* transactions */
	uint8_t in_turn;
};

struct batch {
	uint32_t dest; /* a free item's first octets are not its own */
	uint32_t seq; /* 0: free item */
	uint32_t entries; /* ring of those without result */
	uint8_t progress; /* some recipient got a result */
	struct ring_link link; /* unused, slabs want one */
};

struct sched {
	struct sched_params params;
	struct sched_class classes[SCHED_CLASSES];
	struct slab entries;
	struct slab messages;
	struct slab lanes;
	struct slab dests;
	struct slab batches;
	struct slab rounds;
	struct hindex by_msgid;
	struct hindex by_lane;
	struct hindex by_dest;
	struct hindex by_round;
	struct heap timers; /* entries */
	struct heap probes; /* destinations */
	uint32_t next_kind;
	uint32_t next_seq;
	uint8_t paused[SCHED_KINDS];
	char *paused_domains[SCHED_PAUSED_MAX];
	size_t npaused;
	struct sched_stats stats;
};

static inline struct entry *
entry_at(const struct sched *s, uint32_t e)
{
	return slab_get(&s->entries, e);
}

static inline struct message *
message_at(const struct sched *s, uint32_t m)
{
	return slab_get(&s->messages, m);
}

static inline struct dest *
dest_at(const struct sched *s, uint32_t d)
{
	return slab_get(&s->dests, d);
}

static inline struct lane *
lane_at(const struct sched *s, uint32_t l)
{
	return slab_get(&s->lanes, l);
}

static inline struct batch *
batch_at(const struct sched *s, uint32_t b)
{
	return slab_get(&s->batches, b);
}

/* Seconds as entries hold them. */
static inline uint32_t
time_in(int64_t t)
{
	return t <= 0 ? 0 : t >= UINT32_MAX ? UINT32_MAX - 1 : (uint32_t)t;
}

/* It is to expire. */
static inline int
entry_is_over(const struct entry *entry, int64_t now)
{
	return entry->expiry != 0 && entry->expiry <= now &&
	    !(entry->flags & ENTRY_OWED);
}

/* A hash of up to three numbers under the scheduler's seed. */
uint32_t sched_mix(const struct sched *, uint32_t, uint32_t, uint32_t);

/* The same of a string and a number. */
uint32_t sched_mix_string(const struct sched *, const char *, uint32_t);

/* schedule_entry.c */
uint32_t message_find(const struct sched *, uint32_t msgid);
/* NIL if there is none. */
uint32_t message_entry(const struct sched *, uint32_t message, uint32_t rcpt);
uint32_t entry_find(const struct sched *, uint32_t msgid, uint32_t rcpt);
/* Finds or makes; NIL when out of memory. */
uint32_t message_get(struct sched *, const struct sched_add *);
void message_drop_if_empty(struct sched *, uint32_t message);
/* A fresh INCOMING entry, or NIL when out of memory. */
uint32_t entry_new(
    struct sched *, uint32_t message, uint32_t dest, uint32_t rcpt);
void entry_remove(struct sched *, uint32_t e);
/* INCOMING no more: to where its flags and its time put it. */
void entry_admit(struct sched *, uint32_t e, int64_t now);
/* Moves to a state other than INFLIGHT, from any. WAITING takes the time from
 * entry.next; READY ends in WAITING when memory is short. */
void entry_move(struct sched *, uint32_t e, enum sched_state, int64_t now);
/* Moves a READY entry into a batch. */
void entry_start(struct sched *, uint32_t e, uint32_t batch);
/* From now on an entry whose time is over is owed an attempt. The caller moves
 * it, or sets its timer. */
void entry_owe(struct sched *, uint32_t e, int64_t now);
/* What the entry waits for has changed: sets its timer. */
void entry_set_timer(struct sched *, uint32_t e);
/* Calls on for one recipient or, with SCHED_ALL, for each; sums up. */
uint32_t message_each(struct sched *, uint32_t msgid, uint32_t rcpt,
    uint32_t (*on)(struct sched *, uint32_t e, int64_t now), int64_t now);

/* schedule_lane.c */
int lane_init(struct sched *);
/* -1 when out of memory. */
int lane_append(struct sched *, uint32_t e);
void lane_remove(struct sched *, uint32_t e);
/* The lane of a destination whose turn it is; the destination has one. */
uint32_t lane_pick(struct sched *, uint32_t dest);
/* This lane had its turn. */
void lane_rotate(struct sched *, uint32_t lane);

/* schedule_round.c */
int round_init(struct sched *);
void round_clear(struct sched *);
/* The round of a destination that is to be, which counts it from now on; NIL
 * when out of memory. */
uint32_t round_join(
    struct sched *, enum sched_kind, const char *action, const char *owner);
/* One of the round's destinations is no more. */
void round_quit(struct sched *, uint32_t round);
/* The limits have changed. Walks the rounds. */
void round_update_all(struct sched *);
/* The turn of a destination comes, or comes no more. */
void round_enter(struct sched *, uint32_t dest);
void round_leave(struct sched *, uint32_t dest);
/* The destination whose turn it is, NIL if it is nobody's. */
uint32_t round_first(const struct sched *, enum sched_kind);
/* It had its turn: a transaction has started. */
void round_start(struct sched *, uint32_t dest);
void round_finish(struct sched *, uint32_t dest);

/* destination.c */
int dest_init(struct sched *);
uint32_t dest_get(struct sched *, enum sched_kind, uint8_t class,
    const char *action, const char *domain, const char *owner);
/* How many transactions it may have at once; 0: as its class says. */
void dest_limit(struct sched *, uint32_t dest, uint32_t window_max);
/* Puts the destination into the round of turns or takes it out. */
void dest_update(struct sched *, uint32_t dest);
void dest_drop_if_empty(struct sched *, uint32_t dest);
/* A transaction starts; returns 1 if it is the probe. */
int dest_start(struct sched *, uint32_t dest, uint32_t batch);
/* A transaction has ended. blameless: if it is broken, that says nothing new
 * about the route. */
void dest_finish(struct sched *, uint32_t dest, uint32_t batch,
    enum sched_route, int blameless, int64_t now);
/* Probes that are due may start. */
void dest_tick(struct sched *, int64_t now);
/* A blocked destination is probed at once. */
void dest_probe_now(struct sched *, uint32_t dest);
/* The same, and no failure of the past counts. */
void dest_forget_failures(struct sched *, uint32_t dest);
/* What waits here is ready, all of it or without that over which sessions end
 * again and again; how many. */
uint32_t dest_release(struct sched *, uint32_t dest, int all, int64_t now);

#endif
