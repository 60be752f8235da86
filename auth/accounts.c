/*
 * See accounts.h. Entries are in a hash table and in the order in which they
 * were made, which is nearly that in which they end.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "auth/accounts.h"
#include "auth/recipient.h"

enum { BUCKETS = 1024 };

struct wait {
	void *waiter;
	struct wait *next;
};

struct account {
	TAILQ_ENTRY(account) order;
	LIST_ENTRY(account) chain;
	char name[RECIPIENT_NAME_SIZE];
	enum policy_answer answer;
	uint64_t question; /* while PENDING */
	int64_t until;
	struct wait *waits;
};

struct accounts {
	TAILQ_HEAD(account_order, account) order;
	LIST_HEAD(, account) buckets[BUCKETS];
	size_t count;
	size_t max;
	uint64_t last_question;
};

static size_t
bucket_of(const char *name)
{
	uint32_t h = 0x811c9dc5u;

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 0x01000193u;
	return h % BUCKETS;
}

static void
account_remove(struct accounts *as, struct account *a)
{
	struct wait *w;

	while ((w = a->waits) != NULL) {
		a->waits = w->next;
		free(w);
	}
	TAILQ_REMOVE(&as->order, a, order);
	LIST_REMOVE(a, chain);
	as->count--;
	free(a);
}

static int
account_wait(struct account *a, void *waiter)
{
	struct wait *w;

	if ((w = malloc(sizeof(*w))) == NULL)
		return -1;
	w->waiter = waiter;
	w->next = a->waits;
	a->waits = w;
	return 0;
}

/* Makes room by what is answered and oldest. */
static int
make_room(struct accounts *as)
{
	struct account *a;

	if (as->count < as->max)
		return 0;
	TAILQ_FOREACH (a, &as->order, order)
		if (a->answer != POLICY_PENDING) {
			account_remove(as, a);
			return 0;
		}
	return -1;
}

struct accounts *
accounts_new(size_t max)
{
	struct accounts *as;

	if ((as = calloc(1, sizeof(*as))) == NULL)
		return NULL;
	TAILQ_INIT(&as->order);
	for (size_t i = 0; i < BUCKETS; i++)
		LIST_INIT(&as->buckets[i]);
	as->max = max;
	return as;
}

void
accounts_free(struct accounts *as)
{
	struct account *a;

	if (as == NULL)
		return;
	while ((a = TAILQ_FIRST(&as->order)) != NULL)
		account_remove(as, a);
	free(as);
}

enum policy_answer
accounts_ask(struct accounts *as, const char *name, void *waiter, int64_t now,
    uint64_t *question)
{
	struct account *a;

	*question = 0;
	if (strlen(name) >= sizeof(a->name))
		return POLICY_NO;
	LIST_FOREACH (a, &as->buckets[bucket_of(name)], chain)
		if (strcmp(a->name, name) == 0)
			break;
	if (a != NULL && a->answer != POLICY_PENDING && now >= a->until) {
		account_remove(as, a);
		a = NULL;
	}
	if (a != NULL && a->answer != POLICY_PENDING)
		return a->answer;
	if (a == NULL) {
		if (make_room(as) == -1 || (a = calloc(1, sizeof(*a))) == NULL)
			return POLICY_ERROR;
		strcpy(a->name, name);
		a->answer = POLICY_PENDING;
		a->question = *question = ++as->last_question;
		TAILQ_INSERT_TAIL(&as->order, a, order);
		LIST_INSERT_HEAD(&as->buckets[bucket_of(name)], a, chain);
		as->count++;
	}
	if (account_wait(a, waiter) == -1) {
		/* nothing was asked yet if this would have been the first */
		if (*question != 0)
			account_remove(as, a);
		*question = 0;
		return POLICY_ERROR;
	}
	return POLICY_PENDING;
}

void
accounts_answer(struct accounts *as, uint64_t question,
    enum lookup_status status, int64_t now,
    void (*ready)(void *arg, void *waiter), void *arg)
{
	struct wait *waits, *w;
	struct account *a;

	/* what is not answered yet is among the newest */
	TAILQ_FOREACH_REVERSE (a, &as->order, account_order, order)
		if (a->answer == POLICY_PENDING && a->question == question)
			break;
	if (a == NULL)
		return;
	a->answer = status == LOOKUP_FOUND ? POLICY_YES
	    : status == LOOKUP_NONE        ? POLICY_NO
					   : POLICY_ERROR;
	a->until = now +
	    (status == LOOKUP_FOUND ? ACCOUNTS_YES_LIFE : ACCOUNTS_NO_LIFE);
	/* ready may ask again, which may remove the entry */
	waits = a->waits;
	a->waits = NULL;
	while ((w = waits) != NULL) {
		waits = w->next;
		if (w->waiter != NULL)
			ready(arg, w->waiter);
		free(w);
	}
}

void
accounts_forget(struct accounts *as, const void *waiter)
{
	struct account *a;
	struct wait *w;

	TAILQ_FOREACH (a, &as->order, order)
		for (w = a->waits; w != NULL; w = w->next)
			if (w->waiter == waiter)
				w->waiter = NULL;
}
