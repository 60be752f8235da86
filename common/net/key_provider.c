/*
 * The OpenSSL provider of forwarded keys; see key_provider.h. It holds no
 * state of its own: each key carries its signer.
 *
 * What OpenSSL calls here are the functions of provider-keymgmt(7) and
 * provider-signature(7). A key cannot be exported, which would make OpenSSL
 * carry it into its own provider and look for the private half there.
 */
#include <openssl/async.h>
#include <openssl/bn.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/proverr.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/key_provider.h"
#include "net/tls_internal.h"

#define PROVIDER_NAME "relais"
#define PROPERTIES "provider=" PROVIDER_NAME
/* Our own parameters of a key. */
#define PARAM_PKI "relais-pki"
#define PARAM_SIGNER "relais-signer"

#define FUNCTION(id, f)                  \
	{                                \
		id, (void (*)(void))(f)  \
	}

static const struct curve {
	const char *group;
	int bits;
	int security_bits;
	size_t signature; /* most octets of a DER signature */
} curves[] = {
	{ "prime256v1", 256, 128, 72 },
	{ "secp384r1", 384, 192, 104 },
};

struct remote_key {
	BIGNUM *n, *e; /* RSA */
	const struct curve *curve; /* EC */
	uint8_t *point;
	size_t point_len;
	char *pki;
	const struct key_signer *signer; /* NULL: only a public key */
};

static const struct curve *
find_curve(const char *group)
{
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(curves[i].group, group) == 0)
			return &curves[i];
	return NULL;
}

/* ---- keys ------------------------------------------------------------- */

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
	const OSSL_PARAM *signer = OSSL_PARAM_locate_const(
	    params, PARAM_SIGNER);

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
	const OSSL_PARAM *n = OSSL_PARAM_locate_const(
	    params, OSSL_PKEY_PARAM_RSA_N);
	const OSSL_PARAM *e = OSSL_PARAM_locate_const(
	    params, OSSL_PKEY_PARAM_RSA_E);

	return n != NULL && e != NULL && OSSL_PARAM_get_BN(n, &k->n) == 1 &&
	    OSSL_PARAM_get_BN(e, &k->e) == 1 && import_identity(k, params);
}

static int
ec_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct remote_key *k = data;
	const OSSL_PARAM *group = OSSL_PARAM_locate_const(
	    params, OSSL_PKEY_PARAM_GROUP_NAME);
	const OSSL_PARAM *pub = OSSL_PARAM_locate_const(
	    params, OSSL_PKEY_PARAM_PUB_KEY);

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

static size_t
signature_size(const struct remote_key *k)
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
	security = k->n != NULL ? BN_security_bits(bits, -1)
				: k->curve->security_bits;
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_BITS);
	if (p != NULL && !OSSL_PARAM_set_int(p, bits))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_SECURITY_BITS);
	if (p != NULL && !OSSL_PARAM_set_int(p, security))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MAX_SIZE);
	if (p != NULL && !OSSL_PARAM_set_int(p, (int)signature_size(k)))
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

#define KEY_FUNCTIONS(kind)                                               \
	FUNCTION(OSSL_FUNC_KEYMGMT_NEW, key_new),                         \
	    FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free),                   \
	    FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),                     \
	    FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match),                 \
	    FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, kind##_import),            \
	    FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, kind##_import_types), \
	    FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),       \
	    FUNCTION(                                                     \
		OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),  \
	    FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME,              \
		kind##_operation_name),                                   \
	{                                                                 \
		0, NULL                                                   \
	}

static const OSSL_DISPATCH rsa_key_functions[] = { KEY_FUNCTIONS(rsa) };
static const OSSL_DISPATCH ec_key_functions[] = { KEY_FUNCTIONS(ec) };

/* ---- signatures ------------------------------------------------------- */

static const struct digest {
	const char *name; /* as the keys process is told */
	const char *other; /* as OpenSSL may call it */
	int octets;
} digests[] = {
	{ "SHA256", "SHA2-256", 32 },
	{ "SHA384", "SHA2-384", 48 },
	{ "SHA512", "SHA2-512", 64 },
};

struct signing {
	const struct remote_key *key; /* held by the caller's EVP_PKEY */
	const struct digest *digest;
	int padding;
};

static const struct digest *
find_digest(const char *name)
{
	for (size_t i = 0; name != NULL &&
	     i < sizeof(digests) / sizeof(digests[0]); i++)
		if (OPENSSL_strcasecmp(name, digests[i].name) == 0 ||
		    OPENSSL_strcasecmp(name, digests[i].other) == 0)
			return &digests[i];
	return NULL;
}

static void *
signing_new(void *provider, const char *properties)
{
	return calloc(1, sizeof(struct signing));
}

static void
signing_free(void *context)
{
	free(context);
}

static void *
signing_dup(void *context)
{
	struct signing *copy = malloc(sizeof(*copy));

	if (copy != NULL)
		memcpy(copy, context, sizeof(*copy));
	return copy;
}

static int
set_padding(struct signing *s, const OSSL_PARAM *p)
{
	int mode = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		mode = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0
		    ? RSA_PKCS1_PSS_PADDING
		    : strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0
		    ? RSA_PKCS1_PADDING
		    : 0;
	else if (!OSSL_PARAM_get_int(p, &mode))
		return 0;
	if (mode != RSA_PKCS1_PADDING && mode != RSA_PKCS1_PSS_PADDING)
		return 0;
	s->padding = mode;
	return 1;
}

/* TLS has salts as long as the digest, and the keys process makes no other. */
static int
salt_is_digest(const struct signing *s, const OSSL_PARAM *p)
{
	int len;

	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		return strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
	return OSSL_PARAM_get_int(p, &len) &&
	    (len == RSA_PSS_SALTLEN_DIGEST ||
		(s->digest != NULL && len == s->digest->octets));
}

static int
set_ctx_params(void *context, const OSSL_PARAM params[])
{
	struct signing *s = context;
	const OSSL_PARAM *p;

	if (params == NULL)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p != NULL && !set_padding(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	if (p != NULL && !salt_is_digest(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
	return p == NULL ||
	    (p->data_type == OSSL_PARAM_UTF8_STRING &&
		find_digest(p->data) == s->digest);
}

static const OSSL_PARAM *
settable_ctx_params(void *context, void *provider)
{
	static const OSSL_PARAM settable[] = {
		OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL),
		OSSL_PARAM_utf8_string(
		    OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_utf8_string(
		    OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
		OSSL_PARAM_END,
	};

	return settable;
}

static int
digest_sign_init(void *context, const char *digest, void *key,
    const OSSL_PARAM params[])
{
	struct signing *s = context;

	if (key != NULL) {
		s->key = key;
		s->padding = s->key->n != NULL ? RSA_PKCS1_PADDING : 0;
	}
	if (s->key == NULL || s->key->signer == NULL ||
	    (s->digest = find_digest(digest)) == NULL) {
		ERR_raise(ERR_LIB_PROV, PROV_R_INVALID_DIGEST);
		return 0;
	}
	return set_ctx_params(s, params);
}

/*
 * Asks the signer and waits for it in the job's fibre. The request lives on
 * the fibre's stack, which stays as long as the job is paused.
 */
static int
forward(const struct key_signer *signer, struct key_request *r)
{
	ASYNC_JOB *job = ASYNC_get_current_job();

	if (job == NULL || ASYNC_WAIT_CTX_get_callback(
			       ASYNC_get_wait_ctx(job), &r->wake,
			       &r->wake_arg) != 1)
		return 0; /* to wait here would block the process */
	if (signer->sign(signer->arg, r) == -1)
		return 0;
	while (!r->finished)
		ASYNC_pause_job();
	return r->signature_len > 0;
}

static int
digest_sign(void *context, unsigned char *out, size_t *out_len, size_t out_size,
    const unsigned char *data, size_t len)
{
	struct signing *s = context;
	struct key_request r = {
		.pki = s->key->pki,
		.digest = s->digest->name,
		.padding = s->padding,
		.data = data,
		.len = len,
		.signature = out,
		.signature_size = out_size,
	};

	if (out == NULL) {
		*out_len = signature_size(s->key);
		return 1;
	}
	if (!forward(s->key->signer, &r)) {
		ERR_raise(ERR_LIB_PROV, PROV_R_FAILED_TO_SIGN);
		return 0;
	}
	*out_len = r.signature_len;
	return 1;
}

void
key_request_finish(struct key_request *r, const void *signature, size_t len)
{
	if (len > r->signature_size)
		len = 0;
	if (len > 0)
		memcpy(r->signature, signature, len);
	r->signature_len = len;
	r->finished = 1;
	if (r->wake != NULL)
		r->wake(r->wake_arg);
}

static const OSSL_DISPATCH signature_functions[] = {
	FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	FUNCTION(OSSL_FUNC_SIGNATURE_DUPCTX, signing_dup),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, digest_sign_init),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, digest_sign),
	FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_ctx_params),
	FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable_ctx_params),
	{ 0, NULL },
};

/* ---- the provider ----------------------------------------------------- */

static const OSSL_ALGORITHM *
query_operation(void *provider, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM keys[] = {
		{ "RSA:rsaEncryption", PROPERTIES, rsa_key_functions, NULL },
		{ "EC:id-ecPublicKey", PROPERTIES, ec_key_functions, NULL },
		{ NULL, NULL, NULL, NULL },
	};
	static const OSSL_ALGORITHM signatures[] = {
		{ "RSA:rsaEncryption", PROPERTIES, signature_functions, NULL },
		{ "ECDSA", PROPERTIES, signature_functions, NULL },
		{ NULL, NULL, NULL, NULL },
	};

	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return keys;
	case OSSL_OP_SIGNATURE:
		return signatures;
	default:
		return NULL;
	}
}

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **provider)
{
	static const OSSL_DISPATCH functions[] = {
		FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query_operation),
		{ 0, NULL },
	};

	*out = functions;
	*provider = (void *)handle;
	return 1;
}

static int
note_provider(OSSL_PROVIDER *provider, void *found)
{
	if (strcmp(OSSL_PROVIDER_get0_name(provider), PROVIDER_NAME) == 0)
		*(OSSL_PROVIDER **)found = provider;
	return 1;
}

/* At exit, so that a checker of leaks finds none. */
static void
unload(void)
{
	OSSL_PROVIDER *provider = NULL;

	OSSL_PROVIDER_do_all(NULL, note_provider, &provider);
	if (provider != NULL)
		OSSL_PROVIDER_unload(provider);
}

int
key_provider_load(char *error, size_t error_size)
{
	ERR_clear_error();
	if (OSSL_PROVIDER_available(NULL, PROVIDER_NAME))
		return 0;
	/* the default provider stays, and is what all else uses */
	if (OSSL_PROVIDER_add_builtin(NULL, PROVIDER_NAME, provider_init) != 1 ||
	    OSSL_PROVIDER_try_load(NULL, PROVIDER_NAME, 1) == NULL ||
	    OPENSSL_atexit(unload) != 1 ||
	    EVP_set_default_properties(NULL, "?provider!=" PROVIDER_NAME) !=
		1) {
		tls_error(error, error_size, "provider of forwarded keys");
		return -1;
	}
	return 0;
}

/* ---- key objects ------------------------------------------------------ */

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
