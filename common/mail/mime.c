/*
 * Boundaries and heads of MIME parts; see mime.h.
 */
#include <stdio.h>
#include <string.h>

#include "mail/mime.h"
#include "mail/text.h"

const char *
mime_boundary(char out[MIME_BOUNDARY_MAX], const uint8_t random[MIME_RANDOM])
{
	size_t i;
	char *p = out;

	/* "=_" can stand neither in quoted-printable nor in base64. */
	p += snprintf(p, MIME_BOUNDARY_MAX, "=_");
	for (i = 0; i < MIME_RANDOM; i++)
		p += snprintf(p, 3, "%02x", random[i]);
	return out;
}

size_t
mime_part(char *out, size_t size, const char *boundary, const char *type,
    const char *encoding, const char *description)
{
	struct text t;

	text_init(&t, out, size);
	text_add(&t, "\r\n--");
	text_add(&t, boundary);
	text_add(&t, "\r\nContent-Type: ");
	text_add(&t, type);
	if (encoding != NULL) {
		text_add(&t, "\r\nContent-Transfer-Encoding: ");
		text_add(&t, encoding);
	}
	if (description != NULL) {
		text_add(&t, "\r\nContent-Description: ");
		text_add(&t, description);
	}
	text_add(&t, "\r\n");
	return text_end(&t);
}
