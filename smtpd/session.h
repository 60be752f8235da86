/*
 * The SMTP server session: one connection from its greeting to its end, as a
 * function of octets and answers in, octets and actions out. Pure: no socket,
 * no event loop, no clock and no random number. The driver (driver.c) joins it
 * to a stream, to the channels and to a timer; tests and the simulator drive
 * it directly. RFC 5321 and the extensions of smtp/extension.h, LMTP (RFC
 * 2033) on local sockets.
 *
 * One call of the core is a turn. The driver passes a struct session_turn
 * with the time and what the worker knows; the core appends to it what is to
 * be done. The driver carries that out before it calls again: first it writes
 * `out` to the client, then it performs the actions in order. What actions
 * point to lives until the next call for the same session.
 *
 * One session has at most one question pending, and takes no input meanwhile.
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/messages.h"
#include "mail/header.h"
#include "mail/trace.h"
#include "smtpd/rdns.h"

struct session;
struct session_pool;

/* ---- settings of a listener ------------------------------------------- */

enum session_option {
	OPT_STARTTLS = 1 << 0, /* offered */
	OPT_TLS_REQUIRED = 1 << 1, /* before MAIL, AUTH, VRFY and ETRN */
	OPT_SMTPS = 1 << 2, /* TLS from the first octet */
	OPT_AUTH = 1 << 3, /* offered */
	OPT_AUTH_REQUIRED = 1 << 4, /* before MAIL */
	OPT_AUTH_PLAINTEXT = 1 << 5, /* offered without TLS to all */
	OPT_SOCKET = 1 << 6, /* a local socket: LHLO is spoken too */
	OPT_MASK_SRC = 1 << 7, /* Received does not tell the client */
	OPT_NO_DSN = 1 << 8,
	OPT_RECEIVED_AUTH = 1 << 9, /* Received tells the login name */
	OPT_ETRN = 1 << 10 /* offered; the queue knows the domains */
};

/* Durations are milliseconds, sizes octets. Strings must outlive the session;
 * none may be NULL unless it says so. */
struct session_conf {
	const char *hostname; /* what we call ourselves */
	const char *domain; /* of addresses that come without one */
	const char *tag; /* "" if none */
	uint32_t since; /* generation that brought what listeners demand */
	const char *mechanisms; /* "PLAIN LOGIN": upper case, one space */
	const char *auth_table; /* "" for the system's accounts */
	const char *senders; /* table of login to addresses, NULL if none */
	unsigned options; /* enum session_option */
	uint64_t max_size; /* of a message */
	size_t max_line; /* of a message's lines; 0: any */
	struct header_limits header;
	uint32_t max_received; /* hops before mail goes in circles */
	uint32_t max_mails; /* messages in a session */
	uint32_t max_rcpts; /* recipients of a message */
	uint32_t max_excess; /* recipients without room before we hang up */
	uint32_t max_errors; /* before we hang up */
	uint32_t max_refused; /* recipients refused before we hang up, but on
			       * sendmail, whose message has others as well */
	uint32_t max_auths; /* failed logins before we hang up */
	uint32_t max_idle_commands; /* commands between two messages */
	int64_t greet_time; /* that a stranger must not speak in; 0: none */
	int64_t command_time; /* for the client to give the next command */
	int64_t tls_time; /* for a TLS handshake */
	int64_t auth_time; /* for a whole AUTH exchange */
	int64_t envelope_time; /* from MAIL to the message */
	int64_t data_time; /* for a message, and 1 s more for each KiB, but
			    * never more than that in silence */
	int64_t check_time; /* for an answer of auth or resolver */
	int64_t submit_time; /* for the queue to make a message durable */
	int64_t rdns_time; /* RCPT waits no longer for a name */
	int64_t session_time; /* after which we hang up between messages */
};

/* Sets the limits and times to their defaults, the rest to nothing. */
void session_conf_defaults(struct session_conf *);

/* ---- facts ------------------------------------------------------------ */

/* Copied; a NULL string stands for "". */
struct session_facts {
	uint64_t id; /* of the session in the log */
	uint32_t slot; /* comes back in the low half of question ids */
	const char *client_addr; /* "192.0.2.1", "2001:db8::1", "local" */
	const char *local_user; /* who is behind the control socket */
	const char *hostname; /* used instead of conf->hostname */
	const char *literal; /* "[192.0.2.1]": the address that the client has
			      * connected to, as a domain; NULL if none */
	int early; /* octets were there before the greeting */
	int secure; /* nobody listens on the way, since the client is on
		     * this machine: AUTH without TLS, greeted at once */
	int rdns_pending; /* session_rdns will be called; else no name */
};

/* Copied. */
struct session_tls {
	const char *text; /* "TLSv1.3:TLS_AES_256_GCM_SHA384:256" */
	int verified; /* the client showed a valid certificate */
	const void *binding; /* tls-exporter, RFC 9266 */
	size_t binding_len; /* 0 where there is none */
};

/* ---- a turn ----------------------------------------------------------- */

enum {
	SESSION_OUT = 49152, /* octets of replies in a turn */
	SESSION_ACTIONS = 16, /* actions in a turn */
	SESSION_LOG_PAIRS = 8,
	SESSION_SCRATCH = 16384
};

enum session_action_kind {
	ACT_SEND, /* a message to the peer that takes its type */
	ACT_LOG, /* an event for the log */
	ACT_TRACE, /* a command, where the turn is traced */
	ACT_START_TLS, /* after `out`; session_tls_done follows */
	ACT_DISCONNECT /* after `out`; no further call but session_close */
};

struct session_action {
	enum session_action_kind kind;
	enum msg_type type; /* SEND */
	enum process_kind peer; /* SEND */
	union {
		union ipc_msg msg; /* SEND */
		struct {
			const char *event;
			/* pairs end with a NULL key; NULL values are left out*/
			const char *pairs[2 * SESSION_LOG_PAIRS + 2];
		} log;
		struct {
			size_t at; /* octets of `out` before it */
			const char *line; /* fit for a log */
		} trace;
		int linger; /* DISCONNECT: the client may still be talking */
	};
};

/* Ids for messages that the queue has given out: first, first + 1, ... */
struct session_ids {
	uint32_t first;
	uint32_t count;
};

struct session_turn {
	/* Set by the driver. */
	int64_t now; /* milliseconds, monotonic */
	struct trace_time time;
	struct session_ids *ids; /* the core takes from it */
	const struct msg_queue_status *queue; /* NULL: no queue is there */
	uint32_t *serial; /* counts questions of the whole worker */
	uint32_t generation; /* of the configuration that holds */
	uint32_t since; /* session_conf.since of that configuration */
	int traced; /* commands become ACT_TRACE */
	/* Filled by the core, emptied by session_turn_reset. */
	size_t out_len;
	unsigned action_count;
	size_t scratch_len;
	struct session_action actions[SESSION_ACTIONS];
	char out[SESSION_OUT];
	char scratch[SESSION_SCRATCH];
};

void session_turn_reset(struct session_turn *);

/* ---- life ------------------------------------------------------------- */

/* What sessions borrow while they have a transaction: buffers of about 70 KiB
 * of which `keep` stay for reuse. Once the recipients of all of them have come
 * to `room` octets each gets no more than one. NULL when memory is out. */
struct session_pool *session_pool_new(size_t keep, size_t room);
void session_pool_free(struct session_pool *);

/* NULL when memory is out. conf and pool must outlive it. */
struct session *session_new(const struct session_conf *, struct session_pool *);
/* Tells peers what they need not go on with. Then only session_free. */
void session_close(struct session *, struct session_turn *);
void session_free(struct session *);

/* The first event: greets, waits to greet, or begins TLS. */
void session_connected(
    struct session *, struct session_turn *, const struct session_facts *);
/*
 * Octets of the client. Returns how many were taken; call again with the rest
 * while session_wants_input. Also to be called with none when
 * session_has_output, to go on.
 */
size_t session_octets(
    struct session *, struct session_turn *, const char *data, size_t len);
/* The handshake has ended; tls is NULL when it failed. */
void session_tls_done(
    struct session *, struct session_turn *, const struct session_tls *);
/* What the client's address is called, "" if nothing. The name is a word of the
 * client's, and checked. */
void session_rdns(
    struct session *, struct session_turn *, const char *name, enum rdns_state);
/* An answer of a peer. One that no question waits for is passed over. */
void session_answer(struct session *, struct session_turn *, enum msg_type,
    const union ipc_msg *);
/* A peer is gone, with all that it had been told. */
void session_lost(struct session *, struct session_turn *, enum process_kind);
/* Time has passed; see session_deadline. */
void session_tick(struct session *, struct session_turn *);
/* The client has sent its last octet. */
void session_eof(struct session *, struct session_turn *);
/* The worker stops: hangs up now if nothing is under way, else as soon as
 * that is answered. */
void session_shutdown(struct session *, struct session_turn *);

/* When session_tick wants to be called, in milliseconds; 0 for never. */
int64_t session_deadline(const struct session *);
/* Whether input would be taken now. While it is 0, give none. */
int session_wants_input(const struct session *);
/* Whether replies are left that did not fit in the turn. */
int session_has_output(const struct session *);
/* Whether input becomes body_data, so that none should be given while the
 * queue is behind. What fits into a submit is not held up by it. */
int session_feeds_queue(const struct session *);
/* Whether ACT_DISCONNECT was given. */
int session_is_over(const struct session *);
uint64_t session_id(const struct session *);
uint32_t session_messages(const struct session *);

#endif
