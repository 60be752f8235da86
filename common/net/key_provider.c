/*
 * The OpenSSL provider of forwarded keys; see key_provider.h. It holds no
 * state of its own: each key carries its signer.
 *
 * What OpenSSL calls here are the functions of provider-signature(7).
 */
#include <openssl/async.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/proverr.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "net/key_object.h"
#include "net/tls_internal.h"

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
	for (size_t i = 0;
	     name != NULL && i < sizeof(digests) / sizeof(digests[0]); i++)
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
digest_sign_init(
    void *context, const char *digest, void *key, const OSSL_PARAM params[])
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

	if (job == NULL ||
	    ASYNC_WAIT_CTX_get_callback(
		ASYNC_get_wait_ctx(job), &r->wake, &r->wake_arg) != 1)
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
		*out_len = key_signature_size(s->key);
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
		{ "RSA:rsaEncryption", PROPERTIES, key_functions_rsa, NULL },
		{ "EC:id-ecPublicKey", PROPERTIES, key_functions_ec, NULL },
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
	if (OSSL_PROVIDER_add_builtin(NULL, PROVIDER_NAME, provider_init) !=
		1 ||
	    OSSL_PROVIDER_try_load(NULL, PROVIDER_NAME, 1) == NULL ||
	    OPENSSL_atexit(unload) != 1 ||
	    EVP_set_default_properties(NULL, "?provider!=" PROVIDER_NAME) !=
		1) {
		tls_error(error, error_size, "provider of forwarded keys");
		return -1;
	}
	return 0;
}
