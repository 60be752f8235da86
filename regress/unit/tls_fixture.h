/*
 * What the tests of TLS share: a keys process with a few certificates, and
 * servers, clients and handshakes that use them.
 */
#ifndef REGRESS_TLS_FIXTURE_H
#define REGRESS_TLS_FIXTURE_H

#include "net_fixture.h"

enum { RSA2048, P256, P384, OTHER, CERTS };

struct tls_context {
	struct loop *loop;
	struct stream_set *set;
	struct cert cert[CERTS];
	struct keyholder keys;
	struct tls_tickets *tickets;
};

int tls_setup(void **state);
int tls_teardown(void **state);

/* A server with these certificates (CERTS ends the list), or with one. */
struct tls_server *server_with(struct tls_context *, const char *listener,
    const char *protocols, const int *which);
struct tls_server *server_one(
    struct tls_context *, const char *protocols, int cert);
/* A client that trusts the certificate. */
struct tls_client *client_for(const struct cert *, const char *protocols);
/* A client's SSL without any of our settings, to do odd things with. */
SSL *plain_ssl(SSL_CTX **, int version);

/* Runs a handshake between new streams. 1 when both ends are established, 0
 * when one has failed. */
int shake(struct tls_context *, struct tls_server *, SSL *client,
    struct end *server_end, struct end *client_end);
void ends_free(struct end *, struct end *);

#endif
