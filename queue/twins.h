/*
 * Who would get a message twice: recipients that are to be added to an
 * envelope are compared with each other, and with all that came of the same
 * accepted recipient. Called by expanded.c. Pure; trusts the envelope.
 *
 * Two are twins if they go to one place: by the same action and reverse-path
 * to the same user, entry of an alias, or address of another host. Users may
 * share an account whose action tells them apart by their addresses.
 */
#ifndef QUEUE_TWINS_H
#define QUEUE_TWINS_H

#include <sys/tree.h>

#include <stddef.h>
#include <stdint.h>

#include "queue/envelope.h"

enum twin_kind {
	TWIN_NONE,
	TWIN_REACHED, /* a twin has it or will, or its failure is told */
	TWIN_LOOP /* it came from its twin, whose mail has reached nobody */
};

/* A recipient that is to be added. */
struct newcomer {
	RB_ENTRY(newcomer) entry;
	struct envelope_rcpt rcpt;
	int varies; /* each address is a place of its own */
	enum twin_kind twin;
};
RB_HEAD(newcomers, newcomer);

/* Twins of one that is there already are TWIN_REACHED. */
void twins_insert(struct newcomers *, struct newcomer *);
/* What is to be done with newcomers behind a recipient that is not done yet,
 * of which none is a twin of another. -1 without memory. */
int twins_find(
    const struct envelope *, uint32_t parent, struct newcomers *newcomers);
/* The nearest recipient from index on up to the accepted one that is a user,
 * or ENVELOPE_NO_PARENT. */
uint32_t twins_user(const struct envelope *, uint32_t index);
/* How many came of .forward files of users, behind the same accepted recipient
 * as index. */
uint32_t twins_forwarded(const struct envelope *, uint32_t index);

#endif
