/*
 * See tls_fixture.h.
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

int
tls_setup(void **state)
{
	struct tls_context *c = calloc(1, sizeof(*c));
	const struct cert *all[CERTS];
	char error[256];

	assert_int_equal(tls_init(error, sizeof(error)), 0);
	assert_int_equal(tls_init(error, sizeof(error)), 0); /* twice is fine */
	c->loop = loop_new();
	c->set = stream_set_new(c->loop);
	cert_make(&c->cert[RSA2048], CERT_RSA, "rsa.example.org");
	cert_make(&c->cert[P256], CERT_P256, "ec.example.org");
	cert_make(&c->cert[P384], CERT_P384, "p384.example.org");
	cert_make(&c->cert[OTHER], CERT_P256, "other.example.net");
	for (int i = 0; i < CERTS; i++)
		all[i] = &c->cert[i];
	keyholder_start(&c->keys, c->loop, PROC_SMTPD, all, CERTS, 50);
	c->tickets = tls_tickets_new();
	*state = c;
	return 0;
}

int
tls_teardown(void **state)
{
	struct tls_context *c = *state;

	keyholder_stop(&c->keys);
	stream_set_free(c->set);
	tls_tickets_free(c->tickets);
	loop_free(c->loop);
	for (int i = 0; i < CERTS; i++)
		cert_free(&c->cert[i]);
	free(c);
	return 0;
}

struct tls_server *
server_with(struct tls_context *c, const char *listener, const char *protocols,
    const int *which)
{
	struct tls_pki pki[CERTS];
	struct tls_server_options o = {
		.listener = listener,
		.pki = pki,
		.protocols = protocols,
		.tickets = c->tickets,
		.keys = key_client_signer(c->keys.client),
	};
	struct tls_server *server;
	char error[256] = "";

	while (which[o.pki_count] != CERTS) {
		pki[o.pki_count] = cert_pki(&c->cert[which[o.pki_count]]);
		o.pki_count++;
	}
	server = tls_server_new(&o, error, sizeof(error));
	assert_string_equal(error, "");
	assert_non_null(server);
	return server;
}

struct tls_server *
server_one(struct tls_context *c, const char *protocols, int cert)
{
	int which[] = { cert, CERTS };

	return server_with(c, "test", protocols, which);
}

struct tls_client *
client_for(const struct cert *cert, const char *protocols)
{
	struct tls_client_options o = {
		.protocols = protocols,
		.ca_pem = cert->pem,
		.ca_pem_len = strlen(cert->pem),
	};
	struct tls_client *client;
	char error[256] = "";

	client = tls_client_new(&o, error, sizeof(error));
	assert_string_equal(error, "");
	return client;
}

SSL *
plain_ssl(SSL_CTX **ctx, int version)
{
	*ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(*ctx, version);
	SSL_CTX_set_min_proto_version(*ctx, version);
	return SSL_new(*ctx);
}

int
shake(struct tls_context *c, struct tls_server *server, SSL *client,
    struct end *a, struct end *b)
{
	ends_pair(c->set, SOCK_STREAM, a, b);
	assert_int_equal(stream_start_tls(a->stream, tls_server_session(server),
			     STREAM_SERVER),
	    0);
	assert_int_equal(stream_start_tls(b->stream, client, STREAM_CLIENT), 0);
	assert_true(run_until(c->loop, &a->tls_ended, 5000));
	if (a->tls == -1)
		stream_finish(a->stream, now_ms() + 1000, 0), a->stream = NULL;
	assert_true(run_until(c->loop, &b->tls_ended, 5000) ||
	    run_until(c->loop, &b->closed, 100));
	return a->tls == 1 && b->tls == 1;
}

void
ends_free(struct end *a, struct end *b)
{
	end_free(a);
	end_free(b);
}
