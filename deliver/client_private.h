/*
 * The inside of a client session, shared by client*.c and nobody else.
 *
 * A session is in one phase. In each phase a number of replies is awaited;
 * octets that come when none is awaited are out of turn and end the session.
 */
#ifndef DELIVER_CLIENT_PRIVATE_H
#define DELIVER_CLIENT_PRIVATE_H

#include "deliver/client.h"
#include "smtp/command.h"
#include "smtp/extension.h"
#include "smtp/reply.h"
#include "smtp/transparency.h"

enum phase {
	PHASE_CONNECT,
	PHASE_GREETING,
	PHASE_EHLO,
	PHASE_HELO,
	PHASE_STARTTLS,
	PHASE_TLS, /* the handshake */
	PHASE_AUTH, /* the server's turn */
	PHASE_SASL, /* auth's turn */
	PHASE_IDLE,
	PHASE_ENVELOPE, /* RSET, MAIL, RCPT, DATA */
	PHASE_BODY, /* octets of the body are awaited from our side */
	PHASE_CHUNK, /* a reply to BDAT that is not the last */
	PHASE_FINAL, /* the replies that decide */
	PHASE_EMPTY, /* the reply to the end of data for nobody */
	PHASE_QUIT,
	PHASE_CLOSED,
	PHASE_COUNT
};

/* The steps of an envelope, in order. */
enum step { STEP_RSET, STEP_MAIL, STEP_RCPT, STEP_DATA };

/* A recipient: not tried yet, in the batch, accepted in it, or decided. */
enum rcpt_state { RCPT_WAITS, RCPT_BATCH, RCPT_ACCEPTED, RCPT_DONE };

struct outbuf {
	char *data;
	size_t len;
	size_t size;
	int failed; /* memory ran out */
};

enum { TODO_MAX = 8 };

struct client {
	const struct client_config *config;
	enum phase phase;
	int64_t deadline; /* of what is awaited; 0: none */
	int64_t total; /* of the phase as a whole; 0: none */
	struct reply_parser parser;
	int first_line; /* the next line of the reply is its first */
	struct smtp_extensions extensions;
	struct smtp_extensions incoming; /* of the EHLO reply under way */
	int tls; /* established */
	int refused_tls; /* offered, and then not given */
	int misses_tls; /* mail waits for the TLS that failed */
	int verified; /* with a good certificate */

	struct outbuf out;
	size_t taken; /* octets of out that WRITE handed out */
	struct outbuf notes; /* of what was said, where it is traced */
	int traced;
	int noted; /* TRACE handed the notes out */
	enum client_do todo[TODO_MAX];
	unsigned todo_count;
	char *challenge; /* for SASL_STEP and SASL_BEGIN */
	size_t challenge_len;

	/* AUTH */
	int sasl_begun; /* auth holds an exchange for us */
	int sasl_sent; /* AUTH is on the wire */
	int sasl_proved; /* auth is content with the server */
	int sasl_scram; /* the server has to prove itself */
	int authenticated;

	/* the transaction */
	const struct client_mail *mail;
	struct client_result *results; /* one a recipient; texts are ours */
	uint8_t *rcpt_states; /* enum rcpt_state */
	size_t results_count;
	uint32_t *batch; /* recipients of the batch, in order */
	size_t batch_count;
	size_t accepted; /* of the batch */
	size_t rcpt_limit; /* of a batch; 0: none */
	int utf8; /* the transaction is SMTPUTF8 */
	int chunked; /* BDAT */
	int mail_refused;
	int too_many; /* some of the batch were, and wait for the next */
	int need_rset; /* a transaction is open at the server */
	int with_rset, with_data; /* the batch has these steps */
	size_t steps_sent, steps_replied;
	size_t final_next; /* LMTP: place in the batch of the next reply */
	struct body_encoder encoder;
	int committed; /* all of the body is on the wire */
	int replied; /* the server has answered in this transaction */
	unsigned batches; /* begun in the transaction */
	uint32_t transactions;

	struct client_outcome outcome;
};

/* client.c */
void client_do(struct client *, enum client_do);
void client_write(struct client *, const char *, size_t);
/* A whole command, CRLF included; one that may be traced. */
void client_say(struct client *, const char *line, size_t len);
void client_say_words(struct client *, const char *, const char *);
/* For the trace: way is '<' or '>'. */
void client_note(struct client *, char way, const char *line, size_t len);
/* Enters a phase and sets its deadlines; size matters for the body. */
void client_enter(struct client *, enum phase, int64_t now);
/* What is awaited has moved on: the deadline of one wait begins anew. */
void client_progress(struct client *, int64_t now);
/* Ends the session; recipients without a result share its fate. */
void client_end(struct client *, enum client_end, enum delivery_status,
    unsigned code, const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* The same with the code and text of a reply. A permanent refusal of the
 * session is no verdict on the mail, and becomes temporary. */
void client_end_reply(
    struct client *, enum client_end, const struct smtp_reply *);
void client_go_idle(struct client *, int64_t now);

/* client_hello.c */
void client_begin_hello(struct client *, int64_t now);
void client_reply_greeting(struct client *, const struct smtp_reply *, int64_t);
void client_reply_ehlo(struct client *, const struct smtp_reply *, int64_t);
void client_reply_helo(struct client *, const struct smtp_reply *, int64_t);
void client_reply_starttls(struct client *, const struct smtp_reply *, int64_t);

/* client_auth.c */
void client_begin_auth(struct client *, int64_t now);
void client_reply_auth(struct client *, const struct smtp_reply *, int64_t);
/* Tells auth to forget an exchange that is under way. */
void client_forget_auth(struct client *);

/* client_mail.c */
void client_reply_envelope(struct client *, const struct smtp_reply *, int64_t);
/* Begins the next batch, or ends the transaction. */
void client_next_batch(struct client *, int64_t now);

/* client_body.c */
void client_begin_body(struct client *, int64_t now);
void client_reply_chunk(struct client *, const struct smtp_reply *, int64_t);
void client_reply_final(struct client *, const struct smtp_reply *, int64_t);
void client_reply_empty(struct client *, const struct smtp_reply *, int64_t);

/* client_result.c */
/* Sets the result of recipient i unless it has one. */
void client_set_result(struct client *, size_t i, enum delivery_status,
    enum client_scope, unsigned code, const char *enhanced, const char *text);
void client_set_reply(
    struct client *, size_t i, enum client_scope, const struct smtp_reply *);
/* 1 in a session that is in clear because TLS failed, or was not given. */
int client_fell_back(const struct client *);
/* What went wrong only for that, as text says; the mail waits for TLS. */
void client_set_tls_missed(
    struct client *, size_t i, enum client_scope, const char *text);
/* For all accepted recipients of the batch. */
void client_set_accepted(
    struct client *, enum client_scope, const struct smtp_reply *);
/* For all recipients of the transaction that have none. */
void client_set_rest(struct client *, enum delivery_status, enum client_scope,
    unsigned code, const char *enhanced, const char *text);
enum delivery_status client_status(const struct smtp_reply *);
/* The enhanced code of a reply, or one of its class that says no more. */
void client_enhanced(const struct smtp_reply *, char out[12]);
/* Forgets results and batches. */
void client_free_transaction(struct client *);

#endif
