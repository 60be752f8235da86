/*
 * Which report a recipient's fate asks for: the table of RFC 3461, and the
 * policy of a backup.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "queue/bounce.h"

static void
wanted(void **state)
{
	static const struct {
		unsigned notify;
		int failed, delayed, delivered;
	} table[] = {
		{ 0, 1, 1, 0 },
		{ NOTIFY_NEVER, 0, 0, 0 },
		{ NOTIFY_FAILURE, 1, 0, 0 },
		{ NOTIFY_DELAY, 0, 1, 0 },
		{ NOTIFY_SUCCESS, 0, 0, 1 },
		{ NOTIFY_SUCCESS | NOTIFY_FAILURE, 1, 0, 1 },
		{ NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, 1, 1, 1 },
		{ NOTIFY_NEVER | NOTIFY_FAILURE, 0, 0, 0 },
	};
	size_t i;
	int a;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(dsn_wanted(DSN_FAILED, table[i].notify, "a@b"),
		    table[i].failed);
		assert_int_equal(
		    dsn_wanted(DSN_DELAYED, table[i].notify, "a@b"),
		    table[i].delayed);
		for (a = DSN_DELIVERED; a < DSN_ACTIONS; a++)
			assert_int_equal(dsn_wanted(a, table[i].notify, "a@b"),
			    table[i].delivered);
		for (a = 0; a < DSN_ACTIONS; a++) {
			assert_int_equal(dsn_wanted(a, table[i].notify, ""), 0);
			assert_int_equal(
			    dsn_wanted(a, table[i].notify, NULL), 0);
		}
	}
}

static void
decisions(void **state)
{
	static const struct {
		const char *sender;
		unsigned verified, no_dsn, known;
		enum bounce_refused refused;
		enum dsn_action action;
		unsigned notify;
		enum bounce_verdict verdict;
	} table[] = {
		{ "a@b", 1, 0, 0, BOUNCE_REFUSED_TELL, DSN_FAILED, 0,
		    BOUNCE_FAILURE },
		{ "a@b", 0, 0, 0, BOUNCE_REFUSED_TELL, DSN_FAILED, 0,
		    BOUNCE_FAILURE },
		{ "a@b", 0, 0, 0, BOUNCE_REFUSED_HOLD, DSN_FAILED, 0,
		    BOUNCE_HOLD },
		{ "a@b", 0, 0, 0, BOUNCE_REFUSED_DROP, DSN_FAILED, 0,
		    BOUNCE_DROP },
		{ "a@b", 1, 0, 0, BOUNCE_REFUSED_HOLD, DSN_FAILED, 0,
		    BOUNCE_FAILURE },
		{ "a@b", 1, 0, 0, BOUNCE_REFUSED_DROP, DSN_FAILED, 0,
		    BOUNCE_FAILURE },
		{ "", 1, 0, 0, BOUNCE_REFUSED_TELL, DSN_FAILED, 0,
		    BOUNCE_DROP },
		{ "", 0, 0, 0, BOUNCE_REFUSED_HOLD, DSN_FAILED, 0,
		    BOUNCE_DROP },
		{ "", 0, 0, 0, BOUNCE_REFUSED_TELL, DSN_DELAYED, 0,
		    BOUNCE_QUIET },
		{ "a@b", 0, 0, 0, BOUNCE_REFUSED_HOLD, DSN_DELAYED, 0,
		    BOUNCE_QUIET },
		{ "a@b", 0, 0, 0, BOUNCE_REFUSED_TELL, DSN_DELAYED, 0,
		    BOUNCE_DELAY },
		{ "a@b", 1, 0, 0, BOUNCE_REFUSED_TELL, DSN_DELIVERED, 0,
		    BOUNCE_QUIET },
		{ "a@b", 1, 0, 0, BOUNCE_REFUSED_TELL, DSN_RELAYED,
		    NOTIFY_SUCCESS, BOUNCE_SUCCESS },
		{ "a@b", 1, 1, 0, BOUNCE_REFUSED_TELL, DSN_RELAYED,
		    NOTIFY_SUCCESS, BOUNCE_QUIET },
		{ "a@b", 1, 0, 0, BOUNCE_REFUSED_TELL, DSN_FAILED, NOTIFY_NEVER,
		    BOUNCE_QUIET },
		{ "a@b", 0, 0, 0, BOUNCE_REFUSED_HOLD, DSN_FAILED, NOTIFY_NEVER,
		    BOUNCE_HOLD },
		{ "a@b", 1, 0, 0, BOUNCE_REFUSED_BOUNCE, DSN_FAILED, 0,
		    BOUNCE_FAILURE },
		{ "a@b", 0, 0, 1, BOUNCE_REFUSED_BOUNCE, DSN_FAILED, 0,
		    BOUNCE_FAILURE },
		{ "a@b", 0, 0, 0, BOUNCE_REFUSED_BOUNCE, DSN_FAILED, 0,
		    BOUNCE_HOLD },
		{ "", 0, 0, 1, BOUNCE_REFUSED_BOUNCE, DSN_FAILED, 0,
		    BOUNCE_DROP },
		{ "a@b", 0, 0, 1, BOUNCE_REFUSED_HOLD, DSN_FAILED, 0,
		    BOUNCE_HOLD },
		{ "a@b", 0, 0, 1, BOUNCE_REFUSED_DROP, DSN_FAILED, 0,
		    BOUNCE_DROP },
		{ "a@b", 0, 0, 0, BOUNCE_REFUSED_BOUNCE, DSN_DELAYED, 0,
		    BOUNCE_QUIET },
		{ "a@b", 0, 0, 1, BOUNCE_REFUSED_BOUNCE, DSN_DELAYED, 0,
		    BOUNCE_DELAY },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct bounce_message m = { .sender = table[i].sender,
			.verified = table[i].verified,
			.no_dsn = table[i].no_dsn,
			.known = table[i].known,
			.refused = table[i].refused };
		struct bounce_rcpt r = { table[i].action, table[i].notify };

		assert_int_equal(bounce_decide(&m, &r), table[i].verdict);
	}
}

/* Time that is over is told to everybody, but never to the null sender. */
static void
expiry(void **state)
{
	static const enum bounce_refused policies[] = { BOUNCE_REFUSED_TELL,
		BOUNCE_REFUSED_BOUNCE, BOUNCE_REFUSED_HOLD,
		BOUNCE_REFUSED_DROP };
	struct bounce_message m = { .sender = "a@b" };
	struct bounce_rcpt r = { .action = DSN_FAILED, .expired = 1 };

	for (size_t i = 0; i < 4; i++) {
		m.refused = policies[i];
		m.sender = "a@b";
		r.notify = 0;
		assert_int_equal(bounce_decide(&m, &r), BOUNCE_FAILURE);
		r.notify = NOTIFY_NEVER;
		assert_int_equal(bounce_decide(&m, &r), BOUNCE_QUIET);
		m.sender = "";
		assert_int_equal(bounce_decide(&m, &r), BOUNCE_DROP);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wanted),
		cmocka_unit_test(decisions),
		cmocka_unit_test(expiry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
