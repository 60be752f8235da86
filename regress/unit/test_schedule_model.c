/*
 * Seeded random operations on the scheduler against its model, and that
 * senders take turns. SCHED_SEED=N replays one seed, SCHED_SEEDS=N runs more
 * of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "regress/unit/schedule_model.h"

static void
against_model(void **state)
{
	const char *one = getenv("SCHED_SEED"), *many = getenv("SCHED_SEEDS");
	uint64_t seed, seeds = many != NULL ? strtoull(many, NULL, 10) : 1000;

	if (one != NULL) {
		schedule_model_run(strtoull(one, NULL, 10));
		return;
	}
	for (seed = 0; seed < seeds; seed++) {
		/* The last line of a failed run names its seed. */
		snprintf(*state, 64, "seed %llu", (unsigned long long)seed);
		schedule_model_run(seed);
	}
}

static int
name_seed(void **state)
{
	static char name[64];

	name[0] = '\0';
	*state = name;
	return 0;
}

static int
print_seed(void **state)
{
	print_message("last: %s\n", (char *)*state);
	return 0;
}

/*
 * Fairness: a sender that always has mail waiting starts again before any
 * other sender has started twice, however much the others have.
 */
static void
turns_of_senders(uint64_t seed)
{
	enum { SENDERS = 7 };
	struct sched_params params = { .seed = seed };
	struct sched_class class = { .window_start = 1, .window_max = 1 };
	struct sched *s = sched_new(&params);
	struct schedule_dice dice = { .random = schedule_seed(seed) };
	uint32_t left[SENDERS], since[SENDERS][SENDERS] = { 0 }, from[4096];
	uint32_t i, k, msgid = 0;
	struct sched_job job;
	struct sched_verdict v;
	struct sched_add a = { .action = "a", .domain = "d" };

	assert_non_null(s);
	sched_set_class(s, 0, &class);
	for (i = 0; i < SENDERS; i++) {
		left[i] = 1 +
		    schedule_roll(
			&dice, schedule_roll(&dice, 3) == 0 ? 300 : 5);
		for (k = 0; k < left[i]; k++) {
			a.msgid = ++msgid;
			a.sender_key = i;
			from[msgid] = i;
			assert_int_equal(sched_add(s, &a, T0), 0);
		}
	}
	while (sched_next(s, T0, &job) == SCHED_START) {
		i = from[job.msgid];
		left[i]--;
		for (k = 0; k < SENDERS; k++) {
			since[i][k] = 0;
			if (k != i && left[k] > 0)
				assert_true(++since[k][i] <= 1);
		}
		assert_int_equal(
		    sched_result(s, job.msgid, 0, SCHED_DELIVERED, T0, &v), 0);
		sched_remove(s, job.msgid, 0);
		sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL);
		msgid--;
	}
	assert_int_equal(msgid, 0);
	sched_free(s);
}

static void
fairness(void **state)
{
	uint64_t seed;

	for (seed = 0; seed < 200; seed++)
		turns_of_senders(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    against_model, name_seed, print_seed),
		cmocka_unit_test(fairness),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
