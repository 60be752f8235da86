/*
 * Dialogues with the client session as text, for the tests of deliver. A
 * script has one line for each thing that happens:
 *
 *	S: TEXT		the server says a line
 *	P: TEXT		more of the same packet (with the S: line before it)
 *	C: TEXT		the client has written this line
 *	A: TEXT		the client has asked for this
 *	T: >TEXT, T: <TEXT	the trace has this of us, of the server
 *	R: TEXT		the result of the next recipient
 *	E: EVENT	something else happens: connected, tls ok, tls bad
 *			(not verified), tls fail, eof, timeout, quit, abort,
 *			mail ..., sasl STATUS MECHANISM RESPONSE, bodyfail,
 *			trace (from here on)
 *
 * \r \n \0 \\ and \xNN are escapes; S: and C: end with CRLF by themselves. A
 * mail is `E: mail SENDER RCPT,RCPT... [8bit] [utf8] [binary] [probe]
 * [size=N] [ret=full] [envid=X] [notify=never] [orcpt=X] [body=TEXT]`.
 */
#ifndef REGRESS_CLIENT_SCRIPT_H
#define REGRESS_CLIENT_SCRIPT_H

#include "deliver/client.h"

struct client_case {
	const char *title;
	struct client_config config;
	const char *script;
};

/* Runs a case with each packet whole, octet by octet, and cut once at every
 * place; fails the test with the title and the line that differs. */
void client_case_run(const struct client_case *);

#endif
