/*
 * The client's side of one SASL exchange with a smarthost: the secret is here
 * and nowhere else; only responses leave.
 */
#ifndef AUTH_SASL_CLIENT_H
#define AUTH_SASL_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/enums.h"

struct sasl_client;

/*
 * Chooses the best of the offered mechanisms (names with one space between
 * them): SCRAM with binding, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, LOGIN.
 * binding may be empty. credentials is `user:password`. NULL when nothing
 * offered fits (*status is SASL_UNSUPPORTED), the credentials are malformed
 * or memory is out (SASL_TEMPFAIL).
 */
struct sasl_client *sasl_client_new(const char *offered, const uint8_t *binding,
    size_t binding_len, const char *credentials, enum sasl_status *status);
void sasl_client_free(struct sasl_client *);

const char *sasl_client_mechanism(const struct sasl_client *);

/* Takes a challenge (NULL at the beginning) and makes the response, valid
 * until the next call. SASL_CONTINUE: another challenge must follow; SASL_OK:
 * this is the last one, and a SCRAM server has proved itself; SASL_DENIED: it
 * has not. */
enum sasl_status sasl_client_step(struct sasl_client *,
    const uint8_t *challenge, size_t len, const uint8_t **response,
    size_t *response_len);

#endif
