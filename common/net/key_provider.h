/*
 * Private keys that are elsewhere: an OpenSSL provider whose keys hold only a
 * public half and a name, and whose signatures are asked from a signer. TLS of
 * smtpd and deliver uses such keys; the private halves are in the keys
 * process. RSA (PKCS #1 and PSS) and ECDSA on P-256 and P-384.
 *
 * A signature is made inside an OpenSSL ASYNC job. The job pauses until the
 * signer has finished the request, and the stream that owns it goes on then;
 * others are served meanwhile.
 */
#ifndef NET_KEY_PROVIDER_H
#define NET_KEY_PROVIDER_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

/* One signature that is wanted. The fields are read-only to the signer, and
 * the request lives until key_request_finish was called. */
struct key_request {
	const char *pki;
	const char *digest; /* "SHA256", "SHA384" or "SHA512" */
	int padding; /* RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING; 0: ECDSA */
	const uint8_t *data;
	size_t len;
	uint8_t *signature; /* where the answer goes */
	size_t signature_size;
	size_t signature_len; /* 0 when refused */
	int finished;
	int (*wake)(void *);
	void *wake_arg;
};

/*
 * Who signs. `sign` begins and returns 0, or -1 if it cannot; it must not
 * block, and the request must be finished later, exactly once, whatever
 * happens: a job that waits cannot be taken back. It runs on a small stack
 * (32 KiB).
 */
struct key_signer {
	int (*sign)(void *arg, struct key_request *);
	void *arg;
};

/* Makes the provider known to OpenSSL; once a process, before the sandbox.
 * Called by tls_init. -1 with a message. */
int key_provider_load(char *error, size_t error_size);

/*
 * A key object that stands for the private key `pki` of the certificate. NULL
 * with a message when the certificate's key is of another kind. The signer
 * must outlive it.
 */
EVP_PKEY *key_provider_key(X509 *certificate, const char *pki,
    const struct key_signer *, char *error, size_t error_size);

/* Gives the answer and wakes the job; len 0 refuses. */
void key_request_finish(struct key_request *, const void *signature, size_t);

#endif
