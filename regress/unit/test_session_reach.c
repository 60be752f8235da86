/*
 * Dialogues with the pure server session about verdicts that reach beyond
 * their recipient: whom they are given to without a question, and all that
 * ends them. What is not asked here must be taken under the right action.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_player.h"

#define EHLO                                                      \
	"C: EHLO c.example\nS: 250-mx.example greets c.example\n" \
	"S: 250-PIPELINING\nS: 250-SIZE 36700160\n"               \
	"S: 250-ENHANCEDSTATUSCODES\nS: 250-8BITMIME\n"           \
	"S: 250-DSN\nS: 250-SMTPUTF8\nS: 250-CHUNKING\n"          \
	"S: 250-BINARYMIME\n"                                     \
	"S: 250-LIMITS RCPTMAX=1000 MAILMAX=1000\nS: 250 HELP\n"

static const struct dialogue reaches[] = {
	{ "for the domain",
	    GREETING HELO MAIL
	    "C: RCPT TO:<a@y.example>\n"
	    "Q: rcpt_check to=<a@y.example>\n"
	    "A: verdict 250 out domain\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<b@Y.Example>\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<\"c@z.example\"@y.example>\n"
	    "Q: rcpt_check to=<\"c@z.example\"@y.example>\n"
	    "A: verdict 250 out domain\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<c@sub.y.example>\n"
	    "Q: rcpt_check to=<c@sub.y.example>\n"
	    "A: verdict 550 5.1.1 No\n"
	    "S: 550 5.1.1 No\n"
	    "C: RCPT TO:<y.example@x>\n"
	    "Q: rcpt_check to=<y.example@x>\n"
	    "A: verdict 250 local\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<d@y.example>\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<a@z.example>\n"
	    "Q: rcpt_check to=<a@z.example>\n"
	    "A: verdict 250 relay domain\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<b@z.example>\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<e@y.example>\n"
	    "Q: rcpt_check to=<e@y.example>\n"
	    "A: verdict 450 4.3.0 Later\n"
	    "S: 450 4.3.0 Later\n"
	    "C: DATA\n"
	    "S: 354 End with a dot on a line of its own\n"
	    "C: .\n"
	    "Q: submit rcpts=7 to=<a@y.example>:out:0: to=<b@y.example>:out:0: "
	    "to=<\"c@z.example\"@y.example>:out:0: to=<y.example@x>:local:0: "
	    "to=<d@y.example>:out:0: to=<b@z.example>:relay:0:\n",
	    0 },
	{ "for all",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 250 out all\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "C: RCPT TO:<b@z.example>\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "C: RCPT TO:<Postmaster>\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "C: DATA\n"
			       "S: 354 End with a dot on a line of its own\n"
			       "C: .\n"
			       "Q: submit rcpts=3 to=<b@z.example>:out:0: "
			       "to=<Postmaster@our.example>:out:0:\n",
	    0 },
	{ "for all, pipelined",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "C: RCPT TO:<b@z.example>\n"
			       "C: RCPT TO:<c@y.example>\n"
			       "C: RSET\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 250 out all\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "S: 250 2.0.0 Reset\n",
	    0 },
	{ "with parameters of its own",
	    GREETING EHLO MAIL
	    "C: RCPT TO:<a@y.example>\n"
	    "Q: rcpt_check to=<a@y.example>\n"
	    "A: verdict 250 out all\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<b@y.example> NOTIFY=NEVER ORCPT=rfc822;x@z\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: DATA\n"
	    "S: 354 End with a dot on a line of its own\n"
	    "C: .\n"
	    "Q: submit rcpts=2 to=<b@y.example>:out:1:rfc822;x@z\n",
	    0 },
	{ "for nobody else",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 250 out\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "C: RCPT TO:<b@y.example>\n"
			       "Q: rcpt_check to=<b@y.example>\n",
	    0 },
	{ "a refusal is for nobody else",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 550 5.1.1 all\n"
			       "S: 550 5.1.1 all\n"
			       "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n",
	    0 },
	{ "the limit of recipients",
	    "O: max_rcpts=2\n" GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
	    "Q: rcpt_check to=<a@y.example>\n"
	    "A: verdict 250 out domain\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<b@y.example>\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<c@y.example>\n"
	    "S: 452 4.5.3 Too many recipients, send the rest later\n",
	    0 },
	{ "a malformed recipient",
	    GREETING HELO MAIL
	    "C: RCPT TO:<a@y.example>\n"
	    "Q: rcpt_check to=<a@y.example>\n"
	    "A: verdict 250 out all\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<b@>\n"
	    "S: 501 5.1.3 Bad recipient address: malformed domain\n"
	    "C: RCPT TO:<c@y.example>\n"
	    "S: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "RSET ends it",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 250 out all\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "C: RSET\n"
			       "S: 250 2.0.0 Reset\n" MAIL
			       "C: RCPT TO:<b@y.example>\n"
			       "Q: rcpt_check to=<b@y.example>\n",
	    0 },
	{ "HELO ends it",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 250 out all\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "C: HELO c.example\n"
			       "S: 250 mx.example greets c.example\n" MAIL
			       "C: RCPT TO:<b@y.example>\n"
			       "Q: rcpt_check to=<b@y.example>\n",
	    0 },
	{ "its message ends it",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 250 out all\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "C: DATA\n"
			       "S: 354 End with a dot on a line of its own\n"
			       "C: .\n"
			       "Q: submit\n"
			       "A: submitted 250\n"
			       "S: 250 2.0.0 00000abc is in the queue\n" MAIL
			       "C: RCPT TO:<b@y.example>\n"
			       "Q: rcpt_check to=<b@y.example>\n",
	    0 },
	{ "the end of auth ends it",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 250 out all\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "A: lost auth\n"
			       "C: RCPT TO:<b@y.example>\n"
			       "Q: rcpt_check to=<b@y.example>\n",
	    0 },
	{ "the end of the queue does not",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 250 out all\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "A: lost queue\n"
			       "C: RCPT TO:<b@y.example>\n"
			       "S: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "a reload ends it",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 250 out all\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "A: reload\n"
			       "C: RCPT TO:<b@y.example>\n"
			       "Q: rcpt_check to=<b@y.example>\n"
			       "A: verdict 250 out all\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "C: RCPT TO:<c@y.example>\n"
			       "S: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "out of the configuration before",
	    GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: reload\n"
			       "A: verdict 250 out all before\n"
			       "S: 250 2.1.5 Recipient OK\n"
			       "C: RCPT TO:<b@y.example>\n"
			       "Q: rcpt_check to=<b@y.example>\n",
	    0 },
	{ "a listener of before, whose tag a rule may trust in",
	    "O: tag\n" GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
	    "Q: rcpt_check to=<a@y.example> tag=SUBMIT\n"
	    "A: verdict 250 out all known\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "A: listeners\n"
	    "C: RCPT TO:<b@y.example>\n"
	    "Q: rcpt_check to=<b@y.example>\n"
	    "A: verdict 250 out all known\n"
	    "S: 421 4.3.2 mx.example is closing, come back soon\n"
	    "X: close\n",
	    0 },
	{ "a tag, and a reload that left the listeners as they were",
	    "O: tag\n" GREETING HELO MAIL "A: reload\n"
	    "C: RCPT TO:<a@y.example>\n"
	    "Q: rcpt_check to=<a@y.example> tag=SUBMIT\n"
	    "A: verdict 250 out all known\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "A: reload\n"
	    "C: RCPT TO:<b@y.example>\n"
	    "Q: rcpt_check to=<b@y.example>\n"
	    "A: verdict 250 out all before known\n"
	    "S: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "rules of before, which may trust in a tag",
	    "O: tag\n" GREETING HELO MAIL "C: RCPT TO:<a@y.example>\n"
	    "Q: rcpt_check to=<a@y.example> tag=SUBMIT\n"
	    "A: verdict 250 out all before known\n"
	    "S: 421 4.3.2 mx.example is closing, come back soon\n"
	    "X: close\n",
	    0 },
	{ "a tag, and a rule that is for all the world",
	    "O: tag\n" GREETING HELO MAIL "A: listeners\n"
	    "C: RCPT TO:<a@y.example>\n"
	    "Q: rcpt_check to=<a@y.example> tag=SUBMIT\n"
	    "A: verdict 250 out all\n"
	    "S: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "no tag",
	    GREETING HELO MAIL "A: listeners\n"
			       "C: RCPT TO:<a@y.example>\n"
			       "Q: rcpt_check to=<a@y.example>\n"
			       "A: verdict 250 out all known\n"
			       "S: 250 2.1.5 Recipient OK\n",
	    0 },
	{ "a tag, and refused anyway",
	    "O: tag\n" GREETING HELO MAIL "A: listeners\n"
	    "C: RCPT TO:<a@y.example>\n"
	    "Q: rcpt_check to=<a@y.example> tag=SUBMIT\n"
	    "A: verdict 550 5.7.1 No\n"
	    "S: 550 5.7.1 No\n",
	    0 },
	{ "news of the client's name end it",
	    "O: rdns\n" GREETING HELO MAIL "A: tick 5000\n"
	    "C: RCPT TO:<a@y.example>\n"
	    "Q: rcpt_check to=<a@y.example> name= flags=256\n"
	    "A: verdict 250 out all\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "C: RCPT TO:<b@y.example>\n"
	    "S: 250 2.1.5 Recipient OK\n"
	    "A: rdns late.example\n"
	    "C: RCPT TO:<c@y.example>\n"
	    "Q: rcpt_check to=<c@y.example> name=late.example\n",
	    0 },
	{ "none without UTF-8 for UTF-8",
	    GREETING EHLO "C: MAIL FROM:<a@b.example> SMTPUTF8\n"
			  "S: 250 2.1.0 Sender OK\n"
			  "C: RCPT TO:<a@y.example>\n"
			  "Q: rcpt_check to=<a@y.example>\n"
			  "A: verdict 250 out all\n"
			  "S: 250 2.1.5 Recipient OK\n"
			  "C: RCPT TO:<\xc3\xb6@y.example>\n"
			  "Q: rcpt_check to=<\xc3\xb6@y.example>\n"
			  "A: verdict 250 out all\n"
			  "S: 250 2.1.5 Recipient OK\n"
			  "C: RCPT TO:<\xc3\xa4@y.example>\n"
			  "S: 250 2.1.5 Recipient OK\n"
			  "C: RCPT TO:<b@y.example>\n"
			  "Q: rcpt_check to=<b@y.example>\n",
	    0 },
};

static void
test_reaches(void **state)
{
	dialogues_play(reaches, sizeof(reaches) / sizeof(reaches[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reaches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
