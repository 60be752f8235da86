/*
 * TLS of the generator, as cheap as a client can be that still gives a server
 * all the work of one. source.c calls it; whatever fails ends the program.
 */
#ifndef BENCH_SOURCE_TLS_H
#define BENCH_SOURCE_TLS_H

#include <sys/types.h>
#include <sys/uio.h>

#include <openssl/types.h>

struct source_tls;

/* Before the first session. resume: each offers what was given last. */
void source_tls_prepare(int resume);
/* The part of the handshakes so far that resumed a session. */
double source_tls_resumed(void);

struct source_tls *source_tls_new(int fd);
void source_tls_free(struct source_tls *);

/* 1 when the handshake is over, 0 when more has to come in. */
int source_tls_handshake(struct source_tls *);
/* What it took of the parts, to be sent by source_tls_flush; -1 when the
 * socket has to take some first. */
ssize_t source_tls_write(
    struct source_tls *, const struct iovec *, unsigned parts);
/* 1 when all is with the kernel. */
int source_tls_flush(struct source_tls *);
/* 0 at the end, -1 when there is nothing yet. */
ssize_t source_tls_read(struct source_tls *, void *, size_t);
/* Whether more may be there to read without an event. */
int source_tls_pending(const struct source_tls *);

/* source_lean.c: what TLS has to work with here. */
OSSL_LIB_CTX *source_lean_context(void);

#endif
