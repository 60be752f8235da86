/*
 * The private keys, and the decision which signatures to make with them. Pure
 * but for OpenSSL: no socket, no clock. Used by the keys process alone; trusts
 * the configuration and none of the processes that ask.
 */
#ifndef AUTH_KEYS_H
#define AUTH_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/messages.h"

/* Most octets of a signature: RSA of 16384 bits. */
#define KEYS_SIGNATURE_MAX 2048

struct keys;

/* NULL when memory is out. */
struct keys *keys_new(void);
/* Wipes the keys. */
void keys_free(struct keys *);
/*
 * Adds the private key of pki `name` from PEM. -1 with a message (which names
 * the pki and holds nothing of the key) when it is malformed, encrypted, too
 * short or of a kind that we do not sign with. The caller wipes pem.
 */
int keys_add(struct keys *, const char *name, const char *pem, size_t len,
    char *error, size_t error_size);
size_t keys_count(const struct keys *);

/*
 * Makes the signature that `peer` asks for, when it is one that TLS asks of a
 * peer of its kind (see tls_shape.h). Returns its length in out, or 0; then
 * *reason says why, in words for the log.
 */
size_t keys_sign(const struct keys *, enum process_kind peer,
    const struct msg_key_sign *, uint8_t out[KEYS_SIGNATURE_MAX],
    const char **reason);

#endif
