/*
 * auth/sasl, auth/sasl_client and auth/credentials: the server against
 * libgsasl's client and against octets of its own making, each mechanism with
 * each kind of stored password, and the time that strangers take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <crypt.h>
#include <gsasl.h>

#include "auth/credentials.h"
#include "auth/sasl.h"
#include "auth/sasl_client.h"
#include "smtp/base64.h"

static const uint8_t secret[SASL_SECRET_OCTETS] = { 7, 7, 7 };
static const uint8_t binding[32] = { 1, 2, 3, 4 };
static const uint8_t other_binding[32] = { 9, 2, 3, 4 };
static char sha512[128], bcrypt[128], scram256[256], scram1[256];

/* What is stored for a user of the tests. */
static const char *
stored_for(const char *user)
{
	static const struct {
		const char *user;
		const char *stored;
	} table[] = {
		{ "sha512", sha512 },
		{ "bcrypt", bcrypt },
		{ "plain", "{PLAIN}pencil" },
		{ "scram256", scram256 },
		{ "scram1", scram1 },
		{ "empty", "" },
		{ "locked", "!" },
		{ "star", "*" },
		{ "naked", "pencil" },
		{ "comma,=", "{PLAIN}pencil" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].user, user) == 0)
			return table[i].stored;
	return NULL;
}

/* Answers what the exchange asks for until it wants the client or ends. */
static enum sasl_state
settle(struct sasl *s, enum sasl_state state, const char *model)
{
	const char *stored, *password;

	if (state == SASL_WANT_STORED)
		state = sasl_stored(s, stored_for(sasl_user(s)), model);
	if (state == SASL_WANT_VERDICT) {
		sasl_question(s, &stored, &password);
		state = sasl_verdict(s, credentials_verify(stored, password));
	}
	return state;
}

/* ---- libgsasl's client, and ours, against the server ---- */

static enum sasl_state
run_gsasl(const char *mechanism, const char *user, const char *password,
    const uint8_t *client_binding, const uint8_t *server_binding)
{
	struct sasl *s = sasl_new(
	    mechanism, server_binding, server_binding != NULL ? 32 : 0, secret);
	enum sasl_state state = SASL_BROKEN;
	Gsasl_session *client;
	char text[64];
	Gsasl *library;
	int rc;

	assert_non_null(s);
	assert_int_equal(gsasl_init(&library), GSASL_OK);
	assert_int_equal(
	    gsasl_client_start(library, mechanism, &client), GSASL_OK);
	gsasl_property_set(client, GSASL_AUTHID, user);
	gsasl_property_set(client, GSASL_PASSWORD, password);
	if (client_binding != NULL) {
		base64_encode(client_binding, 32, text, sizeof(text));
		gsasl_property_set(client, GSASL_CB_TLS_EXPORTER, text);
	}
	state = sasl_begin(s, NULL, 0);
	for (int i = 0; i < 5 && state == SASL_WANT_RESPONSE; i++) {
		const uint8_t *challenge;
		size_t len, n;
		char *out;

		challenge = sasl_challenge(s, &len);
		rc = gsasl_step(client, (const char *)challenge, len, &out, &n);
		if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
			break;
		state = settle(
		    s, sasl_respond(s, (const uint8_t *)out, n), scram256);
		gsasl_free(out);
	}
	if (state == SASL_ACCEPTED && strncmp(mechanism, "SCRAM", 5) == 0) {
		/* and the server proves itself to the client */
		const uint8_t *challenge;
		size_t len, n;
		char *out = NULL;

		challenge = sasl_challenge(s, &len);
		rc = gsasl_step(client, (const char *)challenge, len, &out, &n);
		assert_int_equal(rc, GSASL_OK);
		gsasl_free(out);
	}
	gsasl_finish(client);
	gsasl_done(library);
	sasl_free(s);
	return state;
}

static void
test_gsasl(void **state)
{
	static const struct {
		const char *mechanism;
		const char *user;
		const char *password;
		int client_binding; /* 2: another one */
		int server_binding;
		enum sasl_state state;
	} rows[] = {
		{ "PLAIN", "sha512", "pencil", 0, 0, SASL_ACCEPTED },
		{ "PLAIN", "sha512", "pencill", 0, 0, SASL_REFUSED },
		{ "PLAIN", "sha512", "penci", 0, 0, SASL_REFUSED },
		{ "PLAIN", "bcrypt", "pencil", 0, 0, SASL_ACCEPTED },
		{ "PLAIN", "bcrypt", "Pencil", 0, 0, SASL_REFUSED },
		{ "PLAIN", "plain", "pencil", 0, 0, SASL_ACCEPTED },
		{ "PLAIN", "plain", "{PLAIN}pencil", 0, 0, SASL_REFUSED },
		{ "PLAIN", "scram256", "pencil", 0, 0, SASL_ACCEPTED },
		{ "PLAIN", "scram256", "pencik", 0, 0, SASL_REFUSED },
		{ "PLAIN", "scram1", "pencil", 0, 0, SASL_ACCEPTED },
		{ "PLAIN", "nobody", "pencil", 0, 0, SASL_REFUSED },
		{ "PLAIN", "empty", "pencil", 0, 0, SASL_REFUSED },
		{ "PLAIN", "locked", "!", 0, 0, SASL_REFUSED },
		{ "PLAIN", "star", "*", 0, 0, SASL_REFUSED },
		{ "PLAIN", "naked", "pencil", 0, 0, SASL_REFUSED },
		{ "LOGIN", "sha512", "pencil", 0, 0, SASL_ACCEPTED },
		{ "LOGIN", "sha512", "wrong", 0, 0, SASL_REFUSED },
		{ "LOGIN", "nobody", "pencil", 0, 0, SASL_REFUSED },
		{ "SCRAM-SHA-256", "scram256", "pencil", 0, 0, SASL_ACCEPTED },
		{ "SCRAM-SHA-256", "scram256", "pencils", 0, 0, SASL_REFUSED },
		{ "SCRAM-SHA-256", "plain", "pencil", 0, 0, SASL_ACCEPTED },
		{ "SCRAM-SHA-256", "comma,=", "pencil", 0, 0, SASL_ACCEPTED },
		{ "SCRAM-SHA-256", "plain", "x", 0, 0, SASL_REFUSED },
		{ "SCRAM-SHA-256", "nobody", "pencil", 0, 0, SASL_REFUSED },
		{ "SCRAM-SHA-256", "nobody", "-", 0, 0, SASL_REFUSED },
		{ "SCRAM-SHA-256", "scram1", "pencil", 0, 0, SASL_REFUSED },
		{ "SCRAM-SHA-256", "sha512", "pencil", 0, 0, SASL_REFUSED },
		{ "SCRAM-SHA-1", "scram1", "pencil", 0, 0, SASL_ACCEPTED },
		{ "SCRAM-SHA-1", "scram256", "pencil", 0, 0, SASL_REFUSED },
		{ "SCRAM-SHA-256-PLUS", "scram256", "pencil", 1, 1,
		    SASL_ACCEPTED },
		{ "SCRAM-SHA-256-PLUS", "scram256", "pencil", 2, 1,
		    SASL_REFUSED },
		{ "SCRAM-SHA-1-PLUS", "scram1", "pencil", 1, 1, SASL_ACCEPTED },
		{ "SCRAM-SHA-1-PLUS", "nobody", "pencil", 1, 1, SASL_REFUSED },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum sasl_state got =
		    run_gsasl(rows[i].mechanism, rows[i].user, rows[i].password,
			rows[i].client_binding == 0       ? NULL
			    : rows[i].client_binding == 1 ? binding
							  : other_binding,
			rows[i].server_binding ? binding : NULL);

		if (got != rows[i].state)
			fail_msg("%s %s %s: %d", rows[i].mechanism,
			    rows[i].user, rows[i].password, got);
	}
}

static void
test_own_client(void **state)
{
	static const struct {
		const char *offered;
		int binding;
		const char *credentials;
		const char *mechanism; /* NULL: none fits */
		enum sasl_state state;
	} rows[] = {
		{ "LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256", 0, "scram256:pencil",
		    "SCRAM-SHA-256", SASL_ACCEPTED },
		{ "SCRAM-SHA-256-PLUS SCRAM-SHA-256", 1, "scram256:pencil",
		    "SCRAM-SHA-256-PLUS", SASL_ACCEPTED },
		{ "SCRAM-SHA-256-PLUS SCRAM-SHA-256", 0, "scram256:pencil",
		    "SCRAM-SHA-256", SASL_ACCEPTED },
		{ "PLAIN SCRAM-SHA-1", 0, "scram1:pencil", "SCRAM-SHA-1",
		    SASL_ACCEPTED },
		{ "LOGIN PLAIN", 0, "sha512:pencil", "PLAIN", SASL_ACCEPTED },
		{ "LOGIN", 0, "sha512:pencil", "LOGIN", SASL_ACCEPTED },
		{ "LOGIN", 0, "sha512:wrong", "LOGIN", SASL_REFUSED },
		{ "GSSAPI PLAINER XPLAIN", 0, "sha512:pencil", NULL, 0 },
		{ "SCRAM-SHA-256-PLUS", 0, "sha512:pencil", NULL, 0 },
		{ "PLAIN", 0, "nocolon", NULL, 0 },
		{ "PLAIN", 0, ":pencil", NULL, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint8_t *b = rows[i].binding ? binding : NULL, *octets;
		size_t blen = b != NULL ? 32 : 0, len;
		enum sasl_status status;
		enum sasl_state got;
		struct sasl_client *c = sasl_client_new(
		    rows[i].offered, b, blen, rows[i].credentials, &status);
		struct sasl *s;

		if (rows[i].mechanism == NULL) {
			assert_null(c);
			continue;
		}
		assert_non_null(c);
		assert_string_equal(
		    sasl_client_mechanism(c), rows[i].mechanism);
		s = sasl_new(rows[i].mechanism, b, blen, secret);
		assert_non_null(s);
		status = sasl_client_step(c, NULL, 0, &octets, &len);
		got = settle(
		    s, sasl_begin(s, len > 0 ? octets : NULL, len), NULL);
		while (got == SASL_WANT_RESPONSE) {
			octets = sasl_challenge(s, &len);
			status =
			    sasl_client_step(c, octets, len, &octets, &len);
			assert_true(
			    status == SASL_CONTINUE || status == SASL_OK);
			got = settle(s, sasl_respond(s, octets, len), NULL);
		}
		assert_int_equal(got, rows[i].state);
		octets = sasl_challenge(s, &len);
		if (got == SASL_ACCEPTED && len > 0)
			status =
			    sasl_client_step(c, octets, len, &octets, &len);
		assert_int_equal(status, SASL_OK);
		sasl_client_free(c);
		sasl_free(s);
	}
}

/* A server that does not know the password cannot pass for one that does. */
static void
test_false_server(void **state)
{
	enum sasl_status status;
	struct sasl_client *c = sasl_client_new(
	    "SCRAM-SHA-256", NULL, 0, "scram256:pencil", &status);
	struct sasl *s = sasl_new("SCRAM-SHA-256", NULL, 0, secret);
	static const uint8_t forged[] =
	    "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	const uint8_t *octets;
	size_t len;

	sasl_client_step(c, NULL, 0, &octets, &len);
	settle(s, sasl_begin(s, octets, len), NULL);
	octets = sasl_challenge(s, &len);
	assert_int_equal(
	    sasl_client_step(c, octets, len, &octets, &len), SASL_CONTINUE);
	status = sasl_client_step(c, forged, sizeof(forged) - 1, &octets, &len);
	assert_true(status == SASL_DENIED || status == SASL_MALFORMED);
	sasl_client_free(c);
	sasl_free(s);
}

/* ---- octets of our own making ---- */

static void
test_first_message(void **state)
{
#define OCTETS(text) text, sizeof(text) - 1
	static const struct {
		const char *mechanism;
		int binding;
		const char *octets;
		size_t len;
		enum sasl_state state;
		const char *user;
	} rows[] = {
		{ "PLAIN", 0, OCTETS("\0joe\0secret"), SASL_WANT_STORED,
		    "joe" },
		{ "PLAIN", 0, OCTETS("joe\0joe\0secret"), SASL_WANT_STORED,
		    "joe" },
		{ "PLAIN", 0, OCTETS("ann\0joe\0secret"), SASL_REFUSED, "joe" },
		{ "PLAIN", 0, OCTETS(""), SASL_BROKEN, "" },
		{ "PLAIN", 0, OCTETS("\0"), SASL_BROKEN, "" },
		{ "PLAIN", 0, OCTETS("\0\0"), SASL_BROKEN, "" },
		{ "PLAIN", 0, OCTETS("\0joe"), SASL_BROKEN, "" },
		{ "PLAIN", 0, OCTETS("\0joe\0"), SASL_BROKEN, "joe" },
		{ "PLAIN", 0, OCTETS("\0\0secret"), SASL_BROKEN, "" },
		{ "PLAIN", 0, OCTETS("\0joe\0sec\0ret"), SASL_BROKEN, "joe" },
		/* ATTACKS A 3, 5, 6, 7 */
		{ "PLAIN", 0, OCTETS("\0joe\nann\0x"), SASL_REFUSED, "" },
		{ "PLAIN", 0, OCTETS("\0joe\r\nX: y\0x"), SASL_REFUSED, "" },
		{ "PLAIN", 0, OCTETS("\0joe\tann\0x"), SASL_REFUSED, "" },
		{ "PLAIN", 0, OCTETS("\0joe|ann\0x"), SASL_WANT_STORED,
		    "joe|ann" },
		{ "PLAIN", 0, OCTETS("\0*)(uid=*\0x"), SASL_WANT_STORED,
		    "*)(uid=*" },
		{ "PLAIN", 0, OCTETS("\0' OR 1=1 --\0x"), SASL_WANT_STORED,
		    "' OR 1=1 --" },
		{ "PLAIN", 0, OCTETS("\0${run{x}}\0x"), SASL_WANT_STORED,
		    "${run{x}}" },
		{ "LOGIN", 0, OCTETS("joe"), SASL_WANT_RESPONSE, "joe" },
		{ "LOGIN", 0, OCTETS(""), SASL_BROKEN, "" },
		{ "LOGIN", 0, OCTETS("jo\0e"), SASL_BROKEN, "" },
		{ "SCRAM-SHA-256", 0, OCTETS("n,,n=joe,r=abc"),
		    SASL_WANT_STORED, "joe" },
		{ "SCRAM-SHA-256", 0, OCTETS("y,,n=joe,r=abc"),
		    SASL_WANT_STORED, "joe" },
		{ "SCRAM-SHA-256", 1, OCTETS("y,,n=joe,r=abc"), SASL_REFUSED,
		    "" },
		{ "SCRAM-SHA-256", 1, OCTETS("n,,n=joe,r=abc"),
		    SASL_WANT_STORED, "joe" },
		{ "SCRAM-SHA-256", 1, OCTETS("p=tls-exporter,,n=joe,r=abc"),
		    SASL_BROKEN, "" },
		{ "SCRAM-SHA-256-PLUS", 1,
		    OCTETS("p=tls-exporter,,n=joe,r=abc"), SASL_WANT_STORED,
		    "joe" },
		{ "SCRAM-SHA-256-PLUS", 1, OCTETS("n,,n=joe,r=abc"),
		    SASL_BROKEN, "" },
		{ "SCRAM-SHA-256", 0, OCTETS("n,a=joe,n=joe,r=abc"),
		    SASL_WANT_STORED, "joe" },
		{ "SCRAM-SHA-256", 0, OCTETS("n,a=ann,n=joe,r=abc"),
		    SASL_REFUSED, "joe" },
		{ "SCRAM-SHA-256", 0, OCTETS("n,,n=a=2Cb=3Dc,r=abc"),
		    SASL_WANT_STORED, "a,b=c" },
		{ "SCRAM-SHA-256", 0, OCTETS("n,,n=a=2Xb,r=abc"), SASL_BROKEN,
		    "" },
		{ "SCRAM-SHA-256", 0, OCTETS("n,,n=,r=abc"), SASL_BROKEN, "" },
		{ "SCRAM-SHA-256", 0, OCTETS("n,,n=joe"), SASL_BROKEN, "" },
		{ "SCRAM-SHA-256", 0, OCTETS("n,,m=x,n=joe,r=abc"), SASL_BROKEN,
		    "" },
		{ "SCRAM-SHA-256", 0, OCTETS("n,,n=jo\0e,r=abc"), SASL_BROKEN,
		    "" },
		{ "SCRAM-SHA-256", 0, OCTETS(""), SASL_BROKEN, "" },
		{ "SCRAM-SHA-256", 0, OCTETS("n"), SASL_BROKEN, "" },
		{ "SCRAM-SHA-256", 0, OCTETS("n,,n=joe\nann,r=abc"),
		    SASL_REFUSED, "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sasl *s = sasl_new(rows[i].mechanism, binding,
		    rows[i].binding ? 32 : 0, secret);
		enum sasl_state got;

		assert_non_null(s);
		got =
		    sasl_begin(s, (const uint8_t *)rows[i].octets, rows[i].len);
		if (got != rows[i].state ||
		    strcmp(sasl_user(s), rows[i].user) != 0)
			fail_msg("row %zu: %d %s", i, got, sasl_user(s));
		sasl_free(s);
	}
}

static void
test_unknown_mechanisms(void **state)
{
	static const char *const names[] = { "", "plain", "CRAM-MD5", "NTLM",
		"EXTERNAL", "GSSAPI", "SCRAM-SHA-256-PLUS", "PLAIN LOGIN" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_null(sasl_new(names[i], NULL, 0, secret));
}

/* A client's final message cannot be used twice (ATTACKS 27). */
static void
test_replay(void **state)
{
	enum sasl_status status;
	struct sasl_client *c = sasl_client_new(
	    "SCRAM-SHA-256", NULL, 0, "scram256:pencil", &status);
	struct sasl *a = sasl_new("SCRAM-SHA-256", NULL, 0, secret);
	struct sasl *b = sasl_new("SCRAM-SHA-256", NULL, 0, secret);
	const uint8_t *octets;
	size_t len;

	sasl_client_step(c, NULL, 0, &octets, &len);
	assert_int_equal(
	    settle(a, sasl_begin(a, octets, len), NULL), SASL_WANT_RESPONSE);
	assert_int_equal(
	    settle(b, sasl_begin(b, octets, len), NULL), SASL_WANT_RESPONSE);
	octets = sasl_challenge(a, &len);
	sasl_client_step(c, octets, len, &octets, &len);
	assert_int_equal(sasl_respond(a, octets, len), SASL_ACCEPTED);
	assert_int_not_equal(sasl_respond(b, octets, len), SASL_ACCEPTED);
	/* nor is there an exchange after its end */
	assert_int_not_equal(sasl_respond(a, octets, len), SASL_ACCEPTED);
	sasl_client_free(c);
	sasl_free(a);
	sasl_free(b);
}

static void
first_challenge(const char *user, char *out, size_t size)
{
	struct sasl *s = sasl_new("SCRAM-SHA-256", NULL, 0, secret);
	const uint8_t *octets;
	char text[64];
	size_t len;
	int n = snprintf(text, sizeof(text), "n,,n=%s,r=abc", user);

	assert_int_equal(
	    settle(
		s, sasl_begin(s, (const uint8_t *)text, (size_t)n), scram256),
	    SASL_WANT_RESPONSE);
	octets = sasl_challenge(s, &len);
	assert_true(len < size);
	memcpy(out, octets, len);
	out[len] = '\0';
	sasl_free(s);
}

/* Whoever asks twice about one who does not exist gets the same salt twice,
 * and as many iterations as the others have. */
static void
test_stranger_looks_real(void **state)
{
	char a[512], b[512], c[512];

	first_challenge("nobody", a, sizeof(a));
	first_challenge("NOBODY", b, sizeof(b));
	first_challenge("noone", c, sizeof(c));
	assert_non_null(strstr(a, ",s="));
	assert_string_equal(strstr(a, ",s="), strstr(b, ",s="));
	assert_string_not_equal(strstr(a, ",s="), strstr(c, ",s="));
	assert_non_null(strstr(a, ",i=5000"));
}

static double
seconds_of(
    const char *mechanism, const char *first, size_t len, const char *model)
{
	struct timespec from, to;
	struct sasl *s;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	s = sasl_new(mechanism, NULL, 0, secret);
	settle(s, sasl_begin(s, (const uint8_t *)first, len), model);
	sasl_free(s);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	return (double)(to.tv_sec - from.tv_sec) +
	    (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* ATTACKS 28: the median time of a stranger is that of a wrong password. The
 * bounds are wide: without the hash of a stranger the ratio is over 20. */
static void
test_time(void **state)
{
	static const struct {
		const char *mechanism;
		const char *known;
		size_t known_len;
		const char *unknown;
		size_t unknown_len;
		const char *model;
	} rows[] = {
		{ "PLAIN", OCTETS("\0sha512\0wrong"), OCTETS("\0nobody\0wrong"),
		    sha512 },
		{ "PLAIN", OCTETS("\0scram256\0wrong"),
		    OCTETS("\0nobody\0wrong"), scram256 },
		{ "SCRAM-SHA-256", OCTETS("n,,n=scram256,r=abc"),
		    OCTETS("n,,n=nobody,r=abc"), scram256 },
		{ "SCRAM-SHA-256", OCTETS("n,,n=plain,r=abc"),
		    OCTETS("n,,n=nobody,r=abc"), "{PLAIN}other" },
	};
	enum { SAMPLES = 41 };
	double known[SAMPLES], unknown[SAMPLES], ratio;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int k = 0; k < SAMPLES; k++) {
			known[k] = seconds_of(rows[i].mechanism, rows[i].known,
			    rows[i].known_len, rows[i].model);
			unknown[k] =
			    seconds_of(rows[i].mechanism, rows[i].unknown,
				rows[i].unknown_len, rows[i].model);
		}
		qsort(known, SAMPLES, sizeof(double), compare);
		qsort(unknown, SAMPLES, sizeof(double), compare);
		ratio = known[SAMPLES / 2] / unknown[SAMPLES / 2];
		if (ratio < 0.67 || ratio > 1.5)
			fail_msg("row %zu: ratio of medians %.2f", i, ratio);
	}
}

static void
make_scram(enum credentials_hash hash, const char *name, char *out, size_t size)
{
	char client[64], server[64], stored[64], salted[64];
	char salt64[64], stored64[64], server64[64];
	size_t len = hash == CREDENTIALS_SHA1 ? 20 : 32;

	assert_int_equal(
	    gsasl_scram_secrets_from_password(
		hash == CREDENTIALS_SHA1 ? GSASL_HASH_SHA1 : GSASL_HASH_SHA256,
		"pencil", 5000, "saltysalt", 9, salted, client, server, stored),
	    GSASL_OK);
	base64_encode("saltysalt", 9, salt64, sizeof(salt64));
	base64_encode(stored, len, stored64, sizeof(stored64));
	base64_encode(server, len, server64, sizeof(server64));
	snprintf(
	    out, size, "{%s}5000,%s,%s,%s", name, salt64, stored64, server64);
}

static int
setup(void **state)
{
	struct crypt_data *data = calloc(1, sizeof(*data));

	if (data == NULL)
		return -1;
	snprintf(sha512, sizeof(sha512), "%s",
	    crypt_r("pencil", "$6$rounds=5000$saltsalt$", data));
	snprintf(bcrypt, sizeof(bcrypt), "%s",
	    crypt_r("pencil", "$2b$04$abcdefghijklmnopqrstuu", data));
	free(data);
	make_scram(
	    CREDENTIALS_SHA256, "SCRAM-SHA-256", scram256, sizeof(scram256));
	make_scram(CREDENTIALS_SHA1, "SCRAM-SHA-1", scram1, sizeof(scram1));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gsasl),
		cmocka_unit_test(test_own_client),
		cmocka_unit_test(test_false_server),
		cmocka_unit_test(test_first_message),
		cmocka_unit_test(test_unknown_mechanisms),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_stranger_looks_real),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
