/*
 * What is left of a PEM file for a worker: certificates, and no octet of a
 * key anywhere in the memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/pem.h"

#define CERT(x) "-----BEGIN CERTIFICATE-----\n" x "\n-----END CERTIFICATE-----"
#define KEY "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n"

static const struct {
	const char *in;
	const char *out;
} rows[] = {
	{ "", "" },
	{ "hello\n", "" },
	{ CERT("a") "\n", CERT("a") "\n" },
	{ CERT("a"), CERT("a") },
	{ CERT("a") "\n" CERT("b") "\n", CERT("a") "\n" CERT("b") "\n" },
	{ CERT("a") CERT("b"), CERT("a") CERT("b") },
	{ KEY CERT("a") "\n", CERT("a") "\n" },
	{ CERT("a") "\n" KEY, CERT("a") "\n" },
	{ CERT("a") "\n" KEY CERT("b") "\n", CERT("a") "\n" CERT("b") "\n" },
	{ "subject=SECRET\n" CERT("a") "\nissuer=SECRET", CERT("a") "\n" },
	{ KEY, "" },
	{ "-----BEGIN CERTIFICATE-----\n" KEY, "" },
	{ "-----BEGIN CERTIFICATE-----\n" KEY "-----END CERTIFICATE-----\n",
	    "" },
	{ "-----BEGIN CERTIFICATE-----\n" CERT("a") "\n", CERT("a") "\n" },
	{ "-----BEGIN EC PARAMETERS-----\nx\n-----END EC PARAMETERS-----\n" KEY
		CERT("a"),
	    CERT("a") },
	{ "-----BEGIN TRUSTED CERTIFICATE-----\nx\n"
	  "-----END TRUSTED CERTIFICATE-----\n" KEY,
	    "-----BEGIN TRUSTED CERTIFICATE-----\nx\n"
	    "-----END TRUSTED CERTIFICATE-----\n" },
	{ "-----BEGIN ", "" },
};

static void
test_keep(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].in);
		char *text = strdup(rows[i].in);

		pem_keep_certificates(text);
		if (strcmp(text, rows[i].out) != 0)
			fail_msg("row %zu: %s", i, text);
		for (size_t k = 0; k + 6 <= len; k++)
			assert_memory_not_equal(text + k, "SECRET", 6);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
