/*
 * Dialogues with the pure server session: greeting, order of commands,
 * recipients, limits, peers that are gone, and what is told to nobody. Bodies
 * are in test_session_body.c, AUTH and TLS in test_session_auth.c.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "session_player.h"
#include "smtpd/session.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

#define EHLO                                                      \
	"C: EHLO c.example\n"                                     \
	"S: 250-mx.example greets c.example\nS: 250-PIPELINING\n" \
	"S: 250-SIZE 36700160\nS: 250-ENHANCEDSTATUSCODES\n"      \
	"S: 250-8BITMIME\nS: 250-DSN\n" EHLO_END                  \
	"S: 250-LIMITS RCPTMAX=1000 MAILMAX=1000\nS: 250 HELP\n"
#define EHLO_END "S: 250-SMTPUTF8\nS: 250-CHUNKING\nS: 250-BINARYMIME\n"
#define FIVE "A: tick 299999\nC: NOOP\nS: 250 2.0.0 OK\n"
/* All but 12 ms of an hour, in which the client says something now and then. */
#define MINUTES_59 FIVE FIVE FIVE FIVE FIVE FIVE FIVE FIVE FIVE FIVE FIVE FIVE
#define EARLY "S: 554 5.5.1 You spoke before the greeting\nX: close\n"
static const struct dialogue greeting[] = {
	{ "greeting, nothing said", GREETING "A: eof\nX: close\n", 0 },
	{ "EHLO", GREETING EHLO QUIT, 0 },
	{ "EHLO offers what the listener has",
	    "O: starttls auth-plaintext auth no-dsn etrn max_size=1000 "
	    "max_rcpts=5 max_mails=6\n" GREETING "C: EHLO [192.0.2.1]\n"
	    "S: 250-mx.example greets [192.0.2.1]\nS: 250-PIPELINING\n"
	    "S: 250-SIZE 1000\nS: 250-ETRN\nS: 250-STARTTLS\n"
	    "S: 250-AUTH PLAIN LOGIN\nS: 250-ENHANCEDSTATUSCODES\n"
	    "S: 250-8BITMIME\n" EHLO_END
	    "S: 250-LIMITS RCPTMAX=5 MAILMAX=6\nS: 250 HELP\n",
	    0 },
	{ "AUTH is not offered in plain", "O: auth\n" GREETING EHLO, 0 },
	{ "HELO has no parameters",
	    GREETING HELO
	    "C: MAIL FROM:<a@b.example> SIZE=5\n"
	    "S: 555 5.5.4 Parameter SIZE is not known here\n" QUIT,
	    0 },
	{ "early talker",
	    "O: early\nc: EHLO\n"
	    "S: 554 5.5.1 You spoke before the greeting\nX: close\n",
	    0 },
	{ "the greeting waits",
	    "O: greet=3000\nA: tick 2999\nA: tick 1\n" GREETING HELO QUIT, 0 },
	{ "one octet before the greeting, in its last moment",
	    "O: greet=3000\nA: tick 2999\nc: E\n" EARLY, 0 },
	{ "nothing behind it is heard",
	    "O: greet=3000\nC: EHLO c\nC: MAIL FROM:<a@b>\n" EARLY
	    "A: tick 3000\n",
	    0 },
	{ "the command's time begins with the greeting",
	    "O: greet=3000\nA: tick 3000\n" GREETING "A: tick 299999\n"
	    "A: tick 1\nS: 421 4.4.2 mx.example waited long enough\n"
	    "X: close\n",
	    0 },
	{ "the session's time counts while the greeting waits",
	    "O: greet=3000 session=2000\nA: tick 1999\nA: tick 1\n"
	    "S: 421 4.4.2 mx.example waited long enough\nX: close\n",
	    0 },
	{ "the client goes before the greeting",
	    "O: greet=3000\nA: eof\nX: close\n", 0 },
	{ "the worker stops before the greeting",
	    "O: greet=3000\nA: shutdown\n"
	    "S: 421 4.3.2 mx.example is closing, come back soon\nX: close\n",
	    0 },
	{ "who is on this machine is greeted at once",
	    "O: greet=3000 secure\n" GREETING HELO, 0 },
	{ "who has to log in is greeted at once",
	    "O: greet=3000 auth auth-required starttls\n" GREETING QUIT, 0 },
	{ "who is behind a local socket is greeted at once",
	    "O: greet=3000 local socket\n" GREETING HELO, 0 },
	{ "TLS from the first octet: greeted behind the handshake",
	    "O: greet=3000 smtps\nX: tls\nA: tls ok\n" GREETING QUIT, 0 },
	{ "HTTP",
	    GREETING "C: GET / HTTP/1.1\nC: Host: x\n"
		     "S: 554 5.5.1 This is a mail server\nX: close\n",
	    0 },
	{ "HTTP field after a command",
	    GREETING HELO "C: Host: x\nC: MAIL FROM:<a@b>\n"
			  "S: 554 5.5.1 This is a mail server\nX: close\n",
	    0 },
	{ "TLS on the clear port",
	    GREETING "c: \\x16\\x03\\x01\\x02\\x00\\x01\n"
		     "S: 554 5.5.1 This is a mail server\nX: close\n",
	    0 },
	{ "HELO without a name",
	    GREETING "C: HELO\nC: EHLO \n"
		     "S: 501 5.5.4 Give the name of your host, such as EHLO "
		     "mail.example.org\n"
		     "S: 501 5.5.4 Give the name of your host, such as EHLO "
		     "mail.example.org\n",
	    0 },
	{ "HELO name of odd octets goes out harmless",
	    GREETING "C: HELO a$(x);b\n"
		     "S: 250 mx.example greets a??x??b\n",
	    0 },
	{ "LHLO on a network port",
	    GREETING "C: LHLO c\nS: 500 5.5.1 This is SMTP: say EHLO\n", 0 },
};

static const struct dialogue order[] = {
	{ "before HELO",
	    GREETING "C: MAIL FROM:<a@b>\nS: 503 5.5.1 Say EHLO or HELO first\n"
		     "C: RCPT TO:<a@b>\nS: 503 5.5.1 Say EHLO or HELO first\n"
		     "C: DATA\nS: 503 5.5.1 Say EHLO or HELO first\n"
		     "C: ETRN x\nS: 503 5.5.1 Say EHLO or HELO first\n"
		     "C: AUTH PLAIN\nS: 503 5.5.1 Say EHLO first\n"
		     "C: STARTTLS\nS: 503 5.5.1 Say EHLO first\n"
		     "C: RSET\nS: 250 2.0.0 Reset\n"
		     "C: NOOP x\nS: 250 2.0.0 OK\n"
		     "C: HELP\nS: 214 2.0.0 RFC 5321 has the commands\n"
		     "C: VRFY a\n"
		     "S: 252 2.0.0 Send some mail and it will be tried\n"
		     "C: EXPN a\nS: 502 5.5.1 Lists are not expanded here\n"
		     "c: BDAT 4\\r\\nRSETRSET\\r\\n\n"
		     "S: 503 5.5.1 Say EHLO or HELO first\n"
		     "S: 250 2.0.0 Reset\n" QUIT,
	    0 },
	{ "after HELO",
	    GREETING HELO "C: RCPT TO:<a@b>\nS: 503 5.5.1 Say MAIL first\n"
			  "C: DATA\nS: 503 5.5.1 Say MAIL first\n"
			  "c: BDAT 2 LAST\\r\\nab\n"
			  "S: 503 5.5.1 Say MAIL first\n"
			  "C: AUTH PLAIN\nS: 502 5.5.1 AUTH is not offered "
			  "here\nC: STARTTLS\n"
			  "S: 502 5.5.1 STARTTLS is not offered here\n"
			  "C: ETRN x\nS: 502 5.5.1 ETRN is not offered here\n"
			  "C: RSET\nS: 250 2.0.0 Reset\n" HELO QUIT,
	    0 },
	{ "after MAIL",
	    GREETING HELO MAIL
	    "C: MAIL FROM:<a@b>\nS: 503 5.5.1 A sender was given already\n"
	    "C: DATA\nS: 554 5.5.1 No valid recipients\n"
	    "c: BDAT 3 LAST\\r\\nabc\nS: 554 5.5.1 No valid recipients\n"
	    "C: AUTH PLAIN\nS: 503 5.5.1 Not inside a mail transaction\n"
	    "C: STARTTLS\nS: 503 5.5.1 Not inside a mail transaction\n"
	    "C: ETRN x\nS: 503 5.5.1 Not inside a mail transaction\n"
	    "C: VRFY x\nS: 252 2.0.0 Send some mail and it will be tried\n"
	    "C: RSET\nS: 250 2.0.0 Reset\n"
	    "C: RCPT TO:<a@b>\nS: 503 5.5.1 Say MAIL first\n",
	    0 },
	{ "after RCPT",
	    GREETING HELO MAIL RCPT
	    "C: MAIL FROM:<a@b>\nS: 503 5.5.1 A sender was given already\n"
	    "C: AUTH PLAIN\nS: 503 5.5.1 Not inside a mail transaction\n"
	    "C: STARTTLS\nS: 503 5.5.1 Not inside a mail transaction\n"
	    "C: NOOP\nS: 250 2.0.0 OK\n" HELO
	    "C: DATA\nS: 503 5.5.1 Say MAIL first\n",
	    0 },
	{ "after QUIT nothing is done",
	    GREETING HELO "C: QUIT\nC: MAIL FROM:<a@b>\nC: NOOP\n"
			  "S: 221 2.0.0 Goodbye\nX: close\n",
	    0 },
	{ "MAIL and RCPT that are no such",
	    GREETING HELO
	    "C: MAIL FROM:\n"
	    "S: 501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\n"
	    "C: MAIL a@b\n"
	    "S: 501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\n" MAIL
	    "C: RCPT x@y\n"
	    "S: 501 5.5.4 Syntax: RCPT TO:<address> [parameters]\n"
	    "C: FOO\nS: 500 5.5.1 Command not recognized\n",
	    0 },
	{ "control characters",
	    GREETING "c: HELO a\\0b\\r\\n\n"
		     "S: 500 5.5.2 Control character in a command\n"
		     "c: HELO a\\x1bb\\r\\n\n"
		     "S: 500 5.5.2 Control character in a command\n",
	    0 },
	{ "bare LF ends the session",
	    GREETING "c: HELO a\\nMAIL FROM:<a@b>\\r\\nNOOP\\r\\n\n"
		     "S: 500 5.5.2 Lines must end with CR LF and hold no "
		     "others\nX: close\n",
	    0 },
};

#define TOO_MANY             \
	"C: RCPT TO:<x@y>\n" \
	"S: 452 4.5.3 Too many recipients, send the rest later\n"

static const struct dialogue recipients[] = {
	{ "pipelined, answered in order",
	    GREETING HELO
	    "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<x@y.example>\n"
	    "C: RCPT TO:<z@y.example>\nC: RSET\n"
	    "S: 250 2.1.0 Sender OK\nQ: rcpt_check to=<x@y.example>\n"
	    "A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n"
	    "Q: rcpt_check to=<z@y.example>\n"
	    "A: verdict 550 5.1.1 No such recipient\n"
	    "S: 550 5.1.1 No such recipient\nS: 250 2.0.0 Reset\n",
	    0 },
	{ "facts for the rules",
	    "O: rdns\n" GREETING HELO "A: rdns c.example\n" MAIL
	    "C: RCPT TO:<Postmaster>\n"
	    "Q: rcpt_check from=<a@b.example> to=<Postmaster@our.example> "
	    "helo=c.example name=c.example flags=32 user= tag=\n"
	    "A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "a program on this machine may leave the domain out",
	    "O: secure\n" GREETING HELO
	    "C: MAIL FROM:<root>\nS: 250 2.1.0 Sender OK\n"
	    "C: RCPT TO:<joe>\n"
	    "Q: rcpt_check from=<root@our.example> to=<joe@our.example>\n"
	    "A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "a stranger may not",
	    GREETING HELO "C: MAIL FROM:<root>\n"
			  "S: 501 5.1.7 Bad sender address: no domain\n" MAIL
			  "C: RCPT TO:<joe>\n"
			  "S: 501 5.1.3 Bad recipient address: no domain\n",
	    0 },
	{ "RCPT waits for the name of the client",
	    "O: rdns\n" GREETING HELO MAIL "C: RCPT TO:<x@y>\n"
	    "A: rdns late.example\n"
	    "Q: rcpt_check to=<x@y> name=late.example\n"
	    "A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "but not for ever",
	    "O: rdns\n" GREETING HELO MAIL "C: RCPT TO:<x@y>\n"
	    "A: tick 4999\nA: tick 1\nQ: rcpt_check to=<x@y> name= flags=256\n"
	    "A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n"
	    "A: rdns late.example\nC: RCPT TO:<x@y>\n"
	    "Q: rcpt_check to=<x@y> name=late.example flags=32\n",
	    0 },
	{ "nor where RCPT comes later than a name may",
	    "O: rdns\n" GREETING HELO MAIL "A: tick 5000\n"
	    "C: RCPT TO:<x@y>\nQ: rcpt_check to=<x@y> name= flags=256\n"
	    "A: verdict 451 4.3.0 Later\nS: 451 4.3.0 Later\n"
	    "A: rdns late.example\nC: RCPT TO:<x@y>\n"
	    "Q: rcpt_check to=<x@y> name=late.example flags=32\n",
	    0 },
	{ "a client without a name",
	    "O: rdns\n" GREETING HELO MAIL "A: rdns\nC: RCPT TO:<x@y>\n"
	    "Q: rcpt_check to=<x@y> name= flags=0\n",
	    0 },
	{ "one whose name the DNS does not tell",
	    "O: rdns\n" GREETING HELO MAIL "C: RCPT TO:<x@y>\n"
	    "A: rdns-open\nQ: rcpt_check to=<x@y> name= flags=256\n",
	    0 },
	{ "one whose name the DNS does not confirm",
	    "O: rdns\n" GREETING HELO MAIL "C: RCPT TO:<x@y>\n"
	    "A: rdns-open c.example\n"
	    "Q: rcpt_check to=<x@y> name=c.example flags=256\n",
	    0 },
	{ "local user",
	    "O: local socket\n" GREETING HELO MAIL "C: RCPT TO:<x@y>\n"
	    "Q: rcpt_check user=alice flags=3\n"
	    "A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "verdicts that are none are no acceptance",
	    GREETING HELO MAIL
	    "C: RCPT TO:<x@y>\nQ: rcpt_check\nA: verdict 251 hm\n"
	    "S: 451 4.3.0 The recipient cannot be checked now\n"
	    "C: RCPT TO:<x@y>\nQ: rcpt_check\nA: verdict 354 hm\n"
	    "S: 451 4.3.0 The recipient cannot be checked now\n"
	    "C: RCPT TO:<x@y>\nQ: rcpt_check\nA: verdict 999 hm\n"
	    "S: 451 4.3.0 The recipient cannot be checked now\n"
	    "C: DATA\nS: 554 5.5.1 No valid recipients\n",
	    0 },
	{ "auth dies while asked",
	    GREETING HELO MAIL
	    "C: RCPT TO:<x@y>\nQ: rcpt_check\n"
	    "A: lost auth\nS: 451 4.3.0 The recipient cannot be checked now\n"
	    "A: verdict 250 local\nC: DATA\nS: 554 5.5.1 No valid recipients\n",
	    0 },
	{ "auth does not answer in time",
	    GREETING HELO MAIL
	    "C: RCPT TO:<x@y>\nQ: rcpt_check\n"
	    "A: tick 60000\n"
	    "S: 451 4.3.0 The recipient cannot be checked now\n"
	    "A: verdict 250 local\nC: DATA\nS: 554 5.5.1 No valid recipients\n",
	    0 },
	{ "421 of the rules ends the session",
	    GREETING HELO MAIL
	    "C: RCPT TO:<x@y>\nQ: rcpt_check\n"
	    "A: verdict 421 4.7.0 Go away\nS: 421 4.7.0 Go away\nX: close\n",
	    0 },
	{ "recipients per message",
	    "O: max_rcpts=1\n" GREETING HELO MAIL RCPT "C: RCPT TO:<x@y>\n"
	    "S: 452 4.5.3 Too many recipients, send the rest later\n",
	    0 },
	{ "recipients over the limit, for ever",
	    "O: max_rcpts=2 max_excess=2\n" GREETING HELO MAIL RCPT RCPT
		TOO_MANY TOO_MANY "C: RSET\nS: 250 2.0.0 Reset\n" MAIL RCPT RCPT
		    TOO_MANY TOO_MANY TOO_MANY
	    "S: 421 4.7.0 Too many errors\nX: close\n",
	    0 },
	{ "refused recipients",
	    "O: max_refused=2\n" GREETING HELO MAIL
	    "C: RCPT TO:<x@y>\nQ: rcpt_check\nA: verdict 550 5.1.1 No\n"
	    "S: 550 5.1.1 No\n"
	    "C: RCPT TO:<x@y>\nQ: rcpt_check\nA: verdict 550 5.1.1 No\n"
	    "S: 550 5.1.1 No\nS: 421 4.7.0 Too many errors\nX: close\n",
	    0 },
	{ "refused recipients of sendmail, whose others are to get the message",
	    "O: local socket max_refused=1\n" GREETING HELO MAIL
	    "C: RCPT TO:<x@y>\nQ: rcpt_check\nA: verdict 550 5.1.1 No\n"
	    "S: 550 5.1.1 No\n" RCPT,
	    0 },
	{ "a reply of the rules cannot forge another",
	    GREETING HELO MAIL "C: RCPT TO:<x@y>\nQ: rcpt_check\n"
			       "A: verdict 550 2.0.0 a\rb\nS: 550 5.0.0 a?b\n",
	    0 },
	{ "an id answers once",
	    GREETING HELO MAIL RCPT
	    "A: verdict 250 local\n"
	    "A: verdict 550 5.1.1 No\nC: NOOP\nS: 250 2.0.0 OK\n",
	    0 },
	{ "UTF-8 needs SMTPUTF8",
	    GREETING EHLO
	    "C: MAIL FROM:<\xc3\xa4@b.example>\n"
	    "S: 550 5.6.7 An address outside US-ASCII needs the parameter "
	    "SMTPUTF8\n"
	    "C: MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8\n"
	    "S: 250 2.1.0 Sender OK\n"
	    "C: RCPT TO:<\xc3\xb6@b.example>\n"
	    "Q: rcpt_check to=<\xc3\xb6@b.example> flags=64\n"
	    "A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n",
	    0 },
};

static const struct dialogue limits[] = {
	{ "errors",
	    "O: max_errors=2\n" GREETING "C: X\nC: X\nC: NOOP\n"
	    "S: 500 5.5.1 Command not recognized\n"
	    "S: 500 5.5.1 Command not recognized\n"
	    "S: 421 4.7.0 Too many errors\nX: close\n",
	    0 },
	{ "idle commands",
	    "O: idle=2\n" GREETING "C: NOOP\nC: RSET\nC: NOOP\n"
	    "S: 250 2.0.0 OK\nS: 250 2.0.0 Reset\n"
	    "S: 421 4.7.0 Too many commands without mail\nX: close\n",
	    0 },
	{ "messages",
	    "O: max_mails=0\n" GREETING HELO "C: MAIL FROM:<a@b>\n"
	    "S: 421 4.7.0 Enough messages in this session\nX: close\n",
	    0 },
	{ "declared size",
	    "O: max_size=99\n" GREETING "C: EHLO c\n"
	    "S: 250-mx.example greets c\nS: 250-PIPELINING\n"
	    "S: 250-SIZE 99\nS: 250-ENHANCEDSTATUSCODES\n"
	    "S: 250-8BITMIME\nS: 250-DSN\n" EHLO_END
	    "S: 250-LIMITS RCPTMAX=1000 MAILMAX=1000\nS: 250 HELP\n"
	    "C: MAIL FROM:<a@b> SIZE=100\n"
	    "S: 552 5.3.4 Message is over the limit of 99 octets\n"
	    "L: mail-refused from=a@b reply=552 5.3.4 Message is over the "
	    "limit of 99 octets address=192.0.2.1 helo=c\n"
	    "C: MAIL FROM:<a@b> SIZE=99\nS: 250 2.1.0 Sender OK\n",
	    0 },
	{ "a command may take five minutes in all",
	    GREETING "c: HE\nA: tick 299999\nc: LO\nA: tick 1\n"
		     "S: 421 4.4.2 mx.example waited long enough\nX: close\n",
	    0 },
	{ "a session may take an hour",
	    GREETING HELO MINUTES_59
	    "A: tick 12\nS: 421 4.4.2 mx.example waited long enough\n"
	    "X: close\n",
	    0 },
	{ "an envelope may take an hour",
	    GREETING HELO
	    "A: tick 5000\n" MAIL RCPT MINUTES_59
	    "A: tick 11\nC: NOOP\nS: 250 2.0.0 OK\n"
	    "A: tick 1\nS: 421 4.4.2 mx.example waited long enough\n"
	    "X: close\n",
	    0 },
	{ "its message has a time of its own",
	    GREETING HELO MAIL RCPT MINUTES_59
	    "A: tick 11\nC: DATA\n"
	    "S: 354 End with a dot on a line of its own\n"
	    "c: A: 1\\r\\n\nA: tick 599999\nC: .\nQ: submit rcpts=1\n"
	    "A: submitted 250\nS: 250 2.0.0 00000abc is in the queue\n",
	    0 },
};

static const struct dialogue peers[] = {
	{ "no queue",
	    GREETING HELO "A: queue gone\nC: MAIL FROM:<a@b>\n"
			  "S: 451 4.3.0 Not possible now, try later\n",
	    0 },
	{ "full queue",
	    GREETING HELO "A: queue 452 4.3.1 Disk full\nC: MAIL FROM:<a@b>\n"
			  "S: 452 4.3.1 Disk full\n",
	    0 },
	{ "queue on its way out",
	    GREETING HELO "A: queue 421 4.3.2 Later\nC: MAIL FROM:<a@b>\n"
			  "S: 421 4.3.2 Later\nX: close\n",
	    0 },
	{ "no message ids",
	    "O: ids=0\n" GREETING HELO "C: MAIL FROM:<a@b>\n"
	    "S: 451 4.3.0 Not possible now, try later\n",
	    0 },
	{ "queue goes between RCPT and DATA",
	    GREETING HELO MAIL RCPT
	    "A: queue gone\nC: DATA\n"
	    "S: 451 4.3.0 Not possible now, try later\n",
	    0 },
	{ "shutdown at rest",
	    GREETING HELO "A: shutdown\n"
			  "S: 421 4.3.2 mx.example is closing, come back "
			  "soon\nX: close\n",
	    0 },
	{ "shutdown after the answer that is awaited",
	    GREETING HELO MAIL
	    "C: RCPT TO:<x@y>\nQ: rcpt_check\nA: shutdown\n"
	    "A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n"
	    "S: 421 4.3.2 mx.example is closing, come back soon\nX: close\n",
	    0 },
	{ "ETRN",
	    "O: etrn\n" GREETING HELO
	    "C: ETRN other.example\nQ: etrn\nA: etrn refused\n"
	    "S: 459 4.7.1 Queue of other.example is not started for you\n"
	    "C: ETRN Backup.Example\nQ: etrn domain=backup.example "
	    "subdomains=0\n"
	    "A: etrn 3\n"
	    "S: 250 2.0.0 Queue for backup.example started, messages: 3\n"
	    "C: ETRN @backup.example\nQ: etrn subdomains=1\nA: etrn 0\n"
	    "S: 251 2.0.0 No messages wait for backup.example\n"
	    "C: ETRN backup.example\nQ: etrn\nA: lost queue\n"
	    "S: 458 4.3.0 Unable to start the queue of backup.example\n"
	    "C: ETRN\nS: 501 5.5.4 Syntax: ETRN domain, or @domain\n",
	    0 },
	{ "input waits for an answer",
	    GREETING HELO MAIL "C: RCPT TO:<x@y>\nC: QUIT\nQ: rcpt_check\n"
			       "A: verdict 550 5.1.1 No\nS: 550 5.1.1 No\n"
			       "S: 221 2.0.0 Goodbye\nX: close\n",
	    0 },
};

/* Who the client is stands in the line that tells what it did. */
static const struct dialogue told[] = {
	{ "of a recipient refused and a message taken",
	    "O: rdns\n" GREETING HELO "A: rdns mail.c.example\n" MAIL
	    "C: RCPT TO:<no@y.example>\nQ: rcpt_check\n"
	    "A: verdict 550 5.1.1 No\nS: 550 5.1.1 No\n"
	    "L: rcpt-refused from=a@b.example to=no@y.example "
	    "reply=550 5.1.1 No address=192.0.2.1 host=mail.c.example "
	    "helo=c.example\n" RCPT
	    "C: DATA\nS: 354 End with a dot on a line of its own\n"
	    "C: A: 1\nC: .\nQ: submit\n"
	    "A: submitted 250\nS: 250 2.0.0 00000abc is in the queue\n"
	    "L: message msgid=00000abc from=a@b.example size=\n"
	    "L:  reply=250 address=192.0.2.1 host=mail.c.example "
	    "helo=c.example\n" QUIT
	    "L: disconnected reason=quit messages=1 address=192.0.2.1\n",
	    0 },
	{ "of a message refused; a name that is only claimed is none",
	    "O: rdns\n" GREETING HELO "A: claimed mail.c.example\n" MAIL RCPT
	    "C: DATA\nS: 354 End with a dot on a line of its own\n"
	    "c: A: \\0\\r\\n.\\r\\n\n"
	    "S: 550 5.6.0 The message holds a NUL octet\nX: close\n"
	    "L: message-refused from=a@b.example reply=550 5.6.0 The "
	    "message holds a NUL octet address=192.0.2.1 helo=c.example\n",
	    0 },
};

static void
test_greeting(void **state)
{
	dialogues_play(greeting, NITEMS(greeting));
}

static void
test_order(void **state)
{
	dialogues_play(order, NITEMS(order));
}

static void
test_recipients(void **state)
{
	dialogues_play(recipients, NITEMS(recipients));
}

static void
test_limits(void **state)
{
	dialogues_play(limits, NITEMS(limits));
}

static void
test_peers(void **state)
{
	dialogues_play(peers, NITEMS(peers));
}

/* The client says a line, auth takes all recipients, and what is replied
 * begins like this. */
static void
say(struct session *s, struct session_turn *t, const char *line,
    const char *want)
{
	union ipc_msg m = { .rcpt_verdict = { .code = 250, .action = "a" } };

	session_turn_reset(t);
	assert_int_equal(
	    session_octets(s, t, line, strlen(line)), strlen(line));
	if (t->action_count > 0 && t->actions[0].type == MSG_rcpt_check) {
		m.rcpt_verdict.id = t->actions[0].msg.rcpt_check.id;
		session_turn_reset(t);
		session_answer(s, t, MSG_rcpt_verdict, &m);
	}
	t->out[t->out_len] = '\0';
	if (strncmp(t->out, want, strlen(want)) != 0)
		fail_msg("%s: %s", line, t->out);
}

/* What one session holds is not there for others, and comes back. */
static void
test_room(void **state)
{
	static struct session_turn turn;
	struct session_facts facts = { .client_addr = "192.0.2.1" };
	struct msg_queue_status queue = { .accepting = 1 };
	struct session_ids ids = { 1, 100 };
	struct session_pool *pool = session_pool_new(1, 50);
	struct session *s[2];
	struct session_conf conf;
	uint32_t serial = 0;

	session_conf_defaults(&conf);
	conf.max_excess = 3;
	turn.ids = &ids;
	turn.queue = &queue;
	turn.serial = &serial;
	for (int i = 0; i < 2; i++) {
		assert_non_null(s[i] = session_new(&conf, pool));
		session_connected(s[i], &turn, &facts);
		say(s[i], &turn, "HELO c\r\n", "250 ");
		say(s[i], &turn, "MAIL FROM:<a@b>\r\n", "250 ");
	}
	for (int i = 0; i < 2; i++)
		say(s[0], &turn, "RCPT TO:<x@y.example>\r\n", "250 ");
	say(s[0], &turn, "RCPT TO:<x@y.example>\r\n", "452 4.3.1 ");
	/* mail to one always goes through */
	say(s[1], &turn, "RCPT TO:<x@y.example>\r\n", "250 ");
	say(s[1], &turn, "RCPT TO:<x@y.example>\r\n", "452 4.3.1 ");
	session_free(s[0]);
	say(s[1], &turn, "RCPT TO:<x@y.example>\r\n", "250 ");
	say(s[1], &turn, "RCPT TO:<x@y.example>\r\n", "452 4.3.1 ");
	say(s[1], &turn, "RSET\r\n", "250 ");
	say(s[1], &turn, "MAIL FROM:<a@b>\r\n", "250 ");
	say(s[1], &turn, "RCPT TO:<x@y.example>\r\n", "250 ");
	say(s[1], &turn, "RCPT TO:<x@y.example>\r\n", "250 ");
	for (int i = 0; i < 3; i++)
		say(s[1], &turn, "RCPT TO:<x@y.example>\r\n", "452 4.3.1 ");
	say(s[1], &turn, "RCPT TO:<x@y.example>\r\n", "452 4.3.1 ");
	assert_true(session_is_over(s[1]));
	session_free(s[1]);
	session_pool_free(pool);
}

/* ---- more recipients than one submit holds ---- */

/* Sends a line, answers what is asked of auth, and returns the reply, which
 * lives until the next call. */
static const char *
ask(struct session *s, struct session_turn *t, const char *line)
{
	static char action[256], reply[1024];
	union ipc_msg m = { .rcpt_verdict = { .code = 250,
				.action = action,
				.enhanced = "",
				.text = "",
				.reach = REACH_ALL,
				.generation = 1 } };

	memset(action, 'a', sizeof(action) - 1);
	session_turn_reset(t);
	assert_int_equal(
	    session_octets(s, t, line, strlen(line)), strlen(line));
	for (unsigned i = 0; i < t->action_count; i++)
		if (t->actions[i].kind == ACT_SEND &&
		    t->actions[i].type == MSG_rcpt_check) {
			m.rcpt_verdict.id = t->actions[i].msg.rcpt_check.id;
			session_answer(s, t, MSG_rcpt_verdict, &m);
			break;
		}
	snprintf(reply, sizeof(reply), "%.*s", (int)t->out_len, t->out);
	return reply;
}

/* However many recipients the configuration allows: those whose octets find
 * no room in a submit are to come later, and the message is taken. */
static void
test_recipient_octets(void **state)
{
	static struct session_turn t;
	const struct session_facts facts = { .client_addr = "192.0.2.1" };
	const struct msg_queue_status queue = { .accepting = 1 };
	struct session_pool *pool = session_pool_new(1, 64 << 20);
	struct session_ids ids = { 1, 1 };
	struct session_conf conf;
	struct session *s;
	char line[1024];
	uint32_t serial = 0, taken = 0;

	session_conf_defaults(&conf);
	conf.max_rcpts = UINT32_MAX;
	s = session_new(&conf, pool);
	assert_non_null(s);
	t.ids = &ids;
	t.queue = &queue;
	t.serial = &serial;
	t.generation = 1;
	session_connected(s, &t, &facts);
	ask(s, &t, "EHLO c.example\r\n");
	ask(s, &t, "MAIL FROM:<a@b.example>\r\n");
	snprintf(line, sizeof(line),
	    "RCPT TO:<%0250d@y.example> ORCPT=rfc822;%0490d\r\n", 1, 1);
	while (strncmp(ask(s, &t, line), "250", 3) == 0)
		taken++;
	assert_true(taken > SUBMIT_RCPTS_MAX);
	assert_string_equal(ask(s, &t, line),
	    "452 4.5.3 Too many recipients, send the rest later\r\n");
	ask(s, &t, "DATA\r\n");
	ask(s, &t, "Subject: x\r\n\r\nx\r\n.\r\n");
	assert_int_equal(t.actions[0].type, MSG_submit);
	assert_int_equal(t.actions[0].msg.submit.rcpts.count, taken);
	assert_true(t.actions[0].msg.submit.rcpts.len <= SUBMIT_RCPTS_OCTETS);
	session_turn_reset(&t);
	session_close(s, &t);
	session_free(s);
	session_pool_free(pool);
}

static void
test_told(void **state)
{
	dialogues_play(told, NITEMS(told));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_recipient_octets),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
