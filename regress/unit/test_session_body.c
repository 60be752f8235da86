/*
 * Dialogues with the pure server session about messages: DATA and BDAT, the
 * trace, what is added to our users' mail, faults (CVE-2023-51764 and its kin
 * among them), limits, and that 250 follows the queue's 250 only.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session_player.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

#define EHLO                                                      \
	"C: EHLO c.example\n"                                     \
	"S: 250-mx.example greets c.example\nS: 250-PIPELINING\n" \
	"S: 250-SIZE 36700160\nS: 250-ENHANCEDSTATUSCODES\n"      \
	"S: 250-8BITMIME\nS: 250-DSN\nS: 250-SMTPUTF8\n"          \
	"S: 250-CHUNKING\nS: 250-BINARYMIME\n"                    \
	"S: 250-LIMITS RCPTMAX=1000 MAILMAX=1000\nS: 250 HELP\n"
#define TO_RCPT GREETING HELO MAIL RCPT
#define DATA "C: DATA\nS: 354 End with a dot on a line of its own\n"
#define TO_DATA TO_RCPT DATA
#define TAKEN "A: submitted 250\nS: 250 2.0.0 00000abc is in the queue\n"
#define BARE "S: 550 5.6.0 A line of the message holds CR or LF on its own\n"
#define ALIVE "C: NOOP\nS: 250 2.0.0 OK\n"

static const struct dialogue taken[] = {
	{ "a message",
	    TO_DATA
	    "C: Subject: x\nC: \nC: hello\nC: .\n"
	    "Q: submit from=<a@b.example> rcpts=1 msgid=2748 sent=0 "
	    "flags=0 to=<x@y.example>:local:0:\n"
	    "B: Subject: x\\r\\n\\r\\nhello\\r\\n\n"
	    "R: Received: from c.example (unknown [192.0.2.1]) by mx.example\n"
	    "R: with SMTP id 00000abc for <x@y.example>;\n" TAKEN
	    "C: DATA\nS: 503 5.5.1 Say MAIL first\n",
	    0 },
	{ "two messages, all of it pipelined",
	    GREETING HELO
	    "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<x@y.example>\nC: DATA\n"
	    "C: A: 1\nC: \nC: one\nC: .\nC: MAIL FROM:<>\n"
	    "C: RCPT TO:<z@y.example>\nC: DATA\nC: A: 2\nC: .\nC: QUIT\n"
	    "S: 250 2.1.0 Sender OK\nQ: rcpt_check\nA: verdict 250 local\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "S: 354 End with a dot on a line of its own\nQ: submit\n"
	    "B: A: 1\\r\\n\\r\\none\\r\\n\nA: submitted 250\n"
	    "S: 250 2.0.0 00000abc is in the queue\n"
	    "S: 250 2.1.0 Sender OK\nQ: rcpt_check from=<>\n"
	    "A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n"
	    "S: 354 End with a dot on a line of its own\n"
	    "Q: submit from=<> msgid=2749\nB: A: 2\\r\\n\nA: submitted 250\n"
	    "S: 250 2.0.0 00000abd is in the queue\n"
	    "S: 221 2.0.0 Goodbye\nX: close\n",
	    0 },
	{ "several recipients are not told",
	    GREETING HELO MAIL RCPT RCPT DATA
	    "C: A: 1\nC: .\nQ: submit rcpts=2\n"
	    "R: with SMTP id 00000abc; \n" TAKEN,
	    0 },
	{ "dots",
	    TO_DATA "C: A: 1\nC: \nC: ..\nC: ...x\nC: .y\nC: .\nQ: submit\n"
		    "B: A: 1\\r\\n\\r\\n.\\r\\n..x\\r\\ny\\r\\n\n" TAKEN,
	    0 },
	{ "an empty message", TO_DATA "C: .\nQ: submit\nB: \n" TAKEN, 0 },
	{ "a message without header gets its empty line",
	    TO_DATA "C: hello there\nC: A: 1\nC: .\nQ: submit\n"
		    "B: \\r\\nhello there\\r\\nA: 1\\r\\n\n" TAKEN,
	    0 },
	{ "a line inside the header that is no field ends it",
	    TO_DATA "C: A: 1\nC: what\nC: B: 2\nC: .\nQ: submit\n"
		    "B: A: 1\\r\\n\\r\\nwhat\\r\\nB: 2\\r\\n\n" TAKEN,
	    0 },
	{ "the separator of a mailbox hides no field",
	    TO_DATA "C: >From a@b Mon Nov 30 16:00\nC: B: 2\nC: \n"
		    "C: From here\nC: .\nQ: submit\n"
		    "B: X-Mailbox-Line: >From a@b Mon Nov 30 16:00\\r\\n"
		    "B: 2\\r\\n\\r\\nFrom here\\r\\n\n" TAKEN,
	    0 },
	{ "it does so in pieces, and one alone",
	    TO_DATA "c: Fr\nc: om\nc:  a@b\\r\\n.\\r\\n\nQ: submit\n"
		    "B: X-Mailbox-Line: From a@b\\r\\n\n" TAKEN,
	    0 },
	{ "two of them are a header that ends",
	    TO_DATA "C: From a@b\nC: From a@b\nC: B: 2\nC: .\nQ: submit\n"
		    "B: X-Mailbox-Line: From a@b\\r\\n\\r\\nFrom a@b\\r\\n"
		    "B: 2\\r\\n\n" TAKEN,
	    0 },
	{ "octets over 127 are told, declared or not",
	    TO_DATA "C: A: 1\nC: \nc: \\xe4\\r\\n.\\r\\n\n"
		    "Q: submit flags=1\n" TAKEN,
	    0 },
	{ "DSN, SMTPUTF8, BODY",
	    GREETING EHLO
	    "C: MAIL FROM:<a@b> RET=HDRS ENVID=a+3Db BODY=8BITMIME SMTPUTF8\n"
	    "S: 250 2.1.0 Sender OK\n"
	    "C: RCPT TO:<x@y> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;q@r\n"
	    "Q: rcpt_check\nA: verdict 250 out\nS: 250 2.1.5 Recipient "
	    "OK\n" DATA "C: A: 1\nC: .\n"
	    "Q: submit envid=a=b ret=2 flags=5 to=<x@y>:out:10:rfc822;q@r\n"
	    "R: with UTF8SMTP id 00000abc\n" TAKEN,
	    0 },
	{ "a missing From is added to our users' mail only",
	    "O: local socket\n" TO_DATA "C: To: x\nC: \nC: hi\nC: .\n"
	    "Q: submit flags=16\n"
	    "B: To: x\\r\\nDate: Tue, 24 Nov 2026 17:00:00 +0100\\r\\n"
	    "Message-ID: <6b05b480.00000abc.1234@mx.example>\\r\\n"
	    "From: a@b.example\\r\\n\\r\\nhi\\r\\n\n" TAKEN,
	    0 },
	{ "what is there stays",
	    "O: local socket\n" TO_DATA "C: date: 1\nC: MESSAGE-ID: 2\n"
	    "C: From: 3\nC: .\nQ: submit\n"
	    "B: date: 1\\r\\nMESSAGE-ID: 2\\r\\nFrom: 3\\r\\n\n" TAKEN,
	    0 },
	{ "our users' mail without header",
	    "O: local socket\n" GREETING HELO
	    "C: MAIL FROM:<>\nS: 250 2.1.0 Sender OK\n" RCPT DATA
	    "C: hi\nC: .\nQ: submit\n"
	    "B: Date: Tue, 24 Nov 2026 17:00:00 +0100\\r\\n"
	    "Message-ID: <6b05b480.00000abc.1234@mx.example>\\r\\n"
	    "From: alice@mx.example\\r\\n\\r\\nhi\\r\\n\n" TAKEN,
	    0 },
	{ "mask-src",
	    "O: mask-src\n" TO_DATA "C: A: 1\nC: .\nQ: submit\n"
	    "R: Received: by mx.example\n" TAKEN,
	    0 },
	{ "the user of this machine",
	    "O: local socket\n" TO_DATA "C: A: 1\nC: .\nQ: submit\n"
	    "R: by mx.example (Relais, from user alice) with local\n" TAKEN,
	    0 },
	{ "mask-src of the socket",
	    "O: local socket mask-src\n" TO_DATA "C: A: 1\nC: .\nQ: submit\n"
	    "R: Received: by mx.example (Relais) with local id "
	    "00000abc\n" TAKEN,
	    0 },
};

static const struct dialogue lmtp[] = {
	{ "LMTP",
	    "O: socket\n" GREETING
	    "C: LHLO c\nS: 250-mx.example greets c\nS: 250-PIPELINING\n"
	    "S: 250-SIZE 36700160\nS: 250-ENHANCEDSTATUSCODES\n"
	    "S: 250-8BITMIME\nS: 250-DSN\nS: 250-SMTPUTF8\n"
	    "S: 250-CHUNKING\nS: 250-BINARYMIME\n"
	    "S: 250-LIMITS RCPTMAX=1000 MAILMAX=1000\nS: 250 HELP\n"
	    "C: EHLO c\nS: 500 5.5.1 This is LMTP: say LHLO\n" MAIL RCPT
	    "C: RCPT TO:<no@y>\nQ: rcpt_check\nA: verdict 550 5.1.1 No\n"
	    "S: 550 5.1.1 No\n"
	    "C: RCPT TO:<z@y>\nQ: rcpt_check\nA: verdict 250 local\n"
	    "S: 250 2.1.5 Recipient OK\n" DATA
	    "C: A: 1\nC: .\nC: NOOP\nQ: submit rcpts=2\n"
	    "R: with LMTP id 00000abc\nA: submitted 250\n"
	    "S: 250 2.0.0 00000abc is in the queue for <x@y.example>\n"
	    "S: 250 2.0.0 00000abc is in the queue for <z@y>\n"
	    "S: 250 2.0.0 OK\n" MAIL RCPT RCPT DATA
	    "C: A: 1\nC: .\nQ: submit\nA: submitted 452 4.3.1 Full\n"
	    "S: 452 4.3.1 Full\nS: 452 4.3.1 Full\n" MAIL RCPT RCPT DATA
	    "c: A: 1\\n\\r\\n.\\r\\n\n" BARE BARE ALIVE,
	    0 },
};

static const struct dialogue refused[] = {
	{ "the queue has no room",
	    TO_DATA "C: A: 1\nC: .\nQ: submit\nA: submitted 452 4.3.1 Full\n"
		    "S: 452 4.3.1 Full\n" MAIL,
	    0 },
	{ "what is neither 250 nor a refusal is no promise",
	    TO_DATA "C: A: 1\nC: .\nQ: submit\nA: submitted 200 2.0.0 Hm\n"
		    "S: 451 4.3.0 Not possible now, try later\n",
	    0 },
	{ "the queue dies with the message",
	    TO_DATA "C: A: 1\nC: .\nQ: submit\nA: lost queue\n"
		    "S: 451 4.3.0 Not possible now, try later\n"
		    "A: submitted 250\n" ALIVE,
	    0 },
	{ "the queue dies while the message comes",
	    TO_DATA "c: A: 1\\r\\n\nA: lost queue\nC: \nC: .\n"
		    "S: 451 4.3.0 Not possible now, try later\n" ALIVE,
	    0 },
	{ "the queue does not answer in time",
	    TO_DATA "C: A: 1\nC: .\nQ: submit\nA: tick 299999\nA: tick 1\n"
		    "S: 451 4.3.0 Not possible now, try later\n"
		    "A: submitted 250\n" ALIVE,
	    0 },
	{ "the client goes before the answer",
	    TO_DATA "C: A: 1\nC: .\nQ: submit\nA: eof\nX: close\n"
		    "A: submitted 250\n",
	    0 },
	{ "hops",
	    "O: max_received=2\n" TO_DATA
	    "C: Received: 1\nC: Received: 2\nC: received : 3\nC: \nC: .\n"
	    "S: 554 5.4.6 Too many hops: the mail goes in circles\n" ALIVE,
	    0 },
	{ "as many hops as are permitted",
	    "O: max_received=2\n" TO_DATA
	    "C: Received: 1\nC: Received: 2\nC: \nC: Received: x\nC: .\n"
	    "Q: submit\n" TAKEN,
	    0 },
	{ "header section over its limit",
	    "O: header=20\n" TO_DATA "C: A: 4567890\nC: B: 234567890\nC: \n"
	    "C: x\nC: .\n"
	    "S: 552 5.3.4 The header of the message is too big\n" ALIVE,
	    0 },
	{ "size",
	    "O: max_size=10\n" TO_DATA "C: A: 4567890\nC: .\n"
	    "S: 552 5.3.4 Message is over the limit of 10 octets\n" ALIVE,
	    0 },
	{ "size to the octet",
	    "O: max_size=10\n" TO_DATA "C: A: 45678\nC: .\nQ: submit\n" TAKEN,
	    0 },
	{ "size, going on and on",
	    "O: max_size=10\n" TO_DATA
	    "c: A: 4567890123456789012345678901234567890\n"
	    "S: 552 5.3.4 Message is over the limit of 10 octets\nX: close\n",
	    0 },
	{ "line",
	    "O: max_line=10\n" TO_DATA "C: A: 4567890\nC: B: 45678901\nC: .\n"
	    "S: 550 5.6.0 A line of the message is too long\n" ALIVE,
	    0 },
	{ "NUL",
	    TO_DATA "c: A: 1\\r\\n\\r\\na\\0b\\r\\n.\\r\\n\n"
		    "S: 550 5.6.0 The message holds a NUL octet\nX: close\n",
	    0 },
	{ "ten minutes for a message, and more for what comes",
	    TO_DATA "c: A: 1\\r\\n\nA: tick 599999\nc: B: 2\nA: tick 1\n"
		    "S: 421 4.4.2 mx.example waited long enough\nX: close\n",
	    0 },
};

/* What others take for the end of data, and what would follow: all of it is
 * one message, which is refused, and nothing of it is a command. */
static const char *const endings[] = {
	"\\n.\\n",
	"\\n.\\r\\n",
	"\\r.\\r",
	"\\r.\\r\\n",
	"\\r\\n.\\n",
	"\\r\\n.\\r",
	"\\r\\n\\0.\\r\\n",
	"\\r\\r\\n.\\r\\r\\n",
	"\\r\\n.\\r\\r\\n",
	"\\n\\n.\\r\\n",
	"\\r\\n.\\0\\r\\n",
	"\\r\\n.\\r\\0\\n",
};

static const struct dialogue bdat[] = {
	{ "chunks",
	    TO_RCPT "c: BDAT 6\\r\\nA: 1\\r\\n\nS: 250 2.0.0 6 octets taken\n"
		    "c: BDAT 3\\r\\n\\r\\n.\n"
		    "S: 250 2.0.0 3 octets taken\n"
		    "c: BDAT 4 LAST\\r\\n\\r\\n.x\nQ: submit flags=0\n"
		    "B: A: 1\\r\\n\\r\\n.\\r\\n.x\n" TAKEN MAIL,
	    0 },
	{ "pipelined, the last one empty",
	    GREETING HELO
	    "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<x@y.example>\n"
	    "c: BDAT 6\\r\\nA: 1\\r\\nBDAT 0 LAST\\r\\nNOOP\\r\\n\n"
	    "S: 250 2.1.0 Sender OK\nQ: rcpt_check\nA: verdict 250 local\n"
	    "S: 250 2.1.5 Recipient OK\nS: 250 2.0.0 6 octets taken\n"
	    "Q: submit\nB: A: 1\\r\\n\n" TAKEN "S: 250 2.0.0 OK\n",
	    0 },
	{ "LAST alone", TO_RCPT "C: BDAT 0 LAST\nQ: submit\nB: \n" TAKEN, 0 },
	{ "octets that look like commands",
	    TO_RCPT "c: BDAT 11 LAST\\r\\nA: QUIT\\r\\n\\r\\n\nQ: submit\n"
		    "B: A: QUIT\\r\\n\\r\\n\n" TAKEN,
	    0 },
	{ "does not mix with DATA",
	    TO_RCPT "c: BDAT 6\\r\\nA: 1\\r\\n\nS: 250 2.0.0 6 octets taken\n"
		    "C: DATA\nS: 503 5.5.1 DATA and BDAT do not mix\n"
		    "C: MAIL FROM:<a@b>\n"
		    "S: 503 5.5.1 BDAT was begun: go on with it, or RSET\n"
		    "C: RCPT TO:<a@b>\n"
		    "S: 503 5.5.1 BDAT was begun: go on with it, or RSET\n"
		    "C: NOOP\nS: 250 2.0.0 OK\n"
		    "C: RSET\nS: 250 2.0.0 Reset\n"
		    "c: BDAT 1 LAST\\r\\nx\nS: 503 5.5.1 Say MAIL first\n",
	    0 },
	{ "all recipients refused, chunks pipelined behind",
	    GREETING HELO MAIL
	    "C: RCPT TO:<x@y>\nc: BDAT 4\\r\\nRSETBDAT 4 LAST\\r\\nQUIT\n"
	    "Q: rcpt_check\nA: verdict 550 5.1.1 No\nS: 550 5.1.1 No\n"
	    "S: 554 5.5.1 No valid recipients\n"
	    "S: 554 5.5.1 No valid recipients\n" ALIVE,
	    0 },
	{ "one bare LF spoils all that follows",
	    TO_RCPT "c: BDAT 5\\r\\nA: 1\\n\n" BARE
		    "c: BDAT 2\\r\\n\\r\\n\n" BARE
		    "c: BDAT 4 LAST\\r\\nab\\r\\n\n" BARE ALIVE MAIL,
	    0 },
	{ "a message that could not begin has no rest",
	    TO_RCPT "A: queue gone\nc: BDAT 6\\r\\nA: \nA: queue back\n"
		    "c: 1\\r\\n\nS: 451 4.3.0 Not possible now, try later\n"
		    "c: BDAT 6 LAST\\r\\nB: 2\\r\\n\n"
		    "S: 451 4.3.0 Not possible now, try later\n" ALIVE MAIL,
	    0 },
	{ "a last chunk that could not begin ends the transaction",
	    TO_RCPT "A: queue gone\nc: BDAT 6 LAST\\r\\nA: 1\\r\\n\n"
		    "S: 451 4.3.0 Not possible now, try later\n"
		    "A: queue back\n" MAIL,
	    0 },
	{ "CR at the end of a chunk is not yet bare",
	    TO_RCPT "c: BDAT 5\\r\\nA: 1\\r\nS: 250 2.0.0 5 octets taken\n"
		    "c: BDAT 1 LAST\\r\\n\\n\nQ: submit\n"
		    "B: A: 1\\r\\n\n" TAKEN,
	    0 },
	{ "CR at the end of all is",
	    TO_RCPT "c: BDAT 5 LAST\\r\\nA: 1\\r\n" BARE ALIVE, 0 },
	{ "BINARYMIME",
	    GREETING EHLO
	    "C: MAIL FROM:<a@b> BODY=BINARYMIME\nS: 250 2.1.0 Sender OK\n" RCPT
	    "C: DATA\nS: 503 5.5.1 BODY=BINARYMIME wants BDAT\n"
	    "c: BDAT 13 LAST\\r\\nA: 1\\r\\n\\r\\n\\0\\n\\r\\xff.\n"
	    "Q: submit flags=3\nB: A: 1\\r\\n\\r\\n\\0\\n\\r\\xff.\n" TAKEN,
	    0 },
	{ "BINARYMIME has a header like any other",
	    GREETING EHLO
	    "C: MAIL FROM:<a@b> BODY=BINARYMIME\nS: 250 2.1.0 Sender OK\n" RCPT
	    "c: BDAT 9 LAST\\r\\nA: \\01\\r\\n\\r\\n\n"
	    "S: 550 5.6.0 The header of the message is malformed\n",
	    0 },
	{ "sizes that are none close",
	    TO_RCPT "C: BDAT -1\n"
		    "S: 501 5.5.4 Syntax: BDAT size [LAST]\nX: close\n",
	    0 },
	{ "2^64",
	    TO_RCPT "C: BDAT 18446744073709551616\nC: NOOP\n"
		    "S: 501 5.5.4 Syntax: BDAT size [LAST]\nX: close\n",
	    0 },
	{ "2^63",
	    TO_RCPT "C: BDAT 9223372036854775808\nC: NOOP\n"
		    "S: 501 5.5.4 Syntax: BDAT size [LAST]\nX: close\n",
	    0 },
	{ "2^63-1, without a transaction",
	    GREETING "C: BDAT 9223372036854775807 LAST\nC: NOOP\n"
		     "S: 552 5.3.4 Message is over the limit of 36700160 "
		     "octets\nX: close\n",
	    0 },
	{ "2^32 after some octets",
	    TO_RCPT "c: BDAT 6\\r\\nA: 1\\r\\n\nS: 250 2.0.0 6 octets taken\n"
		    "C: BDAT 4294967296\n"
		    "S: 552 5.3.4 Message is over the limit of 36700160 "
		    "octets\nX: close\n",
	    0 },
	{ "over the limit in sum",
	    "O: max_size=10\n" TO_RCPT
	    "c: BDAT 6\\r\\nA: 1\\r\\n\nS: 250 2.0.0 6 octets taken\n"
	    "c: BDAT 5\\r\\nB: 2\\r\n"
	    "S: 552 5.3.4 Message is over the limit of 10 octets\n"
	    "c: BDAT 1 LAST\\r\\nx\n"
	    "S: 552 5.3.4 Message is over the limit of 10 octets\n" ALIVE,
	    0 },
	{ "the client goes inside a chunk",
	    TO_RCPT "c: BDAT 9 LAST\\r\\nabc\nA: eof\nX: close\n", 0 },
	{ "a trickle of chunks has ten minutes",
	    TO_RCPT "c: BDAT 1\\r\\nA\nS: 250 2.0.0 1 octets taken\n"
		    "A: tick 299999\n"
		    "c: BDAT 1\\r\\n:\nS: 250 2.0.0 1 octets taken\n"
		    "A: tick 299999\n"
		    "c: BDAT 1\\r\\n2\nS: 250 2.0.0 1 octets taken\n"
		    "A: tick 2\nS: 421 4.4.2 mx.example waited long enough\n"
		    "X: close\n",
	    0 },
};

static void
test_taken(void **state)
{
	dialogues_play(taken, NITEMS(taken));
	dialogues_play(lmtp, NITEMS(lmtp));
}

static void
test_refused(void **state)
{
	dialogues_play(refused, NITEMS(refused));
}

static void
test_smuggling(void **state)
{
	char script[1024];
	struct dialogue d = { "smuggling", script, 0 };

	for (size_t i = 0; i < NITEMS(endings); i++) {
		snprintf(script, sizeof(script),
		    "%sc: A: 1\\r\\n\\r\\nx%sMAIL FROM:<s@m>\\r\\n"
		    "RCPT TO:<v@y>\\r\\nDATA\\r\\nB: 2\\r\\n.\\r\\n\n%sX: "
		    "close\n",
		    TO_DATA, endings[i],
		    strstr(endings[i], "\\0") != NULL &&
			    strncmp(endings[i], "\\r\\n.\\r\\0", 9) != 0
			? "S: 550 5.6.0 The message holds a NUL octet\n"
			: BARE);
		dialogues_play(&d, 1);
	}
}

static void
test_bdat(void **state)
{
	dialogues_play(bdat, NITEMS(bdat));
}

/* All but 2 ms of the time for a message. */
#define WAITS "A: tick 299999\nA: tick 299999\n"

/* What comes of a message earns time for the rest, also when the message is
 * not to be taken: who is told nothing else tries for days. */
static void
test_slow(void **state)
{
	static const struct {
		const char *open, *end;
	} cases[] = {
		{ TO_DATA WAITS "c: A: 1\\r\\n\\r\\n\\0\\r\\n\n",
		    "C: .\nS: 550 5.6.0 The message holds a NUL octet\n"
		    "X: close\n" },
		{ TO_RCPT "c: BDAT 5\\r\\nA: 1\\n\n" BARE
			  "c: BDAT 5407\\r\\n\n" WAITS,
		    "c: x\n" BARE ALIVE },
	};
	char script[8192];
	struct dialogue d = { "slow", script, 0 };

	for (size_t i = 0; i < NITEMS(cases); i++) {
		char *at = script;

		at += sprintf(at, "%s", cases[i].open);
		for (int n = 0; n < 6; n++)
			at += sprintf(at, "c: %0899d\\r\\n\n", 0);
		sprintf(at, "A: tick 4000\n%s", cases[i].end);
		dialogues_play(&d, 1);
	}
}

/* It is no time to be silent in: who has sent much and says no more keeps the
 * room on the disk from others. */
static void
test_silent(void **state)
{
	char script[65536];
	struct dialogue d = { "silent", script, 0 };
	char *at = script;

	at += sprintf(at, TO_DATA "c: A: 1\\r\\n\\r\\n\n");
	for (int n = 0; n < 40; n++)
		at += sprintf(at, "c: %0998d\\r\\n\n", 0);
	sprintf(at,
	    WAITS "A: tick 3\n"
		  "S: 421 4.4.2 mx.example waited long enough\nX: close\n");
	dialogues_play(&d, 1);
}

/* Chunks that are refused earn no more time than a message could. */
static void
test_slow_refused(void **state)
{
	char script[65536];
	struct dialogue d = { "chunks that are refused", script, 0 };
	char *at = script;

	at += sprintf(at, "O: max_size=2048\n" TO_RCPT);
	for (int n = 0; n < 10; n++)
		at += sprintf(at,
		    "c: BDAT 4096\\r\\n\nc: %02048d\nc: %02048d\n"
		    "S: 552 5.3.4 Message is over the limit of 2048 octets\n",
		    0, 0);
	sprintf(at,
	    "c: BDAT 9\\r\\n\n" WAITS "A: tick 5000\n"
	    "S: 421 4.4.2 mx.example waited long enough\nX: close\n");
	dialogues_play(&d, 1);
}

/* A body of many lines; what is submitted is as it was sent. */
static void
play_big(const char *open, size_t lines, const char *step, const char *close)
{
	static const char text[] =
	    "2345678901234567890123456789012345678901234567";
	char *script = malloc(lines * 150 + 4096), *at = script;
	struct dialogue d = { "big", script, 0 };

	assert_non_null(script);
	at += sprintf(at, "%sC: A: 1\nC: \n", open);
	for (size_t i = 0; i < lines; i++)
		at += sprintf(at, "C: ..%04zu%s\n", i, text);
	at += sprintf(at, "C: .\n%s", step);
	if (strstr(step, "submit") != NULL) {
		at += sprintf(at, "B: A: 1\\r\\n\\r\\n");
		for (size_t i = 0; i < lines; i++)
			at += sprintf(at, ".%04zu%s\\r\\n", i, text);
		at += sprintf(at, "\n");
	}
	sprintf(at, "%s", close);
	dialogue_play(&d, 0);
	dialogue_play(&d, 65536);
	dialogue_play(&d, 7777);
	if (lines % 10 == 0)
		dialogue_play(&d, 1);
	free(script);
}

static void
test_big(void **state)
{
	play_big(TO_DATA, 1000, "Q: submit sent=0\n", TAKEN);
	play_big(TO_DATA, 5000, "Q: submit sent=1\n", TAKEN);
	play_big("O: local socket\n" TO_DATA "C: Date: 1\nC: From: 2\n"
		 "C: Message-ID: 3\n",
	    3000, "", "Q: submit sent=1\n" TAKEN);
	play_big("O: max_size=150000\n" TO_DATA, 5000, "",
	    "Q: body_abort\n"
	    "S: 552 5.3.4 Message is over the limit of 150000 octets\n" ALIVE);
	/* the edge of the buffer falls somewhere else in each of these */
	for (size_t lines = 1220; lines < 1250; lines++)
		play_big(TO_DATA, lines, "Q: submit\n", TAKEN);
}

static void
test_big_lost(void **state)
{
	play_big(TO_DATA, 2000, "Q: submit sent=1\n",
	    "A: lost queue\n"
	    "S: 451 4.3.0 Not possible now, try later\n" ALIVE);
	play_big(TO_DATA, 2000, "Q: submit sent=1\n", "A: eof\nX: close\n");
}

/* A header section that is longer than the buffer: what our users' mail lacks
 * is put at its end, wherever that falls. */
static void
test_big_header(void **state)
{
	enum { FIELD = 100 };
	char *script = malloc(1 << 18), *at;
	struct dialogue d = { "big header", script, 0 };

	assert_non_null(script);
	for (int pad = 0; pad < 300; pad += 7) {
		at = script;
		at += sprintf(at,
		    "O: local socket\n" TO_DATA
		    "C: Date: 1\nC: Message-ID: 2\n");
		for (int i = 0; i < 610; i++)
			at += sprintf(at, "C: X: %0*d\n", FIELD - 5, i);
		at +=
		    sprintf(at, "C: Y: %0*d\nC: \nC: body\nC: .\n", pad + 1, 0);
		at += sprintf(at,
		    "Q: submit\nB: Date: 1\\r\\n"
		    "Message-ID: 2\\r\\n");
		for (int i = 0; i < 610; i++)
			at += sprintf(at, "X: %0*d\\r\\n", FIELD - 5, i);
		sprintf(at,
		    "Y: %0*d\\r\\nFrom: a@b.example\\r\\n\\r\\n"
		    "body\\r\\n\n" TAKEN,
		    pad + 1, 0);
		dialogue_play(&d, 0);
		dialogue_play(&d, 1000);
	}
	free(script);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_slow_refused),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_big_lost),
		cmocka_unit_test(test_big_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
