/*
 * A non-blocking buffered stream over a socket, plain or TLS. The drivers of
 * smtpd and deliver own streams and join them to their pure session cores.
 *
 * What must hold:
 * - No octet that came in before a TLS handshake is delivered after it.
 * - Both buffers are bounded; a reader who does not read stops the writer,
 *   and a caller who does not consume stops the peer.
 * - Deadlines are total: a peer that sends or takes one octet now and then
 *   does not extend them.
 * - A stream may be freed from inside any of its callbacks.
 * - Nothing blocks: a handshake that waits for the keys process is put aside.
 *
 * Written octets leave at the end of the turn, in one system call as a rule.
 * Callbacks are made at the end of the turn too, never from inside a call.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <sys/socket.h>

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct stream;
struct stream_set;

/* Most octets that a stream keeps in each direction unless told otherwise. */
#define STREAM_INPUT_LIMIT (128u << 10)
#define STREAM_OUTPUT_LIMIT (256u << 10)

enum stream_role { STREAM_SERVER, STREAM_CLIENT };

/* Why on_closed was called. */
enum stream_end {
	STREAM_END_EOF, /* the peer has sent its last octet */
	STREAM_END_TIMEOUT, /* the deadline passed */
	STREAM_END_ERROR, /* the network or TLS failed; see stream_error */
	STREAM_END_CONNECT /* the connection could not be made */
};

/*
 * Callbacks. on_readable and on_closed must be given, the others may be NULL.
 *
 * on_readable: octets are there; take them with stream_input and
 * stream_consume. What is left stays and comes again with the next octets, or
 * with stream_resume. When the input buffer is full of octets that nobody
 * consumes, reading stops.
 *
 * on_drained: all that was written has left for the kernel.
 *
 * on_connected: stream_connect has succeeded.
 *
 * on_tls: the handshake of stream_start_tls has ended. When it failed,
 * stream_error tells why, the stream will deliver nothing more, on_closed is
 * not called, and only stream_free or stream_finish make sense.
 *
 * on_closed: called at most once, after the last on_readable; the caller must
 * then stream_free or stream_finish. After STREAM_END_EOF and
 * STREAM_END_TIMEOUT, writing is still possible and stream_finish will try to
 * send what is written (a 421, say), unless a handshake was under way. EOF is
 * told only once the stream is not paused, the other ends also while it is.
 */
struct stream_ops {
	void (*on_readable)(struct stream *, void *arg);
	void (*on_drained)(struct stream *, void *arg);
	void (*on_connected)(struct stream *, void *arg);
	void (*on_tls)(struct stream *, int established, void *arg);
	void (*on_closed)(struct stream *, enum stream_end, void *arg);
};

/* What all streams of a process share. NULL when memory is out. */
struct stream_set *stream_set_new(struct loop *);
/* Frees every stream that is left as well, without calling back. The signer
 * of their keys must have been freed before: see key_client_free. */
void stream_set_free(struct stream_set *);
/* Streams that exist, those that finish or wait to be freed included. */
size_t stream_set_count(const struct stream_set *);

/*
 * Takes the connected socket fd, which may be a blocking one. ops and arg must
 * outlive the stream. NULL when memory is out; fd is then closed. Reading
 * begins at the end of the turn. TCP_NODELAY is inherited from the listening
 * socket: set it there.
 */
struct stream *stream_new(
    struct stream_set *, int fd, const struct stream_ops *, void *arg);
/* The socket is a Unix one: of descriptors that come by it none is kept. Said
 * before the end of the turn. */
void stream_set_local(struct stream *);

/*
 * Begins to connect to `to`, from `from` unless that is NULL (its port is
 * ignored), to be done by `deadline`. on_connected or on_closed follows, never
 * from inside this call. NULL with errno when it fails at once.
 */
struct stream *stream_connect(struct stream_set *, const struct sockaddr *to,
    socklen_t to_len, const struct sockaddr *from, socklen_t from_len,
    int64_t deadline, const struct stream_ops *, void *arg);

/*
 * Closes at once, dropping what is not sent yet, and frees. The memory of a
 * stream in a callback or in a handshake that waits for a signature lives on
 * until that has ended, but no callback is called any more.
 */
void stream_free(struct stream *);

/*
 * Sends what is written, says goodbye in TLS, closes and frees by itself, by
 * `deadline` at the latest. No callback is called any more. With linger the
 * peer's octets are read and dropped until it closes too, so that a reply is
 * not destroyed by the reset which unread octets cause: for replies that
 * refuse a peer who is still talking. The caller must forget the stream.
 */
void stream_finish(struct stream *, int64_t deadline, int linger);

/* For a session that passes from one owner to another. */
void stream_set_ops(struct stream *, const struct stream_ops *, void *arg);
/* Octets of each buffer; 0 keeps what is set. */
void stream_set_limits(struct stream *, size_t input, size_t output);

/*
 * The deadline in milliseconds of loop_now, 0 for none. Covers everything:
 * waiting for input, output and the handshake. It is spent once it passed:
 * set a new one to have another.
 */
void stream_set_deadline(struct stream *, int64_t deadline);

/* The octets that came in, *len of them; valid until the callback returns or
 * the stream is next consumed from. */
const uint8_t *stream_input(const struct stream *, size_t *len);
void stream_consume(struct stream *, size_t len);
/* on_readable is not called while paused, and no more than the input limit is
 * taken from the peer. After stream_resume, octets that wait are delivered at
 * the end of the turn. Pauses do not nest. */
void stream_pause(struct stream *);
void stream_resume(struct stream *);

/* All or nothing: -1 when the octets exceed stream_output_room (wait for
 * on_drained then), or when the connection is dead. */
int stream_write(struct stream *, const void *, size_t);
int stream_write_string(struct stream *, const char *);
/* Octets that still fit in the output buffer, and that wait in it. */
size_t stream_output_room(const struct stream *);
size_t stream_output_pending(const struct stream *);
/* Sends now rather than at the end of the turn. */
void stream_flush(struct stream *);

/*
 * Goes over to TLS: output written before goes out plain, everything after is
 * encrypted. Takes ssl, also when it fails. Returns how many octets of input
 * had come in and were not consumed: they are dropped, and a careful caller
 * closes a session where the count is not 0 (RFC 3207, section 4;
 * CVE-2011-0411). -1 when memory is out or the stream is TLS already. on_tls
 * follows, never from inside this call, and stream_resume is implied.
 */
ssize_t stream_start_tls(struct stream *, SSL *ssl, enum stream_role);
/* The TLS of the stream, NULL while it is plain. For tls_describe. */
SSL *stream_tls(const struct stream *);

/* What went wrong last, in words for the log; "" if nothing did. Never holds
 * octets that the peer chose. */
const char *stream_error(const struct stream *);
int stream_fd(const struct stream *);

#endif
