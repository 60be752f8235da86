/*
 * What a private key is called between the keys process and those who show its
 * certificate: by its pki and by its public half, so that whoever shows a
 * certificate that was renewed meanwhile gets the signature of the old key or
 * none. Called by tls.c and by the keys process. Pure.
 */
#ifndef NET_KEY_NAME_H
#define NET_KEY_NAME_H

#include <openssl/types.h>

/* As much as key_sign takes. */
enum { KEY_NAME_SIZE = 256 };

/* key: either half. A key of a kind that we never sign with, and NULL, is
 * called by its pki alone. */
void key_name(char out[KEY_NAME_SIZE], const char *pki, const EVP_PKEY *key);

#endif
