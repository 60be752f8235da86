/*
 * See tls_shape.h.
 */
#include <string.h>

#include "tls_shape.h"

enum {
	PAD_LEN = 64, /* spaces before the context string of TLS 1.3 */
	RANDOMS_LEN =
	    64, /* of client and server, before TLS 1.2's parameters */
	CONTEXT_LEN = 34, /* with its NUL */
	NAMED_CURVE = 3,
	CLIENT_HELLO = 1,
	CLIENT_KEY_EXCHANGE = 16
};

/* 64 spaces, the context string with its NUL, a hash by SHA-256 or SHA-384. */
static int
is_13(const uint8_t *p, size_t len, const char context[CONTEXT_LEN])
{
	if (len != PAD_LEN + CONTEXT_LEN + 32 &&
	    len != PAD_LEN + CONTEXT_LEN + 48)
		return 0;
	for (size_t i = 0; i < PAD_LEN; i++)
		if (p[i] != ' ')
			return 0;
	return memcmp(p + PAD_LEN, context, CONTEXT_LEN) == 0;
}

static const struct {
	unsigned group;
	size_t point;
} groups[] = {
	{ 23, 65 }, /* secp256r1 */
	{ 24, 97 }, /* secp384r1 */
	{ 25, 133 }, /* secp521r1 */
	{ 29, 32 }, /* x25519 */
	{ 30, 56 }, /* x448 */
};

static int
is_ecdhe(const uint8_t *p, size_t len)
{
	unsigned group;

	if (len < 4 || p[0] != NAMED_CURVE)
		return 0;
	group = (unsigned)p[1] << 8 | p[2];
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (groups[i].group == group)
			return p[3] == groups[i].point &&
			    len == 4 + groups[i].point;
	return 0;
}

/* Prime, generator and public value, each behind its length. */
static int
is_dhe(const uint8_t *p, size_t len)
{
	size_t n, prime = 0;

	for (int i = 0; i < 3; i++) {
		if (len < 2)
			return 0;
		n = (size_t)p[0] << 8 | p[1];
		if (n == 0 || n > len - 2)
			return 0;
		if (i == 0)
			prime = n;
		if (n > prime)
			return 0;
		p += 2 + n;
		len -= 2 + n;
	}
	return len == 0 && prime >= 128;
}

static int
is_12_server(const uint8_t *p, size_t len)
{
	return len > RANDOMS_LEN &&
	    (is_ecdhe(p + RANDOMS_LEN, len - RANDOMS_LEN) ||
		is_dhe(p + RANDOMS_LEN, len - RANDOMS_LEN));
}

/* All messages of the handshake from the ClientHello of version 3.3 to the
 * ClientKeyExchange. */
static int
is_12_client(const uint8_t *p, size_t len)
{
	uint8_t type = 0;
	size_t n;

	if (len < 6 || p[0] != CLIENT_HELLO || p[4] != 3 || p[5] != 3)
		return 0;
	while (len > 0) {
		if (len < 4 || type == CLIENT_KEY_EXCHANGE)
			return 0;
		type = p[0];
		n = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
		if (n > len - 4)
			return 0;
		p += 4 + n;
		len -= 4 + n;
	}
	return type == CLIENT_KEY_EXCHANGE;
}

enum tls_shape
tls_shape(const uint8_t *p, size_t len)
{
	if (is_13(p, len, "TLS 1.3, server CertificateVerify"))
		return TLS_SHAPE_13_SERVER;
	if (is_13(p, len, "TLS 1.3, client CertificateVerify"))
		return TLS_SHAPE_13_CLIENT;
	if (is_12_client(p, len))
		return TLS_SHAPE_12_CLIENT;
	if (is_12_server(p, len))
		return TLS_SHAPE_12_SERVER;
	return TLS_SHAPE_NONE;
}
