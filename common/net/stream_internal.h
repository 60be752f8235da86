/*
 * What the files of the stream share: stream.c (buffers, events, callbacks),
 * stream_tls.c (TLS between the two), stream_life.c (beginning and end).
 *
 * Plain:  socket -> in -> caller, caller -> out -> socket.
 * TLS:    socket -> wire_in -> SSL -> in -> caller,
 *         caller -> out -> SSL -> wire_out -> socket.
 */
#ifndef NET_STREAM_INTERNAL_H
#define NET_STREAM_INTERNAL_H

#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "net/buffer.h"
#include "net/loop.h"
#include "net/stream.h"

enum {
	STREAM_SCRATCH = 65536,
	/* Encrypted octets kept: in, a record and what came with it; out,
	 * encrypting pauses above this, and nothing is added at twice it. */
	STREAM_WIRE_LIMIT = 65536,
	STREAM_RECORD = 16384,
	/* Handshakes that may be under way in fibres at one time, each with
	 * a stack of 32 KiB. The next wait for a moment. */
	STREAM_JOBS = 512,
	STREAM_JOB_RETRY_MS = 10,
	/* Messages of the handshake that a peer may send in one session: few
	 * of them, and then a ticket or two, and a key update in 2^24 records
	 * (RFC 8446). A flood of them only costs us. */
	STREAM_HANDSHAKE_MESSAGES = 64
};

enum stream_phase {
	PHASE_CONNECTING,
	PHASE_OPEN, /* plain, or TLS when ssl is set */
	PHASE_HANDSHAKE,
	PHASE_DEAD /* nothing goes in or out any more */
};

TAILQ_HEAD(stream_list, stream);

struct stream_set {
	struct loop *loop;
	BIO_METHOD *bio;
	struct stream_list live;
	struct stream_list dead; /* freed by their owner, memory still here */
	struct loop_deferred reap;
	size_t count;
	uint8_t scratch[STREAM_SCRATCH];
};

struct stream {
	TAILQ_ENTRY(stream) entry;
	struct stream_set *set;
	const struct stream_ops *ops;
	void *arg;
	SSL *ssl;
	struct buffer in, out, wire_in, wire_out;
	struct event read_event, write_event, timer;
	struct loop_deferred step;
	int64_t deadline; /* 0: none */
	int64_t armed; /* when the timer fires, 0: it does not */
	int fd;
	int handshake_messages;
	enum stream_phase phase;
	enum stream_end end; /* valid with ended */
	unsigned reading : 1; /* read_event is added */
	unsigned writing : 1;
	unsigned blocked : 1; /* the kernel takes no more for now */
	unsigned eof : 1; /* the socket has no more */
	unsigned local : 1; /* a Unix socket */
	unsigned outbound : 1; /* made by stream_connect */
	unsigned broken : 1; /* nothing goes out, something may come in */
	unsigned in_done : 1; /* nothing more will be added to `in` */
	unsigned ended : 1; /* on_closed is due or done */
	unsigned told : 1; /* on_closed was called */
	unsigned paused : 1;
	unsigned bulk : 1; /* the last read had much */
	unsigned offer : 1; /* on_readable is due */
	unsigned drained : 1; /* on_drained is due when all is out */
	unsigned connected : 1; /* on_connected is due */
	unsigned tls_done : 1; /* on_tls is due */
	unsigned tls_ok : 1;
	unsigned job : 1; /* the handshake is paused in a fibre */
	unsigned signing : 1; /* and its signer has not answered yet */
	unsigned job_retry : 1; /* no fibre was free, timer tries again */
	unsigned finishing : 1;
	unsigned said_goodbye : 1;
	unsigned linger : 1;
	unsigned shut : 1; /* SHUT_WR is done */
	unsigned freed : 1;
	char error[160];
};

/* stream.c */
void stream_schedule(struct stream *);
/* The stream ends for `end`; told at the end of the turn. The first wins. */
void stream_end_with(struct stream *, enum stream_end, const char *error);
/* Notes what went wrong, unless something did before. */
void stream_note(struct stream *, const char *error);
void stream_arm_timer(struct stream *);
void stream_watch(struct stream *);
void stream_init_events(struct stream *);

/* stream_life.c */
void stream_connect_ready(struct stream *);
/* After the last flush of stream_finish; frees when all is done. */
void stream_finish_step(struct stream *);
void stream_reap(void *set);

/* stream_tls.c */
BIO_METHOD *stream_bio_method(void);
/* Goes on with the handshake, also of a freed stream, whose fibre must end. */
void stream_handshake(struct stream *);
void stream_decrypt(struct stream *);
void stream_encrypt(struct stream *);
void stream_goodbye(struct stream *);

#endif
