/*
 * auth/history: who is shut out, for how long, and who is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/history.h"

static const uint8_t key[HISTORY_KEY_OCTETS] = { 1, 2, 3 };

static void
fail_times(struct history *h, const char *addr, int shared, const char *user,
    int n, int64_t now)
{
	for (int i = 0; i < n; i++)
		history_failure(h, addr, shared, user, now);
}

struct row {
	const char *name;
	const char *failed_addr;
	const char *failed_user;
	int failures;
	const char *addr;
	const char *user;
	int64_t at; /* seconds after the failures */
	uint32_t wait;
	int shared;
};

static const struct row rows[] = {
	{ "nothing known", "192.0.2.1", "joe", 0, "192.0.2.1", "joe", 0, 0 },
	{ "below", "192.0.2.1", "joe", 5, "192.0.2.1", "joe", 0, 0 },
	{ "at the limit", "192.0.2.1", "joe", 6, "192.0.2.1", "joe", 0, 60 },
	{ "lock runs", "192.0.2.1", "joe", 6, "192.0.2.1", "joe", 59, 1 },
	{ "lock ends", "192.0.2.1", "joe", 6, "192.0.2.1", "joe", 60, 0 },
	{ "owner elsewhere", "192.0.2.1", "joe", 19, "192.0.2.2", "joe", 0, 0 },
	{ "other user there", "192.0.2.1", "joe", 6, "192.0.2.1", "ann", 0, 0 },
	{ "whole address", "192.0.2.1", "joe", 20, "192.0.2.1", "ann", 0, 60 },
	{ "case of a user", "192.0.2.1", "JOE", 6, "192.0.2.1", "joe", 0, 60 },
	{ "mapped address", "::ffff:192.0.2.1", "joe", 6, "192.0.2.1", "joe", 0,
	    60 },
	{ "same /64", "2001:db8::1", "joe", 6, "2001:db8::ffff:2", "joe", 0,
	    60 },
	{ "other /64", "2001:db8::1", "joe", 6, "2001:db8:0:1::1", "joe", 0,
	    0 },
	{ "scoped", "fe80::1%eth0", "joe", 6, "fe80::1", "joe", 0, 60 },
	{ "shared, the user", "127.0.0.1", "joe", 6, "127.0.0.1", "joe", 0, 60,
	    1 },
	{ "shared, all users", "127.0.0.1", "joe", 20, "127.0.0.1", "ann", 0, 0,
	    1 },
	{ "local, not shared", "local", "joe", 20, "local", "ann", 0, 60 },
	{ "doubling", "192.0.2.1", "joe", 7, "192.0.2.1", "joe", 0, 120 },
	{ "ceiling", "192.0.2.1", "joe", 40, "192.0.2.1", "joe", 0, 3600 },
	{ "no joining of fields", "10.0.0.1", "", 6, "10.0.0.1", "x", 0, 0 },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct history *h =
		    history_new(key, &history_default_limits, 1024);
		uint32_t wait;

		assert_non_null(h);
		fail_times(h, r->failed_addr, r->shared, r->failed_user,
		    r->failures, 1000);
		wait = history_wait(h, r->addr, r->user, 1000 + r->at);
		if (wait != r->wait)
			fail_msg("%s: wait %u, not %u", r->name, wait, r->wait);
		history_free(h);
	}
}

static void
test_leak(void **state)
{
	struct history *h = history_new(key, &history_default_limits, 64);

	(void)state;
	/* one failure each 300 s leaks as fast as it comes */
	for (int i = 0; i < 100; i++)
		history_failure(h, "192.0.2.1", 0, "joe", 1000 + i * 300);
	assert_int_equal(
	    history_wait(h, "192.0.2.1", "joe", 1000 + 99 * 300), 0);
	/* one each 100 s does not */
	for (int i = 0; i < 10; i++)
		history_failure(h, "192.0.2.9", 0, "joe", 1000 + i * 100);
	assert_true(history_wait(h, "192.0.2.9", "joe", 1900) > 0);
	history_free(h);
}

static void
test_success(void **state)
{
	struct history *h = history_new(key, &history_default_limits, 64);

	(void)state;
	fail_times(h, "192.0.2.1", 0, "joe", 5, 1000);
	history_success(h, "192.0.2.1", "joe", 1001);
	fail_times(h, "192.0.2.1", 0, "joe", 5, 1002);
	assert_int_equal(history_wait(h, "192.0.2.1", "joe", 1002), 0);
	/* the address keeps its 10 failures: 10 more of any users lock it */
	for (int i = 0; i < 10; i++) {
		char user[16];

		snprintf(user, sizeof(user), "u%d", i);
		history_failure(h, "192.0.2.1", 0, user, 1003);
		history_success(h, "192.0.2.1", user, 1003);
	}
	assert_true(history_wait(h, "192.0.2.1", "new", 1003) > 0);
	/* a success cannot end a lock */
	fail_times(h, "192.0.2.2", 0, "joe", 6, 1000);
	history_success(h, "192.0.2.2", "joe", 1001);
	assert_true(history_wait(h, "192.0.2.2", "joe", 1001) > 0);
	history_free(h);
}

/* ATTACKS 30: guesses over 100 addresses; the owner comes in from his own,
 * each attacker's address ends up shut, and memory does not grow. */
static void
test_botnet(void **state)
{
	struct history *h = history_new(key, &history_default_limits, 4096);
	int open = 0, tried = 0;
	char addr[32];

	(void)state;
	for (int i = 0; i < 10000; i++) {
		snprintf(addr, sizeof(addr), "198.51.100.%d", i % 100);
		if (history_wait(h, addr, "joe", 1000 + i / 100) > 0)
			continue;
		tried++;
		history_failure(h, addr, 0, "joe", 1000 + i / 100);
	}
	assert_int_equal(history_wait(h, "203.0.113.7", "joe", 1100), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(addr, sizeof(addr), "198.51.100.%d", i);
		open += history_wait(h, addr, "joe", 1007) == 0;
	}
	assert_int_equal(open, 0);
	assert_true(tried <= 100 * 8);
	history_free(h);
}

static void
test_eviction(void **state)
{
	struct history *h = history_new(key, &history_default_limits, 8);
	char addr[32];

	(void)state;
	fail_times(h, "192.0.2.1", 0, "joe", 6, 1000);
	for (int i = 0; i < 1000; i++) {
		snprintf(addr, sizeof(addr), "10.0.%d.%d", i / 256, i % 256);
		history_failure(h, addr, 0, "ann", 1001);
	}
	/* a locked entry is the last to make room */
	assert_int_equal(history_wait(h, "192.0.2.1", "joe", 1001), 59);
	history_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_leak),
		cmocka_unit_test(test_success),
		cmocka_unit_test(test_botnet),
		cmocka_unit_test(test_eviction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
