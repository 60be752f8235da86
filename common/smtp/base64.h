/*
 * Base64 of RFC 4648 section 4, as AUTH exchanges have it (RFC 4954 section
 * 4): one line, padded, canonical. Called by both sessions; trusts nothing.
 */
#ifndef SMTP_BASE64_H
#define SMTP_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Octets of the text of len octets, without NUL. */
#define BASE64_LENGTH(len) (((len) + 2) / 3 * 4)

/* Writes the text of len octets, terminated; its length, or -1 when it does
 * not fit. */
ssize_t base64_encode(const void *in, size_t len, char *out, size_t size);
/*
 * Decodes len octets of text. The number of octets, or -1 when the text is
 * malformed (a foreign octet, a wrong length, padding inside, bits set behind
 * the last octet) or does not fit.
 */
ssize_t base64_decode(const char *in, size_t len, uint8_t *out, size_t size);

#endif
