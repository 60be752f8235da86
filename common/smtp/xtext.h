/*
 * xtext of RFC 3461 section 4, and the addresses of RFC 6533 section 3
 * (utf-8-addr-xtext) for ORCPT. Called for the parameters AUTH, ENVID and
 * ORCPT, in both directions. What comes out of a decoder holds no control
 * character and is well-formed UTF-8 of safe characters, so it may stand in a
 * header or an envelope.
 */
#ifndef SMTP_XTEXT_H
#define SMTP_XTEXT_H

#include <stddef.h>
#include <sys/types.h>

enum {
	XTEXT_ENVID_MAX = 100, /* octets as sent, RFC 3461 4.4 */
	XTEXT_ORCPT_MAX = 500, /* octets as sent, RFC 3461 4.2 */
	XTEXT_AUTH_MAX = 500 /* octets as sent, RFC 4954 5 */
};

/*
 * Decode len octets to out (size octets, terminated). Return the length, or
 * -1 for a malformed escape, an octet that must be escaped, a decoded octet
 * outside printable US-ASCII, or a result that does not fit.
 */
ssize_t xtext_decode(const char *in, size_t len, char *out, size_t size);
/* Encode; -1 when the result does not fit. Any octets are taken. */
ssize_t xtext_encode(const char *in, size_t len, char *out, size_t size);

/*
 * The same for utf-8-addr-xtext (US-ASCII with \x{HEX}) and, when unitext is
 * set, utf-8-addr-unitext (UTF-8 as it is). Decoding fails on characters that
 * utf8_is_safe refuses; encoding writes pure US-ASCII and fails on malformed
 * UTF-8.
 */
ssize_t xtext_decode_utf8(
    const char *in, size_t len, int unitext, char *out, size_t size);
ssize_t xtext_encode_utf8(const char *in, size_t len, char *out, size_t size);

/*
 * The value of ORCPT, `type;address`. Decoded, as it stands in messages and
 * the envelope, the type is in lower case and the address is plain text. The
 * type utf-8 has the encoding of RFC 6533, each other xtext. unitext: the
 * transaction is SMTPUTF8. Length or -1 as above.
 */
ssize_t xtext_decode_orcpt(
    const char *in, size_t len, int unitext, char *out, size_t size);
ssize_t xtext_encode_orcpt(const char *in, size_t len, char *out, size_t size);

#endif
