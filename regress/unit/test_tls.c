/*
 * TLS over streams with the keys in another process: handshakes of each
 * version and key, STARTTLS, and what a hostile or clumsy peer does.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_fixture.h"

/* ---- handshakes ------------------------------------------------------- */

static void
test_matrix(void **state)
{
	static const struct {
		const char *protocols;
		int cert;
		const char *version;
	} rows[] = {
		{ "tlsv1.2", RSA2048, "TLSv1.2" },
		{ "tlsv1.2", P256, "TLSv1.2" },
		{ "tlsv1.2", P384, "TLSv1.2" },
		{ "tlsv1.3", RSA2048, "TLSv1.3" },
		{ "tlsv1.3", P256, "TLSv1.3" },
		{ "tlsv1.3", P384, "TLSv1.3" },
		{ NULL, RSA2048, "TLSv1.3" },
		{ "tlsv1.0,tlsv1.1,tlsv1.2", P256, "TLSv1.2" },
		{ "all:!tlsv1.3", P256, "TLSv1.2" },
	};
	static uint8_t data[200000];
	struct tls_context *c = *state;
	uint8_t binding[2][TLS_BINDING_LEN];
	struct tls_server *server;
	struct tls_client *client;
	const struct cert *cert;
	struct tls_info info;
	struct end a, b;
	char line[128];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + i / 256);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cert = &c->cert[rows[i].cert];
		server = server_one(c, rows[i].protocols, rows[i].cert);
		client = client_for(cert, NULL);
		assert_true(shake(c, server,
		    tls_client_session(client, cert->name, TLS_VERIFY_REQUIRED),
		    &a, &b));
		/* what streams use stays as long as they need it */
		tls_server_free(server);
		tls_client_free(client);
		tls_describe(stream_tls(b.stream), &info);
		assert_string_equal(info.version, rows[i].version);
		assert_true(info.bits >= 128);
		assert_int_equal(info.verified, 1);
		assert_string_equal(info.verify_error, "");
		assert_non_null(strstr(info.subject, cert->name));
		assert_int_equal(strlen(info.fingerprint), 64);
		tls_describe_string(&info, line, sizeof(line));
		assert_non_null(strstr(line, "verify YES"));
		tls_describe(stream_tls(a.stream), &info);
		assert_int_equal(info.verified, 0);
		assert_int_equal(info.peer_certificate, 0);
		assert_int_equal(
		    tls_channel_binding(stream_tls(a.stream), binding[0]), 0);
		assert_int_equal(
		    tls_channel_binding(stream_tls(b.stream), binding[1]), 0);
		assert_memory_equal(binding[0], binding[1], TLS_BINDING_LEN);

		a.want = b.want = sizeof(data);
		assert_int_equal(stream_write(a.stream, data, sizeof(data)), 0);
		assert_int_equal(stream_write(b.stream, data, sizeof(data)), 0);
		assert_true(run_until(c->loop, &a.got_all, 5000));
		assert_true(run_until(c->loop, &b.got_all, 5000));
		assert_memory_equal(a.got, data, sizeof(data));
		assert_memory_equal(b.got, data, sizeof(data));
		assert_true(a.drained > 0 && b.drained > 0);
		/* the last word, then close_notify */
		stream_write_string(a.stream, "221 bye\r\n");
		stream_finish(a.stream, now_ms() + 1000, 0);
		a.stream = NULL;
		assert_true(run_until(c->loop, &b.closed, 1000));
		assert_int_equal(b.why, STREAM_END_EOF);
		assert_int_equal(b.got_len, sizeof(data) + 9);
		ends_free(&a, &b);
		run_for(c->loop, 5);
		assert_int_equal(stream_set_count(c->set), 0);
	}
}

static void
test_client_certificate(void **state)
{
	static const char *const versions[] = { "tlsv1.2", "tlsv1.3" };
	struct tls_context *c = *state;
	const struct cert *mine = &c->cert[RSA2048];
	struct tls_pki pki = cert_pki(mine),
		       server_pki = cert_pki(&c->cert[P256]);
	struct keyholder holder;
	struct tls_client_options co = { .pki = &pki };
	struct tls_server_options so = {
		.pki = &server_pki,
		.pki_count = 1,
		.verify = TLS_VERIFY_REQUIRED,
		.ca_pem = mine->pem,
		.ca_pem_len = strlen(mine->pem),
		.keys = key_client_signer(c->keys.client),
	};
	struct tls_server *server;
	struct tls_client *client;
	struct tls_info info;
	struct end a, b;
	char error[256] = "";

	keyholder_start(&holder, c->loop, PROC_DELIVER, &mine, 1, 0);
	co.keys = key_client_signer(holder.client);
	for (int i = 0; i < 2; i++) {
		so.protocols = versions[i];
		server = tls_server_new(&so, error, sizeof(error));
		client = tls_client_new(&co, error, sizeof(error));
		assert_string_equal(error, "");
		assert_true(shake(c, server,
		    tls_client_session(client, NULL, TLS_VERIFY_NONE), &a, &b));
		tls_describe(stream_tls(a.stream), &info);
		assert_int_equal(info.peer_certificate, 1);
		assert_int_equal(info.verified, 1);
		assert_non_null(strstr(info.subject, mine->name));
		ends_free(&a, &b);
		tls_client_free(client);

		/* without a certificate: refused, or noted */
		client = client_for(mine, NULL);
		assert_false(shake(c, server,
		    tls_client_session(client, NULL, TLS_VERIFY_NONE), &a, &b));
		assert_int_equal(a.tls, -1);
		ends_free(&a, &b);
		tls_server_free(server);
		so.verify = TLS_VERIFY_OPTIONAL;
		server = tls_server_new(&so, error, sizeof(error));
		assert_true(shake(c, server,
		    tls_client_session(client, NULL, TLS_VERIFY_NONE), &a, &b));
		tls_describe(stream_tls(a.stream), &info);
		assert_int_equal(info.verified, 0);
		ends_free(&a, &b);
		tls_server_free(server);
		tls_client_free(client);
		so.verify = TLS_VERIFY_REQUIRED;
	}
	run_for(c->loop, 5);
	keyholder_stop(&holder);
}

/* The keys process signs for servers only what servers sign: with keys that
 * answer deliver, smtpd has no handshake. */
static void
test_keys_refuse(void **state)
{
	struct tls_context *c = *state;
	const struct cert *cert = &c->cert[RSA2048];
	struct tls_pki pki = cert_pki(cert);
	struct tls_server_options o = { .pki = &pki, .pki_count = 1 };
	struct tls_server *server;
	struct tls_client *client = client_for(cert, NULL);
	struct keyholder holder;
	struct end a, b;
	char error[256] = "";

	keyholder_start(&holder, c->loop, PROC_DELIVER, &cert, 1, 0);
	o.keys = key_client_signer(holder.client);
	server = tls_server_new(&o, error, sizeof(error));
	assert_false(shake(c, server,
	    tls_client_session(client, cert->name, TLS_VERIFY_NONE), &a, &b));
	assert_int_equal(a.tls, -1);
	assert_int_equal(b.tls, -1);
	ends_free(&a, &b);
	tls_server_free(server);
	tls_client_free(client);
	run_for(c->loop, 5);
	keyholder_stop(&holder);
}

/* ---- STARTTLS --------------------------------------------------------- */

/* CVE-2011-0411: what came with STARTTLS is counted and never seen again. */
static void
test_pipelined_plaintext(void **state)
{
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	struct tls_client *client = client_for(&c->cert[P256], NULL);
	struct end a, b;

	ends_pair(c->set, SOCK_STREAM, &a, &b);
	a.keep_input = 1;
	b.want = 4;
	stream_write_string(b.stream, "STARTTLS\r\nMAIL FROM:<>\r\n");
	run_for(c->loop, 10);
	assert_int_equal(a.readable, 1);
	a.keep_input = 0;
	stream_consume(a.stream, 10);
	/* the reply goes out in clear, before the handshake */
	stream_write_string(a.stream, "220\n");
	assert_int_equal(stream_start_tls(a.stream, tls_server_session(server),
			     STREAM_SERVER),
	    14);
	assert_int_equal(stream_start_tls(a.stream, tls_server_session(server),
			     STREAM_SERVER),
	    -1);
	assert_true(run_until(c->loop, &b.got_all, 1000));
	assert_memory_equal(b.got, "220\n", 4);
	assert_int_equal(stream_start_tls(b.stream,
			     tls_client_session(
				 client, "ec.example.org", TLS_VERIFY_REQUIRED),
			     STREAM_CLIENT),
	    0);
	stream_write_string(b.stream, "EHLO x\r\n"); /* waits for TLS */
	a.want = 8;
	assert_true(run_until(c->loop, &a.got_all, 2000));
	assert_int_equal(a.got_len, 8);
	assert_memory_equal(a.got, "EHLO x\r\n", 8);
	ends_free(&a, &b);
	tls_server_free(server);
	tls_client_free(client);
}

/* Octets in clear that arrive after STARTTLS break the handshake. */
static void
test_plaintext_for_handshake(void **state)
{
	static const char *const clear[] = { "EHLO evil\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n\r\n\r\n",
		"\x80\x80\x01\x03\x01" };
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	struct end a, b;

	for (size_t i = 0; i < sizeof(clear) / sizeof(clear[0]); i++) {
		ends_pair(c->set, SOCK_STREAM, &a, &b);
		stream_start_tls(
		    a.stream, tls_server_session(server), STREAM_SERVER);
		stream_write_string(b.stream, clear[i]);
		run_for(c->loop, 5);
		end_free(&b);
		assert_true(run_until(c->loop, &a.tls_ended, 1000));
		assert_int_equal(a.tls, -1);
		assert_int_equal(a.readable, 0);
		assert_int_equal(a.closed, 0);
		assert_string_not_equal(stream_error(a.stream), "");
		end_free(&a);
	}
	tls_server_free(server);
}

/* A peer that hangs up, or does nothing, in the middle of a handshake. */
static void
test_half_open(void **state)
{
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	struct end a, b;

	ends_pair(c->set, SOCK_STREAM, &a, &b);
	stream_start_tls(a.stream, tls_server_session(server), STREAM_SERVER);
	end_free(&b);
	assert_true(run_until(c->loop, &a.tls_ended, 1000));
	assert_int_equal(a.tls, -1);
	assert_string_equal(
	    stream_error(a.stream), "connection closed inside TLS");
	end_free(&a);

	ends_pair(c->set, SOCK_STREAM, &a, &b);
	stream_start_tls(a.stream, tls_server_session(server), STREAM_SERVER);
	stream_set_deadline(a.stream, now_ms() + 40);
	stream_write(b.stream, "\x16\x03\x01\x02", 4);
	assert_true(run_until(c->loop, &a.closed, 1000));
	assert_int_equal(a.why, STREAM_END_TIMEOUT);
	assert_int_equal(a.tls_ended, 0);
	stream_finish(a.stream, now_ms() + 1000, 1);
	a.stream = NULL;
	assert_true(run_until(c->loop, &b.closed, 1000));
	ends_free(&a, &b);
	tls_server_free(server);
}

/* ---- what hostile peers do in a session ------------------------------- */

struct raw {
	int fd;
	SSL *ssl;
	SSL_CTX *ctx;
};

/* Shakes hands with our ssl, by raw->ssl's own non-blocking calls outside the
 * loop. */
static void
raw_begin(struct tls_context *c, SSL *ours, enum stream_role role,
    struct end *a, struct raw *raw)
{
	int fd[2], rc = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	memset(a, 0, sizeof(*a));
	a->stream = stream_new(c->set, fd[0], &end_ops, a);
	stream_start_tls(a->stream, ours, role);
	raw->fd = fd[1];
	SSL_set_fd(raw->ssl, fd[1]);
	for (int i = 0; i < 500 && rc != 1; i++) {
		rc = SSL_do_handshake(raw->ssl);
		run_for(c->loop, 2);
	}
	assert_int_equal(rc, 1);
	assert_true(run_until(c->loop, &a->tls_ended, 1000));
	assert_int_equal(a->tls, 1);
}

static void
raw_shake(struct tls_context *c, struct tls_server *server, int version,
    struct end *a, struct raw *raw)
{
	raw->ssl = plain_ssl(&raw->ctx, version);
	SSL_set_connect_state(raw->ssl);
	raw_begin(c, tls_server_session(server), STREAM_SERVER, a, raw);
}

static void
raw_serve(struct tls_context *c, struct tls_client *client, int version,
    struct end *a, struct raw *raw)
{
	raw->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_max_proto_version(raw->ctx, version);
	SSL_CTX_use_certificate(raw->ctx, c->cert[P256].x509);
	SSL_CTX_use_PrivateKey(raw->ctx, c->cert[P256].key);
	raw->ssl = SSL_new(raw->ctx);
	SSL_set_accept_state(raw->ssl);
	raw_begin(c, tls_client_session(client, NULL, TLS_VERIFY_NONE),
	    STREAM_CLIENT, a, raw);
}

static void
raw_free(struct raw *raw)
{
	SSL_free(raw->ssl);
	SSL_CTX_free(raw->ctx);
	close(raw->fd);
}

/* CVE-2020-28018, CVE-2026-45185: TLS ends, and clear octets follow. */
static void
test_clear_after_close_notify(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	struct raw raw;
	struct end a;

	for (int i = 0; i < 2; i++) {
		raw_shake(c, server, versions[i], &a, &raw);
		assert_int_equal(SSL_write(raw.ssl, "BDAT 100\r\nab", 12), 12);
		SSL_shutdown(raw.ssl);
		assert_int_equal(write(raw.fd, "QUIT\r\n", 6), 6);
		assert_true(run_until(c->loop, &a.closed, 1000));
		assert_int_equal(a.why, STREAM_END_EOF);
		run_for(c->loop, 10);
		assert_int_equal(a.got_len, 12);
		end_free(&a);
		raw_free(&raw);
	}
	tls_server_free(server);
}

/* A record that does not decrypt ends the session; nothing of it is seen. */
static void
test_broken_record(void **state)
{
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	static const uint8_t record[] = "\x17\x03\x03\x00\x20"
					"0123456789abcdef0123456789abcdef";
	struct raw raw;
	struct end a;

	raw_shake(c, server, TLS1_3_VERSION, &a, &raw);
	assert_int_equal(write(raw.fd, record, 37), 37);
	assert_true(run_until(c->loop, &a.closed, 1000));
	assert_int_equal(a.why, STREAM_END_ERROR);
	assert_int_equal(a.readable, 0);
	assert_string_not_equal(stream_error(a.stream), "");
	end_free(&a);
	raw_free(&raw);
	tls_server_free(server);
}

static int
update_key(SSL *ssl)
{
	return SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
}

/* A peer may ask for something a few times, and still be heard, and is cut off
 * when it goes on. */
static void
flood(struct tls_context *c, struct end *a, SSL *ssl, int (*ask)(SSL *))
{
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ask(ssl), 1);
		assert_int_equal(SSL_do_handshake(ssl), 1);
	}
	assert_int_equal(SSL_write(ssl, "NOOP\r\n", 6), 6);
	a->want = 6;
	assert_true(run_until(c->loop, &a->got_all, 1000));
	for (int i = 0; i < 500 && !a->closed; i++) {
		ask(ssl);
		SSL_do_handshake(ssl);
		run_for(c->loop, 1);
	}
	assert_int_equal(a->closed, 1);
	assert_int_equal(a->why, STREAM_END_ERROR);
	assert_string_equal(
	    stream_error(a->stream), "too many handshake messages");
}

static void
test_key_update_flood(void **state)
{
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	struct raw raw;
	struct end a;

	raw_shake(c, server, TLS1_3_VERSION, &a, &raw);
	flood(c, &a, raw.ssl, update_key);
	end_free(&a);
	raw_free(&raw);
	tls_server_free(server);
}

/* A server may send tickets, or before TLS 1.3 ask for another handshake,
 * whenever it likes; we keep none of the ones, and refuse the other. */
static void
test_server_flood(void **state)
{
	static const struct {
		int version;
		int (*ask)(SSL *);
	} floods[] = { { TLS1_3_VERSION, SSL_new_session_ticket },
		{ TLS1_2_VERSION, SSL_renegotiate } };
	struct tls_context *c = *state;
	struct tls_client *client = client_for(&c->cert[P256], NULL);
	struct raw raw;
	struct end a;

	for (int n = 0; n < 2; n++) {
		raw_serve(c, client, floods[n].version, &a, &raw);
		flood(c, &a, raw.ssl, floods[n].ask);
		end_free(&a);
		raw_free(&raw);
	}
	tls_client_free(client);
}

static void
test_no_renegotiation(void **state)
{
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	struct raw raw;
	struct end a;

	raw_shake(c, server, TLS1_2_VERSION, &a, &raw);
	assert_int_equal(SSL_renegotiate(raw.ssl), 1);
	for (int i = 0; i < 20; i++) {
		SSL_do_handshake(raw.ssl);
		run_for(c->loop, 2);
	}
	/* refused: no second handshake has taken place */
	assert_int_equal(SSL_num_renegotiations(raw.ssl), 1);
	assert_false(SSL_is_init_finished(raw.ssl) &&
	    SSL_get_error(raw.ssl, SSL_do_handshake(raw.ssl)) ==
		SSL_ERROR_NONE);
	end_free(&a);
	raw_free(&raw);
	tls_server_free(server);
}

/* ---- freeing ---------------------------------------------------------- */

static void
test_free_inside(void **state)
{
	static const enum free_in where[] = { FREE_IN_TLS, FREE_IN_READABLE,
		FREE_IN_DRAINED, FREE_IN_CLOSED };
	struct tls_context *c = *state;
	struct tls_server *server = server_one(c, NULL, P256);
	struct tls_client *client = client_for(&c->cert[P256], NULL);
	struct end a, b;

	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		ends_pair(c->set, SOCK_STREAM, &a, &b);
		a.free_in = where[i];
		stream_start_tls(
		    a.stream, tls_server_session(server), STREAM_SERVER);
		stream_start_tls(b.stream,
		    tls_client_session(client, NULL, TLS_VERIFY_NONE),
		    STREAM_CLIENT);
		assert_true(run_until(c->loop, &b.tls_ended, 2000));
		stream_write_string(b.stream, "NOOP\r\n");
		if (a.stream != NULL)
			stream_write_string(a.stream, "250\r\n");
		run_for(c->loop, 10);
		end_free(&b);
		run_for(c->loop, 10);
		assert_null(a.stream);
		assert_int_equal(stream_set_count(c->set), 0);
		end_free(&a);
	}
	tls_server_free(server);
	tls_client_free(client);
}

#define TEST(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_matrix),
		TEST(test_client_certificate),
		TEST(test_keys_refuse),
		TEST(test_pipelined_plaintext),
		TEST(test_plaintext_for_handshake),
		TEST(test_half_open),
		TEST(test_clear_after_close_notify),
		TEST(test_broken_record),
		TEST(test_key_update_flood),
		TEST(test_server_flood),
		TEST(test_no_renegotiation),
		TEST(test_free_inside),
	};

	return cmocka_run_group_tests(tests, tls_setup, tls_teardown);
}
