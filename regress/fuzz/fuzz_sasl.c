/*
 * Octets of a client into each SASL mechanism of auth/sasl, and of a server
 * into auth/sasl_client. Nobody may get in without the password.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/credentials.h"
#include "auth/sasl.h"
#include "auth/sasl_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const uint8_t secret[SASL_SECRET_OCTETS] = { 1 };
static const uint8_t binding[32] = { 2 };

/* Takes the octets up to a 0xff. */
static const uint8_t *
take(const uint8_t **data, size_t *size, size_t *len)
{
	const uint8_t *from = *data, *end = memchr(from, 0xff, *size);

	*len = end != NULL ? (size_t)(end - from) : *size;
	*data += *len + (end != NULL);
	*size -= *len + (end != NULL);
	return from;
}

static void
serve(const char *mechanism, const uint8_t *data, size_t size, int bound)
{
	struct sasl *s = sasl_new(mechanism, binding, bound ? 32 : 0, secret);
	const char *stored, *password;
	enum sasl_state state;
	const uint8_t *octets;
	size_t len;

	if (s == NULL)
		return;
	octets = take(&data, &size, &len);
	state = sasl_begin(s, len == 0 ? NULL : octets, len);
	for (int i = 0; i < 6; i++) {
		sasl_challenge(s, &len);
		if (strlen(sasl_user(s)) >= SASL_USER_SIZE)
			abort();
		if (state == SASL_WANT_STORED)
			state = sasl_stored(s, "{PLAIN}\x01secret\x02", NULL);
		else if (state == SASL_WANT_VERDICT) {
			sasl_question(s, &stored, &password);
			state = sasl_verdict(
			    s, credentials_verify(stored, password));
		} else if (state == SASL_WANT_RESPONSE && size > 0) {
			octets = take(&data, &size, &len);
			state = sasl_respond(s, octets, len);
		} else
			break;
	}
	/* a nonce of ours is in each SCRAM proof, so no input can prove */
	if (state == SASL_ACCEPTED && strncmp(mechanism, "SCRAM", 5) == 0)
		abort();
	sasl_free(s);
}

static void
ask(const char *mechanism, const uint8_t *data, size_t size)
{
	enum sasl_status status;
	struct sasl_client *c =
	    sasl_client_new(mechanism, binding, 32, "user:password", &status);
	const uint8_t *octets, *response;
	size_t len, rlen;

	if (c == NULL)
		return;
	status = sasl_client_step(c, NULL, 0, &response, &rlen);
	for (int i = 0; i < 5 && status == SASL_CONTINUE; i++) {
		octets = take(&data, &size, &len);
		status = sasl_client_step(c, octets, len, &response, &rlen);
	}
	if (status == SASL_OK && strncmp(mechanism, "SCRAM", 5) == 0)
		abort();
	sasl_client_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const mechanisms[] = { "PLAIN", "LOGIN",
		"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS",
		"SCRAM-SHA-1-PLUS" };
	const char *mechanism;

	if (size == 0)
		return 0;
	mechanism = mechanisms[*data % 6];
	if (*data & 0x40)
		ask(mechanism, data + 1, size - 1);
	else
		serve(mechanism, data + 1, size - 1, (*data & 0x20) != 0);
	return 0;
}
