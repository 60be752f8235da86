/*
 * The inside of a session, shared by session.c, transaction.c, body.c and one
 * file for each group of commands (cmd_*.c), and by nobody else.
 */
#ifndef SMTPD_SESSION_PRIVATE_H
#define SMTPD_SESSION_PRIVATE_H

#include "session.h"
#include "smtp/command.h"
#include "smtp/line.h"
#include "smtp/transparency.h"

/* What commands are in order. The columns of the table in session.c. */
enum stage {
	STAGE_START, /* no HELO, EHLO or LHLO yet */
	STAGE_READY, /* no transaction */
	STAGE_MAIL, /* a sender, no recipient taken */
	STAGE_RCPT, /* at least one recipient taken */
	STAGE_CHUNKS, /* between two BDAT */
	STAGE_COUNT
};

/* What the octets of the client are. */
enum input {
	INPUT_NONE, /* not wanted: TLS, or not begun */
	INPUT_GREETING, /* not allowed: the greeting is still to come */
	INPUT_COMMANDS,
	INPUT_AUTH, /* lines of an AUTH exchange */
	INPUT_DATA,
	INPUT_CHUNK,
	INPUT_OVER /* ACT_DISCONNECT was given */
};

/* What a session waits for. */
enum question {
	ASK_NOTHING,
	ASK_TLS, /* the handshake */
	ASK_RDNS, /* the client's name, before the rcpt_check */
	ASK_SENDER, /* sender_check */
	ASK_RCPT, /* rcpt_check */
	ASK_SASL, /* sasl_begin or sasl_step */
	ASK_SUBMIT,
	ASK_ETRN
};

/* What is said of a whole message: a reply of the table with its argument, or
 * what the queue said. */
struct outcome {
	enum reply_id reply; /* REPLY_NONE: the queue's */
	char arg[24];
	uint16_t code;
	char enhanced[REPLY_ENHANCED_SIZE];
	char text[401];
};

/*
 * A verdict of auth that holds for further recipients. It stands in the
 * transaction and ends with it, for in one transaction nothing changes of the
 * question but the recipient; what else may change is told below.
 */
struct standing_verdict {
	uint8_t reach; /* enum rcpt_reach; REACH_RECIPIENT for none */
	uint8_t known;
	uint8_t utf8; /* rcpt_utf8 of the recipient that it was about */
	uint32_t generation; /* a reload ends it */
	char domain[ADDRESS_DOMAIN_SIZE];
	char action[256];
};

/* From MAIL to the answer of the queue; borrowed from the pool. Not zeroed as
 * a whole: transaction_begin sets what stands before `data`. */
struct transaction {
	struct transaction *next; /* in the pool */
	/* the envelope */
	char sender[ADDRESS_SIZE];
	char envid[XTEXT_ENVID_MAX + 1];
	uint8_t ret;
	uint8_t smtputf8;
	uint8_t body_type; /* enum smtp_body */
	struct ipc_buf rcpts; /* rcpt_spec records */
	unsigned excess; /* recipients that found no room */
	uint8_t known; /* a rule that took one names the client */
	struct standing_verdict standing;
	/* the recipient in question */
	char rcpt[ADDRESS_SIZE];
	char orcpt[XTEXT_ORCPT_MAX + 1];
	uint8_t notify;
	uint8_t rcpt_utf8;
	/* the message */
	uint32_t msgid; /* 0 until the body begins */
	uint64_t id; /* question id of body_data and submit */
	int64_t deadline; /* of the envelope, then of the whole message */
	enum reply_id refusal; /* why the message is not taken */
	uint8_t header_over; /* the header section has ended */
	uint8_t sent; /* body_data went to the queue, submit did not */
	uint8_t streamed; /* body_data went to the queue */
	size_t pending_flush; /* octets of data that the turn has sent */
	uint64_t octets; /* of the client's message, without stuffing */
	uint64_t taken; /* with stuffing and what was refused */
	uint64_t flushed; /* octets that went to the queue */
	uint64_t trace; /* octets that we put before the message */
	struct body_decoder decoder;
	struct header_scan header;
	size_t len; /* octets in data */
	char data[BODY_INLINE];
};

struct session {
	const struct session_conf *conf;
	struct session_pool *pool;
	struct transaction *txn; /* NULL in STAGE_START and STAGE_READY */
	uint64_t id;
	uint32_t slot;
	enum stage stage;
	enum input input;
	enum question question;
	uint64_t question_id;
	/* deadlines; 0 for none */
	int64_t deadline; /* of the client, for what `input` says */
	int64_t wait_until; /* of a peer, for the question */
	int64_t begun;
	/* counters */
	uint32_t mails;
	uint32_t errors;
	uint32_t refused;
	uint32_t auth_failures;
	uint32_t idle_commands;
	/* flags */
	uint8_t greeted;
	uint8_t extended; /* EHLO or LHLO */
	uint8_t lmtp;
	uint8_t tls;
	uint8_t tls_verified;
	uint8_t rdns; /* enum rdns_state of client_name */
	uint8_t rdns_pending;
	uint8_t local;
	uint8_t secure; /* facts.secure, or OPT_AUTH_PLAINTEXT */
	uint8_t inside; /* facts.secure: the client is on this machine */
	uint8_t stopping;
	uint8_t starttls; /* taken, the handshake is about to begin */
	uint8_t sasl_lost; /* auth died inside the exchange */
	uint8_t sasl_final; /* OK came with data that were sent as 334 */
	unsigned extensions; /* offered in EHLO */
	/* BDAT */
	uint64_t chunk_left;
	uint64_t chunk_size;
	uint8_t chunk_last;
	enum reply_id chunk_refusal; /* its octets are dropped */
	/* LMTP: the recipients whose reply is still to be given, and what came
	 * of their message */
	struct ipc_list lmtp_rcpts;
	struct outcome outcome;
	/* AUTH; its lines may be longer than `line` holds */
	uint64_t sasl_id;
	char *auth_buf;
	char mechanism[21];
	uint8_t binding_len;
	uint8_t binding[64];
	char etrn[ADDRESS_DOMAIN_SIZE]; /* the domain asked about */
	char hostname[ADDRESS_DOMAIN_SIZE];
	char literal[65]; /* of facts */
	char client_addr[65];
	char client_name[ADDRESS_DOMAIN_SIZE];
	char helo[ADDRESS_DOMAIN_SIZE];
	char user[256]; /* the login name, "" before */
	char local_user[65];
	char tls_text[128];
	struct line_splitter line;
	char line_buf[LINE_COMMAND_MAX];
};

/* ---- session.c -------------------------------------------------------- */

/* Appends a reply of the table; arguments end with NULL. */
#define session_reply(s, t, ...)                               \
	((t)->out_len += reply_format((t)->out + (t)->out_len, \
	     SESSION_OUT - (t)->out_len, __VA_ARGS__, NULL))
/* Appends a reply that a peer decided. */
void session_reply_peer(struct session *, struct session_turn *, unsigned code,
    const char *enhanced, const char *text);
/* A reply that counts as an error of the client. */
void session_refuse(
    struct session *, struct session_turn *, enum reply_id, const char *arg);
/* Hangs up behind what was replied. reason is for the log. */
void session_hang_up(
    struct session *, struct session_turn *, const char *reason, int linger);
/* Goes on with commands; the client's time for one begins. */
void session_expect_command(struct session *, struct session_turn *);
/* A fresh question id. */
uint64_t session_question_id(struct session *, struct session_turn *);
/* Room for one more message of the turn, to be filled in. */
union ipc_msg *session_send(
    struct session_turn *, enum msg_type, enum process_kind);
/* Waits for the answer to id for `time` milliseconds. */
void session_ask(struct session *, struct session_turn *, enum question,
    uint64_t id, int64_t time);
/* An event for the log; pairs of key and value end with a NULL key. Values
 * live in the session, the transaction or the turn's scratch. */
void session_log(struct session_turn *, const char *event, ...)
    __attribute__((sentinel));
/* The same, and who the client is: its address, its name if that is confirmed,
 * and what it calls itself. Programs that ban clients read single lines. */
void session_log_client(struct session *, struct session_turn *,
    const char *event, ...) __attribute__((sentinel));
/* What a client has said, for the trace. A line that is no command of ours may
 * be a part of a body or a password, and is not shown. */
void session_trace(struct session_turn *, const struct smtp_command *,
    const char *line, size_t len);
void session_trace_auth(struct session_turn *);
/* Text in the turn's scratch; "" when that is full. */
const char *session_text(struct session_turn *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A reply of the table as the log has it, without the end of its line. */
const char *session_reply_text(
    struct session_turn *, enum reply_id, const char *arg);
/* enum session_flag of the session. */
uint32_t session_flags(const struct session *);
/* Mail handed in by one of our users, which we complete. */
int session_is_submission(const struct session *);

/* ---- transaction.c ---------------------------------------------------- */

struct transaction *session_pool_get(struct session_pool *);
void session_pool_put(struct session_pool *, struct transaction *);
/* Begins one with an empty sender; -1 when memory is out. */
int transaction_begin(struct session *, const struct session_turn *);
/* Takes the recipient in question under an action. REPLY_NONE, or why not:
 * all is as before then. */
enum reply_id transaction_add_rcpt(struct session *, const char *action);
/* Forgets it all, telling the queue when a body went ahead. */
void transaction_reset(struct session *, struct session_turn *);

/* ---- body.c ----------------------------------------------------------- */

/* The message begins: takes an id and writes the trace. REPLY_NONE, or why it
 * cannot begin. */
enum reply_id body_begin(
    struct session *, struct session_turn *, enum body_mode);
/* Whether what comes next of the body goes ahead of its submit. */
int body_streams(const struct transaction *);
/* Takes octets of DATA; returns how many. */
size_t body_data(struct session *, struct session_turn *, const char *, size_t);
/* Takes octets of a BDAT chunk; returns how many. */
size_t body_chunk(
    struct session *, struct session_turn *, const char *, size_t);
/* What the turn before has sent is out of the buffer. */
void body_flushed(struct transaction *);
/* The message is not taken; the rest of it is dropped. */
void body_refuse(struct session *, struct session_turn *, enum reply_id);
/* The message is complete: submits it, or says why not. */
void body_end(struct session *, struct session_turn *);
/* Replies to a whole message, to each recipient in LMTP, and ends the
 * transaction. */
void body_outcome(struct session *, struct session_turn *);
/* Gives the replies of LMTP that are left. */
void body_lmtp_replies(struct session *, struct session_turn *);

/* ---- cmd_*.c ---------------------------------------------------------- */

typedef void command_handler(
    struct session *, struct session_turn *, const struct smtp_command *);
command_handler cmd_helo, cmd_mail, cmd_rcpt, cmd_data, cmd_bdat, cmd_rset,
    cmd_noop, cmd_quit, cmd_help, cmd_vrfy, cmd_expn, cmd_etrn, cmd_auth,
    cmd_starttls;

/* All octets of the chunk were taken. */
void cmd_bdat_end(struct session *, struct session_turn *);

/* The answers, by question. lost: the peer is gone or took too long. */
/* Refuses a MAIL, and tells the log. */
void mail_refuse(struct session *, struct session_turn *,
    const struct smtp_mail *, enum reply_id);
void mail_answer(
    struct session *, struct session_turn *, const struct msg_sender_verdict *);
void rcpt_ask(struct session *, struct session_turn *);
/* No verdict stands any more: a fact has changed, or auth is another. */
void rcpt_forget(struct session *);
void rcpt_answer(
    struct session *, struct session_turn *, const struct msg_rcpt_verdict *);
void data_answer(
    struct session *, struct session_turn *, const struct msg_submitted *);
void auth_line(struct session *, struct session_turn *, const char *, size_t);
void auth_answer(
    struct session *, struct session_turn *, const struct msg_sasl_reply *);
/* Ends an exchange that goes no further; tells auth if it may not know. */
void auth_end(struct session *, struct session_turn *, int abort);
void etrn_answer(
    struct session *, struct session_turn *, const struct msg_etrn_done *);

#endif
