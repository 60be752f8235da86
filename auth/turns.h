/*
 * Who of those that ask the resolver is next, and who gives up a place when
 * there is none. Each has a line of its own, and the lines take turns: one that
 * asks a thousand things waits behind itself. Pure; the questions and places
 * are those of resolver.c, which calls this. An asker is known for as long as
 * it asks something.
 */
#ifndef AUTH_TURNS_H
#define AUTH_TURNS_H

#include <stddef.h>

#include <sys/queue.h>

struct turns_asker;

/* A question, inside the caller's own. */
struct turns_ask {
	TAILQ_ENTRY(turns_ask) entry; /* of all that its asker asks */
	TAILQ_ENTRY(turns_ask) in_line;
	struct turns_asker *asker;
	int waits;
};
TAILQ_HEAD(turns_asks, turns_ask);

struct turns_asker {
	TAILQ_ENTRY(turns_asker) entry; /* the next one first */
	struct turns_asks all;
	struct turns_asks line;
	void *who;
	size_t count;
	size_t places; /* the caller counts them; 0 when the last ask goes */
	int last_in_turn;
};
TAILQ_HEAD(turns, turns_asker);

struct turns_asker *turns_find(struct turns *, const void *who);
/* One more question of his; he may have so many. 0, or -1. */
int turns_add(struct turns *, void *who, size_t max, struct turns_ask *);
void turns_remove(struct turns *, struct turns_ask *);
/* It waits at the end of its asker's line, or at its head. */
void turns_wait(struct turns_ask *);
void turns_wait_first(struct turns_ask *);
/* It waits no more, if it did. */
void turns_leave(struct turns_ask *);

/* Whose turn it is; NULL if nobody waits. */
struct turns_asker *turns_next(const struct turns *);
/* Takes his turn: the question that leaves his line. With `made` the place was
 * taken from another question, and the last of the line has every second such:
 * so a line of silent names does not stand before a good one, and nobody is
 * forgotten. */
struct turns_ask *turns_take(struct turns *, struct turns_asker *, int made);
/* Who gives up a place for him: who has most, and himself rather than one who
 * has no more than he. */
struct turns_asker *turns_debtor(const struct turns *, struct turns_asker *);

#endif
