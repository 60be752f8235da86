/*
 * What a message owes its sender after something happened to its recipients:
 * which DSN is written, about whom, and what becomes of mail that may not be
 * bounced. Pure; called by the queue, which writes the reports with
 * common/mail/dsn.h and records what was decided.
 */
#ifndef QUEUE_BOUNCE_H
#define QUEUE_BOUNCE_H

#include "mail/dsn.h"

/* What a backup does with mail that the primary refuses for good and whose
 * sender nobody has verified: a bounce might hit an innocent (backscatter). */
enum bounce_refused {
	BOUNCE_REFUSED_TELL, /* no backup: its sender is told */
	BOUNCE_REFUSED_BOUNCE, /* told if the client is known, else held */
	BOUNCE_REFUSED_HOLD,
	BOUNCE_REFUSED_DROP
};

struct bounce_message {
	const char *sender; /* "" is the null sender */
	unsigned verified : 1; /* logged in, or submitted on this machine */
	unsigned known : 1; /* came from a source that a rule names */
	unsigned no_dsn : 1; /* the listener says: no success DSN */
	enum bounce_refused refused; /* applies when not verified */
};

/* One recipient to whom something happened. */
struct bounce_rcpt {
	enum dsn_action action;
	unsigned notify; /* enum smtp_notify */
	/* it was never refused, its time was over: its sender must hear of
	 * that (RFC 5321 section 6.1), whatever is done with refused mail */
	unsigned expired : 1;
};

enum bounce_verdict {
	BOUNCE_FAILURE, /* in the report of that kind, then done */
	BOUNCE_DELAY,
	BOUNCE_SUCCESS,
	BOUNCE_QUIET, /* nobody is told */
	BOUNCE_HOLD, /* kept for the operator; nobody is told */
	BOUNCE_DROP /* finished and logged; nobody is told */
};

enum bounce_verdict bounce_decide(
    const struct bounce_message *, const struct bounce_rcpt *);

#endif
