/*
 * os/log: what leaves a process when, once lines of events may wait. Standard
 * error is a socket that keeps each write apart from the others.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/log.h"

static int end; /* where standard error comes out */
static int real_stderr;
static int woken;

static void
wake(void *arg)
{
	++*(int *)arg;
}

static int
setup(void **state)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1 ||
	    (real_stderr = dup(STDERR_FILENO)) == -1 ||
	    dup2(sv[1], STDERR_FILENO) == -1)
		return -1;
	close(sv[1]);
	end = sv[0];
	return 0;
}

static int
teardown(void **state)
{
	dup2(real_stderr, STDERR_FILENO);
	return 0;
}

/* The next write, each line without what stands before it; "" for none. */
static const char *
written(void)
{
	static char text[2 * PIPE_BUF];
	char raw[2 * PIPE_BUF], prefix[64];
	ssize_t n = recv(end, raw, sizeof(raw) - 1, MSG_DONTWAIT);
	char *line, *save = NULL;
	size_t len;

	text[0] = '\0';
	if (n <= 0)
		return text;
	assert_true(n <= PIPE_BUF && raw[n - 1] == '\n');
	raw[n] = '\0';
	snprintf(prefix, sizeof(prefix), "unit[%d]: ", (int)getpid());
	for (line = strtok_r(raw, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		assert_int_equal(strncmp(line, prefix, strlen(prefix)), 0);
		len = strlen(text);
		snprintf(text + len, sizeof(text) - len, "%s;",
		    line + strlen(prefix));
	}
	return text;
}

static void
test_at_once(void **state)
{
	log_init("unit", LOG_TO_STDERR);
	log_event(0x12, "one", "key", "a value", "no", NULL, "k", "", NULL);
	assert_string_equal(
	    written(), "0000000000000012 unit one key=\"a value\" k=\"\";");
	log_info("two\n%d", 2);
	assert_string_equal(written(), "info: two\\x0a2;");
	log_flush();
	assert_string_equal(written(), "");
}

static void
test_held(void **state)
{
	log_hold(wake, &woken);
	log_event(1, "one", NULL);
	log_event(2, "two", "k", "v", NULL);
	assert_string_equal(written(), "");
	assert_int_equal(woken, 1);
	log_flush();
	assert_string_equal(written(),
	    "0000000000000001 unit one;0000000000000002 unit two k=v;");
	log_flush();
	assert_string_equal(written(), "");
	/* what is no event waits for nobody, and keeps its place */
	log_event(3, "three", NULL);
	log_warn("four");
	assert_int_equal(woken, 2);
	assert_string_equal(
	    written(), "0000000000000003 unit three;warn: four;");
	log_flush();
	assert_string_equal(written(), "");
}

/* More than a pipe takes at once leaves in several writes of whole lines. */
static void
test_many(void **state)
{
	unsigned lines = 0, writes = 0;
	char value[200], want[300];
	const char *got;

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (unsigned i = 0; i < 100; i++)
		log_event(i, "many", "v", value, NULL);
	log_flush();
	while (*(got = written()) != '\0') {
		writes++;
		for (; *got != '\0'; got += strlen(want)) {
			snprintf(want, sizeof(want), "%016x unit many v=%s;",
			    lines++, value);
			assert_int_equal(strncmp(got, want, strlen(want)), 0);
		}
	}
	assert_int_equal(lines, 100);
	assert_true(writes > 1 && writes < 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
