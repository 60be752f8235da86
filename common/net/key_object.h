/*
 * The keys of the provider: what its two halves share, the objects
 * (key_object.c) and the signatures made with them (key_provider.c).
 */
#ifndef NET_KEY_OBJECT_H
#define NET_KEY_OBJECT_H

#include <openssl/bn.h>
#include <openssl/core_dispatch.h>

#include "net/key_provider.h"

#define PROVIDER_NAME "relais"
#define PROPERTIES "provider=" PROVIDER_NAME

/* An entry of a dispatch table, whose functions OpenSSL casts back. */
#define FUNCTION(id, f)                 \
	{                               \
		id, (void (*)(void))(f) \
	}

struct curve;

struct remote_key {
	BIGNUM *n, *e; /* RSA */
	const struct curve *curve; /* EC */
	uint8_t *point;
	size_t point_len;
	char *pki;
	const struct key_signer *signer; /* NULL: only a public key */
};

/* Most octets that a signature with the key has. */
size_t key_signature_size(const struct remote_key *);

/* What OpenSSL calls for keys of each kind. */
extern const OSSL_DISPATCH key_functions_rsa[];
extern const OSSL_DISPATCH key_functions_ec[];

#endif
