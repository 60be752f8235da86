/*
 * How many recipients users may add to a message: whose they are counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/enums.h"
#include "queue/twins.h"

#define ACCEPTED .parent = ENVELOPE_NO_PARENT
#define USER(name) .kind = DEST_USER, .user = (name)
#define OTHER(k) .kind = (k), .user = ""
#define FORWARD(from) .parent = (from), .forwarded = 1

/* joe has three addresses, one of them by an alias */
static struct envelope_rcpt rcpts[] = {
	{ ACCEPTED, USER("joe"), .address = "joe@here.test" },
	{ ACCEPTED, USER("joe"), .address = "joe+tag@here.test" },
	{ ACCEPTED, OTHER(DEST_RELAY), .address = "all@here.test" },
	{ ACCEPTED, USER("ann"), .address = "ann@here.test" },
	{ ACCEPTED, USER("bob"), .address = "bob@here.test" },
	{ .parent = 2, USER("joe"), .address = "joe@here.test" },
	{ FORWARD(0), OTHER(DEST_RELAY), .address = "a@far.test" },
	{ FORWARD(0), OTHER(DEST_RELAY), .address = "b@far.test" },
	{ FORWARD(1), OTHER(DEST_RELAY), .address = "a@far.test" },
	{ FORWARD(5), OTHER(DEST_RELAY), .address = "a@far.test" },
	{ FORWARD(3), USER("bob"), .address = "bob@here.test" },
	{ FORWARD(10), OTHER(DEST_RELAY), .address = "a@far.test" },
	/* not of a .forward, and not of a user */
	{ .parent = 0, OTHER(DEST_RELAY), .address = "c@far.test" },
	{ FORWARD(2), OTHER(DEST_RELAY), .address = "d@far.test" },
};
static const struct envelope env = { .rcpts = rcpts,
	.rcpt_count = sizeof(rcpts) / sizeof(rcpts[0]) };

static void
one_bound_for_an_account(void **state)
{
	static const struct {
		uint32_t index, count;
	} rows[] = {
		/* whichever of his addresses it is that adds one more */
		{ 0, 4 },
		{ 1, 4 },
		{ 5, 4 },
		/* ann's own, and what came of it behind her */
		{ 3, 2 },
		/* bob's own .forward, of whom there is another behind ann */
		{ 4, 1 },
		{ 10, 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    twins_forwarded(&env, rows[i].index), rows[i].count);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_bound_for_an_account),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
