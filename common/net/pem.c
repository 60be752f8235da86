/*
 * See pem.h. Form of RFC 7468, and OpenSSL's older labels.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "net/pem.h"

static const struct {
	const char *begin;
	const char *end;
} blocks[] = {
	{ "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----" },
	{ "-----BEGIN X509 CERTIFICATE-----",
	    "-----END X509 CERTIFICATE-----" },
	{ "-----BEGIN TRUSTED CERTIFICATE-----",
	    "-----END TRUSTED CERTIFICATE-----" },
};

/* Past the last line of the certificate that begins at text, NULL if none does.
 * A block inside a block would hide a key, and is no certificate. */
static char *
certificate_end(char *text)
{
	char *end, *inner;

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		size_t len = strlen(blocks[i].begin);

		if (strncmp(text, blocks[i].begin, len) != 0)
			continue;
		end = strstr(text + len, blocks[i].end);
		/* which may share the dashes of the first */
		inner = strstr(text + 1, "-----BEGIN ");
		if (end == NULL || (inner != NULL && inner < end))
			return NULL;
		end += strlen(blocks[i].end);
		return end + strspn(end, "\r\n");
	}
	return NULL;
}

void
pem_keep_certificates(char *text)
{
	char *to = text, *from = text, *end, *stop = text + strlen(text);

	while ((from = strstr(from, "-----BEGIN ")) != NULL) {
		if ((end = certificate_end(from)) == NULL) {
			from++;
			continue;
		}
		memmove(to, from, (size_t)(end - from));
		to += end - from;
		from = end;
	}
	explicit_bzero(to, (size_t)(stop - to));
}
