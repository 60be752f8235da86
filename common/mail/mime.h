/*
 * As much of MIME (RFC 2046) as a delivery report needs: boundaries and the
 * heads of parts.
 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include <stddef.h>
#include <stdint.h>

#define MIME_RANDOM 16
#define MIME_BOUNDARY_MAX 40

/* A boundary of MIME_RANDOM random octets; nobody who has not seen them can
 * write it. Returns out. */
const char *mime_boundary(
    char out[MIME_BOUNDARY_MAX], const uint8_t random[MIME_RANDOM]);

/* The delimiter and header of a part, with the empty line behind. description
 * and encoding may be NULL. Length, 0 when it did not fit. */
size_t mime_part(char *out, size_t size, const char *boundary, const char *type,
    const char *encoding, const char *description);

#endif
