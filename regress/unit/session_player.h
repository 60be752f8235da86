/*
 * Plays a dialogue against the pure server session. A dialogue is text, a
 * line a step; the first word of a line says who speaks:
 *
 *	O: words	options of the listener, before anything else
 *	C: line		the client sends a line, CRLF is added
 *	c: octets	the client sends octets; \r \n \0 \t \\ and \xNN
 *	S: line		the server has sent exactly this line
 *	Q: type words	the session asks this; each word is in its description
 *	A: words	an event: an answer, a tick, a lost peer (see answer())
 *	B: octets	what was submitted behind our Received field
 *	R: text		our Received field holds this text
 *	X: tls, X: close	the session asks for it
 *	L: text		its log holds this text, behind what was found before
 *
 * Lines of the client are sent together up to the next other line. Nothing
 * may come from the session that the dialogue does not say; log events that
 * no L: asks for are passed over.
 */
#ifndef SESSION_PLAYER_H
#define SESSION_PLAYER_H

#include <stddef.h>

/* How most dialogues begin. */
#define GREETING "S: 220 mx.example ESMTP Relais\n"
#define HELO "C: HELO c.example\nS: 250 mx.example greets c.example\n"
#define MAIL "C: MAIL FROM:<a@b.example>\nS: 250 2.1.0 Sender OK\n"
#define RCPT                                                         \
	"C: RCPT TO:<x@y.example>\nQ: rcpt_check to=<x@y.example>\n" \
	"A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n"
#define QUIT "C: QUIT\nS: 221 2.0.0 Goodbye\nX: close\n"

struct dialogue {
	const char *name;
	const char *script;
	/* octets behind a command are judged by when they came, so the
	 * dialogue holds only when they come in one piece */
	int whole_only;
};

/* Plays it with the client's octets in pieces of `piece`, 0 for all at once;
 * fails the cmocka test where it goes another way. */
void dialogue_play(const struct dialogue *, size_t piece);

/* Plays all, whole and in pieces of each size from 1 to 9, and of 64. */
void dialogues_play(const struct dialogue *, size_t count);

#endif
