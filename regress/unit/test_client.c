/*
 * The opening and the end of client sessions: greeting, EHLO and HELO,
 * STARTTLS and its attacks (RFC 3207; ATTACKS A.2, C.20), AUTH.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client_script.h"

#define PLAIN                     \
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
#define MUST                                                  \
	{                                                     \
		.helo = "us.test", .tls = CLIENT_TLS_REQUIRED \
	}
#define VERIFY                                                \
	{                                                     \
		.helo = "us.test", .tls = CLIENT_TLS_VERIFIED \
	}
#define SMTPS                                                  \
	{                                                      \
		.helo = "us.test", .tls = CLIENT_TLS_VERIFIED, \
		.implicit_tls = 1                              \
	}
#define LOOP                                             \
	{                                                \
		.helo = "us.test", .own_name = "us.test" \
	}
#define AUTH                                         \
	{                                            \
		.helo = "us.test", .authenticate = 1 \
	}
#define AUTH_MAY                                      \
	{                                             \
		.helo = "us.test", .authenticate = 1, \
		.tls = CLIENT_TLS_OPPORTUNISTIC       \
	}
#define CLEAR                                                             \
	{                                                                 \
		.helo = "us.test", .authenticate = 1, .clear_password = 1 \
	}

#define HELLO "E: connected\nS: 220 mx.test ESMTP\nC: EHLO us.test\n"
#define OFFER "S: 250-mx.test at your service\nP: 250 STARTTLS\nC: STARTTLS\n"
#define INSIDE(certificate) \
	OFFER "S: 220 go\nA: tls\nE: tls " certificate "\nC: EHLO us.test\n"

static const struct client_case openings[] = {
	{ "the shortest session", PLAIN,
	    HELLO "S: 250 mx.test\nA: idle\nE: quit\nC: QUIT\nS: 221 bye\n"
		  "A: close quit ok 221 2.0.0 closed\n" },
	{ "greeting and EHLO of many lines", PLAIN,
	    "E: connected\nS: 220-mx.test\nP: 220-no spam\nP: 220 ESMTP\n"
	    "C: EHLO us.test\nS: 250-mx.test\nP: 250-SIZE\nP: 250-XYZZY 1 2\n"
	    "P: 250 HELP\nA: idle\n" },
	{ "HELO where EHLO is not known", PLAIN,
	    HELLO
	    "S: 502 what\nC: HELO us.test\nS: 250 mx.test hi\nA: idle\n" },
	{ "HELO refused too", PLAIN,
	    HELLO "S: 502 what\nC: HELO us.test\nS: 550 5.7.1 go away\n"
		  "C: QUIT\nA: close refused temp 451 4.7.1 "
		  "the server said 550 go away\n" },
	{ "LMTP says LHLO and has no HELO", LMTP,
	    "E: connected\nS: 220 mx\nC: LHLO us.test\nS: 500 what\nC: QUIT\n"
	    "A: close refused temp 451 4.0.0 the server said 500 what\n" },
	{ "EHLO refused for now", PLAIN,
	    HELLO "S: 450 4.7.1 later\nC: QUIT\n"
		  "A: close refused temp 450 4.7.1 later\n" },
	{ "greeting 554 is no verdict on mail", PLAIN,
	    "E: connected\nS: 554 5.7.1 your address is listed\nC: QUIT\n"
	    "A: close refused temp 451 4.7.1 "
	    "the server said 554 your address is listed\n" },
	{ "greeting 521 is: RFC 7504", PLAIN,
	    "E: connected\nS: 521 no mail here\nC: QUIT\n"
	    "A: close refused perm 521 5.0.0 no mail here\n" },
	{ "greeting 421", PLAIN,
	    "E: connected\nS: 421 4.3.2 busy\n"
	    "A: close busy temp 421 4.3.2 busy\n" },
	{ "greeting 354", PLAIN,
	    "E: connected\nS: 354 go ahead\nC: QUIT\n"
	    "A: close refused temp 451 4.0.0 the server said 354 go ahead\n" },
	{ "421 to EHLO", PLAIN,
	    HELLO "S: 421 too busy\nA: close busy temp 421 4.0.0 too busy\n" },
	{ "gone before the greeting", PLAIN,
	    "E: connected\nE: eof\nA: close lost temp 451 4.4.2 the server "
	    "closed the connection while waiting for the greeting\n" },
	{ "no greeting in time", PLAIN,
	    "E: connected\nE: timeout\nA: close timeout temp 451 4.4.2 "
	    "timeout while waiting for the greeting\n" },
	{ "no connection in time", PLAIN,
	    "E: timeout\nA: close connect temp 451 4.4.1 the connection timed "
	    "out\n" },
	{ "gone while idle", PLAIN,
	    HELLO "S: 250 mx.test\nA: idle\nE: eof\nA: close lost temp 451 "
		  "4.4.2 the server closed the connection while waiting for "
		  "mail\n" },
	{ "421 while idle", PLAIN,
	    HELLO "S: 250 mx.test\nA: idle\nS: 421 timeout\n"
		  "A: close busy temp 421 4.0.0 timeout\n" },
	{ "no reply to QUIT is no fault", PLAIN,
	    HELLO "S: 250 mx.test\nA: idle\nE: quit\nC: QUIT\nE: eof\n"
		  "A: close quit ok 221 2.0.0 closed\n" },
	{ "nothing happens after the end", PLAIN,
	    "E: connected\nE: eof\nA: close lost temp 451 4.4.2 the server "
	    "closed the connection while waiting for the greeting\n"
	    "S: 220 mx\nE: quit\nE: abort\nE: tls ok\nE: mail a@b c@d\n" },
	{ "the server is ourselves", LOOP,
	    HELLO "S: 250 US.test\nC: QUIT\nA: close loop perm 554 5.4.6 mail "
		  "loops back: the server calls itself us.test as we do\n" },
	{ "the server is somebody else", LOOP,
	    HELLO "S: 250 us.test.org\nA: idle\n" },
};

/* A.2: the replies that broke other clients. */
static const struct client_case malformed[] = {
	{ "a code without text, continued and not", PLAIN,
	    "E: connected\nS: 553-\nP: 553\nC: QUIT\n"
	    "A: close refused temp 451 4.0.0 the server said 553 \n" },
	{ "a reply under four octets", PLAIN,
	    HELLO "S: 25\nA: close protocol temp 451 4.5.0 malformed reply: no "
		  "reply code\n" },
	{ "an empty line", PLAIN,
	    HELLO "S: \nA: close protocol temp 451 4.5.0 malformed reply: no "
		  "reply code\n" },
	{ "NUL, CR, escape and 8 bit octets in the text", PLAIN,
	    "E: connected\nS: 421 a\\0b\\rc\\x1b[d\\xff\n"
	    "A: close busy temp 421 4.0.0 a?b?c?[d?\n" },
	{ "the code changes between lines", PLAIN,
	    HELLO "S: 250-a\nP: 251 b\nA: idle\n" },
	{ "lines without a code within a reply", PLAIN,
	    HELLO "S: 250-a\nP: welcome\nP: \nP: 250 b\nA: idle\n" },
	{ "a code that there is not", PLAIN,
	    "E: connected\nS: 999 x\nA: close protocol temp 451 4.5.0 "
	    "malformed reply: no reply code\n" },
	{ "HTTP", PLAIN,
	    "E: connected\nS: HTTP/1.1 200 OK\nA: close protocol temp 451 "
	    "4.5.0 malformed reply: no reply code\n" },
	{ "an enhanced code of another class is none", PLAIN,
	    "E: connected\nS: 421 5.7.1 x\n"
	    "A: close busy temp 421 4.0.0 5.7.1 x\n" },
};

static const struct client_case starttls[] = {
	{ "opportunistic and offered", MAY,
	    HELLO OFFER "S: 220 go\nA: tls\nE: tls bad\nC: EHLO us.test\n"
			"S: 250 mx.test\nA: idle\n" },
	{ "opportunistic and not offered", MAY,
	    HELLO "S: 250-mx.test\nP: 250 SIZE\nA: idle\n" },
	{ "offered and not wanted", PLAIN,
	    HELLO "S: 250-mx.test\nP: 250 STARTTLS\nA: idle\n" },
	{ "opportunistic and refused: 454", MAY,
	    HELLO OFFER "S: 454 no key\nA: idle\n" },
	{ "opportunistic and refused: 502", MAY,
	    HELLO OFFER "S: 502 what\nA: idle\n" },
	{ "354 to STARTTLS", MAY,
	    HELLO OFFER "S: 354 go\nA: close protocol temp 451 4.5.0 "
			"unexpected reply to STARTTLS: 354 go\n" },
	{ "250 to STARTTLS", MAY,
	    HELLO OFFER "S: 250 go\nA: close protocol temp 451 4.5.0 "
			"unexpected reply to STARTTLS: 250 go\n" },
	{ "421 to STARTTLS", MAY,
	    HELLO OFFER "S: 421 bye\nA: close handshake temp 451 4.7.5 TLS "
			"failed: bye\n" },
	{ "required and stripped", MUST,
	    HELLO "S: 250-mx.test\nP: 250 SIZE\nC: QUIT\nA: close tls temp 451 "
		  "4.7.4 TLS is required, and not offered\n" },
	{ "required, and EHLO taken away", MUST,
	    HELLO "S: 502 what\nC: HELO us.test\nS: 250 mx.test\nC: QUIT\n"
		  "A: close tls temp 451 4.7.4 TLS is required, and not "
		  "offered\n" },
	{ "required and refused for now", MUST,
	    HELLO OFFER "S: 454 4.7.0 no\nC: QUIT\n"
			"A: close tls temp 454 4.7.4 no\n" },
	{ "required and refused", MUST,
	    HELLO OFFER
	    "S: 502 no\nC: QUIT\n"
	    "A: close tls temp 451 4.7.4 the server said 502 no\n" },
	{ "required, any certificate", MUST,
	    HELLO OFFER "S: 220 go\nA: tls\nE: tls bad\nC: EHLO us.test\n"
			"S: 250 mx.test\nA: idle\n" },
	{ "verified, bad certificate", VERIFY,
	    HELLO OFFER "S: 220 go\nA: tls\nE: tls bad\nA: close tls temp 451 "
			"4.7.5 the server's certificate could not be "
			"verified\n" },
	{ "verified, good certificate", VERIFY,
	    HELLO OFFER "S: 220 go\nA: tls\nE: tls ok\nC: EHLO us.test\n"
			"S: 250 mx.test\nA: idle\n" },
	{ "the handshake fails", MAY,
	    HELLO OFFER "S: 220 go\nA: tls\nE: tls fail\nA: close handshake "
			"temp 451 4.7.5 TLS failed: no shared cipher\n" },
	{ "the handshake gets no answer", MAY,
	    HELLO OFFER "S: 220 go\nA: tls\nE: timeout\nA: close handshake "
			"temp 451 4.7.5 TLS failed: the server is silent\n" },
	{ "a refusal of TLS 1.3 that comes after the handshake", MAY,
	    HELLO OFFER "S: 220 go\nA: tls\nE: tls ok\nC: EHLO us.test\n"
			"E: eof\nA: close handshake temp 451 4.7.5 TLS failed: "
			"the server closed the connection\n" },
	{ "the server hangs up on STARTTLS", MAY,
	    HELLO OFFER "E: eof\nA: close handshake temp 451 4.7.5 TLS failed: "
			"the server closed the connection\n" },
	{ "the same where TLS is to be", MUST,
	    HELLO OFFER "S: 421 4.3.0 broken\n"
			"A: close busy temp 421 4.3.0 broken\n" },
	{ "silence after the handshake", MAY,
	    HELLO OFFER "S: 220 go\nA: tls\nE: tls ok\nC: EHLO us.test\n"
			"E: timeout\nA: close handshake temp 451 4.7.5 TLS "
			"failed: the server is silent\n" },
	{ "the same where TLS is required", MUST,
	    HELLO OFFER
	    "S: 220 go\nA: tls\nE: tls ok\nC: EHLO us.test\n"
	    "E: eof\nA: close lost temp 451 4.4.2 the server closed "
	    "the connection while waiting for the reply to "
	    "EHLO\n" },
	{ "the handshake gets no answer, and TLS is required", MUST,
	    HELLO OFFER "S: 220 go\nA: tls\nE: timeout\nA: close timeout temp "
			"451 4.4.2 timeout while waiting for the TLS "
			"handshake\n" },
	{ "octets behind 220 in the packet", MAY,
	    HELLO OFFER "S: 220 go\nP: 250-evil\nP: 250 AUTH PLAIN\n"
			"A: tls\nA: close protocol temp 451 4.7.0 the server "
			"sent octets behind its reply to STARTTLS\n" },
	{ "one octet behind 220", MUST,
	    HELLO OFFER "S: 220 go\\r\\n2\nA: tls\nA: close protocol temp 451 "
			"4.7.0 the server sent octets behind its reply to "
			"STARTTLS\n" },
	{ "octets behind 220 in a packet of their own", MAY,
	    HELLO OFFER "S: 220 go\nA: tls\nS: 250 evil\nA: close protocol "
			"temp 451 4.7.0 the server sent octets behind its "
			"reply to STARTTLS\n" },
	{ "what was offered before TLS is forgotten after it", MAY,
	    HELLO
	    "S: 250-mx.test\nP: 250-SIZE 10\nP: 250-PIPELINING\n"
	    "P: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nA: tls\nE: tls ok\n"
	    "C: EHLO us.test\nS: 250 mx.test\nA: idle\n"
	    "E: mail a@b.test c@d.test size=3\nC: MAIL FROM:<a@b.test>\n" },
	{ "no HELO after TLS", MAY,
	    HELLO OFFER "S: 220 go\nA: tls\nE: tls ok\nC: EHLO us.test\n"
			"S: 502 what\nC: QUIT\nA: close refused temp 451 4.0.0 "
			"the server said 502 what\n" },
	{ "STARTTLS offered again inside TLS", MAY,
	    HELLO OFFER "S: 220 go\nA: tls\nE: tls ok\nC: EHLO us.test\n"
			"S: 250-mx.test\nP: 250 STARTTLS\nA: idle\n" },
	{ "TLS from the first octet", SMTPS,
	    "E: connected\nA: tls\nE: tls ok\nS: 220 mx.test\n"
	    "C: EHLO us.test\nS: 250-mx.test\nP: 250 STARTTLS\nA: idle\n" },
	{ "clear text where TLS is to be", SMTPS,
	    "E: connected\nA: tls\nS: 220 mx.test\nA: close protocol temp 451 "
	    "4.7.0 the server sent octets behind its reply to STARTTLS\n" },
};

#define UNSAFE                                                               \
	"the password is not sent to a server without a valid certificate: " \
	"write smtp+tls:// or smtps://, or tls no-verify"
#define MECHS "S: 250-mx.test\nP: 250 AUTH PLAIN LOGIN SCRAM-SHA-256\n"

static const struct client_case sasl[] = {
	{ "PLAIN where clear passwords may go", CLEAR,
	    HELLO MECHS "A: sasl PLAIN LOGIN SCRAM-SHA-256\n"
			"E: sasl ok PLAIN foo\nC: AUTH PLAIN Zm9v\n"
			"S: 235 2.7.0 in\nA: idle\n"
			"E: mail a@b.test c@d.test size=3\n"
			"C: MAIL FROM:<a@b.test> AUTH=<>\n" },
	{ "clear passwords are not for clear text", AUTH,
	    HELLO MECHS "A: sasl SCRAM-SHA-256\nE: sasl unsupported\n"
			"C: QUIT\nA: close auth temp 451 4.7.0 " UNSAFE "\n" },
	{ "no mechanism that is known", AUTH,
	    HELLO "S: 250-mx.test\nP: 250 AUTH NTLM\nA: sasl NTLM\n"
		  "E: sasl unsupported\nC: QUIT\nA: close auth temp 451 4.7.0 "
		  "no mechanism that the server offers fits\n" },
	{ "only clear mechanisms without TLS", AUTH,
	    HELLO "S: 250-mx.test\nP: 250 AUTH PLAIN LOGIN\nC: QUIT\n"
		  "A: close auth temp 451 4.7.0 " UNSAFE "\n" },
	{ "no AUTH offered", CLEAR,
	    HELLO "S: 250 mx.test\nC: QUIT\nA: close auth temp 451 4.7.0 "
		  "authentication is needed, and not offered\n" },
	{ "LOGIN: the server speaks first", CLEAR,
	    HELLO MECHS "A: sasl PLAIN LOGIN SCRAM-SHA-256\n"
			"E: sasl continue LOGIN\nC: AUTH LOGIN\n"
			"S: 334 VXNlcm5hbWU6\nA: sasl Username:\n"
			"E: sasl continue LOGIN foo\nC: Zm9v\n"
			"S: 334 UGFzc3dvcmQ6\nA: sasl Password:\n"
			"E: sasl ok LOGIN foob\nC: Zm9vYg==\nS: 235 in\n"
			"A: idle\n" },
	{ "the trace has no secret, and no body", CLEAR,
	    HELLO
	    "E: trace\n" MECHS
	    "T: <250-mx.test\nT: <250 AUTH PLAIN LOGIN SCRAM-SHA-256\n"
	    "A: sasl PLAIN LOGIN SCRAM-SHA-256\n"
	    "E: sasl continue LOGIN foo\nT: >AUTH LOGIN\n"
	    "C: AUTH LOGIN Zm9v\n"
	    "S: 334 UGFzc3dvcmQ6\nT: <334 (hidden)\n"
	    "A: sasl Password:\nE: sasl ok LOGIN foob\n"
	    "T: >(hidden)\nC: Zm9vYg==\n"
	    "S: 235 in\nT: <235 in\nA: idle\n"
	    "E: mail a@b c@d body=secret\\r\\n\n"
	    "T: >MAIL FROM:<a@b> AUTH=<>\nC: MAIL FROM:<a@b> AUTH=<>\n"
	    "S: 250 ok\nT: <250 ok\n"
	    "T: >RCPT TO:<c@d>\nC: RCPT TO:<c@d>\n"
	    "S: 250 ok\nT: <250 ok\nT: >DATA\nC: DATA\n"
	    "S: 354 go\nT: <354 go\nA: body\n"
	    "T: >.\nC: secret\nC: .\n"
	    "S: 250 kept\nT: <250 kept\n"
	    "R: ok message 250 2.0.0 relayed kept\nA: idle\n"
	    "E: quit\nT: >QUIT\nC: QUIT\n"
	    "S: 221 bye\nT: <221 bye\nA: close quit ok 221 2.0.0 closed\n" },
	{ "SCRAM with proof of the server", AUTH,
	    HELLO MECHS "A: sasl SCRAM-SHA-256\n"
			"E: sasl continue SCRAM-SHA-256 foo\n"
			"C: AUTH SCRAM-SHA-256 Zm9v\nS: 334 Zm9v\nA: sasl foo\n"
			"E: sasl continue SCRAM-SHA-256 bar\nC: YmFy\n"
			"S: 334 Zm9v\nA: sasl foo\nE: sasl ok SCRAM-SHA-256\n"
			"C: \nS: 235 in\nA: idle\n" },
	{ "SCRAM without proof of the server", AUTH,
	    HELLO MECHS "A: sasl SCRAM-SHA-256\n"
			"E: sasl continue SCRAM-SHA-256 foo\n"
			"C: AUTH SCRAM-SHA-256 Zm9v\nS: 235 in\nC: QUIT\n"
			"A: sasl-abort\nA: close auth temp 451 4.7.0 the "
			"server let us in without proving who it is\n" },
	{ "SCRAM with a false proof", AUTH,
	    HELLO MECHS "A: sasl SCRAM-SHA-256\n"
			"E: sasl continue SCRAM-SHA-256 foo\n"
			"C: AUTH SCRAM-SHA-256 Zm9v\nS: 334 Zm9v\nA: sasl foo\n"
			"E: sasl denied\nC: *\nC: QUIT\nA: close auth temp 451 "
			"4.7.0 the server did not prove who it is\n" },
	{ "refused", CLEAR,
	    HELLO MECHS "A: sasl PLAIN LOGIN SCRAM-SHA-256\n"
			"E: sasl ok PLAIN foo\nC: AUTH PLAIN Zm9v\n"
			"S: 535 5.7.8 no\nC: QUIT\nA: sasl-abort\n"
			"A: close auth temp 451 4.7.8 the server said 535 "
			"no\n" },
	{ "a challenge that is no base64", CLEAR,
	    HELLO MECHS "A: sasl PLAIN LOGIN SCRAM-SHA-256\n"
			"E: sasl continue LOGIN\nC: AUTH LOGIN\nS: 334 !!\n"
			"C: QUIT\nA: sasl-abort\nA: close auth temp 451 4.7.0 "
			"the server's challenge is malformed\n" },
	{ "a mechanism that was not offered", AUTH,
	    HELLO MECHS "A: sasl SCRAM-SHA-256\nE: sasl ok EXTERNAL foo\n"
			"C: QUIT\nA: sasl-abort\nA: close auth temp 451 4.7.0 "
			"a mechanism was chosen that is not offered\n" },
	{ "gone while auth thinks", CLEAR,
	    HELLO MECHS "A: sasl PLAIN LOGIN SCRAM-SHA-256\nE: eof\n"
			"A: sasl-abort\nA: close lost temp 451 4.4.2 the "
			"server closed the connection while waiting for the "
			"credentials\nE: sasl ok PLAIN foo\n" },
	{ "talk while auth thinks", CLEAR,
	    HELLO MECHS "A: sasl PLAIN LOGIN SCRAM-SHA-256\nS: 235 in\n"
			"A: sasl-abort\nA: close protocol temp 451 4.5.0 the "
			"server talks out of turn: 235 in\n" },
	{ "a good certificate may see the password", AUTH_MAY,
	    HELLO INSIDE("ok") MECHS "A: sasl PLAIN LOGIN SCRAM-SHA-256\n"
				     "E: sasl ok PLAIN foo\n"
				     "C: AUTH PLAIN Zm9v\n"
				     "S: 235 in\nA: idle\n" },
	{ "any other may not", AUTH_MAY,
	    HELLO INSIDE("bad") "S: 250-mx.test\nP: 250 AUTH PLAIN LOGIN\n"
				"C: QUIT\nA: close auth temp 451 4.7.0 " UNSAFE
				"\n" },
	{ "but let it prove that it knows it", AUTH_MAY,
	    HELLO INSIDE("bad") MECHS "A: sasl SCRAM-SHA-256\n"
				      "E: sasl ok SCRAM-SHA-256 foo\n"
				      "C: AUTH SCRAM-SHA-256 Zm9v\n"
				      "S: 235 in\nA: idle\n" },
	{ "any certificate where that is wanted",
	    { .helo = "us.test",
		.authenticate = 1,
		.tls = CLIENT_TLS_REQUIRED },
	    HELLO INSIDE("bad") MECHS "A: sasl PLAIN LOGIN SCRAM-SHA-256\n"
				      "E: sasl ok PLAIN foo\n"
				      "C: AUTH PLAIN Zm9v\n"
				      "S: 235 in\nA: idle\n" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
test_openings(void **state)
{
	for (size_t i = 0; i < COUNT(openings); i++)
		client_case_run(&openings[i]);
}

static void
test_malformed(void **state)
{
	for (size_t i = 0; i < COUNT(malformed); i++)
		client_case_run(&malformed[i]);
}

static void
test_starttls(void **state)
{
	for (size_t i = 0; i < COUNT(starttls); i++)
		client_case_run(&starttls[i]);
}

static void
test_sasl(void **state)
{
	for (size_t i = 0; i < COUNT(sasl); i++)
		client_case_run(&sasl[i]);
}

/* A.2: 10,000 continuation lines and a line of 64 KiB are not read to the
 * end, whatever they answer. */
static void
test_endless(void **state)
{
	static const struct client_config config = { .helo = "us.test" };
	static const char line[] = "220-and on\r\n";
	struct client_action a;
	struct client *c;
	int n;

	c = client_new(&config, 1);
	client_connected(c, 1);
	for (n = 0; n < 10000 && client_deadline(c) != 0; n++)
		client_octets(c, line, sizeof(line) - 1, 1);
	assert_in_range(n, 100, 1000);
	assert_int_equal(client_outcome(c)->end, CLIENT_END_PROTOCOL);
	client_free(c);

	c = client_new(&config, 1);
	client_connected(c, 1);
	client_octets(c, "220 ", 4, 1);
	for (n = 0; n < 65536 && client_deadline(c) != 0; n++)
		client_octets(c, "x", 1, 1);
	assert_in_range(n, 500, 5000);
	while (client_next(c, &a))
		assert_true(a.what == CLIENT_DO_CLOSE);
	client_free(c);
}

/* A server that drips octets does not move the deadline; a reply does. */
static void
test_deadline(void **state)
{
	static const struct client_config config = { .helo = "us.test" };
	struct client *c = client_new(&config, 1000);
	struct client_action a;

	assert_int_equal(client_deadline(c), 1000 + 30 * 1000);
	client_connected(c, 2000);
	assert_int_equal(client_deadline(c), 2000 + 300 * 1000);
	client_octets(c, "220-a\r\n220", 10, 200000);
	assert_int_equal(client_deadline(c), 2000 + 300 * 1000);
	client_octets(c, " b\r\n", 4, 250000);
	assert_int_equal(client_deadline(c), 250000 + 300 * 1000);
	client_octets(c, "250 mx\r\n", 8, 260000);
	assert_int_equal(client_deadline(c), 0);
	while (client_next(c, &a))
		;
	assert_true(client_is_idle(c));
	client_free(c);
}

/* A tarpit of 25 s a recipient gets its hundred recipients told; one that
 * takes a minute does not keep us for ever. */
static void
test_tarpit(void **state)
{
	static const struct client_config config = { .helo = "us.test" };
	static const struct {
		int64_t seconds;
		size_t answers;
	} servers[] = { { 25, 101 }, { 60, 69 } };
	struct client_rcpt rcpts[100];
	struct client_mail mail = { .sender = "a@b.test",
		.envid = "",
		.rcpts = rcpts,
		.rcpts_count = COUNT(rcpts) };
	struct client_action a;
	size_t n;

	for (n = 0; n < COUNT(rcpts); n++)
		rcpts[n] =
		    (struct client_rcpt){ .address = "c@d.test", .orcpt = "" };
	for (size_t i = 0; i < COUNT(servers); i++) {
		struct client *c = client_new(&config, 0);
		int64_t now = 0;

		client_connected(c, now);
		client_octets(c, "220 mx\r\n", 8, now);
		client_octets(c, "250 mx\r\n", 8, now);
		while (client_next(c, &a))
			;
		client_transaction(c, &mail, now);
		for (n = 0; n < 101; n++) {
			now += servers[i].seconds * 1000;
			if (now >= client_deadline(c))
				break;
			client_octets(c, "250 ok\r\n", 8, now);
		}
		assert_int_equal(n, servers[i].answers);
		while (client_next(c, &a))
			;
		client_free(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openings),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_sasl),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_tarpit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
