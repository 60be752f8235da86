/*
 * Which host is tried next, what is remembered of one that failed, and when
 * TLS may be given up. A script is a row of what happens to each attempt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/route.h"

static struct mx_candidate candidates[20];

static void
fill_candidates(void)
{
	for (unsigned i = 0; i < 20; i++) {
		snprintf(candidates[i].host, MX_NAME_SIZE, "h%u.test", i);
		candidates[i].preference = (uint16_t)(10 * i);
		candidates[i].address = (struct mx_address){ MX_INET4,
			{ 192, 0, 2, (uint8_t)(i + 1) } };
	}
}

static const struct {
	enum client_end end;
	enum client_tls tls;
	int stale;
	enum route_advice advice;
	int plain;
	enum route_status status;
} judgements[] = {
	{ CLIENT_END_SOURCE, CLIENT_TLS_OPPORTUNISTIC, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_DOWN },
	{ CLIENT_END_CONNECT, CLIENT_TLS_OPPORTUNISTIC, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_DOWN },
	{ CLIENT_END_REFUSED, CLIENT_TLS_OPPORTUNISTIC, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_DOWN },
	{ CLIENT_END_BUSY, CLIENT_TLS_NEVER, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_SLOW },
	{ CLIENT_END_TLS, CLIENT_TLS_REQUIRED, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_TLS },
	{ CLIENT_END_HANDSHAKE, CLIENT_TLS_OPPORTUNISTIC, 0, ROUTE_ADVICE_AGAIN,
	    1, ROUTE_TLS },
	{ CLIENT_END_HANDSHAKE, CLIENT_TLS_REQUIRED, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_TLS },
	{ CLIENT_END_HANDSHAKE, CLIENT_TLS_VERIFIED, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_TLS },
	{ CLIENT_END_AUTH, CLIENT_TLS_REQUIRED, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_DOWN },
	{ CLIENT_END_LOST, CLIENT_TLS_NEVER, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_DOWN },
	{ CLIENT_END_LOST, CLIENT_TLS_NEVER, 1, ROUTE_ADVICE_AGAIN, 0,
	    ROUTE_DOWN },
	{ CLIENT_END_TIMEOUT, CLIENT_TLS_NEVER, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_DOWN },
	{ CLIENT_END_PROTOCOL, CLIENT_TLS_NEVER, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_DOWN },
	{ CLIENT_END_LOOP, CLIENT_TLS_NEVER, 0, ROUTE_ADVICE_NEXT, 0,
	    ROUTE_BAD },
	{ CLIENT_END_ABORTED, CLIENT_TLS_NEVER, 0, ROUTE_ADVICE_STOP, 0,
	    ROUTE_CANCELLED },
	{ CLIENT_END_QUIT, CLIENT_TLS_NEVER, 0, ROUTE_ADVICE_STOP, 0,
	    ROUTE_OK },
};

static void
test_judgements(void **state)
{
	for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]);
	     i++) {
		struct route_hosts *hosts = route_hosts_new();
		struct client_outcome o = { .end = judgements[i].end,
			.stale = judgements[i].stale };
		struct route_plan plan;

		route_begin(&plan, candidates, 2, 25);
		assert_ptr_equal(route_next(&plan, hosts, 1), &candidates[0]);
		assert_int_equal(
		    route_judge(&plan, hosts, judgements[i].tls, &o, 1),
		    judgements[i].advice);
		assert_int_equal(plan.plain, judgements[i].plain);
		assert_int_equal(route_status(&o), judgements[i].status);
		route_hosts_free(hosts);
	}
}

/* Each candidate once, in order, ten at most. */
static void
test_order(void **state)
{
	struct route_hosts *hosts = route_hosts_new();
	struct client_outcome o = { .end = CLIENT_END_CONNECT };
	struct route_plan plan;

	route_begin(&plan, candidates, 3, 25);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(route_next(&plan, hosts, 1), &candidates[i]);
		route_judge(&plan, hosts, CLIENT_TLS_NEVER, &o, 1);
	}
	assert_null(route_next(&plan, hosts, 1));

	route_begin(&plan, candidates, 20, 26);
	for (unsigned i = 0; i < ROUTE_TRIES_MAX; i++)
		assert_ptr_equal(route_next(&plan, hosts, 1), &candidates[i]);
	assert_null(route_next(&plan, hosts, 1));
	route_hosts_free(hosts);
}

/* Where one preference has more addresses than there are tries, the next ones
 * come to theirs. */
static void
test_share(void **state)
{
	static const struct {
		unsigned counts[4]; /* of candidates, by preference */
		const char *order; /* their preferences as they are tried */
	} plans[] = {
		{ { 12, 1 }, "0000000001" },
		{ { 1, 12, 1 }, "0111111112" },
		{ { 12, 1, 1 }, "0000000012" },
		{ { 12, 3, 1 }, "0000000012" },
		{ { 4, 4, 4, 4 }, "0000111123" },
		{ { 12 }, "0000000000" },
	};

	for (size_t n = 0; n < sizeof(plans) / sizeof(plans[0]); n++) {
		struct route_hosts *hosts = route_hosts_new();
		struct client_outcome o = { .end = CLIENT_END_CONNECT };
		const struct mx_candidate *c;
		struct mx_candidate list[20];
		struct route_plan plan;
		unsigned count = 0, tries = 0;
		char order[ROUTE_TRIES_MAX + 1] = "";

		memcpy(list, candidates, sizeof(list));
		for (unsigned p = 0; p < 4; p++)
			for (unsigned i = 0; i < plans[n].counts[p]; i++)
				list[count++].preference = (uint16_t)p;
		route_begin(&plan, list, count, 25);
		while ((c = route_next(&plan, hosts, 1)) != NULL) {
			order[tries++] = (char)('0' + c->preference);
			route_judge(&plan, hosts, CLIENT_TLS_NEVER, &o, 1);
		}
		assert_string_equal(order, plans[n].order);
		route_hosts_free(hosts);
	}
}

/* A host that is ourselves leaves only those that are better, even if they
 * come late because they were down. */
static void
test_loop(void **state)
{
	struct route_hosts *hosts = route_hosts_new();
	struct client_outcome down = { .end = CLIENT_END_CONNECT };
	struct client_outcome loop = { .end = CLIENT_END_LOOP };
	struct route_plan plan;

	route_begin(&plan, candidates, 3, 25);
	assert_ptr_equal(route_next(&plan, hosts, 1), &candidates[0]);
	route_judge(&plan, hosts, CLIENT_TLS_NEVER, &down, 1);
	assert_ptr_equal(route_next(&plan, hosts, 1), &candidates[1]);
	route_judge(&plan, hosts, CLIENT_TLS_NEVER, &loop, 1);
	assert_null(route_next(&plan, hosts, 1));

	route_begin(&plan, candidates, 3, 25);
	assert_ptr_equal(route_next(&plan, hosts, 2), &candidates[1]);
	route_judge(&plan, hosts, CLIENT_TLS_NEVER, &loop, 2);
	assert_ptr_equal(route_next(&plan, hosts, 2), &candidates[0]);
	route_judge(&plan, hosts, CLIENT_TLS_NEVER, &down, 2);
	assert_null(route_next(&plan, hosts, 2));
	route_hosts_free(hosts);
}

/* A host that was down is tried last, and first again after its pause, when
 * it worked, or when all are down. */
static void
test_memory(void **state)
{
	struct route_hosts *hosts = route_hosts_new();
	struct client_outcome o = { .end = CLIENT_END_TIMEOUT };
	struct route_plan plan;
	int64_t now = 1000;

	route_begin(&plan, candidates, 2, 25);
	route_next(&plan, hosts, now);
	route_judge(&plan, hosts, CLIENT_TLS_NEVER, &o, now);

	route_begin(&plan, candidates, 2, 25);
	assert_ptr_equal(route_next(&plan, hosts, now + 1), &candidates[1]);
	assert_ptr_equal(route_next(&plan, hosts, now + 1), &candidates[0]);
	/* another port is another server */
	route_begin(&plan, candidates, 2, 2525);
	assert_ptr_equal(route_next(&plan, hosts, now + 1), &candidates[0]);

	route_begin(&plan, candidates, 2, 25);
	assert_ptr_equal(route_next(&plan, hosts, now + 30000), &candidates[0]);
	/* the second failure in a row costs twice the pause */
	now += 30000;
	route_judge(&plan, hosts, CLIENT_TLS_NEVER, &o, now);
	route_begin(&plan, candidates, 2, 25);
	assert_ptr_equal(route_next(&plan, hosts, now + 59999), &candidates[1]);
	route_judge(&plan, hosts, CLIENT_TLS_NEVER, &o, now + 59999);
	/* both down: in the order of preference */
	route_begin(&plan, candidates, 2, 25);
	assert_ptr_equal(route_next(&plan, hosts, now + 59999), &candidates[0]);
	route_worked(&plan, hosts, now + 59999);
	route_begin(&plan, candidates, 2, 25);
	assert_ptr_equal(route_next(&plan, hosts, now + 59999), &candidates[0]);
	route_hosts_free(hosts);
}

/* A host that said nothing of a message comes last for half an hour, whatever
 * else it takes. */
static void
test_doubt(void **state)
{
	struct route_hosts *hosts = route_hosts_new();
	struct route_plan plan;

	route_doubt(hosts, &candidates[0].address, 25, 1000);
	route_begin(&plan, candidates, 2, 25);
	assert_ptr_equal(route_next(&plan, hosts, 1000), &candidates[1]);
	assert_ptr_equal(route_next(&plan, hosts, 1000), &candidates[0]);
	route_worked(&plan, hosts, 1000);
	route_begin(&plan, candidates, 2, 25);
	assert_ptr_equal(route_next(&plan, hosts, 1800999), &candidates[1]);
	route_begin(&plan, candidates, 2, 25);
	assert_ptr_equal(route_next(&plan, hosts, 1801000), &candidates[0]);
	route_hosts_free(hosts);
}

/* Another host is one of another name: addresses of one are one host. */
static void
test_another(void **state)
{
	struct route_hosts *hosts = route_hosts_new();
	struct mx_candidate three[3];
	struct route_plan plan;

	memcpy(three, candidates, sizeof(three));
	memcpy(three[1].host, three[0].host, sizeof(three[0].host));
	route_begin(&plan, three, 2, 25);
	route_next(&plan, hosts, 1);
	assert_false(route_has_other(&plan, three[0].host));
	route_begin(&plan, three, 3, 25);
	route_next(&plan, hosts, 1);
	assert_true(route_has_other(&plan, three[0].host));
	route_leave(&plan, three[0].host);
	assert_ptr_equal(route_next(&plan, hosts, 1), &three[2]);
	assert_null(route_next(&plan, hosts, 1));
	route_hosts_free(hosts);
}

/* Broken TLS leads to clear with that host, once, and no further: whoever names
 * the same address next has TLS, and the host is not held for dead. */
static void
test_plain(void **state)
{
	struct route_hosts *hosts = route_hosts_new();
	struct client_outcome o = { .end = CLIENT_END_HANDSHAKE };
	struct route_plan plan;

	route_begin(&plan, candidates, 2, 25);
	route_next(&plan, hosts, 1);
	assert_int_equal(plan.plain, 0);
	assert_int_equal(
	    route_judge(&plan, hosts, CLIENT_TLS_OPPORTUNISTIC, &o, 1),
	    ROUTE_ADVICE_AGAIN);
	assert_int_equal(plan.plain, 1);
	/* once in clear, TLS cannot fail again: no endless turn */
	assert_int_equal(
	    route_judge(&plan, hosts, CLIENT_TLS_OPPORTUNISTIC, &o, 1),
	    ROUTE_ADVICE_NEXT);
	assert_ptr_equal(route_next(&plan, hosts, 1), &candidates[1]);
	assert_int_equal(plan.plain, 0);
	route_begin(&plan, candidates, 2, 25);
	assert_ptr_equal(route_next(&plan, hosts, 1), &candidates[0]);
	assert_int_equal(plan.plain, 0);
	route_hosts_free(hosts);
}

/* The memory does not grow with the world. */
static void
test_bound(void **state)
{
	struct route_hosts *hosts = route_hosts_new();
	struct client_outcome o = { .end = CLIENT_END_CONNECT };
	struct mx_candidate one = { .host = "x",
		.address = { MX_INET6, { 0x20, 1 } } };
	struct route_plan plan;

	for (uint32_t i = 0; i < 100000; i++) {
		memcpy(one.address.octets + 12, &i, sizeof(i));
		route_begin(&plan, &one, 1, 25);
		assert_non_null(route_next(&plan, hosts, i + 1));
		route_judge(&plan, hosts, CLIENT_TLS_NEVER, &o, i + 1);
	}
	assert_in_range(
	    route_hosts_count(hosts), ROUTE_HOSTS_MAX / 2, ROUTE_HOSTS_MAX);
	/* the newest is still known */
	route_begin(&plan, &one, 1, 25);
	candidates[1].address = one.address;
	route_begin(&plan, candidates + 1, 2, 25);
	assert_ptr_equal(route_next(&plan, hosts, 100001), &candidates[2]);
	route_hosts_free(hosts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judgements),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_another),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_bound),
	};

	fill_candidates();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
