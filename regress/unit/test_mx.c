/*
 * MX selection against small zones. A zone is lines of
 *	NAME TYPE VALUE...	MX: preference host; A, AAAA: address;
 *				NULL, TEMP, CNAME target, ODD: an MX that
 *				the resolver had to leave out
 * A name that is not in the zone does not exist; one that is there without
 * the type asked for has no data. The outcome is the candidates in order,
 * hosts of one preference in alphabetical order, or the failure.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/mx.h"

enum { TYPE_A = 1, TYPE_MX = 15, TYPE_AAAA = 28 };
enum { BACKUP = 1, EXPLICIT = 2, LOOPBACK = 4, ONLY4 = 8, ONLY6 = 16 };

static const struct {
	const char *title;
	int flags;
	const char *destination;
	const char *zone;
	const char *expect;
} cases[] = {
	{ "mx in order of preference", 0, "a.test",
	    "a.test MX 20 n.test\na.test MX 10 m.test\n"
	    "m.test A 192.0.2.1\nn.test A 192.0.2.2\n",
	    "10 m.test 192.0.2.1\n20 n.test 192.0.2.2\n" },
	{ "a host with both families begins with IPv6 and takes turns", 0,
	    "a.test",
	    "a.test MX 10 m.test\nm.test A 192.0.2.1\nm.test A 192.0.2.1\n"
	    "m.test AAAA 2001:db8::1\n",
	    "10 m.test 2001:db8::1\n10 m.test 192.0.2.1\n" },
	{ "IPv4 only", ONLY4, "a.test",
	    "a.test MX 10 m.test\nm.test A 192.0.2.1\n"
	    "m.test AAAA 2001:db8::1\n",
	    "10 m.test 192.0.2.1\n" },
	{ "IPv6 only", ONLY6, "a.test",
	    "a.test MX 10 m.test\nm.test A 192.0.2.1\n"
	    "m.test AAAA 2001:db8::1\n",
	    "10 m.test 2001:db8::1\n" },
	{ "no mx: the domain's own address", 0, "a.test",
	    "a.test A 192.0.2.1\n", "0 a.test 192.0.2.1\n" },
	{ "no mx and no address", 0, "a.test", "a.test TXT x\n",
	    "fail 550 5.1.2 bad" },
	{ "an mx without address does not lead to the domain's own", 0,
	    "a.test", "a.test MX 10 m.test\na.test A 192.0.2.1\n",
	    "fail 550 5.4.4 bad" },
	{ "the next mx when one has no address", 0, "a.test",
	    "a.test MX 10 m.test\na.test MX 20 n.test\nn.test A 192.0.2.2\n",
	    "20 n.test 192.0.2.2\n" },
	{ "null mx", 0, "a.test", "a.test MX 0 .\na.test A 192.0.2.1\n",
	    "fail 556 5.1.10 bad" },
	{ "null mx beside another is passed over", 0, "a.test",
	    "a.test MX 0 .\na.test MX 5 m.test\nm.test A 192.0.2.1\n",
	    "5 m.test 192.0.2.1\n" },
	{ "no such domain", 0, "a.test", "b.test A 192.0.2.1\n",
	    "fail 550 5.1.2 bad" },
	{ "mx unknown for now", 0, "a.test", "a.test TEMP\n",
	    "fail 451 4.4.3 dns" },
	{ "addresses unknown for now", 0, "a.test",
	    "a.test MX 10 m.test\nm.test TEMP\n", "fail 451 4.4.3 dns" },
	{ "one host unknown for now, the other known", 0, "a.test",
	    "a.test MX 10 m.test\na.test MX 20 n.test\nm.test TEMP\n"
	    "n.test A 192.0.2.2\n",
	    "20 n.test 192.0.2.2\n" },
	{ "we are in the list by name", 0, "a.test",
	    "a.test MX 10 m.test\na.test MX 20 us.test\na.test MX 20 o.test\n"
	    "a.test MX 30 n.test\nm.test A 192.0.2.1\nn.test A 192.0.2.2\n"
	    "o.test A 192.0.2.3\nus.test A 192.0.2.99\n",
	    "10 m.test 192.0.2.1\n" },
	{ "we are in the list by name in capitals and with a dot", 0, "a.test",
	    "a.test MX 10 m.test\na.test MX 20 US.Test.\na.test MX 30 n.test\n"
	    "m.test A 192.0.2.1\nn.test A 192.0.2.2\n",
	    "10 m.test 192.0.2.1\n" },
	{ "we are in the list by address", 0, "a.test",
	    "a.test MX 10 m.test\na.test MX 20 alias.test\n"
	    "a.test MX 30 n.test\nm.test A 192.0.2.1\nn.test A 192.0.2.2\n"
	    "alias.test A 192.0.2.77\nalias.test A 198.51.100.1\n",
	    "10 m.test 192.0.2.1\n" },
	{ "we are in the list by a CNAME to our name", 0, "a.test",
	    "a.test MX 10 m.test\na.test MX 20 alias.test\n"
	    "a.test MX 30 n.test\nm.test A 192.0.2.1\nn.test A 192.0.2.2\n"
	    "alias.test CNAME us.test\nus.test A 192.0.2.5\n",
	    "10 m.test 192.0.2.1\n" },
	{ "we are the best", 0, "a.test",
	    "a.test MX 10 us.test\na.test MX 20 n.test\nn.test A 192.0.2.2\n",
	    "fail 554 5.4.6 bad" },
	{ "a backup that is the best waits", BACKUP, "a.test",
	    "a.test MX 10 us.test\na.test MX 20 n.test\nn.test A 192.0.2.2\n",
	    "fail 451 4.4.6 dns" },
	{ "a better host without address does not let us send to worse ones",
	    BACKUP, "a.test",
	    "a.test MX 5 m.test\na.test MX 10 us.test\na.test MX 20 n.test\n"
	    "n.test A 192.0.2.2\n",
	    "fail 550 5.4.4 bad" },
	{ "a backup that is not listed sends to all", BACKUP, "a.test",
	    "a.test MX 10 m.test\na.test MX 20 n.test\nm.test A 192.0.2.1\n"
	    "n.test A 192.0.2.2\n",
	    "10 m.test 192.0.2.1\n20 n.test 192.0.2.2\n" },
	{ "our own address without mx", 0, "a.test", "a.test A 192.0.2.77\n",
	    "fail 554 5.4.6 bad" },
	{ "loopback", 0, "a.test", "a.test MX 10 m.test\nm.test A 127.0.0.1\n",
	    "fail 550 5.4.4 bad" },
	{ "IPv6 loopback, unspecified, multicast, mapped, link-local", 0,
	    "a.test",
	    "a.test MX 10 m.test\nm.test AAAA ::1\nm.test AAAA ::\n"
	    "m.test AAAA ff02::1\nm.test AAAA ::ffff:127.0.0.1\n"
	    "m.test AAAA ::ffff:192.0.2.1\nm.test AAAA fe80::1\n"
	    "m.test A 0.0.0.0\nm.test A 224.0.0.1\nm.test A 255.255.255.255\n"
	    "m.test A 169.254.1.1\n",
	    "fail 550 5.4.4 bad" },
	{ "loopback where the configuration lets it", LOOPBACK, "a.test",
	    "a.test MX 10 m.test\nm.test A 127.0.0.2\n",
	    "10 m.test 127.0.0.2\n" },
	{ "multicast is refused all the same", LOOPBACK, "a.test",
	    "a.test MX 10 m.test\nm.test A 224.0.0.1\n", "fail 550 5.4.4 bad" },
	{ "a host of the configuration: no mx, any address", EXPLICIT,
	    "us.test", "us.test MX 10 m.test\nus.test A 127.0.0.1\n",
	    "0 us.test 127.0.0.1\n" },
	{ "a host of the configuration by address", EXPLICIT, "127.0.0.1", "",
	    "0 127.0.0.1 127.0.0.1\n" },
	{ "a host of the configuration by IPv6 address", EXPLICIT, "::1", "",
	    "0 ::1 ::1\n" },
	{ "an address literal", 0, "[192.0.2.9]", "",
	    "0 [192.0.2.9] 192.0.2.9\n" },
	{ "an IPv6 literal", 0, "[IPv6:2001:db8::9]", "",
	    "0 [IPv6:2001:db8::9] 2001:db8::9\n" },
	{ "a literal of ours", 0, "[192.0.2.77]", "", "fail 554 5.4.6 bad" },
	{ "a loopback literal", 0, "[127.0.0.1]", "", "fail 550 5.4.4 bad" },
	{ "a malformed literal", 0, "[192.0.2.9", "", "fail 550 5.1.2 bad" },
	{ "half a literal", 0, "[", "", "fail 550 5.1.2 bad" },
	{ "no destination", 0, "", "", "fail 550 5.1.2 bad" },
	{ "a destination that is no name", 0, "a\nb", "",
	    "fail 550 5.1.2 bad" },
	{ "an mx with odd octets is passed over", 0, "a.test",
	    "a.test MX 10 m\x01.test\na.test MX 20 n.test\n"
	    "n.test A 192.0.2.2\n",
	    "20 n.test 192.0.2.2\n" },
	{ "an mx without a usable name does not lead to the domain's own", 0,
	    "a.test", "a.test ODD\na.test A 192.0.2.1\n",
	    "fail 550 5.4.4 bad" },
	{ "one host at two preferences counts at the better", 0, "a.test",
	    "a.test MX 30 m.test\na.test MX 20 n.test\na.test MX 10 m.test\n"
	    "m.test A 192.0.2.1\nn.test A 192.0.2.2\n",
	    "10 m.test 192.0.2.1\n20 n.test 192.0.2.2\n" },
};

static void
add_record(struct ipc_buf *buf, uint16_t type, char *value)
{
	struct msg_dns_record r = { .type = type, .name = "" };
	uint8_t octets[16];
	char *rest;

	if (type == TYPE_MX) {
		r.preference = (uint16_t)strtoul(value, &rest, 10);
		r.name = strcmp(rest + 1, ".") == 0 ? "" : rest + 1;
	} else {
		int af = type == TYPE_A ? AF_INET : AF_INET6;

		assert_int_equal(inet_pton(af, value, octets), 1);
		r.data = ipc_blob(octets, type == TYPE_A ? 4 : 16);
	}
	ipc_add_dns_record(buf, &r);
}

/* Looks name and type up in the zone, following one CNAME. */
static void
look_up(const char *zone, const char *name, uint16_t type,
    struct msg_dns_answer *answer, struct ipc_buf *buf, char *owner)
{
	const char *want = type == TYPE_A ? "A"
	    : type == TYPE_MX             ? "MX"
					  : "AAAA";
	char copy[4096], target[256] = "", *line, *save = NULL;

	snprintf(owner, 256, "%s", name);
	snprintf(copy, sizeof(copy), "%s", zone);
	answer->status = DNS_NXDOMAIN;
	for (line = strtok_r(copy, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *kind = strchr(line, ' '), *value;

		assert_non_null(kind);
		*kind++ = '\0';
		if (strcasecmp(line, name) != 0)
			continue;
		if ((value = strchr(kind, ' ')) != NULL)
			*value++ = '\0';
		if (answer->status == DNS_NXDOMAIN)
			answer->status = DNS_NODATA;
		if (strcmp(kind, "TEMP") == 0)
			answer->status = DNS_TEMPFAIL;
		else if (strcmp(kind, "CNAME") == 0)
			snprintf(target, sizeof(target), "%s", value);
		else if (strcmp(kind, want) == 0) {
			add_record(buf, type, value);
			answer->status = DNS_OK;
		} else if (strcmp(kind, "ODD") == 0 && type == TYPE_MX)
			answer->status = DNS_OK;
	}
	if (*target != '\0')
		look_up(zone, target, type, answer, buf, owner);
}

static void
resolve(struct mx *mx, const char *zone)
{
	struct msg_dns_answer answer;
	struct ipc_buf buf = { 0 };
	char owner[256];
	const char *name;
	unsigned slot;
	uint16_t type;

	while (mx_query(mx, &slot, &type, &name)) {
		memset(&answer, 0, sizeof(answer));
		ipc_buf_reset(&buf);
		look_up(zone, name, type, &answer, &buf, owner);
		answer.name = owner;
		answer.records = ipc_buf_list(&buf);
		mx_answer(mx, slot, &answer);
	}
	ipc_buf_free(&buf);
}

static int
compare(const void *a, const void *b)
{
	const struct mx_candidate *x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return strcmp(x->host, y->host);
}

static const char *const own_names[] = { "us.test" };
static const struct mx_address own_address = { MX_INET4, { 192, 0, 2, 77 } };

static struct mx_policy
make_policy(int flags)
{
	return (struct mx_policy){
		.own_names = own_names,
		.own_names_count = 1,
		.own_addresses = &own_address,
		.own_addresses_count = 1,
		.explicit_host = (flags & EXPLICIT) != 0,
		.backup = (flags & BACKUP) != 0,
		.allow_loopback = (flags & LOOPBACK) != 0,
		.use_inet4 = (flags & ONLY6) == 0,
		.use_inet6 = (flags & ONLY4) == 0,
	};
}

static void
describe(const struct mx *mx, char *out, size_t size)
{
	static const char *const routes[] = {
		[ROUTE_DNS] = "dns", [ROUTE_BAD] = "bad"
	};
	struct mx_candidate list[MX_CANDIDATE_LIMIT];
	const struct mx_failure *f = mx_failure(mx);
	char address[64];
	size_t n, len = 0;

	*out = '\0';
	if (mx_state(mx) == MX_FAILED) {
		assert_int_equal(
		    f->status == DELIVERY_TEMPFAIL, f->enhanced[0] == '4');
		assert_int_equal(f->code / 100, f->enhanced[0] - '0');
		assert_true(f->text[0] != '\0');
		snprintf(out, size, "fail %u %s %s", f->code, f->enhanced,
		    routes[f->route]);
		return;
	}
	assert_int_equal(mx_state(mx), MX_READY);
	n = mx_candidates(mx, 7, list, MX_CANDIDATE_LIMIT);
	assert_true(n > 0);
	for (size_t i = 1; i < n; i++)
		assert_true(compare(&list[i - 1], &list[i]) <= 0);
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(out + len, size - len, "%u %s %s\n",
		    list[i].preference, list[i].host,
		    mx_address_text(
			&list[i].address, address, sizeof(address)));
}

static void
test_zones(void **state)
{
	char got[4096];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mx_policy policy = make_policy(cases[i].flags);
		struct mx *mx = mx_new(&policy, cases[i].destination);

		resolve(mx, cases[i].zone);
		describe(mx, got, sizeof(got));
		if (strcmp(got, cases[i].expect) != 0)
			fail_msg("%s: got %s", cases[i].title, got);
		mx_free(mx);
	}
}

/* 1,000 MX and 10,000 addresses (ATTACKS 41) end within the limits. */
static void
test_limits(void **state)
{
	struct mx_policy policy = make_policy(0);
	struct mx *mx = mx_new(&policy, "big.test");
	struct mx_candidate list[MX_CANDIDATE_LIMIT];
	struct msg_dns_answer answer = { .status = DNS_OK, .name = "big.test" };
	struct ipc_buf buf = { 0 };
	const char *name;
	unsigned slot, asked = 0;
	uint16_t type;
	char host[64];

	assert_true(mx_query(mx, &slot, &type, &name));
	for (unsigned i = 0; i < 1000; i++) {
		struct msg_dns_record r = { .type = TYPE_MX,
			.preference = (uint16_t)(2000 - i),
			.name = host };

		snprintf(host, sizeof(host), "h%u.test", i);
		ipc_add_dns_record(&buf, &r);
	}
	answer.records = ipc_buf_list(&buf);
	mx_answer(mx, slot, &answer);
	ipc_buf_reset(&buf);
	for (unsigned i = 0; i < 500; i++) {
		uint8_t octets[4] = { 198, 51, (uint8_t)(i >> 8), (uint8_t)i };
		struct msg_dns_record r = {
			.type = TYPE_A, .name = "", .data = ipc_blob(octets, 4)
		};

		ipc_add_dns_record(&buf, &r);
	}
	answer.records = ipc_buf_list(&buf);
	while (mx_query(mx, &slot, &type, &name)) {
		answer.name = name;
		mx_answer(mx, slot, &answer);
		asked++;
	}
	assert_int_equal(asked, 2 * MX_HOST_LIMIT);
	assert_int_equal(mx_state(mx), MX_READY);
	assert_int_equal(
	    mx_candidates(mx, 1, list, MX_CANDIDATE_LIMIT), MX_CANDIDATE_LIMIT);
	/* the best preference came last */
	assert_string_equal(list[0].host, "h999.test");
	ipc_buf_free(&buf);
	mx_free(mx);
}

/* Equal hosts share the load: each is first for about half of the seeds. */
static void
test_shuffle(void **state)
{
	static const char zone[] = "a.test MX 10 m.test\na.test MX 10 n.test\n"
				   "m.test A 192.0.2.1\nn.test A 192.0.2.2\n"
				   "a.test MX 20 o.test\no.test A 192.0.2.3\n";
	struct mx_policy policy = make_policy(0);
	struct mx *mx = mx_new(&policy, "a.test");
	struct mx_candidate list[8], again[8];
	unsigned first = 0;

	resolve(mx, zone);
	for (uint64_t seed = 0; seed < 1000; seed++) {
		assert_int_equal(mx_candidates(mx, seed, list, 8), 3);
		assert_int_equal(mx_candidates(mx, seed, again, 8), 3);
		for (size_t i = 0; i < 3; i++)
			assert_string_equal(list[i].host, again[i].host);
		assert_string_equal(list[2].host, "o.test");
		first += strcmp(list[0].host, "m.test") == 0;
	}
	assert_in_range(first, 400, 600);
	mx_free(mx);
}

/* Answers that nobody asked for, twice, or of the wrong form, change nothing.
 */
static void
test_stray_answers(void **state)
{
	struct mx_policy policy = make_policy(ONLY4);
	struct mx *mx = mx_new(&policy, "a.test");
	struct msg_dns_answer answer = { .status = DNS_OK, .name = "a.test" };
	struct msg_dns_record mxr = { .type = TYPE_MX, .name = "m.test" };
	struct msg_dns_record a = {
		.type = TYPE_A, .name = "", .data = ipc_blob("\xc0\x00\x02", 3)
	};
	struct ipc_buf buf = { 0 };
	const char *name;
	unsigned slot;
	uint16_t type;

	ipc_add_dns_record(&buf, &mxr);
	answer.records = ipc_buf_list(&buf);
	assert_int_equal(mx_answer(mx, 0, &answer), MX_WAIT);
	assert_int_equal(mx_answer(mx, 99, &answer), MX_WAIT);
	assert_true(mx_query(mx, &slot, &type, &name));
	assert_false(mx_query(mx, &slot, &type, &name));
	assert_int_equal(mx_answer(mx, slot, &answer), MX_WAIT);
	assert_int_equal(mx_answer(mx, 0, &answer), MX_WAIT);
	assert_true(mx_query(mx, &slot, &type, &name));
	assert_int_equal(type, TYPE_A);
	ipc_buf_reset(&buf);
	ipc_add_dns_record(&buf, &a);
	answer.records = ipc_buf_list(&buf);
	/* an A record of three octets is none */
	assert_int_equal(mx_answer(mx, slot, &answer), MX_FAILED);
	assert_string_equal(mx_failure(mx)->enhanced, "5.4.4");
	assert_int_equal(mx_answer(mx, slot, &answer), MX_FAILED);
	ipc_buf_free(&buf);
	mx_free(mx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_shuffle),
		cmocka_unit_test(test_stray_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
