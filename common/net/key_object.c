/*
 * The key objects of the provider: public halves with a name and a signer.
 *
 * What OpenSSL calls here are the functions of provider-keymgmt(7). A key
 * cannot be exported, which would make OpenSSL carry it into its own provider
 * and look for the private half there.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/key_object.h"
#include "net/tls_internal.h"

/* Our own parameters of a key. */
#define PARAM_PKI "relais-pki"
#define PARAM_SIGNER "relais-signer"

static const struct curve {
	const char *group;
	int bits;
	int security_bits;
	size_t signature; /* most octets of a DER signature */
} curves[] = {
	{ "prime256v1", 256, 128, 72 },
	{ "secp384r1", 384, 192, 104 },
};

static const struct curve *
find_curve(const char *group)
{
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(curves[i].group, group) == 0)
			return &curves[i];
	return NULL;
}

/* ---- what OpenSSL calls ----------------------------------------------- */

static void *
key_new(void *provider)
{
	return calloc(1, sizeof(struct remote_key));
}

static void
key_free(void *data)
{
	struct remote_key *k = data;

	if (k == NULL)
		return;
	BN_free(k->n);
	BN_free(k->e);
	free(k->point);
	free(k->pki);
	free(k);
}

static int
key_has(const void *data, int selection)
{
	const struct remote_key *k = data;

	if (k == NULL)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) && k->signer == NULL)
		return 0;
	if (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY)
		return k->n != NULL || k->point != NULL;
	return 1;
}

static int
key_match(const void *data1, const void *data2, int selection)
{
	const struct remote_key *a = data1, *b = data2;

	if (a->n != NULL && b->n != NULL)
		return BN_cmp(a->n, b->n) == 0 && BN_cmp(a->e, b->e) == 0;
	return a->point != NULL && b->point != NULL && a->curve == b->curve &&
	    a->point_len == b->point_len &&
	    memcmp(a->point, b->point, a->point_len) == 0;
}

/* What makes a key ours; absent when OpenSSL imports a public key to compare.*/
static int
import_identity(struct remote_key *k, const OSSL_PARAM params[])
{
	const OSSL_PARAM *pki = OSSL_PARAM_locate_const(params, PARAM_PKI);
	const OSSL_PARAM *signer =
	    OSSL_PARAM_locate_const(params, PARAM_SIGNER);

	if (pki == NULL || signer == NULL)
		return 1;
	if (signer->data_size != sizeof(k->signer))
		return 0;
	memcpy(&k->signer, signer->data, sizeof(k->signer));
	return OSSL_PARAM_get_utf8_string(pki, &k->pki, 0) == 1;
}

static int
rsa_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct remote_key *k = data;
	const OSSL_PARAM *n =
	    OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_N);
	const OSSL_PARAM *e =
	    OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_E);

	return n != NULL && e != NULL && OSSL_PARAM_get_BN(n, &k->n) == 1 &&
	    OSSL_PARAM_get_BN(e, &k->e) == 1 && import_identity(k, params);
}

static int
ec_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct remote_key *k = data;
	const OSSL_PARAM *group =
	    OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
	const OSSL_PARAM *pub =
	    OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);

	if (group == NULL || pub == NULL ||
	    group->data_type != OSSL_PARAM_UTF8_STRING ||
	    pub->data_type != OSSL_PARAM_OCTET_STRING ||
	    (k->curve = find_curve(group->data)) == NULL ||
	    (k->point = malloc(pub->data_size + 1)) == NULL)
		return 0;
	memcpy(k->point, pub->data, pub->data_size);
	k->point_len = pub->data_size;
	return import_identity(k, params);
}

static const OSSL_PARAM *
rsa_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(PARAM_PKI, NULL, 0),
		OSSL_PARAM_octet_string(PARAM_SIGNER, NULL, 0),
		OSSL_PARAM_END,
	};

	return types;
}

static const OSSL_PARAM *
ec_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_utf8_string(PARAM_PKI, NULL, 0),
		OSSL_PARAM_octet_string(PARAM_SIGNER, NULL, 0),
		OSSL_PARAM_END,
	};

	return types;
}

size_t
key_signature_size(const struct remote_key *k)
{
	return k->n != NULL ? (size_t)BN_num_bytes(k->n) : k->curve->signature;
}

static int
key_get_params(void *data, OSSL_PARAM params[])
{
	struct remote_key *k = data;
	int bits, security;
	OSSL_PARAM *p;

	if (k->n == NULL && k->curve == NULL)
		return 0;
	bits = k->n != NULL ? BN_num_bits(k->n) : k->curve->bits;
	security =
	    k->n != NULL ? BN_security_bits(bits, -1) : k->curve->security_bits;
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_BITS);
	if (p != NULL && !OSSL_PARAM_set_int(p, bits))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_SECURITY_BITS);
	if (p != NULL && !OSSL_PARAM_set_int(p, security))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MAX_SIZE);
	if (p != NULL && !OSSL_PARAM_set_int(p, (int)key_signature_size(k)))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_GROUP_NAME);
	return p == NULL || k->curve == NULL ||
	    OSSL_PARAM_set_utf8_string(p, k->curve->group);
}

static const OSSL_PARAM *
key_gettable_params(void *provider)
{
	static const OSSL_PARAM gettable[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END,
	};

	return gettable;
}

static const char *
rsa_operation_name(int operation)
{
	return "RSA";
}

static const char *
ec_operation_name(int operation)
{
	return "ECDSA";
}

#define KEY_FUNCTIONS(kind)                                                   \
	FUNCTION(OSSL_FUNC_KEYMGMT_NEW, key_new),                             \
	    FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free),                       \
	    FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),                         \
	    FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match),                     \
	    FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, kind##_import),                \
	    FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, kind##_import_types),    \
	    FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),           \
	    FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params), \
	    FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME,                  \
		kind##_operation_name),                                       \
	{                                                                     \
		0, NULL                                                       \
	}

const OSSL_DISPATCH key_functions_rsa[] = { KEY_FUNCTIONS(rsa) };
const OSSL_DISPATCH key_functions_ec[] = { KEY_FUNCTIONS(ec) };

/* ---- making them ------------------------------------------------------ */

static int
push_rsa(OSSL_PARAM_BLD *b, EVP_PKEY *public, BIGNUM **n, BIGNUM **e)
{
	return EVP_PKEY_get_bn_param(public, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    EVP_PKEY_get_bn_param(public, OSSL_PKEY_PARAM_RSA_E, e) == 1 &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, *n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, *e) == 1;
}

static int
push_ec(OSSL_PARAM_BLD *b, const char *group, const uint8_t *point, size_t len)
{
	return OSSL_PARAM_BLD_push_utf8_string(
		   b, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(
		b, OSSL_PKEY_PARAM_PUB_KEY, point, len) == 1;
}

static EVP_PKEY *
build_key(OSSL_PARAM_BLD *b, const char *type, const char *pki,
    const struct key_signer *signer)
{
	EVP_PKEY_CTX *ctx = NULL;
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (OSSL_PARAM_BLD_push_utf8_string(b, PARAM_PKI, pki, 0) != 1 ||
	    OSSL_PARAM_BLD_push_octet_string(
		b, PARAM_SIGNER, &signer, sizeof(signer)) != 1 ||
	    (params = OSSL_PARAM_BLD_to_param(b)) == NULL)
		return NULL;
	ctx = EVP_PKEY_CTX_new_from_name(NULL, type, PROPERTIES);
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

EVP_PKEY *
key_provider_key(X509 *certificate, const char *pki,
    const struct key_signer *signer, char *error, size_t error_size)
{
	EVP_PKEY *public = X509_get0_pubkey(certificate), *key = NULL;
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	BIGNUM *n = NULL, *e = NULL;
	char group[64] = "";
	uint8_t point[256];
	size_t len = 0;

	if (signer == NULL || public == NULL || b == NULL) {
		snprintf(error, error_size, "certificate has no usable key");
	} else if (EVP_PKEY_is_a(public, "RSA")) {
		if (push_rsa(b, public, &n, &e))
			key = build_key(b, "RSA", pki, signer);
		if (key == NULL)
			tls_error(error, error_size, "RSA key");
	} else if (EVP_PKEY_is_a(public, "EC") &&
	    EVP_PKEY_get_group_name(public, group, sizeof(group), NULL) == 1 &&
	    find_curve(group) != NULL &&
	    EVP_PKEY_get_octet_string_param(public, OSSL_PKEY_PARAM_PUB_KEY,
		point, sizeof(point), &len) == 1) {
		if (push_ec(b, group, point, len))
			key = build_key(b, "EC", pki, signer);
		if (key == NULL)
			tls_error(error, error_size, "EC key");
	} else
		snprintf(error, error_size,
		    "its key is %.40s%s%.40s: use RSA, or ECDSA on P-256 or "
		    "P-384",
		    EVP_PKEY_get0_type_name(public) != NULL
			? EVP_PKEY_get0_type_name(public)
			: "unknown",
		    group[0] ? " on " : "", group);
	BN_free(n);
	BN_free(e);
	OSSL_PARAM_BLD_free(b);
	return key;
}
