/*
 * See turns.h.
 */
#include "auth/turns.h"

#include <stdlib.h>

struct turns_asker *
turns_find(struct turns *t, const void *who)
{
	struct turns_asker *a;

	TAILQ_FOREACH (a, t, entry)
		if (a->who == who)
			break;
	return a;
}

static struct turns_asker *
asker_new(struct turns *t, void *who)
{
	struct turns_asker *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->who = who;
	TAILQ_INIT(&a->all);
	TAILQ_INIT(&a->line);
	TAILQ_INSERT_TAIL(t, a, entry);
	return a;
}

int
turns_add(struct turns *t, void *who, size_t max, struct turns_ask *ask)
{
	struct turns_asker *a = turns_find(t, who);

	if (a == NULL && (a = asker_new(t, who)) == NULL)
		return -1;
	if (a->count >= max)
		return -1;
	ask->asker = a;
	ask->waits = 0;
	TAILQ_INSERT_TAIL(&a->all, ask, entry);
	a->count++;
	return 0;
}

void
turns_remove(struct turns *t, struct turns_ask *ask)
{
	struct turns_asker *a = ask->asker;

	turns_leave(ask);
	TAILQ_REMOVE(&a->all, ask, entry);
	if (--a->count > 0)
		return;
	TAILQ_REMOVE(t, a, entry);
	free(a);
}

void
turns_wait(struct turns_ask *ask)
{
	ask->waits = 1;
	TAILQ_INSERT_TAIL(&ask->asker->line, ask, in_line);
}

void
turns_wait_first(struct turns_ask *ask)
{
	ask->waits = 1;
	TAILQ_INSERT_HEAD(&ask->asker->line, ask, in_line);
}

void
turns_leave(struct turns_ask *ask)
{
	if (ask->waits)
		TAILQ_REMOVE(&ask->asker->line, ask, in_line);
	ask->waits = 0;
}

struct turns_asker *
turns_next(const struct turns *t)
{
	struct turns_asker *a;

	TAILQ_FOREACH (a, t, entry)
		if (!TAILQ_EMPTY(&a->line))
			break;
	return a;
}

struct turns_ask *
turns_take(struct turns *t, struct turns_asker *a, int made)
{
	struct turns_ask *ask;

	if (made)
		a->last_in_turn = !a->last_in_turn;
	ask = made && a->last_in_turn ? TAILQ_LAST(&a->line, turns_asks)
				      : TAILQ_FIRST(&a->line);
	turns_leave(ask);
	TAILQ_REMOVE(t, a, entry);
	TAILQ_INSERT_TAIL(t, a, entry);
	return ask;
}

struct turns_asker *
turns_debtor(const struct turns *t, struct turns_asker *whose)
{
	struct turns_asker *a, *most = whose;

	TAILQ_FOREACH (a, t, entry)
		if (a->places > most->places)
			most = a;
	return most;
}
