/*
 * The queue's side of the control socket: accepts connections, asks master
 * whose each is, reads questions and answers in rows that stream as the asker
 * takes them, so that a queue of any length is never held in memory. root,
 * who runs relaisd, and the admin group may do all; everybody else may submit
 * mail and look at what he has submitted himself.
 *
 * The owner (queue/main.c) routes to it what master and deliver answer, and
 * lends it the store, the schedule and the changes of control_ops.
 * control.c       connections, who they are, limits
 * control_words.c what was asked: words, ids, filters (pure)
 * control_walk.c  all recipients, a step after the other
 * control_show.c  what only looks
 * control_act.c   what changes something
 * control_care.c  care of the store: verify and backup
 * control_explain.c  what the rules would say
 */
#ifndef QUEUE_CONTROL_H
#define QUEUE_CONTROL_H

#include <stdint.h>

#include "ipc/channel.h"

/* What the operator may do with what is held; it wants the id twice. */
#define CONTROL_HELD                                                        \
	"held: `smtpctl resume envelope %s` sends it, `smtpctl remove %s` " \
	"drops it"

struct control;
struct envelope_rcpt;
struct sched;
struct store;
struct worker;

/* System calls of these files beyond the base of every worker, for who
 * includes seccomp.h. */
#define CONTROL_SYSCALLS                                                \
	SCMP_SYS(socketpair), SCMP_SYS(dup), SCMP_SYS(mkdirat),         \
	    SCMP_SYS(unlinkat), SCMP_SYS(getdents64), SCMP_SYS(openat), \
	    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(renameat),  \
	    SCMP_SYS(renameat2)

/*
 * What the queue does for control, since it must also be made durable. Calls
 * may come in any turn, never inside a store batch that is open. What changes
 * recipients gets those of one message at once, since to take up an envelope
 * costs as much as it has recipients: n indices, or SCHED_ALL alone. Counts
 * are of recipients that changed.
 */
struct control_ops {
	/* An operator's hold and its end: schedule and envelope. */
	uint32_t (*hold)(void *ctx, uint32_t msgid, const uint32_t *rcpts,
	    uint32_t n, int held);
	/* Ends recipients without delivery and without a report. */
	uint32_t (*remove)(
	    void *ctx, uint32_t msgid, const uint32_t *rcpts, uint32_t n);
	/* Sets apart what goes to a paused domain by a host for many. */
	uint32_t (*reroute)(
	    void *ctx, uint32_t msgid, const uint32_t *rcpts, uint32_t n);
	/* Refuses new mail with 421 or 451 until resumed; says so to smtpd. */
	void (*pause_intake)(void *ctx, int paused);
	int (*intake_paused)(void *ctx);
	/* What is paused has changed: makes that safe. 0 or -1. */
	int (*keep_pauses)(void *ctx);
	/* Takes up recipients that the schedule does not know. */
	uint32_t (*discover)(
	    void *ctx, uint32_t msgid, const uint32_t *rcpts, uint32_t n);
	/* The seconds that dates are ahead of the schedule's times. */
	int64_t (*ahead)(void *ctx);
	/* Whether the configuration has the action of a recipient. */
	int (*has_action)(void *ctx, const struct envelope_rcpt *);
	/* Whether the spool's disk has room for mail, and for more than that.
	 */
	int (*takes_mail)(void *ctx);
	int (*has_room)(void *ctx);
	/* Makes durable what the others changed, before the asker is told that
	 * it is done; then as kick. */
	void (*commit)(void *ctx);
	/* The schedule was changed: look whether something may start. */
	void (*kick)(void *ctx);
};

struct control_env {
	struct worker *worker;
	struct sched *sched;
	struct store *store;
	/* the spool as named inside the sandbox, "." or "/": for backups */
	const char *spool;
	const struct control_ops *ops;
	void *ctx; /* of ops */
};

/* NULL without memory. What env points to must outlive the control. */
struct control *control_new(const struct control_env *);
void control_free(struct control *);

/* Messages that the queue's handlers pass on. */
void control_on_socket(struct control *, int fd); /* control_socket */
void control_on_peer_user(struct control *, const struct msg_peer_user *);
void control_on_master_done(struct control *, const struct msg_master_done *);
void control_on_route_answer(
    struct control *, struct channel *, const struct msg_route_answer *);
void control_on_relay_answer(struct control *, const struct msg_relay_answer *);
void control_on_explained(struct control *, const struct msg_explained *);
/* A peer has gone away: what it was asked will not be answered. */
void control_on_peer_down(struct control *, struct channel *);

#endif
