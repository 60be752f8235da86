/*
 * Dialogues with the pure server session about STARTTLS and AUTH: what is
 * forgotten, what is refused, and every way out of an exchange (CVE-2011-0411,
 * CVE-2011-1720).
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

/* The EHLO reply with `own` among the rest. */
#define EHLO(own)                                                   \
	"C: EHLO c.example\n"                                       \
	"S: 250-mx.example greets c.example\nS: 250-PIPELINING\n"   \
	"S: 250-SIZE 36700160\n" own "S: 250-ENHANCEDSTATUSCODES\n" \
	"S: 250-8BITMIME\nS: 250-DSN\nS: 250-SMTPUTF8\n"            \
	"S: 250-CHUNKING\nS: 250-BINARYMIME\n"                      \
	"S: 250-LIMITS RCPTMAX=1000 MAILMAX=1000\nS: 250 HELP\n"
#define OFFERED "S: 250-STARTTLS\n"
#define PLAIN "S: 250-AUTH PLAIN LOGIN\n"
#define STARTTLS \
	"C: STARTTLS\nS: 220 2.0.0 Ready to start TLS\nX: tls\nA: tls\n"
#define ALIVE "C: NOOP\nS: 250 2.0.0 OK\n"
#define CLEAR "O: auth auth-plaintext\n" GREETING HELO
#define LOGIN                                                \
	"C: AUTH PLAIN AGEAYg==\nQ: sasl_begin mech=PLAIN\n" \
	"A: sasl ok alice\nS: 235 2.7.0 Authenticated\n"

static const struct dialogue tls[] = {
	{ "STARTTLS",
	    "O: starttls\n" GREETING EHLO(OFFERED) STARTTLS
	    "C: MAIL FROM:<a@b>\nS: 503 5.5.1 Say EHLO or HELO first\n" EHLO(
		"") "C: STARTTLS\nS: 503 5.5.1 TLS is already in use\n" MAIL
		    "C: RCPT TO:<x@y>\nQ: rcpt_check flags=4\n"
		    "A: verdict 250 local\nS: 250 2.1.5 Recipient OK\n"
		    "C: DATA\nS: 354 End with a dot on a line of its own\n"
		    "C: A: 1\nC: .\nQ: submit flags=32\n"
		    "R: with ESMTPS (TLSv1.3:TLS_AES_256_GCM_SHA384:256) id "
		    "00000abc\n"
		    "A: submitted 250\nS: 250 2.0.0 00000abc is in the queue\n",
	    0 },
	{ "a command behind STARTTLS",
	    "O: starttls\n" GREETING HELO "C: STARTTLS\nC: NOOP\n"
	    "S: 554 5.5.0 Commands behind STARTTLS in the same breath are "
	    "refused\nX: close\n",
	    1 },
	{ "one octet behind STARTTLS",
	    "O: starttls\n" GREETING HELO "c: STARTTLS\\r\\nX\n"
	    "S: 554 5.5.0 Commands behind STARTTLS in the same breath are "
	    "refused\nX: close\n",
	    1 },
	{ "octets during the handshake are not for the session",
	    "O: starttls\n" GREETING HELO
	    "C: STARTTLS\nS: 220 2.0.0 Ready to start TLS\nX: tls\n"
	    "A: tls-failed\nX: close\n",
	    0 },
	{ "a handshake has a minute",
	    "O: starttls\n" GREETING HELO
	    "C: STARTTLS\nS: 220 2.0.0 Ready to start TLS\nX: tls\n"
	    "A: tick 59999\nA: tick 1\nX: close\nA: tls\n",
	    0 },
	{ "a login before STARTTLS is forgotten",
	    "O: starttls auth auth-plaintext auth-required\n" GREETING EHLO(
		OFFERED PLAIN)
		LOGIN STARTTLS EHLO(
		    PLAIN) "C: MAIL FROM:<a@b>\nS: 530 5.7.0 Say AUTH first\n"
			   "L: mail-refused from=a@b reply=530 5.7.0 Say "
			   "AUTH "
			   "first address=\n",
	    0 },
	{ "TLS from the first octet",
	    "O: smtps\nX: tls\nA: tls\n" GREETING EHLO(""), 0 },
	{ "TLS from the first octet fails",
	    "O: smtps\nX: tls\nA: tls-failed\nX: close\n", 0 },
	{ "TLS is required",
	    "O: starttls tls-required etrn auth auth-plaintext\n" GREETING HELO
	    "C: MAIL FROM:<a@b>\nS: 530 5.7.0 Say STARTTLS first\n"
	    "L: mail-refused from=a@b reply=530 5.7.0 Say STARTTLS first\n"
	    "C: RCPT TO:<a@b>\nS: 530 5.7.0 Say STARTTLS first\n"
	    "C: DATA\nS: 530 5.7.0 Say STARTTLS first\n"
	    "C: VRFY a\nS: 530 5.7.0 Say STARTTLS first\n"
	    "C: ETRN a\nS: 530 5.7.0 Say STARTTLS first\n"
	    "C: AUTH PLAIN AGEAYg==\nS: 530 5.7.0 Say STARTTLS first\n"
	    "C: HELP\nS: 214 2.0.0 RFC 5321 has the commands\n" ALIVE
	    "C: RSET\nS: 250 2.0.0 Reset\n",
	    0 },
};

static const struct dialogue auth[] = {
	{ "PLAIN",
	    CLEAR
	    "C: AUTH plain AGEAYg==\n"
	    "Q: sasl_begin mech=PLAIN binding=0\nA: sasl ok alice\n"
	    "S: 235 2.7.0 Authenticated\n"
	    "L: authenticated user=alice mechanism=PLAIN address=192.0.2.1\n"
	    "C: AUTH PLAIN AGEAYg==\nS: 503 5.5.1 Already authenticated\n" MAIL
	    "C: RCPT TO:<x@y>\nQ: rcpt_check user=alice flags=16\n"
	    "A: verdict 250 out\nS: 250 2.1.5 Recipient OK\n"
	    "C: DATA\nS: 354 End with a dot on a line of its own\n"
	    "C: Date: 1\nC: Message-ID: 2\nC: .\n"
	    "Q: submit user=alice flags=8\n"
	    "B: Date: 1\\r\\nMessage-ID: 2\\r\\nFrom: "
	    "a@b.example\\r\\n\nA: submitted 250\n"
	    "S: 250 2.0.0 00000abc is in the queue\n",
	    0 },
	{ "what is added is no part of a line that BDAT left open",
	    CLEAR LOGIN MAIL RCPT
	    "c: BDAT 34 LAST\\r\\nDate: 1\\r\\nMessage-ID: 2\\r\\nSubject: x\n"
	    "Q: submit user=alice flags=8\n"
	    "B: Date: 1\\r\\nMessage-ID: 2\\r\\nSubject: x\\r\\nFrom: "
	    "a@b.example\\r\\n\nA: submitted 250\n"
	    "S: 250 2.0.0 00000abc is in the queue\n",
	    0 },
	{ "the trace has no secret, whatever its client makes of AUTH",
	    "O: auth auth-plaintext traced\n" GREETING HELO
	    "L: trace HELO c.example\n"
	    "C: AUTH LOGIN YWxpY2U=\nQ: sasl_begin\nA: sasl continue a\n"
	    "S: 334 YQ==\nL: trace AUTH (hidden)\n"
	    "C: c2VjcmV0\nQ: sasl_step response=secret\nA: sasl denied\n"
	    "S: 535 5.7.8 Authentication failed\n"
	    "L: trace (hidden)\n"
	    "C: c2VjcmV0\nS: 500 5.5.1 Command not recognized\n"
	    "L: trace (no command)\n"
	    "C: auth c2VjcmV0\n"
	    "S: 504 5.5.4 Mechanism C2VJCMV0 is not offered here\n"
	    "L: trace AUTH (hidden)\n",
	    0 },
	{ "who has logged in may leave the domain out",
	    CLEAR
	    "C: MAIL FROM:<alice>\nS: 501 5.1.7 Bad sender address: no "
	    "domain\n" LOGIN "C: MAIL FROM:<alice>\nS: 250 2.1.0 Sender OK\n"
	    "C: RCPT TO:<joe>\n"
	    "Q: rcpt_check from=<alice@our.example> to=<joe@our.example>\n"
	    "A: verdict 250 out\nS: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "what was received with a login tells it where wanted",
	    "O: auth auth-plaintext received-auth\n" GREETING EHLO(PLAIN)
		LOGIN MAIL RCPT
	    "C: DATA\nS: 354 End with a dot on a line of its own\n"
	    "C: A: 1\nC: .\nQ: submit\nR: alice\nR: with ESMTPA id\n"
	    "A: submitted 250\nS: 250 2.0.0 00000abc is in the queue\n",
	    0 },
	{ "no initial response, and an empty one",
	    CLEAR "C: AUTH PLAIN\nQ: sasl_begin initial=0:\nA: sasl continue\n"
		  "S: 334 \nC: YQ==\nQ: sasl_step response=a\n"
		  "A: sasl denied\nS: 535 5.7.8 Authentication failed\n"
		  "L: authentication-failed user= mechanism=PLAIN "
		  "address=192.0.2.1 helo=c.example\n"
		  "C: AUTH PLAIN =\nQ: sasl_begin initial=1:\n"
		  "A: sasl denied\nS: 535 5.7.8 Authentication failed\n",
	    0 },
	{ "LOGIN",
	    CLEAR "C: AUTH LOGIN\nQ: sasl_begin mech=LOGIN\n"
		  "A: sasl continue Username:\nS: 334 VXNlcm5hbWU6\n"
		  "C: YQ==\nQ: sasl_step response=a\n"
		  "A: sasl continue Password:\nS: 334 UGFzc3dvcmQ6\n"
		  "C: Yg==\nQ: sasl_step response=b\nA: sasl ok a\n"
		  "S: 235 2.7.0 Authenticated\n",
	    0 },
	{ "the last word of the server goes as a challenge",
	    CLEAR "C: AUTH PLAIN YQ==\nQ: sasl_begin initial=1:a\n"
		  "A: sasl ok alice v=x\nS: 334 dj14\nC: \n"
		  "S: 235 2.7.0 Authenticated\n",
	    0 },
	{ "and is nothing before it is acknowledged",
	    CLEAR "C: AUTH PLAIN YQ==\nQ: sasl_begin\n"
		  "A: sasl ok alice v=x\nS: 334 dj14\nC: *\n"
		  "S: 501 5.7.0 Authentication cancelled\nQ: sasl_abort\n" MAIL
		  "C: RCPT TO:<x@y>\nQ: rcpt_check user= flags=0\n"
		  "A: verdict 550 5.7.1 No\nS: 550 5.7.1 No\n",
	    0 },
	{ "cancelled, and again",
	    CLEAR "C: AUTH LOGIN\nQ: sasl_begin\nA: sasl continue x\n"
		  "S: 334 eA==\nC: *\n"
		  "S: 501 5.7.0 Authentication cancelled\nQ: sasl_abort\n"
		  "C: AUTH PLAIN\nQ: sasl_begin mech=PLAIN\n"
		  "A: sasl continue\nS: 334 \nC: *\n"
		  "S: 501 5.7.0 Authentication cancelled\nQ: sasl_abort\n"
		  "A: sasl ok alice\n" ALIVE,
	    0 },
	{ "bad base64",
	    CLEAR "C: AUTH PLAIN a\nS: 501 5.5.2 Not base64\n"
		  "C: AUTH PLAIN ab\nS: 501 5.5.2 Not base64\n"
		  "C: AUTH PLAIN abc\nS: 501 5.5.2 Not base64\n"
		  "C: AUTH PLAIN a===\nS: 501 5.5.2 Not base64\n"
		  "C: AUTH PLAIN YR==\nS: 501 5.5.2 Not base64\n"
		  "C: AUTH PLAIN ~~~~\nS: 501 5.5.2 Not base64\n"
		  "C: AUTH LOGIN\nQ: sasl_begin\nA: sasl continue x\n"
		  "S: 334 eA==\nC: a b=\nS: 501 5.5.2 Not base64\n"
		  "Q: sasl_abort\n" ALIVE,
	    0 },
	{ "a mechanism that is not offered",
	    CLEAR "C: AUTH NTLM TlRMTVNTUAAB\n"
		  "S: 504 5.5.4 Mechanism NTLM is not offered here\n"
		  "C: AUTH EXTERNAL =\n"
		  "S: 504 5.5.4 Mechanism EXTERNAL is not offered here\n"
		  "C: AUTH\n"
		  "S: 501 5.5.4 Syntax: AUTH mechanism [initial-response]\n",
	    0 },
	{ "three failures",
	    CLEAR "C: AUTH PLAIN YQ==\nQ: sasl_begin\nA: sasl denied\n"
		  "S: 535 5.7.8 Authentication failed\n"
		  "C: AUTH PLAIN YQ==\nQ: sasl_begin\nA: sasl malformed\n"
		  "S: 535 5.7.8 The name or the password is empty or "
		  "malformed\n"
		  "C: AUTH PLAIN YQ==\nQ: sasl_begin\nA: sasl denied\n"
		  "S: 535 5.7.8 Authentication failed\n"
		  "S: 421 4.7.0 Too many failed authentications\nX: close\n",
	    0 },
	{ "OK without a name is none",
	    CLEAR "C: AUTH PLAIN YQ==\nQ: sasl_begin\nA: sasl ok \n"
		  "S: 535 5.7.8 Authentication failed\n" ALIVE,
	    0 },
	{ "auth dies while asked",
	    CLEAR "C: AUTH PLAIN YQ==\nQ: sasl_begin\nA: lost auth\n"
		  "S: 454 4.7.0 Authentication is not available now\n"
		  "A: sasl ok alice\n" ALIVE,
	    0 },
	{ "auth does not answer in time",
	    CLEAR "C: AUTH PLAIN YQ==\nQ: sasl_begin\nA: tick 60000\n"
		  "S: 454 4.7.0 Authentication is not available now\n"
		  "Q: sasl_abort\nA: sasl ok alice\n" ALIVE,
	    0 },
	{ "auth dies between two steps",
	    CLEAR "C: AUTH LOGIN\nQ: sasl_begin\nA: sasl continue x\n"
		  "S: 334 eA==\nA: lost auth\nC: YQ==\n"
		  "S: 454 4.7.0 Authentication is not available now\n" ALIVE,
	    0 },
	{ "auth has trouble",
	    CLEAR "C: AUTH PLAIN YQ==\nQ: sasl_begin\nA: sasl tempfail\n"
		  "S: 454 4.7.0 Authentication is not available now\n" ALIVE,
	    0 },
	{ "two minutes for an exchange",
	    CLEAR "C: AUTH LOGIN\nQ: sasl_begin\nA: tick 59999\n"
		  "A: sasl continue x\nS: 334 eA==\nA: tick 60001\n"
		  "S: 421 4.4.2 mx.example waited long enough\nX: close\n",
	    0 },
	{ "commands behind AUTH are its responses",
	    CLEAR "C: AUTH LOGIN\nC: MAIL FROM:<a@b>\nQ: sasl_begin\n"
		  "A: sasl continue x\nS: 334 eA==\n"
		  "S: 501 5.5.2 Not base64\nQ: sasl_abort\n",
	    0 },
	{ "AUTH in plain where that is not permitted",
	    "O: auth starttls\n" GREETING EHLO(
		OFFERED) "C: AUTH PLAIN AGEAYg==\n"
			 "S: 538 5.7.11 Say STARTTLS before AUTH\n",
	    0 },
	{ "a local path needs no TLS",
	    "O: auth starttls secure\n" GREETING EHLO(OFFERED PLAIN) LOGIN, 0 },
	{ "mechanisms that bind need what they bind to",
	    "O: auth auth-plaintext starttls scram\n" GREETING EHLO(
		OFFERED "S: 250-AUTH SCRAM-SHA-256 PLAIN\n")
		STARTTLS EHLO("S: 250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 "
			      "PLAIN\n") "C: AUTH SCRAM-SHA-256-PLUS\n"
					 "Q: sasl_begin "
					 "mech=SCRAM-SHA-256-PLUS binding=10\n"
					 "A: sasl denied\nS: 535 5.7.8 "
					 "Authentication failed\n",
	    0 },
	{ "a local user has a name already",
	    "O: local socket auth auth-plaintext\n" GREETING HELO
	    "C: AUTH PLAIN YQ==\nS: 503 5.5.1 Already authenticated\n",
	    0 },
	{ "the client goes inside an exchange",
	    CLEAR "C: AUTH LOGIN\nQ: sasl_begin\nA: sasl continue x\n"
		  "S: 334 eA==\nA: eof\nX: close\n",
	    0 },
};

#define SENDERS "O: auth auth-plaintext senders\n" GREETING HELO LOGIN

static const struct dialogue senders[] = {
	{ "senders of a login",
	    SENDERS "C: MAIL FROM:<a@b.example>\n"
		    "Q: sender_check table=people user=alice "
		    "sender=<a@b.example>\n"
		    "A: sender yes\nS: 250 2.1.0 Sender OK\n"
		    "C: RSET\nS: 250 2.0.0 Reset\n"
		    "C: MAIL FROM:<b>\nQ: sender_check sender=<b@our.example>\n"
		    "A: sender yes\nS: 250 2.1.0 Sender OK\n",
	    0 },
	{ "senders of others",
	    SENDERS
	    "C: MAIL FROM:<a@b.example>\nQ: sender_check\nA: sender no\n"
	    "S: 550 5.7.1 This sender is not yours\n"
	    "L: mail-refused from=a@b.example reply=550 5.7.1 This sender\n"
	    "C: RCPT TO:<x@y>\nS: 503 5.5.1 Say MAIL first\n"
	    "C: MAIL FROM:<a@b.example>\nQ: sender_check\nA: sender tempfail\n"
	    "S: 451 4.3.0 Not possible now, try later\n"
	    "C: MAIL FROM:<a@b.example>\nQ: sender_check\nA: lost auth\n"
	    "S: 451 4.3.0 Not possible now, try later\n"
	    "C: MAIL FROM:<a@b.example>\nQ: sender_check\nA: tick 60000\n"
	    "S: 451 4.3.0 Not possible now, try later\n"
	    "C: MAIL FROM:<>\nS: 250 2.1.0 Sender OK\n",
	    0 },
	{ "another's sender is an error",
	    "O: max_errors=2 auth auth-plaintext senders\n" GREETING HELO LOGIN
	    "C: MAIL FROM:<a@b>\nQ: sender_check\nA: sender no\n"
	    "S: 550 5.7.1 This sender is not yours\n"
	    "C: MAIL FROM:<a@b>\nQ: sender_check\nA: sender no\n"
	    "S: 550 5.7.1 This sender is not yours\n"
	    "S: 421 4.7.0 Too many errors\nX: close\n",
	    0 },
};

static void
test_tls(void **state)
{
	dialogues_play(tls, NITEMS(tls));
}

static void
test_auth(void **state)
{
	dialogues_play(auth, NITEMS(auth));
}

static void
test_senders(void **state)
{
	dialogues_play(senders, NITEMS(senders));
}

/* An exchange may have longer lines than commands, and those end too. */
static void
test_long_lines(void **state)
{
	static const size_t lens[] = { 2044, 2048, 4096, 12288, 12289, 12292,
		100000 };
	char *script = malloc(400000);
	struct dialogue d = { "long lines", script, 0 };

	assert_non_null(script);
	for (size_t i = 0; i < NITEMS(lens); i++) {
		char *at = script +
		    sprintf(script, "%s",
			CLEAR
			"C: AUTH LOGIN\nQ: sasl_begin\nA: sasl continue x\n"
			"S: 334 eA==\nC: ");

		memset(at, 'A', lens[i]);
		sprintf(at + lens[i], "\n%s",
		    lens[i] > 12288
			? "S: 500 5.5.6 Authentication exchange line too "
			  "long\nQ: sasl_abort\n" ALIVE
			: "Q: sasl_step\nA: sasl denied\n"
			  "S: 535 5.7.8 Authentication failed\n" ALIVE);
		dialogues_play(&d, 1);
	}
	/* a command of the same length is none */
	for (size_t i = 0; i < NITEMS(lens); i++) {
		char *at = script + sprintf(script, "%s", GREETING HELO "C: ");

		memset(at, 'A', lens[i]);
		sprintf(at + lens[i], "\n%s" ALIVE,
		    lens[i] > 2048 ? "S: 500 5.5.2 Line too long\n"
				   : "S: 500 5.5.1 Command not recognized\n");
		dialogues_play(&d, 1);
	}
	free(script);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
