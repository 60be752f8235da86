/*
 * See source_tls.h. Records are collected and leave in one write, so that the
 * end of a handshake and the command after it, or a whole message, are one
 * packet, and a read takes all that is there.
 */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "source_tls.h"

enum {
	RECORD = 16384,
	RECORD_ROOM = RECORD + 512, /* with what a cipher adds */
	WIRE = 2 * RECORD_ROOM
};

struct source_tls {
	SSL *ssl;
	int fd;
	size_t wire_len;
	char wire[WIRE]; /* encrypted, not yet sent */
};

static struct {
	SSL_CTX *ctx;
	BIO_METHOD *out;
	SSL_SESSION *last; /* that the server gave; never offered itself */
	unsigned handshakes, resumed;
} tls;

/* ---- what OpenSSL writes ---------------------------------------------- */

static int
collect(BIO *bio, const char *data, int len)
{
	struct source_tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if ((size_t)len > WIRE - t->wire_len) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(t->wire + t->wire_len, data, (size_t)len);
	t->wire_len += (size_t)len;
	return len;
}

static long
control(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH;
}

static int
create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

int
source_tls_flush(struct source_tls *t)
{
	ssize_t n;

	if (t->wire_len == 0)
		return 1;
	if ((n = write(t->fd, t->wire, t->wire_len)) == -1) {
		if (errno != EAGAIN)
			err(1, "write");
		return 0;
	}
	t->wire_len -= (size_t)n;
	memmove(t->wire, t->wire + n, t->wire_len);
	return t->wire_len == 0;
}

/* ---- the context ------------------------------------------------------ */

/* Who the server is does not matter here, and finding out would cost the
 * generator as much as all else. */
static int
accept_any(X509_STORE_CTX *store, void *arg)
{
	return 1;
}

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION_free(tls.last);
	tls.last = session;
	return 1;
}

/* As Postfix does it: the same one again until there is another. OpenSSL
 * lets a session of TLS 1.3 be used once, so it gets a copy. */
static void
offer_session(SSL *ssl)
{
	SSL_SESSION *copy;

	if (tls.last == NULL)
		return;
	if ((copy = SSL_SESSION_dup(tls.last)) == NULL ||
	    !SSL_set_session(ssl, copy))
		errx(1, "SSL_set_session");
	SSL_SESSION_free(copy);
}

/* One group and the cheapest suite first, for all servers alike. */
void
source_tls_prepare(int resume)
{
	tls.out =
	    BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "source");
	if (tls.out == NULL || !BIO_meth_set_write(tls.out, collect) ||
	    !BIO_meth_set_ctrl(tls.out, control) ||
	    !BIO_meth_set_create(tls.out, create) ||
	    (tls.ctx = SSL_CTX_new_ex(
		 source_lean_context(), NULL, TLS_client_method())) == NULL ||
	    SSL_CTX_set1_groups_list(tls.ctx, "X25519") != 1 ||
	    SSL_CTX_set_ciphersuites(tls.ctx,
		"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384") != 1 ||
	    SSL_CTX_set_cipher_list(
		tls.ctx, "ECDHE+AESGCM+AES128:ECDHE+AESGCM") != 1)
		errx(1, "SSL_CTX_new");
	SSL_CTX_set_cert_verify_callback(tls.ctx, accept_any, NULL);
	SSL_CTX_set_read_ahead(tls.ctx, 1);
	SSL_CTX_set_mode(tls.ctx,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* what servers wait for is the end of SMTP */
	SSL_CTX_set_quiet_shutdown(tls.ctx, 1);
	if (resume) {
		SSL_CTX_set_session_cache_mode(tls.ctx,
		    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(tls.ctx, keep_session);
	} else
		SSL_CTX_set_session_cache_mode(tls.ctx, SSL_SESS_CACHE_OFF);
}

double
source_tls_resumed(void)
{
	return tls.handshakes > 0 ? (double)tls.resumed / tls.handshakes : 0;
}

/* ---- a session -------------------------------------------------------- */

struct source_tls *
source_tls_new(int fd)
{
	struct source_tls *t = malloc(sizeof(*t));
	BIO *out = BIO_new(tls.out);

	if (t == NULL || out == NULL || (t->ssl = SSL_new(tls.ctx)) == NULL ||
	    !SSL_set_rfd(t->ssl, fd))
		errx(1, "SSL_new");
	offer_session(t->ssl);
	t->fd = fd;
	t->wire_len = 0;
	BIO_set_data(out, t);
	SSL_set0_wbio(t->ssl, out);
	SSL_set_connect_state(t->ssl);
	return t;
}

void
source_tls_free(struct source_tls *t)
{
	SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	free(t);
}

static void
fail(const char *what)
{
	unsigned long code = ERR_get_error();

	errx(1, "TLS %s: %s", what,
	    code != 0 ? ERR_reason_error_string(code) : "connection closed");
}

int
source_tls_handshake(struct source_tls *t)
{
	int n = SSL_connect(t->ssl);

	if (n == 1) {
		tls.handshakes++;
		tls.resumed += (unsigned)SSL_session_reused(t->ssl);
	} else if (SSL_get_error(t->ssl, n) != SSL_ERROR_WANT_READ)
		fail("handshake");
	return n == 1;
}

ssize_t
source_tls_write(struct source_tls *t, const struct iovec *part, unsigned parts)
{
	static char record[RECORD];
	size_t len = 0, more;
	int n;

	if (WIRE - t->wire_len < RECORD_ROOM && !source_tls_flush(t))
		return -1;
	for (unsigned i = 0; i < parts && len < RECORD; i++) {
		more = part[i].iov_len;
		if (more > RECORD - len)
			more = RECORD - len;
		memcpy(record + len, part[i].iov_base, more);
		len += more;
	}
	if ((n = SSL_write(t->ssl, record, (int)len)) <= 0)
		fail("write");
	return n;
}

ssize_t
source_tls_read(struct source_tls *t, void *to, size_t size)
{
	int n = SSL_read(t->ssl, to, (int)size);

	if (n > 0)
		return n;
	return SSL_get_error(t->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

int
source_tls_pending(const struct source_tls *t)
{
	return SSL_has_pending(t->ssl);
}
