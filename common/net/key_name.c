/*
 * See key_name.h.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "net/key_name.h"

/* Of the public number: enough that no two keys have the same. */
enum { NUMBER_BITS = 128 };

void
key_name(char out[KEY_NAME_SIZE], const char *pki, const EVP_PKEY *key)
{
	const char *parameter = NULL;
	BIGNUM *number = NULL;
	char *text = NULL;

	if (key != NULL && EVP_PKEY_is_a(key, "RSA"))
		parameter = OSSL_PKEY_PARAM_RSA_N;
	else if (key != NULL && EVP_PKEY_is_a(key, "EC"))
		parameter = OSSL_PKEY_PARAM_EC_PUB_X;
	if (parameter != NULL &&
	    EVP_PKEY_get_bn_param(key, parameter, &number) == 1 &&
	    BN_mask_bits(number, NUMBER_BITS) == 1)
		text = BN_bn2hex(number);
	snprintf(out, KEY_NAME_SIZE, "%.200s%s%s", pki, text != NULL ? ":" : "",
	    text != NULL ? text : "");
	OPENSSL_free(text);
	BN_free(number);
}
