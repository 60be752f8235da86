/*
 * What the files of TLS share: tls.c (settings common to both sides),
 * tls_server.c, tls_client.c, tls_tickets.c.
 */
#ifndef NET_TLS_INTERNAL_H
#define NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "net/tls.h"

/* Writes "what: reason", the reason from OpenSSL's queue, which is emptied. */
void tls_error(char *error, size_t size, const char *what);

struct tls_context_options {
	const SSL_METHOD *method;
	const char *protocols;
	const char *ciphers;
	const char *default_ciphers;
	const char *never; /* appended to every cipher list */
};

/* A context with all that holds for both sides. NULL with a message. */
SSL_CTX *tls_context_new(
    const struct tls_context_options *, char *error, size_t error_size);
/* Gives the context a certificate and its forwarded key. -1 with a message. */
int tls_context_use_pki(SSL_CTX *, const struct tls_pki *,
    const struct key_signer *, char *error, size_t error_size);
/* Trusts the certificates of the bundle. -1 with a message. names gets their
 * subjects unless it is NULL. */
int tls_context_trust(SSL_CTX *, const char *pem, size_t len,
    STACK_OF(X509_NAME) * names, char *error, size_t error_size);

/* Issues and takes tickets with the keys of `tickets`, which the context finds
 * through the server that is its application data. */
void tls_tickets_attach(SSL_CTX *, struct tls_tickets *);
/* The tickets of the server that the context belongs to. */
struct tls_tickets *tls_server_tickets(SSL_CTX *);
/* Gives back the hold that a session has on its server; NULL does nothing. */
void tls_server_release(struct tls_server *);

#endif
