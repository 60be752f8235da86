/*
 * auth/callahead: what a backup does about a recipient, through an outage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/callahead.h"

#define DAY (24 * 3600)
#define T0 1700000000

static const struct {
	const char *name;
	int before; /* the primary's last word, CALLAHEAD_NONE: none */
	int64_t age;
	enum callahead_advice look;
	enum callahead_status then; /* what asking brings */
	enum conf_unknown unknown;
	enum callahead_advice answer;
} rows[] = {
#define ACC CONF_UNKNOWN_ACCEPT
#define TMP CONF_UNKNOWN_TEMPFAIL
	{ "new and good", CALLAHEAD_NONE, 0, CALLAHEAD_ASK, CALLAHEAD_GOOD, TMP,
	    CALLAHEAD_ACCEPT },
	{ "new and bad", CALLAHEAD_NONE, 0, CALLAHEAD_ASK, CALLAHEAD_BAD, ACC,
	    CALLAHEAD_REFUSE },
	{ "new, primary down, accept", CALLAHEAD_NONE, 0, CALLAHEAD_ASK,
	    CALLAHEAD_NONE, ACC, CALLAHEAD_ACCEPT },
	{ "new, primary down, tempfail", CALLAHEAD_NONE, 0, CALLAHEAD_ASK,
	    CALLAHEAD_NONE, TMP, CALLAHEAD_TEMPFAIL },
	{ "good, fresh", CALLAHEAD_GOOD, DAY - 1, CALLAHEAD_ACCEPT,
	    CALLAHEAD_NONE, TMP, CALLAHEAD_ACCEPT },
	{ "good, to be asked again", CALLAHEAD_GOOD, DAY, CALLAHEAD_ASK,
	    CALLAHEAD_GOOD, TMP, CALLAHEAD_ACCEPT },
	{ "good, gone since", CALLAHEAD_GOOD, DAY, CALLAHEAD_ASK, CALLAHEAD_BAD,
	    TMP, CALLAHEAD_REFUSE },
	{ "good, outage of a month", CALLAHEAD_GOOD, 30 * DAY, CALLAHEAD_ASK,
	    CALLAHEAD_NONE, TMP, CALLAHEAD_ACCEPT },
	{ "good, outage for ever", CALLAHEAD_GOOD, 32 * DAY, CALLAHEAD_ASK,
	    CALLAHEAD_NONE, TMP, CALLAHEAD_TEMPFAIL },
	{ "bad, lately", CALLAHEAD_BAD, 3599, CALLAHEAD_REFUSE, CALLAHEAD_NONE,
	    TMP, CALLAHEAD_TEMPFAIL },
	{ "bad, created since", CALLAHEAD_BAD, 3600, CALLAHEAD_ASK,
	    CALLAHEAD_GOOD, TMP, CALLAHEAD_ACCEPT },
	{ "bad once, primary down", CALLAHEAD_BAD, 3600, CALLAHEAD_ASK,
	    CALLAHEAD_NONE, TMP, CALLAHEAD_TEMPFAIL },
	{ "bad once, primary down, accept", CALLAHEAD_BAD, 3600, CALLAHEAD_ASK,
	    CALLAHEAD_NONE, ACC, CALLAHEAD_ACCEPT },
	{ "clock went back", CALLAHEAD_GOOD, -DAY, CALLAHEAD_ACCEPT,
	    CALLAHEAD_NONE, TMP, CALLAHEAD_ACCEPT },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct callahead *c = callahead_new(10);
		int64_t now = T0 + rows[i].age;

		assert_non_null(c);
		if (rows[i].before != CALLAHEAD_NONE)
			callahead_answer(c, "b", "joe@a.example",
			    (enum callahead_status)rows[i].before, TMP, T0);
		if (callahead_look(c, "b", "JOE@a.example", now) !=
		    rows[i].look)
			fail_msg("%s: look", rows[i].name);
		if (callahead_answer(c, "b", "joe@a.example", rows[i].then,
			rows[i].unknown, now) != rows[i].answer)
			fail_msg("%s: answer", rows[i].name);
		/* another action is another primary */
		assert_int_equal(callahead_look(c, "x", "joe@a.example", now),
		    CALLAHEAD_ASK);
		callahead_free(c);
	}
}

/* Memory is bounded by use. */
static void
test_bound(void **state)
{
	struct callahead *a = callahead_new(100);
	char name[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "u%d@a.example", i);
		callahead_answer(a, "b", name,
		    i % 2 ? CALLAHEAD_GOOD : CALLAHEAD_BAD, TMP, T0);
		callahead_look(a, "b", "u1@a.example", T0);
	}
	assert_int_equal(
	    callahead_look(a, "b", "u1@a.example", T0), CALLAHEAD_ACCEPT);
	assert_int_equal(
	    callahead_look(a, "b", "u3@a.example", T0), CALLAHEAD_ASK);
	callahead_free(a);
}

/* However many names strangers guess, what is good stays known. */
static void
test_guesses(void **state)
{
	struct callahead *c = callahead_new(100);
	char name[32];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "good%d@a.example", i);
		callahead_answer(c, "b", name, CALLAHEAD_GOOD, TMP, T0);
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "guess%d@a.example", i);
		callahead_answer(c, "b", name, CALLAHEAD_BAD, TMP, T0);
	}
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "good%d@a.example", i);
		assert_int_equal(
		    callahead_look(c, "b", name, T0), CALLAHEAD_ACCEPT);
	}
	/* the last of them are known as well */
	assert_int_equal(
	    callahead_look(c, "b", "guess999@a.example", T0), CALLAHEAD_REFUSE);
	assert_int_equal(
	    callahead_look(c, "b", "guess949@a.example", T0), CALLAHEAD_ASK);
	/* until all that there is room for is good */
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "new%d@a.example", i);
		callahead_answer(c, "b", name, CALLAHEAD_GOOD, TMP, T0);
	}
	assert_int_equal(
	    callahead_answer(c, "b", "guess@a.example", CALLAHEAD_BAD, TMP, T0),
	    CALLAHEAD_REFUSE);
	assert_int_equal(
	    callahead_look(c, "b", "guess@a.example", T0), CALLAHEAD_ASK);
	assert_int_equal(
	    callahead_look(c, "b", "new0@a.example", T0), CALLAHEAD_ACCEPT);
	/* one of these that the primary takes back has its place */
	callahead_answer(c, "b", "new0@a.example", CALLAHEAD_BAD, TMP, T0);
	assert_int_equal(
	    callahead_look(c, "b", "new0@a.example", T0), CALLAHEAD_REFUSE);
	callahead_answer(c, "b", "last@a.example", CALLAHEAD_GOOD, TMP, T0);
	assert_int_equal(
	    callahead_look(c, "b", "new0@a.example", T0), CALLAHEAD_ASK);
	assert_int_equal(
	    callahead_look(c, "b", "new1@a.example", T0), CALLAHEAD_ACCEPT);
	callahead_free(c);
}

/* Guesses are not worth keeping; what comes back never undoes what is newer. */
static void
test_carry(void **state)
{
	struct callahead *c = callahead_new(100);
	const char *who = "joe@a.example";

	assert_true(callahead_worth(c, "b", who, CALLAHEAD_GOOD));
	assert_false(callahead_worth(c, "b", who, CALLAHEAD_BAD));
	assert_false(callahead_worth(c, "b", who, CALLAHEAD_NONE));
	assert_int_equal(callahead_import(c, "b", who, 1, T0), 0);
	assert_int_equal(
	    callahead_look(c, "b", "JOE@a.example", T0), CALLAHEAD_ACCEPT);
	assert_true(callahead_worth(c, "b", who, CALLAHEAD_BAD));
	assert_int_equal(callahead_import(c, "b", who, 0, T0 - 1), 0);
	assert_int_equal(callahead_look(c, "b", who, T0), CALLAHEAD_ACCEPT);
	assert_int_equal(callahead_import(c, "b", who, 0, T0 + 1), 0);
	assert_int_equal(callahead_look(c, "b", who, T0 + 1), CALLAHEAD_REFUSE);
	callahead_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_guesses),
		cmocka_unit_test(test_carry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
