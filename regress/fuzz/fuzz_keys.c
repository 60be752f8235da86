/*
 * key_sign from a peer that was taken over, through the codec, to the keys:
 * the first octet is the kind of the peer, the rest the payload. Whatever
 * comes, a signature is made only of what a handshake of that peer has signed.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/keys.h"
#include "auth/tls_shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct keys *
make_keys(void)
{
	struct keys *keys = keys_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem, error[128];
	long len;

	if (PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		abort();
	len = BIO_get_mem_data(bio, &pem);
	if (keys_add(keys, "ec", pem, (size_t)len, error, sizeof(error)) == -1)
		abort();
	BIO_free(bio);
	EVP_PKEY_free(key);
	return keys;
}

static int
may_sign(enum process_kind peer, enum tls_shape shape)
{
	if (peer == PROC_SMTPD)
		return shape == TLS_SHAPE_13_SERVER ||
		    shape == TLS_SHAPE_12_SERVER;
	return peer == PROC_DELIVER &&
	    (shape == TLS_SHAPE_13_CLIENT || shape == TLS_SHAPE_12_CLIENT);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct keys *keys;
	uint8_t signature[KEYS_SIGNATURE_MAX];
	const char *reason = NULL;
	enum process_kind peer;
	union ipc_msg m;
	size_t len;

	if (keys == NULL)
		keys = make_keys();
	if (size == 0)
		return 0;
	peer = data[0] % PROC_MAX;
	if (msg_decode(MSG_key_sign, data + 1, size - 1, &m) == -1)
		return 0;
	len = keys_sign(keys, peer, &m.key_sign, signature, &reason);
	if (len > sizeof(signature) || (len == 0 && reason == NULL))
		abort();
	if (len > 0 &&
	    (strcasecmp(m.key_sign.pki, "ec") != 0 ||
		!may_sign(peer,
		    tls_shape(m.key_sign.data.data, m.key_sign.data.len))))
		abort();
	return 0;
}
