/*
 * TLS servers: one for each listener that offers it, with a context for each
 * of its certificates. The ClientHello chooses among them before anything else
 * is decided, resumption included, so a session belongs to one listener and
 * one certificate.
 */
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_internal.h"

enum { NAME_MAX_LEN = 255, SESSION_SECONDS = 7200 };

struct server_pki {
	char *name;
	SSL_CTX *ctx;
};

struct tls_server {
	struct server_pki *pki;
	size_t pki_count;
	struct tls_tickets *tickets;
	size_t holds; /* the owner's, and one for each session */
};

static const char default_ciphers[] =
    "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM+AES128:"
    "DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES";

struct tls_tickets *
tls_server_tickets(SSL_CTX *ctx)
{
	struct tls_server *server = SSL_CTX_get_app_data(ctx);

	return server != NULL ? server->tickets : NULL;
}

/* ---- which certificate ------------------------------------------------ */

/*
 * The name that the client asks for, in lower case and without a final dot;
 * 0 when there is none, or none that a certificate could have.
 */
static int
requested_name(SSL *ssl, char name[NAME_MAX_LEN + 1])
{
	const unsigned char *p;
	size_t len, n;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len))
		return 0;
	/* list length, one entry: type 0, length, octets (RFC 6066) */
	if (len < 5 || p[2] != TLSEXT_NAMETYPE_host_name)
		return 0;
	n = (size_t)p[3] << 8 | p[4];
	if (n == 0 || n > NAME_MAX_LEN || n > len - 5)
		return 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = p[5 + i];

		if (!isalnum(c) && c != '-' && c != '.' && c != '_')
			return 0;
		name[i] = (char)tolower(c);
	}
	if (name[n - 1] == '.')
		n--;
	name[n] = '\0';
	return n > 0;
}

/* By the configured name first, then by what the certificates say. */
static SSL_CTX *
choose_context(const struct tls_server *server, const char *name)
{
	X509 *leaf;

	for (size_t i = 0; i < server->pki_count; i++)
		if (strcasecmp(server->pki[i].name, name) == 0)
			return server->pki[i].ctx;
	for (size_t i = 0; i < server->pki_count; i++) {
		leaf = SSL_CTX_get0_certificate(server->pki[i].ctx);
		if (X509_check_host(leaf, name, 0, 0, NULL) == 1)
			return server->pki[i].ctx;
	}
	return server->pki[0].ctx;
}

static int
on_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls_server *server = arg;
	char name[NAME_MAX_LEN + 1];
	SSL_CTX *ctx;

	if (!requested_name(ssl, name))
		return SSL_CLIENT_HELLO_SUCCESS;
	ctx = choose_context(server, name);
	if (ctx != SSL_get_SSL_CTX(ssl) && SSL_set_SSL_CTX(ssl, ctx) == NULL) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* ALPACA: a client that wants to speak something else has been led astray. */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	for (unsigned i = 0; i < in_len; i += 1u + in[i])
		if (in[i] == 4 && in_len - i > 4 &&
		    memcmp(in + i + 1, "smtp", 4) == 0) {
			*out = in + i + 1;
			*out_len = 4;
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- building --------------------------------------------------------- */

/* The verdict stays in the session for whoever asks. */
static int
accept_any(int ok, X509_STORE_CTX *store)
{
	return 1;
}

static int
set_verify(SSL_CTX *ctx, const struct tls_server_options *o, char *error,
    size_t error_size)
{
	STACK_OF(X509_NAME) * names;

	if (o->verify == TLS_VERIFY_NONE)
		return 0;
	if (o->ca_pem == NULL) {
		snprintf(error, error_size,
		    "client certificates are to be verified, but there is no "
		    "ca to do it with");
		return -1;
	}
	if ((names = sk_X509_NAME_new_null()) == NULL) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	if (tls_context_trust(ctx, o->ca_pem, o->ca_pem_len, names, error,
		error_size) == -1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return -1;
	}
	/* the names tell a client which certificate would do; those of the
	 * system's whole bundle would only make the handshake long */
	if (sk_X509_NAME_num(names) <= 16)
		SSL_CTX_set_client_CA_list(ctx, names);
	else
		sk_X509_NAME_pop_free(names, X509_NAME_free);
	if (o->verify == TLS_VERIFY_OPTIONAL)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
	else
		SSL_CTX_set_verify(ctx,
		    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

/* Names listener, certificate and what is asked of clients: a session that
 * began under one set of these is not resumed under another. */
static int
set_session_context(SSL_CTX *ctx, const struct tls_server_options *o)
{
	uint8_t id[SHA256_DIGEST_LENGTH], leaf[SHA256_DIGEST_LENGTH];
	unsigned char verify = (unsigned char)o->verify;
	const char *listener = o->listener != NULL ? o->listener : "";
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok;

	ok = md != NULL &&
	    X509_digest(
		SSL_CTX_get0_certificate(ctx), EVP_sha256(), leaf, NULL) == 1 &&
	    EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(md, leaf, sizeof(leaf)) == 1 &&
	    EVP_DigestUpdate(md, &verify, 1) == 1 &&
	    EVP_DigestUpdate(md, o->ca_pem, o->ca_pem_len) == 1 &&
	    EVP_DigestUpdate(md, "", 1) == 1 &&
	    EVP_DigestUpdate(md, listener, strlen(listener)) == 1 &&
	    EVP_DigestFinal_ex(md, id, NULL) == 1 &&
	    SSL_CTX_set_session_id_context(ctx, id, sizeof(id)) == 1;
	EVP_MD_CTX_free(md);
	return ok ? 0 : -1;
}

static SSL_CTX *
server_context(struct tls_server *server, const struct tls_server_options *o,
    const struct tls_pki *pki, char *error, size_t error_size)
{
	/* static RSA would need decryption by the keys process, and has no
	 * forward secrecy */
	struct tls_context_options context = {
		.method = TLS_server_method(),
		.protocols = o->protocols,
		.ciphers = o->ciphers,
		.default_ciphers = default_ciphers,
		.never = "!aNULL:!eNULL:!kRSA:!kPSK:!kSRP:!3DES",
	};
	SSL_CTX *ctx;

	if ((ctx = tls_context_new(&context, error, error_size)) == NULL)
		return NULL;
	SSL_CTX_set_app_data(ctx, server);
	SSL_CTX_set_options(
	    ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_recv_max_early_data(ctx, 0);
	SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
	SSL_CTX_set_client_hello_cb(ctx, on_client_hello, server);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	if (o->dhe)
		SSL_CTX_set_dh_auto(ctx, 1);
	/* who has to show a certificate does so each time: it may be over by
	 * then, and a session that is resumed again and again has no end */
	tls_tickets_attach(
	    ctx, o->verify == TLS_VERIFY_NONE ? o->tickets : NULL);
	if (tls_context_use_pki(ctx, pki, o->keys, error, error_size) == -1 ||
	    set_verify(ctx, o, error, error_size) == -1)
		goto fail;
	if (set_session_context(ctx, o) == -1) {
		tls_error(error, error_size, "session context");
		goto fail;
	}
	return ctx;
fail:
	SSL_CTX_free(ctx);
	return NULL;
}

void
tls_server_release(struct tls_server *server)
{
	if (server == NULL || --server->holds > 0)
		return;
	for (size_t i = 0; i < server->pki_count; i++) {
		SSL_CTX_free(server->pki[i].ctx);
		free(server->pki[i].name);
	}
	free(server->pki);
	free(server);
}

struct tls_server *
tls_server_new(
    const struct tls_server_options *o, char *error, size_t error_size)
{
	struct tls_server *server;
	struct server_pki *p;

	if (o->pki_count == 0) {
		snprintf(error, error_size, "TLS needs a pki");
		return NULL;
	}
	if ((server = calloc(1, sizeof(*server))) == NULL ||
	    (server->pki = calloc(o->pki_count, sizeof(*p))) == NULL) {
		snprintf(error, error_size, "out of memory");
		free(server);
		return NULL;
	}
	server->holds = 1;
	server->tickets = o->tickets;
	for (size_t i = 0; i < o->pki_count; i++) {
		p = &server->pki[i];
		p->ctx =
		    server_context(server, o, &o->pki[i], error, error_size);
		if (p->ctx == NULL)
			goto fail;
		server->pki_count++;
		if ((p->name = strdup(o->pki[i].name)) == NULL) {
			snprintf(error, error_size, "out of memory");
			goto fail;
		}
	}
	return server;
fail:
	tls_server_release(server);
	return NULL;
}

void
tls_server_free(struct tls_server *server)
{
	tls_server_release(server);
}

SSL *
tls_server_session(struct tls_server *server)
{
	SSL *ssl = SSL_new(server->pki[0].ctx);

	if (ssl != NULL) {
		server->holds++;
		SSL_set_app_data(ssl, server);
	}
	return ssl;
}
