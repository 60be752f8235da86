/*
 * The file of what primaries said: it comes back the same, the last word
 * counts, what is old or torn is gone, and it does not grow without end.
 */
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "queue/known.h"

struct place {
	char folder[64];
	char file[96];
};

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	snprintf(p->folder, sizeof(p->folder), "/tmp/relais-known-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->file, sizeof(p->file), "%s/callahead", p->folder);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	unlink(p->file);
	assert_int_equal(rmdir(p->folder), 0);
	free(p);
	return 0;
}

static void
keep(struct known *k, const char *recipient, int good, uint64_t when)
{
	struct msg_callahead_keep m = { .action = "an action",
		.recipient = recipient,
		.good = (uint8_t)good,
		.when = when };

	known_keep(k, &m);
}

/* All that is kept as "recipient good when;" in its order. */
static const char *
list(struct known *k)
{
	static char text[4096];
	struct msg_callahead_keep m;
	size_t len = 0;

	text[0] = '\0';
	for (known_rewind(k); known_next(k, &m);) {
		assert_string_equal(m.action, "an action");
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "%s %u %llu;", m.recipient, m.good,
		    (unsigned long long)m.when);
	}
	return text;
}

static off_t
octets(const struct place *p)
{
	struct stat st;

	assert_int_equal(stat(p->file, &st), 0);
	return st.st_size;
}

static void
test_back(void **state)
{
	struct place *p = *state;
	struct known *k = known_open(p->folder, 0);

	assert_non_null(k);
	assert_string_equal(list(k), "");
	keep(k, "a@x.test", 1, 10);
	keep(k, "b@x.test", 1, 20);
	keep(k, "A@x.test", 0, 30);
	assert_string_equal(
	    list(k), "a@x.test 1 10;b@x.test 1 20;A@x.test 0 30;");
	known_close(k);

	/* one word a recipient is left, and nothing from before 15 */
	assert_non_null(k = known_open(p->folder, 15));
	assert_string_equal(list(k), "b@x.test 1 20;A@x.test 0 30;");
	known_close(k);
	assert_non_null(k = known_open(p->folder, 25));
	assert_string_equal(list(k), "A@x.test 0 30;");
	known_close(k);
}

/* A crash may cut the file anywhere, or leave garbage at its end. */
static void
test_torn(void **state)
{
	struct place *p = *state;
	struct known *k = known_open(p->folder, 0);
	off_t one, all;
	FILE *f;

	keep(k, "a@x.test", 1, 10);
	one = octets(p);
	keep(k, "b@x.test", 1, 20);
	all = octets(p);
	known_close(k);
	for (off_t cut = all - 1; cut > one; cut--) {
		assert_int_equal(truncate(p->file, cut), 0);
		assert_non_null(k = known_open(p->folder, 0));
		assert_string_equal(list(k), "a@x.test 1 10;");
		keep(k, "b@x.test", 1, 20);
		assert_string_equal(list(k), "a@x.test 1 10;b@x.test 1 20;");
		known_close(k);
	}
	f = fopen(p->file, "r+");
	fseek(f, (long)one + 12, SEEK_SET);
	fputc(0xee, f);
	fclose(f);
	assert_non_null(k = known_open(p->folder, 0));
	assert_string_equal(list(k), "a@x.test 1 10;");
	known_close(k);
}

static void
test_bounded(void **state)
{
	struct place *p = *state;
	struct known *k = known_open(p->folder, 0);
	char name[64];

	for (unsigned i = 0; i < 200000; i++) {
		snprintf(name, sizeof(name), "u%u@x.test", i % 3);
		keep(k, name, 1, i);
	}
	/* 200,000 records would have 10 MB */
	assert_true(octets(p) < 3 << 20);
	known_close(k);
	assert_non_null(k = known_open(p->folder, 0));
	assert_string_equal(list(k),
	    "u2@x.test 1 199997;u0@x.test 1 199998;u1@x.test 1 199999;");
	known_close(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
