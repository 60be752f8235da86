/*
 * What is said of a certificate that is over or soon will be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
