/*
 * See expiry.h. Called by the keys process, which alone knows each certificate
 * once.
 */
#include "config.h"

#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/expiry.h"
#include "os/log.h"

enum { DAY = 24 * 60 * 60, NOTICE = 14 * DAY };

struct expiry {
	struct entry {
		char *pki;
		int64_t end;
	} * entries;
	size_t count;
};

struct expiry *
expiry_new(void)
{
	return calloc(1, sizeof(struct expiry));
}

void
expiry_free(struct expiry *e)
{
	if (e == NULL)
		return;
	for (size_t i = 0; i < e->count; i++)
		free(e->entries[i].pki);
	free(e->entries);
	free(e);
}

int
expiry_end(const X509 *x, int64_t *end)
{
	/* counted from 1970, since time_t may be over before the certificate */
	ASN1_TIME *begin = ASN1_TIME_set(NULL, 0);
	int days, seconds, rc = -1;

	if (begin != NULL &&
	    ASN1_TIME_diff(&days, &seconds, begin, X509_get0_notAfter(x)) ==
		1) {
		*end = (int64_t)days * DAY + seconds;
		rc = 0;
	}
	ASN1_TIME_free(begin);
	return rc;
}

int
expiry_add(struct expiry *e, const char *pki, const X509 *x)
{
	struct entry *entries;
	int64_t end;
	char *name;

	if (expiry_end(x, &end) == -1)
		return 0;
	entries = reallocarray(e->entries, e->count + 1, sizeof(*e->entries));
	if (entries == NULL)
		return -1;
	e->entries = entries;
	if ((name = strdup(pki)) == NULL)
		return -1;
	e->entries[e->count++] = (struct entry){ name, end };
	return 0;
}

int
expiry_text(const char *pki, int64_t end, int64_t now, char *out, size_t size)
{
	time_t t = (time_t)end;
	char when[32], rest[32] = "";
	struct tm tm;

	if (end - now > NOTICE)
		return 0;
	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	if (end - now >= 2 * DAY)
		snprintf(rest, sizeof(rest), ", in %d days",
		    (int)((end - now) / DAY));
	snprintf(out, size,
	    "pki %s: the certificate %s on %s%s: renew it, and "
	    "reload",
	    pki, end < now ? "ended" : "ends", when, rest);
	return 1;
}

void
expiry_tell(const struct expiry *e, int64_t now)
{
	char text[512];

	for (size_t i = 0; i < e->count; i++)
		if (expiry_text(e->entries[i].pki, e->entries[i].end, now, text,
			sizeof(text)))
			log_warn("%s", text);
}
