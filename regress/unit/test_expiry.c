/*
 * What is said of a certificate that is over or soon will be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/asn1.h>
#include <openssl/x509.h>

#include "auth/expiry.h"

static void
test_text(void **state)
{
	enum { NOW = 1800000000, DAY = 86400 }; /* 2027-01-15 08:00:00 */
	static const struct {
		int64_t end;
		const char *text; /* NULL: none */
	} cases[] = {
		{ NOW + 90 * DAY, NULL },
		{ NOW + 14 * DAY + 1, NULL },
		{ NOW + 14 * DAY,
		    "pki mx: the certificate ends on 2027-01-29 08:00:00 UTC, "
		    "in 14 days: renew it, and reload" },
		{ NOW + 2 * DAY,
		    "pki mx: the certificate ends on 2027-01-17 08:00:00 UTC, "
		    "in 2 days: renew it, and reload" },
		{ NOW + 2 * DAY - 1,
		    "pki mx: the certificate ends on 2027-01-17 07:59:59 UTC: "
		    "renew it, and reload" },
		{ NOW,
		    "pki mx: the certificate ends on 2027-01-15 08:00:00 UTC: "
		    "renew it, and reload" },
		{ NOW - 1,
		    "pki mx: the certificate ended on 2027-01-15 07:59:59 UTC: "
		    "renew it, and reload" },
		{ 1577923200,
		    "pki mx: the certificate ended on 2020-01-02 00:00:00 UTC: "
		    "renew it, and reload" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200] = "";
		int said =
		    expiry_text("mx", cases[i].end, NOW, text, sizeof(text));

		assert_int_equal(said, cases[i].text != NULL);
		assert_string_equal(
		    text, cases[i].text != NULL ? cases[i].text : "");
	}
}

static void
test_end(void **state)
{
	static const struct {
		const char *text;
		int64_t end;
	} cases[] = {
		{ "20270115080000Z", 1800000000 }, { "19691231235959Z", -1 },
		{ "20380119031408Z", 2147483648 }, /* the 32 bits are over */
		{ "20991231235959Z", 4102444799 },
		{ "99991231235959Z", 253402300799 }, /* no end: RFC 5280 */
	};
	int64_t end;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		X509 *x = X509_new();
		ASN1_TIME *t = ASN1_TIME_new();

		assert_int_equal(ASN1_TIME_set_string(t, cases[i].text), 1);
		assert_int_equal(X509_set1_notAfter(x, t), 1);
		assert_int_equal(expiry_end(x, &end), 0);
		assert_true(end == cases[i].end);
		ASN1_TIME_free(t);
		X509_free(x);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
