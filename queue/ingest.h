/*
 * The way in: each submit of an smtpd worker becomes an envelope and joins
 * the batch, at once or when its large body is durable; when the batch is
 * durable the worker hears so, and the message goes to the scheduler. Knows no
 * channel and no clock.
 */
#ifndef QUEUE_INGEST_H
#define QUEUE_INGEST_H

#include <sys/queue.h>

#include <stdint.h>

#include "ipc/messages.h"
#include "queue/batch.h"
#include "queue/idblock.h"

struct ingest_ops {
	/* The answer to a submit, for worker `sender`. */
	void (*answer)(
	    void *arg, uint32_t sender, const struct msg_submitted *);
	/* Under which state a recipient starts: READY if its action relays,
	 * else INCOMING. */
	enum envelope_state (*first_state)(void *arg, const char *action);
	/* The message is durable: schedule it. */
	void (*accepted)(void *arg, const struct envelope *);
};

struct ingest {
	struct batch *batch;
	struct bodies *bodies;
	struct idblocks *ids;
	const struct ingest_ops *ops;
	void *arg;
	struct msg_queue_status standing; /* whether mail is taken */
	uint64_t room; /* octets that may be taken until this is set again */
	uint64_t messages; /* accepted since the start */
	LIST_HEAD(, ingest_wait) waits; /* for their bodies to be durable */
};

/* The standing, and the answer, where the disk has no room. */
extern const struct msg_queue_status ingest_no_room;
/* Takes a submit: answered at once when it is refused, else after a
 * flush of the batch. `now` in seconds since 1970. -1 when the worker broke
 * the rules; its channel must be closed then. */
int ingest_submit(
    struct ingest *, uint32_t sender, const struct msg_submit *, int64_t now);
/* Some bodies got on: what waited for them joins the batch. */
void ingest_progress(struct ingest *);
/* The worker is gone, and so is what it waits for. */
void ingest_drop(struct ingest *, uint32_t sender);
/* Whether a submit has no answer yet that is in no batch. */
int ingest_is_waiting(const struct ingest *);
/* To be called for each message of the batch that came from ingest_submit,
 * as struct batch's done. */
void ingest_done(
    struct ingest *, const struct batch_message *, enum store_status);

#endif
