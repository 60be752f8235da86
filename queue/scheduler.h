/*
 * The scheduler: which recipient of which message is tried when. It knows
 * ids, times, destinations, priorities and sizes, never contents, and does
 * nothing itself: the queue asks what is due and says what came of it.
 *
 * Pure. Time is an argument everywhere: seconds since 1970, best derived from
 * a clock that does not jump (wall clock at start plus monotonic time since).
 * A step back is harmless.
 *
 * An entry is one recipient of one message, named by (msgid, rcpt). Its life:
 *
 *	INCOMING --commit--> READY <--due-- WAITING
 *	                     | ^ \__________   ^
 *	                next | | route failed\ | temporary failure
 *	                     v |              \|
 *	                   INFLIGHT --result--> DONE --remove--> gone
 *	DONE goes back to WAITING by postpone.
 *	HELD is entered by hold from READY and WAITING, left by release.
 *
 * A destination is what the same sessions can serve: (kind, action, domain).
 * It has a window of transactions under way, which grows by one a window of
 * successes and is halved by a failure of the route. After a failure it is
 * blocked: nothing starts but, at the probe interval, one message, which
 * counts against the destination and not against the messages. When anything
 * gets through, all that waits for it is ready at once.
 *
 * A session that ends over its message may end by the message's fault: it
 * waits for its own next attempt, and comes after the others from then on.
 * Several messages in a row that are none of those block the destination too,
 * but for seconds first. What breaks sessions again does so at its own times
 * only: it blocks nothing, and is not ready because something else got through.
 *
 * An entry whose time is over expires, but nothing expires for want of an
 * attempt that was not its fault: what is paused or held does not, and what is
 * over its time when it is added, released, let go by a pause or given another
 * time is tried once before. A failure of its route is an attempt too.
 *
 * Turns go round over destinations, those of local delivery first over their
 * actions and owners, and inside one over senders, a transaction each. No call
 * costs more than O(log n), but those that are said to walk.
 */
#ifndef QUEUE_SCHEDULER_H
#define QUEUE_SCHEDULER_H

#include <stddef.h>
#include <stdint.h>

#define SCHED_BATCH_MAX 1000 /* recipients of one transaction */
#define SCHED_RCPT_MAX (1 << 20) /* bound of a recipient's index */
#define SCHED_CLASSES 256
#define SCHED_PAUSED_MAX 1000 /* domains */
#define SCHED_ALL UINT32_MAX /* as rcpt: all recipients of the message */

struct sched;

enum sched_kind { SCHED_RELAY, SCHED_LOCAL, SCHED_EXPAND, SCHED_KINDS };

enum sched_state {
	SCHED_INCOMING, /* not durable yet */
	SCHED_READY, /* may start when its destination lets it */
	SCHED_INFLIGHT,
	SCHED_WAITING, /* for its own next attempt */
	SCHED_HELD,
	SCHED_DONE, /* decided, until sched_remove */
	SCHED_STATES
};

enum sched_priority { SCHED_HIGH, SCHED_NORMAL, SCHED_LOW, SCHED_PRIORITIES };

/* How a class of destinations is treated; seconds. 0 takes the default. */
struct sched_class {
	uint32_t retry_floor; /* first retry of a recipient: 400 */
	uint32_t retry_ceiling; /* 4 h */
	/* of a blocked route: 60 and 1800, or the retry ceiling if that is
	 * less; backup: both 5 */
	uint32_t probe_floor;
	uint32_t probe_ceiling;
	uint32_t window_start; /* transactions at once at first: 5 */
	uint32_t window_max; /* 100 */
	uint32_t batch_max; /* recipients of a transaction: 100 */
};

struct sched_params {
	uint64_t seed; /* of jitter and hashes */
	uint32_t max_inflight[SCHED_KINDS]; /* transactions; 0: 1000 */
	uint32_t max_action; /* local ones of one action; 0: all */
	uint32_t max_owner; /* of one owner in it; 0: all */
};

/* NULL when out of memory. Copies params. */
struct sched *sched_new(const struct sched_params *);
void sched_free(struct sched *);
/* Limits may change at any time (reload). */
void sched_set_params(struct sched *, const struct sched_params *);
/* Class 0 exists from the start, with the defaults. */
void sched_set_class(struct sched *, uint8_t class, const struct sched_class *);
/* Class and window_max of a destination that is there, as sched_add has them:
 * for mail that came before them. */
void sched_set_dest(
    struct sched *, uint32_t dest, uint8_t class, uint32_t window_max);

/* Fairness between senders needs no address, only this. */
uint32_t sched_sender_key(const struct sched *, const char *sender);

enum sched_add_flag {
	SCHED_ADD_INCOMING = 1 << 0, /* sched_commit will follow */
	SCHED_ADD_HELD = 1 << 1
};

struct sched_add {
	uint32_t msgid;
	uint32_t rcpt; /* under SCHED_RCPT_MAX */
	enum sched_kind kind;
	enum sched_priority priority;
	const char *action; /* copied once a destination */
	const char *domain; /* or user, or "" */
	/* of a local destination that is not his only one; NULL: it is bounded
	 * by its own window. The first add to a destination counts. */
	const char *owner;
	uint8_t class;
	unsigned flags; /* enum sched_add_flag */
	uint32_t sender_key; /* of the message: the first add counts */
	uint64_t size; /* likewise */
	uint32_t attempts; /* those that failed so far */
	/* next attempt; 0, past, or beyond twice the ceiling: now */
	int64_t next;
	int64_t expiry; /* 0: never */
	int64_t warn; /* delay warning due, 0: none */
	/* transactions at once of the destination; 0: as its class says */
	uint32_t window_max;
};
/* 0, or -1 and errno: EEXIST, EINVAL, ENOMEM; then nothing has changed. */
int sched_add(struct sched *, const struct sched_add *, int64_t now);
/* The message is durable: its INCOMING entries may start. */
void sched_commit(struct sched *, uint32_t msgid, int64_t now);

enum sched_what {
	SCHED_NOTHING, /* until sched_deadline or another call */
	SCHED_START, /* deliver job->rcpts of job->msgid */
	SCHED_EXPIRED, /* rcpts have run out of time: now DONE */
	SCHED_WARN /* rcpts are late; asked once */
};

struct sched_job {
	uint64_t id; /* SCHED_START: names the transaction */
	uint32_t msgid;
	enum sched_kind kind;
	uint8_t class;
	uint8_t probe; /* of a blocked destination */
	uint32_t dest; /* see sched_dest_info */
	const char *action; /* valid while the job runs */
	const char *domain;
	uint32_t nrcpts;
	uint32_t rcpts[SCHED_BATCH_MAX];
};
/* What to do next. Call until SCHED_NOTHING, or as often as a turn allows. */
enum sched_what sched_next(struct sched *, int64_t now, struct sched_job *);

/* What came of one recipient. */
enum sched_outcome {
	SCHED_DELIVERED, /* or expanded */
	SCHED_REFUSED, /* permanent failure */
	SCHED_TEMPFAIL, /* of the recipient or the message */
	SCHED_NOT_TRIED /* the route failed, or the session ended over it */
};
/* What the transaction taught about the route. */
enum sched_route {
	SCHED_ROUTE_OK, /* it worked, whatever it said to the mail */
	SCHED_ROUTE_SLOW, /* alive but wants less: 421, 4xx greeting */
	SCHED_ROUTE_FAILED, /* no connection, no DNS, broken off */
	SCHED_ROUTE_UNKNOWN, /* nothing: our own worker went away */
	/* it was reached, and the session ended over this message: by 421, or
	 * it broke */
	SCHED_ROUTE_BROKEN,
	SCHED_ROUTES
};

struct sched_verdict {
	enum sched_state state; /* SCHED_DONE: finish it, then sched_remove */
	uint8_t expired; /* DONE because its time was over */
	uint8_t removed; /* DONE because sched_remove had been asked */
	uint32_t attempts; /* to record, with next */
	int64_t next;
};
/*
 * One recipient of a running transaction. With SCHED_NOT_TRIED it stays in
 * flight until sched_finish tells about the route; verdict then has state
 * SCHED_INFLIGHT. -1 and errno ENOENT when the entry is not in flight.
 */
int sched_result(struct sched *, uint32_t msgid, uint32_t rcpt,
    enum sched_outcome, int64_t now, struct sched_verdict *);
/*
 * The transaction is over. Entries without result go back to READY, but with
 * SCHED_ROUTE_BROKEN they wait as for SCHED_TEMPFAIL, and for a moment where
 * there was no result at all and no fault of the route. verdicts, when not
 * NULL, gets one for each of them, rcpts its indices, both with room for
 * SCHED_BATCH_MAX; returns their number, or -1 and errno ENOENT for an id that
 * is not running. Walks the destination if it fails, and entries of it are
 * over their time.
 */
int sched_finish(struct sched *, uint64_t id, enum sched_route, int64_t now,
    struct sched_verdict *verdicts, uint32_t *rcpts);

/*
 * What DONE says could not be carried out, as when the disk does not let the
 * message be read: the entry waits for its next attempt, and no less if its
 * time is over. 1, or 0 if it is not DONE.
 */
uint32_t sched_postpone(
    struct sched *, uint32_t msgid, uint32_t rcpt, int64_t now);

/*
 * Control. rcpt may be SCHED_ALL. They return how many entries they changed.
 * An entry in flight is held, or removed, when its transaction ends without
 * having delivered it; sched_remove does not count it.
 */
uint32_t sched_hold(struct sched *, uint32_t msgid, uint32_t rcpt);
uint32_t sched_release(
    struct sched *, uint32_t msgid, uint32_t rcpt, int64_t now);
uint32_t sched_remove(struct sched *, uint32_t msgid, uint32_t rcpt);
/* Other times of one that is not DONE, as sched_add takes them. */
void sched_set_times(struct sched *, uint32_t msgid, uint32_t rcpt,
    int64_t expiry, int64_t warn, int64_t now);
/* Ready now; the destination is probed now if it is blocked. */
uint32_t sched_schedule(
    struct sched *, uint32_t msgid, uint32_t rcpt, int64_t now);
/* The same for everything, a step of `limit` looks after the other: *cursor is
 * 0 at first, *changed grows by the entries that changed. 1 while there is
 * more. What comes between two steps may be left out. */
int sched_flush(struct sched *, uint64_t *cursor, uint32_t limit,
    uint32_t *changed, int64_t now);
/* The same at once for what is relayed to a domain. How many entries changed.
 * Walks the destinations. */
uint32_t sched_flush_domain(
    struct sched *, const char *domain, int subdomains, int64_t now);
/* What is known of blocked destinations counts no longer, where `wanted` says
 * so of their action: each is probed now, as if it had failed never. How many.
 * Walks the destinations. */
uint32_t sched_retry(
    struct sched *, int (*wanted)(void *, const char *action), void *arg);
void sched_pause_kind(struct sched *, enum sched_kind, int paused);
int sched_kind_paused(const struct sched *, enum sched_kind);
/* What is relayed to a domain, whether any of it is queued now or comes later,
 * until it is said otherwise. How many entries are concerned now; -1 without
 * memory or with SCHED_PAUSED_MAX others. Walks the destinations. */
int64_t sched_pause_domain(struct sched *, const char *domain, int paused);
int sched_domain_paused(const struct sched *, const char *domain);
/* The nth paused domain; NULL behind the last. */
const char *sched_paused_domain(const struct sched *, size_t n);

/* When sched_next has something again if nothing else happens: seconds, now
 * at the earliest, -1 for never. */
int64_t sched_deadline(const struct sched *, int64_t now);

/* Whether relaying has all of its places taken, and a destination that has none
 * could start. */
int sched_lacks_place(const struct sched *);

/* One entry as control shows it. */
struct sched_info {
	uint32_t msgid;
	uint32_t rcpt;
	enum sched_kind kind;
	enum sched_state state;
	enum sched_priority priority;
	uint8_t blocked; /* READY, but its destination is not reached */
	uint8_t paused; /* READY, but kind or destination is paused */
	uint8_t removing; /* INFLIGHT, and sched_remove was asked */
	uint8_t holding; /* likewise sched_hold */
	uint32_t attempts;
	uint32_t dest;
	uint8_t class;
	uint64_t size;
	int64_t next; /* WAITING: own; blocked: the next probe */
	int64_t expiry;
	const char *action; /* valid until the next call that changes */
	const char *domain;
};
/* 1, or 0 when it is not scheduled. */
int sched_lookup(
    const struct sched *, uint32_t msgid, uint32_t rcpt, struct sched_info *);

struct sched_filter {
	const char *domain; /* NULL: any */
	const char *action;
	uint32_t states; /* bits 1 << enum sched_state, 0: any */
	uint32_t kinds; /* likewise */
	uint32_t msgid; /* 0: any */
};
/*
 * Pages through the entries that match: *cursor is 0 at first, fills up to n
 * rows, returns their number, 0 at the end. Entries that come and go between
 * calls may be seen or not; the others are seen once.
 */
size_t sched_list(const struct sched *, const struct sched_filter *,
    uint64_t *cursor, struct sched_info *rows, size_t n);

struct sched_dest_info {
	enum sched_kind kind;
	const char *action;
	const char *domain;
	uint8_t class;
	uint8_t blocked;
	uint8_t probing;
	uint8_t paused;
	uint32_t entries;
	uint32_t ready;
	uint32_t inflight; /* transactions */
	uint32_t window;
	uint32_t failures; /* of the route in a row */
	int64_t probe_at; /* when blocked */
};
int sched_dest_info(
    const struct sched *, uint32_t dest, struct sched_dest_info *);
/* Pages like sched_list, one destination a call: 1, or 0 at the end. */
int sched_list_dests(
    const struct sched *, uint64_t *cursor, struct sched_dest_info *);

struct sched_stats {
	uint32_t messages;
	uint32_t entries;
	uint32_t states[SCHED_STATES];
	uint32_t kinds[SCHED_KINDS];
	uint32_t inflight[SCHED_KINDS]; /* transactions */
	uint32_t dests;
	uint32_t dests_blocked;
	uint64_t started; /* transactions since the start */
	uint64_t delivered; /* entries */
	uint64_t refused;
	uint64_t tempfail;
	uint64_t expired;
	uint64_t route_failures;
	size_t memory; /* octets held */
};
void sched_stats(const struct sched *, struct sched_stats *);

#endif
