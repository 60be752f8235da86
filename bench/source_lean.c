/*
 * A library context of OpenSSL with no more algorithms than the generator's
 * handshakes need. OpenSSL 3.0 looks through all that a context has for a
 * decoder of the key in each certificate; to have few is a fifth of the
 * generator's CPU. The algorithms are those of the default provider.
 */
#include <err.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>

#include "source_tls.h"

#define FUNCTION(id, f)                 \
	{                               \
		id, (void (*)(void))(f) \
	}

enum { MOST = 16 };

static OSSL_PROVIDER *full;

/* What is left of an operation; NULL: all of it. */
static const struct {
	int operation;
	const char *names[6];
	const char *property;
} wanted[] = {
	{ OSSL_OP_DECODER, { "EC", "RSA", "DER" },
	    "input=der,structure=SubjectPublicKeyInfo" },
	{ OSSL_OP_KEYMGMT, { "EC", "RSA", "X25519", "HMAC" }, "" },
	{ OSSL_OP_DIGEST, { "SHA1", "SHA2-256", "SHA2-384" }, "" },
	{ OSSL_OP_CIPHER, { "AES-128-GCM", "AES-256-GCM", "AES-256-CTR" }, "" },
	{ OSSL_OP_ENCODER, { NULL }, "" },
};

/* By the first of an algorithm's names. */
static int
is_wanted(size_t row, const OSSL_ALGORITHM *a)
{
	const char *const *name = wanted[row].names;
	size_t len = strcspn(a->algorithm_names, ":");

	for (; *name != NULL; name++)
		if (strlen(*name) == len &&
		    strncmp(a->algorithm_names, *name, len) == 0)
			return strstr(a->property_definition,
				   wanted[row].property) != NULL;
	return 0;
}

static const OSSL_ALGORITHM *
query_operation(void *provider, int operation, int *no_cache)
{
	enum { ROWS = sizeof(wanted) / sizeof(wanted[0]) };
	static OSSL_ALGORITHM left[ROWS][MOST + 1];
	const OSSL_ALGORITHM *all =
	    OSSL_PROVIDER_query_operation(full, operation, no_cache);
	size_t n = 0;

	for (size_t row = 0; row < ROWS; row++) {
		if (wanted[row].operation != operation)
			continue;
		for (; all != NULL && all->algorithm_names != NULL; all++)
			if (n < MOST && is_wanted(row, all))
				left[row][n++] = *all;
		memset(&left[row][n], 0, sizeof(left[row][n]));
		return left[row];
	}
	return all;
}

static int
get_capabilities(
    void *provider, const char *name, OSSL_CALLBACK *callback, void *arg)
{
	return OSSL_PROVIDER_get_capabilities(full, name, callback, arg);
}

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **context)
{
	static const OSSL_DISPATCH functions[] = {
		FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query_operation),
		FUNCTION(OSSL_FUNC_PROVIDER_GET_CAPABILITIES, get_capabilities),
		{ 0, NULL },
	};

	*out = functions;
	*context = OSSL_PROVIDER_get0_provider_ctx(full);
	return 1;
}

OSSL_LIB_CTX *
source_lean_context(void)
{
	OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();

	if (context == NULL ||
	    (full = OSSL_PROVIDER_load(NULL, "default")) == NULL ||
	    OSSL_PROVIDER_add_builtin(context, "lean", provider_init) != 1 ||
	    OSSL_PROVIDER_load(context, "lean") == NULL)
		errx(1, "OpenSSL's providers");
	return context;
}
