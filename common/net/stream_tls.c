/*
 * TLS between the two pairs of buffers of a stream. OpenSSL never sees the
 * socket: a BIO of our own reads from wire_in and adds to wire_out, so a turn
 * makes one system call in each direction however many records there are.
 *
 * A handshake whose key is elsewhere runs as an OpenSSL ASYNC job: it pauses,
 * the signer's answer wakes it (on_signed), and the stream goes on.
 */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "net/stream_internal.h"
#include "net/tls.h"

/* ---- the BIO ---------------------------------------------------------- */

static int
bio_write(BIO *bio, const char *data, int len)
{
	struct stream *s = BIO_get_data(bio);
	size_t room, n = (size_t)len;

	BIO_clear_retry_flags(bio);
	if (s->freed || s->phase == PHASE_DEAD)
		return len; /* nobody will read it */
	room = buffer_room(&s->wire_out);
	if (n > room)
		n = room;
	if (n == 0) {
		BIO_set_retry_write(bio);
		return -1;
	}
	return buffer_append(&s->wire_out, data, n) == -1 ? -1 : (int)n;
}

static int
bio_read(BIO *bio, char *data, int len)
{
	struct stream *s = BIO_get_data(bio);
	size_t n = buffer_length(&s->wire_in);

	BIO_clear_retry_flags(bio);
	if (n == 0 || s->freed) {
		if (s->eof || s->freed)
			return 0;
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > (size_t)len)
		n = (size_t)len;
	memcpy(data, buffer_octets(&s->wire_in), n);
	buffer_consume(&s->wire_in, n);
	return (int)n;
}

static long
bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	struct stream *s = BIO_get_data(bio);

	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return s->freed || (s->eof && buffer_length(&s->wire_in) == 0);
	default:
		return 0;
	}
}

static int
bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

BIO_METHOD *
stream_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "relais stream");

	if (m == NULL || !BIO_meth_set_write(m, bio_write) ||
	    !BIO_meth_set_read(m, bio_read) ||
	    !BIO_meth_set_ctrl(m, bio_ctrl) ||
	    !BIO_meth_set_create(m, bio_create)) {
		BIO_meth_free(m);
		return NULL;
	}
	return m;
}

/* ---- the handshake ---------------------------------------------------- */

/* The signature that the fibre waits for is there, or will never be. */
static int
on_signed(SSL *ssl, void *arg)
{
	struct stream *s = arg;

	s->signing = 0;
	if (s->freed)
		loop_defer(s->set->loop, &s->set->reap);
	else
		stream_schedule(s);
	return 1;
}

/* Counts what a peer may send to make us work without end. */
static void
on_message(int written, int version, int content_type, const void *data,
    size_t len, SSL *ssl, void *arg)
{
	struct stream *s = arg;

	if (!written && content_type == SSL3_RT_HANDSHAKE)
		s->handshake_messages++;
}

/* Takes the reason of a failure from OpenSSL's error queue. */
static void
note_tls_error(struct stream *s)
{
	unsigned long code = ERR_peek_error();
	const char *reason = NULL;
	long verify;

	if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
	    (verify = SSL_get_verify_result(s->ssl)) != X509_V_OK)
		reason = X509_verify_cert_error_string(verify);
	if (reason == NULL && code != 0)
		reason = ERR_reason_error_string(code);
	stream_note(s,
	    reason != NULL ? reason
		: s->eof   ? "connection closed inside TLS"
			   : "TLS failed");
	ERR_clear_error();
}

static void
handshake_failed(struct stream *s)
{
	note_tls_error(s);
	stream_flush(s); /* the alert that says why */
	s->phase = PHASE_DEAD;
	s->tls_done = 1;
	s->tls_ok = 0;
}

static void
handshake_established(struct stream *s)
{
	/* reads and writes must never pause in a fibre */
	SSL_clear_mode(s->ssl, SSL_MODE_ASYNC);
	s->phase = PHASE_OPEN;
	s->tls_done = 1;
	s->tls_ok = 1;
}

void
stream_handshake(struct stream *s)
{
	int rc;

	if (s->signing || s->job_retry)
		return;
	ERR_clear_error();
	rc = SSL_do_handshake(s->ssl);
	s->job = 0;
	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_NONE:
		handshake_established(s);
		break;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		break;
	case SSL_ERROR_WANT_ASYNC:
		s->job = s->signing = 1;
		break;
	case SSL_ERROR_WANT_ASYNC_JOB:
		s->job_retry = 1;
		stream_arm_timer(s);
		break;
	default:
		handshake_failed(s);
	}
}

ssize_t
stream_start_tls(struct stream *s, SSL *ssl, enum stream_role role)
{
	size_t pending = buffer_length(&s->in);
	BIO *bio;

	if (ssl == NULL || s->ssl != NULL || s->phase != PHASE_OPEN ||
	    s->freed || s->finishing || (bio = BIO_new(s->set->bio)) == NULL) {
		tls_session_free(ssl);
		return -1;
	}
	BIO_set_data(bio, s);
	SSL_set_bio(ssl, bio, bio);
	if (role == STREAM_SERVER)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	SSL_set_mode(ssl,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_set_msg_callback(ssl, on_message);
	SSL_set_msg_callback_arg(ssl, s);
	SSL_set_async_callback(ssl, on_signed);
	SSL_set_async_callback_arg(ssl, s);
	s->ssl = ssl;

	/* what was written before goes out before, and plain */
	s->wire_out = s->out;
	if (s->wire_out.limit < 2 * STREAM_WIRE_LIMIT)
		s->wire_out.limit = 2 * STREAM_WIRE_LIMIT;
	buffer_init(&s->out, s->out.limit);
	/* what came in before is never seen again */
	buffer_clear(&s->in);
	buffer_init(&s->wire_in, STREAM_WIRE_LIMIT);
	s->offer = s->paused = s->in_done = 0;
	s->phase = PHASE_HANDSHAKE;
	stream_schedule(s);
	return (ssize_t)pending;
}

/* ---- afterwards ------------------------------------------------------- */

static void
session_failed(struct stream *s)
{
	note_tls_error(s);
	s->in_done = 1;
	stream_end_with(s, STREAM_END_ERROR, NULL);
}

void
stream_decrypt(struct stream *s)
{
	size_t room;
	int n;

	if (buffer_length(&s->wire_in) == 0 && !SSL_has_pending(s->ssl) &&
	    !s->eof)
		return;
	while (!s->in_done && (room = buffer_room(&s->in)) > 0) {
		if (room > STREAM_SCRATCH)
			room = STREAM_SCRATCH;
		ERR_clear_error();
		n = SSL_read(s->ssl, s->set->scratch, (int)room);
		if (s->handshake_messages > STREAM_HANDSHAKE_MESSAGES) {
			stream_note(s, "too many handshake messages");
			session_failed(s);
			return;
		}
		if (n > 0) {
			if (buffer_append(&s->in, s->set->scratch, (size_t)n) ==
			    -1) {
				stream_end_with(
				    s, STREAM_END_ERROR, "out of memory");
				return;
			}
			s->offer = 1;
			continue;
		}
		switch (SSL_get_error(s->ssl, n)) {
		case SSL_ERROR_WANT_READ:
		case SSL_ERROR_WANT_WRITE:
			return;
		case SSL_ERROR_ZERO_RETURN:
			/* what follows in clear is not for us */
			s->in_done = 1;
			return;
		default:
			session_failed(s);
			return;
		}
	}
}

void
stream_encrypt(struct stream *s)
{
	size_t len;
	int n;

	while ((len = buffer_length(&s->out)) > 0 &&
	    buffer_length(&s->wire_out) < STREAM_WIRE_LIMIT) {
		if (len > STREAM_RECORD)
			len = STREAM_RECORD;
		ERR_clear_error();
		n = SSL_write(s->ssl, buffer_octets(&s->out), (int)len);
		if (n > 0) {
			buffer_consume(&s->out, (size_t)n);
			continue;
		}
		switch (SSL_get_error(s->ssl, n)) {
		case SSL_ERROR_WANT_READ:
		case SSL_ERROR_WANT_WRITE:
			return;
		default:
			session_failed(s);
			return;
		}
	}
}

void
stream_goodbye(struct stream *s)
{
	s->said_goodbye = 1;
	ERR_clear_error();
	SSL_shutdown(s->ssl);
	ERR_clear_error();
}
