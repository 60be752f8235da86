/*
 * How large a file may be that master reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "master/readfile.h"

enum { MOST = 100 };

static void
test_size(void **state)
{
	static const struct {
		off_t size;
		const char *error;
	} cases[] = {
		{ 0, "" },
		{ MOST, "" },
		{ MOST + 1, "larger than 100 octets" },
		{ (off_t)1 << 32, "larger than 100 octets" },
		{ ((off_t)1 << 32) + MOST, "larger than 100 octets" },
	};
	char path[] = "/tmp/relais-readfile-XXXXXX", error[200], *text;
	int fd = mkstemp(path);
	size_t len;

	assert_int_not_equal(fd, -1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ftruncate(fd, cases[i].size), 0);
		error[0] = '\0';
		text = readfile(path, MOST, &len, error, sizeof(error));
		assert_string_equal(error, cases[i].error);
		assert_int_equal(text != NULL, cases[i].error[0] == '\0');
		if (text != NULL)
			assert_int_equal(len, cases[i].size);
		free(text);
	}
	close(fd);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
