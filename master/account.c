/*
 * See account.h. A field that shadow(5) leaves empty is negative.
 */
#include "config.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "master/account.h"
#include "master/readfile.h"
#include "os/log.h"

/* A password that its owner should change still counts for sp_inact days. */
static int
password_is_over(const struct spwd *sp, int64_t day)
{
	int64_t age = day - sp->sp_lstchg;

	if (sp->sp_lstchg < 0 || sp->sp_max < 0 || sp->sp_inact < 0)
		return 0;
	return age > sp->sp_max && age - sp->sp_max > sp->sp_inact;
}

int
account_may_log_in(const struct spwd *sp, int64_t day)
{
	/* it must be changed first, which no mail client can do */
	if (sp->sp_lstchg == 0)
		return 0;
	if (sp->sp_expire >= 0 && day >= sp->sp_expire)
		return 0;
	return !password_is_over(sp, day);
}

/* ---- which there are -------------------------------------------------- */

/* Those that are files of this machine, or systemd's, which needs no daemon to
 * say that it knows of nobody. */
static int
is_directory(const char *service, size_t len, int has_sssd)
{
	static const char *const others[] = { "files", "systemd", "compat",
		"db" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strlen(others[i]) == len &&
		    memcmp(others[i], service, len) == 0)
			return 0;
	return has_sssd || len != 3 || memcmp(service, "sss", len) != 0;
}

/* The services of one line; what stands in brackets is none. */
static int
line_has_directory(const char *s, size_t len, int has_sssd)
{
	static const char blanks[] = " \t\r:", ends[] = " \t\r:[";
	const char *end = s + len;
	size_t n;

	for (; s < end; s += n) {
		n = strspn(s, blanks);
		if (n > 0)
			continue;
		if (*s == '[') {
			while (s + n < end && s[n++] != ']')
				;
			continue;
		}
		while (s + n < end && strchr(ends, s[n]) == NULL)
			n++;
		if (is_directory(s, n, has_sssd))
			return 1;
	}
	return 0;
}

int
account_has_directory(const char *services, int has_sssd)
{
	static const char database[] = "passwd";
	const size_t n = sizeof(database) - 1;
	int found = 0;

	for (const char *s = services; *s != '\0' && !found;
	     s += strcspn(s, "\n")) {
		s += strspn(s, " \t\n");
		if (strncmp(s, database, n) == 0 &&
		    strchr(" \t:", s[n]) != NULL)
			found = line_has_directory(
			    s + n, strcspn(s + n, "#\n"), has_sssd);
	}
	return found;
}

/* As the unit of sssd looks for it. */
static int
is_sssd_configured(void)
{
	static const char *const places[] = { "/etc/sssd/sssd.conf",
		"/etc/sssd/conf.d/*" };
	int found = 0;
	glob_t g;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		/* in doubt there is one */
		found |= glob(places[i], 0, NULL, &g) != GLOB_NOMATCH;
		globfree(&g);
	}
	return found;
}

static int
has_directory(void)
{
	char why[256], *text;
	size_t len;
	int rc;

	text = readfile(
	    "/etc/nsswitch.conf", READFILE_CONFIG_MAX, &len, why, sizeof(why));
	rc = text != NULL && account_has_directory(text, is_sssd_configured());
	free(text);
	return rc;
}

/*
 * glibc leaves no error where the last service that it asked knows of no such
 * account. ENOENT is what libnss-ldapd, libnss-sss and libnss-winbind leave
 * while their daemon is down; but for ever where such a service was only left
 * in nsswitch.conf, and then mail for a name that is misspelt would wait for
 * days.
 */
int
account_find(const char *name, const struct passwd **pw)
{
	int error;

	errno = 0;
	if ((*pw = getpwnam(name)) != NULL || errno == 0)
		return 0;
	error = errno;
	if ((error == ENOENT || error == ESRCH) && !has_directory())
		return 0;
	log_warn("whether there is an account %s cannot be said now: %s: do "
		 "all services run that /etc/nsswitch.conf names for passwd?",
	    name, strerror(error));
	return -1;
}
