/*
 * Which accounts may log in, to the day, by the fields of shadow(5); and what
 * nsswitch.conf(5) says of where accounts are.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "master/account.h"

enum { EMPTY = -1, TODAY = 20000 };

static const struct {
	const char *what;
	long lstchg, max, inact, expire;
	int may;
} rows[] = {
	{ "nothing is set", EMPTY, EMPTY, EMPTY, EMPTY, 1 },
	{ "as adduser makes it", TODAY, 99999, EMPTY, EMPTY, 1 },
	/* the account */
	{ "expired long ago", TODAY, EMPTY, EMPTY, 1, 0 },
	{ "day 0, as chage -E 0 writes it", TODAY, EMPTY, EMPTY, 0, 0 },
	{ "expires tomorrow", TODAY, EMPTY, EMPTY, TODAY + 1, 1 },
	{ "expires today", TODAY, EMPTY, EMPTY, TODAY, 0 },
	{ "expired, with a young password", TODAY, 30, 5, TODAY - 1, 0 },
	{ "expired, without a date of the password", EMPTY, 30, 5, 1, 0 },
	/* the password */
	{ "must be changed at once", 0, EMPTY, EMPTY, EMPTY, 0 },
	{ "must be changed at once, ages", 0, 99999, 99999, EMPTY, 0 },
	{ "as old as it may be", TODAY - 30, 30, 5, EMPTY, 1 },
	{ "should be changed", TODAY - 31, 30, 5, EMPTY, 1 },
	{ "its last day", TODAY - 35, 30, 5, EMPTY, 1 },
	{ "the day after", TODAY - 36, 30, 5, EMPTY, 0 },
	{ "no days of grace, its last day", TODAY - 30, 30, 0, EMPTY, 1 },
	{ "no days of grace, the day after", TODAY - 31, 30, 0, EMPTY, 0 },
	{ "changed daily, its last day", TODAY, 0, 0, EMPTY, 1 },
	{ "changed daily, the day after", TODAY - 1, 0, 0, EMPTY, 0 },
	{ "too old, but no inactivity is set", 1, 30, EMPTY, EMPTY, 1 },
	{ "inactivity without an age", 1, EMPTY, 5, EMPTY, 1 },
	{ "no date of the last change", EMPTY, 30, 5, EMPTY, 1 },
	{ "a change in the future", TODAY + 9, 0, 0, EMPTY, 1 },
	{ "numbers that must not wrap", 1, LONG_MAX, LONG_MAX, LONG_MAX, 1 },
	{ "a long inactivity", 1, 30, LONG_MAX, EMPTY, 1 },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spwd sp = { .sp_lstchg = rows[i].lstchg,
			.sp_min = EMPTY,
			.sp_max = rows[i].max,
			.sp_warn = EMPTY,
			.sp_inact = rows[i].inact,
			.sp_expire = rows[i].expire };

		print_message("# %s\n", rows[i].what);
		assert_int_equal(account_may_log_in(&sp, TODAY), rows[i].may);
	}
}

/* What nsswitch.conf may say, and whether a service of it may be down. */
static const struct {
	const char *text;
	int has_sssd;
	int has_directory;
} services[] = {
	{ "", 1, 0 },
	{ "passwd: files", 1, 0 },
	{ "passwd:\t\tfiles systemd\ngroup: files ldap\n", 1, 0 },
	{ "passwd: compat\npasswd_compat: nis\n", 1, 0 },
	{ "passwd: db files\n", 1, 0 },
	{ "passwd: files ldap\n", 0, 1 },
	{ "# passwd: ldap\npasswd: files # ldap\n", 1, 0 },
	{ "group: files\n\n  passwd:files systemd winbind", 0, 1 },
	{ "passwd files ldap\n", 0, 1 },
	{ "passwd: files [NOTFOUND=return] ldap\n", 0, 1 },
	{ "passwd: files[!NOTFOUND=return UNAVAIL=continue]systemd\n", 1, 0 },
	{ "passwd: files [NOTFOUND=return\n", 1, 0 },
	{ "passwd: files filesystem\n", 0, 1 },
	{ "passwd: files systemd sss\n", 1, 1 },
	{ "passwd: files systemd sss\r\n", 0, 0 },
	{ "passwd: sss nis\n", 0, 1 },
	{ "passwd", 1, 0 },
	{ "passwd:", 1, 0 },
};

static void
test_services(void **state)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		print_message("# %s\n", services[i].text);
		assert_int_equal(account_has_directory(
				     services[i].text, services[i].has_sssd),
		    services[i].has_directory);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
