/*
 * What TLS is told to do: which certificate, which application protocol, what
 * may be resumed, who is verified, and settings that cannot be used.
 */
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tls_fixture.h"

/* ---- choosing --------------------------------------------------------- */

static void
test_sni(void **state)
{
	static const struct {
		const char *name;
		int cert;
	} rows[] = {
		{ "rsa.example.org", RSA2048 },
		{ "ec.example.org", P256 },
		{ "EC.Example.ORG", P256 },
		{ "other.example.net", OTHER },
		{ "unknown.example.org", RSA2048 },
		{ NULL, RSA2048 },
		{ "a\\", RSA2048 }, /* CVE-2019-15846 */
		{ "x;touch$IFS/tmp/p;", RSA2048 },
		{ "${run{id}}", RSA2048 },
		{ ".", RSA2048 },
	};
	struct tls_context *c = *state;
	int which[] = { RSA2048, P256, OTHER, CERTS };
	struct tls_server *server = server_with(c, "sni", NULL, which);
	struct end a, b;
	SSL_CTX *ctx;
	SSL *ssl;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
			ssl = plain_ssl(&ctx, v);
			if (rows[i].name != NULL)
				SSL_set_tlsext_host_name(ssl, rows[i].name);
			assert_true(shake(c, server, ssl, &a, &b));
			assert_int_equal(X509_cmp(SSL_get0_peer_certificate(
						      stream_tls(b.stream)),
					     c->cert[rows[i].cert].x509),
			    0);
			ends_free(&a, &b);
			run_for(c->loop, 2);
			SSL_CTX_free(ctx);
		}
	tls_server_free(server);
}

/* The names on the certificate count too, not only that of the pki. */
static void
test_sni_by_certificate(void **state)
{
	struct tls_context *c = *state;
	struct tls_pki pki[] = { cert_pki(&c->cert[RSA2048]),
		cert_pki(&c->cert[P256]) };
	struct tls_server_options o = {
		.pki = pki,
		.pki_count = 2,
		.keys = key_client_signer(c->keys.client),
	};
	struct tls_server *server;
	struct end a, b;
	SSL_CTX *ctx;
	SSL *ssl;
	char error[256] = "";

	/* the keys process knows it by this name, so no handshake can come
	 * from it; which certificate was chosen shows in who refuses */
	pki[1].name = "mail";
	server = tls_server_new(&o, error, sizeof(error));
	assert_string_equal(error, "");
	ssl = plain_ssl(&ctx, TLS1_3_VERSION);
	SSL_set_tlsext_host_name(ssl, "ec.example.org");
	assert_false(shake(c, server, ssl, &a, &b));
	ends_free(&a, &b);
	SSL_CTX_free(ctx);
	ssl = plain_ssl(&ctx, TLS1_3_VERSION);
	SSL_set_tlsext_host_name(ssl, "something.else");
	assert_true(shake(c, server, ssl, &a, &b));
	ends_free(&a, &b);
	SSL_CTX_free(ctx);
	tls_server_free(server);
}

static void
test_alpn(void **state)
{
	static const struct {
		const char *offer;
		unsigned len;
		int accepted;
	} rows[] = {
		{ "", 0, 1 },
		{ "\x04smtp", 5, 1 },
		{ "\x02h2\x04smtp", 8, 1 },
		{ "\x02h2", 3, 0 },
		{ "\x08http/1.1\x02h2", 12, 0 },
		{ "\x04imap", 5, 0 },
		{ "\x05smtps", 6, 0 },
		{ "\x03smt", 4, 0 },
	};
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	const unsigned char *chosen;
	unsigned len;
	struct end a, b;
	SSL_CTX *ctx;
	SSL *ssl;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ssl = plain_ssl(&ctx, TLS1_3_VERSION);
		if (rows[i].len > 0)
			SSL_set_alpn_protos(ssl,
			    (const unsigned char *)rows[i].offer, rows[i].len);
		assert_int_equal(
		    shake(c, server, ssl, &a, &b), rows[i].accepted);
		if (rows[i].accepted && rows[i].len > 0) {
			SSL_get0_alpn_selected(
			    stream_tls(b.stream), &chosen, &len);
			assert_int_equal(len, 4);
			assert_memory_equal(chosen, "smtp", 4);
		}
		if (!rows[i].accepted)
			assert_non_null(strstr(
			    stream_error(b.stream), "no application protocol"));
		ends_free(&a, &b);
		run_for(c->loop, 2);
		SSL_CTX_free(ctx);
	}
	tls_server_free(server);
}

/* ---- resumption ------------------------------------------------------- */

/* The session that a server gave last, encoded: OpenSSL marks a session object
 * as used up after one resumption, and the tests want to try again. */
static unsigned char taken[8192];
static int taken_len;

static int
take_session(SSL *ssl, SSL_SESSION *session)
{
	unsigned char *p = taken;

	taken_len = i2d_SSL_SESSION(session, NULL);
	assert_true(taken_len > 0 && (size_t)taken_len <= sizeof(taken));
	i2d_SSL_SESSION(session, &p);
	return 0;
}

/* Connects with an encoded session (or none), returns whether it resumed. */
static int
resume(struct tls_context *c, struct tls_server *server, int version,
    const char *sni, const unsigned char *session, int len)
{
	struct end a, b;
	SSL_CTX *ctx;
	SSL *ssl = plain_ssl(&ctx, version);
	SSL_SESSION *s;
	int reused;

	SSL_CTX_set_session_cache_mode(
	    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, take_session);
	if (sni != NULL)
		SSL_set_tlsext_host_name(ssl, sni);
	if (session != NULL) {
		s = d2i_SSL_SESSION(NULL, &session, len);
		assert_non_null(s);
		assert_int_equal(SSL_set_session(ssl, s), 1);
		SSL_SESSION_free(s);
	}
	assert_true(shake(c, server, ssl, &a, &b));
	b.want = 2;
	stream_write_string(a.stream, "ok");
	assert_true(run_until(c->loop, &b.got_all, 1000));
	reused = SSL_session_reused(stream_tls(a.stream));
	ends_free(&a, &b);
	run_for(c->loop, 2);
	SSL_CTX_free(ctx);
	return reused;
}

static void
test_resumption(void **state)
{
	struct tls_context *c = *state;
	int two[] = { P256, OTHER, CERTS };
	uint8_t key[4][TLS_TICKET_KEY_LEN];
	struct tls_server *server, *same, *other;
	unsigned char s[sizeof(taken)];
	int len;

	for (int i = 0; i < 4; i++)
		assert_int_equal(tls_ticket_key(key[i]), 0);
	assert_int_equal(tls_tickets_set(c->tickets, key[0], 79, NULL, 0), -1);
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		assert_int_equal(
		    tls_tickets_set(c->tickets, key[0], 80, NULL, 0), 0);
		/* same and server are as two workers are: contexts apart,
		 * ticket keys shared */
		server = server_with(c, "smtp", NULL, two);
		same = server_with(c, "smtp", NULL, two);
		other = server_with(c, "submission", NULL, two);
		taken_len = 0;
		assert_int_equal(resume(c, server, v, NULL, NULL, 0), 0);
		assert_true(taken_len > 0);
		memcpy(s, taken, sizeof(s));
		len = taken_len;
		assert_int_equal(resume(c, server, v, NULL, s, len), 1);
		assert_int_equal(resume(c, same, v, NULL, s, len), 1);
		assert_int_equal(resume(c, other, v, NULL, s, len), 0);
		assert_int_equal(
		    resume(c, server, v, "other.example.net", s, len), 0);
		/* rotated once: taken still, and renewed; twice: gone */
		tls_tickets_set(c->tickets, key[1], 80, key[0], 80);
		taken_len = 0;
		assert_int_equal(resume(c, same, v, NULL, s, len), 1);
		/* OpenSSL tells a client of 1.2 nothing of a renewal */
		assert_true(taken_len > 0 || v == TLS1_2_VERSION);
		tls_tickets_set(c->tickets, key[2], 80, key[1], 80);
		assert_int_equal(resume(c, same, v, NULL, s, len), 0);
		/* no key, no ticket, and no failure */
		tls_tickets_set(c->tickets, NULL, 0, NULL, 0);
		assert_int_equal(resume(c, same, v, NULL, s, len), 0);
		tls_server_free(server);
		tls_server_free(same);
		tls_server_free(other);
	}
}

/* ---- verification ----------------------------------------------------- */

static void
test_verify(void **state)
{
	static const struct {
		int trust;
		const char *name;
		enum tls_verify verify;
		int established;
		int verified;
		const char *error;
	} rows[] = {
		{ P256, "ec.example.org", TLS_VERIFY_REQUIRED, 1, 1, "" },
		{ P256, "ec.example.org.", TLS_VERIFY_REQUIRED, 1, 1, "" },
		{ P256, "ec.example.org", TLS_VERIFY_OPTIONAL, 1, 1, "" },
		{ P256, "mx.example.com", TLS_VERIFY_REQUIRED, 0, 0,
		    "hostname mismatch" },
		{ P256, "mx.example.com", TLS_VERIFY_OPTIONAL, 1, 0,
		    "hostname mismatch" },
		{ P256, "192.0.2.1", TLS_VERIFY_REQUIRED, 0, 0,
		    "IP address mismatch" },
		{ RSA2048, "ec.example.org", TLS_VERIFY_REQUIRED, 0, 0,
		    "self-signed certificate" },
		{ RSA2048, "ec.example.org", TLS_VERIFY_OPTIONAL, 1, 0,
		    "self-signed certificate" },
		{ P256, NULL, TLS_VERIFY_NONE, 1, 0, "" },
	};
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	struct tls_client *client;
	struct tls_info info;
	struct end a, b;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		client = client_for(&c->cert[rows[i].trust], NULL);
		ends_pair(c->set, SOCK_STREAM, &a, &b);
		stream_start_tls(
		    a.stream, tls_server_session(server), STREAM_SERVER);
		stream_start_tls(b.stream,
		    tls_client_session(client, rows[i].name, rows[i].verify),
		    STREAM_CLIENT);
		assert_true(run_until(c->loop, &b.tls_ended, 2000));
		assert_int_equal(b.tls, rows[i].established ? 1 : -1);
		if (rows[i].established) {
			tls_describe(stream_tls(b.stream), &info);
			assert_int_equal(info.verified, rows[i].verified);
			assert_non_null(
			    strstr(info.verify_error, rows[i].error));
		} else
			assert_non_null(
			    strstr(stream_error(b.stream), rows[i].error));
		ends_free(&a, &b);
		tls_client_free(client);
	}
	client = client_for(&c->cert[P256], NULL);
	assert_null(tls_client_session(client, NULL, TLS_VERIFY_REQUIRED));
	assert_null(tls_client_session(client, "", TLS_VERIFY_NONE));
	tls_client_free(client);
	tls_server_free(server);
}

static void
test_dane(void **state)
{
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	struct tls_client *client = client_for(&c->cert[RSA2048], NULL);
	uint8_t digest[32];
	unsigned len = sizeof(digest);
	struct tls_info info;
	struct end a, b;
	SSL *ssl;

	X509_digest(c->cert[P256].x509, EVP_sha256(), digest, &len);
	for (int good = 1; good >= 0; good--) {
		ssl = tls_client_session(
		    client, "mx.example.net", TLS_VERIFY_REQUIRED);
		digest[0] ^= good ? 0 : 1;
		/* DANE-EE: no authority and no name is needed */
		assert_int_equal(
		    tls_client_add_tlsa(ssl, 3, 0, 1, digest, 31), 0);
		assert_int_equal(
		    tls_client_add_tlsa(ssl, 1, 0, 1, digest, 32), 0);
		assert_int_equal(
		    tls_client_add_tlsa(ssl, 3, 0, 9, digest, 32), 0);
		assert_int_equal(
		    tls_client_add_tlsa(ssl, 3, 0, 1, digest, 32), 1);
		assert_int_equal(tls_client_add_name(ssl, "example.net"), 0);
		ends_pair(c->set, SOCK_STREAM, &a, &b);
		stream_start_tls(
		    a.stream, tls_server_session(server), STREAM_SERVER);
		stream_start_tls(b.stream, ssl, STREAM_CLIENT);
		assert_true(run_until(c->loop, &b.tls_ended, 2000));
		assert_int_equal(b.tls, good ? 1 : -1);
		if (good) {
			tls_describe(stream_tls(b.stream), &info);
			assert_int_equal(info.verified, 1);
		}
		ends_free(&a, &b);
	}
	tls_client_free(client);
	tls_server_free(server);
}

/* ---- configuration that cannot be used -------------------------------- */

static void
test_refused_options(void **state)
{
	struct tls_context *c = *state;
	struct tls_server_options o = {
		.pki_count = 1,
		.keys = key_client_signer(c->keys.client),
	};
	struct tls_pki pki = { .name = "x" };
	char broken[4096], half[4096], error[256];
	struct cert ed, weak;

	cert_make(&ed, CERT_ED25519, "ed.example.org");
	cert_make(&weak, CERT_RSA1024, "weak.example.org");
	snprintf(broken, sizeof(broken), "%s", c->cert[P256].pem);
	memset(broken + 60, 'A', 64);
	snprintf(half, sizeof(half), "%.200s", c->cert[P256].pem);
	o.pki = &pki;

	const struct {
		const char *pem;
		const char *protocols;
		const char *ciphers;
		const char *error;
	} rows[] = {
		{ "", NULL, NULL, "pki x: there is no certificate" },
		{ "hello\n", NULL, NULL, "pki x: there is no certificate" },
		{ broken, NULL, NULL, "pki x: certificate is malformed" },
		{ half, NULL, NULL, "pki x: certificate is malformed" },
		{ ed.pem, NULL, NULL, "pki x: its key is ED25519" },
		{ weak.pem, NULL, NULL, "key too small" },
		{ c->cert[RSA2048].key_pem, NULL, NULL, "a private key came" },
		{ c->cert[RSA2048].pem, "tlsv1.1", NULL,
		    "leave none that is safe" },
		{ c->cert[RSA2048].pem, "sslv3", NULL, "\"sslv3\" is unknown" },
		{ c->cert[RSA2048].pem, "!all", NULL,
		    "leave none that is safe" },
		{ c->cert[RSA2048].pem, NULL, "NONSENSE", "no cipher match" },
		{ c->cert[RSA2048].pem, NULL, "aNULL", "no cipher match" },
		{ c->cert[RSA2048].pem, NULL, "TLS_NONSENSE",
		    "no cipher match" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pki.pem = rows[i].pem;
		pki.pem_len = strlen(pki.pem);
		o.protocols = rows[i].protocols;
		o.ciphers = rows[i].ciphers;
		error[0] = '\0';
		assert_null(tls_server_new(&o, error, sizeof(error)));
		if (strstr(error, rows[i].error) == NULL)
			fail_msg("row %zu says: %s", i, error);
	}
	o.pki_count = 0;
	assert_null(tls_server_new(&o, error, sizeof(error)));
	cert_free(&ed);
	cert_free(&weak);
}

/* Certificates that were damaged anywhere are refused or used, nothing else. */
static void
test_damaged_certificates(void **state)
{
	struct tls_context *c = *state;
	size_t len = strlen(c->cert[P256].pem);
	struct tls_pki pki = { .name = "x", .pem_len = len };
	struct tls_server_options o = {
		.pki = &pki,
		.pki_count = 1,
		.keys = key_client_signer(c->keys.client),
	};
	char *pem = strdup(c->cert[P256].pem), error[256];
	struct tls_server *server;
	int refused = 0;

	pki.pem = pem;
	for (size_t i = 0; i < len; i += 3) {
		pem[i] ^= 0x15;
		error[0] = '\0';
		server = tls_server_new(&o, error, sizeof(error));
		if (server == NULL) {
			assert_string_not_equal(error, "");
			refused++;
		}
		tls_server_free(server);
		pem[i] ^= 0x15;
	}
	assert_true(refused > 20);
	free(pem);
}

static void
test_bundle(void **state)
{
	struct tls_context *c = *state;
	struct tls_client_options o = { 0 };
	struct tls_client *client;
	char bundle[8192], error[256] = "";

	o.ca_pem = "no authority here\n";
	o.ca_pem_len = strlen(o.ca_pem);
	assert_null(tls_client_new(&o, error, sizeof(error)));
	assert_non_null(strstr(error, "no certificate authority"));
	/* a broken one among good ones is passed over */
	snprintf(bundle, sizeof(bundle),
	    "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	    "# comment\n%s",
	    c->cert[RSA2048].pem, c->cert[P256].pem);
	o.ca_pem = bundle;
	o.ca_pem_len = strlen(bundle);
	client = tls_client_new(&o, error, sizeof(error));
	assert_non_null(client);
	tls_client_free(client);
}

/* Static RSA would need what the keys process does not do. */
static void
test_no_static_rsa(void **state)
{
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, RSA2048);
	struct end a, b;
	SSL_CTX *ctx;
	SSL *ssl = plain_ssl(&ctx, TLS1_2_VERSION);

	assert_int_equal(SSL_set_cipher_list(ssl, "kRSA"), 1);
	assert_false(shake(c, server, ssl, &a, &b));
	ends_free(&a, &b);
	SSL_CTX_free(ctx);
	tls_server_free(server);
}

#define TEST(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sni),
		TEST(test_sni_by_certificate),
		TEST(test_alpn),
		TEST(test_resumption),
		TEST(test_verify),
		TEST(test_dane),
		TEST(test_refused_options),
		TEST(test_damaged_certificates),
		TEST(test_bundle),
		TEST(test_no_static_rsa),
	};

	return cmocka_run_group_tests(tests, tls_setup, tls_teardown);
}
