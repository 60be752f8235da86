/*
 * See keys.h. Private keys live in OpenSSL's secure heap as far as OpenSSL
 * puts them there; keys_main.c sets it up.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "keys.h"
#include "tls_shape.h"

enum { RSA_MIN_BITS = 2048, RSA_MAX_BITS = 16384 };

struct key {
	char *name;
	EVP_PKEY *pkey;
};

struct keys {
	struct key *key;
	size_t count;
};

struct keys *
keys_new(void)
{
	return calloc(1, sizeof(struct keys));
}

void
keys_free(struct keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < keys->count; i++) {
		EVP_PKEY_free(keys->key[i].pkey);
		free(keys->key[i].name);
	}
	free(keys->key);
	free(keys);
}

size_t
keys_count(const struct keys *keys)
{
	return keys->count;
}

static const struct key *
find_key(const struct keys *keys, const char *name)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strcasecmp(keys->key[i].name, name) == 0)
			return &keys->key[i];
	return NULL;
}

/* ---- loading ---------------------------------------------------------- */

/* Nobody is there to be asked: a key that wants a passphrase is refused. */
static int
no_passphrase(char *buffer, int size, int writing, void *arg)
{
	*(int *)arg = 1;
	return -1;
}

/* NULL if we sign with this key, else why not. */
static const char *
unfit(EVP_PKEY *pkey)
{
	char group[64];
	int bits;

	if (EVP_PKEY_is_a(pkey, "RSA")) {
		bits = EVP_PKEY_get_bits(pkey);
		return bits < RSA_MIN_BITS ? "RSA key is shorter than 2048 bits"
		    : bits > RSA_MAX_BITS  ? "RSA key is longer than 16384 bits"
					   : NULL;
	}
	if (EVP_PKEY_is_a(pkey, "EC") &&
	    EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
	    (strcmp(group, "prime256v1") == 0 ||
		strcmp(group, "secp384r1") == 0))
		return NULL;
	return "key is neither RSA nor ECDSA on P-256 or P-384";
}

int
keys_add(struct keys *keys, const char *name, const char *pem, size_t len,
    char *error, size_t error_size)
{
	struct key *grown;
	const char *reason;
	EVP_PKEY *pkey;
	int encrypted = 0;
	BIO *bio;

	if ((bio = BIO_new_mem_buf(pem, (int)len)) == NULL)
		goto no_memory;
	ERR_clear_error();
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
	BIO_free(bio);
	ERR_clear_error();
	if (pkey == NULL)
		reason = encrypted
		    ? "private key is encrypted; store it without passphrase"
		    : "there is no private key in PEM form";
	else
		reason = find_key(keys, name) != NULL ? "is there twice"
						      : unfit(pkey);
	if (reason != NULL) {
		snprintf(error, error_size, "pki %s: %s", name, reason);
		EVP_PKEY_free(pkey);
		return -1;
	}
	grown = reallocarray(keys->key, keys->count + 1, sizeof(*grown));
	if (grown == NULL) {
		EVP_PKEY_free(pkey);
		goto no_memory;
	}
	keys->key = grown;
	if ((grown[keys->count].name = strdup(name)) == NULL) {
		EVP_PKEY_free(pkey);
		goto no_memory;
	}
	grown[keys->count++].pkey = pkey;
	return 0;
no_memory:
	snprintf(error, error_size, "pki %s: out of memory", name);
	return -1;
}

/* ---- deciding --------------------------------------------------------- */

static const EVP_MD *
allowed_digest(const char *name)
{
	if (strcmp(name, "SHA256") == 0)
		return EVP_sha256();
	if (strcmp(name, "SHA384") == 0)
		return EVP_sha384();
	if (strcmp(name, "SHA512") == 0)
		return EVP_sha512();
	return NULL;
}

/* A server signs as servers do, a client as clients do. */
static int
shape_is_for(enum tls_shape shape, enum process_kind peer)
{
	switch (peer) {
	case PROC_SMTPD:
		return shape == TLS_SHAPE_13_SERVER ||
		    shape == TLS_SHAPE_12_SERVER;
	case PROC_DELIVER:
		return shape == TLS_SHAPE_13_CLIENT ||
		    shape == TLS_SHAPE_12_CLIENT;
	default:
		return 0;
	}
}

/* RFC 8446, 4.2.3: PKCS #1 is for certificates only in TLS 1.3. */
static int
padding_fits(EVP_PKEY *pkey, int padding, enum tls_shape shape)
{
	if (!EVP_PKEY_is_a(pkey, "RSA"))
		return padding == 0;
	return padding == RSA_PKCS1_PSS_PADDING ||
	    (padding == RSA_PKCS1_PADDING && shape != TLS_SHAPE_13_SERVER &&
		shape != TLS_SHAPE_13_CLIENT);
}

static size_t
make_signature(EVP_PKEY *pkey, const EVP_MD *md, int padding,
    const struct ipc_blob *data, uint8_t *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	size_t len = KEYS_SIGNATURE_MAX;

	if (ctx == NULL ||
	    EVP_DigestSignInit(ctx, &pctx, md, NULL, pkey) != 1 ||
	    (padding != 0 &&
		EVP_PKEY_CTX_set_rsa_padding(pctx, padding) != 1) ||
	    (padding == RSA_PKCS1_PSS_PADDING &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(
		    pctx, RSA_PSS_SALTLEN_DIGEST) != 1) ||
	    EVP_DigestSign(ctx, out, &len, data->data, data->len) != 1)
		len = 0;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return len;
}

size_t
keys_sign(const struct keys *keys, enum process_kind peer,
    const struct msg_key_sign *m, uint8_t out[KEYS_SIGNATURE_MAX],
    const char **reason)
{
	const EVP_MD *md = allowed_digest(m->digest);
	enum tls_shape shape = tls_shape(m->data.data, m->data.len);
	const struct key *key = find_key(keys, m->pki);
	size_t len;

	if (key == NULL)
		*reason = "no such pki";
	else if (md == NULL)
		*reason = "digest is not allowed";
	else if (!shape_is_for(shape, peer))
		*reason = "not what a TLS handshake of this peer has signed";
	else if (!padding_fits(key->pkey, m->padding, shape))
		*reason = "padding does not fit";
	else {
		len = make_signature(key->pkey, md, m->padding, &m->data, out);
		if (len > 0)
			return len;
		*reason = "OpenSSL could not sign";
	}
	return 0;
}
