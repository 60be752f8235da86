/*
 * The words of smtpctl's questions: ids, ages, globs and filters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "queue/control_private.h"

static void
test_globs(void **state)
{
	static const struct {
		const char *pattern, *text;
		int match;
	} cases[] = {
		{ "a@b", "A@B", 1 },
		{ "a@b", "a@bc", 0 },
		{ "*@b", "x@b", 1 },
		{ "*@b", "x@c", 0 },
		{ "*a*b", "xaxbxab", 1 },
		{ "*a*b", "xaxbxac", 0 },
		{ "", "", 1 },
		{ "", "a", 0 },
		{ "*", "", 1 },
		{ "***", "abc", 1 },
		{ "a*", "a", 1 },
		{ "a*", "ba", 0 },
		{ "*a", "aba", 1 },
		{ "*a", "ab", 0 },
		{ "a*a", "a", 0 },
		{ "a*a", "aA", 1 },
		{ "ab*ba", "aba", 0 },
		{ "ab*ba", "abba", 1 },
		{ "*ab*ab", "ab", 0 },
		{ "*ab*ab", "aab", 0 },
		{ "*AB*ab", "xabcabab", 1 },
		{ "*aab*", "aaab", 1 },
		{ "*ab*ba*", "aba", 0 },
		{ "*", "*", 1 },
		{ "a", "*", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(control_glob(cases[i].pattern, cases[i].text),
		    cases[i].match);
}

/* What a glob means, without a thought of the time that it takes. */
static int
means(const char *pattern, const char *text)
{
	if (*pattern == '*')
		return means(pattern + 1, text) ||
		    (*text != '\0' && means(pattern, text + 1));
	if (*pattern != *text)
		return 0;
	return *pattern == '\0' || means(pattern + 1, text + 1);
}

/* The next word of some letters: the shorter ones first. */
static void
next_word(char *word, const char *letters)
{
	size_t last = strlen(letters) - 1, i = strlen(word);

	while (i > 0 && word[i - 1] == letters[last])
		word[--i] = letters[0];
	if (i > 0)
		word[i - 1] = *(strchr(letters, word[i - 1]) + 1);
	else {
		i = strlen(word);
		word[i] = letters[0];
		word[i + 1] = '\0';
	}
}

static void
test_all_short_globs(void **state)
{
	char pattern[8], text[8];

	for (pattern[0] = '\0'; strlen(pattern) < 6; next_word(pattern, "*ab"))
		for (text[0] = '\0'; strlen(text) < 6; next_word(text, "ab")) {
			if (control_glob(pattern, text) != means(pattern, text))
				print_error("%s, %s\n", pattern, text);
			assert_int_equal(
			    control_glob(pattern, text), means(pattern, text));
		}
}

/* Nearly the pattern is everywhere in the text. */
static void
test_long_globs(void **state)
{
	enum { LONG = 1000, TEXT = 4 << 20 };
	static const char *const ends[] = { "b", "b*", "b*a", "*b", "*b*a" };
	char pattern[LONG + 8], *text = malloc(TEXT + 1);
	clock_t begin;

	assert_non_null(text);
	memset(text, 'a', TEXT);
	text[TEXT] = '\0';
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		pattern[0] = '*';
		memset(pattern + 1, 'a', LONG);
		strcpy(pattern + 1 + LONG, ends[i]);
		begin = clock();
		assert_int_equal(control_glob(pattern, text), 0);
		assert_true(clock() - begin < CLOCKS_PER_SEC / 5);
	}
	free(text);
}

static void
test_ids(void **state)
{
	uint32_t msgid, rcpt;

	assert_int_equal(control_parse_id("0000002a", &msgid, &rcpt), 0);
	assert_int_equal(msgid, 42);
	assert_int_equal(rcpt, UINT32_MAX);
	assert_int_equal(
	    control_parse_id("0000002a00000003", &msgid, &rcpt), 0);
	assert_int_equal(msgid, 42);
	assert_int_equal(rcpt, 3);
	assert_int_equal(control_parse_id("00000000", &msgid, &rcpt), -1);
	assert_int_equal(control_parse_id("2a", &msgid, &rcpt), -1);
	assert_int_equal(control_parse_id("0x00002a", &msgid, &rcpt), -1);
	assert_int_equal(control_parse_id("", &msgid, &rcpt), -1);
}

static void
test_ages(void **state)
{
	assert_int_equal(control_parse_age("90"), 90);
	assert_int_equal(control_parse_age("15m"), 900);
	assert_int_equal(control_parse_age("5d"), 432000);
	assert_int_equal(control_parse_age("5x"), -1);
	assert_int_equal(control_parse_age("-5"), -1);
	assert_int_equal(control_parse_age("5dd"), -1);
	assert_int_equal(control_parse_age(""), -1);
	assert_int_equal(control_parse_age("99999999999999999999"), -1);
}

static void
test_names(void **state)
{
	static const struct {
		const char *name;
		int valid;
	} cases[] = {
		{ "a", 1 },
		{ "2026-11-29.1", 1 },
		{ "part", 1 },
		{ "a.parts", 1 },
		{ "a.part", 0 },
		{ "a.Part", 0 },
		{ ".part", 0 },
		{ "..", 0 },
		{ "-a", 0 },
		{ "a/b", 0 },
		{ "", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    control_valid_name(cases[i].name), cases[i].valid);
}

/* An address that a table changed is found by either of its forms. */
static void
test_given(void **state)
{
	static const struct {
		const char *to, *domain;
		int match;
	} cases[] = {
		{ "virt@here.test", NULL, 1 },
		{ "joe@far.test", NULL, 1 },
		{ "joe@here.test", NULL, 0 },
		{ NULL, "HERE.test", 1 },
		{ NULL, "far.test", 1 },
		{ NULL, "else.test", 0 },
	};
	struct envelope_rcpt rcpts[] = {
		{ .address = "virt@here.test", .parent = ENVELOPE_NO_PARENT },
		{ .address = "joe@far.test", .parent = 0 },
	};
	struct envelope env = {
		.sender = "a@b", .rcpts = rcpts, .rcpt_count = 2
	};
	struct control_filter f;

	assert_string_equal(control_given(&env, &rcpts[0]), "virt@here.test");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&f, 0, sizeof(f));
		f.to = cases[i].to;
		f.domain = cases[i].domain;
		assert_int_equal(
		    control_match(&f, &env, &rcpts[1], "pending", 0),
		    cases[i].match);
	}
}

static void
test_filters(void **state)
{
	const char *words[] = { "remove", "--from", "a@b", "all",
		"--older=2h" };
	const char *domain[] = { "show", "routes", "--domain=a" };
	const char *bad[] = { "show", "queue", "--colour=red" };
	const char *held[] = { "--state=Held", "--from=<>" };
	const char *no_state[] = { "show", "queue", "--state", "foo" };
	const char *open_end[] = { "show", "queue", "--from" };
	struct control_filter f;
	char error[200] = "";
	size_t n = 5;

	assert_int_equal(
	    control_parse_filter(words, &n, &f, error, sizeof(error)), 0);
	assert_int_equal(n, 2);
	assert_string_equal(words[0], "remove");
	assert_string_equal(words[1], "all");
	assert_string_equal(f.from, "a@b");
	assert_int_equal(f.older, 7200);
	assert_non_null(f.beyond[CONTROL_NO_FILTER]);
	assert_non_null(f.beyond[CONTROL_DOMAIN]);
	assert_null(f.beyond[CONTROL_FILTERS]);
	n = 3;
	assert_int_equal(
	    control_parse_filter(domain, &n, &f, error, sizeof(error)), 0);
	assert_non_null(f.beyond[CONTROL_NO_FILTER]);
	assert_null(f.beyond[CONTROL_DOMAIN]);
	n = 3;
	assert_int_equal(
	    control_parse_filter(bad, &n, &f, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "--colour"));
	n = 2;
	assert_int_equal(
	    control_parse_filter(held, &n, &f, error, sizeof(error)), 0);
	assert_string_equal(f.state, "Held");
	assert_string_equal(f.from, "");
	n = 4;
	assert_int_equal(
	    control_parse_filter(no_state, &n, &f, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "unknown state `foo`"));
	assert_non_null(strstr(error, "inflight and held"));
	n = 3;
	assert_int_equal(
	    control_parse_filter(open_end, &n, &f, error, sizeof(error)), -1);
}

static void
test_after(void **state)
{
	static const struct {
		const char *word;
		uint32_t begin, rcpt;
	} cases[] = {
		{ "--after=0000002a", 42, UINT32_MAX },
		{ "--after=ffffffff", UINT32_MAX, UINT32_MAX },
		{ "--after=0000002a00000003", 42, 4 },
		{ "--after=0000002affffffff", 42, UINT32_MAX },
	};
	const char *bad[] = { "--after=2a" };
	struct control_filter f;
	char error[200] = "";
	size_t n;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *words[] = { cases[i].word };

		n = 1;
		assert_int_equal(
		    control_parse_filter(words, &n, &f, error, sizeof(error)),
		    0);
		assert_int_equal(f.begin, cases[i].begin);
		assert_int_equal(f.begin_rcpt, cases[i].rcpt);
	}
	n = 1;
	assert_int_equal(
	    control_parse_filter(bad, &n, &f, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "is no id"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_all_short_globs),
		cmocka_unit_test(test_long_globs),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
