/*
 * TLS clients: deliver has one for each set of settings, and a session for
 * each connection, which says whom it expects and how sure it must be.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_internal.h"

enum {
	NAME_MAX_LEN = 255,
	/* certificate usages of TLSA (RFC 7218) */
	USAGE_DANE_TA = 2,
	USAGE_DANE_EE = 3
};

struct tls_client {
	SSL_CTX *ctx;
};

/* Old peers are met with what they have: it is better than plain text, and
 * where the peer must be verified the session asks for more. */
static const char default_ciphers[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:"
    "AESGCM:AES";

static int
client_context(struct tls_client *client, const struct tls_client_options *o,
    char *error, size_t error_size)
{
	struct tls_context_options context = {
		.method = TLS_client_method(),
		.protocols = o->protocols,
		.ciphers = o->ciphers,
		.default_ciphers = default_ciphers,
		.never = "!aNULL:!eNULL:!kPSK:!kSRP:!3DES",
	};

	client->ctx = tls_context_new(&context, error, error_size);
	if (client->ctx == NULL)
		return -1;
	SSL_CTX_set_options(client->ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_security_level(client->ctx, 1);
	if (SSL_CTX_dane_enable(client->ctx) != 1) {
		tls_error(error, error_size, "DANE");
		return -1;
	}
	if (o->ca_pem != NULL &&
	    tls_context_trust(client->ctx, o->ca_pem, o->ca_pem_len, NULL,
		error, error_size) == -1)
		return -1;
	if (o->pki != NULL)
		return tls_context_use_pki(
		    client->ctx, o->pki, o->keys, error, error_size);
	return 0;
}

struct tls_client *
tls_client_new(
    const struct tls_client_options *o, char *error, size_t error_size)
{
	struct tls_client *client;

	if ((client = calloc(1, sizeof(*client))) == NULL) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	if (client_context(client, o, error, error_size) == -1) {
		tls_client_free(client);
		return NULL;
	}
	return client;
}

void
tls_client_free(struct tls_client *client)
{
	if (client == NULL)
		return;
	SSL_CTX_free(client->ctx);
	free(client);
}

/* ---- sessions --------------------------------------------------------- */

static int
is_address(const char *name)
{
	struct in6_addr address;

	return inet_pton(AF_INET, name, &address) == 1 ||
	    inet_pton(AF_INET6, name, &address) == 1;
}

/* Says whom the session expects: as SNI, and for the certificate. */
static int
expect_name(SSL *ssl, const char *name)
{
	char host[NAME_MAX_LEN + 1];
	size_t len = strlen(name);

	if (is_address(name))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len > NAME_MAX_LEN)
		return 0;
	memcpy(host, name, len);
	host[len] = '\0';
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, host) == 1 &&
	    SSL_set1_host(ssl, host) == 1;
}

SSL *
tls_client_session(
    struct tls_client *client, const char *name, enum tls_verify verify)
{
	SSL *ssl;

	if (name == NULL && verify != TLS_VERIFY_NONE)
		return NULL;
	ERR_clear_error();
	if ((ssl = SSL_new(client->ctx)) == NULL)
		return NULL;
	if (name != NULL && !expect_name(ssl, name)) {
		SSL_free(ssl);
		return NULL;
	}
	/* the verdict is made in each mode, and enforced in this one */
	if (verify == TLS_VERIFY_REQUIRED) {
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
		SSL_set_security_level(ssl, 2);
	} else
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	return ssl;
}

/* DANE for a session is switched on by its first record. */
static int
enable_dane(SSL *ssl)
{
	const char *base = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (base == NULL)
		return -1;
	if (SSL_dane_enable(ssl, base) == 1) {
		/* RFC 7672, 3.1.1: DANE-EE records stand for the name too */
		SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
		return 0;
	}
	return ERR_GET_REASON(ERR_peek_error()) == SSL_R_DANE_ALREADY_ENABLED
	    ? 0
	    : -1;
}

int
tls_client_add_tlsa(SSL *ssl, uint8_t usage, uint8_t selector, uint8_t matching,
    const uint8_t *data, size_t len)
{
	int rc;

	/* RFC 7672, 3.1.3: the PKIX usages say nothing for SMTP */
	if (usage != USAGE_DANE_TA && usage != USAGE_DANE_EE)
		return 0;
	ERR_clear_error();
	if ((rc = enable_dane(ssl)) == 0)
		rc = SSL_dane_tlsa_add(
		    ssl, usage, selector, matching, data, len);
	ERR_clear_error();
	return rc;
}

int
tls_client_add_name(SSL *ssl, const char *name)
{
	return SSL_add1_host(ssl, name) == 1 ? 0 : -1;
}
