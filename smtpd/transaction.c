/*
 * The transactions of a worker's sessions and the pool that they come from.
 * A transaction has room for a body that travels inside submit, so a session
 * without one is small, and taking a message allocates nothing.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "session_private.h"

struct session_pool {
	struct transaction *first;
	size_t held;
	size_t keep;
	size_t rcpts; /* octets of all recipients */
	size_t room; /* for them */
};

/* A transaction that had many recipients gives their memory back. */
enum { RCPTS_KEEP = 16384 };

struct session_pool *
session_pool_new(size_t keep, size_t room)
{
	struct session_pool *pool = calloc(1, sizeof(*pool));

	if (pool != NULL) {
		pool->keep = keep;
		pool->room = room;
	}
	return pool;
}

static void
transaction_free(struct transaction *txn)
{
	ipc_buf_free(&txn->rcpts);
	free(txn);
}

void
session_pool_free(struct session_pool *pool)
{
	struct transaction *txn;

	if (pool == NULL)
		return;
	while ((txn = pool->first) != NULL) {
		pool->first = txn->next;
		transaction_free(txn);
	}
	free(pool);
}

struct transaction *
session_pool_get(struct session_pool *pool)
{
	struct transaction *txn = pool->first;

	if (txn != NULL) {
		pool->first = txn->next;
		pool->held--;
	} else if ((txn = malloc(sizeof(*txn))) != NULL)
		memset(&txn->rcpts, 0, sizeof(txn->rcpts));
	return txn;
}

void
session_pool_put(struct session_pool *pool, struct transaction *txn)
{
	pool->rcpts -= txn->rcpts.len;
	ipc_buf_reset(&txn->rcpts);
	if (pool->held >= pool->keep) {
		transaction_free(txn);
		return;
	}
	if (txn->rcpts.cap > RCPTS_KEEP)
		ipc_buf_free(&txn->rcpts);
	txn->next = pool->first;
	pool->first = txn;
	pool->held++;
}

int
transaction_begin(struct session *s, const struct session_turn *t)
{
	struct transaction *txn = session_pool_get(s->pool);
	struct ipc_buf rcpts;

	if (txn == NULL)
		return -1;
	rcpts = txn->rcpts;
	memset(txn, 0, offsetof(struct transaction, data));
	txn->rcpts = rcpts;
	txn->rcpts.limit = SUBMIT_RCPTS_OCTETS;
	txn->deadline = t->now + s->conf->envelope_time;
	s->txn = txn;
	return 0;
}

enum reply_id
transaction_add_rcpt(struct session *s, const char *action)
{
	struct session_pool *pool = s->pool;
	struct transaction *txn = s->txn;
	struct ipc_buf *rcpts = &txn->rcpts;
	size_t len = rcpts->len;
	uint32_t count = rcpts->count;
	enum reply_id why;
	struct msg_rcpt_spec spec = {
		.address = txn->rcpt,
		.orcpt = txn->orcpt,
		.notify = txn->notify,
		.action = action,
	};

	/* whoever fills the room must not keep others from sending mail */
	if (pool->rcpts >= pool->room && count > 0)
		return REPLY_RCPT_NO_ROOM;
	ipc_add_rcpt_spec(rcpts, &spec);
	if (rcpts->failed) {
		why = rcpts->no_memory ? REPLY_RCPT_TEMPORARY
				       : REPLY_RCPT_TOO_MANY;
		rcpts->len = len;
		rcpts->count = count;
		rcpts->failed = rcpts->no_memory = 0;
		return why;
	}
	pool->rcpts += rcpts->len - len;
	return REPLY_NONE;
}

void
transaction_reset(struct session *s, struct session_turn *t)
{
	struct transaction *txn = s->txn;

	if (txn == NULL)
		return;
	if (txn->sent)
		session_send(t, MSG_body_abort, PROC_QUEUE)->body_abort.id =
		    txn->id;
	s->lmtp_rcpts.count = 0;
	s->txn = NULL;
	session_pool_put(s->pool, txn);
	s->stage = STAGE_READY;
}
