/*
 * The turns of those who ask the resolver: whose question is next, and who
 * gives up a place for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/turns.h"

enum { MANY = 600, PLACES = 500 };

static struct turns turns;
static struct turns_ask asks[3][MANY];
static char who[] = "abc"; /* the address of each letter is an asker */

static void
add(int asker, int n)
{
	struct turns_ask *ask = &asks[asker][n];

	assert_int_equal(turns_add(&turns, &who[asker], MANY, ask), 0);
	turns_wait(ask);
}

static void
expect(int asker, int n, int made)
{
	struct turns_asker *next = turns_next(&turns);

	assert_non_null(next);
	assert_ptr_equal(next->who, &who[asker]);
	assert_ptr_equal(turns_take(&turns, next, made), &asks[asker][n]);
}

static int
setup(void **state)
{
	memset(asks, 0, sizeof(asks));
	TAILQ_INIT(&turns);
	return 0;
}

static int
teardown(void **state)
{
	while (!TAILQ_EMPTY(&turns))
		turns_remove(&turns, TAILQ_FIRST(&TAILQ_FIRST(&turns)->all));
	return 0;
}

static void
in_turn(void **state)
{
	for (int n = 0; n < 5; n++)
		add(0, n);
	add(1, 0);
	add(2, 0);
	expect(0, 0, 0);
	expect(1, 0, 0);
	expect(2, 0, 0);
	expect(0, 1, 0);
	expect(0, 2, 0);
	/* who comes back is before who has just had his turn */
	add(1, 1);
	expect(1, 1, 0);
	/* what was put back comes first */
	turns_wait_first(&asks[0][2]);
	expect(0, 2, 0);
	/* what waits no more is not taken */
	turns_leave(&asks[0][3]);
	expect(0, 4, 0);
	assert_null(turns_next(&turns));
}

/* A place that was made: the last of the line has every second one. */
static void
both_ends(void **state)
{
	for (int n = 0; n < 6; n++)
		add(0, n);
	expect(0, 5, 1);
	expect(0, 0, 1);
	expect(0, 1, 0);
	expect(0, 4, 1);
	expect(0, 2, 1);
	expect(0, 3, 1);
}

static void
known_while_it_asks(void **state)
{
	struct turns_ask more = { 0 };

	for (int n = 0; n < MANY; n++)
		add(0, n);
	assert_int_equal(turns_add(&turns, &who[0], MANY, &more), -1);
	/* that of one is nothing to another */
	add(1, 0);
	for (int n = 0; n < MANY; n++)
		turns_remove(&turns, &asks[0][n]);
	assert_null(turns_find(&turns, &who[0]));
	expect(1, 0, 0);
	turns_remove(&turns, &asks[1][0]);
	assert_true(TAILQ_EMPTY(&turns));
}

static void
who_has_most_pays(void **state)
{
	struct turns_asker *a, *b;

	add(0, 0);
	add(1, 0);
	a = turns_find(&turns, &who[0]);
	b = turns_find(&turns, &who[1]);
	a->places = 3;
	b->places = 2;
	assert_ptr_equal(turns_debtor(&turns, b), a);
	assert_ptr_equal(turns_debtor(&turns, a), a);
	/* of two that have as many, nobody pays for the other */
	b->places = 3;
	assert_ptr_equal(turns_debtor(&turns, b), b);
	assert_ptr_equal(turns_debtor(&turns, a), a);
}

/* One has all the places and a line; the others get their shares, one after
 * the other, and keep them. */
static void
shares(void **state)
{
	struct turns_asker *next, *debtor;

	for (int asker = 0; asker < 3; asker++)
		for (int n = 0; n < MANY; n++)
			add(asker, n);
	turns_find(&turns, &who[0])->places = PLACES;
	for (int n = 0; n < MANY; n++) {
		next = turns_next(&turns);
		debtor = turns_debtor(&turns, next);
		debtor->places--;
		turns_take(&turns, next, 1);
		next->places++;
	}
	for (int asker = 0; asker < 3; asker++)
		assert_in_range(turns_find(&turns, &who[asker])->places,
		    PLACES / 3, PLACES / 3 + 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(in_turn),
		TEST(both_ends),
		TEST(known_while_it_asks),
		TEST(who_has_most_pays),
		TEST(shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
