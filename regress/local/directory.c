/*
 * A directory for the tests, as a service of nsswitch.conf: its accounts are
 * in the file $RELAIS_DIRECTORY, in the form of /etc/passwd. Without the file
 * its daemon is down, and then it says what those of LDAP, SSSD and Samba say.
 */
#include "config.h"

#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum nss_status getpwnam_service(
    const char *, struct passwd *, char *, size_t, int *);
typedef enum nss_status getpwuid_service(
    uid_t, struct passwd *, char *, size_t, int *);
getpwnam_service _nss_relaist_getpwnam_r, _nss_sss_getpwnam_r;
getpwuid_service _nss_relaist_getpwuid_r;

/* By the name, or by the uid where that is NULL. */
static enum nss_status
find(const char *name, uid_t uid, struct passwd *pw, char *buffer, size_t size,
    int *error)
{
	const char *path = getenv("RELAIS_DIRECTORY");
	enum nss_status status = NSS_STATUS_NOTFOUND;
	struct passwd *entry;
	FILE *f;

	if (path == NULL || (f = fopen(path, "re")) == NULL) {
		*error = ENOENT;
		return NSS_STATUS_UNAVAIL;
	}
	while (status == NSS_STATUS_NOTFOUND &&
	    fgetpwent_r(f, pw, buffer, size, &entry) == 0)
		if (name != NULL ? strcmp(pw->pw_name, name) == 0
				 : pw->pw_uid == uid)
			status = NSS_STATUS_SUCCESS;
	fclose(f);
	return status;
}

enum nss_status
_nss_relaist_getpwnam_r(
    const char *name, struct passwd *pw, char *buffer, size_t size, int *error)
{
	return find(name, 0, pw, buffer, size, error);
}

enum nss_status
_nss_relaist_getpwuid_r(
    uid_t uid, struct passwd *pw, char *buffer, size_t size, int *error)
{
	return find(NULL, uid, pw, buffer, size, error);
}

/* The same under the name of SSSD. */
enum nss_status
_nss_sss_getpwnam_r(
    const char *name, struct passwd *pw, char *buffer, size_t size, int *error)
{
	return _nss_relaist_getpwnam_r(name, pw, buffer, size, error);
}
