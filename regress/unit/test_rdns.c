/*
 * Reverse names: what is asked, which answers confirm, and what of a
 * stranger's names is passed over.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtpd/rdns.h"

static const uint8_t addr4[4] = { 192, 0, 2, 1 };
static const uint8_t addr6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x2f };

/* Gives an answer of up to two records of one type. */
static int
answer(struct rdns *r, uint8_t status, uint16_t type, const char *name,
    const char *other, const void *data, size_t len, struct rdns_question *q)
{
	struct ipc_buf buf = { 0 };
	struct msg_dns_record record = {
		.type = type, .name = name, .data = ipc_blob(data, len)
	};
	struct msg_dns_answer m = { .status = status, .ttl = 300, .name = "" };
	int rc;

	if (name != NULL)
		ipc_add_dns_record(&buf, &record);
	if (other != NULL) {
		record.name = other;
		ipc_add_dns_record(&buf, &record);
	}
	m.records = ipc_buf_list(&buf);
	rc = rdns_answer(r, &m, q);
	ipc_buf_free(&buf);
	return rc;
}

static void
test_confirmed(void **state)
{
	struct rdns_question q;
	struct rdns r;

	rdns_begin(&r, addr4, 4, &q);
	assert_int_equal(q.type, 12);
	assert_string_equal(q.name, "1.2.0.192.in-addr.arpa");
	assert_int_equal(
	    answer(&r, DNS_OK, 12, "MX.Example.ORG", NULL, NULL, 0, &q), 1);
	assert_int_equal(q.type, 1);
	assert_string_equal(q.name, "mx.example.org");
	assert_int_equal(answer(&r, DNS_OK, 1, "", NULL, addr4, 4, &q), 0);
	assert_string_equal(r.name, "mx.example.org");
	assert_int_equal(r.state, RDNS_CONFIRMED);
	assert_int_equal(r.ttl, 300);

	rdns_begin(&r, addr6, 16, &q);
	assert_string_equal(q.name,
	    "f.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
	    "ip6.arpa");
	assert_int_equal(
	    answer(&r, DNS_OK, 12, "mx.example.org", NULL, NULL, 0, &q), 1);
	assert_int_equal(q.type, 28);
	assert_int_equal(answer(&r, DNS_OK, 28, "", NULL, addr6, 16, &q), 0);
	assert_int_equal(r.state, RDNS_CONFIRMED);
}

static void
test_unconfirmed(void **state)
{
	static const uint8_t other[4] = { 192, 0, 2, 2 };
	struct rdns_question q;
	struct rdns r;

	/* a name that leads elsewhere */
	rdns_begin(&r, addr4, 4, &q);
	answer(&r, DNS_OK, 12, "mx.example.org", NULL, NULL, 0, &q);
	assert_int_equal(answer(&r, DNS_OK, 1, "", NULL, other, 4, &q), 0);
	assert_int_equal(r.state, RDNS_UNCONFIRMED);
	assert_string_equal(r.name, "mx.example.org");
	/* an answer of another type or length is none */
	rdns_begin(&r, addr4, 4, &q);
	answer(&r, DNS_OK, 12, "mx.example.org", NULL, NULL, 0, &q);
	answer(&r, DNS_OK, 28, "", NULL, addr4, 4, &q);
	assert_int_equal(r.state, RDNS_UNCONFIRMED);
	rdns_begin(&r, addr4, 4, &q);
	answer(&r, DNS_OK, 12, "mx.example.org", NULL, NULL, 0, &q);
	answer(&r, DNS_OK, 1, "", NULL, addr6, 16, &q);
	assert_int_equal(r.state, RDNS_UNCONFIRMED);
	/* no name */
	for (uint8_t status = DNS_NODATA; status <= DNS_NXDOMAIN; status++) {
		rdns_begin(&r, addr4, 4, &q);
		assert_int_equal(
		    answer(&r, status, 12, NULL, NULL, NULL, 0, &q), 0);
		assert_string_equal(r.name, "");
		assert_int_equal(r.state, RDNS_UNCONFIRMED);
	}
}

/* A DNS that does not answer has not said that there is no name. */
static void
test_open(void **state)
{
	struct rdns_question q;
	struct rdns r;

	rdns_begin(&r, addr4, 4, &q);
	assert_int_equal(r.state, RDNS_OPEN);
	assert_int_equal(
	    answer(&r, DNS_TEMPFAIL, 12, NULL, NULL, NULL, 0, &q), 0);
	assert_string_equal(r.name, "");
	assert_int_equal(r.state, RDNS_OPEN);
	/* nor that a name leads elsewhere */
	rdns_begin(&r, addr4, 4, &q);
	answer(&r, DNS_OK, 12, "mx.example.org", NULL, NULL, 0, &q);
	assert_int_equal(r.state, RDNS_OPEN);
	assert_int_equal(
	    answer(&r, DNS_TEMPFAIL, 1, NULL, NULL, NULL, 0, &q), 0);
	assert_string_equal(r.name, "mx.example.org");
	assert_int_equal(r.state, RDNS_OPEN);
	/* a name that is gone by now is an answer */
	rdns_begin(&r, addr4, 4, &q);
	answer(&r, DNS_OK, 12, "mx.example.org", NULL, NULL, 0, &q);
	answer(&r, DNS_NXDOMAIN, 1, NULL, NULL, NULL, 0, &q);
	assert_int_equal(r.state, RDNS_UNCONFIRMED);
}

static void
test_odd_names(void **state)
{
	static const char *const names[] = { "", ".", "a b.example",
		"x\r\nReceived: y", "[192.0.2.1]", "a..b", "$(id).example",
		"<x>", "-", "a\tb" };
	struct rdns_question q;
	struct rdns r;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		rdns_begin(&r, addr4, 4, &q);
		assert_int_equal(
		    answer(&r, DNS_OK, 12, names[i], NULL, NULL, 0, &q), 0);
		assert_string_equal(r.name, "");
		/* and does not hide a good one behind it */
		rdns_begin(&r, addr4, 4, &q);
		assert_int_equal(answer(&r, DNS_OK, 12, names[i],
				     "good.example", NULL, 0, &q),
		    1);
		assert_string_equal(q.name, "good.example");
	}
}

static void
test_cache(void **state)
{
	struct rdns_cache *c = rdns_cache_new(16);
	struct rdns_question q;
	uint8_t octets[4] = { 10, 0, 0, 0 };
	struct rdns r;

	rdns_begin(&r, addr4, 4, &q);
	answer(&r, DNS_OK, 12, "mx.example.org", NULL, NULL, 0, &q);
	answer(&r, DNS_OK, 1, "", NULL, addr4, 4, &q);
	assert_null(rdns_cache_find(c, addr4, 4, 1000));
	rdns_cache_add(c, &r, 1000);
	assert_non_null(rdns_cache_find(c, addr4, 4, 1299));
	assert_string_equal(
	    rdns_cache_find(c, addr4, 4, 1000)->name, "mx.example.org");
	assert_null(rdns_cache_find(c, addr4, 4, 1300));
	assert_null(rdns_cache_find(c, addr6, 16, 1000));
	/* what is open is asked again soon */
	rdns_begin(&r, addr6, 16, &q);
	answer(&r, DNS_OK, 12, "mx.example.org", NULL, NULL, 0, &q);
	rdns_cache_add(c, &r, 1000);
	assert_int_equal(rdns_cache_find(c, addr6, 16, 1059)->state, RDNS_OPEN);
	assert_null(rdns_cache_find(c, addr6, 16, 1060));
	/* many share few places, and none is taken for another */
	for (unsigned i = 0; i < 200; i++) {
		octets[3] = (uint8_t)i;
		rdns_begin(&r, octets, 4, &q);
		rdns_cache_add(c, &r, 1000);
		assert_memory_equal(
		    rdns_cache_find(c, octets, 4, 1001)->octets, octets, 4);
	}
	rdns_cache_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_confirmed),
		cmocka_unit_test(test_unconfirmed),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_odd_names),
		cmocka_unit_test(test_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
