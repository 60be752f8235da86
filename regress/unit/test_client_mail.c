/*
 * Transactions of the client session: envelopes with and without pipelining,
 * extensions, bodies, the verdict on each recipient, and what of it holds
 * when the session breaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client_script.h"

#define SMTP                      \
	{                         \
		.helo = "us.test" \
	}
#define LMTP                                 \
	{                                    \
		.helo = "us.test", .lmtp = 1 \
	}
#define MAY                                                        \
	{                                                          \
		.helo = "us.test", .tls = CLIENT_TLS_OPPORTUNISTIC \
	}
#define FALLEN_BACK                                 \
	{                                           \
		.helo = "us.test", .fallen_back = 1 \
	}

#define OPEN \
	"E: connected\nS: 220 mx\nC: EHLO us.test\nS: 250 mx.test\nA: idle\n"
#define PIPE                                                         \
	"E: connected\nS: 220 mx\nC: EHLO us.test\nS: 250-mx.test\n" \
	"P: 250 PIPELINING\nA: idle\n"
#define WITH(ext)                                                    \
	"E: connected\nS: 220 mx\nC: EHLO us.test\nS: 250-mx.test\n" \
	"P: 250 " ext "\nA: idle\n"
#define LOPEN                                                        \
	"E: connected\nS: 220 mx\nC: LHLO us.test\nS: 250-mx.test\n" \
	"P: 250 PIPELINING\nA: idle\n"
#define MAIL "C: MAIL FROM:<a@b.test>\n"
#define ENVELOPE \
	"E: mail a@b.test c@d.test\n" MAIL "C: RCPT TO:<c@d.test>\nC: DATA\n"
#define TWO                                         \
	"E: mail a@b.test c@d.test,e@d.test\n" MAIL \
	"C: RCPT TO:<c@d.test>\nC: RCPT TO:<e@d.test>\n"
#define BODY "A: body\nC: x\nC: .\n"
#define OK \
	"S: 250 2.0.0 taken\nR: ok message 250 2.0.0 relayed taken\nA: idle\n"
#define TAKEN "the reply to the message, which may have been taken"
#define LOST(phase) "the server closed the connection while waiting for " phase

static const struct client_case envelopes[] = {
	{ "one command after the other", SMTP,
	    OPEN
	    "E: mail a@b.test c@d.test\n" MAIL "S: 250 ok\n"
	    "C: RCPT TO:<c@d.test>\nS: 250 ok\nC: DATA\nS: 354 go\n" BODY OK },
	{ "all at once", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY OK },
	{ "251 and 252 are as good", SMTP,
	    PIPE TWO "C: DATA\nS: 250 ok\nP: 251 moved\nP: 252 perhaps\n"
		     "P: 354 go\n" BODY
		     "S: 250 2.6.0 id\nR: ok message 250 2.6.0 relayed id\n"
		     "R: ok message 250 2.6.0 relayed id\nA: idle\n" },
	{ "the null sender", SMTP,
	    OPEN "E: mail <> c@d.test\nC: MAIL FROM:<>\nS: 250 ok\n"
		 "C: RCPT TO:<c@d.test>\n" },
	{ "two transactions need no RSET", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY OK ENVELOPE
			  "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY OK },
};

static const struct client_case verdicts[] = {
	{ "MAIL refused, one at a time: no RCPT is sent, no RSET needed", SMTP,
	    OPEN "E: mail a@b.test c@d.test,e@d.test\n" MAIL
		 "S: 450 4.7.1 later\nR: temp message 450 4.7.1 later\n"
		 "R: temp message 450 4.7.1 later\nA: idle\n"
		 "E: mail a@b.test c@d.test\n" MAIL },
	{ "MAIL refused, pipelined", SMTP,
	    PIPE ENVELOPE "S: 550 5.7.1 no\nP: 503 what\nP: 503 what\n"
			  "R: perm message 550 5.7.1 no\nA: idle\n" },
	{ "MAIL refused, DATA taken all the same", SMTP,
	    PIPE ENVELOPE "S: 550 5.7.1 no\nP: 503 what\nP: 354 go\nC: .\n"
			  "S: 554 nobody\nR: perm message 550 5.7.1 no\n"
			  "A: idle\n" },
	{ "all RCPT refused, DATA refused: RSET before the next", SMTP,
	    PIPE ENVELOPE
	    "S: 250 ok\nP: 550 5.1.1 unknown\nP: 554 no valid recipients\n"
	    "R: perm recipient 550 5.1.1 unknown\nA: idle\n"
	    "E: mail a@b.test c@d.test\nC: RSET\n" MAIL
	    "C: RCPT TO:<c@d.test>\nC: DATA\nS: 250 reset\nP: 250 ok\n"
	    "P: 250 ok\nP: 354 go\n" BODY OK },
	{ "all RCPT refused, 354: a dot for nobody, and no RSET", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 550 unknown\nP: 354 go\nC: .\n"
			  "S: 250 taken\nR: perm recipient 550 5.0.0 unknown\n"
			  "A: idle\n" ENVELOPE },
	{ "all RCPT refused, one at a time: no DATA", SMTP,
	    OPEN "E: mail a@b.test c@d.test\n" MAIL "S: 250 ok\n"
		 "C: RCPT TO:<c@d.test>\nS: 450 4.2.1 later\n"
		 "R: temp recipient 450 4.2.1 later\nA: idle\n"
		 "E: mail a@b.test c@d.test\nC: RSET\nS: 250 ok\n" MAIL },
	{ "one RCPT of two", SMTP,
	    PIPE TWO "C: DATA\nS: 250 ok\nP: 550 5.1.1 unknown\nP: 250 ok\n"
		     "P: 354 go\n" BODY
		     "S: 250 taken\nR: perm recipient 550 5.1.1 unknown\n"
		     "R: ok message 250 2.0.0 relayed taken\nA: idle\n" },
	{ "one RCPT for good, one for now, DATA refused", SMTP,
	    PIPE TWO "C: DATA\nS: 250 ok\nP: 250 ok\nP: 452 4.2.2 full\n"
		     "P: 451 4.3.0 no\nR: temp message 451 4.3.0 no\n"
		     "R: temp recipient 452 4.2.2 full\nA: idle\n" },
	{ "250 to DATA is no SMTP", SMTP,
	    PIPE ENVELOPE
	    "S: 250 ok\nP: 250 ok\nP: 250 ok\n"
	    "R: temp session 451 4.5.0 unexpected reply to DATA: 250 ok\n"
	    "A: close protocol temp 451 4.5.0 unexpected reply to DATA: 250 "
	    "ok\n" },
	{ "354 to RCPT does not accept", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 354 go\nP: 554 nobody\n"
			  "R: temp recipient 451 4.5.0 go\nA: idle\n" },
	{ "the message refused for good", SMTP,
	    PIPE TWO
	    "C: DATA\nS: 250 ok\nP: 250 ok\nP: 250 ok\nP: 354 go\n" BODY
	    "S: 554 5.7.1 spam\nR: perm message 554 5.7.1 spam\n"
	    "R: perm message 554 5.7.1 spam\nA: idle\n" ENVELOPE },
	{ "354 to the message does not accept", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY
			  "S: 354 more\nR: temp message 451 4.5.0 more\n"
			  "A: idle\n" },
	{ "RSET refused", SMTP,
	    OPEN "E: mail a@b.test c@d.test\n" MAIL "S: 250 ok\n"
		 "C: RCPT TO:<c@d.test>\nS: 550 no\n"
		 "R: perm recipient 550 5.0.0 no\nA: idle\n"
		 "E: mail a@b.test c@d.test\nC: RSET\nS: 500 what\n"
		 "R: temp session 451 4.0.0 the server said 500 what\n"
		 "A: close protocol temp 451 4.0.0 the server said 500 "
		 "what\n" },
};

static const struct client_case limits[] = {
	{ "RCPTMAX: batches of their own", SMTP,
	    WITH("LIMITS RCPTMAX=1") "E: mail a@b.test c@d.test,e@d.test\n" MAIL
				     "S: 250 ok\n"
				     "C: RCPT TO:<c@d.test>\nS: 250 ok\nC: "
				     "DATA\nS: 354 go\n" BODY
				     "S: 250 one\n" MAIL
				     "S: 250 ok\nC: RCPT TO:<e@d.test>\n"
				     "S: 250 ok\nC: DATA\nS: 354 go\n" BODY
				     "S: 250 two\n"
				     "R: ok message 250 2.0.0 relayed one\n"
				     "R: ok message 250 2.0.0 relayed two\nA: "
				     "idle\n" },
	{ "too many recipients said by 452", SMTP,
	    PIPE TWO "C: DATA\nS: 250 ok\nP: 250 ok\nP: 452 too many\n"
		     "P: 354 go\n" BODY "S: 250 one\n" MAIL
		     "C: RCPT TO:<e@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		     "P: 354 go\n" BODY "S: 250 two\n"
		     "R: ok message 250 2.0.0 relayed one\n"
		     "R: ok message 250 2.0.0 relayed two\nA: idle\n" },
	{ "all refused since some were too many", SMTP,
	    PIPE TWO "C: DATA\nS: 250 ok\nP: 250 ok\nP: 552 too many\n"
		     "P: 554 too many\nC: RSET\n" MAIL
		     "C: RCPT TO:<c@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		     "P: 250 ok\nP: 354 go\n" BODY "S: 250 one\n" MAIL
		     "C: RCPT TO:<e@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		     "P: 354 go\n" BODY "S: 250 two\n"
		     "R: ok message 250 2.0.0 relayed one\n"
		     "R: ok message 250 2.0.0 relayed two\nA: idle\n" },
	{ "all refused, whoever was too many", SMTP,
	    PIPE TWO "C: DATA\nS: 250 ok\nP: 250 ok\nP: 552 too many\n"
		     "P: 554 no\nC: RSET\n" MAIL
		     "C: RCPT TO:<c@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		     "P: 250 ok\nP: 554 no\nC: RSET\n" MAIL
		     "C: RCPT TO:<e@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		     "P: 250 ok\nP: 554 no\n"
		     "R: perm message 554 5.0.0 no\n"
		     "R: perm message 554 5.0.0 no\nA: idle\n" },
	{ "552 4.5.3 of old, and not one accepted", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 552 too many\nP: 554 nobody\n"
			  "R: temp recipient 452 4.5.3 too many\nA: idle\n" },
	{ "552 5.2.2 is a full mailbox", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 552 5.2.2 full\nP: 554 nobody\n"
			  "R: perm recipient 552 5.2.2 full\nA: idle\n" },
	{ "SIZE is declared", SMTP,
	    WITH("SIZE 100") "E: mail a@b.test c@d.test size=100 probe\n"
			     "C: MAIL FROM:<a@b.test>\nS: 250 ok\nC: RCPT "
			     "TO:<c@d.test>\n"
			     "S: 250 ok\nR: ok recipient 250 2.0.0 relayed "
			     "ok\nA: idle\n"
			     "E: mail a@b.test c@d.test\nC: RSET\nS: 250 ok\n"
			     "C: MAIL FROM:<a@b.test> SIZE=3\n" },
	{ "too large for the server", SMTP,
	    WITH("SIZE 100") "E: mail a@b.test c@d.test size=101\n"
			     "R: perm message 552 5.3.4 the message has 101 "
			     "octets, the server "
			     "takes at most 100\nA: idle\n" },
	{ "SIZE without limit", SMTP,
	    WITH("SIZE 0") "E: mail a@b.test c@d.test size=99999999\n"
			   "C: MAIL FROM:<a@b.test> SIZE=99999999\n" },
};

static const struct client_case extensions[] = {
	{ "8 bits where offered", SMTP,
	    WITH("8BITMIME") "E: mail a@b.test c@d.test 8bit\n"
			     "C: MAIL FROM:<a@b.test> BODY=8BITMIME\n" },
	{ "8 bits where not offered go as they are", SMTP,
	    OPEN "E: mail a@b.test c@d.test 8bit body=\\xc3\\xa4\\r\\n\n" MAIL
		 "S: 250 ok\nC: RCPT TO:<c@d.test>\nS: 250 ok\nC: DATA\n"
		 "S: 354 go\nA: body\nC: \xc3\xa4\nC: .\n" OK },
	{ "an address that needs SMTPUTF8, offered", SMTP,
	    WITH("SMTPUTF8") "E: mail a@b.test \xc3\xa4@d.test\n"
			     "C: MAIL FROM:<a@b.test> SMTPUTF8\nS: 250 ok\n"
			     "C: RCPT TO:<\xc3\xa4@d.test>\n" },
	{ "not offered: that recipient alone", SMTP,
	    OPEN "E: mail a@b.test \xc3\xa4@d.test,c@d.test\n" MAIL
		 "S: 250 ok\nC: RCPT TO:<c@d.test>\nS: 250 ok\nC: DATA\n"
		 "S: 354 go\n" BODY "S: 250 taken\n"
		 "R: perm recipient 553 5.6.7 the server does not take "
		 "internationalised mail (SMTPUTF8)\n"
		 "R: ok message 250 2.0.0 relayed taken\nA: idle\n" },
	{ "TLS is wanted where it failed a while ago", FALLEN_BACK,
	    OPEN "E: mail a@b.test c@d.test\n" MAIL
		 "S: 530 5.7.0 STARTTLS first\n"
		 "R: temp message 451 4.7.10 TLS failed, and without it: 530 "
		 "STARTTLS first\nA: idle\n" },
	{ "TLS is wanted where it was refused just now", MAY,
	    "E: connected\nS: 220 mx\nC: EHLO us.test\nS: 250-mx.test\n"
	    "P: 250 STARTTLS\nC: STARTTLS\nS: 454 4.3.0 not now\nA: idle\n"
	    "E: mail a@b.test c@d.test\n" MAIL "S: 550 5.7.10 encrypt\n"
	    "R: temp message 451 4.7.10 TLS failed, and without it: 550 "
	    "encrypt\nA: idle\n" },
	{ "TLS failed: what it may offer is waited for", FALLEN_BACK,
	    OPEN "E: mail a@b.test \xc3\xa4@d.test,c@d.test\n" MAIL
		 "S: 250 ok\nC: RCPT TO:<c@d.test>\nS: 250 ok\nC: DATA\n"
		 "S: 354 go\n" BODY "S: 250 taken\n"
		 "R: temp recipient 451 4.7.10 TLS failed, and without it: the "
		 "server does not take internationalised mail (SMTPUTF8)\n"
		 "R: ok message 250 2.0.0 relayed taken\nA: idle\n" },
	{ "TLS failed: a sender that needs SMTPUTF8", FALLEN_BACK,
	    OPEN "E: mail \xc3\xa4@b.test c@d.test\n"
		 "R: temp message 451 4.7.10 TLS failed, and without it: the "
		 "server does not take internationalised mail (SMTPUTF8)\n"
		 "A: idle\n" },
	{ "TLS was refused: binary content", MAY,
	    "E: connected\nS: 220 mx\nC: EHLO us.test\nS: 250-mx.test\n"
	    "P: 250 STARTTLS\nC: STARTTLS\nS: 454 4.3.0 not now\nA: idle\n"
	    "E: mail a@b.test c@d.test binary\n"
	    "R: temp message 451 4.7.10 TLS failed, and without it: the server "
	    "does not take binary content (BINARYMIME)\nA: idle\n" },
	{ "TLS is wanted where it was never there", SMTP,
	    OPEN "E: mail a@b.test c@d.test\n" MAIL
		 "S: 530 5.7.0 STARTTLS first\n"
		 "R: perm message 530 5.7.0 STARTTLS first\nA: idle\n" },
	{ "a sender that needs SMTPUTF8, not offered", SMTP,
	    OPEN "E: mail \xc3\xa4@b.test c@d.test\n"
		 "R: perm message 553 5.6.7 the server does not take "
		 "internationalised mail (SMTPUTF8)\nA: idle\n" },
	{ "a body of 8 bits that said SMTPUTF8, not offered", SMTP,
	    WITH(
		"8BITMIME") "E: mail a@b.test c@d.test utf8 8bit\n"
			    "C: MAIL FROM:<a@b.test> BODY=8BITMIME\nS: 250 ok\n"
			    "C: RCPT TO:<c@d.test>\nS: 550 5.1.1 no\n"
			    "R: perm recipient 550 5.1.1 no\nA: idle\n" },
	{ "a header that needs SMTPUTF8, not offered", SMTP,
	    WITH("8BITMIME") "E: mail a@b.test c@d.test utf8 8bit-header\n"
			     "R: perm message 553 5.6.7 the server does not "
			     "take "
			     "internationalised mail (SMTPUTF8)\nA: idle\n" },
	{ "mail that said SMTPUTF8 and does not need it", SMTP,
	    OPEN "E: mail a@b.test c@d.test utf8\n" MAIL },
	{ "DSN where offered", SMTP,
	    WITH("DSN") "E: mail a@b.test c@d.test ret=full envid=x+y "
			"notify=never orcpt=rfc822;o@d.test\n"
			"C: MAIL FROM:<a@b.test> RET=FULL ENVID=x+2By\nS: 250 "
			"ok\n"
			"C: RCPT TO:<c@d.test> NOTIFY=NEVER "
			"ORCPT=rfc822;o@d.test\n"
			"S: 250 ok\nC: DATA\nS: 354 go\n" BODY
			"S: 250 2.0.0 taken\n"
			"R: ok message 250 2.0.0 taken\nA: idle\n" },
	{ "DSN where not offered", SMTP,
	    OPEN
	    "E: mail a@b.test c@d.test ret=full envid=x notify=never\n" MAIL
	    "S: 250 ok\nC: RCPT TO:<c@d.test>\n" },
	{ "binary where not offered", SMTP,
	    WITH("CHUNKING") "E: mail a@b.test c@d.test binary\n"
			     "R: perm message 554 5.6.3 the server does not "
			     "take binary content "
			     "(BINARYMIME)\nA: idle\n" },
};

#define BINARY                                                             \
	"E: connected\nS: 220 mx\nC: EHLO us.test\nS: 250-mx.test\n"       \
	"P: 250-CHUNKING\nP: 250-PIPELINING\nP: 250 BINARYMIME\nA: idle\n" \
	"E: mail a@b.test c@d.test binary body=.\\r\\nab\\r\\nc.\\r\\n\n"  \
	"C: MAIL FROM:<a@b.test> BODY=BINARYMIME\nC: RCPT TO:<c@d.test>\n"

static const struct client_case bodies[] = {
	{ "dots are stuffed", SMTP,
	    PIPE
	    "E: mail a@b.test c@d.test body=.\\r\\n..a\\r\\nb.\\r\\n\n" MAIL
	    "C: RCPT TO:<c@d.test>\nC: DATA\n"
	    "S: 250 ok\nP: 250 ok\nP: 354 go\nA: body\nC: ..\nC: ...a\n"
	    "C: b.\nC: .\n" OK },
	{ "a body without CRLF at its end", SMTP,
	    PIPE "E: mail a@b.test c@d.test body=abc\n" MAIL
		 "C: RCPT TO:<c@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		 "P: 354 go\nA: body\nC: abc\nC: .\n" OK },
	{ "an empty body", SMTP,
	    PIPE "E: mail a@b.test c@d.test nobody size=0\n" MAIL
		 "C: RCPT TO:<c@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		 "P: 354 go\nA: body\nC: .\n" OK },
	{ "bare CR and LF never leave: no second end of data", SMTP,
	    PIPE "E: mail a@b.test c@d.test body=a\\n.\\nb\\r.\\r\\nMAIL\\n.\\r"
		 "\\n\n" MAIL "C: RCPT TO:<c@d.test>\nC: DATA\nS: 250 ok\n"
		 "P: 250 ok\nP: 354 go\nA: body\nC: a\nC: ..\nC: b\nC: ..\n"
		 "C: MAIL\nC: ..\nC: .\n" OK },
	{ "BDAT", SMTP,
	    BINARY "S: 250 ok\nP: 250 ok\nA: body\nC: BDAT 7\nC: .\nC: ab\n"
		   "S: 250 more\nC: BDAT 4 LAST\nC: c.\n" OK },
	{ "BDAT refused in the middle: RSET", SMTP,
	    BINARY "S: 250 ok\nP: 250 ok\nA: body\nC: BDAT 7\nC: .\nC: ab\n"
		   "S: 552 5.3.4 full\nR: perm message 552 5.3.4 full\n"
		   "A: idle\nE: mail a@b.test c@d.test\nC: RSET\n" MAIL
		   "C: RCPT TO:<c@d.test>\nC: DATA\n" },
	{ "BDAT refused at its end: RSET", SMTP,
	    BINARY "S: 250 ok\nP: 250 ok\nA: body\nC: BDAT 7\nC: .\nC: ab\n"
		   "S: 250 more\nC: BDAT 4 LAST\nC: c.\n"
		   "S: 554 5.7.1 spam\nR: perm message 554 5.7.1 spam\n"
		   "A: idle\nE: mail a@b.test c@d.test\nC: RSET\n" MAIL
		   "C: RCPT TO:<c@d.test>\nC: DATA\n" },
	{ "BDAT for nobody is not sent", SMTP,
	    BINARY "S: 250 ok\nP: 550 no\nR: perm recipient 550 5.0.0 no\n"
		   "A: idle\n" },
	{ "a verdict before the end of the body, then gone", SMTP,
	    PIPE "E: mail a@b.test c@d.test nobody size=9\n" MAIL
		 "C: RCPT TO:<c@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		 "P: 354 go\nA: body\nS: 552 5.3.4 too large\n"
		 "R: perm message 552 5.3.4 too large\nA: close protocol temp "
		 "451 4.5.0 the server talks out of turn: 552 too large\n" },
	{ "success before the end of the body is none", SMTP,
	    PIPE "E: mail a@b.test c@d.test nobody size=9\n" MAIL
		 "C: RCPT TO:<c@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		 "P: 354 go\nA: body\nS: 250 taken\n"
		 "R: temp session 451 4.5.0 the server talks out of turn: 250 "
		 "taken\nA: close protocol temp 451 4.5.0 the server talks out "
		 "of turn: 250 taken\n" },
	{ "421 while the body goes", SMTP,
	    PIPE "E: mail a@b.test c@d.test nobody size=9\n" MAIL
		 "C: RCPT TO:<c@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		 "P: 354 go\nA: body\nS: 421 4.3.2 bye\n"
		 "R: temp session 421 4.3.2 bye\n"
		 "A: close busy temp 421 4.3.2 bye\n" },
	{ "the body cannot be had: no end of data", SMTP,
	    PIPE "E: mail a@b.test c@d.test nobody size=9\n" MAIL
		 "C: RCPT TO:<c@d.test>\nC: DATA\nS: 250 ok\nP: 250 ok\n"
		 "P: 354 go\nA: body\nE: bodyfail\n"
		 "R: temp session 451 4.3.0 no body\n"
		 "A: close aborted temp 451 4.3.0 no body\n" },
};

static const struct client_case breaks[] = {
	{ "gone in the envelope: another host may be tried", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nE: eof\nR: temp session 451 4.4.2 " LOST(
		"the reply to the envelope") "\nA: close lost temp 451 "
					     "4.4.2 " LOST("the reply to the "
							   "envelope") "\n" },
	{ "a recipient refused before keeps its verdict", SMTP,
	    PIPE TWO
	    "C: DATA\nS: 250 ok\nP: 550 5.1.1 unknown\nE: eof\n"
	    "R: perm recipient 550 5.1.1 unknown\n"
	    "R: temp session 451 4.4.2 " LOST(
		"the reply to the envelope") "\nA: close lost temp 451 "
					     "4.4.2 " LOST("the reply to the "
							   "envelope") "\n" },
	{ "421 to RCPT", SMTP,
	    PIPE TWO "C: DATA\nS: 250 ok\nP: 250 ok\nP: 421 4.7.0 enough\n"
		     "R: temp session 421 4.7.0 enough\n"
		     "R: temp session 421 4.7.0 enough\n"
		     "A: close busy temp 421 4.7.0 enough\n" },
	{ "gone after the end of data: nobody else is tried at once", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY
			  "E: eof\nR: temp message 451 4.4.2 " LOST(
			      TAKEN) "\nA: close lost temp 451 "
				     "4.4.2 " LOST(TAKEN) "\n" },
	{ "no reply to the message", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY
			  "E: timeout\nR: temp message 451 4.4.2 timeout while "
			  "waiting for " TAKEN "\n"
			  "A: close timeout temp 451 4.4.2 timeout while "
			  "waiting for " TAKEN "\n" },
	{ "421 to the message", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY
			  "S: 421 4.3.0 bye\nR: temp message 421 4.3.0 bye\n"
			  "A: close busy temp 421 4.3.0 bye\n" },
	{ "421 behind a success takes nothing back", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY OK
			  "S: 421 4.3.2 bye\nA: close busy temp 421 4.3.2 "
			  "bye\n" },
	{ "a kept session that is dead at once is stale", SMTP,
	    PIPE ENVELOPE
	    "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY OK ENVELOPE
	    "E: eof\nR: temp session 451 4.4.2 " LOST(
		"the reply to the envelope") "\nA: close lost temp 451 4.4.2 "
					     "stale " LOST("the reply to the "
							   "envelope") "\n" },
	{ "a kept session that says 421 at once is stale", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY OK ENVELOPE
			  "S: 421 4.4.2 idle too long\n"
			  "R: temp session 421 4.4.2 idle too long\n"
			  "A: close busy temp 421 4.4.2 stale idle too "
			  "long\n" },
	{ "a kept session that is out of step is stale", SMTP,
	    PIPE ENVELOPE
	    "S: 250 ok\nP: 250 ok\nP: 354 go\n" BODY OK ENVELOPE
	    "S: 503 5.5.1 what\n"
	    "R: temp session 451 4.5.1 the server said 503 what\n"
	    "A: close busy temp 451 4.5.1 stale the server said 503 what\n" },
	{ "503 to the first MAIL is a verdict", SMTP,
	    PIPE ENVELOPE "S: 503 5.5.1 no\nP: 503 no\nP: 503 no\n"
			  "R: perm message 503 5.5.1 no\nA: idle\n" },
	{ "malformed in the envelope", SMTP,
	    PIPE ENVELOPE "S: 250 ok\nP: hello\nR: temp session 451 4.5.0 "
			  "malformed reply: no reply code\nA: close protocol "
			  "temp 451 4.5.0 malformed reply: no reply code\n" },
	{ "aborted by the queue", SMTP,
	    PIPE ENVELOPE "E: abort\nR: temp session 451 4.3.0 cancelled\n"
			  "A: close aborted temp 451 4.3.0 cancelled\n" },
};

static const struct client_case lmtp[] = {
	{ "a reply a recipient", LMTP,
	    LOPEN TWO
	    "S: 250 ok\nP: 250 ok\nP: 250 ok\nC: DATA\nS: 354 go\n" BODY
	    "S: 250 2.1.5 one\nP: 452 4.2.2 full\n"
	    "R: ok recipient 250 2.1.5 final one\n"
	    "R: temp recipient 452 4.2.2 full\nA: idle\n" },
	{ "no reply for one that was refused", LMTP,
	    LOPEN TWO "S: 250 ok\nP: 550 5.1.1 unknown\nP: 250 ok\nC: DATA\n"
		      "S: 354 go\n" BODY "S: 250 2.1.5 two\n"
		      "R: perm recipient 550 5.1.1 unknown\n"
		      "R: ok recipient 250 2.1.5 final two\nA: idle\n" },
	{ "no DATA for nobody", LMTP,
	    LOPEN TWO "S: 250 ok\nP: 550 5.1.1 unknown\nP: 550 5.1.1 unknown\n"
		      "R: perm recipient 550 5.1.1 unknown\n"
		      "R: perm recipient 550 5.1.1 unknown\nA: idle\n" },
	{ "busy for one of them", LMTP,
	    LOPEN TWO
	    "S: 250 ok\nP: 250 ok\nP: 250 ok\nC: DATA\nS: 354 go\n" BODY
	    "S: 421 4.3.2 away\nP: 250 2.1.5 two\n"
	    "R: temp recipient 421 4.3.2 away\n"
	    "R: ok recipient 250 2.1.5 final two\nA: idle\n" },
	{ "gone between the replies", LMTP,
	    LOPEN TWO
	    "S: 250 ok\nP: 250 ok\nP: 250 ok\nC: DATA\nS: 354 go\n" BODY
	    "S: 250 2.1.5 one\nE: eof\n"
	    "R: ok recipient 250 2.1.5 final one\n"
	    "R: temp message 451 4.4.2 " LOST(TAKEN) "\nA: close lost temp 451 "
						     "4.4.2 " LOST(
							 TAKEN) "\n" },
};

#define RUN(name)                                                           \
	static void test_##name(void **state)                               \
	{                                                                   \
		for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) \
			client_case_run(&name[i]);                          \
	}

RUN(envelopes)
RUN(verdicts)
RUN(limits)
RUN(extensions)
RUN(bodies)
RUN(breaks)
RUN(lmtp)

/* 150 recipients go in windows, never more than 64 commands ahead. */
static void
test_window(void **state)
{
	static const struct client_config config = { .helo = "us.test" };
	static char names[150][16];
	struct client_rcpt rcpts[150];
	struct client_mail mail = { .sender = "a@b.test",
		.envid = "",
		.rcpts = rcpts,
		.rcpts_count = 150 };
	struct client *c = client_new(&config, 1);
	struct client_action a;
	size_t sent = 0, answered = 0, rounds = 0, n;

	for (size_t i = 0; i < 150; i++) {
		snprintf(names[i], sizeof(names[i]), "r%zu@d.test", i);
		rcpts[i] = (struct client_rcpt){ names[i], "", 0 };
	}
	client_connected(c, 1);
	client_octets(c, "220 mx\r\n", 8, 1);
	client_octets(c, "250-mx\r\n250 PIPELINING\r\n", 24, 1);
	while (client_next(c, &a))
		;
	client_transaction(c, &mail, 1);
	for (;; rounds++) {
		for (n = 0; client_next(c, &a);)
			for (size_t i = 0; i < a.len; i++)
				n += ((const char *)a.data)[i] == '\n';
		sent += n;
		assert_in_range(sent - answered, 0, 64);
		if (n == 0 || sent == 152)
			break;
		for (; answered < sent; answered++)
			client_octets(c, "250 ok\r\n", 8, 1);
	}
	assert_int_equal(sent, 152);
	assert_in_range(rounds, 2, 150);
	client_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelopes),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_breaks),
		cmocka_unit_test(test_lmtp),
		cmocka_unit_test(test_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
