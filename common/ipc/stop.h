/*
 * How long each process goes on when it is told to stop and something is under
 * way; with nothing under way it ends at once. Who waits for the words of
 * others must stay longer than they do: a word that finds nobody is a message
 * that the other side has and that is sent once more.
 */
#ifndef IPC_STOP_H
#define IPC_STOP_H

/* Seconds. Each looks at its clock once a second, and the queue's counts whole
 * ones, so that it may be gone two seconds off. */
enum {
	STOP_SMTPD = 10, /* for sessions to end */
	STOP_DELIVER = 10, /* for the word of a server that has all of a body */
	STOP_QUEUE = 13, /* for what deliver and master have to say */
	STOP_MASTER = 18 /* then what still lives is killed */
};

_Static_assert(STOP_QUEUE >= STOP_DELIVER + 3,
    "the queue hears the last words of deliver");
_Static_assert(STOP_MASTER >= STOP_QUEUE + 5 && STOP_MASTER >= STOP_SMTPD + 5,
    "the queue writes them down, and closes its store");
_Static_assert(STOP_MASTER <= 50, "relais.service kills after a minute");

#endif
