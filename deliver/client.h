/*
 * The client's side of an SMTP (RFC 5321) or LMTP (RFC 2033) session. Pure:
 * events go in, actions come out; no socket, no clock, no randomness. The
 * driver (driver.c) joins it to a stream, the fuzz target and the simulator
 * to whatever they like. Trusts nothing that the server says: replies are
 * bounded, each phase has a total deadline, and what a reply can do is to end
 * the session or to decide on recipients.
 *
 * Life: client_new, client_connected, then transactions one after the other
 * while the session is idle, client_quit. After each event take all actions
 * with client_next.
 *
 * What is sent and what is not (doc/decisions/deliver.md has the reasons):
 * - content of 8 bits goes as it is to a server without 8BITMIME;
 * - BINARYMIME needs CHUNKING and BINARYMIME, else 5.6.3;
 * - what needs SMTPUTF8 is never changed: 5.6.7 where it is missing;
 * - RET, ENVID, NOTIFY, ORCPT go where DSN is offered.
 */
#ifndef DELIVER_CLIENT_H
#define DELIVER_CLIENT_H

#include "ipc/enums.h"

#include <stddef.h>
#include <stdint.h>

enum client_tls {
	CLIENT_TLS_NEVER,
	CLIENT_TLS_OPPORTUNISTIC, /* where offered, whatever the certificate */
	CLIENT_TLS_REQUIRED, /* whatever the certificate, by somebody's wish */
	CLIENT_TLS_VERIFIED /* required, with a good certificate */
};

/* Borrowed for the life of the session. */
struct client_config {
	int lmtp;
	int implicit_tls; /* TLS from the first octet */
	enum client_tls tls;
	int fallen_back; /* in clear, since TLS has failed here */
	int authenticate; /* AUTH must succeed before mail */
	int clear_password; /* PLAIN and LOGIN may go to whoever answers */
	const char *helo;
	const char *server; /* its name and address, for who reads that it was
			     * not reached; NULL: unknown */
	const char *own_name; /* a server that calls itself so is ourselves
				 (5.4.6); NULL: no such check */
	uint32_t transactions_max; /* of a session; 0: no limit of ours */
	uint32_t rcpt_max; /* of a batch; 0: no limit of ours */
};

struct client_rcpt {
	const char *address; /* canonical */
	const char *orcpt; /* decoded, "" if none */
	uint8_t notify; /* enum smtp_notify */
};

/* One transaction. Borrowed until CLIENT_DO_RESULTS was taken. */
struct client_mail {
	const char *sender; /* canonical */
	const char *envid; /* decoded, "" if none */
	uint8_t ret; /* enum smtp_ret */
	uint32_t flags; /* enum mail_flag */
	uint64_t size; /* octets of the body as stored */
	int probe; /* only ask for the recipients (call-ahead) */
	const struct client_rcpt *rcpts;
	size_t rcpts_count; /* at least 1 */
};

/* What a result says something about. After SESSION another host may be tried
 * at once: nothing of the message can have been taken. */
enum client_scope {
	CLIENT_SCOPE_RECIPIENT,
	CLIENT_SCOPE_MESSAGE,
	CLIENT_SCOPE_SESSION
};

struct client_result {
	enum delivery_status status;
	enum client_scope scope;
	uint16_t code;
	char enhanced[12]; /* never "" */
	enum hop_kind hop; /* if it took the message */
	int said; /* by the server, as code and text are; else our words */
	const char *text; /* made safe */
};

/* Why a session ended. */
enum client_end {
	CLIENT_END_NONE,
	CLIENT_END_QUIT, /* in order */
	CLIENT_END_SOURCE, /* the own address to come from is not there */
	CLIENT_END_CONNECT, /* no connection was made */
	CLIENT_END_REFUSED, /* the greeting or EHLO was 4yz or 5yz */
	CLIENT_END_BUSY, /* 421 */
	CLIENT_END_TLS, /* not offered where required, or refused */
	CLIENT_END_HANDSHAKE, /* TLS failed: plain may be tried by policy */
	CLIENT_END_AUTH,
	CLIENT_END_LOST, /* the connection went away */
	CLIENT_END_TIMEOUT,
	CLIENT_END_PROTOCOL, /* what came is no SMTP */
	CLIENT_END_LOOP, /* the server is ourselves */
	CLIENT_END_ABORTED /* by our own side */
};

struct client_outcome {
	enum client_end end;
	enum delivery_status status; /* TEMPFAIL, or PERMFAIL */
	uint16_t code;
	char enhanced[12];
	char text[1025];
	int said; /* likewise */
	int stale; /* a kept session that died before it said anything about
		      the new transaction: no fault of the host */
	int untried; /* a process of ours was not there to be asked */
	uint32_t cut_at; /* of how many recipients the server has heard enough,
			    if it went away while more were told */
};

enum client_do {
	CLIENT_DO_NOTHING,
	CLIENT_DO_WRITE, /* data */
	CLIENT_DO_TLS, /* begin a handshake; no octet may be pending */
	CLIENT_DO_SASL_BEGIN, /* data: the mechanisms to choose from, a string
			       */
	CLIENT_DO_SASL_STEP, /* data: the server's challenge, decoded */
	CLIENT_DO_SASL_ABORT, /* the exchange is over, forget it */
	CLIENT_DO_BODY_BEGIN, /* give the body from its first octet */
	CLIENT_DO_BODY_MORE, /* give more, once what was written has left */
	CLIENT_DO_RESULTS, /* client_result holds for every recipient */
	CLIENT_DO_IDLE, /* ready for a transaction */
	CLIENT_DO_TRACE, /* data: what was said, see client_trace */
	CLIENT_DO_CLOSE /* client_outcome says why; nothing follows */
};

struct client_action {
	enum client_do what;
	const void *data; /* until the next call of any function */
	size_t len;
};

struct client;

/* Milliseconds of any monotonic clock throughout. NULL without memory. */
struct client *client_new(const struct client_config *, int64_t now);
void client_free(struct client *);

int client_next(struct client *, struct client_action *);
/*
 * Whether commands and replies from here on become CLIENT_DO_TRACE: one after
 * the other a '>' or '<', the line, NUL. Of AUTH they have the mechanism, and
 * of bodies nothing.
 */
void client_trace(struct client *, int on);
/* When client_timeout is due; 0: no deadline. */
int64_t client_deadline(const struct client *);

/* ---- events ----------------------------------------------------------- */

void client_connected(struct client *, int64_t now);
/* No connection could be made, or not from the address that is wanted; text
 * says why. */
void client_unreachable(struct client *, const char *text);
void client_no_source(struct client *, const char *text);
/* A process of ours is not there to be asked, as text says. */
void client_unasked(struct client *, const char *text);
void client_octets(struct client *, const char *, size_t, int64_t now);
/* The handshake has ended; verified: chain and name of the certificate are
 * good. */
void client_tls_established(struct client *, int verified, int64_t now);
void client_tls_failed(struct client *, const char *text);
/* auth's answer to SASL_BEGIN or SASL_STEP. mechanism matters in the first. */
void client_sasl(struct client *, enum sasl_status, const char *mechanism,
    const uint8_t *response, size_t len, int64_t now);
/* The next octets of the body, at most CLIENT_BODY_MAX; empty only with last.
 * One call for each BODY_BEGIN and BODY_MORE. */
#define CLIENT_BODY_MAX 65536
void client_body(struct client *, const char *, size_t, int last, int64_t now);
/* The body cannot be had. The session is given up without ending it. */
void client_body_failed(struct client *, const char *text);
void client_eof(struct client *);
void client_lost(struct client *, const char *text);
void client_timeout(struct client *);
/* Give up at once, whatever is under way. */
void client_abort(struct client *, const char *text);
/* Begins a transaction; only while idle. */
void client_transaction(
    struct client *, const struct client_mail *, int64_t now);
/* Says QUIT; only while idle. */
void client_quit(struct client *, int64_t now);

/* ---- what is known ---------------------------------------------------- */

int client_is_idle(const struct client *);
/* All of the body was given, and the verdict is not there yet: whoever breaks
 * off now may cause a second delivery. */
int client_is_committed(const struct client *);
/* The transaction is SMTPUTF8. */
int client_sends_utf8(const struct client *);
/* Transactions begun. */
uint32_t client_transactions(const struct client *);
/* Whether the server, and our limit, let another transaction begin. */
int client_may_continue(const struct client *);
const struct client_outcome *client_outcome(const struct client *);
/* Of recipient i, from CLIENT_DO_RESULTS to the next transaction. */
const struct client_result *client_result(const struct client *, size_t i);
/* What the session waits for, for a log line. */
const char *client_phase_name(const struct client *);

#endif
