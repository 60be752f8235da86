/*
 * The server's side of one SASL exchange (RFC 4422): PLAIN (RFC 4616), LOGIN,
 * SCRAM-SHA-1 and SCRAM-SHA-256 with and without channel binding (RFC 5802,
 * 7677, 9266). Octets in, octets out; it looks nothing up itself but says
 * what it needs, so tables may answer late and slow hashes may run elsewhere.
 *
 * Nothing in it tells whether a user exists: neither a reply nor its time.
 */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include <stddef.h>
#include <stdint.h>

enum {
	SASL_USER_SIZE = 256,
	SASL_OCTETS_MAX = 16384, /* of one challenge or response */
	SASL_SECRET_OCTETS = 32
};

struct sasl;

/* What an exchange waits for, or how it ended. */
enum sasl_state {
	SASL_WANT_RESPONSE, /* send the challenge, then sasl_respond */
	SASL_WANT_STORED, /* look up sasl_user, then sasl_stored */
	SASL_WANT_VERDICT, /* verify, then sasl_verdict */
	SASL_ACCEPTED, /* a challenge may still have to be sent */
	SASL_REFUSED,
	SASL_BROKEN, /* malformed */
	SASL_FAULT /* no memory */
};

/* mechanism: its registered name. binding: the tls-exporter data of the
 * connection, empty without TLS 1.3. secret makes salts for users who do not
 * exist. NULL when the mechanism is not known (or cannot work without
 * binding) or memory is out. */
struct sasl *sasl_new(const char *mechanism, const uint8_t *binding,
    size_t binding_len, const uint8_t secret[SASL_SECRET_OCTETS]);
void sasl_free(struct sasl *);

/* Begins, with the client's initial response unless that is NULL (an empty
 * one is not NULL). */
enum sasl_state sasl_begin(struct sasl *, const uint8_t *initial, size_t len);
enum sasl_state sasl_respond(struct sasl *, const uint8_t *response, size_t);

/* stored: what is stored for the user (credentials.h), NULL if there is none.
 * model: what is stored for some user of the same table, or NULL. */
enum sasl_state sasl_stored(
    struct sasl *, const char *stored, const char *model);
/* For WANT_VERDICT: verify with credentials_verify(*stored, *password), which
 * may take its time and may be done in another thread, and hand over what it
 * says. Both live until sasl_verdict. */
void sasl_question(
    const struct sasl *, const char **stored, const char **password);
enum sasl_state sasl_verdict(struct sasl *, int fits);

/* The challenge (for ACCEPTED: data that go with the success), valid until
 * the next call. */
const uint8_t *sasl_challenge(const struct sasl *, size_t *len);
/* The user's name as the client gave it, "" while it is not known. */
const char *sasl_user(const struct sasl *);

#endif
