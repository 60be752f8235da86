/*
 * What master said about accounts, for a few seconds, and who waits for what
 * it has not said yet. Pure: the caller sends the questions. Time is seconds
 * of a clock that does not go back.
 */
#ifndef AUTH_ACCOUNTS_H
#define AUTH_ACCOUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "auth/policy.h"

struct accounts;

enum {
	ACCOUNTS_YES_LIFE = 30, /* seconds */
	ACCOUNTS_NO_LIFE = 3
};

struct accounts *accounts_new(size_t max);
void accounts_free(struct accounts *);

/*
 * Whether there is an account. PENDING: waiter will be told, once for each
 * PENDING that it got; *question is then the id under which to ask master, or
 * 0 when that was asked already. ERROR: too many questions are open.
 */
enum policy_answer accounts_ask(struct accounts *, const char *name,
    void *waiter, int64_t now, uint64_t *question);
/* Master's answer; ready is called for each waiter and may ask again. A
 * question that nobody knows is ignored. */
void accounts_answer(struct accounts *, uint64_t question, enum lookup_status,
    int64_t now, void (*ready)(void *arg, void *waiter), void *arg);
/* The waiter is gone. */
void accounts_forget(struct accounts *, const void *waiter);

#endif
