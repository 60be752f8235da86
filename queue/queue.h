/*
 * The queue process: its one context, and what its files offer each other.
 *
 *	main.c		life of the worker, turns, standing, ids, workers
 *	enlist.c	envelopes into the schedule
 *	dispatch.c	what the scheduler starts: transfers, local deliveries,
 *			expansions; and bodies when they are asked for
 *	result.c	what came of it, for one recipient after another
 *	expanded.c	recipients behind a recipient
 *	report.c	delivery reports as new messages
 *	owed.c		when they are made
 *	trace.c		what of that is told when it is traced
 *	operator.c	what smtpctl changes
 *	etrn.c		what clients may start
 *	known.c		recipients that primaries know, for auth
 *	pauses.c	what is paused, over the end of the process
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <sys/queue.h>
#include <sys/tree.h>

#include <stdint.h>

#include "conf/conf.h"
#include "ipc/worker.h"
#include "mail/dsn.h"
#include "net/loop.h"
#include "queue/batch.h"
#include "queue/guard.h"
#include "queue/ingest.h"
#include "queue/scheduler.h"
#include "smtp/address.h"

struct event;
struct control;
struct etrn;
struct known;
struct owed;

/* Classes of the scheduler; those of relay actions follow. */
enum queue_class {
	CLASS_UNKNOWN,
	CLASS_EXPAND,
	CLASS_LOCAL,
	CLASS_PLACE, /* local, many messages at a time */
	CLASS_RELAY
};

/* A transaction under way, named as the scheduler names it. */
struct job {
	RB_ENTRY(job) entry;
	uint64_t id;
	uint32_t msgid;
	int64_t started; /* loop_now */
	uint64_t session; /* of the message, in the log; 0 if not known */
	enum sched_kind kind;
	enum process_kind peer; /* who has it */
	uint16_t instance;
	int64_t lend_at; /* likewise: when others may have its place */
	int given_up; /* the worker was told so */
	int lacking; /* its action was gone when auth was asked */
	uint32_t nrcpts;
	uint32_t *rcpts;
};
RB_HEAD(job_tree, job);

struct queue {
	struct worker *worker;
	struct conf *conf;
	struct conf *next_conf;
	const char *spool; /* as named inside the sandbox */
	int64_t wall; /* seconds at start, and ... */
	int64_t mono; /* ... milliseconds then */
	struct store *store;
	struct guard *guard;
	enum guard_verdict disk;
	struct bodies *bodies;
	struct idblocks *ids;
	struct batch *batch;
	struct ingest ingest;
	int intake_paused;
	struct sched *sched;
	struct sched_class classes[SCHED_CLASSES]; /* of relay actions */
	struct job_tree jobs;
	uint32_t own_id; /* next of the ids for reports */
	uint32_t own_ids; /* left of them */
	struct owed *owed; /* reports to be made */
	struct control *control;
	int control_fd; /* until there is one, or -1 */
	TAILQ_HEAD(etrns, etrn) etrns; /* that wait for auth */
	unsigned etrn_count;
	struct etrns etrns_started; /* lately, the oldest in front */
	unsigned etrn_started;
	uint64_t etrn_last;
	struct known *known; /* NULL: cannot be kept */
	int known_giving; /* auth gets it back */
	struct loop_deferred turn;
	struct event *tick; /* each second */
	struct event *due; /* the scheduler's next deadline */
	struct event *progress; /* of bodies, NULL: none to be waited for */
	struct event *settle; /* changes that nobody waits for */
	struct event *recheck; /* of the queue, by a new configuration */
	uint64_t recheck_at;
	int recheck_times; /* they have changed since it was complete */
	int64_t hosts_anew; /* loop_now of enlist_retry_hosts, and ... */
	int64_t all_anew; /* ... of enlist_retry_all; 0 before the first */
	int settle_armed;
	int settle_now;
	int in_turn;
	int64_t patience; /* until then peers are waited for */
	int stopping;
};

/* main.c */
/* Seconds since 1970 by a clock that does not jump. */
int64_t queue_now(struct queue *);
/* The date to keep of what comes now, for the next start to count from. */
int64_t queue_date(struct queue *);
/* At the end of this turn write what changed and start what may start. */
void queue_kick(struct queue *);
/* A message id for a message of the queue itself, 0 if there is none. */
uint32_t queue_own_id(struct queue *);

/* enlist.c */
/* The configuration changed: tells the scheduler its limits. */
void enlist_configure(struct queue *);
/* Whether mail expires, or is warned of, at other times than before. */
int enlist_times_differ(const struct conf *before, const struct conf *now);
/* READY for an action that relays, else INCOMING. */
enum envelope_state enlist_first_state(struct queue *, const char *action);
/* Schedules one recipient, or all, that are not done. How many were. */
uint32_t enlist_rcpt(struct queue *, const struct envelope *, uint32_t index);
uint32_t enlist_all(struct queue *, const struct envelope *);
/* Sets a recipient apart whose domain was paused after it was scheduled. How
 * many were. One in flight is looked at when it comes back. */
uint32_t enlist_reroute(
    struct queue *, const struct envelope *, uint32_t index);
/* Whether the configuration has the action that a recipient is to go by, of
 * the kind that it went by; and tells in the log that it has not. */
int enlist_has_action(struct queue *, const struct envelope_rcpt *);
void enlist_warn_of_action(
    const struct envelope *, const struct envelope_rcpt *);
/* Whether a recipient waits for the host that its action had, "" as for all
 * domains, and has none any more. */
int enlist_is_astray(
    struct queue *, const struct envelope_rcpt *, const char *destination);
/* Holds a recipient whose action is not in the configuration, and sends one
 * that is astray by its own domain. One in flight is looked at when it comes
 * back. How many had to be held. */
uint32_t enlist_again(struct queue *, const struct envelope *, uint32_t index);
/* A step of the same for all, after a reload, in which those are routed anew
 * that were held for that, and all get the times and the limits that have
 * changed: *cursor is 0 at first. 1 while there is more. What a
 * step comes to late is not tried meanwhile: no worker has its action. */
int enlist_recheck(struct queue *, uint64_t *cursor);
/* After a reload: has each host that the configuration names, and that was not
 * reached, tried now. It, its name or our password may be another. */
void enlist_retry_hosts(struct queue *);
/* The same for all, when the name servers are others. */
void enlist_retry_all(struct queue *);
/* Whether a job began before the last of these that meant its destination: that
 * it failed says nothing of where its mail goes now. */
int enlist_is_bygone(struct queue *, const struct job *, const char *action);
/* When a recipient's time is over, and how to treat mail that is refused. */
int64_t enlist_expiry(
    struct queue *, const struct envelope *, const struct envelope_rcpt *);
/* When the next delay warning of a recipient is due, 0 for none. */
int64_t enlist_warning(
    struct queue *, const struct envelope *, const struct envelope_rcpt *);
/* Tells the schedule both, of a recipient that is there. */
void enlist_times(struct queue *, const struct envelope *, uint32_t index);
/* Loads the schedule from the store: the number of recipients, or -1. */
int64_t enlist_load(struct queue *);

/* dispatch.c */
/* Starts what the scheduler wants started, at most `limit` times. 1 when
 * there may be more. */
int dispatch_run(struct queue *, unsigned limit);
struct job *dispatch_find(struct queue *, uint64_t id);
/* Where relaying has all of its places taken, those that were held too long
 * are given up for destinations that have none; called once a second. */
void dispatch_lend(struct queue *);
/* The transaction is over. Records what the scheduler says of recipients that
 * had no result. */
void dispatch_finish(struct queue *, struct job *, enum sched_route);
/* The same where the peer read a file that is not the body which was stored.
 * What is left of the transaction is held, and no more than that: the peer may
 * be a user, and the message another's too. */
void dispatch_damaged(struct queue *, struct job *);
/* A peer is gone: what it had goes back to the schedule. */
void dispatch_peer_down(struct queue *, enum process_kind, uint16_t);
extern channel_handler dispatch_on_body_request;

/* result.c */
/* What stands behind a recipient that was expanded, by RFC 3461 section 5.2.7:
 * one address, about which the sender hears instead; several, which he is told
 * once; a list with an owner, to which the message is thereby delivered. */
enum expansion { NOT_EXPANDED, EXPANDED_ONE, EXPANDED_SEVERAL, EXPANDED_LIST };
/* What came of one recipient. Strings are borrowed. */
struct outcome {
	enum delivery_status status;
	uint16_t code;
	const char *enhanced;
	const char *text;
	const char *remote;
	int relayed; /* by a host that does not speak DSN */
	int passed; /* by one that does and will report itself */
	enum expansion expanded; /* its children carry on */
	int kept; /* though it is delivered, too */
	int not_tried; /* what failed may be the route: see sched_finish */
};

/* Events of one message that may be reported. */
struct event_rcpt {
	uint32_t index;
	int action; /* enum dsn_action, or -1: only done */
	int done; /* the recipient is finished with it */
};
struct events {
	struct envelope *env;
	uint32_t count;
	uint32_t size;
	struct event_rcpt *list;
};
/* Something happened to a recipient that its sender may be told. */
void result_event(struct events *, uint32_t index, int action, int done);
/* Records an outcome in schedule and envelope. Nothing if the entry is not in
 * flight. */
void result_apply(
    struct queue *, struct events *, uint32_t index, const struct outcome *);
/* Records what the scheduler decided on its own. */
void result_verdict(struct queue *, struct events *, uint32_t index,
    const struct sched_verdict *);
/* It is refused for good, as its code and text say. */
void result_failed(struct events *, uint32_t index);
/* It is new, and what it is for has failed for now already. */
void result_deferred(const struct events *, uint32_t index);
/* The operator removed it. */
void result_removed(struct events *, uint32_t index);
/* Ends a round of results: reports them or notes what is owed, takes out what
 * is done, and removes the message when nothing of it is left. Frees what
 * events hold. */
void result_settle(struct queue *, struct events *);
/* A recipient that is decided, or late, and whose envelope cannot be read: it
 * waits for the disk, or leaves the schedule if there is nothing to wait for,
 * or it was removed. */
void result_unread(struct queue *, uint32_t msgid, uint32_t rcpt,
    enum store_status, int removed);
/* Recipients of a message ran out of time, or are late. */
void result_expired(struct queue *, const struct sched_job *);
void result_late(struct queue *, const struct sched_job *);
extern channel_handler result_on_transfer_done;
extern channel_handler result_on_local_done;

/* expanded.c */
extern channel_handler expanded_on_expanded;
/* The addresses of a .forward or of a list file, held if their parent is to
 * be, become recipients: the outcome of the parent tells, or why not. */
void expanded_forward(struct queue *, struct events *, uint32_t index,
    const struct msg_local_done *, struct outcome *);
/* The address that people see of a name behind the recipient at index: one
 * without a domain has that of the nearest address on the way here. */
const char *expanded_address(const struct envelope *, uint32_t index,
    const char *name, char out[ADDRESS_SIZE]);

/* trace.c: nothing where the schedule is not traced */
void trace_start(const struct job *, const struct sched_job *);
/* result in a word. */
void trace_verdict(struct queue *, const struct envelope *, uint32_t index,
    const char *result, const struct sched_verdict *);
void trace_finish(const struct job *, enum sched_route);

/* report.c */
/* Decides who is told of the events. Reports of delays go into the batch at
 * once; of what is done they are owed: how many are now. Recipients that are
 * to be held instead are not done any more. */
uint32_t report_events(struct queue *, struct events *);
/* Puts into the batch what tells of all these events, which has been decided:
 * one report of a kind to each who is told. */
void report_send(struct queue *, const struct events *);

/* owed.c */
/* NULL without memory. */
struct owed *owed_new(struct queue *);
/* That this of a recipient is to be reported, in its envelope. */
void owed_mark(struct envelope *, uint32_t index, enum dsn_action);
/* The message has such marks: they are settled a short time after the first,
 * or, when it is loaded at the start, at once. */
void owed_later(struct queue *, uint32_t msgid);
void owed_load(struct queue *, const struct envelope *);
/* Reports what the message owes, and removes it when it owes nothing more and
 * all its recipients are done. */
void owed_settle(struct queue *, struct envelope *);

/* etrn.c */
extern channel_handler etrn_on_etrn, etrn_on_backup_answer;
void etrn_peer_down(struct queue *, enum process_kind, uint16_t instance);
/* Starts what was asked for too early; called once a second. */
void etrn_tick(struct queue *);

/* pauses.c */
/* Writes down what is paused now. -1 if it is not safe, which is logged. */
int pauses_keep(struct queue *);
/* Pauses what was paused when the process ended; nothing is scheduled yet. */
void pauses_load(struct queue *);

/* operator.c */
struct control_ops;
extern const struct control_ops operator_ops;
void operator_set_standing(struct queue *);

#endif
