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
};

/* A transaction that had many recipients gives their memory back. */
enum { RCPTS_KEEP = 16384 };

struct session_pool *
session_pool_new(size_t keep)
{
	struct session_pool *pool = calloc(1, sizeof(*pool));

	if (pool != NULL)
		pool->keep = keep;
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
transaction_begin(struct session *s)
{
	struct transaction *txn = session_pool_get(s->pool);
	struct ipc_buf rcpts;

	if (txn == NULL)
		return -1;
	rcpts = txn->rcpts;
	ipc_buf_reset(&rcpts);
	memset(txn, 0, offsetof(struct transaction, data));
	txn->rcpts = rcpts;
	txn->rcpts.limit = SUBMIT_RCPTS_OCTETS;
	s->txn = txn;
	return 0;
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
